"""The benchmark of quoting runs and compares equal values."""

from __future__ import annotations

import numpy as np

from oneprice.study.bench_quoting import _ratio, quoting_figures


def test_both_sides_give_equal_numbers() -> None:
    """Every figure is above 0, so both sides agreed: A and k with a GLM, quotes with expm, paths within their error."""
    found = quoting_figures(repeats=2)
    assert len(found) == 3 and all(f.figure is not None and f.figure > 0.0 for f in found), found


def test_a_ratio_of_unequal_values_is_none() -> None:
    """Speed with other values counts as 0."""
    assert _ratio("x", lambda: 2.0 * np.ones(3), lambda: np.ones(3), 1).figure == 0.0
