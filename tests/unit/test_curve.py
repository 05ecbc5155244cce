"""Curves: interpolation hits its nodes and its forwards are its slopes; fits find the curve they came from."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import least_squares

from oneprice.core.errors import ConfigError, DataError
from oneprice.signals.curve.curve import Curve, make_curve
from oneprice.signals.curve.fit_svensson import SINGULAR, diebold_li, fit_svensson
from oneprice.signals.curve.interpolate import METHODS, bend, bend_area, region
from oneprice.signals.curve.parametric import Svensson
from oneprice.signals.curve.rates import forward_rate, growth_of, par_rate, rate_of, zero_rate

YEARS = np.array([0.25, 0.5, 1, 2, 3, 5, 7, 10, 15, 20, 25, 30.0])
GSW = Svensson(0.0477, 0.0073, -0.0194, -0.0287, 0.902, 3.161)


def nodes(seed: int, method: str) -> Curve:
    """A curve of uneven nodes and forwards, some negative."""
    rng = np.random.default_rng(seed)
    years = np.cumsum(rng.uniform(0.1, 4.0, 9))
    forwards = rng.normal(0.02, 0.03, 9)
    return make_curve("2024-01-01", years, np.exp(-np.cumsum(forwards * np.diff(years, prepend=0.0))), method=method)


@pytest.mark.parametrize("method", list(METHODS))
@settings(deadline=None)
@given(seed=st.integers(0, 10_000))
def test_interpolation_keeps_nodes_and_areas(method: str, seed: int) -> None:
    """Discounts at nodes are exact, ln P is the integral of the forward, and is continuous beyond the last node."""
    c = nodes(seed, method)
    assert np.allclose([c.discount(t) for t in c.years], np.exp(c.log_discount), rtol=1e-13)
    assert c.discount(0.0) == 1.0
    for a, b in zip(np.r_[0.0, c.years[:-1]], c.years, strict=True):
        middle = 0.5 * (a + b)
        slope = (math.log(c.discount(middle - 1e-6)) - math.log(c.discount(middle + 1e-6))) / 2e-6
        assert slope == pytest.approx(c.instantaneous(middle), abs=2e-6)
    end = c.years[-1]
    later = math.log(c.discount(end)) - math.log(c.discount(end + 2.0))
    assert later == pytest.approx(2.0 * c.instantaneous(end + 1.0), abs=1e-12)
    assert math.isnan(c.discount(-0.1))


@settings(deadline=None)
@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.01, 0.99))
def test_each_shape_of_monotone_convex_averages_to_zero(g0: float, g1: float, x: float) -> None:
    """Over an interval the bend integrates to 0 in all four regions; `bend_area` is its integral."""
    assert bend_area(g0, g1, 1.0) == pytest.approx(0.0, abs=1e-12)
    assert bend(g0, g1, 0.0) == pytest.approx(g0, abs=1e-12) and bend(g0, g1, 1.0) == pytest.approx(g1, abs=1e-12)
    points = None
    if region(g0, g1) > 1 and g1 != g0 and g1 + g0 != 0:
        points = [e for e in ((g1 + 2 * g0) / (g1 - g0), 3 * g1 / (g1 - g0), g1 / (g1 + g0)) if 0 < e < x] or None
    assert bend_area(g0, g1, x) == pytest.approx(quad(lambda v: bend(g0, g1, v), 0, x, points=points)[0], abs=1e-7)


def test_monotone_convex_has_continuous_forwards() -> None:
    """At each node the forward from the left is that from the right; log-linear jumps."""
    for method, most in (("monotone_convex", 1e-6), ("log_linear", math.inf)):
        c = nodes(4, method)
        gap = max(abs(c.instantaneous(t - 1e-9) - c.instantaneous(t + 1e-9)) for t in c.years[:-1])
        assert gap < most
        assert method == "monotone_convex" or gap > 1e-3


def test_compounding_is_named_and_undone() -> None:
    """Each word is the inverse of itself; an unknown one lists those there are."""
    for word in ("continuous", "simple", "annual", "semiannual", "quarterly", "monthly"):
        assert rate_of(growth_of(0.05, 1.7, word), 1.7, word) == pytest.approx(0.05, abs=1e-14)
    with pytest.raises(ConfigError, match="did you mean 'annual'"):
        zero_rate(GSW, 1.0, "anual")
    with pytest.raises(ConfigError, match="years above 0"):
        zero_rate(GSW, 0.0, "annual")
    with pytest.raises(ConfigError, match="start < end"):
        forward_rate(GSW, 2.0, 2.0, "simple")
    with pytest.raises(ConfigError, match="more than -2"):
        growth_of(-2.5, 1.0, "semiannual")


def test_forwards_and_par_rates_are_consistent() -> None:
    """Rolling forwards is the zero; a bond with the par coupon is worth 1; short bonds have one short coupon."""
    three = math.prod(growth_of(forward_rate(GSW, k, k + 1, "annual"), 1, "annual") for k in range(3))
    assert three == pytest.approx(growth_of(zero_rate(GSW, 3, "annual"), 3, "annual"))
    coupon = par_rate(GSW, 5.0, "semiannual")
    value = sum(coupon / 2 * GSW.discount(k / 2) for k in range(1, 11)) + GSW.discount(5.0)
    assert value == pytest.approx(1.0, abs=1e-14)
    assert par_rate(GSW, 0.25, "annual") == pytest.approx(zero_rate(GSW, 0.25, "simple"))
    odd = par_rate(GSW, 1.25, "annual")
    assert odd * (0.25 * GSW.discount(0.25) + GSW.discount(1.25)) + GSW.discount(1.25) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("years", "discount", "text"),
    [
        ([0.0, 1.0], [1.0, 0.9], "node 0: expected times rising from above 0, got 0"),
        ([1.0, 1.0], [0.9, 0.9], "node 1"),
        ([1.0, math.nan], [0.9, 0.9], "node 1"),
        ([1.0, 2.0], [0.9, -0.1], "node 1 .2 y.: expected a discount factor above 0"),
        ([1.0], [math.inf], "discount factor above 0"),
        ([], [], "at least one"),
        ([1.0, 2.0], [0.9], "as many times as factors"),
    ],
)
def test_bad_nodes_are_refused(years: list, discount: list, text: str) -> None:
    """Unsorted, duplicated, missing or impossible nodes say which."""
    with pytest.raises(DataError, match=text):
        make_curve("2024-01-01", years, discount)


@pytest.mark.parametrize("seed", range(6))
def test_a_svensson_fit_finds_its_own_curve(seed: int) -> None:
    """From its own yields the error is below 1e-6 bp, whatever the decays; with noise it is scipy's best."""
    rng = np.random.default_rng(seed)
    u1 = float(rng.uniform(0.3, 2.0))
    curve = Svensson(0.04, *rng.normal(0, 0.02, 3).tolist(), u1, u1 * float(rng.uniform(2.0, 6.0)))
    exact = np.array([curve.zero(t) for t in YEARS])
    found = fit_svensson(YEARS, exact)
    assert found.worst < 1e-10
    noisy = exact + rng.normal(0, 2e-5, len(YEARS))
    ours = fit_svensson(YEARS, noisy)

    def error(p: np.ndarray) -> list[float]:
        model = Svensson(*p[:4].tolist(), *np.exp(p[4:]).tolist())
        return [model.zero(t) - y for t, y in zip(YEARS, noisy, strict=True)]

    starts = ([0.04, 0, 0, 0, math.log(a), math.log(b)] for a in (0.4, 1, 3) for b in (2, 6, 15) if b > a)
    theirs = min(
        2 * least_squares(error, s, xtol=1e-13, ftol=1e-13, bounds=([-1] * 4 + [-3] * 2, [1] * 4 + [3.68] * 2)).cost
        for s in starts
    )
    assert ours.rmse <= math.sqrt(theirs / len(YEARS)) * (1 + 1e-4)


