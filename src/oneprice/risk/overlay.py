"""What it cost that a package was not filled whole and at once: plan against fills, market against execution.

Per package slot, in report units at the rates in force. With touch0 and mid0 of the package's decision, and
mid_d of the decision of the order that filled:

    planned    -V(q, touch0)                              value locked by an instant fill
    realised   -V(q, f)
    market      V(q, mid0) - V(q, mid_d)                  the market moved before that order was decided
    execution  [V(q, mid_d) - V(q, f)] - [V(q, mid0) - V(q, touch0)]
    realised - planned (of the filled lots) = market + execution, the cost of legging (negative: a cost)
"""

from __future__ import annotations

from typing import Any

from oneprice.core.arena import leg_of
from oneprice.core.jit import njit
from oneprice.core.money import V, exposure
from oneprice.core.records import BORROW_CAUSE, DIVIDEND_CAUSE, N_PACKAGE_LEGS, N_PACKAGES
from oneprice.risk.accounts import to_report
from oneprice.risk.records import overlay_of


@njit
def package_open(s: Any, slot: int, ref: int, strategy: int) -> None:
    """Start the account of package number `ref` in a slot; the one before goes to its strategy's totals."""
    p = s.ledger.packages[slot]
    _total(s, p)
    p.ref = ref
    p.active = 1
    p.strategy = strategy
    p.opened_ns = s.now_ns
    p.last_ns = s.now_ns
    p.n_legs = 0
    p.n_fills = 0
    p.planned = 0
    p.planned_filled = 0
    p.realised = 0
    p.market = 0
    p.execution = 0
    p.fees = 0
    p.naked_value = 0
    p.worst_naked_value = 0
    p.naked_value_s = 0.0
    for j in range(N_PACKAGE_LEGS):
        p.leg[j] = -1
        p.touch_ticks[j] = 0
        p.mid2_ticks[j] = 0
        p.lots[j] = 0


@njit
def package_plan(s: Any, slot: int, i: int, lots: int, touch_ticks: int, mid2: int) -> int:
    """Plan `lots` (signed) of leg i at the decision's touch and doubled mid; its index, or -1 if full."""
    p = s.ledger.packages[slot]
    j = p.n_legs
    if j >= N_PACKAGE_LEGS:
        return -1
    p.leg[j] = i
    p.touch_ticks[j] = touch_ticks
    p.mid2_ticks[j] = mid2
    p.n_legs = j + 1
    leg = leg_of(s, i)
    p.planned -= to_report(s, leg.currency, V(leg, lots, 2 * touch_ticks))
    return j


@njit
def package_fill(s: Any, slot: int, i: int, strategy: int, q: int, f2: int, mid2: int, touch: int) -> None:
    """Account a fill of q signed lots of leg i; a leg never planned is planned at this order's decision."""
    if slot < 0 or slot >= N_PACKAGES:
        return
    p = s.ledger.packages[slot]
    if p.active == 0:
        package_open(s, slot, 0, strategy)
    j = -1
    for at in range(p.n_legs):
        if p.leg[at] == i:
            j = at
    if j < 0:
        j = package_plan(s, slot, i, 0, touch, mid2)
    if j < 0:
        return
    leg = leg_of(s, i)
    c = leg.currency
    plan = V(leg, q, 2 * p.touch_ticks[j])
    spread = V(leg, q, p.mid2_ticks[j]) - plan
    paid = V(leg, q, f2)
    p.planned_filled -= to_report(s, c, plan)
    p.realised -= to_report(s, c, paid)
    p.market += to_report(s, c, V(leg, q, p.mid2_ticks[j]) - V(leg, q, mid2))
    p.execution += to_report(s, c, V(leg, q, mid2) - paid - spread)
    p.lots[j] += q
    p.n_fills += 1
    _naked(s, p)


@njit
def package_charge(s: Any, slot: int, c: int, amount: int) -> None:
    """A fee or tax of a fill, in ledger units of currency c."""
    if slot >= 0 and slot < N_PACKAGES and s.ledger.packages[slot].active != 0:
        s.ledger.packages[slot].fees += to_report(s, c, amount)


@njit
def package_carry(s: Any, k: int, c: int, cause: int, paid: int) -> None:
    """Borrow or a dividend on what strategy k holds, `paid` in ledger units of currency c (a receipt is negative).

    The package that opened it is closed by then, so it goes to the strategy's totals: borrow as paid, dividends as
    received.
    """
    if cause == BORROW_CAUSE:
        overlay_of(s, k).borrow += to_report(s, c, paid)
    elif cause == DIVIDEND_CAUSE:
        overlay_of(s, k).dividend -= to_report(s, c, paid)


@njit
def _naked(s: Any, p: Any) -> None:
    """Integrate what stood naked until now, then measure it anew at the decision's mids."""
    naked = p.naked_value if p.naked_value >= 0 else -p.naked_value
    p.naked_value_s += naked * ((s.now_ns - p.last_ns) * 1e-9)
    p.last_ns = s.now_ns
    value = 0
    for j in range(p.n_legs):
        leg = leg_of(s, p.leg[j])
        value += to_report(s, leg.currency, exposure(leg, p.lots[j], p.mid2_ticks[j]))
    p.naked_value = value
    naked = value if value >= 0 else -value
    if naked > p.worst_naked_value:
        p.worst_naked_value = naked


@njit
def package_close(s: Any, slot: int) -> None:
    """A package is finished: its naked time ends now, and it goes to its strategy's totals."""
    p = s.ledger.packages[slot]
    if p.active != 0:
        _naked(s, p)
        _total(s, p)
        p.active = 0


@njit
def _total(s: Any, p: Any) -> None:
    if p.active == 0:
        return
    total = overlay_of(s, p.strategy)
    total.packages += 1
    total.n_fills += p.n_fills
    total.planned += p.planned
    total.planned_filled += p.planned_filled
    total.realised += p.realised
    total.market += p.market
    total.execution += p.execution
    total.fees += p.fees
    total.naked_value_s += p.naked_value_s
    total.worst_naked_value = max(total.worst_naked_value, p.worst_naked_value)
