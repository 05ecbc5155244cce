"""Between the nodes of a curve: log-linear discounts (flat forwards) or monotone convex (continuous forwards).

Nodes are `years` float64[n], rising from > 0, and `log_discount` float64[n]; the point (0, 0) is always there. Beyond
the last node the last forward goes on. Source: Hagan and West, Interpolation methods for curve construction, Applied
Mathematical Finance 13 (2006), doi:10.1080/13504860500396032; the forward is not forced to be positive.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit

LOG_LINEAR, MONOTONE_CONVEX = 0, 1
METHODS = {"log_linear": LOG_LINEAR, "monotone_convex": MONOTONE_CONVEX}


@njit
def log_discount_at(years: Any, log_discount: Any, method: int, t: float) -> float:
    """ln P(t); NaN for t < 0 or NaN."""
    if not t >= 0.0:
        return math.nan
    n = len(years)
    i = 0
    while i < n and years[i] < t:
        i += 1
    if i == n:
        return log_discount[n - 1] - end_forward(years, log_discount, method) * (t - years[n - 1])
    t0, l0 = (0.0, 0.0) if i == 0 else (years[i - 1], log_discount[i - 1])
    x = (t - t0) / (years[i] - t0)
    flat = flat_forward(years, log_discount, i)
    out = l0 - flat * (t - t0)
    if method == MONOTONE_CONVEX:
        g0, g1 = bends(years, log_discount, i)
        out -= (years[i] - t0) * bend_area(g0, g1, x)
    return out


@njit
def forward_at(years: Any, log_discount: Any, method: int, t: float) -> float:
    """Instantaneous forward -d ln P / dt; from the left at a node."""
    if not t >= 0.0:
        return math.nan
    n = len(years)
    i = 0
    while i < n and years[i] < t:
        i += 1
    if i == n:
        return end_forward(years, log_discount, method)
    out = flat_forward(years, log_discount, i)
    if method == MONOTONE_CONVEX:
        t0 = 0.0 if i == 0 else years[i - 1]
        g0, g1 = bends(years, log_discount, i)
        out += bend(g0, g1, (t - t0) / (years[i] - t0))
    return out


@njit
def flat_forward(years: Any, log_discount: Any, i: int) -> float:
    """Average forward of the interval that ends at node i."""
    if i == 0:
        return -log_discount[0] / years[0]
    return (log_discount[i - 1] - log_discount[i]) / (years[i] - years[i - 1])


@njit
def node_forward(years: Any, log_discount: Any, i: int) -> float:
    """Instantaneous forward at node i; -1 is time 0."""
    n = len(years)
    if n == 1:
        return flat_forward(years, log_discount, 0)
    if i < 0:
        first = flat_forward(years, log_discount, 0)
        return first - 0.5 * (node_forward_inside(years, log_discount, 0) - first)
    if i == n - 1:
        last = flat_forward(years, log_discount, n - 1)
        return last - 0.5 * (node_forward_inside(years, log_discount, n - 2) - last)
    return node_forward_inside(years, log_discount, i)


@njit
def node_forward_inside(years: Any, log_discount: Any, i: int) -> float:
    """At a node between two intervals: their average forwards, each weighted by the length of the other's side."""
    before = 0.0 if i == 0 else years[i - 1]
    left, right = years[i] - before, years[i + 1] - years[i]
    a = flat_forward(years, log_discount, i)
    b = flat_forward(years, log_discount, i + 1)
    return (left * b + right * a) / (left + right)


@njit
def end_forward(years: Any, log_discount: Any, method: int) -> float:
    """The forward beyond the last node."""
    if method == MONOTONE_CONVEX:
        return node_forward(years, log_discount, len(years) - 1)
    return flat_forward(years, log_discount, len(years) - 1)


@njit
def bends(years: Any, log_discount: Any, i: int) -> Any:
    """(g0, g1): how far the forwards at both ends of interval i are from its average."""
    flat = flat_forward(years, log_discount, i)
    return node_forward(years, log_discount, i - 1) - flat, node_forward(years, log_discount, i) - flat


@njit
def region(g0: float, g1: float) -> int:
    """Which of the four shapes of Hagan and West keeps the forward monotone where its nodes are."""
    if (g0 < 0.0 and -0.5 * g0 <= g1 <= -2.0 * g0) or (g0 > 0.0 and -0.5 * g0 >= g1 >= -2.0 * g0):
        return 1
    if (g0 < 0.0 and g1 > -2.0 * g0) or (g0 > 0.0 and g1 < -2.0 * g0):
        return 2
    if (g0 > 0.0 and 0.0 > g1 > -0.5 * g0) or (g0 < 0.0 and 0.0 < g1 < -0.5 * g0):
        return 3
    return 4


@njit
def bend(g0: float, g1: float, x: float) -> float:
    """Forward less average at share x of an interval; its integral over the interval is 0."""
    if x <= 0.0 or x >= 1.0:
        return g0 if x <= 0.0 else g1
    shape = region(g0, g1)
    if shape == 1:
        return g0 * (1.0 - 4.0 * x + 3.0 * x * x) + g1 * (3.0 * x * x - 2.0 * x)
    if shape == 2:
        eta = (g1 + 2.0 * g0) / (g1 - g0)
        return g0 if x <= eta else g0 + (g1 - g0) * ((x - eta) / (1.0 - eta)) ** 2
    if shape == 3:
        eta = 3.0 * g1 / (g1 - g0)
        return g1 + (g0 - g1) * ((eta - x) / eta) ** 2 if x < eta else g1
    if g0 == 0.0 and g1 == 0.0:
        return 0.0
    eta = g1 / (g1 + g0)
    level = -g0 * g1 / (g0 + g1)
    if x < eta:
        return level + (g0 - level) * ((eta - x) / eta) ** 2
    return level + (g1 - level) * ((x - eta) / (1.0 - eta)) ** 2 if eta < 1.0 else level


@njit
def bend_area(g0: float, g1: float, x: float) -> float:
    """Integral of `bend` from 0 to x."""
    shape = region(g0, g1)
    if shape == 1:
        return g0 * (x - 2.0 * x * x + x**3) + g1 * (x**3 - x * x)
    if shape == 2:
        eta = (g1 + 2.0 * g0) / (g1 - g0)
        return g0 * x if x <= eta else g0 * x + (g1 - g0) * (x - eta) * ((x - eta) / (1.0 - eta)) ** 2 / 3.0
    if shape == 3:
        eta = 3.0 * g1 / (g1 - g0)
        left = max(eta - x, 0.0)
        return g1 * x + (g0 - g1) * eta * (1.0 - (left / eta) ** 3) / 3.0
    if g0 == 0.0 and g1 == 0.0:
        return 0.0
    eta = g1 / (g1 + g0)
    level = -g0 * g1 / (g0 + g1)
    area = level * x
    if eta > 0.0:
        left = max(eta - x, 0.0)
        area += (g0 - level) * eta * (1.0 - (left / eta) ** 3) / 3.0
    if x > eta:
        area += (g1 - level) * (x - eta) * ((x - eta) / (1.0 - eta)) ** 2 / 3.0
    return area
