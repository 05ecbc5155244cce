"""Anchors of capital for `oneprice verify`; none needs a file.

I04 log growth of wealth under a drawdown floor (Grossman and Zhou 1993), simulated with the kernels that size
positions, and that wealth never falls below the floor. Kelly's share of Thorp (2006) is I05 here.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from oneprice.core.jit import njit
from oneprice.signals import capital as sizing
from oneprice.study.anchors_market import Anchor

MU, SIGMA, YEARS, STEPS, PAIRS, SEED = 0.08, 0.2, 400, 400 * 200, 20, 7
CASES = ((2.0, 0.8), (1.5, 0.8), (3.0, 0.8), (2.0, 0.5))  # (k, floor)
SOURCE = "Grossman-Zhou 1993: (1 - a)(k mu - k^2 sigma^2 / 2)"


@njit
def growth(k: float, floor: float, years: int, z: Any) -> Any:
    """Capital `k` times the surplus over `z` float64[pairs, steps] of normal draws and their negatives.

    Returns log growth a year of wealth W, that of M^floor S^(1 - floor) with M its peak and S the surplus, and the
    least W / (floor M).
    """
    dt = 1.0 / z.shape[1] * years
    total = 0.0
    mixed = 0.0
    least = math.inf
    for path in range(z.shape[0]):
        for sign in (-1.0, 1.0):
            wealth = 1.0
            peak = 1.0
            for t in range(z.shape[1]):
                held = sizing.capital(k, sizing.surplus(wealth, peak, floor), math.inf)
                wealth += held * (MU * dt + SIGMA * math.sqrt(dt) * sign * z[path, t])
                peak = max(peak, wealth)
                least = min(least, wealth / (floor * peak))
            left = sizing.surplus(wealth, peak, floor) / (1.0 - floor)
            total += math.log(wealth) / years
            mixed += (floor * math.log(peak) + (1.0 - floor) * math.log(left)) / years
    return total / (2 * z.shape[0]), mixed / (2 * z.shape[0]), least


def long_run(k: float, floor: float) -> tuple[float, float, float]:
    """(long-run log growth, that of wealth within the years, least W / (floor M)).

    Wealth, peak and surplus grow alike in the long run; within 400 years wealth still shows how deep below its peak it
    stands at the end, the weighted mean of the logs of peak and surplus does not. A peak that is seen at steps only
    lacks sqrt(dt): the same paths at four times the step take it out.
    """
    fine = np.random.default_rng(SEED).standard_normal((PAIRS, STEPS))
    coarse = fine.reshape(PAIRS, -1, 4).sum(axis=2) / 2.0
    (wide_w, wide, least_a), (near_w, near, least_b) = (growth(k, floor, YEARS, z) for z in (coarse, fine))
    return 2.0 * near - wide, 2.0 * near_w - wide_w, min(least_a, least_b)


def capital_anchors(data: Path) -> list[Anchor]:
    """All rows. `data` is not used: these anchors are formulas and paths made from a seed."""
    rows = []
    for k, floor in CASES:
        expected = (1.0 - floor) * (k * MU - 0.5 * k * k * SIGMA * SIGMA)
        got, wealth, least = long_run(k, floor)
        name = f"I04.k{k:g}_a{floor:g}"
        note = f"wealth itself {wealth:.4f} after {YEARS} years"
        rows.append(Anchor(f"{name}.growth", SOURCE, expected, got, 0.05 * expected, note))
        rows.append(Anchor(f"{name}.floor", "W >= floor x M always: breaches", 0.0, float(least < 1.0), 0.0))
    rule = np.zeros(1, sizing.RULE)
    rule["shrink"], rule["most"] = 1.0, 100.0
    full = float(sizing.kelly(0.11 - 0.06, 0.15, 0.0, rule[0]))
    return [*rows, Anchor("I05.kelly", "Thorp 2006: m .11, s .15, r .06", 2.2222, full, 5e-5)]
