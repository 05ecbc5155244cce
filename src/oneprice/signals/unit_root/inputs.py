"""Checks of series and lag rules shared by the tests of this room: what is refused, and with which words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError, DataError, unknown_name

TRENDS = {"n": 0, "c": 1, "ct": 2}
FIXED, AIC, BIC = 0, 1, 2
CRITERIA = {"aic": AIC, "bic": BIC}


def series(x: Any, name: str = "x", *, least: int = 8) -> np.ndarray:
    """A series as contiguous float64 of shape (T,).

    Raises DataError: not one-dimensional, shorter than `least`, a value that is not finite, constant.
    """
    out = np.ascontiguousarray(x, np.float64)
    if out.ndim != 1:
        raise DataError(f"{name}: expected one series of shape (T,), got shape {out.shape}")
    if len(out) < least:
        raise DataError(f"{name}: expected at least {least} observations, got {len(out)}")
    bad = np.flatnonzero(~np.isfinite(out))
    if len(bad):
        raise DataError(
            f"{name}: expected finite values, got {out[bad[0]]} at row {bad[0]} ({len(bad)} such rows); "
            "drop the rows with gaps in any series first"
        )
    if out.max() == out.min():
        raise DataError(f"{name}: constant at {out[0]:g} over {len(out)} rows: no test is possible, exclude it")
    return out


def block(x: Any, name: str = "series", *, least_series: int = 2, least: int = 8) -> np.ndarray:
    """Several series as contiguous float64 of shape (N, T), each checked as by `series`; duplicates are refused."""
    out = np.ascontiguousarray(x, np.float64)
    if out.ndim != 2 or len(out) < least_series:
        raise DataError(f"{name}: expected shape (N, T) with at least {least_series} series, got {out.shape}")
    if out.shape[0] >= out.shape[1]:
        raise DataError(f"{name}: expected more observations than series, got (N, T) = {out.shape}; transpose?")
    for i, row in enumerate(out):
        series(row, f"{name}[{i}]", least=least)
    for i in range(len(out)):
        for j in range(i):
            if np.array_equal(out[i], out[j]):
                raise DataError(f"{name}[{i}]: the same as {name}[{j}] in all {out.shape[1]} rows: keep one of them")
    return out


def trend_code(trend: str) -> int:
    """0, 1, 2 for "n" (none), "c" (constant), "ct" (constant and trend)."""
    if trend not in TRENDS:
        raise unknown_name("trend", trend, list(TRENDS))
    return TRENDS[trend]


def most_lags(n_obs: int, n_det: int) -> int:
    """Schwert's bound ceil(12 (T/100)^(1/4)), at most T//2 - n_det - 1 (Schwert 1989, JBES 7, 147-159)."""
    return min(n_obs // 2 - n_det - 1, math.ceil(12.0 * (n_obs / 100.0) ** 0.25))


def lag_rule(lags: int | str, n_obs: int, n_det: int, max_lags: int | None = None) -> tuple[int, int]:
    """(lags or most lags, criterion) from an integer, "aic" or "bic".

    Raises ConfigError for another rule, DataError when the series are too short for it.
    """
    if isinstance(lags, str):
        if lags not in CRITERIA:
            raise unknown_name("rule for lags", lags, [*CRITERIA, "an integer"])
        count = most_lags(n_obs, n_det) if max_lags is None else max_lags
        criterion = CRITERIA[lags]
    else:
        count, criterion = int(lags), FIXED
    if count < 0 and max_lags is None and criterion != FIXED:
        raise DataError(f"lags: {n_obs} observations are too few to choose lags with {n_det} deterministic terms")
    if count < 0:
        raise ConfigError(f"lags: expected 0 or more, got {count}")
    if count > n_obs // 2 - n_det - 1:
        raise DataError(
            f"lags: {count} need more than {2 * (count + n_det + 1) - 1} observations, got {n_obs}: "
            "use fewer lags or a longer history"
        )
    return count, criterion
