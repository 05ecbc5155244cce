"""Least orders: the short way to what a venue takes says what the definition says."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.core.records import INVERSE, LEG, LINEAR
from oneprice.execution.legging import min_order, order_lots

whole = st.integers(0, 1 << 20)


@settings(deadline=None, max_examples=300)  # the first call compiles
@given(
    st.sampled_from([LINEAR, INVERSE]), st.integers(0, 5_000), st.integers(0, 100), st.integers(0, 1 << 40),
    st.integers(1, 1 << 34), st.integers(-(1 << 30), 1 << 30), st.integers(0, 1 << 36),
)  # fmt: skip
def test_least_order(contract: int, least: int, step: int, notional: int, num: int, price: int, lots: int) -> None:
    """Whole steps, none below the least lots and the least value: order_lots is 0 exactly where min_order says more."""
    legs = np.zeros(1, LEG)
    legs["contract"], legs["min_lots"], legs["lot_step"] = contract, least, step
    legs["min_notional"], legs["money_num"] = notional, num
    leg = np.rec.array(legs)[0]
    fit = lots // max(step, 1) * max(step, 1)
    if abs(2 * price) * num >= 1 << 62 or notional * abs(2 * price) >= 1 << 62:
        return  # beyond what the instrument check lets in
    want = fit if fit > 0 and fit >= min_order.py_func(leg, price) else 0
    assert order_lots(leg, lots, price) == want
