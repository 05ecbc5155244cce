"""The bounded state of execution: orders, packages, residuals, quotes, timers, requests, in one nested
record.

`s.blotter` of the STATE record. Nothing here grows: a full pool is a refusal that is written down. Slots of
done orders and packages are reused oldest first, so that what arrives late still finds its order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from oneprice.core.jit import njit
from oneprice.core.records import N_ORDERS, N_PACKAGE_LEGS, N_PACKAGES, N_STRATEGIES, N_TIMERS, record
from oneprice.execution.intents import INTENTS

# ---------------------------------------------------------------- states of an order
FREE, PLANNED, IN_FLIGHT, WORKING, PARTIAL, PENDING_CANCEL, PENDING_AMEND, UNKNOWN = 0, 1, 2, 3, 4, 5, 6, 7
FILLED, CANCELLED, REJECTED, TURNED_DOWN = 8, 9, 10, 11  # done; TURNED_DOWN: by our own gate
ORDER_STATES = [
    "free",
    "planned",
    "in_flight",
    "working",
    "partial",
    "pending_cancel",
    "pending_amend",
    "ambiguous",
    "filled",
    "canceled",
    "rejected",
    "refused",
]

# ---------------------------------------------------------------- what an order is for
ROLE_QUOTE, ROLE_TARGET, ROLE_OPEN, ROLE_HEDGE, ROLE_UNWIND = 1, 2, 3, 4, 5

# ---------------------------------------------------------------- states of a package
P_FREE, P_PLANNED, P_WORKING, P_PARTLY, P_RESIDUAL, P_UNWINDING, P_FLAT, P_CLOSED = 0, 1, 2, 3, 4, 5, 6, 7
PACKAGE_STATES = ("free", "planned", "working", "partly_hedged", "residual", "unwinding", "flat", "closed")

# RESIDUAL_ROW.code: why signed lots stand unhedged
(
    RES_LEFT,
    RES_BELOW_MIN,
    RES_LATE_FILL,
    RES_ORPHAN,
    RES_FORCED,
    RES_UNKNOWN,
    RES_NETTED,
    RES_OVERFLOW,
    RES_CARRIED,
) = range(1, 10)
RESIDUAL_CODES = (
    "",
    "left",
    "below_min",
    "late_fill",
    "orphan",
    "forced",
    "unknown",
    "netted",
    "overflow",
    "carried",
)

NEVER = 1 << 62
N_DESIRES, N_RESIDUALS, N_HELD, N_SEEN, SEEN_WAYS, N_COOLING = 128, 256, 64, 1024, 8, 128
RESERVED_TIMERS = N_PACKAGES + 1  # strategies cannot take the timers that packages need
OWNER_PACKAGE, OWNER_RESIDUAL, OWNER_DESIRE = 1000, 2000, 3000  # TIMER.owner, beside a strategy's own index

POLICY = record(
    [
        ("maker_first", "i8"),
        ("rest_ns", "i8"),
        ("response_ns", "i8"),
        ("max_age_ns", "i8"),
        ("retry_ns", "i8"),
        ("retry_cap_ns", "i8"),
        ("max_tries", "i8"),
        ("band_bp", "f8"),
        ("unwind_band_bp", "f8"),
        ("vol_bp", "f8"),
        ("risk_aversion", "f8"),
        ("accumulate", "i8"),
        ("residual_age_ns", "i8"),
    ]
)

ORDER = record(
    [
        ("client_id", "i8"),
        ("price", "i8"),  # ticks
        ("lots", "i8"),
        ("filled", "i8"),
        ("open_lots", "i8"),  # counted in the leg's and the position's open lots
        ("key", "i8"),
        ("decision_mid2", "i8"),  # doubled mid when it was decided
        ("decision_touch", "i8"),  # the touch it decided on: the far one, or its own for a post-only order
        ("sent_ns", "i8"),
        ("ack_ns", "i8"),
        ("done_ns", "i8"),
        ("new_price", "i8"),  # of an amendment in flight
        ("new_lots", "i8"),
        ("package_id", "i8"),  # the package's number, -1 = none; its slot is package_id % 64
        ("mate_num", "i8"),  # a lot of this leg is hedged by mate_num / mate_den lots of the mate
        ("mate_den", "i8"),
        ("leg", "i4"),
        ("strategy", "i4"),
        ("package", "i4"),  # slot, -1 = none
        ("package_leg", "i4"),
        ("mate", "i4"),  # the leg that hedges this one, -1 = none
        ("desire", "i4"),  # the quote or target it serves, -1 = none
        ("side", "i1"),
        ("state", "u1"),
        ("prior", "u1"),  # state before it became ambiguous
        ("tif", "u1"),
        ("role", "u1"),
        ("acked", "u1"),
        ("cancel_sent", "u1"),
        ("requested", "u1"),  # a request for it waits for the gate
        ("keep_queue", "u1"),  # amendment that keeps its place in the queue: same price, no more lots
        ("cancel_rejects", "u1"),
        ("reason", "u1"),  # of the gate's refusal
        ("spare", "u1"),
    ]
)

PACKAGE_LEG = record(
    [
        ("leg", "i8"),
        ("side", "i8"),
        ("planned", "i8"),  # lots
        ("filled", "i8"),  # lots in the leg's direction, net of what was unwound, with what was carried in
        ("carried", "i8"),  # of filled: taken over from the residual ledger
        ("unwound", "i8"),
        ("value", "i8"),  # sum of price x lots of the fills that opened it, in ticks x lots
        ("opened", "i8"),  # lots behind `value`
        ("limit", "i8"),  # ticks
        ("order", "i8"),  # its live order, -1 = none
        ("tries", "i8"),  # orders that ended without filling
        ("rejects", "i8"),
        ("next_try_ns", "i8"),
        ("last_mid2", "i8"),
        ("last_ns", "i8"),
        ("var_rate", "f8"),  # EWMA of squared half ticks a nanosecond
    ]
)

PACKAGE = record(
    [
        ("id", "i8"),  # number of the package; id % 64 is its slot
        ("strategy", "i8"),
        ("key", "i8"),
        ("state", "i8"),
        ("n_legs", "i8"),
        ("units", "i8"),
        ("maker", "i8"),  # package leg posted first, -1 = all at once
        ("rest_ns", "i8"),
        ("opened_ns", "i8"),
        ("since_ns", "i8"),  # when it became unbalanced, 0 = balanced
        ("unwind_ns", "i8"),  # when unwinding began
        ("wake_ns", "i8"),
        ("attention", "i8"),
        ("giving_up", "i8"),  # nothing new is opened; finish with what is filled
        ("unwinding", "i8"),
        ("to_flat", "i8"),  # a rescue without a mate: everything filled is excess
        ("rescue", "i8"),
        ("rejects", "i8"),
        ("reported_ns", "i8"),
        ("cost", "i8"),  # cost of the last choice, ledger units of the leading leg's currency
        ("legs", PACKAGE_LEG, (N_PACKAGE_LEGS,)),
    ]
)

TIMER_SLOT = record([("at_ns", "i8"), ("owner", "i8"), ("key", "i8"), ("ref", "i8")])
REQUEST = record([("order", "i8"), ("action", "i8")])
SEEN = record([("client_id", "i8"), ("exec_id", "i8")])
COOLING = record([("strategy", "i8"), ("key", "i8"), ("fails", "i8"), ("until_ns", "i8")])

RESIDUAL = record(
    [
        ("strategy", "i8"),
        ("leg", "i8"),
        ("lots", "i8"),  # signed, unhedged: + is long; 0 = a free entry
        ("since_ns", "i8"),
        ("next_ns", "i8"),  # not before
        ("tries", "i8"),
        ("mate", "i8"),  # the leg that would hedge it, -1 = only unwinding it can help
        ("mate_num", "i8"),
        ("mate_den", "i8"),
        ("key", "i8"),
        ("why", "i8"),
        ("spare", "i8"),
    ]
)

HELD = record(  # what closed packages left hedged, so that a leg lost later can be matched by closing the others
    [
        ("strategy", "i8"),
        ("n_legs", "i8"),
        ("leg", "i8", (N_PACKAGE_LEGS,)),  # ascending
        ("lots", "i8", (N_PACKAGE_LEGS,)),  # signed
    ]
)

DESIRE = record(
    [
        ("strategy", "i8"),
        ("key", "i8"),
        ("leg", "i8"),
        ("side", "i8"),
        ("price", "i8"),
        ("lots", "i8"),  # quote: wanted, 0 = withdrawn · target: signed position wanted
        ("order", "i8"),
        ("tif", "i8"),
        ("kind", "i8"),  # 0 free · ROLE_QUOTE · ROLE_TARGET
        ("attention", "i8"),
        ("rejects", "i8"),
        ("next_ns", "i8"),
        ("said_price", "f8"),  # quote: what was stated last, and what it was rounded to; NaN: nothing to go by
        ("said_qty", "f8"),
        ("said_ticks", "i8"),
        ("said_lots", "i8"),
    ]
)

BLOTTER = record(
    [
        ("n_attention", "i8"),  # open packages + quotes to look at: while 0, a touch concerns nobody here
        ("timer_next_ns", "i8"),
        ("timer_next", "i8"),  # index of the next timer
        ("n_timers", "i8"),
        ("n_requests", "i8"),
        ("n_open_orders", "i8"),
        ("n_open_packages", "i8"),
        ("order_head", "i8"),
        ("order_free", "i8"),
        ("package_head", "i8"),
        ("package_free", "i8"),
        ("package_count", "i8"),
        ("n_residuals", "i8"),  # entries in use lie below this
        ("n_held", "i8"),
        ("n_desires", "i8"),
        ("residual_due", "i8"),
        (
            "want_reducing",
            "i8",
        ),  # something could not be explained (orphan fill, ledger full): ask for REDUCING
        ("n_orphans", "i8"),
        ("n_duplicates", "i8"),
        ("n_overfills", "i8"),
        ("n_fit_requests", "i8"),  # REFIT rows so far
        ("intents", INTENTS),
        ("policies", POLICY, (N_STRATEGIES,)),
        ("scratch_units", "f8", (N_PACKAGE_LEGS,)),
        ("scratch_steps", "i8", (N_PACKAGE_LEGS,)),
        ("scratch_lots", "i8", (N_PACKAGE_LEGS,)),
        ("sorted_legs", "i8", (N_PACKAGE_LEGS,)),
        ("live_bits", "i8", (N_ORDERS // 64,)),  # one bit a slot: an order that is not done
        ("open_packages", "i8", (N_PACKAGES,)),
        ("package_ring", "i8", (N_PACKAGES,)),
        ("order_ring", "i8", (N_ORDERS,)),
        ("requests", REQUEST, (N_ORDERS,)),
        ("timers", TIMER_SLOT, (N_TIMERS,)),
        ("seen", SEEN, (N_SEEN,)),
        ("seen_at", "i8", (N_SEEN // SEEN_WAYS,)),
        ("cooling", COOLING, (N_COOLING,)),
        ("desires", DESIRE, (N_DESIRES,)),
        ("residuals", RESIDUAL, (N_RESIDUALS,)),
        ("held", HELD, (N_HELD,)),
        ("packages", PACKAGE, (N_PACKAGES,)),
        ("orders", ORDER, (N_ORDERS,)),
    ]
)


def init_blotter(arena: Any, policy: Any) -> None:
    """Lay an empty blotter: all slots free, no timer, `policy` (a PackagePolicy) for every strategy."""
    b = arena.state["blotter"][0]
    b["timer_next_ns"] = NEVER
    b["order_ring"] = np.arange(N_ORDERS)
    b["package_ring"] = np.arange(N_PACKAGES)
    b["order_free"], b["package_free"] = N_ORDERS, N_PACKAGES
    b["orders"]["package"] = b["orders"]["desire"] = b["orders"]["mate"] = -1
    b["orders"]["package_id"] = -1
    b["packages"]["id"] = -1
    b["packages"]["legs"]["order"] = -1
    b["desires"]["order"] = -1
    for name in POLICY.names or ():
        b["policies"][name] = getattr(policy, name)


@njit
def set_timer(s: Any, owner: int, key: int, at_ns: int, ref: int) -> bool:
    """Set or move the timer (owner, key); False when a strategy finds the pool full."""
    b = s.blotter
    n = b.n_timers
    i = 0
    while i < n and not (b.timers[i].owner == owner and b.timers[i].key == key):
        i += 1
    if i == n:
        if n >= N_TIMERS or (owner < OWNER_PACKAGE and n >= N_TIMERS - RESERVED_TIMERS):
            return False
        b.n_timers = n + 1
    t = b.timers[i]
    t.owner = owner
    t.key = key
    t.at_ns = at_ns
    t.ref = ref
    _next_timer(b)
    return True


@njit
def drop_timer(s: Any, owner: int, key: int) -> None:
    """Remove the timer (owner, key) if it is set."""
    b = s.blotter
    for i in range(b.n_timers):
        t = b.timers[i]
        if t.owner == owner and t.key == key:
            last = b.timers[b.n_timers - 1]
            t.owner = last.owner
            t.key = last.key
            t.at_ns = last.at_ns
            t.ref = last.ref
            b.n_timers -= 1
            _next_timer(b)
            return


@njit
def _next_timer(b: Any) -> None:
    best = NEVER
    at = 0
    for i in range(b.n_timers):
        if b.timers[i].at_ns < best:
            best = b.timers[i].at_ns
            at = i
    b.timer_next_ns = best
    b.timer_next = at


@njit
def timer_fired(s: Any, ev: Any) -> None:
    """A TIMER event arrived: its timer is spent, unless it was moved to a later time meanwhile."""
    b = s.blotter
    for i in range(b.n_timers):
        t = b.timers[i]
        if t.owner == ev.owner and t.key == ev.key:
            if t.at_ns <= ev.receive_ns:
                drop_timer(s, ev.owner, ev.key)
            return


@njit
def cooling_until(s: Any, strategy: int, key: int) -> int:
    """Nothing new under (strategy, key) before this time: it failed lately."""
    c = s.blotter.cooling[_cooling_slot(strategy, key)]
    if c.strategy == strategy and c.key == key and c.fails > 0:
        return c.until_ns
    return 0


@njit
def cool(s: Any, strategy: int, key: int, failed: bool) -> None:
    """Note a failure (the wait doubles, up to the policy's cap) or a success of (strategy, key)."""
    c = s.blotter.cooling[_cooling_slot(strategy, key)]
    mine = c.strategy == strategy and c.key == key
    if not failed:
        if mine:
            c.fails = 0
        return
    c.fails = c.fails + 1 if mine else 1
    c.strategy = strategy
    c.key = key
    c.until_ns = s.now_ns + backoff_ns(s, strategy, c.fails)


@njit
def backoff_ns(s: Any, strategy: int, fails: int) -> int:
    """Wait after the n-th failure in a row: retry_ns doubled each time, at most retry_cap_ns."""
    policy = s.blotter.policies[strategy]
    wait = policy.retry_ns
    for _ in range(min(fails - 1, 40)):
        if wait >= policy.retry_cap_ns:
            break
        wait *= 2
    return min(wait, policy.retry_cap_ns)


@njit
def _cooling_slot(strategy: int, key: int) -> int:
    x = (key * 0x9E3779B1 + strategy * 0x85EBCA6B) & 0x7FFFFFFF
    return (x >> 8) % N_COOLING


@njit
def attend(s: Any, p: Any) -> None:
    """Ask for a look at a package at the next review."""
    p.attention = 1


@njit
def attend_desire(s: Any, d: Any) -> None:
    """Ask for a look at a quote or target at the next review."""
    if d.attention == 0:
        d.attention = 1
        s.blotter.n_attention += 1
