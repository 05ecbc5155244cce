"""Laws of bands and of estimators that hold for any parameters."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.signals.reversion.box_tiao import box_tiao
from oneprice.signals.reversion.hurst import hurst_dfa, hurst_rs
from oneprice.signals.reversion.ornstein import ou_block
from oneprice.signals.reversion.variance_ratio import variance_ratio
from oneprice.signals.thresholds.bertram import bertram, cycle_time
from oneprice.signals.thresholds.leung_li import leung_li
from oneprice.signals.thresholds.uncertain import Nodes, band_rate, known, uncertain_band
from oneprice.signals.thresholds.zeng_lee import RULES, zeng_lee

kappas = st.floats(0.01, 500.0)
sigmas = st.floats(1e-4, 100.0)
costs = st.floats(0.01, 3.0)  # of sigma_eq
rules = st.sampled_from(sorted(RULES))


@given(kappas, sigmas, costs, rules)
@settings(max_examples=100, deadline=None)
def test_units_and_cost(kappa: float, sigma: float, cost: float, rule: str) -> None:
    """Time only scales the rate; price units scale the band; a higher cost opens later and earns less, above cost."""
    unit = zeng_lee(1.0, 1.0, cost, rule)
    band = zeng_lee(kappa, sigma, cost * sigma, rule)
    assert band.entry == pytest.approx(sigma * unit.entry, rel=1e-9)
    assert band.rate == pytest.approx(kappa * sigma * unit.rate, rel=1e-9)
    dearer = zeng_lee(1.0, 1.0, 1.1 * cost, rule)
    assert dearer.entry < unit.entry < 0.0 and 0.0 < dearer.rate < unit.rate
    assert (unit.exit - unit.entry) - cost > 0.0
    one = bertram(kappa, sigma, cost * sigma)
    assert one.exit == -one.entry and one.entry == pytest.approx(sigma * zeng_lee(1.0, 1.0, cost).entry, rel=1e-9)
    assert one.cycle == pytest.approx(cycle_time(kappa, sigma, one.entry, one.exit), rel=1e-12)
    for shift in (0.98, 1.02):
        moved = shift * one.exit
        assert (2 * moved - one.cost) / cycle_time(kappa, sigma, -moved, moved) <= one.rate * (1 + 1e-12)


@given(kappas, sigmas, st.floats(0.01, 1.2), st.floats(2.0, 6.0), rules)
@settings(max_examples=60, deadline=None)
def test_a_known_reversion_is_one_node(kappa: float, sigma: float, cost: float, stop: float, rule: str) -> None:
    """The band over one node is the closed one; splitting the node changes nothing; a walk beside it costs rate."""
    closed = zeng_lee(kappa, sigma, cost * sigma, rule)
    one = known(kappa, sigma)
    band = uncertain_band(one, cost * sigma, stop * sigma, rule=rule)
    if -closed.entry >= 0.999 * stop * sigma:
        return
    if band.trades:
        assert band.entry == pytest.approx(closed.entry, rel=1e-5) and band.rate <= closed.rate * (1 + 1e-9)
        halves = Nodes(np.repeat(one.kappa, 2), np.repeat(one.sigma, 2), np.array([0.3, 0.7]))
        again = uncertain_band(halves, cost * sigma, stop * sigma, rule=rule)
        assert (again.entry, again.rate) == pytest.approx((band.entry, band.rate), rel=1e-6)
        beside = Nodes(np.array([kappa, 0.0]), np.repeat(one.sigma, 2), np.array([0.5, 0.5]))
        worse = uncertain_band(beside, cost * sigma, stop * sigma, rule=rule)
        assert worse.rate < band.rate
        at = (band.entry, band.exit, band.stop)
        assert band_rate(beside, cost * sigma, at) < band_rate(one, cost * sigma, at)


@given(st.floats(1.0, 50.0), st.floats(0.02, 0.5), st.floats(0.01, 0.2), st.floats(0.05, 0.8))
@settings(max_examples=30, deadline=None)
def test_one_trade_moves_with_the_level(kappa: float, sigma: float, rate: float, cost: float) -> None:
    """Leung-Li in deviations does not depend on the level; a higher cost closes later, opens earlier, is worth less."""
    s = sigma / math.sqrt(2.0 * kappa)
    near = leung_li(kappa, 0.0, sigma, rate=rate, cost=cost * s)
    dear = leung_li(kappa, 0.0, sigma, rate=rate, cost=1.2 * cost * s)
    double = leung_li(kappa, 0.0, 2.0 * sigma, rate=rate, cost=2.0 * cost * s)
    assert near.trades and dear.close > near.close > 0.0 > near.high > dear.high and dear.value < near.value
    assert (double.close, double.high) == pytest.approx((2.0 * near.close, 2.0 * near.high), rel=1e-6)


@given(st.integers(0, 10_000), st.floats(-1e4, 1e4), st.floats(0.01, 100.0))
@settings(max_examples=30, deadline=None)
def test_estimators_do_not_see_units(seed: int, shift: float, scale: float) -> None:
    """Level and scale leave slope, H and variance ratios; the order of series leaves the predictabilities."""
    x = np.cumsum(np.random.default_rng(seed).standard_normal((3, 150)), axis=1)
    y = shift + scale * x
    assert ou_block(y, 1.0)["slope"] == pytest.approx(ou_block(x, 1.0)["slope"], abs=1e-7)
    assert hurst_dfa(y) == pytest.approx(hurst_dfa(x), abs=1e-7)
    assert hurst_rs(y[0])[0] == pytest.approx(hurst_rs(x[0])[0], abs=1e-7)
    assert variance_ratio(y[0])["z_star"] == pytest.approx(variance_ratio(x[0])["z_star"], abs=1e-6)
    assert box_tiao(y).ratios == pytest.approx(box_tiao(x[[2, 0, 1]]).ratios, abs=1e-7)
    assert variance_ratio(-y[0])["z"] == pytest.approx(variance_ratio(y[0])["z"], rel=1e-9, abs=1e-12)
