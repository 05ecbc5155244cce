"""Kernels behind the synthetic worlds: one venue's L2 feed drawn around a fair price, in exchange time.

A feed is a list of *visits*: at each visit a trade may hit the touch, the book re-centres on the venue's
fair price, and one level a side drifts back to its usual depth (refill) or loses some (cancel). All rows of
a visit share one exchange time and end with LAST. Randomness is a splitmix64 counter in the kernel's own
state, so a feed depends on its seed alone and not on a library's generator.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.jit import njit
from oneprice.core.records import BOOK, CLEAR, EVENT, LAST, SNAPSHOT, TRADE, record
from oneprice.market.tape import join_events

FEED = record(
    [
        ("rng", "u8"),
        ("n_rows", "i8"),
        ("n_visits", "i8"),
        ("trade_id", "i8"),
        ("bid_top", "i8"),  # best price of the bid window; levels lie in [bid_top - levels + 1, bid_top]
        ("ask_top", "i8"),
        ("levels", "i8"),
        ("origin", "i8"),  # price of element 0 of the depth arrays
        ("leg", "i8"),
        ("half_ticks", "f8"),  # half spread
        ("depth_lots", "f8"),  # usual lots a level
        ("trade_share", "f8"),  # share of visits that begin with a trade
    ]
)


VISIT = record(
    [
        ("at_ns", "i8"),
        ("fair_ticks", "f8"),  # the venue's own fair price
        ("depth_lots", "f8"),  # usual lots a level now
        ("cross_ticks", "i8"),  # > 0: bids stand that much above the best ask
    ]
)


@njit
def uniform(f: Any) -> float:
    """The next number in [0, 1) of the feed's splitmix64 counter."""
    f.rng += np.uint64(0x9E3779B97F4A7C15)
    z = f.rng
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return float(z >> np.uint64(11)) / 9007199254740992.0


@njit
def _depth(f: Any, lots: float) -> int:
    """A level's lots: log-uniform within a factor of three of `lots`, at least one."""
    return max(1, round(lots * math.exp((2.0 * uniform(f) - 1.0) * 1.0986)))


@njit
def _put(rows: Any, f: Any, t_ns: int, side: int, price: int, qty: int) -> None:
    row = rows[f.n_rows]
    row.exchange_ns = t_ns
    row.seq = f.n_visits
    row.price = price
    row.qty = qty
    row.leg = f.leg
    row.kind = BOOK
    row.side = side
    f.n_rows += 1


@njit
def _outside(side: int, price: int, top: int, levels: int) -> bool:
    depth = (top - price) * side
    return depth < 0 or depth >= levels


@njit
def _shift(rows: Any, f: Any, book: Any, t_ns: int, side: int, new: int, lots: float, adding: bool) -> None:
    """Half of a re-centring: rows that empty levels outside the new window, or rows that fill new ones."""
    old = f.bid_top if side == 1 else f.ask_top
    a, b = (new, old) if adding else (old, new)
    for i in range(f.levels):
        price = a - side * i
        if _outside(side, price, b, f.levels):
            qty = _depth(f, lots) if adding else 0
            if adding or book[price - f.origin] > 0:
                book[price - f.origin] = qty
                _put(rows, f, t_ns, side, price, qty)


@njit
def _trade(rows: Any, f: Any, book: Any, t_ns: int, side: int) -> None:
    """A taker of `side` hits the best filled level of the other side; the level shrinks."""
    top = f.ask_top if side == 1 else f.bid_top
    for i in range(f.levels):
        price = top + side * i
        have = book[price - f.origin]
        if have > 0:
            qty = min(have, max(1, int(-math.log(1.0 - uniform(f)) * f.depth_lots * 0.4)))
            f.trade_id += 1
            row = rows[f.n_rows]
            row.exchange_ns = t_ns
            row.seq = f.n_visits
            row.price = price
            row.qty = qty
            row.trade_id = f.trade_id
            row.leg = f.leg
            row.kind = TRADE
            row.side = side
            f.n_rows += 1
            book[price - f.origin] = have - qty
            _put(rows, f, t_ns, -side, price, have - qty)
            return


