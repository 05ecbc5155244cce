"""Order flow imbalance of several levels: one flow a level, and their weighted sum.

Level m's flow takes the m-th best bid and ask as `ofi` takes the best ones and decays alike. The state holds the
vector (`flow`); the value is sum_m weight^m flow_m. A regression on the vector explains a little more with each level
(Xu, Gould, Howison), since queues behind the touch react in the same direction.

`levels.read_levels(view, row)` makes the row from the book of a VIEW; here it is 4 L numbers, level after level: bid,
ask, bid quantity, ask quantity. L is that of the state: `mlofi_state(levels)`.

Reference: K. Xu, M. Gould, S. Howison (2018), Multi-level order-flow imbalance in a limit order book, Market
Microstructure and Liquidity 4(3), equations 4 to 8, doi:10.1142/S2382626619500114.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.ofi import event
from oneprice.features.rows import RowFold

LEVELS = 5


def mlofi_state(levels: int = LEVELS) -> np.dtype:
    """A state for `levels` levels (1 to 64); `step` works on any."""
    if not 1 <= levels <= 64:
        raise ConfigError(f"mlofi: expected 1 to 64 levels, got {levels}")
    return record(
        [
            ("last_ns", "i8"),
            ("row", "f8", (4 * levels,)),  # what stood before
            ("event", "f8", (levels,)),  # last e_n of each level, quantity
            ("flow", "f8", (levels,)),  # over about tau seconds
            ("total", "f8", (levels,)),  # since birth
            ("known", "i8", (levels,)),  # 1: the level stood before
            ("n", "i8"),
        ]
    )


STATE = mlofi_state()
PARAMS = record([("tau_s", "f8"), ("level_weight", "f8")])


@njit
def step(s: Any, time_ns: int, row: Any, tau_s: float, level_weight: float) -> float:
    """sum_m level_weight^m flow_m after this row, in units of the quantities.

    NaN with the state unchanged when the best level is missing, empty, locked or crossed, or time goes back; NaN for
    the first row and the first after `forget`. A deeper level that is missing on a side adds nothing now, nor when it
    comes back.
    """
    queues = row[2] + row[3]
    if not (math.isfinite(row[0]) and math.isfinite(row[1]) and math.isfinite(queues)):
        return math.nan
    if row[2] <= 0.0 or row[3] <= 0.0 or row[0] >= row[1] or (s.n > 0 and time_ns < s.last_ns):
        return math.nan
    keep = 1.0
    if s.n > 0 and time_ns > s.last_ns:
        keep = math.exp((s.last_ns - time_ns) * 1e-9 / tau_s)
    began = s.known[0] != 0
    value = 0.0
    weight = 1.0
    for m in range(len(s.flow)):
        i = 4 * m
        bid = row[i]
        ask = row[i + 1]
        there = bid + ask - (bid + ask) == 0.0 and row[i + 2] > 0.0 and row[i + 3] > 0.0  # finite prices, queues
        e = 0.0
        if there and s.known[m] != 0:
            e = event(
                bid, row[i + 2], s.row[i], s.row[i + 2], ask, row[i + 3], s.row[i + 1], s.row[i + 3]
            )  # fmt: skip
        s.event[m] = e
        s.flow[m] = s.flow[m] * keep + e
        s.total[m] += e
        s.known[m] = 1 if there else 0
        if there:
            s.row[i] = bid
            s.row[i + 1] = ask
            s.row[i + 2] = row[i + 2]
            s.row[i + 3] = row[i + 3]
        value += weight * s.flow[m]
        weight *= level_weight
    s.last_ns = time_ns
    s.n += 1
    return value if began else math.nan


@njit
def forget(s: Any) -> None:
    """After a hole in the data: the next row is compared with nothing; flows go on decaying."""
    for m in range(len(s.known)):
        s.known[m] = 0


@njit
def loop(states: Any, time_ns: Any, level_rows: Any, tau_s: float, level_weight: float, out: Any) -> None:
    """`step` over arrays."""
    for i in range(len(out)):
        out[i] = step(states[0], time_ns[i], level_rows[i], tau_s, level_weight)


FOLD = RowFold(
    "mlofi",
    STATE,
    PARAMS,
    step,
    loop,
    ("time_ns", "level_rows"),
    {"tau_s": 1.0, "level_weight": 1.0},
    {"tau_s": (1e-6, 1e9), "level_weight": (0.0, 1.0)},
    4 * LEVELS,
)
