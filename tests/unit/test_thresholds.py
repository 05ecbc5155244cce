"""Bands: each optimum against a plain search, an integral or a simulation; what cost, stop and doubt do to it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import erf, erfi

from oneprice.core.errors import ConfigError
from oneprice.signals.reversion.ornstein import fit_ou
from oneprice.signals.thresholds.band import no_trade
from oneprice.signals.thresholds.bertram import (
    bertram,
    bertram_sharpe,
    cycle_time,
    cycle_variance,
    sharpe,
    variance_rate,
)
from oneprice.signals.thresholds.cylinder import log_cylinder
from oneprice.signals.thresholds.leung_li import Solutions, leung_li
from oneprice.signals.thresholds.minimum_profit import minimum_profit, panels, passage_bars
from oneprice.signals.thresholds.uncertain import (
    Nodes,
    band_rate,
    far_stop,
    kappa_nodes,
    known,
    leave_at,
    scale_at,
    uncertain_band,
)
from oneprice.signals.thresholds.uncertain_trade import uncertain_trade, values
from oneprice.signals.thresholds.zeng_lee import RULES, zeng_lee

KAPPA, SIGMA_EQ, COST = 8.0, 0.05, 0.02
GLD = dict(kappa=6.306, level=0.71758, sigma=math.sqrt(0.00698), rate=0.05, cost=0.02)


def test_closed_optima_are_optima() -> None:
    """Bertram and both rules of Zeng-Lee: no other band on a fine grid has a larger rate."""
    xs = np.linspace(0.5 * COST + 1e-6, 6 * SIGMA_EQ, 4_000)
    time = np.array([cycle_time(KAPPA, SIGMA_EQ, -x, x) for x in xs])
    one, both = bertram(KAPPA, SIGMA_EQ, COST), zeng_lee(KAPPA, SIGMA_EQ, COST)
    level = zeng_lee(KAPPA, SIGMA_EQ, COST, "level")
    turn = (2 * xs - COST) / time
    rates = {"one": turn, "both": 2 * turn, "level": (xs - COST) / (0.25 * time)}
    for name, band in (("one", one), ("both", both), ("level", level)):
        assert band.rate == pytest.approx(rates[name].max(), rel=1e-5) and band.rate >= rates[name].max()
        assert -band.entry == pytest.approx(xs[rates[name].argmax()], abs=2e-4)
    assert both.rate == pytest.approx(2.0 * one.rate, rel=1e-12) and both.entry == one.entry
    assert both.rate > level.rate and level.exit == 0.0 and both.exit == -both.entry == one.exit
    for a, m in ((-0.03, 0.05), (-0.09, 0.0)):  # not symmetric: never better than the symmetric one
        assert (m - a - COST) / cycle_time(KAPPA, SIGMA_EQ, a, m) < one.rate
    assert one.in_sigmas(SIGMA_EQ) == (one.entry / SIGMA_EQ, one.exit / SIGMA_EQ)


def passage_moments(start: float, end: float) -> tuple[float, float]:
    """Mean and variance of the upward passage time start -> end of dX = -X dt + sqrt 2 dW, by nested integrals."""
    low = -9.0
    x = np.linspace(low, end, 200_001)
    h = x[1] - x[0]
    weight = np.exp(-0.5 * x * x)
    inner = np.concatenate([[0.0], np.cumsum(0.5 * (weight[1:] + weight[:-1])) * h])
    slope = inner / weight  # minus the derivative of the mean time to `end`
    mean = np.concatenate([np.cumsum((0.5 * (slope[1:] + slope[:-1]))[::-1])[::-1], [0.0]]) * h
    heavy = 2.0 * mean * weight
    second = np.concatenate([[0.0], np.cumsum(0.5 * (heavy[1:] + heavy[:-1])) * h]) / weight
    square = np.concatenate([np.cumsum((0.5 * (second[1:] + second[:-1]))[::-1])[::-1], [0.0]]) * h
    at = round((start - low) / h)
    return float(mean[at]), float(square[at] - mean[at] ** 2)


@pytest.mark.parametrize(("a", "m"), [(-0.7, 0.7), (-1.8, 1.8), (-1.5, 0.3)])
def test_moments_of_a_cycle(a: float, m: float) -> None:
    """Bertram's E[T] and Var[T] equal those of the two passages by integrals (time unit 1 / kappa, sigma_eq 1)."""
    up, down = passage_moments(a, m), passage_moments(-m, -a)
    assert cycle_time(1.0, 1.0, a, m) == pytest.approx(up[0] + down[0], rel=1e-4)
    assert cycle_variance(1.0, 1.0, a, m) == pytest.approx(up[1] + down[1], rel=1e-3)
    assert cycle_variance(4.0, 0.3, 0.3 * a, 0.3 * m) == pytest.approx((up[1] + down[1]) / 16.0, rel=1e-3)


