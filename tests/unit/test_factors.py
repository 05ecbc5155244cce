"""PCA factors and Avellaneda-Lee scores: against a plain eigendecomposition, by hand, and as trades."""

from __future__ import annotations

import math

import numpy as np
import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.signals.factors.avellaneda_lee import (
    LEAST_KAPPA,
    next_position,
    residual_scores,
    reversion,
    rolling_scores,
    walk_pass_share,
)
from oneprice.signals.factors.pca import pca_factors, rolling_factors
from oneprice.signals.factors.rule import RuleRun, run_rule


def market(seed: int, assets: int, days: int) -> np.ndarray:
    """Returns (assets, days): one market, two sectors, noise."""
    rng = np.random.default_rng(seed)
    common = rng.normal(0.0, 0.01, (3, days))
    loads = np.column_stack([rng.normal(1.0, 0.2, assets), rng.normal(0.0, 0.7, (assets, 2))])
    return loads @ common + rng.normal(0.0, 0.01, (assets, days)) * rng.uniform(0.5, 2.0, (assets, 1))


@pytest.mark.parametrize(("assets", "days"), [(20, 120), (90, 60), (60, 61)])
@pytest.mark.parametrize("options", [{"count": 3}, {"count": 15}, {"share": 0.55}, {"share": 1.0}])
def test_factors_are_the_plain_ones(assets: int, days: int, options: dict) -> None:
    """Eigenvalues, and the space of the vectors, within 1e-8 of a full decomposition of the correlation matrix,
    with more assets than days and with fewer.
    """
    r = market(1, assets, days)
    found = pca_factors(r, **options)
    values, vectors = np.linalg.eigh(np.corrcoef(r))
    values, vectors = values[::-1], vectors[:, ::-1]
    k = len(found.eigenvalues)
    if "share" in options:
        share = np.cumsum(values) / assets
        assert share[k - 1] >= options["share"] - 1e-9 and (k == 1 or share[k - 2] < options["share"])
    else:
        assert k == options["count"]
    np.testing.assert_allclose(found.eigenvalues, values[:k], atol=1e-8)
    np.testing.assert_allclose(found.vectors.T @ found.vectors, vectors[:, :k] @ vectors[:, :k].T, atol=1e-8)
    assert found.share == pytest.approx(values[:k].sum() / assets)
    np.testing.assert_allclose(found.weights, found.vectors / r.std(axis=1, ddof=1), rtol=1e-10)
    assert (found.vectors[np.arange(k), np.abs(found.vectors).argmax(axis=1)] > 0.0).all()


