"""A simulated spread traded at a band earns the rate that the band states."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from oneprice.core.jit import njit
from oneprice.signals.reversion.ornstein import ou_block
from oneprice.signals.thresholds.bertram import bertram, cycle_time
from oneprice.signals.thresholds.uncertain import Nodes, band_rate, kappa_nodes, known, uncertain_band
from oneprice.signals.thresholds.zeng_lee import zeng_lee

DT = 1e-3
STEPS, CHUNK = 12_000_000, 1_000_000
OVERSHOOT = 0.5826 * math.sqrt(DT)  # of sigma: how far beyond a barrier a watched walk is found


@njit
def trade(shocks: Any, move: Any, band: Any, state: Any) -> None:
    """Trade one stretch: move = (b, deviation of a step), band = (open x, close e, stop L, sides).

    state = (x, side of the position, open price, profit before cost, trades); the level is 0.
    """
    x, side, paid = state[0], state[1], state[2]
    for i in range(len(shocks)):
        x = move[0] * x + move[1] * shocks[i]
        y = x
        if side != 0.0:
            away = -side * y  # how far on the side where it was opened
            if away <= band[1] or away >= band[2]:
                state[3] += side * (x - paid)
                state[4] += 1.0
                if away >= band[2]:
                    x = 0.0  # another spread of the same kind, at its level
                side = 0.0
                y = x
        if side == 0.0 and abs(y) >= band[0] and (y < 0.0 or band[3] == 2.0):
            side = 1.0 if y < 0.0 else -1.0
            paid = x
    state[0], state[1], state[2] = x, side, paid


def earned(kappa: float, band: tuple[float, float, float, float], cost: float, seed: int) -> float:
    """Profit a unit of time, net, of dX = -kappa X dt + sqrt 2 dW."""
    b = math.exp(-kappa * DT)
    step = math.sqrt((1.0 - b * b) / kappa) if kappa > 0.0 else math.sqrt(2.0 * DT)
    rng = np.random.default_rng(seed)
    state = np.zeros(5)
    for _ in range(STEPS // CHUNK):
        trade(rng.standard_normal(CHUNK), np.array([b, step]), np.array(band), state)
    return float((state[3] - cost * state[4]) / (STEPS * DT))


def test_bertram_earns_its_rate() -> None:
    """12,000 reversion times at Bertram's band: the rate within 4 % (about 2 standard errors) of the formula."""
    cost = 0.3
    band = bertram(1.0, 1.0, cost)
    x = -band.entry + math.sqrt(2.0) * OVERSHOOT
    stated = (2.0 * x - cost) / cycle_time(1.0, 1.0, -x, x)
    assert stated == pytest.approx(band.rate, rel=0.02)
    assert earned(1.0, (-band.entry, band.entry, 1e9, 1.0), cost, 1) == pytest.approx(stated, rel=0.04)


@pytest.mark.parametrize("rule", ["level", "reverse"])
def test_zeng_lee_earns_its_rate(rule: str) -> None:
    """Both sides traded, closing at the level or reversing: within 4 %."""
    cost = 0.3
    band = zeng_lee(1.0, 1.0, cost, rule)
    over = math.sqrt(2.0) * OVERSHOOT
    stated = band_rate(known(1.0, 1.0), cost, (band.entry - over, min(band.exit + over, -band.entry + over), -30.0))
    assert stated == pytest.approx(band.rate, rel=0.03)
    assert earned(1.0, (-band.entry, -band.exit, 1e9, 2.0), cost, 2) == pytest.approx(stated, rel=0.04)


@pytest.mark.parametrize("kappa", [1.0, 0.1, 0.0])
def test_the_stopped_rule_earns_its_rate(kappa: float) -> None:
    """With a stop and a fresh spread after it: fast earns, slow and a walk do not; within 3 standard errors (.03)."""
    cost, x, stop = 0.3, 1.0, 2.2
    over = math.sqrt(2.0) * OVERSHOOT
    nodes = Nodes(np.array([kappa]), np.array([math.sqrt(2.0)]), np.ones(1))
    stated = band_rate(nodes, cost, (-x - over, over, -stop - over))
    assert earned(kappa, (x, 0.0, stop, 2.0), cost, 3) == pytest.approx(stated, abs=0.03)
    assert (stated > 0.2) == (kappa == 1.0) and (stated < -0.15) == (kappa < 1.0)


@njit
def ahead(path: Any, level: float, opened: float, stop: float, cost: float) -> float:
    """Net profit of one fitted spread over what follows: open beyond `opened`, close at the level, out at the stop."""
    side, paid, made = 0.0, 0.0, 0.0
    for i in range(len(path)):
        y = path[i] - level
        if side != 0.0:
            if -side * y <= 0.0 or -side * y >= stop:
                made += side * (path[i] - paid) - cost
                if -side * y >= stop:
                    return made
                side = 0.0
        elif opened <= abs(y) < stop:
            side = -1.0 if y > 0.0 else 1.0
            paid = path[i]
    return made + side * (path[-1] - paid) - cost * abs(side)


def test_doubt_pays_where_cost_is_high() -> None:
    """800 spreads, half of them walks, fitted on 250 bars and traded on the next 250, out of sample and net.

    At a cost of 4 shocks a round trip the bands for the doubt trade fewer spreads and lose far less than those that
    take the estimate for the truth (paired, more than 3 standard errors); walks earn nothing with either.
    """
    rng = np.random.default_rng(7)
    m, n = 800, 250
    walk = np.arange(m) % 2 == 0
    b = np.where(walk, 1.0, 0.5 ** (1.0 / rng.uniform(5.0, 60.0, m)))
    x = rng.standard_normal((m, 2 * n))
    x[~walk, 0] /= np.sqrt(1.0 - b[~walk] ** 2)
    for t in range(1, 2 * n):
        x[:, t] += b * x[:, t - 1]
    cost = 4.0
    net, traded = np.zeros((m, 2)), np.zeros((m, 2), bool)
    for i, fit in enumerate(ou_block(x[:, :n], 1.0)):
        if not 0.0 < fit["kappa"] < math.inf:
            continue
        stop = 4.0 * fit["sigma_eq"]
        for j, nodes in enumerate((known(fit["kappa"], fit["sigma_eq"]), kappa_nodes(fit, 1.0))):
            band = uncertain_band(nodes, cost, stop)
            traded[i, j] = band.trades
            if band.trades:
                net[i, j] = ahead(x[i, n:], fit["level"], -band.entry, stop, cost)
    gain = net[:, 1] - net[:, 0]
    assert gain.mean() > 3.0 * gain.std() / math.sqrt(m)
    assert traded[:, 1].sum() < 0.7 * traded[:, 0].sum()
    for j in range(2):
        assert net[walk, j].mean() < 3.0 * net[walk, j].std() / math.sqrt(walk.sum())
