"""Edge and size off two ladders: equal to a plain reference and to brute force, on books and on touches
alone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oneprice.core.arena import aligned_bytes
from oneprice.core.jit import njit
from oneprice.core.records import BOOK, EVENT, NO_PRICE, VIEW
from oneprice.market.book import book_at, book_bytes, book_init_at, book_row
from oneprice.signals.cost import Costs, LegCosts, Touch, edge, mid_gap_bp, net_edge_bp, size_at_zero_edge

LOT, TICK = 0.001, 0.5
BOOK_BYTES = book_bytes(10, 4)
Ladder = list[tuple[int, int]]  # (ticks, lots), best first


@njit
def fill_book(address: int, rows: Any) -> None:
    for i in range(len(rows)):
        book_row(book_at(address), rows[i])


def make_legs(
    books: list[tuple[Ladder, Ladder]], fees_bp: tuple[float, float], deep: bool = True
) -> np.ndarray:
    """Two VIEWs over (bids, asks) each; `deep` puts a book behind each, else they know the touch only."""
    start = 1024
    room = aligned_bytes(start + 2 * (BOOK_BYTES + 64))
    legs = room[: 2 * VIEW.itemsize].view(VIEW)
    for i, (bids, asks) in enumerate(books):
        v = legs[i]
        v["tick"], v["lot_qty"], v["taker_fee_bp"] = TICK, LOT, fees_bp[i]
        v["bid_ticks"], v["bid_lots"] = bids[0] if bids else (NO_PRICE, 0)
        v["ask_ticks"], v["ask_lots"] = asks[0] if asks else (NO_PRICE, 0)
        v["bid"] = bids[0][0] * TICK if bids else math.nan
        v["ask"] = asks[0][0] * TICK if asks else math.nan
        v["mid"] = 0.5 * (v["bid"] + v["ask"])
        if deep:
            offset = start + i * ((BOOK_BYTES + 63) // 64 * 64)
            address = room.ctypes.data + offset
            book_init_at(address, 10, 4)
            rows = np.zeros(len(bids) + len(asks), EVENT)
            rows["kind"] = BOOK
            for row, (side, (ticks, lots)) in zip(
                rows, [(1, x) for x in bids] + [(-1, x) for x in asks], strict=True
            ):
                row["side"], row["price"], row["qty"] = side, ticks, lots
            fill_book(address, rows)
            v["book_rel"] = offset - i * VIEW.itemsize
    return legs


def units(ladder: Ladder) -> list[float]:
    """The price of each lot of a ladder, best first."""
    return [ticks * TICK for ticks, lots in ladder for _ in range(lots)]


def plain(
    books: list[tuple[Ladder, Ladder]], fees_bp: tuple[float, float], crossings: int, rebalance_bp: float
) -> list[float]:
    """Profit of each successive lot bought on leg 0 and sold on leg 1, per unit of underlying."""
    k = crossings / 2
    (bids0, asks0), (bids1, asks1) = books
    spread = (asks0[0][0] - bids0[0][0] + asks1[0][0] - bids1[0][0]) * TICK if bids0 and asks1 else math.nan
    leave = 0.0 if crossings == 2 else spread * (k - 1) / 2
    out = []
    for buy, sell in zip(units(asks0), units(bids1), strict=False):
        fees = k * (buy * fees_bp[0] + sell * fees_bp[1]) * 1e-4
        out.append(sell - buy - fees - rebalance_bp * 1e-4 * (buy + sell) / 2 - leave)
    return out


@st.composite
def two_books(draw: st.DrawFn) -> list[tuple[Ladder, Ladder]]:
    """Two sane books around 20,000 ticks, a few ticks apart, up to six levels a side."""
    out = []
    for _ in range(2):
        mid = draw(st.integers(19_900, 20_100))
        sides = []
        for sign in (-1, 1):
            steps = draw(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 12)), min_size=1, max_size=6))
            ticks, side = mid, []
            for step, lots in steps:
                ticks += sign * step
                side.append((ticks, lots))
            sides.append(side)
        out.append((sides[0], sides[1]))
    return out


FEE = st.floats(-0.5, 20.0)
CROSSINGS = st.sampled_from([2, 4])


DEEP_ASKS = [(19_901, 3), (19_902, 1), (19_903, 3), (19_904, 11), (19_905, 3), (19_906, 12)]
DEEP_BIDS = [(19_899, 9), (19_898, 12), (19_897, 12)]


@example([([(19_899, 1)], DEEP_ASKS), (DEEP_BIDS, [(19_901, 1)])], 0.0, 0.0, 2, 0.0, 33)  # all there is, to the lot
@settings(max_examples=150, deadline=None)
@given(two_books(), FEE, FEE, CROSSINGS, st.floats(0.0, 5.0), st.integers(1, 60))
def test_edge_is_the_sum_over_lots(
    books: list[tuple[Ladder, Ladder]], fee0: float, fee1: float, crossings: int, rebalance: float, lots: int
) -> None:
    """`net_edge_bp` is the summed profit of the lots over the mean of what they cost and bring; short depth
    is NaN.
    """
    legs = make_legs(books, (fee0, fee1))
    got = net_edge_bp(legs, 0, 1, lots * LOT, crossings, rebalance)
    each = plain(books, (fee0, fee1), crossings, rebalance)
    if len(each) < lots:
        assert math.isnan(got)
        return
    value = (sum(units(books[0][1])[:lots]) + sum(units(books[1][0])[:lots])) / 2
    assert got == pytest.approx(1e4 * math.fsum(each[:lots]) / value, abs=1e-6)


@settings(max_examples=150, deadline=None)
@given(two_books(), FEE, FEE, CROSSINGS, st.integers(1, 60))
def test_size_is_the_best_of_all_sizes(
    books: list[tuple[Ladder, Ladder]], fee0: float, fee1: float, crossings: int, cap: int
) -> None:
    """No size up to the cap earns more in total than `size_at_zero_edge`; it is never negative nor above
    the cap.
    """
    legs = make_legs(books, (fee0, fee1))
    size = size_at_zero_edge(legs, 0, 1, cap * LOT, crossings)
    assert 0.0 <= size <= cap * LOT * (1 + 1e-12)
    each = plain(books, (fee0, fee1), crossings, 0.0)[:cap]
    totals = np.concatenate([[0.0], np.cumsum(each)])
    assert totals[round(size / LOT)] == pytest.approx(totals.max(), abs=1e-7)
    assert size / LOT == pytest.approx(round(size / LOT), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(two_books(), FEE, FEE, CROSSINGS, st.floats(0.01, 5.0), st.integers(1, 20))
def test_dearer_is_never_better(
    books: list[tuple[Ladder, Ladder]], fee0: float, fee1: float, crossings: int, more: float, lots: int
) -> None:
    """A higher fee of either leg, or more rebalancing, lowers the edge and never raises the size."""
    qty = lots * LOT
    legs = make_legs(books, (fee0, fee1))
    base, size = (
        net_edge_bp(legs, 0, 1, qty, crossings, 0.0),
        size_at_zero_edge(legs, 0, 1, qty, crossings, 0.0),
    )
    for fees, rebalance in (((fee0 + more, fee1), 0.0), ((fee0, fee1 + more), 0.0), ((fee0, fee1), more)):
        legs = make_legs(books, fees)
        assert size_at_zero_edge(legs, 0, 1, qty, crossings, rebalance) <= size
        if not math.isnan(base):
            assert net_edge_bp(legs, 0, 1, qty, crossings, rebalance) < base


@settings(max_examples=60, deadline=None)
@given(two_books(), FEE, FEE, CROSSINGS)
def test_touch_alone_is_a_book_of_one_level(
    books: list[tuple[Ladder, Ladder]], fee0: float, fee1: float, crossings: int
) -> None:
    """A leg without a book has its touch, and nothing behind it."""
    one = [(b[:1], a[:1]) for b, a in books]
    deep, flat = make_legs(one, (fee0, fee1)), make_legs(one, (fee0, fee1), deep=False)
    for lots in (1, one[0][1][0][1], 13):
        a, b = (net_edge_bp(x, 0, 1, lots * LOT, crossings) for x in (deep, flat))
        assert a == b or (math.isnan(a) and math.isnan(b))
    assert size_at_zero_edge(deep, 0, 1, 1.0, crossings) == size_at_zero_edge(flat, 0, 1, 1.0, crossings)


BOOKS: list[tuple[Ladder, Ladder]] = [([(19_990, 10)], [(19_992, 10)]), ([(20_020, 20)], [(20_022, 20)])]


def test_missing_side_and_bad_quantity_never_fire() -> None:
    """An empty side, a quantity of 0, NaN or below give NaN and size 0: every comparison with them is
    false.
    """
    for empty in range(4):
        books = [list(map(list, b)) for b in BOOKS]
        books[empty // 2][empty % 2] = []
        legs = make_legs([(b[0], b[1]) for b in books], (1.0, 1.0))
        assert math.isnan(net_edge_bp(legs, 0, 1, 0.001))
        assert size_at_zero_edge(legs, 0, 1, 1.0) == 0.0
    legs = make_legs(BOOKS, (1.0, 1.0))
    for qty in (0.0, -1.0, math.nan):
        assert math.isnan(net_edge_bp(legs, 0, 1, qty))
        assert size_at_zero_edge(legs, 0, 1, qty) == 0.0


def test_the_other_direction_loses() -> None:
    """Buying the dear leg and selling the cheap one is the gap with the sign turned, and costs besides."""
    legs = make_legs(BOOKS, (1.0, 1.0))
    assert net_edge_bp(legs, 0, 1, 0.005) > 0 > net_edge_bp(legs, 1, 0, 0.005)
    assert mid_gap_bp(legs, 0, 1) == -mid_gap_bp(legs, 1, 0) == pytest.approx(1e4 * 15.0 / 10_003.0)


@pytest.mark.parametrize("exit_", ["converge", "inventory"])
def test_kernel_agrees_with_the_research_form(exit_: str) -> None:
    """`edge` with touches, fees and the half spreads of these books gives what `net_edge_bp` reads off
    them.
    """
    legs = make_legs(BOOKS, (1.5, 0.7))
    buy, sell = 19_992 * TICK, 20_020 * TICK
    costs = Costs(
        buy=LegCosts(fee_bp=1.5, half_spread_bp=1e4 * TICK / buy),
        sell=LegCosts(fee_bp=0.7, half_spread_bp=1e4 * TICK / sell),
        transfer_bp=0.9,
        trades_per_transfer=3.0,
    )
    want = edge(Touch(buy), Touch(sell), costs=costs, exit=exit_, sigma_bp=0.0).expected_bp
    crossings, share = (4, 0.0) if exit_ == "converge" else (2, 0.3)
    assert net_edge_bp(legs, 0, 1, 0.005, crossings, share) == pytest.approx(want, abs=1e-9)


@njit
def compiled_call(legs: Any) -> float:
    return net_edge_bp(legs, 0, 1, 0.005, exit_crossings=2) + size_at_zero_edge(legs, 0, 1, 1.0)


def test_same_from_compiled_and_plain_callers() -> None:
    """A compiled strategy and an uncompiled one read the same numbers."""
    legs = make_legs(BOOKS, (1.0, 1.0))
    assert compiled_call(legs) == net_edge_bp(legs, 0, 1, 0.005, exit_crossings=2) + size_at_zero_edge(
        legs, 0, 1, 1.0
    )
