"""Bayesian online change-point detection: the distribution of the time since the last change of mean and variance.

Within a regime x ~ N(m, v) with the conjugate prior v ~ IG(1, 1), m | v ~ N(0, shift^2 v); a new regime starts before
an observation with probability `hazard`. With p_i the probability that the regime is r_i observations old,

    p_i <- p_i (1 - hazard) t_i(x),   p_new <- hazard t_0(x),   normalised,

t_i the Student-t predictive density of regime i. x comes roughly standardised (the prior is at 0 +- shift, deviation
near 1). The exact recursion has one hypothesis an observation; this one keeps the SIZE most probable and drops the
least probable when full, so the cost of a step is bounded and regimes of any age are represented.

Reference: R. P. Adams, D. J. C. MacKay (2007), arXiv 0710.3742; K. Murphy (2007), Conjugate Bayesian analysis of the
Gaussian distribution (predictive). Pruning: P. Fearnhead, Z. Liu (2007), doi 10.1111/j.1467-9868.2007.00601.x.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

SIZE = 64
_G1 = 0.886226925452758  # Gamma(3/2) / Gamma(1)

STATE = record(
    [
        ("weight", "f8", (SIZE,)),  # probability of a hypothesis
        ("level", "f8", (SIZE,)),  # posterior mean of m
        ("rate", "f8", (SIZE,)),  # beta of the inverse gamma
        ("gamma", "f8", (SIZE,)),  # Gamma(a + 1/2) / Gamma(a), a = 1 + age / 2
        ("age", "i8", (SIZE,)),  # observations of the regime
        ("used", "i8"),
        ("n", "i8"),
        ("p_recent", "f8"),  # P(the regime is at most `recent` observations old)
        ("best_age", "i8"),  # age of the most probable hypothesis
        ("alarm", "f8"),
    ]
)
PARAMS = record([("hazard", "f8"), ("shift", "f8"), ("recent", "i8"), ("limit", "f8"), ("latch", "i8")])


@njit
def step(s: Any, x: float, hazard: float, shift: float, recent: int, limit: float, latch: int) -> float:
    """P(change within the last `recent` observations) / limit where it rises above 1 (alarm), else 0.

    NaN for the first `recent` observations and, state unchanged, when x is not finite. The probability itself is
    `s.p_recent`. latch = 0: one alarm a crossing; the next needs the probability to fall below `limit` first (the
    distribution is kept). latch = 1: the alarm stays until the owner zeroes the state.
    """
    if not math.isfinite(x):
        return math.nan
    if latch != 0 and s.alarm > 0.0:
        return s.alarm
    at = s.used
    if s.used < SIZE:
        s.used += 1
    else:
        at = 0
        for i in range(1, SIZE):
            if s.weight[i] < s.weight[at]:
                at = i
    s.weight[at], s.level[at], s.rate[at], s.gamma[at], s.age[at] = 0.0, 0.0, 1.0, _G1, 0
    prior = 1.0 / (shift * shift)
    total = 0.0
    for i in range(s.used):
        carried = (1.0 - hazard) * s.weight[i]
        if i == at:
            carried = hazard if s.n > 0 else 1.0
        a = 1.0 + 0.5 * s.age[i]
        seen = prior + s.age[i]
        width = 2.0 * s.rate[i] * (seen + 1.0) / seen  # 2 a times the squared scale
        off = x - s.level[i]
        density = s.gamma[i] / math.sqrt(math.pi * width) * (1.0 + off * off / width) ** (-(a + 0.5))
        s.weight[i] = carried * density
        total += s.weight[i]
        s.rate[i] += 0.5 * off * off * seen / (seen + 1.0)
        s.level[i] += off / (seen + 1.0)
        s.gamma[i] = a / s.gamma[i]
        s.age[i] += 1
    s.n += 1
    before = s.p_recent
    s.p_recent, best = 0.0, at
    for i in range(s.used):
        s.weight[i] = s.weight[i] / total if total > 0.0 else (1.0 if i == at else 0.0)
        if s.age[i] <= recent:
            s.p_recent += s.weight[i]
        if s.weight[i] > s.weight[best]:
            best = i
    s.best_age = s.age[best]
    if s.n <= recent:
        return math.nan
    crossed = s.p_recent > limit and (before <= limit or s.n == recent + 1)
    s.alarm = s.p_recent / limit if crossed else 0.0
    return s.alarm


@njit
def loop(states: Any, x: Any, hazard: float, shift: float, recent: int, limit: float, latch: int, out: Any) -> None:
    """`step` over an array."""
    for i in range(len(out)):
        out[i] = step(states[0], x[i], hazard, shift, recent, limit, latch)


FOLD = Fold(
    "bocpd",
    STATE,
    PARAMS,
    step,
    loop,
    ("x",),
    {"hazard": 1.0 / 250.0, "shift": 3.0, "recent": 20, "limit": 0.5, "latch": 0},
    {
        "hazard": (1e-12, 0.5),
        "shift": (1e-6, 1e6),
        "recent": (1, 1 << 40),
        "limit": (1e-6, 1.0 - 1e-9),
        "latch": (0, 1),
    },
)
