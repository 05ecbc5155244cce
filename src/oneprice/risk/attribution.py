"""Where each cent came from: marks of a fill telescope into causes, each computed on its own, in integers.

For q lots filled at f, with mids and touches doubled where needed:

    edge       V(q, mid_decision) - V(q, touch_decision)
    slippage   V(q, touch_decision) - V(q, f)
    adverse    V(q, mid_horizon) - V(q, mid_decision)         (posted in steps while it is pending)
    inventory  V(Q, mark) - V(Q, mark before)                 (Q: lots past their horizon)

Inverse values are rounded one by one, so a sum of parts may differ from the value of the whole by less than a
unit a part; `[V(Q + q, m) - V(Q, m)] - V(q, m)` goes to `rounding` when lots join the inventory, and so does
the gap of the parts still pending at each mark.
"""

from __future__ import annotations

from typing import Any

from oneprice.core.address import address_of, words_at
from oneprice.core.arena import emit, leg_of, position_of
from oneprice.core.jit import njit
from oneprice.core.money import V
from oneprice.core.records import ADVERSE, EDGE, EQUITY, INVENTORY, INVERSE, NO_PRICE, ROUNDING, SLIPPAGE
from oneprice.risk.accounts import cause_total, equity, gain, revalue_all
from oneprice.risk.records import (
    DUE_AT_ONCE,
    NO_LIMIT,
    carry_of,
    markout_of,
    position_account,
)


@njit
def mark2_of(s: Any, i: int) -> int:
    """Doubled price at which leg i is valued: its last known mid, else its last fill, else NO_PRICE."""
    leg = leg_of(s, i)
    m2 = leg.mid2_ticks
    if m2 == NO_PRICE or (leg.contract == INVERSE and m2 <= 0):
        return words_at(address_of(s) + s.ledger.fallback_off)[i]
    return m2


@njit
def split_fill(s: Any, i: int, k: int, q: int, f2: int, mid2: int, touch2: int, ref: int) -> None:
    """Post edge and slippage of `q` signed lots of leg i filled at doubled price f2, and await the markout.

    Afterwards the lots are carried at the decision's mid.
    """
    leg = leg_of(s, i)
    asset = position_account(s, i)
    at_touch = V(leg, q, touch2)
    gain(s, EDGE, V(leg, q, mid2) - at_touch, asset, leg.currency, i, k, ref)
    gain(s, SLIPPAGE, at_touch - V(leg, q, f2), asset, leg.currency, i, k, ref)
    words_at(address_of(s) + s.ledger.fallback_off)[i] = f2
    book = s.ledger
    if book.tail - book.head == book.capacity:
        finish_oldest(s)
        book.n_early += 1
    pending = markout_of(s, book.tail % book.capacity)
    pending.due_ns = s.now_ns + book.horizon_ns
    pending.lots = q
    pending.mark2_ticks = mid2
    pending.leg = i
    pending.strategy = k
    book.tail += 1
    book.next_due_ns = markout_of(s, book.head % book.capacity).due_ns


@njit(apart=True)
def due(s: Any) -> None:
    """Mark out every fill whose horizon has passed, at the mids in force: before the event moves them.

    The caller compares `s.ledger.next_due_ns` first, so nothing due costs one comparison. What is more
    than DUE_AT_ONCE waits for the next event.
    """
    book = s.ledger
    done = 0
    while book.next_due_ns <= s.now_ns and done < DUE_AT_ONCE:
        finish_oldest(s)
        done += 1


