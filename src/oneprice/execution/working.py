"""One look at one package: what is overdue, whether it is in balance, and the cheapest way out if it is
not."""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.arena import legs_of
from oneprice.core.jit import njit
from oneprice.core.records import IOC, NEW, POST_ONLY
from oneprice.execution.blotter import (
    NEVER,
    OWNER_PACKAGE,
    P_PARTLY,
    P_PLANNED,
    P_RESIDUAL,
    P_UNWINDING,
    P_WORKING,
    RES_BELOW_MIN,
    RES_LEFT,
    RES_UNKNOWN,
    ROLE_HEDGE,
    ROLE_OPEN,
    ROLE_UNWIND,
    UNKNOWN,
    backoff_ns,
    drop_timer,
    set_timer,
)
from oneprice.execution.legging import (
    HEDGE,
    UNWIND,
    band_edge,
    choose,
    excess_lots,
    far_touch,
    hedge_cost,
    hedgeable,
    lag_lots,
    lead_of,
    low_of,
    order_lots,
    tradable,
    unwind_cost,
    wait_cost,
)
from oneprice.execution.lifecycle import finish, move
from oneprice.execution.order_pool import new_order, request, request_cancel
from oneprice.execution.residual import report_residual
from oneprice.execution.settlement import settled

RESCUE_TRIES = 2
COST_SCALE = 1e8  # PACKAGE_ROW.d is in 1e-8 of the quote currency


@njit
def send_first(s: Any, slot: int) -> None:
    """Ask for the first orders: the posted leg alone, or all legs as immediate-or-cancel limits."""
    p = s.blotter.packages[slot]
    for i in range(p.n_legs):
        a = p.legs[i]
        lots = a.planned - a.filled
        if lots > 0 and (p.maker < 0 or p.maker == i):
            _send(s, slot, i, a.side, a.limit, lots, POST_ONLY if p.maker == i else IOC, ROLE_OPEN)
    _wake(s, slot)


@njit
def _send(s: Any, slot: int, i: int, side: int, price: int, lots: int, tif: int, role: int) -> bool:
    p = s.blotter.packages[slot]
    a = p.legs[i]
    got = new_order(s, p.strategy, a.leg, side, price, lots, tif, p.key)
    if got < 0:
        a.tries += 1
        a.next_try_ns = s.now_ns + backoff_ns(s, p.strategy, a.tries)
        return False
    o = s.blotter.orders[got]
    o.role = role
    o.package = slot
    o.package_id = p.id
    o.package_leg = i
    if p.n_legs == 2:
        other = p.legs[1 - i]
        o.mate = other.leg
        o.mate_num = max(other.planned, 1)
        o.mate_den = max(a.planned, 1)
    a.order = got
    request(s, got, NEW)
    return True


@njit
def step(s: Any, slot: int) -> None:
    """Bring one package forward by what is known now."""
    b = s.blotter
    p = b.packages[slot]
    p.attention = 0
    resting = 0
    busy = 0
    sent = 0
    for i in range(p.n_legs):
        if p.legs[i].order >= 0:
            o = b.orders[p.legs[i].order]
            sent += 1 if o.sent_ns > 0 else 0
            if o.tif & IOC:
                busy += 1
            else:
                resting += 1
            _overdue(s, p, i)
    if p.state == P_PLANNED and sent > 0:
        move(s, p, P_WORKING, 0)
    low = low_of(p)
    lead = lead_of(p)
    worst = 0
    for i in range(p.n_legs):
        worst = max(worst, lag_lots(p, i, lead), excess_lots(p, i, low))
    if worst == 0:
        p.since_ns = 0
        if busy + resting == 0:
            finish(s, slot, RES_LEFT)
            return
        if p.state == P_PARTLY or p.state == P_RESIDUAL:
            move(s, p, P_WORKING, 0)
    else:
        if p.since_ns == 0:
            p.since_ns = s.now_ns
        if busy > 0:
            if sent > 0:
                move(s, p, P_UNWINDING if p.unwinding else P_PARTLY, 0)
        elif p.unwinding != 0:
            if _unwind(s, slot, low):
                return
        elif _decide(s, slot, (low, lead), resting):
            return
    _wake(s, slot)