def test_a_refit_starts_from_the_curve_of_before() -> None:
    """One quote moves by a bp: the neighbourhood of the old decays holds the new fit."""
    y = np.array([GSW.zero(t) for t in YEARS]) + np.random.default_rng(1).normal(0, 2e-5, len(YEARS))
    before = fit_svensson(YEARS, y)
    y[5] += 1e-4
    assert fit_svensson(YEARS, y, start=before.curve).rmse <= fit_svensson(YEARS, y).rmse * 1.001


def test_conditioning_and_bad_rows() -> None:
    """Only long maturities cannot tell short decays: the condition says so. Bad rows are refused, NaN left out."""
    long, longest = np.linspace(10, 30, 9), np.linspace(20, 30, 9)
    assert fit_svensson(long, [GSW.zero(t) for t in long]).condition > 1e5
    with pytest.raises(DataError, match="times of 20 to 30 years cannot tell its numbers apart"):
        fit_svensson(longest, [GSW.zero(t) for t in longest])
    y = np.array([GSW.zero(t) for t in YEARS])
    y[3] = np.nan
    assert fit_svensson(YEARS, y).n == len(YEARS) - 1
    with pytest.raises(DataError, match="6 or more distinct times, got 2"):
        fit_svensson([1, 2, 2, 2, 2, 2], np.full(6, 0.03))
    with pytest.raises(DataError, match="row 1: expected a time above 0"):
        fit_svensson([1, -2, 3, 4, 5, 6], np.full(6, 0.03))
    with pytest.raises(DataError, match="row 0: expected a weight above 0"):
        fit_svensson([1, 2, 3, 4, 5, 6], np.full(6, 0.03), weights=[0, 1, 1, 1, 1, 1])
    with pytest.raises(DataError, match="finite rate"):
        fit_svensson([1, 2, 3, 4, 5, 6], [math.inf, 0, 0, 0, 0, 0])
    with pytest.raises(ConfigError, match="decays above 0"):
        Svensson(0.04, 0, 0, 0, 0.0, 1.0)