def test_sharpe_needs_a_hurdle() -> None:
    """Best band by ratio: no better one on a grid; wider than the best by rate for a large hurdle; refused at 0."""
    best = bertram_sharpe(KAPPA, SIGMA_EQ, COST, 0.01)
    xs = np.linspace(0.016, 0.29, 500)
    grid = [sharpe(KAPPA, SIGMA_EQ, -x, x, COST, 0.01) for x in xs]
    assert sharpe(KAPPA, SIGMA_EQ, best.entry, best.exit, COST, 0.01) >= max(grid)
    assert best.variance_rate == variance_rate(KAPPA, SIGMA_EQ, best.entry, best.exit, COST)
    with pytest.raises(ConfigError, match="hurdle"):
        bertram_sharpe(KAPPA, SIGMA_EQ, COST, 0.0)
    assert not bertram_sharpe(KAPPA, SIGMA_EQ, 20 * SIGMA_EQ, 0.01).trades


def test_without_cost_the_band_closes() -> None:
    """Cost to 0: the band goes to 0 and the rate to its limit, continuously."""
    for rule in RULES:
        none, little = zeng_lee(KAPPA, SIGMA_EQ, 0.0, rule), zeng_lee(KAPPA, SIGMA_EQ, 1e-9, rule)
        assert none.entry == 0.0 and none.trades and abs(little.entry) < 0.01 * SIGMA_EQ
        assert little.rate == pytest.approx(none.rate, rel=1e-3) and little.rate < none.rate
    assert bertram(KAPPA, SIGMA_EQ, 0.0).rate == pytest.approx(0.5 * zeng_lee(KAPPA, SIGMA_EQ, 0.0).rate)


def by_quadrature(power: float, z: float) -> float:
    """int_0^inf u^(power - 1) exp(z u - u^2 / 2) du with u = s^(1 / power), which takes the singularity away."""

    def f(s: float) -> float:
        u = s ** (1.0 / power)
        return math.exp(z * u - 0.5 * u * u) / power

    return sum(quad(f, a, b, limit=200)[0] for a, b in ((0.0, 0.9), (0.9, 1.0), (1.0, 40.0**power)))


def test_leung_li_solves_its_equations() -> None:
    """F and G equal the quadrature; they solve the generator's equation; b*, d* maximise what they must."""
    s = Solutions(0.05 / 6.306, 0.71758, math.sqrt(2 * 6.306 / 0.00698))
    for x in (0.6, 0.71758, 0.8):
        z = s.slope * (x - s.level)
        assert s.rising(x) == pytest.approx(by_quadrature(s.power, z), rel=1e-7)
        assert s.falling(x) == pytest.approx(by_quadrature(s.power, -z), rel=1e-7)
        for value, slope, sign in ((s.rising, s.rising_slope, 1.0), (s.falling, s.falling_slope, -1.0)):
            assert slope(x) == pytest.approx(sign * s.slope * by_quadrature(s.power + 1.0, sign * z), rel=1e-7)
            parts = (
                0.5 * 0.00698 * s.slope**2 * by_quadrature(s.power + 2.0, sign * z),
                6.306 * (0.71758 - x) * slope(x),
                -0.05 * value(x),
            )
            assert sum(parts) == pytest.approx(0.0, abs=1e-7 * max(map(abs, parts)))
    one = leung_li(**GLD)
    grid = np.linspace(0.73, 0.8, 701)
    assert grid[np.argmax([(b - 0.02) / s.rising(b) for b in grid])] == pytest.approx(one.close, abs=1e-4)
    up = (one.close - 0.02) / s.rising(one.close)
    opens = np.linspace(0.6, 0.7, 1_001)
    gains = [(up * s.rising(x) - x - 0.02) / s.falling(x) for x in opens]
    assert opens[int(np.argmax(gains))] == pytest.approx(one.high, abs=1e-4)
    assert one.value == pytest.approx(max(gains) * s.falling(s.level), rel=1e-5) and one.low == -math.inf


