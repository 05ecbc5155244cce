"""The packing of pairs and baskets: the most evidence in sum, no asset twice, against every choice there is."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.study.walk_match import packed


def best_by_hand(members: list[tuple[str, ...]], score: list[float]) -> float:
    """The largest sum over all sets of disjoint relations."""
    best = 0.0
    for n in range(len(members) + 1):
        for chosen in combinations(range(len(members)), n):
            assets = [s for k in chosen for s in members[k]]
            if len(set(assets)) == len(assets):
                best = max(best, sum(score[k] for k in chosen))
    return best


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9))
def test_the_packing_is_the_best_of_all(seed: int, count: int) -> None:
    """Random relations of two to four of seven assets: the sum is that of the best of all disjoint sets."""
    rng = np.random.default_rng(seed)
    members: list[tuple[str, ...]] = []
    while len(members) < count:
        legs = tuple(sorted(rng.choice(list("ABCDEFG"), int(rng.integers(2, 5)), replace=False).tolist()))
        if legs not in members:
            members.append(legs)
    score = rng.uniform(0.5, 5.0, count).tolist()
    chosen = packed(members, score)
    assets = [s for k in chosen for s in members[k]]
    assert len(set(assets)) == len(assets), "no asset is in two relations"
    assert abs(sum(score[k] for k in chosen) - best_by_hand(members, score)) < 1e-4


def test_of_equal_evidence_fewer_legs() -> None:
    """A leg that adds nothing is only a cost; a basket may still be worth more than the pairs it excludes."""
    assert packed([("A", "B", "C"), ("A", "B")], [4.0, 4.0]) == [1]
    assert packed([("A", "B", "C"), ("A", "B"), ("C", "D")], [5.0, 2.0, 2.0]) == [0]
    assert packed([("A", "B", "C"), ("A", "B"), ("C", "D")], [3.9, 2.0, 2.0]) == [1, 2]
    assert packed([], []) == []
