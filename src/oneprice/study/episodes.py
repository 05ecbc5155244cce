"""Gap episodes between two quote streams: maximal stretches in which one leg's bid is above the other's ask.

Streams are merged in receive time on the local clock and looked at after all rows of an instant. Each state
of an episode is put into the first condition that holds, in this order, and its time is booked there:

- crossed    one leg's own bid is at or above its own ask;
- stale      the older of the two quotes is older than the bound;
- explained  the slow mean of the difference of mids is a gap by itself, and this gap is no more than that;
- unshared   at the exchange time of the newer quote the other leg, as its exchange had it then, shows no gap;
- clean      none of these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from oneprice.core.jit import njit
from oneprice.core.records import record

EPISODE = record(
    [
        ("start_ns", "i8"),
        ("end_ns", "i8"),
        ("clean_ns", "i8"),  # first instant of a clean state, or -1
        ("buy", "i8"),  # 0: bought on the first leg, sold on the second · 1: the other way round
        ("states", "i8"),
        ("age_max_ns", "i8"),  # age of the older quote, at most
        ("in_crossed_ns", "i8"),  # time in each condition; each state counts at least 1 ns
        ("in_stale_ns", "i8"),
        ("in_explained_ns", "i8"),
        ("in_unshared_ns", "i8"),
        ("in_clean_ns", "i8"),
        ("gap_bp", "f8"),  # at the first clean instant, else at the start; bp of the mean of both prices
        ("gap_max_bp", "f8"),
        ("slow_bp", "f8"),  # slow mean of the difference of mids at that instant, in the gap's direction
        ("qty", "f8"),  # smaller of the two touches at that instant, underlying units
        ("price", "f8"),  # mean of both prices at that instant
    ]
)

TOTALS = record(
    [
        ("live_ns", "i8"),  # time in which the two sides that matter were there
        ("gap_ns", "i8"),
        ("n_states", "i8"),
        ("n_gap", "i8"),
        ("n_fresh", "i8"),  # with a gap, both quotes young enough
        ("n_sane", "i8"),  # and no book crossed or locked
    ]
)

HOW = record(
    [
        ("max_age_ns", "i8"),
        ("end_ns", "i8"),  # of the tape; states last until here
        ("grid_ns", "i8"),  # slow[i] holds from grid_ns + i * step_ns on
        ("step_ns", "i8"),
        ("band_bp", "f8"),  # around the slow mean
    ]
)

CROSSED_STATE, EXPLAINED, UNSHARED, CLEAN = 0, 1, 2, 3


@njit
def gap_of(buy: Any, sell: Any) -> float:
    """Touch to touch, bp of the mean of both prices; NaN when a side is missing."""
    return 2e4 * (sell.bid - buy.ask) / (sell.bid + buy.ask)


@njit
def _half_spreads(a: Any, b: Any) -> float:
    """Sum of both half spreads, bp; 0 when a side is missing."""
    total = (a.ask - a.bid + b.ask - b.bid) / (2.0 * a.bid)
    return 0.0 if math.isnan(total) else 1e4 * total


@njit
def _shared(a: Any, b: Any, i: int, j: int, buy: int) -> bool:
    """Whether the gap stands at the exchange time of the newer of the two quotes."""
    if a[i].exchange_ns >= b[j].exchange_ns:
        j = a[i].other
        if j < 0:
            return False
    else:
        i = b[j].other
        if i < 0:
            return False
    return (gap_of(a[i], b[j]) if buy == 0 else gap_of(b[j], a[i])) > 0.0


@njit
def _condition(a: Any, b: Any, i: int, j: int, buy: int, gap: float, mean: float, band_bp: float) -> int:
    """The first condition that holds, staleness apart (that depends on time)."""
    if a[i].crossed + b[j].crossed > 0:
        return CROSSED_STATE
    halves = _half_spreads(a[i], b[j])
    if mean > halves and gap <= mean - halves + band_bp:
        return EXPLAINED
    if not _shared(a, b, i, j, buy):
        return UNSHARED
    return CLEAN


@njit
def _open(e: Any, t_ns: int, buy: int) -> None:
    e.start_ns = e.end_ns = t_ns
    e.clean_ns = -1
    e.buy = buy
    e.states = e.age_max_ns = 0
    e.in_crossed_ns = e.in_stale_ns = e.in_explained_ns = e.in_unshared_ns = e.in_clean_ns = 0
    e.gap_bp = e.slow_bp = e.qty = e.price = math.nan
    e.gap_max_bp = -math.inf


@njit
def _book_state(e: Any, t_ns: int, next_ns: int, stale_at_ns: int, kind: int) -> bool:
    """Book a state's time; True when it starts out clean."""
    e.states += 1
    e.end_ns = next_ns
    span = max(next_ns - t_ns, 1)
    if kind == CROSSED_STATE:
        e.in_crossed_ns += span
        return False
    old = min(max(t_ns + span - stale_at_ns, 0), span)
    e.in_stale_ns += old
    if kind == EXPLAINED:
        e.in_explained_ns += span - old
    elif kind == UNSHARED:
        e.in_unshared_ns += span - old
    else:
        e.in_clean_ns += span - old
    return kind == CLEAN and old < span


@njit
def _count(total: Any, t_ns: int, next_ns: int, stale_at_ns: int, gap: float, crossed: int) -> None:
    total.live_ns += next_ns - t_ns
    total.n_states += 1
    if gap > 0.0:
        total.gap_ns += next_ns - t_ns
        total.n_gap += 1
        if t_ns < stale_at_ns:
            total.n_fresh += 1
            if crossed == 0:
                total.n_sane += 1


