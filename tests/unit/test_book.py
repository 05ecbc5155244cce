"""The compiled L2 book against a dictionary, and its rules one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.core.arena import aligned_bytes
from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit
from oneprice.core.records import BAR, BOOK, CLEAR, EVENT, GAP, LEG, NO_PRICE, TOP, TRADE
from oneprice.market.book import (
    book_at,
    book_bytes,
    book_head,
    book_init_at,
    book_level,
    book_next,
    book_row,
    cost_to_take,
    crossed,
)
from oneprice.market.book_loop import book_row_inline
from oneprice.market.touch import touch_from_book, touch_from_top


@njit
def apply_rows(address: int, rows: Any, changed: Any) -> None:
    b = book_at(address)
    for i in range(len(rows)):
        changed[i] = book_row(b, rows[i])


@njit
def apply_inline(address: int, rows: Any, changed: Any) -> None:
    b = book_at(address)
    for i in range(len(rows)):
        changed[i] = book_row_inline(b, rows[i])


@njit
def level_at(address: int, side: int, ticks: int) -> int:
    return book_level(book_at(address), side, ticks)


@njit
def walk(address: int, side: int, out: Any) -> int:
    b = book_at(address)
    t = book_next(b, side, NO_PRICE)
    n = 0
    while t != NO_PRICE and n < len(out):
        out[n, 0] = t
        out[n, 1] = book_level(b, side, t)
        n += 1
        t = book_next(b, side, t)
    return n


@njit
def take(address: int, side: int, lots: int, limit: int) -> tuple[int, int, int]:
    return cost_to_take(book_at(address), side, lots, limit)


@njit
def is_crossed(address: int) -> bool:
    return crossed(book_at(address))


class Book:
    """A book in its own buffer, driven from Python; a twin folds the same rows as the loops do, to the same bytes."""

    def __init__(self, log2_width: int = 8, far_log2: int = 9) -> None:
        self.buffer, self.twin = (aligned_bytes(book_bytes(log2_width, far_log2)) for _ in range(2))
        self.address = int(self.buffer.ctypes.data)
        for buffer in (self.buffer, self.twin):
            book_init_at(int(buffer.ctypes.data), log2_width, far_log2)

    def apply(self, rows: np.ndarray) -> np.ndarray:
        changed, also = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
        apply_rows(self.address, rows, changed)
        apply_inline(int(self.twin.ctypes.data), rows, also)
        assert np.array_equal(changed, also) and np.array_equal(self.buffer, self.twin)
        return changed

    @property
    def head(self) -> Any:
        return book_head(self.buffer)[0]

    def side(self, side: int) -> list[tuple[int, int]]:
        out = np.zeros((4096, 2), np.int64)
        return [(int(t), int(q)) for t, q in out[: walk(self.address, side, out)]]


def rows_of(items: list[tuple[int, int, int]], seq: int = 1) -> np.ndarray:
    rows = np.zeros(len(items), EVENT)
    for i, (side, price, qty) in enumerate(items):
        rows[i]["kind"], rows[i]["side"], rows[i]["seq"] = BOOK, side, seq + i
        rows[i]["price"], rows[i]["qty"] = price, qty
    return rows


def top(seq: int, bid: int, bid_qty: int, ask: int, ask_qty: int) -> np.ndarray:
    row = np.zeros(1, EVENT)
    row["kind"], row["seq"] = TOP, seq
    row["bid"], row["bid_qty"], row["ask"], row["ask_qty"] = bid, bid_qty, ask, ask_qty
    return row


class Oracle:
    """The same rules over two dictionaries."""

    def __init__(self) -> None:
        self.depth: dict[int, dict[int, int]] = {1: {}, -1: {}}
        self.top: tuple[int, int, int, int] | None = None
        self.top_seq = self.diff_seq = 0

    def apply(self, row: Any) -> None:
        seq = int(row["seq"])
        if row["kind"] == TOP:
            newer = seq > self.diff_seq and (self.top is None or seq >= self.top_seq)
            if newer:
                self.top = tuple(int(row[k]) for k in ("bid", "bid_qty", "ask", "ask_qty"))  # type: ignore[assignment]
                self.top_seq = seq
            return
        if row["flag_bits"] & CLEAR:
            self.depth = {1: {}, -1: {}}
            if row["flag_bits"] & GAP:
                self.top, self.top_seq = None, 0
        side, price, qty = int(row["side"]), int(row["price"]), int(row["qty"])
        if qty > 0:
            self.depth[side][price] = qty
        else:
            self.depth[side].pop(price, None)
        self.diff_seq = seq
        if seq > self.top_seq:
            self.top = None

    def side(self, side: int) -> list[tuple[int, int]]:
        levels = sorted(self.depth[side].items(), key=lambda kv: -side * kv[0])
        if self.top is None:
            return levels
        price, qty = self.top[:2] if side > 0 else self.top[2:]
        if price == NO_PRICE:
            return []
        return [(price, qty), *[(p, q) for p, q in levels if (p < price if side > 0 else p > price)]]


def assert_same(book: Book, oracle: Oracle) -> None:
    for side in (1, -1):
        assert book.side(side) == oracle.side(side)
    bids, asks = oracle.side(1), oracle.side(-1)
    head = book.head
    assert (head["bid_ticks"], head["bid_lots"]) == (bids[0] if bids else (NO_PRICE, 0))
    assert (head["ask_ticks"], head["ask_lots"]) == (asks[0] if asks else (NO_PRICE, 0))
    assert is_crossed(book.address) == bool(bids and asks and bids[0][0] >= asks[0][0])


step = st.tuples(
    st.sampled_from([1, -1]),
    st.one_of(st.integers(-40, 40), st.integers(-700, 700)),
    st.integers(0, 3),
    st.integers(0, 30),  # 0: a TOP · 1: CLEAR · 2: CLEAR and GAP · else a diff
    st.integers(-1, 3),  # update id moves by this: TOPs and diffs overtake each other
)


@settings(max_examples=150, deadline=None)
@given(st.lists(step, max_size=120), st.integers(0, 2))
def test_book_equals_dictionary(steps: list[tuple[int, int, int, int, int]], repeat: int) -> None:
    """Levels, touch and changed flag equal a dictionary's, through TOPs, clears and re-centring."""
    book, oracle = Book(8, 10), Oracle()
    seq = 10
    for side, price, qty, what, jump in steps * (repeat + 1):
        seq = max(1, seq + jump)
        if what == 0:
            bid = price if qty else NO_PRICE
            row = top(seq, bid, qty, price + 1 + abs(side), 2)
        else:
            row = rows_of([(side, price, qty)], max(seq, oracle.diff_seq))
            row["flag_bits"] = CLEAR if what == 1 else CLEAR | GAP if what == 2 else 0
        before = oracle.side(1)[:1] + oracle.side(-1)[:1], bool(oracle.side(1)), bool(oracle.side(-1))
        oracle.apply(row[0])
        after = oracle.side(1)[:1] + oracle.side(-1)[:1], bool(oracle.side(1)), bool(oracle.side(-1))
        assert bool(book.apply(row)[0]) == (before != after)
        assert_same(book, oracle)
    assert book.head["lost"] == 0


