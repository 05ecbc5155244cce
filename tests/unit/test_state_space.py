"""State-space curves: the filter is statsmodels', fits find what was planted, bad input is refused."""

from __future__ import annotations

import numpy as np
import pytest

from oneprice.core.errors import DataError
from oneprice.signals.state_space.diebold_li import fit_dynamic, loadings
from oneprice.signals.state_space.filter import filtered
from oneprice.signals.state_space.schwartz_smith import (
    NAMES,
    SchwartzSmith,
    _matrices,
    fit_schwartz_smith,
    run_schwartz_smith,
)

MODEL = SchwartzSmith(
    kappa=1.5, sigma_chi=0.3, lambda_chi=0.1, mu=0.02, sigma_xi=0.15, mu_star=0.01, rho=0.3, noise=(0.02, 0.005, 0.01)
)
YEARS = np.array([1 / 12, 0.5, 1.5])
DT = 1 / 52


def simulated(seed: int, dates: int) -> np.ndarray:
    """Prices of three contracts under MODEL, seeded."""
    rng = np.random.default_rng(seed)
    p = np.array([getattr(MODEL, name) for name in NAMES])
    z, d, step = _matrices(p, np.tile(YEARS, (dates, 1)), DT)
    x, root = np.array([0.0, 3.0]), np.linalg.cholesky(step[:, 3:])
    out = np.empty((dates, 3))
    for t in range(dates):
        x = step[:, 0] + step[:, 1:3] @ x + root @ rng.normal(size=2)
        out[t] = z[t] @ x + d[t] + rng.normal(size=3) * MODEL.noise
    return np.exp(out)


def test_the_filter_is_that_of_statsmodels() -> None:
    """Log-likelihood and states with gaps, dates without any reading and a noise near 0 equal an independent filter."""
    statespace = pytest.importorskip("statsmodels.tsa.statespace.mlemodel")
    y = np.log(simulated(1, 80))
    y[3, 1], y[7], y[20:25, 2] = np.nan, np.nan, np.nan
    p = np.array([getattr(MODEL, name) for name in NAMES])
    z, d, step = _matrices(p, np.tile(YEARS, (80, 1)), DT)
    h = np.array([0.02, 1e-5, 0.01]) ** 2
    start = np.array([[0.1, 0.5, 0.1], [3.0, 0.1, 0.7]])
    ours = filtered(y, z, d, h, step, start)
    g = step[:, 1:3]
    model = statespace.MLEModel(y, k_states=2)
    model["design"], model["obs_intercept"] = z[0], d[0][:, None]
    model["transition"], model["state_intercept"] = g, step[:, :1]
    model["selection"], model["state_cov"], model["obs_cov"] = np.eye(2), step[:, 3:], np.diag(h)
    model.ssm.initialize_known(step[:, 0] + g @ start[:, 0], g @ start[:, 1:] @ g.T + step[:, 3:])
    model.ssm.tolerance = 0
    theirs = model.ssm.filter()
    assert ours.loglik == pytest.approx(float(theirs.llf_obs.sum()), rel=1e-8)
    assert np.allclose(ours.states, theirs.filtered_state.T, atol=1e-8)
    assert np.isnan(ours.innovations[7]).all() and np.isnan(ours.scaled[3, 1])


def test_no_look_ahead() -> None:
    """Altering the prices after a date leaves states and innovations up to it unchanged, to the bit."""
    a = simulated(2, 60)
    b = a.copy()
    b[40:] *= 1.5
    one, two = run_schwartz_smith(a, YEARS, MODEL), run_schwartz_smith(b, YEARS, MODEL)
    assert (one.states[:40] == two.states[:40]).all() and (one.innovations[:40] == two.innovations[:40]).all()
    assert (one.states[40:] != two.states[40:]).any()


