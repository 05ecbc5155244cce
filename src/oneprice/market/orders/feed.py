"""Order messages to BOOK and TRADE rows: what each message does to the table, and the rows it leaves.

A BOOK row is a level's new total with the order that changed it (`order_id`) and its stamp (`count`); a TRADE row has
`maker_id`, and its level follows in the same batch. What a message has wrong is counted and listed, never guessed:
see TROUBLES.

A cross: on venues that publish an order before they match it, one that crosses the book when it comes is *held*
outside the book until its trades have cleared its way, it leaves, or it has not been heard of for `hold_ns`. Then the
older side of the cross is taken for ghosts (orders whose end was never told) and dropped. So the rows never cross.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from oneprice.core.errors import DataError
from oneprice.core.jit import njit
from oneprice.core.records import BOOK, CLEAR, EVENT, GAP, LAST, NO_PRICE, SNAPSHOT, STATUS, TRADE
from oneprice.market.orders.held import hold, release_held, resolve, unhold
from oneprice.market.orders.queues import best_level, join, part
from oneprice.market.orders.records import (
    ADD,
    CANCEL,
    EMPTY,
    EXECUTE,
    FILLED,
    GONE,
    HELD,
    LEFT,
    LEVEL_IS,
    MAX_GONE,
    MESSAGE,
    MODIFY,
    PRINT,
    REDUCE,
    REPLACE,
    RESTING,
    STATUS_IS,
    T_DUPLICATE,
    T_EARLY,
    T_NO_MAKER,
    T_OVER,
    T_UNKNOWN,
    T_ZERO,
)
from oneprice.market.orders.rows import book_row_of, row_of, trouble
from oneprice.market.orders.shown import agree, level_is, nameless, shrink
from oneprice.market.orders.table import Orders, drop_slot, find, grown, new_slot

ROOM = 16  # rows and slots a message may take besides ghosts


@njit
def add(t: Any, out: Any, m: Any, order_id: int, side: int) -> None:
    """A new order at the message's price with the message's lots."""
    h = t[0][0]
    if m.qty <= 0:
        trouble(t, m, T_ZERO)
        return
    slot = find(t, order_id)
    if slot >= 0:
        if t[1][slot].state == GONE:
            h.gone_slots[t[1][slot].prev_slot] = -1
            h.n_gone -= 1
            drop_slot(t, slot)
            trouble(t, m, T_EARLY)
        else:
            trouble(t, m, T_DUPLICATE)
        return
    slot = new_slot(t, order_id)
    o = t[1][slot]
    o.price = m.price
    o.lots = m.qty
    o.side = side
    o.line = m.line
    o.arrived = h.messages
    o.state = RESTING
    h.n_orders += 1
    enter(t, out, m, slot)


@njit
def enter(t: Any, out: Any, m: Any, slot: int) -> None:
    """An order joins the back of the queue at its price, or waits outside if it crosses."""
    if hold(t, out, m, slot):
        return
    join(t, slot, False)
    o = t[1][slot]
    book_row_of(out, m, o, t[3][o.level].lots)


@njit
def remember_gone(t: Any, order_id: int) -> None:
    """An id left that had not come: if it comes later, it does not enter. The last MAX_GONE are known."""
    h = t[0][0]
    at = h.gone_at
    if h.gone_slots[at] > 0:
        drop_slot(t, h.gone_slots[at] - 1)
        h.n_gone -= 1
    slot = new_slot(t, order_id)
    o = t[1][slot]
    o.state = GONE
    o.prev_slot = at
    h.gone_slots[at] = slot + 1
    h.n_gone += 1
    h.gone_at = (at + 1) % MAX_GONE


@njit
def unknown(t: Any, out: Any, m: Any) -> None:
    """A message about an id that is not in the book: its level's lots without a name, if any, else trouble."""
    slot = find(t, nameless(m.side, m.price)) if m.side != 0 and m.price != NO_PRICE else -1
    if m.kind == EXECUTE or m.kind == FILLED:
        if m.qty <= 0:
            trouble(t, m, T_ZERO)
            return
        if m.price != NO_PRICE and m.side != 0:
            trade_row(out, m, m.price, m.qty, -m.side, m.order_id)
        if slot < 0:
            trouble(t, m, T_NO_MAKER)
        elif m.kind == EXECUTE:
            shrink(t, out, m, slot, min(m.qty, t[1][slot].lots))
        return
    if slot >= 0 and (m.kind == REDUCE or m.kind == CANCEL) and m.qty > 0:
        shrink(t, out, m, slot, min(m.qty, t[1][slot].lots))
        return
    trouble(t, m, T_UNKNOWN)
    if (m.kind == CANCEL or (m.kind == LEFT and m.qty == 0)) and find(t, m.order_id) < 0:
        remember_gone(t, m.order_id)


