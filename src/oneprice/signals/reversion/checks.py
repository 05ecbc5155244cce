"""What a series must be before an estimator sees it; the errors say which row and where.

A spread that does not move, has a hole or is too short is refused here and not fitted: each estimator would
return something for it, and none of it would mean anything.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError, DataError

FLAT = 1e-13  # a range below this share of the largest value is rounding, not movement


def one_series(x: Any, least: int, what: str) -> np.ndarray:
    """`x` as contiguous float64 [T].

    Raises DataError when it is not one-dimensional, shorter than `least`, not finite or constant.
    """
    a = np.ascontiguousarray(x, np.float64)
    if a.ndim != 1:
        raise DataError(f"{what}: expected one series of shape [T], got {a.shape}")
    return rows_of(a[None, :], least, what)[0]


def rows_of(x: Any, least: int, what: str) -> np.ndarray:
    """`x` as contiguous float64 [n, T], one series a row; refusals as for `one_series`, naming the row."""
    a = np.ascontiguousarray(x, np.float64)
    if a.ndim != 2 or a.shape[0] == 0:
        raise DataError(f"{what}: expected series as rows [n, T] with n >= 1, got {a.shape}")
    if a.shape[1] < least:
        raise DataError(f"{what}: expected at least {least} observations a series, got {a.shape[1]}")
    good = np.isfinite(a)
    if not good.all():
        row, at = (int(v) for v in np.argwhere(~good)[0])
        raise DataError(
            f"{what}: expected finite values, got {a[row, at]} at row {row}, observation {at}; "
            "drop or align the gap before the fit"
        )
    low, high = a.min(axis=1), a.max(axis=1)
    flat = high - low <= FLAT * np.maximum(np.abs(low), np.abs(high))
    if flat.any():
        row = int(np.flatnonzero(flat)[0])
        raise DataError(f"{what}: expected a series that moves, row {row} is constant at {low[row]:g}; exclude it")
    return a


def positive(name: str, value: float) -> float:
    """`value` when it is finite and above zero; else ConfigError."""
    if not (value > 0.0 and np.isfinite(value)):
        raise ConfigError(f"{name}: expected a finite number > 0, got {value!r}")
    return float(value)


def share(name: str, value: float) -> float:
    """`value` when it lies strictly between 0 and 1; else ConfigError."""
    if not 0.0 < value < 1.0:
        raise ConfigError(f"{name}: expected a number between 0 and 1, got {value!r}")
    return float(value)
