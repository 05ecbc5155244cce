"""Kernels of reduced-rank regression: one Cholesky factor of the moments, then a small symmetric eigenproblem.

Rows are ordered (short run and deterministic, differences, levels). With L the factor of their moment matrix, the
blocks of L beside the differences and at the levels give W = L_kk^-1 L_k0, and the eigenvalues mu of W W' are
lambda / (1 - lambda) of Johansen's problem |lambda S_kk - S_k0 S_00^-1 S_0k| = 0: -log(1 - lambda) = log1p(mu) loses
nothing when lambda is small.

Source: Johansen (1988), doi:10.1016/0165-1889(88)90041-3; Golub and Van Loan, Matrix Computations, 8.5 (Jacobi).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.jit import njit

SWEEPS = 30


@njit
def factor_from(g: Any, first: int, upto: int) -> bool:
    """Columns first..upto-1 of the Cholesky factor of g in place, the rows below updated; False if not positive."""
    n = len(g)
    for k in range(first, upto):
        if not g[k, k] > 0.0:
            return False
        pivot = math.sqrt(g[k, k])
        g[k, k] = pivot
        for i in range(k + 1, n):
            g[i, k] /= pivot
        for j in range(k + 1, n):
            f = g[j, k]
            for i in range(j, n):
                g[i, j] -= g[i, k] * f
    return True


@njit
def jacobi(a: Any, v: Any) -> None:
    """Eigenvectors of a symmetric matrix into the columns of v, eigenvalues on the diagonal of a; a is overwritten."""
    n = len(a)
    v[:, :] = 0.0
    for i in range(n):
        v[i, i] = 1.0
    for _ in range(SWEEPS):
        off, on = 0.0, 0.0
        for i in range(n):
            on += a[i, i] * a[i, i]
            for j in range(i):
                off += a[i, j] * a[i, j]
        if off <= 1e-32 * on:
            return
        for i in range(1, n):
            for j in range(i):
                if a[i, j] != 0.0:
                    rotate(a, v, i, j)


@njit
def rotate(a: Any, v: Any, i: int, j: int) -> None:
    """One Jacobi rotation that clears a[i, j]."""
    theta = (a[i, i] - a[j, j]) / (2.0 * a[i, j])
    t = 1.0 / (abs(theta) + math.sqrt(1.0 + theta * theta))
    if theta < 0.0:
        t = -t
    c = 1.0 / math.sqrt(1.0 + t * t)
    s = t * c
    for k in range(len(a)):
        x, y = a[k, i], a[k, j]
        a[k, i] = c * x + s * y
        a[k, j] = c * y - s * x
    for k in range(len(a)):
        x, y = a[i, k], a[j, k]
        a[i, k] = c * x + s * y
        a[j, k] = c * y - s * x
        x, y = v[k, i], v[k, j]
        v[k, i] = c * x + s * y
        v[k, j] = c * y - s * x


@njit
def relations(g: Any, sizes: Any, ridge: float, room: Any, mu: Any, first: Any) -> float:
    """Eigenvalues mu (falling) and the first vector of the moments g (lower half; overwritten).

    sizes (short run, differences, levels); room (w [k, n0], a [k, k], v [k, k]); first [k]: v'S_kk v = 1 for S_kk as
    a sum, not a mean. ridge: share of the diagonals added to the blocks of differences and levels.
    Returns the smallest share of its own square that a row keeps beside the rows before it: about 1 - R^2, and so the
    digits that moments lose; 0 when they are singular.
    """
    q, n0, k = sizes
    w, a, v = room
    at = q + n0
    square = np.empty(at + k)
    for i in range(at + k):
        square[i] = g[i, i]
    if not factor_from(g, 0, q):
        return 0.0
    for i in range(q, at + k):
        g[i, i] *= 1.0 + ridge
    if not factor_from(g, q, at + k):
        return 0.0
    share = 1.0
    for i in range(at + k):
        share = min(share, g[i, i] * g[i, i] / square[i])
    for j in range(n0):  # W = L_kk^-1 L_k0
        for i in range(k):
            x = g[at + i, q + j]
            for r in range(i):
                x -= g[at + i, at + r] * w[r, j]
            w[i, j] = x / g[at + i, at + i]
    for i in range(k):
        for j in range(i + 1):
            x = 0.0
            for r in range(n0):
                x += w[i, r] * w[j, r]
            a[i, j] = x
            a[j, i] = x
    jacobi(a, v)
    top = 0
    for i in range(k):
        mu[i] = max(a[i, i], 0.0)
        if mu[i] > mu[top]:
            top = i
    for i in range(k - 1, -1, -1):  # L_kk' v = w
        x = v[i, top]
        for r in range(i + 1, k):
            x -= g[at + r, at + i] * first[r]
        first[i] = x / g[at + i, at + i]
    scale = 1.0 / math.sqrt(1.0 + mu[top])
    if first[0] < 0.0:
        scale = -scale
    for i in range(k):
        first[i] *= scale
    for i in range(1, k):  # falling
        x = mu[i]
        j = i - 1
        while j >= 0 and mu[j] < x:
            mu[j + 1] = mu[j]
            j -= 1
        mu[j + 1] = x
    return share


@njit
def basket_statistics(
    moments: Any, baskets: Any, layout: Any, ridge: float, trace: Any, vectors: Any, share: Any
) -> None:
    """log1p(mu) of each basket, its first vector and its `share` of `relations` from the moments of a whole block.

    moments [B, B] of rows (1, levels of all n, differences, lagged differences 1..lags); baskets int64 [m, N];
    layout (n, lags, constant 0 or 1, restricted constant 0 or 1). trace [m, N or N+1] gets log1p(mu) falling,
    vectors [m, N or N+1]; share [m]; NaN where the moments are singular.
    """
    n, lags, constant, restricted = layout
    width = baskets.shape[1]
    k = width + restricted
    q = constant + lags * width
    total = q + width + k
    at = np.empty(total, np.int64)
    g = np.empty((total, total))
    room = (np.empty((k, width)), np.empty((k, k)), np.empty((k, k)))
    for b in range(len(baskets)):
        if constant == 1:
            at[0] = 0
        if restricted == 1:
            at[total - 1] = 0
        for i in range(width):
            s = 1 + baskets[b, i]
            at[q + width + i] = s
            for lag in range(lags):
                at[constant + lag * width + i] = s + (2 + lag) * n
            at[q + i] = s + n
        for i in range(total):
            for j in range(i + 1):
                g[i, j] = moments[at[i], at[j]]
        share[b] = relations(g, (q, width, k), ridge, room, trace[b], vectors[b])
        if share[b] > 0.0:
            for i in range(k):
                trace[b, i] = math.log1p(trace[b, i])
        else:
            trace[b, :] = math.nan
            vectors[b, :] = math.nan


@njit
def rows_of(x: Any, lags: int, out: Any) -> None:
    """Rows (1, levels, differences, lagged differences 1..lags) [1 + (lags+2) n, T-1-lags] of levels x [n, T]."""
    n, length = x.shape
    m = length - 1 - lags
    out[0, :] = 1.0
    for i in range(n):
        for t in range(m):
            out[1 + i, t] = x[i, lags + t]
        for lag in range(lags + 1):
            row = out[1 + (1 + lag) * n + i]
            for t in range(m):
                row[t] = x[i, lags + t - lag + 1] - x[i, lags + t - lag]


@njit
def systems_statistics(systems: Any, layout: Any, ridge: float, trace: Any) -> None:
    """log1p(mu) of each whole system of `systems` [m, n, T]: what simulation needs. layout as in basket_statistics."""
    n, lags, _, restricted = layout
    rows = np.empty((1 + (lags + 2) * n, systems.shape[2] - 1 - lags))
    basket = np.arange(n).reshape(1, n)
    vectors, share = np.empty((1, n + restricted)), np.empty(1)
    for s in range(len(systems)):
        rows_of(systems[s], lags, rows)
        basket_statistics(np.dot(rows, rows.T), basket, layout, ridge, trace[s : s + 1], vectors, share)