@pytest.mark.parametrize("nelson_siegel", [False, True])
def test_times_that_determine_no_curve_are_refused(nelson_siegel: bool) -> None:
    """Times 1e-12 apart leave betas of rounding: refused as by the verb, on one constant; a year apart they fit."""
    rates = np.array([0.030, 0.031, 0.030, 0.032, 0.031, 0.033, 0.030])
    with pytest.raises(DataError, match=r"cannot tell its numbers apart \(condition .*expected 1e\+08"):
        fit_svensson(1.0 + 1e-12 * np.arange(7), rates, nelson_siegel=nelson_siegel)
    assert fit_svensson(1.0 + np.arange(7), rates, nelson_siegel=nelson_siegel).condition <= SINGULAR


def test_diebold_li_factors() -> None:
    """The factors that made the yields come back, with gaps too; a date with three yields has none."""
    t = np.array([0.25, 0.5, 1, 2, 3, 5, 7, 10.0])
    u = 1 / (12 * 0.0609)
    truth = np.array([[0.05, -0.02, 0.01], [0.04, 0.01, -0.03], [0.03, 0.0, 0.02]])
    y = np.array([[Svensson(*f, 0.0, u, u).zero(x) for x in t] for f in truth])
    y[1, [0, 4]] = np.nan
    y[2, :5] = np.nan
    got = diebold_li(t, y)
    assert np.allclose(got[:2], truth[:2], atol=1e-13)
    assert np.isnan(got[2]).all()
    with pytest.raises(DataError, match="rates a date"):
        diebold_li(t, y[:, :3])


def test_names_of_the_package_are_functions_whatever_was_loaded_before() -> None:
    """`fit_svensson` and `bootstrap` are also names of files: loading one does not put the module in its place."""
    import oneprice.signals.curve.bootstrap
    import oneprice.signals.curve.fit_svensson  # noqa: F401
    from oneprice.signals import curve

    for name in curve.__all__:
        assert callable(getattr(curve, name)) or name in ("bonds", "delivery")
    assert curve.fit_svensson is fit_svensson


def test_diebold_li_without_three_tenors_has_no_factors() -> None:
    """Five yields at one tenor determine no level, slope and curvature."""
    assert np.isnan(diebold_li([1.0] * 5, [[0.01] * 5])).all()
