"""Volatility fits: derivatives, units, bounds, forecasts, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.features import egarch, garch
from oneprice.signals import volatility
from oneprice.signals.volatility import egarch_fit, garch_fit
from oneprice.signals.volatility.forecast import forecast_variance
from oneprice.signals.volatility.result import ERRORS, VolatilityFit


def garch_returns(seed: int, n: int = 1200) -> np.ndarray:
    """Returns with omega .05, alpha .1, beta .85, mu .02."""
    rng = np.random.default_rng(seed)
    out, h = np.empty(n), 1.0
    for i in range(n):
        out[i] = 0.02 + math.sqrt(h) * rng.normal()
        h = 0.05 + 0.1 * (out[i] - 0.02) ** 2 + 0.85 * h
    return out


def test_garch_derivatives() -> None:
    """The analytic gradient and Hessian are the numerical ones."""
    r = garch_returns(0, 300)
    theta = np.array([0.05, 0.1, 0.12, 0.7])
    out = np.zeros((9, 4))
    garch_fit._derivatives(r, theta, out)
    up, down = np.zeros((9, 4)), np.zeros((9, 4))
    for i in range(4):
        step = np.zeros(4)
        step[i] = 1e-6
        slope = (garch_fit._likelihood(r, theta + step) - garch_fit._likelihood(r, theta - step)) / 2e-6
        assert out[0, i] == pytest.approx(slope, rel=1e-5)
        garch_fit._derivatives(r, theta + step, up)
        garch_fit._derivatives(r, theta - step, down)
        np.testing.assert_allclose(out[1 + i], (up[0] - down[0]) / 2e-6, rtol=1e-5, atol=1e-4)


def test_egarch_gradient() -> None:
    """The analytic gradient is the numerical one; want = 0 gives the same likelihood."""
    r = garch_returns(1, 300)
    theta = np.array([0.03, 0.02, 0.2, -0.05, 0.9])
    gradient, opg, unused, square = np.zeros(5), np.zeros((5, 5)), np.zeros(5), np.zeros((5, 5))
    value = egarch_fit._scores(r, theta, gradient, opg, 1)
    assert egarch_fit._scores(r, theta, unused, square, 0) == value
    for i in range(5):
        step = np.zeros(5)
        step[i] = 1e-6
        up = egarch_fit._scores(r, theta + step, unused, square, 0)
        slope = (up - egarch_fit._scores(r, theta - step, unused, square, 0)) / 2e-6
        assert gradient[i] == pytest.approx(slope, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("fit", [volatility.fit_garch, volatility.fit_egarch])
def test_fits_follow_units(fit: object) -> None:
    """Fractions in place of per cent: the same model, likelihood shifted by its Jacobian, variances scaled."""
    r = garch_returns(2)
    a, b = fit(r), fit(0.01 * r)  # type: ignore[operator]
    assert b.log_likelihood == pytest.approx(a.log_likelihood + len(r) * math.log(100.0), abs=1e-6)
    assert b.next_variance == pytest.approx(1e-4 * a.next_variance, rel=1e-6)
    assert b.params()["beta"] == pytest.approx(a.params()["beta"], abs=1e-6)
    assert b.se_of("alpha") == pytest.approx(a.se_of("alpha"), rel=1e-4)
    assert b.se_of("mu") == pytest.approx(0.01 * a.se_of("mu"), rel=1e-4)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_true_parameters_are_near(seed: int) -> None:
    """On planted GARCH returns each parameter lies within three of its standard errors; mean zero is obeyed."""
    fit = volatility.fit_garch(garch_returns(seed, 3000))
    for name, true in {"mu": 0.02, "omega": 0.05, "alpha": 0.1, "beta": 0.85}.items():
        assert abs(fit.params()[name] - true) < 3.0 * fit.se_of(name, "hessian")
    still = volatility.fit_garch(garch_returns(seed), mean="zero")
    assert still.params()["mu"] == 0.0 and math.isnan(still.se_of("mu"))
    assert volatility.fit_egarch(garch_returns(seed), mean="zero").params()["mu"] == 0.0


def test_likelihood_by_hand_and_at_the_fit() -> None:
    """The compiled likelihood is the plain sum; no neighbour of the fit is higher; no errors on a bound."""
    r = garch_returns(5, 400)
    mu, omega, alpha, beta = 0.01, 0.06, 0.12, 0.8
    e = r - mu
    h, before, total = float(np.mean(e * e)), float(np.mean(e * e)), 0.0
    for v in e:
        h = omega + alpha * before + beta * h
        total -= 0.5 * (math.log(2.0 * math.pi) + math.log(h) + v * v / h)
        before = v * v
    assert volatility.garch_log_likelihood(r, mu, omega, alpha, beta) == pytest.approx(total, abs=1e-8)
    fit = volatility.fit_garch(r)
    assert volatility.garch_log_likelihood(r, *fit.values) == pytest.approx(fit.log_likelihood, abs=1e-8)
    rng = np.random.default_rng(0)
    for _ in range(20):
        other = np.array(fit.values) * (1.0 + 0.02 * rng.normal(size=4))
        assert volatility.garch_log_likelihood(r, *other) <= fit.log_likelihood
    flat = [volatility.fit_garch(np.random.default_rng(s).normal(0.0, 0.01, 500)) for s in range(6)]
    on_bound = [f for f in flat if f.params()["alpha"] < 1e-7 or f.params()["beta"] < 1e-7]
    assert on_bound and all(math.isnan(f.se_of("alpha")) and not f.converged for f in on_bound)
    assert fit.converged
    assert all(f.params()["alpha"] + f.params()["beta"] < 1.0 for f in flat)


@pytest.mark.parametrize("fold", [garch, egarch])
def test_fold_begins_where_it_is_told(fold: object) -> None:
    """`start` sets the variance of the first return; a fit's path ends at its next variance."""
    r = garch_returns(6, 300)
    fit = volatility.fit_garch(r) if fold is garch else volatility.fit_egarch(r)
    state = fold.FOLD.fresh()  # type: ignore[attr-defined]
    fold.start(state[0], fit.first_variance)  # type: ignore[attr-defined]
    path = fold.FOLD.scan(r, state=state, **fit.params())  # type: ignore[attr-defined]
    assert path[-1] == pytest.approx(fit.next_variance, rel=1e-9)
    z = state["z"][0]
    assert z == pytest.approx((r[-1] - fit.params()["mu"]) / math.sqrt(path[-2]), rel=1e-9)
    assert state["seen"][0] == pytest.approx(path[-2], rel=1e-12)


