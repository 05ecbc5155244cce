"""A level that walks, seen through white noise, by the exact Kalman filter with a diffuse start (local level).

    x_t = m_t + N(0, r),  m_t = m_{t-1} + N(0, q)

Reference: J. Durbin, S. J. Koopman (2012), Time Series Analysis by State Space Methods, 2nd ed., chapter 2.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

STATE = record(
    [("level", "f8"), ("level_var", "f8"), ("innovation", "f8"), ("innovation_var", "f8"), ("n", "i8")]
)
PARAMS = record([("q", "f8"), ("r", "f8")])


@njit
def step(s: Any, x: float, q: float, r: float) -> float:
    """The filtered level after `x`, in units of x; the first x itself. NaN (state unchanged) when x is not finite.

    q, r: variances of a step of the level and of the noise, in squared units of x.
    """
    if not math.isfinite(x):
        return math.nan
    if s.n == 0:
        s.level = x
        s.level_var = r
    else:
        before = s.level_var + q
        f = before + r
        gain = before / f if f > 0.0 else 0.0
        s.innovation = x - s.level
        s.innovation_var = f
        s.level += gain * s.innovation
        s.level_var = gain * r
    s.n += 1
    return s.level


@njit
def loop(states: Any, x: Any, q: float, r: float, out: Any) -> None:
    """`step` over an array."""
    for i in range(len(out)):
        out[i] = step(states[0], x[i], q, r)


FOLD = Fold(
    "kalman_level",
    STATE,
    PARAMS,
    step,
    loop,
    ("x",),
    {"q": 0.01, "r": 1.0},
    {"q": (0.0, 1e300), "r": (0.0, 1e300)},
)
