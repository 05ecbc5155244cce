"""GARCH(1,1) with a constant mean by normal likelihood: Newton steps with the analytic gradient and Hessian.

    e_t = r_t - mu,  h_t = omega + alpha e_{t-1}^2 + beta h_{t-1},  h_0 = e_0^2 = mean(e^2)
    l = -1/2 sum (ln 2 pi + ln h_t + e_t^2 / h_t)

The start matters in the third digit: with h_0 = e_0^2 = mean(e^2) the published benchmark comes out; a program
that starts from an exponentially weighted backcast prints other numbers. Returns are scaled to unit variance
inside, so percent and fractions give the same fit.

References: T. Bollerslev (1986), doi:10.1016/0304-4076(86)90063-1; G. Fiorentini, G. Calzolari, L. Panattoni
(1996), doi:10.1002/(SICI)1099-1255(199607)11:4<399::AID-JAE401>3.0.CO;2-R (Hessian, benchmark); T. Bollerslev,
J. M. Wooldridge (1992), doi:10.1080/07474939208800229 (QMLE errors).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit
from oneprice.signals.volatility.result import LOG_2PI, VolatilityFit, checked_returns, standard_errors
from oneprice.signals.volatility.search import climb

NAMES = ("mu", "omega", "alpha", "beta")
MU, OMEGA, ALPHA, BETA = 0, 1, 2, 3
_STARTS = ((0.05, 0.90), (0.10, 0.80), (0.15, 0.75), (0.03, 0.96), (0.10, 0.50))
_LEAST_OMEGA, _MOST_PERSISTENCE = 1e-8, 1.0 - 1e-8  # in units of the variance


@njit
def _likelihood(r: Any, theta: Any) -> float:
    """Log likelihood without its constant."""
    mu, omega, alpha, beta = theta[0], theta[1], theta[2], theta[3]
    n = len(r)
    m = 0.0
    for i in range(n):
        m += (r[i] - mu) * (r[i] - mu)
    h, e2 = m / n, m / n
    total = 0.0
    product = 1.0
    for i in range(n):
        h = omega + alpha * e2 + beta * h
        e = r[i] - mu
        e2 = e * e
        total += e2 / h
        product *= h
        if product > 1e200 or product < 1e-200:  # one logarithm for many variances
            total += math.log(product)
            product = 1.0
    return -0.5 * (total + math.log(product))


@njit
def _derivatives(r: Any, theta: Any, out: Any) -> None:
    """Gradient into out[0], Hessian into out[1:5], outer products of scores into out[5:9] (all 4 wide)."""
    mu, omega, alpha, beta = theta[0], theta[1], theta[2], theta[3]
    n = len(r)
    out[:, :] = 0.0
    mean, m = 0.0, 0.0
    for i in range(n):
        mean += r[i] - mu
        m += (r[i] - mu) * (r[i] - mu)
    mean /= n
    m /= n
    d = np.zeros(4)  # dh / d theta
    d[MU] = -2.0 * mean
    before = np.zeros(4)
    score = np.zeros(4)
    dd = np.zeros((4, 4))
    dd[MU, MU] = 2.0
    h, e, e2 = m, mean, m  # of the time before the first: e2 = m, de2/dmu = -2 mean
    for i in range(n):
        before[:] = d
        for j in range(4):
            d[j] *= beta
            for k in range(j + 1):
                dd[j, k] *= beta
        for j in range(4):
            dd[BETA, j] += before[j]
        dd[BETA, BETA] += before[BETA]
        dd[MU, MU] += 2.0 * alpha
        dd[ALPHA, MU] += -2.0 * e
        d[MU] += -2.0 * alpha * e
        d[OMEGA] += 1.0
        d[ALPHA] += e2
        d[BETA] += h
        h = omega + alpha * e2 + beta * h
        e = r[i] - mu
        e2 = e * e
        w = 1.0 / h
        a = 0.5 * w * (e2 * w - 1.0)
        b = 0.5 * w * w * (1.0 - 2.0 * e2 * w)
        c = e * w * w
        for j in range(4):
            score[j] = a * d[j]
        score[MU] += e * w
        for j in range(4):
            out[0, j] += score[j]
            for k in range(j + 1):
                out[1 + j, k] += a * dd[j, k] + b * d[j] * d[k]
                out[5 + j, k] += score[j] * score[k]
            out[1 + j, MU] -= c * d[j]
        out[1 + MU, MU] -= c * d[MU] + w
    for j in range(4):
        for k in range(j):
            out[1 + k, j] = out[1 + j, k]
            out[5 + k, j] = out[5 + j, k]


def _inside(theta: np.ndarray) -> bool:
    return bool(
        theta[OMEGA] >= _LEAST_OMEGA
        and theta[ALPHA] >= 0.0
        and theta[BETA] >= 0.0
        and theta[ALPHA] + theta[BETA] <= _MOST_PERSISTENCE
    )


def _bounded(r: np.ndarray, theta: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, float]:
    """The same with bounds, for estimates on one: alpha or beta 0, or persistence 1."""
    from scipy.optimize import minimize

    out = np.zeros((9, 4))

    def full(z: np.ndarray) -> np.ndarray:
        t = theta.copy()
        t[free] = z
        return t

    def loss(z: np.ndarray) -> tuple[float, np.ndarray]:
        t = full(z)
        if not _inside(t):
            t[1:] = np.clip(t[1:], [_LEAST_OMEGA, 0.0, 0.0], [100.0, 1.0, 1.0])
        _derivatives(r, t, out)
        return -_likelihood(r, t), -out[0][free]

    limits = [(-10.0, 10.0), (_LEAST_OMEGA, 100.0), (0.0, _MOST_PERSISTENCE), (0.0, _MOST_PERSISTENCE)]
    room = {"type": "ineq", "fun": lambda z: _MOST_PERSISTENCE - full(z)[ALPHA] - full(z)[BETA]}
    found = minimize(
        loss,
        theta[free],
        jac=True,
        method="SLSQP",
        bounds=[limits[i] for i in free],
        constraints=[room],
        options={"ftol": 1e-12, "maxiter": 300},
    )
    t = full(np.asarray(found.x))
    t[1:] = np.clip(t[1:], [_LEAST_OMEGA, 0.0, 0.0], [100.0, _MOST_PERSISTENCE, _MOST_PERSISTENCE])
    return t, _likelihood(r, t)


def fit_garch(returns: Any, *, mean: str = "constant") -> VolatilityFit:
    """Fit GARCH(1,1) to returns, float64 of shape (n,), n >= 50, in any unit.

    mean: "constant" (mu is estimated) or "zero". Stationarity (alpha + beta < 1) is imposed; an estimate on a
    bound has no standard errors (NaN).

    Raises
    ------
    DataError for returns that are too few, constant or not finite; ConfigError for an unknown mean.
    """
    if mean not in ("constant", "zero"):
        raise ConfigError(f"GARCH: expected mean 'constant' or 'zero', got {mean!r}")
    r, sd = checked_returns(returns)
    free = np.arange(4) if mean == "constant" else np.arange(1, 4)
    center = float(r.mean()) if mean == "constant" else 0.0
    variance = float(np.mean((r - center) ** 2))
    starts = [np.array([center, variance * (1.0 - a - b), a, b]) for a, b in _STARTS]
    out = np.zeros((9, 4))

    def derivatives(at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        _derivatives(r, at, out)
        return out[0], -out[1:5], out[5:9]

    starts.sort(key=lambda t: -_likelihood(r, t))
    theta, value, steps, done = climb(lambda t: _likelihood(r, t), derivatives, _inside, starts[0], free)
    if not done:  # little to find, or a bound: look from other places too
        for start in (theta, *starts[1:3]):
            other, found = _bounded(r, start, free)
            if found > value:
                theta, value = other, found
    _derivatives(r, theta, out)
    interior = bool(min(theta[ALPHA], theta[BETA]) > 1e-7 and theta[ALPHA] + theta[BETA] < 1.0 - 1e-7)
    interior = interior and bool(theta[OMEGA] > 10.0 * _LEAST_OMEGA)
    part = np.ix_(free, free)
    errors = standard_errors(-out[1:5][part], out[5:9][part], interior)
    scale = np.array([sd, sd * sd, 1.0, 1.0])
    wide = {k: np.full(4, math.nan) for k in errors}
    for k, v in errors.items():
        wide[k][free] = v
    first, following = _ends(r, theta)
    n = len(r)
    return VolatilityFit(
        "garch",
        NAMES,
        tuple(float(v) for v in theta * scale),
        {k: tuple(float(x) for x in v * scale) for k, v in wide.items()},
        value - n * (0.5 * LOG_2PI + math.log(sd)),
        first * sd * sd,
        following * sd * sd,
        n,
        steps,
        done,
    )


def _ends(r: np.ndarray, theta: np.ndarray) -> tuple[float, float]:
    """(variance of the first return, of the one after the last), by the fold's own step."""
    from oneprice.features.garch import FOLD, start

    mu, omega, alpha, beta = (float(v) for v in theta)
    m = float(np.mean((r - mu) ** 2))
    first = omega + (alpha + beta) * m
    state = FOLD.fresh()
    start(state[0], first)
    path = FOLD.scan(r, state=state, mu=mu, omega=omega, alpha=alpha, beta=beta)
    return first, float(path[-1])


def garch_log_likelihood(returns: Any, mu: float, omega: float, alpha: float, beta: float) -> float:
    """Log likelihood at given parameters (no bound is imposed but h > 0). Raises DataError for the returns."""
    r, sd = checked_returns(returns)
    theta = np.array([mu / sd, omega / (sd * sd), alpha, beta])
    return float(_likelihood(r, theta)) - len(r) * (0.5 * LOG_2PI + math.log(sd))
