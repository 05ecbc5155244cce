"""Regression whose beta and mu walk and whose error is white: the textbook Kalman hedge, a named variant.

    y_t = beta_t x_t + mu_t + N(0, r),  beta_t = beta_{t-1} + N(0, q_beta),  mu_t = mu_{t-1} + N(0, q_mu)

It is not the default: a spread that reverts slowly is not white, so fitted by likelihood this filter moves beta
and mu after the spread and hedges the signal away, while its normalised innovations look perfect
(docs/theory/hedge.md). `kalman_hedge` has the spread in the state.

The filter runs on beta and c = beta x + mu, the line at the newest x: c is seen directly and the covariance of
(beta, c) is well conditioned at any level of prices. beta and mu start at 0 with variance `prior_var` each.

Reference: E. P. Chan (2013), Algorithmic Trading, chapter 3 (prior_var = 0).
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

STATE = record(
    [
        ("x", "f8"),
        ("beta", "f8"),
        ("mu", "f8"),
        ("line", "f8"),  # beta x + mu at the last x
        ("beta_var", "f8"),
        ("beta_line_cov", "f8"),
        ("line_var", "f8"),
        ("innovation", "f8"),
        ("innovation_var", "f8"),
        ("n", "i8"),
    ]
)
PARAMS = record([("q_beta", "f8"), ("q_mu", "f8"), ("r", "f8"), ("prior_var", "f8")])


@njit
def step(s: Any, y: float, x: float, q_beta: float, q_mu: float, r: float, prior_var: float) -> float:
    """The forecast error of y before the pair (y, x) is taken in, in units of y.

    NaN (state unchanged) when y or x is not finite. In the state: the error's variance, beta, mu.
    """
    if not (math.isfinite(y) and math.isfinite(x)):
        return math.nan
    if s.n == 0:
        bb, bc, cc = prior_var, x * prior_var, (1.0 + x * x) * prior_var
    else:
        dx = x - s.x
        bb = s.beta_var + q_beta
        bc = s.beta_line_cov + dx * s.beta_var + x * q_beta
        cc = s.line_var + dx * (2.0 * s.beta_line_cov + dx * s.beta_var) + x * x * q_beta + q_mu
        s.line += s.beta * dx
    e = y - s.line
    f = cc + r
    g = bc / f
    h = cc / f
    s.beta += g * e
    s.line += h * e
    s.beta_var = max(0.0, bb - g * bc)
    s.beta_line_cov = g * r
    s.line_var = h * r
    s.mu = s.line - s.beta * x
    s.innovation = e
    s.innovation_var = f
    s.x = x
    s.n += 1
    return e


@njit
def loop(
    states: Any, y: Any, x: Any, q_beta: float, q_mu: float, r: float, prior_var: float, out: Any
) -> None:
    """`step` over arrays."""
    for i in range(len(out)):
        out[i] = step(states[0], y[i], x[i], q_beta, q_mu, r, prior_var)


FOLD = Fold(
    "kalman_regression",
    STATE,
    PARAMS,
    step,
    loop,
    ("y", "x"),
    {"q_beta": 1e-4, "q_mu": 1e-4, "r": 1e-3, "prior_var": 1.0},
    {"q_beta": (0.0, 1e200), "q_mu": (0.0, 1e200), "r": (1e-200, 1e200), "prior_var": (0.0, 1e200)},
)
