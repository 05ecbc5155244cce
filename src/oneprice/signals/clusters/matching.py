"""Pairs chosen so that no asset is in two of them and their scores add up to the most."""

from __future__ import annotations

import numpy as np

from oneprice.core.errors import DataError


def match(pairs: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Row numbers of the chosen pairs, rising: the maximum-weight matching of the graph of candidates.

    Parameters
    ----------
    pairs : int[m, 2] asset indices. score : float[m], larger is better; pairs with a score <= 0 are never chosen.

    Edmonds' blossom algorithm (networkx); for pairs trading: arXiv 2403.07998. A shared asset makes two positions
    one bet. The result does not depend on the order of the rows, as long as the best matching is unique.

    Raises
    ------
    DataError
        Shapes do not fit, a score is not finite, or a pair comes twice or joins an asset with itself.
    """
    import networkx as nx

    edges = np.asarray(pairs, np.int64).reshape(-1, 2)
    value = np.asarray(score, np.float64)
    if value.shape != (len(edges),) or not np.isfinite(value).all():
        raise DataError(f"match: expected {len(edges)} finite scores, one a pair")
    ends = np.sort(edges, axis=1)
    if (ends[:, 0] == ends[:, 1]).any():
        raise DataError(f"match: pair {int(np.argmax(ends[:, 0] == ends[:, 1]))} joins an asset with itself")
    row = {(int(a), int(b)): k for k, (a, b) in enumerate(ends)}
    if len(row) != len(ends):
        raise DataError("match: a pair comes twice; both orders are one pair")
    graph = nx.Graph()
    for k in np.lexsort((ends[:, 1], ends[:, 0])):
        if value[k] > 0:
            graph.add_edge(int(ends[k, 0]), int(ends[k, 1]), weight=float(value[k]))
    chosen = nx.max_weight_matching(graph)
    return np.array(sorted(row[min(a, b), max(a, b)] for a, b in chosen), dtype=np.int64)
