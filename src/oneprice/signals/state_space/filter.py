"""A Kalman filter for many noisy readings of few states: readings one at a time, so missing ones need no care.

    x_t = c + G x_{t-1} + w_t,  w ~ N(0, W);    y_ti = d_ti + Z_ti' x_t + v_ti,  v_ti ~ N(0, h_i) independent

The likelihood is that of the readings there are. A reading without noise (h = 0) is exact. Source: Durbin and Koopman,
Time Series Analysis by State Space Methods (2012), 6.4 (univariate treatment).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import DataError
from oneprice.core.jit import njit

LOG_2PI = math.log(2.0 * math.pi)


class Filtered(msgspec.Struct, frozen=True, eq=False):
    """`states` float64[T, m] given readings up to t; `innovations` float64[T, n], reading less its forecast given all
    readings of the dates before (NaN: no reading); `residuals` float64[T, n], reading less its value at the filtered
    state; `scaled` innovations over their standard deviations; `loglik`.
    """

    states: np.ndarray
    innovations: np.ndarray
    residuals: np.ndarray
    scaled: np.ndarray
    loglik: float


@njit
def predict(x: Any, p: Any, c: Any, g: Any, w: Any, work: Any) -> None:
    """One step of the states, in place; `work` float64[m, m]."""
    m = len(x)
    for i in range(m):
        total = c[i]
        for j in range(m):
            total += g[i, j] * x[j]
        work[0, i] = total
    for i in range(m):
        x[i] = work[0, i]
    for i in range(m):
        for j in range(m):
            total = 0.0
            for k in range(m):
                total += g[i, k] * p[k, j]
            work[i, j] = total
    for i in range(m):
        for j in range(i + 1):
            total = w[i, j]
            for k in range(m):
                total += work[i, k] * g[j, k]
            p[i, j] = p[j, i] = total


@njit
def update(x: Any, p: Any, z: Any, h: float, error: float, gain: Any) -> float:
    """Take in one reading whose forecast error is `error`; returns its log density (0 if it says nothing)."""
    m = len(x)
    variance = h
    for i in range(m):
        total = 0.0
        for j in range(m):
            total += p[i, j] * z[j]
        gain[i] = total
        variance += z[i] * total
    if not variance > 1e-300:
        return 0.0
    for i in range(m):
        x[i] += gain[i] * error / variance
        for j in range(i + 1):
            p[i, j] -= gain[i] * gain[j] / variance
            p[j, i] = p[i, j]
    return -0.5 * (LOG_2PI + math.log(variance) + error * error / variance)


@njit
def loglik_kernel(y: Any, z: Any, d: Any, h: Any, step: Any, start: Any, dates: Any) -> float:
    """Log-likelihood, and that of each date in dates float64[T].

    y, d float64[T, n]; z float64[T, n, m]; h float64[n]; step float64[m, 2m + 1]: c, G, W; start float64[m, m + 1]:
    mean, variance of the states before the first date.
    """
    m = z.shape[2]
    c, g, w = step[:, 0].copy(), step[:, 1 : m + 1].copy(), step[:, m + 1 :].copy()
    x, p = start[:, 0].copy(), start[:, 1:].copy()
    work, gain = np.empty((m, m)), np.empty(m)
    total = 0.0
    for t in range(y.shape[0]):
        predict(x, p, c, g, w, work)
        dates[t] = 0.0
        for i in range(y.shape[1]):
            if not math.isnan(y[t, i]):
                error = y[t, i] - d[t, i]
                for k in range(m):
                    error -= z[t, i, k] * x[k]
                dates[t] += update(x, p, z[t, i], h[i], error, gain)
        total += dates[t]
    return total


@njit
def filter_kernel(y: Any, z: Any, d: Any, h: Any, step: Any, start: Any, out: Any) -> float:
    """As `loglik_kernel`, and fill out float64[T, m + 3n]: states, innovations, their deviations, residuals."""
    m, n = z.shape[2], y.shape[1]
    c, g, w = step[:, 0].copy(), step[:, 1 : m + 1].copy(), step[:, m + 1 :].copy()
    x, p = start[:, 0].copy(), start[:, 1:].copy()
    work, gain = np.empty((m, m)), np.empty(m)
    total = 0.0
    for t in range(y.shape[0]):
        predict(x, p, c, g, w, work)
        for i in range(n):
            value, variance = d[t, i], h[i]
            for k in range(m):
                value += z[t, i, k] * x[k]
                for j in range(m):
                    variance += z[t, i, k] * p[k, j] * z[t, i, j]
            out[t, m + i] = y[t, i] - value
            out[t, m + n + i] = math.sqrt(max(variance, 0.0))
        for i in range(n):
            if not math.isnan(y[t, i]):
                error = y[t, i] - d[t, i]
                for k in range(m):
                    error -= z[t, i, k] * x[k]
                total += update(x, p, z[t, i], h[i], error, gain)
        out[t, :m] = x
        for i in range(n):
            value = d[t, i]
            for k in range(m):
                value += z[t, i, k] * x[k]
            out[t, m + 2 * n + i] = y[t, i] - value
    return total


@njit
def state_variance(y: Any, z: Any, h: Any, step: Any, start: Any, out: Any) -> None:
    """Fill out float64[m, m]: variance of the states given all readings. Of y only which readings there are counts."""
    m = z.shape[2]
    g, w = step[:, 1 : m + 1].copy(), step[:, m + 1 :].copy()
    x, p, c = np.zeros(m), start[:, 1:].copy(), np.zeros(m)
    work, gain = np.empty((m, m)), np.empty(m)
    for t in range(y.shape[0]):
        predict(x, p, c, g, w, work)
        for i in range(y.shape[1]):
            if not math.isnan(y[t, i]):
                update(x, p, z[t, i], h[i], 0.0, gain)
    out[:, :] = p


def filtered(
    y: np.ndarray, z: np.ndarray, d: np.ndarray, h: np.ndarray, step: np.ndarray, start: np.ndarray
) -> Filtered:
    """`filter_kernel` into new arrays."""
    m, n = z.shape[2], y.shape[1]
    out = np.empty((len(y), m + 3 * n))
    loglik = float(filter_kernel(y, z, d, h, step, start, out))
    innovations, sd = out[:, m : m + n], out[:, m + n : m + 2 * n]
    scaled = np.where(sd > 0, innovations / np.where(sd > 0, sd, 1.0), np.nan)
    return Filtered(out[:, :m].copy(), innovations.copy(), out[:, m + 2 * n :].copy(), scaled, loglik)


def standard_errors(logliks: Callable[[np.ndarray], np.ndarray], theta: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Standard errors at a maximum, float64[2, k]: from the curvature, and robust to noise that is not normal.

    `logliks(theta)` float64[T] by date; `step` the differences, one a parameter. NaN where there is no curvature. The
    second row is the sandwich of curvature and scores: White (1982), doi:10.2307/1912526.
    """
    k = len(theta)

    def at(*moves: tuple[int, float]) -> np.ndarray:
        moved = theta.copy()
        for i, sign in moves:
            moved[i] += sign * step[i]
        return logliks(moved).copy()

    scores = np.column_stack([(at((i, 1.0)) - at((i, -1.0))) / (2.0 * step[i]) for i in range(k)])
    hessian = np.empty((k, k))
    for i in range(k):
        for j in range(i + 1):
            signs = [(a, b) for a in (-1.0, 1.0) for b in (-1.0, 1.0)]
            total = sum(a * b * float(at((i, a), (j, b)).sum()) for a, b in signs)
            hessian[i, j] = hessian[j, i] = total / (4.0 * step[i] * step[j])
    try:
        inverse = np.linalg.inv(-hessian)
    except np.linalg.LinAlgError:
        return np.full((2, k), np.nan)
    variance = np.array([np.diag(inverse), np.diag(inverse @ (scores.T @ scores) @ inverse)])
    return np.where(variance > 0, np.sqrt(np.maximum(variance, 0.0)), np.nan)


def checked_panel(what: str, y: object, times: object) -> tuple[np.ndarray, np.ndarray]:
    """(readings [T, n], times [T, n]) as float64; times may be [n]. Raises DataError with row and column."""
    values = np.ascontiguousarray(y, np.float64)
    if values.ndim != 2 or len(values) < 10:
        raise DataError(f"{what}: expected readings of shape (T, n) with 10 dates or more, got {values.shape}")
    t = np.asarray(times, np.float64)
    t = np.ascontiguousarray(np.broadcast_to(t, values.shape) if t.ndim == 1 and len(t) == values.shape[1] else t)
    if t.shape != values.shape:
        raise DataError(f"{what}: expected times of shape {values.shape} or ({values.shape[1]},), got {t.shape}")
    bad = np.argwhere(np.isinf(values) | (np.isfinite(values) & ~(np.isfinite(t) & (t >= 0))))
    if len(bad):
        i, j = bad[0]
        raise DataError(
            f"{what}: row {i}, column {j}: expected a finite reading at a time of 0 or more, got "
            f"{values[i, j]} at {t[i, j]}"
        )
    return values, np.where(np.isfinite(t), t, 0.0)
