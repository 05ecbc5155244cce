"""Figures stated for the real captures, recomputed from the raw files."""

from __future__ import annotations

import gzip
import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from oneprice.market.align import as_of, crossing
from oneprice.market.clock import correct_clocks, estimate_clocks
from oneprice.market.quality import quality
from oneprice.market.tape import Tape
from oneprice.study.anchors_market import (
    FX_TICKS,
    Anchor,
    basis_anchors,
    basis_bp,
    binance_tapes,
    book_against_ticker,
    fx_aligned,
    fx_anchors,
)

pytestmark = pytest.mark.data


@lru_cache(maxsize=1)
def tapes(data: Path) -> dict[str, Tape]:
    return binance_tapes(data)


@lru_cache(maxsize=1)
def fx(data: Path) -> tuple[Tape, Tape]:
    from oneprice.core.instruments import Fees
    from oneprice.market.importers.fx import import_fx

    fees = Fees(maker_bp=0, taker_bp=0)
    one, other = (import_fx(data / FX_TICKS, v, fees=fees, assumed_depth_lots=1) for v in ("fxcm", "oanda"))
    return one, other


def test_every_row_of_the_captures_arrives(data_dir: Path) -> None:
    """Rows by kind equal the counts of the raw lines; no gap, no crossed book; 28,040 tops estimated."""
    found = {k: quality(t) for k, t in tapes(data_dir).items()}
    spot = found["BTC spot"]
    assert (spot.kinds["top"], spot.kinds["trade"]) == (28_040, 9_757)
    assert spot.marks["estimated"] == 28_040 + 2_000  # and the snapshot's rows
    assert (found["BTC USDT perp"].kinds["top"], found["BTC USDT perp"].kinds["trade"]) == (66_089, 21_313)
    for name, q in found.items():
        assert q.marks["gap"] == q.marks["crossed"] == q.crossed == q.locked == 0, name
        assert 0.0001 < q.out_of_order_share < 0.012, name


def test_exchange_order_keeps_update_numbers_and_batches(data_dir: Path) -> None:
    """Sorted by exchange time, diffs and tops still come by rising number and no batch is torn apart."""
    from oneprice.core import records as R

    for name, tape in tapes(data_dir).items():
        assert tape.exchange_order is not None
        ev = tape.events[tape.exchange_order]
        for kind in (R.BOOK, R.TOP):
            assert (np.diff(ev["seq"][ev["kind"] == kind]) >= 0).all(), name
        inside = (ev["flag_bits"][:-1] & R.LAST) == 0
        assert (ev["seq"][1:] == ev["seq"][:-1])[inside].all(), name


def test_book_equals_ticker_wherever_numbers_coincide(data_dir: Path) -> None:
    """Best bid and ask, price and size, of the diff book equal bookTicker; no state is crossed."""
    checks = {k: book_against_ticker(t) for k, t in tapes(data_dir).items()}
    assert sum(c.compared for c in checks.values()) == 4_790
    assert all(c.compared > 500 and c.mismatches == 0 and c.crossed_states == 0 for c in checks.values())


def test_the_snapshot_trap(data_dir: Path) -> None:
    """Without the diff that came before the snapshot line spot BTC is crossed in most states."""
    from oneprice.core import records as R

    tape = tapes(data_dir)["BTC spot"]
    ev = tape.events
    held = np.flatnonzero((ev["kind"] == R.BOOK) & ((ev["flag_bits"] & R.SNAPSHOT) == 0))
    held = held[ev["seq"][held] == ev["seq"][held[0]]]
    assert (ev["receive_ns"][held] == ev["receive_ns"][held[0] - 1]).all()
    kept = ev.copy()
    kept["qty"][held] = 0
    kept["price"][held] = 1  # a level far away that is not there
    from dataclasses import replace

    assert book_against_ticker(replace(tape, events=kept)).crossed_states == 2_573


def test_receive_precedes_exchange_by_more_than_a_second(data_dir: Path) -> None:
    """The collector's clock is 1.06 to 1.28 s behind; after correction no row arrives before it could."""
    for tape in correct_clocks(list(tapes(data_dir).values())):
        lag = tape.events["receive_ns"] - tape.events["exchange_ns"]
        assert lag.min() > -1.276e9 and lag.max() < 0
        assert (lag - tape.clock_offset_ns).min() >= 1_000_000
    clocks = estimate_clocks(list(tapes(data_dir).values()))
    assert all(-1.28e9 < c.offset_ns < -1.26e9 and c.bound_ns < 10e6 for c in clocks.values())


def test_basis_to_spot(data_dir: Path) -> None:
    """Stated -3.7, -4.4, -2.1 bp are met; the fourth, -2.0, is -2.7 by each definition (decision 0006)."""
    rows = {a.id.split(".")[-1]: a for a in basis_anchors(tapes(data_dir))}
    assert [k for k, a in rows.items() if not a.passed] == []
    assert "-2.0" in rows["BTC_coin_perp"].note
    assert rows["BTC_coin_perp"].computed == pytest.approx(-2.75, abs=0.02)


def test_basis_of_the_coin_perp_by_another_way(data_dir: Path) -> None:
    """Plain Python over the raw bookTicker lines, no tape and no book: also -2.7 bp."""
    sides = []
    for name in ("spot_btcusdt", "cm_btcusd_perp"):
        rows = []
        with gzip.open(data_dir / "binance_l2" / f"{name}_20240808.gz", "rt") as lines:
            for line in lines:
                if "@bookTicker" in line:
                    at, text = line.split(" ", 1)
                    d = json.loads(text)["data"]
                    rows.append((int(at), (float(d["b"]) + float(d["a"])) / 2))
        sides.append(rows)
    (ts, spot), (tp, perp) = (np.array(x).T for x in sides)
    i = np.searchsorted(ts, tp, side="right") - 1
    basis = 1e4 * (perp[i >= 0] / spot[i[i >= 0]] - 1)
    ours = basis_bp(tapes(data_dir)["BTC spot"], tapes(data_dir)["BTC coin perp"])
    assert np.median(basis) == pytest.approx(ours, abs=0.05)


def test_spot_bid_above_perp_ask_nearly_always(data_dir: Path) -> None:
    """The naive rule fires 98 to 99.99 % of the time: that is basis, not a gap that closes."""
    found = tapes(data_dir)
    for perp in ("BTC USDT perp", "BTC coin perp", "ETH USDT perp", "ETH coin perp"):
        a = as_of([found[f"{perp[:3]} spot"], found[perp]], max_age_ns=10**9)
        share = np.average(crossing(a, 0, 1), weights=a.next_ns - a.time_ns)
        assert 0.98 < share < 1, perp


def test_fx_crosses_by_definition(data_dir: Path) -> None:
    """Shares and episodes as stated with the data; sanity of FXCM's own book removes over two thirds."""
    fxcm, oanda = fx(data_dir)
    rows: list[Anchor] = fx_anchors(fxcm, oanda)
    assert len(rows) == 10 and [a for a in rows if not a.passed] == []
    count = {
        name: sum(int(crossing(fx_aligned(fxcm, oanda, name), *way).sum()) for way in ((0, 1), (1, 0)))
        for name in ("age < 60 s", "age < 60 s, FXCM sane")
    }
    assert count["age < 60 s, FXCM sane"] < count["age < 60 s"] / 3
    q = quality(fxcm)
    assert (q.locked + q.crossed) / q.rows == pytest.approx(0.227, abs=0.0005)
