"""The Bitstamp day of 2015 order by order: paper is replay in the true queue, and fixed probes bound the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oneprice.core.instruments import Fees
from oneprice.execution.latency import constant
from oneprice.execution.venue import FillModel
from oneprice.market.importers.bitstamp import bitstamp_instrument, import_bitstamp
from oneprice.market.importers.lobster import import_lobster, lobster_instrument
from oneprice.market.tape import Tape
from oneprice.modes.paper import paper
from oneprice.modes.replay import replay
from oneprice.strategies import market_making
from oneprice.study.fit_making import first_part
from oneprice.study.queue_probes import queue_probes

FEES = Fees(maker_bp=0, taker_bp=20)
ORDERED = [
    ("risk_averse", "prob_log"), ("risk_averse", "prob_power"), ("prob_log", "touch"), ("prob_power", "touch"),
    ("risk_averse", "fifo"), ("fifo", "touch"),
]  # fmt: skip


@pytest.fixture
def day(data_dir: Path) -> Tape:
    return import_bitstamp(data_dir / "bitstamp_l3" / "2015-05-01.log.xz", bitstamp_instrument(FEES))


def test_paper_is_replay_in_the_true_queue(day: Tape, tmp_path: Path) -> None:
    """Forty minutes, queue model fifo, 20 ms each way: commands, answers and state are equal byte for byte."""
    part = first_part(day, 2_400 * 10**9)
    maker = market_making(k_decay=8.0, gamma=0.1, qty=1.0, limit=5.0, edge_bp=-30.0)
    how = {"latency": constant(20_000, 20_000), "fills": FillModel(queue="fifo")}
    run = replay(maker, [part], **how)
    live = paper(maker, [part], speed=0, out=tmp_path / "paper", durability="async", **how)
    assert len(run.fills()) >= 10 and len(run.commands()) > 500 and run.closes() == 0
    assert live.commands().tobytes() == run.commands().tobytes()
    assert live.events.tobytes() == run.events.tobytes()
    assert live.rows.tobytes() == run.rows.tobytes()
    assert live.engine.arena.snapshot() == run.engine.arena.snapshot()
    other = replay(maker, [part], latency=how["latency"], fills=FillModel(queue="touch"))
    assert other.events.tobytes() != run.events.tobytes(), "the queue model is in force"


@pytest.mark.parametrize(("name", "lots"), [("bitstamp", 1_000_000), ("bitstamp", 100_000_000), ("amzn", 1)])
def test_fixed_probes_bound_the_truth(day: Tape, data_dir: Path, name: str, lots: int) -> None:
    """Probe by probe fills(risk_averse) <= fills(prob_*) <= fills(touch), and fifo, the truth, between the two ends."""
    tape, every_s, life_s = day, 10.0, 120.0
    if name == "amzn":
        tape = import_lobster(data_dir / "lobster" / "amzn_l1_20120621.parquet", lobster_instrument("AMZN"))
        every_s, life_s = 5.0, 60.0
    probes = queue_probes(tape, every_s=every_s, life_s=life_s, lots=lots)
    for fewer, more in ORDERED:
        assert (probes[fewer].filled <= probes[more].filled).all(), (fewer, more)
    told = {"bitstamp": {1_000_000: (480, 488, 480, 480, 763), 100_000_000: (266, 266, 266, 266, 295)},
            "amzn": {1: (1375, 1413, 1416, 1378, 1505)}}[name][lots]  # fmt: skip
    names = ("risk_averse", "prob_log", "prob_power", "fifo", "touch")
    assert tuple(probes[n].fills for n in names) == told, "the table of docs/theory/orders.md"
    assert np.array_equal(probes["fifo"].side, probes["touch"].side)
