"""Ornstein-Uhlenbeck fits: the likelihood, its bias, its interval and what random walks show."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from oneprice.core.errors import ConfigError, DataError
from oneprice.signals.reversion.ornstein import (
    OU,
    fit_ou,
    half_life_beyond_noise,
    kappa_bias,
    kappa_jackknife,
    ou_block,
    s_scores,
    walk_percentile,
)
from oneprice.signals.reversion.slopes import (
    ar1_slopes,
    fitted_slopes,
    slope_law,
    slope_of,
    walk_slopes,
)
from oneprice.signals.reversion.walks import draw_walks, residuals

DAY = 1.0 / 252.0


def ou_paths(kappa: float, n: int, paths: int, seed: int, sigma_eq: float = 1.0, dt: float = DAY) -> np.ndarray:
    """Exact stationary OU samples [paths, n]."""
    b = math.exp(-kappa * dt)
    x = np.random.default_rng(seed).standard_normal((paths, n)) * sigma_eq
    x[:, 1:] *= math.sqrt(1.0 - b * b)
    for t in range(1, n):
        x[:, t] += b * x[:, t - 1]
    return x


def test_the_fit_maximises_the_likelihood() -> None:
    """A general optimiser over (kappa, level, sigma) of the exact transition density finds the same point."""
    x = 3.0 + ou_paths(12.0, 300, 1, 1, 0.4)[0]
    fit = fit_ou(x, DAY)

    def minus_loglik(p: np.ndarray) -> float:
        kappa, level, sigma = math.exp(p[0]), p[1], math.exp(p[2])
        b = math.exp(-kappa * DAY)
        var = sigma * sigma * (1.0 - b * b) / (2.0 * kappa)
        e = x[1:] - level - b * (x[:-1] - level)
        return float(0.5 * np.sum(e * e / var + math.log(2.0 * math.pi * var)))

    best = minimize(minus_loglik, [2.0, 2.8, 0.5], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11})
    assert (math.exp(best.x[0]), best.x[1], math.exp(best.x[2])) == pytest.approx(
        (fit.kappa, fit.level, fit.sigma), rel=1e-5
    )
    assert fit.sigma_eq == pytest.approx(fit.sigma / math.sqrt(2.0 * fit.kappa), rel=1e-12)
    assert fit.half_life == pytest.approx(math.log(2.0) / fit.kappa, rel=1e-12)
    assert s_scores(x, fit.level, fit.sigma_eq)[-1] == pytest.approx(fit.score, rel=1e-12)


def test_the_block_is_each_row_alone_and_plain_numpy() -> None:
    """Rows of a block equal single fits bit for bit, and the slope numpy's least squares."""
    x = np.concatenate([ou_paths(5.0, 120, 4, 2), np.cumsum(ou_paths(900.0, 120, 2, 3), axis=1)]) + 60_000.0
    block = ou_block(x, DAY)
    for row, fit in zip(x, block, strict=True):
        assert fit_ou(row, DAY).tobytes() == fit.tobytes()
        assert fit["slope"] == pytest.approx(np.polyfit(row[:-1] - row[0], row[1:] - row[0], 1)[0], rel=1e-9)
        assert slope_of(row) == pytest.approx(fit["slope"], rel=1e-12)


def test_moving_and_scaling_change_only_the_units() -> None:
    """X -> c + s X: kappa, interval, percentile and score stay, level and deviations follow."""
    x = ou_paths(20.0, 200, 1, 4)[0]
    a, b = fit_ou(x, DAY), fit_ou(7.0 + 3.0 * x, DAY)
    for name in ("kappa", "kappa_low", "kappa_high", "walk_percentile", "score"):
        assert b[name] == pytest.approx(a[name], rel=1e-9), name
    assert (b.level, b.sigma_eq) == pytest.approx((7.0 + 3.0 * a.level, 3.0 * a.sigma_eq), rel=1e-9)
    bars = fit_ou(x, 1.0)
    assert bars.half_life == pytest.approx(a.half_life * 252.0, rel=1e-12)


@pytest.mark.parametrize(("n", "kappa"), [(60, 8.4), (250, 5.0), (250, 25.0), (500, 12.0)])
def test_the_interval_covers(n: int, kappa: float) -> None:
    """95 % intervals of kappa and half-life hold the truth in 93.5 to 96.5 % of 4,000 samples, whatever T."""
    fits = ou_block(ou_paths(kappa, n, 4_000, n), DAY)
    held = np.mean((fits["kappa_low"] <= kappa) & (kappa <= fits["kappa_high"]))
    half = math.log(2.0) / kappa
    assert 0.935 < held < 0.965
    low, high = fits["half_life_low"] * (1 - 1e-12), fits["half_life_high"] * (1 + 1e-12)
    assert held == np.mean((low <= half) & (half <= high))
    naive = fits["kappa"] - 1.96 * np.sqrt(2.0 * np.maximum(fits["kappa"], 0.0) / (n * DAY))
    assert np.mean(naive > kappa) > 2.0 * np.mean(fits["kappa_low"] > kappa), "a normal interval sits too high"


