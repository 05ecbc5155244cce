"""Trade imbalance: volume of aggressive buys less that of aggressive sells over about tau seconds.

    flow' = flow e^(-dt/tau) + side qty,   volume' = volume e^(-dt/tau) + qty

`flow` is in units of quantity; `ratio` is flow / volume in [-1, 1]. The rival of order flow imbalance in explaining
the same seconds' price change (Cont, Kukanov, Stoikov 2014, section 3.3, doi:10.1093/jjfinec/nbt003).
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

STATE = record([("last_ns", "i8"), ("flow", "f8"), ("volume", "f8"), ("total", "f8"), ("n", "i8")])
PARAMS = record([("tau_s", "f8")])


@njit
def step(s: Any, time_ns: int, side: float, qty: float, tau_s: float) -> float:
    """Decayed signed volume after a trade; side is the aggressor's, +1 a buyer, -1 a seller.

    NaN (state unchanged) when qty is not positive and finite (a trade of nothing), side is neither +1 nor -1 or time
    goes back.
    """
    if not (math.isfinite(qty) and qty > 0.0 and (side == 1.0 or side == -1.0)):
        return math.nan
    if s.n > 0 and time_ns < s.last_ns:
        return math.nan
    if s.n > 0 and time_ns > s.last_ns:
        keep = math.exp((s.last_ns - time_ns) * 1e-9 / tau_s)
        s.flow *= keep
        s.volume *= keep
    s.flow += side * qty
    s.volume += qty
    s.total += side * qty
    s.last_ns = time_ns
    s.n += 1
    return s.flow


@njit
def read(s: Any, now_ns: int, tau_s: float) -> float:
    """The decayed flow at `now_ns` without a new trade; NaN before the first or back in time."""
    if s.n == 0 or now_ns < s.last_ns:
        return math.nan
    return s.flow * math.exp((s.last_ns - now_ns) * 1e-9 / tau_s)


@njit
def ratio(s: Any) -> float:
    """flow / volume in [-1, 1]; NaN before the first trade and when both have decayed to nothing."""
    return s.flow / s.volume if s.volume > 0.0 else math.nan


@njit
def loop(states: Any, time_ns: Any, side: Any, qty: Any, tau_s: float, out: Any) -> None:
    """`step` over arrays."""
    for i in range(len(out)):
        out[i] = step(states[0], time_ns[i], side[i], qty[i], tau_s)


FOLD = Fold(
    "trade_imbalance",
    STATE,
    PARAMS,
    step,
    loop,
    ("time_ns", "side", "qty"),
    {"tau_s": 1.0},
    {"tau_s": (1e-6, 1e9)},
)
