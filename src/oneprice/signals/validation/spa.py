"""Is the best of many models better than the benchmark, or the luckiest? Hansen's test and White's reality check.

d_k = loss of the benchmark - loss of model k, at each time. The statistic and its bootstrap distribution are

    T = max(0, max_k sqrt(n) mean(d_k) / w_k),   T* = max(0, max_k sqrt(n) (mean(d*_k) - g(mean(d_k))) / w_k)

over stationary-bootstrap samples d*; p is the share of T* >= T, w_k^2 the long-run variance under that bootstrap.
Three recentrings: `upper` g(d) = d (White; a poor model counts as good as the benchmark), `consistent` g(d) = d only
where d >= -w sqrt(2 ln ln n / n) (Hansen), `lower` g(d) = max(0, d). Inputs are LOSSES: lower is better; pass minus
the returns of a strategy.

References: P. R. Hansen (2005), doi 10.1198/073500105000000063; H. White (2000), doi 10.1111/1468-0262.00152;
D. N. Politis, J. P. Romano (1994), doi 10.1080/01621459.1994.10476870.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.jit import njit


class Superior(msgspec.Struct, frozen=True):
    """p-values of the three recentrings, with what they were computed with. No p is below `floor`: print "< floor"."""

    stat: float
    p_lower: float
    p_consistent: float
    p_upper: float  # White's reality check when studentize is False
    floor: float  # 1 / (reps + 1)
    best: int  # column of the best model
    models: int
    n: int
    block: float
    reps: int


def superior_ability(
    benchmark_losses: Any,
    model_losses: Any,
    *,
    block: float = 0.0,
    reps: int = 1000,
    studentize: bool = True,
    seed: int = 0,
    indices: Any = None,
) -> Superior:
    """Test that no model has a smaller expected loss than the benchmark.

    benchmark_losses: float64[n]; model_losses: float64[n, k], every model tried. block: mean block length of the
    bootstrap, 0 means sqrt(n). indices: int64[reps, n], resampled rows to use instead of drawing them from `seed`.
    p counts the sample itself, (1 + #{T* >= T}) / (reps + 1), so it is never 0; it is 1 where no model has the smaller
    mean loss in the sample (T = 0).
    Raises ConfigError for impossible settings, DataError for shapes that differ, NaN or fewer than 10 rows.
    """
    base, models = np.asarray(benchmark_losses, np.float64), np.asarray(model_losses, np.float64)
    if base.ndim != 1 or models.ndim != 2 or len(models) != len(base) or len(base) < 10 or models.shape[1] < 1:
        raise DataError(
            f"losses: expected a benchmark of shape (n,) and models of shape (n, k), n >= 10, got {base.shape} and "
            f"{models.shape}"
        )
    gain = np.ascontiguousarray(base[:, None] - models)
    if not np.isfinite(gain).all():
        row, column = np.argwhere(~np.isfinite(gain))[0]
        raise DataError(f"losses: expected finite numbers, got {gain[row, column]} at row {row}, model {column}")
    n = len(base)
    mean_block = float(block) or math.sqrt(n)
    if not 1.0 <= mean_block <= n or reps < 1:
        raise ConfigError(f"expected a block from 1 to {n} and reps >= 1, got {mean_block} and {reps}")
    if indices is None:
        counts = _drawn(np.random.default_rng(seed), n, reps, 1.0 / mean_block)
    else:
        counts = _counted(np.asarray(indices), n)
        reps = len(counts)
    at = gain.mean(axis=0)
    deviation = np.sqrt(long_run_variance(gain, mean_block))
    scale = np.sqrt(n) / np.where(deviation > 0.0, deviation, np.inf) if studentize else np.full(len(at), np.sqrt(n))
    relevant = at >= -deviation * math.sqrt(2.0 * math.log(math.log(n)) / n)
    stat = max(0.0, float(np.max(scale * at)))
    moved = counts @ gain / n
    p = []
    for centre in (np.maximum(0.0, at), np.where(relevant, at, 0.0), at):
        found = np.maximum(0.0, np.max(scale * (moved - centre), axis=1))
        p.append((1.0 + np.count_nonzero(found >= stat)) / (reps + 1.0))
    return Superior(
        stat=stat,
        p_lower=p[0],
        p_consistent=p[1],
        p_upper=p[2],
        floor=1.0 / (reps + 1.0),
        best=int(np.argmax(scale * at)),
        models=models.shape[1],
        n=n,
        block=mean_block,
        reps=reps,
    )


def long_run_variance(x: np.ndarray, block: float) -> np.ndarray:
    """n times the variance of a stationary-bootstrap mean of each column, float64[k] (Politis and Romano, lemma 1).

    sum_i kappa_i c_i over all lags, kappa_i = 2 ((1 - i/n) q^i + i/n q^{n-i}), q = 1 - 1/block, c_i autocovariances.
    """
    n = len(x)
    d = x - x.mean(axis=0)
    room = 1 << (2 * n - 1).bit_length()
    power = np.abs(np.fft.rfft(d, room, axis=0)) ** 2
    cov = np.fft.irfft(power, room, axis=0)[:n] / n
    i = np.arange(n)
    q = 1.0 - 1.0 / block
    kappa = 2.0 * ((1.0 - i / n) * q**i + i / n * q ** (n - i))
    kappa[0] = 1.0
    return np.maximum(0.0, kappa @ cov)


def stationary_indices(n: int, reps: int, block: float, seed: int = 0) -> np.ndarray:
    """Rows of a stationary bootstrap, int64[reps, n]: geometric blocks of this mean length, wrapped at the end."""
    out = np.empty((reps, n), np.int64)
    _draw(np.random.default_rng(seed), 1.0 / block, out)
    return out


@njit
def _draw(rng: Any, p: float, out: Any) -> None:
    reps, n = out.shape
    for r in range(reps):
        at = 0
        for i in range(n):
            if i == 0 or rng.random() < p:
                at = int(rng.random() * n)
            else:
                at = at + 1 if at + 1 < n else 0
            out[r, i] = at


def _drawn(rng: np.random.Generator, n: int, reps: int, p: float) -> np.ndarray:
    """How often each sample takes each row, float64[reps, n]."""
    out = np.zeros((reps, n))
    _draw_counts(rng, p, out)
    return out


@njit
def _draw_counts(rng: Any, p: float, out: Any) -> None:
    reps, n = out.shape
    row = np.empty((1, n), np.int64)
    for r in range(reps):
        _draw(rng, p, row)
        for i in range(n):
            out[r, row[0, i]] += 1.0


def _counted(indices: np.ndarray, n: int) -> np.ndarray:
    if indices.ndim != 2 or indices.shape[1] != n or indices.dtype.kind not in "iu":
        raise DataError(f"indices: expected integers of shape (reps, {n}), got {indices.dtype} {indices.shape}")
    if indices.min() < 0 or indices.max() >= n:
        raise DataError(f"indices: expected rows from 0 to {n - 1}, got {indices.min()} to {indices.max()}")
    return np.stack([np.bincount(row, minlength=n) for row in indices]).astype(np.float64)
