"""How the simulated venue matches one leg: the rules of a fill, pessimistic by default.

- A taker (IOC, or a limit that crosses) walks the depth shown at its arrival, less what we consumed of it
  before.
- A resting order fills from trades through its price, from trades at its price once the queue ahead is gone,
  and from an opposite touch that reaches its price; never more than the trade or the depth that reached it.
- A command is judged when it arrives, after the venue's own rows of the same nanosecond: a cancel that
  arrives after the fill is refused.
"""

from __future__ import annotations

from typing import Any

from oneprice.core.address import address_of, record_at
from oneprice.core.costs import fill_fee
from oneprice.core.jit import njit
from oneprice.core.money import exposure
from oneprice.core.records import (
    ACK,
    AMEND,
    CANCEL,
    CANCEL_REJECT,
    CANCELED,
    FILL,
    FINAL,
    INVERSE,
    IOC,
    NO_PRICE,
    NO_SHORT,
    OPEN,
    POST_ONLY,
    REJECT,
)
from oneprice.execution.depletion import consume, consumed, forget
from oneprice.execution.queue import queue_join, queue_level, queue_trade
from oneprice.execution.venue_state import (
    EXECUTION,
    INF,
    MAKER,
    N_EXECUTIONS,
    N_RESTING,
    V_CANCELED,
    V_FILLED,
    V_REJECTED,
    V_WORKING,
    X_CLIENT,
    X_CLOSED,
    X_DUPLICATE,
    X_FILLED,
    X_IOC,
    X_NONE,
    X_NOTIONAL,
    X_POOL,
    X_POST_ONLY,
    X_PRICE,
    X_SIZE,
    X_UNKNOWN,
    answer,
    exleg_of,
    known_of,
    next_shown,
    shown_lots,
)

_execution_at, _EXECUTION_BYTES = record_at(EXECUTION), EXECUTION.itemsize


@njit
def find_rank(e: Any, client_id: int) -> int:
    """Place of a resting order in the ranking, or -1."""
    for k in range(e.n_resting):
        if e.orders[e.rank[k]].client_id == client_id:
            return k
    return -1


@njit
def remember(x: Any, i: int, o: Any, state: int, reason: int) -> None:
    """Keep what the venue knows of a client id for queries after it has left the book."""
    k = known_of(x, o.client_id)
    k.client_id = o.client_id
    k.price = o.price
    k.lots = o.lots
    k.filled = o.filled
    k.leg = i
    k.side = o.side
    k.state = state
    k.reason = reason


@njit
def say(x: Any, i: int, kind: int, o: Any, at_ns: int, reason: int) -> None:
    """An ACK (total lots), REJECT or CANCELED (lots not filled) about an order."""
    ev = answer(x, i, kind, o.client_id, at_ns, kind == CANCELED)
    ev.side = o.side
    ev.price = o.price
    ev.qty = o.lots if kind == ACK else o.lots - o.filled
    ev.reason = reason


@njit
def refuse_cancel(x: Any, i: int, client_id: int, at_ns: int, reason: int) -> None:
    """The order named is not working, or the change asked for cannot be; nothing changed."""
    ev = answer(x, i, CANCEL_REJECT, client_id, at_ns, True)
    ev.reason = reason


@njit
def fill(x: Any, i: int, o: Any, lots: int, ticks: int, maker: bool, at_ns: int) -> None:
    """Book a fill of an order at the venue and send it."""
    e = exleg_of(x, i)
    fee, tax = fill_fee(e.leg, o.side, lots, ticks, maker)
    o.filled += lots
    e.n_executions += 1
    e.net_lots += o.side * lots
    if o.side > 0:
        e.bought_lots += lots
    else:
        e.sold_lots += lots
    e.fees += fee
    e.taxes += tax
    ev = answer(x, i, FILL, o.client_id, at_ns, False)
    ev.side = o.side
    ev.price = ticks
    ev.qty = lots
    ev.fee = fee
    ev.flag_bits = (MAKER if maker else 0) | (FINAL if o.filled == o.lots else 0)
    r = _execution_at(address_of(x) + x.executions_off + (x.n_executions & (N_EXECUTIONS - 1)) * _EXECUTION_BYTES)
    x.n_executions += 1
    r.exec_id = ev.seq
    r.client_id = o.client_id
    r.venue_ns = ev.exchange_ns
    r.price = ticks
    r.lots = lots
    r.fee = fee
    r.tax = tax
    r.leg = i
    r.side = o.side
    r.maker = 1 if maker else 0
    if o.filled == o.lots:
        remember(x, i, o, V_FILLED, X_NONE)


