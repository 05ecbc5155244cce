"""Sharpe ratios with their errors, and corrected for how many were tried.

All ratios are per period of the returns, never annualised inside a formula; kurtosis is raw (3 for the normal).

    s.e.^2  = (1 - skew SR + (kurt - 1) / 4 SR^2) / (T - 1)
    PSR(c)  = Phi((SR - c) / s.e.)
    DSR     = PSR(sqrt(V) E[max of N standard normals]),  V the variance of the ratios of all N tries

References: D. Bailey, M. Lopez de Prado (2012), The Sharpe ratio efficient frontier, doi 10.21314/JOR.2012.255; (2014),
The deflated Sharpe ratio, doi 10.3905/jpm.2014.40.5.094; A. Lo (2002), The statistics of Sharpe ratios,
doi 10.2469/faj.v58.n4.2453; E. Mertens (2002) for the error under skewness and kurtosis.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError

EULER = 0.5772156649015329
NORMAL = NormalDist()


class Moments(msgspec.Struct, frozen=True):
    """What the corrections need of a return series. NaN ratio: fewer than two returns, or all equal."""

    sharpe: float
    skewness: float
    kurtosis: float
    periods: int


def moments(returns: Any) -> Moments:
    """Sharpe ratio (ddof 1), skewness and raw kurtosis of returns, or of P&L, per period."""
    x = np.asarray(returns, np.float64)
    if not np.isfinite(x).all():
        raise ConfigError(f"returns: expected finite numbers, got {np.count_nonzero(~np.isfinite(x))} that are not")
    if len(x) < 2 or x.std() == 0.0:
        return Moments(math.nan, math.nan, math.nan, len(x))
    z = (x - x.mean()) / x.std()
    return Moments(float(x.mean() / x.std(ddof=1)), float(np.mean(z**3)), float(np.mean(z**4)), len(x))


# ---------------------------------------------------------------- the best of many
def expected_max(tries: int) -> float:
    """Expected largest of `tries` independent standard normal draws, approximately:

    (1 - g) q(1 - 1/N) + g q(1 - 1/(N e)), g Euler's constant, q the normal quantile. 2.5306 for 100, exactly 2.5076.
    """
    if tries < 1:
        raise ConfigError(f"tries: expected 1 or more, got {tries}")
    if tries == 1:
        return 0.0
    far = -NORMAL.inv_cdf(1.0 / (tries * math.e))
    return (1.0 - EULER) * -NORMAL.inv_cdf(1.0 / tries) + EULER * far


def expected_max_exact(tries: int) -> float:
    """The same by integration: E[max] = int_0^inf (1 - Phi^N - (1 - Phi)^N) dx."""
    from scipy.special import log_ndtr

    if tries < 1:
        raise ConfigError(f"tries: expected 1 or more, got {tries}")
    x, step = np.linspace(0.0, 12.0 + math.sqrt(2.0 * math.log(tries)), 20_001, retstep=True)
    f = -np.expm1(tries * log_ndtr(x)) - np.exp(tries * log_ndtr(-x))
    return float(step / 3.0 * (f[0] + f[-1] + 4.0 * f[1:-1:2].sum() + 2.0 * f[2:-1:2].sum()))


def independent_tries(tries: int, correlation: float) -> float:
    """Tries that count when all returns have this average correlation: rho + (1 - rho) N (2014, appendix 3)."""
    if tries < 1 or not 0.0 <= correlation <= 1.0:
        raise ConfigError(f"expected tries >= 1 and a correlation in [0, 1], got {tries} and {correlation}")
    return correlation + (1.0 - correlation) * tries


# ---------------------------------------------------------------- the ratio, its error, its probability
def sharpe_error(m: Moments) -> float:
    """Standard error of the ratio per period, returns independent, any skewness and kurtosis; NaN where undefined."""
    spread = _spread(m)
    return math.sqrt(spread / (m.periods - 1)) if m.periods > 1 and spread > 0.0 else math.nan


def probabilistic_sharpe(m: Moments, benchmark: float = 0.0) -> float:
    """Probability that the true ratio is above `benchmark`, given both moments and length; NaN where undefined."""
    if not math.isfinite(m.sharpe):
        return math.nan
    spread = _spread(m)
    if spread <= 0.0:
        return math.nan
    return NORMAL.cdf((m.sharpe - benchmark) * math.sqrt(m.periods - 1) / math.sqrt(spread))


def deflated_sharpe(m: Moments, *, tries: int, variance: float, exact: bool = False) -> tuple[float, float]:
    """(DSR, SR0): the probabilistic ratio against the best expected of so many worthless tries.

    variance: of the ratios of all tries, per period. exact: integrate the expected maximum instead of the
    approximation of the paper (SR0 is then about 1 % lower). SR0 = sqrt(variance) E[max].
    """
    if not variance >= 0.0:
        raise ConfigError(f"variance of the tries' ratios: expected 0 or more, got {variance}")
    bar = math.sqrt(variance) * (expected_max_exact(tries) if exact else expected_max(tries))
    return probabilistic_sharpe(m, bar), bar


def _spread(m: Moments) -> float:
    return 1.0 - m.skewness * m.sharpe + 0.25 * (m.kurtosis - 1.0) * m.sharpe**2


# ---------------------------------------------------------------- longer periods
def aggregated_sharpe(returns: Any, periods: int, *, lags: int | None = None) -> tuple[float, float]:
    """(ratio of `periods` summed returns, the same by the square-root rule), from returns of one period.

    SR(q) = SR q / sqrt(q + 2 sum_{k=1}^{q-1} (q - k) rho_k)   (Lo 2002). Returns that follow themselves make the
    square-root rule too high. lags: autocorrelations used (all q - 1 when left out); the rest are taken as 0.
    NaN when the series does not move or the estimated variance of the sum is not above 0.
    """
    x = np.asarray(returns, np.float64)
    most = periods - 1 if lags is None else lags
    if periods < 1 or not 0 <= most <= periods - 1 or most >= max(1, len(x)):
        raise ConfigError(
            f"expected periods >= 1, 0 <= lags < periods and fewer lags than returns, got {periods}, {most}, {len(x)}"
        )
    ratio = moments(x).sharpe
    if not math.isfinite(ratio):
        return math.nan, math.nan
    d = x - x.mean()
    k = np.arange(1, most + 1)
    rho = np.array([d[j:] @ d[:-j] for j in k]) / (d @ d)
    total = periods + 2.0 * float(np.sum((periods - k) * rho))
    scaled = ratio * periods / math.sqrt(total) if total > 0.0 else math.nan
    return scaled, ratio * math.sqrt(periods)
