"""Capital of a signal: bounded, monotone in each argument, nothing for what is no number."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.signals import capital as cap

RULE = np.zeros(1, cap.RULE)
RULE["shrink"], RULE["most"], RULE["participation"], RULE["floor"] = 0.5, 2.0, 0.1, 0.8
rule = RULE.view(np.recarray)[0]
positive = st.floats(1e-4, 1e3)
amount = st.floats(0.0, 1e9)


def whole(gain: float, sd: float, se: float, wealth: float, peak: float, depth: float) -> float:
    """Capital of a two-leg position of equal weights."""
    f = cap.kelly(gain, sd, se, rule)
    c = cap.liquid(np.array([depth, 2.0 * depth]), np.array([1.0, -1.0]), 2, 0.1)
    return float(cap.capital(f, cap.surplus(wealth, peak, 0.8), c))


@settings(max_examples=300, deadline=None)
@given(st.floats(-1.0, 1.0), positive, st.floats(0.0, 10.0), amount, amount, amount, st.floats(1.0, 3.0))
def test_bounds_and_monotony(
    gain: float, sd: float, se: float, wealth: float, peak: float, depth: float, up: float
) -> None:
    """0 <= capital <= most x surplus and <= the liquidity cap; more gain, wealth or depth never lowers it, more risk,
    error or peak never raises it."""
    base = whole(gain, sd, se, wealth, peak, depth)
    left = max(wealth - 0.8 * max(wealth, peak), 0.0)
    assert 0.0 <= base <= 2.0 * left * (1 + 1e-12)
    assert base <= 0.1 * 2.0 * depth * (1 + 1e-12)
    grown = gain + (up - 1.0) * abs(gain)
    more = (
        whole(grown, sd, se, wealth, peak, depth),
        whole(gain, sd, se, wealth * up, peak, depth),
        whole(gain, sd, se, wealth, peak, depth * up),
    )
    less = (
        whole(gain, sd * up, se, wealth, peak, depth),
        whole(gain, sd, se * up, wealth, peak, depth),
        whole(gain, sd, se, wealth, max(wealth, peak) * up, depth),
    )
    assert all(x >= base * (1 - 1e-12) for x in more)
    assert all(x <= base * (1 + 1e-12) for x in less)
    if gain <= 0.0 or wealth <= 0.8 * peak:
        assert base == 0.0


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(amount, st.floats(-5.0, 5.0)), min_size=1, max_size=4), st.floats(0.01, 1.0))
def test_each_leg_stays_within_its_participation(legs: list[tuple[float, float]], share: float) -> None:
    """At the cap the tightest leg takes exactly its participation and no leg more."""
    depth, weight = (np.array(x) for x in zip(*legs, strict=True))
    most = float(cap.liquid(depth, weight, len(legs), share))
    total = np.abs(weight).sum()
    if total == 0.0:
        assert most == 0.0
        return
    taken = most * (np.abs(weight) / total)
    used = weight != 0
    assert (taken <= share * depth * (1 + 1e-9)).all()
    assert (share * depth[used] - taken[used]).min() == pytest.approx(0.0, abs=1e-9 * max(1.0, depth[used].max()))


def test_gain_of_a_spread_is_that_of_an_ornstein_uhlenbeck_walk() -> None:
    """Mean and deviation against 40,000 exact draws; net of cost; an endless holding earns the whole distance."""
    z, sigma, kappa, steps, cost = 2.0, 0.01, 0.05, 20.0, 0.002
    rng = np.random.default_rng(3)
    left = math.exp(-kappa * steps)
    end = z * sigma * left + sigma * math.sqrt(1 - left * left) * rng.standard_normal(40_000)
    gains = z * sigma - end - cost
    assert float(cap.net_gain(z, sigma, kappa, steps, cost)) == pytest.approx(gains.mean(), abs=3e-4)
    assert float(cap.gain_sd(sigma, kappa, steps)) == pytest.approx(gains.std(), rel=0.02)
    assert float(cap.net_gain(-3.0, 0.01, 0.05, math.inf, 0.002)) == pytest.approx(0.028, abs=1e-15)
    assert float(cap.net_gain(0.1, sigma, kappa, steps, cost)) < 0.0


def test_full_kelly_without_error_is_mean_over_variance() -> None:
    """Thorp's example: excess mean .05, sd .15 gives 2.2222; an error of the mean lowers it."""
    one = np.zeros(1, cap.RULE)
    one["shrink"], one["most"] = 1.0, 100.0
    full = one.view(np.recarray)[0]
    assert float(cap.kelly(0.05, 0.15, 0.0, full)) == pytest.approx(2.2222, abs=5e-5)
    assert float(cap.kelly(0.05, 0.15, 0.15, full)) == pytest.approx(1.1111, abs=5e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_gets_nothing(bad: float) -> None:
    """NaN and infinities give 0 (an infinite gain is no number either way it is capped), and the fold ignores them."""
    assert float(cap.kelly(0.1, bad, 0.0, rule)) == 0.0
    assert float(cap.kelly(0.1, 0.1, bad, rule)) == 0.0
    assert float(cap.liquid(np.array([bad, 1.0]), np.array([1.0, 1.0]), 2, 0.1)) in (0.0, 0.2)
    assert float(cap.capital(math.nan, 1.0, 1.0)) == float(cap.capital(1.0, math.nan, 1.0)) == 0.0
    assert float(cap.capital(1.0, 1.0, math.nan)) == 0.0
    s = np.zeros(1, cap.STATE).view(np.recarray)[0]
    for x in (5.0, 7.0, bad, 6.0):
        cap.observe(s, x)
    assert (s.wealth, s.peak, s.n) == (6.0, 7.0, 3)
