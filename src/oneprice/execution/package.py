"""The package order: N legs over N venues as one state machine that never forgets a lot.

| state | means | goes to |
|---|---|---|
| planned | all legs checked, orders asked for, none sent | working · flat (all refused) |
| working | orders live, the legs in balance | partly_hedged · closed · flat |
| partly_hedged | out of balance, orders that may cure it are live | working · residual · unwinding · closed |
| residual | out of balance, nothing live: waiting is the cheapest, or a backoff runs | partly_hedged · unwinding · closed |
| unwinding | the leading legs are traded back | flat · closed |
| flat | over, nothing held | - |
| closed | over: matched lots are *held*, what is unhedged is in the residual ledger with a RESIDUAL_ROW | - |

After each answer, timer or touch of its legs an unbalanced package without immediate orders in flight takes the
cheapest of hedge, wait and unwind (`legging.py`). Bounds: a hedge price is at most `band_bp` beyond the limit; after
`max_age_ns` or `max_tries` waiting is over; unwinding gets as long again; failures double the wait between orders.
What cannot be traded (below the venue's minimum, leg closed) goes to the residual ledger, where rescue packages and
the next package over the leg pick it up. A leg has at most one live order, so nothing is sent twice.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from oneprice.core.arena import emit, legs_of
from oneprice.core.jit import njit
from oneprice.core.records import (
    EXPIRY,
    IOC,
    N_PACKAGE_LEGS,
    N_PACKAGES,
    NEW,
    PACKAGE_ROW,
    POST_ONLY,
)
from oneprice.execution.blotter import (
    N_DESIRES,
    NEVER,
    OWNER_DESIRE,
    OWNER_PACKAGE,
    OWNER_RESIDUAL,
    P_CLOSED,
    P_FLAT,
    P_PARTLY,
    P_PLANNED,
    P_RESIDUAL,
    P_UNWINDING,
    P_WORKING,
    RES_BELOW_MIN,
    RES_FORCED,
    RES_LEFT,
    RES_OVERFLOW,
    RES_UNKNOWN,
    ROLE_HEDGE,
    ROLE_OPEN,
    ROLE_UNWIND,
    UNKNOWN,
    attend,
    attend_desire,
    backoff_ns,
    cool,
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
    prior_rate,
    see_touch,
    tradable,
    unwind_cost,
    wait_cost,
)
from oneprice.execution.orders import new_order, request, request_cancel
from oneprice.execution.quoting import review_desires
from oneprice.execution.residual import add_residual, hold_slot, lose_leg, report_residual

RESCUE_TRIES = 2
COST_SCALE = 1e8  # PACKAGE_ROW.d is in 1e-8 of the quote currency


class PackagePolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How packages are worked. Times in ns, bands in basis points of the price."""

    maker_first: bool = False  # post the first leg and hedge its fills; else all legs at once as marketable limits
    rest_ns: int = 2_000_000_000  # how long a posted leg may rest
    response_ns: int = 5_000_000_000  # no answer for so long: cancel; for twice as long: ambiguous
    max_age_ns: int = 2_000_000_000  # how long a package may stand unhedged before it unwinds
    retry_ns: int = 5_000_000  # wait after a failed order; doubles with each failure
    retry_cap_ns: int = 10_000_000_000
    max_tries: int = 8  # failed orders of a leg in a row before the way is given up
    band_bp: float = 10.0  # how far a hedge may chase beyond its limit
    unwind_band_bp: float = 50.0  # how far an unwind may go beyond the touch
    vol_bp: float = 1.0  # prior volatility a root second, until touches tell
    risk_aversion: float = 1.0  # lambda of the cost of waiting
    accumulate: bool = True  # below a venue's minimum: keep and hedge later; else unwind at once
    residual_age_ns: int = 60_000_000_000  # a kept residual this old is unwound if it can be


# ---------------------------------------------------------------- opening


@njit
def open_slot(s: Any) -> int:
    """The slot the next package takes (the package longest over), or -1 when all are open. It is not taken yet."""
    b = s.blotter
    return b.package_ring[b.package_head] if b.package_free > 0 else -1


@njit
def clear(p: Any, strategy: int, key: int) -> None:
    """Empty a package record."""
    p.id = -1
    p.strategy = strategy
    p.key = key
    p.state = 0
    p.n_legs = 0
    p.units = 1
    p.maker = -1
    p.rest_ns = 0
    p.opened_ns = 0
    p.since_ns = 0
    p.unwind_ns = 0
    p.wake_ns = NEVER
    p.attention = 0
    p.giving_up = 0
    p.unwinding = 0
    p.to_flat = 0
    p.rescue = 0
    p.rejects = 0
    p.reported_ns = 0
    p.cost = 0


