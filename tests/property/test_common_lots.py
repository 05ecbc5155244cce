"""A package quantity that is a whole number of lots on every leg is traded as it is, whatever the ratio looks like."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.execution.rounding import common_lots

LOTS = st.integers(1, 2_000_000)
UNITS = st.sampled_from([1.0, 0.01, 0.001, 100.0, 0.25])


@settings(deadline=None)
@given(st.lists(st.tuples(LOTS, UNITS), min_size=2, max_size=4))
def test_lots_that_fit_every_leg_are_kept(legs: list[tuple[int, float]]) -> None:
    """n_i lots of u_i units asked for as qty = n_0 u_0 with ratios n_i u_i / qty come back as n_i."""
    wanted = np.array([n for n, _ in legs], np.int64)
    size = np.array([u for _, u in legs])
    qty = float(wanted[0] * size[0])
    units = size / (wanted * size / qty)
    lots = np.zeros(len(legs), np.int64)
    assert common_lots(qty, units, np.ones(len(legs), np.int64), len(legs), lots) >= 1
    assert lots.tolist() == wanted.tolist()


def test_a_neighbouring_ratio_is_not_taken_for_the_one_asked_for() -> None:
    """46307/80080 and 44759/77403 differ by 1.6e-10: the second once cost three per cent of the position."""
    lots = np.zeros(2, np.int64)
    units = np.array([0.01, 0.01 / (160_160 / 92_614)])
    common_lots(926.14, units, np.ones(2, np.int64), 2, lots)
    assert lots.tolist() == [92_614, 160_160]
