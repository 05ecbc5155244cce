"""Intensity of a self-exciting stream of events with exponential memory, exactly decayed between them.

    lambda(t) = mu + alpha sum_{t_i < t} e^(-beta (t - t_i)),   n = alpha / beta < 1

`step` is called once an event and returns the intensity right after it; `read` gives it at any later time. `before`
is what it was when the event came, `residual` the compensator since the event before: over a right model residuals
are independent Exp(1) (time rescaling), which is how a fit is tested. Mean rate mu / (1 - n); the variance of counts
over their mean tends to 1 / (1 - n)^2.

References: A. Hawkes (1971), doi:10.1093/biomet/58.1.83; Y. Ogata (1981), doi:10.1109/TIT.1981.1056305 (recursion
and thinning); E. Bacry, I. Mastromatteo, J.-F. Muzy (2015), doi:10.1142/S2382626615500057.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

STATE = record(
    [
        ("last_ns", "i8"),
        ("excited", "f8"),  # alpha sum e^(-beta ..) right after the last event, a second
        ("before", "f8"),  # intensity when the last event came, a second
        ("residual", "f8"),  # compensator from the event before to the last one; 0 at the first
        ("n", "i8"),
    ]
)
PARAMS = record([("mu", "f8"), ("alpha", "f8"), ("beta", "f8")])


@njit
def step(s: Any, time_ns: int, mu: float, alpha: float, beta: float) -> float:
    """Intensity a second right after an event at `time_ns`; NaN (state unchanged) when time goes back.

    mu, alpha a second; beta 1/s. Simultaneous events each add alpha.
    """
    if s.n > 0:
        if time_ns < s.last_ns:
            return math.nan
        dt = (time_ns - s.last_ns) * 1e-9
        s.residual = mu * dt - s.excited * math.expm1(-beta * dt) / beta
        s.excited *= math.exp(-beta * dt)
    s.before = mu + s.excited
    s.excited += alpha
    s.last_ns = time_ns
    s.n += 1
    return mu + s.excited


@njit
def read(s: Any, now_ns: int, mu: float, beta: float) -> float:
    """Intensity a second at `now_ns` if nothing has come since the last event; mu before any; NaN back in time."""
    if s.n == 0:
        return mu
    if now_ns < s.last_ns:
        return math.nan
    return mu + s.excited * math.exp((s.last_ns - now_ns) * 1e-9 * beta)


@njit
def expected(s: Any, now_ns: int, horizon_s: float, mu: float, alpha: float, beta: float) -> float:
    """Expected number of events in the next `horizon_s` seconds, those that they set off included; needs
    alpha < beta, else NaN.
    """
    gap = beta - alpha
    excess = read(s, now_ns, mu, beta) - mu * beta / gap
    if not gap > 0.0:
        return math.nan
    return mu * beta / gap * horizon_s - excess * math.expm1(-gap * horizon_s) / gap


@njit
def loop(states: Any, time_ns: Any, mu: float, alpha: float, beta: float, out: Any) -> None:
    """`step` over an array."""
    for i in range(len(out)):
        out[i] = step(states[0], time_ns[i], mu, alpha, beta)


FOLD = Fold(
    "hawkes",
    STATE,
    PARAMS,
    step,
    loop,
    ("time_ns",),
    {"mu": 0.5, "alpha": 0.8, "beta": 1.2},
    {"mu": (0.0, 1e12), "alpha": (0.0, 1e12), "beta": (1e-12, 1e12)},
)