@njit
def _overdue(s: Any, p: Any, i: int) -> None:
    """Cancel an order that rested or went unanswered for too long; later admit that nobody knows."""
    b = s.blotter
    a = p.legs[i]
    o = b.orders[a.order]
    if o.sent_ns == 0:
        return
    policy = b.policies[p.strategy]
    resting = o.tif & IOC == 0
    late = p.giving_up != 0 if resting else False
    wait = p.rest_ns if resting else policy.response_ns
    late = late or s.now_ns >= o.sent_ns + wait
    if late and o.cancel_sent == 0 and s.now_ns >= a.next_try_ns:
        request_cancel(s, a.order)
    limit_ns = o.sent_ns + wait + (policy.response_ns if resting else wait)
    if s.now_ns >= limit_ns and p.reported_ns == 0:
        if o.state != UNKNOWN:
            o.prior = o.state
            o.state = UNKNOWN
        p.reported_ns = s.now_ns
        report_residual(s, p.strategy, a.leg, o.side * (o.lots - o.filled), p.key, RES_UNKNOWN)


@njit
def _decide(s: Any, slot: int, ends: Any, resting: int) -> bool:
    """Hedge, wait or unwind an unbalanced package with no immediate order in flight; True when it is over."""
    p = s.blotter.packages[slot]
    low, lead = ends
    policy = s.blotter.policies[p.strategy]
    can = hedgeable(s, p, lead)
    unwind = unwind_cost(s, p, low)
    if can == 2:
        if resting > 0 and p.giving_up == 0:
            move(s, p, P_PARTLY, 0)
            return False  # the posted leg goes on filling: accumulate
        if resting == 0 and (policy.accumulate != 0 or unwind == math.inf):
            finish(s, slot, RES_BELOW_MIN)
            return True
    tries = 0
    ready_ns = 0
    for i in range(p.n_legs):
        if lag_lots(p, i, lead) > 0:
            tries = max(tries, p.legs[i].tries)
            ready_ns = max(ready_ns, p.legs[i].next_try_ns)
    hedge = hedge_cost(s, p, lead) if can == 1 else math.inf
    wait = wait_cost(s, p, lead, max(policy.retry_ns, ready_ns - s.now_ns))
    young = s.now_ns < p.since_ns + policy.max_age_ns
    able = can == 1 and tries < _max_tries(s, p)
    what = choose(hedge, wait, unwind, able, young and can != 2 and tries < _max_tries(s, p))
    if what == HEDGE and s.now_ns >= ready_ns:
        p.cost = _scaled(hedge)
        _hedge(s, slot, lead)
        move(s, p, P_PARTLY, what)
        return False
    for i in range(p.n_legs):  # whatever comes next, nothing more may fill one-sidedly
        if p.legs[i].order >= 0 and s.now_ns >= p.legs[i].next_try_ns:
            request_cancel(s, p.legs[i].order)
    if what != UNWIND or resting > 0:
        p.cost = _scaled(wait)
        move(s, p, P_RESIDUAL, what)
        return False
    p.cost = _scaled(unwind)
    p.unwinding = 1
    p.unwind_ns = s.now_ns
    for i in range(p.n_legs):
        p.legs[i].tries = 0
        p.legs[i].next_try_ns = s.now_ns
    return _unwind(s, slot, low)


