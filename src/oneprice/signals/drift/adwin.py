"""ADWIN: a window that grows while its parts agree on the mean and drops its oldest part when they do not.

The window is an exponential histogram: row i holds up to 5 buckets of 2^i observations (sum and squared
deviations), so a window of n takes O(log n) room, here a record of fixed width. Every `clock` observations each
border between buckets splits it in n_0 old and n_1 new ones; the oldest bucket is dropped while for some border

    |mean_0 - mean_1| > sqrt(2 m v d') + 2/3 m d',   d' = ln(2 ln n / delta),
    m = 1 / (n_0 - 4) + 1 / (n_1 - 4),   v = variance of the window

delta bounds the false-alarm probability of one check (variance-based Bernstein bound), for x of bounded range.

Reference: A. Bifet, R. Gavalda (2007), Learning from time-changing data with adaptive windowing, SIAM SDM, 443-448,
doi 10.1137/1.9781611972771.42. The least part of 5 and the check from 11 observations on follow the MOA and `river`
implementations, whose documented alarm is an anchor.
"""

from __future__ import annotations

import math
from typing import Any

from numba.extending import register_jitable

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

ROWS, BUCKETS = 24, 5  # up to 5 (2^24 - 1) observations; the oldest bucket is forgotten beyond that
LEAST, GRACE = 5, 10  # smallest part of a split; no check on a window this short

STATE = record(
    [
        ("origin", "f8"),  # the first x: sums are of x - origin, so a high level costs no digits
        ("total", "f8"),
        ("squares", "f8"),  # squared deviations from the mean of the window
        ("width", "i8"),  # observations in the window
        ("n", "i8"),  # observations since a start
        ("rows", "i8"),  # rows in use
        ("held", "i8", (ROWS,)),
        ("sums", "f8", (ROWS, BUCKETS + 1)),  # oldest bucket of a row first
        ("spreads", "f8", (ROWS, BUCKETS + 1)),
        ("alarm", "f8"),
    ]
)
PARAMS = record([("delta", "f8"), ("clock", "i8"), ("latch", "i8")])


@register_jitable(error_model="numpy")
def insert(s: Any, x: float) -> None:
    """One observation in; full rows hand their two oldest buckets up as one."""
    if s.width > 0:
        off = x - s.total / s.width
        s.squares += s.width * off * off / (s.width + 1)
    s.width += 1
    s.total += x
    s.sums[0, s.held[0]], s.spreads[0, s.held[0]] = x, 0.0
    s.held[0] += 1
    s.rows = max(s.rows, 1)
    row, count = 0, 1.0
    while s.held[row] > BUCKETS:
        if row + 1 == ROWS:
            drop_oldest(s)
            break
        a, b = s.sums[row, 0], s.sums[row, 1]
        at = s.held[row + 1]
        s.sums[row + 1, at] = a + b
        gap = (a - b) / count
        s.spreads[row + 1, at] = s.spreads[row, 0] + s.spreads[row, 1] + 0.5 * count * gap * gap
        s.held[row + 1] += 1
        s.held[row] -= 2
        for j in range(s.held[row]):
            s.sums[row, j], s.spreads[row, j] = s.sums[row, j + 2], s.spreads[row, j + 2]
        s.rows = max(s.rows, row + 2)
        row += 1
        count *= 2.0


@register_jitable(error_model="numpy")
def drop_oldest(s: Any) -> None:
    """The oldest bucket out of the window."""
    row = s.rows - 1
    count = 1 << row
    total, spread = s.sums[row, 0], s.spreads[row, 0]
    s.width -= count
    s.total -= total
    if s.width > 0:
        gap = total / count - s.total / s.width
        s.squares -= spread + gap * gap * count * s.width / (count + s.width)
    else:
        s.squares = 0.0
    s.squares = max(0.0, s.squares)
    s.held[row] -= 1
    for j in range(s.held[row]):
        s.sums[row, j], s.spreads[row, j] = s.sums[row, j + 1], s.spreads[row, j + 1]
    while s.rows > 0 and s.held[s.rows - 1] == 0:
        s.rows -= 1


@register_jitable(error_model="numpy")
def cut_ratio(s: Any, delta: float) -> float:
    """|mean_0 - mean_1| / bound at the oldest border where it is above 1; 0 when the whole window agrees."""
    strict = math.log(2.0 * math.log(s.width) / delta)
    spread = s.squares / s.width
    old, old_sum = 0, 0.0
    for back in range(s.rows):
        row = s.rows - 1 - back
        for j in range(s.held[row]):
            old += 1 << row
            old_sum += s.sums[row, j]
            new = s.width - old
            if old < LEAST or new < LEAST:
                continue
            m = 1.0 / (old - LEAST + 1) + 1.0 / (new - LEAST + 1)
            bound = math.sqrt(2.0 * m * spread * strict) + 2.0 / 3.0 * strict * m
            gap = abs(old_sum / old - (s.total - old_sum) / new)
            if gap > bound:
                return gap / bound
    return 0.0


@njit
def step(s: Any, x: float, delta: float, clock: int, latch: int) -> float:
    """|difference of means| / bound of the first cut made now (alarm, above 1), else 0.

    NaN before the first check after a start (`clock` observations) and, state unchanged, when x is not finite. At an
    alarm the window holds what came after the change: s.width is its length, s.origin + s.total / s.width its mean.
    With latch = 0 the next observation starts a new window, or one change would be cut off in several alarms.
    """
    if not math.isfinite(x):
        return math.nan
    if s.alarm > 0.0:
        if latch != 0:
            return s.alarm
        for row in range(s.rows):
            s.held[row] = 0
        s.total, s.squares, s.width, s.n, s.rows, s.alarm = 0.0, 0.0, 0, 0, 0, 0.0
    if s.n == 0:
        s.origin = x
    s.n += 1
    insert(s, x - s.origin)
    if s.n % clock == 0 and s.width > GRACE:
        ratio = cut_ratio(s, delta)
        s.alarm = ratio
        while ratio > 0.0 and s.width > GRACE:
            drop_oldest(s)
            ratio = cut_ratio(s, delta)
    return s.alarm if s.n >= clock else math.nan


@njit
def loop(states: Any, x: Any, delta: float, clock: int, latch: int, out: Any) -> None:
    """`step` over an array."""
    for i in range(len(out)):
        out[i] = step(states[0], x[i], delta, clock, latch)


FOLD = Fold(
    "adwin",
    STATE,
    PARAMS,
    step,
    loop,
    ("x",),
    {"delta": 0.002, "clock": 32, "latch": 0},
    {"delta": (1e-300, 1.0), "clock": (1, 1 << 40), "latch": (0, 1)},
)
