"""Which relations are traded at once: those with the most evidence in sum, no asset in two of them.

Pairs alone are a matching, solved exactly (`signals/clusters/matching.py`). Baskets make it a packing of sets: of the
few baskets that pass, every choice of disjoint ones is tried (branch and bound), and the pairs are matched on the
assets that it leaves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oneprice.signals.clusters.matching import match

MOST_BASKETS = 12  # of most evidence; 2^12 choices at worst


def packed(members: Sequence[tuple[str, ...]], score: Sequence[float]) -> list[int]:
    """Row numbers of the chosen relations, rising.

    members : the assets of each; score : larger is better, above 0. Of two choices of one score that with fewer legs
    is taken: a leg that adds no evidence is only a cost. Baskets beyond the MOST_BASKETS best are not looked at.
    """
    worth = [s * (1.0 - 1e-6 * (len(m) - 2)) for m, s in zip(members, score, strict=True)]
    baskets = [k for k, m in enumerate(members) if len(m) > 2]
    baskets = sorted(baskets, key=lambda k: (-worth[k], members[k]))[:MOST_BASKETS]
    pairs = [k for k, m in enumerate(members) if len(m) == 2]
    alone = _matched(members, worth, pairs, frozenset())
    most = sum(worth[k] for k in alone)
    best = (most, alone)

    def look(at: int, taken: list[int], used: frozenset[str], value: float) -> None:
        nonlocal best
        if value + sum(worth[k] for k in baskets[at:]) + most <= best[0]:
            return
        if at == len(baskets):
            rest = _matched(members, worth, pairs, used)
            total = value + sum(worth[k] for k in rest)
            if total > best[0]:
                best = (total, [*taken, *rest])
            return
        k = baskets[at]
        if used.isdisjoint(members[k]):
            look(at + 1, [*taken, k], used | frozenset(members[k]), value + worth[k])
        look(at + 1, taken, used, value)

    look(0, [], frozenset(), 0.0)
    return sorted(best[1])


def _matched(
    members: Sequence[tuple[str, ...]], worth: Sequence[float], pairs: Sequence[int], used: frozenset[str]
) -> list[int]:
    """The matching of the pairs that touch none of the assets used."""
    free = [k for k in pairs if used.isdisjoint(members[k])]
    names = sorted({s for k in free for s in members[k]})
    at = {s: n for n, s in enumerate(names)}
    edges = np.array([[at[s] for s in members[k]] for k in free], np.int64).reshape(-1, 2)
    return [free[r] for r in match(edges, np.array([worth[k] for k in free]))]
