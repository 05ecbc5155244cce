"""The distribution of the AR(1) slope of a short sample, by simulation: the ground under every interval here.

The least-squares slope with an intercept, given the true slope b and the number of observations n, has a law
that depends on neither the level nor the scale, but is skewed and biased towards reversion, and at b = 1 not
normal at all. `slope_law` draws it on a grid of b from stationarity (at b = 1 the walk) with the same shocks for
all b, so that its quantiles move smoothly with b and can be inverted. A spread given from outside has series = 1;
a residual of a regression of one series on others over the same observations looks faster still, and its law is
that of an AR(1) regressed on series - 1 independent walks (at b = 1: a spurious regression). `walk_slopes` are
many more draws of b = 1. Both are kept per length in the process.

Inverting a simulated law: Andrews (1993), doi:10.2307/2951781; Hansen (1999), doi:10.1162/003465399558463.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from oneprice.core.jit import njit
from oneprice.signals.reversion.walks import check_walks, chunk_of, draw_walks, orthonormal

PATHS, FEWEST_PATHS = 10_000, 1_000
STEPS = 10_000_000  # draws spent on one law: long series get fewer paths, and need fewer
FITTED_STEPS = 4_000_000  # for residuals, which cost more
GRID = 44
WALKS = 20_000
SEED = 20_240_217


class SlopeLaw(msgspec.Struct, frozen=True):
    """`slopes` [G] true slopes rising from 0 to 1; `drawn` [G, paths] sorted estimates for each."""

    slopes: np.ndarray
    drawn: np.ndarray
    n: int
    series: int

    def quantile(self, level: float) -> np.ndarray:
        """The `level` quantile of the estimate for each true slope, float64 [G], non-decreasing."""
        at = level * (self.drawn.shape[1] - 1)
        i = min(int(at), self.drawn.shape[1] - 2)
        rows = self.drawn[:, i] + (at - i) * (self.drawn[:, i + 1] - self.drawn[:, i])
        return np.maximum.accumulate(rows)

    def invert(self, estimate: Any, level: float) -> np.ndarray:
        """The true slope under which `estimate` is the `level` quantile, clipped to [0, 1].

        level = .5 is the median-unbiased slope, .975 the lower and .025 the upper end of a 95 % interval.
        """
        return np.interp(np.asarray(estimate, np.float64), self.quantile(level), self.slopes)


@njit
def ar1_slopes(shocks: Any, slopes: Any, out: Any) -> None:
    """Estimated slopes of AR(1) paths: shocks [paths, n], slopes [G], out [G, paths].

    The first shock of a path scaled to stationarity is its start; at slope 1 the path starts at 0.
    """
    n_paths, n = shocks.shape
    g = len(slopes)
    x = np.empty(g)
    first = np.empty(g)
    sums = np.empty(g)
    squares = np.empty(g)
    cross = np.empty(g)
    for p in range(n_paths):
        for i in range(g):
            b = slopes[i]
            first[i] = shocks[p, 0] / np.sqrt(1.0 - b * b) if b < 1.0 else 0.0
            x[i] = first[i]
            sums[i] = squares[i] = cross[i] = 0.0
        for t in range(1, n):
            e = shocks[p, t]
            for i in range(g):
                before = x[i] - first[i]  # around the start: the slope does not see it, the digits do
                after = slopes[i] * x[i] + e
                sums[i] += before
                squares[i] += before * before
                cross[i] += before * (after - first[i])
                x[i] = after
        m = n - 1
        for i in range(g):
            lead = sums[i] + (x[i] - first[i])
            out[i, p] = (cross[i] - sums[i] * lead / m) / (squares[i] - sums[i] * sums[i] / m)


@njit
def slope_of(x: Any) -> float:
    """Least-squares slope of x[1:] on x[:-1] and a constant."""
    m = len(x) - 1
    base = x[0]
    sums = 0.0
    for t in range(m):
        sums += x[t] - base
    before = sums / m
    after = before + (x[m] - base) / m
    top = 0.0
    bottom = 0.0
    for t in range(m):
        d = x[t] - base - before
        top += d * (x[t + 1] - base - after)
        bottom += d * d
    return top / bottom


@njit
def fitted_slopes(shocks: Any, others: Any, slopes: Any, out: Any) -> None:
    """As `ar1_slopes` after a regression on others [paths, k, n], which are made orthonormal in place."""
    n_paths, n = shocks.shape
    k = others.shape[1]
    g = len(slopes)
    u = np.empty((n, g))
    c = np.empty((k, g))
    r = np.empty(g)
    x = np.empty(g)
    before = np.empty(g)
    sums = np.empty(g)
    squares = np.empty(g)
    cross = np.empty(g)
    for p in range(n_paths):
        orthonormal(others[p])
        c[:] = 0.0
        for i in range(g):
            b = slopes[i]
            x[i] = shocks[p, 0] / np.sqrt(1.0 - b * b) if b < 1.0 else 0.0
            before[i] = x[i]
        for t in range(n):
            if t > 0:
                for i in range(g):
                    x[i] = slopes[i] * x[i] + shocks[p, t]
            for i in range(g):
                u[t, i] = x[i] - before[i]
            for j in range(k):
                for i in range(g):
                    c[j, i] += others[p, j, t] * u[t, i]
        sums[:] = 0.0
        squares[:] = 0.0
        cross[:] = 0.0
        for t in range(n):
            for i in range(g):
                r[i] = u[t, i]
            for j in range(k):
                for i in range(g):
                    r[i] -= c[j, i] * others[p, j, t]
            if t > 0:
                for i in range(g):
                    sums[i] += before[i]
                    squares[i] += before[i] * before[i]
                    cross[i] += before[i] * r[i]
            else:
                for i in range(g):
                    x[i] = r[i]  # the first residual: the lead sums are the lag sums less it
            for i in range(g):
                before[i] = r[i]
        m = n - 1
        for i in range(g):
            lead = sums[i] - x[i] + before[i]
            out[i, p] = (cross[i] - sums[i] * lead / m) / (squares[i] - sums[i] * sums[i] / m)


@lru_cache(maxsize=16)
def slope_law(n: int, series: int = 1) -> SlopeLaw:
    """The law of the slope for n observations of a spread (series = 1) or of a residual among `series`."""
    check_walks(n, series)
    m = max(FEWEST_PATHS, min(PATHS, (STEPS if series == 1 else FITTED_STEPS) // n))
    far = np.geomspace(min(0.25 / n, 0.01), 1.0, GRID - 1)
    slopes = np.concatenate([1.0 - far[::-1], [1.0]])
    drawn = np.empty((GRID, m))
    rng = np.random.default_rng((SEED, n, series))
    chunk = chunk_of(n, series)
    for a in range(0, m, chunk):
        part = np.empty((GRID, min(chunk, m - a)))
        shocks = rng.standard_normal((part.shape[1], n))
        if series == 1:
            ar1_slopes(shocks, slopes, part)
        else:
            others = np.cumsum(rng.standard_normal((part.shape[1], series - 1, n)), axis=2)
            fitted_slopes(shocks, others, slopes, part)
        drawn[:, a : a + chunk] = part
    drawn.sort(axis=1)
    return SlopeLaw(slopes, drawn, n, series)


@lru_cache(maxsize=64)
def walk_slopes(n: int, series: int = 1) -> np.ndarray:
    """Sorted slopes of `WALKS` random walks of n observations (fewer beyond 1,000), or of regression residuals.

    series: 1 for a spread whose weights come from outside the sample; N for the residual of one walk on
    N - 1 others and a constant, fitted on the same sample.
    """
    m = max(FEWEST_PATHS, min(WALKS, 2 * STEPS // n))
    out = np.empty(m)
    rng = np.random.default_rng((SEED, n, series, 1))
    chunk = chunk_of(n, series)
    for a in range(0, m, chunk):
        slopes_of(draw_walks(rng, min(chunk, m - a), n, series), out[a : a + chunk])
    out.sort()
    return out


@njit
def slopes_of(rows: Any, out: Any) -> None:
    """`slope_of` each row [m, n]."""
    for i in range(len(rows)):
        out[i] = slope_of(rows[i])
