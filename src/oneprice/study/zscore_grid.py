"""A rolling z-score rule on one pair over a whole grid of (window, entry, exit), in one pass a grid point.

    z_t = (x_t - mean of the last w) / deviation (ddof 1) of the last w
    z_t <= -entry buys the spread, z_t >= entry sells it;  long is left at z_t >= -exit, short at z_t <= exit

The decision of bar t is done at the close of bar t + 1: each leg at half of the equity of that moment, held until the
next change, fees on the value traded. The grid is for looking at a shape; its best point owes its number to the size
of the grid, which is why `tries` stands in the result.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.jit import njit


class Grid(msgspec.Struct, frozen=True, eq=False):
    """One row a grid point: `points` float64[n, 3] (window, entry, exit), `final` equity per unit of capital,
    `trades` entries made, `sharpe` of bar returns (mean / deviation, not annualised; NaN if flat throughout)."""

    points: np.ndarray
    final: np.ndarray
    trades: np.ndarray
    sharpe: np.ndarray

    @property
    def tries(self) -> int:
        """Number of points looked at."""
        return len(self.points)


def zscore_grid(spread: np.ndarray, close: np.ndarray, points: np.ndarray, *, fee_bp: float = 0.0) -> Grid:
    """Run the rule at every grid point.

    Parameters
    ----------
    spread : float64[T], any spread of the two legs known at each close. close : float64[T, 2], prices above 0.
    points : float64[n, 3], rows of (window in bars >= 2, entry > 0, |exit| < entry). fee_bp : of the value traded.

    Raises
    ------
    DataError
        Lengths differ, something is not finite, or a price is not above 0.
    ConfigError
        A grid point is impossible (its row is named).
    """
    x, p = np.ascontiguousarray(spread, np.float64), np.ascontiguousarray(close, np.float64)
    grid = np.ascontiguousarray(points, np.float64)
    if x.ndim != 1 or p.shape != (len(x), 2):
        raise DataError(f"zscore_grid: expected a spread [T] and prices [T, 2], got {x.shape} and {p.shape}")
    if not np.isfinite(x).all() or not (np.isfinite(p) & (p > 0)).all():
        raise DataError("zscore_grid: expected a finite spread and finite prices above 0")
    if grid.ndim != 2 or grid.shape[1] != 3 or not len(grid):
        raise ConfigError(f"zscore_grid: expected points [n, 3], got shape {grid.shape}")
    window, entry, leave = grid.T
    wrong = ~((window >= 2) & (window <= len(x)) & (window == np.floor(window)) & (np.abs(leave) < entry))
    if wrong.any():
        k = int(np.argmax(wrong))
        raise ConfigError(
            f"zscore_grid: row {k}: expected a window of 2..{len(x)} bars and |exit| < entry, got {grid[k]}"
        )
    order = np.argsort(window, kind="stable")
    out = np.empty((len(grid), 3))
    _run_grid(x, p, grid, order, float(fee_bp) * 1e-4, out)
    return Grid(grid, out[:, 0], out[:, 1].astype(np.int64), out[:, 2])


def rolling_z(x: np.ndarray, window: int) -> np.ndarray:
    """z of each bar, float64[T]; NaN before the window is full and where the deviation is 0."""
    z = np.empty(len(x))
    _z_scores(np.ascontiguousarray(x, np.float64), int(window), z)
    return z


@njit
def _z_scores(x: Any, window: int, z: Any) -> None:
    """Moments by difference about the first value, made anew once a window so that dust does not pile up."""
    n = len(x)
    z[: min(window - 1, n)] = np.nan
    base, total, square = 0.0, 0.0, 0.0
    for t in range(window - 1, n):
        if (t - window + 1) % window == 0:
            base, total, square = x[t], 0.0, 0.0
            for s in range(t - window + 1, t + 1):
                d = x[s] - base
                total += d
                square += d * d
        else:
            new, old = x[t] - base, x[t - window] - base
            total += new - old
            square += new * new - old * old
        mean = total / window
        variance = (square - total * mean) / (window - 1)
        z[t] = (x[t] - base - mean) / np.sqrt(variance) if variance > 0.0 else np.nan


@njit
def _run_grid(x: Any, p: Any, grid: Any, order: Any, fee: float, out: Any) -> None:
    """Grid points of one window share its z-scores."""
    z = np.empty(len(x))
    last = -1
    for k in range(len(order)):
        i = order[k]
        window = int(grid[i, 0])
        if window != last:
            _z_scores(x, window, z)
            last = window
        out[i, 0], out[i, 1], out[i, 2] = _run_rule(z, p, grid[i, 1], grid[i, 2], fee)


@njit
def _run_rule(z: Any, p: Any, entry: float, leave: float, fee: float) -> Any:
    """(final equity, entries, Sharpe ratio a bar) of one grid point, from equity 1."""
    n = len(z)
    cash, a, b = 1.0, 0.0, 0.0
    side, wanted, trades = 0, 0, 0
    before, total, square = 1.0, 0.0, 0.0
    for t in range(n):
        value = cash + a * p[t, 0] + b * p[t, 1]
        if wanted != side:
            new_a, new_b = wanted * 0.5 * value / p[t, 0], -wanted * 0.5 * value / p[t, 1]
            moved_a, moved_b = (new_a - a) * p[t, 0], (new_b - b) * p[t, 1]
            cash -= moved_a + moved_b + fee * (abs(moved_a) + abs(moved_b))
            a, b, side = new_a, new_b, wanted
            trades += 1 if side != 0 else 0
            value = cash + a * p[t, 0] + b * p[t, 1]
        if t > 0:
            r = value / before - 1.0
            total += r
            square += r * r
        before = value
        if z[t] <= -entry:
            wanted = 1
        elif z[t] >= entry:
            wanted = -1
        elif (side == 1 and z[t] >= -leave) or (side == -1 and z[t] <= leave):
            wanted = 0
    mean = total / (n - 1)
    variance = (square - total * mean) / (n - 2)
    sharpe = mean / np.sqrt(variance) if variance > 0.0 else np.nan
    return before, float(trades), sharpe
