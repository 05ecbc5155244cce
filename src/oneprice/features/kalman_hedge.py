"""The dynamic hedge whose state holds the spread: beta and mu walk, the spread is AR(1), nothing is white noise.

    y_t = beta_t x_t + mu_t + s_t
    beta_t = beta_{t-1} + N(0, q_beta),  mu_t = mu_{t-1} + N(0, q_mu),  s_t = phi s_{t-1} + N(0, sigma^2)

The observation has no noise of its own, so after each one mu_t = y_t - beta_t x_t - s_t holds exactly and the
3-state filter is a filter of (beta, s) alone, in the form of an error correction:

    e_t = dy - beta dx + (1 - phi) s,   F_t = Var(e_t)

It is the same filter, with a 2 x 2 covariance, and it sees only differences of prices: a large level costs no
digits. beta and mu start diffuse, exactly (no large number stands for infinity); the spread starts stationary.
Covariances are updated as sums of squares (Joseph), so they cannot turn negative. A white measurement noise
in place of s (`kalman_regression`) lets beta and mu follow the spread, and hedges the signal away. A hedge ratio
that trends is told by a known drift: beta_t = beta_{t-1} + `beta_drift` + noise (a field of the state, 0 at birth).

References: J. Durbin, S. J. Koopman (2012), Time Series Analysis by State Space Methods, 2nd ed., chapters 4
and 5; P. de Jong (1991), doi:10.1214/aos/1176348139.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

STATE = record(
    [
        ("y", "f8"),  # the last pair seen
        ("x", "f8"),
        ("beta", "f8"),
        ("mu", "f8"),
        ("spread", "f8"),
        ("beta_var", "f8"),
        ("beta_spread_cov", "f8"),
        ("spread_var", "f8"),
        ("beta_drift", "f8"),  # known change of beta a step: set by hand from a fit, else 0
        ("beta_se", "f8"),
        ("spread_se", "f8"),
        ("innovation", "f8"),
        ("innovation_var", "f8"),  # 0 where there is no forecast: the first pair, and the first move of x
        ("known", "i8"),  # 1: beta is no longer diffuse
        ("n", "i8"),
    ]
)
PARAMS = record([("q_beta", "f8"), ("q_mu", "f8"), ("phi", "f8"), ("sigma", "f8")])


@njit
def step(s: Any, y: float, x: float, q_beta: float, q_mu: float, phi: float, sigma: float) -> float:
    """The filtered spread after the pair (y, x), in the units of y.

    NaN for the first pair and until x has moved once (beta is diffuse until then), and when y or x is not
    finite (the state is left unchanged, as if the pair had not been). The state tells the rest: beta, mu,
    their standard errors, the one-step forecast error of y and its variance.
    """
    if not (math.isfinite(y) and math.isfinite(x)):
        return math.nan
    q_spread = sigma * sigma
    if s.n == 0:
        s.y = y
        s.x = x
        s.mu = y
        s.spread_var = q_spread / (1.0 - phi * phi)
        s.spread_se = math.sqrt(s.spread_var)
        s.n = 1
        return math.nan
    dx = x - s.x
    pull = 1.0 - phi
    bb, bs, ss = s.beta_var, s.beta_spread_cov, s.spread_var
    e = (y - s.y) - s.beta * dx - s.beta_drift * x + pull * s.spread
    f = 0.0
    g, h = 0.0, 0.0  # gains of beta and of the spread
    if s.known == 0 and dx != 0.0:
        g = 1.0 / dx
        s.known = 1
    else:
        to_beta = bb * dx - pull * bs
        to_spread = bs * dx - pull * ss
        f = to_beta * dx - pull * to_spread + x * x * q_beta + q_mu + q_spread
        h = (phi * to_spread + q_spread) / f
        if s.known == 1:
            g = (to_beta + x * q_beta) / f
    s.innovation = e
    s.innovation_var = f
    s.beta += s.beta_drift + g * e
    s.spread = phi * s.spread + h * e
    # errors after the update: of beta a, b and of the spread c, d (from its own and the other's); u, v of the walk
    a, b, u = 1.0 - g * dx, g * pull, 1.0 - g * x
    c, d, v = -h * dx, phi + h * pull, -h * x
    w = 1.0 - h
    s.beta_var = a * a * bb + 2.0 * a * b * bs + b * b * ss + u * u * q_beta + g * g * (q_mu + q_spread)
    s.beta_spread_cov = (
        a * c * bb + (a * d + b * c) * bs + b * d * ss + u * v * q_beta + g * (h * q_mu - w * q_spread)
    )
    s.spread_var = c * c * bb + 2.0 * c * d * bs + d * d * ss + v * v * q_beta + h * h * q_mu + w * w * q_spread
    s.beta_se = math.sqrt(max(0.0, s.beta_var)) if s.known == 1 else 0.0
    s.spread_se = math.sqrt(max(0.0, s.spread_var))
    s.mu = y - s.beta * x - s.spread
    s.y = y
    s.x = x
    s.n += 1
    return s.spread if s.known == 1 else math.nan


@njit
def start(s: Any, y: float, x: float, beta: float, beta_se: float, spread: float, spread_se: float) -> None:
    """Begin from what a fit knows at its last pair (y, x), in place of a diffuse beta.

    The next `step` takes the pair after it. mu follows: y - beta x - spread.
    """
    s.y = y
    s.x = x
    s.beta = beta
    s.beta_se = beta_se
    s.beta_var = beta_se * beta_se
    s.spread = spread
    s.spread_se = spread_se
    s.spread_var = spread_se * spread_se
    s.beta_spread_cov = 0.0
    s.mu = y - beta * x - spread
    s.innovation = 0.0
    s.innovation_var = 0.0
    s.known = 1
    s.n = max(s.n, 1)


@njit
def loop(
    states: Any, y: Any, x: Any, q_beta: float, q_mu: float, phi: float, sigma: float, out: Any
) -> None:
    """`step` over arrays."""
    for i in range(len(out)):
        out[i] = step(states[0], y[i], x[i], q_beta, q_mu, phi, sigma)


FOLD = Fold(
    "kalman_hedge",
    STATE,
    PARAMS,
    step,
    loop,
    ("y", "x"),
    {"q_beta": 0.0, "q_mu": 0.0, "phi": 0.95, "sigma": 0.01},
    {
        "q_beta": (0.0, 1e200),
        "q_mu": (0.0, 1e200),
        "phi": (-0.9999999, 0.9999999),
        "sigma": (1e-100, 1e100),
    },
)
