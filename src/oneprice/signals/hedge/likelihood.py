"""Likelihood of the dynamic hedge (`features.kalman_hedge`) and of its white-noise variant.

    l = -1/2 sum (ln 2 pi + ln F_t + e_t^2 / F_t)   over the steps that have a forecast (all but two)

e_t and F_t come from the fold's own step, so a fit, a replay and a live run share one computation. All variances
scale with sigma^2, which is concentrated out; what is searched is ln(q_beta / sigma^2), ln(q_mu / sigma^2), phi.

A hedge ratio that does not move has q_beta = 0, on the boundary, where a search over ln q never arrives. So
models are fitted with and without each walk, and weighed by exp(-BIC / 2): the spike at zero has a
probability of its own. The model of most weight is the fit; parameters at their spike have no standard error.
In "drift" beta moves by the same amount each step in place of a walk; the amount enters e_t linearly and is solved
for. A beta that moves turns y around the point where x is 0. For log prices that point is a matter of units
(dollars or cents), so the moving models are also fitted "anchored": x is taken from its first value,
y_t = beta_t (x_t - x_1) + mu_t + s_t, and likelihood says which point it is.

References: J. Durbin, S. J. Koopman (2012), chapter 7; G. Schwarz (1978), doi:10.1214/aos/1176344136;
J. H. Stock, M. W. Watson (1998), doi:10.1080/01621459.1998.10474116 (estimates that pile up at zero).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import unknown_name
from oneprice.core.jit import njit
from oneprice.features import kalman_hedge, kalman_regression
from oneprice.signals.hedge.checks import hedgeable

LOG_2PI = math.log(2.0 * math.pi)
# which of q_beta, q_mu and the drift of beta are free
FREE = {
    "constant": (False, False, False),
    "beta": (True, False, False),
    "mu": (False, True, False),
    "both": (True, True, False),
    "drift": (False, False, True),
}
_ANCHORED = "anchored_"
MODELS = (*FREE, *(_ANCHORED + name for name in ("beta", "both", "drift")))
SETS = {"auto": MODELS, "walks": ("constant", "beta", "mu", "both")}
_LOWEST, _HIGHEST = -34.0, 12.0  # of ln(q / sigma^2), in units in which x has size 1
_PHI_MOST = 5.0  # atanh(phi): phi to .99991
_PRIOR = 1e7  # variance of beta and mu before the first pair, white-noise variant, in units of r
_STARTS = (-14.0, -9.0, -5.0)


class HedgeFit(msgspec.Struct, frozen=True):
    """A fitted dynamic hedge. `se` holds standard errors of q_beta, q_mu, phi, sigma (NaN: at its spike, or the
    likelihood has no curvature there). `weights` are exp(-BIC / 2) of the models fitted, adding to 1. `origin` is
    what is taken off x before it meets the fold (0 unless the model is anchored).
    """

    q_beta: float
    q_mu: float
    phi: float
    sigma: float
    se: tuple[float, float, float, float]
    log_likelihood: float
    n: int
    model: str
    weights: dict[str, float]
    beta_drift: float = 0.0  # change of beta a step, and its standard error; models "drift" only
    beta_drift_se: float = math.nan
    origin: float = 0.0

    @property
    def beta_moves(self) -> float:
        """Weight of the models in which beta walks or drifts."""
        return sum(w for name, w in self.weights.items() if free_of(name)[0] or free_of(name)[2])

    @property
    def half_life_steps(self) -> float:
        """ln 2 / -ln phi; NaN when phi is not in (0, 1)."""
        return math.log(2.0) / -math.log(self.phi) if 0.0 < self.phi < 1.0 else math.nan

    def params(self) -> dict[str, float]:
        """Parameters of the fold `kalman_hedge`, fed with (y, x - origin); `beta_drift` goes into its state.

        A stream that has room for neither is fitted with model="walks".
        """
        return {"q_beta": self.q_beta, "q_mu": self.q_mu, "phi": self.phi, "sigma": self.sigma}


class RegressionFit(msgspec.Struct, frozen=True):
    """The white-noise variant by likelihood: variances of a step of beta, of mu, and of the noise."""

    q_beta: float
    q_mu: float
    r: float
    log_likelihood: float
    n: int

    def params(self) -> dict[str, float]:
        """Parameters of the fold `kalman_regression` (a vague prior in the units of the noise)."""
        return {"q_beta": self.q_beta, "q_mu": self.q_mu, "r": self.r, "prior_var": _PRIOR * self.r}


@njit
def _hedge_terms(states: Any, y: Any, x: Any, theta: Any, out: Any) -> None:
    """Into out: sum of ln F, sum of e^2 / F, count. theta: q_beta, q_mu, phi, sigma.

    With a second state the drift of beta is solved for: e(drift) = e + drift u, u the errors of y = 0 at drift 1.
    Then out[1] is at the best drift, out[3] that drift, out[4] sum of u^2 / F.
    """
    s = states[0]
    u = states[len(states) - 1]
    if len(states) > 1:
        u.beta_drift = 1.0
    logs, squares, cross, own, count = 0.0, 0.0, 0.0, 0.0, 0
    for i in range(len(y)):
        kalman_hedge.step(s, y[i], x[i], theta[0], theta[1], theta[2], theta[3])
        if len(states) > 1:
            kalman_hedge.step(u, 0.0, x[i], theta[0], theta[1], theta[2], theta[3])
        if s.innovation_var > 0.0:
            logs += math.log(s.innovation_var)
            squares += s.innovation * s.innovation / s.innovation_var
            cross += s.innovation * u.innovation / s.innovation_var
            own += u.innovation * u.innovation / s.innovation_var
            count += 1
    out[0] = logs
    out[1] = squares
    out[2] = count
    if len(states) > 1:
        out[1] = squares - cross * cross / own
        out[3] = -cross / own
        out[4] = own


@njit
def _regression_terms(states: Any, y: Any, x: Any, theta: Any, out: Any) -> None:
    """The same for `kalman_regression`. theta: q_beta, q_mu, r, prior_var. The first two pairs place the line."""
    s = states[0]
    logs, squares = 0.0, 0.0
    for i in range(len(y)):
        kalman_regression.step(s, y[i], x[i], theta[0], theta[1], theta[2], theta[3])
        if i > 1:
            logs += math.log(s.innovation_var)
            squares += s.innovation * s.innovation / s.innovation_var
    out[0] = logs
    out[1] = squares
    out[2] = len(y) - 2


def hedge_log_likelihood(y: Any, x: Any, q_beta: float, q_mu: float, phi: float, sigma: float) -> float:
    """The diffuse log likelihood at given parameters; y, x of shape (n,). Raises DataError, ConfigError."""
    a, b = hedgeable(y, x, 3)
    theta = np.array(kalman_hedge.FOLD.params(q_beta=q_beta, q_mu=q_mu, phi=phi, sigma=sigma)[0].item(), np.float64)
    out = np.zeros(5)
    _hedge_terms(kalman_hedge.FOLD.fresh(), a, b, theta, out)
    return float(-0.5 * (out[2] * LOG_2PI + out[0] + out[1]))


class _Search:
    """Concentrated negative log likelihood of one pair, in units in which x has size 1."""

    def __init__(self, terms: Any, fold: Any, y: np.ndarray, x: np.ndarray) -> None:
        self.terms, self.fold, self.y, self.x = terms, fold, y, x
        self.x_sq = float(np.mean(x * x))
        self.drifts = False
        self.out = np.zeros(5)
        self.theta = np.zeros(4)

    def run(self, log_q_beta: float | None, log_q_mu: float | None, third: float, fourth: float) -> float:
        """Negative log likelihood with sigma^2 (or r) at its best; `third`, `fourth`: the fold's last two."""
        self.theta[0] = math.exp(log_q_beta) / self.x_sq if log_q_beta is not None else 0.0
        self.theta[1] = math.exp(log_q_mu) if log_q_mu is not None else 0.0
        self.theta[2], self.theta[3] = third, fourth
        states = np.zeros(1 + self.drifts, self.fold.state)
        self.terms(states, self.y, self.x, self.theta, self.out)
        logs, squares, n = self.out[:3]
        return float(0.5 * (n * (LOG_2PI + math.log(squares / n) + 1.0) + logs))

    @property
    def scale(self) -> float:
        """sigma^2 (or r) of the last run."""
        return float(self.out[1] / self.out[2])


