"""`screen`: which pairs of a panel move together, after paying for every look.

Two ways, and they are not mixed. A *family* (economic groups, or clusters made from returns alone) is declared before
any test; its pairs are judged together by Benjamini-Hochberg (or Yekutieli) and may be called discoveries. A *full
grid* is only ranked; its best are tested once more on a later period that the ranking never saw, corrected over those
tested there. A pair is one hypothesis: the more walk-like series (its variance ratio, seen alone) is regressed on the
other, a rule that never looks at the residual; a regressand with passing noise in it is rejected too often.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path

import numpy as np

from oneprice.core.errors import ConfigError, DataError, unknown_name
from oneprice.market.prices import Prices, require_space
from oneprice.market.prices_checks import Excluded
from oneprice.signals.cointegration.engle_granger import engle_granger_null
from oneprice.signals.unit_root.inputs import lag_rule
from oneprice.signals.unit_root.null import Null
from oneprice.study import screen_blocks, screen_store
from oneprice.study.bench_time import timed
from oneprice.study.screen_baskets import baskets_of
from oneprice.study.screen_families import CLUSTERS, GRID, Families, declare, declared, families_of, notes_of
from oneprice.study.screen_judge import Rules, flat, judge_pairs
from oneprice.study.screen_result import ScreenResult
from oneprice.study.screen_rows import describe
from oneprice.study.screen_settings import costs_of, steps_of

Progress = Callable[[float, float], None]
KEEP = 200
HELD_OUT = 0.3  # share of the times a full grid keeps back
SAVE_EVERY = 8  # batches
SMALLEST, LARGEST = 1e-75, 1e75
CORRECTIONS = ("bh", "by")


def screen(
    prices: Prices,
    *,
    space: str = "log",
    family: Mapping[str, str] | str | None = CLUSTERS,
    false_discovery: float = 0.10,
    correction: str = "bh",
    half_life: tuple[float | str, float | str] = (1, math.inf),
    lags: int | str = 1,
    confirm: float | None = None,
    cost_bp: float | Mapping[str, float] = 5.0,
    sectors: Mapping[str, str] | None = None,
    least_edge_over_cost: float = 0.0,
    keep: int = KEEP,
    baskets: bool = False,
    executor: Executor | None = None,
    resume: str | Path | None = None,
    progress: Progress | None = None,
    block: int | None = None,
) -> ScreenResult:
    """Test pairs of a panel for cointegration and describe the best.

    Parameters
    ----------
    space : "log" (beta a ratio of values) or "level" (of units); a result of one is no result of the other.
    family : symbol -> group (a symbol not named is in no family), "clusters", or "grid" (None) for every pair.
    false_discovery : rate at which discoveries, or confirmations of a grid, are judged. correction : "bh" or "by".
    half_life : least and most, in steps or as "2d", "12h", "30min"; the median-unbiased estimate must lie inside.
    lags : of the residual's ADF, fixed in advance, or "aic" / "bic".
    confirm : share of the times kept back, at the end; default 0.3 for a grid, 0 for families.
    cost_bp : of one side of one leg, of the value traded; a number or by symbol.
    sectors : symbol -> sector, only shown beside a pair; the declared groups where there are any.
    least_edge_over_cost : pairs whose edge from 2 sigmas is a smaller multiple of a round trip's cost are refused.
    keep : pairs described. baskets : also test each family of 3 to 8 series as one relation (about a second each).
    executor : any `concurrent.futures` executor; the result is the same.
    resume : checkpoint file, written as it goes and read when the same call is made again.

    Raises
    ------
    ConfigError
        A setting that is impossible, or a checkpoint of something else.
    DataError
        Fewer than two series can be tested.
    """
    require_space(space)
    if correction not in CORRECTIONS:
        raise unknown_name("correction", correction, list(CORRECTIONS))
    if not 0 < false_discovery < 1 or keep < 1:
        raise ConfigError(f"screen: expected 0 < false_discovery < 1 and keep >= 1, got {false_discovery}, {keep}")
    grid = family is None or family == GRID
    share = (HELD_OUT if grid else 0.0) if confirm is None else float(confirm)
    first, last, excluded = searched(prices, space, share)
    rows = first.columns(space)
    families = declare(first.symbols, rows, family)
    count, criterion = lag_rule(lags, rows.shape[1], 0)
    null = engle_granger_null(rows.shape[1], lags=count, criterion=criterion, n_series=2)
    size = block or (screen_blocks.CHOSEN_BLOCK if criterion else screen_blocks.FIXED_BLOCK)
    rules = Rules(
        declared=declared(families), false_discovery=false_discovery, correction=correction, grid=grid,
        half_life=steps_of(half_life, prices), least_edge_over_cost=least_edge_over_cost, lags=lags, held_out=last,
    )  # fmt: skip
    costs = costs_of(cost_bp, first.symbols)
    ordered = np.ascontiguousarray(rows[families.order])
    seconds, (tally, fresh) = timed(
        lambda: count_pairs(
            ordered, families, lags=lags, null=null, keep=keep, size=size, executor=executor, path=resume,
            progress=progress,
        )
    )  # fmt: skip
    names = [first.symbols[i] for i in families.order]
    found = [(names[i], names[j], families.name_of(i)) for i, j in tally.pairs]
    known = sectors if sectors is not None else family if isinstance(family, Mapping) else {}
    described = describe(first, rows, found, space=space, lags=lags, cost_bp=costs, sectors=known)
    twins = [(names[i], names[j]) for i, j in tally.refused]
    pairs, refused = judge_pairs(described, twins, tally, null, rules)
    groups = families_of(families, names)
    made = baskets_of(
        first, rows, groups if baskets else {}, space=space, lags=lags if isinstance(lags, int) else 1, cost_bp=costs,
        false_discovery=false_discovery, correction=correction,
    )  # fmt: skip
    return ScreenResult(
        header=first.header, space=space, label=families.label, ranking=grid, n_series=first.width,
        n_obs=len(first), step_ns=prices.step_ns, lags=lags, families=groups, baskets=tuple(made),
        pairs=tuple(pairs), refused=tuple(refused), n_collinear=tally.n_refused, declared=declared(families),
        tests=tally.tests, below={str(v): tally.below(v) for v in screen_store.LEVELS},
        significant=tally.significant(declared(families), correction, false_discovery),
        false_discovery=false_discovery, correction=correction, held_out=len(last) if last is not None else 0,
        excluded=(*prices.excluded, *excluded), flagged=prices.flagged,
        notes=(*prices.notes, *notes_of(families)),
        pairs_per_s=fresh / seconds if seconds > 0 else math.nan,
    )  # fmt: skip


def usable_series(prices: Prices, space: str) -> tuple[Prices, list[Excluded]]:
    """The panel less what cannot be tested in this space, and why."""
    out = []
    for i, name in enumerate(prices.symbols):
        column = prices.close[:, i]
        gaps = int((~np.isfinite(column)).sum())
        if gaps:
            out.append(Excluded(name, f"{gaps} of {len(prices)} prices missing"))
        elif space == "log" and column.min() <= 0:
            out.append(Excluded(name, f"price {column.min():g} is not above 0, which space='log' needs"))
        elif flat(column):
            out.append(Excluded(name, f"constant at {column[0]:g}"))
        elif not SMALLEST < np.abs(column).max() < LARGEST or (space == "log" and column.min() <= SMALLEST):
            out.append(Excluded(name, f"prices outside {SMALLEST:g} to {LARGEST:g} cannot be squared: change the unit"))
    gone = {e.symbol for e in out}
    left = [s for s in prices.symbols if s not in gone]
    if len(left) < 2:
        raise DataError(f"screen: expected at least 2 usable series, {len(left)} left; excluded: {why(out)}")
    return (prices.select(left) if gone else prices), out


def searched(prices: Prices, space: str, share: float) -> tuple[Prices, Prices | None, list[Excluded]]:
    """(panel to search, later panel kept back or None, what is left out and why).

    What stands still in the period searched is left out too; how it moves later does not matter.
    """
    usable, excluded = usable_series(prices, space)
    first, last = split(usable, share)
    still = [s for s, column in zip(first.symbols, first.close.T, strict=True) if flat(column)]
    if last is None or not still:
        return first, last, excluded
    at = {s: i for i, s in enumerate(first.symbols)}
    excluded += [Excluded(s, f"constant at {first.close[0, at[s]]:g} in the searched period") for s in still]
    left = [s for s in first.symbols if s not in still]
    if len(left) < 2:
        raise DataError(f"screen: expected at least 2 usable series, {len(left)} left; excluded: {why(excluded)}")
    return first.select(left), last.select(left), excluded


def why(excluded: list[Excluded]) -> str:
    """The first reasons."""
    return "; ".join(f"{e.symbol}: {e.reason}" for e in excluded[:5])


def split(prices: Prices, share: float) -> tuple[Prices, Prices | None]:
    """(panel to search, later panel kept back or None)."""
    if not 0 <= share < 1:
        raise ConfigError(f"screen: confirm: expected a share in [0, 1), got {share}")
    if share == 0:
        return prices, None
    cut = round(len(prices) * (1 - share))
    if min(cut, len(prices) - cut) < 40:
        raise ConfigError(
            f"screen: confirm={share:g} of {len(prices)} times leaves {cut} to search and {len(prices) - cut} to "
            "confirm on; expected at least 40 each: give a longer panel, or confirm=0 for an unconfirmed ranking"
        )
    return prices.rows(0, cut), prices.rows(cut, len(prices))


def count_pairs(
    rows: np.ndarray,
    families: Families,
    *,
    lags: int | str,
    null: Null,
    keep: int,
    size: int,
    executor: Executor | None,
    path: str | Path | None,
    progress: Progress | None,
) -> tuple[screen_store.Tally, int]:
    """(the tally over every pair, pairs tested by this call); resumes from `path` and leaves it complete."""
    batches = screen_blocks.plan(families.sizes, size)
    weight = [screen_blocks.pairs_of(b) for b in batches]
    key = digest_of(rows, families.sizes, lags, null, keep, size) if path else ""
    file = Path(path) if path else None
    tally = (screen_store.restore(file, key) if file else None) or screen_store.new_tally(
        len(batches), len(null.draws), keep
    )
    before = done = int(np.array(weight)[tally.done].sum()) if len(batches) else 0

    def job(batch: list[screen_blocks.Task], runs: dict[int, np.ndarray]) -> screen_blocks.Job:
        return screen_blocks.Job(batch, runs, lags, null, keep, tally.bound)

    todo = [(k, b) for k, b in enumerate(batches) if not tally.done[k]]
    unsaved = 0
    try:
        for number, part in screen_blocks.run_all(rows, todo, job, executor):
            tally.add(number, part)
            done += weight[number]
            unsaved += 1
            if progress:
                progress(done, sum(weight))
            if file and unsaved >= SAVE_EVERY:
                screen_store.save(file, tally, key)
                unsaved = 0
    finally:
        if file and unsaved:
            screen_store.save(file, tally, key)
    return tally, done - before


def digest_of(rows: np.ndarray, sizes: tuple[int, ...], lags: int | str, null: Null, keep: int, size: int) -> str:
    """Key of everything a checkpoint depends on."""
    h = hashlib.sha256(repr((rows.shape, sizes, lags, null.name, keep, size)).encode())
    h.update(null.draws.tobytes())
    h.update(rows.tobytes())
    return h.hexdigest()
