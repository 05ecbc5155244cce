"""What a pair of series must be before a hedge is fitted to it: refused with the series and the row otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np

from oneprice.core.errors import DataError

LEAST = 30


def series(name: str, values: Any, least: int = LEAST) -> np.ndarray:
    """`values` as a contiguous float64 array of shape (n,).

    Raises DataError when it is not one-dimensional, shorter than `least`, not finite somewhere, or constant.
    """
    out = np.ascontiguousarray(values, np.float64)
    if out.ndim != 1:
        raise DataError(f"{name}: expected shape (n,), got {out.shape}")
    if len(out) < least:
        raise DataError(f"{name}: expected at least {least} observations, got {len(out)}")
    bad = np.flatnonzero(~np.isfinite(out))
    if len(bad):
        row = int(bad[0])
        raise DataError(
            f"{name}: expected finite values, got {out[row]} at row {row} ({len(bad)} in all): drop the rows first"
        )
    if out.min() == out.max():
        raise DataError(f"{name}: expected a series that varies, got {out[0]:g} in all {len(out)} rows")
    return out


def pair(y: Any, x: Any, least: int = LEAST) -> tuple[np.ndarray, np.ndarray]:
    """Both series of a hedge, checked, of one length. Raises DataError."""
    a, b = series("y", y, least), series("x", x, least)
    if len(a) != len(b):
        raise DataError(f"hedge: expected y and x of one length, got {len(a)} and {len(b)}")
    return a, b


def hedgeable(y: Any, x: Any, least: int = LEAST) -> tuple[np.ndarray, np.ndarray]:
    """A pair with something left between its series. Raises DataError also for a duplicated or scaled series."""
    a, b = pair(y, x, least)
    dy, dx = a - a.mean(), b - b.mean()
    left = dy - float(dx @ dy) / float(dx @ dx) * dx
    if float(np.abs(left).max()) <= 1e-11 * float(np.abs(a).max()):
        raise DataError("hedge: expected two different series, got y = a + b x in every row: nothing is left to trade")
    return a, b
