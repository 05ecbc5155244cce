"""Orders that cross the book when they come, and the ghosts they cross.

A venue that publishes an order before matching it shows a crossed book for the time between. The newcomer waits
outside; its trades clear the way, or nothing is heard of it for `hold_ns`: then what it crosses is not really there
(its end was lost) and the older side of the cross is dropped, which is the newcomer itself if a younger order
rests against it.
"""

from __future__ import annotations

from typing import Any

from oneprice.core.jit import njit
from oneprice.market.orders.queues import best_level, crosses_book, join, part
from oneprice.market.orders.records import HELD, MAX_HELD, T_GHOST, T_HELD
from oneprice.market.orders.rows import book_row_of, listed, trouble
from oneprice.market.orders.table import drop_slot


@njit
def hold(t: Any, out: Any, m: Any, slot: int) -> bool:
    """Hold an order that crosses; False if it may join its queue."""
    h = t[0][0]
    o = t[1][slot]
    if h.hold_ns < 0 or not crosses_book(t, o.side, o.price):
        return False
    if h.n_held == MAX_HELD:
        resolve(t, out, m, h.held_slots[0])
    o.state = HELD
    o.since_ns = m.receive_ns
    h.held_slots[h.n_held] = slot
    h.n_held += 1
    trouble(t, m, T_HELD)
    return True


@njit
def unhold(t: Any, slot: int) -> None:
    """An order waits no longer."""
    h = t[0][0]
    k = 0
    while h.held_slots[k] != slot:
        k += 1
    h.n_held -= 1
    for j in range(k, h.n_held):
        h.held_slots[j] = h.held_slots[j + 1]


@njit
def drop_ghost(t: Any, out: Any, m: Any, slot: int) -> None:
    """An order whose end was never told leaves; listed."""
    o = t[1][slot]
    listed(t, m, T_GHOST, o.order_id, o.price, o.lots)
    if o.state == HELD:
        unhold(t, slot)
    else:
        left = part(t, slot)
        book_row_of(out, m, o, left)
    t[0][0].n_orders -= 1
    drop_slot(t, slot)


@njit
def resolve(t: Any, out: Any, m: Any, slot: int) -> None:
    """End a cross: what is older than the held order and crosses it are ghosts; or it is one itself."""
    o = t[1][slot]
    while crosses_book(t, o.side, o.price):
        other = t[3][best_level(t, -o.side)].first_slot
        if t[1][other].arrived > o.arrived:
            drop_ghost(t, out, m, slot)
            return
        drop_ghost(t, out, m, other)
    unhold(t, slot)
    join(t, slot, False)
    book_row_of(out, m, o, t[3][o.level].lots)


@njit
def release_held(t: Any, out: Any, m: Any) -> None:
    """After each message: held orders whose way is clear join, those that waited too long end their cross."""
    h = t[0][0]
    k = 0
    while k < h.n_held:
        slot = h.held_slots[k]
        o = t[1][slot]
        if not crosses_book(t, o.side, o.price) or m.receive_ns - o.since_ns > h.hold_ns:
            resolve(t, out, m, slot)
            k = 0
        else:
            k += 1
