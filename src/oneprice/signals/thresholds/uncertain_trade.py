"""Leung and Li's trade when the reversion is only estimated: open at d, close at b, the mean discounted value largest.

For a known spread the value at the level of "open at d, close at b (or at the stop L)" is, with the discounted
passages F and G of `cylinder`,

    (V(d) - d - c) G(level) / G(d),   V(d) = up F(d) + down G(d),   V(b) = b - c,  V(L) = L - c

(without a stop down = 0). Here it is averaged over nodes of (kappa, sigma), a walk being F = exp(x sqrt(2 r) / sigma),
G = 1 / F, and (d, b) maximise the mean. A known reversion gives back d* and b*.
What is financed at r is the price of the spread, so the level matters. A spread that finances itself (price near 0) is
not this model's: discounting would reward losses that come late; use `uncertain_band`, which counts time instead.
"""

from __future__ import annotations

import math

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.signals.reversion.checks import positive
from oneprice.signals.thresholds.cylinder import log_cylinder
from oneprice.signals.thresholds.leung_li import OneTrade
from oneprice.signals.thresholds.uncertain import Nodes

GRID = 10
WIDEST = 5.0  # sigma_eq of the middling node, to either side of the level
WALK = 1e-6  # kappa below this share of the rate: a walk for the purposes of discounting


def passages(nodes: Nodes, rate: float, x: float) -> tuple[np.ndarray, np.ndarray]:
    """(log F, log G) of each node at distance x above the level, float64 [m]; constants that cancel are left out."""
    up, down = np.empty(len(nodes.kappa)), np.empty(len(nodes.kappa))
    walk = nodes.kappa < WALK * rate
    up[walk] = x * math.sqrt(2.0 * rate) / nodes.sigma[walk]
    down[walk] = -up[walk]
    kappa = nodes.kappa[~walk]
    z = x * np.sqrt(2.0 * kappa) / nodes.sigma[~walk]
    up[~walk], down[~walk] = log_cylinder(rate / kappa, z), log_cylinder(rate / kappa, -z)
    return up, down


def values(nodes: Nodes, rate: float, terms: tuple[float, float, float], at: tuple[float, float, float]) -> np.ndarray:
    """Value at the level of opening at d and closing at b or the stop, each node; at = (d, b, stop) from the level.

    terms = (level, cost of closing, of opening). -inf where the prices are not in order stop < d < b.
    """
    opened, closed, stop = at
    level, cost, paid = terms
    if not stop < opened < closed:
        return np.full(len(nodes.kappa), -math.inf)
    f_d, g_d = passages(nodes, rate, opened)
    f_b, g_b = passages(nodes, rate, closed)
    start = passages(nodes, rate, 0.0)[1]
    if math.isinf(stop):
        held = (level + closed - cost) * np.exp(f_d - f_b)
    else:
        f_l, g_l = passages(nodes, rate, stop)
        # the chances, discounted, of reaching b before L and L before b from d
        both = -np.expm1((f_l - f_b) + (g_b - g_l))
        to_b = np.exp(f_d - f_b) * -np.expm1((g_d - g_l) + (f_l - f_d)) / both
        to_l = np.exp(g_d - g_l) * -np.expm1((g_b - g_d) + (f_d - f_b)) / both
        held = (level + closed - cost) * to_b + (level + stop - cost) * to_l
    return np.asarray((held - level - opened - paid) * np.exp(start - g_d))


def uncertain_trade(
    nodes: Nodes, level: float, *, rate: float, cost: float, entry_cost: float | None = None, stop: float = -math.inf
) -> OneTrade:
    """The opening below and the closing above the level with the largest mean value over `nodes`, net of cost.

    Parameters
    ----------
    nodes: from `uncertain.kappa_nodes` or `known`. level, cost, stop: units of the spread; stop is a price below the
    level, -inf for none. rate: discount, 1 / time, > 0. cost: paid at the close and, unless `entry_cost` is given, at
    the opening.

    Returns
    -------
    A OneTrade (`low` is the stop: the opening is one price here); `trades` is False where no mean value is above 0.
    """
    from scipy.optimize import minimize

    positive("rate", rate)
    stop, level = float(stop), float(level)
    paid = cost if entry_cost is None else entry_cost
    if not (cost >= 0.0 and paid >= 0.0 and math.isfinite(level)):
        raise ConfigError(f"uncertain_trade: expected costs >= 0 and a finite level, got {cost!r}, {paid!r}, {level!r}")
    if not stop < level:
        raise ConfigError(f"uncertain_trade: expected a stop below the level {level:g}, got {stop:g}")
    reverts = nodes.kappa > 0.0
    if not reverts.any():
        return OneTrade(math.nan, math.nan, math.nan, stop, 0.0)
    s = float(np.median(nodes.sigma[reverts] / np.sqrt(2.0 * nodes.kappa[reverts])))
    near = stop - level

    def mean(opened: float, closed: float) -> float:
        return float(nodes.weight @ values(nodes, rate, (level, cost, paid), (opened, closed, near)))

    low = max(-WIDEST * s, near)
    opens = np.linspace(0.0, low, GRID + 2)[1:-1]
    closes = np.linspace(0.0, WIDEST * s + cost + paid, GRID + 1)[1:]
    tries = [(mean(float(d), float(b)), float(d), float(b)) for d in opens for b in closes]
    d, b = max(tries)[1:]
    found = minimize(
        lambda q: -mean(float(q[0]), float(q[1])) if q[0] < 0.0 < q[1] else math.inf, [d, b], method="Nelder-Mead",
        options={"xatol": 1e-7 * s, "fatol": 1e-13 * s, "maxiter": 200},
    )  # fmt: skip
    if not -float(found.fun) > 0.0:
        return OneTrade(math.nan, math.nan, math.nan, stop, 0.0)
    d, b = (float(level + v) for v in found.x)
    return OneTrade(stop, d, b, stop, -float(found.fun))
