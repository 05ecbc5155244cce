"""Hurst exponents and variance ratios: plain references, known processes, percentiles, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.signals.reversion.hurst import (
    hurst_dfa,
    hurst_moments,
    hurst_of_walks,
    hurst_percentile,
    hurst_rs,
    hurst_rs_block,
)
from oneprice.signals.reversion.variance_ratio import (
    joint_p,
    ratio_percentile,
    two_sided_p,
    variance_ratio,
    variance_ratio_block,
)
from oneprice.signals.reversion.walks import draw_walks


def fractional_noise(h: float, n: int, paths: int, seed: int) -> np.ndarray:
    """Exact fractional Gaussian noise [paths, n] by circulant embedding."""
    k = np.arange(n + 1)
    power = 2.0 * h
    rho = 0.5 * (np.abs(k + 1.0) ** power - 2.0 * np.abs(k) ** power + np.abs(k - 1.0) ** power)
    ring = np.concatenate([rho, rho[-2:0:-1]])
    spectrum = np.sqrt(np.maximum(np.fft.fft(ring).real, 0.0))
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((paths, len(ring))) + 1j * rng.standard_normal((paths, len(ring)))
    return np.asarray((np.fft.fft(spectrum * z) / math.sqrt(len(ring))).real[:, :n])


def plain_dfa(path: np.ndarray, sizes: np.ndarray) -> float:
    """DFA(1) by polyfit."""
    heights = []
    for w in sizes:
        parts = path[: len(path) // w * w].reshape(-1, w)
        t = np.arange(w)
        rest = [p - np.polyval(np.polyfit(t, p, 1), t) for p in parts]
        heights.append(math.sqrt(np.mean(np.square(rest))))
    return float(np.polyfit(np.log(sizes), np.log(heights), 1)[0])


@pytest.mark.parametrize("h", [0.3, 0.5, 0.7])
def test_known_exponents_come_out(h: float) -> None:
    """Mean over 40 paths of 4,096: DFA and moments within .03 of H; R/S is biased towards .55, within .11."""
    paths = np.cumsum(fractional_noise(h, 4_096, 40, 1), axis=1)
    assert hurst_dfa(paths).mean() == pytest.approx(h, abs=0.03)
    assert hurst_moments(paths).mean() == pytest.approx(h, abs=0.03)
    assert hurst_moments(paths, power=1.0).mean() == pytest.approx(h, abs=0.03)
    assert hurst_rs_block(paths, simplified=False).mean() == pytest.approx(h, abs=0.11)


def test_plain_references() -> None:
    """DFA equals polyfit window by window; moments equal plain differences; a block equals its rows."""
    path = np.cumsum(np.random.default_rng(2).standard_normal(500)) + 60_000.0
    sizes = np.unique(np.geomspace(10, 125, max(4, int(8 * math.log10(12.5)) + 1)).astype(int))
    assert hurst_dfa(path)[0] == pytest.approx(plain_dfa(path, sizes), abs=1e-9)
    lags = np.arange(1, 20)
    for power in (1.0, 2.0):
        logs = [math.log(np.mean(np.abs(path[k:] - path[:-k]) ** power)) for k in lags]
        plain = np.polyfit(np.log(lags), logs, 1)[0] / power
        assert hurst_moments(path, power=power)[0] == pytest.approx(plain, abs=1e-10)
    rows = np.cumsum(np.random.default_rng(3).standard_normal((4, 300)), axis=1)
    assert list(hurst_rs_block(rows)) == [hurst_rs(r)[0] for r in rows]
    assert list(hurst_dfa(rows)) == [hurst_dfa(r)[0] for r in rows]


@pytest.mark.parametrize("method", ["rs", "dfa", "moments"])
def test_percentiles_are_uniform_on_walks(method: str) -> None:
    """Fresh walks of 250 fall below the 10th percentile 10 % of the time; reverting paths sit far below it."""
    estimate = {"rs": hurst_rs_block, "dfa": hurst_dfa, "moments": hurst_moments}[method]
    rng = np.random.default_rng(4)
    walks = np.cumsum(rng.standard_normal((1_000, 250)), axis=1)
    assert 0.07 < np.mean(hurst_percentile(estimate(walks), 250, method) <= 10.0) < 0.13
    fast = rng.standard_normal((50, 250))
    for t in range(1, 250):
        fast[:, t] += 0.7 * fast[:, t - 1]
    assert np.median(hurst_percentile(estimate(fast), 250, method)) < 2.0
    assert hurst_percentile(-9.0, 250, method) == pytest.approx(100.0 / (len(hurst_of_walks(250, method)) + 1))


def test_fitted_residuals_have_their_own_percentiles() -> None:
    """Residuals of unrelated walks: below the 10th percentile 10 % of the time with `series` 2, more with 1.

    Only a little more: DFA removes trends itself, and a fit changes steps of 16 little. Half-lives suffer most.
    """
    rest = draw_walks(np.random.default_rng(7), 1_000, 250, 2)
    h, ratio = hurst_dfa(rest), variance_ratio_block(rest, (16,))["ratio"][:, 0]
    for own, plain, least in (
        (hurst_percentile(h, 250, "dfa", 2), hurst_percentile(h, 250), 1.05),
        (ratio_percentile(ratio, 16, 250, 2), ratio_percentile(ratio, 16, 250), 1.15),
    ):
        assert 0.07 < np.mean(own <= 10.0) < 0.13
        assert np.mean(plain <= 10.0) > least * np.mean(own <= 10.0)


def test_variance_ratio_size_and_direction() -> None:
    """On walks |z| and |z*| exceed 1.96 in 3.5 to 6.5 % of 3,000; with jumps in variance only z* keeps its size."""
    rng = np.random.default_rng(5)
    steps = rng.standard_normal((3_000, 500))
    calm = variance_ratio_block(np.cumsum(steps, axis=1), (2, 4))
    wild = variance_ratio_block(np.cumsum(steps * np.where(np.arange(500) % 100 < 10, 5.0, 1.0), axis=1), (2,))
    for name in ("z", "z_star"):
        assert 0.035 < np.mean(np.abs(calm[name][:, 0]) > 1.96) < 0.065, name
    assert np.mean(np.abs(wild["z"][:, 0]) > 1.96) > 0.2 > 0.075 > np.mean(np.abs(wild["z_star"][:, 0]) > 1.96)
    noise = variance_ratio(rng.standard_normal(2_000))
    assert np.all(noise["z_star"] < -5.0) and list(noise["q"]) == [2, 4, 8, 16]
    assert two_sided_p(1.959963984540054) == pytest.approx(0.05, abs=1e-12)
    assert joint_p([1.0, -1.959963984540054]) == pytest.approx(1.0 - 0.95**2, abs=1e-12)
    four = variance_ratio_block(np.cumsum(steps[:1_000], axis=1))["z_star"]
    assert 0.02 < np.mean([joint_p(z) < 0.05 for z in four]) < 0.065


def test_bad_input_is_refused() -> None:
    """Short, holed, constant series, prices at or below zero, misspelt names, steps out of range."""
    x = np.cumsum(np.random.default_rng(6).standard_normal(150))
    torn = x.copy()
    torn[3] = math.inf
    for call in (hurst_rs, hurst_dfa, hurst_moments):
        for bad in (x[:50], torn, np.ones(200)):
            with pytest.raises(DataError):
                call(bad)
    with pytest.raises(DataError, match="positive"):
        hurst_rs(x, kind="price")
    with pytest.raises(ConfigError, match="did you mean 'price'"):
        hurst_rs(x, kind="prices")
    with pytest.raises(ConfigError, match="method"):
        hurst_percentile(0.5, 200, "dfaa")
    with pytest.raises(ConfigError):
        hurst_dfa(x, min_window=80)
    with pytest.raises(ConfigError):
        hurst_moments(x, power=0.0)
    for steps in ((), (1,), (100,)):
        with pytest.raises(ConfigError, match="steps"):
            variance_ratio(x, steps)
