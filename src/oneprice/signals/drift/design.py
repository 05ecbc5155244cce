"""Alarm limits from wanted false-alarm rates: run lengths of CUSUM monitors by Markov chain and by simulation.

The statistic S in [0, h] is cut into n states around the midpoints (i + 1/2) w, w = 2h / (2n + 1) with state 0 at
S = 0; a step moves it by an independent increment, and the average run length solves (I - R) L = 1 for the chain
inside. A two-sided CUSUM has 1 / ARL = 1 / ARL_up + 1 / ARL_down.

Reference: D. Brook, D. A. Evans (1972), Biometrika 59, 539-549, doi 10.1093/biomet/59.3.539; D. C. Montgomery,
Introduction to Statistical Quality Control, table 9.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.jit import njit
from oneprice.signals.drift import cusum, residual

STATES = 400  # error of the chain falls with n^-2; 400 gives the published digits


def chain_arl(h: float, cdf: Callable[[np.ndarray], np.ndarray], states: int = STATES) -> float:
    """Average run length from 0 of S = max(0, S + Y), alarm S > h, for increments Y with distribution `cdf`."""
    width = 2.0 * h / (2.0 * states - 1.0)
    edge = (np.arange(states) - np.arange(states)[:, None] + 0.5) * width  # upper edge of j seen from i
    inside = np.diff(cdf(np.concatenate([edge[:, :1] - width, edge], axis=1)), axis=1)
    inside[:, 0] = cdf(edge[:, 0])
    return float(np.linalg.solve(np.eye(states) - inside, np.ones(states))[0])


def cusum_arl(shift: float, *, k: float, h: float, states: int = STATES) -> float:
    """Average run length of the two-sided `cusum` on normal x with mean `shift` and deviation 1, from C+ = C- = 0.

    shift 0 gives the mean number of observations between false alarms. Raises ConfigError for h <= 0 or k < 0.
    """
    from scipy.special import ndtr

    _check(k=k, h=h)
    up = chain_arl(h, lambda y: ndtr(y + k - shift), states)
    down = chain_arl(h, lambda y: ndtr(y + k + shift), states)
    return 1.0 / (1.0 / up + 1.0 / down)


def residual_arl(variance: float, *, growth: float, h: float, states: int = STATES) -> float:
    """Average run length of `residual` on normal x with this variance; variance 1 is under control."""
    from scipy.special import erf

    _check(h=h)
    if not (variance > 0.0 and growth > 1.0):
        raise ConfigError(f"residual: expected variance > 0 and growth > 1, got {variance} and {growth}")
    k = residual.reference_value(growth)
    scale = math.sqrt(2.0 * variance)
    return chain_arl(h, lambda y: erf(np.sqrt(np.maximum(0.0, y + k)) / scale), states)


def cusum_limit(arl0: float, k: float = 0.5, *, innovations: Any = None) -> float:
    """h of `cusum` for a mean of `arl0` observations between false alarms.

    One false alarm a year of daily data is arl0 = 252. innovations: float64[n], n >= 100, a quiet stretch of the
    standardised series itself: its distribution is used instead of the normal (fat tails alarm more often).
    Raises ConfigError when arl0 is below that of h -> 0 or out of reach, DataError for innovations that are no such.
    """
    if innovations is None:
        return _solve(arl0, lambda h: cusum_arl(0.0, k=k, h=h))
    _check(k=k)
    up, down = _distribution(innovations), _distribution(-np.asarray(innovations, np.float64))

    def arl(h: float) -> float:
        return 1.0 / (1.0 / chain_arl(h, lambda y: up(y + k)) + 1.0 / chain_arl(h, lambda y: down(y + k)))

    return _solve(arl0, arl)


def residual_limit(arl0: float, growth: float = 2.0, *, innovations: Any = None) -> float:
    """h of `residual` for a mean of `arl0` observations between false alarms; innovations as for `cusum_limit`."""
    if innovations is None:
        return _solve(arl0, lambda h: residual_arl(1.0, growth=growth, h=h))
    if not growth > 1.0:
        raise ConfigError(f"residual: expected growth > 1, got {growth}")
    squares, k = _distribution(np.square(np.asarray(innovations, np.float64))), residual.reference_value(growth)
    return _solve(arl0, lambda h: chain_arl(h, lambda y: squares(y + k)))


def _distribution(x: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Empirical distribution function with its steps joined by lines."""
    values = np.sort(np.asarray(x, np.float64))
    if values.ndim != 1 or len(values) < 100 or not np.isfinite(values).all() or values[0] == values[-1]:
        raise DataError("innovations: expected 100 or more finite numbers of shape (n,) that are not all equal")
    level = (np.arange(len(values)) + 0.5) / len(values)
    return lambda y: np.interp(y, values, level, left=0.0, right=1.0)


