"""Filters and volatility fits against independent programs on the same data."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

from oneprice.features import garch, kalman_hedge, kalman_level, kalman_regression, recursive_ols, rolling_ols
from oneprice.signals.hedge.level import fit_level, level_log_likelihood
from oneprice.signals.hedge.likelihood import hedge_log_likelihood
from oneprice.signals.volatility.egarch_fit import fit_egarch
from oneprice.signals.volatility.garch_fit import fit_garch
from oneprice.study.anchors_filters import NILE, planted_pair


def _dense(y: np.ndarray, x: np.ndarray, theta: tuple[float, float, float, float]) -> Any:
    """The three-state model (beta, mu, spread) of statsmodels with an exact diffuse start."""
    from statsmodels.tsa.statespace.initialization import Initialization
    from statsmodels.tsa.statespace.kalman_smoother import KalmanSmoother

    q_beta, q_mu, phi, sigma = theta
    model = KalmanSmoother(k_endog=1, k_states=3, k_posdef=3)
    model.bind(y.copy())
    design = np.ones((1, 3, len(y)))
    design[0, 0] = x
    model["design"] = design
    model["transition"] = np.diag([1.0, 1.0, phi])
    model["selection"] = np.eye(3)
    model["state_cov"] = np.diag([q_beta, q_mu, sigma * sigma])
    start = Initialization(3)
    start.set(0, "diffuse")
    start.set(1, "diffuse")
    start.set(2, "known", constant=[0.0], stationary_cov=[[sigma * sigma / (1.0 - phi * phi)]])
    model.initialization = start
    return model.filter()


@pytest.mark.parametrize("still", [0, 4])
@pytest.mark.parametrize("theta", [(1e-5, 1e-5, 0.9, 0.02), (0.0, 0.0, 0.95, 0.01), (4e-4, 0.0, 0.2, 0.05)])
def test_dynamic_hedge_is_the_three_state_filter(theta: tuple[float, float, float, float], still: int) -> None:
    """beta, mu, spread, their errors, forecasts and the diffuse likelihood equal a dense three-state filter, also
    when x does not move for the first pairs, so that beta stays diffuse.
    """
    y, x, _ = planted_pair(3, 300, phi=0.9, beta_step=0.01, level=4.0)
    x[1 : 1 + still] = x[0]
    found = _dense(y, x, theta)
    params = dict(zip(("q_beta", "q_mu", "phi", "sigma"), theta, strict=True))
    state = kalman_hedge.FOLD.fresh()
    rows = []
    for i in range(len(y)):
        out = kalman_hedge.FOLD.scan(y[i : i + 1], x[i : i + 1], state=state, **params)[0]
        s = state[0]
        rows.append((s["beta"], s["mu"], out, s["beta_se"], s["spread_se"], s["innovation"], s["innovation_var"]))
    ours = np.array(rows)[8:]
    variance = found.filtered_state_cov
    theirs = np.column_stack(
        [
            found.filtered_state.T,
            np.sqrt(variance[0, 0]),
            np.sqrt(variance[2, 2]),
            found.forecasts_error[0],
            found.forecasts_error_cov[0, 0],
        ]
    )[8:]
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)
    placed = math.log(2.0 * math.pi) + math.log(abs(x[1 + still] - x[0]))  # its count of the two that place the line
    assert hedge_log_likelihood(y, x, *theta) == pytest.approx(found.llf + placed, abs=1e-6)


def _textbook(y: np.ndarray, x: np.ndarray, q: tuple[float, float], r: float, prior: float) -> np.ndarray:
    """filterpy's filter over (beta, mu): beta, mu, forecast error, its variance."""
    from filterpy.kalman import KalmanFilter

    f = KalmanFilter(dim_x=2, dim_z=1)
    f.x, f.P = np.zeros((2, 1)), np.eye(2) * prior
    f.F, f.Q, f.R = np.eye(2), np.diag(q), np.array([[r]])
    rows = []
    for i in range(len(y)):
        if i > 0:
            f.predict()
        f.update(y[i], H=np.array([[x[i], 1.0]]))
        rows.append((f.x[0, 0], f.x[1, 0], f.y.item(), f.S.item()))
    return np.array(rows)


def test_kalman_regression_equals_filterpy() -> None:
    """Estimates and forecast errors within 1e-10 of filterpy's, at each step."""
    y, x, _ = planted_pair(1, 400, level=3.0)
    q, r, prior = (1e-6, 1e-5), 1e-3, 1.0
    theirs = _textbook(y, x, q, r, prior)
    params = {"q_beta": q[0], "q_mu": q[1], "r": r, "prior_var": prior}
    state = kalman_regression.FOLD.fresh()
    rows = []
    for i in range(len(y)):
        e = kalman_regression.FOLD.scan(y[i : i + 1], x[i : i + 1], state=state, **params)[0]
        rows.append((state["beta"][0], state["mu"][0], e, state["innovation_var"][0]))
    np.testing.assert_allclose(np.array(rows), theirs, rtol=0.0, atol=1e-10)


