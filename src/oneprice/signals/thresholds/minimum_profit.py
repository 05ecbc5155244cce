"""Minimum-profit bands: bars, not a continuous path; the opening that maximises the profit known to be made.

The spread's deviation is AR(1), e_t = phi e_{t-1} + shock, looked at once a bar. A side opens at or beyond U and
closes at or beyond the level, so each trade makes at least U. Mean first passage times follow from

    E[T(y)] = 1 + int E[T(u)] N(u; phi y, sigma^2) du

over the region where the passage has not happened, solved on Gauss-Legendre nodes. With D the time from U back to
the level and I that from the level to U, a window of T bars makes (T / (D + I) - 1) (U - c) a side at least.

Source: Lin, McCrae and Gulati (2006), doi:10.1155/JAMDS/2006/73803; Puspaningrum, Lin and Gulati (2010),
doi:10.1080/18139949.2010.10719234 (passage times by the integral equation).
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.signals.reversion.checks import positive

TAIL = 6.0  # stationary deviations beyond the band that are kept
PER_SHOCK, FEWEST, MOST = 3.0, 48, 900  # nodes a deviation of the shock, and their bounds
SLOWEST = 0.999


class MinimumProfit(msgspec.Struct, frozen=True):
    """The band and what it makes at least. `entry` is NaN where nothing is made: see `trades`."""

    entry: float  # U > 0, distance from the level on either side, units of the spread
    profit: float  # least total profit of one side over the window, net, units of the spread
    trade_bars: float  # D
    wait_bars: float  # I
    cost: float

    @property
    def trades(self) -> bool:
        """False: at this cost no opening makes anything in the window."""
        return math.isfinite(self.entry)


def passage_bars(phi: float, shock: float, start: float, region: tuple[float, float]) -> float:
    """Mean bars until an AR(1) from `start` leaves `region` (low, high); an infinite end is cut at 6 deviations.

    phi in (-1, .999]; shock: deviation of the shocks, units of the spread.
    """
    if not -1.0 < phi <= SLOWEST:
        raise ConfigError(f"passage_bars: expected phi in (-1, {SLOWEST}], got {phi!r}")
    sd = positive("shock", shock) / math.sqrt(1.0 - phi * phi)
    low, high = region
    low = max(low, min(start, 0.0) - TAIL * sd)
    high = min(high, max(start, 0.0) + TAIL * sd)
    if not low < high:
        raise ConfigError(f"passage_bars: expected a region with low < high, got {region}")
    count = int(min(max(PER_SHOCK * (high - low) / shock, FEWEST), MOST))
    u, weight = panels(low, high, count)
    weight = weight / (shock * math.sqrt(2.0 * math.pi))
    kernel = weight * np.exp(-0.5 * ((u[None, :] - phi * u[:, None]) / shock) ** 2)
    inside = np.linalg.solve(np.eye(len(u)) - kernel, np.ones(len(u)))
    first = weight * np.exp(-0.5 * ((u - phi * start) / shock) ** 2)
    return float(1.0 + first @ inside)


def panels(low: float, high: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss-Legendre in panels of 16 over [low, high], at least `count` of them."""
    x, w = np.polynomial.legendre.leggauss(16)
    edges = np.linspace(low, high, (count + 15) // 16 + 1)
    half = 0.5 * np.diff(edges)[:, None]
    return (edges[:-1, None] + half * (x + 1.0)).ravel(), (half * w).ravel()


def minimum_profit(phi: float, shock: float, cost: float, bars: int) -> MinimumProfit:
    """The opening distance with the largest least profit over a window of `bars`, net of `cost` a round trip.

    Parameters
    ----------
    phi: AR(1) coefficient of the deviation from the level. shock: deviation of its shocks, units of the spread.
    cost: a round trip, same units. bars: length of the window.

    Raises ConfigError for phi outside (-1, .999], a shock that is not positive, a negative cost or no bars.
    """
    from scipy.optimize import minimize_scalar

    if not (cost >= 0.0 and math.isfinite(cost) and bars > 0):
        raise ConfigError(f"minimum_profit: expected cost >= 0 and bars > 0, got {cost!r} and {bars!r}")

    def times(x: float) -> tuple[float, float]:
        return passage_bars(phi, shock, x, (0.0, math.inf)), passage_bars(phi, shock, 0.0, (-math.inf, x))

    def total(x: float) -> float:
        return (bars / sum(times(x)) - 1.0) * (x - cost)

    passage_bars(phi, shock, 0.0, (-math.inf, shock))  # refuses bad phi and shock before the search
    sd = shock / math.sqrt(1.0 - phi * phi)
    low, high = cost, 5.0 * sd
    if low >= high:
        return MinimumProfit(math.nan, 0.0, math.nan, math.nan, cost)
    grid = np.linspace(low, high, 17)[1:]
    best = int(np.argmax([total(float(x)) for x in grid]))
    ends = (float(grid[best - 1]) if best else low, float(grid[min(best + 1, len(grid) - 1)]))
    found = minimize_scalar(lambda x: -total(float(x)), bounds=ends, method="bounded", options={"xatol": 1e-6 * sd})
    x = float(found.x)
    made = total(x)
    if not made > 0.0:
        return MinimumProfit(math.nan, 0.0, math.nan, math.nan, cost)
    back, wait = times(x)
    return MinimumProfit(x, made, back, wait, cost)