def test_leung_li_with_a_stop() -> None:
    """A far stop changes nothing; a near one lowers the close and the value; a tight one leaves no opening."""
    free = leung_li(**GLD)
    far, near = leung_li(**GLD, stop=0.3), leung_li(**GLD, stop=0.6)
    assert (far.close, far.high, far.value) == pytest.approx((free.close, free.high, free.value), rel=1e-9)
    assert near.close < free.close and near.value < free.value and near.stop < near.low < near.high < near.close
    assert not leung_li(**GLD, stop=0.65).trades
    s = Solutions(0.05 / 6.306, 0.71758, math.sqrt(2 * 6.306 / 0.00698))

    def value(b: float, x: float, stop: float) -> float:
        ends = np.array([[s.rising(stop), s.falling(stop)], [s.rising(b), s.falling(b)]])
        up, down = np.linalg.solve(ends, [stop - 0.02, b - 0.02])
        return float(up * s.rising(x) + down * s.falling(x))

    grid = np.linspace(0.735, 0.76, 501)
    assert grid[np.argmax([value(b, 0.65, 0.6) for b in grid])] == pytest.approx(near.close, abs=1e-4)
    for bad in (dict(stop=0.72), dict(rate=0.0), dict(cost=-0.1), dict(sigma=0.0)):
        with pytest.raises(ConfigError):
            leung_li(**{**GLD, **bad})
    assert leung_li(**{**GLD, "entry_cost": 0.0}).high > free.high


def test_the_cylinder_integral() -> None:
    """Small and large powers against quadrature, also where the library's function fails, and across the switch."""
    for p, z in ((0.3, -2.0), (3.0, 1.0), (19.0, -2.0), (25.0, -2.0), (60.0, -2.0), (100.0, 2.0)):
        peak = 0.5 * (z + math.sqrt(z * z + 4.0 * max(p - 1.0, 0.0)))
        if p < 1.0:
            assert math.exp(log_cylinder(p, z)) == pytest.approx(by_quadrature(p, z), rel=1e-7)
            continue
        top = (p - 1.0) * math.log(peak) + z * peak - 0.5 * peak * peak
        ends = max(peak - 12.0, 0.0), peak + 12.0
        area = quad(lambda u, p=p, z=z, top=top: math.exp((p - 1) * math.log(u) + z * u - 0.5 * u * u - top), *ends)[0]
        assert float(log_cylinder(p, z)) == pytest.approx(top + math.log(area), abs=1e-7)
    across = [float(log_cylinder(p, -2.0)) for p in (19.999, 20.0, 20.001)]
    assert across[2] - across[1] == pytest.approx(across[1] - across[0], rel=1e-3)
    assert np.isfinite(log_cylinder([0.01, 5.0, 1e5], [[-90.0], [90.0]])).all()


def test_doubt_about_one_trade() -> None:
    """One node gives Leung-Li back, stop or not; a walk loses; doubt is worth less than knowing each.

    And the trade for the doubt is worth more than the trade for the middle.
    """
    nodes = known(6.306, GLD["sigma"] / math.sqrt(2 * 6.306))
    for stop in (-math.inf, 0.6):
        sure = leung_li(**GLD, stop=stop)
        same = uncertain_trade(nodes, 0.71758, rate=0.05, cost=0.02, stop=stop)
        assert (same.high, same.close, same.value) == pytest.approx((sure.high, sure.close, sure.value), rel=1e-6)
    assert not uncertain_trade(nodes, 0.71758, rate=0.05, cost=0.02, stop=0.65).trades
    spread = Nodes(np.array([2.0, 6.306, 12.0]), np.full(3, GLD["sigma"]), np.full(3, 1 / 3))
    doubt, sure = uncertain_trade(spread, 0.71758, rate=0.05, cost=0.02), leung_li(**GLD)
    terms, plug_in = (0.71758, 0.02, 0.02), (sure.high - 0.71758, sure.close - 0.71758, -math.inf)
    assert doubt.value > np.mean(values(spread, 0.05, terms, plug_in))
    assert doubt.value < np.mean([leung_li(**{**GLD, "kappa": k}).value for k in spread.kappa])
    walk = Nodes(np.zeros(1), np.array([0.1]), np.ones(1))
    assert not uncertain_trade(walk, 0.7, rate=0.05, cost=0.02).trades
    slow = Nodes(np.array([1e-7]), np.array([0.1]), np.ones(1))
    for stop in (-math.inf, -0.3):
        lost = [values(n, 0.05, (0.7, 0.02, 0.02), (-0.1, 0.1, stop))[0] for n in (walk, slow)]
        assert lost[0] < 0.0 and lost[1] == pytest.approx(lost[0], rel=1e-3)
    assert values(walk, 0.05, (0.0, 0.02, 0.02), (0.1, -0.1, -1.0))[0] == -math.inf
    for bad in (dict(rate=0.0), dict(cost=-1.0), dict(stop=0.72)):
        with pytest.raises(ConfigError):
            uncertain_trade(nodes, 0.71758, **{**dict(rate=0.05, cost=0.02), **bad})


