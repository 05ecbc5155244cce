"""Two-sided tabular CUSUM of a standardised series: the quickest test for a shift of the mean of known size.

    C+ = max(0, C+ + x - k),  C- = max(0, C- - x - k);  alarm when either exceeds h

x is in standard deviations around its mean under control (an innovation of a filter, a z-score of a residual). k
is half the shift to be found; h comes from a wanted false-alarm rate: `design.cusum_limit(arl0, k)`. The run
lengths hold for independent normal x: whiten first, a spread is not.

Reference: E. S. Page (1954), Biometrika 41, 100-115, doi 10.1093/biomet/41.1-2.100; D. C. Montgomery,
Introduction to Statistical Quality Control, chapter 9.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

STATE = record(
    [
        ("up", "f8"),  # C+
        ("down", "f8"),  # C-
        ("n_up", "i8"),  # observations since C+ was last 0: at an alarm, the estimated age of the shift
        ("n_down", "i8"),
        ("alarm", "f8"),  # last returned alarm; with latch = 0 it says that the next step starts afresh
    ]
)
PARAMS = record([("k", "f8"), ("h", "f8"), ("latch", "i8")])


@njit
def step(s: Any, x: float, k: float, h: float, latch: int) -> float:
    """max(C+, C-) / h when above 1 (alarm), else 0; NaN (state unchanged) when x is not finite.

    `s.n_up` and `s.n_down` say how long each side has been rising; the larger of `s.up` and `s.down` is the
    direction of an alarm.
    """
    if not math.isfinite(x):
        return math.nan
    if s.alarm > 0.0:
        if latch != 0:
            return s.alarm
        s.up, s.down, s.n_up, s.n_down, s.alarm = 0.0, 0.0, 0, 0, 0.0
    s.up = max(0.0, s.up + x - k)
    s.down = max(0.0, s.down - x - k)
    s.n_up = s.n_up + 1 if s.up > 0.0 else 0
    s.n_down = s.n_down + 1 if s.down > 0.0 else 0
    most = max(s.up, s.down)
    if most > h:
        s.alarm = most / h
    return s.alarm


@njit
def loop(states: Any, x: Any, k: float, h: float, latch: int, out: Any) -> None:
    """`step` over an array."""
    for i in range(len(out)):
        out[i] = step(states[0], x[i], k, h, latch)


FOLD = Fold(
    "cusum",
    STATE,
    PARAMS,
    step,
    loop,
    ("x",),
    {"k": 0.5, "h": 5.0, "latch": 0},
    {"k": (0.0, 1e6), "h": (1e-9, 1e9), "latch": (0, 1)},
)