@pytest.mark.parametrize("start", [6_000_000, 0, -5_000_000])
def test_book_follows_a_long_walk(start: int) -> None:
    """A touch that walks many windows away, prices below zero included, loses no level."""
    rng = np.random.default_rng(5)
    book, oracle = Book(8, 12), Oracle()
    mid = start
    live: list[tuple[int, int]] = []
    items = []
    for _ in range(6000):
        mid += int(rng.integers(-15, 16))
        if live and rng.random() < 0.5:
            side, price = live.pop(int(rng.integers(len(live))))
            items.append((side, price, 0))
        else:
            side = 1 if rng.random() < 0.5 else -1
            price = mid - side * int(rng.exponential(60) + 1)
            live.append((side, price))
            items.append((side, price, int(rng.integers(1, 9))))
    rows = rows_of(items)
    for i in range(0, len(rows), 500):
        book.apply(rows[i : i + 500])
        for row in rows[i : i + 500]:
            oracle.apply(row)
        assert_same(book, oracle)
    assert book.head["recentred"] > 3 and book.head["n_far_bids"] + book.head["n_far_asks"] > 0


def test_full_hash_marks_degraded_and_counts() -> None:
    """Rows that fit nowhere are counted and mark the book; a CLEAR makes it whole again."""
    book = Book(8, 3)
    book.apply(rows_of([(1, 0, 5)]))
    book.apply(rows_of([(1, -1000 * i, 1) for i in range(1, 12)], 2))
    assert book.head["degraded"] == 1 and book.head["lost"] == 4  # 8 slots, 7 usable, 11 far levels
    assert book.side(1)[0] == (0, 5)
    row = rows_of([(1, 3, 1)], 100)
    row["flag_bits"] = CLEAR
    book.apply(row)
    assert book.head["degraded"] == 0 and book.side(1) == [(3, 1)]


def test_newest_update_id_wins() -> None:
    """A TOP newer than the depth is the touch; a diff no newer cannot move it; a newer diff can."""
    book = Book()
    book.apply(rows_of([(1, 100, 5), (1, 99, 7), (-1, 102, 4)], 1))
    assert book.apply(top(10, 99, 2, 102, 4))[0]
    assert book.head["bid_ticks"] == 99 and book.side(1) == [(99, 2)]
    assert level_at(book.address, 1, 100) == 0
    stale = rows_of([(1, 101, 9)], 10)
    assert not book.apply(stale)[0] and book.head["bid_ticks"] == 99
    assert not book.apply(top(9, 98, 1, 103, 1))[0] and book.head["superseded"] == 1
    assert book.apply(rows_of([(-1, 103, 1)], 11))[0] and book.head["bid_ticks"] == 101


