"""How much capital a signal deserves: expected gain net of cost, what can be traded, and what may still be lost.

    gain    = sigma |z| (1 - e^(-kappa h)) - cost        expected by the end of h steps, as a share of the gross value
    sd^2    = sigma^2 (1 - e^(-2 kappa h))               of an Ornstein-Uhlenbeck spread, the same units
    f       = min(shrink * max(gain, 0) / (sd^2 + se^2), most)          a share of Kelly, the estimate's error in it
    surplus = max(W - floor * M, 0)                      wealth above its floor, M the highest wealth so far
    liquid  = participation * min_i depth_i sum|w| / |w_i|              gross value that takes so much of each leg
    capital = min(f * surplus, liquid)                   gross value, in the units of wealth and depth

It lies between 0 and `most * surplus`, never falls when gain, wealth or a depth rises, never rises when the error, the
risk, the cost or the peak does; anything that is not a number gives 0. With f constant and no limit of liquidity
wealth stays above `floor * M` in continuous time and grows, logarithmically, by (1 - floor) (f mu - f^2 sigma^2 / 2).
Kernels live here and not in `risk` because strategies size with them and import nothing of risk; `risk/allocation.py`
shares them.

References: J. L. Kelly (1956), doi:10.1002/j.1538-7305.1956.tb03809.x; S. J. Grossman and Z. Zhou (1993), Optimal
investment strategies for controlling drawdowns, doi:10.1111/j.1467-9965.1993.tb00044.x. That a normal posterior of the
mean adds its variance to the risk is the second-order expansion of expected log growth.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import record

RULE = record(
    [
        ("shrink", "f8"),  # share of Kelly, above 0 to 1
        ("most", "f8"),  # gross value a unit of surplus, at most
        ("participation", "f8"),  # of the depth or volume of each leg
        ("floor", "f8"),  # of the highest wealth, 0 to below 1
    ]
)
STATE = record([("wealth", "f8"), ("peak", "f8"), ("n", "i8")])


@njit
def net_gain(z: float, sigma: float, kappa: float, steps: float, cost: float) -> float:
    """Expected gain of a spread that is `z` sigmas from its centre, held `steps` steps, net of the round trip's cost.

    `sigma` (stationary) and `cost` are shares of the gross value, `kappa` a step; `steps` may be infinite. NaN in,
    NaN out.
    """
    return sigma * abs(z) * (1.0 - math.exp(-kappa * steps)) - cost


@njit
def gain_sd(sigma: float, kappa: float, steps: float) -> float:
    """Standard deviation of that gain, as a share of the gross value."""
    return sigma * math.sqrt(max(1.0 - math.exp(-2.0 * kappa * steps), 0.0))


@njit
def kelly(gain: float, sd: float, se: float, rule: Any) -> float:
    """Gross value a unit of surplus: `shrink` of Kelly for a gain N(gain, sd^2) whose mean is known up to `se`.

    0 for a gain of 0 or less, for a risk that is not above 0, and for NaN.
    """
    risk = sd * sd + se * se
    if not (gain > 0.0 and risk > 0.0 and risk < math.inf):
        return 0.0
    return min(rule.shrink * gain / risk, rule.most)


@njit
def observe(st: Any, wealth: float) -> None:
    """Fold the wealth as marked now; what is not a finite number changes nothing."""
    if not math.isfinite(wealth):
        return
    st.wealth = wealth
    st.peak = wealth if st.n == 0 else max(st.peak, wealth)
    st.n += 1


@njit
def surplus(wealth: float, peak: float, floor: float) -> float:
    """Wealth above `floor` times its peak; 0 at and below it."""
    left = wealth - floor * max(peak, wealth)
    return left if left > 0.0 else 0.0


@njit
def liquid(depth: Any, weight: Any, n: int, participation: float) -> float:
    """Largest gross value whose share of each leg is at most `participation` of what that leg shows or trades.

    `depth` float64[n] in value (displayed size x price, or a bar's volume x price), `weight` float64[n] signed
    shares of the notional. A leg of weight 0 does not bind; no leg at all, or a depth that is no number, gives 0.
    """
    total = 0.0
    for i in range(n):
        total += abs(weight[i])
    least = math.inf
    for i in range(n):
        if not (depth[i] >= 0.0 and abs(weight[i]) < math.inf):
            return 0.0
        if weight[i] != 0.0:
            least = min(least, depth[i] / (abs(weight[i]) / total))
    return participation * least if least < math.inf else 0.0


@njit
def capital(fraction: float, left: float, cap: float) -> float:
    """Gross value of a position: `fraction` (of `kelly`) of the surplus `left`, no more than `cap` (of `liquid`)."""
    if not (fraction > 0.0 and left > 0.0 and cap > 0.0):
        return 0.0
    return min(fraction * left, cap)
