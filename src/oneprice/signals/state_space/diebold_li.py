"""Dynamic Diebold-Li: level, slope and curvature of a yield curve as hidden factors that revert to means.

    y_t(T) = L_t + S_t f(l T) + C_t (f(l T) - e^(-l T)) + v,    f(x) = (1 - e^(-x)) / x
    x_t - m = a (x_{t-1} - m) + w,  x = (L, S, C), a diagonal, shocks correlated

Fitted by Kalman filter. What the factors leave of each yield is a residual that the statistical layer may trade.
Source: Diebold, Rudebusch and Aruoba, J. Econometrics 131 (2006), doi:10.1016/j.jeconom.2005.01.011.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from oneprice.core.errors import DataError
from oneprice.signals.curve.fit_svensson import DECAY_MONTHS, diebold_li
from oneprice.signals.curve.parametric import loading
from oneprice.signals.state_space.filter import Filtered, checked_panel, filtered, loglik_kernel

FACTORS = ("level", "slope", "curvature")
LEAST_NOISE = 1e-7  # standard deviation of a yield, as a share


class DieboldLi(msgspec.Struct, frozen=True, eq=False):
    """`decay` a year; `mean` and `persistence` float64[3] a step; `shock` float64[3, 3] variance a step; `noise`
    float64[n] standard deviation of each yield; `filtered` at these."""

    decay: float
    mean: np.ndarray
    persistence: np.ndarray
    shock: np.ndarray
    noise: np.ndarray
    loglik: float
    filtered: Filtered

    def forecast(self, years: object, steps: int) -> np.ndarray:
        """Yields `steps` ahead of the last date, float64[n]."""
        if steps < 0:
            raise DataError(f"Diebold-Li forecast: expected steps of 0 or more, got {steps}")
        ahead = self.mean + self.persistence**steps * (self.filtered.states[-1] - self.mean)
        return loadings(np.asarray(years, np.float64), self.decay) @ ahead


def loadings(years: np.ndarray, decay: float) -> np.ndarray:
    """float64[n, 3] of times in years at a decay a year."""
    near = np.array([loading(decay * t) for t in years])
    return np.column_stack([np.ones_like(near), near, near - np.exp(-decay * years)])


def _unpack(theta: np.ndarray, n: int) -> tuple[float, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(decay, mean, persistence, variance of shocks, variance of noise) of the numbers that are searched."""
    decay = math.exp(theta[0])
    root = np.zeros((3, 3))
    root[np.tril_indices(3)] = theta[7:13]
    root[np.diag_indices(3)] = np.exp(root[np.diag_indices(3)])
    root *= 1e-3
    noise = np.maximum(np.exp(theta[13 : 13 + n]) * 1e-4, LEAST_NOISE)
    return decay, theta[1:4] * 1e-2, np.tanh(theta[4:7]), root @ root.T, noise**2


def _arrays(theta: np.ndarray, years: np.ndarray, dates: int) -> tuple[np.ndarray, ...]:
    """Matrices of the filter at searched numbers; the start is the stationary law of the factors."""
    decay, mean, a, shock, h = _unpack(theta, len(years))
    z = np.ascontiguousarray(np.broadcast_to(loadings(years, decay), (dates, len(years), 3)))
    step = np.column_stack([mean * (1 - a), np.diag(a), shock])
    start = np.column_stack([mean, shock / (1.0 - np.outer(a, a))])
    return z, np.zeros((dates, len(years))), h, np.ascontiguousarray(step), np.ascontiguousarray(start)


def fit_dynamic(years: object, zero: object) -> DieboldLi:
    """Maximum likelihood from the two-step estimate.

    years float64[n] > 0, zero float64[T, n] continuously compounded, shares (NaN: none). A step is from one row to the
    next.

    Raises
    ------
    DataError
        Fewer than four maturities, times not above 0, infinite yields, fewer than 10 dates.
    """
    from scipy.optimize import minimize

    t = np.asarray(years, np.float64)
    y, _ = checked_panel("Diebold-Li", zero, t)
    if len(t) < 4 or not (t > 0).all():
        raise DataError(f"Diebold-Li: expected four or more maturities above 0, got {t.tolist()}")
    rough = diebold_li(t, y)
    rough = rough[np.isfinite(rough).all(axis=1)]
    if len(rough) < 10:
        raise DataError(f"Diebold-Li: expected 10 or more dates with four yields, got {len(rough)}")
    mean = rough.mean(axis=0)
    x, before = rough[1:] - mean, rough[:-1] - mean
    a = np.clip((x * before).sum(axis=0) / (before**2).sum(axis=0), 0.1, 0.995)
    root = np.linalg.cholesky(np.cov((x - a * before).T) + 1e-12 * np.eye(3)) * 1e3
    root[np.diag_indices(3)] = np.log(np.diag(root))
    decay = 12.0 * DECAY_MONTHS
    first = np.concatenate(
        [[math.log(decay)], mean * 1e2, np.arctanh(a), root[np.tril_indices(3)], np.full(len(t), math.log(5.0))]
    )
    dates = np.empty(len(y))

    def loss(theta: np.ndarray) -> float:
        z, d, h, step, start = _arrays(theta, t, len(y))
        value = float(loglik_kernel(y, z, d, h, step, start, dates))
        return -value / len(y) if math.isfinite(value) else 1e12

    found = minimize(loss, first, method="L-BFGS-B", options={"maxiter": 500, "maxfun": 60_000, "ftol": 1e-12})
    z, d, h, step, start = _arrays(found.x, t, len(y))
    decay, mean, a, shock, _ = _unpack(found.x, len(t))
    run = filtered(y, z, d, h, step, start)
    return DieboldLi(decay, mean, a, shock, np.sqrt(h), run.loglik, run)
