"""Splits and labels on any intervals: nothing shared between train and test, every row tested, no look past a touch."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.core.errors import ConfigError, DataError
from oneprice.signals.validation.labels import effective_size, triple_barrier, uniqueness
from oneprice.signals.validation.splits import combinatorial, path_rows, paths, purged_kfold, walk_forward


@st.composite
def layouts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int, int, int]:
    """(start, end, groups, tested, embargo): irregular times, labels of any reach."""
    n = draw(st.integers(8, 60))
    start = np.cumsum(draw(st.lists(st.integers(0, 5), min_size=n, max_size=n)))
    reach = np.array(draw(st.lists(st.integers(0, 12), min_size=n, max_size=n)))
    groups = draw(st.integers(2, min(8, n)))
    tested = draw(st.integers(1, groups - 1))
    return start, start + reach, groups, tested, draw(st.integers(0, 10))


@given(layouts())
def test_no_train_label_meets_a_test_label(layout: tuple[np.ndarray, np.ndarray, int, int, int]) -> None:
    """In no split does the interval of a train row meet that of a test row, nor start in the embargo after it."""
    start, end, groups, tested, embargo = layout
    n = len(start)
    for s in combinatorial(n, groups, tested, start=start, end=end, embargo=embargo):
        assert not np.intersect1d(s.train, s.test).size
        for i in s.test:
            meets = (start[s.train] <= end[i]) & (end[s.train] >= start[i])
            held = (start[s.train] > end[i]) & (start[s.train] <= end[i] + embargo)
            assert not meets.any() and not held.any()


@given(layouts())
def test_purging_drops_no_more_than_it_must(layout: tuple[np.ndarray, np.ndarray, int, int, int]) -> None:
    """A row left out of both sides meets, or lies in the embargo of, the stretch of time of a tested group."""
    start, end, groups, tested, embargo = layout
    n = len(start)
    edges = np.cumsum([0] + [n // groups + (g < n % groups) for g in range(groups)])
    for s in combinatorial(n, groups, tested, start=start, end=end, embargo=embargo):
        spans = [(start[edges[g]], end[edges[g] : edges[g + 1]].max() + embargo) for g in s.groups]
        for i in np.setdiff1d(np.arange(n), np.union1d(s.train, s.test)):
            assert any(start[i] <= high and end[i] >= low for low, high in spans)


@given(layouts())
def test_each_path_covers_the_sample_once(layout: tuple[np.ndarray, np.ndarray, int, int, int]) -> None:
    """C(N, k) splits, C(N-1, k-1) paths; a path takes every row from a test; each (split, group) is on one path."""
    start, _, groups, tested, _ = layout
    n = len(start)
    splits = list(combinatorial(n, groups, tested))
    table = paths(groups, tested)
    assert len(splits) == comb(groups, tested) and len(table) == comb(groups - 1, tested - 1)
    for j in range(len(table)):
        rows = path_rows(n, groups, tested, j)
        assert all(i in splits[rows[i]].test for i in range(n))
    used = {(int(s), g) for row in table for g, s in enumerate(row)}
    assert used == {(i, g) for i, s in enumerate(splits) for g in s.groups}
    assert len(used) == table.size


def test_folds_test_every_row_once_in_order() -> None:
    """K folds: the tests join to the sample; sizes differ by one at most."""
    folds = list(purged_kfold(23, 5))
    assert np.array_equal(np.concatenate([f.test for f in folds]), np.arange(23))
    assert {len(f.test) for f in folds} == {4, 5}


@given(st.integers(3, 80), st.integers(1, 30), st.integers(1, 20), st.integers(0, 5), st.integers(0, 9))
def test_walk_forward_never_looks_ahead(n: int, train: int, test: int, gap: int, step: int) -> None:
    """Training ends `gap` rows before the test begins; with the default step tests are side by side."""
    if train + gap + test > n:
        with pytest.raises(ConfigError, match="walk-forward"):
            next(walk_forward(n, train=train, test=test, gap=gap, step=step))
        return
    windows = list(walk_forward(n, train=train, test=test, gap=gap, step=step))
    for w in windows:
        assert len(w.train) == train and len(w.test) == test and w.train[-1] + gap + 1 == w.test[0]
    if step == 0:
        joined = np.concatenate([w.test for w in windows])
        assert np.array_equal(joined, np.arange(joined[0], joined[-1] + 1))


# ---------------------------------------------------------------- labels
def plain_label(price: np.ndarray, at: int, last: int, up: float, down: float) -> tuple[int, int]:
    for j in range(at + 1, last + 1):
        move = np.log(price[j]) - np.log(price[at])
        if move >= up:
            return 1, j
        if move <= -down:
            return -1, j
    return 0, last


@settings(deadline=None)  # the first example compiles
@given(st.integers(0, 10_000))
def test_labels_are_first_touches(seed: int) -> None:
    """Equal to a plain search; another future after the touch changes nothing."""
    rng = np.random.default_rng(seed)
    price = 50.0 * np.exp(np.cumsum(0.01 * rng.standard_normal(80)))
    events = np.sort(rng.integers(0, 60, 12))
    sigma, last = 0.01 + 0.02 * rng.random(12), events + rng.integers(1, 20, 12)
    found = triple_barrier(price, events, sigma, last, up=1.5, down=1.0)
    for i, at in enumerate(events):
        side, touch = plain_label(price, at, last[i], 1.5 * sigma[i], sigma[i])
        assert (found.side[i], found.touch[i]) == (side, touch)
        other = price.copy()
        other[touch + 1 :] *= 2.0
        again = triple_barrier(other, events[i : i + 1], sigma[i : i + 1], last[i : i + 1], up=1.5, down=1.0)
        assert (again.side[0], again.touch[0], again.log_return[0]) == (side, touch, found.log_return[i])


@given(st.integers(0, 10_000))
def test_uniqueness_is_the_mean_of_shares(seed: int) -> None:
    """Mean over a label's bars of 1 / labels alive; labels apart count 1 each, n copies count 1 together."""
    rng = np.random.default_rng(seed)
    at = rng.integers(0, 50, 20)
    end = at + rng.integers(1, 15, 20)
    alive = [sum(a < t <= e for a, e in zip(at, end, strict=True)) for t in range(70)]
    plain = [np.mean([1.0 / alive[t] for t in range(a + 1, e + 1)]) for a, e in zip(at, end, strict=True)]
    assert np.allclose(uniqueness(at, end), plain)
    assert np.array_equal(uniqueness([0, 5, 10], [5, 10, 15]), np.ones(3))
    assert effective_size(uniqueness([3] * 7, [9] * 7)) == pytest.approx(1.0)


