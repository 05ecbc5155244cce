"""Realised volatility per square root of a second, with exponential decay in time.

Over a step of dt seconds with log return r, the variance rate r^2 / dt gets the weight w = tau (1 -
e^(-dt/tau)):

    S' = S e^(-dt/tau) + r^2 w / dt,   T' = T e^(-dt/tau) + w,   vol = sqrt(S' / T')

so a constant variance rate is found without bias whatever the spacing of observations. dt = 0 adds r^2 (the
limit). A return over more than `max_gap_s` is not counted: the fold decays through the gap and starts from
the new price.

Reference: T. Andersen, T. Bollerslev, F. Diebold, P. Labys (2003), Modeling and forecasting realized
volatility, Econometrica 71(2), equation 4 (here with decaying weights).
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

STATE = record([("last_ns", "i8"), ("last_price", "f8"), ("sum_sq", "f8"), ("sum_s", "f8"), ("n", "i8")])
PARAMS = record([("tau_s", "f8"), ("max_gap_s", "f8")])


@njit
def step(s: Any, time_ns: int, price: float, tau_s: float, max_gap_s: float) -> float:
    """Volatility (fraction per sqrt second) after `price` at `time_ns`; NaN until time has passed, and with
    the state unchanged when the price is not positive and finite or the time goes back.
    """
    if not math.isfinite(price) or price <= 0.0 or (s.n > 0 and time_ns < s.last_ns):
        return math.nan
    if s.n > 0:
        dt = (time_ns - s.last_ns) * 1e-9
        keep = math.exp(-dt / tau_s)
        weight = -tau_s * math.expm1(-dt / tau_s)
        s.sum_sq *= keep
        s.sum_s *= keep
        if dt <= max_gap_s:
            r = math.log1p((price - s.last_price) / s.last_price)
            if dt > 0.0:
                s.sum_sq += r * r * (weight / dt)
            else:
                s.sum_sq += r * r
            s.sum_s += weight
    s.last_ns = time_ns
    s.last_price = price
    s.n += 1
    if s.sum_s <= 0.0:
        return math.nan
    return math.sqrt(s.sum_sq / s.sum_s)


@njit
def loop(states: Any, time_ns: Any, price: Any, tau_s: float, max_gap_s: float, out: Any) -> None:
    """`step` over arrays."""
    for i in range(len(out)):
        out[i] = step(states[0], time_ns[i], price[i], tau_s, max_gap_s)


FOLD = Fold(
    "realised",
    STATE,
    PARAMS,
    step,
    loop,
    ("time_ns", "price"),
    {"tau_s": 60.0, "max_gap_s": 60.0},
    {"tau_s": (1e-6, 1e9), "max_gap_s": (0.0, 1e9)},
)
