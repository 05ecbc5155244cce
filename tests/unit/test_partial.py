"""Partial cointegration: recovery of what was planted, sizes of its tests, the part that is traded, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.signals.reversion.partial import fit_partial, null_ratios, partial_test, pvmr, reverting_part
from oneprice.signals.reversion.partial_filter import regress


def planted(
    n: int, rho: float, sigma: tuple[float, float], beta: tuple[float, ...], seed: int
) -> tuple[np.ndarray, ...]:
    """(y, x, true M): y = 5 + beta x + M + R with x random walks."""
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.standard_normal((len(beta), n)), axis=1)
    m = sigma[0] * rng.standard_normal(n)
    m[0] /= math.sqrt(1.0 - rho * rho)
    for t in range(1, n):
        m[t] += rho * m[t - 1]
    return 5.0 + np.array(beta) @ x + m + np.cumsum(sigma[1] * rng.standard_normal(n)), x, m


def test_planted_parameters_are_recovered() -> None:
    """60 samples of 1,000: means of beta, rho, both deviations and the share within 3 standard errors plus .02."""
    truth = (0.92, 0.8, 1.0, 0.5, pvmr(0.8, 1.0, 0.5))
    found, hits = [], 0
    for seed in range(60):
        y, x, _ = planted(1_000, 0.8, (1.0, 0.5), (0.92,), seed)
        f = fit_partial(y, x[0])
        found.append((f.beta[0], f.rho, f.sigma_m, f.sigma_r, f.pvmr))
        hits += abs(f.beta[0] - 0.92) < 1.96 * f.beta_se[0]
    mean, error = np.mean(found, axis=0), np.std(found, axis=0) / math.sqrt(60)
    assert np.all(np.abs(mean - truth) < 3.0 * error + 0.02)
    assert hits >= 51  # 95 % of 60 less 3.6 standard errors


def test_two_hedges_and_none() -> None:
    """Hedges jointly; a spread alone equals the fit at the true hedge; units carry through; a constant has no part."""
    y, x, _ = planted(1_500, 0.9, (1.0, 0.2), (0.5, -1.2), 3)
    f = fit_partial(y, x)
    for got, want, error in zip(f.beta, (0.5, -1.2), f.beta_se, strict=True):
        assert abs(got - want) < 4.0 * error
    alone = fit_partial(y - np.array(f.beta) @ x)
    assert alone.loglik == pytest.approx(f.loglik, abs=1e-5) and alone.beta == ()
    scaled = fit_partial(1e4 + 7.0 * y, x / 10.0)
    assert (scaled.sigma_m, scaled.sigma_r, scaled.beta[0]) == pytest.approx(
        (7.0 * f.sigma_m, 7.0 * f.sigma_r, 70.0 * f.beta[0]), rel=1e-3
    )
    assert scaled.ratio_walk == pytest.approx(f.ratio_walk, abs=1e-4)


def test_ratios_have_their_size_and_power() -> None:
    """Fresh walks and AR(1)s pass the simulated 5 % point 3 to 19 times of 200; a planted one is found."""
    walk, ar = null_ratios(250, 1, 1.0, 600)[0], null_ratios(250, 1, 0.9, 600)[1]
    rng = np.random.default_rng(4)
    past_walk = past_ar = 0
    for _ in range(200):
        x = np.cumsum(rng.standard_normal(250))
        past_walk += fit_partial(np.cumsum(rng.standard_normal(250)) + x, x).ratio_walk > np.quantile(walk, 0.95)
        m = rng.standard_normal(250)
        m[0] /= math.sqrt(1.0 - 0.81)
        for t in range(1, 250):
            m[t] += 0.9 * m[t - 1]
        past_ar += fit_partial(m + x, x).ratio_ar > np.quantile(ar, 0.95)
    assert 3 <= past_walk <= 19 and 3 <= past_ar <= 19
    y, x, _ = planted(1_000, 0.7, (1.0, 0.5), (0.92,), 5)
    result = partial_test(fit_partial(y, x[0]), draws=200)
    assert result.p_walk == result.p_ar == result.floor == pytest.approx(1.0 / 201)
    assert np.all(walk >= 0.0) and np.all(ar >= 0.0)


def test_the_part_that_reverts() -> None:
    """The filtered M follows the true one, uses no later value, and half-life follows rho."""
    y, x, m = planted(2_000, 0.9, (1.0, 0.3), (0.8,), 6)
    f = fit_partial(y, x[0])
    part = reverting_part(y, x[0], f)
    assert np.corrcoef(part[100:], m[100:])[0, 1] > 0.8
    later = y.copy()
    later[1_500:] += 50.0
    assert np.array_equal(reverting_part(later, x[0], f)[:1_500], part[:1_500])
    assert f.half_life == pytest.approx(math.log(0.5) / math.log(f.rho))


def test_the_small_regression() -> None:
    """Coefficients and residual of the kernel's Cholesky equal numpy's."""
    rng = np.random.default_rng(7)
    z = rng.standard_normal((4, 50))
    beta = np.empty(3)
    left = regress(z @ z.T, beta)
    plain, rest = np.linalg.lstsq(z[1:].T, z[0], rcond=None)[:2]
    assert beta == pytest.approx(plain, rel=1e-10) and left == pytest.approx(rest[0], rel=1e-10)


def test_bad_input_is_refused() -> None:
    """Holes, constant or short series, other lengths, too many hedges, exact combinations, no variance."""
    y, x, _ = planted(100, 0.5, (1.0, 0.5), (1.0,), 8)
    torn = y.copy()
    torn[5] = math.nan
    for bad_y, bad_x, text in (
        (torn, x, "observation 5"),
        (y[:30], x[:, :30], "at least 40"),
        (y, np.ones(100), "constant"),
        (y, x[:, :99], "100 observations"),
        (y, np.cumsum(np.random.default_rng(1).standard_normal((9, 100)), axis=1), "at most 8"),
        (2.0 * x[0], x, "exact combination"),
        (y, np.stack([x[0], x[0]]), "exact combination"),
    ):
        with pytest.raises(DataError, match=text):
            fit_partial(bad_y, bad_x)
    with pytest.raises(ConfigError, match="pvmr"):
        pvmr(0.5, 0.0, 0.0)
    with pytest.raises(ConfigError, match="null"):
        null_ratios(20, 1, 1.0, 10)
