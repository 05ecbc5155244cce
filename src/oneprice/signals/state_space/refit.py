"""Schwartz-Smith fitted again and again: from the optimum before and from fresh starts, so no old minimum is kept.

A refit that starts at the last optimum alone may stay there when the market has changed: a noise that was at its floor
has no slope to leave it by, and the two factors can change roles. Each start is searched a little (`TRIAL` steps), the
best are searched to the end. The search is bounded to what a strip of a few years can tell (`LOW`, `HIGH`): without
bounds a straight strip makes kappa tend to 0 and both volatilities to infinity against each other.

Sources: as `schwartz_smith`; Byrd, Lu, Nocedal and Zhu, SIAM J. Sci. Comput. 16 (1995), doi:10.1137/0916069.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.signals.state_space.schwartz_smith import (
    LEAST_NOISE,
    NAMES,
    WEEK_YEARS,
    SchwartzSmith,
    readings,
    start_of,
)
from oneprice.signals.state_space.score import N_SHAPE, score_kernel

# kappa, sigma_chi, lambda_chi, mu, sigma_xi, mu_star, rho: as searched (logs, plain numbers, atanh)
LOW = (math.log(0.1), math.log(0.01), -2.0, -2.0, math.log(0.01), -2.0, math.atanh(-0.99))
HIGH = (math.log(12.0), math.log(3.0), 2.0, 2.0, math.log(3.0), 2.0, math.atanh(0.99))
NOISE_LOW, NOISE_HIGH = math.log(2.0 * LEAST_NOISE), math.log(1.0)
FRESH = (0.3, 1.0, 3.0)  # speeds of reversion, a year
TRIAL, FULL = 60, 400  # steps of the search
FINISHED = 2  # starts that are searched to the end
BLAND = 0.02  # noise of a fresh start


class Refit(msgspec.Struct, frozen=True):
    """The best model found. `trials` are log-likelihoods by start after a short search, `ends` those of the starts
    searched to the end, `won` the start that gave the model ("previous" or "kappa 0.3")."""

    model: SchwartzSmith
    loglik: float
    won: str
    trials: dict[str, float]
    ends: dict[str, float]


def refit_schwartz_smith(
    price: object,
    years: object,
    *,
    previous: SchwartzSmith | None = None,
    fresh: Sequence[float] = FRESH,
    dt_years: float = WEEK_YEARS,
) -> Refit:
    """Maximum likelihood from several starts.

    Parameters
    ----------
    price : float64[T, n], above 0 (NaN: none). years : to delivery, float64[T, n] or [n].
    previous : the optimum of an earlier fit of as many contracts. fresh : speeds of reversion to start from, a year.

    Raises
    ------
    DataError, ConfigError
        As `run_schwartz_smith`; no start at all, a speed that is not above 0, noise of another number of contracts.
    """
    y, t = readings(price, years)
    starts = _starts(previous, fresh, y.shape[1])
    loss = loss_of(y, t, dt_years)
    low = np.array([*LOW, *[NOISE_LOW] * y.shape[1]])
    high = np.array([*HIGH, *[NOISE_HIGH] * y.shape[1]])
    tried = {name: _search(loss, np.clip(first, low, high), (low, high), TRIAL) for name, first in starts.items()}
    best = sorted(tried, key=lambda name: tried[name][1])[:FINISHED]
    done = {name: _search(loss, tried[name][0], (low, high), FULL) for name in best}
    won = min(done, key=lambda name: done[name][1])
    n = int(np.isfinite(y).sum())
    return Refit(
        model=_model(done[won][0]),
        loglik=-n * done[won][1],
        won=won,
        trials={name: -n * value for name, (_, value) in tried.items()},
        ends={name: -n * value for name, (_, value) in done.items()},
    )


def _starts(previous: SchwartzSmith | None, fresh: Sequence[float], n: int) -> dict[str, np.ndarray]:
    """Starts by name as searched numbers."""
    out: dict[str, np.ndarray] = {}
    if previous is not None:
        if len(previous.noise) != n:
            raise ConfigError(f"refit: expected a previous model of {n} contracts, got one of {len(previous.noise)}")
        out["previous"] = searched(previous)
    for kappa in fresh:
        if not (kappa > 0 and math.isfinite(kappa)):
            raise ConfigError(f"refit: expected speeds of reversion above 0 a year, got {kappa}")
        out[f"kappa {kappa:g}"] = searched(
            SchwartzSmith(
                kappa=kappa, sigma_chi=0.3, lambda_chi=0.0, mu=0.0, sigma_xi=0.2, mu_star=0.0, rho=0.0,
                noise=(BLAND,) * n,
            )
        )  # fmt: skip
    if not out:
        raise ConfigError("refit: expected a previous model or fresh starts, got neither")
    return out


def searched(model: SchwartzSmith) -> np.ndarray:
    """The numbers that are searched: logs of what is above 0, atanh of rho, logs of the noise."""
    rho = min(max(model.rho, -1.0 + 1e-12), 1.0 - 1e-12)
    first = [math.log(model.kappa), math.log(model.sigma_chi), model.lambda_chi, model.mu, math.log(model.sigma_xi)]
    return np.array([*first, model.mu_star, math.atanh(rho), *np.log(np.maximum(model.noise, LEAST_NOISE))])


def _natural(theta: np.ndarray) -> np.ndarray:
    """Parameters in the order of NAMES."""
    return np.array(
        [math.exp(theta[0]), math.exp(theta[1]), *theta[2:4], math.exp(theta[4]), theta[5], math.tanh(theta[6])]
    )


def _model(theta: np.ndarray) -> SchwartzSmith:
    values = dict(zip(NAMES, _natural(theta).tolist(), strict=True))
    return SchwartzSmith(**values, noise=tuple(np.exp(theta[N_SHAPE:]).tolist()))


def loss_of(y: np.ndarray, t: np.ndarray, dt_years: float) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """Less the log-likelihood a reading, and its gradient, of searched numbers: y, t float64[T, n]."""
    start, n = np.ascontiguousarray(start_of(y)), max(int(np.isfinite(y).sum()), 1)
    score = np.empty(N_SHAPE + y.shape[1])

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        p = _natural(theta)
        value = float(score_kernel(y, t, p, np.exp(2.0 * theta[N_SHAPE:]), dt_years, start, score))
        if not (math.isfinite(value) and np.isfinite(score).all()):
            return 1e12, np.zeros(len(theta))
        slope = score / -n
        slope[[0, 1, 4]] *= p[[0, 1, 4]]  # searched as logs
        slope[6] *= 1.0 - p[6] ** 2
        return -value / n, slope

    return loss


def _search(
    loss: Any, first: np.ndarray, bounds: tuple[np.ndarray, np.ndarray], steps: int
) -> tuple[np.ndarray, float]:
    from scipy.optimize import minimize

    found = minimize(
        loss, first, method="L-BFGS-B", jac=True, bounds=np.column_stack(bounds),
        options={"maxiter": steps, "maxfun": 4 * steps, "ftol": 1e-11, "gtol": 1e-6, "maxcor": 20},
    )  # fmt: skip
    return found.x, float(found.fun)
