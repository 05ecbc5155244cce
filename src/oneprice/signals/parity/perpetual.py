"""Perpetual futures: the price at which paying funding costs what carrying costs, and the band that costs leave.

Funding of k (F - S) a year is paid by the long. Without frictions F/S = k / (k - (r - r')), r the rate of the quote
currency and r' what the asset itself earns, and the funding paid is then (r - r') F.
Source: He, Manela, Ross and von Wachter, Fundamentals of perpetual futures (2022), arXiv:2212.06888.
"""

from __future__ import annotations

import math

from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit

HOURS_A_YEAR = 8760.0


@njit
def perpetual_ratio(funding_a_year: float, rate: float) -> float:
    """F/S = k / (k - rate); NaN unless k > rate: funding too weak to hold a price."""
    return funding_a_year / (funding_a_year - rate) if funding_a_year > rate else math.nan


@njit
def funding_rate(premium: float, interest: float, clamp: float, cap: float) -> float:
    """Funding of one interval: P + clamp(I - P, +-clamp), then within +-cap. NaN stays NaN."""
    moved = premium + min(max(interest - premium, -clamp), clamp)
    return min(max(moved, -cap), cap)


@njit
def perpetual_low(
    spot_bid: float, funding_a_year: float, lend_rate: float, asset_rate: float, cost_a_year: float
) -> float:
    """Lowest price at which nothing is earned by short spot and long perpetual: rate r_l - r' - cost."""
    return spot_bid * perpetual_ratio(funding_a_year, lend_rate - asset_rate - cost_a_year)


@njit
def perpetual_high(
    spot_ask: float, funding_a_year: float, borrow_rate: float, asset_rate: float, cost_a_year: float
) -> float:
    """Highest price at which nothing is earned by long spot and short perpetual: rate r_b - r' + cost."""
    return spot_ask * perpetual_ratio(funding_a_year, borrow_rate - asset_rate + cost_a_year)


def perpetual_band(
    spot: tuple[float, float],
    funding_a_year: float,
    rates: tuple[float, float],
    *,
    asset_rates: tuple[float, float] = (0.0, 0.0),
    cost: float = 0.0,
    hold_years: float = 30.0 / 365.0,
) -> tuple[float, float]:
    """(low, high) of a perpetual.

    Parameters
    ----------
    spot : (bid, ask).
    funding_a_year : k, how many times a year the premium is paid: 3 a day for a premium paid each 8 hours is 1095.
    rates, asset_rates : (lend, borrow) of the quote currency and of the asset.
    cost : share of notional for the four trades, spread over `hold_years`: the band narrows with the time one may wait.

    Raises
    ------
    ConfigError
        A crossed or non-positive spot, lend above borrow, k or the holding time not above 0.
    """
    if not 0 < spot[0] <= spot[1]:
        raise ConfigError(f"perpetual band: expected 0 < bid <= ask, got {spot}")
    for name, (lend, borrow) in (("rates", rates), ("asset_rates", asset_rates)):
        if not lend <= borrow:
            raise ConfigError(f"perpetual band: {name}: expected lend <= borrow, got {lend} and {borrow}")
    if not (funding_a_year > 0 and hold_years > 0 and cost >= 0):
        raise ConfigError(
            f"perpetual band: expected funding_a_year and hold_years above 0 and cost of 0 or more, got "
            f"{funding_a_year}, {hold_years}, {cost}"
        )
    spread = cost / hold_years
    low = perpetual_low(spot[0], funding_a_year, rates[0], asset_rates[1], spread)
    high = perpetual_high(spot[1], funding_a_year, rates[1], asset_rates[0], spread)
    return low, high


def annualised(rate: float, hours: float = 8.0) -> tuple[float, float]:
    """(simple, compounded) a year of a rate paid each `hours`."""
    if not hours > 0:
        raise ConfigError(f"annualised: expected hours above 0, got {hours}")
    n = HOURS_A_YEAR / hours
    return rate * n, math.expm1(n * math.log1p(rate))
