"""Train and test rows that share no information: walk-forward, purged K-fold, combinatorial purged cross-validation.

Row i is known from `start[i]` to `end[i]` (its label looks ahead to `end`), by default the row itself. Purging drops a
train row whose interval meets that of a test block; the embargo also drops the rows that begin within `embargo` after
the block's last label. Times are integers of any unit (rows, nanoseconds), rising in `start`.

N groups with k of them tested give C(N, k) splits, and each group is tested C(N-1, k-1) times, so as many paths run
through the whole sample out of sample: path j takes from each group the j-th split that tests it.

Reference: M. Lopez de Prado (2018), Advances in Financial Machine Learning, chapters 7 and 12.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import comb
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError


class Split(msgspec.Struct, frozen=True):
    """Rows, int64, rising. `groups` are the numbers of the tested groups (empty in a walk-forward)."""

    train: np.ndarray
    test: np.ndarray
    groups: tuple[int, ...] = ()


def walk_forward(
    n: int, *, train: int, test: int, gap: int = 0, step: int = 0, expanding: bool = False
) -> Iterator[Split]:
    """Train on `train` rows (or on all so far), leave `gap` rows out, test on the next `test`; go on by `step`.

    step 0 means `test`. gap at least the reach of the labels. Only whole test windows. Raises ConfigError when not one
    fits.
    """
    if min(n, train, test) < 1 or min(gap, step) < 0 or train + gap + test > n:
        raise ConfigError(
            f"walk-forward: expected train, test >= 1, gap, step >= 0 and train + gap + test <= {n} rows, got {train}, "
            f"{test}, {gap}, {step}"
        )
    at = train
    while at + gap + test <= n:
        first = 0 if expanding else at - train
        yield Split(np.arange(first, at), np.arange(at + gap, at + gap + test))
        at += step or test


def purged_kfold(n: int, folds: int = 5, *, start: Any = None, end: Any = None, embargo: int = 0) -> Iterator[Split]:
    """K folds in time order, each tested once on a model that never saw what its labels look at."""
    yield from combinatorial(n, folds, 1, start=start, end=end, embargo=embargo)


def combinatorial(
    n: int, groups: int, tested: int = 2, *, start: Any = None, end: Any = None, embargo: int = 0
) -> Iterator[Split]:
    """All C(groups, tested) splits, tested groups in lexicographic order.

    start, end: int64[n], the interval that each row's label uses, both ends included; left out, row i is [i, i].
    embargo >= 0 in the unit of the times. Groups differ by at most one row, the first ones are larger.
    Raises ConfigError for impossible numbers, DataError for intervals that end before they start or starts that fall.
    """
    first, last = _intervals(n, start, end)
    if not 2 <= groups <= n or not 1 <= tested < groups or embargo < 0:
        raise ConfigError(
            f"splits: expected 2 <= groups <= {n} rows, 1 <= tested < groups and embargo >= 0, got {groups}, {tested}, "
            f"{embargo}"
        )
    edges = _edges(n, groups)
    for chosen in combinations(range(groups), tested):
        is_test = np.zeros(n, bool)
        keep = np.ones(n, bool)
        for g in chosen:
            block = slice(edges[g], edges[g + 1])
            is_test[block] = True
            low, high = first[block].min(), last[block].max()
            keep &= (last < low) | (first > high + embargo)
        yield Split(np.flatnonzero(keep & ~is_test), np.flatnonzero(is_test), chosen)


def paths(groups: int, tested: int) -> np.ndarray:
    """The split of each group on each path, numbered as by `combinatorial`: int64[paths, groups]."""
    if not 1 <= tested < groups:
        raise ConfigError(f"paths: expected 1 <= tested < groups, got {tested} and {groups}")
    out = np.empty((comb(groups - 1, tested - 1), groups), np.int64)
    seen = [0] * groups
    for split, chosen in enumerate(combinations(range(groups), tested)):
        for g in chosen:
            out[seen[g], g] = split
            seen[g] += 1
    return out


def path_rows(n: int, groups: int, tested: int, path: int) -> np.ndarray:
    """int64[n]: the split whose test gives row i of this path."""
    edges = _edges(n, groups)
    return np.repeat(paths(groups, tested)[path], np.diff(edges))


def _edges(n: int, groups: int) -> np.ndarray:
    base, more = divmod(n, groups)
    edges = np.zeros(groups + 1, np.int64)
    np.cumsum([base + (g < more) for g in range(groups)], out=edges[1:])
    return edges


def _intervals(n: int, start: Any, end: Any) -> tuple[np.ndarray, np.ndarray]:
    if n < 2:
        raise ConfigError(f"n: expected 2 rows or more, got {n}")
    first = np.arange(n) if start is None else np.asarray(start, np.int64)
    last = first if end is None else np.asarray(end, np.int64)
    if first.shape != (n,) or last.shape != (n,):
        raise DataError(f"intervals: expected shapes ({n},), got {first.shape} and {last.shape}")
    if (last < first).any() or (np.diff(first) < 0).any():
        raise DataError("intervals: expected start to rise and end >= start in every row")
    return first, last
