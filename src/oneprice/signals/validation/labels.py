"""Labels of the triple barrier, and how much of a sample is its own when labels overlap.

From an event at bar i the price is followed until it has moved by +up sigma_i or -down sigma_i (log return), or until
the bar `last[i]`. The label is the side touched first, 0 at the last bar; nothing after the touch is looked at.

A label lives on the bars after its event up to its touch. With c_t labels alive at t its uniqueness is
mean of 1 / c_t over them.

Reference: M. Lopez de Prado (2018), Advances in Financial Machine Learning, chapters 3 and 4.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.jit import njit


class Labels(msgspec.Struct, frozen=True):
    """One value an event."""

    side: np.ndarray  # int64: 1 upper, -1 lower, 0 the last bar came first
    touch: np.ndarray  # int64: bar of the touch
    log_return: np.ndarray  # float64: from the event to the touch


def triple_barrier(price: Any, events: Any, sigma: Any, last: Any, *, up: float = 1.0, down: float = 1.0) -> Labels:
    """Labels of events on a path of prices.

    price: float64[n], positive. events: int64[m], bars. sigma: float64[m], deviation of a log return known at the
    event, above 0. last: int64[m], the last bar of each event (beyond its event; the vertical barrier). up, down:
    barriers in sigma, above 0; math.inf leaves one out. A move on the last bar itself is a touch.
    Raises ConfigError for impossible barriers, DataError for anything else that is not as said.
    """
    p = np.ascontiguousarray(price, np.float64)
    at, stop = np.ascontiguousarray(events, np.int64), np.ascontiguousarray(last, np.int64)
    scale = np.ascontiguousarray(sigma, np.float64)
    if not (up > 0.0 and down > 0.0):
        raise ConfigError(f"barriers: expected up and down above 0, got {up} and {down}")
    if p.ndim != 1 or not (np.isfinite(p) & (p > 0.0)).all():
        raise DataError("price: expected finite numbers above 0 of shape (n,): fill or drop gaps first")
    if not (at.shape == stop.shape == scale.shape and at.ndim == 1):
        raise DataError(f"events: expected one shape (m,), got {at.shape}, sigma {scale.shape}, last {stop.shape}")
    if len(at) and (at.min() < 0 or stop.max() >= len(p) or (stop <= at).any()):
        raise DataError(f"events: expected 0 <= event < last < {len(p)} bars in every one")
    if not (np.isfinite(scale) & (scale > 0.0)).all():
        raise DataError("sigma: expected finite numbers above 0, known at the event")
    side, touch, moved = np.empty(len(at), np.int64), np.empty(len(at), np.int64), np.empty(len(at))
    _touch(np.log(p), at, stop, np.stack([up * scale, -down * scale]), side, touch, moved)
    return Labels(side, touch, moved)


@njit
def _touch(log_price: Any, at: Any, stop: Any, barriers: Any, side: Any, touch: Any, moved: Any) -> None:
    for i in range(len(at)):
        side[i], j = 0, at[i]
        while j < stop[i] and side[i] == 0:
            j += 1
            off = log_price[j] - log_price[at[i]]
            if off >= barriers[0, i]:
                side[i] = 1
            elif off <= barriers[1, i]:
                side[i] = -1
        touch[i], moved[i] = j, log_price[j] - log_price[at[i]]


def uniqueness(events: Any, touch: Any) -> np.ndarray:
    """Mean of 1 / concurrency over the bars (event, touch] of each label, float64[m] in (0, 1]."""
    at, end = np.asarray(events, np.int64), np.asarray(touch, np.int64)
    if at.shape != end.shape or at.ndim != 1 or (end <= at).any() or (len(at) and at.min() < 0):
        raise DataError("labels: expected int64[m] events and touches with 0 <= event < touch")
    n = int(end.max()) + 1 if len(at) else 1
    alive = np.zeros(n + 1, np.int64)
    np.add.at(alive, at + 1, 1)
    np.add.at(alive, end + 1, -1)
    count = np.cumsum(alive)[:n]
    share = np.concatenate([[0.0], np.cumsum(1.0 / np.maximum(count, 1))])
    found: np.ndarray = (share[end + 1] - share[at + 1]) / (end - at)
    return found


def effective_size(weights: Any) -> float:
    """Labels that are worth a whole one: the sum of the uniqueness weights."""
    return math.fsum(np.asarray(weights, np.float64))