@njit
def _extend(e: Any, buyer: Any, seller: Any, gap: float, mean: float, first: bool) -> None:
    """Keep the largest gap; at the first clean state, or the first at all, keep what it showed."""
    e.gap_max_bp = max(e.gap_max_bp, gap)
    if first or e.states == 1:
        e.gap_bp = gap
        e.slow_bp = mean
        e.qty = min(buyer.ask_qty, seller.bid_qty)
        e.price = 0.5 * (buyer.ask + seller.bid)


@njit
def _next_ns(a: Any, b: Any, i: int, j: int, end_ns: int) -> int:
    t = end_ns
    if i + 1 < len(a):
        t = a[i + 1].receive_ns
    if j + 1 < len(b):
        t = min(t, b[j + 1].receive_ns)
    return t


@njit
def scan(a: Any, b: Any, slow: Any, hows: Any, out: Any, totals: Any) -> int:
    """All episodes of a pair, both ways, into `out`; returns their count (beyond len(out): not written).

    a, b QUOTE[n] joined; slow f8[k], the slow mean of (mid of b - mid of a) in bp; hows HOW[1]; totals
    TOTALS[2], added to. Direction 0 buys on `a`.
    """
    how = hows[0]
    i = j = -1
    n = 0
    at = np.full(2, -1, np.int64)  # open episode of each direction
    t = _next_ns(a, b, i, j, how.end_ns)
    while t < how.end_ns:
        while i + 1 < len(a) and a[i + 1].receive_ns <= t:
            i += 1
        while j + 1 < len(b) and b[j + 1].receive_ns <= t:
            j += 1
        next_ns = _next_ns(a, b, i, j, how.end_ns)
        if i >= 0 and j >= 0:
            stale_at = min(a[i].receive_ns, b[j].receive_ns) + how.max_age_ns
            mean = slow[min(max((t - how.grid_ns) // how.step_ns, 0), len(slow) - 1)]
            for buy in range(2):
                gap = gap_of(a[i], b[j]) if buy == 0 else gap_of(b[j], a[i])
                if not math.isnan(gap):
                    _count(totals[buy], t, next_ns, stale_at, gap, a[i].crossed + b[j].crossed)
                if not gap > 0.0:
                    at[buy] = -1
                    continue
                if at[buy] < 0:
                    at[buy] = n
                    n += 1
                    if at[buy] < len(out):
                        _open(out[at[buy]], t, buy)
                if at[buy] < len(out):
                    e = out[at[buy]]
                    signed = mean if buy == 0 else -mean
                    kind = _condition(a, b, i, j, buy, gap, signed, how.band_bp)
                    clean = _book_state(e, t, next_ns, stale_at, kind) and e.clean_ns < 0
                    if clean:
                        e.clean_ns = t
                    _extend(e, a[i] if buy == 0 else b[j], b[j] if buy == 0 else a[i], gap, signed, clean)
                    e.age_max_ns = max(e.age_max_ns, next_ns - min(a[i].receive_ns, b[j].receive_ns))
        t = next_ns
    return n


@dataclass(frozen=True)
class Slow:
    """The slow mean of (mid of b - mid of a) and what lies around it, bp of the mid of a."""

    mean_bp: np.ndarray  # from first_ns + i * step_ns on
    first_ns: int
    step_ns: int
    median_bp: float  # of the difference itself, over time
    sigma_bp: float  # robust standard deviation around the slow mean


def slow_mean(a: np.ndarray, b: np.ndarray, *, window_ns: int, steps: int = 64) -> Slow:
    """Centred rolling median of the difference of mids on a grid of `window_ns / steps`.

    An audit looks back on a whole tape, so the window may lie on both sides; no strategy may do so.
    """
    from scipy.ndimage import median_filter

    first = int(max(a["receive_ns"][0], b["receive_ns"][0]))
    last = int(min(a["receive_ns"][-1], b["receive_ns"][-1]))
    step = max(window_ns // steps, (last - first) // 4_000_000, 1)
    at = np.arange(first, max(last, first + 1), step)
    mids = []
    for x in (a, b):
        row = np.searchsorted(x["receive_ns"], at, side="right") - 1
        mids.append(0.5 * (x["bid"][row] + x["ask"][row]))
    gap = 1e4 * (mids[1] - mids[0]) / mids[0]
    good = np.flatnonzero(np.isfinite(gap))
    if len(good) == 0:
        return Slow(np.zeros(1), first, step, math.nan, 0.0)
    gap = gap[good[np.maximum(np.searchsorted(good, np.arange(len(gap)), side="right") - 1, 0)]]
    width = min(2 * (max(window_ns // step, 1) // 2) + 1, len(gap))
    mean = median_filter(gap, size=width, mode="nearest")
    return Slow(mean, first, step, float(np.median(gap)), float(1.4826 * np.median(np.abs(gap - mean))))


def find_episodes(
    a: np.ndarray, b: np.ndarray, *, max_age_ns: int, window_ns: int, band_sigmas: float = 3.0
) -> tuple[np.ndarray, np.ndarray, Slow]:
    """EPISODE[n] of two joined legs, TOTALS[2] by direction, and the slow mean they were held against."""
    slow = slow_mean(a, b, window_ns=window_ns)
    end = int(max(a["receive_ns"][-1], b["receive_ns"][-1])) + 1
    how = np.zeros(1, HOW)
    how[0] = (max_age_ns, end, slow.first_ns, slow.step_ns, band_sigmas * slow.sigma_bp)
    room = 1 << 14
    while True:
        out, totals = np.zeros(room, EPISODE), np.zeros(2, TOTALS)
        n = scan(a, b, slow.mean_bp, how, out, totals)
        if n <= room:
            return out[:n], totals, slow
        room = n
