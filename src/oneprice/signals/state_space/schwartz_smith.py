"""Schwartz and Smith: the log spot is a short-term deviation that reverts and a long-term level that does not.

    ln S = chi + xi,   d chi = -kappa chi dt + s_chi dz,   d xi = mu dt + s_xi dz',   corr rho
    ln F(T) = e^(-kappa T) chi + xi + A(T)
    A(T) = mu* T - (1 - e^(-kappa T)) l / kappa
           + 1/2 [(1 - e^(-2 kappa T)) s_chi^2 / (2 kappa) + s_xi^2 T + 2 (1 - e^(-kappa T)) rho s_chi s_xi / kappa]

mu* and l are the drift of the level and the premium of the deviation under pricing. Fitted by Kalman filter. Source:
Schwartz and Smith, Management Science 46 (2000), doi:10.1287/mnsc.46.7.893.12034.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import DataError
from oneprice.core.jit import njit
from oneprice.signals.state_space.filter import (
    Filtered,
    checked_panel,
    filtered,
    loglik_kernel,
    standard_errors,
)

NAMES = ("kappa", "sigma_chi", "lambda_chi", "mu", "sigma_xi", "mu_star", "rho")
VAGUE = 100.0  # variance of both states before the first date
LEAST_NOISE = 1e-5  # standard deviation of a reading, log price: a noise of 0 would let one contract be exact
WEEK_YEARS = 1.0 / 52.0


class SchwartzSmith(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters, a year; `noise` is the standard deviation of each contract's log price around the model."""

    kappa: float
    sigma_chi: float
    lambda_chi: float
    mu: float
    sigma_xi: float
    mu_star: float
    rho: float
    noise: tuple[float, ...]

    def futures(self, chi: float, xi: float, years: float) -> float:
        """Price of a future."""
        p = np.array([getattr(self, name) for name in NAMES])
        return math.exp(math.exp(-self.kappa * years) * chi + xi + offset(p, years))


class SchwartzSmithFit(msgspec.Struct, frozen=True):
    """The maximum of the likelihood and the filter at it.

    `errors` are standard errors in the order of NAMES, robust to noise that is not normal; `curvature_errors` those of
    the likelihood alone. NaN: no curvature.
    """

    model: SchwartzSmith
    errors: tuple[float, ...]
    curvature_errors: tuple[float, ...]
    loglik: float
    filtered: Filtered

    def within(self, published: dict[str, float]) -> dict[str, float]:
        """How many standard errors each published parameter is from ours."""
        return {k: (v - getattr(self.model, k)) / self.errors[NAMES.index(k)] for k, v in published.items()}


@njit
def offset(p: Any, years: float) -> float:
    """A(T) of parameters in the order of NAMES."""
    kappa, s_chi, premium, s_xi, drift, rho = p[0], p[1], p[2], p[4], p[5], p[6]
    once, twice = -math.expm1(-kappa * years), -math.expm1(-2.0 * kappa * years)
    variance = twice * s_chi * s_chi / (2.0 * kappa) + s_xi * s_xi * years + 2.0 * once * rho * s_chi * s_xi / kappa
    return drift * years - once * premium / kappa + 0.5 * variance


@njit
def arrays(p: Any, years: Any, dt: float, z: Any, d: Any, step: Any) -> None:
    """Fill the matrices of the filter: z[T, n, 2], d[T, n], step[2, 5]."""
    kappa, s_chi, s_xi, rho = p[0], p[1], p[4], p[6]
    for t in range(years.shape[0]):
        for i in range(years.shape[1]):
            z[t, i, 0] = math.exp(-kappa * years[t, i])
            z[t, i, 1] = 1.0
            d[t, i] = offset(p, years[t, i])
    once, twice = -math.expm1(-kappa * dt), -math.expm1(-2.0 * kappa * dt)
    step[:, :] = 0.0
    step[1, 0] = p[3] * dt
    step[0, 1] = math.exp(-kappa * dt)
    step[1, 2] = 1.0
    step[0, 3] = twice * s_chi * s_chi / (2.0 * kappa)
    step[0, 4] = step[1, 3] = once * rho * s_chi * s_xi / kappa
    step[1, 4] = s_xi * s_xi * dt


