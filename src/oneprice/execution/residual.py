"""The residual ledger: signed unhedged lots per (strategy, leg) with their age, and what is held hedged.

Every lot a package filled is at any time in exactly one of three places: in an open package, held hedged
(HELD), or here. Residuals are hedged later: by the next package over the same leg, which starts with them,
or by a rescue package once they reach the venue's minimum (`package.py`). Two entries that hedge each other
are netted.
"""

from __future__ import annotations

from typing import Any

from oneprice.core.arena import emit, legs_of
from oneprice.core.jit import njit
from oneprice.core.records import N_PACKAGE_LEGS, RESIDUAL_ROW
from oneprice.execution.blotter import (
    N_HELD,
    N_RESIDUALS,
    NEVER,
    RES_FORCED,
    RES_NETTED,
    RES_ORPHAN,
    RES_OVERFLOW,
)
from oneprice.execution.rounding import unit_qty


@njit
def find_residual(s: Any, strategy: int, leg: int) -> int:
    """Index of the entry of (strategy, leg), or -1."""
    b = s.blotter
    for i in range(b.n_residuals):
        r = b.residuals[i]
        if r.lots != 0 and r.strategy == strategy and r.leg == leg:
            return i
    return -1


@njit
def add_residual(s: Any, strategy: int, leg: int, lots: int, mate: Any, key: int, why: int) -> int:
    """Add signed unhedged lots; `mate` = (leg that hedges it or -1, num, den). Returns the entry or -1 if it
    is gone.

    A full ledger asks for REDUCING and leaves a row: the lots stay in the position, but nothing will hedge
    them.
    """
    if lots == 0:
        return -1
    b = s.blotter
    i = find_residual(s, strategy, leg)
    if i < 0:
        i = 0
        while i < b.n_residuals and b.residuals[i].lots != 0:
            i += 1
        if i >= N_RESIDUALS:
            b.want_reducing = 1
            report_residual(s, strategy, leg, lots, key, RES_OVERFLOW)
            return -1
        b.n_residuals = max(b.n_residuals, i + 1)
        r = b.residuals[i]
        r.strategy = strategy
        r.leg = leg
        r.lots = 0
        r.since_ns = s.now_ns
        r.next_ns = s.now_ns
        r.tries = 0
    r = b.residuals[i]
    r.lots += lots
    r.mate = mate[0]
    r.mate_num = mate[1]
    r.mate_den = mate[2]
    r.key = key
    r.why = why
    if r.next_ns >= NEVER:
        r.next_ns = s.now_ns
        r.tries = 0
    b.residual_due = 1
    report_residual(s, strategy, leg, lots, key, why)
    if r.lots != 0:
        _net(s, i)
    if r.lots == 0:
        r.tries = 0
        return -1
    return i


@njit
def take_residual(s: Any, strategy: int, leg: int) -> int:
    """Remove and return the signed lots of (strategy, leg): a package takes them over."""
    i = find_residual(s, strategy, leg)
    if i < 0:
        return 0
    lots = s.blotter.residuals[i].lots
    s.blotter.residuals[i].lots = 0
    return lots


