"""Null distributions by simulation: for this length, lag rule, trend and number of series, kept on disk.

A null is the sorted draws of a statistic under no relation (driftless Gaussian random walks). Its p-value counts

    p = (1 + #{draws at least as extreme}) / (draws + 1)

so that p is never 0 and its smallest value, the floor 1/(draws+1), prints as "< floor". A p-value at the floor is
an upper bound. Draws are independent (no series is used twice). Lengths above LONGEST use the null of LONGEST: the
distribution moves by less than the simulation's own error beyond it.

Source: Davison and Hinkley (1997), Bootstrap Methods and their Application, section 4.2 (the +1).
"""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.jit import cache_home, njit
from oneprice.signals.unit_root.inputs import trend_code
from oneprice.signals.unit_root.kernels import adf_rows_quick, kpss_rows

DRAWS = 49_999
LONGEST = 2_000
CHUNK_VALUES = 2_000_000
VERSION = 1  # of the meaning of the files: raise it when a statistic changes
BUCKETS = 65_536  # about as many as draws: a look-up then takes a step or two


class Null(msgspec.Struct, frozen=True):
    """Sorted draws of a statistic under its null, and an index of buckets that makes looking up quick.

    `draws` float64[n] rising; `start` int64[BUCKETS + 1]: draws below the lower edge of each bucket; `upper` True when
    large values speak against the null.
    """

    name: str
    draws: Any
    start: Any
    low: float
    per_unit: float
    upper: bool = False

    @property
    def floor(self) -> float:
        """The smallest p-value it can state."""
        return 1.0 / (len(self.draws) + 1)

    def p(self, stat: Any) -> Any:
        """p-values of statistics (scalar or array of any shape); NaN for NaN."""
        values = np.asarray(stat, np.float64)
        out = np.empty(values.size)
        scale = np.array([self.low, self.per_unit])
        null_p_rows(np.ascontiguousarray(values).ravel(), self.draws, self.start, scale, self.upper, out)
        return float(out[0]) if values.ndim == 0 else out.reshape(values.shape)

    def critical(self, level: float) -> float:
        """The statistic at which p is `level`, by interpolation between draws."""
        at = (1.0 - level if self.upper else level) * (len(self.draws) - 1)
        below = min(int(at), len(self.draws) - 2)
        low, high = self.draws[below], self.draws[below + 1]
        return float(low + (at - below) * (high - low))


def null_of(name: str, draws: np.ndarray, *, upper: bool = False) -> Null:
    """A Null from draws in any order."""
    x = np.sort(np.ascontiguousarray(draws, np.float64))
    if len(x) < 2 or not np.isfinite(x).all():
        raise ConfigError(f"null {name}: expected at least two finite draws, got {np.isfinite(x).sum()} of {len(x)}")
    span = float(x[-1] - x[0])
    per_unit = BUCKETS / span if span > 0.0 else 0.0
    bucket = np.minimum((x - x[0]) * per_unit, BUCKETS - 1).astype(np.int64)
    start = np.zeros(BUCKETS + 1, np.int64)
    start[1:] = np.cumsum(np.bincount(bucket, minlength=BUCKETS))
    return Null(name, x, start, float(x[0]), per_unit, upper)


@njit
def count_at_most(x: float, draws: Any, start: Any, scale: Any) -> int:
    """How many sorted draws are <= x: the bucket of x, then bisection inside it."""
    n = len(draws)
    if x < draws[0]:
        return 0
    if x >= draws[n - 1]:
        return n
    b = int(min((x - scale[0]) * scale[1], len(start) - 2.0))
    lo, hi = start[b], start[b + 1]
    while lo < hi:
        mid = (lo + hi) >> 1
        if draws[mid] <= x:
            lo = mid + 1
        else:
            hi = mid
    return lo


