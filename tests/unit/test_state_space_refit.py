"""Refits: the gradient is that of the likelihood, an old minimum is left, the optimum is that of the long search."""

from __future__ import annotations

import numpy as np
import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.signals.state_space.filter import filtered, loglik_kernel, state_variance
from oneprice.signals.state_space.refit import loss_of, refit_schwartz_smith, searched
from oneprice.signals.state_space.schwartz_smith import (
    NAMES,
    SchwartzSmith,
    arrays,
    fit_schwartz_smith,
    readings,
    run_schwartz_smith,
    start_of,
)
from oneprice.signals.state_space.score import score_kernel

YEARS = np.array([1, 2, 3, 5, 7, 10, 14, 18]) / 12
DT = 1 / 52
SLOW = SchwartzSmith(
    kappa=0.3, sigma_chi=0.3, lambda_chi=0.0, mu=0.0, sigma_xi=0.1, mu_star=0.0, rho=0.0,
    noise=(0.01, 0.01, 0.01, 2e-5, 0.01, 0.01, 2e-5, 0.01),
)  # fmt: skip
FAST = SchwartzSmith(
    kappa=6.0, sigma_chi=0.6, lambda_chi=0.1, mu=0.0, sigma_xi=0.2, mu_star=0.0, rho=0.3,
    noise=(2e-5, 0.02, 2e-5, 0.02, 0.02, 0.02, 0.02, 0.02),
)  # fmt: skip


