"""Clusters, communities and matching against plain references and scikit-learn."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.core.errors import ConfigError, DataError
from oneprice.signals.clusters.agreement import adjusted_rand
from oneprice.signals.clusters.communities import communities
from oneprice.signals.clusters.groups import group_series, loadings
from oneprice.signals.clusters.matching import match
from oneprice.signals.clusters.optics import optics


def clouds(seed: int) -> tuple[np.ndarray, int, float]:
    """Points in a few clouds of unequal width, the least size and xi of a case."""
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(10, 70)), int(rng.integers(1, 9))
    x = rng.normal(size=(n, d)) * rng.choice([0.1, 1.0])
    x += rng.integers(0, int(rng.integers(1, 6)), size=n)[:, None] * rng.choice([0.5, 1, 3])
    return x, int(rng.integers(2, 7)), float(rng.choice([0.02, 0.05, 0.1, 0.3]))


@pytest.mark.parametrize("first", [0, 50, 100, 150])
def test_optics_equals_scikit_learn(first: int) -> None:
    """Order, reachability and labels of 200 clouds equal those of sklearn.cluster.OPTICS on the same distances."""
    from sklearn.cluster import OPTICS

    clustered = 0
    for seed in range(first, first + 50):
        x, least, xi = clouds(seed)
        distances = np.sqrt(((x[:, None] - x[None]) ** 2).sum(axis=2))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = OPTICS(min_samples=least, xi=xi, metric="precomputed").fit(distances)
        ours = optics(x, least=least, xi=xi)
        np.testing.assert_array_equal(ours.order, theirs.ordering_)
        np.testing.assert_allclose(ours.reach, theirs.reachability_, rtol=1e-9)
        np.testing.assert_array_equal(ours.labels, theirs.labels_)
        clustered += int((ours.labels >= 0).sum())
    assert clustered > 500


def test_optics_refuses() -> None:
    """No points, not finite, too few for `least`, xi outside (0, 1)."""
    x = np.zeros((5, 2))
    x[:, 0] = range(5)
    for bad, why in ((np.zeros(5), "expected points"), (np.array([[np.nan, 1.0], [0, 0]]), "point 0 is not finite")):
        with pytest.raises(DataError, match=why):
            optics(bad, least=2)
    with pytest.raises(DataError, match="2 <= least <= 5"):
        optics(x, least=6)
    with pytest.raises(ConfigError, match="0 < xi < 1"):
        optics(x, least=2, xi=1.0)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=40))
def test_adjusted_rand_equals_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    """Equal to sklearn, symmetric, 1 for equal groupings under other numbers."""
    from sklearn.metrics import adjusted_rand_score

    a, b = (np.array(v) for v in zip(*pairs, strict=True))
    assert adjusted_rand(a, b) == pytest.approx(adjusted_rand_score(a, b), abs=1e-12)
    assert adjusted_rand(a, b) == pytest.approx(adjusted_rand(b, a))
    assert adjusted_rand(a, 7 - a) == 1.0


def test_loadings_are_scaled_eigenvectors() -> None:
    """Columns span the leading eigenvectors of the correlation matrix, wide or long, with mean 0 and deviation 1."""
    rng = np.random.default_rng(0)
    for shape in ((12, 300), (60, 40)):
        x = rng.normal(size=shape) + rng.normal(size=(1, shape[1])) * rng.uniform(0.5, 2, (shape[0], 1))
        got = loadings(x, 3)
        vectors = np.linalg.eigh(np.corrcoef(x))[1][:, :-4:-1]
        want = (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
        np.testing.assert_allclose(np.abs((got * want).mean(axis=0)), 1.0, atol=1e-8)
    with pytest.raises(DataError, match="more than 8 series"):
        loadings(rng.normal(size=(8, 100)))
    with pytest.raises(DataError, match="series 1 does not move"):
        loadings(np.vstack([rng.normal(size=(1, 50)), np.ones((1, 50)), rng.normal(size=(3, 50))]), 2)


def test_groups_follow_a_permutation_of_the_columns() -> None:
    """Permuted series get the labels of the same series, bit for bit; a common trend is a group."""
    rng = np.random.default_rng(4)
    trends = np.cumsum(rng.normal(size=(3, 400)), axis=1)
    rows = np.repeat(trends, 5, axis=0) + 0.3 * rng.normal(size=(15, 400)).cumsum(axis=1) * 0.1
    rows = np.vstack([rows, np.cumsum(rng.normal(size=(6, 400)), axis=1)])
    labels, _ = group_series(rows, n_factors=4)
    assert adjusted_rand(labels[:15], np.repeat(np.arange(3), 5)) == 1.0
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(rows))
        np.testing.assert_array_equal(group_series(rows[order], n_factors=4)[0], labels[order])


def test_communities_are_the_cliques() -> None:
    """Two cliques with one edge between are two communities; a node without an edge is noise; order does not matter."""
    names = ["F", "C", "B", "E", "A", "D", "Z"]
    at = {n: i for i, n in enumerate(names)}
    inside = [(at[a], at[b]) for g in ("ABC", "DEF") for a, b in itertools.combinations(g, 2)]
    edges = np.array([*inside, (at["C"], at["D"])])
    labels = communities(names, edges, seed=1)
    assert [labels[at[n]] for n in "ABCDEFZ"] == [0, 0, 0, 1, 1, 1, -1]
    shuffled = np.random.default_rng(0).permutation(7)
    back = np.argsort(shuffled)
    again = communities([names[i] for i in shuffled], back[edges][::-1, ::-1], seed=1)
    np.testing.assert_array_equal(again[back], labels)
    assert (communities(names, np.empty((0, 2))) == -1).all()
    with pytest.raises(DataError, match="edges between two of nodes"):
        communities(names, np.array([(0, 7)]))
    with pytest.raises(DataError, match="weights above 0"):
        communities(names, np.array([(0, 1)]), np.array([0.0]))
    with pytest.raises(DataError, match="not distinct"):
        communities(["A", "A"], np.array([(0, 1)]))


def best_by_hand(pairs: np.ndarray, score: np.ndarray) -> float:
    """Weight of the best matching, over all subsets."""
    best = 0.0
    for k in range(1, len(pairs) + 1):
        for chosen in itertools.combinations(range(len(pairs)), k):
            ends = pairs[list(chosen)].ravel()
            if len(set(ends.tolist())) == len(ends):
                best = max(best, float(score[list(chosen)].sum()))
    return best


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.integers(3, 6))
def test_matching_is_the_heaviest(seed: int, n: int) -> None:
    """No asset twice, and no other choice weighs more; rows may come in any order."""
    rng = np.random.default_rng(seed)
    every = np.array(list(itertools.combinations(range(n), 2)))
    pairs = every[rng.permutation(len(every))[:9]]
    score = rng.normal(1, 1, len(pairs))
    rows = match(pairs, score)
    ends = pairs[rows].ravel()
    assert len(set(ends.tolist())) == len(ends) and (score[rows] > 0).all()
    assert score[rows].sum() == pytest.approx(best_by_hand(pairs, score))
    order = rng.permutation(len(pairs))
    assert set(order[match(pairs[order][:, ::-1], score[order])].tolist()) == set(rows.tolist())


def test_matching_refuses() -> None:
    """Shapes, a pair twice (in either order), an asset with itself."""
    for pairs, score, why in (
        ([(0, 1)], [1.0, 2.0], "expected 1 finite scores"),
        ([(0, 1), (1, 0)], [1.0, 2.0], "comes twice"),
        ([(0, 1), (2, 2)], [1.0, 2.0], "pair 1 joins"),
        ([(0, 1)], [np.nan], "finite"),
    ):
        with pytest.raises(DataError, match=why):
            match(np.array(pairs), np.array(score))
    assert len(match(np.empty((0, 2)), np.empty(0))) == 0
