"""How unbalanced a package is, what each way out costs, and which way is cheapest. Pure functions of its
state.

With f_i filled and n_i planned lots, the matched fraction is m = min f_i / n_i and the lead M = max f_i /
n_i:

    lag_i    = floor(M n_i) - f_i      lots to trade so that leg i catches up with the leading leg
    excess_i = f_i - ceil(m n_i)       lots to trade back so that leg i is no further than the lagging one

Costs in the quote currency, for the lots concerned (they are compared only with each other):

    hedge  = sum over lagging legs   lag   * (touch worse than the limit by) + taker fee
    wait   = sum over lagging legs   taker fee + lambda * lag * E|move over the wait|, at least half the
    spread unwind = sum over leading legs   excess * (average entry - touch on the way back) + taker fee

E|move| comes from an EWMA of squared mid moves a nanosecond, starting from the policy's `vol_bp`; E|x| = 0.8
sigma.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.arena import legs_of
from oneprice.core.jit import njit
from oneprice.core.records import (
    BUY,
    CLOSED_SESSION,
    EXPIRED,
    INVERSE,
    NO_PRICE,
    PAUSED,
)
from oneprice.execution.settlement import settled

HEDGE, WAIT, UNWIND = 1, 2, 3
EWMA_WEIGHT = 0.05
MEAN_ABS = 0.7978845608028654  # E|x| of a standard normal, sqrt(2 / pi)
SECOND_NS = 1_000_000_000


@njit
def lead_of(p: Any) -> int:
    """Index of the package leg with the largest filled / planned (the first among equals)."""
    best = 0
    for i in range(1, p.n_legs):
        if p.legs[i].filled * p.legs[best].planned > p.legs[best].filled * p.legs[i].planned:
            best = i
    return best


@njit
def low_of(p: Any) -> int:
    """Index of the package leg with the least filled / planned (the first among equals)."""
    best = 0
    for i in range(1, p.n_legs):
        if p.legs[i].filled * p.legs[best].planned < p.legs[best].filled * p.legs[i].planned:
            best = i
    return best


@njit
def lag_lots(p: Any, i: int, lead: int) -> int:
    """Lots leg i must trade to catch up with the lead; 0 if it has."""
    if p.to_flat != 0 or i == lead:
        return 0
    a = p.legs[lead]
    got = max(a.filled, 0) * p.legs[i].planned // a.planned - p.legs[i].filled
    return max(got, 0)


@njit
def excess_lots(p: Any, i: int, low: int) -> int:
    """Lots leg i is ahead of the lagging leg (may be negative: a carried residual of the other sign)."""
    if p.to_flat != 0:
        return p.legs[i].filled
    a = p.legs[low]
    matched = max(a.filled, 0) * p.legs[i].planned
    return p.legs[i].filled - (-(-matched // a.planned))


@njit
def tradable(leg: Any, side: int) -> bool:
    """May an order of this side be sent to the leg now, and is there something to trade against?"""
    if leg.trading == PAUSED or leg.trading == CLOSED_SESSION or leg.trading == EXPIRED:
        return False
    return (leg.ask_ticks if side == BUY else leg.bid_ticks) != NO_PRICE


@njit
def far_touch(leg: Any, side: int) -> int:
    """The price a marketable order of this side meets, in ticks (NO_PRICE if none)."""
    return leg.ask_ticks if side == BUY else leg.bid_ticks


@njit
def band_edge(price: int, side: int, band_bp: float) -> int:
    """The worst price of a chase: `band_bp` beyond `price` (at least one tick)."""
    room = max(math.ceil(abs(price) * band_bp * 1e-4), 1)
    return price + side * room


@njit
def min_order(leg: Any, price: int) -> int:
    """Least lots the venue takes at a price: min_lots, and min_notional in lots (linear legs), up to a lot
    step."""
    lots = max(leg.min_lots, 1)
    if leg.min_notional > 0 and leg.contract != INVERSE:
        unit = abs(2 * price) * leg.money_num
        if unit > 0:
            lots = max(lots, -(-leg.min_notional // unit))
    elif leg.min_notional > 0 and leg.money_num > 0:
        lots = max(lots, -(-(leg.min_notional * abs(2 * price)) // leg.money_num))
    step = max(leg.lot_step, 1)
    return -(-lots // step) * step


@njit
def order_lots(leg: Any, lots: int, price: int) -> int:
    """`lots` down to a lot step, or 0 when the venue would not take them."""
    fit = lots - lots % leg.lot_step if leg.lot_step > 1 else lots
    if fit <= 0 or fit < leg.min_lots:
        return 0
    if leg.min_notional > 0:
        unit = abs(2 * price) * leg.money_num
        if leg.contract == INVERSE or (fit | unit) >> 31 != 0:  # else the product fits: no division
            return fit if fit >= min_order(leg, price) else 0
        if unit > 0 and fit * unit < leg.min_notional:
            return 0
    return fit


@njit
def quote_value(leg: Any, ticks: float, price: int) -> float:
    """Quote currency of a move of `ticks` on one lot (inverse: contract value * relative move)."""
    if leg.contract == INVERSE:
        return leg.lot * ticks / max(abs(price), 1)
    return leg.lot * leg.tick * ticks


@njit
def taker_fee(leg: Any, lots: int, price: int) -> float:
    """Expected taker fee in the quote currency."""
    if leg.contract == INVERSE:
        return leg.taker_fee_e9 * 1e-9 * leg.lot * lots
    fee = leg.taker_fee_e9 * 1e-9 * leg.lot * leg.tick * abs(price) * lots
    if leg.fee_per_lot != 0 and leg.money_num > 0:
        fee += leg.fee_per_lot * lots * leg.lot * leg.tick / (2.0 * leg.money_num)
    return fee


@njit
def see_touch(p: Any, i: int, leg: Any, now_ns: int) -> None:
    """Fold a touch into the EWMA of squared mid moves a nanosecond of package leg i."""
    if leg.bid_ticks == NO_PRICE or leg.ask_ticks == NO_PRICE:
        return
    a = p.legs[i]
    mid2 = leg.bid_ticks + leg.ask_ticks
    dt = now_ns - a.last_ns
    if a.last_ns > 0 and dt > 0:
        move = float(mid2 - a.last_mid2)
        a.var_rate += EWMA_WEIGHT * (move * move / dt - a.var_rate)
    if dt > 0 or a.last_ns == 0:
        a.last_mid2 = mid2
        a.last_ns = now_ns


@njit
def prior_rate(leg: Any, vol_bp: float) -> float:
    """Squared half ticks a nanosecond of a volatility of `vol_bp` basis points a root second."""
    if leg.bid_ticks == NO_PRICE or leg.ask_ticks == NO_PRICE:
        return 0.0
    sigma = vol_bp * 1e-4 * abs(leg.bid_ticks + leg.ask_ticks)
    return sigma * sigma / SECOND_NS


@njit
def hedge_cost(s: Any, p: Any, lead: int) -> float:
    """Cost of catching up now at the touch, against the package's limits; every lagging leg must be
    tradable."""
    legs = legs_of(s)
    total = 0.0
    for i in range(p.n_legs):
        lots = lag_lots(p, i, lead)
        if lots > 0:
            a = p.legs[i]
            leg = legs[a.leg]
            touch = far_touch(leg, a.side)
            total += quote_value(leg, float(a.side * (touch - a.limit)), touch) * lots + taker_fee(leg, lots, touch)
    return total


@njit
def wait_cost(s: Any, p: Any, lead: int, wait_ns: int) -> float:
    """Cost of standing unhedged for `wait_ns` and then catching up at the limits."""
    legs = legs_of(s)
    risk_aversion = s.blotter.policies[p.strategy].risk_aversion
    total = 0.0
    for i in range(p.n_legs):
        lots = lag_lots(p, i, lead)
        if lots > 0:
            a = p.legs[i]
            leg = legs[a.leg]
            move = 0.5 * MEAN_ABS * math.sqrt(max(a.var_rate, 0.0) * wait_ns)
            if leg.bid_ticks != NO_PRICE and leg.ask_ticks != NO_PRICE:
                move = max(move, 0.5 * (leg.ask_ticks - leg.bid_ticks))
            total += risk_aversion * quote_value(leg, move, a.limit) * lots + taker_fee(leg, lots, a.limit)
    return total


@njit
def unwind_cost(s: Any, p: Any, low: int) -> float:
    """Cost of trading the excess back at the touch against its average entry; infinite where it cannot be
    done."""
    legs = legs_of(s)
    total = 0.0
    for i in range(p.n_legs):
        lots = excess_lots(p, i, low)
        if lots > 0:
            a = p.legs[i]
            leg = legs[a.leg]
            if not tradable(leg, -a.side) or not settled(leg, -a.side, lots, s.now_ns):
                return math.inf
            back = far_touch(leg, -a.side)
            if order_lots(leg, lots, back) == 0:
                return math.inf
            entry = a.value / a.opened if a.opened > 0 else 0.5 * leg.mid2_ticks
            total += quote_value(leg, a.side * (entry - back), back) * lots + taker_fee(leg, lots, back)
    return total


@njit
def hedgeable(s: Any, p: Any, lead: int) -> int:
    """May the lagging legs be sent now? 0 no (closed, empty, outside the band), 1 yes, 2 all are below their
    minimum."""
    legs = legs_of(s)
    band_bp = s.blotter.policies[p.strategy].band_bp
    small = True
    for i in range(p.n_legs):
        lots = lag_lots(p, i, lead)
        if lots <= 0:
            continue
        a = p.legs[i]
        leg = legs[a.leg]
        if order_lots(leg, lots, a.limit) == 0:
            continue
        small = False
        if not tradable(leg, a.side) or not settled(leg, a.side, lots, s.now_ns):
            return 0
        if a.side * (far_touch(leg, a.side) - band_edge(a.limit, a.side, band_bp)) > 0:
            return 0
    return 2 if small else 1


@njit
def choose(hedge: float, wait: float, unwind: float, can_hedge: bool, may_wait: bool) -> int:
    """The cheapest way out; ties go to hedging, then waiting. Unwinding is what is left when nothing else
    may be done."""
    if can_hedge and hedge <= unwind and (hedge <= wait or not may_wait):
        return HEDGE
    if may_wait and wait <= unwind:
        return WAIT
    return UNWIND
