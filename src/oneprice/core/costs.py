"""The exact charge of one fill, in ledger units of the leg's settlement currency."""

from __future__ import annotations

from typing import Any

from oneprice.core.jit import njit
from oneprice.core.money import V, mul_rate_e9


@njit
def fill_fee(leg: Any, side: int, lots: int, price_ticks: int, maker: bool) -> Any:
    """(fee, tax) of a fill of `lots` > 0 at `price_ticks`, each rounded half to even once; a rebate is
    negative.

    `fee = |V| * rate + fee_per_lot * lots`, `tax = |V| * buy or sell tax`, with V the value of the fill.
    """
    value = V(leg, lots, 2 * price_ticks)
    if value < 0:
        value = -value
    rate = leg.maker_fee_e9 if maker else leg.taker_fee_e9
    tax_rate = leg.buy_tax_e9 if side > 0 else leg.sell_tax_e9
    return mul_rate_e9(value, rate) + leg.fee_per_lot * lots, mul_rate_e9(value, tax_rate)