@njit
def trade_row(out: Any, m: Any, price: int, lots: int, taker: int, maker_id: int) -> None:
    """A TRADE row with the resting order that was hit."""
    r = row_of(out, m, TRADE)
    r.price = price
    r.qty = lots
    r.side = taker
    r.trade_id = m.other
    r.maker_id = maker_id


@njit
def execute(t: Any, out: Any, m: Any, slot: int, lots: int) -> None:
    """Lots of a resting order trade at its price (or the message's); its level follows."""
    if lots <= 0:
        trouble(t, m, T_ZERO)
        return
    if t[1][slot].state == HELD:  # it rested after all: what it seemed to cross is not there
        order_id = t[1][slot].order_id
        resolve(t, out, m, slot)
        slot = find(t, order_id)
        if slot < 0:
            trouble(t, m, T_NO_MAKER)
            return
    o = t[1][slot]
    if lots > o.lots:
        trouble(t, m, T_OVER)
        lots = o.lots
    own = m.kind == LEFT or m.price == NO_PRICE
    trade_row(out, m, o.price if own else m.price, lots, -o.side, o.order_id)
    if m.kind != FILLED:
        shrink(t, out, m, slot, lots)


@njit
def modify(t: Any, out: Any, m: Any, slot: int) -> None:
    """New price and lots left: a shrinking order keeps its place, any other joins anew."""
    o = t[1][slot]
    price = m.price if m.price != NO_PRICE else o.price
    if m.qty <= 0:
        trouble(t, m, T_ZERO)
        shrink(t, out, m, slot, o.lots)
    elif price == o.price and m.qty <= o.lots:
        if m.qty < o.lots:
            shrink(t, out, m, slot, o.lots - m.qty)
    else:
        if o.state == HELD:
            unhold(t, slot)
        else:
            left = part(t, slot)
            book_row_of(out, m, o, left)
        o.price = price
        o.lots = m.qty
        enter(t, out, m, slot)


@njit
def left(t: Any, out: Any, m: Any, slot: int) -> None:
    """What is left of an order, as its venue says: what it lost was executed, unless it was held (then as a taker).

    One that shows another price was moved, and whatever it lost it lost by that (a market order's budget buys less).
    """
    o = t[1][slot]
    lost = o.lots - m.qty
    if m.qty < 0:
        trouble(t, m, T_ZERO)
    elif lost > 0 and o.state == HELD:
        shrink(t, out, m, slot, lost)
    elif m.qty > 0 and (lost < 0 or (m.price != NO_PRICE and m.price != o.price)):
        modify(t, out, m, slot)
    elif lost > 0:
        execute(t, out, m, slot, lost)


