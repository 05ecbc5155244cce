"""The trigger |dP| > k sigma(dP), literal or demeaned, and only with a positive edge.

    literal:   |dP| > k sigma        demeaned:  |dP - mean| > k sigma

with exponentially weighted mean and deviation of dP *before* the observation. The literal form fires for
ever on a constant basis; the demeaned form does not. Neither knows costs, so the edge net of all costs must
be positive too.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

STATE = record([("level", "f8"), ("spread_sq", "f8"), ("n", "i8")])
PARAMS = record([("k", "f8"), ("alpha", "f8"), ("demeaned", "i8"), ("warm", "i8")])


@njit
def step(s: Any, gap: float, edge_bp: float, k: float, alpha: float, demeaned: int, warm: int) -> float:
    """+1 when the gap is high, -1 when it is low, 0 when there is nothing to do; NaN when the gap is not
    finite.

    gap: dP in any unit; edge_bp: expected edge of acting on it net of all costs (a NaN edge never fires).
    0 for the first `warm` observations. The moments take every finite gap in, whatever the edge is.
    """
    if not math.isfinite(gap):
        return math.nan
    sign = 0.0
    d = gap - s.level
    if s.n >= warm and edge_bp > 0.0:
        far = d if demeaned != 0 else gap
        if abs(far) > k * math.sqrt(s.spread_sq):
            sign = 1.0 if far > 0.0 else -1.0
    if s.n == 0:
        s.level = gap
    else:
        move = alpha * d
        s.level += move
        s.spread_sq = (1.0 - alpha) * (s.spread_sq + d * move)
    s.n += 1
    return sign


@njit
def loop(
    states: Any, gap: Any, edge_bp: Any, k: float, alpha: float, demeaned: int, warm: int, out: Any
) -> None:
    """`step` over arrays."""
    for i in range(len(out)):
        out[i] = step(states[0], gap[i], edge_bp[i], k, alpha, demeaned, warm)


FOLD = Fold(
    "trigger",
    STATE,
    PARAMS,
    step,
    loop,
    ("gap", "edge_bp"),
    {"k": 2.0, "alpha": 0.01, "demeaned": 1, "warm": 50},
    {"k": (0.0, 1e6), "alpha": (1e-12, 1.0), "demeaned": (0, 1), "warm": (2, 1 << 40)},
)