def _least(loss: Any, starts: list[list[float]], bounds: list[tuple[float, float]]) -> tuple[np.ndarray, float]:
    """The least of `loss`. A slow spread under a still hedge and a fast one under a moving hedge are two hills: the
    best start of each first coordinate is climbed, the best summit polished without derivatives.
    """
    from scipy.optimize import minimize

    value = {tuple(s): loss(s) for s in starts}
    found = []
    for first in sorted({s[0] for s in starts}):
        start = min((s for s in value if s[0] == first), key=lambda s: value[s])
        found.append(
            minimize(loss, np.array(start), method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-9, "gtol": 1e-5})
        )
    best = min(found, key=lambda f: f.fun)
    options = {"xatol": 1e-4, "fatol": 1e-6, "maxiter": 400}
    polished = minimize(loss, best.x, method="Nelder-Mead", bounds=bounds, options=options)
    best = min((best, polished), key=lambda f: f.fun)
    return np.asarray(best.x), float(best.fun)


def _fit_one(search: _Search, model: str) -> tuple[np.ndarray, float]:
    """(theta = q_beta, q_mu, phi, sigma, drift, its error; negative log likelihood) of one model."""
    moves = free_of(model)
    search.drifts = moves[2]
    free = sum(moves[:2])

    def split(z: Any) -> tuple[float | None, float | None, float]:
        qs = iter(z[1:])
        return (next(qs) if moves[0] else None), (next(qs) if moves[1] else None), math.tanh(z[0])

    def loss(z: Any) -> float:
        return search.run(*split(z), 1.0)

    levels: list[list[float]] = [[]]
    for _ in range(free):
        levels = [[*old, q] for old in levels for q in _STARTS]
    starts = [[p, *q] for p in (0.5, 1.5, 2.5) for q in levels]
    bounds = [(-_PHI_MOST, _PHI_MOST)] + [(_LOWEST, _HIGHEST)] * free
    z, least = _least(loss, starts, bounds)
    loss(z)
    scale = search.scale
    theta = search.theta * np.array([scale, scale, 1.0, math.sqrt(scale)])
    drift = (search.out[3], math.sqrt(scale / search.out[4])) if moves[2] else (0.0, math.nan)
    return np.r_[theta, drift], least


