"""EGARCH(1,1) with a constant mean by normal likelihood, with the analytic gradient.

    z_t = (r_t - mu) / sqrt(h_t)
    ln h_t = omega + alpha (|z_{t-1}| - sqrt(2 / pi)) + gamma z_{t-1} + beta ln h_{t-1}
    ln h_0 = ln mean(e^2), its shock at its expectation: ln h_1 = omega + beta ln mean(e^2)

alpha is what size does, gamma what sign does. Returns are scaled to unit variance inside. The Hessian is the
numerical derivative of the analytic gradient.

References: D. B. Nelson (1991), doi:10.2307/2938260; T. Bollerslev, J. M. Wooldridge (1992),
doi:10.1080/07474939208800229 (QMLE errors).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit
from oneprice.features.egarch import MEAN_ABS, MOST_LOG
from oneprice.signals.volatility.result import LOG_2PI, VolatilityFit, checked_returns, standard_errors
from oneprice.signals.volatility.search import climb

NAMES = ("mu", "omega", "alpha", "gamma", "beta")
MU, OMEGA, ALPHA, GAMMA, BETA = 0, 1, 2, 3, 4
_STARTS = ((0.1, 0.0, 0.95), (0.2, 0.0, 0.9), (0.3, 0.0, 0.8), (0.1, 0.0, 0.99), (0.05, 0.1, 0.5), (0.05, -0.1, 0.5))
_CLIMBED = 3  # best starts that are followed: without clusters the likelihood has many low hills
_MOST_BETA, _MOST_SHOCK = 1.0 - 1e-7, 10.0


@njit
def _scores(r: Any, theta: Any, gradient: Any, opg: Any, want: int) -> float:
    """Log likelihood without its constant; with want = 1 also its gradient and the outer products of the scores."""
    mu, omega, alpha, gamma, beta = theta[0], theta[1], theta[2], theta[3], theta[4]
    n = len(r)
    mean, m = 0.0, 0.0
    for i in range(n):
        mean += r[i] - mu
        m += (r[i] - mu) * (r[i] - mu)
    mean /= n
    m /= n
    gradient[:] = 0.0
    opg[:, :] = 0.0
    d = np.zeros(5)  # d ln h / d theta
    start = math.log(m)
    d[MU] = -2.0 * beta * mean / m
    d[OMEGA] = 1.0
    d[BETA] = start
    score = np.zeros(5)
    level = omega + beta * start
    total = 0.0
    for i in range(n):
        root = math.exp(-0.5 * level)
        z = (r[i] - mu) * root
        total += level + z * z
        if want == 1:
            a = 0.5 * (z * z - 1.0)
            for j in range(5):
                score[j] = a * d[j]
            score[MU] += z * root
            for j in range(5):
                gradient[j] += score[j]
                for k in range(j + 1):
                    opg[j, k] += score[j] * score[k]
            slope = alpha * (1.0 if z > 0.0 else -1.0) + gamma  # d ln h_{t+1} / d z
            carry = beta - 0.5 * slope * z
            for j in range(5):
                d[j] *= carry
            d[MU] -= slope * root
            d[OMEGA] += 1.0
            d[ALPHA] += abs(z) - MEAN_ABS
            d[GAMMA] += z
            d[BETA] += level
        level = omega + alpha * (abs(z) - MEAN_ABS) + gamma * z + beta * level
        level = min(MOST_LOG, max(-MOST_LOG, level))
    for j in range(5):
        for k in range(j):
            opg[k, j] = opg[j, k]
    return -0.5 * total


def _derivatives(r: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(gradient, minus the Hessian by central differences of it, outer products of the scores)."""
    gradient, opg = np.zeros(5), np.zeros((5, 5))
    up, down, unused = np.zeros(5), np.zeros(5), np.zeros((5, 5))
    information = np.empty((5, 5))
    for i in range(5):
        step = np.zeros(5)
        step[i] = 1e-5 * max(0.1, abs(theta[i]))
        _scores(r, theta + step, up, unused, 1)
        _scores(r, theta - step, down, unused, 1)
        information[i] = (down - up) / (2.0 * step[i])
    _scores(r, theta, gradient, opg, 1)
    return gradient, 0.5 * (information + information.T), opg


def _inside(theta: np.ndarray) -> bool:
    return bool(abs(theta[BETA]) <= _MOST_BETA and max(abs(theta[ALPHA]), abs(theta[GAMMA])) <= _MOST_SHOCK)