@pytest.mark.parametrize(("n", "half_life"), [(250, 10.0), (250, 40.0), (500, 20.0)])
def test_the_interval_of_a_regression_residual_covers(n: int, half_life: float) -> None:
    """Hedge and spread from one sample: 93.5 to 97 % with `series` 2, the median half-life right within 10 %.

    The interval that takes the residual for a given spread covers less, and its half-life is too short.
    """
    kappa = math.log(2.0) / half_life
    u = ou_paths(kappa, n, 3_000, n, dt=1.0)
    x = np.cumsum(np.random.default_rng(n + 1).standard_normal(u.shape), axis=1)
    x -= x.mean(axis=1, keepdims=True)
    y = 2.0 * x + u
    rest = y - x * ((x * y).sum(axis=1) / (x * x).sum(axis=1))[:, None]
    found = {}
    for series in (1, 2):
        fits = ou_block(rest, 1.0, series=series)
        held = np.mean((fits["kappa_low"] <= kappa) & (kappa <= fits["kappa_high"]))
        found[series] = held, math.log(2.0) / np.median(fits["kappa_unbiased"])
    assert 0.935 < found[2][0] < 0.97
    assert found[2][1] == pytest.approx(half_life, rel=0.1) and found[1][1] < 0.95 * found[2][1]


def test_a_walk_is_covered_too() -> None:
    """On random walks the interval reaches an infinite half-life in 97.5 % of 4,000 samples of 250."""
    walks = np.cumsum(np.random.default_rng(5).standard_normal((4_000, 250)), axis=1)
    fits = ou_block(walks, 1.0)
    assert 0.965 < np.mean(np.isinf(fits["half_life_high"])) < 0.985
    assert np.all(fits["kappa_low"][np.isinf(fits["half_life_high"])] == 0.0)
    assert 4.0 < np.mean(fits["walk_percentile"] <= 5.0) * 100.0 < 6.0


def test_corrections_take_the_bias_out() -> None:
    """kappa 5 on one year: the raw mean is near kappa + bias; jackknife and Tang-Chen come within 1.2, median too."""
    x = ou_paths(5.0, 252, 3_000, 6)
    fits = ou_block(x, DAY)
    bias = kappa_bias(5.0, DAY, 252)
    assert bias == pytest.approx(4.0, rel=0.05)
    assert fits["kappa"].mean() - 5.0 == pytest.approx(bias, abs=0.9)
    assert np.median(fits["kappa_unbiased"]) == pytest.approx(5.0, abs=0.5)
    jack = np.array([kappa_jackknife(row, DAY) for row in x[:1_000]])
    assert np.nanmean(jack) == pytest.approx(5.0, abs=1.2)
    shrunk = fits["kappa"] - np.array([kappa_bias(max(k, 1e-9), DAY, 252) for k in fits["kappa"]])
    assert np.mean(shrunk) == pytest.approx(5.0, abs=1.2)


def test_noise_in_single_observations() -> None:
    """AR(1) of half-life 20 seen with noise: least squares says below 8, the instrument within 20 %; 1,000 bars."""
    x = ou_paths(math.log(2.0) / 20.0, 1_000, 300, 11, dt=1.0)
    seen = x + 0.25 * np.random.default_rng(12).standard_normal(x.shape)
    raw = np.median(ou_block(seen, 1.0)["half_life"])
    beyond = np.median([half_life_beyond_noise(row, 1.0) for row in seen])
    assert raw < 8.0 and beyond == pytest.approx(20.0, rel=0.2)
    assert np.median([half_life_beyond_noise(row, 0.5) for row in x]) == pytest.approx(10.0, rel=0.2)
    assert math.isnan(half_life_beyond_noise(np.where(np.arange(50) % 2 == 0, 1.0, -1.0), 1.0))


