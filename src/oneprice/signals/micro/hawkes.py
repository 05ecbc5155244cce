"""Maximum likelihood of a Hawkes stream with exponential memory, its errors, and whether it fits.

    log L = sum_i log(mu + alpha A_i) - mu T - (alpha / beta) sum_i (1 - e^(-beta (T - t_i)))
    A_1 = 0,  A_i = e^(-beta (t_i - t_{i-1})) (1 + A_{i-1})

One pass gives value, gradient and Hessian; errors are from the Hessian at the maximum. Newton steps run over logs
with alpha < beta, from the best places of a grid. The fit is tested by its residuals: compensators between
events are Exp(1) and independent under the right model (Kolmogorov-Smirnov, and correlation of neighbours).

`simulate_hawkes` draws exactly (no thinning): the next arrival is the earlier of one of the background and one of the
decaying excitation.

References: Y. Ogata (1978), doi:10.1007/BF02480216; Y. Ogata (1988), doi:10.1080/01621459.1988.10478560 (residuals);
A. Dassios, H. Zhao (2013), doi:10.1214/ECP.v18-2717 (exact simulation).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.jit import njit

LEAST_EVENTS = 30
MOST_BRANCHING = 0.9999
_BRANCHINGS, _BETAS = (0.1, 0.4, 0.7, 0.9), (0.03, 0.3, 1.0, 3.0, 30.0, 1e3, 1e5)  # where to begin; beta in mean rates
N_STARTS, MOST_STEPS = 3, 200
FAR, FAR_DAMPED = 35.0, 1e15  # logs of parameters beyond which nothing is sought; damping at which a climb gives up


class HawkesFit(msgspec.Struct, frozen=True):
    """Parameters a second; `se` and `residual_*` say how far to trust them."""

    mu: float
    alpha: float
    beta: float
    se: tuple[float, float, float]  # of mu, alpha, beta; NaN where the Hessian is not that of a maximum
    log_likelihood: float
    log_likelihood_poisson: float  # of a constant rate
    n: int
    horizon_s: float
    residual_p: float  # Kolmogorov-Smirnov against Exp(1), parameters taken as known
    residual_lag1: float  # correlation of neighbouring residuals; its error is 1 / sqrt(n)
    ties: int  # events at the time of the one before

    @property
    def branching(self) -> float:
        return self.alpha / self.beta

    @property
    def rate(self) -> float:
        """Mean events a second of the fitted model."""
        return self.mu / (1.0 - self.branching)

    @property
    def fano(self) -> float:
        """Variance over mean of counts in a long window."""
        return 1.0 / (1.0 - self.branching) ** 2

    def __str__(self) -> str:
        m, a, b = self.se
        verdict = "not rejected" if self.residual_p >= 0.01 else "REJECTED at 1 %"
        return (
            f"hawkes: mu {self.mu:.4g} ({m:.2g}), alpha {self.alpha:.4g} ({a:.2g}), beta {self.beta:.4g} ({b:.2g}) 1/s;"
            f" branching {self.branching:.3f}; exponential residuals {verdict} (KS p {self.residual_p:.3g}, lag-1"
            f" {self.residual_lag1:+.3f}, {self.n:,} events, {self.ties} ties)"
        )


@njit
def _derivatives(t: Any, horizon: float, theta: Any, out: Any) -> None:
    """Value into out[0, 0], gradient into out[1], Hessian into out[2:5]; theta = (mu, alpha, beta), t from 0."""
    mu, alpha, beta = theta[0], theta[1], theta[2]
    out[:, :] = 0.0
    a, b, c = 0.0, 0.0, 0.0  # A and its first two derivatives in beta
    before = 0.0
    for i in range(len(t)):
        if i > 0:
            dt = t[i] - before
            keep = math.exp(-beta * dt)
            c = keep * (c - 2.0 * dt * b + dt * dt * (1.0 + a))
            b = keep * (b - dt * (1.0 + a))
            a = keep * (1.0 + a)
        before = t[i]
        rate = mu + alpha * a
        w = 1.0 / rate
        da, db = a * w, alpha * b * w
        left = horizon - t[i]
        fade = math.exp(-beta * left)
        e0 = -math.expm1(-beta * left) / beta
        e1 = (left * fade - e0) / beta
        e2 = (-left * left * fade - 2.0 * e1) / beta
        out[0, 0] += math.log(rate) - alpha * e0
        out[1, 0] += w
        out[1, 1] += da - e0
        out[1, 2] += db - alpha * e1
        out[2, 0] -= w * w
        out[2, 1] -= w * da
        out[2, 2] -= w * db
        out[3, 1] -= da * da
        out[3, 2] += b * w - da * db - e1
        out[4, 2] += alpha * c * w - db * db - alpha * e2
    out[0, 0] -= mu * horizon
    out[1, 0] -= horizon
    out[3, 0], out[4, 0], out[4, 1] = out[2, 1], out[2, 2], out[3, 2]


@njit
def residuals(t: Any, mu: float, alpha: float, beta: float) -> Any:
    """Compensators between neighbouring events, shape (n - 1,): Exp(1) under the model."""
    out = np.empty(max(0, len(t) - 1))
    excited = alpha
    for i in range(1, len(t)):
        dt = t[i] - t[i - 1]
        out[i - 1] = mu * dt - excited * math.expm1(-beta * dt) / beta
        excited = excited * math.exp(-beta * dt) + alpha
    return out


@njit
def _simulate(rng: Any, mu: float, alpha: float, beta: float, horizon: float, out: Any) -> int:
    t = 0.0
    excited = 0.0
    n = 0
    while n < len(out):
        wait = rng.exponential() / mu if mu > 0.0 else math.inf
        if excited > 0.0:
            d = 1.0 - beta * rng.exponential() / excited
            if d > 0.0:
                wait = min(wait, -math.log(d) / beta)
        t += wait
        if not t < horizon:
            return n
        out[n] = t
        n += 1
        excited = excited * math.exp(-beta * wait) + alpha
    return -1


def simulate_hawkes(
    rng: np.random.Generator, *, mu: float, alpha: float, beta: float, horizon_s: float
) -> np.ndarray:
    """Event times in seconds on (0, horizon_s), from an empty past.

    Raises ConfigError unless mu >= 0, 0 <= alpha < beta and horizon_s > 0.
    """
    if not (mu >= 0.0 and 0.0 <= alpha < beta < math.inf and 0.0 < horizon_s < math.inf):
        raise ConfigError(
            f"simulate_hawkes: expected mu >= 0, 0 <= alpha < beta and horizon_s > 0, got mu {mu}, alpha {alpha}, beta"
            f" {beta}, horizon_s {horizon_s}"
        )
    room = int(mu * horizon_s / (1.0 - alpha / beta) * 1.5) + 1000
    out = np.empty(room)
    state = rng.bit_generator.state
    n = _simulate(rng, mu, alpha, beta, horizon_s, out)
    while n < 0:  # a burst outgrew the room: the same draws with more of it
        out = np.empty(2 * len(out))
        rng.bit_generator.state = state
        n = _simulate(rng, mu, alpha, beta, horizon_s, out)
    return out[:n]


def fit_hawkes(times_s: Any, *, horizon_s: float | None = None) -> HawkesFit:
    """Fit on event times in seconds, from the start of observation at 0.

    Parameters
    ----------
    times_s : (n,) sorted, >= 0. horizon_s : end of observation; default the last event.

    Raises
    ------
    DataError
        Fewer than LEAST_EVENTS events, times that are not finite or not sorted, outside [0, horizon_s], or with more
        than a fifth at the time of the event before: merge simultaneous events first (a burst of zero length has no
        finite decay).
    """
    t, horizon, ties = _checked(times_s, horizon_s)
    n = len(t)
    rate = n / horizon
    theta, value = _climb(t * rate, horizon * rate)  # in units of the mean rate
    theta = theta * rate
    out = np.empty((5, 3))
    _derivatives(t, horizon, theta, out)
    seen = residuals(t, *(float(v) for v in theta))
    from scipy import stats

    d = seen - seen.mean()
    lag1 = float(d[1:] @ d[:-1]) / float(d @ d) if float(d @ d) > 0.0 else math.nan
    p = float(stats.kstest(seen, "expon", method="asymp").pvalue)
    return HawkesFit(
        mu=float(theta[0]), alpha=float(theta[1]), beta=float(theta[2]), se=_errors(-out[2:]),
        log_likelihood=value + n * math.log(rate), log_likelihood_poisson=n * math.log(rate) - n, n=n,
        horizon_s=horizon, residual_p=p, residual_lag1=lag1, ties=ties,
    )  # fmt: skip


def _checked(times_s: Any, horizon_s: float | None) -> tuple[np.ndarray, float, int]:
    t = np.ascontiguousarray(times_s, np.float64)
    if t.ndim != 1 or len(t) < LEAST_EVENTS:
        raise DataError(f"fit_hawkes: expected at least {LEAST_EVENTS} times of shape (n,), got shape {t.shape}")
    if not np.isfinite(t).all():
        raise DataError(f"fit_hawkes: time {int(np.flatnonzero(~np.isfinite(t))[0])} is not finite; expected seconds")
    steps = np.diff(t)
    if (steps < 0.0).any():
        i = int(np.flatnonzero(steps < 0.0)[0]) + 1
        raise DataError(f"fit_hawkes: expected sorted times, time {i} ({t[i]}) is before the one before it")
    horizon = float(t[-1]) if horizon_s is None else float(horizon_s)
    if not (t[0] >= 0.0 and t[-1] <= horizon < math.inf and horizon > 0.0):
        raise DataError(f"fit_hawkes: expected times in [0, {horizon}], got {t[0]} to {t[-1]}")
    ties = int((steps == 0.0).sum())
    if ties > len(t) / 5:
        raise DataError(f"fit_hawkes: {ties} of {len(t)} events at the time of the one before; merge them first")
    return t, horizon, ties


def _climb(t: np.ndarray, horizon: float) -> tuple[np.ndarray, float]:
    """Maximum over (mu, alpha, beta), and its value: from the best places of a grid, by damped Newton steps in logs."""
    out = np.empty((5, 3))

    def value(x: np.ndarray) -> float:
        theta = np.exp(x)
        if not (np.abs(x) < FAR).all() or theta[1] > MOST_BRANCHING * theta[2]:
            return -math.inf
        _derivatives(t, horizon, theta, out)
        return float(out[0, 0])

    places = [np.log([1.0 - n, n * beta, beta]) for n in _BRANCHINGS for beta in _BETAS]
    best: tuple[float, np.ndarray] | None = None
    for start in sorted(places, key=value)[: -1 - N_STARTS : -1]:
        found = _newton(value, out, start)
        if best is None or found[0] > best[0]:
            best = found
    assert best is not None
    return np.exp(best[1]), best[0]


def _newton(value: Callable[[np.ndarray], float], out: np.ndarray, x: np.ndarray) -> tuple[float, np.ndarray]:
    """(value, x) at the top of the hill on which x lies, or at the edge of the region where it ends.

    `value` leaves gradient and Hessian in `out`; the damping grows until a step gains.
    """
    here, damping = value(x), 1e-2
    for _ in range(MOST_STEPS):
        value(x)
        theta = np.exp(x)
        gradient = out[1] * theta
        bend = -(out[2:] * np.outer(theta, theta) + np.diag(gradient))
        scale = np.diag(np.abs(np.diag(bend)) + 1e-9)
        gained = 0.0
        while damping < FAR_DAMPED:
            move = np.linalg.solve(bend + damping * scale, gradient)
            if float(gradient @ move) > 0.0 and float(np.abs(move).max()) < 3.0:
                there = value(x + move)
                gained = there - here
                if gained >= 0.0:
                    x, here, damping = x + move, there, max(damping / 8.0, 1e-12)
                    break
            damping *= 4.0
        if gained < 1e-11 * max(1.0, abs(here)):
            break
    return here, x


def _errors(information: np.ndarray) -> tuple[float, float, float]:
    """Roots of the diagonal of its inverse; NaN unless it is positive definite."""
    if not np.isfinite(information).all() or np.linalg.eigvalsh(information)[0] <= 0.0:
        return math.nan, math.nan, math.nan
    d = np.sqrt(np.diag(np.linalg.inv(information)))
    return float(d[0]), float(d[1]), float(d[2])