def simulated(
    model: SchwartzSmith, dates: int, rng: np.random.Generator, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(prices, last states) under a model."""
    n = len(YEARS)
    z, d, step = np.empty((dates, n, 2)), np.empty((dates, n)), np.empty((2, 5))
    arrays(np.array([getattr(model, name) for name in NAMES]), np.tile(YEARS, (dates, 1)), DT, z, d, step)
    root, out = np.linalg.cholesky(step[:, 3:]), np.empty((dates, n))
    for t in range(dates):
        x = step[:, 0] + step[:, 1:3] @ x + root @ rng.normal(size=2)
        out[t] = z[t] @ x + d[t] + rng.normal(size=n) * model.noise
    return np.exp(out), x


def test_the_gradient_is_that_of_the_likelihood() -> None:
    """The one-pass score equals central differences of the plain filter's likelihood, gaps included."""
    rng = np.random.default_rng(1)
    price, _ = simulated(FAST, 60, rng, np.array([0.0, 3.0]))
    price[3, 4], price[10], price[20:25, 7] = np.nan, np.nan, np.nan
    moved = YEARS + rng.uniform(0, 0.08, (60, 1))
    y, t = readings(price, moved)
    p, sd = np.array([1.2, 0.3, 0.1, 0.05, 0.2, 0.02, 0.4]), rng.uniform(0.005, 0.03, 8)

    def loglik(shape: np.ndarray, noise: np.ndarray) -> float:
        z, d, step = np.empty((*t.shape, 2)), np.empty(t.shape), np.empty((2, 5))
        arrays(shape, t, DT, z, d, step)
        return float(loglik_kernel(y, z, d, noise**2, step, start_of(y), np.empty(len(y))))

    score = np.empty(15)
    value = score_kernel(y, t, p, sd**2, DT, start_of(y), score)
    assert value == pytest.approx(loglik(p, sd), rel=1e-11)
    e = 1e-5
    by_hand = [(loglik(p + e * k, sd) - loglik(p - e * k, sd)) / (2 * e) for k in np.eye(7)]
    by_hand += [(loglik(p, sd * np.exp(e * k)) - loglik(p, sd * np.exp(-e * k))) / (2 * e) for k in np.eye(8)]
    assert np.allclose(score, by_hand, rtol=1e-5, atol=1e-4)
    theta = searched(FAST)
    loss = loss_of(y, t, DT)
    _, slope = loss(theta)
    slope = slope.copy()
    plain = [(loss(theta + e * k)[0] - loss(theta - e * k)[0]) / (2 * e) for k in np.eye(len(theta))]
    assert np.allclose(slope, plain, rtol=1e-4, atol=1e-5), "of the searched numbers too"


def test_a_refit_leaves_the_old_minimum() -> None:
    """Slow reversion with two exact contracts, then fast with two others: from the old optimum alone the search stays
    hundreds of log-likelihoods below; with fresh starts it finds what was planted."""
    apart = []
    for seed in (2, 3, 4):
        rng = np.random.default_rng(seed)
        before, x = simulated(SLOW, 104, rng, np.array([0.0, 3.0]))
        after, _ = simulated(FAST, 104, rng, x)
        old = refit_schwartz_smith(before, YEARS)
        alone = refit_schwartz_smith(after, YEARS, previous=old.model, fresh=())
        both = refit_schwartz_smith(after, YEARS, previous=old.model)
        assert alone.won == "previous" and both.won != "previous"
        assert both.model.kappa == pytest.approx(6.0, rel=0.1)
        assert abs(alone.model.kappa - 6.0) > 3.0, "the chain alone is stuck: the test can fail"
        apart.append(both.loglik - alone.loglik)
    assert min(apart) > 100.0


def test_a_refit_is_the_maximum_of_the_long_search() -> None:
    """On one regime: not below the search of `fit_schwartz_smith`, whatever it started from, and its filter's value."""
    model = SchwartzSmith(
        kappa=1.5, sigma_chi=0.3, lambda_chi=0.1, mu=0.02, sigma_xi=0.15, mu_star=0.01, rho=0.3,
        noise=(0.02, 0.01, 0.01, 0.01, 0.005, 0.01, 0.01, 0.02),
    )  # fmt: skip
    price, _ = simulated(model, 150, np.random.default_rng(5), np.array([0.0, 3.0]))
    few, at = price[:, :4], YEARS[:4]
    ours, slow = refit_schwartz_smith(few, at), fit_schwartz_smith(few, at)
    again = refit_schwartz_smith(few, at, previous=ours.model, fresh=())
    assert ours.loglik == pytest.approx(run_schwartz_smith(few, at, ours.model).loglik, abs=1e-6)
    assert ours.loglik > slow.loglik - 0.02
    assert again.loglik == pytest.approx(ours.loglik, abs=0.05)
    assert set(ours.trials) == {"kappa 0.3", "kappa 1", "kappa 3"} and ours.loglik >= max(ours.trials.values()) - 1e-6


def test_the_variance_of_the_states_is_the_textbook_one() -> None:
    """`state_variance` equals the recursion with matrices, all readings of a day at once."""
    rng = np.random.default_rng(6)
    y, z = rng.normal(size=(12, 4)), rng.normal(size=(12, 4, 2))
    y[3, 1], y[5] = np.nan, np.nan
    h, g, w = rng.uniform(0.1, 1.0, 4), np.diag([0.9, 1.0]), np.array([[0.2, 0.1], [0.1, 0.3]])
    step, start = np.column_stack([np.zeros(2), g, w]), np.column_stack([np.zeros(2), 2.0 * np.eye(2)])
    got = np.empty((2, 2))
    state_variance(y, z, h, step, start, got)
    p = start[:, 1:].copy()
    for t in range(12):
        p = g @ p @ g.T + w
        keep = np.isfinite(y[t])
        p = np.linalg.inv(np.linalg.inv(p) + (z[t, keep].T / h[keep]) @ z[t, keep])
    assert np.allclose(got, p, rtol=1e-9)
    assert np.isfinite(filtered(y, z, np.zeros((12, 4)), h, step, start).loglik)


def test_what_cannot_be_refitted_is_refused() -> None:
    """No start, a speed of 0, a model of other contracts, prices without a log."""
    price = np.full((30, 8), 50.0) + np.random.default_rng(7).normal(size=(30, 8))
    with pytest.raises(ConfigError, match="expected a previous model or fresh starts, got neither"):
        refit_schwartz_smith(price, YEARS, fresh=())
    with pytest.raises(ConfigError, match="speeds of reversion above 0"):
        refit_schwartz_smith(price, YEARS, fresh=(0.0,))
    with pytest.raises(ConfigError, match="previous model of 7 contracts, got one of 8"):
        refit_schwartz_smith(price[:, :7], YEARS[:7], previous=SLOW)
    price[4, 1] = -37.63
    with pytest.raises(DataError, match="row 4, column 1: expected a price above 0"):
        refit_schwartz_smith(price, YEARS)
