"""MacKinnon's response surfaces: p-values (1994) and critical values by length (2010) of the t of a unit root.

    p = Phi(sum_k b_k stat^k), cubic or quadratic by side of a bound; 1 above the highest, 0 below the lowest
    critical(T) = b0 + b1/T + b2/T^2 + b3/T^3

N counts the series in the relation: 1 for a series alone, 2 for a pair. Trend is that of the cointegrating regression.
The p-values are asymptotic: at T = 100 the true P(t < -5) is three times what they say; `null` simulates instead.

Sources: MacKinnon (1994), doi:10.1080/07350015.1994.10510005; MacKinnon (2010), Queen's Economics Department
working paper 1227 (no-constant rows: 1996, doi:10.1002/(SICI)1099-1255(199611)11:6<601::AID-JAE417>3.0.CO;2-T).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit
from oneprice.signals.unit_root.inputs import trend_code
from oneprice.signals.unit_root.tables import BOUNDS, CRITICAL, LARGE, SMALL


def surface(trend: str, n_series: int) -> np.ndarray:
    """The coefficients of one p-value surface as float64[10]: lowest, star, highest, 3 small, 4 large.

    Raises ConfigError outside N = 1..6.
    """
    trend_code(trend)
    if not 1 <= n_series <= len(SMALL[trend]):
        raise ConfigError(f"n_series: MacKinnon (1994) has 1..6, got {n_series}: use the simulated null")
    i = n_series - 1
    return np.concatenate([BOUNDS[trend][i], SMALL[trend][i], LARGE[trend][i]])


@njit
def surface_p(stat: float, b: Any) -> float:
    """p of one statistic on a `surface`; NaN for NaN."""
    if stat > b[2]:
        return 1.0
    if stat < b[0]:
        return 0.0
    if stat <= b[1]:
        x = b[3] + stat * (b[4] + stat * b[5])
    else:
        x = b[6] + stat * (b[7] + stat * (b[8] + stat * b[9]))
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


@njit
def surface_p_rows(stat: Any, b: Any, out: Any) -> None:
    """`surface_p` over an array of shape (n,)."""
    for i in range(len(stat)):
        out[i] = surface_p(stat[i], b)


def mackinnon_p(stat: Any, *, trend: str = "c", n_series: int = 1) -> Any:
    """Asymptotic p-value of t statistics (scalar or array; NaN stays NaN) for N series and a trend."""
    values = np.asarray(stat, np.float64)
    out = np.empty(values.size)
    surface_p_rows(np.ascontiguousarray(values).ravel(), surface(trend, n_series), out)
    return float(out[0]) if values.ndim == 0 else out.reshape(values.shape)


def mackinnon_critical(*, trend: str = "c", n_series: int = 1, n_obs: float = math.inf) -> tuple[float, float, float]:
    """Critical values at 1, 5 and 10 % for a sample of `n_obs`; NaN where no table exists (trend "n", N > 1).

    Raises ConfigError above N = 12.
    """
    trend_code(trend)
    if not 1 <= n_series <= len(CRITICAL["c"]):
        raise ConfigError(f"n_series: MacKinnon (2010) has 1..12, got {n_series}: use the simulated null")
    if n_series > len(CRITICAL[trend]):
        return (math.nan, math.nan, math.nan)
    inverse = 1.0 / n_obs
    at = CRITICAL[trend][n_series - 1].reshape(3, 4) @ inverse ** np.arange(4.0)
    return (float(at[0]), float(at[1]), float(at[2]))
