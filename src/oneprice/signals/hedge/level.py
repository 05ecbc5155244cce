"""The local level by likelihood, with an exact diffuse start.

    l(q, r) = -1/2 sum_{t >= 2} (ln 2 pi + ln F_t + e_t^2 / F_t)

The first observation only places the level: its diffuse term does not depend on the parameters and is left out
(the convention of Durbin and Koopman; a program that counts its ln 2 pi is lower by ln(2 pi) / 2).
F_t and e_t are those of the fold `features.kalman_level`.

Reference: J. Durbin, S. J. Koopman (2012), Time Series Analysis by State Space Methods, 2nd ed., section 2.9.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import DataError
from oneprice.core.jit import njit
from oneprice.features import kalman_level
from oneprice.signals.hedge.checks import series

LOG_2PI = math.log(2.0 * math.pi)
_WIDEST = 30.0  # of ln(q / r): beyond it one of them is nothing


class LevelFit(msgspec.Struct, frozen=True):
    """q, r: variances of a step of the level and of the noise (squared units of x)."""

    q: float
    r: float
    log_likelihood: float
    n: int


@njit
def _terms(states: Any, x: Any, q: float, r: float, out: Any) -> None:
    """Sum of ln F and of e^2 / F over all but the first observation, into out[0], out[1]."""
    s = states[0]
    logs, squares = 0.0, 0.0
    for i in range(len(x)):
        kalman_level.step(s, x[i], q, r)
        if i > 0:
            logs += math.log(s.innovation_var)
            squares += s.innovation * s.innovation / s.innovation_var
    out[0] = logs
    out[1] = squares


def level_log_likelihood(x: Any, q: float, r: float) -> float:
    """The diffuse log likelihood of x, shape (n,). Raises DataError for x, or unless q, r >= 0 and q + r > 0."""
    values = series("x", x, 3)
    if not (q >= 0.0 and r >= 0.0 and q + r > 0.0):
        raise DataError(f"local level: expected variances q, r >= 0, not both 0, got q = {q}, r = {r}")
    out = np.zeros(2)
    _terms(kalman_level.FOLD.fresh(), values, q, r, out)
    return -0.5 * ((len(values) - 1) * LOG_2PI + out[0] + out[1])


def fit_level(x: Any) -> LevelFit:
    """q and r of most likelihood; r (or q) is concentrated out, so one number is searched.

    x: float64 of shape (n,), at least 10 finite values that vary; DataError otherwise.
    """
    from scipy.optimize import minimize_scalar

    values = series("x", x, 10)
    n = len(values) - 1
    out = np.zeros(2)

    def scaled(log_ratio: float) -> tuple[float, float]:
        q, r = (math.exp(log_ratio), 1.0) if log_ratio <= 0.0 else (1.0, math.exp(-log_ratio))
        _terms(kalman_level.FOLD.fresh(), values, q, r, out)
        return q, r

    def loss(log_ratio: float) -> float:
        scaled(log_ratio)
        return 0.5 * float(n * (LOG_2PI + math.log(out[1] / n) + 1.0) + out[0])

    grid = np.linspace(-_WIDEST, _WIDEST, 41)
    at = int(np.argmin([loss(g) for g in grid]))
    low, high = grid[max(0, at - 1)], grid[min(len(grid) - 1, at + 1)]
    best = float(minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-10}).x)
    q, r = scaled(best)
    scale = float(out[1]) / n
    return LevelFit(q * scale, r * scale, -loss(best), len(values))