@njit
def clear_leg(a: Any, leg: int, side: int, limit: int) -> None:
    """Empty a package leg for a leg, a side and a limit in ticks."""
    a.leg = leg
    a.side = side
    a.limit = limit
    a.planned = 0
    a.filled = 0
    a.carried = 0
    a.unwound = 0
    a.value = 0
    a.opened = 0
    a.order = -1
    a.tries = 0
    a.rejects = 0
    a.next_try_ns = 0
    a.last_mid2 = 0
    a.last_ns = 0
    a.var_rate = 0.0


@njit
def commit(s: Any, slot: int) -> None:
    """Take the slot: the package gets its number, its first row, and its place among the open ones."""
    b = s.blotter
    p = b.packages[slot]
    b.package_head = (b.package_head + 1) % N_PACKAGES
    b.package_free -= 1
    number = b.package_count + N_PACKAGES - 1 - slot
    number = number // N_PACKAGES * N_PACKAGES + slot
    b.package_count = number + 1
    p.id = number
    p.opened_ns = s.now_ns
    policy = b.policies[p.strategy]
    if p.rest_ns <= 0:
        p.rest_ns = policy.rest_ns
    legs = legs_of(s)
    for i in range(p.n_legs):
        p.legs[i].var_rate = prior_rate(legs[p.legs[i].leg], policy.vol_bp)
        see_touch(p, i, legs[p.legs[i].leg], s.now_ns)
    b.open_packages[b.n_open_packages] = slot
    b.n_open_packages += 1
    b.n_attention += 1
    move(s, p, P_PLANNED, 0)
    attend(s, p)


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
def _send(s: Any, slot: int, i: int, side: int, price: int, lots: int, tif: int, role: int) -> bool:  # noqa: PLR0913
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


# ---------------------------------------------------------------- what the engine calls


@njit
def review(s: Any) -> None:
    """Look at everything of execution that asked for it: packages, residuals due, quotes."""
    b = s.blotter
    i = 0
    while i < b.n_open_packages:
        slot = b.open_packages[i]
        if b.packages[slot].attention != 0:
            step(s, slot)
        if i < b.n_open_packages and b.open_packages[i] == slot:
            i += 1
    if b.residual_due != 0:
        rescue_due(s)
    if b.n_attention > b.n_open_packages:
        review_desires(s)


@njit
def on_touch(s: Any, leg: int) -> None:
    """The touch of a leg moved: unbalanced packages over it are looked at again."""
    b = s.blotter
    legs = legs_of(s)
    hit = False
    for n in range(b.n_open_packages):
        p = b.packages[b.open_packages[n]]
        for i in range(p.n_legs):
            if p.legs[i].leg == leg:
                see_touch(p, i, legs[leg], s.now_ns)
                if p.state == P_RESIDUAL or p.state == P_PARTLY or p.state == P_UNWINDING:
                    attend(s, p)
                    hit = True
    if hit:
        review(s)


@njit
def on_timer(s: Any, ev: Any) -> None:
    """A timer of execution fired (`timer_fired` has removed it); one whose package is over concerns nobody."""
    b = s.blotter
    if ev.owner >= OWNER_DESIRE:
        i = ev.owner - OWNER_DESIRE
        if i < N_DESIRES and b.desires[i].kind != 0:
            attend_desire(s, b.desires[i])
    elif ev.owner >= OWNER_RESIDUAL:
        b.residual_due = 1
    elif ev.owner >= OWNER_PACKAGE and ev.owner < OWNER_PACKAGE + N_PACKAGES:
        p = b.packages[ev.owner - OWNER_PACKAGE]
        if p.id == ev.key and p.state < P_FLAT:
            p.wake_ns = NEVER
            attend(s, p)
    review(s)


@njit
def on_status(s: Any, ev: Any) -> None:
    """A leg opened, closed or expired. An expired leg takes its position along: what it hedged is closed."""
    b = s.blotter
    for n in range(b.n_open_packages):
        p = b.packages[b.open_packages[n]]
        for i in range(p.n_legs):
            if p.legs[i].leg == ev.leg:
                attend(s, p)
                if ev.kind == EXPIRY:
                    p.legs[i].filled = 0
                    p.giving_up = 1
    for i in range(b.n_residuals):
        r = b.residuals[i]
        if r.lots == 0:
            continue
        if r.leg == ev.leg and ev.kind == EXPIRY:
            gone = r.lots
            r.lots = 0
            report_residual(s, r.strategy, r.leg, -gone, r.key, RES_FORCED)
        elif r.leg == ev.leg or r.mate == ev.leg:
            r.next_ns = s.now_ns
            r.tries = 0
            b.residual_due = 1
    if ev.kind == EXPIRY:
        lose_leg(s, -1, ev.leg, -(1 << 60))
        lose_leg(s, -1, ev.leg, 1 << 60)
    review(s)


