"""Svensson and Nelson-Siegel fits by variable projection: the betas are linear, so only the decays are searched.

For decays (u1, u2) the betas are least squares (Householder QR, no normal equations); the residual left is minimised
over ln u1, ln u2 by damped Gauss-Newton steps from a grid of starts, and the best polished by Newton's. Nearly equal
decays make the last columns nearly equal: the condition number is reported, and the decays are kept apart. Source:
Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973), doi:10.1137/0710036.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import DataError
from oneprice.core.jit import njit
from oneprice.signals.curve.parametric import Svensson, loading

SHORTEST, LONGEST = 0.05, 40.0  # years, of a decay
APART = math.log(1.25)  # least distance of ln u1 and ln u2
STARTS = (0.3, 0.8, 2.0, 5.0, 12.0)
STEPS = 40
SINGULAR = 1e8  # condition above which what is left of the betas is rounding


class CurveFit(msgspec.Struct, frozen=True):
    """A fitted curve, root mean square error and largest error (shares), condition number of the scaled columns.

    A condition above 1e6 means that betas can trade against each other: use the curve, not its parameters; above
    SINGULAR there is no fit.
    """

    curve: Svensson
    rmse: float
    worst: float
    condition: float
    n: int


@njit
def columns(t: Any, w: Any, y: Any, decay: Any, a: Any) -> None:
    """Fill a[n, k + 1] with the weighted columns of the model and, last, the weighted yields; k = 3 or 4."""
    k = a.shape[1] - 1
    for i in range(len(t)):
        x = t[i] / decay[0]
        near = loading(x)
        a[i, 0] = w[i]
        a[i, 1] = w[i] * near
        a[i, 2] = w[i] * (near - math.exp(-x))
        if k == 4:
            z = t[i] / decay[1]
            a[i, 3] = w[i] * (loading(z) - math.exp(-z))
        a[i, k] = w[i] * y[i]


@njit
def project(b: Any, k: int) -> None:
    """Householder QR of the first k columns of b, in place, applied to the columns behind them as well."""
    n, m = b.shape
    for j in range(k):
        norm = 0.0
        for i in range(j, n):
            norm += b[i, j] * b[i, j]
        norm = math.sqrt(norm)
        if norm == 0.0:
            continue
        head = b[j, j] + math.copysign(norm, b[j, j])
        scale = 1.0 / (norm * (norm + abs(b[j, j])))
        for c in range(j + 1, m):
            dot = head * b[j, c]
            for i in range(j + 1, n):
                dot += b[i, j] * b[i, c]
            dot *= scale
            b[j, c] -= dot * head
            for i in range(j + 1, n):
                b[i, c] -= dot * b[i, j]
        b[j, j] = -math.copysign(norm, b[j, j])


@njit
def left_over(t: Any, w: Any, y: Any, decay: Any, a: Any) -> float:
    """Sum of squares that no betas explain, at these decays; `a` is work space [n, k + 1]."""
    k = a.shape[1] - 1
    columns(t, w, y, decay, a)
    project(a, k)
    total = 0.0
    for i in range(k, a.shape[0]):
        total += a[i, k] * a[i, k]
    return total


@njit
def betas_of(a: Any, out: Any) -> None:
    """Back substitution after `left_over`; a column without a pivot gets 0."""
    k = a.shape[1] - 1
    for j in range(k - 1, -1, -1):
        total = a[j, k]
        for c in range(j + 1, k):
            total -= a[j, c] * out[c]
        out[j] = total / a[j, j] if abs(a[j, j]) > 1e-300 else 0.0


@njit
def allowed(p: Any) -> None:
    """Move ln decays into their range and apart from each other."""
    low, high = math.log(SHORTEST), math.log(LONGEST)
    p[0] = min(max(p[0], low), high)
    if len(p) == 2:
        p[1] = min(max(p[1], low), high)
        if abs(p[1] - p[0]) < APART:
            p[1] = p[0] + APART if p[0] + APART <= high else p[0] - APART


@njit
def slopes(t: Any, w: Any, decay: Any, beta: Any, b: Any) -> None:
    """Fill the last columns of b[n, k + 1 + m] with d(model) / d ln decay at betas beta, weighted.

    With x = t/u and f(x) = (1 - e^-x) / x: df/d ln u = f - e^-x, d(f - e^-x)/d ln u = f - e^-x - x e^-x.
    """
    m = len(decay)
    k = m + 2
    for i in range(len(t)):
        x = t[i] / decay[0]
        fade = math.exp(-x)
        hump = loading(x) - fade
        b[i, k + 1] = w[i] * (beta[1] * hump + beta[2] * (hump - x * fade))
        if m == 2:
            x = t[i] / decay[1]
            fade = math.exp(-x)
            b[i, k + 2] = w[i] * beta[3] * (loading(x) - fade - x * fade)


@njit
def descend(t: Any, w: Any, y: Any, p: Any, a: Any, b: Any) -> float:
    """Minimise from ln decays `p` (changed in place); returns the sum of squares.

    Gauss-Newton on the projected residual, damped: its derivative is that of the model at fixed betas, projected off
    the columns (Kaufman, BIT 15 (1975), doi:10.1007/BF01932995). a[n, k + 1], b[n, k + 1 + m] are work space.
    """
    m = len(p)
    k = m + 2
    n = len(t)
    q, beta, decay = p.copy(), np.empty(k), np.exp(p)
    best = left_over(t, w, y, decay, a)
    damp = 1e-3
    for _ in range(STEPS):
        betas_of(a, beta)
        columns(t, w, y, decay, b[:, : k + 1])
        slopes(t, w, decay, beta, b)
        project(b, k)
        g00 = g01 = g11 = r0 = r1 = 0.0
        for i in range(k, n):
            g00 += b[i, k + 1] * b[i, k + 1]
            r0 += b[i, k + 1] * b[i, k]
            if m == 2:
                g01 += b[i, k + 1] * b[i, k + 2]
                g11 += b[i, k + 2] * b[i, k + 2]
                r1 += b[i, k + 2] * b[i, k]
        moved = False
        for _try in range(8):
            d0 = g00 * (1.0 + damp) + 1e-300
            if m == 1:
                step0, step1 = r0 / d0, 0.0
            else:
                d1 = g11 * (1.0 + damp) + 1e-300
                det = d0 * d1 - g01 * g01
                if det <= 0.0:
                    damp = max(8.0 * damp, 1e-9)
                    continue
                step0, step1 = (d1 * r0 - g01 * r1) / det, (d0 * r1 - g01 * r0) / det
            size = max(abs(step0), abs(step1))
            cut = 1.0 if size <= 0.7 else 0.7 / size
            q[0] = p[0] + cut * step0
            if m == 2:
                q[1] = p[1] + cut * step1
            allowed(q)
            for j in range(m):
                decay[j] = math.exp(q[j])
            value = left_over(t, w, y, decay, a)
            if value < best:
                moved = best - value > 1e-9 * best
                best = value
                p[:] = q
                damp *= 0.2
                break
            damp = max(8.0 * damp, 1e-9)
        if not moved:
            break
    return best


@njit
def polish(t: Any, w: Any, y: Any, p: Any, a: Any) -> float:
    """As `descend`, by Newton steps on differences: slower a step, and surer where the residual is not small."""
    m = len(p)
    q, decay = p.copy(), np.exp(p)
    best = left_over(t, w, y, decay, a)
    damp, h = 1e-2, 1e-4
    slope, curve = np.zeros(m), np.zeros((m, m))
    for _ in range(STEPS):
        for i in range(m):
            for j in range(i + 1):
                total = 0.0
                for si in (-1.0, 1.0):
                    for sj in (-1.0, 1.0):
                        q[:] = p
                        q[i] += si * h
                        q[j] += sj * h
                        total += si * sj * left_over(t, w, y, np.exp(q), a)
                curve[i, j] = curve[j, i] = total / (4.0 * h * h)
            q[:] = p
            q[i] += h
            up = left_over(t, w, y, np.exp(q), a)
            q[i] -= 2.0 * h
            slope[i] = (up - left_over(t, w, y, np.exp(q), a)) / (2.0 * h)
        moved = False
        for _try in range(8):
            scale = abs(curve[0, 0]) + (abs(curve[1, 1]) if m == 2 else 0.0) + 1e-300
            d0 = curve[0, 0] + damp * scale
            if m == 1:
                step0, step1 = -slope[0] / max(d0, 1e-300), 0.0
            else:
                d1 = curve[1, 1] + damp * scale
                det = d0 * d1 - curve[0, 1] * curve[0, 1]
                if d0 <= 0.0 or det <= 0.0:
                    damp *= 8.0
                    continue
                step0 = -(d1 * slope[0] - curve[0, 1] * slope[1]) / det
                step1 = -(d0 * slope[1] - curve[0, 1] * slope[0]) / det
            size = max(abs(step0), abs(step1))
            cut = 1.0 if size <= 0.7 else 0.7 / size
            q[0] = p[0] + cut * step0
            if m == 2:
                q[1] = p[1] + cut * step1
            allowed(q)
            value = left_over(t, w, y, np.exp(q), a)
            if value < best:
                moved = best - value > 1e-12 * best
                best = value
                p[:] = q
                damp *= 0.2
                break
            damp *= 8.0
        if not moved:
            break
    return best


@njit
def fit_kernel(t: Any, y: Any, w: Any, starts: Any, out: Any) -> float:
    """Fit from every start: starts float64[s, m] ln decays (m = 1 Nelson-Siegel, 2 Svensson); out = betas, decays."""
    m = starts.shape[1]
    k = m + 2
    a, b = np.empty((len(t), k + 1)), np.empty((len(t), k + 1 + m))
    best, p, kept = math.inf, np.empty(m), np.empty(m)
    for s in range(starts.shape[0]):
        p[:] = starts[s]
        allowed(p)
        value = descend(t, w, y, p, a, b)
        if value < best:
            best = value
            kept[:] = p
    polish(t, w, y, kept, a)
    decay = np.exp(kept)
    best = left_over(t, w, y, decay, a)
    betas_of(a, out[:k])
    out[k : k + m] = decay
    return best


@njit
def errors_of(t: Any, y: Any, out: Any, k: int, error: Any) -> None:
    """error[n]: the curve of betas and decays `out` less the rates."""
    for i in range(len(t)):
        x = t[i] / out[k]
        near = loading(x)
        value = out[0] + out[1] * near + out[2] * (near - math.exp(-x))
        if k == 4:
            z = t[i] / out[k + 1]
            value += out[3] * (loading(z) - math.exp(-z))
        error[i] = value - y[i]


def fit_svensson(
    years: Any, zero: Any, *, weights: Any = None, nelson_siegel: bool = False, start: Svensson | None = None
) -> CurveFit:
    """The curve nearest to continuously compounded zero rates.

    Parameters
    ----------
    years, zero : float64[n]; rows with NaN are left out. weights : float64[n] of the squared errors, 1 if left out.
    start : a curve of before: only its neighbourhood is searched (a refit on one quote's move).

    Raises
    ------
    DataError
        Fewer than six distinct times (five for Nelson-Siegel), times or weights not above 0, infinite rates, or times
        so near each other that the betas are rounding (condition above SINGULAR).
    """
    t, y = np.asarray(years, np.float64), np.asarray(zero, np.float64)
    w = np.ones_like(t) if weights is None else np.asarray(weights, np.float64)
    if not t.shape == y.shape == w.shape or t.ndim != 1:
        raise DataError(
            f"curve fit: expected times, rates and weights of one length, got {t.shape}, {y.shape}, {w.shape}"
        )
    keep = ~(np.isnan(t) | np.isnan(y))
    t, y, w = t[keep], y[keep], w[keep]
    least = 5 if nelson_siegel else 6
    if len(np.unique(t)) < least:
        raise DataError(f"curve fit: expected {least} or more distinct times, got {len(np.unique(t))}")
    for name, bad in (("time above 0", ~(t > 0)), ("finite rate", ~np.isfinite(y)), ("weight above 0", ~(w > 0))):
        if bad.any():
            i = int(np.flatnonzero(bad)[0])
            raise DataError(f"curve fit: row {i}: expected a {name}, got t={t[i]}, rate={y[i]}, weight={w[i]}")
    m = 1 if nelson_siegel else 2
    root = np.sqrt(w / w.mean())
    out = np.empty(2 * m + 2)
    fit_kernel(t, y, root, _starts(m, start), out)
    k = m + 2
    b3, u2 = (float(out[3]), float(out[k + 1])) if m == 2 else (0.0, float(out[k]))
    curve = Svensson(float(out[0]), float(out[1]), float(out[2]), b3, float(out[k]), u2)
    error = np.empty_like(y)
    errors_of(t, y, out, k, error)
    a = np.empty((len(t), k + 1))
    columns(t, root, y, out[k:], a)
    scaled = a[:, :k] / np.linalg.norm(a[:, :k], axis=0)
    condition = float(np.linalg.cond(scaled))
    refuse_singular(condition, "Nelson-Siegel fit" if nelson_siegel else "Svensson fit", t)
    rmse = math.sqrt(float(np.average(error**2, weights=w)))
    return CurveFit(curve, rmse, float(np.abs(error).max()), condition, len(t))


def refuse_singular(condition: float, what: str, years: np.ndarray) -> None:
    """Raises DataError for a fit that its times do not determine: its betas are rounding, and explode elsewhere."""
    if not condition <= SINGULAR:
        raise DataError(
            f"{what}: times of {years.min():.10g} to {years.max():.10g} years cannot tell its numbers apart "
            f"(condition {condition:.1e}, expected {SINGULAR:.0e} or less): take times further apart"
        )


def _starts(m: int, start: Svensson | None) -> np.ndarray:
    if start is not None:
        return np.log(np.array([[start.u1, start.u2][:m]]))
    if m == 1:
        return np.log(np.array([[u] for u in STARTS]))
    return np.log(np.array([[a, b] for a in STARTS for b in STARTS if a < b]))


# ---------------------------------------------------------------- Diebold-Li: the decay is fixed
DECAY_MONTHS = 0.0609  # per month; the curvature is largest at 30 months


def diebold_li(years: Any, zero: Any, *, decay_per_month: float = DECAY_MONTHS) -> np.ndarray:
    """Level, slope and curvature of each date: least squares at a fixed decay, float64[T, 3].

    years float64[N], zero float64[T, N]; NaN yields are left out; a date with fewer than four, or fewer
    than three distinct tenors, has NaN factors. Source:
    Diebold and Li, J. Econometrics 130 (2006), doi:10.1016/j.jeconom.2005.03.005.
    """
    t, y = np.asarray(years, np.float64), np.atleast_2d(np.asarray(zero, np.float64))
    if y.shape[1] != len(t) or not (t > 0).all():
        raise DataError(f"Diebold-Li: expected {len(t)} rates a date at times above 0, got {y.shape[1]}")
    x = t * 12.0 * decay_per_month
    near = np.array([loading(v) for v in x])
    a = np.column_stack([np.ones_like(t), near, near - np.exp(-x)])
    out = np.full((len(y), 3), np.nan)
    have = np.isfinite(y)
    for pattern in np.unique(have, axis=0):
        if pattern.sum() >= 4 and np.linalg.matrix_rank(a[pattern]) == 3:
            rows = (have == pattern).all(axis=1)
            out[rows] = np.linalg.lstsq(a[pattern], y[rows][:, pattern].T, rcond=None)[0].T
    return out