@njit
def null_p_rows(stat: Any, draws: Any, start: Any, scale: Any, upper: bool, out: Any) -> None:
    """(1 + draws at least as extreme) / (n + 1) of each statistic; NaN for NaN. Ties count as extreme."""
    n = len(draws)
    for i in range(len(stat)):
        x = stat[i]
        if math.isnan(x):
            out[i] = math.nan
        elif upper:
            out[i] = (1.0 + n - count_at_most(np.nextafter(x, -math.inf), draws, start, scale)) / (n + 1.0)
        else:
            out[i] = (1.0 + count_at_most(x, draws, start, scale)) / (n + 1.0)


def p_text(p: float, floor: float) -> str:
    """A p-value as text; at or below the floor of its null it reads "< floor"."""
    if math.isnan(p):
        return "-"
    return f"< {floor:.2g}" if p <= floor else f"{p:.4g}"


def null_folder() -> Path:
    """Where simulated nulls are kept: beside the compiled kernels."""
    return cache_home().parent / "nulls"


def kept(key: str, draw: Callable[[], np.ndarray]) -> np.ndarray:
    """The draws of `key` from the folder, else drawn now and kept (written aside, then renamed)."""
    digest = hashlib.sha256(f"{VERSION}|{key}".encode()).hexdigest()[:16]
    path = null_folder() / f"{key.split('|')[0]}-{digest}.npy"
    if path.is_file():
        try:
            return np.asarray(np.load(path, allow_pickle=False))
        except (ValueError, EOFError):
            pass  # torn or foreign: draw again
    draws = draw()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as f:
            np.save(f, draws, allow_pickle=False)
        os.replace(f.name, path)
    except OSError:
        pass  # no room or no right to write: the draws serve this process
    return draws


def cached(key: str, draw: Callable[[], np.ndarray], *, upper: bool = False) -> Null:
    """The null of `key`, drawn once."""
    return null_of(key, kept(key, draw), upper=upper)


def simulate(
    statistic: Callable[[np.ndarray, np.ndarray], None],
    n_obs: int,
    n_series: int,
    draws: int,
    seed: int,
    *,
    width: int = 0,
) -> np.ndarray:
    """Draws of a statistic of driftless Gaussian walks: float64 [draws], or [draws, width] of several statistics.

    statistic: called with walks float64 [m, n_series, n_obs] and fills [m] (or [m, width]).
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, n_obs, n_series]))
    out = np.empty((draws, width) if width else draws)
    step = max(1, CHUNK_VALUES // (n_obs * n_series))
    for i in range(0, draws, step):
        m = min(step, draws - i)
        walks = np.cumsum(rng.standard_normal((m, n_series, n_obs)), axis=2)
        statistic(walks, out[i : i + m])
    return out


@lru_cache(maxsize=32)
def adf_null(
    n_obs: int, *, lags: int, criterion: int = 0, trend: str = "c", draws: int = DRAWS, seed: int = 0
) -> Null:
    """Null of the ADF t for a length, number of lags (or most lags and criterion) and trend."""
    length = min(n_obs, LONGEST)
    settings = (lags, trend_code(trend), criterion)

    def fill(walks: np.ndarray, out: np.ndarray) -> None:
        adf_rows_quick(walks[:, 0, :].copy(), settings, out, np.empty(len(out), np.int64))

    key = f"adf|T={length}|lags={lags}|criterion={criterion}|trend={trend}|draws={draws}|seed={seed}"
    return cached(key, lambda: simulate(fill, length, 1, draws, seed))


@lru_cache(maxsize=32)
def kpss_null(n_obs: int, *, lags: int = -1, trend: str = "c", draws: int = DRAWS, seed: int = 0) -> Null:
    """Null of KPSS: Gaussian noise around a level or trend; lags -1 for the automatic rule."""
    length = min(n_obs, LONGEST)
    code = trend_code(trend)

    def fill(walks: np.ndarray, out: np.ndarray) -> None:
        noise = np.diff(walks[:, 0, :], axis=1, prepend=0.0)
        kpss_rows(noise, code, lags, out, np.empty(len(out), np.int64))

    key = f"kpss|T={length}|lags={lags}|trend={trend}|draws={draws}|seed={seed}"
    return cached(key, lambda: simulate(fill, length, 1, draws, seed), upper=True)
