"""Double entry: the one place that moves a balance, and foreign gains in the report currency.

Every P&L posting in a foreign currency is converted once (half to even) at the rate in force; what conversion
of the parts and of the whole differ by goes to `rounding`, at most one unit a posting:

    convert(N + x) - convert(N) - convert(x),  N the currency's equity, x the posting

so that report equity is always exactly the sum of convert(N_c), and exactly capital plus causes.
"""

from __future__ import annotations

from typing import Any

from oneprice.core.address import address_of, words_at
from oneprice.core.arena import emit, position_of
from oneprice.core.jit import njit
from oneprice.core.money import E9, mul_div, mul_rate_e9
from oneprice.core.records import FX, POSTING, ROUNDING
from oneprice.risk.records import (
    CAPITAL,
    CASH_MOVE,
    N_CAUSES,
    NO_STRATEGY,
    capital_account,
    cash_account,
    cause_account,
    currency_of,
    worth_account,
)


@njit
def post(s: Any, amount: int, debit: int, credit: int, code: int, leg: int, strategy: int, ref: int) -> None:
    """Move an amount from `credit` to `debit` and leave a POSTING row; a negative one moves the other way."""
    if amount == 0:
        return
    if amount < 0:
        amount = -amount
        debit, credit = credit, debit
    balances = words_at(address_of(s) + s.ledger.accounts_off)
    balances[debit] += amount
    balances[credit] -= amount
    s.ledger.n_postings += 1
    row = emit(s, POSTING)
    row.amount = amount
    row.debit = debit
    row.credit = credit
    row.code = code
    row.leg = leg
    row.strategy = strategy
    row.ref = ref


@njit
def to_report(s: Any, c: int, amount: int) -> int:
    """Ledger units of currency c in report units at the carried rate, rounded half to even once."""
    if c == s.ledger.report:
        return amount
    row = currency_of(s, c)
    if row.up == 1 and row.down == 1:
        return mul_rate_e9(amount, row.carried_e9)
    return mul_div(amount, row.carried_e9 * row.up, E9 * row.down)


@njit
def gain(s: Any, cause: int, amount: int, asset: int, c: int, leg: int, strategy: int, ref: int) -> None:
    """Post a gain (a loss if negative) of currency c to a cause, against an asset account.

    `leg` and `strategy` are -1 where it belongs to none; it is then unallocated in the attribution.
    """
    if amount == 0:
        return
    owner = strategy if strategy >= 0 else NO_STRATEGY
    post(s, amount, asset, cause_account(s, c, cause), cause, leg, owner, ref)
    if leg >= 0 and strategy >= 0:
        position_of(s, strategy * s.n_legs + leg).causes[cause] += amount
    else:
        words_at(address_of(s) + s.ledger.loose_off)[c * N_CAUSES + cause] += amount
    translate(s, c, amount, cause, leg, strategy, ref)


@njit
def translate(s: Any, c: int, amount: int, cause: int, leg: int, strategy: int, ref: int) -> None:
    """Carry a change of currency c's equity into the report books; cause -1 is capital."""
    row = currency_of(s, c)
    if c == s.ledger.report:
        row.equity += amount
        if cause >= 0:
            reported(s, cause, amount, leg, strategy)
        return
    revalue(s, c)
    before = to_report(s, c, row.equity)
    row.equity += amount
    after = to_report(s, c, row.equity)
    value = to_report(s, c, amount)
    rounding = after - before - value
    home = worth_account(s, s.n_currencies)
    owner = strategy if strategy >= 0 else NO_STRATEGY
    code = cause if cause >= 0 else CAPITAL
    post(s, value, worth_account(s, c), home + 1 + cause, code, leg, owner, ref)
    post(s, rounding, worth_account(s, c), home + 1 + ROUNDING, ROUNDING, leg, owner, ref)
    if cause >= 0:
        reported(s, cause, value, leg, strategy)
    reported(s, ROUNDING, rounding, leg, strategy)


@njit
def reported(s: Any, cause: int, value: int, leg: int, strategy: int) -> None:
    """Add report units to the attribution of a strategy and leg, or to what belongs to none."""
    cells = s.n_strategies * s.n_legs
    cell = strategy * s.n_legs + leg if leg >= 0 and strategy >= 0 else cells
    words_at(address_of(s) + s.ledger.reported_off)[cell * N_CAUSES + cause] += value


@njit
def revalue(s: Any, c: int) -> None:
    """Post to `fx` what the equity of currency c gained by its rate since it was last carried."""
    row = currency_of(s, c)
    if row.rate_e9 == row.carried_e9 or c == s.ledger.report:
        return
    before = to_report(s, c, row.equity)
    row.carried_e9 = row.rate_e9
    change = to_report(s, c, row.equity) - before
    home = worth_account(s, s.n_currencies)
    post(s, change, worth_account(s, c), home + 1 + FX, FX, -1, NO_STRATEGY, 0)
    reported(s, FX, change, -1, -1)


@njit
def revalue_all(s: Any) -> None:
    """Carry every currency at its latest rate."""
    for c in range(s.n_currencies):
        revalue(s, c)


@njit
def equity(s: Any) -> int:
    """Equity in report units at the marks and rates last posted."""
    total = 0
    for c in range(s.n_currencies):
        total += to_report(s, c, currency_of(s, c).equity)
    return total


@njit
def cause_total(s: Any, cause: int) -> int:
    """Sum of a cause over all strategies, legs and currencies, in report units."""
    balances = words_at(address_of(s) + s.ledger.accounts_off)
    home = worth_account(s, s.n_currencies)
    return -balances[cause_account(s, s.ledger.report, cause)] - balances[home + 1 + cause]


@njit
def cash_flow(s: Any, venue: int, c: int, amount: int) -> None:
    """Note a cash flow as the venue states it; no posting reads this, `close_check` compares both."""
    words_at(address_of(s) + s.ledger.statement_off)[venue * s.n_currencies + c] += amount


@njit
def deposit(s: Any, venue: int, c: int, amount: int) -> None:
    """Capital in (negative: out) of a venue, in ledger units of currency c."""
    cash_flow(s, venue, c, amount)
    post(s, amount, cash_account(s, venue, c), capital_account(s, c), CAPITAL, -1, NO_STRATEGY, 0)
    translate(s, c, amount, -1, -1, -1, 0)


@njit
def move_cash(s: Any, c: int, source: int, target: int, amount: int, ref: int) -> None:
    """Move cash between venues; equity does not change."""
    cash_flow(s, source, c, -amount)
    cash_flow(s, target, c, amount)
    post(s, amount, cash_account(s, target, c), cash_account(s, source, c), CASH_MOVE, -1, NO_STRATEGY, ref)
