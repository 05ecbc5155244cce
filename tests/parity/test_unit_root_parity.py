"""Unit-root tests against statsmodels: statistics, chosen lags, p-values and critical values."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.signals.unit_root.adf import adf
from oneprice.signals.unit_root.kernels import adf_rows, adf_rows_quick
from oneprice.signals.unit_root.kpss import kpss
from oneprice.signals.unit_root.surfaces import mackinnon_critical, mackinnon_p

TRENDS = ("n", "c", "ct")


def drawn(seed: int, n: int, kind: str) -> np.ndarray:
    """A series of one kind."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(n)
    if kind == "noise":
        return 100.0 + noise
    if kind == "smooth":  # its differences are nearly collinear
        return np.cumsum(np.cumsum(noise))
    if kind == "level":  # far from zero, small moves
        return 60_000.0 + 0.01 * np.cumsum(noise)
    return np.cumsum(noise) + 0.05 * np.arange(n)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(30, 400),
    kind=st.sampled_from(["noise", "smooth", "level", "walk"]),
    trend=st.sampled_from(TRENDS),
    lags=st.sampled_from([0, 1, 4, "aic", "bic"]),
)
def test_adf_equals_statsmodels(seed: int, n: int, kind: str, trend: str, lags: int | str) -> None:
    """Statistic within 1e-8 of its size, the same lags, and p and critical values of the surface."""
    from statsmodels.tsa.stattools import adfuller

    x = drawn(seed, n, kind)
    chosen = isinstance(lags, str)
    how = {"autolag": str(lags).upper()} if chosen else {"maxlag": lags, "autolag": None}
    theirs = adfuller(x, regression=trend, result_object=False, **how)
    ours = adf(x, trend=trend, lags=lags, null="surface")
    assert ours.stat == pytest.approx(theirs[0], rel=1e-8, abs=1e-8)
    assert (ours.lags, ours.n_obs) == (theirs[2], theirs[3])
    assert ours.p == pytest.approx(theirs[1], abs=1e-8)
    assert ours.criticals == pytest.approx(list(theirs[4].values()), abs=1e-12)


@pytest.mark.parametrize("trend", TRENDS)
def test_surfaces_equal_statsmodels(trend: str) -> None:
    """p over the whole range for N = 1..6; critical values by T for N = 1..12 (no constant: N = 1 only)."""
    from statsmodels.tsa.adfvalues import mackinnoncrit, mackinnonp

    stats = np.concatenate([np.linspace(-30, 5, 141), [-1.61, -2.62, 2.74]])
    for n in range(1, 7):
        theirs = [mackinnonp(s, regression=trend, N=n) for s in stats]
        assert mackinnon_p(stats, trend=trend, n_series=n) == pytest.approx(theirs, abs=1e-14)
    for n in range(1, 13 if trend != "n" else 2):
        for size in (25.0, 100.0, 1500.0):
            theirs = mackinnoncrit(N=n, regression=trend, nobs=size)
            assert mackinnon_critical(trend=trend, n_series=n, n_obs=size) == pytest.approx(theirs, abs=1e-12)
    assert trend != "n" or np.isnan(mackinnon_critical(trend="n", n_series=2)).all()


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(20, 400),
    kind=st.sampled_from(["noise", "walk", "level"]),
    trend=st.sampled_from(["c", "ct"]),
    lags=st.sampled_from(["auto", 0, 7]),
)
def test_kpss_equals_statsmodels(seed: int, n: int, kind: str, trend: str, lags: int | str) -> None:
    """Statistic, automatic bandwidth and the table's p; the oracle gets the series about its mean.

    On a level of 60,000 with moves of 0.01 its regression on (1, t) loses the eighth digit.
    """
    from statsmodels.tsa.stattools import kpss as oracle

    x = drawn(seed, n, kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # p outside its table
        stat, p, used, _ = oracle(x - x.mean(), regression=trend, nlags=lags, result_object=False)
    ours = kpss(x, trend=trend, lags=lags, null="surface")
    assert ours.stat == pytest.approx(stat, rel=1e-8)
    assert (ours.lags, ours.p) == (used, pytest.approx(p, abs=1e-8))


@pytest.mark.parametrize("trend", [0, 1, 2])
def test_quick_choice_of_lags_equals_the_plain_one(trend: int) -> None:
    """Lags from recursive moments (what the nulls use) are those of the orthogonalised regressions."""
    walks = np.cumsum(np.random.default_rng(trend).standard_normal((150, 180)), axis=1)
    for criterion in (1, 2):
        stats, lags = np.empty((2, 150)), np.empty((2, 150), np.int64)
        adf_rows(walks, (9, trend, criterion), stats[0], lags[0])
        adf_rows_quick(walks, (9, trend, criterion), stats[1], lags[1])
        assert (lags[0] == lags[1]).all() and (stats[0] == stats[1]).all()
        assert len(np.unique(lags[0])) > 1
