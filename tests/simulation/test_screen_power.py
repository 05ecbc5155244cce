"""What the screen finds in worlds whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from oneprice.core.errors import ConfigError
from oneprice.market.prices import panel
from oneprice.signals.cointegration.engle_granger import engle_granger_null
from oneprice.study.pair_order import order_rates
from oneprice.study.power import Power, planted_world, power_of, table_text
from oneprice.study.screen import count_pairs, screen
from oneprice.study.screen_families import declare

WORLDS = 50


def at(n_obs: int, half_life: float, **more: float | str) -> Power:
    return power_of(n_obs, half_life, worlds=WORLDS, **more)  # type: ignore[arg-type]


def test_power_rises_with_length_and_speed_and_falls_with_breaks() -> None:
    """Found shares: more with T, more for short half-lives; a pair broken half way is rarely found."""
    short, middle, long = (at(n, 8.0, broken=3) for n in (125, 250, 500))
    assert short.power + 0.05 < middle.power < long.power - 0.2
    assert long.power > 0.8
    slow = at(500, 30.0, broken=3)
    assert slow.power < 0.5 * long.power
    assert long.late / long.broken < 0.2 * long.power
    assert short.found + middle.found + long.found > 200, "something was found"


def test_false_discoveries_are_at_their_nominal_rate() -> None:
    """Mean share of false discoveries <= 10 % within 2.5 standard errors, with planted pairs and without any."""
    for world in (at(500, 5.0), at(250, math.inf), at(250, 5.0, broken=5)):
        assert world.false_rate <= 0.10 + 2.5 * max(world.false_rate_se, 0.01), world
    null = at(250, math.inf)
    assert null.planted == 0 and null.tests == WORLDS * 150
    raw = at(250, math.inf, false_discovery=0.999)
    assert raw.false > 20 * max(null.false, 1), "without a correction chance finds plenty"


def test_noisy_legs_cost_their_rate_only_as_regressands() -> None:
    """A leg that is a walk with strong noise: larger moves on the left double the false rate, the screen's rule keeps
    near the nominal one, and where legs are calm the rules find the same.
    """
    ours, other = (at(500, 5.0, noise=1.0, order=k) for k in ("walk-like", "larger"))
    assert other.false_rate > 0.2 and ours.false_rate < 0.6 * other.false_rate
    assert ours.false_rate <= 0.16 and ours.power > 0.98
    calm, usual = (at(500, 8.0, order=k) for k in ("walk-like", "larger"))
    assert abs(calm.power - usual.power) < 0.05 and abs(calm.false_rate - usual.false_rate) < 0.05


def test_the_order_does_not_depend_on_scale() -> None:
    """Where the scales of series differ the size of moves says little of noise; the variance ratio has no scale."""
    ours, alike = (at(500, 5.0, noise=1.0, scales=k) for k in (2.0, 1.0))
    assert (ours.found, ours.false) == (alike.found, alike.false)
    by_size = at(500, 5.0, noise=1.0, scales=2.0, order="smaller")
    assert ours.false_rate + 0.02 < by_size.false_rate and ours.power > by_size.power - 0.02


def test_size_of_the_order_on_pairs_of_walks_and_noisy_legs() -> None:
    """Ordered by variance ratio 4,000 pairs of walks are rejected at most at the nominal rate, not far below it;
    beside a noisy leg as seldom as with the calm leg known to be calm, at any scale; planted pairs are found as often.
    """
    walks = order_rates("walks", 500, 4_000)
    assert 0.035 < walks["walk-like"][0] < 0.055 and 0.04 < walks["calm"][0] < 0.06
    noisy = order_rates("one noisy, unrelated", 500, 4_000, {"scales": 2.0})
    assert noisy["walk-like"][0] < noisy["calm"][0] + 0.02 and noisy["walk-like"][0] < noisy["smaller"][0] - 0.008
    assert noisy["noisy"][0] > 0.14
    tied = order_rates("one noisy, tied", 250, 2_000, {"scales": 2.0})
    assert tied["walk-like"][0] > tied["smaller"][0] - 0.03 and tied["walk-like"][0] > 0.85
    with pytest.raises(ConfigError, match="kind of pair"):
        order_rates("both", 250, 10)
    with pytest.raises(ConfigError, match="1 or more"):
        order_rates("walks", 250, 0)


def test_yekutieli_is_stricter() -> None:
    """BY finds less, true and false."""
    bh, by = at(250, 5.0), at(250, 5.0, correction="by")
    assert by.found < bh.found and by.false < bh.false
    assert by.false_rate <= 0.05


@pytest.mark.parametrize("factors", [0, 4])
def test_clusters_of_returns_leave_the_tests_their_size(factors: int) -> None:
    """Pairs inside clusters of unrelated walks are rejected at the nominal rate, common factors in returns or not."""
    null, rejected, tests = engle_granger_null(250, lags=1, draws=9_999), 0, 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x = np.cumsum(rng.normal(0, 0.01, (60, 250)), axis=1)
        if factors:
            x = 0.7 * x + np.cumsum(rng.normal(0, 0.01, (factors, 250)), axis=1)[np.arange(60) % factors]
        families = declare(tuple(f"s{i:02d}" for i in range(60)), x, "clusters")
        tally, _ = count_pairs(
            np.ascontiguousarray(x[families.order]), families, lags=1, null=null, keep=2000, size=500,
            executor=None, path=None, progress=None,
        )  # fmt: skip
        rejected, tests = rejected + tally.below(0.05), tests + tally.tests
    assert tests > 1000 and 0.035 < rejected / tests < 0.07


def test_the_best_of_a_grid_of_walks_are_not_confirmed() -> None:
    """Picked from 435 pairs of walks for their statistic, spreads are rejected later at the nominal rate, no more."""
    rejected, tested, confirmed, best = 0, 0, 0, []
    for seed in range(20):
        walks = np.cumsum(np.random.default_rng(seed).normal(0, 0.01, (30, 250)), axis=1)
        found = screen(panel(np.exp(3 + walks.T)), family=None, keep=40)
        best.append(found.pairs[0].p)
        later = [r.p_out for r in found.pairs if math.isfinite(r.p_out)]
        tested, rejected = tested + len(later), rejected + sum(p <= 0.05 for p in later)
        confirmed += bool(found.confirmed)
    assert np.median(best) < 0.01 and max(best) < 0.05, "the first period shows what looks like a pair"
    assert tested > 200 and rejected / tested < 0.09 and confirmed <= 5


def test_worlds_are_what_they_say() -> None:
    """Same seed same world; truth is of the size asked; impossible ones are refused; the table has a row a world."""
    a, b = planted_world(1, 100, 5.0, broken=2), planted_world(1, 100, 5.0, broken=2)
    assert a.prices.digest() == b.prices.digest() != planted_world(2, 100, 5.0, broken=2).prices.digest()
    assert (len(a.true), len(a.broken), a.prices.width) == (8, 2, 60)
    with pytest.raises(ConfigError, match="broken <= groups"):
        planted_world(1, 100, 5.0, broken=11)
    with pytest.raises(ConfigError, match="order"):
        at(100, 5.0, order="bigger")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="scales >= 1"):
        planted_world(1, 100, 5.0, scales=0.5)
    one, three = (np.diff(np.log(planted_world(1, 400, 5.0, scales=s).prices.close), axis=0) for s in (1.0, 3.0))
    ratio = three.std(axis=0) / one.std(axis=0)
    assert 1 / 3 <= ratio.min() < 0.5 and 2 < ratio.max() <= 3
    text = table_text([at(125, 5.0)])
    assert text.count("\n") == 2 and "| 125 | 5 | 500 |" in text
