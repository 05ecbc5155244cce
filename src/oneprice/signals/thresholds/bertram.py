"""Bertram's bands: open long at a, close at m, again and again; the profit a unit of time at its largest.

For an Ornstein-Uhlenbeck spread a cycle (a to m and back to a) lasts

    E[T] = (pi / kappa) (erfi(m / (sqrt 2 s)) - erfi(a / (sqrt 2 s))),   s = sigma_eq

and earns m - a - c. The best m is -a, and with u = -a / (sqrt 2 s) the best u solves u - D(u) = c / (2 sqrt 2 s),
D the integral of Dawson. This position is long or flat; the reversing rule of `zeng_lee` has the same bands and
earns twice as often.

Source: Bertram (2010), Analytic solutions for optimal statistical arbitrage trading,
doi:10.1016/j.physa.2010.01.045.
"""

from __future__ import annotations

import math

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.signals.thresholds.band import ROOT_2, Band, no_trade, ou_units, over_erfi, widest_root


def bertram(kappa: float, sigma_eq: float, cost: float) -> Band:
    """The band with the largest expected profit a unit of time net of `cost`.

    Parameters
    ----------
    kappa: 1 / time. sigma_eq: stationary deviation, units of the spread. cost: a round trip, same units.

    Raises ConfigError for parameters that are not positive and finite (cost may be 0: the band closes to 0).
    """
    u = widest_root(0.5 * ou_units(kappa, sigma_eq, cost))
    x = ROOT_2 * sigma_eq * u
    if u == 0.0:  # no cost: the limit of 2 x / E[T]
        rate = kappa * ROOT_2 * sigma_eq * over_erfi(0.0, 0.0) / math.pi
        return Band(0.0, 0.0, rate, 0.0, cost)
    rate = kappa / (2.0 * math.pi) * over_erfi(2.0 * x - cost, u)
    return Band(-x, x, rate, cycle_time(kappa, sigma_eq, -x, x), cost, variance_rate(kappa, sigma_eq, -x, x, cost))


def cycle_time(kappa: float, sigma_eq: float, entry: float, exit: float) -> float:  # noqa: A002 - the field's word
    """E[T] of a cycle from `entry` to `exit` and back, in time."""
    from scipy.special import erfi

    scale = ROOT_2 * sigma_eq
    return math.pi / kappa * float(erfi(exit / scale) - erfi(entry / scale))


def cycle_variance(kappa: float, sigma_eq: float, entry: float, exit: float) -> float:  # noqa: A002
    """Var[T] of a cycle, time squared; equation 10 of Bertram by its series (distances up to about 5 sigma_eq)."""
    y = np.array([exit, entry]) / sigma_eq
    if np.abs(y).max() > 6.0:
        raise ConfigError(f"Bertram's variance: expected bands within 6 sigma_eq, got {entry:g} and {exit:g}")
    first, second = _first_moment_terms(y), _second_moment_terms(y)
    return float((first[0] - first[1] - (second[0] - second[1])) / kappa**2)


def _first_moment_terms(y: np.ndarray) -> np.ndarray:
    """w1: difference of the squares of the two one-sided mean passage series."""
    from scipy.special import gammaln

    k = np.arange(1, 160)
    x = ROOT_2 * y[:, None]
    size = np.exp(gammaln(k / 2.0) - gammaln(k + 1.0)) * np.abs(x) ** k
    up = 0.5 * (size * np.sign(x) ** k).sum(axis=1)
    down = 0.5 * (size * np.sign(-x) ** k).sum(axis=1)
    return np.asarray(up**2 - down**2)


def _second_moment_terms(y: np.ndarray) -> np.ndarray:
    """w2."""
    from scipy.special import digamma, gammaln

    k = np.arange(1, 80)
    odd = 2.0 * k - 1.0
    x = ROOT_2 * y[:, None]
    size = np.exp(gammaln(odd / 2.0) - gammaln(odd + 1.0)) * (digamma(odd / 2.0) - digamma(1.0))
    return np.asarray((size * np.abs(x) ** odd * np.sign(x)).sum(axis=1))


def variance_rate(kappa: float, sigma_eq: float, entry: float, exit: float, cost: float) -> float:  # noqa: A002
    """Variance of the profit a unit of time: (m - a - c)^2 Var[T] / E[T]^3; NaN beyond 6 sigma_eq."""
    if max(abs(entry), abs(exit)) > 6.0 * sigma_eq:
        return math.nan
    mean = cycle_time(kappa, sigma_eq, entry, exit)
    return (exit - entry - cost) ** 2 * cycle_variance(kappa, sigma_eq, entry, exit) / mean**3


def sharpe(kappa: float, sigma_eq: float, entry: float, exit: float, cost: float, hurdle: float = 0.0) -> float:  # noqa: A002
    """(rate - hurdle / E[T]) / sqrt(variance rate), a unit of time to the power 1/2; `hurdle` is charged a cycle."""
    mean = cycle_time(kappa, sigma_eq, entry, exit)
    spread = variance_rate(kappa, sigma_eq, entry, exit, cost)
    return (exit - entry - cost - hurdle) / mean / math.sqrt(spread)


def bertram_sharpe(kappa: float, sigma_eq: float, cost: float, hurdle: float) -> Band:
    """The symmetric band with the largest Sharpe ratio; `hurdle` > 0 is a return demanded a cycle, spread units.

    Without a hurdle every cycle earns the same, the ratio does not see how much, and the narrowest band wins:
    such a call is refused. The ratio is maximised between (cost + hurdle) / 2 and 6 sigma_eq; where that is empty
    there is no trade.
    """
    from scipy.optimize import minimize_scalar

    if not hurdle > 0.0:
        raise ConfigError(f"bertram_sharpe: expected a hurdle > 0, got {hurdle!r}; use bertram() for the largest rate")
    ou_units(kappa, sigma_eq, cost + hurdle)
    low, high = 0.5 * (cost + hurdle), 6.0 * sigma_eq
    if low >= high:
        return no_trade(cost)
    found = minimize_scalar(
        lambda x: -sharpe(kappa, sigma_eq, -x, x, cost, hurdle), bounds=(low, high), method="bounded",
        options={"xatol": 1e-10 * sigma_eq},
    )  # fmt: skip
    x = float(found.x)
    mean = cycle_time(kappa, sigma_eq, -x, x)
    return Band(-x, x, (2.0 * x - cost) / mean, mean, cost, variance_rate(kappa, sigma_eq, -x, x, cost))
