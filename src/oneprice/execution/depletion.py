"""What we took from the market stays taken: consumed lots a price level, refilled by a resilience model.

A tape never learns of our trades: without this the same displayed lots could be bought again on every row.
What we consumed of a level is subtracted from what it shows, decays with a half-life (0: never), and is
forgotten when the market itself empties the level. Half-life: Bouchaud et al., *Trades, Quotes and Prices*
(2018), ch. 7 and 19; `fit_refill` estimates it from how the displayed size comes back after trades.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from oneprice.core.arena import aligned_bytes
from oneprice.core.errors import DataError
from oneprice.core.jit import njit
from oneprice.core.records import BOOK, LAST, LEG, NO_PRICE, TOP, TRADE, record
from oneprice.market.book import book_at, book_bytes, book_init_at, book_level, book_row

N_DEPLETED = 64
DEPLETED = record([("ticks", "i8"), ("side", "i8"), ("lots", "f8"), ("at_ns", "i8")])
N_BINS = 24


@njit
def remaining(lots: float, at_ns: int, half_life_ns: float, now_ns: int) -> float:
    """Consumed lots not yet refilled."""
    if half_life_ns <= 0.0:
        return lots
    return lots * 2.0 ** (-(now_ns - at_ns) / half_life_ns)


@njit
def consumed(e: Any, side: int, ticks: int, now_ns: int) -> int:
    """Lots of a level that we took and that have not come back (rounded up: pessimistic)."""
    for i in range(e.n_depleted):
        d = e.depleted[i]
        if d.ticks == ticks and d.side == side:
            left = remaining(d.lots, d.at_ns, e.half_life_ns, now_ns)
            return math.ceil(left - 1e-9)
    return 0


@njit
def consume(e: Any, side: int, ticks: int, lots: int, now_ns: int) -> None:
    """Note that we took lots from a level. A full table gives up its smallest entry and counts it."""
    e.look = 1
    e.taken = (e.taken if e.n_depleted > 0 else 0) | (1 << (ticks & 63))
    for i in range(e.n_depleted):
        d = e.depleted[i]
        if d.ticks == ticks and d.side == side:
            d.lots = remaining(d.lots, d.at_ns, e.half_life_ns, now_ns) + lots
            d.at_ns = now_ns
            return
    k = e.n_depleted
    if k >= N_DEPLETED:
        k = 0
        for i in range(N_DEPLETED):
            if e.depleted[i].lots < e.depleted[k].lots:
                k = i
        e.depletion_lost += 1
    else:
        e.n_depleted = k + 1
    d = e.depleted[k]
    d.ticks = ticks
    d.side = side
    d.lots = lots
    d.at_ns = now_ns


@njit
def forget(e: Any, i: int) -> None:
    """Drop entry i: the market emptied its level."""
    k = e.n_depleted - 1
    e.n_depleted = k
    d, last = e.depleted[i], e.depleted[k]
    d.ticks = last.ticks
    d.side = last.side
    d.lots = last.lots
    d.at_ns = last.at_ns


# ---------------------------------------------------------------- estimating the half-life
class Refill(msgspec.Struct, frozen=True):
    """How displayed size came back: half-life (ns), trades used, mean share still missing by delay."""

    half_life_ns: int
    n_trades: int
    delay_ns: tuple[int, ...]
    missing: tuple[float, ...]


@njit
def _shown(b: Any, leg: Any, dense: int, side: int, ticks: int) -> int:
    if dense != 0:
        return book_level(b, side, ticks)
    touch = leg.bid_ticks if side > 0 else leg.ask_ticks
    if ticks != touch:
        return 0
    return leg.bid_lots if side > 0 else leg.ask_lots


@njit
def collect_refill(address: int, legs: Any, rows: Any, edges: Any, out: Any) -> int:
    """Sum the missing share of hit levels into delay bins: out[k] = (sum, n). Returns the trades used.

    One level is followed at a time: from a trade that left less than was shown, until it is emptied, hit
    again or older than the last edge.
    """
    b = book_at(address)
    leg = legs[0]
    dense = 0
    used = 0
    side = 0  # the side followed; 0: none
    ticks = before = left = t0 = 0
    for i in range(len(rows)):
        ev = rows[i]
        if ev.kind == BOOK:
            dense = 1
            book_row(b, ev)
        elif ev.kind == TOP:
            if dense != 0:
                book_row(b, ev)
            leg.bid_ticks = ev.bid
            leg.bid_lots = ev.bid_qty
            leg.ask_ticks = ev.ask
            leg.ask_lots = ev.ask_qty
        elif ev.kind == TRADE and ev.side != 0:
            shown = _shown(b, leg, dense, -ev.side, ev.price)
            if side == -ev.side and ticks == ev.price and left == 0:
                continue  # another part of the same sweep: keep what was shown before it
            side = 0
            if shown > ev.qty > 0:
                side, ticks, before, left, t0 = -ev.side, ev.price, shown, 0, ev.exchange_ns
            continue
        if side == 0 or (ev.flag_bits & LAST) == 0:
            continue
        shown = _shown(b, leg, dense, side, ticks)
        if shown == 0:
            side = 0
            continue
        if left == 0:
            if shown < before:
                left = shown
                t0 = ev.exchange_ns
                used += 1
            continue
        k = np.searchsorted(edges, ev.exchange_ns - t0)
        if k >= len(out):
            side = 0
            continue
        share = (before - shown) / (before - left)
        out[k, 0] += min(max(share, -1.0), 2.0)
        out[k, 1] += 1.0
    return used


def fit_refill(rows: np.ndarray, *, horizon_ns: int = 10_000_000_000, least_trades: int = 30) -> Refill:
    """Half-life at which displayed size comes back after trades.

    `rows`: EVENT rows of one leg in exchange order, with TRADEs and BOOK or TOP rows that carry sizes. The
    missing share `(before - shown(t)) / (before - after)` is averaged in log-spaced delay bins up to
    `horizon_ns` and fitted by least squares, weighted by counts, to `2^(-t / half_life)`. Raises DataError
    with too few usable trades.
    """
    edges = np.geomspace(1e6, horizon_ns, N_BINS).astype(np.int64)
    out = np.zeros((N_BINS, 2))
    log2_width, far_log2 = 15, 12
    buffer = aligned_bytes(book_bytes(log2_width, far_log2))
    address = int(buffer.ctypes.data)
    book_init_at(address, log2_width, far_log2)
    legs = np.zeros(1, LEG)
    legs["bid_ticks"] = legs["ask_ticks"] = NO_PRICE
    used = int(collect_refill(address, legs, rows, edges, out))
    keep = out[:, 1] > 0
    if used < least_trades or not keep.any():
        raise DataError(
            f"fit_refill: expected at least {least_trades} trades that leave part of a level, got {used}"
            f" in {len(rows)} rows; set the half-life yourself"
        )
    middle = np.sqrt(np.concatenate([[edges[0] / 4.0], edges[:-1]]) * edges)[keep]
    mean = out[keep, 0] / out[keep, 1]
    weight = out[keep, 1]
    grid = np.geomspace(1e5, 100.0 * horizon_ns, 2000)
    error = ((mean[:, None] - 2.0 ** (-middle[:, None] / grid)) ** 2 * weight[:, None]).sum(axis=0)
    half = int(grid[int(np.argmin(error))])
    return Refill(half, used, tuple(int(v) for v in middle), tuple(float(v) for v in mean))
