"""The table of orders: id -> price, lots, side, stamp, by open addressing; grows at import, bounded in a live session.

Ids are hashed by a multiply and found by linear probing; a removal shifts back what probed past it, so no marker is
left and a table that lives for a day is as fast as a new one. Growing copies: it happens between messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit
from oneprice.market.orders.queues import ahead_of
from oneprice.market.orders.records import (
    GONE,
    HELD,
    INCIDENT,
    LEVEL,
    MAX_GONE,
    MAX_INCIDENTS,
    SLOT,
    TABLE,
    TROUBLES,
)

_SPREAD = np.int64(-7046029254386353131)  # 2^64 / golden ratio


class Place(msgspec.Struct, frozen=True):
    """Where an order stands: prices in ticks, sizes in lots; `held`: it crosses and waits outside the book."""

    side: int
    price: int
    lots: int
    lots_ahead: int
    orders_ahead: int
    stamp: int
    held: bool


@dataclass
class Orders:
    """The arrays of one book of orders. `t` is what kernels take."""

    head: np.ndarray  # TABLE[1]
    slots: np.ndarray  # SLOT[n]
    keys: np.ndarray  # int64[2^k], slot + 1 or 0
    levels: np.ndarray  # LEVEL[m]
    index: np.ndarray  # int64[2, m, 2]
    incidents: np.ndarray  # INCIDENT[MAX_INCIDENTS]

    @property
    def t(self) -> tuple[np.ndarray, ...]:
        return self.head, self.slots, self.keys, self.levels, self.index, self.incidents

    def __len__(self) -> int:
        return int(self.head[0]["n_orders"])


def new_orders(capacity: int = 4096, *, hold_ns: int = -1) -> Orders:
    """An empty table with room for `capacity` orders.

    `hold_ns`: an order that crosses the book when it comes is held outside it; when it has not traded for that
    long, the older side of the cross is dropped. Negative: crossing orders enter as they come.
    """
    if capacity < 1:
        raise ConfigError(f"table of orders: expected room for 1 order or more, got {capacity}")
    n = capacity + MAX_GONE
    bits = max(4, int(2 * n - 1).bit_length())
    slots, levels = np.zeros(n, SLOT), np.zeros(n, LEVEL)
    slots["next_slot"] = np.append(np.arange(1, n), -1)
    levels["last_slot"] = np.append(np.arange(1, n), -1)
    head = np.zeros(1, TABLE)
    head["hold_ns"] = hold_ns
    index = np.zeros((2, n, 2), np.int64)
    return Orders(head, slots, np.zeros(1 << bits, np.int64), levels, index, np.zeros(MAX_INCIDENTS, INCIDENT))


def grown(orders: Orders) -> Orders:
    """The same table with twice the room (the old arrays are left as they are)."""
    n = len(orders.slots)
    out = new_orders(2 * n - MAX_GONE)
    out.head[:] = orders.head
    for field, free, link in (("slots", "free_slot", "next_slot"), ("levels", "free_level", "last_slot")):
        old, new = getattr(orders, field), getattr(out, field)
        new[:n] = old
        new[link][-1] = orders.head[0][free]  # behind the new free ones: the old
        out.head[0][free] = n
    out.index[:, :n] = orders.index
    out.incidents[:] = orders.incidents
    rehash(out.t)
    return out


@njit
def home_of(keys: Any, order_id: Any) -> Any:
    """Where an id is looked for first."""
    word = order_id * _SPREAD
    return (word ^ (word >> 32)) & (len(keys) - 1)


@njit
def find(t: Any, order_id: int) -> int:
    """The slot of an id, -1 when there is none."""
    slots, keys = t[1], t[2]
    mask = len(keys) - 1
    k = home_of(keys, order_id)
    while keys[k] != 0:
        if slots[keys[k] - 1].order_id == order_id:
            return keys[k] - 1
        k = (k + 1) & mask
    return -1


@njit
def enter_key(t: Any, slot: int) -> None:
    """Make a slot findable by its id."""
    keys = t[2]
    k = home_of(keys, t[1][slot].order_id)
    while keys[k] != 0:
        k = (k + 1) & (len(keys) - 1)
    keys[k] = slot + 1


@njit
def new_slot(t: Any, order_id: int) -> int:
    """A slot for a new id (the caller has seen to room)."""
    h = t[0][0]
    slot = h.free_slot
    o = t[1][slot]
    h.free_slot = o.next_slot
    h.n_used += 1
    o.order_id = order_id
    o.next_slot = -1
    o.prev_slot = -1
    o.level = -1
    o.stamp = 0
    enter_key(t, slot)
    return slot


@njit
def drop_slot(t: Any, slot: int) -> None:
    """Forget an id and free its slot; what probed past it moves back."""
    h = t[0][0]
    slots, keys = t[1], t[2]
    mask = len(keys) - 1
    k = home_of(keys, slots[slot].order_id)
    while keys[k] != slot + 1:
        k = (k + 1) & mask
    j = k
    while True:
        j = (j + 1) & mask
        if keys[j] == 0:
            break
        home = home_of(keys, slots[keys[j] - 1].order_id)
        if ((j - home) & mask) >= ((j - k) & mask):
            keys[k] = keys[j]
            k = j
    keys[k] = 0
    slots[slot].state = 0
    slots[slot].next_slot = h.free_slot
    h.free_slot = slot
    h.n_used -= 1


@njit
def rehash(t: Any) -> None:
    """Enter every used slot anew."""
    t[2][:] = 0
    for slot in range(len(t[1])):
        if t[1][slot].state != 0:
            enter_key(t, slot)


# ---------------------------------------------------------------- what research asks
def place_of(orders: Orders, order_id: int) -> Place | None:
    """Where an order stands in its queue, None when it is not in the table."""
    slot = find(orders.t, order_id)
    if slot < 0 or orders.slots[slot]["state"] == GONE:
        return None
    o = orders.slots[slot]
    held = bool(o["state"] == HELD)
    ahead = (0, 0) if held else ahead_of(orders.t, slot)
    return Place(int(o["side"]), int(o["price"]), int(o["lots"]), ahead[0], ahead[1], int(o["stamp"]), held)


def levels_of(orders: Orders, side: int, n: int | None = None) -> np.ndarray:
    """The best `n` levels of a side (all by default), best first: int64[k, 3] of price in ticks, lots, orders."""
    count = int(orders.head[0]["n_bids" if side > 0 else "n_asks"])
    picked = orders.levels[orders.index[0 if side > 0 else 1, :count, 1][::-1][:n]]
    return np.stack([picked["price"], picked["lots"], picked["n_orders"]], axis=1)


def queue_of(orders: Orders, side: int, price: int) -> list[tuple[int, int, int]]:
    """(order id, lots, stamp) of the orders at a price, first in the queue first; empty when nothing rests there."""
    out = []
    count = int(orders.head[0]["n_bids" if side > 0 else "n_asks"])
    rows = orders.index[0 if side > 0 else 1, :count]
    found = rows[rows[:, 0] == price * side, 1]
    slot = int(orders.levels[found[0]]["first_slot"]) if len(found) else -1
    while slot >= 0:
        o = orders.slots[slot]
        out.append((int(o["order_id"]), int(o["lots"]), int(o["stamp"])))
        slot = int(o["next_slot"])
    return out


def troubles_of(orders: Orders) -> dict[str, int]:
    """What was wrong with the messages so far: {name in TROUBLES: count}, those that occurred."""
    counts = orders.head[0]["troubles"]
    return {name: int(n) for name, n in zip(TROUBLES, counts, strict=True) if n}


def incidents_of(orders: Orders, name: str | None = None) -> np.ndarray:
    """INCIDENT rows (the first MAX_INCIDENTS), of one name in TROUBLES or all."""
    rows = orders.incidents[: min(int(orders.head[0]["n_incidents"]), MAX_INCIDENTS)]
    return rows if name is None else rows[rows["code"] == TROUBLES.index(name)]