def fit_hedge(y: Any, x: Any, *, model: str = "auto") -> HedgeFit:
    """Fit (q_beta, q_mu, phi, sigma) of `kalman_hedge` by likelihood.

    Parameters
    ----------
    y, x: float64 of shape (n,), n >= 30, both log prices or both prices; NaN is refused.
    model: "auto": all of them, the one of least BIC is returned; or one of "constant" (neither walks), "beta", "mu",
    "both", "drift" (beta moves by the same amount each step), "anchored_beta", "anchored_both", "anchored_drift" (the
    same around the first x instead of 0); or "walks": the first four.

    Raises
    ------
    DataError for the series, ConfigError for an unknown model.
    """
    if model not in SETS and model not in MODELS:
        raise unknown_name("model of the hedge", model, [*SETS, *MODELS])
    a, b = hedgeable(y, x)
    origin = {name: float(b[0]) if name.startswith(_ANCHORED) else 0.0 for name in SETS.get(model, (model,))}
    search = {at: _Search(_hedge_terms, kalman_hedge.FOLD, a, b - at) for at in set(origin.values())}
    fits = {name: _fit_one(search[at], name) for name, at in origin.items()}
    bic = {name: 2.0 * loss + (2 + sum(free_of(name))) * math.log(len(a)) for name, (_, loss) in fits.items()}
    best = min(bic, key=lambda name: bic[name])
    raw = {name: math.exp(-0.5 * (value - bic[best])) for name, value in bic.items()}
    theta, loss = fits[best]
    moved = b - origin[best]
    shifted = a - theta[4] * np.arange(len(a)) * moved  # what the drift explains
    return HedgeFit(
        q_beta=float(theta[0]),
        q_mu=float(theta[1]),
        phi=float(theta[2]),
        sigma=float(theta[3]),
        se=_standard_errors(shifted, moved, theta[:4], free_of(best)[:2]),
        log_likelihood=-loss,
        n=len(a),
        model=best,
        weights={name: w / sum(raw.values()) for name, w in raw.items()},
        beta_drift=float(theta[4]),
        beta_drift_se=float(theta[5]),
        origin=origin[best],
    )


