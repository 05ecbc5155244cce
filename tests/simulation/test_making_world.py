"""The Avellaneda-Stoikov world: any gamma, the fill rule, the total-spread trap, what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from oneprice.core.errors import ConfigError
from oneprice.study.making_world import MAKERS, World, population, simulate


@pytest.mark.parametrize("gamma", [0.001, 0.01, 0.1, 0.37, 1.0])
@pytest.mark.parametrize("maker", MAKERS)
def test_paths_agree_with_the_population_at_any_gamma(gamma: float, maker: str) -> None:
    """2,000 x 5 paths: mean profit, its deviation and that of inventory within 3 standard errors of the recursion."""
    world = World(gamma=gamma, maker=maker)
    exact, seen = population(world), simulate(world, paths=10_000, seed=6)
    profit_se, q_se = seen.errors()
    assert abs(seen.profit - exact.profit) < 3.0 * profit_se
    assert abs(seen.q - exact.q) < 3.0 * q_se and abs(exact.q) < 1e-9
    assert seen.q_sd == pytest.approx(exact.q_sd, rel=3.0 / math.sqrt(20_000))
    assert seen.profit_sd == pytest.approx(exact.profit_sd, rel=6.0 / math.sqrt(20_000))  # fat tails of the symmetric
    assert seen.spread == pytest.approx(exact.spread, rel=1e-12)
    assert exact.spread == pytest.approx(world.average_spread, rel=5e-3), "200 steps of a spread that falls"


@pytest.mark.parametrize("maker", MAKERS)
def test_paths_have_no_bias_over_seeds_and_gammas(maker: str) -> None:
    """Nine gammas x twelve seeds of 2,000 paths: scores of mean profit and inventory are standard normal.

    At most one in 108 beyond three errors, a mean square of 1 within three of its errors, pooled means alike.
    """
    scores = []
    for gamma in (0.02, 0.05, 0.2, 0.3, 0.7, 1.5, 2.0, 2.5, 4.0):
        world = World(gamma=gamma, maker=maker)
        exact = population(world)
        for seed in range(12):
            seen = simulate(world, paths=2_000, seed=1_000 * round(100 * gamma) + seed)
            profit_se, q_se = seen.errors()
            scores.append(((seen.profit - exact.profit) / profit_se, (seen.q - exact.q) / q_se))
    z = np.array(scores)
    assert ((np.abs(z) > 3.0).sum(axis=0) <= 1).all() and (np.abs(z).max(axis=0) < 4.0).all()
    assert (np.abs((z**2).mean(axis=0) - 1.0) < 3.0 * math.sqrt(2.0 / len(z))).all()
    assert (np.abs(z.mean(axis=0)) * math.sqrt(len(z)) < 3.0).all()


def test_leaning_costs_little_and_halves_the_risk() -> None:
    """At gamma 0.1 the inventory maker gives up 5 % of the profit for half of its deviation."""
    lean, flat = population(World()), population(World(maker="symmetric"))
    assert 0.93 < lean.profit / flat.profit < 0.97 and lean.profit_sd < 0.5 * flat.profit_sd


def test_the_total_spread_trap() -> None:
    """Half of the spread, for who reads half_spread as the whole: less profit, and at gamma 1 a loss."""
    for gamma, want in ((0.01, 56.2), (0.1, 52.2), (1.0, -5.2)):
        wrong = simulate(World(gamma=gamma, share=0.5), paths=10_000, seed=9)
        assert wrong.profit == pytest.approx(want, abs=3.0 * wrong.errors()[0] + 0.15)
        assert wrong.profit < 0.85 * population(World(gamma=gamma)).profit
    assert wrong.profit < 0.0


def test_the_fill_rule_matters() -> None:
    """1 - exp(-lambda dt) earns 10 to 16 % less than lambda dt at the published step; the gap closes with the step."""
    for gamma in (0.01, 0.1, 1.0):
        literal, poisson = (population(World(gamma=gamma, exact_fills=e)).profit for e in (False, True))
        assert 0.08 < 1.0 - poisson / literal < 0.16
    fine = {e: population(World(dt_s=0.00125, exact_fills=e)).profit for e in (False, True)}
    assert 1.0 - fine[True] / fine[False] < 0.04


def test_a_seed_is_a_result() -> None:
    """The same seed gives the same paths, another does not."""
    one, same, other = (simulate(World(), paths=500, seed=s) for s in (1, 1, 2))
    assert one == same and one != other


@pytest.mark.parametrize(
    "words",
    [
        dict(gamma=-0.1), dict(gamma=math.nan), dict(sigma=-1.0), dict(k_decay=0.0), dict(arrivals_per_s=0.0),
        dict(dt_s=0.0), dict(share=0.0), dict(maker="both"), dict(dt_s=2.5), dict(horizon_s=1e9),
    ],
)  # fmt: skip
def test_worlds_that_are_none(words: dict[str, float]) -> None:
    """Each is refused by name."""
    with pytest.raises(ConfigError, match="world"):
        World(**words)  # type: ignore[arg-type]


def test_limits_of_the_world() -> None:
    """No risk aversion: the two makers are one. No volatility: profit is the spread captured. Bad sizes are refused."""
    lean, flat = (population(World(gamma=0.0, maker=m)) for m in MAKERS)
    assert lean.profit == pytest.approx(flat.profit, rel=1e-12)
    still = population(World(sigma=0.0))
    assert still.profit == pytest.approx(population(World(sigma=0.0, maker="symmetric")).profit, rel=1e-12)
    for bad in (dict(paths=1, seed=0), dict(paths=10, seed=-1)):
        with pytest.raises(ConfigError, match="simulate"):
            simulate(World(), **bad)
    with pytest.raises(ConfigError, match="population"):
        population(World(dt_s=1e-4))