def test_residuals_of_a_regression_look_faster_than_walks() -> None:
    """The null of a fitted spread is its own: slopes fall with the number of series, percentiles rise."""
    found = [np.median(walk_slopes(250, k)) for k in (1, 2, 3)]
    assert found[0] > found[1] > found[2]
    assert walk_percentile(0.95, 250, 1) < walk_percentile(0.95, 250, 2) < walk_percentile(0.95, 250, 3)
    walks = np.cumsum(np.random.default_rng(7).standard_normal((3, 3, 80)), axis=2)
    mine = walks.copy()
    residuals(mine)
    for w, got in zip(walks, mine[:, 0], strict=True):
        z = np.column_stack([np.ones(80), *w[1:]])
        assert got == pytest.approx(w[0] - z @ np.linalg.lstsq(z, w[0], rcond=None)[0], abs=1e-9)
    drawn = draw_walks(np.random.default_rng(7), 3, 80, 3)
    assert np.array_equal(drawn, mine[:, 0]) and draw_walks(np.random.default_rng(7), 3, 80).shape == (3, 80)


def test_the_law_of_the_slope_against_a_plain_simulation() -> None:
    """The kernel's slopes equal numpy's on the same shocks; its quantiles rise with the slope and with the level."""
    shocks = np.random.default_rng(8).standard_normal((5, 40))
    slopes = np.array([0.0, 0.7, 1.0])
    out = np.empty((3, 5))
    ar1_slopes(shocks, slopes, out)
    for i, b in enumerate(slopes):
        for p in range(5):
            x = np.empty(40)
            x[0] = shocks[p, 0] / math.sqrt(1.0 - b * b) if b < 1.0 else 0.0
            for t in range(1, 40):
                x[t] = b * x[t - 1] + shocks[p, t]
            assert out[i, p] == pytest.approx(np.polyfit(x[:-1], x[1:], 1)[0], abs=1e-10)
    others = np.cumsum(np.random.default_rng(9).standard_normal((5, 2, 40)), axis=2)
    plain = np.empty((3, 5))
    for i, b in enumerate(slopes):
        for p in range(5):
            x = np.empty(40)
            x[0] = shocks[p, 0] / math.sqrt(1.0 - b * b) if b < 1.0 else 0.0
            for t in range(1, 40):
                x[t] = b * x[t - 1] + shocks[p, t]
            z = np.column_stack([np.ones(40), *others[p]])
            rest = x - z @ np.linalg.lstsq(z, x, rcond=None)[0]
            plain[i, p] = np.polyfit(rest[:-1], rest[1:], 1)[0]
    fitted_slopes(shocks, others.copy(), slopes, out)
    assert out == pytest.approx(plain, abs=1e-9)
    law = slope_law(100)
    rows = [law.quantile(level) for level in (0.025, 0.5, 0.975)]
    assert all(np.all(np.diff(r) >= 0.0) for r in rows) and np.all(rows[0] < rows[1]) and np.all(rows[1] < rows[2])
    assert law.quantile(0.3)[5] == pytest.approx(np.quantile(law.drawn[5], 0.3), abs=1e-12)


def test_edges_have_a_meaning() -> None:
    """No reversion: half-life inf, no level; faster than a bar: kappa inf, half-life 0; nothing is a silent number."""
    up = fit_ou(np.exp(np.arange(60) / 20.0), 1.0)
    assert up.kappa < 0.0 and math.isinf(up.half_life) and math.isnan(up.level) and math.isnan(up.score)
    assert up.walk_percentile > 95.0 and up.kappa_high == 0.0 and math.isinf(up.half_life_low)
    flip = fit_ou(np.where(np.arange(60) % 2 == 0, 1.0, -1.0) + 0.5 * ou_paths(900.0, 60, 1, 9)[0], 1.0)
    assert math.isinf(flip.kappa) and flip.half_life == 0.0 and flip.sigma_eq > 0.0 and math.isnan(flip.sigma)


def test_bad_input_is_refused() -> None:
    """Holes, constant and short rows, wrong shapes and parameters: the error names what and where."""
    x = ou_paths(5.0, 50, 3, 10)
    torn = x.copy()
    torn[1, 7] = math.nan
    flat = x.copy()
    flat[2] = 5.0
    bads = ((torn, "row 1, observation 7"), (flat, "row 2 is constant"), (x[:, :10], "at least 20"), (x[0], "rows"))
    for bad, text in bads:
        with pytest.raises(DataError, match=text):
            ou_block(bad, DAY)
    for dt in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ConfigError, match="dt"):
            ou_block(x, dt)
    with pytest.raises(ConfigError, match="confidence"):
        ou_block(x, DAY, confidence=1.0)
    with pytest.raises(ConfigError, match="series"):
        ou_block(x, DAY, series=0)
    with pytest.raises(ConfigError, match="blocks"):
        kappa_jackknife(x[0], DAY, 1)
    with pytest.raises(ConfigError, match="sigma_eq"):
        s_scores(x[0], 0.0, 0.0)
    assert ou_block(x, DAY).dtype == OU
