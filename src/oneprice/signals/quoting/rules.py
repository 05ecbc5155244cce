"""What fees, ticks, lots, limits and the other side of the book leave of a quote.

Prices are rounded away from the touch (a bid down, an ask up), quantities down; a price within 1e-9 of a tick is that
tick. NaN in a price or a quantity means: no quote there, quantity 0.
"""

from __future__ import annotations

import math

from oneprice.core.jit import njit

NEAR = 1e-9
BP = 1e-4
FINEST = float(1 << 52)  # steps in a number beyond which a float has no finer grid than its own


@njit
def floor_to(x: float, step: float) -> float:
    """Largest multiple of step not above x; NaN unless x is finite and step > 0."""
    if not (math.isfinite(x) and step > 0.0):
        return math.nan
    n = x / step
    if abs(n) >= FINEST:
        return x
    near = math.floor(n + 0.5)
    if abs(n - near) <= NEAR * max(1.0, abs(n)):
        return near * step
    return math.floor(n) * step


@njit
def floor_near(x: float, step: float, guess: float) -> float:
    """`floor_to`, told a multiple of `step` that it probably is (NaN: none): then nothing is divided."""
    over = x - guess
    if over >= 0.0 and over < step - 4.0 * NEAR * max(step, abs(x)):
        return guess
    return floor_to(x, step)


@njit
def ceil_to(x: float, step: float) -> float:
    """Least multiple of step not below x; NaN unless x is finite and step > 0."""
    return -floor_to(-x, step)


@njit
def cap_share(maker_fee_bp: float, min_edge_bp: float) -> float:
    """(1 - e) / (1 + f): the share of the fair price that is the highest bid to leave the edge after the fee."""
    return (1.0 - BP * min_edge_bp) / (1.0 + BP * maker_fee_bp)


@njit
def floor_share(maker_fee_bp: float, min_edge_bp: float) -> float:
    """(1 + e) / (1 - f): the same of the lowest ask."""
    return (1.0 + BP * min_edge_bp) / (1.0 - BP * maker_fee_bp)


@njit
def _bid_at_most(wanted: float, cap: float, best_ask: float, tick: float) -> float:
    x = math.nan if math.isnan(wanted) or math.isnan(cap) else min(wanted, cap)
    if not math.isnan(best_ask):
        x = min(x, best_ask - tick) if x == x else x
    return x


@njit
def bid_price(wanted: float, cap: float, best_ask: float, tick: float) -> float:
    """The bid to send: not above what is wanted, its cap, or one tick below the best ask (NaN: no ask there); a tick.

    NaN where wanted or cap is NaN.
    """
    return floor_to(_bid_at_most(wanted, cap, best_ask, tick), tick)


@njit
def bid_price_near(wanted: float, cap: float, best_ask: float, tick: float, last: float) -> float:
    """`bid_price`, told the bid before it, which it usually is."""
    return floor_near(_bid_at_most(wanted, cap, best_ask, tick), tick, last)


@njit
def ask_price(wanted: float, floor: float, best_bid: float, tick: float) -> float:
    """The ask to send: not below what is wanted, its floor, or one tick above the best bid (NaN: none); a tick."""
    return -bid_price(-wanted, -floor, -best_bid, tick)


@njit
def ask_price_near(wanted: float, floor: float, best_bid: float, tick: float, last: float) -> float:
    """`ask_price`, told the ask before it, which it usually is."""
    return -bid_price_near(-wanted, -floor, -best_bid, tick, -last)


@njit
def bid_qty(q: float, order_qty: float, limit: float, lot: float) -> float:
    """Units to bid for so that the position stays at or below `limit`, whole lots down; 0 when none fit or on NaN."""
    return bid_qty_near(q, order_qty, limit, lot, math.nan)


@njit
def bid_qty_near(q: float, order_qty: float, limit: float, lot: float, last: float) -> float:
    """`bid_qty`, told the quantity before it, which it usually is."""
    room = limit - q
    if not (room > 0.0 and order_qty > 0.0 and lot > 0.0):
        return 0.0
    return floor_near(min(order_qty, room), lot, last)


@njit
def ask_qty(q: float, order_qty: float, limit: float, lot: float) -> float:
    """Units to offer so that the position stays at or above -limit, whole lots down; 0 when none fit or on NaN."""
    return bid_qty(-q, order_qty, limit, lot)


@njit
def ask_qty_near(q: float, order_qty: float, limit: float, lot: float, last: float) -> float:
    """`ask_qty`, told the quantity before it, which it usually is."""
    return bid_qty_near(-q, order_qty, limit, lot, last)
