"""The book on the real Binance captures: levels as a dictionary has them, touches as bookTicker has them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oneprice.core.arena import aligned_bytes
from oneprice.core.instruments import Fees
from oneprice.core.jit import njit
from oneprice.core.records import BOOK, CLEAR, EVENT, LAST, NO_PRICE, TOP
from oneprice.market.book import book_at, book_bytes, book_head, book_init_at, book_level, book_next, book_row
from oneprice.market.importers.binance import import_binance, instrument_of_file

FAR_LOG2 = {15: 12, 10: 14}  # a narrow window needs a larger hash


@njit
def replay(address: int, rows: Any, tops: bool, crossed_out: Any) -> None:
    """Apply BOOK (and TOP) rows; counts batches that end crossed."""
    b = book_at(address)
    for i in range(len(rows)):
        ev = rows[i]
        if ev.kind == BOOK or (tops and ev.kind == TOP):
            book_row(b, ev)
            if ev.flag_bits & LAST and b.bid_ticks != NO_PRICE and b.bid_ticks >= b.ask_ticks != NO_PRICE:
                crossed_out[0] += 1


@njit
def plain_pass(rows: Any) -> int:
    total = 0
    for i in range(len(rows)):
        ev = rows[i]
        if ev.kind == BOOK:
            total += ev.price ^ ev.qty
    return total


@njit
def levels(address: int, side: int, out: Any) -> int:
    b = book_at(address)
    t = book_next(b, side, NO_PRICE)
    n = 0
    while t != NO_PRICE and n < len(out):
        out[n, 0] = t
        out[n, 1] = book_level(b, side, t)
        n += 1
        t = book_next(b, side, t)
    return n


def fresh(log2_width: int) -> np.ndarray:
    buffer = aligned_bytes(book_bytes(log2_width, FAR_LOG2[log2_width]))
    book_init_at(int(buffer.ctypes.data), log2_width, FAR_LOG2[log2_width])
    return buffer


@pytest.mark.data
@pytest.mark.parametrize("name", ["usdm_btcusdt_20240808.gz", "spot_btcusdt_20240808.gz"])
@pytest.mark.parametrize("log2_width", [15, 10])
def test_book_on_real_captures(data_dir: Path, name: str, log2_width: int) -> None:
    """Depth equals a dictionary's, no row is lost, and bookTicker agrees at equal update ids."""
    path = data_dir / "binance_l2" / name
    events = import_binance(path, instrument_of_file(path, fees=Fees(maker_bp=2, taker_bp=5))).events
    rows = np.ascontiguousarray(events).view(EVENT)
    oracle: dict[int, dict[int, int]] = {1: {}, -1: {}}
    for kind, side, price, qty, flags in zip(
        *(rows[k].tolist() for k in ("kind", "side", "price", "qty", "flag_bits")), strict=True
    ):
        if kind != BOOK:
            continue
        if flags & CLEAR:
            oracle = {1: {}, -1: {}}
        if qty > 0:
            oracle[side][price] = qty
        else:
            oracle[side].pop(price, None)
    buffer = fresh(log2_width)
    crossed = np.zeros(1, np.int64)
    address = int(buffer.ctypes.data)
    replay(address, rows[:1], False, crossed)  # compiled before the clock starts
    plain_pass(rows[:1])
    book_init_at(address, log2_width, FAR_LOG2[log2_width])
    start = time.perf_counter()
    replay(address, rows, False, crossed)
    spent = time.perf_counter() - start
    start = time.perf_counter()
    plain_pass(rows)
    bare = time.perf_counter() - start
    n = int((rows["kind"] == BOOK).sum())
    print(
        f"{name} 2^{log2_width}: {n} updates, {1e9 * spent / n:.1f} ns, {spent / bare:.1f} x a plain pass"
    )
    head = book_head(buffer)[0]
    for side in (1, -1):
        out = np.zeros((1 << 14, 2), np.int64)
        got = [(int(t), int(q)) for t, q in out[: levels(address, side, out)]]
        assert got == sorted(oracle[side].items(), key=lambda kv: -side * kv[0])
    assert head["lost"] == 0 and head["degraded"] == 0
    both = fresh(log2_width)
    crossed[0] = 0
    replay(int(both.ctypes.data), rows, True, crossed)
    head = book_head(both)[0]
    print(
        f"  older TOPs {head['superseded']}, disagreeing {head['disagree']}, crossed {crossed[0]}"
    )
    assert head["disagree"] == 0 and crossed[0] == 0
