"""Kernels of the residual-based tests: the residual of a cointegrating regression and its unit-root statistic."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.jit import njit
from oneprice.signals.unit_root.kernels import adf_stat, choose_lags, choose_lags_quick, deterministic, orthonormalise

COLLINEAR = 100.0 * math.sqrt(2.220446049250313e-16)  # 1 - R^2 at or below which no test is possible


@njit
def regress(series: Any, trend: int, columns: Any, z: Any) -> float:
    """Residual of series[0] on the others and the trend into the last used row of `columns`; returns 1 - R^2.

    series [N, T]; columns: work [N + trend + 1, T]. R^2 is centred when there is a constant. Regressors are centred
    first then: the span is the same and levels far from zero keep their digits.
    """
    n_series, n = series.shape
    m = trend + n_series - 1
    deterministic(columns, trend, n)
    for i in range(1, n_series):
        shift = np.mean(series[i]) if trend >= 1 else 0.0
        for t in range(n):
            columns[trend + i - 1, t] = series[i, t] - shift
    y = columns[m]
    shift = np.mean(series[0]) if trend >= 1 else 0.0
    for t in range(n):
        y[t] = series[0, t] - shift
    total = orthonormalise(columns, m, n, z)
    return np.dot(y, y) / total if total > 0.0 else 0.0


@njit
def residual_test(series: Any, settings: Any, columns: Any, wide: Any, z: Any) -> Any:
    """(t, lags used, 1 - R^2) of one relation. settings (lags or most, trend, criterion); t is -inf when collinear."""
    lags, trend, criterion = settings
    short = regress(series, trend, columns, z)
    if not short > COLLINEAR:
        return -math.inf, 0, short
    residual = columns[trend + len(series) - 1]
    used = lags
    if criterion != 0:
        used = choose_lags(residual, (lags, 0, criterion), wide, z)
    return adf_stat(residual, used, 0, wide, z), used, short


@njit
def residual_tests(series: Any, settings: Any, stat: Any, used: Any) -> None:
    """`residual_test` of each relation of series [m, N, T]."""
    lags, trend, criterion = settings
    n_series, n = series.shape[1], series.shape[2]
    columns = np.empty((n_series + trend + 1, n))
    wide = np.empty((lags + 2, n))
    z = np.empty(n_series + trend + lags + 3)
    for i in range(len(series)):
        t, p, _ = residual_test(series[i], (lags, trend, criterion), columns, wide, z)
        stat[i] = t
        used[i] = p


@njit
def null_tests(series: Any, settings: Any, stat: Any) -> None:
    """The same for simulated walks, lags chosen from moments; stat alone."""
    lags, trend, criterion = settings
    n_series, n = series.shape[1], series.shape[2]
    columns = np.empty((n_series + trend + 1, n))
    wide = np.empty((lags + 2, n))
    z, g = np.empty(n_series + trend + lags + 3), np.empty((lags + 2, lags + 2))
    for i in range(len(series)):
        regress(series[i], trend, columns, z)
        residual = columns[trend + n_series - 1]
        p = lags
        if criterion != 0:
            p = choose_lags_quick(residual, (lags, 0, criterion), g)
        stat[i] = adf_stat(residual, p, 0, wide, z)


@njit
def pair_tests(a: Any, b: Any, pairs: Any, settings: Any, stat: Any, used: Any) -> None:
    """`residual_test` of a[i] on b[j] for each (i, j) of `pairs` [m, 2], into stat and used [nA, nB]."""
    lags, trend, _ = settings
    n = a.shape[1]
    both = np.empty((2, n))
    columns = np.empty((trend + 3, n))
    wide = np.empty((lags + 2, n))
    z = np.empty(trend + lags + 5)
    for k in range(len(pairs)):
        i, j = pairs[k, 0], pairs[k, 1]
        both[0] = a[i]
        both[1] = b[j]
        t, p, _ = residual_test(both, settings, columns, wide, z)
        stat[i, j] = t
        used[i, j] = p