@njit
def _hedge(s: Any, slot: int, lead: int) -> None:
    """Send each lagging leg after the lead: at the touch, paying up with each failed try, inside the band."""
    p = s.blotter.packages[slot]
    legs = legs_of(s)
    band_bp = s.blotter.policies[p.strategy].band_bp
    for i in range(p.n_legs):
        a = p.legs[i]
        leg = legs[a.leg]
        lots = order_lots(leg, lag_lots(p, i, lead), a.limit)
        if lots > 0 and a.order < 0:
            price = _paid_up(leg, a.side, a.tries, band_edge(a.limit, a.side, band_bp))
            _send(s, slot, i, a.side, price, lots, IOC, ROLE_HEDGE)


@njit
def _unwind(s: Any, slot: int, low: int) -> bool:
    """Trade the excess back; True when the package is over."""
    p = s.blotter.packages[slot]
    legs = legs_of(s)
    policy = s.blotter.policies[p.strategy]
    live = 0
    later = 0
    for i in range(p.n_legs):
        a = p.legs[i]
        leg = legs[a.leg]
        extra = excess_lots(p, i, low)
        if a.order >= 0:
            live += 1
        elif extra > 0 and a.tries < _max_tries(s, p):
            may = tradable(leg, -a.side) and settled(leg, -a.side, extra, s.now_ns)
            if not may or s.now_ns < a.next_try_ns:
                later += 1
                continue
            touch = far_touch(leg, -a.side)
            lots = order_lots(leg, extra, touch)
            if lots > 0:
                price = _paid_up(leg, -a.side, a.tries, band_edge(touch, -a.side, policy.unwind_band_bp))
                live += 1 if _send(s, slot, i, -a.side, price, lots, IOC, ROLE_UNWIND) else 0
                later += 1
    if live == 0 and (later == 0 or s.now_ns >= p.unwind_ns + policy.max_age_ns):
        finish(s, slot, RES_LEFT)
        return True
    move(s, p, P_UNWINDING, UNWIND)
    return False


@njit
def _max_tries(s: Any, p: Any) -> int:
    """Failed orders of a leg in a row before the way is given up; a rescue has two, and waits longer each
    time."""
    tries = s.blotter.policies[p.strategy].max_tries
    return min(tries, RESCUE_TRIES) if p.rescue > 0 else tries


@njit
def _paid_up(leg: Any, side: int, tries: int, edge: int) -> int:
    """The far touch, half a spread (at least a tick) worse for each failed try, never beyond `edge`."""
    touch = far_touch(leg, side)
    half = max((leg.ask_ticks - leg.bid_ticks) // 2, 1) if tries > 0 else 0
    price = touch + side * half * tries
    return min(price, edge) if side > 0 else max(price, edge)


@njit
def _scaled(cost: float) -> int:
    x = cost * COST_SCALE
    if not (abs(x) < 9e18):
        return NEVER
    return int(x)


@njit
def _wake(s: Any, slot: int) -> None:
    """Set the package's timer to the next moment at which time alone changes something."""
    b = s.blotter
    p = b.packages[slot]
    policy = b.policies[p.strategy]
    at = NEVER
    for i in range(p.n_legs):
        a = p.legs[i]
        if a.order >= 0:
            o = b.orders[a.order]
            start = o.sent_ns if o.sent_ns > 0 else s.now_ns
            wait = p.rest_ns if o.tif & IOC == 0 else policy.response_ns
            for t in (start + wait, start + wait + policy.response_ns, start + 2 * wait, a.next_try_ns):
                if t > s.now_ns:
                    at = min(at, t)
        elif p.since_ns > 0 and a.next_try_ns > s.now_ns:
            at = min(at, a.next_try_ns)
    if p.since_ns > 0:
        for t in (p.since_ns + policy.max_age_ns, p.unwind_ns + policy.max_age_ns):
            if t > s.now_ns:
                at = min(at, t)
        if p.state == P_RESIDUAL:
            at = min(at, s.now_ns + policy.retry_ns)
    if at != p.wake_ns:
        p.wake_ns = at
        if at == NEVER:
            drop_timer(s, OWNER_PACKAGE + slot, p.id)
        else:
            set_timer(s, OWNER_PACKAGE + slot, p.id, at, slot)
