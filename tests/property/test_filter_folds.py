"""The folds of hedges and volatility keep every rule also away from their defaults, and laws of their own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.features import egarch, garch, kalman_hedge, kalman_level, kalman_regression, recursive_ols, rolling_ols
from oneprice.features.conformance import check_fold, sample
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
