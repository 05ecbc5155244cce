"""The boundary fold: confirmed before it counts, left with hysteresis, never inside the band."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.features.boundary import FOLD, NO_HIGH, NO_LOW

WALKS = st.lists(st.floats(-5, 5), min_size=1, max_size=60)


def reference(price: list[float], low: float, high: float, opening: float, back: float, confirm: int) -> list[int]:
    """The rule as it is told, without a counter: the last `confirm` readings all lie beyond one bound."""
    out, side = [], 0
    for i, p in enumerate(price):
        if (side > 0 and p <= high - back) or (side < 0 and p >= low + back):
            side = 0
        last = price[max(i + 1 - confirm, 0) : i + 1]
        if side == 0 and len(last) == confirm:
            if all(q > high + opening for q in last):
                side = 1
            elif all(q < low - opening for q in last):
                side = -1
        out.append(side)
    return out


@settings(deadline=None)
@given(WALKS, st.floats(-2, 0), st.floats(0, 2), st.floats(0, 1), st.floats(-0.5, 1), st.integers(1, 4))
def test_against_the_rule(
    price: list[float], low: float, width: float, opening: float, back: float, confirm: int
) -> None:
    """Every reading has the side of the plain rule; where it opens, the price is outside by more than the margin."""
    n, high = len(price), low + width
    got = FOLD.scan(price, np.full(n, low), np.full(n, high), open=opening, back=back, confirm=confirm)
    assert got.tolist() == reference(price, low, high, opening, back, confirm)
    before = np.r_[0.0, got[:-1]]
    for p, was, now in zip(price, before, got, strict=True):
        if now == 1 and was != 1:
            assert p > high + opening
        if now == -1 and was != -1:
            assert p < low - opening


def test_missing_bounds_and_wrong_bands() -> None:
    """No lower bound is never crossed; a NaN bound or low > high gives NaN and changes nothing."""
    price = np.array([-1e9, -1e9, 5.0, 5.0, 5.0])
    one_sided = FOLD.scan(price, np.full(5, NO_LOW), np.full(5, 1.0), confirm=1)
    assert one_sided.tolist() == [0, 0, 1, 1, 1]
    assert FOLD.scan(price, np.full(5, NO_LOW), np.full(5, NO_HIGH), confirm=1).tolist() == [0] * 5
    low, high = np.array([0.0, math.nan, 2.0, 0.0]), np.array([1.0, 1.0, 1.0, 1.0])
    got = FOLD.scan(np.full(4, 5.0), low, high, confirm=2)
    assert got[0] == 0 and np.isnan(got[1]) and np.isnan(got[2]) and got[3] == 1
