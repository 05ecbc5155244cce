"""How a package begins and ends: its slot and number, its rows, and where its lots go when it is over."""

from __future__ import annotations

from typing import Any

from oneprice.core.arena import emit, legs_of
from oneprice.core.jit import njit
from oneprice.core.records import N_PACKAGES, PACKAGE_ROW
from oneprice.execution.blotter import (
    NEVER,
    OWNER_PACKAGE,
    P_CLOSED,
    P_FLAT,
    P_PLANNED,
    RES_OVERFLOW,
    attend,
    backoff_ns,
    cool,
    drop_timer,
)
from oneprice.execution.legging import excess_lots, lag_lots, lead_of, low_of, prior_rate, see_touch
from oneprice.execution.residual import add_residual, hold_slot, report_residual


@njit
def open_slot(s: Any) -> int:
    """The slot the next package takes (the package longest over), or -1 when all are open. It is not taken
    yet."""
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
def move(s: Any, p: Any, state: int, why: int) -> None:
    """Change state, with a PACKAGE_ROW: a = signed residual lots of the worst leg, b = age ns, c = units, d
    = cost."""
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
        if p.n_legs == 2 and p.to_flat == 0:
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
