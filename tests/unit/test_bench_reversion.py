"""The benchmark of reversion runs, compares equal values, and Hurst holds its bound."""

from __future__ import annotations

import numpy as np

from oneprice.study.bench_reversion import _ratio, reversion_figures


def test_figures_hold() -> None:
    """A small run: Hurst at least 30 times the package with equal values; every figure is finite and above 0."""
    found = {f.name: f for f in reversion_figures(repeats=3, series=6, bars=600)}
    assert len(found) == 6 and all(f.figure is not None and f.figure > 0.0 for f in found.values())
    for name in ("Hurst R/S simplified, 600 bars, against hurst", "Hurst R/S, 600 bars, against hurst"):
        assert found[name].verdict == "holds", found[name]


def test_a_ratio_of_unequal_values_is_broken() -> None:
    """Speed with other values counts as 0."""
    assert _ratio("x", lambda: np.zeros(3), lambda: np.ones(3), 1, 2.0).verdict == "broken"