def test_a_fit_finds_what_was_planted() -> None:
    """On 600 simulated weeks the truth is within three standard errors, and the optimum is not below it."""
    y = simulated(3, 600)
    fit = fit_schwartz_smith(y, YEARS)
    assert fit.loglik >= run_schwartz_smith(y, YEARS, MODEL).loglik
    apart = fit.within({name: getattr(MODEL, name) for name in NAMES})
    assert max(abs(v) for v in apart.values()) < 3.0
    assert np.allclose(np.nanstd(fit.filtered.scaled[20:], axis=0), 1.0, atol=0.1)
    near = fit.model.futures(*fit.filtered.states[-1], 0.5)
    assert near == pytest.approx(y[-1, 1], rel=0.03)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda y: y.__setitem__((4, 1), -37.63), "row 4, column 1: expected a price above 0"),
        (lambda y: y.__setitem__((4, 1), 0.0), "expected a price above 0"),
        (lambda y: y.__setitem__((4, 1), np.inf), "row 4, column 1: expected a finite reading"),
    ],
)
def test_prices_without_a_log_are_refused(change: object, text: str) -> None:
    """Negative, zero and infinite prices say where they are."""
    y = simulated(4, 30)
    change(y)  # type: ignore[operator]
    with pytest.raises(DataError, match=text):
        run_schwartz_smith(y, YEARS, MODEL)


def test_shapes_and_times_are_checked() -> None:
    """Expired contracts, wrong shapes, too few dates."""
    y = simulated(5, 30)
    with pytest.raises(DataError, match=r"at a time of 0 or more, got .* at -0.1"):
        run_schwartz_smith(y, [-0.1, 0.5, 1.5], MODEL)
    with pytest.raises(DataError, match="10 dates or more"):
        run_schwartz_smith(y[:5], YEARS, MODEL)
    with pytest.raises(DataError, match="expected times of shape"):
        run_schwartz_smith(y, YEARS[:2], MODEL)
    with pytest.raises(DataError, match="noise of 2 contracts, got 3"):
        run_schwartz_smith(y[:, :2], YEARS[:2], MODEL)
    with pytest.raises(DataError, match="four or more maturities"):
        fit_dynamic([1.0, 2.0, 3.0], np.full((20, 3), 0.03))


def test_dynamic_diebold_li_finds_its_factors() -> None:
    """Factors simulated as three reverting walks come back with their decay and noise; gaps are carried."""
    rng = np.random.default_rng(6)
    t = np.array([0.25, 0.5, 1, 2, 3, 5, 7, 10.0])
    mean, a = np.array([0.05, -0.01, 0.0]), np.array([0.97, 0.95, 0.9])
    x = np.empty((400, 3))
    x[0] = mean
    for k in range(1, 400):
        x[k] = mean + a * (x[k - 1] - mean) + rng.normal(size=3) * [0.002, 0.002, 0.004]
    y = x @ loadings(t, 0.6).T + rng.normal(size=(400, 8)) * 3e-4
    y[5, 2], y[50] = np.nan, np.nan
    fit = fit_dynamic(t, y)
    assert fit.decay == pytest.approx(0.6, rel=0.05)
    assert np.allclose(fit.persistence, a, atol=0.06)
    assert np.allclose(fit.noise, 3e-4, rtol=0.15)
    assert min(np.corrcoef(fit.filtered.states[60:, i], x[60:, i])[0, 1] for i in range(3)) > 0.98
    assert np.nanstd(fit.filtered.residuals) < 3.2e-4
    assert np.allclose(fit.forecast(t, 0), loadings(t, fit.decay) @ fit.filtered.states[-1])
    assert np.allclose(fit.forecast(t, 10_000), loadings(t, fit.decay) @ fit.mean, atol=1e-6)


def test_a_panel_without_a_price_is_refused() -> None:
    """Nothing but missing prices: an error that says so."""
    with pytest.raises(DataError, match="every reading is missing"):
        fit_schwartz_smith(np.full((20, 3), np.nan), YEARS, dt_years=DT)
