"""Queues of orders by price: sorted levels of each side (best last), each a linked list in order of joining.

`t` is the tuple (head TABLE[1], slots SLOT[n], keys int64[2^k], levels LEVEL[m], index int64[2, m, 2],
incidents INCIDENT[...]) that `table.Orders` holds. A row of `index` is (price x side, level): ascending, so the best
level of either side is its last and most changes move a few words.
"""

from __future__ import annotations

from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import NO_PRICE
from oneprice.market.orders.records import RESTING


@njit
def n_levels(t: Any, side: int) -> int:
    """How many levels a side has."""
    h = t[0][0]
    return h.n_bids if side > 0 else h.n_asks


@njit
def best_level(t: Any, side: int) -> int:
    """The best level of a side, -1 when it is empty."""
    n = n_levels(t, side)
    return t[4][0 if side > 0 else 1, n - 1, 1] if n > 0 else -1


@njit
def best_price(t: Any, side: int) -> int:
    """Best price of a side in ticks, NO_PRICE when it is empty."""
    at = best_level(t, side)
    return t[3][at].price if at >= 0 else NO_PRICE


@njit
def find_place(t: Any, side: int, price: int) -> int:
    """Row of `index` at which a price stands, or would be inserted."""
    rows = t[4][0 if side > 0 else 1]
    key = price * side
    low, high = 0, n_levels(t, side)
    while low < high:
        mid = (low + high) >> 1
        if rows[mid, 0] < key:
            low = mid + 1
        else:
            high = mid
    return low


@njit
def level_at(t: Any, side: int, price: int) -> int:
    """The level at a price, -1 when nothing rests there."""
    k = find_place(t, side, price)
    rows = t[4][0 if side > 0 else 1]
    return rows[k, 1] if k < n_levels(t, side) and rows[k, 0] == price * side else -1


@njit
def open_level(t: Any, side: int, price: int) -> int:
    """The level at a price, made if it is not there (the caller has seen to room)."""
    k = find_place(t, side, price)
    n = n_levels(t, side)
    rows = t[4][0 if side > 0 else 1]
    if k < n and rows[k, 0] == price * side:
        return rows[k, 1]
    h = t[0][0]
    at = h.free_level
    level = t[3][at]
    h.free_level = level.last_slot
    level.price = price
    level.lots = 0
    level.n_orders = 0
    level.first_slot = -1
    level.last_slot = -1
    for j in range(n, k, -1):
        rows[j, 0] = rows[j - 1, 0]
        rows[j, 1] = rows[j - 1, 1]
    rows[k, 0] = price * side
    rows[k, 1] = at
    if side > 0:
        h.n_bids += 1
    else:
        h.n_asks += 1
    return at


@njit
def close_level(t: Any, side: int, at: int) -> None:
    """Take an empty level off its side."""
    h = t[0][0]
    level = t[3][at]
    k = find_place(t, side, level.price)
    n = n_levels(t, side) - 1
    rows = t[4][0 if side > 0 else 1]
    for j in range(k, n):
        rows[j, 0] = rows[j + 1, 0]
        rows[j, 1] = rows[j + 1, 1]
    if side > 0:
        h.n_bids = n
    else:
        h.n_asks = n
    level.last_slot = h.free_level
    h.free_level = at


@njit
def join(t: Any, slot: int, front: bool) -> None:
    """An order joins the back of its queue with a new stamp; `front`: before all, with a stamp just below theirs."""
    h = t[0][0]
    o = t[1][slot]
    at = open_level(t, o.side, o.price)
    level = t[3][at]
    o.level = at
    o.state = RESTING
    if front and level.first_slot >= 0:
        first = t[1][level.first_slot]
        o.stamp = first.stamp - 1
        o.prev_slot = -1
        o.next_slot = level.first_slot
        first.prev_slot = slot
        level.first_slot = slot
    else:
        h.stamps += 2
        o.stamp = h.stamps
        o.next_slot = -1
        o.prev_slot = level.last_slot
        if level.last_slot >= 0:
            t[1][level.last_slot].next_slot = slot
        else:
            level.first_slot = slot
        level.last_slot = slot
    level.lots += o.lots
    level.n_orders += 1


@njit
def part(t: Any, slot: int) -> int:
    """An order leaves its queue; returns the lots its level has left."""
    o = t[1][slot]
    at = o.level
    level = t[3][at]
    if o.prev_slot >= 0:
        t[1][o.prev_slot].next_slot = o.next_slot
    else:
        level.first_slot = o.next_slot
    if o.next_slot >= 0:
        t[1][o.next_slot].prev_slot = o.prev_slot
    else:
        level.last_slot = o.prev_slot
    level.lots -= o.lots
    level.n_orders -= 1
    left = level.lots
    o.level = -1
    if level.n_orders == 0:
        close_level(t, o.side, at)
    return left


@njit
def crosses_book(t: Any, side: int, price: int) -> bool:
    """Whether an order at a price would trade with what rests on the other side."""
    n = n_levels(t, -side)
    return n > 0 and price * side >= t[3][best_level(t, -side)].price * side


@njit
def ahead_of(t: Any, slot: int) -> tuple[int, int]:
    """(lots, orders) that stand before an order in its queue."""
    lots, orders = 0, 0
    at = t[1][slot].prev_slot
    while at >= 0:
        lots += t[1][at].lots
        orders += 1
        at = t[1][at].prev_slot
    return lots, orders
