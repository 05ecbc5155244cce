"""The Hurst exponent by rescaled range, by detrended fluctuations and by moments of increments.

All three are slopes of a log-log line, and all are biased on short samples: a random walk of 250 bars shows .55 or
.45 as easily as .5. So a value is reported beside its percentile among walks of the same length (`hurst_percentile`).

- R/S: windows of sizes rising by 10^(1/4), the mean over a size of range over deviation (ddof 1); `simplified` takes
  the range of the path itself, otherwise of the path around its own trend. Same definitions as the `hurst` package.
- DFA(1): squared residual of straight lines fitted to the path in windows, forward windows.
- moments (q): mean |x_{t+lag} - x_t|^q against the lag, H = slope / q, lags up to `longest`.

Sources: Hurst (1951); Peng et al. (1994), doi:10.1103/PhysRevE.49.1685; Di Matteo (2007),
doi:10.1080/14697680600969727.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError, DataError, unknown_name
from oneprice.core.jit import njit
from oneprice.signals.reversion.checks import rows_of
from oneprice.signals.reversion.walks import chunk_of, draw_walks, percentile_among

LEAST = 100
KINDS = {"random_walk": 0, "price": 1, "change": 2}
METHODS = ("rs", "dfa", "moments")
WALKS, STEPS, SEED = 4_000, 4_000_000, 20_240_218


def hurst_rs(
    series: Any, *, kind: str = "random_walk", min_window: int = 10, max_window: int = 0, simplified: bool = True
) -> tuple[float, float]:
    """(H, c) of E[R/S] = c n^H of one series [T], T >= 100.

    kind: what the series is: "random_walk" (levels, differences matter), "price" (levels, ratios matter; positive) or
    "change" (increments). max_window: 0 takes T - 1. Raises DataError for short, holed, constant series, or prices
    that are not positive.
    """
    rows = rows_of(np.atleast_2d(np.asarray(series, np.float64)), LEAST, "Hurst R/S")
    found = np.empty((1, 2))
    rs_rows(rows, _rs_windows(rows, kind, min_window, max_window), KINDS[kind], int(simplified), found)
    return float(found[0, 0]), float(found[0, 1])


def hurst_rs_block(series: Any, *, kind: str = "random_walk", simplified: bool = True) -> np.ndarray:
    """H by rescaled range of many series [n, T]; float64 [n]."""
    rows = rows_of(series, LEAST, "Hurst R/S")
    found = np.empty((len(rows), 2))
    rs_rows(rows, _rs_windows(rows, kind, 10, 0), KINDS[kind], int(simplified), found)
    return found[:, 0].copy()


def _rs_windows(rows: np.ndarray, kind: str, min_window: int, max_window: int) -> np.ndarray:
    if kind not in KINDS:
        raise unknown_name("kind of series", kind, list(KINDS))
    if kind == "price" and not (rows > 0.0).all():
        raise DataError(f"Hurst R/S: expected positive prices, row {int(np.argmax((rows <= 0).any(axis=1)))} is not")
    n = rows.shape[1]
    longest = max_window or n - 1
    if not 2 <= min_window < longest <= n:
        raise ConfigError(f"Hurst R/S: expected 2 <= min_window < max_window <= {n}, got {min_window}, {longest}")
    sizes = [int(10**x) for x in np.arange(math.log10(min_window), math.log10(longest), 0.25)]
    return np.array([*sizes, n], np.int64)


def hurst_dfa(paths: Any, *, min_window: int = 10, order_span: float = 0.25) -> np.ndarray:
    """H by detrended fluctuation analysis of paths (levels) [n, T] or [T]; float64 [n].

    Windows run from `min_window` to `order_span` T, about 8 a decade, and cover the path from its start.
    """
    rows = rows_of(np.atleast_2d(np.asarray(paths, np.float64)), LEAST, "DFA")
    longest = int(order_span * rows.shape[1])
    if not 4 <= min_window < longest:
        raise ConfigError(f"DFA: expected 4 <= min_window < {longest} (order_span of the length), got {min_window}")
    count = max(4, int(8 * math.log10(longest / min_window)) + 1)
    sizes = np.unique(np.geomspace(min_window, longest, count).astype(np.int64))
    out = np.empty(len(rows))
    dfa_rows(rows, sizes, out)
    return out


def hurst_moments(paths: Any, *, power: float = 2.0, longest: int = 19) -> np.ndarray:
    """Generalised Hurst exponent H(q) of paths (levels) [n, T] or [T], lags 1 to `longest`; float64 [n]."""
    rows = rows_of(np.atleast_2d(np.asarray(paths, np.float64)), LEAST, "Hurst moments")
    if not (power > 0.0 and 2 <= longest < rows.shape[1] // 2):
        raise ConfigError(f"Hurst moments: expected power > 0 and 2 <= longest < T / 2, got {power!r} and {longest}")
    out = np.empty(len(rows))
    moment_rows(rows, float(power), longest, out)
    return out


def hurst_percentile(value: Any, n: int, method: str = "dfa", series: int = 1) -> np.ndarray:
    """Percent of matched walks of `n` levels whose H by `method` is at most `value`; low: more reverting than walks.

    method: "rs" (random_walk, simplified), "dfa" or "moments" (power 2), each with its defaults. series: 1 for a
    spread from outside, N for the residual of a regression among N series on the same observations.
    """
    return percentile_among(hurst_of_walks(n, method, series), value)


@lru_cache(maxsize=32)
def hurst_of_walks(n: int, method: str = "dfa", series: int = 1) -> np.ndarray:
    """Sorted H of matched walks of n levels: 4,000 of them up to n = 1,000, fewer beyond (at least 500)."""
    if method not in METHODS:
        raise unknown_name("Hurst method", method, list(METHODS))
    rng = np.random.default_rng((SEED, n, series))
    chunk = chunk_of(n, series)
    parts = []
    for _ in range(0, max(500, min(WALKS, STEPS // n)), chunk):
        walks = draw_walks(rng, chunk, n, series)
        if method == "rs":
            parts.append(hurst_rs_block(walks))
        else:
            parts.append(hurst_dfa(walks) if method == "dfa" else hurst_moments(walks))
    out = np.concatenate(parts)
    out.sort()
    return out


@njit
def line(x: Any, y: Any) -> Any:
    """(slope, intercept) of least squares."""
    mx, my = x.mean(), y.mean()
    top = 0.0
    bottom = 0.0
    for i in range(len(x)):
        top += (x[i] - mx) * (y[i] - my)
        bottom += (x[i] - mx) ** 2
    slope = top / bottom
    return slope, my - slope * mx


@njit
def rs_rows(rows: Any, sizes: Any, kind: int, simplified: int, out: Any) -> None:
    """(H, c) of each row into out [n, 2]."""
    logs = np.log10(sizes.astype(np.float64))
    means = np.empty(len(sizes))
    for r in range(len(rows)):
        x = rows[r]
        for k in range(len(sizes)):
            w = sizes[k]
            total = 0.0
            count = 0
            for start in range(0, len(x) - w + 1, w):
                ratio = rescaled_range(x[start : start + w], kind, simplified)
                if ratio > 0.0:
                    total += ratio
                    count += 1
            means[k] = math.log10(total / count)
        slope, at = line(logs, means)
        out[r, 0] = slope
        out[r, 1] = 10.0**at


@njit
def rescaled_range(x: Any, kind: int, simplified: int) -> float:
    """R / S of one window; 0 where either vanishes. kind: 0 random_walk, 1 price, 2 change."""
    n = len(x) if kind == 2 else len(x) - 1
    first = 0 if kind == 2 else 1
    total = 0.0
    for i in range(first, first + n):
        total += increment(x, i, kind)
    average = total / n
    squares = 0.0
    z = 0.0
    low, high = math.inf, -math.inf
    for i in range(first, first + n):
        d = increment(x, i, kind)
        squares += (d - average) ** 2
        z += d if simplified == 1 else d - average
        low, high = min(low, z), max(high, z)
    if simplified == 1:
        if kind == 1:
            high, low = x.max() / x.min() - 1.0, 0.0
        else:
            high, low = max(high, 0.0), min(low, 0.0)
    spread = high - low
    deviation = math.sqrt(squares / (n - 1))
    return spread / deviation if spread > 0.0 and deviation > 0.0 else 0.0


@njit
def increment(x: Any, i: int, kind: int) -> float:
    """The increment that ends at i."""
    if kind == 0:
        return x[i] - x[i - 1]
    return x[i] / x[i - 1] - 1.0 if kind == 1 else x[i]


@njit
def dfa_rows(rows: Any, sizes: Any, out: Any) -> None:
    """DFA(1) exponent less 1 of each path: the path is the sum of increments already, so its slope is H itself."""
    logs = np.log(sizes.astype(np.float64))
    heights = np.empty(len(sizes))
    for r in range(len(rows)):
        x = rows[r]
        for k in range(len(sizes)):
            w = sizes[k]
            middle = 0.5 * (w - 1)
            times = w * (w * w - 1.0) / 12.0
            total = 0.0
            pieces = len(x) // w
            for p in range(pieces):
                base = p * w
                height = 0.0
                for i in range(w):
                    height += x[base + i] - x[base]
                height /= w
                cross = 0.0
                square = 0.0
                for i in range(w):
                    d = x[base + i] - x[base] - height
                    cross += (i - middle) * d
                    square += d * d
                total += max(square - cross * cross / times, 0.0)
            heights[k] = 0.5 * math.log(total / (pieces * w))
        out[r] = line(logs, heights)[0]


@njit
def moment_rows(rows: Any, power: float, longest: int, out: Any) -> None:
    """H(q) of each path."""
    logs = np.log(np.arange(1, longest + 1).astype(np.float64))
    heights = np.empty(longest)
    for r in range(len(rows)):
        x = rows[r]
        for lag in range(1, longest + 1):
            total = 0.0
            if power == 2.0:
                for t in range(len(x) - lag):
                    d = x[t + lag] - x[t]
                    total += d * d
            else:
                for t in range(len(x) - lag):
                    total += abs(x[t + lag] - x[t]) ** power
            heights[lag - 1] = math.log(total / (len(x) - lag))
        out[r] = line(logs, heights)[0] / power
