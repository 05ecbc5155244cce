"""Books rebuilt from single orders beside what venues showed."""

from __future__ import annotations

import lzma
from dataclasses import replace
from pathlib import Path

import pytest

from oneprice.core.errors import DataError
from oneprice.core.records import BOOK, NO_PRICE, TRADE
from oneprice.market.importers.bitstamp import bitstamp_instrument, import_bitstamp
from oneprice.study.anchors_orders import LOG, bitstamp_anchors, lobster_anchors, order_anchors
from oneprice.study.queue_probes import queue_probes
from oneprice.study.verify import judge

pytestmark = pytest.mark.data


def test_every_row_passes_and_can_fail(data_dir: Path) -> None:
    """575 trades matched, the touch is the log's, LOBSTER's book is rebuilt; a wrong number is seen."""
    rows = order_anchors(data_dir)
    assert [r for r in map(judge, rows) if r.verdict != "pass"] == []
    assert len({r.id for r in rows}) == len(rows) == 8
    for row in rows:
        assert judge(replace(row, published=row.published + 2.1 * row.tolerance + 1e-9)).verdict == "fail"


def test_torn_logs_give_other_numbers(data_dir: Path, tmp_path: Path) -> None:
    """Without every 30th delete trades go unmatched and the touch is wrong: the rows are computed."""
    kept, n = [], 0
    with lzma.open(data_dir / LOG, "rt") as lines:
        for line in lines:
            n += " order_deleted " in line
            if " order_deleted " not in line or n % 30:
                kept.append(line)
    torn = tmp_path / "torn.log"
    torn.write_text("".join(kept))
    verdicts = {r.id: judge(r).verdict for r in bitstamp_anchors(torn)}
    assert verdicts["orders.bitstamp.trades"] == "pass"
    assert verdicts["orders.bitstamp.trades_mismatched"] == "fail"
    assert verdicts["orders.bitstamp.best_bid"] == "fail"
    with pytest.raises(DataError, match=r"nothing\.parquet"):
        lobster_anchors(tmp_path / "nothing.parquet")


def test_bitstamp_tape_and_its_probes(data_dir: Path) -> None:
    """The tape names each order and maker, never crosses, and fixed probes keep the order of the queue models."""
    notes: dict[str, int] = {}
    tape = import_bitstamp(data_dir / LOG, bitstamp_instrument(), notes=notes)
    ev = tape.events
    book, trades = ev[ev["kind"] == BOOK], ev[ev["kind"] == TRADE]
    assert (book["order_id"] > 0).all() and (book["count"] > 0).all()
    assert "crossed" not in notes and "ghosts" not in notes
    assert (trades["trade_id"] > 0).all() and (trades["maker_id"] > 0).all() and (trades["price"] != NO_PRICE).all()
    assert len(trades) == 466 and notes["deletes_before_adds"] == 5 and notes["executions_without_trade"] == 1
    probes = queue_probes(tape, every_s=10.0, life_s=120.0, lots=1_000_000)
    total = {name: int(one.filled.sum()) for name, one in probes.items()}
    assert total["risk_averse"] < total["prob_log"] < total["touch"]
    for name in ("prob_log", "prob_power", "fifo"):
        assert (probes["risk_averse"].filled <= probes[name].filled).all()
        assert (probes[name].filled <= probes["touch"].filled).all()