@njit
def empty(t: Any, out: Any, m: Any) -> None:
    """Every order leaves at once: one row with CLEAR, or CLEAR on the next row if nothing stood."""
    h = t[0][0]
    at = best_level(t, 1)
    side = 1
    if at < 0:
        at = best_level(t, -1)
        side = -1
    if at >= 0:
        r = row_of(out, m, BOOK)
        r.price = t[3][at].price
        r.side = side
        r.flag_bits |= CLEAR
    else:
        out[1][2] |= CLEAR
    for slot in range(len(t[1])):
        if t[1][slot].state == RESTING:
            part(t, slot)
        if t[1][slot].state != 0:
            drop_slot(t, slot)
    h.n_orders = h.n_held = h.n_gone = h.gone_at = 0
    h.gone_slots[:] = 0


@njit
def take(t: Any, out: Any, m: Any) -> None:
    """One message."""
    kind = m.kind
    if kind == ADD:
        add(t, out, m, m.order_id, m.side)
        return
    if kind == PRINT:
        if m.qty <= 0:
            trouble(t, m, T_ZERO)
        else:
            trouble(t, m, T_NO_MAKER)
            trade_row(out, m, m.price, m.qty, m.side, 0)
        return
    if kind == EMPTY:
        empty(t, out, m)
        return
    if kind == STATUS_IS:
        row_of(out, m, STATUS).value = m.qty
        return
    if kind == LEVEL_IS:
        level_is(t, out, m, m.side, m.price, m.qty)
        return
    slot = find(t, m.order_id)
    if slot < 0 or t[1][slot].state == GONE:
        unknown(t, out, m)
        if kind == REPLACE and m.side != 0:
            add(t, out, m, m.other, m.side)
    elif kind == CANCEL:
        shrink(t, out, m, slot, t[1][slot].lots)
    elif kind == REDUCE:
        if m.qty <= 0:
            trouble(t, m, T_ZERO)
        else:
            if m.qty > t[1][slot].lots:
                trouble(t, m, T_OVER)
            shrink(t, out, m, slot, min(m.qty, t[1][slot].lots))
    elif kind == MODIFY:
        modify(t, out, m, slot)
    elif kind == LEFT:
        left(t, out, m, slot)
    elif kind == REPLACE:
        side = t[1][slot].side
        shrink(t, out, m, slot, t[1][slot].lots)
        add(t, out, m, m.other, side)
    else:
        execute(t, out, m, slot, m.qty)


@njit
def feed(t: Any, messages: Any, start: int, rows: Any, cursor: Any, shown: Any, seen: Any) -> int:
    """Messages from `start` to rows, as long as there is room; returns the first message not taken.

    cursor int64[3]: rows written, first row of the open batch, flag bits owed to the next row. shown, seen: see
    `rows_of` (no rows in `shown`: nothing to hold against).
    """
    h = t[0][0]
    out = (rows, cursor)
    room = ROOM + 2 * shown.shape[2]
    k = start
    while k < len(messages):
        if len(t[1]) - h.n_used < room or len(rows) - cursor[0] < room + h.n_orders:
            break
        m = messages[k]
        h.messages += 1
        h.now_ns = m.receive_ns
        cursor[2] |= m.flag_bits & (GAP | CLEAR)
        take(t, out, m)
        if h.n_held > 0:
            release_held(t, out, m)
        if len(shown) > 0:
            agree(t, out, m, shown[k], seen)
        if m.flag_bits & LAST:
            if cursor[0] > cursor[1]:
                rows[cursor[0] - 1].flag_bits |= LAST
            cursor[1] = cursor[0]
        k += 1
    return k


