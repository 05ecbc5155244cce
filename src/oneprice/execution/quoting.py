"""Desired quotes and targets, diffed against what works.

A quote is a wish: under `key`, this many lots should rest at this price. The difference to the order that
works is nothing (keep), an amendment (same price, fewer lots: the place in the queue is kept), or cancel
and, once the venue has confirmed, a new order. There is never more than one order a key, so a fill in the
race between cancel and new cannot leave two quotes in the market. A target is a wish for a position, worked
by one immediate-or-cancel order at a time. Rejects are answered with a wait that doubles.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.arena import leg_of, position_of
from oneprice.core.jit import njit
from oneprice.core.records import INVERSE, IOC, NEW, R_POOL_FULL
from oneprice.execution.blotter import (
    N_DESIRES,
    OWNER_DESIRE,
    PARTIAL,
    PLANNED,
    ROLE_QUOTE,
    ROLE_TARGET,
    WORKING,
    set_timer,
)
from oneprice.execution.order_pool import new_order, refuse, request, request_amend, request_cancel

SPENT = -(1 << 62)  # the price of a target that was acted on


@njit
def find_desire(s: Any, strategy: int, kind: int, key: int) -> int:
    """Index of a strategy's quote (by key) or target (by leg), or -1."""
    b = s.blotter
    for i in range(b.n_desires):
        d = b.desires[i]
        if d.kind == kind and d.strategy == strategy and d.key == key:
            return i
    return -1


@njit
def said_again(s: Any, strategy: int, leg: int, it: Any) -> bool:
    """Is the quote of intent `it` the one last stated, word for word? Then it is settled: its rounding is known."""
    i = find_desire(s, strategy, ROLE_QUOTE, it.key)
    if i < 0:
        return False
    d = s.blotter.desires[i]
    if d.said_price != it.price or d.said_qty != it.qty or d.leg != leg or d.side != it.side or d.tif != it.bits:
        return False
    d.price = d.said_ticks
    d.lots = d.said_lots
    _settle(s, i)
    return True


@njit
def remember(s: Any, i: int, it: Any, ticks: int, lots: int) -> None:
    """Keep what the quote of intent `it` was rounded to. Of an inverse leg it moves with the mid: not kept."""
    d = s.blotter.desires[i]
    d.said_price = it.price if leg_of(s, d.leg).contract != INVERSE else math.nan
    d.said_qty = it.qty
    d.said_ticks = ticks
    d.said_lots = lots


@njit
def want(s: Any, strategy: int, kind: int, key: int, leg: int, side: int, price: int, what: Any) -> int:
    """State a wish; `what` is (lots, TIF bits). Kind ROLE_QUOTE, or ROLE_TARGET with signed lots and key =
    leg. Returns its index, -1 where there is none."""
    b = s.blotter
    lots, tif = what
    i = find_desire(s, strategy, kind, key)
    if i < 0:
        if lots == 0 and kind == ROLE_QUOTE:
            return -1
        i = 0
        while i < b.n_desires and b.desires[i].kind != 0:
            i += 1
        if i >= N_DESIRES:
            refuse(s, strategy, leg, side, (price, lots), key, R_POOL_FULL)
            return -1
        b.n_desires = max(b.n_desires, i + 1)
        d = b.desires[i]
        d.strategy = strategy
        d.kind = kind
        d.key = key
        d.order = -1
        d.attention = 0
        d.rejects = 0
        d.next_ns = 0
        d.said_price = math.nan
    d = b.desires[i]
    d.price = price
    d.lots = lots
    d.tif = tif
    d.leg = leg
    d.side = side
    _settle(s, i)
    return i


@njit
def withdraw(s: Any, strategy: int, key: int) -> None:
    """Withdraw the quote of a key."""
    i = find_desire(s, strategy, ROLE_QUOTE, key)
    if i >= 0:
        s.blotter.desires[i].lots = 0
        _settle(s, i)


@njit
def withdraw_all(s: Any, strategy: int) -> None:
    """Withdraw all quotes and targets of a strategy; -1: of all."""
    b = s.blotter
    for i in range(b.n_desires):
        d = b.desires[i]
        if d.kind != 0 and (strategy < 0 or d.strategy == strategy):
            d.lots = 0
            d.kind = ROLE_QUOTE if d.kind == ROLE_TARGET else d.kind
            _settle(s, i)


@njit
def review_desires(s: Any) -> None:
    """Look at quotes whose order changed: send what waited for a cancel."""
    b = s.blotter
    for i in range(b.n_desires):
        d = b.desires[i]
        if d.attention != 0:
            d.attention = 0
            b.n_attention -= 1
            _settle(s, i)


@njit
def _settle(s: Any, i: int) -> None:
    """Bring one wish and its order together."""
    d = s.blotter.desires[i]
    if d.kind == ROLE_QUOTE:
        _settle_quote(s, i)
    elif d.kind == ROLE_TARGET:
        _settle_target(s, i)


@njit
def _settle_quote(s: Any, i: int) -> None:
    b = s.blotter
    d = b.desires[i]
    if d.order >= 0:
        o = b.orders[d.order]
        same = o.leg == d.leg and o.side == d.side and o.tif == d.tif
        rest = o.lots - o.filled
        if same and o.price == d.price and rest <= d.lots and d.lots <= o.lots:
            return  # what is left of a partly filled order keeps its place
        if o.state == PLANNED or o.cancel_sent != 0 or o.requested != 0:
            return  # looked at again when it is answered
        if same and o.price == d.price and d.lots > 0 and d.lots < rest:
            if s.now_ns < d.next_ns:
                _later(s, i)
            elif o.state == WORKING or o.state == PARTIAL:
                request_amend(s, d.order, o.price, o.filled + d.lots)
            return
        if s.now_ns >= d.next_ns:
            request_cancel(s, d.order)
        else:
            _later(s, i)
        return
    if d.lots == 0:
        _forget(s, i)
        return
    if s.now_ns < d.next_ns:
        _later(s, i)
        return
    _send(s, i, d.side, d.lots)


@njit
def _later(s: Any, i: int) -> None:
    """What failed is tried again after its wait: a wish stands, the strategy need not ask again."""
    set_timer(s, OWNER_DESIRE, i, s.blotter.desires[i].next_ns, 0)


@njit
def _settle_target(s: Any, i: int) -> None:
    """One immediate order a statement: what it leaves open, or what is stated meanwhile, the strategy states
    again."""
    b = s.blotter
    d = b.desires[i]
    stated = d.attention == 0 and d.price != SPENT
    price = d.price
    d.price = SPENT
    if d.order >= 0 or not stated or s.now_ns < d.next_ns:
        return
    need = d.lots - position_of(s, d.strategy * s.n_legs + d.leg).lots
    side = 1 if need > 0 else -1
    if need != 0 and side == d.side:
        d.price = price
        _send(s, i, side, need * side)
        d.price = SPENT


@njit
def _send(s: Any, i: int, side: int, lots: int) -> None:
    b = s.blotter
    d = b.desires[i]
    tif = IOC if d.kind == ROLE_TARGET else d.tif
    slot = new_order(s, d.strategy, d.leg, side, d.price, lots, tif, d.key)
    if slot < 0:
        return
    o = b.orders[slot]
    o.role = d.kind
    o.desire = i
    d.order = slot
    request(s, slot, NEW)


@njit
def _forget(s: Any, i: int) -> None:
    b = s.blotter
    d = b.desires[i]
    if d.attention != 0:
        d.attention = 0
        b.n_attention -= 1
    d.kind = 0
    while b.n_desires > 0 and b.desires[b.n_desires - 1].kind == 0:
        b.n_desires -= 1
