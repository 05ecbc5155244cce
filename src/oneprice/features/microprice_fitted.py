"""Stoikov's microprice: the mid plus an adjustment looked up by spread and queue imbalance.

    P = mid + tick * table[spread bucket, imbalance bucket]

`table` (ticks) is fitted in `signals.micro.microprice`; it is the limit of the expected mid given what the touch
shows. It is held by whoever calls: `price` takes it as an array (a field of a strategy's model update), the fold keeps
it in its state (`load`; zeros, so the mid, until then). Rows are spreads of 1, 2, ... ticks, the last row stands for
all wider ones; columns are equal buckets of h = (bid_qty - ask_qty) / (bid_qty + ask_qty) from -1 to 1.

Buckets mirror exactly: swapping the queues negates the adjustment of an antisymmetric table bit for bit, and equal
queues give none when the number of columns is even.

Reference: S. Stoikov (2018), The micro-price: a high-frequency estimator of future prices, Quantitative Finance
18(12), doi:10.1080/14697688.2018.1489139.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.errors import DataError
from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

N_SPREADS, N_IMBALANCES = 4, 10
TABLE = (N_SPREADS, N_IMBALANCES)  # shape of a table in records
STATE = record([("table", "f8", TABLE), ("n", "i8")])
PARAMS = record([("tick", "f8")])


@njit
def imbalance_bucket(bid_qty: float, ask_qty: float, n: int) -> int:
    """Column 0 to n - 1 of a pair of queues; -1: exactly between the two middle columns (equal queues, n even)."""
    h = (bid_qty - ask_qty) / (bid_qty + ask_qty)
    half = n // 2
    if n % 2 == 0:
        if h == 0.0:
            return -1
        k = min(int(abs(h) * half), half - 1)
        return half + k if h > 0.0 else half - 1 - k
    k = min(int((abs(h) * n + 1.0) * 0.5), half)
    return half + k if h > 0.0 else half - k


@njit
def spread_bucket(bid: float, ask: float, tick: float, n: int) -> int:
    """Row 0 to n - 1 of a spread: 1 tick, 2 ticks, ..., n ticks or more."""
    return max(0, min(int((ask - bid) / tick + 0.5), n) - 1)


@njit
def price(table: Any, bid: float, ask: float, bid_qty: float, ask_qty: float, tick: float) -> float:
    """Fitted microprice in quote currency.

    table: adjustments in ticks, shape (spreads, imbalances). NaN when a number is not finite (a missing side), a
    queue is negative or both are 0, the touch is locked or crossed, or tick is not positive.
    """
    queues = bid_qty + ask_qty
    if not (math.isfinite(bid) and math.isfinite(ask) and math.isfinite(queues)):
        return math.nan
    if bid_qty < 0.0 or ask_qty < 0.0 or queues <= 0.0 or bid >= ask or not tick > 0.0:
        return math.nan
    mid = bid + 0.5 * (ask - bid)
    column = imbalance_bucket(bid_qty, ask_qty, table.shape[1])
    if column < 0:
        return mid
    return mid + tick * table[spread_bucket(bid, ask, tick, table.shape[0]), column]


@njit
def step(s: Any, bid: float, ask: float, bid_qty: float, ask_qty: float, tick: float) -> float:
    """`price` by the table of the state; NaN (state unchanged) where `price` is NaN."""
    p = price(s.table, bid, ask, bid_qty, ask_qty, tick)
    if math.isfinite(p):
        s.n += 1
    return p


def load(state: np.ndarray, table: np.ndarray) -> None:
    """Put a fitted table (ticks, any shape up to TABLE in rows and exactly its columns) into a state of shape (1,).

    A table with fewer rows has its last row repeated (it stands for wider spreads). Raises DataError for another
    shape or numbers that are not finite.
    """
    given = np.asarray(table, np.float64)
    rows, columns = given.shape if given.ndim == 2 else (0, 0)
    if not 1 <= rows <= N_SPREADS or columns != N_IMBALANCES:
        raise DataError(f"microprice table: expected 1 to {N_SPREADS} rows of {N_IMBALANCES}, got shape {given.shape}")
    if not np.isfinite(given).all():
        raise DataError("microprice table: expected finite adjustments, got NaN or inf; fit it again on more data")
    state["table"][0, :rows] = given
    state["table"][0, rows:] = given[rows - 1]


@njit
def loop(states: Any, bid: Any, ask: Any, bid_qty: Any, ask_qty: Any, tick: float, out: Any) -> None:
    """`step` over arrays."""
    for i in range(len(out)):
        out[i] = step(states[0], bid[i], ask[i], bid_qty[i], ask_qty[i], tick)


FOLD = Fold(
    "microprice_fitted",
    STATE,
    PARAMS,
    step,
    loop,
    ("bid", "ask", "bid_qty", "ask_qty"),
    {"tick": 0.01},
    {"tick": (1e-300, 1e300)},
)
