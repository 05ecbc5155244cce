"""Order events without trades: which losses are trades, and whose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oneprice.core.instruments import Fees
from oneprice.core.records import TRADE
from oneprice.market.importers.bitstamp import bitstamp_instrument, import_bitstamp

FREE = Fees(maker_bp=0, taker_bp=0)
T0 = 1_430_438_400_000
HEAD = "id,timestamp,exchange.timestamp,price,volume,action,direction"


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("first", ["maker", "taker"])
def test_two_losses_of_one_trade_are_one_trade_in_a_csv(tmp_path: Path, first: str) -> None:
    """Without trades in the file a maker's end may be told before the taker's loss: that is no second trade.

    A taker that then rests with what is left trades again as a maker; a loss rounded by one lot is the same loss, and
    an order older than the file lost what its taker did.
    """
    told = [(11, 100, 0, "236.50", "deleted", "ask"), (14, 104, 90_000_001, "236.60", "changed", "bid")]
    rows = [
        (11, 10, 50_000_000, "236.50", "created", "ask"),
        (13, 30, 300_000_000, "236.10", "created", "bid"),
        (14, 40, 140_000_000, "236.60", "created", "bid"),
        *(told if first == "maker" else [(*two[:1], 100 + 4 * i, *two[2:]) for i, two in enumerate(reversed(told))]),
        (15, 2_300, 90_000_001, "236.60", "created", "ask"),
        (14, 2_400, 0, "236.60", "deleted", "bid"),
        (15, 2_401, 0, "236.60", "deleted", "ask"),
        (16, 5_000, 70_000_000, "236.05", "created", "ask"),
        (2, 5_100, 0, "236.20", "deleted", "bid"),
        (16, 5_101, 0, "236.05", "deleted", "ask"),
    ]
    text = [HEAD, *(f"{i},{T0 + ms},{T0 + ms},{price},{lots},{what},{side}" for i, ms, lots, price, what, side in rows)]
    notes: dict[str, int] = {}
    path = write(tmp_path / "orders.csv", text)
    ev = import_bitstamp(path, bitstamp_instrument(FREE), warmup_s=0, notes=notes).events
    got = [(int(e["maker_id"]), int(e["price"]), int(e["qty"]), int(e["side"])) for e in ev[ev["kind"] == TRADE]]
    assert got == [(11, 23650, 50_000_000, 1), (14, 23660, 90_000_001, -1), (2, 23620, 70_000_000, -1)]
    assert notes["losses_paired"] == 2 and notes["maker_before_the_log"] == 1


@pytest.mark.data
def test_the_csv_of_the_bitstamp_day_has_the_trades_of_its_log(data_dir: Path) -> None:
    """466 trades each, the same makers, prices and takers' sides, lots up to a rounding of the file, but for one: the
    log deletes an order before it trades, and without the trade the wrong one of the two is taken for its maker."""
    told = []
    for name in ("2015-05-01.log.xz", "orders.csv.xz"):
        ev = np.asarray(import_bitstamp(data_dir / "bitstamp_l3" / name, bitstamp_instrument(FREE)).events)
        trades = ev[ev["kind"] == TRADE]
        told.append({(int(t["maker_id"]), int(t["price"]), round(int(t["qty"]) / 10), int(t["side"])) for t in trades})
        assert len(trades) == 466
    assert len(told[0] - told[1]) <= 6
    makers = [{one[:2] for one in some} for some in told]
    assert makers[0] - makers[1] == {(65610658, 23635)} and makers[1] - makers[0] == {(65610664, 23899)}
