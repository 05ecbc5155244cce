"""Bonds: prices, spreads and butterflies are consistent with the curve; delivery follows the exchange's factors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.core.errors import ConfigError, DataError
from oneprice.signals.curve.bonds import (
    Bond,
    butterfly,
    carry_and_roll,
    dirty_price,
    dv01,
    regression_butterfly,
    yield_of,
    z_spread,
)
from oneprice.signals.curve.delivery import (
    Deliverable,
    basis_of,
    cheapest_to_deliver,
    conversion_factor,
)
from oneprice.signals.curve.parametric import Svensson
from oneprice.signals.curve.rates import par_rate

CURVE = Svensson(0.045, -0.01, 0.01, 0.0, 1.5, 1.5)


@settings(deadline=None)
@given(st.floats(0.0, 0.12), st.floats(0.1, 30.0), st.floats(-0.02, 0.05))
def test_spread_and_yield_undo_the_price(coupon: float, years: float, spread: float) -> None:
    """The z-spread of a price made with one is it; the yield reprices; a higher price has a lower yield."""
    bond = Bond(coupon, years)
    price = dirty_price(CURVE, bond, spread)
    assert z_spread(CURVE, bond, price) == pytest.approx(spread, abs=1e-10)
    rate = yield_of(bond, price)
    again = sum(a * (1 + rate / 2) ** (-2 * t) for t, a in bond.flows())
    assert again == pytest.approx(price, rel=1e-10)
    assert yield_of(bond, price * 1.01) < rate
    assert 0 <= bond.accrued() <= coupon / 2 + 1e-12


def test_par_bonds_and_durations() -> None:
    """A bond with the par coupon is worth 1 and yields it; DV01 is price times duration; it grows with maturity."""
    coupon = par_rate(CURVE, 10.0, "semiannual")
    bond = Bond(coupon, 10.0)
    assert dirty_price(CURVE, bond) == pytest.approx(1.0, abs=1e-12)
    assert yield_of(bond, 1.0) == pytest.approx(coupon, abs=1e-12)
    zero = Bond(0.0, 7.0)
    assert dv01(CURVE, zero) == pytest.approx(7.0 * dirty_price(CURVE, zero) * 1e-4, rel=1e-6)
    assert dv01(CURVE, Bond(0.04, 2)) < dv01(CURVE, Bond(0.04, 5)) < dv01(CURVE, Bond(0.04, 10))


def test_butterflies_are_neutral_to_what_they_say() -> None:
    """50:50 wings make the level neutral and halve the risk; regression weights have less variance than any others."""
    bonds = [Bond(0.04, t) for t in (2.0, 5.0, 10.0)]
    risks = tuple(dv01(CURVE, b) for b in bonds)
    faces = butterfly(risks)  # type: ignore[arg-type]
    exposures = np.multiply(faces, risks)
    assert exposures.sum() == pytest.approx(0.0, abs=1e-15)
    assert exposures[0] == pytest.approx(exposures[2])
    rng = np.random.default_rng(0)
    level, slope = rng.normal(size=500) * 5e-4, rng.normal(size=500) * 3e-4
    moves = np.column_stack([level + slope, level * 0.9 + 0.3 * slope, level * 0.7 - 0.5 * slope])
    moves += rng.normal(size=moves.shape) * 5e-5
    best, (a, b) = regression_butterfly(moves, risks)  # type: ignore[arg-type]

    def spread(faces: tuple[float, ...]) -> float:
        return float((moves @ np.multiply(faces, risks)).std())

    assert spread(best) < spread(faces)
    for da, db in ((0.02, 0), (-0.02, 0), (0, 0.02), (0, -0.02)):
        other = ((a + da) * risks[1] / risks[0], -1.0, (b + db) * risks[1] / risks[2])
        assert spread(best) <= spread(other)


def test_carry_and_roll_down() -> None:
    """Total is the P&L of holding the bond financed; a flat curve at the repo rate earns nothing."""
    bond = Bond(0.05, 7.3)
    got = carry_and_roll(CURVE, bond, 0.25, 0.04)
    aged = Bond(0.05, 7.05)
    coupons = sum(a for t, a in bond.flows() if t <= 0.25)
    held = dirty_price(CURVE, aged) + coupons - dirty_price(CURVE, bond) * (1 + 0.04 * 0.25)
    assert got.total == pytest.approx(held, abs=1e-9 + 0.04 * 0.25 * coupons)
    assert got.income + got.financing + got.roll_down == pytest.approx(got.total)
    flat = Svensson(0.04, 0.0, 0.0)
    nothing = carry_and_roll(flat, bond, 0.1, math.expm1(0.04 * 0.1) / 0.1)
    assert abs(nothing.total) < 1e-6
    cheap = carry_and_roll(CURVE, bond, 0.25, 0.04, dirty=dirty_price(CURVE, bond, 0.01))
    assert cheap.total > got.total
    with pytest.raises(ConfigError, match="horizon in"):
        carry_and_roll(CURVE, bond, 8.0, 0.04)


def test_conversion_factors() -> None:
    """A bond with the notional coupon on whole half-years has 1; Hull's examples (10 % 20 y 2 m; 8 % 18 y 4 m)."""
    assert conversion_factor(0.06, 10, 0) == pytest.approx(1.0, abs=1e-4)
    assert conversion_factor(0.10, 20, 2) == 1.4623
    assert conversion_factor(0.08, 18, 4) == 1.2199
    assert conversion_factor(0.02, 10, 0) < 1 < conversion_factor(0.09, 10, 0)
    with pytest.raises(ConfigError, match="time left"):
        conversion_factor(0.05, 0, 0)


