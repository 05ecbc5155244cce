"""Volatility that jumps do not move: decayed bipower and median variation of returns on a grid of time.

Prices are sampled at the ends of buckets of `bucket_s` (previous tick); with their returns r and weights e^(-age/tau):

    RV = sum r_t^2,  BV = pi/2 sum |r_t| |r_{t-1}|,
    MedRV = pi / (6 - 4 sqrt 3 + pi) sum med(|r_t|, |r_{t-1}|, |r_{t-2}|)^2

A jump is in one return: RV keeps it, products and medians of neighbours lose it. `step` gives sqrt(BV / seconds);
`median_volatility`, `realised_volatility` and `jump_share` = max(0, 1 - BV / RV) read the rest. Buckets in which
nothing was seen are returns of 0 and pull BV and MedRV down: choose a bucket that usually holds a change of price.

References: O. Barndorff-Nielsen, N. Shephard (2004), Power and bipower variation with stochastic volatility and jumps,
Journal of Financial Econometrics 2(1), doi:10.1093/jjfinec/nbh001; T. Andersen, D. Dobrev, E. Schaumburg (2012),
Jump-robust volatility estimation using nearest neighbor truncation, doi:10.1016/j.jeconom.2012.01.011.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

STATE = record(
    [
        ("last_ns", "i8"),
        ("bucket", "i8"),  # number of the open bucket
        ("last_price", "f8"),
        ("close", "f8"),  # price at the end of the bucket before
        ("r1", "f8"),  # |return| of the last two buckets
        ("r2", "f8"),
        ("filled", "i8"),  # how many of them there are
        ("squares", "f8"),
        ("products", "f8"),
        ("medians", "f8"),
        ("seconds", "f8"),
        ("n", "i8"),
    ]
)
PARAMS = record([("bucket_s", "f8"), ("tau_s", "f8"), ("max_gap_s", "f8")])
HALF_PI = math.pi / 2.0
MEDIAN_SCALE = math.pi / (6.0 - 4.0 * math.sqrt(3.0) + math.pi)


@njit
def _close(s: Any, r: float, bucket_s: float, keep: float) -> None:
    """One bucket of |return| r ends."""
    if s.filled >= 2:
        low = min(r, s.r1)
        high = max(r, s.r1)
        median = max(low, min(high, s.r2))
        s.squares = s.squares * keep + r * r
        s.products = s.products * keep + HALF_PI * (r * s.r1)
        s.medians = s.medians * keep + MEDIAN_SCALE * (median * median)
        s.seconds = s.seconds * keep + bucket_s
    else:
        s.filled += 1
    s.r2 = s.r1
    s.r1 = r


@njit
def _quiet(s: Any, buckets: int, bucket_s: float, tau_s: float) -> None:
    """`buckets` returns of 0, the two before them 0 too."""
    keep = math.exp(-buckets * bucket_s / tau_s)
    s.squares *= keep
    s.products *= keep
    s.medians *= keep
    s.seconds = s.seconds * keep + bucket_s * (math.expm1(-buckets * bucket_s / tau_s) / math.expm1(-bucket_s / tau_s))


@njit
def step(s: Any, time_ns: int, price: float, bucket_s: float, tau_s: float, max_gap_s: float) -> float:
    """Jump-robust volatility (fraction per sqrt second) of the buckets ended before `time_ns`.

    NaN until four buckets have ended; NaN with the state unchanged when price is not positive and finite or time goes
    back. After more than `max_gap_s` without a price it starts from the new price; what it knew has decayed.
    """
    if not (math.isfinite(price) and price > 0.0) or (s.n > 0 and time_ns < s.last_ns):
        return math.nan
    bucket = time_ns // max(1, int(bucket_s * 1e9 + 0.5))
    if s.n == 0 or (time_ns - s.last_ns) * 1e-9 > max_gap_s:
        if s.n > 0:
            keep = math.exp((s.last_ns - time_ns) * 1e-9 / tau_s)
            s.squares *= keep
            s.products *= keep
            s.medians *= keep
            s.seconds *= keep
        s.bucket = bucket
        s.close = price
        s.filled = 0
    elif bucket > s.bucket:
        keep = math.exp(-bucket_s / tau_s)
        _close(s, abs(math.log1p((s.last_price - s.close) / s.close)), bucket_s, keep)
        empty = bucket - s.bucket - 1
        for _ in range(min(empty, 2)):
            _close(s, 0.0, bucket_s, keep)
        if empty > 2:
            _quiet(s, empty - 2, bucket_s, tau_s)
        s.close = s.last_price
        s.bucket = bucket
    s.last_price = price
    s.last_ns = time_ns
    s.n += 1
    return math.sqrt(s.products / s.seconds) if s.seconds > 0.0 else math.nan


@njit
def median_volatility(s: Any) -> float:
    """sqrt(MedRV / seconds): as robust, and less hurt by single returns of 0."""
    return math.sqrt(s.medians / s.seconds) if s.seconds > 0.0 else math.nan


@njit
def realised_volatility(s: Any) -> float:
    """sqrt(RV / seconds), jumps included."""
    return math.sqrt(s.squares / s.seconds) if s.seconds > 0.0 else math.nan


@njit
def jump_share(s: Any) -> float:
    """Share of the variance that came in jumps, max(0, 1 - BV / RV); NaN while nothing has moved (sigma = 0)."""
    return max(0.0, 1.0 - s.products / s.squares) if s.squares > 0.0 else math.nan


@njit
def loop(states: Any, time_ns: Any, price: Any, bucket_s: float, tau_s: float, max_gap_s: float, out: Any) -> None:
    """`step` over arrays."""
    for i in range(len(out)):
        out[i] = step(states[0], time_ns[i], price[i], bucket_s, tau_s, max_gap_s)


FOLD = Fold(
    "bipower",
    STATE,
    PARAMS,
    step,
    loop,
    ("time_ns", "price"),
    {"bucket_s": 1.0, "tau_s": 300.0, "max_gap_s": 60.0},
    {"bucket_s": (1e-6, 1e6), "tau_s": (1e-6, 1e9), "max_gap_s": (0.0, 1e9)},
)
