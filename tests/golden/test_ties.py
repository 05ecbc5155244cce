"""The order of events of one nanosecond, as a table: the tie rule of the design, in a rerun and on paper too.

venue data (by leg, then row) < own response (by leg) < timer < model < operator.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import engine_kit as kit
from engine_kit import LATENCY, MS, START, US, of_kind, operator, tape, top, tricky
from oneprice.core.records import (
    ACK,
    ACTIVE,
    HALTED,
    MODEL,
    OP_HALT,
    OP_RESUME,
    OPERATOR,
    TIMER,
    TOP,
)
from oneprice.execution.strategy import Strategy
from oneprice.market.tape import Tape
from oneprice.modes.fit import Fit
from oneprice.modes.paper import paper
from oneprice.modes.replay import replay
from oneprice.modes.rerun import rerun

ASK_NS = 20 * MS  # when the strategy asks for two orders and a timer
TIE_NS = (
    ASK_NS + 200 * US
)  # when all of it comes back, with a row on each leg, a model and the operator's word
GOLDEN_3 = [(TOP, 0), (TOP, 0), (TOP, 1), (TOP, 2), (ACK, 0), (ACK, 1), (TIMER, -1), (MODEL, -1)]
GOLDEN_6 = [
    (TOP, 0),
    (TOP, 0),
    *[(TOP, i) for i in range(1, 6)],
    (ACK, 0),
    (ACK, 1),
    (TIMER, -1),
    (MODEL, -1),
]


def tapes(n_legs: int) -> list[Tape]:
    """Leg 0 has two rows at the tie and every other leg one; the strategy's ask is leg 0's third row."""
    out = []
    for i in range(n_legs):
        rows = [top(MS), top(2 * MS)] if i else [top(MS), top(2 * MS), top(ASK_NS)]
        out.append(tape("abcdef"[i], [*rows, *[top(TIE_NS)] * (2 if i == 0 else 1), top(40 * MS)]))
    return out


def asks(n_legs: int) -> Strategy:
    return tricky(trick=kit.TIES, at=2 * n_legs + 1, qty=0.01)


def level(windows: list[np.ndarray]) -> dict[str, float]:
    return {"level": 1.0}


@pytest.mark.parametrize(("n_legs", "golden"), [(3, GOLDEN_3), (6, GOLDEN_6)])
def test_ties(n_legs: int, golden: list[tuple[int, int]], tmp_path: Path) -> None:
    """Three legs (merged by a scan) and six (by the tree): the golden order is seen; the operator is last."""
    chosen, strategy = tapes(n_legs), asks(n_legs)
    fit = Fit(estimator=level, first_ns=START + ASK_NS, every_ns=10**12, latency_ns=200 * US)
    words = operator((TIE_NS, OP_HALT), (TIE_NS, OP_RESUME), (TIE_NS, OP_HALT))
    run = replay(strategy, chosen, latency=LATENCY, fits=[fit], operator=words, out=tmp_path)
    seen = [(kind, leg) for at, kind, leg in kit.log_of(run.engine, 0) if at == TIE_NS]
    assert seen == golden
    here = run.events[run.events["receive_ns"] == START + TIE_NS]
    assert here["kind"].tolist() == [ACK, ACK, TIMER, MODEL, MODEL, OPERATOR, OPERATOR, OPERATOR]
    assert here["leg"][:2].tolist() == [0, 1], (
        "asked for on leg 1 first: the leg decides, not the order of asking"
    )
    assert of_kind(here, OPERATOR)["key"].tolist() == [OP_HALT, OP_RESUME, OP_HALT], "as given"
    assert [(a, b) for _, a, b in kit.halts(run.rows)] == [
        (ACTIVE, HALTED),
        (HALTED, ACTIVE),
        (ACTIVE, HALTED),
    ]
    again = rerun(tmp_path, tapes=chosen, strategies=[strategy])
    assert again.equal, str(again)


def test_ties_on_paper(tmp_path: Path) -> None:
    """The live driver folds the same ties in the same order (it knows no models and no operator file)."""
    chosen, strategy = tapes(3), asks(3)
    live = paper(strategy, chosen, latency=LATENCY, speed=0, out=tmp_path, durability="async")
    seen = [(kind, leg) for at, kind, leg in kit.log_of(live.engine, 0) if at == TIE_NS]
    assert seen == [pair for pair in GOLDEN_3 if pair[0] != MODEL]
    run = replay(strategy, chosen, latency=LATENCY)
    assert run.events.tobytes() == live.events.tobytes()
    assert run.engine.arena.snapshot() == live.engine.arena.snapshot()
    assert rerun(tmp_path, tapes=chosen, strategies=[strategy]).equal