@njit
def give_up(s: Any, strategy: int, key: int, everything: bool) -> None:
    """Open nothing more for the package of a key (or all of a strategy, -1: of all): finish with what is filled."""
    b = s.blotter
    for n in range(b.n_open_packages):
        p = b.packages[b.open_packages[n]]
        if (strategy < 0 or p.strategy == strategy) and (everything or p.key == key):
            p.giving_up = 1
            attend(s, p)
            for i in range(p.n_legs):
                if p.legs[i].order >= 0 and b.orders[p.legs[i].order].tif & IOC == 0:
                    request_cancel(s, p.legs[i].order)


@njit
def is_open(s: Any, strategy: int, key: int) -> bool:
    """Is a package of this key open, its hedge or its rescue pending included?"""
    b = s.blotter
    for n in range(b.n_open_packages):
        p = b.packages[b.open_packages[n]]
        if p.strategy == strategy and p.key == key:
            return True
    return False


# ---------------------------------------------------------------- one look at one package


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
            if not tradable(leg, -a.side) or s.now_ns < a.next_try_ns:
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
    """Failed orders of a leg in a row before the way is given up; a rescue has two, and waits longer each time."""
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


@njit
def move(s: Any, p: Any, state: int, why: int) -> None:
    """Change state, with a PACKAGE_ROW: a = signed residual lots of the worst leg, b = age ns, c = units, d = cost."""
    if p.state == state:
        return
    p.state = state
    row = emit(s, PACKAGE_ROW)
    low = low_of(p)
    lead = lead_of(p)
    lots = excess_lots(p, lead, low)
    at = lead
    if lots == 0:
        at = low
        lots = -lag_lots(p, low, lead)
    row.package = p.id
    row.a = p.legs[at].side * lots
    row.b = s.now_ns - p.opened_ns
    row.c = p.units
    row.d = p.cost
    row.e = p.key
    row.leg = p.legs[at].leg
    row.side = p.legs[at].side
    row.strategy = p.strategy
    row.code = state
    row.aux = why


# ---------------------------------------------------------------- the end of a package


@njit
def finish(s: Any, slot: int, why: int) -> None:
    """The package is over: matched lots are held, the rest goes to the residual ledger, the slot is free."""
    b = s.blotter
    p = b.packages[slot]
    held = _settle_lots(s, p, why)
    filled = 0
    for i in range(p.n_legs):
        filled = max(filled, p.legs[i].opened, p.legs[i].unwound)
    cool(s, p.strategy, p.key, p.rejects > 0 and filled == 0)
    move(s, p, P_CLOSED if held else P_FLAT, why)
    if p.wake_ns != NEVER:
        drop_timer(s, OWNER_PACKAGE + slot, p.id)
        p.wake_ns = NEVER
    for i in range(b.n_open_packages):
        if b.open_packages[i] == slot:
            b.open_packages[i] = b.open_packages[b.n_open_packages - 1]
            b.n_open_packages -= 1
            break
    b.n_attention -= 1
    b.package_ring[(b.package_head + b.package_free) % N_PACKAGES] = slot
    b.package_free += 1


@njit
def _settle_lots(s: Any, p: Any, why: int) -> bool:
    """Split each leg's fills into held and residual; True if anything is held."""
    b = s.blotter
    low = low_of(p)
    for i in range(p.n_legs):
        b.scratch_lots[i] = excess_lots(p, i, low)
    for i in range(p.n_legs):
        p.legs[i].filled -= b.scratch_lots[i]
    lead = lead_of(p)
    held = False
    for i in range(p.n_legs):
        a = p.legs[i]
        lag = lag_lots(p, i, lead)
        b.scratch_steps[i] = a.side * (a.filled + lag)
        held = held or b.scratch_steps[i] != 0
        b.scratch_lots[i] = a.side * (b.scratch_lots[i] - lag)
    for i in range(p.n_legs):
        p.legs[i].filled = p.legs[i].side * (b.scratch_steps[i] + b.scratch_lots[i])
    if held:
        _hold(s, p)
    for i in range(p.n_legs):
        left = b.scratch_lots[i]
        if left == 0:
            continue
        a = p.legs[i]
        mate = (-1, 1, 1)
        if p.n_legs == 2:
            other = p.legs[1 - i]
            mate = (other.leg, max(other.planned, 1), max(a.planned, 1))
        at = add_residual(s, p.strategy, a.leg, left, mate, p.key, why)
        if at >= 0 and p.rescue > 0:
            b.residuals[at].tries = p.rescue
            b.residuals[at].next_ns = s.now_ns + backoff_ns(s, p.strategy, p.rescue)
    return held


