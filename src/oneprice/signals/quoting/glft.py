"""Gueant, Lehalle and Fernandez-Tapia's closed form: quotes without a horizon, the default for round-the-clock markets.

    c1 = ln(1 + xi size / k) / (xi size)
    c2 = sqrt(gamma / (2 A size k) (1 + xi size / k)^(1 + k / (xi size)))
    half spread = c1 + size sigma c2 / 2,     skew = sigma c2 a unit held
    bid distance = half spread + (q - q*) skew,   ask distance = half spread - (q - q*) skew    (from the mid)

With xi = gamma it is the approximation of the 2013 paper by the spectrum of its matrix; xi = 0 (c1 = 1 / k, the power
is e) is a maker who weighs the variance of what he holds but not the chance of his fills. `exact` has the matrix.

Units as in `stoikov`; here q and `size` (of an order) are in units of the underlying, gamma a unit. NaN for a NaN,
gamma or xi < 0, k_decay, arrivals_per_s or size <= 0, sigma < 0. sigma = 0 or gamma = 0: no skew, the half spread is
c1.

Sources: Gueant, Lehalle, Fernandez-Tapia (2013), Dealing with the inventory risk, doi:10.1007/s11579-012-0087-0;
Gueant (2017), Optimal market making, doi:10.1080/1350486X.2017.1342552.
"""

from __future__ import annotations

import math

from oneprice.core.jit import njit
from oneprice.signals.quoting.stoikov import TINY, margin


@njit
def growth(x: float) -> float:
    """(1 + x)^(1 + 1 / x) for x >= 0; e at 0."""
    if x < TINY:
        return math.e
    return math.exp((1.0 + 1.0 / x) * math.log1p(x))


@njit
def glft_margin(xi: float, k_decay: float, size: float) -> float:
    """c1, quote currency."""
    if not size > 0.0:
        return math.nan
    return margin(xi * size, k_decay)


@njit
def glft_risk(gamma: float, xi: float, k_decay: float, arrivals_per_s: float, size: float) -> float:
    """c2: the skew a unit held and a unit of sigma, sqrt(s) a unit."""
    if not (gamma >= 0.0 and xi >= 0.0 and k_decay > 0.0 and arrivals_per_s > 0.0 and size > 0.0):
        return math.nan
    return math.sqrt(gamma / (2.0 * arrivals_per_s * size * k_decay) * growth(xi * size / k_decay))


@njit
def glft_skew(gamma: float, xi: float, k_decay: float, arrivals_per_s: float, sigma: float, size: float) -> float:
    """How far both quotes move down a unit of the underlying held, quote currency a unit."""
    if not sigma >= 0.0:
        return math.nan
    return sigma * glft_risk(gamma, xi, k_decay, arrivals_per_s, size)


@njit
def glft_half_spread(
    gamma: float, xi: float, k_decay: float, arrivals_per_s: float, sigma: float, size: float
) -> float:
    """Distance of either quote from the mid when q = q*, quote currency: half of the quoted spread."""
    tilt = glft_skew(gamma, xi, k_decay, arrivals_per_s, sigma, size)
    return glft_margin(xi, k_decay, size) + 0.5 * size * tilt


@njit
def glft_reservation(s: float, q: float, target: float, skew: float) -> float:
    """The centre of the quotes of one who holds q and wants to hold `target`: s - (q - target) skew."""
    return s - (q - target) * skew