def test_scores_against_plain_regressions() -> None:
    """s, kappa, m, sigma_eq and s_mod of one stock by regressions written out."""
    r = market(2, 30, 252)
    scores = residual_scores(r, window=60, count=5)
    f = (scores.factors.weights @ r)[:, -60:]
    design = np.column_stack([np.ones(60), f.T])
    m = []
    for i in range(30):
        beta = np.linalg.lstsq(design, r[i, -60:], rcond=None)[0]
        np.testing.assert_allclose(beta[1:], scores.loadings[i], rtol=1e-6, atol=1e-12)
        assert scores.alpha[i] == pytest.approx(252.0 * beta[0], rel=1e-6)
        x = np.cumsum(r[i, -60:] - design @ beta)
        b, a = np.polyfit(x[:-1], x[1:], 1)
        zeta = x[1:] - a - b * x[:-1]
        m.append(a / (1.0 - b))
        sigma = math.sqrt(np.mean(zeta**2) / (1.0 - b * b))
        assert x[-1] == pytest.approx(0.0, abs=1e-12)
        assert scores.kappa[i] == pytest.approx(-252.0 * math.log(b), rel=1e-6)
        assert scores.sigma_eq[i] == pytest.approx(sigma, rel=1e-6)
    s = (np.mean(m) - np.array(m)) / scores.sigma_eq
    np.testing.assert_allclose(scores.s, s, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(scores.s_mod, s - scores.alpha / (scores.kappa * scores.sigma_eq), rtol=1e-6, atol=1e-9)


def test_spread_can_be_traded() -> None:
    """The hedge weights of a spread earn alpha + residual each day of the window, and leave no factor in it."""
    r = market(3, 40, 252)
    scores = residual_scores(r, window=60, count=4)
    hedges = scores.hedges()
    earned = hedges @ r[:, -60:]
    np.testing.assert_allclose(earned, scores.residuals + scores.alpha[:, None] / 252.0, atol=1e-12)
    f = scores.factors.returns(r[:, -60:])
    f -= f.mean(axis=1, keepdims=True)
    np.testing.assert_allclose((earned - earned.mean(axis=1, keepdims=True)) @ f.T, 0.0, atol=1e-10)


def test_rule_by_hand() -> None:
    """Open beyond 1.25, close a short below .75 and a long above -.50; the cut on kappa is strict and only opens."""
    path = [0.0, 1.25, 1.26, 0.8, 0.75, 0.74, -1.3, -0.6, -0.5, -0.49, 3.0, -2.0, math.nan, -1.2]
    expected = [0, 0, -1, -1, -1, 0, 1, 1, 1, 0, -1, 1, 0, 0]
    held, got = 0, []
    for s in path:
        held = next_position(held, s, 9.0, LEAST_KAPPA)
        got.append(held)
    assert got == expected
    assert next_position(0, 2.0, 8.4, LEAST_KAPPA) == 0 and next_position(0, 2.0, 8.41, LEAST_KAPPA) == -1
    assert next_position(-1, 2.0, 1.0, LEAST_KAPPA) == -1  # held: the cut does not close
    assert next_position(0, 2.0, 1.0, 0.0) == -1  # no cut
    assert next_position(0, 2.0, math.nan, 0.0) == 0


def test_published_cut_passes_random_walks() -> None:
    """78 % of 60-day random walks pass kappa > 8.4: the cut does not tell reversion from noise."""
    assert walk_pass_share(7, 20_000, 60, LEAST_KAPPA) == pytest.approx(0.78, abs=0.01)
    assert walk_pass_share(7, 2_000, 60, 1e9) < 0.01


def test_reversion_refuses_what_does_not_revert() -> None:
    """A trend (b > 1) and a zigzag (b < 0) have no kappa; an AR(1) has the parameters it was made with."""
    t = np.arange(60.0)
    b, m, sigma = reversion(np.stack([1.1**t, (-1.0) ** t, np.zeros(60)]))
    assert np.isnan(b).all() and np.isnan(m).all() and np.isnan(sigma).all()
    rng = np.random.default_rng(0)
    x = np.zeros(20_000)
    for i in range(1, len(x)):
        x[i] = 0.5 + 0.9 * x[i - 1] + rng.normal()
    b, m, sigma = reversion(x[None])
    assert b[0] == pytest.approx(0.9, abs=0.01) and m[0] == pytest.approx(5.0, abs=0.3)
    assert sigma[0] == pytest.approx(1.0 / math.sqrt(1.0 - 0.81), rel=0.05)


def test_rolling_sees_no_future_and_carries_nothing() -> None:
    """Scores up to a day are those of any other future, bit for bit, and those of a fresh start on that window."""
    r = market(4, 70, 130)
    other = r.copy()
    other[:, 100:] = other[:, 100:][:, ::-1] * 1.5 + 0.01
    options = {"correlation_window": 80, "window": 40, "count": 5, "every": 4}
    a, b = dict(rolling_scores(r, **options)), dict(rolling_scores(other, **options))
    assert list(a) == list(range(80, 131, 4))
    for t, scores in a.items():
        same = scores.s.tobytes() == b[t].s.tobytes() and scores.loadings.tobytes() == b[t].loadings.tobytes()
        assert same == (t <= 100)
    fresh = residual_scores(r[:, 20:100], window=40, count=5)
    assert fresh.s.tobytes() == a[100].s.tobytes()
    factors = dict(rolling_factors(r, window=80, count=5, every=10))
    assert factors[100].vectors.tobytes() == a[100].factors.vectors.tobytes()


OPTIONS = {"correlation_window": 80, "window": 40, "count": 3}


def reverting(seed: int, phi: float, assets: int = 25, days: int = 280) -> np.ndarray:
    """A market plus residuals whose levels are AR(1) with `phi` (1: walks)."""
    rng = np.random.default_rng(seed)
    level, moves = np.zeros(assets), np.empty((assets, days))
    for t in range(days):
        new = phi * level + rng.normal(0.0, 0.01, assets)
        moves[:, t] = new - level
        level = new
    return rng.normal(1.0, 0.2, (assets, 1)) * rng.normal(0.0, 0.01, days) + moves


def test_rule_earns_where_residuals_revert() -> None:
    """Residuals with a half-life of seven days pay the rule in each world; walks pay nothing on average, though the
    cut on kappa lets the rule hold spreads of them just the same. A day of delay costs part of it.
    """
    paid = [run_rule(reverting(s, 0.9), **OPTIONS) for s in range(4)]
    walks = [run_rule(reverting(s, 1.0), **OPTIONS) for s in range(8)]
    assert min(r.sharpe() for r in paid) > 2.0
    assert abs(np.mean([r.sharpe() for r in walks])) < 1.0
    assert np.mean([r.held.mean() for r in walks]) > 3.0
    late = [run_rule(reverting(s, 0.9), **OPTIONS, delay_days=1) for s in range(4)]
    assert np.mean([r.sharpe() for r in late]) < np.mean([r.sharpe() for r in paid])


def test_rule_keeps_its_books() -> None:
    """Returns and turnover of three days by hand from the scores; costs; a later start of what is delayed."""
    r = reverting(3, 0.9, days=84)
    run = run_rule(r, **OPTIONS, least_kappa=0.0)
    position, before = np.zeros(25, int), np.zeros(25)
    for k, (t, scores) in enumerate(rolling_scores(r[:, :83], **OPTIONS)):
        position = np.array(
            [next_position(int(p), s, c, 0.0) for p, s, c in zip(position, scores.s, scores.kappa, strict=True)]
        )
        w = position @ scores.hedges()
        w /= np.abs(w).sum()
        assert run.gross[k] == pytest.approx(w @ r[:, t], abs=1e-14)
        assert run.turnover[k] == pytest.approx(np.abs(w - before).sum(), abs=1e-12)
        assert run.held[k] == np.count_nonzero(position)
        before = w * (1.0 + r[:, t])
    np.testing.assert_allclose(run.net(5.0), run.gross - 5e-4 * run.turnover, rtol=1e-15)
    late = run_rule(r, **OPTIONS, least_kappa=0.0, delay_days=2)
    assert len(late.gross) == len(run.gross) - 2 and late.held.tolist() == run.held[:-2].tolist()
    assert math.isnan(RuleRun(np.zeros(3), np.zeros(3), np.zeros(3)).sharpe())


def test_rule_sees_no_future() -> None:
    """Other returns from a day on leave every day before it as it was, bit for bit."""
    r = reverting(5, 0.9, days=140)
    other = r.copy()
    other[:, 110:] *= -2.0
    a, b = run_rule(r, **OPTIONS), run_rule(other, **OPTIONS)
    assert a.gross[:30].tobytes() == b.gross[:30].tobytes()
    assert a.turnover[:31].tobytes() == b.turnover[:31].tobytes()
    assert a.gross[30:].tobytes() != b.gross[30:].tobytes()
    with pytest.raises(DataError, match="more than 80 days, got 80"):
        run_rule(r[:, :80], **OPTIONS)
    with pytest.raises(ConfigError, match="delay_days >= 0"):
        run_rule(r, **OPTIONS, delay_days=-1)


def test_bad_panels_are_refused() -> None:
    """Gaps, constants, too few assets or days, impossible counts, shares and windows: each says what and where."""
    r = market(5, 12, 60)
    torn = r.copy()
    torn[4, 7] = math.nan
    with pytest.raises(DataError, match="asset 4, day 7"):
        pca_factors(torn)
    still = r.copy()
    still[3] = 0.0
    with pytest.raises(DataError, match="constant for asset 3"):
        pca_factors(still, count=2)
    with pytest.raises(DataError, match="assets >= 2"):
        pca_factors(r[:1])
    with pytest.raises(ConfigError, match=r"count in 1\.\.12"):
        pca_factors(r, count=13)
    with pytest.raises(ConfigError, match="share in"):
        pca_factors(r, share=1.5)
    with pytest.raises(ConfigError, match=r"window in 15\.\.60"):
        residual_scores(r, window=12, count=5)
    with pytest.raises(DataError, match="factors of 12 assets, got 11"):
        residual_scores(r, window=30, factors=pca_factors(r[:11], count=3))
    with pytest.raises(ConfigError, match="every >= 1"):
        list(rolling_factors(r, window=20, count=2, every=0))
    with pytest.raises(ConfigError, match="every >= 1"):
        list(rolling_scores(r, correlation_window=50, every=0))
