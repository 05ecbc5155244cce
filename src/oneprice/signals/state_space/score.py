"""Likelihood of Schwartz and Smith with its gradient in one pass: derivatives go through the filter with the states.

    dv = -dd - dz' x - z' dx,   dF = dh + dz' P z + z' dP z + z' P dz
    dl = -1/2 (dF / F + 2 v dv / F - v^2 dF / F^2)

and x, P of the next reading are differentiated alike. One pass instead of one a parameter, and no step to choose.
Source: Harvey, Forecasting, Structural Time Series Models and the Kalman Filter (1989), 3.4.2.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.jit import njit
from oneprice.signals.state_space.filter import LOG_2PI

N_SHAPE = 7  # kappa, sigma_chi, lambda_chi, mu, sigma_xi, mu_star, rho


@njit
def offset_slopes(p: Any, years: float, out: Any) -> float:
    """A(T), with its derivatives by the seven parameters in out float64[7]."""
    kappa, s_chi, premium, s_xi, drift, rho = p[0], p[1], p[2], p[4], p[5], p[6]
    near = math.exp(-kappa * years)
    once, twice = 1.0 - near, 1.0 - near * near
    by_once = years * near / kappa - once / (kappa * kappa)
    by_twice = years * near * near / kappa - 0.5 * twice / (kappa * kappa)
    shared = once / kappa
    out[0] = -premium * by_once + 0.5 * s_chi * s_chi * by_twice + rho * s_chi * s_xi * by_once
    out[1] = 0.5 * twice * s_chi / kappa + shared * rho * s_xi
    out[2] = -shared
    out[3] = 0.0
    out[4] = s_xi * years + shared * rho * s_chi
    out[5] = years
    out[6] = shared * s_chi * s_xi
    variance = 0.5 * twice * s_chi * s_chi / kappa + s_xi * s_xi * years + 2.0 * shared * rho * s_chi * s_xi
    return drift * years - shared * premium + 0.5 * variance


@njit
def step_slopes(p: Any, dt: float, w: Any) -> None:
    """Fill w float64[3, 8]: W_chi, W_cross, W_xi of a step (column 0) and their derivatives by the seven."""
    kappa, s_chi, s_xi, rho = p[0], p[1], p[4], p[6]
    near = math.exp(-kappa * dt)
    once, twice = -math.expm1(-kappa * dt), -math.expm1(-2.0 * kappa * dt)
    w[:, :] = 0.0
    w[0, 0] = 0.5 * twice * s_chi * s_chi / kappa
    w[0, 1] = s_chi * s_chi * (dt * near * near / kappa - 0.5 * twice / (kappa * kappa))
    w[0, 2] = twice * s_chi / kappa
    w[1, 0] = once * rho * s_chi * s_xi / kappa
    w[1, 1] = rho * s_chi * s_xi * (dt * near / kappa - once / (kappa * kappa))
    w[1, 2], w[1, 5], w[1, 7] = once * rho * s_xi / kappa, once * rho * s_chi / kappa, once * s_chi * s_xi / kappa
    w[2, 0], w[2, 5] = s_xi * s_xi * dt, 2.0 * s_xi * dt


@njit
def ahead(x: Any, p: Any, shape: Any, dt: float, work: Any) -> None:
    """One step of the states x float64[2], p float64[3] (chi, cross, xi) and of their derivatives.

    work float64[5, K]: by rows d x_chi, d x_xi, dP_chi, dP_cross, dP_xi, of each number searched.
    """
    near = math.exp(-shape[0] * dt)
    slope = -dt * near
    for k in range(work.shape[1]):
        work[0, k] *= near
        work[2, k] *= near * near
        work[3, k] *= near
    work[0, 0] += slope * x[0]
    work[2, 0] += 2.0 * near * slope * p[0]
    work[3, 0] += slope * p[1]
    work[1, 3] += dt
    x[0] *= near
    x[1] += shape[3] * dt
    p[0] *= near * near
    p[1] *= near


@njit
def score_kernel(y: Any, years: Any, shape: Any, h: Any, dt: float, start: Any, score: Any) -> float:
    """Log-likelihood; score float64[7 + n] by the seven parameters and the logs of the deviations of the noise.

    y, years float64[T, n] (NaN: no reading); shape float64[7]; h float64[n]; start float64[2, 3].
    """
    n = y.shape[1]
    wide = N_SHAPE + n
    work, a, w = np.zeros((5, wide)), np.zeros(wide), np.zeros((3, 8))
    x, p = start[:, 0].copy(), np.zeros(3)
    p[0], p[1], p[2] = start[0, 1], start[0, 2], start[1, 2]
    step_slopes(shape, dt, w)
    score[:] = 0.0
    total = 0.0
    for t in range(y.shape[0]):
        ahead(x, p, shape, dt, work)
        p[0] += w[0, 0]
        p[1] += w[1, 0]
        p[2] += w[2, 0]
        for k in range(N_SHAPE):
            work[2, k] += w[0, k + 1]
            work[3, k] += w[1, k + 1]
            work[4, k] += w[2, k + 1]
        for i in range(n):
            if math.isnan(y[t, i]):
                continue
            error = y[t, i] - offset_slopes(shape, years[t, i], a)
            total += _reading(x, p, work, a, (i, years[t, i], h[i], error, shape[0]), score)
    return total


@njit
def _reading(x: Any, p: Any, work: Any, a: Any, reading: Any, score: Any) -> float:
    """Take in one reading (contract, years, variance of its noise, reading less offset, kappa)."""
    i, years, h, error, kappa = reading
    e = math.exp(-kappa * years)
    de = -years * e
    u0, u1 = p[0] * e + p[1], p[1] * e + p[2]
    inverse = 1.0 / (h + e * u0 + u1)
    v = (error - e * x[0] - x[1]) * inverse
    g0, g1, p0, p1, x0 = u0 * inverse, u1 * inverse, p[0], p[1], x[0]
    for k in range(work.shape[1]):
        slope = de if k == 0 else 0.0
        by_u0 = work[2, k] * e + work[3, k] + p0 * slope
        by_u1 = work[3, k] * e + work[4, k] + p1 * slope
        by_f = slope * u0 + e * by_u0 + by_u1
        if k == N_SHAPE + i:
            by_f += 2.0 * h
        by_v = -a[k] - slope * x0 - e * work[0, k] - work[1, k]
        score[k] -= 0.5 * by_f * (inverse - v * v) + v * by_v
        gain = by_v * inverse - v * by_f * inverse
        work[0, k] += by_u0 * v + u0 * gain
        work[1, k] += by_u1 * v + u1 * gain
        work[2, k] -= 2.0 * g0 * by_u0 - g0 * g0 * by_f
        work[3, k] -= g1 * by_u0 + g0 * by_u1 - g0 * g1 * by_f
        work[4, k] -= 2.0 * g1 * by_u1 - g1 * g1 * by_f
    x[0] += u0 * v
    x[1] += u1 * v
    p[0] -= u0 * g0
    p[1] -= u0 * g1
    p[2] -= u1 * g1
    return -0.5 * (LOG_2PI - math.log(inverse) + v * v / inverse)
