"""Hedge fits: total least squares, the dynamic hedge's start, report and refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.features import kalman_hedge
from oneprice.signals import hedge
from oneprice.signals.hedge.likelihood import fit_hedge, hedge_log_likelihood
from oneprice.signals.hedge.report import HedgePath, hedge_report, lag1
from oneprice.signals.hedge.tls import fit_tls
from oneprice.study.anchors_filters import planted_pair


def test_total_least_squares_is_symmetric() -> None:
    """Regressing x on y gives exactly the inverse slope, and the line of the singular value decomposition."""
    y, x, _ = planted_pair(0, 400)
    line = fit_tls(y, x)
    assert line.beta * fit_tls(x, y).beta == pytest.approx(1.0, rel=1e-12)
    z = np.column_stack([x - x.mean(), y - y.mean()])
    normal = np.linalg.svd(z, full_matrices=False)[2][-1]
    assert line.beta == pytest.approx(-normal[0] / normal[1], rel=1e-9)
    falling = fit_tls(-y, x)
    assert falling.beta == pytest.approx(-line.beta, rel=1e-12)
    assert line.mu == pytest.approx(y.mean() - line.beta * x.mean(), rel=1e-12)


def test_total_least_squares_sees_noise_on_both_sides() -> None:
    """With noise in x least squares is biased to zero; TLS is not, also with a noise ratio, and its error covers."""
    rng = np.random.default_rng(3)
    inside, slopes, plain = 0, [], []
    for _ in range(200):
        true = rng.normal(0.0, 1.0, 500)
        x = true + rng.normal(0.0, 0.5, 500)
        y = 2.0 * true + rng.normal(0.0, 1.0, 500)
        line = fit_tls(y, x, ratio=4.0)
        slopes.append(line.beta)
        plain.append(np.polyfit(x, y, 1)[0])
        inside += abs(line.beta - 2.0) < 1.96 * line.beta_se
    assert np.mean(slopes) == pytest.approx(2.0, abs=0.02) and np.mean(plain) < 1.7
    assert 180 <= inside <= 199


def test_start_continues_from_a_fit() -> None:
    """Started with beta and spread at a pair, the next forecast is theirs; a sure beta does not move."""
    state = kalman_hedge.FOLD.fresh()
    kalman_hedge.start(state[0], 10.0, 4.0, 2.0, 0.0, 0.5, 0.0)
    assert state["mu"][0] == 10.0 - 8.0 - 0.5
    out = kalman_hedge.FOLD.scan(
        np.array([12.0]), np.array([4.9]), state=state, q_beta=0.0, q_mu=0.0, phi=0.9, sigma=0.1
    )
    expected = 12.0 - (1.5 + 2.0 * 4.9 + 0.45)  # y - (mu + beta x + phi s)
    assert state["innovation"][0] == pytest.approx(expected, abs=1e-12)
    assert state["innovation_var"][0] == pytest.approx(0.01)
    assert state["beta"][0] == 2.0 and out[0] == pytest.approx(0.45 + expected, abs=1e-12)


def test_spread_is_what_is_left() -> None:
    """y = beta x + mu + spread holds exactly in the state; before x moves there is no spread."""
    y, x, _ = planted_pair(5, 50, level=4.6)
    x[1] = x[0]
    state = kalman_hedge.FOLD.fresh()
    for i in range(50):
        out = kalman_hedge.FOLD.scan(y[i : i + 1], x[i : i + 1], state=state, q_beta=1e-6)[0]
        s = state[0]
        assert math.isnan(out) == (i < 2)
        assert s["beta"] * x[i] + s["mu"] + s["spread"] == pytest.approx(y[i], abs=1e-12)


def test_likelihood_is_highest_at_the_fit() -> None:
    """The concentrated search returns parameters whose plain likelihood is what it says and a maximum."""
    y, x, _ = planted_pair(7, 400, beta_step=0.02, level=1.0)
    fit = fit_hedge(y, x, model="both")
    assert hedge_log_likelihood(y, x, **fit.params()) == pytest.approx(fit.log_likelihood, abs=1e-6)
    for name in ("q_beta", "q_mu", "sigma"):
        for factor in (0.8, 1.25):
            other = {**fit.params(), name: max(1e-12, fit.params()[name]) * factor}
            assert hedge_log_likelihood(y, x, **other) <= fit.log_likelihood + 1e-6
    for phi in (fit.phi - 0.02, fit.phi + 0.02):
        assert hedge_log_likelihood(y, x, **{**fit.params(), "phi": min(phi, 0.9999)}) < fit.log_likelihood


def test_drift_is_solved_for() -> None:
    """The drift that comes with the model's other parameters is the one of most likelihood; the fold with the drift
    in its state sees what the plain fold sees of y less the drift.
    """
    y, x, _ = planted_pair(3, 300, level=2.0)
    y = y + 1e-3 * np.arange(300) * x
    fit = fit_hedge(y, x, model="drift")
    best = fit.log_likelihood
    for factor in (0.9, 1.0, 1.1):
        less = y - factor * fit.beta_drift * np.arange(300) * x
        value = hedge_log_likelihood(less, x, **fit.params())
        assert value == pytest.approx(best, abs=1e-6) if factor == 1.0 else value < best - 1e-3
    path = hedge.hedge_path(y, x, fit)
    plain = kalman_hedge.FOLD.scan(y - fit.beta_drift * np.arange(300) * x, x, **fit.params())
    np.testing.assert_allclose(path.spread[2:], plain[2:], atol=1e-10)
    assert path.beta[-1] == pytest.approx(1.0 + 0.3, abs=0.2)


def test_fit_follows_units() -> None:
    """Prices in cents: beta as before, sigma a hundred times, the likelihood shifted by its Jacobian."""
    y, x, _ = planted_pair(2, 300)
    a, b = fit_hedge(y, x), fit_hedge(100.0 * y, 100.0 * x)
    assert a.model == b.model and b.sigma == pytest.approx(100.0 * a.sigma, rel=1e-4)
    assert b.phi == pytest.approx(a.phi, abs=1e-4)
    assert b.log_likelihood == pytest.approx(a.log_likelihood - 298 * math.log(100.0), abs=1e-4)


def test_report_by_hand() -> None:
    """NIS, autocorrelations and turnover on a path made by hand; the first 20 pairs do not count."""
    n = 24
    e = np.zeros(n)
    e[20:] = [1.0, -1.0, 2.0, -2.0]
    beta = np.full(n, 2.0)
    beta[20:] = [1.0, 2.0, 3.0, 2.0]
    seen = hedge_report(HedgePath(np.arange(float(n)), beta, beta, e, np.full(n, 2.0)))
    assert seen.n == 4 and seen.nis == pytest.approx(10.0 / 4.0 / 2.0)
    assert seen.beta_turnover == pytest.approx(1.0 / 2.0)
    assert seen.innovation_lag1 == pytest.approx((-1.0 - 2.0 - 4.0) / 10.0)
    assert math.isnan(lag1(np.ones(5))) and math.isnan(lag1(np.ones(2)))


@pytest.mark.parametrize(
    ("y", "x", "says"),
    [
        (np.arange(10.0), np.arange(10.0), "at least 30"),
        (np.ones(50), np.arange(50.0), "y: expected a series that varies"),
        (np.arange(50.0), np.ones(50), "x: expected a series that varies"),
        (np.r_[np.arange(49.0), np.nan], np.arange(50.0), "row 49"),
        (np.arange(50.0), np.r_[np.inf, np.arange(49.0)], "x: expected finite values, got inf at row 0"),
        (np.arange(50.0), np.arange(51.0), "one length, got 50 and 51"),
        (np.ones((50, 2)), np.arange(50.0), "shape"),
    ],
)
def test_bad_pairs_are_refused(y: np.ndarray, x: np.ndarray, says: str) -> None:
    """Too short, constant, not finite, unequal: each is refused with the series and the row."""
    for fit in (hedge.fit_hedge, hedge.fit_regression):
        with pytest.raises(DataError, match=says):
            fit(y, x)


@pytest.mark.parametrize("noise", [0.0, 1e-13])
def test_duplicated_series_are_refused(noise: float) -> None:
    """The same series twice, scaled or shifted, also with dust on it, leaves nothing to trade; TLS still has a line."""
    x = planted_pair(0, 200, level=4.6)[1]
    y = 2.0 * x + 1.0 + noise * np.random.default_rng(0).normal(size=200)
    for fit in (fit_hedge, hedge.fit_regression):
        with pytest.raises(DataError, match="nothing is left to trade"):
            fit(y, x)
    assert fit_tls(y, x).beta == pytest.approx(2.0, rel=1e-9)


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_size_of_prices_does_not_matter(scale: float) -> None:
    """Prices of a hundred-millionth and of a hundred million fit as those of one do."""
    y, x, _ = planted_pair(1, 200, level=4.0)
    one, other = fit_hedge(y, x), fit_hedge(scale * y, scale * x)
    assert other.sigma == pytest.approx(scale * one.sigma, rel=1e-3)
    white = hedge.hedge_path(scale * y, scale * x, hedge.fit_regression(scale * y, scale * x))
    assert hedge_report(white).nis == pytest.approx(1.0, abs=0.3)


def test_x_that_rarely_moves_counts_what_it_shows() -> None:
    """While x has not moved the spread is still forecast, so those steps count; with one move in all there is a fit."""
    y, x, _ = planted_pair(2, 300)
    x[:] = np.repeat([1.0, 2.0, 3.0], 100)
    path = hedge.hedge_path(y, x, fit_hedge(y, x))
    assert np.flatnonzero(path.innovation_var == 0.0).tolist() == [0, 100]
    assert np.isnan(path.spread[:100]).all() and np.isfinite(path.spread[100:]).all()
    x[:] = 1.0
    x[-1] = 2.0
    assert math.isfinite(fit_hedge(y, x).log_likelihood)


def test_bad_parameters_are_refused() -> None:
    """Unknown models, impossible ratios and variances, unknown names of the room."""
    y, x, _ = planted_pair(0, 60)
    with pytest.raises(ConfigError, match=r"'bta'.*did you mean 'beta'"):
        fit_hedge(y, x, model="bta")
    with pytest.raises(ConfigError, match="ratio > 0"):
        fit_tls(y, x, ratio=-1.0)
    with pytest.raises(DataError, match="covariance 0"):
        fit_tls([1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0])
    with pytest.raises(DataError, match="variances q, r >= 0"):
        hedge.level_log_likelihood(y, 0.0, 0.0)
    with pytest.raises(ConfigError, match="phi in"):
        hedge_log_likelihood(y, x, 0.0, 0.0, 1.0, 0.1)
    with pytest.raises(AttributeError, match="no attribute 'fit_all'"):
        hedge.fit_all  # noqa: B018