@njit
def sweep(x: Any, i: int, o: Any, maker: bool, at_ns: int) -> None:
    """Fill an order from the opposite depth up to its price, less what was consumed, and consume it.

    As a taker each level gives its own price; as a maker (the market came to us) the price is the order's.
    """
    e = exleg_of(x, i)
    ticks = next_shown(x, e, -o.side, NO_PRICE)
    while ticks != NO_PRICE and o.filled < o.lots:
        if ticks > o.price if o.side > 0 else ticks < o.price:
            break
        lots = shown_lots(x, e, -o.side, ticks)
        if e.deplete != 0:
            lots -= consumed(e, -o.side, ticks, at_ns)
        lots = min(lots, o.lots - o.filled)
        if lots > 0:
            if e.deplete != 0:
                consume(e, -o.side, ticks, lots, at_ns)
            fill(x, i, o, lots, o.price if maker else ticks, maker, at_ns)
        ticks = next_shown(x, e, -o.side, ticks)


@njit
def crosses(e: Any, side: int, price: int) -> bool:
    """Whether a limit would trade at once against the touch shown."""
    if side > 0:
        return e.leg.ask_ticks != NO_PRICE and price >= e.leg.ask_ticks
    return e.leg.bid_ticks != NO_PRICE and price <= e.leg.bid_ticks


@njit
def refusal(e: Any, side: int, price: int, lots: int, tif: int) -> int:
    """Why the venue would not take an order (0: it takes it)."""
    if e.leg.trading != OPEN and e.leg.trading != NO_SHORT:
        return X_CLOSED
    if side != 1 and side != -1:
        return X_SIZE
    if price == NO_PRICE or (e.leg.contract == INVERSE and price <= 0):
        return X_PRICE
    if lots <= 0 or lots < e.leg.min_lots or (e.leg.lot_step > 1 and lots % e.leg.lot_step != 0):
        return X_SIZE
    if e.leg.min_notional > 0 and abs(exposure(e.leg, lots, 2 * price)) < e.leg.min_notional:
        return X_NOTIONAL
    if tif & POST_ONLY and e.bars == 0 and crosses(e, side, price):
        return X_POST_ONLY
    return X_NONE


@njit
def rank_in(e: Any, slot: int) -> None:
    """Rank an order behind its side's better and equal prices."""
    o = e.orders[slot]
    k = e.n_resting
    while k > 0:
        other = e.orders[e.rank[k - 1]]
        worse = other.price < o.price if o.side > 0 else other.price > o.price
        if other.side == o.side and not worse:
            break
        e.rank[k] = e.rank[k - 1]
        k -= 1
    e.rank[k] = slot
    e.n_resting += 1
    watch(e)


@njit
def rank_out(e: Any, k: int) -> None:
    """Take the order at place k off the ranking."""
    e.n_resting -= 1
    for j in range(k, e.n_resting):
        e.rank[j] = e.rank[j + 1]
    watch(e)


@njit
def watch(e: Any) -> None:
    """Note at which prices rows concern us, and the prices at which an opposite touch would reach us."""
    watched, top_buy, low_sell = 0, NO_PRICE, INF
    for j in range(e.n_resting):
        o = e.orders[e.rank[j]]
        watched |= 1 << (o.price & 63)
        if o.side > 0:
            top_buy = max(top_buy, o.price)
        else:
            low_sell = min(low_sell, o.price)
    if top_buy > e.top_buy or low_sell < e.low_sell:
        e.clear_to = 0  # rows found to be out of reach may be within it now
    e.watched = watched
    e.top_buy = top_buy
    e.low_sell = low_sell