def test_local_level_equals_statsmodels() -> None:
    """Filtered level, and likelihood after the constant that statsmodels counts for the first observation."""
    from statsmodels.tsa.statespace.structural import UnobservedComponents

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = UnobservedComponents(NILE, "local level", use_exact_diffuse=True)
        found = model.filter([15098.53, 1469.178])
    ours = kalman_level.FOLD.scan(NILE, q=1469.178, r=15098.53)
    np.testing.assert_allclose(ours, found.filtered_state[0], rtol=1e-10)
    counted = 0.5 * math.log(2.0 * math.pi)
    assert level_log_likelihood(NILE, 1469.178, 15098.53) == pytest.approx(found.llf + counted, abs=1e-8)
    assert fit_level(NILE).log_likelihood >= found.llf + counted


def test_recursive_ols_is_weighted_least_squares() -> None:
    """At each of several moments beta, mu and its standard error are those of a fresh (weighted) regression."""
    y, x, _ = planted_pair(2, 200)
    for forget in (1.0, 0.97):
        for n in (3, 50, 200):
            state = recursive_ols.FOLD.fresh()
            recursive_ols.FOLD.scan(y[:n], x[:n], state=state, forget=forget)
            weight = np.sqrt(forget ** np.arange(n)[::-1])
            design = np.column_stack([x[:n], np.ones(n)])
            beta, mu = np.linalg.lstsq(design * weight[:, None], y[:n] * weight, rcond=None)[0]
            assert state["beta"][0] == pytest.approx(beta, rel=1e-9)
            assert state["mu"][0] == pytest.approx(mu, rel=1e-8, abs=1e-12)
            if forget == 1.0:
                rest = y[:n] - beta * x[:n] - mu
                se = math.sqrt(rest @ rest / (n - 2) / np.sum((x[:n] - x[:n].mean()) ** 2))
                assert state["beta_se"][0] == pytest.approx(se, rel=1e-6)


def test_rolling_ols_is_least_squares_of_its_window() -> None:
    """The error is that of the line through the window before it, however far the ring has come round."""
    y, x, _ = planted_pair(4, 400, level=4.6)
    window = 60
    out = rolling_ols.FOLD.scan(y, x, window=window)
    assert np.isnan(out[:window]).all()
    for t in range(window, 400, 7):
        beta, mu = np.polyfit(x[t - window : t], y[t - window : t], 1)
        assert out[t] == pytest.approx(y[t] - beta * x[t] - mu, abs=1e-11)


def _returns(seed: int, n: int = 1500) -> np.ndarray:
    """GARCH(1,1) returns in per cent."""
    rng = np.random.default_rng(seed)
    out, h = np.empty(n), 1.0
    for i in range(n):
        out[i] = 0.03 + math.sqrt(h) * rng.normal()
        h = 0.05 + 0.08 * (out[i] - 0.03) ** 2 + 0.87 * h
    return out


def _quiet(model: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(disp="off", **options)


def test_garch_equals_arch_from_the_same_start() -> None:
    """With arch's recursion started at mean e^2: equal likelihood, parameters within the slack of its optimiser,
    the three kinds of error, and the path of variances of the fold.
    """
    from arch import arch_model

    r = _returns(0)
    ours = fit_garch(r)
    mu = ours.params()["mu"]
    theirs = _quiet(arch_model(r, rescale=False), backcast=float(np.mean((r - mu) ** 2)))
    assert ours.log_likelihood >= theirs.loglikelihood - 1e-6
    assert ours.log_likelihood == pytest.approx(theirs.loglikelihood, abs=1e-3)
    np.testing.assert_allclose(ours.values, theirs.params.to_numpy(), rtol=5e-3)
    np.testing.assert_allclose(ours.se["qmle"], theirs.std_err.to_numpy(), rtol=0.02)
    state = garch.FOLD.fresh()
    garch.start(state[0], ours.first_variance)
    path = garch.FOLD.scan(r, state=state, **ours.params())
    np.testing.assert_allclose(np.sqrt(path[:-1]), theirs.conditional_volatility[1:], rtol=5e-3)


@pytest.mark.parametrize("seed", [1, 2])
def test_egarch_equals_arch_from_the_same_start(seed: int) -> None:
    """Likelihood no lower than arch's, parameters and QMLE errors within the slack of its optimiser."""
    from arch import arch_model

    r = _returns(seed)
    ours = fit_egarch(r)
    model = arch_model(r, vol="EGARCH", p=1, o=1, q=1, rescale=False)
    theirs = _quiet(model, backcast=float(np.mean((r - ours.params()["mu"]) ** 2)), tol=1e-10)
    assert ours.log_likelihood >= theirs.loglikelihood - 1e-6
    assert ours.log_likelihood == pytest.approx(theirs.loglikelihood, abs=0.02)
    np.testing.assert_allclose(ours.values, theirs.params.to_numpy(), atol=0.01)
    np.testing.assert_allclose(ours.se["qmle"], theirs.std_err.to_numpy(), rtol=0.1)


