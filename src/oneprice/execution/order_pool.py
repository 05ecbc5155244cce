"""Making orders and asking for actions on them: slots, client ids, marks of the decision, requests to the
gate.

The client id holds the session epoch (20 bits), the strategy (6) and a counter (37) whose low bits are the
order's slot, so an answer finds its order without a search.
"""

from __future__ import annotations

from typing import Any

from oneprice.core.arena import emit, leg_of
from oneprice.core.jit import njit
from oneprice.core.records import AMEND, BUY, CANCEL, N_ORDERS, NO_PRICE, POST_ONLY, R_POOL_FULL, REFUSED
from oneprice.execution.blotter import FREE, PARTIAL, PLANNED, UNKNOWN, WORKING
from oneprice.execution.residual import holder_of

MAX_COUNTER = 1 << 37


@njit
def is_live(o: Any) -> bool:
    """Something of the order may still fill, as far as we know."""
    return o.state >= PLANNED and o.state <= UNKNOWN


@njit
def order_of(s: Any, client_id: int) -> int:
    """Slot of the order with this client id, or -1."""
    if client_id <= 0:
        return -1
    i = client_id & (N_ORDERS - 1)
    return i if s.blotter.orders[i].client_id == client_id else -1


@njit
def strategy_of(s: Any, ev: Any) -> int:
    """Whose fill it is: its order's strategy, else the id's, else who holds the leg hedged the other way,
    else 0."""
    i = order_of(s, ev.client_id)
    if i >= 0:
        return s.blotter.orders[i].strategy
    if ev.client_id > 0:
        k = (ev.client_id >> 37) & 63
        if k < s.n_strategies:
            return k
    k = holder_of(s, ev.leg, -ev.side)
    return k if k >= 0 else 0


# ---------------------------------------------------------------- making and asking


@njit
def new_order(s: Any, strategy: int, leg: int, side: int, price: int, lots: int, tif: int, key: int) -> int:
    """A planned order with a client id, or -1 when the pool is full (a REFUSED row says so).

    The caller sets role, package and desire, then calls `request`.
    """
    b = s.blotter
    slot = b.order_ring[b.order_head]
    counter = (s.next_counter + N_ORDERS - 1 - slot) // N_ORDERS * N_ORDERS + slot
    if counter == 0:
        counter = N_ORDERS
    if b.order_free == 0 or counter >= MAX_COUNTER:
        refuse(s, strategy, leg, side, (price, lots), key, R_POOL_FULL)
        return -1
    b.order_head = (b.order_head + 1) % N_ORDERS
    b.order_free -= 1
    b.n_open_orders += 1
    b.live_bits[slot >> 6] |= 1 << (slot & 63)
    s.next_counter = counter + 1
    o = b.orders[slot]
    o.client_id = (s.epoch << 43) | (strategy << 37) | counter
    o.price = price
    o.lots = lots
    o.filled = 0
    o.open_lots = 0
    o.key = key
    o.sent_ns = 0
    o.ack_ns = 0
    o.done_ns = 0
    o.new_price = price
    o.new_lots = lots
    o.package_id = -1
    o.mate_num = 1
    o.mate_den = 1
    o.leg = leg
    o.strategy = strategy
    o.package = -1
    o.package_leg = -1
    o.mate = -1
    o.desire = -1
    o.side = side
    o.state = PLANNED
    o.prior = FREE
    o.tif = tif
    o.role = 0
    o.acked = 0
    o.cancel_sent = 0
    o.requested = 0
    o.keep_queue = 0
    o.cancel_rejects = 0
    o.reason = 0
    _decision(leg_of(s, leg), o)
    return slot


@njit
def _decision(leg: Any, o: Any) -> None:
    """Marks of the decision: doubled mid, and the touch it takes (or joins, when post-only)."""
    near = leg.bid_ticks if o.side == BUY else leg.ask_ticks
    far = leg.ask_ticks if o.side == BUY else leg.bid_ticks
    touch = near if o.tif & POST_ONLY else far
    o.decision_touch = touch if touch != NO_PRICE else o.price
    both = leg.bid_ticks != NO_PRICE and leg.ask_ticks != NO_PRICE
    o.decision_mid2 = leg.bid_ticks + leg.ask_ticks if both else 2 * o.decision_touch


@njit
def refuse(s: Any, strategy: int, leg: int, side: int, what: Any, key: int, reason: int) -> None:
    """A REFUSED row of something that never became an order; `what` is (price ticks, lots)."""
    row = emit(s, REFUSED)
    row.price = what[0]
    row.qty = what[1]
    row.limit = key
    row.leg = leg
    row.side = side
    row.strategy = strategy
    row.code = reason


@njit
def request(s: Any, i: int, action: int) -> bool:
    """Ask the gate for an action on order i; False if one is already asked for or the list is full."""
    b = s.blotter
    o = b.orders[i]
    if o.requested != 0 or b.n_requests >= N_ORDERS:
        return False
    o.requested = 1
    r = b.requests[b.n_requests]
    r.order = i
    r.action = action
    b.n_requests += 1
    return True


@njit
def request_cancel(s: Any, i: int) -> bool:
    """Ask to cancel a live order that is sent and not already being cancelled."""
    o = s.blotter.orders[i]
    if not is_live(o) or o.state == PLANNED or o.cancel_sent != 0:
        return False
    return request(s, i, CANCEL)


@njit
def request_amend(s: Any, i: int, price: int, lots: int) -> bool:
    """Ask to change price and total lots; the queue place is kept if the price stays and the lots do not
    grow."""
    o = s.blotter.orders[i]
    if o.state != WORKING and o.state != PARTIAL:
        return False
    if not request(s, i, AMEND):
        return False
    o.new_price = price
    o.new_lots = lots
    o.keep_queue = 1 if price == o.price and lots <= o.lots else 0
    return True