@njit
def _net(s: Any, i: int) -> None:
    """Net an entry with an opposite one on its mate: together they are a hedged pair."""
    b = s.blotter
    r = b.residuals[i]
    if r.mate < 0 or r.mate == r.leg or r.mate_num <= 0 or r.mate_den <= 0:
        return
    j = find_residual(s, r.strategy, r.mate)
    if j < 0:
        return
    q = b.residuals[j]
    if (q.lots > 0) == (r.lots > 0):
        return
    there = min(abs(r.lots) * r.mate_num // r.mate_den, abs(q.lots))
    here = there * r.mate_den // r.mate_num
    if here == 0 or there == 0 or here * r.mate_num != there * r.mate_den:
        return
    sign = 1 if r.lots > 0 else -1
    r.lots -= sign * here
    q.lots += sign * there
    hold_pair(s, r.strategy, r.leg, sign * here, q.leg, -sign * there)
    report_residual(s, r.strategy, r.leg, -sign * here, r.key, RES_NETTED)
    report_residual(s, r.strategy, q.leg, sign * there, r.key, RES_NETTED)


@njit
def report_residual(s: Any, strategy: int, leg: int, lots: int, key: int, why: int) -> None:
    """A RESIDUAL_ROW: a = change in signed lots, b = age in ns, c = the entry's total now, e = key, code =
    why."""
    row = emit(s, RESIDUAL_ROW)
    i = find_residual(s, strategy, leg)
    row.package = -1
    row.a = lots
    if i >= 0:
        row.b = s.now_ns - s.blotter.residuals[i].since_ns
        row.c = s.blotter.residuals[i].lots
    row.e = key
    row.leg = leg
    row.side = 1 if lots > 0 else -1
    row.strategy = strategy
    row.code = why


@njit
def unhedged(s: Any, underlying: int) -> float:
    """Signed unhedged quantity of an underlying over all strategies, in its units (inverse legs at the
    mid)."""
    b = s.blotter
    legs = legs_of(s)
    total = 0.0
    for i in range(b.n_residuals):
        r = b.residuals[i]
        if r.lots != 0 and legs[r.leg].underlying == underlying:
            total += r.lots * unit_qty(legs[r.leg])
    return total


@njit
def oldest_ns(s: Any) -> int:
    """Receive time since when the oldest residual stands, 0 = there is none."""
    b = s.blotter
    oldest = 0
    for i in range(b.n_residuals):
        r = b.residuals[i]
        if r.lots != 0 and (oldest == 0 or r.since_ns < oldest):
            oldest = r.since_ns
    return oldest


# ---------------------------------------------------------------- held hedged


@njit
def hold_slot(s: Any, strategy: int, wanted: Any, n: int) -> int:
    """The HELD entry of a strategy for an ascending list of legs, made if need be; -1 when there is no
    room."""
    b = s.blotter
    empty = -1
    for i in range(b.n_held):
        h = b.held[i]
        same = h.strategy == strategy and h.n_legs == n
        idle = True
        for j in range(h.n_legs):
            idle = idle and h.lots[j] == 0
            same = same and (j >= n or h.leg[j] == wanted[j])
        if same:
            return i
        if idle and empty < 0:
            empty = i
    if empty < 0:
        if b.n_held >= N_HELD:
            return -1
        empty = b.n_held
        b.n_held += 1
    h = b.held[empty]
    h.strategy = strategy
    h.n_legs = n
    for j in range(N_PACKAGE_LEGS):
        h.leg[j] = wanted[j] if j < n else -1
        h.lots[j] = 0
    return empty


@njit
def hold_pair(s: Any, strategy: int, a: int, a_lots: int, b: int, b_lots: int) -> None:
    """Add a hedged pair to what is held."""
    if a < b:
        i = hold_slot(s, strategy, (a, b), 2)
    else:
        i = hold_slot(s, strategy, (b, a), 2)
    if i < 0:
        s.blotter.want_reducing = 1
        report_residual(s, strategy, a, a_lots, 0, RES_OVERFLOW)
        report_residual(s, strategy, b, b_lots, 0, RES_OVERFLOW)
        return
    h = s.blotter.held[i]
    for j in range(2):
        if h.leg[j] == a:
            h.lots[j] += a_lots
        elif h.leg[j] == b:
            h.lots[j] += b_lots


@njit
def holder_of(s: Any, leg: int, sign: int) -> int:
    """The strategy that holds the most hedged lots of that sign on a leg, or -1."""
    b = s.blotter
    best = -1
    most = 0
    for i in range(b.n_held):
        h = b.held[i]
        for j in range(h.n_legs):
            if h.leg[j] == leg and h.lots[j] * sign > most:
                most = h.lots[j] * sign
                best = h.strategy
    return best


@njit
def lose_leg(s: Any, strategy: int, leg: int, lots: int) -> int:
    """A position on `leg` was changed by `lots` (signed) against us: the other legs that it hedged become
    residual.

    Strategy -1 means all. Returns the lots that no held group explains.
    """
    b = s.blotter
    for i in range(b.n_held):
        h = b.held[i]
        if lots == 0:
            break
        if strategy >= 0 and h.strategy != strategy:
            continue
        at = -1
        for j in range(h.n_legs):
            if h.leg[j] == leg:
                at = j
        if at < 0 or h.lots[at] == 0 or (h.lots[at] > 0) == (lots > 0):
            continue
        had = h.lots[at]
        gone = min(abs(had), abs(lots))
        for j in range(h.n_legs):
            if j != at:
                freed = h.lots[j] * gone // abs(had) if h.lots[j] > 0 else -(-h.lots[j] * gone // abs(had))
                h.lots[j] -= freed
                add_residual(s, h.strategy, h.leg[j], freed, (-1, 1, 1), 0, RES_FORCED)
        sign = 1 if had > 0 else -1
        h.lots[at] -= sign * gone
        lots += sign * gone
    return lots


@njit
def forced_fill(s: Any, strategy: int, leg: int, lots: int) -> None:
    """A fill of no order of ours (a liquidation, a lost order): what it unhedged, and the rest, become
    residual."""
    rest = lose_leg(s, strategy, leg, lots)
    if rest != 0:
        add_residual(s, strategy, leg, rest, (-1, 1, 1), 0, RES_ORPHAN)


@njit
def release(s: Any, strategy: int) -> None:
    """Forget what a strategy holds hedged and unhedged: its whole position is being closed."""
    b = s.blotter
    for i in range(b.n_held):
        if b.held[i].strategy == strategy:
            for j in range(b.held[i].n_legs):
                b.held[i].lots[j] = 0
    for i in range(b.n_residuals):
        r = b.residuals[i]
        if r.lots != 0 and r.strategy == strategy:
            lots = r.lots
            r.lots = 0
            report_residual(s, strategy, r.leg, -lots, r.key, RES_FORCED)
