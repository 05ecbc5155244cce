"""Lots that offset each other: the residual is at most half a step of the finest leg, the gross value within bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.execution.neutral import finest, gross_of, neutral_lots

leg = st.tuples(st.floats(0.5, 900.0), st.floats(0.3, 3.0), st.integers(1, 10))  # value of a lot, load, step


def sized(gross: float, value: list[float], weight: list[float], load: list[float], step: list[int]) -> tuple:
    lots = np.zeros(len(value), np.int64)
    arrays = (np.array(value), np.array(weight), np.array(load), np.array(step, np.int64))
    return float(neutral_lots(gross, *arrays, lots)), lots, *arrays


@settings(max_examples=300, deadline=None)
@given(
    st.lists(leg, min_size=2, max_size=4),
    st.floats(2e4, 1e7),
    st.lists(st.floats(0.2, 1.0), min_size=4, max_size=4),
)
def test_residual_and_gross_are_bounded(legs: list[tuple[float, float, int]], gross: float, parts: list[float]) -> None:
    """|sum n v b| <= half a step of the finest leg; steps are kept, signs are those of the weights, gross <= G; what is
    not the finest leg is within a step of its share of what was sized."""
    n = len(legs)
    value, load, step = ([x[i] for x in legs] for i in range(3))
    weight = [p / b for p, b in zip(parts, load, strict=False)]
    long = sum(w * b for w, b in zip(weight[:-1], load[:-1], strict=True))
    weight[-1] = -long / load[-1]  # weights that are neutral themselves
    left, lots, v, w, b, s = sized(gross, value, weight, load, step)
    f = int(finest(v, b, s, n))
    if math.isnan(left):
        least = gross * np.abs(w).min() / np.abs(w).sum()
        assert not lots.any() and least < 4 * (v * s).max() * max(b) / min(b), "only what is too small is refused"
        return
    assert left == pytest.approx(float((lots * v * b).sum()), abs=1e-6)
    assert abs(left) <= 0.5 * v[f] * b[f] * s[f] * (1 + 1e-9) + 1e-6
    assert (lots % s == 0).all() and (np.sign(lots) == np.sign(w)).all()
    assert gross_of(v, lots) <= gross * (1 + 1e-9)
    slack = v[f] * s[f] + sum(v[i] * s[i] * b[i] / b[f] for i in range(n) if i != f)
    assert gross_of(v, lots) >= gross - 2 * slack - (v * s).sum()


def test_a_dollar_neutral_pair() -> None:
    """100,000 gross in shares of 31.7 and 412.5: 50,000 a side less rounding, 15 left, under half a share of 31.7."""
    left, lots, *_ = sized(100_000, [31.7, 412.5], [1.0, -1.0], [1.0, 1.0], [1, 1])
    assert lots.tolist() == [1575, -121]
    assert left == pytest.approx(1575 * 31.7 - 121 * 412.5) and abs(left) < 15.85


def test_a_beta_neutral_pair_is_not_dollar_neutral() -> None:
    """Beta 1.5 against 0.9: values stand as 0.9 to 1.5."""
    left, lots, value, *_ = sized(1e6, [20.0, 50.0], [0.9, -1.5], [1.5, 0.9], [1, 1])
    dollars = lots * value
    assert abs(left) <= 0.5 * 20.0 * 1.5
    assert dollars[0] / -dollars[1] == pytest.approx(0.6, rel=1e-3)


@pytest.mark.parametrize(
    "words",
    [
        dict(gross=30.0),
        dict(gross=0.0),
        dict(gross=math.nan),
        dict(value=[math.nan, 1.0]),
        dict(value=[0.0, 1.0]),
        dict(load=[0.0, 1.0]),
        dict(weight=[0.0, -1.0]),
        dict(weight=[1.0, 1.0]),
        dict(weight=[math.inf, -1.0]),
    ],
)
def test_what_cannot_be_neutral_has_no_lots(words: dict) -> None:
    """Too small a value, a number that is none, two longs: NaN and no lots at all."""
    given = dict(gross=10_000.0, value=[50.0, 1.0], weight=[1.0, -1.0], load=[1.0, 1.0], step=[1, 1]) | words
    left, lots, *_ = sized(**given)
    assert math.isnan(left) and not lots.any()


def test_steps_of_a_hundred() -> None:
    left, lots, *_ = sized(1e6, [15.0, 33.0], [1.0, -1.0], [1.0, 1.0], [100, 100])
    assert (lots % 100 == 0).all() and abs(left) <= 0.5 * 1500 and lots.all()