@njit
def finish_oldest(s: Any) -> None:
    """Mark out the oldest pending fill now and let its lots join the inventory."""
    book = s.ledger
    pending = markout_of(s, book.head % book.capacity)
    i = pending.leg
    m2 = mark2_of(s, i)
    leg = leg_of(s, i)
    k = pending.strategy
    q = pending.lots
    asset = position_account(s, i)
    gain(s, ADVERSE, V(leg, q, m2) - V(leg, q, pending.mark2_ticks), asset, leg.currency, i, k, 0)
    mark_inventory(s, i, k, m2)
    own = position_of(s, k * s.n_legs + i)
    held = own.inventory_lots
    if leg.contract == INVERSE:
        joined = V(leg, held + q, m2) - V(leg, held, m2)
        gain(s, ROUNDING, joined - V(leg, q, m2), asset, leg.currency, i, k, 0)
    own.inventory_lots = held + q
    own.inventory_mark2_ticks = m2
    book.head += 1
    book.next_due_ns = NO_LIMIT
    if book.head < book.tail:
        book.next_due_ns = markout_of(s, book.head % book.capacity).due_ns


@njit
def mark_inventory(s: Any, i: int, k: int, m2: int) -> None:
    """Carry the inventory of strategy k in leg i at m2."""
    own = position_of(s, k * s.n_legs + i)
    held = own.inventory_lots
    if held != 0 and own.inventory_mark2_ticks != m2:
        leg = leg_of(s, i)
        change = V(leg, held, m2) - V(leg, held, own.inventory_mark2_ticks)
        gain(s, INVENTORY, change, position_account(s, i), leg.currency, i, k, 0)
    own.inventory_mark2_ticks = m2


@njit
def mark_pending(s: Any, only: int) -> None:
    """Carry pending fills (of leg `only`, or all if negative) at the mids; `mark_cells` posts that."""
    book = s.ledger
    at = book.head
    while at < book.tail:
        pending = markout_of(s, at % book.capacity)
        at += 1
        i = pending.leg
        if only >= 0 and i != only:
            continue
        m2 = mark2_of(s, i)
        leg = leg_of(s, i)
        value = V(leg, pending.lots, m2)
        carry = carry_of(s, pending.strategy * s.n_legs + i)
        carry.adverse += value - V(leg, pending.lots, pending.mark2_ticks)
        carry.parts_value += value
        pending.mark2_ticks = m2


@njit
def mark_cells(s: Any, i: int) -> None:
    """Post, by strategy, `adverse` of pending fills in leg i, its inventory, and the rounding of parts."""
    m2 = mark2_of(s, i)
    if m2 == NO_PRICE:
        return
    leg = leg_of(s, i)
    for k in range(s.n_strategies):
        carry = carry_of(s, k * s.n_legs + i)
        asset = position_account(s, i)
        gain(s, ADVERSE, carry.adverse, asset, leg.currency, i, k, 0)
        mark_inventory(s, i, k, m2)
        if leg.contract == INVERSE:
            own = position_of(s, k * s.n_legs + i)
            gap = V(leg, own.lots, m2) - V(leg, own.inventory_lots, m2) - carry.parts_value
            gain(s, ROUNDING, gap - carry.rounding, asset, leg.currency, i, k, 0)
            carry.rounding = gap
        carry.adverse = 0
        carry.parts_value = 0


@njit
def mark(s: Any, i: int) -> None:
    """Carry everything held in leg i at its mid."""
    mark_pending(s, i)
    mark_cells(s, i)


@njit
def mark_all(s: Any) -> None:
    """Carry every position at its mid and every currency at its rate; equity is then exact."""
    mark_pending(s, -1)
    for i in range(s.n_legs):
        mark_cells(s, i)
    revalue_all(s)


@njit
def emit_equity(s: Any) -> None:
    """EQUITY rows, in report units.

    Code 0: a = equity, b = its peak, c = events folded. Codes 1, 2 and 3: causes 0-4, 5-9, 10 and 11 in a..e.
    """
    total = equity(s)
    if total > s.gate.peak_equity:
        s.gate.peak_equity = total
    row = emit(s, EQUITY)
    row.a = total
    row.b = s.gate.peak_equity
    row.c = s.n_events
    for part in range(3):
        row = emit(s, EQUITY)
        row.code = part + 1
        row.a = cause_total(s, 5 * part)
        row.b = cause_total(s, 5 * part + 1)
        if part < 2:
            row.c = cause_total(s, 5 * part + 2)
            row.d = cause_total(s, 5 * part + 3)
            row.e = cause_total(s, 5 * part + 4)
