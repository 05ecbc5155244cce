"""The order state machine: from a request through the gate to the venue's last word.

| state | means | leaves by |
|---|---|---|
| planned | asked for, not through the gate | approved → in_flight · refused |
| in_flight | sent, no answer yet | ACK → working · FILL · REJECT · CANCELED |
| working, partial | resting | FILL · CANCELED · a request to cancel or amend |
| pending_cancel, pending_amend | asked; fills still count | FILL, CANCELED, CANCEL_REJECT, ACK, REJECT |
| ambiguous | link broken, cancels bounce: nothing is assumed | the venue's ACK, FILL, REJECT or CANCELED |
| filled, canceled, rejected, refused | done; a late fill is still booked | its slot is reused, oldest first |

Fills are counted once per (client_id, execution id); a fill of
no known order becomes a residual with a row and a wish for REDUCING, never nothing.
"""

from __future__ import annotations

from typing import Any

from oneprice.core.address import address_of, words_at
from oneprice.core.arena import emit, leg_of, position_of, view_of
from oneprice.core.jit import njit
from oneprice.core.records import (
    ACK,
    AMBIGUOUS,
    BUY,
    CANCEL,
    CANCEL_REJECT,
    CANCELED,
    COMMAND,
    EXPIRED,
    FILL,
    FINAL,
    IOC,
    LINK,
    N_ORDERS,
    NEW,
    REFUSED,
    REJECT,
)
from oneprice.execution.blotter import (
    BLOTTER,
    CANCELLED,
    FILLED,
    IN_FLIGHT,
    N_SEEN,
    P_FLAT,
    P_FREE,
    PARTIAL,
    PENDING_AMEND,
    PENDING_CANCEL,
    PLANNED,
    REJECTED,
    RES_LATE_FILL,
    ROLE_QUOTE,
    ROLE_UNWIND,
    SEEN_WAYS,
    TURNED_DOWN,
    UNKNOWN,
    WORKING,
    attend,
    attend_desire,
    backoff_ns,
    init_blotter,
)
from oneprice.execution.order_pool import is_live, order_of, strategy_of
from oneprice.execution.residual import add_residual, forced_fill

__all__ = ["BLOTTER", "init_blotter"]

CHANGED, ENDED, BAD, BOUNCED = 0, 1, 2, 3  # what `tell` tells
MAX_CANCEL_REJECTS = 3  # then nobody knows: ambiguous until the venue says


@njit
def approved(s: Any, i: int, action: int) -> None:
    """The gate let it through: the COMMAND row leaves and open lots are counted."""
    o = s.blotter.orders[i]
    o.requested = 0
    row = emit(s, COMMAND)
    row.client_id = o.client_id
    row.price = o.price
    row.qty = o.lots
    row.owner = o.package_id + 1
    row.tif = o.tif
    row.limit = o.key
    row.leg = o.leg
    row.side = o.side
    row.strategy = o.strategy
    row.code = action
    if action == NEW:
        o.state = IN_FLIGHT
        o.sent_ns = s.now_ns
        count_open(s, o, o.lots)
        if o.package >= 0:
            attend(s, s.blotter.packages[o.package])
    elif action == CANCEL:
        o.cancel_sent = 1
        if o.state != UNKNOWN:
            o.state = PENDING_CANCEL
    else:
        row.price = o.new_price
        row.qty = o.new_lots
        o.state = PENDING_AMEND
        count_open(s, o, max(o.lots, o.new_lots) - o.filled)


@njit
def refused(s: Any, i: int, action: int, reason: int) -> None:
    """The gate said no: a REFUSED row; a new order is done, its package or quote will look at it."""
    o = s.blotter.orders[i]
    o.requested = 0
    o.reason = reason
    row = emit(s, REFUSED)
    row.client_id = o.client_id
    row.price = o.price
    row.qty = o.lots
    row.owner = o.package_id + 1
    row.tif = s.gate_value
    row.limit = s.gate_limit
    row.leg = o.leg
    row.side = o.side
    row.strategy = o.strategy
    row.code = reason
    row.aux = action
    if action == NEW:
        _finish(s, i, TURNED_DOWN)
    else:
        o.new_price = o.price
        o.new_lots = o.lots
        tell(s, i, BOUNCED)


# ---------------------------------------------------------------- what the venue says


@njit
def on_response(s: Any, ev: Any) -> int:
    """Take an answer of a venue (ACK, FILL, REJECT, CANCELED, CANCEL_REJECT, LINK).

    Returns the order's slot; -1 if it concerns no order or repeats a fill; -2 - k for a fill of no known
    order, which the ledger must book to strategy k.
    """
    if ev.kind == LINK:
        _on_link(s, ev)
        return -1
    i = order_of(s, ev.client_id)
    if ev.kind == FILL:
        if seen_before(s, ev):
            s.blotter.n_duplicates += 1
            return -1
        if i < 0 or ev.qty <= 0:
            return _on_orphan(s, ev)
        _on_fill(s, i, ev)
        return i
    if i < 0:
        return -1
    o = s.blotter.orders[i]
    if not is_live(o):
        return i
    if ev.kind == ACK:
        _on_ack(s, i, ev)
    elif ev.kind == REJECT:
        if amending(o):
            _amend_failed(s, i)
        else:
            _finish(s, i, REJECTED)
    elif ev.kind == CANCELED:
        _finish(s, i, CANCELLED if o.filled < o.lots else FILLED)
    elif ev.kind == CANCEL_REJECT:
        _on_cancel_reject(s, i)
    return i


