"""Baskets of three and four legs as further hypotheses of a window: chosen by returns, tested by Johansen's trace.

Which baskets are tried is fixed before any test, from one-step moves alone: each series with the two (three) that move
most like it within its group, if each of them does by more than LIKE / sqrt(T) in correlation, which unrelated series
do not. So a window adds at most two hypotheses a series to the pairs, and all are judged in one family. The test is the
trace of "no relation" against driftless walks of this length. A basket around a pair (or a smaller basket) with as much
evidence is that relation and a passenger, not another one: its p is raised to 1 and it still counts in the family, so
trivial discoveries cannot lend their rank to others.

The weights come from the same window: Johansen's relation of the largest eigenvalue with shrinkage, or Box and Tiao's
least predictable portfolio, the one that strays less. Both are fitted on the first two thirds; straying is the root
mean square distance from their centre over the last third, in their deviations of the first two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import msgspec
import numpy as np

from oneprice.core.errors import DataError
from oneprice.signals.cointegration.baskets import basket_moments, johansen_baskets
from oneprice.signals.cointegration.johansen import johansen_null, reduced_rank, residuals
from oneprice.signals.reversion.box_tiao import box_tiao

SHRINKAGE = 0.002  # as in the screen: more hides the relations of series that share most of their movement
LIKE = 3.0  # standard errors of a correlation
LEAST_SHARE = 0.05  # of the gross value: a leg below it does nothing
JOHANSEN, BOX_TIAO = "johansen", "box_tiao"
LEAST_ROWS = 40


class Relation(msgspec.Struct, frozen=True):
    """Weights of a basket, sum |w| = 1, the first positive; `how` they were found; `strays` of both ways."""

    weights: tuple[float, ...]
    how: str
    strays: dict[str, float]


def candidates(rows: np.ndarray, sizes: Sequence[int], most_legs: int) -> list[tuple[int, ...]]:
    """Baskets of 3 to `most_legs` of rows [N, T] whose groups of `sizes` lie side by side; rising, none twice."""
    out: set[tuple[int, ...]] = set()
    start = 0
    for size in sizes:
        if size >= 3:
            like = np.abs(np.corrcoef(np.diff(rows[start : start + size], axis=1)))
            np.fill_diagonal(like, -1.0)
            nearest = np.argsort(-like, axis=1, kind="stable")
            least = LIKE / np.sqrt(rows.shape[1] - 1)
            for legs in range(3, min(most_legs, size) + 1):
                for i in np.flatnonzero(like[np.arange(size), nearest[:, legs - 2]] > least):
                    out.add(tuple(sorted((start + int(i), *(start + nearest[i, : legs - 1]).tolist()))))
        start += size
    return sorted(out, key=lambda b: (len(b), b))


def trace_p(rows: np.ndarray, baskets: Sequence[tuple[int, ...]], lags: int) -> tuple[np.ndarray, float]:
    """(p of "no relation" of each basket, NaN where its series determine each other; the smallest p there can be)."""
    out = np.full(len(baskets), np.nan)
    floor = 0.0
    if not baskets:
        return out, floor
    moments = basket_moments(rows - rows[:, :1], lags=lags)
    for legs in sorted({len(b) for b in baskets}):
        at = [k for k, b in enumerate(baskets) if len(b) == legs]
        trace, _, _ = johansen_baskets(moments, np.array([baskets[k] for k in at], np.int64))
        law, _ = johansen_null(rows.shape[1], legs, lags=lags)
        good = np.isfinite(trace[:, 0])
        out[np.array(at)[good]] = law.p(trace[good, 0])
        floor = max(floor, law.floor)
    return out, floor


def beyond_parts(
    p: np.ndarray, baskets: Sequence[tuple[int, ...]], of_pairs: Mapping[frozenset[int], float]
) -> np.ndarray:
    """p of baskets, raised to 1 where a pair or smaller basket inside has a p as small; raising keeps a test's size."""
    parts = dict(of_pairs)
    parts.update({frozenset(b): float(v) for b, v in zip(baskets, p, strict=True) if np.isfinite(v)})
    out = p.copy()
    for k, b in enumerate(baskets):
        inside = (frozenset(c) for n in range(2, len(b)) for c in combinations(b, n))
        if any(parts.get(part, 2.0) <= p[k] for part in inside):
            out[k] = 1.0
    return out


def relation(x: np.ndarray, lags: int) -> Relation:
    """The weights of a basket x [legs, T] that strayed less over the last third.

    Raises DataError for series that determine each other or are too short.
    """
    length = x.shape[1]
    if length < LEAST_ROWS:
        raise DataError(f"basket: expected {LEAST_ROWS} rows or more, got {length}")
    base = x - x[:, :1]
    cut = length - length // 3
    early = {how: _weights(base[:, :cut], lags, how) for how in (JOHANSEN, BOX_TIAO)}
    strays = {}
    for how, w in early.items():
        seen, later = w @ base[:, :cut], w @ base[:, cut:]
        strays[how] = float(np.sqrt(np.mean((later - seen.mean()) ** 2)) / seen.std())
    how = min(strays, key=lambda name: strays[name])
    return Relation(tuple(_weights(base, lags, how).tolist()), how, strays)


def _weights(base: np.ndarray, lags: int, how: str) -> np.ndarray:
    if how == JOHANSEN:
        ridge = SHRINKAGE / (1.0 - SHRINKAGE)
        w = reduced_rank(*residuals(base, lags, "c", 0), ridge)[1][: len(base), 0]
    else:
        w = box_tiao(base).least
    return np.asarray(w / np.abs(w).sum() * (1.0 if w[0] > 0.0 else -1.0))
