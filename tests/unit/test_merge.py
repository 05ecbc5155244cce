"""The merge: any number of sorted streams come out in time order, ties to the lower stream."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.engine import merge


def drain(streams: list[list[int]], tree_always: bool) -> list[tuple[int, int]]:
    """Merge as the simulation loop does it: runs of the winner until the runner-up goes first."""
    k = len(streams)
    at = [0] * k
    keys = np.array([s[0] if s else merge.INF for s in streams], np.int64)
    tree = np.zeros(merge.tree_words(k), np.int64)
    merge.tree_build(keys, tree)
    leaders = (
        (lambda: (int(tree[1]), int(merge.runner_up(keys, tree)))) if tree_always else (lambda: merge.scan_two(keys))
    )
    out = []
    w, second = leaders()
    while keys[w] != merge.INF:
        out.append((int(keys[w]), w))
        at[w] += 1
        keys[w] = streams[w][at[w]] if at[w] < len(streams[w]) else merge.INF
        merge.tree_update(keys, tree, w)
        if second >= 0 and (keys[w] > keys[second] or (keys[w] == keys[second] and second < w)):
            w, second = leaders()
    return out


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 30), max_size=8).map(sorted), min_size=1, max_size=9))
def test_merge_equals_sorting(streams: list[list[int]]) -> None:
    """Scan and tree both equal a stable sort by (time, stream)."""
    expected = sorted((t, i) for i, s in enumerate(streams) for t in s)
    assert drain(streams, tree_always=True) == expected
    assert drain(streams, tree_always=False) == expected
