"""A filtered hedge as arrays, and what to look at before it is believed.

A mean NIS of 1 says that the forecast variance is right, not that the spread is: the white-noise variant has it
while it hedges the signal away. So the autocorrelation of the innovations and how much of the hedge is traded
anew each step stand beside it.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from oneprice.core.jit import njit
from oneprice.features import kalman_hedge, kalman_regression
from oneprice.signals.hedge.checks import pair
from oneprice.signals.hedge.likelihood import HedgeFit, RegressionFit

BURN = 20  # pairs left out of a report: the start is diffuse


class HedgePath(msgspec.Struct, frozen=True):
    """The filter's states after each pair, float64 of shape (n,) each; innovation_var is 0 without a forecast.

    `spread` is the filtered spread (of the white-noise variant: the forecast error, all that it has).
    """

    spread: np.ndarray
    beta: np.ndarray
    mu: np.ndarray
    innovation: np.ndarray
    innovation_var: np.ndarray


class HedgeReport(msgspec.Struct, frozen=True):
    """nis: mean of e^2 / F (1 when the variances are right). innovation_lag1: autocorrelation of e / sqrt(F)
    (0 when the model is). spread_lag1: of the spread. beta_turnover: mean |change of beta| a step over mean |beta|.
    """

    nis: float
    innovation_lag1: float
    spread_lag1: float
    beta_turnover: float
    n: int


@njit
def _hedge_path(states: Any, y: Any, x: Any, theta: Any, out: Any) -> None:
    s = states[0]
    for i in range(len(y)):
        out[0, i] = kalman_hedge.step(s, y[i], x[i], theta[0], theta[1], theta[2], theta[3])
        out[1, i] = s.beta
        out[2, i] = s.mu
        out[3, i] = s.innovation
        out[4, i] = s.innovation_var


@njit
def _regression_path(states: Any, y: Any, x: Any, theta: Any, out: Any) -> None:
    s = states[0]
    for i in range(len(y)):
        out[0, i] = kalman_regression.step(s, y[i], x[i], theta[0], theta[1], theta[2], theta[3])
        out[1, i] = s.beta
        out[2, i] = s.mu
        out[3, i] = s.innovation
        out[4, i] = s.innovation_var


def hedge_path(y: Any, x: Any, fit: HedgeFit | RegressionFit) -> HedgePath:
    """Run the fitted filter over y, x of shape (n,). Raises DataError for series that a fit would refuse."""
    a, b = pair(y, x, 3)
    fold = kalman_hedge.FOLD if isinstance(fit, HedgeFit) else kalman_regression.FOLD
    walk = _hedge_path if isinstance(fit, HedgeFit) else _regression_path
    theta = np.array(fold.params(**fit.params())[0].item(), np.float64)
    out = np.empty((5, len(a)))
    state = fold.fresh()
    origin = 0.0
    if isinstance(fit, HedgeFit):
        state["beta_drift"], origin = fit.beta_drift, fit.origin
    walk(state, a, b - origin, theta, out)
    out[2] -= origin * out[1]  # mu of y = beta x + mu + spread, x as given
    return HedgePath(*out)


def hedge_report(path: HedgePath) -> HedgeReport:
    """The figures of a path, the first pairs left out. NaN where there are too few."""
    keep = path.innovation_var > 0.0
    keep[:BURN] = False
    e, f = path.innovation[keep], path.innovation_var[keep]
    beta = path.beta[BURN:]
    return HedgeReport(
        float(np.mean(e * e / f)) if len(e) else math.nan,
        lag1(e / np.sqrt(f)),
        lag1(path.spread[BURN:]),
        float(np.mean(np.abs(np.diff(beta))) / np.mean(np.abs(beta))) if len(beta) > 1 else math.nan,
        int(keep.sum()),
    )


def lag1(x: np.ndarray) -> float:
    """First autocorrelation of x around its mean; NaN below 3 values or when x does not vary."""
    if len(x) < 3:
        return math.nan
    d = x - x.mean()
    total = float(d @ d)
    return float(d[1:] @ d[:-1]) / total if total > 0.0 else math.nan
