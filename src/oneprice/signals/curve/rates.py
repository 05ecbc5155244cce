"""Zero, forward and par rates of any curve. A curve is anything with `discount(years) -> float`, 1 at 0.

The compounding is named in each call: a rate without it is no rate. Times in years, rates as shares (0.05).
"""

from __future__ import annotations

import math
from typing import Protocol

from oneprice.core.errors import ConfigError, unknown_name

PERIODS = {"annual": 1, "semiannual": 2, "quarterly": 4, "monthly": 12}
COMPOUNDINGS = ("continuous", "simple", *PERIODS)


class Discounts(Protocol):
    """A curve."""

    def discount(self, years: float) -> float:
        """Value now of one unit in `years`."""
        ...


def rate_of(growth: float, years: float, compounding: str) -> float:
    """The rate at which one unit grows to `growth` in `years`. Raises ConfigError for years <= 0 or an unknown word."""
    if not (years > 0 and growth > 0):
        raise ConfigError(f"rate: expected a growth and years above 0, got {growth} over {years}")
    if compounding == "continuous":
        return math.log(growth) / years
    if compounding == "simple":
        return (growth - 1.0) / years
    n = periods_of(compounding)
    return n * math.expm1(math.log(growth) / (n * years))


def growth_of(rate: float, years: float, compounding: str) -> float:
    """What one unit grows to: the inverse of `rate_of`."""
    if compounding == "continuous":
        return math.exp(rate * years)
    if compounding == "simple":
        return 1.0 + rate * years
    n = periods_of(compounding)
    if not rate > -n:
        raise ConfigError(f"rate {rate} compounded {compounding}: expected more than {-n}")
    return math.exp(n * years * math.log1p(rate / n))


def periods_of(compounding: str) -> int:
    """Payments a year of a word of PERIODS."""
    if compounding not in PERIODS:
        raise unknown_name("compounding", compounding, list(COMPOUNDINGS))
    return PERIODS[compounding]


def zero_rate(curve: Discounts, years: float, compounding: str) -> float:
    """Rate of a deposit from now for `years`."""
    return rate_of(1.0 / curve.discount(years), years, compounding)


def forward_rate(curve: Discounts, start: float, end: float, compounding: str) -> float:
    """Rate of a deposit agreed now from `start` to `end`. Raises ConfigError unless start < end."""
    if not 0 <= start < end:
        raise ConfigError(f"forward rate: expected 0 <= start < end, got {start} and {end}")
    return rate_of(curve.discount(start) / curve.discount(end), end - start, compounding)


def par_rate(curve: Discounts, years: float, frequency: str) -> float:
    """Coupon, paid `frequency` times a year, of a bond of `years` worth 1 now.

    The first coupon is short when `years` is no whole number of periods (no accrued interest).
    """
    n = periods_of(frequency)
    if not years > 0:
        raise ConfigError(f"par rate: expected years above 0, got {years}")
    count = math.ceil(years * n - 1e-9)  # payments, the last at `years`, the first maybe short
    annuity, before = 0.0, 0.0
    for t in (years - k / n for k in range(count - 1, -1, -1)):
        annuity += (t - before) * curve.discount(t)
        before = t
    return (1.0 - curve.discount(years)) / annuity