@njit
def _hold(s: Any, p: Any) -> None:
    """Add the matched lots (`scratch_steps`, signed) to what the strategy holds hedged over these legs."""
    b = s.blotter
    wanted = b.sorted_legs
    for i in range(p.n_legs):
        j = i
        while j > 0 and wanted[j - 1] > p.legs[i].leg:
            wanted[j] = wanted[j - 1]
            j -= 1
        wanted[j] = p.legs[i].leg
    at = hold_slot(s, p.strategy, wanted, p.n_legs)
    for i in range(p.n_legs):
        if at < 0:
            b.want_reducing = 1
            report_residual(s, p.strategy, p.legs[i].leg, b.scratch_steps[i], p.key, RES_OVERFLOW)
            continue
        h = b.held[at]
        for j in range(p.n_legs):
            if h.leg[j] == p.legs[i].leg:
                h.lots[j] += b.scratch_steps[i]


# ---------------------------------------------------------------- rescue of residuals


@njit
def rescue_due(s: Any) -> None:
    """Open a rescue package for each residual that is due and can be traded; set the timer for the next."""
    b = s.blotter
    b.residual_due = 0
    next_ns = NEVER
    for i in range(b.n_residuals):
        r = b.residuals[i]
        if r.lots == 0:
            continue
        if r.next_ns <= s.now_ns:
            _rescue(s, i)
        if r.lots != 0:
            next_ns = min(next_ns, r.next_ns)
    if next_ns < NEVER:
        set_timer(s, OWNER_RESIDUAL, 0, max(next_ns, s.now_ns + 1), 0)
    else:
        drop_timer(s, OWNER_RESIDUAL, 0)


@njit
def _rescue(s: Any, i: int) -> None:
    """Hedge a residual on its mate if that takes it, else unwind it when it is old or has no mate; else wait."""
    b = s.blotter
    legs = legs_of(s)
    r = b.residuals[i]
    policy = b.policies[r.strategy]
    sign = 1 if r.lots > 0 else -1
    slot = open_slot(s)
    if r.tries > 2 * policy.max_tries:
        r.next_ns = NEVER  # parked: a change of the leg's status, a new residual or the next package moves it
        b.want_reducing = 1
        report_residual(s, r.strategy, r.leg, 0, r.key, RES_LEFT)
        return
    if slot < 0 or b.order_free < N_PACKAGE_LEGS:
        r.next_ns = s.now_ns + backoff_ns(s, r.strategy, 1)
        return
    here = legs[r.leg]
    if r.mate >= 0 and tradable(legs[r.mate], -sign):
        mate = legs[r.mate]
        touch = far_touch(mate, -sign)
        there = order_lots(mate, abs(r.lots) * r.mate_num // r.mate_den, touch)
        if there > 0:
            own = min(-(-there * r.mate_den // r.mate_num), abs(r.lots))
            _begin_rescue(s, slot, i, own)
            p = b.packages[slot]
            clear_leg(p.legs[1], r.mate, -sign, touch)
            p.legs[1].planned = there
            p.n_legs = 2
            _launch(s, slot)
            return
    old_ns = r.since_ns + policy.residual_age_ns
    if tradable(here, -sign) and order_lots(here, abs(r.lots), far_touch(here, -sign)) > 0:
        if r.mate < 0 or policy.accumulate == 0 or s.now_ns >= old_ns:
            _begin_rescue(s, slot, i, abs(r.lots))
            b.packages[slot].to_flat = 1
            b.packages[slot].unwinding = 1
            b.packages[slot].unwind_ns = s.now_ns
            _launch(s, slot)
            return
        r.next_ns = old_ns
        return
    closed = not tradable(here, -sign) or (r.mate >= 0 and not tradable(legs[r.mate], -sign))
    r.next_ns = s.now_ns + policy.retry_cap_ns if closed else NEVER


@njit
def _begin_rescue(s: Any, slot: int, i: int, lots: int) -> None:
    """Move `lots` of residual i into a new package as its leading leg."""
    b = s.blotter
    r = b.residuals[i]
    p = b.packages[slot]
    sign = 1 if r.lots > 0 else -1
    clear(p, r.strategy, r.key)
    clear_leg(p.legs[0], r.leg, sign, legs_of(s)[r.leg].mid2_ticks // 2)
    p.legs[0].planned = lots
    p.legs[0].filled = lots
    p.legs[0].carried = lots
    p.n_legs = 1
    p.rescue = r.tries + 1
    r.lots -= sign * lots
    r.next_ns = NEVER if r.lots != 0 else r.next_ns


@njit
def _launch(s: Any, slot: int) -> None:
    commit(s, slot)
    step(s, slot)