def free_of(model: str) -> tuple[bool, bool, bool]:
    """Which of q_beta, q_mu and the drift of beta a model has free."""
    return FREE[model.removeprefix(_ANCHORED)]


def fit_regression(y: Any, x: Any) -> RegressionFit:
    """Fit the white-noise variant (q_beta, q_mu, r) by likelihood. Arguments and errors as for `fit_hedge`."""
    a, b = hedgeable(y, x)
    search = _Search(_regression_terms, kalman_regression.FOLD, a, b)

    def loss(z: Any) -> float:
        return search.run(z[0], z[1], 1.0, _PRIOR)

    starts = [[p, q] for p in (*_STARTS, 0.0) for q in (*_STARTS, 0.0)]
    z, least = _least(loss, starts, [(_LOWEST, _HIGHEST)] * 2)
    loss(z)
    r = search.scale
    return RegressionFit(float(search.theta[0] * r), float(search.theta[1] * r), r, -least, len(a))


def _standard_errors(
    y: np.ndarray, x: np.ndarray, theta: np.ndarray, moves: Sequence[bool]
) -> tuple[float, float, float, float]:
    """Of q_beta, q_mu, phi, sigma: inverse of the numerical Hessian in (ln q, atanh phi, ln sigma), delta method."""
    free = [i for i in range(4) if i > 1 or moves[i]]
    out = np.zeros(5)

    def natural(z: np.ndarray) -> np.ndarray:
        full = theta.copy()
        for i, v in zip(free, z, strict=True):
            full[i] = math.tanh(v) if i == 2 else math.exp(v)
        return full

    def loss(z: np.ndarray) -> float:
        _hedge_terms(kalman_hedge.FOLD.fresh(), y, x, natural(z), out)
        return float(0.5 * (out[2] * LOG_2PI + out[0] + out[1]))

    at = np.array([math.atanh(theta[i]) if i == 2 else math.log(theta[i]) for i in free])
    variance = inverse_diagonal(hessian(loss, at, np.full(len(at), 1e-3)))
    slope = np.array([1.0 - theta[2] ** 2 if i == 2 else theta[i] for i in free])
    se = np.full(4, math.nan)
    se[free] = np.sqrt(variance) * np.abs(slope)
    return (float(se[0]), float(se[1]), float(se[2]), float(se[3]))


def inverse_diagonal(matrix: np.ndarray) -> np.ndarray:
    """Diagonal of the inverse of an information matrix; all NaN unless it is positive definite."""
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return np.full(len(matrix), math.nan)
    return np.diag(np.linalg.inv(matrix)).copy()


def hessian(loss: Any, at: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Second derivatives of `loss` by central differences with steps `h`, shape (k, k)."""
    k = len(at)
    out = np.empty((k, k))
    eye = np.diag(h)
    for i in range(k):
        for j in range(i + 1):
            pp, mm = loss(at + eye[i] + eye[j]), loss(at - eye[i] - eye[j])
            pm, mp = loss(at + eye[i] - eye[j]), loss(at - eye[i] + eye[j])
            out[i, j] = out[j, i] = (pp - pm - mp + mm) / (4.0 * h[i] * h[j])
    return out
