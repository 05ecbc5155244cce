"""Microstructure models in worlds whose truth is known: coverage, lead-lag, jumps, where the microprice falls short."""

from __future__ import annotations

import math

import numpy as np
import pytest

from oneprice.features import bipower, hayashi_yoshida
from oneprice.signals.micro.hawkes import fit_hawkes, simulate_hawkes
from oneprice.signals.micro.microprice import fit_microprice, martingale_slope
from oneprice.study.micro_worlds import TICK, queue_world, touch_chain

SECOND = 1_000_000_000


def test_hawkes_intervals_cover() -> None:
    """Over 60 streams, 95 % intervals of each parameter cover within binomial error; residuals are rarely rejected."""
    truth = np.array([0.5, 0.8, 1.2])
    rng = np.random.default_rng(11)
    inside, rejected, n = np.zeros(3), 0, 60
    for _ in range(n):
        fit = fit_hawkes(simulate_hawkes(rng, mu=0.5, alpha=0.8, beta=1.2, horizon_s=800.0), horizon_s=800.0)
        z = (np.array([fit.mu, fit.alpha, fit.beta]) - truth) / np.array(fit.se)
        inside += np.abs(z) < 1.96
        rejected += fit.residual_p < 0.01
    assert (inside >= n * 0.95 - 3.0 * math.sqrt(n * 0.95 * 0.05)).all(), inside
    assert rejected <= 3


def two_streams(seed: int, lead_s: float, rho: float = 0.8, n: int = 8000) -> tuple[np.ndarray, ...]:
    """Two walks seen at Poisson times (about 5 and 3 a second); stream 0 leads by lead_s."""
    rng = np.random.default_rng(seed)
    span = n / 8.0
    step = 0.002
    common, own = rng.normal(size=(2, int((span + 10.0) / step)))
    a = np.cumsum(common) * 1e-5
    b = np.cumsum(rho * common + math.sqrt(1.0 - rho * rho) * own) * 1e-5
    t0, t1 = (np.sort(rng.uniform(5.0, span + 5.0, k)) for k in (int(span * 5), int(span * 3)))
    x = 100.0 * np.exp(a[(t0 / step).astype(int)])
    y = 50.0 * np.exp(b[((t1 - lead_s) / step).astype(int)])
    t = np.concatenate([t0, t1])
    order = np.argsort(t, kind="stable")
    stream = np.concatenate([np.zeros(len(t0)), np.ones(len(t1))])
    return (t[order] * SECOND).astype(np.int64), stream[order], np.concatenate([x, y])[order]


@pytest.mark.parametrize("lead_s", [-0.3, 0.0, 0.2])
def test_lead_and_correlation_are_found(lead_s: float) -> None:
    """The lag of the largest contrast is the planted lead; the correlation there is not pulled to 0 by asynchrony,
    while sampling on a common grid of the same fineness is.
    """
    found, gridded = [], []
    for seed in range(4):
        t, stream, price = two_streams(seed, lead_s)
        state = hayashi_yoshida.FOLD.fresh()
        hayashi_yoshida.FOLD.scan(t, stream, price, state=state, lag_s=0.1, tau_s=0.0)
        hayashi_yoshida.settle(state[0], 0.1, 0.0)
        seconds, correlation = hayashi_yoshida.lead(state[0], 0.1)
        assert seconds == pytest.approx(lead_s, abs=1e-9)
        found.append(correlation)
        grid = np.arange(t[0] + SECOND, t[-1], SECOND // 10)
        seen = [np.log(price[stream == k][np.searchsorted(t[stream == k], grid, side="right") - 1]) for k in (0, 1)]
        gridded.append(np.corrcoef(np.diff(seen[0]), np.diff(seen[1]))[0, 1])
        ratio = hayashi_yoshida.lead_lag_ratio(state[0])
        assert (ratio > 1.0) == (lead_s > 0.0) if lead_s else 0.5 < ratio < 2.0
    assert np.mean(found) == pytest.approx(0.8, abs=0.04)
    assert np.mean(gridded) < 0.5


def test_jumps_move_the_realised_volatility_alone() -> None:
    """A diffusion of 1 bp per sqrt second with ten jumps of 20: bipower and median stay, realised does not."""
    rng = np.random.default_rng(2)
    n = 4000
    r = rng.normal(0.0, 1e-4, n)
    r[rng.choice(n, 10, replace=False)] += 20e-4
    t = np.arange(n + 1) * SECOND
    price = 100.0 * np.exp(np.concatenate([[0.0], np.cumsum(r)]))
    state = bipower.FOLD.fresh()
    robust = bipower.FOLD.scan(t, price, state=state, bucket_s=1.0, tau_s=1e6)[-1]
    assert robust == pytest.approx(1e-4, rel=0.08)
    assert bipower.median_volatility(state[0]) == pytest.approx(1e-4, rel=0.06)
    whole = float(bipower.realised_volatility(state[0]))
    assert whole == pytest.approx(math.sqrt(1e-8 + 10 * 4e-6 / n), rel=0.05)
    assert bipower.jump_share(state[0]) == pytest.approx(1.0 - 1e-8 / whole**2, abs=0.1)


def test_the_microprice_is_a_martingale_where_its_chain_is_true() -> None:
    """Slope 1 +- .05 on unseen touches at two horizons."""
    fit = fit_microprice(*touch_chain(21, 300_000, move=0.15, widen=0.1), tick=TICK, n_spreads=2)
    other = touch_chain(22, 1_000_000, move=0.15, widen=0.1)
    for moves in (3, 8):
        found = martingale_slope(fit.table, *other, tick=TICK, moves=moves)
        assert found.slope == pytest.approx(1.0, abs=0.05) and found.se < 0.03
    assert fit.next_term < 1e-4


def test_buckets_understate_queues_of_orders() -> None:
    """In Cont and de Larrard's world imbalance buckets are no Markov states: the table has the right sign and order but
    says too little (slope above 1), which is why the slope is told beside every fit.
    """
    fit = fit_microprice(*queue_world(31, 1_000_000, most=5), tick=TICK, n_spreads=1)
    assert (np.diff(fit.table[0]) > 0.0).all()
    found = martingale_slope(fit.table, *queue_world(32, 1_000_000, most=5), tick=TICK, moves=1)
    assert 1.2 < found.slope < 2.0