def fit_egarch(returns: Any, *, mean: str = "constant") -> VolatilityFit:
    """Fit EGARCH(1,1) to returns, float64 of shape (n,), n >= 50, in any unit; |beta| < 1 is imposed.

    mean: "constant" (mu is estimated) or "zero".

    Raises
    ------
    DataError for returns that are too few, constant or not finite; ConfigError for an unknown mean.
    """
    if mean not in ("constant", "zero"):
        raise ConfigError(f"EGARCH: expected mean 'constant' or 'zero', got {mean!r}")
    r, sd = checked_returns(returns)
    free = np.arange(5) if mean == "constant" else np.arange(1, 5)
    center = float(r.mean()) if mean == "constant" else 0.0
    level = math.log(float(np.mean((r - center) ** 2)))
    starts = [np.array([center, (1.0 - b) * level, a, g, b]) for a, g, b in _STARTS]
    scratch = np.zeros(5), np.zeros((5, 5))

    def likelihood(at: np.ndarray) -> float:
        value = float(_scores(r, at, *scratch, 0))
        return value if math.isfinite(value) else -math.inf

    starts.sort(key=lambda t: -likelihood(t))
    climbs = [climb(likelihood, lambda t: _derivatives(r, t), _inside, s, free) for s in starts[:_CLIMBED]]
    theta, value, steps, done = max(climbs, key=lambda c: c[1])
    _, information, opg = (a[free] if a.ndim == 1 else a[np.ix_(free, free)] for a in _derivatives(r, theta))
    errors = standard_errors(information, opg, done and bool(abs(theta[BETA]) < 1.0 - 1e-6))
    turn = _unscaled(theta, sd)
    wide = {}
    for kind, v in errors.items():
        wide[kind] = np.full(5, math.nan)
        wide[kind][free] = v
    log_sd2 = 2.0 * math.log(sd)
    for kind, error in _omega_errors(information, opg, free, log_sd2).items():
        wide[kind][OMEGA] = error if math.isfinite(float(wide[kind][OMEGA])) else math.nan
        wide[kind][MU] *= sd
    first, following = _ends(r, theta)
    n = len(r)
    return VolatilityFit(
        "egarch",
        NAMES,
        tuple(float(v) for v in turn),
        {k: tuple(float(x) for x in v) for k, v in wide.items()},
        value - n * (0.5 * LOG_2PI + math.log(sd)),
        first * sd * sd,
        following * sd * sd,
        n,
        steps,
        done,
    )


def _unscaled(theta: np.ndarray, sd: float) -> np.ndarray:
    """Parameters of r from those of r / sd: ln h shifts by ln sd^2, so omega by (1 - beta) ln sd^2."""
    out = theta.copy()
    out[MU] *= sd
    out[OMEGA] += (1.0 - theta[BETA]) * 2.0 * math.log(sd)
    return out


def _omega_errors(
    information: np.ndarray, opg: np.ndarray, free: np.ndarray, log_sd2: float
) -> dict[str, float]:
    """Standard errors of the unscaled omega = omega' + (1 - beta) ln sd^2, which mixes two parameters."""
    at = list(free)
    weight = np.zeros(len(at))
    weight[at.index(OMEGA)] = 1.0
    weight[at.index(BETA)] = -log_sd2
    try:
        inverse, inner = np.linalg.inv(information), np.linalg.inv(opg)
    except np.linalg.LinAlgError:
        return {"hessian": math.nan, "opg": math.nan, "qmle": math.nan}
    kinds = {"hessian": inverse, "opg": inner, "qmle": inverse @ opg @ inverse}
    return {k: math.sqrt(max(0.0, float(weight @ v @ weight))) for k, v in kinds.items()}


def _ends(r: np.ndarray, theta: np.ndarray) -> tuple[float, float]:
    """(variance of the first return, of the one after the last), by the fold's own step."""
    from oneprice.features.egarch import FOLD, start

    mu, omega, alpha, gamma, beta = (float(v) for v in theta)
    first = math.exp(omega + beta * math.log(float(np.mean((r - mu) ** 2))))
    state = FOLD.fresh()
    start(state[0], first)
    path = FOLD.scan(r, state=state, mu=mu, omega=omega, alpha=alpha, gamma=gamma, beta=beta)
    return first, float(path[-1])
