"""Two linear mean-reversion rules as a textbook states them: the replication rows of `oneprice verify`, not a strategy.

Both hold units against the deviation of a spread from its moving average, in moving standard deviations. Daily
return = profit of yesterday's positions over their gross value, nothing where that is undefined; gross of cost and
in sample, as published.

Source: E. P. Chan (2013), Algorithmic Trading, chapters 2 and 3.
"""

from __future__ import annotations

import math

import numpy as np

DAYS = 252


def moving(x: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """(mean, standard deviation with ddof 1) of the last `width` values, float64 [T]; NaN until there are so many."""
    mean = np.full(len(x), math.nan)
    deviation = np.full(len(x), math.nan)
    if len(x) >= width:
        windows = np.lib.stride_tricks.sliding_window_view(x, width)
        mean[width - 1 :] = windows.mean(axis=1)
        deviation[width - 1 :] = windows.std(axis=1, ddof=1)
    return mean, deviation


def linear_rule(prices: np.ndarray, weights: np.ndarray, width: int) -> np.ndarray:
    """Daily returns [T] of -(spread - mean) / deviation units of the portfolio of share `weights`.

    prices [N, T]; weights [N] (held) or [N, T] (those of the day). The spread is the weights on the prices.
    """
    shares = weights[:, None] * np.ones(prices.shape[1]) if weights.ndim == 1 else weights
    spread = (shares * prices).sum(axis=0)
    mean, deviation = moving(spread, width)
    held = -(spread - mean) / deviation * shares * prices
    gain = (held[:, :-1] * (prices[:, 1:] / prices[:, :-1] - 1.0)).sum(axis=0)
    returns = np.zeros(prices.shape[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        returns[1:] = gain / np.abs(held[:, :-1]).sum(axis=0)
    return np.where(np.isfinite(returns), returns, 0.0)


def rolling_hedge(y: np.ndarray, x: np.ndarray, width: int) -> np.ndarray:
    """Least-squares slope of y on x and a constant over the last `width` days, [T]; NaN until there are so many."""
    out = np.full(len(y), math.nan)
    windows = np.lib.stride_tricks.sliding_window_view
    a, b = windows(y, width), windows(x, width)
    b = b - b.mean(axis=1, keepdims=True)
    out[width - 1 :] = (a * b).sum(axis=1) / (b * b).sum(axis=1)
    return out


def yearly(returns: np.ndarray) -> tuple[float, float]:
    """(compound return a year, Sharpe ratio a year with ddof 1) of daily returns."""
    growth = float(np.prod(1.0 + returns)) ** (DAYS / len(returns)) - 1.0
    return growth, float(math.sqrt(DAYS) * returns.mean() / returns.std(ddof=1))
