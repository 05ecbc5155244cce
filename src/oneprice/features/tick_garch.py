"""GARCH volatility in tick time: a return ends with every `moves` changes of the price, however long that takes.

Returns of buckets of price changes go to the `garch` step (mu = 0); its variance of the next bucket over the mean
duration of a bucket gives a volatility per square root of a second. In tick time busy and quiet hours have returns of
like size, which is what a GARCH with constant parameters asks for. `bucket_returns` gives the same returns for a fit
(`signals.volatility.garch_fit.fit_garch`).

References: T. Bollerslev (1986), doi:10.1016/0304-4076(86)90063-1; T. Ane, H. Geman (2000), Order flow, transaction
clock, and normality of asset returns, doi:10.1111/0022-1082.00286.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.errors import DataError
from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold
from oneprice.features.garch import step as garch_step

LEAST_GAIN = 0.005  # of the mean duration: all buckets, then about the last 200 (durations are very uneven)
STATE = record(
    [
        ("last_ns", "i8"),
        ("mark_ns", "i8"),  # when the open bucket began
        ("last_price", "f8"),
        ("mark", "f8"),  # price then; 0: none seen
        ("moves", "i8"),  # changes of price since
        ("ret", "f8"),  # of the last bucket
        ("seconds", "f8"),  # mean duration of a bucket
        ("variance", "f8"),  # of the next bucket's return; these four are the fields of garch.STATE
        ("seen", "f8"),
        ("z", "f8"),
        ("n", "i8"),  # buckets
    ]
)
PARAMS = record([("moves", "i8"), ("omega", "f8"), ("alpha", "f8"), ("beta", "f8")])


@njit
def bucket(s: Any, time_ns: int, price: float, moves: int) -> bool:
    """Take in a price; True when it ends a bucket, whose log return is then `s.ret`.

    The state is unchanged when price is not positive and finite or time goes back.
    """
    if not (math.isfinite(price) and price > 0.0) or (s.mark > 0.0 and time_ns < s.last_ns):
        return False
    s.last_ns = time_ns
    if s.mark <= 0.0:
        s.mark = price
        s.mark_ns = time_ns
        s.last_price = price
        return False
    if price == s.last_price:
        return False
    s.last_price = price
    s.moves += 1
    if s.moves < moves:
        return False
    s.ret = math.log1p((price - s.mark) / s.mark)
    took = (time_ns - s.mark_ns) * 1e-9
    s.seconds += max(LEAST_GAIN, 1.0 / (s.n + 1)) * (took - s.seconds)
    s.mark = price
    s.mark_ns = time_ns
    s.moves = 0
    return True


@njit
def step(s: Any, time_ns: int, price: float, moves: int, omega: float, alpha: float, beta: float) -> float:
    """Volatility (fraction per sqrt second) after `price`; NaN until a bucket has ended and taken time.

    NaN with the state unchanged when price is not positive and finite or time goes back. omega: in squared bucket
    returns.
    """
    if not (math.isfinite(price) and price > 0.0) or (s.mark > 0.0 and time_ns < s.last_ns):
        return math.nan
    if bucket(s, time_ns, price, moves):
        garch_step(s, s.ret, 0.0, omega, alpha, beta)
    return math.sqrt(s.variance / s.seconds) if s.n > 0 and s.seconds > 0.0 else math.nan


@njit
def loop(states: Any, time_ns: Any, price: Any, moves: int, omega: float, alpha: float, beta: float, out: Any) -> None:
    """`step` over arrays."""
    for i in range(len(out)):
        out[i] = step(states[0], time_ns[i], price[i], moves, omega, alpha, beta)


@njit
def _returns(state: Any, time_ns: Any, price: Any, moves: int, out: Any) -> int:
    n = 0
    for i in range(len(price)):
        if bucket(state[0], time_ns[i], price[i], moves):
            out[n] = state[0].ret
            n += 1
    return n


def bucket_returns(time_ns: Any, price: Any, *, moves: int = 10) -> np.ndarray:
    """Log returns of whole buckets of `moves` price changes, for a fit.

    Raises DataError when the arrays differ in length or hold no whole bucket.
    """
    t, p = np.ascontiguousarray(time_ns, np.int64), np.ascontiguousarray(price, np.float64)
    if t.shape != p.shape or t.ndim != 1:
        raise DataError(f"tick_garch: expected time_ns and price of one shape (n,), got {t.shape} and {p.shape}")
    out = np.empty(len(p) // max(1, moves) + 1)
    n = _returns(FOLD.fresh(), t, p, moves, out)
    if n == 0:
        raise DataError(f"tick_garch: expected at least {moves} changes of price, found no whole bucket")
    return out[:n]


FOLD = Fold(
    "tick_garch",
    STATE,
    PARAMS,
    step,
    loop,
    ("time_ns", "price"),
    {"moves": 10, "omega": 1e-10, "alpha": 0.05, "beta": 0.94},
    {"moves": (1, 1e9), "omega": (1e-300, 1e200), "alpha": (0.0, 10.0), "beta": (0.0, 1.0)},
)
