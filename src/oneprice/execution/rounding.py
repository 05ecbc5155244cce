"""From a strategy's floats to ticks and lots, always on the safe side, and lots of several legs that match.

Prices: a buy is rounded down and a sell up. For a passive order that is away from the touch, for a
marketable limit it is within the limit, so one rule serves both. Quantities are rounded down. A price or
quantity within 1e-9 of a whole number is that number (0.3 / 0.1 is three lots, not two).
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import INVERSE

NEAR = 1e-9
BIG = 1 << 52  # whole numbers beyond this are not exact in a float
MAX_MULTIPLE = 1_000_000


@njit
def whole_down(x: float) -> int:
    """Largest integer not above x, where x within 1e-9 (relative) of an integer is that integer; x is
    finite."""
    near = math.floor(x + 0.5)
    if abs(x - near) <= NEAR * max(1.0, abs(x)):
        return int(near)
    return math.floor(x)


@njit
def price_to_ticks(price: float, tick: float, side: int) -> int:
    """Ticks of a price: down for a buy (side > 0), up for a sell; the price is finite and below 2^52
    ticks."""
    x = price / tick
    if side > 0:
        return whole_down(x)
    return -whole_down(-x)


@njit
def unit_qty(leg: Any) -> float:
    """Underlying units a lot: the lot (linear), or contract value / mid (inverse; NaN without a mid)."""
    if leg.contract != INVERSE:
        return leg.lot
    if leg.mid2_ticks <= 0:
        return math.nan
    return leg.lot / (0.5 * leg.mid2_ticks * leg.tick)


@njit
def qty_to_lots(qty: float, unit: float, step: int) -> int:
    """Lots of `qty` underlying units at `unit` a lot, down to a multiple of `step`; -1 if it is not a number
    of lots."""
    x = qty / unit
    if not (x >= 0.0 and x < BIG):
        return -1
    lots = whole_down(x)
    return lots - lots % step if step > 1 else lots


@njit
def ratio_of(x: float) -> Any:
    """x as a fraction p/q with q <= 1e6 within 1e-9, or (0, 0): the continued fraction of x > 0."""
    p0, q0, p1, q1 = 0, 1, 1, 0
    rest = x
    for _ in range(40):
        if not (rest < BIG):
            return 0, 0
        a = math.floor(rest)
        p0, q0, p1, q1 = p1, q1, a * p1 + p0, a * q1 + q0
        if q1 > MAX_MULTIPLE or p1 > BIG:
            return 0, 0
        if abs(x * q1 - p1) <= NEAR * p1:
            return p1, q1
        rest = 1.0 / (rest - a)
    return 0, 0


@njit
def gcd(a: int, b: int) -> int:
    """Greatest common divisor of two positive integers."""
    while b != 0:
        a, b = b, a % b
    return a


@njit
def _as_asked(qty: float, units: Any, steps: Any, n: int, lots: Any) -> None:
    """Where `qty` is a whole number of steps on each leg, those lots."""
    for i in range(n):
        x = qty / (units[i] * steps[i])
        if abs(x - math.floor(x + 0.5)) > NEAR * max(1.0, x):
            return
    for i in range(n):
        lots[i] = whole_down(qty / (units[i] * steps[i])) * steps[i]


@njit
def common_lots(qty: float, units: Any, steps: Any, n: int, lots: Any) -> int:
    """Fill `lots[:n]` so that the legs match in underlying units; returns the number of package units, 0 if
    none.

    `units[i]` is underlying units a lot divided by the leg's ratio, `steps[i]` its lot step. The package
    unit is the least underlying quantity that is a whole number of steps on every leg; the package takes as
    many of them as fit in `qty`. Where there is none (inverse legs, odd ratios) or none fits, each leg is
    rounded down on its own to the quantity of the leg that rounds lowest: the mismatch is then below one
    step of each leg. A quantity that is a whole number of steps on every leg is taken as it is: the fraction
    found for a ratio of many digits may be a neighbour of it, with another unit.
    """
    base = units[0] * steps[0]
    multiple = 1
    for i in range(1, n):
        p, q = ratio_of(units[i] * steps[i] / base)  # step i = p/q of step 0: leg 0 needs a multiple of p / gcd
        if q == 0:
            multiple = 0
            break
        multiple = multiple // gcd(multiple, p) * p
        if multiple > MAX_MULTIPLE:
            multiple = 0
            break
    if multiple > 0:
        count = qty / (base * multiple)
        if not (count < BIG):
            return 0
        whole = whole_down(count)
        if whole > 0:
            for i in range(n):
                per = whole_down(base * multiple / (units[i] * steps[i]) + 0.5)
                lots[i] = whole * per * steps[i]
            _as_asked(qty, units, steps, n, lots)
            return whole
    least = qty
    for i in range(n):
        got = qty_to_lots(qty, units[i], steps[i])
        if got <= 0:
            return 0
        least = min(least, got * units[i])
    for i in range(n):
        lots[i] = qty_to_lots(least, units[i], steps[i])
        if lots[i] <= 0:
            return 0
    return 1