@njit
def _breathe(rows: Any, f: Any, book: Any, t_ns: int, side: int, lots: float) -> None:
    """An emptied touch refills; else one level, nearer ones more often, moves half-way to a fresh draw of
    its depth.
    """
    top = f.bid_top if side == 1 else f.ask_top
    u = uniform(f)
    price = top - side * int(u * u * f.levels)
    if book[top - f.origin] == 0:
        price = top
    have = book[price - f.origin]
    want = _depth(f, lots)
    qty = want if have == 0 else max(1, (have + want) // 2)
    if qty != have:
        book[price - f.origin] = qty
        _put(rows, f, t_ns, side, price, qty)


@njit
def visit(rows: Any, f: Any, bids: Any, asks: Any, t_ns: int, fair: float, lots: float, cross: int) -> None:
    """One visit: perhaps a trade, re-centre on `fair` (ticks), one level a side breathes.

    `cross` > 0 lifts the bids that many ticks above the venue's own best ask (a self-crossed book).
    """
    first = f.n_rows
    if cross == 0 and f.n_visits > 0 and uniform(f) < f.trade_share:
        if uniform(f) < 0.5:
            _trade(rows, f, asks, t_ns, 1)
        else:
            _trade(rows, f, bids, t_ns, -1)
    bid = math.floor(fair - f.half_ticks)
    ask = max(math.ceil(fair + f.half_ticks), bid + 1)
    if cross > 0:
        bid = ask + cross
    if f.n_visits == 0:
        f.bid_top = bid - 4 * f.levels  # nothing is held yet: every level counts as new
        f.ask_top = ask + 4 * f.levels
    for adding in (False, True):
        _shift(rows, f, bids, t_ns, 1, bid, lots, adding)
        _shift(rows, f, asks, t_ns, -1, ask, lots, adding)
    f.bid_top = bid
    f.ask_top = ask
    if f.n_visits > 0:
        _breathe(rows, f, bids, t_ns, 1, lots)
        _breathe(rows, f, asks, t_ns, -1, lots)
    else:
        rows[first].flag_bits = CLEAR
        for i in range(first, f.n_rows):
            rows[i].flag_bits |= SNAPSHOT
    if f.n_rows > first:
        rows[f.n_rows - 1].flag_bits |= LAST
    f.n_visits += 1


@njit
def _run(rows: Any, feeds: Any, bids: Any, asks: Any, plan: Any, at: int) -> int:
    """Visits from `at` until done or until the next visit might not fit; returns the next visit's index."""
    f = feeds[0]
    room = 6 * f.levels + 8
    while at < len(plan) and f.n_rows + room <= len(rows):
        v = plan[at]
        visit(rows, f, bids, asks, v.at_ns, v.fair_ticks, v.depth_lots, v.cross_ticks)
        at += 1
    return at


def feed(
    plan: np.ndarray,
    *,
    seed: int,
    leg: int = 0,
    levels: int = 10,
    half_ticks: float = 1.0,
    trade_share: float = 0.15,
    max_rows: int = 0,
) -> np.ndarray:
    """EVENT rows of one venue in exchange time; receive_ns is left 0.

    plan: VISIT (n,), ascending in time. half_ticks: half spread. trade_share: share of visits that begin with
    a trade. `max_rows` > 0: so many rows and no more, in one allocation.
    """
    fair, cross = plan["fair_ticks"], plan["cross_ticks"]
    f = np.zeros(1, FEED)
    f["rng"] = np.uint64((seed * 0x2545F4914F6CDD1D + 0x1234567) & (2**64 - 1))
    f["levels"], f["half_ticks"], f["trade_share"], f["leg"] = levels, half_ticks, trade_share, leg
    f["depth_lots"] = float(np.median(plan["depth_lots"]))
    margin = 6 * levels + int(half_ticks) + int(cross.max(initial=0)) + 4
    origin = int(np.floor(fair.min())) - margin
    f["origin"] = origin
    width = int(np.ceil(fair.max())) + margin - origin
    bids, asks = np.zeros(width, np.int64), np.zeros(width, np.int64)
    parts: list[np.ndarray] = []
    at = 0
    while at < len(plan) and not (max_rows and parts):
        rows = np.zeros(max_rows + 6 * levels + 8 if max_rows else 1 << 18, EVENT)
        f["n_rows"] = 0
        at = _run(rows, f, bids, asks, plan, at)
        parts.append(rows[: min(int(f["n_rows"][0]), max_rows or len(rows))])
    return parts[0] if len(parts) == 1 else join_events(parts)