def test_passage_times_and_minimum_profit() -> None:
    """Passage bars equal a simulation; the best opening beats a grid; cost widens it; too costly: no trade."""
    phi, shock = 0.9, 1.0
    rng = np.random.default_rng(3)
    y = np.full(40_000, 2.0)
    bars = np.zeros(len(y))
    alive = np.ones(len(y), bool)
    while alive.any():
        y[alive] = phi * y[alive] + shock * rng.standard_normal(alive.sum())
        bars[alive] += 1
        alive &= y > 0.0
    assert passage_bars(phi, shock, 2.0, (0.0, math.inf)) == pytest.approx(bars.mean(), rel=0.02)
    best = minimum_profit(phi, shock, 0.5, 1_000)
    for x in np.linspace(0.6, 6.0, 20):
        both = passage_bars(phi, shock, x, (0.0, math.inf)) + passage_bars(phi, shock, 0.0, (-math.inf, x))
        assert (1_000 / both - 1.0) * (x - 0.5) <= best.profit * (1 + 1e-9)
    assert minimum_profit(phi, shock, 1.0, 1_000).entry > best.entry > minimum_profit(phi, shock, 0.1, 1_000).entry
    assert not minimum_profit(phi, shock, 50.0, 1_000).trades and not minimum_profit(0.99, shock, 1.0, 10).trades
    x, w = panels(0.0, 2.0, 40)
    assert float(w @ np.exp(x)) == pytest.approx(math.expm1(2.0), rel=1e-13)
    for bad in (dict(phi=1.0), dict(shock=0.0), dict(cost=-1.0), dict(bars=0)):
        with pytest.raises(ConfigError):
            minimum_profit(**{**dict(phi=phi, shock=shock, cost=0.1, bars=100), **bad})


def test_series_of_scale_and_exit_time() -> None:
    """Both series against scipy's erfi and a quadrature."""
    for u in (0.0, 1e-3, 0.4, 2.0, 5.0):
        assert scale_at(u) == pytest.approx(0.5 * math.sqrt(math.pi) * erfi(u), rel=1e-13)
        assert scale_at(-u) == -scale_at(u)
        area = quad(lambda v: erf(v) * math.exp(v * v), 0.0, u, epsabs=0.0)[0]
        assert leave_at(u) == pytest.approx(math.sqrt(math.pi) * area, rel=1e-9)


@pytest.mark.parametrize("rule", ["level", "reverse"])
def test_a_stop_does_not_move_a_known_band(rule: str) -> None:
    """For one kappa the best opening is Zeng-Lee's whatever the stop; the rate falls as the stop comes nearer."""
    free = zeng_lee(KAPPA, SIGMA_EQ, COST, rule)
    rates = []
    for stop in (6.0, 3.5, 2.5, 2.0):
        band = uncertain_band(known(KAPPA, SIGMA_EQ), COST, stop * SIGMA_EQ, rule=rule)
        assert band.entry == pytest.approx(free.entry, abs=1e-6 * SIGMA_EQ) and band.stop == -stop * SIGMA_EQ
        assert band_rate(known(KAPPA, SIGMA_EQ), COST, (band.entry, band.exit, band.stop)) == pytest.approx(band.rate)
        rates.append(band.rate)
    assert rates[0] == pytest.approx(free.rate, rel=1e-4) and rates == sorted(rates, reverse=True)


