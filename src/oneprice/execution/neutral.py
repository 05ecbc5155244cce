"""Whole lots of several legs that offset each other: dollar-neutral, beta-neutral or delta-neutral.

A lot of leg i is worth v_i and carries b_i of exposure a unit of value (1: dollars; beta to an index; delta). For
weights w_i (signed shares of the notional) and a gross value G the lots n_i (multiples of step_i) are

    n_i = w_i G / (sum|w| v_i), rounded toward 0, for all legs but the finest;
    n_f = the multiple of step_f that leaves the least |sum n_i v_i b_i|        f: least |v_f b_f| step_f

so what is left is at most half a step of the finest leg:  |sum n_i v_i b_i| <= |v_f b_f| step_f / 2.
Weights that are not neutral themselves are made so first, at the finest leg's expense. The gross value is at most G:
where the finest leg pushes it above, less is sized, at worst G - sum_{i != f} v_i step_i |b_i / b_f| - v_f step_f.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.execution.rounding import BIG, whole_down


@njit
def finest(value: Any, load: Any, step: Any, n: int) -> int:
    """Index of the leg whose lot step carries the least exposure, -1 when one carries none or is no number."""
    best = -1
    least = math.inf
    for i in range(n):
        one = abs(value[i] * load[i]) * step[i]
        if not (one > 0.0 and one < math.inf):
            return -1
        if one < least:
            best, least = i, one
    return best


@njit
def neutral_lots(gross: float, value: Any, weight: Any, load: Any, step: Any, lots: Any) -> float:
    """Fill `lots` int64[n] with signed lots that are neutral in `load`; returns the exposure left, NaN if impossible.

    Parameters: gross value (>= 0), float64[n] value of a lot, signed weights, exposure a unit of value, and int64[n]
    lot steps. Impossible (lots all 0): a number that is none, a weight or load of 0, a leg that rounds to no lots
    (the value is too small for its steps), a finest leg that would change sign.
    """
    n = len(lots)
    f = finest(value, load, step, n)
    if f < 0 or not (gross > 0.0 and gross < math.inf):
        return _none(lots)
    total = 0.0  # of the neutral weights
    carried = 0.0
    slack = value[f] * step[f]
    for i in range(n):
        if i != f:
            total += abs(weight[i])
            carried += weight[i] * load[i]
            slack += value[i] * step[i] * abs(load[i] / load[f])
    total += abs(carried / load[f])
    if not (total > 0.0 and total < math.inf):
        return _none(lots)
    for j in range(3):
        left = _fill(gross - 0.5 * j * slack, (value, weight, load, step), total, f, lots)
        if not math.isfinite(left):
            return _none(lots)
        if gross_of(value, lots) <= gross * (1.0 + 1e-12):
            return left
    return _none(lots)


@njit
def gross_of(value: Any, lots: Any) -> float:
    """Gross value of the lots."""
    total = 0.0
    for i in range(len(lots)):
        total += abs(lots[i] * value[i])
    return total


@njit
def _none(lots: Any) -> float:
    for i in range(len(lots)):
        lots[i] = 0
    return math.nan


@njit
def _fill(aim: float, legs: Any, total: float, f: int, lots: Any) -> float:
    """Round all legs but `f` toward 0, let `f` offset them; the exposure left, NaN if a leg has no lots."""
    value, weight, load, step = legs
    carried = 0.0
    for i in range(len(lots)):
        if i != f:
            x = max(aim, 0.0) * abs(weight[i]) / (total * value[i] * step[i])
            if not (x < BIG):
                return math.nan
            lots[i] = whole_down(x) * step[i]
            if weight[i] < 0.0:
                lots[i] = -lots[i]
            if lots[i] == 0:
                return math.nan
            carried += lots[i] * value[i] * load[i]
    x = -carried / (value[f] * load[f] * step[f])
    if not (abs(x) < BIG):
        return math.nan
    lots[f] = math.floor(x + 0.5) * step[f]
    if lots[f] * weight[f] <= 0.0:
        return math.nan
    return carried + lots[f] * value[f] * load[f]
