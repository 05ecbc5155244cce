"""The package order: N legs over N venues as one state machine that never forgets a lot.

| state | means | goes to |
|---|---|---|
| planned | all legs checked, orders asked for, none sent | working · flat (all refused) |
| working | orders live, the legs in balance | partly_hedged · closed · flat |
| partly_hedged | out of balance, orders that may cure it are live | working · residual · unwinding · closed |
| residual | out of balance: waiting is cheapest, or a backoff runs | partly_hedged · unwinding · closed |
| unwinding | the leading legs are traded back | flat · closed |
| flat | over, nothing held | - |
| closed | over: matched lots are *held*, unhedged ones are in the residual ledger with a row | - |

After each answer, timer or touch of its legs an unbalanced package without immediate orders in flight takes
the cheapest of hedge, wait and unwind (`legging.py`). Bounds: a hedge price is at most `band_bp` beyond the
limit; after `max_age_ns` or `max_tries` waiting is over; unwinding gets as long again; failures double the
wait between orders. What cannot be traded (below the venue's minimum, leg closed) goes to the residual
ledger, where rescue packages and the next package over the leg pick it up. A leg has at most one live order,
so nothing is sent twice.
"""

from __future__ import annotations

from typing import Any

import msgspec

from oneprice.core.arena import leg_of, legs_of
from oneprice.core.jit import njit
from oneprice.core.records import EXPIRY, IOC, N_PACKAGE_LEGS, N_PACKAGES
from oneprice.execution.blotter import (
    N_DESIRES,
    NEVER,
    OWNER_DESIRE,
    OWNER_PACKAGE,
    OWNER_RESIDUAL,
    P_FLAT,
    P_PARTLY,
    P_RESIDUAL,
    P_UNWINDING,
    RES_FORCED,
    RES_LEFT,
    attend,
    attend_desire,
    backoff_ns,
    drop_timer,
    set_timer,
)
from oneprice.execution.legging import far_touch, order_lots, see_touch, tradable
from oneprice.execution.lifecycle import clear, clear_leg, commit, open_slot
from oneprice.execution.order_pool import request_cancel
from oneprice.execution.quoting import review_desires
from oneprice.execution.residual import lose_leg, report_residual
from oneprice.execution.settlement import locked_lots, next_day_ns, settled
from oneprice.execution.working import step


class PackagePolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How packages are worked. Times in ns, bands in basis points of the price."""

    maker_first: bool = (
        False  # post the first leg and hedge its fills; else all legs at once as marketable limits
    )
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
    """A timer of execution fired (`timer_fired` has removed it); one whose package is over concerns
    nobody."""
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
    """Open nothing more for the package of a key (or all of a strategy, -1: of all): finish with what is
    filled."""
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
def let_go(s: Any, strategy: int) -> None:
    """Someone else closes what the packages of a strategy hold; what they have in flight they trade back."""
    b = s.blotter
    for n in range(b.n_open_packages):
        p = b.packages[b.open_packages[n]]
        if p.strategy != strategy:
            continue
        for i in range(p.n_legs):
            p.legs[i].filled = 0
        p.giving_up = 1
        p.to_flat = 1
        p.unwinding = 1
        p.unwind_ns = s.now_ns
        attend(s, p)


@njit
def is_open(s: Any, strategy: int, key: int) -> bool:
    """Is a package of this key open, its hedge or its rescue pending included?"""
    b = s.blotter
    for n in range(b.n_open_packages):
        p = b.packages[b.open_packages[n]]
        if p.strategy == strategy and p.key == key:
            return True
    return False


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
    """Hedge a residual on its mate if that takes it, else unwind it when it is old or has no mate; else
    wait."""
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
        if there > 0 and settled(mate, -sign, there, s.now_ns):
            own = min(-(-there * r.mate_den // r.mate_num), abs(r.lots))
            _begin_rescue(s, slot, i, own)
            p = b.packages[slot]
            clear_leg(p.legs[1], r.mate, -sign, touch)
            p.legs[1].planned = there
            p.n_legs = 2
            _launch(s, slot)
            return
    old_ns = r.since_ns + policy.residual_age_ns
    may = tradable(here, -sign) and settled(here, -sign, abs(r.lots), s.now_ns)
    if may and order_lots(here, abs(r.lots), far_touch(here, -sign)) > 0:
        if r.mate < 0 or policy.accumulate == 0 or s.now_ns >= old_ns:
            _begin_rescue(s, slot, i, abs(r.lots))
            b.packages[slot].to_flat = 1
            b.packages[slot].unwinding = 1
            b.packages[slot].unwind_ns = s.now_ns
            _launch(s, slot)
            return
        r.next_ns = old_ns
        return
    closed = not may or (r.mate >= 0 and not tradable(legs[r.mate], -sign))
    r.next_ns = s.now_ns + policy.retry_cap_ns if closed else NEVER
    if locked_lots(here, s.now_ns) != 0 and sign > 0:
        r.next_ns = next_day_ns(here, s.now_ns)


@njit
def _begin_rescue(s: Any, slot: int, i: int, lots: int) -> None:
    """Move `lots` of residual i into a new package as its leading leg."""
    b = s.blotter
    r = b.residuals[i]
    p = b.packages[slot]
    sign = 1 if r.lots > 0 else -1
    clear(p, r.strategy, r.key)
    clear_leg(p.legs[0], r.leg, sign, leg_of(s, r.leg).mid2_ticks // 2)
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
