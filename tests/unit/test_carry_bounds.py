"""Bounds of carry, currencies and perpetuals: what they are made of, when there is none, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.core.errors import ConfigError
from oneprice.signals.parity.carry import Terms, carry_band, carry_high, carry_low, implied_rate, outside, strip
from oneprice.signals.parity.foreign import Rates, forward_band, forward_profit, triangle
from oneprice.signals.parity.perpetual import funding_rate, perpetual_band, perpetual_ratio

RATE = st.floats(-0.02, 0.3)
SHARE = st.floats(0.0, 0.05)


@settings(deadline=None)  # the first call compiles
@given(
    st.floats(1.0, 1000.0), SHARE, st.floats(0.0, 5.0), RATE, SHARE, SHARE, SHARE, SHARE, st.floats(0.0, 1.0),
)  # fmt: skip
def test_no_round_trip_inside_the_band_pays(
    spot: float, half: float, years: float, lend: float, gap: float, fee: float, tax: float, cost: float, at: float
) -> None:
    """Cash and carry, and its reverse, flow by flow at a price inside the band, lose or break even."""
    bid, ask = spot * (1 - half), spot * (1 + half)
    terms = Terms(lend_rate=lend, borrow_rate=lend + gap, borrow_fee=fee, tax=tax, cost=cost)
    band = carry_band(bid, ask, years, terms)
    future = band.low + at * (band.high - band.low)
    bought = future - ask * (1 + tax) * math.exp((lend + gap) * years) - cost
    sold = bid * (1 - tax) * math.exp((lend - fee) * years) - future - cost
    assert bought <= 1e-9 * spot and sold <= 1e-9 * spot
    assert band.outside(future, future) == 0.0 or abs(band.outside(future, future)) < 1e-9 * spot


def test_parts_sum_to_the_bound_and_name_the_frictions() -> None:
    """Each friction is in its own part, and the parts of a bound are the bound."""
    terms = Terms(
        lend_rate=0.04, borrow_rate=0.06, borrow_fee=0.01, tax=0.001, cost=0.05, fit_error=0.02,
        dividends=((0.1, 0.5), (2.0, 9.0)), storage=((0.0, 0.3),),
    )  # fmt: skip
    band = carry_band(99.9, 100.1, 0.5, terms)
    assert math.isclose(sum(band.high_parts.values()), band.high, rel_tol=1e-15)
    assert math.isclose(sum(band.low_parts.values()), band.low, rel_tol=1e-15)
    assert band.high_parts["storage"] == 0.3 and band.low_parts["storage"] == 0.0
    assert band.high_parts["dividend"] == pytest.approx(-0.5 * math.exp(-0.006))  # the later one is not ours
    assert band.high_parts["fit"] == 0.02 == -band.low_parts["fit"]
    assert band.low < 99.9 * math.exp(0.02) and band.high > (100.1 - 0.5) * math.exp(0.03)


def test_who_has_which_boundary() -> None:
    """Crude has an upper bound only, volatility none; the word arbitrage is kept for observed inputs."""
    terms = Terms(lend_rate=0.03, borrow_rate=0.03)
    crude = carry_band(60, 60, 0.1, terms, "upper")
    assert math.isnan(crude.low) and crude.high > 60 and crude.word == "arbitrage"
    assert crude.outside(1.0, 1.0) == 0.0
    vix = carry_band(20, 20, 0.1, terms, "none")
    assert math.isnan(vix.low) and math.isnan(vix.high) and vix.word == "relative value"
    assumed = Terms(lend_rate=0.03, borrow_rate=0.03, storage_rate=0.1, observed=False)
    assert carry_band(60, 60, 0.1, assumed, "upper").word == "relative value"


def test_scalar_bounds_are_the_band() -> None:
    """What a strategy computes in compiled code is what the table prints."""
    terms = Terms(lend_rate=0.02, borrow_rate=0.05, borrow_fee=0.01, dividend_yield=0.015, storage_rate=0.02, cost=0.1)
    band = carry_band(100, 101, 0.7, terms)
    assert carry_high(101, 0.7, 0.05 + 0.02 - 0.015, 0.0, 0.1) == pytest.approx(band.high, rel=1e-15)
    assert carry_low(100, 0.7, 0.02 - 0.01 - 0.015, 0.0, 0.1) == pytest.approx(band.low, rel=1e-15)
    assert math.isnan(carry_high(101, -0.1, 0.05, 0.0, 0.1)) and math.isnan(carry_low(101, math.nan, 0.05, 0.0, 0.1))
    assert outside(band.high + 1, band.high + 2, band.low, band.high) == pytest.approx(1)
    assert outside(band.low - 2, band.low - 1, band.low, band.high) == pytest.approx(-1)
    assert outside(math.nan, math.nan, band.low, band.high) == 0.0
    assert implied_rate(100, 100 * math.exp(0.03), 0.5) == pytest.approx(0.06)
    assert math.isnan(implied_rate(-37.63, 20.43, 0.1)) and math.isnan(implied_rate(1, 2, 0))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"lend_rate": 0.06}, "lend_rate <= borrow_rate"),
        ({"lend_rate": math.nan}, "lend_rate <= borrow_rate"),
        ({"borrow_fee": -0.01}, "borrow_fee of 0 or more"),
        ({"cost": math.inf}, "cost of 0 or more"),
        ({"dividends": ((-1.0, 1.0),)}, "dividends: expected"),
        ({"storage": ((1.0, math.nan),)}, "storage: expected"),
    ],
)
def test_impossible_terms_are_refused(change: dict, text: str) -> None:
    """Rates the wrong way round, negative or missing amounts."""
    with pytest.raises(ConfigError, match=text):
        Terms(**{"lend_rate": 0.03, "borrow_rate": 0.05, **change})


def test_impossible_quotes_are_refused() -> None:
    """Expired contracts, crossed quotes, unknown boundaries, funding too weak."""
    terms = Terms(lend_rate=0.03, borrow_rate=0.03)
    with pytest.raises(ConfigError, match="the contract has expired"):
        carry_band(60, 60, -0.01, terms)
    with pytest.raises(ConfigError, match="0 < spot bid <= ask"):
        carry_band(61, 60, 0.1, terms)
    with pytest.raises(ConfigError, match="did you mean 'upper'"):
        carry_band(60, 60, 0.1, terms, "uper")
    with pytest.raises(ConfigError, match="lend <= borrow"):
        Rates(0.05, 0.04)
    with pytest.raises(ConfigError, match="0 < bid <= ask"):
        forward_band(0.0, 1.0, 1.0, Rates(0, 0), Rates(0, 0))
    with pytest.raises(ConfigError, match="years of 0 or more"):
        forward_band(1.0, 1.0, -1.0, Rates(0, 0), Rates(0, 0))
    with pytest.raises(ConfigError, match="bc: expected 0 < bid <= ask"):
        triangle((1, 1), (2, 1), (1, 1))
    with pytest.raises(ConfigError, match="rates: expected lend <= borrow"):
        perpetual_band((1, 1), 1095, (0.05, 0.04))
    with pytest.raises(ConfigError, match="hold_years above 0"):
        perpetual_band((1, 1), 0, (0.05, 0.05))
    assert math.isnan(perpetual_ratio(0.04, 0.05))


def test_perpetual_band_holds_the_identity_and_widens_with_costs() -> None:
    """Without frictions the band is one price; each friction widens it; capped funding is clamped."""
    low, high = perpetual_band((100, 100), 1095, (0.05, 0.05))
    assert low == pytest.approx(high) == pytest.approx(100.00456641855793, abs=1e-12)
    wide = perpetual_band((99.99, 100.01), 1095, (0.03, 0.06), cost=0.002, hold_years=1 / 12)
    assert wide[0] < low <= high < wide[1]
    longer = perpetual_band((99.99, 100.01), 1095, (0.03, 0.06), cost=0.002, hold_years=1.0)
    assert wide[0] < longer[0] < longer[1] < wide[1]
    assert funding_rate(0.0, 1e-4, 5e-4, 0.0075) == 1e-4  # the interest rate, while the premium is small
    assert funding_rate(0.001, 1e-4, 5e-4, 0.0075) == pytest.approx(0.0005)
    assert funding_rate(0.1, 1e-4, 5e-4, 0.0075) == 0.0075
    assert math.isnan(funding_rate(math.nan, 1e-4, 5e-4, 0.0075))


def test_triangles() -> None:
    """A consistent triangle pays nothing, costs make it lose, a mispriced cross pays one way."""
    assert triangle((1.1, 1.1), (150.0, 150.0), (165.0, 165.0)) == pytest.approx((0.0, 0.0), abs=1e-12)
    assert max(triangle((1.1, 1.1), (150.0, 150.0), (165.0, 165.0), fee_bp=1)) < 0
    there, back = triangle((1.1, 1.1), (150.0, 150.0), (166.0, 166.0), fee_bp=1)
    assert there > 0.005 and back < 0


def test_strip_against_the_band() -> None:
    """The kernel over a strip is the band of each contract on the one before it; gaps and expired pairs give NaN."""
    rng = np.random.default_rng(3)
    price = 60 + rng.normal(0, 3, (50, 4)).cumsum(axis=1)
    years = np.tile([0.05, 0.13, 0.21, 0.30], (50, 1))
    place = np.tile(np.arange(4), (50, 1))
    price[3, 1], place[5, 2], years[7, 2] = np.nan, -1, 0.13
    terms = np.tile([0.03, 3.0, 0.05, 1.0], (50, 1))
    got = strip(price, years, place, terms)
    assert np.isnan(got[:, 0]).all()
    assert np.isnan(got[3, 1:3]).all() and np.isnan(got[5, 2]) and np.isnan(got[7, 2])
    for t in range(50):
        for j in range(1, 4):
            if np.isfinite(got[t, j]):
                tau, near = years[t, j] - years[t, j - 1], price[t, j - 1]
                flat = Terms(lend_rate=0.03, borrow_rate=0.03)
                high = carry_band(near, near, tau, flat).high + 3.0 * tau + 0.05
                low = carry_band(near, near, tau, flat).low - 0.05
                assert got[t, j] == pytest.approx(outside(price[t, j], price[t, j], low, high), abs=1e-12)
    negative = strip(np.array([[-37.63, 20.43]]), years[:1, :2], place[:1, :2], terms[:1])
    assert negative[0, 1] == pytest.approx(20.43 + 37.63 - 3.0 * 0.08 - 0.05)


def test_margin_is_financed_on_both_sides() -> None:
    """A tenth of the price posted at 4 % for half a year widens each bound by 0.2 % of spot, under its own name."""
    terms = {"lend_rate": 0.03, "borrow_rate": 0.03}
    plain = carry_band(100, 100, 0.5, Terms(**terms))
    posted = carry_band(100, 100, 0.5, Terms(**terms, margin=0.1, margin_rate=0.04))
    assert posted.high - plain.high == pytest.approx(0.2) == plain.low - posted.low
    assert posted.high_parts["margin"] == pytest.approx(0.2) and plain.high_parts["margin"] == 0.0
    with pytest.raises(ConfigError, match="margin of 0 or more"):
        Terms(**terms, margin=-0.1)


@pytest.mark.parametrize(
    "made",
    [
        lambda: Terms(lend_rate=-math.inf, borrow_rate=0.05),
        lambda: Terms(lend_rate=0.05, borrow_rate=0.05, dividend_yield=math.nan),
        lambda: carry_band(40.0, math.inf, 0.1, Terms(lend_rate=0.05, borrow_rate=0.05)),
        lambda: Rates(0.01, math.inf),
        lambda: forward_profit(-1.0, 1.0, 1.0, 0.1, 0.1),
        lambda: triangle((1.0, 1.0), (1.0, 1.0), (1.0, 1.0), fee_bp=math.nan),
    ],
)
def test_what_is_not_finite_is_refused_and_makes_no_missing_bound(made: Callable[[], object]) -> None:
    """A NaN or an infinity in the inputs would come out as "no bound": it is an error."""
    with pytest.raises(ConfigError, match="expected"):
        made()
