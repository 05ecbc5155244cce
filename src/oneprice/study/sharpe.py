"""Sharpe ratios corrected for how many were tried (Bailey and Lopez de Prado 2012, 2014).

All ratios are per period of the returns, never annualised; kurtosis is raw (3 for the normal).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from oneprice.core.errors import ConfigError

EULER = 0.5772156649015329
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Moments:
    """What the correction needs of a return series. NaN ratio: fewer than two returns, or all equal."""

    sharpe: float
    skewness: float
    kurtosis: float
    periods: int


def moments(returns: np.ndarray) -> Moments:
    """Sharpe ratio (ddof 1), skewness and raw kurtosis of a series of returns or of P&L per period."""
    x = np.asarray(returns, np.float64)
    if not np.isfinite(x).all():
        raise ConfigError(
            f"returns: expected finite numbers, got {np.count_nonzero(~np.isfinite(x))} that are not"
        )
    if len(x) < 2 or x.std() == 0.0:
        return Moments(math.nan, math.nan, math.nan, len(x))
    z = (x - x.mean()) / x.std()
    return Moments(float(x.mean() / x.std(ddof=1)), float(np.mean(z**3)), float(np.mean(z**4)), len(x))


def expected_max(tries: int) -> float:
    """Expected largest of `tries` independent standard normal draws: (1-g) q(1-1/N) + g q(1-1/(N e))."""
    if tries < 1:
        raise ConfigError(f"tries: expected 1 or more, got {tries}")
    if tries == 1:
        return 0.0
    return (1.0 - EULER) * _NORMAL.inv_cdf(1.0 - 1.0 / tries) + EULER * _NORMAL.inv_cdf(
        1.0 - 1.0 / (tries * math.e)
    )


def probabilistic_sharpe(m: Moments, benchmark: float = 0.0) -> float:
    """Probability that the true ratio is above `benchmark`, given skewness, kurtosis and length.

    PSR = Phi((SR - SR*) sqrt(T-1) / sqrt(1 - skew SR + (kurt - 1)/4 SR^2)); NaN where the ratio is.
    """
    if not math.isfinite(m.sharpe):
        return math.nan
    spread = 1.0 - m.skewness * m.sharpe + 0.25 * (m.kurtosis - 1.0) * m.sharpe**2
    if spread <= 0.0:
        return math.nan
    return _NORMAL.cdf((m.sharpe - benchmark) * math.sqrt(m.periods - 1) / math.sqrt(spread))


def deflated_sharpe(m: Moments, *, tries: int, variance: float) -> tuple[float, float]:
    """(DSR, SR0): the probabilistic ratio against the best expected of so many worthless tries.

    variance : of the ratios of all tries, per period. SR0 = sqrt(variance) expected_max(tries).
    """
    if not variance >= 0.0:
        raise ConfigError(f"variance of the tries' ratios: expected 0 or more, got {variance}")
    bar = math.sqrt(variance) * expected_max(tries)
    return probabilistic_sharpe(m, bar), bar
