"""A curve of discount factors at nodes: the noun that bootstraps make and bands, bonds and carry use."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import DataError, unknown_name
from oneprice.signals.curve.interpolate import METHODS, forward_at, log_discount_at


class Curve(msgspec.Struct, frozen=True, eq=False):
    """Discount factors from `anchor` (a date, YYYY-MM-DD).

    `years` float64[n], rising from > 0, counted by `day_count`; `log_discount` float64[n]; `method` one of METHODS says
    what lies between; beyond the last node the last forward goes on. Make it with `make_curve`, which checks.
    """

    anchor: str
    years: np.ndarray
    log_discount: np.ndarray
    method: str = "log_linear"
    day_count: str = "act/365"

    def discount(self, years: float) -> float:
        """Value now of one unit in `years` (0 or more; NaN before)."""
        return math.exp(log_discount_at(self.years, self.log_discount, METHODS[self.method], float(years)))

    def instantaneous(self, years: float) -> float:
        """Instantaneous forward, continuously compounded."""
        return float(forward_at(self.years, self.log_discount, METHODS[self.method], float(years)))


def make_curve(
    anchor: str, years: Any, discount: Any, *, method: str = "log_linear", day_count: str = "act/365"
) -> Curve:
    """A curve through discount factors.

    Raises
    ------
    DataError
        Times not rising from above 0, factors not above 0, unequal lengths, none at all. Factors above 1 are allowed:
        rates may be negative.
    """
    t, p = np.ascontiguousarray(years, np.float64), np.ascontiguousarray(discount, np.float64)
    if method not in METHODS:
        raise unknown_name("interpolation", method, list(METHODS))
    if t.ndim != 1 or t.shape != p.shape or len(t) == 0:
        raise DataError(f"curve {anchor}: expected as many times as factors and at least one, got {t.shape}, {p.shape}")
    bad = np.flatnonzero(~(np.diff(t, prepend=0.0) > 0))
    if len(bad):
        i = int(bad[0])
        raise DataError(f"curve {anchor}: node {i}: expected times rising from above 0, got {t[i]}")
    bad = np.flatnonzero(~((p > 0) & np.isfinite(p)))
    if len(bad):
        i = int(bad[0])
        raise DataError(f"curve {anchor}: node {i} ({t[i]:g} y): expected a discount factor above 0, got {p[i]}")
    return Curve(anchor, t, np.log(p), method, day_count)
