"""The folds of hedges and volatility keep every rule also away from their defaults, and laws of their own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.features import egarch, garch, kalman_hedge, kalman_level, kalman_regression, recursive_ols, rolling_ols
from oneprice.features.conformance import check_fold, sample
from oneprice.signals.factors.avellaneda_lee import next_position
from oneprice.signals.hedge import likelihood
from oneprice.signals.volatility import egarch_fit, garch_fit
from oneprice.study.anchors_filters import planted_pair

CASES = [
    (kalman_hedge.FOLD, {"q_beta": 1e-9, "q_mu": 1e-7, "phi": 0.5, "sigma": 1e-3}),
    (kalman_hedge.FOLD, {"q_beta": 0.0, "q_mu": 0.0, "phi": -0.3, "sigma": 1.0}),
    (kalman_regression.FOLD, {"q_beta": 0.0, "q_mu": 0.0, "r": 1.0, "prior_var": 0.0}),
    (kalman_regression.FOLD, {"q_beta": 1e-8, "q_mu": 1e-2, "r": 1e-6, "prior_var": 1e4}),
    (kalman_level.FOLD, {"q": 1.0, "r": 0.0}),
    (kalman_level.FOLD, {"q": 0.0, "r": 1.0}),
    (recursive_ols.FOLD, {"forget": 0.9}),
    (rolling_ols.FOLD, {"window": 3}),
    (rolling_ols.FOLD, {"window": rolling_ols.CAPACITY}),
    (garch.FOLD, {"omega": 1e-8, "alpha": 0.3, "beta": 0.9}),  # no stationary variance
    (egarch.FOLD, {"omega": -1.0, "alpha": 0.3, "gamma": -0.2, "beta": 0.9}),
]


@pytest.mark.parametrize(("fold", "params"), CASES, ids=lambda v: getattr(v, "name", ""))
def test_conforms_away_from_defaults(fold: object, params: dict) -> None:
    """Streaming = batch, past, precision, gaps, restart with other parameters and wide moves."""
    assert check_fold(fold, **params) == []  # type: ignore[arg-type]
    wide = sample(fold, 400, seed=3, level=20_000.0, move=50.0)  # type: ignore[arg-type]
    assert check_fold(fold, wide, **params) == []  # type: ignore[arg-type]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.0, 0.99), st.floats(-5.0, 5.0), st.floats(-50.0, 50.0))
def test_spread_does_not_see_the_constant(seed: int, phi: float, slope: float, constant: float) -> None:
    """Adding slope x + constant to y moves beta and mu by just that and leaves the spread."""
    y, x, _ = planted_pair(seed, 120, level=3.0)
    params = {"q_beta": 1e-6, "q_mu": 1e-7, "phi": phi, "sigma": 0.02}
    a, b = kalman_hedge.FOLD.fresh(), kalman_hedge.FOLD.fresh()
    first = kalman_hedge.FOLD.scan(y, x, state=a, **params)
    second = kalman_hedge.FOLD.scan(y + slope * x + constant, x, state=b, **params)
    np.testing.assert_allclose(second[5:], first[5:], atol=1e-8)
    assert b["beta"][0] - a["beta"][0] == pytest.approx(slope, abs=1e-7)
    assert b["mu"][0] - a["mu"][0] == pytest.approx(constant, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.0, 1e-3), st.floats(0.0, 1e-3), st.floats(-0.99, 0.99))
def test_variances_stay_variances(seed: int, q_beta: float, q_mu: float, phi: float) -> None:
    """The covariance of (beta, spread) stays positive semi-definite, also when x stands still for long."""
    y, x, _ = planted_pair(seed, 200, level=5.0)
    x[20:120] = x[20]
    state = kalman_hedge.FOLD.fresh()
    for i in range(200):
        kalman_hedge.FOLD.scan(
            y[i : i + 1], x[i : i + 1], state=state, q_beta=q_beta, q_mu=q_mu, phi=phi, sigma=0.01
        )
        s = state[0]
        a, b, c = float(s["beta_var"]), float(s["beta_spread_cov"]), float(s["spread_var"])
        assert a >= 0.0 and c >= 0.0 and b * b <= a * c * (1.0 + 1e-9) + 1e-18
        assert s["spread_se"] <= 0.01 / math.sqrt(1.0 - phi * phi) * (1.0 + 1e-9)


def test_still_windows_have_no_line() -> None:
    """A rolling line whose x does not move in its window is not defined, whatever it moved before."""
    y, x, _ = planted_pair(0, 200)
    x[80:150] = x[80]
    out = rolling_ols.FOLD.scan(y, x, window=30)
    assert np.isfinite(out[30:110]).all()
    assert np.isnan(out[110:150]).all() and math.isfinite(out[151])
    assert np.isnan(recursive_ols.FOLD.scan(y[:50], np.full(50, 3.0))).all()


def test_egarch_survives_any_shock() -> None:
    """A return of a million deviations is held at the clamp, and the filter comes back."""
    r = np.random.default_rng(0).normal(0.0, 0.01, 3000)
    r[100] = 1e6
    out = egarch.FOLD.scan(r)
    assert np.isfinite(out).all() and out[-1] < 1e-3


def test_kernels_of_fits_are_their_plain_twins() -> None:
    """Compiled likelihoods, derivatives and the trading rule give what their plain Python gives: bit for bit, sums of
    products in another order to 1e-12.
    """
    y, x, _ = planted_pair(1, 60, level=2.0)
    r = np.random.default_rng(2).normal(0.0, 1.0, 60)
    theta = np.array([1e-6, 1e-7, 0.9, 0.02])
    for run, states in ((likelihood._hedge_terms, 1), (likelihood._hedge_terms, 2)):
        got = [np.zeros(5), np.zeros(5)]
        run(np.zeros(states, kalman_hedge.STATE), y, x, theta, got[0])
        run.py_func(np.zeros(states, kalman_hedge.STATE).view(np.recarray), y, x, theta, got[1])
        assert got[0].tobytes() == got[1].tobytes()
    at = np.array([0.01, 0.1, 0.1, 0.8])
    assert garch_fit._likelihood(r, at) == garch_fit._likelihood.py_func(r, at)
    got = [np.zeros((9, 4)), np.zeros((9, 4))]
    garch_fit._derivatives(r, at, got[0])
    garch_fit._derivatives.py_func(r, at, got[1])
    np.testing.assert_allclose(got[0], got[1], rtol=1e-13)
    wide = np.array([0.01, -0.1, 0.2, -0.1, 0.9])
    slopes, squares = [np.zeros(5), np.zeros(5)], [np.zeros((5, 5)), np.zeros((5, 5))]
    one = egarch_fit._scores(r, wide, slopes[0], squares[0], 1)
    assert one == pytest.approx(egarch_fit._scores.py_func(r, wide, slopes[1], squares[1], 1), rel=1e-14)
    np.testing.assert_allclose(slopes[0], slopes[1], rtol=1e-12)
    for s in (-2.0, -0.6, -0.4, 0.0, 0.7, 0.8, 2.0, math.nan):
        for held in (-1, 0, 1):
            assert next_position(held, s, 9.0, 8.4) == next_position.py_func(held, s, 9.0, 8.4)
