"""Exact arithmetic of money against Python's own integers and fractions."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from oneprice.core.costs import fill_fee
from oneprice.core.instruments import to_legs
from oneprice.core.money import MONEY_MAX, V, exposure, half_even_div, mul_div, mul_rate_e9, mul_rate_e12
from oneprice.core.records import INVERSE, LINEAR
from risk_bench import COIN, PERP, SPOT, STOCK

BIG = MONEY_MAX - 1
amounts = st.integers(-BIG, BIG) | st.integers(-1000, 1000)
FAST = settings(max_examples=400, deadline=None)


def half_even(x: Fraction) -> int:
    """Python rounds fractions half to even."""
    return round(x)


@FAST
@given(amounts, amounts.filter(lambda b: b != 0))
def test_division_rounds_half_to_even(a: int, b: int) -> None:
    """half_even_div is the rounding of the exact quotient, for every sign."""
    assert half_even_div(a, b) == half_even(Fraction(a, b)) == half_even_div.py_func(a, b)


@FAST
@given(st.integers(-(10**9), 10**9), st.integers(1, 10**6))
def test_ties_go_to_even(q: int, b: int) -> None:
    """Exact halves are met on purpose: (2q + 1) b / 2b lies between q and q + 1."""
    got = half_even_div((2 * q + 1) * b, 2 * b)
    assert got % 2 == 0 and got in (q, q + 1)


@FAST
@given(amounts, st.integers(-(10**13), 10**13))
def test_rates_of_a_billionth(amount: int, rate: int) -> None:
    """mul_rate_e9 is exact for amounts to 2^62 where a plain product would overflow."""
    exact = half_even(Fraction(amount * rate, 10**9))
    assume(abs(exact) < 2**63)
    assert mul_rate_e9(amount, rate) == exact == mul_rate_e9.py_func(amount, rate)


@FAST
@given(amounts, st.integers(-(10**15), 10**15))
def test_rates_of_a_trillionth(amount: int, rate: int) -> None:
    """mul_rate_e12 likewise."""
    exact = half_even(Fraction(amount * rate, 10**12))
    assume(abs(exact) < 2**63)
    assert mul_rate_e12(amount, rate) == exact == mul_rate_e12.py_func(amount, rate)


@FAST
@given(amounts, st.integers(0, BIG), st.integers(1, BIG))
def test_rational_rates(amount: int, num: int, den: int) -> None:
    """mul_div is exact for any rational, also where the product has 124 bits."""
    exact = half_even(Fraction(amount * num, den))
    assume(abs(exact) < 2**62)
    assert mul_div(amount, num, den) == exact == mul_div.py_func(amount, num, den)


def _leg(i: int) -> np.void:
    return to_legs((SPOT, PERP, COIN, STOCK))[0][i]


@FAST
@given(st.integers(0, 3), st.integers(-1000, 1000), st.integers(1, 2 * 10**7))
def test_value_of_lots(i: int, q: int, p2: int) -> None:
    """V is the decimal value of q lots at p2 / 2 ticks: exact if linear, rounded half to even if inverse."""
    one = (SPOT, PERP, COIN, STOCK)[i]
    price, lot = Fraction(one.tick) * p2 / 2, Fraction(one.lot)
    want = -half_even(q * lot / price * 10**8) if one is COIN else q * lot * price * 10**8
    leg = _leg(i)
    assert V(leg, q, p2) == want
    assert V(leg, -q, p2) == -want
    assert exposure(leg, q, p2) == (-want if one is COIN else want)


def test_negative_prices_of_linear_legs() -> None:
    """Oil traded below zero: a long is then worth less than nothing."""
    leg = SimpleNamespace(contract=LINEAR, money_num=5)
    assert V.py_func(leg, 3, -7) == -105
    leg = SimpleNamespace(contract=INVERSE, money_num=7)
    assert V.py_func(leg, 1, 2) == -4  # 3.5 to even


@FAST
@given(st.integers(0, 3), st.sampled_from([1, -1]), st.integers(1, 460), st.integers(1, 10**7), st.booleans())
def test_charge_of_a_fill(i: int, side: int, lots: int, price: int, maker: bool) -> None:
    """fee = |value| x rate + per lot, tax by side, each rounded half to even once."""
    one = (SPOT, PERP, COIN, STOCK)[i]
    assert one.fees is not None
    leg = _leg(i)
    value = abs(int(V(leg, lots, 2 * price)))
    rate = Fraction(str(one.fees.maker_bp if maker else one.fees.taker_bp)) / 10_000
    tax = Fraction(str(one.fees.buy_tax_bp if side > 0 else one.fees.sell_tax_bp)) / 10_000
    per_lot = Fraction(str(one.fees.per_lot)) * lots * 10**8
    assert fill_fee(leg, side, lots, price, maker) == (
        half_even(value * rate) + per_lot,
        half_even(value * tax),
    )
