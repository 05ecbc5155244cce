"""What a strategy may ask for. Intents are levels with keys, not edges: asking twice is asking once.

The helpers are plain functions compiled with `njit`; called from plain Python with `np.record` arguments
they act on the same memory. They never fail: a wild leg, NaN or a full list is written down and execution
answers with a REFUSED row (`bad_intent`, `pool_full`).

| helper | meaning |
|---|---|
| `package(orders, key, buy, sell, qty)` | open a two-leg package unless `key` is open |
| `package_begin` + `package_leg` | the same for N legs with ratios |
| `quote(orders, key, leg, side, price, qty)` | this order should rest; qty 0 withdraws it |
| `target(orders, leg, qty, price)` | this should be my position; trade towards it up to `price` |
| `timer(orders, key, at_ns)` | call me at `at_ns` |
| `cancel(orders, key)`, `cancel_all(orders)` | withdraw a quote or give up a package; everything |
| `refit(orders, key)` | fit my model again on what was received up to now |
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import register_jitable

from oneprice.core.jit import njit
from oneprice.core.records import N_INTENTS, POST_ONLY, record

I_PACKAGE, I_LEG, I_QUOTE, I_TARGET, I_TIMER, I_CANCEL, I_CANCEL_ALL, I_REFIT = 1, 2, 3, 4, 5, 6, 7, 8

INTENT = record(
    [
        ("price", "f8"),  # quote currency a unit of underlying
        ("qty", "f8"),  # underlying units; a target's is signed
        ("ratio", "f8"),  # I_LEG: units of this leg a unit of the package
        ("key", "i8"),
        ("at_ns", "i8"),  # I_TIMER: deadline · I_PACKAGE: time a maker leg may rest, 0 = the policy's
        ("leg", "i4"),  # index in the strategy's legs · I_PACKAGE: the leg to post first, -1 = all at once
        ("side", "i4"),
        ("kind", "i4"),
        ("parent", "i4"),  # I_LEG: index of its I_PACKAGE
        ("bits", "i4"),  # I_QUOTE: TIF bits · I_PACKAGE: 1 = only reduce the positions of its legs
        ("spare", "i4"),
    ]
)

INTENTS = record(
    [
        ("count", "i8"),
        ("overflow", "i8"),  # intents that found the list full
        ("strategy", "i8"),
        ("intent", INTENT, (N_INTENTS,)),
    ]
)


@register_jitable  # plain when called from Python: numba cannot unbox an EVENT, whose fields overlap
def fresh(event: Any, a: Any, b: Any) -> bool:
    """Are both quotes young enough to form a spread?

    The age of a quote is the larger of the time since it was received and the time since the venue sent it,
    the latter on the local clock plus the bound of the clock's error. Each leg is held to its own `stale_ns`.
    """
    return _young(event.receive_ns, a) and _young(event.receive_ns, b)


@njit
def _young(now_ns: int, v: Any) -> bool:
    if v.quote_ns <= 0:
        return False
    age = now_ns - v.quote_ns
    if v.venue_ns > 0:
        age = max(age, now_ns - v.venue_ns)
    return age + v.clock_bound_ns <= v.stale_ns


@njit
def _add(orders: Any, kind: int, key: int) -> int:
    """Index of a cleared intent, or -1 when the list is full."""
    i = orders.count
    if i < 0 or i >= N_INTENTS:
        orders.overflow += 1
        return -1
    orders.count = i + 1
    it = orders.intent[i]
    it.price = 0.0
    it.qty = 0.0
    it.ratio = 1.0
    it.key = key
    it.at_ns = 0
    it.leg = -1
    it.side = 0
    it.kind = kind
    it.parent = -1
    it.bits = 0
    return i


@njit
def package_begin(orders: Any, key: int, qty: float, maker: int = -1, timeout_ns: int = 0, reduce: bool = False) -> int:
    """Begin a package of `qty` underlying units; returns its handle for `package_leg` (-1: the list is full).

    `maker` is the leg to post first (-1: all legs at once as marketable limits), `timeout_ns` how long it
    may rest (0: the policy's), `reduce` allows only what makes each leg's position smaller. No-op while
    `key` is open.
    """
    i = _add(orders, I_PACKAGE, key)
    if i >= 0:
        it = orders.intent[i]
        it.qty = qty
        it.leg = maker
        it.at_ns = timeout_ns
        it.bits = 1 if reduce else 0
    return i


@njit
def package_leg(orders: Any, k: int, leg: int, side: int, ratio: float, price: float) -> None:
    """Add a leg: `ratio` units of it a unit of the package, bought (side 1) or sold (-1), no worse than
    `price`."""
    i = _add(orders, I_LEG, 0)
    if i >= 0:
        it = orders.intent[i]
        it.parent = k
        it.leg = leg
        it.side = side
        it.ratio = ratio
        it.price = price


@njit
def package(
    orders: Any,
    key: int,
    buy: Any,
    sell: Any,
    qty: float,
    maker: int = -1,
    timeout_ns: int = 0,
    reduce: bool = False,
) -> None:
    """Buy one leg and sell another as one package: `buy` and `sell` are (leg, limit price). No-op while
    `key` is open."""
    k = package_begin(orders, key, qty, maker, timeout_ns, reduce)
    package_leg(orders, k, buy[0], 1, 1.0, buy[1])
    package_leg(orders, k, sell[0], -1, 1.0, sell[1])


@njit
def quote(orders: Any, key: int, leg: int, side: int, price: float, qty: float, tif: int = POST_ONLY) -> None:
    """This order should rest under `key`; the difference is kept, amended or cancelled and sent anew. qty 0
    withdraws."""
    i = _add(orders, I_QUOTE, key)
    if i >= 0:
        it = orders.intent[i]
        it.leg = leg
        it.side = side
        it.price = price
        it.qty = qty
        it.bits = tif


@njit
def target(orders: Any, leg: int, qty: float, price: float) -> None:
    """The strategy's position on `leg` should be `qty` (signed); trade towards it no worse than `price`."""
    i = _add(orders, I_TARGET, 0)
    if i >= 0:
        it = orders.intent[i]
        it.leg = leg
        it.qty = qty
        it.price = price


@njit
def timer(orders: Any, key: int, at_ns: int) -> None:
    """Call this strategy with a TIMER event of `key` at `at_ns`; a second call with the key moves it."""
    i = _add(orders, I_TIMER, key)
    if i >= 0:
        orders.intent[i].at_ns = at_ns


@njit
def cancel(orders: Any, key: int) -> None:
    """Withdraw the quote of `key`, or give up the package of `key`: what is filled of it is hedged or
    unwound."""
    _add(orders, I_CANCEL, key)


@njit
def cancel_all(orders: Any) -> None:
    """Withdraw every quote and target and give up every package of this strategy."""
    _add(orders, I_CANCEL_ALL, 0)


@njit
def refit(orders: Any, key: int = 0, why: int = 0) -> None:
    """Ask for a fit of this strategy's model on what was received up to now; it comes back as a MODEL event.

    The fits of a run that take requests (`Fit.on_request`) of this `key` answer; a request within their
    `min_gap_ns` of the fit before is ignored and counted. Asking is written down as a REFIT row; `why` (0 to 65535) is
    a word of the strategy's own that goes into it, such as the monitor that fired.
    """
    i = _add(orders, I_REFIT, key)
    if i >= 0:
        orders.intent[i].bits = why


def new_intents() -> np.recarray:
    """An empty INTENTS record for calling a strategy from plain Python; `[0]` is the record."""
    return np.zeros(1, INTENTS).view(np.recarray)
