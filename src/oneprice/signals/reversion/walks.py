"""Matched random walks: what a statistic shows when nothing reverts, on as many observations and as much fitting.

A spread given from outside is compared with walks; a residual of a regression among N series with residuals of
regressions among N independent walks, which look faster than walks because the fit made them so.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit

MOST_SERIES = 12


def check_walks(n: int, series: int) -> None:
    """ConfigError unless 1 <= series <= 12 and n >= 8 + series."""
    if not 1 <= series <= MOST_SERIES or n < 8 + series:
        raise ConfigError(f"walks: expected 1 to {MOST_SERIES} series and n >= 8 + series, got {series} and {n}")


def chunk_of(n: int, series: int = 1) -> int:
    """How many draws of n observations are made at a time: 8 MB a series at most, so that long ones fit too."""
    return max(1, min(500, 1_000_000 // (n * series)))


def draw_walks(rng: np.random.Generator, count: int, n: int, series: int = 1) -> np.ndarray:
    """float64 [count, n]: Gaussian walks (series = 1), or residuals of one walk on series - 1 others and a constant."""
    check_walks(n, series)
    walks = np.cumsum(rng.standard_normal((count, series, n)), axis=2)
    if series > 1:
        residuals(walks)
    return np.ascontiguousarray(walks[:, 0])


def percentile_among(walks: np.ndarray, value: Any) -> np.ndarray:
    """Percent of sorted `walks` that are at most `value`, counting the value itself: never below 100 / (walks + 1)."""
    return 100.0 * (np.searchsorted(walks, np.asarray(value, np.float64), side="right") + 1) / (len(walks) + 1)


@njit
def residuals(sets: Any) -> None:
    """Replace the first series of each set [m, series, n] by its residual on the others; those become orthonormal."""
    for s in range(len(sets)):
        y = sets[s, 0]
        y -= y.mean()
        orthonormal(sets[s, 1:])
        for j in range(1, sets.shape[1]):
            project_out(y, sets[s, j])


@njit
def orthonormal(rows: Any) -> None:
    """Demean rows [k, n] and make them orthonormal, in place: modified Gram-Schmidt."""
    for j in range(len(rows)):
        v = rows[j]
        v -= v.mean()
        for i in range(j):
            project_out(v, rows[i])
        v /= np.sqrt((v * v).sum())


@njit
def project_out(y: Any, v: Any) -> None:
    """y - v (y.v) for a v of unit norm, in place."""
    top = 0.0
    for t in range(len(y)):
        top += y[t] * v[t]
    for t in range(len(y)):
        y[t] -= top * v[t]
