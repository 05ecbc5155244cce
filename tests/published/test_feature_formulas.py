"""Each feature against its published formula, computed another way."""

from __future__ import annotations

import math

import numpy as np
import pytest

from oneprice.features import ewma, ewvar, imbalance, microprice, realised, rolling, zscore
from oneprice.signals import trigger


def weights(n: int, alpha: float) -> np.ndarray:
    """Weights of observations after n of them: the first has (1 - alpha)^(n - 1), the others alpha (1 -
    alpha)^age.
    """
    w = alpha * (1.0 - alpha) ** np.arange(n - 1, -1, -1.0)
    w[0] /= alpha
    return w


def test_microprice() -> None:
    """Gatheral and Oomen 2010: (ask x bid queue + bid x ask queue) / both; equal queues give the mid."""
    bid, ask, bq, aq = (
        np.array([99.0, 99.0, 10.0]),
        np.array([101.0, 101.0, 11.0]),
        np.array([1.0, 9.0, 5.0]),
        np.array([1.0, 1.0, 15.0]),
    )
    got = microprice.FOLD.scan(bid, ask, bq, aq)
    assert got == pytest.approx((ask * bq + bid * aq) / (bq + aq))
    assert got[0] == 100.0


def test_microprice_stays_in_the_spread_and_leans_to_the_thin_side() -> None:
    """A growing bid queue pushes it to the ask."""
    q = np.arange(1.0, 50.0)
    got = microprice.FOLD.scan(np.full(49, 99.0), np.full(49, 101.0), q, np.full(49, 10.0))
    assert np.all(np.diff(got) > 0) and got.min() > 99.0 and got.max() < 101.0


def test_empty_queues_are_not_a_price() -> None:
    """Both queues zero, or one negative: NaN."""
    one, zero, less = np.ones(1), np.zeros(1), -np.ones(1)
    for a, b in ((zero, zero), (less, 2 * one), (2 * one, less)):
        assert np.isnan(microprice.FOLD.scan(one, one, a, b))
        assert np.isnan(imbalance.FOLD.scan(a, b))


def test_imbalance() -> None:
    """Gould and Bonart 2016, equation 5: bounds and sign."""
    got = imbalance.FOLD.scan(np.array([3.0, 0.0, 5.0]), np.array([1.0, 2.0, 0.0]))
    assert got.tolist() == [0.5, -1.0, 1.0]


def test_ewma_is_a_weighted_mean() -> None:
    """The recursion equals the explicit exponential weights, which sum to one."""
    x = np.random.default_rng(0).normal(60_000.0, 5.0, 120)
    w = weights(len(x), 0.06)
    assert w.sum() == pytest.approx(1.0)
    assert ewma.FOLD.scan(x, alpha=0.06)[-1] == pytest.approx(w @ x, rel=1e-13)


def test_ewvar_is_a_weighted_variance() -> None:
    """Finch 2009 section 9: the recursion equals sum of w (x - m)^2 with the same weights, at any level."""
    for level in (0.0, 60_000.0):
        x = level + np.random.default_rng(1).normal(0.0, 1e-3, 150)
        w = weights(len(x), 0.06)
        m = w @ (x - level)
        want = w @ (x - level - m) ** 2
        assert ewvar.FOLD.scan(x, alpha=0.06)[-1] == pytest.approx(want, rel=1e-6)


def test_zscore_uses_moments_before_the_observation() -> None:
    """z = (x - mean before) / deviation before, from the two folds above."""
    x = np.random.default_rng(2).normal(0.0, 1.0, 80)
    z = zscore.FOLD.scan(x, alpha=0.1, warm=10)
    m, v = ewma.FOLD.scan(x, alpha=0.1), ewvar.FOLD.scan(x, alpha=0.1)
    assert np.isnan(z[:10]).all()
    assert z[10:] == pytest.approx((x[10:] - m[9:-1]) / np.sqrt(v[9:-1]))


@pytest.mark.parametrize("window", [2, 7, 64])
def test_rolling_zscore_equals_the_window_computed_afresh(window: int) -> None:
    """Mean and sample deviation of the `window` before, each time from scratch; also after a jump has left.
    """
    x = 60_000.0 + np.random.default_rng(3).normal(0.0, 1e-3, 400)
    x[100] += 1e6
    z = rolling.FOLD.scan(x, window=window)
    assert np.isnan(z[:window]).all()
    for i in [*range(window, 95), *range(101 + 2 * window, 400)]:
        before = x[i - window : i] - 60_000.0
        assert z[i] == pytest.approx(
            (x[i] - 60_000.0 - before.mean()) / before.std(ddof=1), rel=1e-4, abs=1e-4
        )


def test_realised_volatility_finds_the_rate_whatever_the_spacing() -> None:
    """A Gaussian walk with a known volatility per sqrt second, observed at exponential spacings, is found
    to 2 %.
    """
    rng = np.random.default_rng(4)
    for mean_s in (0.01, 3.0):
        dt_ns = rng.exponential(mean_s * 1e9, 60_000).astype(np.int64)
        steps = rng.normal(0.0, 1.0, 60_000) * 2e-5 * np.sqrt(dt_ns * 1e-9)
        got = realised.FOLD.scan(
            np.cumsum(dt_ns), 100.0 * np.exp(np.cumsum(steps)), tau_s=5_000.0 * mean_s, max_gap_s=1e6
        )
        assert got[-1] == pytest.approx(2e-5, rel=0.02)


def test_realised_volatility_policies() -> None:
    """Equal times add, a long gap is not a return, time going back and prices of 0 are ignored."""
    s = 1_000_000_000
    flat = realised.FOLD.scan(
        np.array([0, s, 100 * s]), np.array([100.0, 100.0, 200.0]), tau_s=10.0, max_gap_s=60.0
    )
    assert np.isnan(flat[0]) and flat[1] == 0.0 and flat[2] == 0.0
    same = realised.FOLD.scan(np.array([0, s, s]), np.array([100.0, 100.0, 101.0]), tau_s=1e6, max_gap_s=60.0)
    assert same[2] == pytest.approx(math.log(1.01), rel=1e-5)
    odd = realised.FOLD.scan(np.array([0, s, 0, 2 * s]), np.array([100.0, 101.0, 7.0, 0.0]))
    assert np.isnan(odd[2:]).all()


def test_literal_trigger_fires_for_ever_on_a_basis_and_the_demeaned_one_does_not() -> None:
    """|dP| > k sigma on a constant offset of ten deviations, and one true excursion."""
    gap = 10.0 + np.random.default_rng(5).normal(0.0, 1.0, 2_000)
    gap[1_500] = 30.0
    edge = np.ones(2_000)
    kw = {"k": 4.0, "alpha": 0.01, "warm": 100}
    literal = trigger.FOLD.scan(gap, edge, demeaned=0, **kw)
    demeaned = trigger.FOLD.scan(gap, edge, demeaned=1, **kw)
    assert (literal[200:] != 0).mean() > 0.95
    assert demeaned[1_500] == 1.0
    assert (demeaned[200:] != 0).sum() <= 3


def test_trigger_needs_a_positive_edge() -> None:
    """However far the gap is, without an edge net of costs, or with an unknown one, nothing fires."""
    gap = np.random.default_rng(6).normal(0.0, 1.0, 500)
    gap[400:] = -50.0
    for edge in (0.0, -1.0, math.nan):
        assert not trigger.FOLD.scan(gap, np.full(500, edge), alpha=0.01).any()
    assert trigger.FOLD.scan(gap, np.full(500, 0.1), alpha=0.01)[400] == -1.0
