"""A queue read from sizes: who stands where in a level, guessed from depth alone by the sizes that come and go.

Depth names no orders, but a level that grows by 300 has a new order of 300 at its back, and one that shrinks by 300
without a trade has lost an order of 300, if one is known. So the queue is kept as two lists of sizes, before and behind
us: growth joins behind, trades eat from the front, a cancel takes an order of its size. Where several orders fit, on
either side, one is drawn, each alike; where none does (a part of an order), the side is drawn by its share of the level
and its youngest order shrinks. The list before us is built the same way from the rows before we joined.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from oneprice.core.jit import njit
from oneprice.core.records import BOOK, CLEAR, TRADE

MOST = 512  # orders of a level that are told apart; more are one
LOOK_BACK = 50_000  # rows before we joined


@njit
def uniform(state: Any) -> float:
    """The next number in [0, 1) of a seeded stream; `state` uint64[1]."""
    state[0] = state[0] * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
    return float(state[0] >> np.uint64(11)) / 9007199254740992.0


@njit
def push(sizes: Any, n: int, lots: int) -> int:
    """An order joins the back; returns how many there are."""
    if n == len(sizes):
        sizes[n - 1] += lots
        return n
    sizes[n] = lots
    return n + 1


@njit
def drop(sizes: Any, n: int, at: int) -> int:
    """The order at a place leaves."""
    for j in range(at, n - 1):
        sizes[j] = sizes[j + 1]
    return n - 1


@njit
def eat(sizes: Any, n: int, lots: int) -> int:
    """A trade takes from the front."""
    while n > 0 and lots > 0:
        taken = min(lots, sizes[0])
        sizes[0] -= taken
        lots -= taken
        if sizes[0] > 0:
            break
        n = drop(sizes, n, 0)
    return n


@njit
def shrink(sizes: Any, n: int, lots: int) -> int:
    """Parts of orders leave, the youngest first."""
    while n > 0 and lots > 0:
        taken = min(lots, sizes[n - 1])
        sizes[n - 1] -= taken
        lots -= taken
        n -= 1 if sizes[n - 1] == 0 else 0
    return n


@njit
def fits(sizes: Any, n: int, lots: int) -> int:
    """How many orders have exactly this size."""
    count = 0
    for j in range(n):
        count += 1 if sizes[j] == lots else 0
    return count


@njit
def take_fit(sizes: Any, n: int, lots: int, which: int) -> int:
    """The which-th order of this size leaves."""
    for j in range(n):
        if sizes[j] == lots:
            if which == 0:
                return drop(sizes, n, j)
            which -= 1
    return n


@njit
def cancel(front: Any, n_front: int, back: Any, n_back: int, lots: int, before: int, state: Any) -> Any:
    """(orders before us, behind us, lots before us) after `lots` left the level without a trade."""
    a, b = fits(front, n_front, lots), fits(back, n_back, lots)
    if a + b > 0:
        k = int(uniform(state) * (a + b))
        if k < a:
            return take_fit(front, n_front, lots, k), n_back, before - lots
        return n_front, take_fit(back, n_back, lots, k - a), before
    behind = back[:n_back].sum()
    if before + behind <= 0:
        return n_front, n_back, before
    from_front = uniform(state) * (before + behind) < before
    if (from_front and before >= lots) or behind < lots:
        part = min(lots, before)
        return shrink(front, n_front, part), shrink(back, n_back, lots - part), before - part
    return n_front, shrink(back, n_back, lots), before


@njit
def rows_of_level(ev: Any, probe: Any, stop_row: int, out: Any) -> Any:
    """(rows, rows before the probe's, rows before its stop): what matters to one probe, copied to `out` EVENT[n].

    The rows of its level and the trades against it at its price or beyond, from where the level was last empty (at
    most LOOK_BACK rows before it joined) to `stop_row`. Each of many draws then reads these few and not all.
    """
    price, side = probe.price, probe.side
    start = probe.row
    while start > 0 and probe.row - start < LOOK_BACK:
        e = ev[start - 1]
        if e.kind == BOOK and e.price == price and e.side == side:
            if e.qty == 0 or (e.flag_bits & CLEAR) != 0:
                break
        start -= 1
    n, before, inside = 0, 0, 0
    for i in range(start, stop_row):
        e = ev[i]
        if e.kind == TRADE:
            near = e.side != side and (e.price <= price if side > 0 else e.price >= price)
        else:
            near = e.kind == BOOK and e.side == side and e.price == price
        if near:
            out[n] = e
            n += 1
            before += 1 if i < probe.row else 0
            inside += 1 if i < probe.stop_row else 0
    return n, before, inside


@njit
def queue_before(ev: Any, probe: Any, state: Any, front: Any, none: Any) -> int:
    """Fill `front` with the sizes of the orders before the probe, from the rows before its own; returns how many."""
    n, shown, traded, total = 0, 0, 0, 0
    for i in range(probe.row):
        e = ev[i]
        if e.price != probe.price:
            continue
        if e.kind == TRADE and e.side != probe.side:
            traded += e.qty
        elif e.kind == BOOK and e.side == probe.side:
            gone = shown - e.qty
            if gone < 0:
                n = push(front, n, -gone)
                total -= gone
            else:
                eaten = min(traded, gone)
                n = eat(front, n, eaten)
                total -= eaten
                if gone > eaten:
                    n, _, total = cancel(front, n, none, 0, gone - eaten, total, state)
            shown, traded = e.qty, 0
    missing = probe.ahead - total
    if missing > 0:
        n = push(front, n, missing)
    return n


@njit
def path_by_size(ev: Any, probe: Any, offset_ns: int, stop_row: int, seed: int, work: Any) -> int:
    """Time of our first fill along the rows of a level, or 0, for one draw; `work` int64[3, MOST].

    `ev` and `probe.row` are those of `rows_of_level`.
    """
    state = np.full(1, np.uint64(seed) * np.uint64(2862933555777941757) + np.uint64(3037000493), np.uint64)
    front, back = work[0], work[1]
    n_front, n_back, before = queue_before(ev, probe, state, front, work[2]), 0, probe.ahead
    price, side = probe.price, probe.side
    shown, total, own, traded = probe.ahead, probe.ahead + probe.lots, probe.lots, 0
    for i in range(probe.row + 1, stop_row):
        e = ev[i]
        if e.kind == TRADE and e.side != side:
            if e.price < price if side > 0 else e.price > price:
                return e.exchange_ns + offset_ns
            if e.price == price:
                if before < e.qty:
                    return e.exchange_ns + offset_ns
                n_front = eat(front, n_front, e.qty)
                before -= e.qty
                traded += e.qty
        elif e.kind == BOOK and e.price == price and e.side == side:
            if e.count == probe.stamp:  # the hidden order's own row
                own -= total - e.qty
                traded = max(traded - (total - e.qty), 0)
                total = e.qty
                continue
            total = e.qty
            gone = shown - (total - own) - traded
            if gone > 0:
                n_front, n_back, before = cancel(front, n_front, back, n_back, gone, before, state)
            elif gone < 0:
                n_back = push(back, n_back, -gone)
            shown, traded = total - own, 0
            if before > shown:
                n_front = shrink(front, n_front, before - shown)
                before = shown
    return 0


@njit
def predict_by_size(ev: Any, probes: Any, times: Any, draws: int, out: Any) -> None:
    """out[i] = (share of draws with a fill before the order left, time of the first fill of one draw or 0)."""
    offset_ns, late_ns = times
    work, rows = np.empty((3, MOST), np.int64), np.empty(len(ev), ev.dtype)
    one = probes[:1].copy()
    for i in range(len(probes)):
        p = probes[i]
        stop = p.stop_row
        while stop < len(ev) and ev[stop].exchange_ns + offset_ns <= p.until_ns + late_ns:
            stop += 1
        n, before, inside = rows_of_level(ev, p, stop, rows)
        one[0] = p
        one[0].row = before
        out[i, 1] = path_by_size(rows, one[0], offset_ns, n, 1 + draws * i, work)
        hits = 0
        for d in range(draws):
            hits += 1 if path_by_size(rows, one[0], offset_ns, inside, 1 + d + draws * i, work) > 0 else 0
        out[i, 0] = hits / draws
