"""Lo and MacKinlay's variance ratio: does the variance of q-step moves grow as q, faster (trend) or slower (reversion)?

With one-step increments d_t of mean m over n = T - 1 steps, unbiased variances and overlapping q-steps

    VR(q) = sum (x_t - x_{t-q} - q m)^2 / (q (n - q + 1) (1 - q / n)) / (sum (d_t - m)^2 / (n - 1))
    z  = (VR - 1) / sqrt(2 (2q - 1) (q - 1) / (3 q n))
    z* = (VR - 1) / sqrt(sum_k (2 (q - k) / q)^2 delta_k),  delta_k = sum a_t a_{t-k} / (sum a_t)^2,  a_t = (d_t - m)^2

z* allows for changing variance. Values and statistics by several q are one test of each, not independent tests.

Source: Lo and MacKinlay (1988), doi:10.1093/rfs/1.1.41.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.signals.reversion.checks import one_series, rows_of
from oneprice.signals.reversion.walks import chunk_of, draw_walks, percentile_among

VR = record([("q", "i8"), ("ratio", "f8"), ("z", "f8"), ("z_star", "f8")])
LEAST = 20
WALKS, STEPS, SEED = 4_000, 4_000_000, 20_240_223


def variance_ratio(path: Any, steps: Sequence[int] = (2, 4, 8, 16)) -> np.ndarray:
    """Records of VR for each q of one path (levels; logs of prices) [T]; shape [len(steps)]."""
    return variance_ratio_block(one_series(path, LEAST, "variance ratio")[None, :], steps)[0]


def variance_ratio_block(paths: Any, steps: Sequence[int] = (2, 4, 8, 16)) -> np.ndarray:
    """Records of VR, shape [n, len(steps)], for paths (levels) [n, T].

    Raises DataError for holes, constant or short rows; ConfigError for a q below 2 or above half the steps.
    """
    rows = rows_of(paths, LEAST, "variance ratio")
    q = np.array(steps, np.int64)
    if q.ndim != 1 or len(q) == 0 or q.min() < 2 or q.max() > (rows.shape[1] - 1) // 2:
        raise ConfigError(f"variance ratio: expected steps q with 2 <= q <= {(rows.shape[1] - 1) // 2}, got {steps}")
    out = np.zeros((len(rows), len(q)), VR)
    ratio_rows(rows, q, out)
    return out


def two_sided_p(z: Any) -> np.ndarray:
    """Two-sided normal p-value of z or z* (asymptotic: for small T or large q compare with simulated walks)."""
    from scipy.special import erfc

    return np.asarray(erfc(np.abs(z) / math.sqrt(2.0)))


def joint_p(z: Any) -> float:
    """p of "no q rejects" from z or z* of one path at several q: of the largest, as if they were independent.

    Sidak's bound by Chow and Denning (1993), doi:10.1016/0304-4076(93)90051-6; at or above the true p, since the
    statistics are positively dependent.
    """
    each = two_sided_p(np.atleast_1d(np.asarray(z, np.float64)))
    return float(-np.expm1(len(each) * np.log1p(-each.min())))


def ratio_percentile(ratio: Any, q: int, n: int, series: int = 1) -> np.ndarray:
    """Percent of matched walks of `n` levels whose VR(q) is at most `ratio`; low: more reverting than walks.

    The normal law of z holds for many observations and small q, and never for the residual of a regression: series
    is N for a residual among N series on the same observations, 1 for a spread from outside.
    """
    return percentile_among(ratios_of_walks(n, q, series), ratio)


@lru_cache(maxsize=64)
def ratios_of_walks(n: int, q: int, series: int = 1) -> np.ndarray:
    """Sorted VR(q) of matched walks of n levels: 4,000 of them up to n = 1,000, fewer beyond (at least 500)."""
    rng = np.random.default_rng((SEED, n, q, series))
    chunk = chunk_of(n, series)
    parts = [
        variance_ratio_block(draw_walks(rng, chunk, n, series), (q,))["ratio"][:, 0]
        for _ in range(0, max(500, min(WALKS, STEPS // n)), chunk)
    ]
    return np.sort(np.concatenate(parts))


def ratio_of_correlations(correlations: Any, q: int) -> float:
    """VR(q) implied by autocorrelations of increments at lags 1, 2, ...: 1 + 2 sum_k (1 - k / q) rho_k."""
    rho = np.asarray(correlations, np.float64)
    if len(rho) < q - 1:
        raise ConfigError(f"variance ratio: expected {q - 1} correlations for q = {q}, got {len(rho)}")
    k = np.arange(1, q)
    return float(1.0 + 2.0 * np.sum((1.0 - k / q) * rho[: q - 1]))


@njit
def ratio_rows(rows: Any, steps: Any, out: Any) -> None:
    """VR records of each row and q."""
    length = rows.shape[1]
    n = length - 1
    widest = steps.max()
    a = np.empty(n)
    delta = np.empty(widest)
    for r in range(len(rows)):
        x = rows[r]
        drift = (x[n] - x[0]) / n
        total = 0.0
        for t in range(n):
            d = x[t + 1] - x[t] - drift
            a[t] = d * d
            total += a[t]
        for k in range(1, widest):
            s = 0.0
            for t in range(k, n):
                s += a[t] * a[t - k]
            delta[k] = s / (total * total)
        one = total / (n - 1)
        for j in range(len(steps)):
            q = steps[j]
            far = 0.0
            for t in range(q, length):
                d = x[t] - x[t - q] - q * drift
                far += d * d
            ratio = far / (q * (n - q + 1) * (1.0 - q / n)) / one
            theta = 0.0
            for k in range(1, q):
                theta += (2.0 * (q - k) / q) ** 2 * delta[k]
            o = out[r, j]
            o.q = q
            o.ratio = ratio
            o.z = (ratio - 1.0) / math.sqrt(2.0 * (2.0 * q - 1.0) * (q - 1.0) / (3.0 * q * n))
            o.z_star = (ratio - 1.0) / math.sqrt(theta)
