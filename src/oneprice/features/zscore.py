"""z-score against exponentially weighted moments: how far x lies from the mean before it, in deviations
before it.

    z = (x - m) / sqrt(v), then m and v take x in (as in `ewvar`)

x does not enter the moments it is measured with, so one outlier is seen at its full height.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

STATE = record([("level", "f8"), ("spread_sq", "f8"), ("n", "i8")])
PARAMS = record([("alpha", "f8"), ("warm", "i8")])


@njit
def step(s: Any, x: float, alpha: float, warm: int) -> float:
    """z of `x`; NaN for the first `warm` observations, while the variance is 0, and when x is not finite."""
    if not math.isfinite(x):
        return math.nan
    z = math.nan
    if s.n == 0:
        s.level = x
    else:
        d = x - s.level
        if s.n >= warm and s.spread_sq > 0.0:
            z = d / math.sqrt(s.spread_sq)
        move = alpha * d
        s.level += move
        s.spread_sq = (1.0 - alpha) * (s.spread_sq + d * move)
    s.n += 1
    return z


@njit
def loop(states: Any, x: Any, alpha: float, warm: int, out: Any) -> None:
    """`step` over an array."""
    for i in range(len(out)):
        out[i] = step(states[0], x[i], alpha, warm)


FOLD = Fold(
    "zscore", STATE, PARAMS, step, loop, ("x",), {"warm": 20}, {"alpha": (1e-12, 1.0), "warm": (2, 1 << 40)}
)
