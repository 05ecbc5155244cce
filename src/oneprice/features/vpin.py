"""VPIN: share of one-sided volume over the last buckets of equal volume, with bulk classification.

Bars of `bar_s` seconds are split into buys V Phi(dP / sigma) and sells (sigma: deviation of the changes of bars so far,
no later bar is used), poured into buckets of `bucket_qty`, and

    VPIN = mean over the last `buckets` of |V_b - V_s| / V

CAVEAT says what must be told wherever the number is shown.

References: D. Easley, M. Lopez de Prado, M. O'Hara (2012), Flow toxicity and liquidity in a high-frequency world,
Review of Financial Studies 25(5), doi:10.1093/rfs/hhs053; T. Andersen, O. Bondarenko (2014), VPIN and the flash crash,
Journal of Financial Markets 17, doi:10.1016/j.finmar.2013.05.005; (2014) Reflecting on the VPIN dispute,
doi:10.1016/j.finmar.2013.08.002.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

CAVEAT = (
    "VPIN caveat (Andersen-Bondarenko 2014): once volume and volatility are controlled for it has no incremental power"
    " to predict volatility, and bulk classification is less accurate than the tick rule; it follows from its bars and"
    " buckets. A description, not an alpha."
)
CAPACITY = 64
STATE = record(
    [
        ("last_ns", "i8"),
        ("bar", "i8"),  # number of the open bar
        ("bar_qty", "f8"),
        ("last_price", "f8"),
        ("close", "f8"),  # of the bar before
        ("bars", "i8"),
        ("level", "f8"),  # mean and squared deviations of bar changes
        ("spread_sq", "f8"),
        ("filled", "f8"),  # of the open bucket
        ("bought", "f8"),
        ("ring", "f8", (CAPACITY,)),  # |V_b - V_s| / V
        ("at", "i8"),
        ("full", "i8"),  # buckets so far
        ("n", "i8"),
    ]
)
PARAMS = record([("bucket_qty", "f8"), ("bar_s", "f8"), ("buckets", "i8")])


@njit
def _bucket(s: Any, imbalance: float, buckets: int) -> None:
    s.ring[s.at] = imbalance
    s.at = s.at + 1 if s.at + 1 < buckets else 0
    s.full += 1


@njit
def _pour(s: Any, qty: float, share: float, bucket_qty: float, buckets: int) -> None:
    """Volume of one bar, `share` of it bought, into the buckets."""
    room = bucket_qty - s.filled
    if qty < room:
        s.filled += qty
        s.bought += qty * share
        return
    s.bought += room * share
    _bucket(s, abs(2.0 * s.bought / bucket_qty - 1.0), buckets)
    qty -= room
    whole = math.floor(qty / bucket_qty)
    for _ in range(int(min(whole, buckets))):  # more would only replace equals
        _bucket(s, abs(2.0 * share - 1.0), buckets)
    s.filled = max(0.0, qty - whole * bucket_qty)
    s.bought = s.filled * share


@njit
def _end_bar(s: Any, bucket_qty: float, buckets: int) -> None:
    share = 0.5
    if s.bars > 0:
        change = s.last_price - s.close
        d = change - s.level
        s.level += d / s.bars
        s.spread_sq += d * (change - s.level)
        if s.bars > 1 and s.spread_sq > 0.0:
            share = 0.5 * math.erfc(-change / (math.sqrt(s.spread_sq / (s.bars - 1)) * math.sqrt(2.0)))
    s.bars += 1
    s.close = s.last_price
    _pour(s, s.bar_qty, share, bucket_qty, buckets)


@njit
def step(s: Any, time_ns: int, price: float, qty: float, bucket_qty: float, bar_s: float, buckets: int) -> float:
    """VPIN in [0, 1] of the bars ended before this trade; NaN until `buckets` (2 to CAPACITY) are full.

    NaN with the state unchanged when price is not finite, qty is not positive and finite (a trade of nothing) or time
    goes back. While prices have not moved (sigma = 0) bars are split in halves.
    """
    if not (math.isfinite(price) and math.isfinite(qty) and qty > 0.0) or (s.n > 0 and time_ns < s.last_ns):
        return math.nan
    bar = time_ns // max(1, int(bar_s * 1e9 + 0.5))
    if s.n > 0 and bar > s.bar:
        _end_bar(s, bucket_qty, buckets)
        s.bar_qty = 0.0
    s.bar = bar
    s.bar_qty += qty
    s.last_price = price
    s.last_ns = time_ns
    s.n += 1
    if s.full < buckets:
        return math.nan
    total = 0.0
    for i in range(buckets):
        total += s.ring[i]
    return total / buckets


@njit
def loop(
    states: Any, time_ns: Any, price: Any, qty: Any, bucket_qty: float, bar_s: float, buckets: int, out: Any
) -> None:
    """`step` over arrays."""
    for i in range(len(out)):
        out[i] = step(states[0], time_ns[i], price[i], qty[i], bucket_qty, bar_s, buckets)


FOLD = Fold(
    "vpin",
    STATE,
    PARAMS,
    step,
    loop,
    ("time_ns", "price", "qty"),
    {"bucket_qty": 1.0, "bar_s": 1.0, "buckets": 50},
    {"bucket_qty": (1e-300, 1e300), "bar_s": (1e-6, 1e6), "buckets": (2, CAPACITY)},
)
