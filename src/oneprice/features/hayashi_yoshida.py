"""Covariance and lead-lag of two prices seen at different times, online, without a common grid.

    U(l) = sum_{i,j} r_i s_j 1{(t_{i-1} + l, t_i + l] meets (u_{j-1}, u_j]}

r are log returns of stream 0 at its own times t, s those of stream 1 at its times u; l > 0 asks whether stream 0 leads
by l. Resampling both onto one grid pulls the covariance to zero (the Epps effect); this sum is unbiased.
The lead is the lag of the largest |U| (Hoffmann-Rosenbaum-Yoshida contrast) on a grid of 2 SIDE + 1 lags.

One pass: pairs are counted when the later of the two intervals ends. For l >= 0 stream 0 is read from a ring l later,
when stream 1 ticks (for l < 0 the other way round); what came between two ticks of the other stream telescopes, so an
event costs one comparison a lag plus little for those that have something due. Older products fade by e^(-dt/tau)
(`tau_s = 0`: never). Ticks beyond the ring within one lag are merged into the next one (counted in `lost`): a coarser
sampling, still unbiased.

References: T. Hayashi, N. Yoshida (2005), On covariance estimation of non-synchronously observed diffusion processes,
Bernoulli 11(2), doi:10.3150/bj/1116340299; M. Hoffmann, M. Rosenbaum, N. Yoshida (2013), Estimation of the lead-lag
parameter from non-synchronous data, Bernoulli 19(2), doi:10.3150/11-BEJ407; N. Huth, F. Abergel (2014),
doi:10.1016/j.jempfin.2014.01.003 (the lead-lag ratio).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

SIDE, CAPACITY = 4, 1024
HEAVY, SMALL = 1e100, 1e-3  # weight at which sums are scaled down; returns short enough for a series


def lead_lag_state(side: int = SIDE, capacity: int = CAPACITY) -> np.dtype:
    """A state with lags -side .. side and rings of `capacity` ticks (a power of two) a stream; `step` works on any."""
    if side < 1 or capacity < 2 or capacity & (capacity - 1):
        raise ConfigError(f"lead-lag state: expected side >= 1 and capacity a power of two, got {side}, {capacity}")
    lags = 2 * side + 1
    return record(
        [
            ("now_ns", "i8"),  # of the ticks that wait
            ("waiting", "f8", (2,)),  # price of each stream at now_ns, taken in when time moves on; 0: none
            ("last_ns", "i8"),  # of the last tick taken in
            ("weight", "f8"),  # of a product made then
            ("price", "f8", (2,)),  # last of each stream
            ("level", "f8", (2,)),  # log of it over the first
            ("squares", "f8", (2,)),  # weighted squared returns
            ("seen", "i8", (2,)),  # ticks of each stream
            ("lost", "i8"),
            ("cov", "f8", (lags,)),  # weighted U, lag = (index - side) lag_s
            ("delayed_level", "f8", (lags,)),  # of the stream read late, when it was last read
            ("mark", "f8", (lags,)),  # level of the other stream from which its returns are still unpaired
            ("cursor", "i8", (lags,)),  # ticks of the late stream read so far
            ("ring_ns", "i8", (2, capacity)),
            ("ring_level", "f8", (2, capacity)),
            ("n", "i8"),
        ]
    )


STATE = lead_lag_state()
PARAMS = record([("lag_s", "f8"), ("tau_s", "f8")])


@njit
def step(s: Any, time_ns: int, stream: float, price: float, lag_s: float, tau_s: float) -> float:
    """Correlation at lag 0 of all ticks before `time_ns`, decayed over tau_s; NaN until both have moved.

    NaN with the state unchanged when price is not positive and finite, stream is neither 0 nor 1 or time goes back.
    `lag_s` (> 0) is the step of the grid; it must stay the same over the life of a state. A tick waits until time
    moves on: of several at one time the last counts (`settle` takes it in at the end of data).
    """
    if not (math.isfinite(price) and price > 0.0 and (stream == 0.0 or stream == 1.0)):
        return math.nan
    if s.n > 0 and time_ns < s.now_ns:
        return math.nan
    if time_ns > s.now_ns:
        settle(s, lag_s, tau_s)
    s.now_ns = time_ns
    s.waiting[int(stream)] = price
    s.n += 1
    return correlation(s, len(s.cov) // 2)


@njit
def settle(s: Any, lag_s: float, tau_s: float) -> None:
    """Take in the ticks that wait: no other may come at their time."""
    for own in range(2):
        if s.waiting[own] > 0.0:
            _take(s, own, s.waiting[own], lag_s, tau_s)
            s.waiting[own] = 0.0


@njit
def _take(s: Any, own: int, price: float, lag_s: float, tau_s: float) -> None:
    """One tick of stream `own` at `now_ns`, paired at each lag with what is due of the other."""
    room = s.ring_ns.shape[1]
    time_ns = s.now_ns
    if s.seen[0] + s.seen[1] == 0:
        s.weight = 1.0
    elif tau_s > 0.0:
        s.weight *= math.exp(min((time_ns - s.last_ns) * 1e-9 / tau_s, 700.0))
        if not s.weight < HEAVY:
            _rescale(s)
    before = s.level[own]
    r = 0.0
    if s.seen[own] > 0:
        r = (price - s.price[own]) / s.price[own]
        if abs(r) < SMALL:  # log1p to the last digit, for a fifth of its time
            r *= 1.0 - r * (0.5 - r * (1.0 / 3.0 - r * (0.25 - r * 0.2)))
        else:
            r = math.log1p(r)
    level = before + r
    s.price[own] = price
    s.squares[own] += s.weight * (r * r)
    at = s.seen[own] & (room - 1)
    s.ring_ns[own, at] = time_ns
    s.ring_level[own, at] = level
    s.seen[own] += 1
    lag_ns = int(lag_s * 1e9 + 0.5)
    if own == 1:
        _pair(s, 0, s.weight, before, level, time_ns, lag_ns)
    else:
        _pair(s, 1, s.weight, before, level, time_ns, lag_ns)
    s.level[own] = level
    s.last_ns = time_ns


@njit
def _pair(s: Any, late: int, weight: float, before: float, level: float, time_ns: int, lag_ns: int) -> None:
    """At a tick of the other stream from `before` to `level`: at each of its lags, what is due of stream `late`."""
    side = len(s.cov) // 2
    room = s.ring_ns.shape[1]
    ring_ns = s.ring_ns[late]
    ring_level = s.ring_level[late]
    cov, delayed, mark, cursor = s.cov, s.delayed_level, s.mark, s.cursor
    seen = s.seen[late]
    step_k = 1 if late == 0 else -1
    k = side if late == 0 else side - 1
    due = time_ns if late == 0 else time_ns - lag_ns
    for _ in range(side + 1 if late == 0 else side):
        c = cursor[k]
        if seen - c > room:
            s.lost += seen - room - c
            c = seen - room
            cursor[k] = c
        if c < seen and ring_ns[c & (room - 1)] <= due:
            opening = ring_level[c & (room - 1)] - delayed[k]
            while c + 1 < seen and ring_ns[(c + 1) & (room - 1)] <= due:
                c += 1
            last = ring_level[c & (room - 1)]
            cov[k] += weight * (opening * (before - mark[k]) + (last - delayed[k]) * (level - before))
            # intervals are open on the left: a tick of both at one time leaves nothing of this return unpaired
            mark[k] = level if ring_ns[c & (room - 1)] == due else before
            delayed[k] = last
            cursor[k] = c + 1
        k += step_k
        due -= lag_ns


@njit
def _rescale(s: Any) -> None:
    """Weights grow by e^(dt/tau); before they overflow all sums are put back to weight 1 (after a long gap: to 0)."""
    down = 1.0 / s.weight
    s.squares[0] *= down
    s.squares[1] *= down
    for k in range(len(s.cov)):
        s.cov[k] *= down
    s.weight = 1.0


@njit
def _contrast(s: Any, k: int) -> float:
    """Weighted U at lag index k of every pair of returns known: what was paired, and the pairs of the last return of
    one stream with the first of the late one that is not read yet (the sum over both samples, no tick left out).
    """
    side = len(s.cov) // 2
    late = 0 if k >= side else 1
    room = s.ring_ns.shape[1]
    c = max(s.cursor[k], s.seen[late] - room)
    if c >= s.seen[late]:
        return s.cov[k]
    opening = s.ring_level[late, c & (room - 1)] - s.delayed_level[k]
    return s.cov[k] + s.weight * (opening * (s.level[1 - late] - s.mark[k]))


@njit
def covariance(s: Any, k: int) -> float:
    """U at lag index k (0 .. 2 side): decayed sum of products of log returns; NaN before the first tick."""
    return _contrast(s, k) / s.weight if s.n > 0 else math.nan


@njit
def correlation(s: Any, k: int) -> float:
    """U over the root of both realised variances at lag index k; NaN until both streams have moved.

    Not bounded by 1 in small samples.
    """
    both = math.sqrt(s.squares[0] * s.squares[1])
    return _contrast(s, k) / both if both > 0.0 else math.nan


@njit
def lead(s: Any, lag_s: float) -> tuple[float, float]:
    """(seconds by which stream 0 leads, correlation there): the lag of the largest |U|; NaN until both have moved.

    Of equal ones the lag nearest 0 is taken, so that no signal is no lead.
    """
    side = len(s.cov) // 2
    best = side
    most = abs(_contrast(s, side))
    for j in range(1, side + 1):
        for k in (side + j, side - j):
            u = abs(_contrast(s, k))
            if u > most:
                best = k
                most = u
    c = correlation(s, best)
    return ((best - side) * lag_s if math.isfinite(c) else math.nan), c


@njit
def lead_lag_ratio(s: Any) -> float:
    """Sum of U^2 at positive lags over that at negative ones: above 1 stream 0 leads; NaN while undefined."""
    side = len(s.cov) // 2
    ahead = 0.0
    behind = 0.0
    for k in range(side):
        behind += _contrast(s, k) ** 2
        ahead += _contrast(s, side + 1 + k) ** 2
    return ahead / behind if behind > 0.0 else math.nan


@njit
def loop(states: Any, time_ns: Any, stream: Any, price: Any, lag_s: float, tau_s: float, out: Any) -> None:
    """`step` over arrays."""
    for i in range(len(out)):
        out[i] = step(states[0], time_ns[i], stream[i], price[i], lag_s, tau_s)


FOLD = Fold(
    "hayashi_yoshida",
    STATE,
    PARAMS,
    step,
    loop,
    ("time_ns", "stream", "price"),
    {"lag_s": 0.1, "tau_s": 60.0},
    {"lag_s": (1e-9, 1e6), "tau_s": (0.0, 1e9)},
)
