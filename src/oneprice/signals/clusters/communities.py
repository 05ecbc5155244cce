"""Communities of a graph whose edges are accepted pairs: Louvain, seeded, the same under any order of the nodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oneprice.core.errors import DataError
from oneprice.signals.clusters.optics import NOISE


def communities(
    names: Sequence[str], edges: np.ndarray, weight: np.ndarray | None = None, *, seed: int = 0, resolution: float = 1.0
) -> np.ndarray:
    """Label of each node, int64[n]; a node without an edge is NOISE (-1).

    Parameters
    ----------
    names : n distinct names; the search visits nodes in their order, so a permutation of the columns changes nothing.
    edges : int[m, 2] indices of the pairs that survived (one hypothesis a pair). weight : float[m] > 0, 1 if None.
    resolution : above 1 gives more, smaller communities.

    Blondel, Guillaume, Lambiotte, Lefebvre 2008, doi 10.1088/1742-5468/2008/10/P10008. Communities are numbered by
    the first of their names.
    """
    import networkx as nx

    n = len(names)
    pairs = np.asarray(edges, np.int64).reshape(-1, 2)
    size = np.ones(len(pairs)) if weight is None else np.asarray(weight, np.float64)
    if len(set(names)) != n:
        raise DataError("communities: names are not distinct")
    if len(pairs) and (pairs.min() < 0 or pairs.max() >= n or (pairs[:, 0] == pairs[:, 1]).any()):
        raise DataError(f"communities: expected edges between two of nodes 0..{n - 1}")
    if size.shape != (len(pairs),) or not (np.isfinite(size) & (size > 0)).all():
        raise DataError(f"communities: expected {len(pairs)} weights above 0, one an edge")
    rank = np.empty(n, np.int64)
    rank[np.argsort(np.asarray(names, dtype=object), kind="stable")] = np.arange(n)
    ends = np.sort(rank[pairs], axis=1)
    order = np.lexsort((ends[:, 1], ends[:, 0])) if len(ends) else np.empty(0, np.int64)
    graph = nx.Graph()
    graph.add_nodes_from(sorted({int(v) for v in ends.ravel()}))
    graph.add_weighted_edges_from((int(ends[k, 0]), int(ends[k, 1]), float(size[k])) for k in order)
    ranked = np.full(n, NOISE, np.int64)
    if len(pairs):
        found = nx.community.louvain_communities(graph, weight="weight", resolution=resolution, seed=seed)
        for number, members in enumerate(sorted(sorted(c) for c in found)):
            ranked[members] = number
    return ranked[rank]
