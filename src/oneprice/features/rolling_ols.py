"""Least squares of y on x and a constant over the last `window` pairs (two rings).

Moments slide around anchors and are computed afresh each time the ring comes round, as in `rolling`, so that
rounding does not outlive one window. Whether x moved at all within the window is counted, not guessed from a
small sum. Cost is constant a pair.

    beta = S_xy / S_xx,  mu = mean y - beta mean x
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

CAPACITY = 256


def ring_state(capacity: int) -> np.dtype:
    """A state with room for windows up to `capacity` (16 bytes each); `step` works on any."""
    moments = [("x_anchor", "f8"), ("y_anchor", "f8"), ("x_level", "f8"), ("y_level", "f8"), ("s_xx", "f8")]
    line = [("s_xy", "f8"), ("beta", "f8"), ("mu", "f8"), ("n", "i8"), ("at", "i8"), ("still", "i8")]
    return record([*moments, *line, ("x_ring", "f8", (capacity,)), ("y_ring", "f8", (capacity,))])


STATE = ring_state(CAPACITY)
PARAMS = record([("window", "i8")])


@njit
def step(s: Any, y: float, x: float, window: int) -> float:
    """The error of y against the line fitted to the `window` pairs before it, in units of y.

    NaN until the rings are full, while x does not vary in them, when y or x is not finite (state unchanged),
    and always when `window` is below 3 or above the capacity. beta and mu in the state include this pair.
    """
    if not (math.isfinite(y) and math.isfinite(x)) or window < 3 or window > len(s.x_ring):
        return math.nan
    if s.n == 0:
        s.x_anchor = x
        s.y_anchor = y
    last = s.at - 1 if s.at > 0 else window - 1
    s.still = s.still + 1 if s.n > 0 and s.x_ring[last] == x else 1  # equal x's in a row, this one included
    px = x - s.x_anchor
    py = y - s.y_anchor
    dx = px - s.x_level
    dy = py - s.y_level
    e = math.nan
    if s.n < window:
        s.n += 1
        s.x_level += dx / s.n
        s.y_level += dy / s.n
        s.s_xx += dx * (px - s.x_level)
        s.s_xy += dx * (py - s.y_level)
    else:
        if not math.isnan(s.beta):
            e = dy - s.beta * dx
        ox = s.x_ring[s.at] - s.x_anchor
        oy = s.y_ring[s.at] - s.y_anchor
        s.s_xx = max(0.0, s.s_xx + dx * dx - (ox - s.x_level) * (ox - s.x_level) - (px - ox) * (px - ox) / window)
        s.s_xy += dx * dy - (ox - s.x_level) * (oy - s.y_level) - (px - ox) * (py - oy) / window
        s.x_level += (px - ox) / window
        s.y_level += (py - oy) / window
    s.x_ring[s.at] = x
    s.y_ring[s.at] = y
    s.at += 1
    if s.at == window:
        s.at = 0
        s.x_anchor = x
        s.y_anchor = y
        sx, sy = 0.0, 0.0
        for i in range(window):
            sx += s.x_ring[i] - x
            sy += s.y_ring[i] - y
        s.x_level = sx / window
        s.y_level = sy / window
        xx, xy = 0.0, 0.0
        for i in range(window):
            a = s.x_ring[i] - x - s.x_level
            xx += a * a
            xy += a * (s.y_ring[i] - y - s.y_level)
        s.s_xx = xx
        s.s_xy = xy
    moved = s.still < s.n and s.s_xx > 0.0
    s.beta = s.s_xy / s.s_xx if moved else math.nan
    s.mu = s.y_anchor + s.y_level - s.beta * (s.x_anchor + s.x_level)
    return e


@njit
def loop(states: Any, y: Any, x: Any, window: int, out: Any) -> None:
    """`step` over arrays."""
    for i in range(len(out)):
        out[i] = step(states[0], y[i], x[i], window)


FOLD = Fold(
    "rolling_ols", STATE, PARAMS, step, loop, ("y", "x"), {"window": 60}, {"window": (3, CAPACITY)}
)
