"""Queue imbalance of the touch: (bid_qty - ask_qty) / (bid_qty + ask_qty), in [-1, 1].

Reference: M. Gould, J. Bonart (2016), Queue imbalance as a one-tick-ahead price predictor in a limit order
book, Market Microstructure and Liquidity 2(2), equation 5.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

STATE = record([("n", "i8")])
PARAMS = record([("min_qty", "f8")])


@njit
def step(s: Any, bid_qty: float, ask_qty: float, min_qty: float) -> float:
    """Imbalance in [-1, 1]; NaN when a queue is negative or not finite, or both hold no more than
    `min_qty`.
    """
    total = bid_qty + ask_qty
    if not math.isfinite(total) or bid_qty < 0.0 or ask_qty < 0.0 or total <= min_qty:
        return math.nan
    s.n += 1
    return (bid_qty - ask_qty) / total


@njit
def loop(states: Any, bid_qty: Any, ask_qty: Any, min_qty: float, out: Any) -> None:
    """`step` over arrays."""
    for i in range(len(out)):
        out[i] = step(states[0], bid_qty[i], ask_qty[i], min_qty)


FOLD = Fold(
    "imbalance",
    STATE,
    PARAMS,
    step,
    loop,
    ("bid_qty", "ask_qty"),
    {"min_qty": 0.0},
    {"min_qty": (0.0, 1e300)},
)
