"""The whole history of a strip in one pass: the band of every contract on every row, what lies outside, for how long.

Contract j is bounded by every earlier contract i within `reach` places, each carried from its own expiry to that of j:

    high_j = min_i  (a_i + x |a_i| - D_b) e^(g + (b + u - y) dT) + s dT + c_i + c_j + |a_i| (e dT + m (T_i + T_j))
    low_j  = max_i  (b_i - x |b_i| - D_l) e^(g - (l + f + y) dT) - c_i - c_j - |b_i| (e dT + m (T_i + T_j))

g = ln P(T_i) - ln P(T_j) of the zero curve, a, b ask and bid of contract i, b, l what borrowing costs above and lending
earns below the curve, u, s storage as a rate and as money, y yield of the asset, f fee of borrowing it, c what one
crossing of a contract costs, e the error of the fitted curve (a rate), x a tax, m the margin posted for a future times
what posting it costs a year, D what goes ex between the two expiries, valued at the near one on the curve and the
spread of the side. Where the near price is not above 0 nothing grows, and the bound is storage and cost alone.
Source: Hull, Options, Futures and Other Derivatives, ch. 5.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features import boundary

BORROW, LEND, STORAGE_RATE, STORAGE, YIELD, FEE, BOUND, REACH, TAX, MARGIN = range(10)  # places in `terms`
N_TERMS = 10
N_WORK = 14  # rows of the work space of a block
AT, TAU, G, X, GROWTH, OWED_HIGH, OWED_LOW, NEAR, TAU_NEAR, G_NEAR, MID, CROSSED, HELD, ERROR = range(N_WORK)
BLOCK = 16  # rows at a time: their work space stays near the processor
TWO_SIDED, UPPER, NEITHER = 0.0, 1.0, 2.0  # of terms[BOUND]
LOW, HIGH, OUTSIDE, IMPLIED, MONEY, RATE = range(6)  # planes of what comes out
N_OUT = 6
A_MONTH = 1.0 / 12.0
SMALL = 0.05  # up to which the series are exact to rounding
NO_CASH = np.empty((2, 0, 0))
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
def exp_rows(x: Any, out: Any) -> None:
    """e^x of a row: a month's carry is small, and there nine terms of the series are exact to rounding (and all of
    the row at once); what is larger is computed again.
    """
    wide = 0
    for i in range(len(x)):
        v = x[i]
        v2 = v * v
        near = (1.0 + v) + v2 * (0.5 + v * (1.0 / 6.0))
        far = (1.0 / 24.0 + v * (1.0 / 120.0)) + v2 * (1.0 / 720.0 + v * (1.0 / 5040.0))
        out[i] = near + v2 * v2 * (far + v2 * v2 * (1.0 / 40320.0 + v * (1.0 / 362880.0)))
        wide += 1 if abs(v) > SMALL else 0
    if wide > 0:
        for i in range(len(x)):
            if abs(x[i]) > SMALL:
                out[i] = math.exp(x[i])


@njit
def log_rows(near: Any, far: Any, out: Any) -> None:
    """ln(far / near) of a row, NaN unless both are above 0: neighbours differ little, and there eight terms of
    2 artanh((far - near) / (far + near)) are exact to rounding.
    """
    wide = 0
    for i in range(len(near)):
        s = (far[i] - near[i]) / (far[i] + near[i])
        z = s * s
        z2 = z * z
        low = (1.0 + z * (1.0 / 3.0)) + z2 * (0.2 + z * (1.0 / 7.0))
        high = (1.0 / 9.0 + z * (1.0 / 11.0)) + z2 * (1.0 / 13.0 + z * (1.0 / 15.0))
        out[i] = 2.0 * s * (low + z2 * z2 * high) if near[i] > 0.0 and far[i] > 0.0 else math.nan
        wide += 1 if abs(s) > SMALL else 0
    if wide > 0:
        for i in range(len(near)):
            if abs(out[i]) > 2.0 * SMALL:
                out[i] = math.log(far[i] / near[i])


@njit
def log_discounts(years: Any, grid: Any, logs: Any, bend: Any, out: Any) -> None:
    """ln P at each of `years` float64[N] into `out`, NaN for years below 0: linear between the nodes, the rate flat
    before the first and behind the last. Such a line is a ray from 0 and a bend at each node, so that no contract has
    to look for its node; two bends are taken at a time. bend float64[K + 1] is work space.
    """
    n = len(grid)
    slope = logs[0] / grid[0]
    for j in range(len(out)):
        out[j] = slope * years[j] if years[j] >= 0.0 else math.nan
    bend[n] = 0.0
    for k in range(n):
        behind = (logs[k + 1] - logs[k]) / (grid[k + 1] - grid[k]) if k + 1 < n else logs[k] / grid[k]
        bend[k] = behind - slope
        slope = behind
    for k in range(0, n, 2):
        one, two, first, second = bend[k], bend[k + 1], grid[k], grid[min(k + 1, n - 1)]
        for j in range(len(out)):
            x, y = years[j] - first, years[j] - second
            out[j] += one * (x if x > 0.0 else 0.0) + two * (y if y > 0.0 else 0.0)


@njit
def bounds(price: Any, years: Any, cost: Any, grid: Any, logs: Any, terms: Any, cash: Any, out: Any) -> None:
    """Fill `out` float64[6, T N]: low, high, outside, implied rate, implied money a month, rate of the curve.

    Rows follow each other. price float64[2, T N] bid and ask (one plane twice: settlements), NaN: none; years
    float64[T N] to the last trade; cost float64[T N] of one crossing; grid float64[K] years of the nodes, rising; logs
    float64[T, K + 1] ln P at the nodes and, last, the error of the curve; terms float64[10]; cash float64[2, T N] from
    `paid_by`, or empty: nothing is paid.

    Outside > 0 is bid less high, < 0 ask less low, 0 inside, NaN where nothing is to be compared. Implied are
    ln(F_j / F_i) / dT - r (NaN unless both are above 0) and (F_j - F_i e^g) / 12 dT of the nearest earlier contract, at
    mids. Without a bound low and high are -inf and inf. A row without rates is NaN throughout.

    Blocks of rows are taken through one short loop after another, each of which the processor does many at once.
    """
    k, n_rows = len(grid), len(logs)
    n = len(years) // n_rows
    work, bend = np.zeros((N_WORK, BLOCK * n)), np.empty(k + 1)
    reach, paid = min(int(terms[REACH]), n - 1), cash.shape[1] > 0
    for first in range(0, n_rows, BLOCK):
        last = min(first + BLOCK, n_rows)
        start, stop = first * n, last * n
        for t in range(first, last):
            at = (t - first) * n
            log_discounts(years[t * n : t * n + n], grid, logs[t, :k], bend, work[AT, at : at + n])
            work[ERROR, at : at + n] = logs[t, k]
        bid, ask, when = price[0, start:stop], price[1, start:stop], years[start:stop]
        low, high = out[LOW, start:stop], out[HIGH, start:stop]
        low[:], high[:], work[NEAR, :] = -math.inf, math.inf, math.nan
        for apart in range(1, reach + 1):
            stretch(bid, ask, when, n, apart, work)
            spent(when, cost[start:stop], apart, terms, work)
            if paid:
                owed(cash[0, start:stop], cash[1, start:stop], when, terms, apart, work)
            if terms[BOUND] != NEITHER:
                upper(ask[: len(ask) - apart], terms, work, high[apart:])
            if terms[BOUND] == TWO_SIDED:
                lower(bid[: len(bid) - apart], terms, work, low[apart:])
        compare(bid, ask, low, high, work, out[OUTSIDE, start:stop])
        imply(work, out[IMPLIED, start:stop], out[MONEY, start:stop], out[RATE, start:stop])


@njit
def stretch(bid: Any, ask: Any, years: Any, n: int, apart: int, work: Any) -> None:
    """Time and growth of the curve between contracts `apart` places apart (NaN: none, or of two rows); the nearest that
    has both sides is kept for what is implied. Rows of `n` contracts follow each other.
    """
    m = len(bid) - apart
    far, near_at, far_at = years[apart:], work[AT, :m], work[AT, apart:]
    tau, g, keep = work[TAU, :m], work[G, :m], work[NEAR, apart : apart + m]
    keep_tau, keep_g = work[TAU_NEAR, apart : apart + m], work[G_NEAR, apart : apart + m]
    for i in range(m):
        x = far[i] - years[i]
        tau[i] = x if x > 0.0 else math.nan
    for end in range(n, len(bid), n):
        tau[end - apart : end] = math.nan
    for i in range(m):
        g[i] = near_at[i] - far_at[i] + 0.0 * tau[i]
    if apart == 1:
        keep_tau[:], keep_g[:] = tau, g
    else:
        for i in range(m):
            keep_tau[i] = tau[i] if math.isnan(keep[i]) else keep_tau[i]
        for i in range(m):
            keep_g[i] = g[i] if math.isnan(keep[i]) else keep_g[i]
    for i in range(m):
        keep[i] = 0.5 * (bid[i] + ask[i]) + 0.0 * g[i] if math.isnan(keep[i]) else keep[i]


@njit
def spent(years: Any, cost: Any, apart: int, terms: Any, work: Any) -> None:
    """What the crossings of both contracts cost, and, a unit of price, the error of the curve and the two margins."""
    m = len(years) - apart
    years_far, cost_far, margin = years[apart:], cost[apart:], terms[MARGIN]
    tau, error, crossed, held = work[TAU, :m], work[ERROR, :m], work[CROSSED, :m], work[HELD, :m]
    for i in range(m):
        crossed[i] = cost[i] + cost_far[i]
    for i in range(m):
        held[i] = error[i] * tau[i] + margin * (years[i] + years_far[i])


@njit
def owed(high: Any, low: Any, years: Any, terms: Any, apart: int, work: Any) -> None:
    """Value at the near expiry of what is paid between it and the one `apart` places behind it."""
    for i in range(len(years) - apart):
        at = work[AT, i]
        work[OWED_HIGH, i] = (high[i + apart] - high[i]) * math.exp(terms[BORROW] * years[i] - at)
        work[OWED_LOW, i] = (low[i + apart] - low[i]) * math.exp(-terms[LEND] * years[i] - at)


@njit
def upper(ask: Any, terms: Any, work: Any, high: Any) -> None:
    """The upper bounds by the contracts at `ask`, where they are lower than what is in `high`."""
    rate, store, tax = terms[BORROW] + terms[STORAGE_RATE] - terms[YIELD], terms[STORAGE], terms[TAX]
    m = len(ask)
    tau, g, x, growth = work[TAU, :m], work[G, :m], work[X, :m], work[GROWTH, :m]
    owed, crossed, held = work[OWED_HIGH, :m], work[CROSSED, :m], work[HELD, :m]
    for i in range(m):
        x[i] = g[i] + rate * tau[i]
    exp_rows(x, growth)
    for i in range(m):
        base = ask[i] + abs(ask[i]) * tax - owed[i]
        growth[i] = base * growth[i] if ask[i] > 0.0 else base + 0.0 * g[i]
    for i in range(m):
        v = growth[i] + store * tau[i] + crossed[i] + held[i] * abs(ask[i])
        high[i] = v if v < high[i] else high[i]


@njit
def lower(bid: Any, terms: Any, work: Any, low: Any) -> None:
    """The lower bounds by the contracts at `bid`, where they are higher than what is in `low`."""
    rate, tax = terms[LEND] + terms[FEE] + terms[YIELD], terms[TAX]
    m = len(bid)
    tau, g, x, growth = work[TAU, :m], work[G, :m], work[X, :m], work[GROWTH, :m]
    owed, crossed, held = work[OWED_LOW, :m], work[CROSSED, :m], work[HELD, :m]
    for i in range(m):
        x[i] = g[i] - rate * tau[i]
    exp_rows(x, growth)
    for i in range(m):
        base = bid[i] - abs(bid[i]) * tax - owed[i]
        growth[i] = base * growth[i] if bid[i] > 0.0 else base + 0.0 * g[i]
    for i in range(m):
        v = growth[i] - crossed[i] - held[i] * abs(bid[i])
        low[i] = v if v > low[i] else low[i]


@njit
def compare(bid: Any, ask: Any, low: Any, high: Any, work: Any, beyond: Any) -> None:
    """What lies outside of bounds that are known; a bound of nothing becomes NaN."""
    m = len(bid)
    near, mid, alone = work[NEAR, :m], work[MID, :m], work[X, :m]
    for j in range(m):
        mid[j] = 0.5 * (bid[j] + ask[j])
    for j in range(m):
        alone[j] = math.nan if math.isnan(near[j]) and high[j] == math.inf and low[j] == -math.inf else 0.0
    for j in range(m):
        x = bid[j] - high[j] if bid[j] > high[j] else ask[j] - low[j] if ask[j] < low[j] else 0.0
        beyond[j] = math.nan if math.isnan(bid[j]) and math.isnan(ask[j]) else x + alone[j]
    for j in range(m):
        low[j] += alone[j]
    for j in range(m):
        high[j] += alone[j]


@njit
def imply(work: Any, implied: Any, money: Any, rate: Any) -> None:
    """What the nearest earlier contract and the mid imply."""
    m = len(rate)
    near, tau, g, mid = work[NEAR, :m], work[TAU_NEAR, :m], work[G_NEAR, :m], work[MID, :m]
    log, growth = work[X, :m], work[GROWTH, :m]
    exp_rows(g, growth)
    log_rows(near, mid, log)
    for j in range(m):
        tau[j] = 1.0 / tau[j] + 0.0 * (near[j] + mid[j])
    for j in range(m):
        rate[j] = g[j] * tau[j]
    for j in range(m):
        money[j] = (mid[j] - near[j] * (growth[j] if near[j] > 0.0 else 1.0)) * (tau[j] * A_MONTH)
    for j in range(m):
        implied[j] = (log[j] - g[j]) * tau[j]


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
            if s.side == 0 and s.run == 0 and not (bid > hi or ask < lo):
                continue  # inside, and was: most are
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
                if open_at[c, 0] >= 0 and not math.isnan(outside[t, j]):
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
    cash: np.ndarray = NO_CASH,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """`bounds` into a new array, or into `out` float64[6, T, N]."""
    made = np.empty((N_OUT, *years.shape)) if out is None else out
    n = years.size
    flat = cash.reshape(2, cash.size // 2)
    bounds(price.reshape(2, n), years.reshape(n), cost.reshape(n), grid, logs, terms, flat, made.reshape(N_OUT, n))
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
