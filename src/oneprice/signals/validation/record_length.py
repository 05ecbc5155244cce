"""How long a record must be: to believe a Sharpe ratio, and to believe the best of many backtests.

    MinTRL = 1 + (1 - skew SR + (kurt - 1) / 4 SR^2) (z_level / (SR - SR*))^2      observations
    MinBTL = (E[max of N] / SR_annual)^2                                          years

References: D. Bailey, M. Lopez de Prado (2012), doi 10.21314/JOR.2012.255; D. Bailey, J. Borwein, M. Lopez de Prado,
Q. Zhu (2014), Pseudo-mathematics and financial charlatanism, doi 10.1090/noti1105.
"""

from __future__ import annotations

import math

from oneprice.core.errors import ConfigError
from oneprice.signals.validation.deflated import NORMAL, expected_max, expected_max_exact


def min_track_record(
    sharpe: float, benchmark: float = 0.0, *, skewness: float = 0.0, kurtosis: float = 3.0, level: float = 0.95
) -> float:
    """Observations until the ratio is above `benchmark` with probability `level`; inf when it is not above it.

    Ratios are per period of the returns, kurtosis is raw. Divide by the periods of a year for years.
    """
    if not 0.5 < level < 1.0:
        raise ConfigError(f"level: expected a number in (0.5, 1), got {level}")
    spread = 1.0 - skewness * sharpe + 0.25 * (kurtosis - 1.0) * sharpe**2
    if not (math.isfinite(sharpe - benchmark) and spread > 0.0):
        raise ConfigError(
            f"expected finite ratios and 1 - skew SR + (kurt - 1) / 4 SR^2 > 0, got {sharpe}, {benchmark} and {spread}"
        )
    if sharpe <= benchmark:
        return math.inf
    return 1.0 + spread * (NORMAL.inv_cdf(level) / (sharpe - benchmark)) ** 2


def min_backtest_length(tries: int, sharpe_annual: float = 1.0, *, exact: bool = False) -> float:
    """Years of data below which the best of so many worthless backtests is expected to show `sharpe_annual`."""
    if not sharpe_annual > 0.0:
        raise ConfigError(f"sharpe_annual: expected a number above 0, got {sharpe_annual}")
    return ((expected_max_exact if exact else expected_max)(tries) / sharpe_annual) ** 2


def most_tries(years: float, sharpe_annual: float = 1.0) -> int:
    """Tries that so many years allow: the largest N with min_backtest_length(N) <= years, at least 1."""
    if not years > 0.0:
        raise ConfigError(f"years: expected a number above 0, got {years}")
    high = 2
    while min_backtest_length(high, sharpe_annual) <= years:
        high *= 2
        if high > 1 << 60:
            raise ConfigError(f"years: {years:g} at a ratio of {sharpe_annual:g} allow more than 1e18 tries")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if min_backtest_length(middle, sharpe_annual) <= years else (low, middle)
    return low
