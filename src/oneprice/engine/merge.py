"""Merge of K sorted streams in time order: a scan for a few streams, a tournament tree for many.

Keys are the next receive time of each stream (INF when it has ended). Ties go to the lower stream, that is the
lower leg. The caller consumes a run of rows from the winner while it stays ahead of the runner-up, so bursts of one
leg cost no merging at all.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from oneprice.core.jit import njit

INF = np.iinfo(np.int64).max
SCAN_UP_TO = 4


def tree_words(k: int) -> int:
    """Length of the tree array for k streams."""
    leaves = 1
    while leaves < k:
        leaves *= 2
    return 2 * leaves


@njit
def winner_of(keys: Any, a: int, b: int) -> int:
    """The stream that goes first; -1 stands for no stream."""
    if b < 0:
        return a
    if a < 0:
        return b
    return a if keys[a] <= keys[b] else b


@njit
def tree_build(keys: Any, tree: Any) -> None:
    """Fill the tournament: tree[1] is the winner, leaves hold the streams."""
    half = len(tree) // 2
    for i in range(half):
        tree[half + i] = i if i < len(keys) else -1
    for i in range(half - 1, 0, -1):
        tree[i] = winner_of(keys, tree[2 * i], tree[2 * i + 1])


@njit
def tree_update(keys: Any, tree: Any, stream: int) -> None:
    """Replay the matches of one stream after its key changed."""
    i = (len(tree) // 2 + stream) >> 1
    while i >= 1:
        tree[i] = winner_of(keys, tree[2 * i], tree[2 * i + 1])
        i >>= 1


@njit
def runner_up(keys: Any, tree: Any) -> int:
    """The stream that would win without the winner (-1: none)."""
    best = -1
    i = len(tree) // 2 + tree[1]
    while i > 1:
        rival = tree[i ^ 1]
        if rival >= 0:
            if best < 0 or keys[rival] < keys[best] or (keys[rival] == keys[best] and rival < best):
                best = rival
        i >>= 1
    return best


@njit
def scan_two(keys: Any) -> tuple[int, int]:
    """Winner and runner-up of a few streams by one pass (-1: no runner-up)."""
    first, second = 0, -1
    for i in range(1, len(keys)):
        if keys[i] < keys[first]:
            second = first
            first = i
        elif second < 0 or keys[i] < keys[second]:
            second = i
    return first, second
