"""The variance of the next return by GARCH(1,1), online.

    e_t = ret_t - mu,  h_{t+1} = omega + alpha e_t^2 + beta h_t

Reference: T. Bollerslev (1986), doi:10.1016/0304-4076(86)90063-1.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

STATE = record(
    [
        ("variance", "f8"),  # of the next return; 0: not yet begun
        ("seen", "f8"),  # what `variance` was for the last return
        ("z", "f8"),  # last residual in its own deviations
        ("n", "i8"),
    ]
)
PARAMS = record([("mu", "f8"), ("omega", "f8"), ("alpha", "f8"), ("beta", "f8")])


@njit
def step(s: Any, ret: float, mu: float, omega: float, alpha: float, beta: float) -> float:
    """The variance of the next return, in squared units of ret, after `ret`.

    It begins at `start`'s variance, else at omega / (1 - alpha - beta), else (no such variance) at omega + e^2.
    NaN (state unchanged) when ret is not finite.
    """
    if not math.isfinite(ret):
        return math.nan
    e = ret - mu
    h = s.variance
    if h <= 0.0:
        left = 1.0 - alpha - beta
        h = omega / left if left > 0.0 else omega + e * e
    s.seen = h
    s.z = e / math.sqrt(h)
    s.variance = omega + alpha * e * e + beta * h
    s.n += 1
    return s.variance


@njit
def start(s: Any, variance: float) -> None:
    """Take `variance` (> 0) for the next return: what a fit ends with, or begins with."""
    s.variance = variance


@njit
def loop(states: Any, ret: Any, mu: float, omega: float, alpha: float, beta: float, out: Any) -> None:
    """`step` over an array."""
    for i in range(len(out)):
        out[i] = step(states[0], ret[i], mu, omega, alpha, beta)


FOLD = Fold(
    "garch",
    STATE,
    PARAMS,
    step,
    loop,
    ("ret",),
    {"mu": 0.0, "omega": 1e-6, "alpha": 0.05, "beta": 0.94},
    {"mu": (-1e100, 1e100), "omega": (1e-300, 1e200), "alpha": (0.0, 10.0), "beta": (0.0, 1.0)},
)
