"""What the screen finds and what it makes up: worlds with known pairs among walks, judged against the truth.

A world has groups; in each, one planted pair (a common walk, a spread that is an AR(1) of given half-life) stands among
unrelated walks. Some planted pairs break half way: their spread becomes a walk. The screen declares the groups, tests
every pair in them and judges all together; `found` counts planted pairs that hold, `late` those that broke, `false`
everything else.

The rate of false discoveries is the mean over worlds of false / max(discoveries, 1), a broken pair counting as neither:
it was true for half the sample and is not any more, which no test of the whole sample can tell.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, unknown_name
from oneprice.market.prices import Prices, panel
from oneprice.signals.cointegration.engle_granger import engle_granger_null
from oneprice.study.screen import count_pairs
from oneprice.study.screen_blocks import FIXED_BLOCK
from oneprice.study.screen_families import declare, declared

STEP = 0.01  # deviation of a walk's log step
ORDERS = ("walk-like", "smaller", "larger")  # which series of a pair is the regressand; the first is the screen's


class World(msgspec.Struct, frozen=True, eq=False):
    """A panel, its groups, and the planted pairs (each sorted by name): those that hold and those that broke."""

    prices: Prices
    groups: dict[str, str]
    true: frozenset[tuple[str, str]]
    broken: frozenset[tuple[str, str]]


class Power(msgspec.Struct, frozen=True):
    """Outcome of many worlds of one kind; `power` and `false_rate` with the standard error of their means."""

    n_obs: int
    half_life: float
    planted: int
    broken: int
    tests: int
    found: int
    late: int
    false: int
    power: float
    power_se: float
    false_rate: float
    false_rate_se: float


def planted_world(
    seed: int, n_obs: int, half_life: float, *, groups: int = 10, walks: int = 4, broken: int = 0, noise: float = 0.25,
    scales: float = 1.0,
) -> World:  # fmt: skip
    """One world: `groups` groups of a planted pair and `walks` walks; the first `broken` pairs break half way.

    `noise` is the deviation of the spread's shock over that of a walk's step. Near 1 and above it, the noisy leg of a
    pair is itself a walk with a strong moving average, for which tests with few lags reject too often (Schwert 1989,
    doi 10.1080/07350015.1989.10509723). An infinite half-life plants nothing: the world is walks alone. `scales`
    multiplies the log moves of each series by a factor between 1 / scales and scales, so that size says less of noise.
    """
    if n_obs < 40 or not half_life > 0 or groups < 1 or not 0 <= broken <= groups or not 1 <= scales < math.inf:
        raise ConfigError(
            "planted world: expected n_obs >= 40, half_life > 0, 0 <= broken <= groups, scales >= 1, got "
            f"{n_obs}, {half_life}, {broken} of {groups}, {scales}"
        )
    rng = np.random.default_rng(np.random.SeedSequence([20_241, seed, n_obs, groups, walks]))
    phi = 0.5 ** (1.0 / half_life)
    nothing = math.isinf(half_life)
    common = np.cumsum(rng.normal(0, STEP, (groups, n_obs)), axis=1)
    shocks = rng.normal(0, noise * STEP, (groups, n_obs))
    spread = np.empty((groups, n_obs))
    spread[:, 0] = shocks[:, 0] / (1.0 if nothing else math.sqrt(1.0 - phi * phi))
    for t in range(1, n_obs):
        spread[:, t] = phi * spread[:, t - 1] + shocks[:, t]
    half = n_obs // 2
    spread[:broken, half:] = spread[:broken, half - 1 : half] + np.cumsum(shocks[:broken, half:], axis=1)
    beta = rng.uniform(0.6, 1.4, (groups, 1))
    alone = np.cumsum(rng.normal(0, STEP, (groups, walks, n_obs)), axis=2)
    series, names, group = [], [], {}
    for g in range(groups):
        members = [(f"G{g:02d}A", common[g]), (f"G{g:02d}B", beta[g] * common[g] + spread[g])]
        members += [(f"G{g:02d}W{k}", alone[g, k]) for k in range(walks)]
        for name, path in members:
            names.append(name)
            series.append(path)
            group[name] = f"G{g:02d}"
    pairs = [] if nothing else [(f"G{g:02d}A", f"G{g:02d}B") for g in range(groups)]
    sizes = np.exp(rng.uniform(-1, 1, len(names)) * math.log(scales))
    close = np.exp(4.0 + np.array(series).T * sizes)
    return World(panel(close, names), group, frozenset(pairs[broken:]), frozenset(pairs[:broken]))


def discovered(
    world: World, *, false_discovery: float, correction: str, draws: int, order: str = ORDERS[0]
) -> tuple[set[tuple[str, str]], int]:
    """(pairs that the screen's counting and correction discover, tests made); nothing is described.

    `order`: the screen's rule, or by size of moves ("smaller" or "larger" on the left), to compare it with.
    """
    if order not in ORDERS:
        raise unknown_name("order", order, list(ORDERS))
    rows = world.prices.columns("log")
    families = declare(world.prices.symbols, rows, world.groups)
    if order != ORDERS[0]:
        moves = np.diff(rows, axis=1).std(axis=1) * (1 if order == "smaller" else -1)
        runs = np.split(families.order, np.cumsum(families.sizes)[:-1])
        by_size = np.concatenate([run[np.argsort(moves[run], kind="stable")] for run in runs])
        families = msgspec.structs.replace(families, order=by_size)
    null = engle_granger_null(rows.shape[1], lags=1, draws=draws)
    total = declared(families)
    tally, _ = count_pairs(
        np.ascontiguousarray(rows[families.order]), families, lags=1, null=null, keep=total, size=FIXED_BLOCK,
        executor=None, path=None, progress=None,
    )  # fmt: skip
    q = tally.q_of_bins(total, correction)
    names = [world.prices.symbols[i] for i in families.order]
    out = set()
    for stat, (i, j) in zip(tally.stat, tally.pairs, strict=True):
        if q[int(np.searchsorted(null.draws, stat, side="right"))] <= false_discovery:
            out.add((min(names[i], names[j]), max(names[i], names[j])))
    return out, total


def power_of(
    n_obs: int,
    half_life: float,
    *,
    worlds: int = 50,
    groups: int = 10,
    walks: int = 4,
    broken: int = 0,
    noise: float = 0.25,
    scales: float = 1.0,
    order: str = ORDERS[0],
    false_discovery: float = 0.10,
    correction: str = "bh",
    draws: int = 9_999,
    seed: int = 0,
) -> Power:
    """Found, late and false over many worlds of one kind."""
    found = late = false = tests = planted = 0
    shares, rates = [], []
    for k in range(worlds):
        world = planted_world(
            seed + k, n_obs, half_life, groups=groups, walks=walks, broken=broken, noise=noise, scales=scales
        )
        got, total = discovered(world, false_discovery=false_discovery, correction=correction, draws=draws, order=order)
        hits, lates = len(got & world.true), len(got & world.broken)
        wrong = len(got) - hits - lates
        planted += len(world.true)
        tests, found, late, false = tests + total, found + hits, late + lates, false + wrong
        shares.append(hits / max(len(world.true), 1))
        rates.append(wrong / max(len(got), 1))
    return Power(
        n_obs, half_life, planted, worlds * broken, tests, found, late, false,
        float(np.mean(shares)), _error(shares), float(np.mean(rates)), _error(rates),
    )  # fmt: skip


def power_table(
    lengths: Iterable[int] = (250, 500, 1000), half_lives: Iterable[float] = (5, 10, 20, 40), *, worlds: int = 50,
    broken: int = 3, noise: float = 0.25, seed: int = 0,
) -> list[Power]:  # fmt: skip
    """One row a length and half-life."""
    spans = list(half_lives)
    return [power_of(n, h, worlds=worlds, broken=broken, noise=noise, seed=seed) for n in lengths for h in spans]


def table_text(rows: Sequence[Power]) -> str:
    """The table of the docs page (Markdown)."""
    head = "| T | half-life | planted | found | power | broken | found broken | tests of nothing | false | false rate |"
    out = [head, "|" + "---:|" * 10]
    for r in rows:
        nothing = r.tests - r.planted - r.broken
        out.append(
            f"| {r.n_obs} | {r.half_life:g} | {r.planted} | {r.found} | {r.power:.2f} | {r.broken} | {r.late} | "
            f"{nothing:,} | {r.false} | {r.false_rate:.3f} ({r.false_rate_se:.3f}) |"
        )
    return "\n".join(out)


def _error(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
