"""The variance of the next return by EGARCH(1,1), online: its logarithm moves, so gains and losses may differ.

    z_t = (ret_t - mu) / sqrt(h_t)
    ln h_{t+1} = omega + alpha (|z_t| - sqrt(2 / pi)) + gamma z_t + beta ln h_t

ln h is held within +-600, far outside of any return, so that no shock overflows.

Reference: D. B. Nelson (1991), doi:10.2307/2938260.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

MEAN_ABS = math.sqrt(2.0 / math.pi)  # of a standard normal
MOST_LOG = 600.0
STATE = record(
    [
        ("log_variance", "f8"),  # of the next return
        ("seen", "f8"),  # variance of the last return
        ("z", "f8"),  # last residual in its own deviations
        ("begun", "i8"),
        ("n", "i8"),
    ]
)
PARAMS = record([("mu", "f8"), ("omega", "f8"), ("alpha", "f8"), ("gamma", "f8"), ("beta", "f8")])


@njit
def step(s: Any, ret: float, mu: float, omega: float, alpha: float, gamma: float, beta: float) -> float:
    """The variance of the next return, in squared units of ret, after `ret`.

    It begins at `start`'s variance, else at exp(omega / (1 - beta)). NaN (state unchanged) when ret is not
    finite.
    """
    if not math.isfinite(ret):
        return math.nan
    if s.begun == 0:
        s.log_variance = min(MOST_LOG, max(-MOST_LOG, omega / (1.0 - beta)))
        s.begun = 1
    s.seen = math.exp(s.log_variance)
    s.z = (ret - mu) * math.exp(-0.5 * s.log_variance)
    log_variance = omega + alpha * (abs(s.z) - MEAN_ABS) + gamma * s.z + beta * s.log_variance
    s.log_variance = min(MOST_LOG, max(-MOST_LOG, log_variance))
    s.n += 1
    return math.exp(s.log_variance)


@njit
def start(s: Any, variance: float) -> None:
    """Take `variance` (> 0) for the next return: what a fit ends with, or begins with."""
    s.log_variance = math.log(variance)
    s.begun = 1


@njit
def loop(
    states: Any, ret: Any, mu: float, omega: float, alpha: float, gamma: float, beta: float, out: Any
) -> None:
    """`step` over an array."""
    for i in range(len(out)):
        out[i] = step(states[0], ret[i], mu, omega, alpha, gamma, beta)


FOLD = Fold(
    "egarch",
    STATE,
    PARAMS,
    step,
    loop,
    ("ret",),
    {"mu": 0.0, "omega": -0.18, "alpha": 0.1, "gamma": 0.0, "beta": 0.98},
    {
        "mu": (-1e100, 1e100),
        "omega": (-1e3, 1e3),
        "alpha": (-10.0, 10.0),
        "gamma": (-10.0, 10.0),
        "beta": (-0.9999999, 0.9999999),
    },
)