@njit
def seen_before(s: Any, ev: Any) -> bool:
    """Was this (client_id, execution id) counted lately? Remembers it. An execution id of 0 is none: never a
    repeat."""
    if ev.seq == 0:
        return False
    b = s.blotter
    sets = N_SEEN // SEEN_WAYS
    at = ((ev.seq ^ (ev.client_id * 0x9E3779B1)) & 0x7FFFFFFFFFFFFFFF) % sets
    for j in range(at * SEEN_WAYS, (at + 1) * SEEN_WAYS):
        if b.seen[j].client_id == ev.client_id and b.seen[j].exec_id == ev.seq:
            return True
    j = at * SEEN_WAYS + b.seen_at[at]
    b.seen_at[at] = (b.seen_at[at] + 1) % SEEN_WAYS
    b.seen[j].client_id = ev.client_id
    b.seen[j].exec_id = ev.seq
    return False


@njit
def amending(o: Any) -> bool:
    """An amendment is in flight; a cancel sent after it may be, too."""
    if o.acked == 0 or (o.state != PENDING_AMEND and o.state != PENDING_CANCEL):
        return False
    return o.new_price != o.price or o.new_lots != o.lots


@njit
def _on_ack(s: Any, i: int, ev: Any) -> None:
    o = s.blotter.orders[i]
    if amending(o):
        o.price = o.new_price
        o.lots = o.new_lots
        count_open(s, o, max(o.lots - o.filled, 0))
        if o.filled >= o.lots:
            _finish(s, i, FILLED)
            return
    elif o.acked == 0:
        o.ack_ns = ev.receive_ns
    if o.state == UNKNOWN and ev.qty > 0:  # the venue was asked: how it stands there is how it stands
        o.price = ev.price
        o.lots = ev.qty
        o.new_price = o.price
        o.new_lots = o.lots
        count_open(s, o, max(o.lots - o.filled, 0))
        if o.filled >= o.lots:
            _finish(s, i, FILLED)
            return
    o.acked = 1
    if o.cancel_sent != 0:
        o.state = PENDING_CANCEL
    else:
        o.state = PARTIAL if o.filled > 0 else WORKING
    tell(s, i, CHANGED)


@njit
def _on_fill(s: Any, i: int, ev: Any) -> None:
    b = s.blotter
    o = b.orders[i]
    live = is_live(o)
    o.filled += ev.qty
    if o.filled > max(o.lots, o.new_lots):
        b.n_overfills += 1
        b.want_reducing = 1
    _credit(s, o, ev)
    if not live:
        return
    total = max(o.lots, o.new_lots) if amending(o) else o.lots
    count_open(s, o, max(total - o.filled, 0))
    if o.filled >= total:
        _finish(s, i, FILLED)
    elif ev.flag_bits & FINAL:
        _finish(s, i, CANCELLED)
    else:
        o.acked = 1
        if o.state == IN_FLIGHT or o.state == WORKING:
            o.state = PARTIAL
        tell(s, i, CHANGED)


@njit
def _credit(s: Any, o: Any, ev: Any) -> None:
    """Tell the package its fill. If that package is over, the lots are residual: a late fill is never
    dropped. What fills on an expired leg is settled as it is booked: there is nothing left to hedge."""
    if o.package < 0 or leg_of(s, o.leg).trading == EXPIRED:
        return
    p = s.blotter.packages[o.package]
    if p.id == o.package_id and p.state > P_FREE and p.state < P_FLAT:
        leg = p.legs[o.package_leg]
        if o.role == ROLE_UNWIND:
            leg.filled -= ev.qty
            leg.unwound += ev.qty
        else:
            leg.filled += ev.qty
            leg.opened += ev.qty
            leg.value += ev.qty * ev.price
        leg.tries = 0
        attend(s, p)
        return
    add_residual(
        s, o.strategy, o.leg, o.side * ev.qty, (o.mate, o.mate_num, o.mate_den), o.key, RES_LATE_FILL
    )


@njit
def _on_orphan(s: Any, ev: Any) -> int:
    b = s.blotter
    if ev.qty <= 0 or ev.leg < 0 or ev.leg >= s.n_legs or ev.side == 0:
        return -1
    k = strategy_of(s, ev)
    b.n_orphans += 1
    b.want_reducing = 1
    forced_fill(s, k, ev.leg, ev.side * ev.qty)
    return -2 - k