@njit
def leave(e: Any, k: int) -> None:
    """Free the order at place k of the ranking."""
    e.orders[e.rank[k]].used = 0
    rank_out(e, k)


@njit
def cancel_at(x: Any, i: int, k: int, at_ns: int, reason: int) -> None:
    """Cancel the order at place k of the ranking."""
    e = exleg_of(x, i)
    o = e.orders[e.rank[k]]
    remember(x, i, o, V_CANCELED, reason)
    say(x, i, CANCELED, o, at_ns, reason)
    leave(e, k)


@njit
def rest(x: Any, e: Any, o: Any) -> None:
    """Join the queue at the order's price. Depth shows every level, a touch only its own price or better."""
    touch = e.leg.bid_ticks if o.side > 0 else e.leg.ask_ticks
    seen = e.book_off != 0 or touch == NO_PRICE or (o.price >= touch if o.side > 0 else o.price <= touch)
    queue_join(e, o, shown_lots(x, e, o.side, o.price), seen)


@njit
def on_new(x: Any, i: int, c: Any) -> None:
    """A new order arrives."""
    e = exleg_of(x, i)
    at_ns = c.arrive_ns
    reason = refusal(e, c.side, c.price, c.qty, c.tif)
    known = known_of(x, c.client_id)
    again = find_rank(e, c.client_id) >= 0 or (known.state != 0 and known.client_id == c.client_id)
    if again:
        reason = X_DUPLICATE
    if reason == X_NONE and e.n_resting >= N_RESTING:
        reason = X_POOL
    if reason != X_NONE:
        ev = answer(x, i, REJECT, c.client_id, at_ns, False)
        ev.side = c.side
        ev.price = c.price
        ev.qty = c.qty
        ev.reason = reason
        if not again:
            known.client_id = c.client_id
            known.price = c.price
            known.lots = c.qty
            known.filled = 0
            known.leg = i
            known.side = c.side
            known.state = V_REJECTED
            known.reason = reason
        return
    slot = 0
    while e.orders[slot].used != 0:
        slot += 1
    o = e.orders[slot]
    o.used = 1
    o.client_id = c.client_id
    o.price = c.price
    o.lots = c.qty
    o.filled = 0
    o.tif = c.tif
    o.side = c.side
    o.arrived_ns = at_ns
    remember(x, i, o, V_WORKING, X_NONE)
    say(x, i, ACK, o, at_ns, X_NONE)
    rank_in(e, slot)
    if e.bars == 0:
        place(x, i, find_rank(e, c.client_id), at_ns)


@njit
def place(x: Any, i: int, k: int, at_ns: int) -> None:
    """Take what the order at place k may take; rest, finish or cancel what is left."""
    e = exleg_of(x, i)
    o = e.orders[e.rank[k]]
    if crosses(e, o.side, o.price):
        sweep(x, i, o, False, at_ns)
    if o.filled == o.lots:
        leave(e, k)
    elif o.tif & IOC:
        cancel_at(x, i, k, at_ns, X_IOC)
    else:
        rest(x, e, o)


@njit
def on_cancel(x: Any, i: int, c: Any) -> None:
    """A cancel arrives: it finds the order working, or says why not."""
    e = exleg_of(x, i)
    k = find_rank(e, c.client_id)
    if k >= 0:
        cancel_at(x, i, k, c.arrive_ns, X_CLIENT)
        return
    known = known_of(x, c.client_id)
    filled = known.client_id == c.client_id and known.state == V_FILLED
    refuse_cancel(x, i, c.client_id, c.arrive_ns, X_FILLED if filled else X_UNKNOWN)


