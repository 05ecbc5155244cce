"""The model curve of a strip on each day: Nelson-Siegel in prices at a fixed decay, so that it is linear least squares.

    M(t) = b0 + b1 f(t/u) + b2 (f(t/u) - e^(-t/u)),   f(x) = (1 - e^(-x)) / x,   t years to the last trade

Prices, not logs: a day below zero has a curve like any other. What a contract is off its curve is its residual.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.jit import njit
from oneprice.signals.curve.parametric import loading

DECAY_YEARS = 0.75
LEAST = 4  # prices of a day for a curve of three numbers


class DayCurves(msgspec.Struct, frozen=True, eq=False):
    """`days` int64[T], `betas` float64[T, 3] (NaN: fewer than LEAST prices), `decay_years`."""

    days: np.ndarray
    betas: np.ndarray
    decay_years: float

    def value(self, row: int, years: Any) -> Any:
        """M of a day at times to the last trade (a float or an array); NaN without a curve."""
        return curve_value(self.betas[row], np.asarray(years, np.float64), self.decay_years)


def curve_value(betas: np.ndarray, years: np.ndarray, decay_years: float) -> np.ndarray:
    """M(t) of betas float64[3] or float64[3, ...] at years float64[...], 0 or more."""
    x = np.maximum(years, 0.0) / decay_years
    near = np.where(x > 1e-10, -np.expm1(-x) / np.where(x > 1e-10, x, 1.0), 1.0 - 0.5 * x)
    return np.asarray(betas[0] + betas[1] * near + betas[2] * (near - np.exp(-x)))


@njit
def curves_kernel(price: Any, years: Any, decay: float, out: Any) -> None:
    """Betas of each day: price, years float64[T, N] (NaN: none), out float64[T, 3]. Modified Gram-Schmidt."""
    n_most = price.shape[1]
    a = np.empty((n_most, 4))
    r = np.zeros((3, 4))
    for t in range(price.shape[0]):
        n = 0
        for j in range(n_most):
            if math.isnan(price[t, j]) or not (years[t, j] >= 0.0):
                continue
            x = years[t, j] / decay
            near = loading(x)
            a[n, 0], a[n, 1], a[n, 2], a[n, 3] = 1.0, near, near - math.exp(-x), price[t, j]
            n += 1
        if n < 4:
            out[t, :] = math.nan
            continue
        for k in range(3):
            norm = 0.0
            for i in range(n):
                norm += a[i, k] * a[i, k]
            r[k, k] = math.sqrt(norm)
            for c in range(k + 1, 4):
                dot = 0.0
                for i in range(n):
                    dot += a[i, k] * a[i, c]
                r[k, c] = dot / r[k, k] if r[k, k] > 1e-9 else 0.0
                scale = r[k, c] / r[k, k] if r[k, k] > 1e-9 else 0.0
                for i in range(n):
                    a[i, c] -= scale * a[i, k]
        for k in range(2, -1, -1):
            total = r[k, 3]
            for c in range(k + 1, 3):
                total -= r[k, c] * out[t, c]
            out[t, k] = total / r[k, k] if r[k, k] > 1e-9 else 0.0


def day_curves(days: Any, price: Any, years: Any, *, decay_years: float = DECAY_YEARS) -> DayCurves:
    """The curve of each day.

    Parameters
    ----------
    days : int64[T]. price, years : float64[T, N], NaN where there is no price; contracts past their last trade
        (years below 0) are left out.

    Raises
    ------
    ConfigError, DataError
        A decay that is not above 0, shapes that do not fit, an infinite price.
    """
    if not decay_years > 0:
        raise ConfigError(f"curves: expected decay_years above 0, got {decay_years}")
    p, t = np.ascontiguousarray(price, np.float64), np.ascontiguousarray(years, np.float64)
    d = np.asarray(days, np.int64)
    if p.ndim != 2 or p.shape != t.shape or len(d) != len(p):
        raise DataError(f"curves: expected prices and times of one shape and a day a row, got {p.shape}, {t.shape}")
    if np.isinf(p).any():
        i, j = np.argwhere(np.isinf(p))[0]
        raise DataError(f"curves: row {i}, column {j}: expected a finite price, got {p[i, j]}")
    out = np.zeros((len(p), 3))
    curves_kernel(p, t, decay_years, out)
    return DayCurves(d, out, float(decay_years))
