"""Baskets of a screen: one hypothesis a family, judged together, refused with the reason."""

from __future__ import annotations

import math

import numpy as np
import pytest

from oneprice.market.prices import Prices, panel
from oneprice.signals.cointegration.johansen import johansen
from oneprice.signals.spread import values
from oneprice.signals.validation.multiplicity import adjusted
from oneprice.study.screen import screen
from oneprice.study.screen_baskets import MOST_SERIES, SHRINKAGE, BasketRow, baskets_of

T = 240


def world() -> tuple[Prices, dict[str, tuple[str, ...]]]:
    """A planted triplet, a triplet of walks, a triplet that determines itself, a pair and a crowd."""
    rng = np.random.default_rng(5)
    walk = lambda n: np.cumsum(rng.normal(0, 0.01, (n, T)), axis=1)  # noqa: E731
    gap, shocks = np.zeros(T), rng.normal(0, 0.003, T)
    for t in range(1, T):
        gap[t] = 0.5 * gap[t - 1] + shocks[t]
    two, alone, same, crowd = walk(2), walk(3), walk(2), walk(MOST_SERIES + 1)
    groups = {
        "planted": np.vstack([two, 0.5 * two[0] + 0.5 * two[1] + gap]),
        "walks": alone,
        "exact": np.vstack([same, 0.3 * same[0] + 0.7 * same[1]]),
        "pair": walk(2),
        "crowd": crowd,
    }
    names = {g: tuple(f"{g}{i}" for i in range(len(x))) for g, x in groups.items()}
    close = np.exp(3 + np.vstack(list(groups.values())).T)
    return panel(close, [s for m in names.values() for s in m]), names


def found(space: str = "log") -> dict[str, BasketRow]:
    prices, families = world()
    cost = dict.fromkeys(prices.symbols, 4.0)
    rows = baskets_of(
        prices, prices.columns(space), families, space=space, lags=1, cost_bp=cost, false_discovery=0.1, correction="bh"
    )
    return {b.group: b for b in rows}


def test_planted_baskets_are_found_and_exact_ones_refused() -> None:
    """Only families of three to eight are tested; q is over those with a statistic and those refused."""
    got = found()
    assert set(got) == {"planted", "walks", "exact"}
    planted, walks, exact = got["planted"], got["walks"], got["exact"]
    assert planted.verdict == "discovery" and walks.verdict == "candidate" and exact.verdict == "refused"
    assert "exact combination" in exact.reason or "determine each other" in exact.reason
    assert math.isnan(exact.p) and "refused" in str(exact)
    q = adjusted([planted.p, walks.p], "bh", size=3)
    assert [planted.q, walks.q] == pytest.approx(q)


def test_weights_are_the_relation() -> None:
    """Absolute weights sum to 1 and follow the planted (1, 1, -2); the spread reverts; Box-Tiao agrees."""
    b = found()["planted"]
    assert np.abs(b.weights).sum() == pytest.approx(1)
    w = np.array(b.weights) / b.weights[0]
    np.testing.assert_allclose(w, [1, 1, -2], atol=0.15)
    other = np.array(b.box_tiao) / b.box_tiao[0]
    np.testing.assert_allclose(other, [1, 1, -2], atol=0.15)
    assert b.half_life < 3 and b.walk_percentile < 1 and b.predictable_percentile < 1
    prices, _ = world()
    x = prices.select(b.symbols)
    spread = values(b.spread(), x.close)
    assert spread.std() < 0.3 * np.log(x.close).std(axis=0).min()
    assert b.edge_over_cost == pytest.approx(b.edge_bp / 8.0)
    series = np.log(x.close).T
    want = johansen(series - series[:, :1], lags=1, shrinkage=SHRINKAGE)
    assert (b.stat, b.p) == (want.trace[0], want.trace_p[0])


def test_level_baskets_are_of_units() -> None:
    """The same families in prices: weights of units, cost by value at the last price."""
    b = found("level")["planted"]
    assert b.spread().space == "level" and b.verdict == "discovery"
    prices, _ = world()
    value = np.abs(np.array(b.weights) * prices.select(b.symbols).close[-1])
    assert b.edge_bp == pytest.approx(b.edge_over_cost * 2 * value @ np.full(3, 4.0) / value.sum())


def test_a_screen_carries_its_baskets() -> None:
    """Asked for, they are in the result; a grid has none."""
    prices, families = world()
    groups = {s: g for g, m in families.items() for s in m}
    assert [b.group for b in screen(prices, family=groups, baskets=True).baskets] == ["planted", "walks", "exact"]
    assert screen(prices, family="grid", baskets=True, confirm=0).baskets == ()
