"""The whole history of a strip in one pass: the band of every contract on every row, what lies outside, for how long.

Contract j is bounded by every earlier contract i within `reach` places, each carried from its own expiry to that of j:

    high_j = min_i  a_i e^(g + (b + u - y) dT) + s dT + c_i + c_j + e |a_i| dT
    low_j  = max_i  b_i e^(g - (l + f + y) dT) - c_i - c_j - e |b_i| dT

g = ln P(T_i) - ln P(T_j) of the zero curve, a, b ask and bid of contract i, b, l what borrowing costs above and lending
earns below the curve, u, s storage as a rate and as money, y yield of the asset, f fee of borrowing it, c what one
crossing of a contract costs, e the error of the fitted curve (a rate). Where the near price is not above 0 nothing
grows, and the bound is storage and cost alone. Source: Hull, Options, Futures and Other Derivatives, ch. 5.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features import boundary

BORROW, LEND, STORAGE_RATE, STORAGE, YIELD, FEE, BOUND, REACH = range(8)  # places in `terms`
TWO_SIDED, UPPER, NEITHER = 0.0, 1.0, 2.0  # of terms[BOUND]
LOW, HIGH, OUTSIDE, IMPLIED, MONEY, RATE = range(6)  # planes of what comes out
N_OUT = 6
SAME = 1e-13  # years: two stretches of time are one
ROOM = 4_096  # episodes before a second pass
EPISODE = record(
    [
        ("key", "i8"),  # contract
        ("first", "i8"),  # row of confirmation
        ("last", "i8"),  # last row outside
        ("worst_row", "i8"),
        ("side", "i8"),  # 1 above, -1 below
        ("n", "i8"),  # rows outside
        ("worst", "f8"),  # farthest from the band, quote currency
        ("total", "f8"),  # sum over rows
        ("worst_size", "f8"),  # capacity there, units a contract counts in; NaN without depth
    ]
)


@njit
def log_discount(years: float, grid: Any, logs: Any) -> float:
    """ln P at `years`: linear between the nodes, the rate flat before the first and behind the last."""
    n = len(grid)
    if years <= grid[0]:
        return logs[0] * years / grid[0]
    if years >= grid[n - 1]:
        return logs[n - 1] * years / grid[n - 1]
    k = 1
    while grid[k] < years:
        k += 1
    share = (years - grid[k - 1]) / (grid[k] - grid[k - 1])
    return logs[k - 1] + share * (logs[k] - logs[k - 1])


@njit
def bounds(price: Any, years: Any, cost: Any, grid: Any, logs: Any, terms: Any, out: Any) -> None:
    """Fill `out` float64[6, T, N]: low, high, outside, implied rate, implied money a month, rate of the curve.

    price float64[2, T, N] bid and ask (one plane twice: settlements), NaN: none; years float64[T, N] to the last trade;
    cost float64[T, N] of one crossing; grid float64[K] years of the nodes, rising; logs float64[T, K + 1] ln P at the
    nodes and, last, the error of the curve; terms float64[8].

    Outside > 0 is bid less high, < 0 ask less low, 0 inside, NaN where nothing is to be compared. Implied are
    ln(F_j / F_i) / dT - r (NaN unless both are above 0) and (F_j - F_i e^g) / 12 dT of the nearest earlier contract, at
    mids. Without a bound low and high are -inf and inf. A row without rates is NaN throughout.
    """
    n_rows, n = years.shape
    k = len(grid)
    at = np.empty(n)
    kind, reach = terms[BOUND], int(terms[REACH])
    up, down = terms[BORROW] + terms[STORAGE_RATE] - terms[YIELD], terms[LEND] + terms[FEE] + terms[YIELD]
    store = terms[STORAGE]
    stretch, boost = math.nan, 1.0
    for t in range(n_rows):
        error, row = logs[t, k], logs[t, :k]
        for j in range(n):
            at[j] = log_discount(years[t, j], grid, row) if years[t, j] >= 0.0 else math.nan
        for j in range(n):
            for p in range(N_OUT):
                out[p, t, j] = math.nan
            bid, ask = price[0, t, j], price[1, t, j]
            high, low, nearest = math.inf, -math.inf, -1
            for i in range(j - 1, max(j - reach, 0) - 1, -1):
                tau = years[t, j] - years[t, i]
                near_bid, near_ask = price[0, t, i], price[1, t, i]
                g = at[i] - at[j]
                if not (tau > 0.0) or math.isnan(g):
                    continue
                if math.isnan(near_bid) and math.isnan(near_ask):
                    continue
                if nearest < 0 and not (math.isnan(near_bid) or math.isnan(near_ask)):
                    nearest = i
                c = cost[t, i] + cost[t, j]
                if kind != NEITHER and not math.isnan(near_ask):
                    if not abs(tau - stretch) < SAME:  # neighbours are a month apart more often than not
                        stretch, boost = tau, math.exp(up * tau)
                    growth = math.exp(g) * boost if near_ask > 0.0 else 1.0
                    high = min(high, near_ask * growth + store * tau + c + error * abs(near_ask) * tau)
                if kind == TWO_SIDED and not math.isnan(near_bid):
                    growth = math.exp(g - down * tau) if near_bid > 0.0 else 1.0
                    low = max(low, near_bid * growth - c - error * abs(near_bid) * tau)
            if math.isinf(high) and math.isinf(low) and nearest < 0:
                continue
            out[LOW, t, j], out[HIGH, t, j] = low, high
            if not (math.isnan(bid) and math.isnan(ask)):
                out[OUTSIDE, t, j] = bid - high if bid > high else ask - low if ask < low else 0.0
            if nearest >= 0 and not (math.isnan(bid) or math.isnan(ask)):
                tau = years[t, j] - years[t, nearest]
                near, far = 0.5 * (price[0, t, nearest] + price[1, t, nearest]), 0.5 * (bid + ask)
                g = at[nearest] - at[j]
                out[RATE, t, j] = g / tau
                out[MONEY, t, j] = (far - (near * math.exp(g) if near > 0.0 else near)) / (12.0 * tau)
                if near > 0.0 and far > 0.0:
                    out[IMPLIED, t, j] = (math.log(far / near) - g) / tau


@njit
def confirm(price: Any, key: Any, low: Any, high: Any, states: Any, rule: Any, side: Any) -> None:
    """The boundary fold of each contract over all rows: side int8[T, N] 1 above, -1 below, 0 inside or unknown.

    price float64[2, T, N]; key int64[T, N] says which contract stands at a place (-1: none), states one of each; rule
    float64[3]: open, back, confirm (see `features.boundary`). A contract that is above is read at its bid, one that is
    below at its ask, else at what is beyond the band, else inside: a wide quote's mid may lie outside, what can be
    dealt at does not.
    """
    for t in range(key.shape[0]):
        for j in range(key.shape[1]):
            side[t, j] = 0
            c = key[t, j]
            if c < 0:
                continue
            bid, ask = price[0, t, j], price[1, t, j]
            lo, hi = low[t, j], high[t, j]
            s = states[c]
            x = min(max(0.5 * (bid + ask), lo), hi)
            if s.side > 0 or (s.side == 0 and bid > hi):
                x = bid
            elif s.side < 0 or (s.side == 0 and ask < lo):
                x = ask
            lo = boundary.NO_LOW if lo == -math.inf else lo
            hi = boundary.NO_HIGH if hi == math.inf else hi
            found = boundary.step(s, x, lo, hi, rule[0], rule[1], int(rule[2]))
            if found > 0.0:
                side[t, j] = 1
            elif found < 0.0:
                side[t, j] = -1


@njit
def episodes_kernel(side: Any, key: Any, outside: Any, depth: Any, gap: int, open_at: Any, rows: Any) -> int:
    """How many runs of one contract on one side there are; filled in as far as `rows` (EPISODE) reaches.

    A run ends where the contract is inside, changes side, or is not seen for more than `gap` rows. depth float64[T, N]
    is the size at which it could be dealt (empty: unknown); open_at int64[keys, 2] is work space.
    """
    n = 0
    sized = depth.shape[0] > 0
    for c in range(len(open_at)):
        open_at[c, 0], open_at[c, 1] = -1, 0
    for t in range(key.shape[0]):
        for j in range(key.shape[1]):
            c = key[t, j]
            if c < 0:
                continue
            if side[t, j] == 0:
                if not math.isnan(outside[t, j]):
                    open_at[c, 0] = -1
                continue
            at, apart = open_at[c, 0], t - (open_at[c, 1] >> 1)
            same = at >= 0 and (open_at[c, 1] & 1) == (1 if side[t, j] > 0 else 0) and apart <= gap
            if not same:
                at = n
                n += 1
                if at < len(rows):
                    r = rows[at]
                    r.key, r.first, r.side, r.n, r.worst, r.total = c, t, side[t, j], 0, 0.0, 0.0
                    r.worst_row, r.worst_size = t, math.nan
            open_at[c, 0], open_at[c, 1] = at, 2 * t + (1 if side[t, j] > 0 else 0)
            if at < len(rows):
                r = rows[at]
                r.last = t
                r.n += 1
                x = outside[t, j]
                r.total += x
                if r.n == 1 or abs(x) > abs(r.worst):
                    r.worst, r.worst_row = x, t
                    r.worst_size = depth[t, j] if sized else math.nan
    return n


def history(
    price: np.ndarray,
    years: np.ndarray,
    cost: np.ndarray,
    grid: np.ndarray,
    logs: np.ndarray,
    terms: np.ndarray,
    *,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """`bounds` into a new array, or into `out` float64[6, T, N]."""
    made = np.empty((N_OUT, *years.shape)) if out is None else out
    bounds(price, years, cost, grid, logs, terms, made)
    return made


def confirmed(
    price: np.ndarray, key: np.ndarray, low: np.ndarray, high: np.ndarray, n_keys: int, rule: tuple[float, float, int]
) -> np.ndarray:
    """`confirm` into a new array."""
    states = np.zeros(max(n_keys, 1), boundary.STATE)
    side = np.zeros(key.shape, np.int8)
    confirm(price, key, low, high, states, np.array(rule, np.float64), side)
    return side


def episodes(
    side: np.ndarray, key: np.ndarray, outside: np.ndarray, n_keys: int, gap: int, depth: np.ndarray | None = None
) -> np.ndarray:
    """EPISODE[n], in the order in which they began."""
    size = np.empty((0, 0)) if depth is None else np.ascontiguousarray(depth, np.float64)
    work = np.empty((max(n_keys, 1), 2), np.int64)
    rows = np.zeros(ROOM, EPISODE)
    n = episodes_kernel(side, key, outside, size, gap, work, rows)
    if n > ROOM:
        rows = np.zeros(n, EPISODE)
        episodes_kernel(side, key, outside, size, gap, work, rows)
    return rows[:n]
