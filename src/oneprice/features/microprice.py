"""Microprice: the mid weighted by the queues of the other side.

    P = (ask bid_qty + bid ask_qty) / (bid_qty + ask_qty) = bid + (ask - bid) bid_qty / (bid_qty + ask_qty)

computed in the second form, which keeps its digits at a large price. A large bid queue pulls it to the ask.

References: J. Gatheral, R. Oomen (2010), Zero-intelligence realized variance estimation, Finance and
Stochastics 14, section 2.3; the first-order case of S. Stoikov (2018), The micro-price, Quantitative
Finance 18(12).
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
def step(s: Any, bid: float, ask: float, bid_qty: float, ask_qty: float, min_qty: float) -> float:
    """Microprice in quote currency; NaN when an input is not finite or the queues hold no more than
    `min_qty`.
    """
    total = bid_qty + ask_qty
    if not (math.isfinite(bid) and math.isfinite(ask) and math.isfinite(total)):
        return math.nan
    if bid_qty < 0.0 or ask_qty < 0.0 or total <= min_qty:
        return math.nan
    s.n += 1
    return bid + (ask - bid) * (bid_qty / total)


@njit
def loop(states: Any, bid: Any, ask: Any, bid_qty: Any, ask_qty: Any, min_qty: float, out: Any) -> None:
    """`step` over arrays."""
    for i in range(len(out)):
        out[i] = step(states[0], bid[i], ask[i], bid_qty[i], ask_qty[i], min_qty)


FOLD = Fold(
    "microprice",
    STATE,
    PARAMS,
    step,
    loop,
    ("bid", "ask", "bid_qty", "ask_qty"),
    {"min_qty": 0.0},
    {"min_qty": (0.0, 1e300)},
)
