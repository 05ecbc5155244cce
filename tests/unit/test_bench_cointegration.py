"""The benchmark of the cointegration tests: it compares equal things and refuses to time unequal ones."""

from __future__ import annotations

import numpy as np
import pytest

from oneprice.core.errors import DataError
from oneprice.study import bench_cointegration
from oneprice.study.bench_cointegration import agreed, cointegration_bench, sampled_pairs


def test_figures_of_a_small_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three ratios with their bounds, far above 1 even at 30 x 120, each with the gap to the oracle beside it."""
    monkeypatch.setattr(bench_cointegration, "SAMPLE_FIXED", 5)
    monkeypatch.setattr(bench_cointegration, "SAMPLE_CHOSEN", 2)
    monkeypatch.setattr(bench_cointegration, "SAMPLE_TRIPLES", 5)
    figures = cointegration_bench(30, 120, 1)
    assert [f.bound for f in figures] == [2_000.0, 4_000.0, 50.0]
    for f in figures:
        assert f.figure is not None and f.figure > 20.0 and f.side == "at least"
        assert f.detail["gap"] <= 1e-8


def test_unequal_results_are_not_timed() -> None:
    """A gap above 1e-8, or none at all, is refused."""
    for gap in (1e-6, float("nan")):
        with pytest.raises(DataError, match="equal to statsmodels"):
            agreed(gap, "test")


def test_sampled_pairs_are_drawn_once_each() -> None:
    """Pairs i < j without repeats; never more than there are."""
    pairs = sampled_pairs(10, 60)
    assert len(pairs) == 45 and (pairs[:, 0] < pairs[:, 1]).all()
    assert len(np.unique(sampled_pairs(100, 60), axis=0)) == 60