@njit
def _on_cancel_reject(s: Any, i: int) -> None:
    """Too late to cancel: the order stands as it did; after a few of them nobody knows how it stands."""
    o = s.blotter.orders[i]
    if o.state == PENDING_AMEND:
        _amend_failed(s, i)
        return
    o.cancel_sent = 0
    o.cancel_rejects += 1
    if o.cancel_rejects >= MAX_CANCEL_REJECTS:
        o.prior = o.state
        o.state = UNKNOWN
    elif o.state == PENDING_CANCEL:
        o.state = _standing(o)
    tell(s, i, BOUNCED)


@njit
def _amend_failed(s: Any, i: int) -> None:
    o = s.blotter.orders[i]
    o.new_price = o.price
    o.new_lots = o.lots
    count_open(s, o, max(o.lots - o.filled, 0))
    if o.filled >= o.lots:
        _finish(s, i, FILLED)
        return
    o.state = PENDING_CANCEL if o.cancel_sent != 0 else _standing(o)
    tell(s, i, BOUNCED)


@njit
def _standing(o: Any) -> int:
    if o.acked == 0:
        return IN_FLIGHT
    return PARTIAL if o.filled > 0 else WORKING


@njit
def _on_link(s: Any, ev: Any) -> None:
    """The link of a leg broke: what was in flight or resting there is unknown until the venue says."""
    if ev.flag_bits & AMBIGUOUS == 0:
        return
    b = s.blotter
    if b.n_open_orders == 0:
        return
    for i in range(N_ORDERS):
        o = b.orders[i]
        if o.leg == ev.leg and o.state > PLANNED and o.state < UNKNOWN:
            o.prior = o.state
            o.state = UNKNOWN
            tell(s, i, CHANGED)


# ---------------------------------------------------------------- ends


@njit
def count_open(s: Any, o: Any, lots: int) -> None:
    """Let `lots` of the order count as open, at its leg, its strategy's position and view."""
    change = lots - o.open_lots
    if change == 0:
        return
    o.open_lots = lots
    leg = leg_of(s, o.leg)
    own = position_of(s, o.strategy * s.n_legs + o.leg)
    if o.side == BUY:
        leg.open_buy_lots += change
        own.open_buy_lots += change
    else:
        leg.open_sell_lots += change
        own.open_sell_lots += change
    subs = words_at(address_of(s) + leg.subs_off)
    for j in range(leg.n_subs):
        if subs[2 * j] == o.strategy:  # whatever calls the strategy next, it sees what it has at work
            view_of(s, o.strategy, subs[2 * j + 1]).open_lots = own.open_buy_lots - own.open_sell_lots


@njit
def _finish(s: Any, i: int, state: int) -> None:
    """The order is done: nothing of it counts as open; its slot waits behind all others that are done."""
    b = s.blotter
    o = b.orders[i]
    o.state = state
    o.done_ns = s.now_ns
    count_open(s, o, 0)
    b.n_open_orders -= 1
    b.live_bits[i >> 6] &= ~(1 << (i & 63))
    b.order_ring[(b.order_head + b.order_free) % N_ORDERS] = i
    b.order_free += 1
    tell(s, i, BAD if state in (REJECTED, TURNED_DOWN) else ENDED)


@njit
def tell(s: Any, i: int, how: int) -> None:
    """Tell the owner of order i. `how` is CHANGED, ENDED, BAD (refused, rejected) or BOUNCED (cancel,
    amendment)."""
    b = s.blotter
    o = b.orders[i]
    if o.package >= 0:
        p = b.packages[o.package]
        if p.id == o.package_id:
            _tell_package(s, i, p, how)
    elif o.desire >= 0:
        d = b.desires[o.desire]
        if d.order == i:
            _tell_desire(s, o, d, how)


@njit
def _tell_package(s: Any, i: int, p: Any, how: int) -> None:
    o = s.blotter.orders[i]
    leg = p.legs[o.package_leg]
    if how == BOUNCED:
        leg.next_try_ns = s.now_ns + backoff_ns(s, o.strategy, 1 + o.cancel_rejects)
    elif not is_live(o) and leg.order == i:
        leg.order = -1
        if o.filled == 0:
            leg.tries += 1
            if how == BAD:
                leg.rejects += 1
                p.rejects += 1
            leg.next_try_ns = s.now_ns + backoff_ns(s, o.strategy, leg.tries)
    attend(s, p)


@njit
def _tell_desire(s: Any, o: Any, d: Any, how: int) -> None:
    alone = o.state == CANCELLED and o.cancel_sent == 0 and o.tif & IOC == 0  # nobody asked for it
    if how in (BAD, BOUNCED) or alone:
        d.rejects += 1
        d.next_ns = s.now_ns + backoff_ns(s, o.strategy, d.rejects)
    elif o.acked != 0:
        d.rejects = 0
    if not is_live(o):
        d.order = -1
        if o.state == FILLED and d.kind == ROLE_QUOTE:
            d.lots = 0  # the wish is fulfilled: the strategy, called on the fill, says what rests next
    attend_desire(s, d)
