"""Verdicts of a screen: adjusted p-values over what was declared, reasons for refusals, the held-out test."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from oneprice.market.prices import Prices
from oneprice.signals.unit_root.inputs import lag_rule, trend_code
from oneprice.signals.unit_root.kernels import adf_rows
from oneprice.signals.unit_root.null import Null, adf_null
from oneprice.signals.validation.multiplicity import Family, judge
from oneprice.study.screen_rows import CANDIDATE, DISCOVERY, REFUSED, PairRow
from oneprice.study.screen_store import Tally

MOST_CONFIRMED = 50  # of a ranking are tested on the held-out period: a number fixed before it is looked at

FLAT = 1e-12  # a range below this share of the largest price is rounding, not movement


class Rules(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What makes a pair a discovery. `declared` counts the hypotheses, `half_life` is in steps, `held_out` the later
    panel (None if nothing was kept)."""

    declared: int
    false_discovery: float
    correction: str
    grid: bool
    half_life: tuple[float, float]
    least_edge_over_cost: float
    lags: int | str
    held_out: Prices | None


class Refusal(msgspec.Struct, frozen=True):
    """A pair that is not offered, and why."""

    y: str
    x: str
    reason: str


def flat(column: np.ndarray) -> bool:
    """Whether a series [T] does not move but for rounding."""
    return bool(column.max() - column.min() <= FLAT * np.abs(column).max())


def judge_pairs(
    rows: Sequence[PairRow], twins: Sequence[tuple[str, str]], tally: Tally, null: Null, rules: Rules
) -> tuple[list[PairRow], list[Refusal]]:
    """(rows with q and verdict, best first; refused pairs with the reason)."""
    q = tally.q_of_bins(rules.declared, rules.correction)
    judged = []
    for row in rows:
        place = int(np.searchsorted(null.draws, row.stat, side="right"))
        reason = why_not(row, rules)
        good = not rules.grid and q[place] <= rules.false_discovery
        verdict = REFUSED if reason else DISCOVERY if good else CANDIDATE
        judged.append(msgspec.structs.replace(row, q=float(q[place]), verdict=verdict, reason=reason))
    if rules.held_out is not None:
        judged = confirm(judged, rules.held_out, rules)
    refused = [Refusal(y, x, "collinear: R2 is 1 to rounding, no residual is left to test") for y, x in twins]
    refused += [Refusal(r.y, r.x, r.reason) for r in judged if r.verdict == REFUSED]
    return judged, refused


def why_not(row: PairRow, rules: Rules) -> str:
    """Why a pair cannot be traded whatever its p; empty if it can."""
    low, high = rules.half_life
    if row.beta <= 0:
        return f"hedge ratio {row.beta:.3g} is not above 0: both legs on one side are no hedge"
    if not low <= row.half_life_unbiased <= high:
        return f"half-life {row.half_life_unbiased:.3g} steps is outside {low:g}..{high:g}"
    if row.edge_over_cost < rules.least_edge_over_cost:
        return f"edge {row.edge_over_cost:.2f} times the cost is below {rules.least_edge_over_cost:g}"
    return ""


def confirm(rows: Sequence[PairRow], later: Prices, rules: Rules) -> list[PairRow]:
    """Each offered pair's spread, its weights fixed before, tested on the held-out period.

    A grid offers its MOST_CONFIRMED best, a family its discoveries. The weights do not come from this period, so the
    null is that of an ADF with a constant on one walk; the correction is over the pairs tested here. A pair with a leg
    that stands still here is not tested: its spread would be the other leg.
    """
    offered = [r for r in rows if r.verdict == (CANDIDATE if rules.grid else DISCOVERY)]
    offered = offered[:MOST_CONFIRMED] if rules.grid else offered
    still = {s for s, column in zip(later.symbols, later.close.T, strict=True) if flat(column)}
    offered = [r for r in offered if not {r.y, r.x} & still]
    if not offered:
        return list(rows)
    series = later.columns(offered[0].space)
    at = {s: i for i, s in enumerate(later.symbols)}
    spreads = np.stack([series[at[r.y]] - r.beta * series[at[r.x]] for r in offered])
    spreads -= spreads[:, :1]
    count, criterion = lag_rule(rules.lags, len(later), trend_code("c"))
    stat = np.empty(len(offered))
    adf_rows(np.ascontiguousarray(spreads), (count, trend_code("c"), criterion), stat, np.empty(len(stat), np.int64))
    law = adf_null(len(later), lags=count, criterion=criterion)
    p = law.p(stat)
    family = Family("held out", len(offered), rules.correction, rules.false_discovery)
    verdict = judge(family, p, floor=law.floor)
    news = {
        (r.y, r.x): {
            "p_out": float(p[k]), "floor_out": law.floor, "q_out": float(verdict.adjusted[k]),
            "confirmed": bool(verdict.rejected[k]),
        }
        for k, r in enumerate(offered)
    }  # fmt: skip
    return [msgspec.structs.replace(r, **news.get((r.y, r.x), {})) for r in rows]