def _matrices(p: np.ndarray, years: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    z, d, step = np.empty((*years.shape, 2)), np.empty(years.shape), np.empty((2, 5))
    arrays(p, years, dt, z, d, step)
    return z, d, step


def start_of(y: np.ndarray) -> np.ndarray:
    """Mean and variance of both states before the first date, float64[2, 3]: vague around the first reading."""
    there = y[np.isfinite(y)]
    if len(there) == 0:
        raise DataError("Schwartz-Smith: expected prices, got none: every reading is missing")
    level = there[0]
    return np.array([[0.0, VAGUE, 0.0], [level, 0.0, VAGUE]])


def readings(price: object, years: object) -> tuple[np.ndarray, np.ndarray]:
    """(log prices, times) as float64[T, n]. Raises DataError with row and column."""
    raw = np.asarray(price, np.float64)
    bad = np.argwhere(raw <= 0)
    if len(bad):
        i, j = bad[0]
        raise DataError(
            f"Schwartz-Smith: row {i}, column {j}: expected a price above 0 (the model is one of logs), got "
            f"{raw[i, j]}; leave the date out, or model differences"
        )
    return checked_panel("Schwartz-Smith", np.log(raw), years)


def run_schwartz_smith(price: object, years: object, model: SchwartzSmith, *, dt_years: float = WEEK_YEARS) -> Filtered:
    """Filter prices at given parameters.

    price float64[T, n] (NaN: none), years to delivery float64[T, n] or [n], dt_years between dates.
    Raises DataError for prices that are not above 0 and for shapes that do not fit.
    """
    y, t = readings(price, years)
    if len(model.noise) != y.shape[1]:
        raise DataError(f"Schwartz-Smith: expected the noise of {y.shape[1]} contracts, got {len(model.noise)}")
    p = np.array([getattr(model, name) for name in NAMES])
    z, d, step = _matrices(p, t, dt_years)
    return filtered(y, z, d, np.array(model.noise) ** 2, step, start_of(y))


def _unpack(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(parameters, variances of noise) of the numbers that are searched: logs of what is above 0, atanh of rho."""
    p = np.array(
        [math.exp(theta[0]), math.exp(theta[1]), *theta[2:4], math.exp(theta[4]), theta[5], math.tanh(theta[6])]
    )
    return p, np.maximum(np.exp(theta[7:]), LEAST_NOISE) ** 2


def fit_schwartz_smith(price: object, years: object, *, dt_years: float = WEEK_YEARS) -> SchwartzSmithFit:
    """Maximum likelihood from several speeds of reversion.

    Parameters and errors as `run_schwartz_smith`. Standard errors are those of the parameters themselves (the curvature
    in their own units), with the noise free.
    """
    from scipy.optimize import minimize

    y, t = readings(price, years)
    start, n = start_of(y), y.shape[1]
    z, d, step = np.empty((*t.shape, 2)), np.empty(t.shape), np.empty((2, 5))
    dates = np.empty(len(y))

    def natural(p: np.ndarray, h: np.ndarray) -> float:
        arrays(p, t, dt_years, z, d, step)
        return float(loglik_kernel(y, z, d, h, step, start, dates))

    def loss(theta: np.ndarray) -> float:
        value = natural(*_unpack(np.clip(theta, -12.0, 3.0)))
        return -value if math.isfinite(value) else 1e12

    best = None
    for kappa in (0.5, 1.5, 3.0):
        first = np.array([math.log(kappa), math.log(0.3), 0.0, 0.0, math.log(0.2), 0.0, 0.0, *[math.log(0.02)] * n])
        found = minimize(loss, first, method="L-BFGS-B", options={"maxiter": 400, "maxfun": 20_000})
        found = minimize(loss, found.x, method="Nelder-Mead", options={"maxiter": 6000, "xatol": 1e-7, "fatol": 1e-9})
        found = minimize(loss, found.x, method="L-BFGS-B", options={"maxiter": 400, "maxfun": 20_000})
        if best is None or found.fun < best.fun:
            best = found
    assert best is not None
    p, h = _unpack(np.clip(best.x, -12.0, 3.0))
    model = SchwartzSmith(**dict(zip(NAMES, p.tolist(), strict=True)), noise=tuple(np.sqrt(h).tolist()))
    free = np.flatnonzero(np.sqrt(h) > 10 * LEAST_NOISE)  # a noise at its floor has no curvature

    def around(theta: np.ndarray) -> np.ndarray:
        moved = h.copy()
        moved[free] = np.exp(theta[7:]) ** 2
        natural(theta[:7], moved)
        return dates

    at = np.concatenate([p, 0.5 * np.log(h[free])])
    steps = np.concatenate([np.maximum(1e-3 * np.abs(p), 1e-4), np.full(len(free), 1e-2)])
    plain, robust = standard_errors(around, at, steps)[:, :7].tolist()
    run = run_schwartz_smith(price, years, model, dt_years=dt_years)
    return SchwartzSmithFit(model, tuple(robust), tuple(plain), -float(best.fun), run)
