"""Exponentially weighted mean over observations: m' = m + alpha (x - m); the first observation starts it.

Half-life in observations is ln 2 / -ln(1 - alpha). Reference: S. Roberts (1959), Control chart tests based on
geometric moving averages, Technometrics 1(3).
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

STATE = record([("level", "f8"), ("n", "i8")])
PARAMS = record([("alpha", "f8")])


@njit
def step(s: Any, x: float, alpha: float) -> float:
    """The mean after `x`, in units of x; NaN (state unchanged) when x is not finite."""
    if not math.isfinite(x):
        return math.nan
    if s.n == 0:
        s.level = x
    else:
        s.level += alpha * (x - s.level)
    s.n += 1
    return s.level


@njit
def loop(states: Any, x: Any, alpha: float, out: Any) -> None:
    """`step` over an array."""
    for i in range(len(out)):
        out[i] = step(states[0], x[i], alpha)


FOLD = Fold("ewma", STATE, PARAMS, step, loop, ("x",), {}, {"alpha": (1e-12, 1.0)})