def rows_of(
    orders: Orders,
    messages: np.ndarray,
    *,
    shown: np.ndarray | None = None,
    seen: np.ndarray | None = None,
) -> tuple[Orders, np.ndarray]:
    """Feed MESSAGE[n] to the table; returns the table (a larger one if it had to grow) and EVENT[k] rows.

    Order of messages is that of the source; their `receive_ns` may not fall. The rows of one call are whole batches
    if its last message has LAST.

    shown : int64[n, 2, levels, 2], what the venue shows after each message: bids then asks, best first, price in ticks
        and lots (NO_PRICE where a side has fewer). The table is then held to it: lots it does not know are learned,
        levels better than or between the shown ones are gone, those beyond stay as they were last seen.
    seen : int64[3], counts added in place before that correction, one a message and side: our touch was the shown one
        (price and lots), it had been out of sight until then, it differed.
    """
    from oneprice.market.tape import join_events

    if shown is None:
        shown = np.zeros((0, 2, 0, 2), np.int64)
    else:
        _check_shown(shown, len(messages))
    seen = np.zeros(3, np.int64) if seen is None else seen
    room = ROOM + 2 * shown.shape[2]
    rows = np.zeros(2 * len(messages) + len(orders) + 2 * room, EVENT)
    cursor = np.zeros(3, np.int64)
    at = feed(orders.t, messages, 0, rows, cursor, shown, seen)
    while at < len(messages):
        if len(orders.slots) - int(orders.head[0]["n_used"]) < room:
            orders = grown(orders)
        else:
            rows = join_events([rows, np.zeros(len(rows) + len(orders), EVENT)])
        at = feed(orders.t, messages, at, rows, cursor, shown, seen)
    return orders, join_events([rows[: int(cursor[0])]])


def _check_shown(shown: np.ndarray, n: int) -> None:
    """Refuse shown books of another shape, or whose levels are not in order, empty ones last."""
    if shown.ndim != 4 or shown.shape[:2] != (n, 2) or shown.shape[3] != 2 or shown.dtype != np.int64:
        raise DataError(f"shown: expected int64[{n}, 2, levels, 2], got {shown.dtype}{list(shown.shape)}")
    price, lots = shown[..., 0], shown[..., 1]
    there = price != NO_PRICE
    key = np.where(there, price * np.array([-1, 1])[:, None], np.iinfo(np.int64).max)  # rises from the best down
    wrong = there & (lots <= 0)
    wrong[..., 1:] |= there[..., 1:] & (key[..., 1:] <= key[..., :-1])
    if wrong.any():
        row, side, level = (int(x) for x in np.argwhere(wrong)[0])
        got = shown[row, side, level].tolist()
        raise DataError(
            f"book shown, row {row + 1}, {('bids', 'asks')[side]}, level {level + 1}: expected lots above 0 and prices"
            f" from the best down, got {got}"
        )


def snapshot_rows(orders: Orders, receive_ns: int, exchange_ns: int, flag_bits: int = 0) -> np.ndarray:
    """EVENT rows that build the book of a table: one an order in order of joining, CLEAR first and LAST last."""
    live = orders.slots[orders.slots["state"] == RESTING]
    live = live[np.argsort(live["stamp"], kind="stable")]
    rows = np.zeros(len(live), EVENT)
    if len(live) == 0:  # nobody stands: nothing to build
        return rows
    rows["receive_ns"], rows["exchange_ns"] = receive_ns, exchange_ns
    rows["kind"], rows["flag_bits"] = BOOK, SNAPSHOT | flag_bits
    for name, field in (("price", "price"), ("side", "side"), ("order_id", "order_id"), ("count", "stamp")):
        rows[name] = live[field]
    key = np.lexsort((live["stamp"], live["price"], live["side"]))
    level = live[key]
    total = np.cumsum(level["lots"])
    first = np.append(True, (level["price"][1:] != level["price"][:-1]) | (level["side"][1:] != level["side"][:-1]))
    before = np.repeat((total - level["lots"])[first], np.diff(np.append(np.flatnonzero(first), len(level))))
    rows["qty"][key] = total - before
    rows["flag_bits"][0] |= CLEAR
    rows["flag_bits"][-1] |= LAST
    return rows


def messages_of(n: int) -> np.ndarray:
    """MESSAGE[n] of zeros without prices, each its own batch."""
    out = np.zeros(n, MESSAGE)
    out["price"] = NO_PRICE
    out["flag_bits"] = LAST
    return out