def test_the_cheapest_to_deliver_has_the_highest_implied_repo() -> None:
    """Hull's basket (94-day example): 99.50, 143.50, 119.75 against 93.25 with factors 1.0382, 1.5188, 1.2615."""
    basket = [
        Deliverable("one", 0.9950, 0.0, 0.0, 1.0382),
        Deliverable("two", 1.4350, 0.0, 0.0, 1.5188),
        Deliverable("three", 1.1975, 0.0, 0.0, 1.2615),
    ]
    found = {b.name: b for b in cheapest_to_deliver(basket, 0.9325, 1e-6, 0.0)}
    assert [round(100 * found[n].gross, 2) for n in ("one", "two", "three")] == [2.69, 1.87, 2.12]
    assert cheapest_to_deliver(basket, 0.9325, 0.25, 0.04)[0].name == "two"
    bond = Deliverable("x", 1.05, 0.01, 0.02, 1.1, ((0.1, 0.025),))
    basis = basis_of(bond, 0.95, 0.3, 0.04)
    assert basis_of(bond, 0.95, 0.3, basis.implied_repo).net == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(ConfigError, match="at least one bond"):
        cheapest_to_deliver([], 0.95, 0.3, 0.04)
    with pytest.raises(ConfigError, match="price and factor above 0"):
        Deliverable("x", 0.0, 0.0, 0.0, 1.0)


def test_bad_bonds_are_refused() -> None:
    """Matured bonds, negative coupons, prices of nothing, unknown frequencies, degenerate wings."""
    with pytest.raises(ConfigError, match="years above 0"):
        Bond(0.05, 0.0)
    with pytest.raises(ConfigError, match="coupon of 0 or more"):
        Bond(-0.01, 1.0)
    with pytest.raises(ConfigError, match="semiannual"):
        Bond(0.05, 1.0, "semianual")
    with pytest.raises(DataError, match="price above 0"):
        yield_of(Bond(0.05, 1.0), 0.0)
    with pytest.raises(ConfigError, match="DV01s above 0"):
        butterfly((0.0, 1.0, 1.0))
    same = np.random.default_rng(0).normal(size=(20, 1)) @ np.ones((1, 3))
    with pytest.raises(DataError, match="wings are one series"):
        regression_butterfly(same, (1.0, 2.0, 3.0))
    with pytest.raises(DataError, match="finite changes"):
        regression_butterfly(same[:5], (1.0, 2.0, 3.0))
