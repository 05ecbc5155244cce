"""Least squares of y on x and a constant over all that was seen, old pairs forgotten at a rate.

Weighted moments around weighted means are kept, not an inverse: with weights lambda^age,

    W' = lambda W + 1,  S_xy' = lambda S_xy + (lambda W / W') (x - m_x) (y - m_y),  m' = m + (x - m) / W'
    beta = S_xy / S_xx,  mu = m_y - beta m_x

so at each moment beta and mu are the exact weighted least squares of the pairs so far, from the second on;
lambda = 1 is ordinary least squares.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

STATE = record(
    [
        ("weight", "f8"),
        ("y_level", "f8"),
        ("x_level", "f8"),
        ("s_xx", "f8"),
        ("s_xy", "f8"),
        ("s_yy", "f8"),
        ("beta", "f8"),
        ("mu", "f8"),
        ("beta_se", "f8"),  # 0 until three pairs; of equal errors without autocorrelation
        ("n", "i8"),
    ]
)
PARAMS = record([("forget", "f8")])


@njit
def step(s: Any, y: float, x: float, forget: float) -> float:
    """The error of y against the line fitted to the pairs before it, in units of y; then the line takes it in.

    NaN while no line is defined (x has not moved), and (state unchanged) when y or x is not finite.
    forget: lambda, in (0, 1]; half of the weight is gone after ln 2 / (1 - lambda) pairs.
    """
    if not (math.isfinite(y) and math.isfinite(x)):
        return math.nan
    if s.n == 0:
        s.x_level = x
        s.y_level = y
    dx = x - s.x_level
    dy = y - s.y_level
    e = dy - s.beta * dx if s.s_xx > 0.0 else math.nan
    kept = forget * s.weight
    s.weight = kept + 1.0
    share = kept / s.weight
    s.s_xx = forget * s.s_xx + share * dx * dx
    s.s_xy = forget * s.s_xy + share * dx * dy
    s.s_yy = forget * s.s_yy + share * dy * dy
    s.x_level += dx / s.weight
    s.y_level += dy / s.weight
    s.n += 1
    if s.s_xx > 0.0:
        s.beta = s.s_xy / s.s_xx
        s.mu = s.y_level - s.beta * s.x_level
        if s.n > 2 and s.weight > 2.0:
            s.beta_se = math.sqrt(max(0.0, s.s_yy - s.beta * s.s_xy) / (s.weight - 2.0) / s.s_xx)
    return e


@njit
def loop(states: Any, y: Any, x: Any, forget: float, out: Any) -> None:
    """`step` over arrays."""
    for i in range(len(out)):
        out[i] = step(states[0], y[i], x[i], forget)


FOLD = Fold(
    "recursive_ols", STATE, PARAMS, step, loop, ("y", "x"), {"forget": 1.0}, {"forget": (1e-6, 1.0)}
)