def _planted(model: str) -> VolatilityFit:
    if model == "garch":
        names, values = garch_fit.NAMES, (0.0, 0.05, 0.1, 0.8)
    else:
        names, values = egarch_fit.NAMES, (0.0, -0.1, 0.3, -0.1, 0.9)
    nothing = dict.fromkeys(ERRORS, (math.nan,) * len(names))
    return VolatilityFit(model, names, values, nothing, 0.0, 1.0, 2.0, 100, 1)


@pytest.mark.parametrize("model", ["garch", "egarch"])
def test_forecast_is_the_mean_of_simulated_paths(model: str) -> None:
    """Expected variance k steps ahead against the average of 200,000 simulated recursions."""
    fit = _planted(model)
    p = fit.params()
    rng = np.random.default_rng(1)
    h = np.full(200_000, fit.next_variance)
    ahead = forecast_variance(fit, 6)
    assert ahead[0] == pytest.approx(2.0)
    for k in range(1, 6):
        z = rng.normal(size=len(h))
        if model == "garch":
            h = p["omega"] + p["alpha"] * h * z * z + p["beta"] * h
        else:
            shock = p["alpha"] * (np.abs(z) - math.sqrt(2.0 / math.pi)) + p["gamma"] * z
            h = np.exp(p["omega"] + shock + p["beta"] * np.log(h))
        assert ahead[k] == pytest.approx(h.mean(), rel=0.01)
    with pytest.raises(ConfigError, match="steps >= 1"):
        forecast_variance(fit, 0)


@pytest.mark.parametrize(
    ("returns", "says"),
    [
        (np.zeros(100), "returns that vary"),
        (np.full(100, 0.01), "returns that vary"),
        (np.arange(20.0), "n >= 50"),
        (np.r_[np.arange(99.0), np.nan], "row 99"),
        (np.ones((60, 2)), "shape"),
    ],
)
def test_bad_returns_are_refused(returns: np.ndarray, says: str) -> None:
    """Constant, short, not finite, wrong shape: refused with what was expected and where."""
    for fit in (volatility.fit_garch, volatility.fit_egarch):
        with pytest.raises(DataError, match=says):
            fit(returns)


def test_odd_returns_are_fitted_or_said_not_to_converge() -> None:
    """Mostly zeros, one huge return, two values only, a break, a line: no failure, finite numbers, and no standard
    errors where the search did not end on a summit.
    """
    rng = np.random.default_rng(0)
    r = rng.normal(size=400)
    odd = [
        np.where(rng.random(400) < 0.6, 0.0, r),
        np.r_[r, 1e4],
        np.sign(r),
        np.r_[r, 10.0 * r],
        np.linspace(0.0, 1.0, 400),
        1e-12 * r,
    ]
    for values in odd:
        for fit in (volatility.fit_garch(values), volatility.fit_egarch(values)):
            assert np.isfinite(fit.values).all() and math.isfinite(fit.log_likelihood)
            assert fit.next_variance > 0.0 and np.isfinite(forecast_variance(fit, 3)).all()
            assert fit.converged or math.isnan(fit.se_of("beta", "hessian"))


def test_bad_options_are_refused() -> None:
    """An unknown mean, parameter, kind of error or name."""
    r = garch_returns(0, 100)
    for fit in (volatility.fit_garch, volatility.fit_egarch):
        with pytest.raises(ConfigError, match="'constant' or 'zero'"):
            fit(r, mean="ar")
    fitted = volatility.fit_garch(r)
    with pytest.raises(ConfigError, match="robust"):
        fitted.se_of("alpha", "robust")
    with pytest.raises(ConfigError, match="gamma"):
        fitted.se_of("gamma")
    with pytest.raises(AttributeError, match="fit_figarch"):
        volatility.fit_figarch  # noqa: B018
