"""Stop by z-score decay: after an entry at z_0 the spread must stay inside the fan of the reversion it was bought for.

An Ornstein-Uhlenbeck z-score (unit equilibrium deviation) t after z_0 has

    E[z_t | z_0] = z_0 e^{-kt},  Var[z_t | z_0] = 1 - e^{-2kt}

k is not known but estimated: ln k is normal around the estimate with coefficient of variation `kappa_cv` (standard
error / estimate). The fan takes the mean and the variance over k (five Gauss-Hermite points):

    M = E_k[z_0 e^{-kt}],  V = E_k[1 - e^{-2kt}] + Var_k[z_0 e^{-kt}]

Outside means on the losing side only: sign(z_0) (z_t - M) > width sqrt(V); early convergence is not a stop. The alarm
is raised after `steps_out` consecutive steps outside. width = 1.645 leaves 5 % outside at any single t; the rate of
false stops over a whole trade is another number: `fan_design.fan_width` finds the width for a wanted one.

References: G. E. Uhlenbeck, L. S. Ornstein (1930), doi 10.1103/PhysRev.36.823; nodes of weight e^{-x^2/2}: any table.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

STATE = record(
    [
        ("entry", "f8"),  # z_0
        ("age", "f8"),  # kappa t since entry, no unit
        ("n", "i8"),  # observations since entry, that of the entry included; 0: no entry yet
        ("out", "i8"),  # consecutive steps outside
        ("excess", "f8"),  # sign(z_0) (z - M) / sqrt(V) of the last step
        ("alarm", "f8"),
    ]
)
PARAMS = record([("kappa_dt", "f8"), ("kappa_cv", "f8"), ("width", "f8"), ("steps_out", "i8"), ("latch", "i8")])

# probabilists' Gauss-Hermite, five points: E f(Z) = sum w_i f(x_i)
_X1, _X2 = 1.3556261799742659, 2.8569700138728056
_W0, _W1, _W2 = 8.0 / 15.0, 0.22207592200561264, 0.011257411327720689


@njit
def enter(s: Any, z: float) -> None:
    """Start a fan at an entry z-score; what an earlier trade left is gone."""
    s.entry, s.age, s.n, s.out, s.excess, s.alarm = z, 0.0, 1, 0, 0.0, 0.0


@njit
def decay(age: float, kappa_cv: float, entry: float) -> tuple[float, float]:
    """(mean, variance) of z after kappa t = `age` from z_0 = `entry`, kappa uncertain."""
    spread = math.sqrt(math.log1p(kappa_cv * kappa_cv))
    e0 = math.exp(-age)
    if spread == 0.0:
        return entry * e0, 1.0 - e0 * e0
    e1, e2 = math.exp(-age * math.exp(spread * _X1)), math.exp(-age * math.exp(-spread * _X1))
    e3, e4 = math.exp(-age * math.exp(spread * _X2)), math.exp(-age * math.exp(-spread * _X2))
    first = _W0 * e0 + _W1 * (e1 + e2) + _W2 * (e3 + e4)
    second = _W0 * e0 * e0 + _W1 * (e1 * e1 + e2 * e2) + _W2 * (e3 * e3 + e4 * e4)
    return entry * first, 1.0 - second + entry * entry * max(0.0, second - first * first)


@njit
def step(s: Any, z: float, kappa_dt: float, kappa_cv: float, width: float, steps_out: int, latch: int) -> float:
    """steps outside / steps_out when 1 (alarm), else 0; NaN (state unchanged) when z is not finite.

    Without `enter` the first observation is the entry. kappa_dt: estimated reversion times the time since the last
    observation (it may differ from step to step). After an alarm with latch = 0 the next observation is a new entry.
    """
    if not math.isfinite(z):
        return math.nan
    if s.alarm > 0.0:
        if latch != 0:
            return s.alarm
        s.n = 0
    if s.n == 0:
        s.entry, s.age, s.n, s.out, s.excess, s.alarm = z, 0.0, 1, 0, 0.0, 0.0
        return 0.0
    s.n += 1
    s.age += kappa_dt
    at, spread_sq = decay(s.age, kappa_cv, float(s.entry))
    side = 1.0 if s.entry >= 0.0 else -1.0
    s.excess = side * (z - at) / math.sqrt(spread_sq)
    s.out = s.out + 1 if s.excess > width else 0
    if s.out >= steps_out:
        s.alarm = s.out / steps_out
    return s.alarm


@njit
def loop(
    states: Any, z: Any, kappa_dt: float, kappa_cv: float, width: float, steps_out: int, latch: int, out: Any
) -> None:
    """`step` over an array."""
    for i in range(len(out)):
        out[i] = step(states[0], z[i], kappa_dt, kappa_cv, width, steps_out, latch)


FOLD = Fold(
    "fan",
    STATE,
    PARAMS,
    step,
    loop,
    ("x",),
    {"kappa_cv": 0.3, "width": 1.6448536269514722, "steps_out": 3, "latch": 1},
    {
        "kappa_dt": (1e-12, 1e3),
        "kappa_cv": (0.0, 10.0),
        "width": (0.0, 100.0),
        "steps_out": (1, 1 << 40),
        "latch": (0, 1),
    },
)
