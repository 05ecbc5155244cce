"""Drift of a fitted relation as growth of the variance of its innovations: a CUSUM of squared innovations.

    S = max(0, S + x^2 - k),  alarm when S > h,  k = r ln r / (r - 1)

x is an innovation over its predicted deviation (x^2 is the NIS of one dimension, mean 1 while the filter is right).
k is that of the likelihood-ratio test of variance r against 1, so this is the quickest test for growth by r; h comes
from a wanted false-alarm rate: `design.residual_limit(arl0, growth)`. A shift of the mean of x raises x^2 as well,
but `cusum` finds that sooner. NIS near 1 says that the deviations are right, not that the hedge is.

Reference: D. M. Hawkins (1981), A CUSUM for a scale parameter, Journal of Quality Technology 13, 228-231,
doi 10.1080/00224065.1981.11978761; Moustakides (1986), doi 10.1214/aos/1176350164 (optimality).
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

STATE = record(
    [
        ("up", "f8"),  # S
        ("n_up", "i8"),  # observations since S was last 0
        ("n", "i8"),
        ("sum_sq", "f8"),  # of all x^2 since the state was fresh, alarms or not: NIS so far is sum_sq / n
        ("alarm", "f8"),
    ]
)
PARAMS = record([("growth", "f8"), ("h", "f8"), ("latch", "i8")])


@njit
def reference_value(growth: float) -> float:
    """k = r ln r / (r - 1) for a growth r > 1 of the variance."""
    return growth * math.log(growth) / (growth - 1.0)


@njit
def step(s: Any, x: float, growth: float, h: float, latch: int) -> float:
    """S / h when above 1 (alarm), else 0; NaN (state unchanged) when x is not finite."""
    if not math.isfinite(x):
        return math.nan
    if s.alarm > 0.0:
        if latch != 0:
            return s.alarm
        s.up, s.n_up, s.alarm = 0.0, 0, 0.0
    s.n += 1
    s.sum_sq += x * x
    s.up = max(0.0, s.up + x * x - reference_value(growth))
    s.n_up = s.n_up + 1 if s.up > 0.0 else 0
    if s.up > h:
        s.alarm = s.up / h
    return s.alarm


@njit
def loop(states: Any, x: Any, growth: float, h: float, latch: int, out: Any) -> None:
    """`step` over an array."""
    for i in range(len(out)):
        out[i] = step(states[0], x[i], growth, h, latch)


FOLD = Fold(
    "residual",
    STATE,
    PARAMS,
    step,
    loop,
    ("x",),
    {"growth": 2.0, "h": 12.0, "latch": 0},
    {"growth": (1.0 + 1e-9, 1e9), "h": (1e-9, 1e12), "latch": (0, 1)},
)
