"""What happens to money: fills, funding, borrow, transfers, settlement; all by double entry."""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.arena import leg_of, position_of
from oneprice.core.costs import fill_fee
from oneprice.core.jit import njit
from oneprice.core.money import V, exposure, mul_rate_e12
from oneprice.core.records import (
    BORROW_CAUSE,
    DIVIDEND_CAUSE,
    EXPIRED,
    FEE,
    FUNDING_CAUSE,
    INVERSE,
    NO_PRICE,
    ROUNDING,
    TAX,
    TRANSFER,
)
from oneprice.execution.settlement import settle_fill
from oneprice.risk.accounts import cash_flow, gain, move_cash, post
from oneprice.risk.attribution import mark, mark2_of, split_fill
from oneprice.risk.overlay import package_carry, package_charge, package_fill
from oneprice.risk.records import LEDGER as LEDGER
from oneprice.risk.records import (
    PRINCIPAL,
    carry_of,
    cash_account,
    currency_of,
    markout_of,
    position_account,
)


@njit
def on_fill(
    s: Any, ev: Any, strategy: int, decision_mid2: int, decision_touch_ticks: int, is_maker: int, package: int
) -> None:
    """Book a FILL event: position, cash, fee, tax, and the split of its P&L.

    `decision_mid2` and `decision_touch_ticks` are what the strategy saw when it decided; NO_PRICE (unknown:
    an order taken over after a restart) makes edge and slippage 0 and is counted in `n_unmarked`. `package`
    is a slot or -1. The fee is what the venue says (`ev.fee`, a cost is positive, taxes not in it); NO_PRICE
    there means that it does not say, and the leg's schedule is charged. Open lots are execution's to change.
    """
    i = ev.leg
    leg = leg_of(s, i)
    c = leg.currency
    lots = ev.qty
    q = lots if ev.side > 0 else -lots
    f2 = 2 * ev.price
    mid2 = decision_mid2
    touch2 = 2 * decision_touch_ticks
    unpriced = mid2 == NO_PRICE or decision_touch_ticks == NO_PRICE
    if unpriced or (leg.contract == INVERSE and (mid2 <= 0 or touch2 <= 0)):
        mid2 = f2
        touch2 = f2
        s.ledger.n_unmarked += 1
    own = position_of(s, strategy * s.n_legs + i)
    cash = cash_account(s, leg.venue, c)
    ref = ev.client_id
    cost = V(leg, q, f2)
    own.lots += q
    own.cash -= cost
    own.fills += 1
    if q > 0:
        own.bought_lots += q
    else:
        own.sold_lots -= q
    leg.position_lots += q
    settle_fill(leg, q, s.now_ns)
    cash_flow(s, leg.venue, c, -cost)
    post(s, cost, position_account(s, i), cash, PRINCIPAL, i, strategy, ref)
    split_fill(s, i, strategy, q, f2, mid2, touch2, ref)
    if ev.fee != NO_PRICE and (leg.buy_tax_e9 | leg.sell_tax_e9) == 0:
        fee, tax = ev.fee, 0
    else:
        fee, tax = fill_fee(leg, ev.side, lots, ev.price, is_maker != 0)
        if ev.fee != NO_PRICE:
            fee = ev.fee
    cash_flow(s, leg.venue, c, -fee - tax)
    gain(s, FEE, -fee, cash, c, i, strategy, ref)
    gain(s, TAX, -tax, cash, c, i, strategy, ref)
    if package >= 0:
        package_fill(s, package, i, strategy, q, f2, mid2, touch2 // 2)
        package_charge(s, package, c, fee + tax)
    if leg.trading == EXPIRED:
        settle(s, i)  # the answer came after the expiry it was filled before


@njit
def on_funding(s: Any, ev: Any) -> None:
    """Book a FUNDING event: longs pay a positive rate on their notional at the mark (the mid where it is 0).

    The venue charges the leg's whole position once; strategies bear their own, rounded one by one, and the
    difference is `rounding` of no strategy.
    """
    m2 = _mark_of(s, ev)
    if m2 != NO_PRICE:
        _charge_strategies(s, ev.leg, FUNDING_CAUSE, m2, ev.rate_e12)


@njit
def on_borrow(s: Any, ev: Any) -> None:
    """Book a BORROW event: each short position pays `rate_e12` of its notional at the mark (the mid where it is 0).

    A strategy that is short borrows for itself: what another holds long on the leg is not lent to it.
    """
    m2 = _mark_of(s, ev)
    if m2 != NO_PRICE:
        _charge_strategies(s, ev.leg, BORROW_CAUSE, m2, ev.rate_e12)


@njit
def on_dividend(s: Any, ev: Any) -> None:
    """Book a DIVIDEND event of `ticks_e12` ticks x 1e12 a unit of underlying: longs are paid, shorts pay.

    It is the value of so many ticks on what is held as the event comes (the ex-date), exact to one rounding a
    strategy. Inverse contracts pay none.
    """
    if leg_of(s, ev.leg).contract != INVERSE:
        _charge_strategies(s, ev.leg, DIVIDEND_CAUSE, 2, -ev.ticks_e12)


@njit
def _mark_of(s: Any, ev: Any) -> int:
    """Doubled price at which a charge takes its notional, or NO_PRICE if there is none yet."""
    m2 = 2 * ev.mark if ev.mark != NO_PRICE and ev.mark != 0 else mark2_of(s, ev.leg)
    if leg_of(s, ev.leg).contract == INVERSE and m2 <= 0:
        return NO_PRICE
    return m2


@njit
def _charge_strategies(s: Any, i: int, cause: int, m2: int, rate_e12: int) -> None:
    leg = leg_of(s, i)
    c = leg.currency
    cash = cash_account(s, leg.venue, c)
    charged = 0
    lots = 0
    for k in range(s.n_strategies):
        own = position_of(s, k * s.n_legs + i).lots
        if cause == BORROW_CAUSE:
            own = -own if own < 0 else 0
        lots += own
        paid = mul_rate_e12(exposure(leg, own, m2), rate_e12)
        charged += paid
        gain(s, cause, -paid, cash, c, i, k, 0)
        package_carry(s, k, c, cause, paid)
    total = mul_rate_e12(exposure(leg, lots, m2), rate_e12)
    cash_flow(s, leg.venue, c, -total)
    gain(s, ROUNDING, charged - total, cash, c, i, -1, 0)


@njit
def on_transfer(s: Any, c: int, source: int, target: int, amount: int, fee: int, ref: int) -> None:
    """Move cash of currency c between venues; the fee is paid at the source."""
    move_cash(s, c, source, target, amount, ref)
    cash_flow(s, source, c, -fee)
    gain(s, TRANSFER, -fee, cash_account(s, source, c), c, -1, -1, ref)


@njit
def on_charge(s: Any, venue: int, c: int, cause: int, amount: int, ref: int) -> None:
    """A cash gain (negative: a charge) of no leg, e.g. interest on borrowed cash under borrow."""
    cash_flow(s, venue, c, amount)
    gain(s, cause, amount, cash_account(s, venue, c), c, -1, -1, ref)


@njit
def on_expiry(s: Any, ev: Any) -> None:
    """Settle an EXPIRY event: everything held in the leg is marked out, closed in cash at `ev.price`, and
    expires.

    Without a settlement price (NO_PRICE) it settles at the last known mid.
    """
    i = ev.leg
    leg = leg_of(s, i)
    if ev.price != NO_PRICE:
        leg.last_ticks = ev.price
        leg.mid2_ticks = 2 * ev.price
    settle(s, i)
    leg.trading = EXPIRED


@njit
def settle(s: Any, i: int) -> None:
    """Close every strategy's position in leg i in cash at its mark; pending fills are marked out there."""
    m2 = mark2_of(s, i)
    if m2 == NO_PRICE:
        return
    mark(s, i)
    book = s.ledger
    for at in range(book.head, book.tail):
        pending = markout_of(s, at % book.capacity)
        if pending.leg == i:
            pending.lots = 0
    leg = leg_of(s, i)
    c = leg.currency
    for k in range(s.n_strategies):
        own = position_of(s, k * s.n_legs + i)
        value = V(leg, own.lots, m2)
        cash_flow(s, leg.venue, c, value)
        post(s, value, cash_account(s, leg.venue, c), position_account(s, i), PRINCIPAL, i, k, 0)
        own.cash += value
        leg.position_lots -= own.lots
        own.lots = 0
        own.inventory_lots = 0
        carry_of(s, k * s.n_legs + i).rounding = 0


@njit
def set_fx(s: Any, c: int, rate_e9: int) -> None:
    """Set the price of currency c in the report currency, x 1e9; posted to `fx` when next used."""
    if rate_e9 > 0 and c != s.ledger.report:
        currency_of(s, c).rate_e9 = rate_e9


@njit
def set_fx_from_leg(s: Any, i: int) -> None:
    """Take the mid of leg i as the rate of its `fx_currency`, rounded to 1e-9."""
    leg = leg_of(s, i)
    if leg.mid2_ticks != NO_PRICE and leg.mid2_ticks > 0:
        set_fx(s, leg.fx_currency, math.floor(leg.mid2_ticks * leg.tick * 0.5e9 + 0.5))
