"""Anchors of the clusters for `oneprice verify`: five clusters of five among ten walks, eight worlds.

Each cluster has a common random walk; its members add an AR(.9) gap. OPTICS (least 3) on eight standardised PCA
loadings must find the clusters; of the pairs that survive a correction, few may be false.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from oneprice.signals.clusters.agreement import adjusted_rand
from oneprice.signals.clusters.communities import communities
from oneprice.signals.clusters.groups import group_series
from oneprice.signals.cointegration.engle_granger import engle_granger_null
from oneprice.study.anchors_market import Anchor
from oneprice.study.screen import count_pairs
from oneprice.study.screen_blocks import FIXED_BLOCK
from oneprice.study.screen_families import GRID, declare, declared

WORLDS, CLUSTERS, MEMBERS, WALKS, N_OBS = 8, 5, 5, 10, 750
GRAPHS, EDGE_RATE = 20, 0.01
SOURCE = "5 clusters x 5 + 10 walks, T = 750, 8 worlds (Sarmento and Horta 2020's method)"


def cluster_world(seed: int, n_obs: int = N_OBS) -> tuple[np.ndarray, np.ndarray]:
    """(logs [35, n_obs], label of each series; -1: a walk of its own)."""
    rng = np.random.default_rng(seed)
    rows, labels = [], []
    for c in range(CLUSTERS):
        common = np.cumsum(rng.standard_normal(n_obs))
        for _ in range(MEMBERS):
            shocks, gap = rng.standard_normal(n_obs), np.zeros(n_obs)
            for t in range(1, n_obs):
                gap[t] = 0.9 * gap[t - 1] + 0.5 * shocks[t]
            rows.append(common + gap)
            labels.append(c)
    rows += list(np.cumsum(rng.standard_normal((WALKS, n_obs)), axis=1))
    return np.array(rows) * 0.01, np.array(labels + [-1] * WALKS)


def cluster_anchors(data: Path) -> list[Anchor]:
    """E01: agreement of OPTICS with the truth on the members, the same under a permutation of the columns; the false
    edges of the graph of surviving pairs. `data` is not read."""
    agreement, moved = [], 0
    for seed in range(WORLDS):
        rows, truth = cluster_world(seed)
        members = truth >= 0
        labels, _ = group_series(rows, n_factors=8, least=3)
        agreement.append(adjusted_rand(labels[members], truth[members]))
        order = np.random.default_rng(seed).permutation(len(rows))
        moved += int((group_series(rows[order], n_factors=8, least=3)[0] != labels[order]).sum())
    wrong, graph, edges = graph_of_worlds()
    note = f"by world {', '.join(f'{a:.2f}' for a in agreement)}"
    graphs = f"{edges:,} edges in {GRAPHS} worlds; communities agree {np.mean(graph):.2f} ({min(graph):.2f} at least)"
    what = f"mean share of false edges, BY at {EDGE_RATE:g} (at most)"
    return [
        Anchor("E01.optics", SOURCE + ": least ARI on members", 1.0, min(agreement), 0.05, note),
        Anchor("E01.permutation", "labels that a permutation of the columns changes", 0, moved, 0),
        Anchor("E01.edges", what, 0.0, float(np.mean(wrong)), EDGE_RATE, graphs),
    ]


def graph_of_worlds() -> tuple[list[float], list[float], int]:
    """(share of false edges, agreement of Louvain communities with the truth on members) by world, and all edges.

    Edges share nodes, so their tests depend on each other: the correction is Yekutieli's.
    """
    wrong, graph, count = [], [], 0
    for seed in range(GRAPHS):
        rows, truth = cluster_world(seed)
        edges = surviving_edges(rows)
        bad = (truth[edges[:, 0]] != truth[edges[:, 1]]) | (truth[edges[:, 0]] < 0)
        wrong.append(float(bad.mean()) if len(bad) else 0.0)
        found = communities([f"s{i:02d}" for i in range(len(rows))], edges, seed=0)
        graph.append(adjusted_rand(found[truth >= 0], truth[truth >= 0]))
        count += len(edges)
    return wrong, graph, count


def surviving_edges(rows: np.ndarray) -> np.ndarray:
    """int[m, 2]: pairs of all series [N, T] that survive together at EDGE_RATE."""
    families = declare(tuple(f"s{i:02d}" for i in range(len(rows))), rows, GRID)
    null = engle_granger_null(rows.shape[1], lags=1)
    total = declared(families)
    tally, _ = count_pairs(
        np.ascontiguousarray(rows[families.order]), families, lags=1, null=null, keep=total, size=FIXED_BLOCK,
        executor=None, path=None, progress=None,
    )  # fmt: skip
    q = tally.q_of_bins(total, "by")[np.searchsorted(null.draws, tally.stat, side="right")]
    return np.asarray(families.order[tally.pairs[q <= EDGE_RATE]])
