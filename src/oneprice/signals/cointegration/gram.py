"""Engle-Granger over all pairs of two blocks of series from their moments: the screen's engine.

`prepare` a block once (lags fixed, or the most of an information criterion), then for each two blocks

    pairs_fixed(a, b, stat, beta)           stat, beta float64 [nA, nB]: a_i regressed on b_j
    pairs_chosen(a, b, stat, beta, lags)    lags int64 [nA, nB] chosen by AIC or BIC

    pairs_within(a, stat, beta, lags)       one block with itself, each pair once: a_i on a_j for i < j, else NaN

and `null.p(stat)` of `engle_granger_null`, or `surface_p_rows`. The trend is taken out of each series first
(Frisch-Waugh), lags + 2 matrix products give all cross moments, and a pair costs what its lags cost, not its length.
Pairs where less than 1e-4 of a square is left (1 - R^2 of the levels, of the differences, of the regression) are done
again by the direct kernel; at R^2 >= 1 - 1.49e-6 the statistic is -inf and the lags are 0 (no test is possible), also
for a series on itself.

Memory: (lags + 2) nA nB doubles a call beside the outputs: blocks of 500 at fixed lags, of 200 with lags chosen.
Both orders of a pair are two calls with the blocks exchanged (or the full square of one block); they are one
hypothesis, not two.

Source: Engle and Granger (1987), doi:10.2307/1913236; Frisch and Waugh (1933), doi:10.2307/1907330.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.signals.cointegration.gram_kernels import chosen_pairs, fixed_pairs, own_moments
from oneprice.signals.cointegration.kernels import pair_tests
from oneprice.signals.unit_root.inputs import AIC, FIXED, lag_rule, trend_code

NEAR_ROOM = 1_024  # pairs of two blocks that are nearly collinear; more cost a second pass


class Moments(msgspec.Struct, frozen=True):
    """A block prepared for pairing. Arrays are float64, series last but in `levels`, `detrended`, `steps`.

    `own` [L+2, n]: sums of d_t d_{t-k} (k = 0..L) and of x_t^2; `head`, `tail` [L, n]: differences before the sample,
    from its start backwards, and its last ones; `ends` [L+2, n]: levels before the sample, at its start and last;
    `total` [n]: what R^2 is measured against.
    """

    levels: Any  # [n, T] as given
    detrended: Any  # [n, T]
    steps: Any  # [n, T-1]
    own: Any
    head: Any
    tail: Any
    ends: Any
    total: Any
    lags: int
    criterion: int
    trend: str

    @property
    def count(self) -> int:
        """Number of series."""
        return int(self.levels.shape[0])

    @property
    def n_obs(self) -> int:
        """Observations of each."""
        return int(self.levels.shape[1])


def prepare(block: Any, lags: int | str, *, trend: str = "c", max_lags: int | None = None) -> Moments:
    """The moments of a block of series [n, T] (C order, float64), any n >= 1.

    lags: fixed number, "aic" or "bic" (among 0..max_lags, Schwert's bound when left out).

    Raises DataError for values that are not finite, constant series (by row) or too few observations.
    """
    x = np.ascontiguousarray(block, np.float64)
    if x.ndim != 2 or len(x) == 0 or x.shape[1] < 8:
        raise DataError(f"block: expected series of shape (n, T) with T >= 8, got {x.shape}")
    code = trend_code(trend)
    p, criterion = lag_rule(lags, x.shape[1], 0, max_lags)
    bad = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if len(bad):
        raise DataError(f"block: series {bad[0]} has values that are not finite ({len(bad)} such series): exclude them")
    flat = np.flatnonzero(x.max(axis=1) == x.min(axis=1))
    if len(flat):
        raise DataError(f"block: series {flat[0]} is constant ({len(flat)} such series): exclude them")
    n, m = x.shape[0], x.shape[1] - 1
    room = np.empty(x.size + n * m)  # one piece: memory of this size is kept by the allocator from block to block
    e, total = detrend(x, code, room[: x.size].reshape(x.shape))
    d, own = room[x.size :].reshape(n, m), np.empty((p + 2, n))
    head, tail, ends = np.empty((p, n)), np.empty((p, n)), np.empty((p + 2, n))
    own_moments(e, d, own, (head, tail, ends))
    return Moments(x, e, d, own, head, tail, ends, total, p, criterion, trend)


def detrend(x: np.ndarray, trend: int, e: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(series [n, T] less their constant and trend, sums of squares about the mean, or about 0 without constant).

    e: room for them, unless the trend takes nothing out.
    """
    if trend == 0:
        return x, np.einsum("it,it->i", x, x)
    np.subtract(x, x.mean(axis=1, keepdims=True), out=e)
    e -= e.mean(axis=1, keepdims=True)  # twice: once leaves the rounding of the level, which may exceed the moves
    total = np.einsum("it,it->i", e, e)
    if trend == 2:
        time = np.arange(x.shape[1]) - (x.shape[1] - 1) / 2.0
        for _ in range(2):
            e -= np.outer(e @ time / (time @ time), time)
        e -= e.mean(axis=1, keepdims=True)
    return e, total


def cross_moments(a: Moments, b: Moments) -> np.ndarray:
    """Float64 [L+2, nA, nB]: sum_t (da_t db_{t-k} + db_t da_{t-k}), t = L .. T-2, k = 0..L; then sum_t a_t b_t."""
    if a is b:
        return own_cross_moments(a)
    p, d = a.lags, b.steps
    m = d.shape[1]
    out = np.empty((p + 2, a.count, b.count))
    np.matmul(a.steps[:, p:], d[:, p:].T, out=out[0])
    out[0] *= 2.0
    shifted = np.empty((b.count, m))
    for k in range(1, p + 1):  # one product: each difference of A meets the sum of those of B it is paired with
        s = shifted[:, p - k :]
        s[:, : m - p] = d[:, p:]
        s[:, m - p :] = 0.0
        s[:, k:] += d[:, p - k : m - k]
        np.matmul(a.steps[:, p - k :], s.T, out=out[k])
    np.matmul(a.detrended, b.detrended.T, out=out[p + 1])
    return out


def own_cross_moments(a: Moments) -> np.ndarray:
    """The same of a block with itself by symmetric products, half the work: u v' + v u' = (u+v)(u+v)' - u u' - v v'."""
    p, d = a.lags, a.steps
    m = d.shape[1]
    out = np.empty((p + 2, a.count, a.count))
    now = d[:, p:]
    np.matmul(now, now.T, out=out[0])
    out[0] *= 2.0
    both, square = np.empty(now.shape), np.empty(out.shape[1:])
    ends, signed = np.empty((a.count, 2 * p)), np.empty((a.count, 2 * p))  # what enters and leaves the sample
    for k in range(1, p + 1):
        np.add(now, d[:, p - k : m - k], out=both)
        np.matmul(both, both.T, out=out[k])
        out[k] -= out[0]
        ends[:, :k], ends[:, k : 2 * k] = d[:, p - k : p], d[:, m - k :]
        signed[:, :k], signed[:, k : 2 * k] = ends[:, :k], -ends[:, k : 2 * k]
        np.matmul(ends[:, : 2 * k], signed[:, : 2 * k].T, out=square)
        out[k] -= square
    np.matmul(a.detrended, a.detrended.T, out=out[p + 1])
    return out


def pairs_fixed(a: Moments, b: Moments, stat: np.ndarray, beta: np.ndarray) -> None:
    """t of the residual of a_i on b_j at the fixed lags of both, into stat and beta, float64 [nA, nB].

    Raises ConfigError when the blocks were prepared differently or the outputs do not fit.
    """
    fits(a, b, FIXED, stat, beta)
    work_fixed(a, b, stat, beta, 0)


def pairs_chosen(a: Moments, b: Moments, stat: np.ndarray, beta: np.ndarray, lags: np.ndarray) -> None:
    """The same with the lags of each pair chosen by the blocks' criterion, into lags int64 [nA, nB]."""
    fits(a, b, a.criterion or AIC, stat, beta)
    fits_lags(stat, lags)
    work_chosen(a, b, (stat, beta, lags), 0)


def pairs_within(m: Moments, stat: np.ndarray, beta: np.ndarray, lags: np.ndarray | None = None) -> None:
    """Each pair i < j of one block once, a_i on a_j, into stat and beta [n, n]; NaN (lags: 0) elsewhere.

    lags int64 [n, n]: needed when the block's lags are chosen. Raises as `pairs_fixed`.
    """
    fits(m, m, m.criterion, stat, beta)
    below = np.tri(m.count, dtype=bool)
    if m.criterion == FIXED:
        work_fixed(m, m, stat, beta, 1)
    elif lags is None:
        raise ConfigError(f"lags: expected int64 of shape {stat.shape} for lags by criterion, got none")
    else:
        fits_lags(stat, lags)
        work_chosen(m, m, (stat, beta, lags), 1)
        lags[below] = 0
    stat[below], beta[below] = math.nan, math.nan


def work_fixed(a: Moments, b: Moments, stat: np.ndarray, beta: np.ndarray, upper: int) -> None:
    """All pairs of two blocks at fixed lags (upper 1: i < j only); nearly collinear ones by the direct kernel."""
    cross = cross_moments(a, b)
    near = listed(lambda room: fixed_pairs(rows(a), rows(b), cross, (a.n_obs, upper), (stat, beta, room)))
    again(a, b, near, stat, np.empty(stat.shape if len(near) else (0, 0), np.int64))


def work_chosen(a: Moments, b: Moments, out: tuple[np.ndarray, np.ndarray, np.ndarray], upper: int) -> None:
    """The same with lags chosen; out (stat, beta, lags)."""
    n = a.n_obs - 1 - a.lags
    per_lag = 2.0 if a.criterion == AIC else math.log(n)
    penalty = np.exp(per_lag * np.arange(a.lags + 1) / n)
    cross = cross_moments(a, b)
    near = listed(lambda room: chosen_pairs(rows(a), rows(b), cross, penalty, (a.n_obs, upper), (*out, room)))
    again(a, b, near, out[0], out[2])


def listed(run: Callable[[np.ndarray], int]) -> np.ndarray:
    """The pairs int64 [m, 2] that `run` leaves to the direct kernel; run once more where they exceed the usual room."""
    near = np.empty((NEAR_ROOM, 2), np.int64)
    left = run(near)
    if left > len(near):
        near = np.empty((left, 2), np.int64)
        run(near)
    return near[:left]


def again(a: Moments, b: Moments, near: np.ndarray, stat: np.ndarray, lags: np.ndarray) -> None:
    """The direct kernel for pairs whose moments have lost digits."""
    if len(near):
        settings = (a.lags, trend_code(a.trend), a.criterion)
        pair_tests(a.levels, b.levels, near, settings, stat, lags)


def rows(m: Moments) -> tuple[Any, ...]:
    """What the kernels read of a block."""
    return m.own, m.head, m.tail, m.ends, m.total


def fits(a: Moments, b: Moments, criterion: int, stat: np.ndarray, beta: np.ndarray) -> None:
    """Raise unless two blocks and the outputs belong together."""
    one, other = (a.lags, a.criterion, a.trend, a.n_obs), (b.lags, b.criterion, b.trend, b.n_obs)
    if one != other:
        raise ConfigError(f"blocks: expected the same (lags, criterion, trend, T), got {one} and {other}")
    if a.criterion != criterion:
        raise ConfigError("blocks: pairs_fixed takes blocks of fixed lags, pairs_chosen those of 'aic' or 'bic'")
    for name, out in (("stat", stat), ("beta", beta)):
        if out.shape != (a.count, b.count) or out.dtype != np.float64 or not out.flags.c_contiguous:
            want = f"float64 [{a.count}, {b.count}] in C order"
            raise ConfigError(f"{name}: expected {want}, got {out.dtype} {out.shape}")


def fits_lags(stat: np.ndarray, lags: np.ndarray) -> None:
    """Raise unless lags can be written."""
    if lags.shape != stat.shape or lags.dtype != np.int64 or not lags.flags.c_contiguous:
        raise ConfigError(f"lags: expected int64 of shape {stat.shape} in C order, got {lags.dtype} of {lags.shape}")