@njit
def on_amend(x: Any, i: int, c: Any) -> None:
    """Change price and total lots. Same price and fewer lots keeps the queue; anything else joins anew."""
    e = exleg_of(x, i)
    at_ns = c.arrive_ns
    k = find_rank(e, c.client_id)
    if k < 0:
        on_cancel(x, i, c)
        return
    slot = e.rank[k]
    o = e.orders[slot]
    if c.qty <= o.filled:
        cancel_at(x, i, k, at_ns, X_CLIENT)
        return
    reason = refusal(e, o.side, c.price, c.qty, o.tif)
    if reason != X_NONE:
        refuse_cancel(x, i, c.client_id, at_ns, reason)
        return
    keeps = c.price == o.price and c.qty <= o.lots
    o.price = c.price
    o.lots = c.qty
    say(x, i, ACK, o, at_ns, X_NONE)
    if keeps:
        return
    rank_out(e, k)
    rank_in(e, slot)
    if e.bars == 0:
        place(x, i, find_rank(e, c.client_id), at_ns)


@njit
def on_command(x: Any, i: int, c: Any) -> None:
    """A command arrives at the venue."""
    if c.action == CANCEL:
        on_cancel(x, i, c)
    elif c.action == AMEND:
        on_amend(x, i, c)
    else:
        on_new(x, i, c)


@njit(apart=True)
def on_trade(x: Any, i: int, ev: Any, at_ns: int) -> None:
    """A market trade: its lots go to our orders it passed, best price first, then where the queue ends."""
    e = exleg_of(x, i)
    left = ev.qty if ev.qty > 0 else e.leg.assumed_depth_lots
    k = 0
    while k < e.n_resting and left > 0:
        o = e.orders[e.rank[k]]
        if o.side * ev.side > 0 or (o.price < ev.price if o.side > 0 else o.price > ev.price):
            k += 1
            continue
        reach = left if o.price != ev.price else queue_trade(o, left)
        lots = min(reach, o.lots - o.filled)
        if lots > 0:
            left -= lots
            fill(x, i, o, lots, o.price, True, at_ns)
        if o.filled == o.lots:
            leave(e, k)
        else:
            k += 1


@njit(apart=True)
def on_depth(x: Any, i: int, only_side: int, only_ticks: int, stamp: int) -> None:
    """Shown sizes changed: queues follow (`only_side` 0: any level may have changed; `stamp` of the order, or 0)."""
    e = exleg_of(x, i)
    for k in range(e.n_resting):
        o = e.orders[e.rank[k]]
        if only_side != 0 and (o.side != only_side or o.price != only_ticks):
            continue
        if e.book_off == 0:
            touch = e.leg.bid_ticks if o.side > 0 else e.leg.ask_ticks
            if touch == NO_PRICE or (o.price < touch if o.side > 0 else o.price > touch):
                continue  # a touch says nothing of the levels behind it
        queue_level(e, o, shown_lots(x, e, o.side, o.price), stamp)


@njit
def on_batch(x: Any, i: int, at_ns: int) -> None:
    """A batch is complete: emptied levels are forgotten, an opposite touch at our price fills us."""
    e = exleg_of(x, i)
    j = 0
    while j < e.n_depleted:
        d = e.depleted[j]
        touch = e.leg.bid_ticks if d.side > 0 else e.leg.ask_ticks
        better = touch == NO_PRICE or (d.ticks > touch if d.side > 0 else d.ticks < touch)
        if better or (e.book_off != 0 and shown_lots(x, e, d.side, d.ticks) == 0):
            forget(e, j)
        else:
            j += 1
    if e.cross_fills == 0:
        return
    k = 0
    while k < e.n_resting:
        o = e.orders[e.rank[k]]
        if crosses(e, o.side, o.price):
            sweep(x, i, o, True, at_ns)
        if o.filled == o.lots:
            leave(e, k)
        else:
            k += 1


@njit
def on_closed(x: Any, i: int, at_ns: int, reason: int) -> None:
    """The leg closed or expired: every resting order is cancelled."""
    e = exleg_of(x, i)
    while e.n_resting > 0:
        cancel_at(x, i, 0, at_ns, reason)