def test_bad_input_is_refused() -> None:
    """Each names what it wants."""
    with pytest.raises(ConfigError, match="1 <= tested < groups"):
        next(combinatorial(10, 4, 4))
    with pytest.raises(ConfigError, match="embargo"):
        next(purged_kfold(10, 3, embargo=-1))
    with pytest.raises(DataError, match="end >= start"):
        next(purged_kfold(3, 2, end=np.array([0, 0, 2])))
    with pytest.raises(DataError, match="shapes"):
        next(purged_kfold(3, 2, end=np.array([0, 1])))
    with pytest.raises(ConfigError, match="paths"):
        paths(3, 3)
    good = (np.array([1.0, 2.0, 3.0]), np.array([0]), np.array([0.1]), np.array([2]))
    with pytest.raises(ConfigError, match="up and down"):
        triple_barrier(*good, up=0.0)
    for i, bad, text in (
        (0, np.array([1.0, np.nan, 2.0]), "price"),
        (0, np.array([1.0, -2.0, 2.0]), "price"),
        (1, np.array([2]), "event < last"),
        (2, np.array([0.0]), "sigma"),
        (3, np.array([3]), "event < last"),
        (3, np.array([1, 2]), "one shape"),
    ):
        with pytest.raises(DataError, match=text):
            triple_barrier(*(bad if j == i else g for j, g in enumerate(good)))
    with pytest.raises(DataError, match="event < touch"):
        uniqueness([3], [3])
