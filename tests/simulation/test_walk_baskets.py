"""Worlds with a truth for what is beyond static pairs: a planted basket is found and pays, a hedge moves or stands."""

from __future__ import annotations

import math

import numpy as np
import pytest
from slot_kit import made

from oneprice.core.errors import DataError
from oneprice.core.instruments import Fees
from oneprice.market.prices import Prices
from oneprice.strategies import stat_arb
from oneprice.study.walk_baskets import beyond_parts, candidates, relation
from oneprice.study.walk_fit import PairSelection
from oneprice.study.walk_forward import walk_forward
from oneprice.study.walk_report import WalkForward

NAMES = tuple("YABEFGHI")


def spread(rng: np.random.Generator, n: int, kappa: float, noise: float) -> np.ndarray:
    phi, s = math.exp(-kappa), np.zeros(n)
    e = rng.normal(0, noise, n)
    for t in range(1, n):
        s[t] = phi * s[t - 1] + e[t]
    return s


def basket_world(seed: int, n: int = 660) -> Prices:
    """ln Y = .5 ln A + .5 ln B + a spread of half-life 2.3 bars, among five unrelated walks."""
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.normal(0, 0.01, (n, 7)), axis=0)
    y = 0.5 * x[:, 0] + 0.5 * x[:, 1] + spread(rng, n, 0.3, 0.012)
    return made(40.0 * np.exp(np.column_stack([y, x])), NAMES)


def hedge_world(seed: int, step: float, n: int = 900) -> Prices:
    """ln Y = beta ln X + a spread of half-life 1.7 bars; beta walks by `step` a bar (0: it stands), W is a walk."""
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.normal(0, 0.015, n))
    beta = 1.0 + np.cumsum(rng.normal(0, step, n)) if step else np.ones(n)
    y = beta * x + spread(rng, n, 0.4, 0.01)
    return made(40.0 * np.exp(np.column_stack([y, x, np.cumsum(rng.normal(0, 0.01, n))])), ("Y", "X", "W"))


def walk(prices: Prices, select: PairSelection, train: str, step: str) -> WalkForward:
    fees = Fees(maker_bp=0, taker_bp=2)
    return walk_forward(stat_arb(), prices, train=train, step=step, fees=fees, select=select)


def test_a_planted_basket_is_found_and_traded_net_positive() -> None:
    """Six worlds, 36 windows of 300 bars: the basket is a slot in most, little else is, no asset is in two slots, its
    fills are on three legs, and the net is above zero by three standard errors.
    """
    found = other = 0
    net = []
    for seed in range(1, 7):
        w = walk(basket_world(seed), PairSelection(), "300d", "60d")
        assert w.closes()
        for x in w.windows:
            assets = [s for one in x.slots for s in one.symbols]
            assert len(set(assets)) == len(assets)
            if x.why == "schedule":
                mine = {tuple(sorted(s.symbols)) for s in x.slots}
                found += ("A", "B", "Y") in mine
                other += len(mine - {("A", "B", "Y")})
        rows = w.funnel()
        assert sum(r.basket_slots for r in rows) > 0 and all(r.tests == 28 + r.baskets for r in rows)
        own = [r for r in w.pairs() if len(r.symbols) == 3]
        assert own and own[0].trades > 0
        net.append(w.net.sum())
    assert found >= 24 and other <= 6, (found, other)
    assert np.mean(net) > 3.0 * np.std(net, ddof=1) / math.sqrt(len(net))


def test_pairs_alone_can_be_asked_for_and_baskets_pay_for_all_their_legs() -> None:
    """most_legs = 2 makes no other hypothesis; the cost of a basket is that of each leg by its share, both ways."""
    prices = basket_world(4)
    costs = np.array([1.0, 2.0, 9.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    window = prices.rows(0, 300)
    alone = PairSelection(most_legs=2)(window, costs)
    assert alone.tests == 28 and alone.baskets == 0 and all(len(s.symbols) == 2 for s in alone.slots)
    both = PairSelection()(window, costs)
    (row,) = [s for s in both.survivors if set(s.symbols) == {"Y", "A", "B"}]
    x = window.select(row.symbols).columns("log")
    w = np.abs(relation(x, 1).weights)
    paid = np.array([costs[prices.symbols.index(s)] for s in row.symbols])
    assert row.kind in ("johansen", "box_tiao") and row.cost_bp == pytest.approx(2.0 * w @ paid / w.sum())
    dear = PairSelection()(window, np.full(8, 200.0))
    assert not dear.slots and any("costs" in s.verdict or "pay" in s.verdict for s in dear.survivors)


def test_the_hedge_of_a_constant_ratio_stays_static() -> None:
    """Eight worlds, one window of 500 bars each: never dynamic, and the evidence for it is written down."""
    gains = []
    for seed in range(8):
        picked = PairSelection(most_legs=2)(hedge_world(seed, 0.0).rows(0, 500), np.full(3, 3.0))
        (row,) = [s for s in picked.survivors if set(s.symbols) == {"X", "Y"}]
        assert row.hedge == "static" and not any(s.dynamic for s in picked.slots)
        gains.append(row.bic_gain)
    assert max(gains) < 6.0


def test_a_drifting_ratio_is_followed_and_following_pays() -> None:
    """beta walks 1 % a bar. Where the windows choose the dynamic hedge, in most worlds of twelve, it beats the static
    one on the 400 bars behind by a quarter in sum; both are in the report. (Four worlds of this kind were looked at,
    the dynamic hedge led in the mean of each.)
    """
    dynamic, static = [], []
    for seed in range(1, 13):
        prices = hedge_world(seed, 0.01)
        w = walk(prices, PairSelection(most_legs=2, level=0.3), "500d", "400d")
        if not any(s.dynamic for x in w.windows if x.why == "schedule" for s in x.slots):
            continue
        assert w.funnel()[0].dynamic_slots == 1 and "dynamic" in str(w)
        assert any(r.dynamic == 1 and r.static == 0 for r in w.pairs())
        dynamic.append(w.net.sum())
        static.append(walk(prices, PairSelection(most_legs=2, level=0.3, hedge="static"), "500d", "400d").net.sum())
    assert len(dynamic) >= 5
    assert sum(dynamic) > 1.25 * sum(static) > 0.0, (dynamic, static)


def test_what_is_tried_comes_from_moves_alone_and_a_passenger_is_no_basket() -> None:
    """Unrelated series propose nothing; a relation's series propose it; a basket around a pair with as small a p is
    raised to 1, one with a smaller p stands; series that determine each other are refused.
    """
    rng = np.random.default_rng(3)
    walks = np.cumsum(rng.normal(0, 0.01, (6, 400)), axis=1)
    assert len(candidates(walks, (6,), 4)) <= 1
    tied = np.vstack([walks[:3], 0.5 * walks[0] + 0.5 * walks[1] + 0.01 * rng.standard_normal(400)])
    assert (0, 1, 3) in candidates(tied, (4,), 3)
    assert candidates(tied, (2, 2), 4) == [], "only inside a group"
    p = beyond_parts(np.array([0.01, 0.001]), [(0, 1, 2), (1, 2, 3)], {frozenset((0, 1)): 0.01})
    assert p.tolist() == [1.0, 0.001]
    with pytest.raises(DataError):
        relation(np.vstack([walks[:2], 0.3 * walks[0] + 0.7 * walks[1]]), 1)
    with pytest.raises(DataError, match="rows"):
        relation(walks[:3, :30], 1)
