"""Bands when the reversion is only estimated: the profit rate averaged over what kappa may be, net of cost and stop.

A rule with a stop at +-L, an opening at +-x and a close at e (0: the level, -x: reverse) is a renewal process: after
a stop the relation is dropped and the capital goes to another of the same kind, which starts at its level. With the
scale function S and the expected exit time P(x) from the level through +-x, optional stopping gives, a round trip,

    p = (S(x) - S(e)) / (S(L) - S(e))        the chance of the stop
    E[profit] = (x - e) - p (L - e) - c
    E[time]   = p P(L)                       (pi / 2 kappa) (erfi(x) - erfi(e)) as L goes to infinity

    S(x) = sqrt(2) s int_0^u exp(v^2) dv,  P(x) = (sqrt(pi) / kappa) int_0^u erf(v) exp(v^2) dv,  u = x / (sqrt 2 s)

so for a known kappa a stop never moves the best opening, which is that of `zeng_lee` for any L; it only costs. A
random walk (kappa = 0) earns -c a trade, at the rate -c sigma^2 (L - e) / ((x - e) L^2). `kappa_nodes` takes the
estimate's own confidence distribution, mass at the walk included, and sigma from the shocks, which are known well;
sigma_eq = sigma / sqrt(2 kappa) then widens where kappa falls. `uncertain_band` maximises the average rate and says
no trade when none is above the hurdle.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, unknown_name
from oneprice.core.jit import njit
from oneprice.signals.reversion.checks import positive
from oneprice.signals.reversion.slopes import slope_law
from oneprice.signals.thresholds.band import ROOT_2, Band, no_trade, ou_units
from oneprice.signals.thresholds.zeng_lee import RULES

FASTEST = 0.01  # slope of the fastest node: nothing faster than a bar can be told apart
FARTHEST = 20.0  # in sqrt(2) sigma_eq: exp(400) still has digits


class Nodes(msgspec.Struct, frozen=True):
    """What the reversion may be: kappa [m] (1 / time, 0 a walk), sigma [m] (units / sqrt(time)), weight [m], sum 1."""

    kappa: np.ndarray
    sigma: np.ndarray
    weight: np.ndarray

    @property
    def walk_share(self) -> float:
        """Weight of kappa = 0: how likely there is no reversion at all, by this sample."""
        return float(self.weight[self.kappa == 0.0].sum())


def known(kappa: float, sigma_eq: float) -> Nodes:
    """Nodes of a reversion that is known: one of them."""
    ou_units(kappa, sigma_eq, 0.0)
    return Nodes(np.array([kappa]), np.array([sigma_eq * math.sqrt(2.0 * kappa)]), np.ones(1))


def kappa_nodes(fit: Any, dt: float, count: int = 64) -> Nodes:
    """The confidence distribution of kappa behind a fit, as `count` nodes of equal weight.

    Node i is the true kappa under which an estimate as fast as the fit's has probability (i + 1/2) / count.

    Parameters
    ----------
    fit: a record of `ornstein.OU`. dt: as in the fit. count: 2 or more.
    """
    step = positive("dt", dt)
    if count < 2:
        raise ConfigError(f"kappa_nodes: expected 2 nodes or more, got {count}")
    law = slope_law(int(fit["n"]), int(fit["series"]))
    levels = (np.arange(count) + 0.5) / count
    slopes = np.array([float(law.invert(fit["slope"], level)) for level in levels])
    slopes = np.clip(slopes, FASTEST, 1.0)
    reverts = fit["slope"] < 1.0
    noise = float(fit["sigma_eq"] ** 2 * (1.0 - fit["slope"] ** 2) if reverts else fit["sigma"] ** 2 * step)
    if not (math.isfinite(noise) and noise > 0.0):
        raise ConfigError(f"kappa_nodes: expected a fit with a variance of its shocks, got slope {fit['slope']:g}")
    kappa = -np.log(slopes) / step + 0.0
    far = slopes < 1.0
    grow = np.full(count, 1.0 / step)  # sigma^2 over the variance of a step
    grow[far] = 2.0 * kappa[far] / (1.0 - slopes[far] ** 2)
    return Nodes(kappa, np.sqrt(noise * grow), np.full(count, 1.0 / count))


@njit
def scale_at(u: float) -> float:
    """int_0^u exp(v^2) dv by its series; all terms have one sign."""
    uu = u * u
    term = u
    total = u
    k = 0
    while abs(term) > 1e-17 * abs(total) and k < 2000:
        k += 1
        term *= uu / k
        total += term / (2.0 * k + 1.0)
    return total


@njit
def leave_at(u: float) -> float:
    """sqrt(pi) int_0^u erf(v) exp(v^2) dv by its series, all terms positive."""
    uu = u * u
    term = uu
    total = uu
    k = 0
    while term > 1e-17 * total and k < 2000:
        k += 1
        term *= 2.0 * uu / (2.0 * k + 1.0) * k / (k + 1.0)
        total += term
    return total


@njit
def at_stop(nodes: Any, stop: float, out: Any) -> None:
    """For each node (kappa, sigma, weight): out = (weight, 1 / (sqrt 2 sigma_eq), S(L), P(L)); root 0 is a walk."""
    for i in range(len(nodes)):
        kappa, sigma = nodes[i, 0], nodes[i, 1]
        out[i, 0] = nodes[i, 2]
        if kappa * stop * stop < 1e-12 * sigma * sigma:
            out[i, 1] = 0.0
            out[i, 2] = stop
            out[i, 3] = stop * stop / (sigma * sigma)
        else:
            root = math.sqrt(kappa) / sigma
            out[i, 1] = root
            out[i, 2] = scale_at(min(stop * root, FARTHEST))
            out[i, 3] = leave_at(min(stop * root, FARTHEST)) / kappa


@njit
def mean_rate(ready: Any, levels: Any, cost: float) -> float:
    """Profit a unit of time at levels = (open x, close e, stop L), averaged over what `at_stop` prepared."""
    x, e, stop = levels[0], levels[1], levels[2]
    total = 0.0
    for i in range(len(ready)):
        root = ready[i, 1]
        if root == 0.0:
            from_x, from_e = x, e
        else:
            from_x, from_e = scale_at(x * root), scale_at(e * root)
        p = (from_x - from_e) / (ready[i, 2] - from_e)
        total += ready[i, 0] * ((x - e) - p * (stop - e) - cost) / (p * ready[i, 3])
    return total


@njit
def best_opening(ready: Any, far: Any, cost: float, out: Any) -> None:
    """Maximise the mean rate over x: far = (least x, stop, side of the close); out = (x, rate).

    side 0 closes at the level, -1 reverses. A grid finds the hill, golden sections its top.
    """
    low, stop, side = far[0], far[1], far[2]
    levels = np.empty(3)
    levels[2] = stop
    grid = 60
    width = (stop - low) / (grid + 1)
    best, top = 1, -math.inf
    for i in range(1, grid + 1):
        levels[0] = low + i * width
        levels[1] = side * levels[0]
        rate = mean_rate(ready, levels, cost)
        if rate > top:
            best, top = i, rate
    a, b = low + (best - 1) * width, low + (best + 1) * width
    golden = 0.6180339887498949
    for _ in range(40):
        c, d = b - golden * (b - a), a + golden * (b - a)
        levels[0], levels[1] = c, side * c
        left = mean_rate(ready, levels, cost)
        levels[0], levels[1] = d, side * d
        if left > mean_rate(ready, levels, cost):
            b = d
        else:
            a = c
    levels[0] = 0.5 * (a + b)
    levels[1] = side * levels[0]
    out[0] = levels[0]
    out[1] = mean_rate(ready, levels, cost)


def prepared(nodes: Nodes, stop: float) -> np.ndarray:
    """What the kernels need of checked nodes for one stop, float64 [m, 4]."""
    if not (len(nodes.kappa) and np.all(nodes.kappa >= 0.0) and np.all(nodes.sigma > 0.0)):
        raise ConfigError("nodes: expected at least one, with kappa >= 0 and sigma > 0")
    out = np.empty((len(nodes.kappa), 4))
    at_stop(np.ascontiguousarray(np.stack([nodes.kappa, nodes.sigma, nodes.weight], axis=1)), stop, out)
    return out


def uncertain_band(nodes: Nodes, cost: float, stop: float, *, rule: str = "level", hurdle: float = 0.0) -> Band:
    """The band with the largest expected profit rate over `nodes`, net of cost, with a stop.

    Parameters
    ----------
    nodes: from `kappa_nodes` (estimated) or `known`. cost: a round trip, units of the spread. stop: distance from the
    level at which a position is given up, same units, > 0. rule: "level" or "reverse" (where it closes).
    hurdle: what a unit of time must earn (financing, borrow, the capital's other use), units of the spread.

    Returns
    -------
    A Band; `band.trades` is False (entry NaN) when no opening earns more than the hurdle. Raises ConfigError
    for a cost, stop or hurdle out of range.
    """
    if rule not in RULES:
        raise unknown_name("rule", rule, list(RULES))
    if not (cost >= 0.0 and math.isfinite(cost) and math.isfinite(hurdle)):
        raise ConfigError(f"uncertain_band: expected cost >= 0 and a finite hurdle, got {cost!r} and {hurdle!r}")
    limit = positive("stop", stop)
    low = cost / RULES[rule]
    if low >= limit:
        return no_trade(cost)
    ready = prepared(nodes, limit)
    out = np.empty(2)
    best_opening(ready, np.array([low, limit, 0.0 if rule == "level" else -1.0]), float(cost), out)
    x, rate = float(out[0]), float(out[1])
    if not rate > hurdle:
        return no_trade(cost)
    gain = RULES[rule] * x - cost
    return Band(-x, x if rule == "reverse" else 0.0, rate, gain / rate, cost, stop=-limit)


def band_rate(nodes: Nodes, cost: float, band: tuple[float, float, float]) -> float:
    """Mean profit rate of any (entry, exit, stop) distances (long side: entry < exit, stop < entry), net of cost."""
    entry, close, stop = band
    if not stop < entry < min(close, 0.0) + 1e-300 or abs(close) > abs(entry) * (1 + 1e-12):
        raise ConfigError(f"band: expected stop < entry < exit with |exit| <= |entry|, got {band}")
    return float(mean_rate(prepared(nodes, -stop), np.array([-entry, -close, -stop]), float(cost)))


def far_stop(nodes: Nodes) -> float:
    """A stop so far that it hardly matters: 6 times the largest sigma_eq of nodes that revert, units of the spread."""
    moves = nodes.kappa > 0.0
    if not moves.any():
        raise ConfigError("far_stop: expected at least one node with kappa > 0")
    return float(6.0 * np.max(nodes.sigma[moves] / (ROOT_2 * np.sqrt(nodes.kappa[moves]))))