def test_doubt_widens_the_band_and_then_ends_the_trade() -> None:
    """Half-life 15 on 250 bars: entry beyond the certain one, less profit, and no trade at a cost the certain takes."""
    b = 0.5 ** (1 / 15)
    x = np.random.default_rng(11).standard_normal(250)
    for t in range(1, 250):
        x[t] += b * x[t - 1]
    fit = fit_ou(x, 1.0)
    nodes, sure = kappa_nodes(fit, 1.0), known(fit.kappa, fit.sigma_eq)
    assert 0.0 <= nodes.walk_share < 0.5 and nodes.weight.sum() == pytest.approx(1.0)
    assert np.all(np.diff(nodes.kappa) <= 0.0) or np.all(np.diff(nodes.kappa) >= 0.0)
    stop = 4.0 * fit.sigma_eq
    entries, last = [], math.inf
    for cost in (0.2, 0.8, 2.0, 4.0):
        doubt, certain = uncertain_band(nodes, cost, stop), uncertain_band(sure, cost, stop)
        assert doubt.entry < certain.entry < 0.0 and doubt.rate < last
        entries.append(-doubt.entry)
        last = doubt.rate
    assert entries == sorted(entries)
    dear = [c for c in np.linspace(1.0, 12.0, 45) if not uncertain_band(nodes, c, stop).trades]
    assert dear and uncertain_band(sure, dear[0], stop).trades
    assert not uncertain_band(nodes, 0.2, stop, hurdle=1.0).trades
    assert far_stop(nodes) >= 6.0 * 0.5 * fit.sigma_eq


def test_a_walk_is_not_traded() -> None:
    """All weight on kappa 0: the rate is minus the cost over the time of a round trip, and there is no trade."""
    walk = Nodes(np.zeros(1), np.array([2.0]), np.ones(1))
    assert not uncertain_band(walk, 0.1, 10.0).trades
    for entry, close, stop in ((-3.0, 0.0, -10.0), (-3.0, 3.0, -8.0)):
        x, e, far = -entry, -close, -stop
        time = (x - e) / (far - e) * far**2 / 4.0
        assert band_rate(walk, 0.1, (entry, close, stop)) == pytest.approx(-0.1 / time, rel=1e-12)
    slow = Nodes(np.array([1e-9]), np.array([2.0]), np.ones(1))
    assert band_rate(slow, 0.1, (-3.0, 0.0, -10.0)) == pytest.approx(band_rate(walk, 0.1, (-3.0, 0.0, -10.0)), rel=1e-4)


def test_parameters_are_checked() -> None:
    """Wrong units, signs and names: ConfigError; a band of no trade says so."""
    for bad in ((0.0, 1.0, 0.1), (1.0, math.nan, 0.1), (1.0, 1.0, -0.1)):
        for rule in (bertram, zeng_lee):
            with pytest.raises(ConfigError):
                rule(*bad)
    with pytest.raises(ConfigError, match="did you mean 'level'"):
        zeng_lee(1.0, 1.0, 0.1, "levl")
    with pytest.raises(ConfigError, match="rule"):
        uncertain_band(known(1.0, 1.0), 0.1, 3.0, rule="x")
    for cost, stop in ((-0.1, 3.0), (0.1, 0.0), (0.1, math.inf)):
        with pytest.raises(ConfigError):
            uncertain_band(known(1.0, 1.0), cost, stop)
    with pytest.raises(ConfigError, match="nodes"):
        uncertain_band(Nodes(np.empty(0), np.empty(0), np.empty(0)), 0.1, 3.0)
    for band in ((-1.0, 0.0, -0.5), (1.0, 2.0, -3.0), (-1.0, 1.5, -3.0)):
        with pytest.raises(ConfigError, match="band"):
            band_rate(known(1.0, 1.0), 0.1, band)
    with pytest.raises(ConfigError, match="2 nodes"):
        kappa_nodes(fit_ou(np.sin(np.arange(50.0)), 1.0), 1.0, 1)
    with pytest.raises(ConfigError, match="kappa > 0"):
        far_stop(Nodes(np.zeros(1), np.ones(1), np.ones(1)))
    assert not no_trade(0.1).trades and no_trade(0.1).rate == 0.0
    assert not uncertain_band(known(1.0, 1.0), 5.0, 4.0).trades