def test_top_at_the_same_update_id_is_compared() -> None:
    """A TOP at the depth's own update id must agree; a disagreement is counted and moves nothing."""
    book = Book()
    book.apply(rows_of([(1, 100, 5), (-1, 102, 4)], 1))
    assert not book.apply(top(2, 100, 5, 102, 4))[0] and book.head["disagree"] == 0
    assert not book.apply(top(2, 100, 6, 102, 4))[0] and book.head["disagree"] == 1


def test_cost_to_take_walks_levels() -> None:
    """Filled lots, value and worst price of a taker, with and without a limit."""
    book = Book()
    book.apply(rows_of([(-1, 10, 5), (-1, 12, 7), (-1, 900, 100), (1, 8, 3), (1, -50, 2)]))
    assert take(book.address, 1, 6, NO_PRICE) == (6, 62, 12)
    assert take(book.address, 1, 50, 12) == (12, 134, 12)
    assert take(book.address, 1, 50, 9) == (0, 0, NO_PRICE)
    assert take(book.address, 1, 20, NO_PRICE) == (20, 134 + 8 * 900, 900)
    assert take(book.address, -1, 9, NO_PRICE) == (5, 24 - 100, -50)


def test_book_sizes_are_checked() -> None:
    """A window or hash of impossible size is refused with the numbers."""
    with pytest.raises(ConfigError, match=r"2\^8 to 2\^24 ticks, got 2\^5"):
        book_bytes(5, 8)
    with pytest.raises(ConfigError, match=r"far hash"):
        book_bytes(8, 2)


@njit
def leg_row(legs: Any, rows: Any) -> bool:
    return touch_from_top(legs[0], rows[0])


@njit
def leg_book(legs: Any, address: int, rows: Any) -> bool:
    b = book_at(address)
    book_row(b, rows[0])
    return touch_from_book(legs[0], b, rows[0])


def fresh_leg() -> np.ndarray:
    legs = np.zeros(1, LEG)
    legs["bid_ticks"] = legs["ask_ticks"] = legs["mid2_ticks"] = NO_PRICE
    return legs


def test_touch_from_top_keeps_last_mid() -> None:
    """A missing side is NO_PRICE with 0 lots, the last known mid stays; trades move the last price only."""
    legs = fresh_leg()
    row = top(5, 100, 2, 103, 4)
    row["receive_ns"] = 77
    assert leg_row(legs, row) and legs["mid2_ticks"][0] == 203 and legs["quote_ns"][0] == 77
    assert leg_row(legs, top(6, NO_PRICE, 9, 104, 4))
    assert legs["bid_ticks"][0] == NO_PRICE and legs["bid_lots"][0] == 0 and legs["mid2_ticks"][0] == 203
    assert not leg_row(legs, top(4, 1, 1, 2, 1)) and legs["ask_ticks"][0] == 104
    trade = np.zeros(1, EVENT)
    trade["kind"], trade["price"], trade["seq"], trade["flag_bits"] = TRADE, 99, 1, GAP
    assert not leg_row(legs, trade)
    assert legs["last_ticks"][0] == 99 and legs["mark_bits"][0] == GAP and legs["n_updates"][0] == 4


def test_bar_stands_in_for_a_touch() -> None:
    """A bar's close is both sides until a real touch was seen."""
    legs = fresh_leg()
    legs["assumed_depth_lots"] = 50
    bar = np.zeros(1, EVENT)
    bar["kind"], bar["close"] = BAR, 40
    assert leg_row(legs, bar)
    assert legs["bid_ticks"][0] == legs["ask_ticks"][0] == 40
    assert legs["ask_lots"][0] == 50 and legs["mid2_ticks"][0] == 80
    assert leg_row(legs, top(1, 41, 0, 43, 7)) and legs["bid_lots"][0] == 50 and legs["ask_lots"][0] == 7
    bar["close"] = 60
    assert not leg_row(legs, bar) and legs["bid_ticks"][0] == 41 and legs["last_ticks"][0] == 60


def test_touch_from_book_copies() -> None:
    """A leg with depth shows its book's touch."""
    legs, book = fresh_leg(), Book()
    assert leg_book(legs, book.address, rows_of([(1, 10, 3)]))
    assert leg_book(legs, book.address, rows_of([(-1, 13, 4)]))
    assert (legs["bid_ticks"][0], legs["ask_lots"][0], legs["mid2_ticks"][0]) == (10, 4, 23)
