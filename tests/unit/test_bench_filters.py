"""The benchmark of filters measures what it says, at equal results."""

from __future__ import annotations

import pytest

from oneprice.study import bench_filters
from oneprice.study.bench_filters import factor_figures, garch_figure, kalman_figure


def test_kalman_is_compared_at_equal_estimates() -> None:
    """Every forecast error and the last estimates within 1e-10 of filterpy's; the ratio is far above its bound."""
    pytest.importorskip("filterpy")
    figure = kalman_figure(1, 300)
    assert figure.detail["apart"] < 1e-10
    assert figure.figure is not None and figure.figure > 100.0


def test_garch_is_compared_at_equal_likelihood() -> None:
    """Likelihood no lower than arch's from the same start; faster."""
    pytest.importorskip("arch")
    figure = garch_figure(1, 600)
    assert figure.detail["likelihood_gain"] > -1e-4
    assert figure.figure is not None and figure.figure > 2.0


def test_factors_are_compared_at_equal_spaces() -> None:
    """Eigenvalues and eigenspaces within 1e-8 of the plain decomposition, in a child of its own."""
    first, second, third = factor_figures(1, 60, 2)
    assert first.detail["apart"] < 1e-8
    assert first.figure and second.figure and third.figure
    assert third.bound is None


def test_missing_rivals_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the rival there is no figure, and a reason."""
    monkeypatch.setitem(bench_filters.sys.modules, "filterpy", None)
    monkeypatch.setitem(bench_filters.sys.modules, "arch", None)
    for figure in (kalman_figure(1, 50), garch_figure(1, 100)):
        assert figure.verdict == "not measured" and "cannot be imported" in figure.note
