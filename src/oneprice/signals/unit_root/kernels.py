"""Kernels of the unit-root regressions: least squares by modified Gram-Schmidt, one column a time.

    d_t = det'c + rho x_t + sum_{i=1..p} g_i d_{t-i} + eps_t,   d_t = x_{t+1} - x_t,   stat = t(rho)

Columns are orthogonalised instead of solving normal equations: the regressors of a smooth series are nearly
collinear and squaring their condition would cost the last eight digits. The level comes last in the final
regression, so its t is read off the last projection; in the choice of lags it comes before the lags, so that
one factorisation holds the residual sums of squares of all nested regressions.

Sources: Said and Dickey (1984), doi:10.1093/biomet/71.3.599; Golub and Van Loan, Matrix Computations, 5.2.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.jit import njit

AIC, BIC = 1, 2
DEPENDENT = 1e-14  # a column shorter than this share of itself after projection adds nothing


@njit
def orthonormalise(columns: Any, m: int, n: int, z: Any) -> float:
    """Gram-Schmidt of rows 0..m-1 of `columns` [m+1, n], the target in row m; z[k] = q_k'y. Returns y'y before."""
    y = columns[m, :n]
    total = np.dot(y, y)
    for k in range(m):
        q = columns[k, :n]
        length = math.sqrt(np.dot(q, q))
        if length == 0.0:
            z[k] = 0.0
            continue
        for i in range(n):
            q[i] /= length
        for j in range(k + 1, m + 1):
            c = columns[j, :n]
            before = np.dot(c, c)
            r = np.dot(q, c)
            for i in range(n):
                c[i] -= r * q[i]
            if j < m and np.dot(c, c) <= DEPENDENT * DEPENDENT * before:
                c[:] = 0.0
            if j == m:
                z[k] = r
    return total


@njit
def deterministic(columns: Any, trend: int, n: int) -> int:
    """Rows of 1 and of time (centred and scaled: the span is the same). trend: 0 none, 1 constant, 2 and trend."""
    if trend >= 1:
        columns[0, :n] = 1.0
    if trend >= 2:
        for t in range(n):
            columns[1, t] = (2.0 * t - (n - 1)) / n
    return trend


@njit
def lag_rows(x: Any, start: int, lags: int, columns: Any, at: int) -> None:
    """Rows at.. = d_{t-1}, ..., d_{t-lags} for t = start .. T-2."""
    n = len(x) - 1 - start
    for j in range(1, lags + 1):
        row = columns[at + j - 1]
        for t in range(n):
            u = start + t - j
            row[t] = x[u + 1] - x[u]


@njit
def level_and_target(x: Any, start: int, columns: Any, at: int, target: int) -> None:
    """Row `at` = x_t, row `target` = d_t for t = start .. T-2."""
    n = len(x) - 1 - start
    for t in range(n):
        columns[at, t] = x[start + t]
        columns[target, t] = x[start + t + 1] - x[start + t]


@njit
def adf_stat(x: Any, lags: int, trend: int, columns: Any, z: Any) -> float:
    """t of the level with `lags` lagged differences. columns: work [lags+trend+2, T]; NaN when nothing is left."""
    n = len(x) - 1 - lags
    m = trend + lags + 1
    if n <= m:
        return math.nan
    deterministic(columns, trend, n)
    lag_rows(x, lags, lags, columns, trend)
    level_and_target(x, lags, columns, m - 1, m)
    orthonormalise(columns, m, n, z)
    rest = columns[m, :n]
    return z[m - 1] / math.sqrt(np.dot(rest, rest) / (n - m))


@njit
def choose_lags(x: Any, settings: Any, columns: Any, z: Any) -> int:
    """Lags of smallest AIC or BIC, all on the sample of the longest. settings: most lags, trend, criterion."""
    most, trend, criterion = settings
    n = len(x) - 1 - most
    m = trend + most + 1
    deterministic(columns, trend, n)
    level_and_target(x, most, columns, trend, m)
    lag_rows(x, most, most, columns, trend + 1)
    left = orthonormalise(columns, m, n, z)
    penalty = 2.0 if criterion == AIC else math.log(n)
    for k in range(trend + 1):
        left -= z[k] * z[k]
    best, chosen = math.inf, 0
    for k in range(most + 1):
        if k > 0:
            left -= z[trend + k] * z[trend + k]
        score = math.log(left) * n + penalty * k
        if score < best:
            best, chosen = score, k
    return chosen


@njit
def lag_moments(x: Any, most: int, trend: int, g: Any) -> None:
    """Moments (lower half of g) of the rows det, level, d_{t-1}, ..., d_{t-most}, d_t on t = most .. T-2.

    Each further lag follows from the last by what enters and leaves the sample, so most + 1 products suffice.
    """
    m = len(x) - 1
    n = m - most
    at, last = trend, trend + most + 1
    e = x[most:m]
    d = np.empty(m)
    for t in range(m):
        d[t] = x[t + 1] - x[t]
    g[at, at] = np.dot(e, e)
    row = np.empty(most + 1)
    for k in range(most + 1):
        row[k] = np.dot(d[most:], d[most - k : m - k])
        g[last, at + k] = row[k]
    g[last, last] = row[0]
    level = 0.5 * (x[m] * x[m] - x[most] * x[most] - row[0])
    g[last, at] = level
    for k in range(most + 1):
        value = row[k]
        for i in range(most - k):
            value += d[most - 1 - i] * d[most - 1 - i - k] - d[m - 1 - i] * d[m - 1 - i - k]
            g[at + 1 + i + k, at + 1 + i] = value
        if k < most:
            level += row[k] + x[most] * d[most - 1 - k] - x[m] * d[m - 1 - k]
            g[at + 1 + k, at] = level
    if trend > 0:
        g[0, 0] = n
        g[at, 0] = np.sum(e)
        for k in range(most + 1):
            g[last if k == 0 else at + k, 0] = x[m - k] - x[most - k]
    if trend > 1:
        time = np.empty(n)
        for t in range(n):
            time[t] = (2.0 * t - (n - 1)) / n
        g[1, 0] = 0.0
        g[1, 1] = np.dot(time, time)
        g[at, 1] = np.dot(time, e)
        for k in range(most + 1):
            g[last if k == 0 else at + k, 1] = np.dot(time, d[most - k : m - k])


@njit
def choose_lags_quick(x: Any, settings: Any, g: Any) -> int:
    """`choose_lags` from moments: for walks, whose regressors are far from collinear. g: work [lags+trend+2, same]."""
    most, trend, criterion = settings
    n = len(x) - 1 - most
    m = trend + most + 1
    lag_moments(x, most, trend, g)
    for k in range(m):
        inverse = 1.0
        for j in range(k, m + 1):
            total = g[j, k]
            for r in range(k):
                total -= g[j, r] * g[k, r]
            if j == k:
                inverse = 1.0 / math.sqrt(total)
            g[j, k] = total * inverse
    penalty = 2.0 if criterion == AIC else math.log(n)
    left = g[m, m]
    for k in range(trend + 1):
        left -= g[m, k] * g[m, k]
    best, chosen = math.inf, 0
    for k in range(most + 1):
        if k > 0:
            left -= g[m, trend + k] * g[m, trend + k]
        score = math.log(left) * n + penalty * k
        if score < best:
            best, chosen = score, k
    return chosen


@njit
def adf_rows(x: Any, settings: Any, stat: Any, used: Any) -> None:
    """ADF of each row of x [m, T]. settings (lags or most lags, trend, criterion 0 fixed, 1 AIC, 2 BIC)."""
    lags, trend, criterion = settings
    columns, z = np.empty((lags + trend + 2, x.shape[1])), np.empty(lags + trend + 2)
    for i in range(len(x)):
        p = lags
        if criterion != 0:
            p = choose_lags(x[i], settings, columns, z)
        stat[i] = adf_stat(x[i], p, trend, columns, z)
        used[i] = p


@njit
def adf_rows_quick(x: Any, settings: Any, stat: Any, used: Any) -> None:
    """The same with lags chosen from moments: for simulated walks."""
    lags, trend, criterion = settings
    size = lags + trend + 2
    columns, z, g = np.empty((size, x.shape[1])), np.empty(size), np.empty((size, size))
    for i in range(len(x)):
        p = lags
        if criterion != 0:
            p = choose_lags_quick(x[i], settings, g)
        stat[i] = adf_stat(x[i], p, trend, columns, z)
        used[i] = p


@njit
def kpss_lags(e: Any) -> int:
    """Bandwidth of Hobijn, Franses and Ooms for residuals e: int(1.1447 (s1/s0)^(2/3) T^(1/3)), at most T-1."""
    n = len(e)
    s0, s1 = np.dot(e, e) / n, 0.0
    for i in range(1, int(n ** (2.0 / 9.0)) + 1):
        product = np.dot(e[i:], e[: n - i]) / (n / 2.0)
        s0 += product
        s1 += i * product
    ratio = s1 / s0
    return min(int(1.1447 * (ratio * ratio) ** (1.0 / 3.0) * n ** (1.0 / 3.0)), n - 1)


@njit
def kpss_stat(x: Any, trend: int, lags: int, columns: Any, z: Any) -> Any:
    """(statistic, lags used): partial sums of the detrended series over T^2 times its long-run variance.

    lags -1: chosen by `kpss_lags`. columns: work [trend+1, T]; trend 1 (level) or 2 (trend).
    """
    n = len(x)
    deterministic(columns, trend, n)
    columns[trend, :n] = x
    orthonormalise(columns, trend, n, z)
    e = columns[trend, :n]
    used = kpss_lags(e) if lags < 0 else lags
    variance = np.dot(e, e)
    for i in range(1, used + 1):
        variance += 2.0 * np.dot(e[i:], e[: n - i]) * (1.0 - i / (used + 1.0))
    total, square = 0.0, 0.0
    for t in range(n):
        total += e[t]
        square += total * total
    return square / n / variance, used


@njit
def kpss_rows(x: Any, trend: int, lags: int, stat: Any, used: Any) -> None:
    """KPSS of each row of x [m, T]."""
    columns, z = np.empty((trend + 1, x.shape[1])), np.empty(trend + 1)
    for i in range(len(x)):
        stat[i], used[i] = kpss_stat(x[i], trend, lags, columns, z)
