"""The cost of microstructure features is measured on what it says, and none is above 25 plain passes."""

from __future__ import annotations

from oneprice.study.bench_micro import FOLDS, LEVELS, MOST_RATIO, micro_figures


def test_no_feature_costs_more_than_25_plain_passes() -> None:
    """One figure a fold and one for levels read off a book; each holds. Best of two rounds: the machine is shared."""
    first = micro_figures(5, records=100_000)
    assert {f.name for f in first} == {f"feature {f.name}" for f in FOLDS} | {f"feature {LEVELS}"}
    broken = {f.name for f in first if f.verdict != "holds"}
    again = {f.name for f in micro_figures(7, records=200_000) if f.verdict != "holds"} if broken else set()
    assert broken & again == set() and all(f.bound == MOST_RATIO for f in first)
    assert all(f.figure is not None and f.figure > 0.1 for f in first)
