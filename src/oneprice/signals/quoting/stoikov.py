"""Avellaneda and Stoikov's quotes, as published: a price of indifference r and a HALF spread around it.

    r           = s - (q - q*) gamma sigma^2 (T - t)
    half_spread = gamma sigma^2 (T - t) / 2 + (1 / gamma) ln(1 + gamma / k)
    bid, ask    = r - half_spread, r + half_spread

The quoted spread is twice `half_spread`; who reads it as the whole spread quotes half as wide and loses money where
gamma is large (`study.making_world` shows it). q* = mu / (gamma sigma^2) is the inventory a drift mu would have one
hold; mu is 0 unless there is evidence for another.

Units: prices and distances in quote currency, sigma in quote currency a square root of a second, k_decay and gamma in
1 / quote currency, q in orders of one unit, time in seconds. For orders of `size` units count q in orders
(q / size) and give gamma * size.

Not defined, NaN: a NaN anywhere, gamma < 0, k_decay <= 0, sigma < 0. Limits: gamma = 0 is 1 / k around s; sigma = 0
has no skew; at and after the horizon (left_s <= 0) the terms of risk are 0, as they are on it.

Source: Avellaneda and Stoikov (2008), High-frequency trading in a limit order book, doi:10.1080/14697680701381228.
"""

from __future__ import annotations

import math

from oneprice.core.jit import njit

TINY = 1e-12  # of gamma / k: below it ln(1 + x) / x is 1


@njit
def margin(gamma: float, k_decay: float) -> float:
    """(1 / gamma) ln(1 + gamma / k), quote currency: what a fill must pay a maker who holds nothing; 1 / k at gamma 0.

    NaN for gamma < 0, k_decay <= 0 or NaN.
    """
    if not (gamma >= 0.0 and k_decay > 0.0):
        return math.nan
    x = gamma / k_decay
    if x < TINY:
        return 1.0 / k_decay
    return math.log1p(x) / gamma


@njit
def risk(gamma: float, sigma: float, left_s: float) -> float:
    """gamma sigma^2 (T - t), quote currency an order held; 0 from the horizon on; NaN for gamma or sigma < 0 or NaN."""
    if not (gamma >= 0.0 and sigma >= 0.0) or math.isnan(left_s):
        return math.nan
    if left_s <= 0.0 or gamma == 0.0 or sigma == 0.0:
        return 0.0
    return gamma * sigma * sigma * left_s


@njit
def half_spread(gamma: float, k_decay: float, sigma: float, left_s: float) -> float:
    """Distance of either quote from the reservation price, quote currency: half of the quoted spread."""
    return 0.5 * risk(gamma, sigma, left_s) + margin(gamma, k_decay)


@njit
def reservation(s: float, q: float, target: float, gamma: float, sigma: float, left_s: float) -> float:
    """The price of indifference r of a maker who holds q and wants to hold `target`, quote currency."""
    return s - (q - target) * risk(gamma, sigma, left_s)


@njit
def inventory_target(mu: float, gamma: float, sigma: float, limit: float) -> float:
    """q* = mu / (gamma sigma^2), within +-limit; 0 without a drift, the limit where there is no risk to hold against.

    `mu` is the drift in quote currency a second, shrunk (see `shrunk_drift`). NaN for a NaN, a negative gamma, sigma
    or limit.
    """
    if not (gamma >= 0.0 and sigma >= 0.0 and limit >= 0.0) or math.isnan(mu):
        return math.nan
    if mu == 0.0:
        return 0.0
    aversion = gamma * sigma * sigma
    if not abs(mu) < limit * aversion:
        return math.copysign(limit, mu)
    return mu / aversion


@njit
def shrunk_drift(mu: float, sigma: float, seen_s: float) -> float:
    """A drift estimated over `seen_s` seconds, shrunk to 0: mu max(0, 1 - 1 / t^2), t = mu sqrt(seen_s) / sigma.

    The mean of prices over any window says next to nothing of their drift: its error alone moves q* by
    1 / (gamma sigma sqrt(seen_s)). Below one standard error this is 0. sigma = 0 leaves mu as it is; NaN for a NaN,
    sigma < 0 or seen_s <= 0.
    """
    if not (sigma >= 0.0 and seen_s > 0.0) or math.isnan(mu):
        return math.nan
    error_sq = sigma * sigma / seen_s
    if mu * mu <= error_sq:
        return 0.0
    return mu * (1.0 - error_sq / (mu * mu))


@njit
def frozen_bid(s: float, q: float, gamma: float, sigma: float, left_s: float) -> float:
    """The bid at which one who never trades again is indifferent: s - (1 + 2 q) gamma sigma^2 (T - t) / 2."""
    return s - 0.5 * (1.0 + 2.0 * q) * risk(gamma, sigma, left_s)


@njit
def frozen_ask(s: float, q: float, gamma: float, sigma: float, left_s: float) -> float:
    """The ask at which one who never trades again is indifferent: s + (1 - 2 q) gamma sigma^2 (T - t) / 2."""
    return s + 0.5 * (1.0 - 2.0 * q) * risk(gamma, sigma, left_s)


@njit
def gbm_sigma(s: float, log_sigma: float, left_s: float) -> float:
    """The sigma that turns each formula above into its mean-variance form for a geometric price.

    Variance of the price over the rest is s^2 (exp(log_sigma^2 (T - t)) - 1), with log_sigma a square root of a
    second; divided by T - t it takes the place of sigma^2. NaN for s <= 0, log_sigma < 0 or NaN; s log_sigma at or
    after the horizon, its limit.
    """
    if not (s > 0.0 and log_sigma >= 0.0) or math.isnan(left_s):
        return math.nan
    if left_s <= 0.0:
        return s * log_sigma
    return s * math.sqrt(math.expm1(log_sigma * log_sigma * left_s) / left_s)
