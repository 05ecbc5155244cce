"""What a venue shows held against what its orders add up to: lots nobody named, levels out of sight.

Files that begin in the middle of a day, or hold the best few levels only, never tell of some orders. The lots of a
level that no known order explains become one order without a name, the first of its queue: it was there before.
A level that leaves the shown ones stays as it was last seen: what happens there is not told, and a book without it
would put orders that rest there at the front of an empty queue. When it is shown again its names are given up: one
nameless order holds what is shown, and the row that says so has no stamp. Levels better than the best shown, or between
two shown, are gone.
"""

from __future__ import annotations

from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import BOOK, NO_PRICE
from oneprice.market.orders.held import unhold
from oneprice.market.orders.queues import best_level, find_place, join, level_at, n_levels, part
from oneprice.market.orders.records import HELD, T_LEARNED, T_LEVEL_OVER
from oneprice.market.orders.rows import book_row_of, listed, row_of
from oneprice.market.orders.table import drop_slot, find, new_slot

_NAMELESS = -(1 << 62)
FAR_AWAY = 1 << 61  # beyond any tick


@njit
def nameless(side: int, price: int) -> int:
    """Id of the lots at a price whose orders we were never told of."""
    return _NAMELESS + 2 * price + (1 if side > 0 else 0)


@njit
def shrink(t: Any, out: Any, m: Any, slot: int, lots: int) -> None:
    """An order loses lots and keeps its place, or leaves with its last; its level follows."""
    o = t[1][slot]
    if o.state == HELD:
        o.lots -= lots
        o.since_ns = m.receive_ns
        if o.lots <= 0:
            unhold(t, slot)
            end(t, slot)
        return
    if lots >= o.lots:
        left = part(t, slot)
        book_row_of(out, m, o, left)
        end(t, slot)
        return
    level = t[3][o.level]
    o.lots -= lots
    level.lots -= lots
    book_row_of(out, m, o, level.lots)


@njit
def end(t: Any, slot: int) -> None:
    """An order's life is over."""
    t[0][0].n_orders -= 1
    drop_slot(t, slot)


@njit
def forget_level(t: Any, out: Any, m: Any, at: int) -> None:
    """Every order of a level leaves, the last first."""
    while True:
        level = t[3][at]
        slot = level.last_slot
        last = level.n_orders == 1
        o = t[1][slot]
        left = part(t, slot)
        book_row_of(out, m, o, left)
        end(t, slot)
        if last:
            return


@njit
def unnamed(t: Any, m: Any, side: int, price: int, lots: int) -> int:
    """The slot of a new order without a name, in no queue yet."""
    slot = new_slot(t, nameless(side, price))
    o = t[1][slot]
    o.price = price
    o.lots = lots
    o.side = side
    o.line = m.line
    o.arrived = t[0][0].messages
    t[0][0].n_orders += 1
    return slot


@njit
def learn(t: Any, out: Any, m: Any, side: int, price: int, lots: int) -> None:
    """Lots that no order of ours explains: one order without a name, first of its queue, or more lots of it."""
    slot = find(t, nameless(side, price))
    if slot >= 0:
        t[1][slot].lots += lots
        t[3][t[1][slot].level].lots += lots
    else:
        slot = unnamed(t, m, side, price, lots)
        join(t, slot, True)
    o = t[1][slot]
    book_row_of(out, m, o, t[3][o.level].lots)


@njit
def level_is(t: Any, out: Any, m: Any, side: int, price: int, lots: int) -> None:
    """The venue shows a level's total: what it has more is learned; of what it has less nameless lots go first.

    Where the named orders alone are too many, nobody can say which of them are left: the names are given up.
    """
    at = level_at(t, side, price)
    more = lots - (t[3][at].lots if at >= 0 else 0)
    if more > 0:
        listed(t, m, T_LEARNED, 0, price, more)
        learn(t, out, m, side, price, more)
    elif more < 0:
        slot = find(t, nameless(side, price))
        if slot >= 0 and t[1][slot].lots >= -more:
            shrink(t, out, m, slot, -more)
        else:
            listed(t, m, T_LEVEL_OVER, 0, price, -more)
            give_up_names(t, out, m, at, lots)


@njit
def give_up_names(t: Any, out: Any, m: Any, at: int, lots: int) -> None:
    """One nameless order takes the place of all at a level; one row, without a stamp, says its total."""
    level = t[3][at]
    price = level.price
    side = t[1][level.first_slot].side
    only = level.n_orders == 1 and t[1][level.first_slot].order_id < 0
    if only and level.lots == lots:
        return
    n = level.n_orders
    for _ in range(n):
        slot = t[3][at].first_slot
        part(t, slot)
        end(t, slot)
    r = row_of(out, m, BOOK)
    r.price = price
    r.qty = lots
    r.side = side
    r.order_id = nameless(side, price)
    if lots > 0:
        join(t, unnamed(t, m, side, price, lots), False)


@njit
def back_in_sight(t: Any, out: Any, m: Any, side: int, price: int, lots: int) -> None:
    """A level is shown again, or for the first time."""
    at = level_at(t, side, price)
    if at < 0:
        level_is(t, out, m, side, price, lots)
        return
    if t[3][at].lots != lots:
        listed(t, m, T_LEARNED, 0, price, lots - t[3][at].lots)
    give_up_names(t, out, m, at, lots)


@njit
def look(t: Any, s: int, shown: Any, seen: Any) -> None:
    """Count whether our touch is the shown one; see `rows_of`. What was out of sight until now is no fault of ours."""
    h = t[0][0]
    side = 1 - 2 * s
    best = best_level(t, side)
    price = shown[s, 0, 0]
    if price != NO_PRICE and price * side < h.sight[s]:
        seen[1] += 1
    elif price == NO_PRICE or best < 0:
        seen[0 if (price == NO_PRICE) == (best < 0) else 2] += 1
    else:
        same = t[3][best].price == price and t[3][best].lots == shown[s, 0, 1]
        seen[0 if same else 2] += 1


@njit
def agree(t: Any, out: Any, m: Any, shown: Any, seen: Any) -> None:
    """Hold the table to what the venue shows after a message. shown int64[2, levels, 2], seen int64[3]: see rows_of."""
    h, index = t[0][0], t[4]
    first = h.looked == 0  # then everything comes into sight, and nothing we hold is stale
    h.looked = 1
    if first:
        h.sight[0] = FAR_AWAY
        h.sight[1] = FAR_AWAY
    for s in range(2):
        side = 1 - 2 * s
        look(t, s, shown, seen)
        sight = -FAR_AWAY  # a side with an empty level ends in sight
        k = n_levels(t, side) - 1  # from the best down, beside the shown levels
        for j in range(shown.shape[1]):
            price = shown[s, j, 0]
            while k >= 0 and (price == NO_PRICE or index[s, k, 0] > price * side):
                forget_level(t, out, m, index[s, k, 1])
                k -= 1
            if price == NO_PRICE:
                break
            if price * side < h.sight[s] and not first:
                back_in_sight(t, out, m, side, price, shown[s, j, 1])
            elif k < 0 or index[s, k, 0] != price * side or t[3][index[s, k, 1]].lots != shown[s, j, 1]:
                level_is(t, out, m, side, price, shown[s, j, 1])
            k = find_place(t, side, price) - 1
            if j == shown.shape[1] - 1:
                sight = price * side
        h.sight[s] = sight
