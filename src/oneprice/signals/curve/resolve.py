"""Solve a curve again after a quote has moved: node by node from the one that moved, in compiled code.

Each instrument i is one condition on the discounts, whatever it is:

    sum_j w_j (P(s_j) / P(e_j) - 1) P(p_j)  =  q_i sum_k a_k P(f_k)

a deposit has one term on either side paid now (p = f = 0), an overnight-indexed swap one compounded coupon a year paid
with a lag, a swap its coupons. Discounts are log-linear between nodes; node i is the last date of instrument i, so the
conditions are solved one after the other by Newton's method on differences.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.jit import njit

STEPS, CLOSE = 50, 1e-15


@njit
def log_discount(years: Any, logs: Any, n: int, t: float) -> float:
    """ln P(t) of the first n nodes; log-linear, flat forward beyond."""
    if t <= 0.0:
        return 0.0
    low, high = 0, n - 1
    while low < high:
        middle = (low + high) >> 1
        if years[middle] < t:
            low = middle + 1
        else:
            high = middle
    t0, l0 = (0.0, 0.0) if low == 0 else (years[low - 1], logs[low - 1])
    return l0 + (logs[low] - l0) * (t - t0) / (years[low] - t0)


@njit
def gap(years: Any, logs: Any, n: int, floating: Any, fixed: Any, rate: float) -> float:
    """Left less right side of one condition; floating float64[j, 4] (s, e, p, w), fixed float64[k, 2] (a, f)."""
    total = 0.0
    for j in range(floating.shape[0]):
        s = log_discount(years, logs, n, floating[j, 0])
        e = log_discount(years, logs, n, floating[j, 1])
        p = log_discount(years, logs, n, floating[j, 2])
        total += floating[j, 3] * math.expm1(s - e) * math.exp(p)
    for k in range(fixed.shape[0]):
        total -= rate * fixed[k, 0] * math.exp(log_discount(years, logs, n, fixed[k, 1]))
    return total


@njit
def resolve(years: Any, logs: Any, rates: Any, flows: Any, ends: Any, first: int) -> int:
    """Solve nodes first.. in place, from the values they have; returns the node that has no solution, or -1.

    flows float64[m, 4] rows of all conditions, ends int64[n, 2]: where the floating rows and the fixed rows
    (a, f, 0, 0) of each condition end.
    """
    begin = 0 if first == 0 else ends[first - 1, 1]
    for i in range(first, len(years)):
        floating = flows[begin : ends[i, 0]]
        fixed = flows[ends[i, 0] : ends[i, 1], :2]
        begin = ends[i, 1]
        n = i + 1
        h = 1e-6
        value = gap(years, logs, n, floating, fixed, rates[i])
        for _ in range(STEPS):
            logs[i] += h
            slope = (gap(years, logs, n, floating, fixed, rates[i]) - value) / h
            logs[i] -= h
            if slope == 0.0 or math.isnan(slope):
                return i
            step = value / slope
            logs[i] -= step
            value = gap(years, logs, n, floating, fixed, rates[i])
            if abs(value) < CLOSE or abs(step) < CLOSE:
                break
        if not abs(value) < 1e-12:
            return i
    return -1


def packed(conditions: list[tuple[list[tuple[float, ...]], list[tuple[float, ...]]]]) -> tuple[np.ndarray, np.ndarray]:
    """(flows, ends) of conditions as (floating rows, fixed rows)."""
    rows: list[tuple[float, ...]] = []
    ends = np.empty((len(conditions), 2), np.int64)
    for i, (floating, fixed) in enumerate(conditions):
        rows += floating
        ends[i, 0] = len(rows)
        rows += [(a, f, 0.0, 0.0) for a, f in fixed]
        ends[i, 1] = len(rows)
    return np.array(rows, np.float64), ends
