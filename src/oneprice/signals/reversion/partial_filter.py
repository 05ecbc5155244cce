"""The likelihood of partial cointegration: an exact scalar filter, hedge and scale concentrated out.

    y_t = beta x_t + W_t,   W = M + R,   M_t = rho M_{t-1} + e^M,   R_t = R_{t-1} + e^R

W is seen without noise, so all that is unknown after an observation is how W splits: M ~ N(m, p), R = W - M.
With q = var e^R / (var e^M + var e^R) and the sum of both variances as the scale s2,

    v = W_{t+1} - W_t + (1 - rho) m,  F = (1 - rho)^2 p + 1,  K = ((1 - q) - rho (1 - rho) p) / F
    m' = rho m + K v,                 p' = rho^2 p + (1 - q) - K^2 F

from stationary M and a diffuse R (the likelihood is conditional on the first value, so a constant in y has no
part). The filter is linear: run on y and each x it gives innovations whose regression is beta, and whose residual
is s2. Two parameters are left, (rho, q), found on a grid and by a compass search.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.jit import njit

FASTEST, SLOWEST = -0.9, 0.9995  # of rho
LEAST_STEP = 1e-6
SETTLED = 1e-15


@njit
def innovations(columns: Any, rho: float, walk: float, gram: Any) -> float:
    """Sums of products v v' / F of the innovations of columns [k + 1, T] into gram; returns sum of log F."""
    k, n = columns.shape
    m = np.zeros(k)
    v = np.empty(k)
    for i in range(k):
        for j in range(k):
            gram[i, j] = 0.0
    p = (1.0 - walk) / (1.0 - rho * rho)
    slow = 1.0 - rho
    logs = 0.0
    f, gain, share, last = 1.0, 0.0, 1.0, -1.0
    steady = False
    for t in range(1, n):
        if not steady:  # p settles after a few multiples of the half-life; what follows needs no division or log
            f = slow * slow * p + 1.0
            gain = ((1.0 - walk) - rho * slow * p) / f
            share = 1.0 / f
            last = p
            p = rho * rho * p + (1.0 - walk) - gain * gain * f
            steady = abs(p - last) <= SETTLED * abs(p)
            if steady:
                logs += (n - t) * math.log(f)
            else:
                logs += math.log(f)
        for i in range(k):
            v[i] = columns[i, t] - columns[i, t - 1] + slow * m[i]
            m[i] = rho * m[i] + gain * v[i]
            for j in range(i + 1):
                gram[i, j] += share * v[i] * v[j]
    for i in range(k):
        for j in range(i):
            gram[j, i] = gram[i, j]
    return logs


@njit
def regress(gram: Any, beta: Any) -> float:
    """Regress the first on the others by their products: beta filled, the residual sum of squares returned.

    gram is used up. Cholesky of the regressors' part.
    """
    k = len(gram) - 1
    left = gram[0, 0]
    for i in range(1, k + 1):  # gram[1:, 1:] = L L', z = L^-1 gram[1:, 0], kept in the first column
        for j in range(1, i + 1):
            s = gram[i, j]
            for c in range(1, j):
                s -= gram[i, c] * gram[j, c]
            gram[i, j] = math.sqrt(s) if i == j else s / gram[j, j]
        s = gram[i, 0]
        for c in range(1, i):
            s -= gram[i, c] * gram[c, 0]
        gram[i, 0] = s / gram[i, i]
        left -= gram[i, 0] * gram[i, 0]
    for i in range(k, 0, -1):
        s = gram[i, 0]
        for c in range(i + 1, k + 1):
            s -= gram[c, i] * beta[c - 1]
        beta[i - 1] = s / gram[i, i]
    return left


@njit
def profile(columns: Any, rho: float, walk: float, gram: Any, beta: Any) -> float:
    """Log likelihood at (rho, walk share q) with the best beta and scale; -inf where it is not defined."""
    logs = innovations(columns, rho, walk, gram)
    left = regress(gram, beta)
    n = columns.shape[1] - 1
    if not left > 0.0:
        return -math.inf
    return -0.5 * (n * (math.log(2.0 * math.pi * left / n) + 1.0) + logs)


@njit
def search(columns: Any, free_walk: int, out: Any) -> None:
    """Maximise `profile` over rho (and over q when free_walk is 1, else q = 0); out = (log likelihood, rho, q)."""
    k = len(columns)
    gram = np.empty((k, k))
    beta = np.zeros(max(k - 1, 1))
    rhos = np.array([-0.3, 0.2, 0.5, 0.75, 0.9, 0.97, 0.99])
    walks = np.array([0.0, 0.1, 0.3, 0.6, 0.9])
    out[0] = -math.inf
    for i in range(len(rhos)):
        for j in range(len(walks) if free_walk == 1 else 1):
            value = profile(columns, rhos[i], walks[j], gram, beta)
            if value > out[0]:
                out[0], out[1], out[2] = value, rhos[i], walks[j]
    step_rho = 0.1 if out[1] < 0.9 else 0.02
    step_walk = 0.1
    while step_rho > LEAST_STEP:
        moved = False
        for side in range(4 if free_walk == 1 else 2):
            rho, walk = out[1], out[2]
            if side < 2:
                rho = min(max(rho + (step_rho if side == 0 else -step_rho), FASTEST), SLOWEST)
            else:
                walk = min(max(walk + (step_walk if side == 2 else -step_walk), 0.0), 1.0)
            value = profile(columns, rho, walk, gram, beta)
            if value > out[0] + 1e-12:
                out[0], out[1], out[2] = value, rho, walk
                moved = True
        if not moved:
            step_rho *= 0.5
            step_walk *= 0.5


@njit
def ratios(columns: Any, out: Any) -> None:
    """out = (LR against the walk, LR against AR(1), log likelihood, rho, q, rho of the AR(1))."""
    k = len(columns)
    best = np.empty(3)
    search(columns, 1, best)
    ar = np.empty(3)
    search(columns, 0, ar)
    if ar[0] > best[0]:  # the larger model contains the smaller: its search may not end below
        best[:] = ar
    walk = profile(columns, 0.0, 1.0, np.empty((k, k)), np.empty(max(k - 1, 1)))
    if walk > best[0]:
        best[0], best[2] = walk, 1.0
    out[0] = 2.0 * (best[0] - walk)
    out[1] = 2.0 * (best[0] - ar[0])
    out[2], out[3], out[4], out[5] = best[0], best[1], best[2], ar[1]


@njit
def ratios_of_sets(sets: Any, out: Any) -> None:
    """`ratios` of each of many simulated sets [m, k + 1, T]; out [m, 6]."""
    for i in range(len(sets)):
        ratios(sets[i], out[i])


@njit
def split(columns: Any, rho: float, walk: float, out: Any) -> None:
    """The filtered mean-reverting part M of each column [k + 1, T], 0 at the start; linear, so weights may follow."""
    k, n = columns.shape
    p = (1.0 - walk) / (1.0 - rho * rho)
    slow = 1.0 - rho
    for i in range(k):
        out[i, 0] = 0.0
    for t in range(1, n):
        f = slow * slow * p + 1.0
        gain = ((1.0 - walk) - rho * slow * p) / f
        for i in range(k):
            m = out[i, t - 1]
            v = columns[i, t] - columns[i, t - 1] + slow * m
            out[i, t] = rho * m + gain * v
        p = rho * rho * p + (1.0 - walk) - gain * gain * f
