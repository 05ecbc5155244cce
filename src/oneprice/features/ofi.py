"""Order flow imbalance at the best quotes, readable at every event.

Each change of the best bid (P_b, q_b) and ask (P_a, q_a) adds

    e_n = 1{P_b >= P_b'} q_b - 1{P_b <= P_b'} q_b' - 1{P_a <= P_a'} q_a + 1{P_a >= P_a'} q_a'

(' is the state before). A window of tau seconds with exponential edge is what a strategy reads at any event:
`flow' = flow e^(-dt/tau) + e_n`, `depth` the mean queue at the touch over the same window; `total` is the plain sum,
whose differences are the sums over any bars. The price moves by about flow / (2 depth) ticks *during* the
window (Cont, Kukanov, Stoikov): a description of the same seconds, no forecast.

Call it after each batch of a leg with the touch of its VIEW. After a hole in the data (a GAP row) call `forget`:
the change across a hole is not flow. Locked, crossed, empty or one-sided touches are no observation.

Reference: R. Cont, A. Kukanov, S. Stoikov (2014), The price impact of order book events, Journal of Financial
Econometrics 12(1), equations 3 to 6, doi:10.1093/jjfinec/nbt003.
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
        ("bid", "f8"),  # the touch before
        ("ask", "f8"),
        ("bid_qty", "f8"),
        ("ask_qty", "f8"),
        ("event", "f8"),  # the last e_n, quantity
        ("flow", "f8"),  # over about tau seconds, quantity
        ("total", "f8"),  # since birth, quantity
        ("depth", "f8"),  # mean of the two queues over about tau seconds
        ("known", "i8"),  # 1: there is a touch before
        ("n", "i8"),
    ]
)
PARAMS = record([("tau_s", "f8")])


@njit
def event(
    bid: float, bid_qty: float, bid_before: float, bid_qty_before: float,
    ask: float, ask_qty: float, ask_before: float, ask_qty_before: float,
) -> float:  # fmt: skip
    """e_n of one level: the formula above, in units of the quantities."""
    bought = (bid_qty if bid >= bid_before else 0.0) - (bid_qty_before if bid <= bid_before else 0.0)
    sold = (ask_qty if ask <= ask_before else 0.0) - (ask_qty_before if ask >= ask_before else 0.0)
    return bought - sold


@njit
def step(s: Any, time_ns: int, bid: float, ask: float, bid_qty: float, ask_qty: float, tau_s: float) -> float:
    """Decayed order flow imbalance after this touch, in units of the quantities (> 0: buying pressure).

    NaN with the state unchanged when a number is not finite (a missing side), a queue is not positive, the touch is
    locked or crossed or time goes back; NaN for the first touch and the first after `forget`.
    """
    queues = bid_qty + ask_qty
    if not (math.isfinite(bid) and math.isfinite(ask) and math.isfinite(queues)):
        return math.nan
    if bid_qty <= 0.0 or ask_qty <= 0.0 or bid >= ask or (s.n > 0 and time_ns < s.last_ns):
        return math.nan
    known = s.known != 0
    if s.n == 0:
        s.depth = 0.5 * queues
    elif time_ns > s.last_ns:
        keep = math.exp((s.last_ns - time_ns) * 1e-9 / tau_s)
        s.flow *= keep
        # the queues that stood until now, for as long as they stood
        s.depth = 0.5 * (s.bid_qty + s.ask_qty) + keep * (s.depth - 0.5 * (s.bid_qty + s.ask_qty))
    s.event = 0.0
    if known:
        s.event = event(bid, bid_qty, s.bid, s.bid_qty, ask, ask_qty, s.ask, s.ask_qty)
        s.flow += s.event
        s.total += s.event
    s.last_ns = time_ns
    s.bid = bid
    s.ask = ask
    s.bid_qty = bid_qty
    s.ask_qty = ask_qty
    s.known = 1
    s.n += 1
    return s.flow if known else math.nan


@njit
def forget(s: Any) -> None:
    """After a hole in the data: the next touch is compared with nothing; flow goes on decaying."""
    s.known = 0


@njit
def read(s: Any, now_ns: int, tau_s: float) -> float:
    """The decayed flow at `now_ns` without a new touch (a timer); NaN before the first event or back in time."""
    if s.n == 0 or now_ns < s.last_ns:
        return math.nan
    return s.flow * math.exp((s.last_ns - now_ns) * 1e-9 / tau_s)


@njit
def loop(states: Any, time_ns: Any, bid: Any, ask: Any, bid_qty: Any, ask_qty: Any, tau_s: float, out: Any) -> None:
    """`step` over arrays."""
    for i in range(len(out)):
        out[i] = step(states[0], time_ns[i], bid[i], ask[i], bid_qty[i], ask_qty[i], tau_s)


FOLD = Fold(
    "ofi",
    STATE,
    PARAMS,
    step,
    loop,
    ("time_ns", "bid", "ask", "bid_qty", "ask_qty"),
    {"tau_s": 1.0},
    {"tau_s": (1e-6, 1e9)},
)
