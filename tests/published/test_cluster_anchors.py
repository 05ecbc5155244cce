"""E01: OPTICS finds five clusters of five among ten walks; the rows can fail."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from oneprice.signals.clusters.agreement import adjusted_rand
from oneprice.signals.clusters.groups import group_series
from oneprice.study.anchors_clusters import WORLDS, cluster_anchors, cluster_world, surviving_edges
from oneprice.study.verify import FAIL, PASS, judge, verify


def test_every_row_passes_and_a_wrong_number_fails() -> None:
    """Group `clusters` of verify: all pass; the same rows one tolerance off fail."""
    rows = cluster_anchors(Path())
    assert [judge(r).verdict for r in rows] == [PASS] * 3
    assert {r.id for r in rows} == {"E01.optics", "E01.permutation", "E01.edges"}
    for r in rows:

        class Wrong(msgspec.Struct):
            id: str = r.id
            source: str = r.source
            published: float = r.published
            computed: float = r.computed + r.tolerance + 0.06
            tolerance: float = r.tolerance

        assert judge(Wrong()).verdict == FAIL
    assert [r.verdict for r in verify(names=["clusters"])] == [PASS] * 3


def test_clusters_come_from_the_common_trends() -> None:
    """Series without the common walks show nothing of the grouping: the figure is not of the method alone."""
    rows, truth = cluster_world(0)
    alone = np.cumsum(np.random.default_rng(9).standard_normal(rows.shape), axis=1)
    members = truth >= 0
    assert adjusted_rand(group_series(alone, least=3)[0][members], truth[members]) < 0.2


@pytest.mark.parametrize("seed", range(WORLDS, WORLDS + 4))
def test_worlds_not_looked_at_before(seed: int) -> None:
    """Fresh worlds: agreement >= .95 on the members; hardly a false edge, and most of the true ones."""
    rows, truth = cluster_world(seed)
    members = truth >= 0
    assert adjusted_rand(group_series(rows, least=3)[0][members], truth[members]) >= 0.95
    edges = surviving_edges(rows)
    true = (truth[edges[:, 0]] == truth[edges[:, 1]]) & (truth[edges[:, 0]] >= 0)
    assert true.sum() >= 40 and (~true).sum() <= 3
