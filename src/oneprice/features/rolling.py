"""z-score against the last `window` observations (a ring), x itself left out.

Mean and squared deviations slide (Welford with a removal); each time the ring comes round they are computed
afresh in two passes, so rounding left behind by a jump does not outlive one window. All is done on
distances from an anchor (the newest observation at that time), which keeps the digits of small moves at a
large level. Cost is constant an observation.

    z = (x - mean) / sd,  sd^2 = sum (x_i - mean)^2 / (window - 1)
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
    """A state with room for windows up to `capacity` (8 bytes each); `step` works on any."""
    moments = [("anchor", "f8"), ("level", "f8"), ("spread_sq", "f8")]
    return record([*moments, ("n", "i8"), ("at", "i8"), ("ring", "f8", (capacity,))])


STATE = ring_state(CAPACITY)
PARAMS = record([("window", "i8")])


@njit
def step(s: Any, x: float, window: int) -> float:
    """z of `x` against the `window` before it; NaN until the ring is full, while it does not vary, when x
    is not finite, and always when `window` is below 2 or above the ring's capacity.
    """
    if not math.isfinite(x) or window < 2 or window > len(s.ring):
        return math.nan
    z = math.nan
    if s.n == 0:
        s.anchor = x
    y = x - s.anchor
    d = y - s.level
    if s.n < window:
        s.n += 1
        s.level += d / s.n
        s.spread_sq += d * (y - s.level)
    else:
        if s.spread_sq > 0.0:
            z = d / math.sqrt(s.spread_sq / (window - 1))
        old = s.ring[s.at] - s.anchor
        before = s.level
        s.level += (y - old) / window
        s.spread_sq = max(0.0, s.spread_sq + (y - old) * ((y - s.level) + (old - before)))
    s.ring[s.at] = x
    s.at += 1
    if s.at == window:
        s.at = 0
        s.anchor = x
        total = 0.0
        for i in range(window):
            total += s.ring[i] - x
        s.level = total / window
        squares = 0.0
        for i in range(window):
            e = s.ring[i] - x - s.level
            squares += e * e
        s.spread_sq = squares
    return z


@njit
def loop(states: Any, x: Any, window: int, out: Any) -> None:
    """`step` over an array."""
    for i in range(len(out)):
        out[i] = step(states[0], x[i], window)


FOLD = Fold("rolling_zscore", STATE, PARAMS, step, loop, ("x",), {"window": 64}, {"window": (2, CAPACITY)})
