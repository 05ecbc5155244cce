"""Roll yield of a strip: minus the slope of log prices over its first contracts, a year.

gamma = -12 d ln F / dn over contracts n = 1..k a month apart: above 0 in backwardation, where a long earns the roll.
Source: Chan, Algorithmic Trading (2013), ch. 5.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit


@njit
def roll_kernel(price: Any, k: int, a_year: float, out: Any) -> None:
    """out[t] = -a_year x slope of ln price over the first k finite prices of row t; NaN without k or without a log."""
    mean = 0.5 * (k + 1)
    spread = k * (k * k - 1.0) / 12.0
    for t in range(price.shape[0]):
        n, total = 0, 0.0
        for j in range(price.shape[1]):
            value = price[t, j]
            if math.isnan(value):
                continue
            n += 1
            total += (n - mean) * (math.log(value) if value > 0.0 else math.nan)
            if n == k:
                break
        out[t] = -a_year * total / spread if n == k else math.nan


def roll_yield(price: Any, k: int = 5, *, contracts_a_year: float = 12.0) -> np.ndarray:
    """float64[T] of prices float64[T, N] by place or by contract (NaN: none): the nearest k contracts of each day.

    Days with fewer than k prices, or with one among them that is not above 0, are NaN. Raises ConfigError for k < 2.
    """
    if k < 2:
        raise ConfigError(f"roll yield: expected 2 contracts or more, got {k}")
    panel = np.ascontiguousarray(price, np.float64)
    out = np.empty(len(panel))
    roll_kernel(panel, k, contracts_a_year, out)
    return out
