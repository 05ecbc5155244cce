"""Least predictable portfolios and sparse baskets: definitions by hand, exact search, the floor, what walks show."""

from __future__ import annotations

import math

import numpy as np
import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.signals.reversion.box_tiao import box_tiao, least_ratios_of_walks, predictable, walk_ratio_percentile
from oneprice.signals.reversion.sparse import basket_of, floored, smallest_ratios, sparse_basket


def panel(n: int, length: int, seed: int) -> np.ndarray:
    """Walks [n, length], of which rows 1 and 3 share a trend: row 3 - row 1 is an AR(1) with .8."""
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.standard_normal((n, length)), axis=1)
    e = rng.standard_normal(length)
    for t in range(1, length):
        e[t] += 0.8 * e[t - 1]
    x[3] = x[1] + e
    return x


def test_the_ratio_is_the_share_told_a_bar_ahead() -> None:
    """nu by its definition from the fitted VAR; eigenvectors are stationary points and bound every portfolio."""
    x = panel(5, 800, 1)
    m, found = predictable(x), box_tiao(x)
    c = x - x.mean(axis=1, keepdims=True)
    a = np.linalg.lstsq(c[:, :-1].T, c[:, 1:].T, rcond=None)[0]
    rng = np.random.default_rng(2)
    for w in [*found.weights.T, *rng.standard_normal((200, 5))]:
        told = np.var(w @ (a.T @ c), ddof=1)
        assert m.ratio(w) == pytest.approx(told / np.var(w @ c, ddof=1), rel=1e-9)
        assert found.ratios[0] - 1e-12 <= m.ratio(w) <= found.ratios[-1] + 1e-12
    for i in range(5):
        assert m.ratio(found.weights[:, i]) == pytest.approx(found.ratios[i], rel=1e-9)
    assert np.all(np.diff(found.ratios) > 0.0) and np.linalg.norm(found.weights, axis=0) == pytest.approx(np.ones(5))


def test_the_planted_relation_is_the_least_predictable() -> None:
    """Weights near (-1, 1) on rows 1 and 3, nu near .8^2; scaling a row rescales its weight only."""
    x = panel(5, 4_000, 3)
    found = box_tiao(x)
    w = found.least / found.least[3]
    assert w == pytest.approx([0.0, -1.0, 0.0, 1.0, 0.0], abs=0.05)
    assert found.ratios[0] == pytest.approx(0.64, abs=0.04) and found.ratios[-1] > 0.98
    assert np.abs(found.most @ found.least) < 1.0
    scale = np.array([1.0, 2.0, 1.0, 0.5, 3.0])
    other = box_tiao(x * scale[:, None])
    assert other.ratios == pytest.approx(found.ratios, rel=1e-8)
    assert other.least * scale / (other.least * scale)[3] == pytest.approx(w, abs=1e-6)


def test_least_ratios_of_walks() -> None:
    """The percentile on fresh panels of walks is uniform, and the more walks the smaller their least ratio."""
    rng = np.random.default_rng(4)
    ratios = [box_tiao(np.cumsum(rng.standard_normal((4, 200)), axis=1)).ratios[0] for _ in range(300)]
    below = np.mean([walk_ratio_percentile(r, 4, 200) <= 20.0 for r in ratios])
    assert 0.13 < below < 0.27
    assert np.median(least_ratios_of_walks(8, 200)) < np.median(least_ratios_of_walks(4, 200)) < 1.0
    assert walk_ratio_percentile(box_tiao(panel(4, 200, 5)).ratios[0], 4, 200) < 5.0


@pytest.mark.parametrize("size", [2, 3, 4])
def test_greedy_against_all_subsets(size: int) -> None:
    """On 9 series greedy is never better, equals on the planted pair, and stays within .03 of the best ratio."""
    x = panel(9, 600, 6)
    best, greedy = (sparse_basket(x, size, method=m) for m in ("exhaustive", "greedy"))
    assert best.ratio - 1e-12 <= greedy.ratio <= best.ratio + 0.03
    assert len(greedy.support) == size == np.count_nonzero(greedy.weights) and {1, 3} <= set(greedy.support)
    if size == 2:
        assert greedy.support == best.support == (1, 3)
    m = predictable(x)
    supports = np.array([best.support])
    assert smallest_ratios(m, supports)[0] == pytest.approx(best.ratio, rel=1e-9)
    assert basket_of(m, size).ratio == greedy.ratio == m.ratio(greedy.weights)
    assert sparse_basket(x, 9).ratio == pytest.approx(box_tiao(x).ratios[0], rel=1e-9)


@pytest.mark.parametrize("n", [2, 3])
def test_the_floor_is_exact(n: int) -> None:
    """Against 200,000 random directions: the best above the floor is no better than ours, which keeps the floor."""
    m = predictable(panel(5, 700, 7))
    at = np.ix_([1, 3, 0][:n], [1, 3, 0][:n])
    told, cov = m.told[at], m.cov[at]
    w = np.random.default_rng(8).standard_normal((200_000, n))
    w /= np.linalg.norm(w, axis=1)[:, None]
    variance = np.einsum("ij,jk,ik->i", w, cov, w)
    ratio = np.einsum("ij,jk,ik->i", w, told, w) / variance
    for floor in np.quantile(variance, [0.0, 0.05, 0.3, 0.7, 0.95]):
        ours = floored(told, cov, float(floor))
        assert ours is not None and np.linalg.norm(ours) == pytest.approx(1.0)
        assert ours @ cov @ ours >= floor * (1.0 - 1e-6)
        mine = ours @ told @ ours / (ours @ cov @ ours)
        assert mine <= ratio[variance >= floor].min() + 1e-9
    top = float(np.linalg.eigvalsh(cov)[-1])
    assert floored(told, cov, 1.001 * top) is None


def test_a_floor_costs_predictability() -> None:
    """A higher floor never lowers the ratio; every basket keeps it; one that none reaches is refused."""
    x = panel(6, 600, 9)
    last = 0.0
    for floor in (0.0, 0.02, 0.2, 0.6):
        b = sparse_basket(x, 3, floor=floor, method="exhaustive")
        assert b.variance >= b.floor * (1.0 - 1e-9) and b.ratio >= last - 1e-9
        greedy = sparse_basket(x, 3, floor=floor)
        assert greedy.ratio >= b.ratio - 1e-9 and greedy.variance >= b.floor * (1.0 - 1e-9)
        last = b.ratio
    with pytest.raises(ConfigError, match="lower it"):
        sparse_basket(x, 3, floor=1e3)


def test_bad_input_is_refused() -> None:
    """Holes, a duplicated row, too short, too few series; sizes, floors, methods out of range."""
    x = panel(5, 200, 10)
    torn = x.copy()
    torn[2, 9] = math.nan
    twin = x.copy()
    twin[4] = 2.0 * twin[0] + 1.0
    for bad, text in ((torn, "row 2"), (twin, r"rows \(0, 4\)"), (x[:, :20], "T > 2 N"), (x[:1], "2 series")):
        with pytest.raises(DataError, match=text):
            box_tiao(bad)
    for bad in (dict(size=1), dict(size=6), dict(size=2, floor=-1.0), dict(size=2, method="all")):
        with pytest.raises(ConfigError):
            sparse_basket(x, **bad)
    many = predictable(np.cumsum(np.random.default_rng(1).standard_normal((30, 300)), axis=1))
    with pytest.raises(ConfigError, match="subsets"):
        basket_of(many, 10, method="exhaustive")
    with pytest.raises(ConfigError, match="count"):
        least_ratios_of_walks(1, 100)
