"""Page-Hinkley test with forgetting: a shift of the mean away from its running average, with no known target.

    m_n = running mean,  U_n = a U_{n-1} + (x - m_n) - delta,  D_n = a D_{n-1} + (x - m_n) + delta
    alarm when U_n - min U > threshold (rise) or max D - D_n > threshold (fall), from `warm` observations on

Units of delta and threshold are those of x. With a = 1 this is the cumulative form of Page's test with an
estimated target; the forgetting a < 1 keeps the sums bounded.

Reference: E. S. Page (1954), Biometrika 41, 100-115; D. V. Hinkley (1971), Biometrika 58, 509-523,
doi 10.1093/biomet/58.3.509; defaults and forgetting as in the `river` library, whose documented alarm is an anchor.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

STATE = record(
    [
        ("level", "f8"),  # running mean since the last alarm
        ("up", "f8"),
        ("low", "f8"),  # least `up` so far
        ("down", "f8"),
        ("high", "f8"),  # greatest `down` so far
        ("n", "i8"),
        ("alarm", "f8"),
    ]
)
PARAMS = record([("delta", "f8"), ("threshold", "f8"), ("forget", "f8"), ("warm", "i8"), ("latch", "i8")])


@njit
def step(s: Any, x: float, delta: float, threshold: float, forget: float, warm: int, latch: int) -> float:
    """Statistic / threshold when above 1 (alarm), else 0; NaN for the first `warm` - 1 observations after a start and
    (state unchanged) when x is not finite.
    """
    if not math.isfinite(x):
        return math.nan
    if s.alarm > 0.0:
        if latch != 0:
            return s.alarm
        s.level, s.up, s.low, s.down, s.high, s.n, s.alarm = 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0
    s.n += 1
    s.level = x if s.n == 1 else s.level + (x - s.level) / s.n
    off = x - s.level
    s.up = forget * s.up + off - delta
    s.down = forget * s.down + off + delta
    s.low = s.up if s.n == 1 else min(s.low, s.up)
    s.high = s.down if s.n == 1 else max(s.high, s.down)
    if s.n < warm:
        return math.nan
    most = max(s.up - s.low, s.high - s.down)
    if most > threshold:
        s.alarm = most / threshold
    return s.alarm


@njit
def loop(states: Any, x: Any, delta: float, threshold: float, forget: float, warm: int, latch: int, out: Any) -> None:
    """`step` over an array."""
    for i in range(len(out)):
        out[i] = step(states[0], x[i], delta, threshold, forget, warm, latch)


FOLD = Fold(
    "page_hinkley",
    STATE,
    PARAMS,
    step,
    loop,
    ("x",),
    {"delta": 0.005, "threshold": 50.0, "forget": 1.0 - 1e-4, "warm": 30, "latch": 0},
    {
        "delta": (0.0, 1e9),
        "threshold": (1e-12, 1e12),
        "forget": (1e-3, 1.0),
        "warm": (1, 1 << 40),
        "latch": (0, 1),
    },
)