def _solve(arl0: float, arl: Callable[[float], float]) -> float:
    from scipy.optimize import brentq

    low, high = 1e-6, 1.0
    least = arl(low)
    if not (math.isfinite(arl0) and arl0 > least):
        raise ConfigError(f"arl0: expected a mean run length above {least:.4g}, got {arl0}")
    while arl(high) < arl0:
        low, high = high, 1.6 * high
        if high > 1e4:
            raise ConfigError(f"arl0 {arl0:g}: no limit below {high:g} reaches it; expected a smaller one or k > 0")
    root: float = brentq(lambda h: math.log(arl(h) / arl0), low, high, xtol=1e-7)
    return root


def _check(**values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and (value > 0.0 or (name == "k" and value == 0.0))):
            raise ConfigError(f"{name}: expected a number above 0, got {value}")


# ---------------------------------------------------------------- the same by simulation of the folds themselves
@njit
def _run_lengths(states: Any, rng: Any, shift: float, scale: float, limits: Any, out: Any) -> None:
    """Run length of each path: limits = (k, h) runs `cusum`, on x = shift + scale Z."""
    for i in range(len(out)):
        s = states[0]
        s.up, s.down, s.n_up, s.n_down, s.alarm = 0.0, 0.0, 0, 0, 0.0
        n = 0
        alarm = 0.0
        while not alarm > 0.0:
            n += 1
            alarm = cusum.step(s, shift + scale * rng.standard_normal(), limits[0], limits[1], 1)
        out[i] = n


@njit
def _residual_lengths(states: Any, rng: Any, scale: float, limits: Any, out: Any) -> None:
    """Run length of each path of `residual`, limits = (growth, h), on x = scale Z."""
    for i in range(len(out)):
        s = states[0]
        s.up, s.n_up, s.alarm = 0.0, 0, 0.0
        n = 0
        alarm = 0.0
        while not alarm > 0.0:
            n += 1
            alarm = residual.step(s, scale * rng.standard_normal(), limits[0], limits[1], 1)
        out[i] = n


def cusum_run_lengths(
    shift: float, *, k: float, h: float, paths: int = 20_000, seed: int = 0, scale: float = 1.0
) -> np.ndarray:
    """Simulated run lengths, float64[paths], of the fold `cusum` on normal x of this mean and deviation."""
    _check(k=k, h=h)
    out = np.empty(paths)
    _run_lengths(cusum.FOLD.fresh(), np.random.default_rng(seed), shift, scale, np.array([k, h]), out)
    return out


def residual_run_lengths(variance: float, *, growth: float, h: float, paths: int = 20_000, seed: int = 0) -> np.ndarray:
    """Simulated run lengths, float64[paths], of the fold `residual` on normal x of this variance."""
    _check(variance=variance, h=h)
    out = np.empty(paths)
    limits = np.array([growth, h])
    _residual_lengths(residual.FOLD.fresh(), np.random.default_rng(seed), math.sqrt(variance), limits, out)
    return out
