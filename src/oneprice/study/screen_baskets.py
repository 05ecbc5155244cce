"""Baskets of a screen: each declared family as one relation, by Johansen with shrinkage and by Box-Tiao.

One hypothesis a family (no relation at all among its series), so the baskets are a family of tests of their own. The
Johansen weights are the relation found; the Box-Tiao weights are the portfolio that is least predictable from its
own past, a candidate to be looked at beside it, not another test.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import DataError
from oneprice.market.prices import Prices
from oneprice.signals.cointegration.johansen import johansen
from oneprice.signals.reversion.box_tiao import box_tiao, walk_ratio_percentile
from oneprice.signals.reversion.ornstein import ou_block
from oneprice.signals.spread import Spread
from oneprice.signals.unit_root.null import p_text
from oneprice.signals.validation.multiplicity import Family, judge
from oneprice.study.screen_rows import CANDIDATE, DISCOVERY, ENTRY, REFUSED

LEAST_SERIES, MOST_SERIES = 3, 8  # two are a pair; more than eight over-reject at the lengths people have
SHRINKAGE = 0.002  # more of it hides the relations of series that share nearly all of their movement
MOST_BASKETS = 50


class BasketRow(msgspec.Struct, frozen=True, kw_only=True):
    """A family as one basket; weights sum to 1 in absolute value, in the screen's space (shares or units).

    `stat` is the trace of "no relation", `p` from walks correlated as the data, `q` over the families tested.
    `predictable` is the least Box-Tiao ratio, `predictable_percentile` its place among unrelated walks (percent).
    """

    group: str
    space: str
    symbols: tuple[str, ...]
    weights: tuple[float, ...]
    stat: float
    p: float
    floor: float
    shrinkage: float
    half_life: float
    walk_percentile: float
    box_tiao: tuple[float, ...]
    predictable: float
    predictable_percentile: float
    edge_bp: float
    edge_over_cost: float
    q: float = math.nan
    verdict: str = CANDIDATE
    reason: str = ""

    def spread(self) -> Spread:
        """The basket as a spread of its space, its mean not taken off."""
        return Spread(self.symbols, self.weights, self.space)

    def __str__(self) -> str:
        legs = " ".join(f"{w:+.3f} {s}" for s, w in zip(self.symbols, self.weights, strict=True))
        p = p_text(self.p, self.floor)
        end = self.reason or f"half-life {self.half_life:.1f}, edge/cost {self.edge_over_cost:.1f}"
        return f"basket {self.group} ({self.verdict}): {legs}; trace {self.stat:.1f}, p {p}, q {self.q:.3g}, {end}"


def baskets_of(
    prices: Prices,
    rows: np.ndarray,
    families: Mapping[str, tuple[str, ...]],
    *,
    space: str,
    lags: int,
    cost_bp: Mapping[str, float],
    false_discovery: float,
    correction: str,
) -> list[BasketRow]:
    """One basket for each family of LEAST_SERIES..MOST_SERIES series, the first MOST_BASKETS of them by name.

    `rows` float64[N, T] are the series of `prices` in `space`. A family whose series determine each other is refused.
    """
    at = {s: i for i, s in enumerate(prices.symbols)}
    chosen = [(g, m) for g, m in sorted(families.items()) if LEAST_SERIES <= len(m) <= MOST_SERIES][:MOST_BASKETS]
    out = []
    for group, members in chosen:
        pick = [at[s] for s in members]
        cost = np.array([cost_bp[s] for s in members])
        out.append(_basket(group, members, rows[pick], prices.close[-1, pick], (space, lags, cost)))
    if not out:
        return []
    family = Family("baskets", len(out), correction, false_discovery)
    verdict = judge(family, np.array([b.p for b in out]), floor=min((b.floor for b in out if b.floor > 0), default=0.0))
    judged = []
    for b, q, good in zip(out, verdict.adjusted, verdict.rejected, strict=True):
        new: dict[str, Any] = {"q": float(q)}
        if b.verdict != REFUSED:
            new["verdict"] = DISCOVERY if good else CANDIDATE
        judged.append(msgspec.structs.replace(b, **new))
    return sorted(judged, key=lambda b: (math.isnan(b.p), b.p, b.group))


def _basket(
    group: str, members: tuple[str, ...], x: np.ndarray, last: np.ndarray, rule: tuple[str, int, np.ndarray]
) -> BasketRow:
    space, lags, cost = rule
    base = x - x[:, :1]
    try:
        other = box_tiao(base)  # first: shrinkage would let series through that determine each other
        found = johansen(base, lags=lags, shrinkage=SHRINKAGE)
    except (DataError, np.linalg.LinAlgError) as error:
        return _refused(group, space, members, str(error))
    w = found.vectors[: len(x), 0] / np.abs(found.vectors[: len(x), 0]).sum()
    least = other.least / np.abs(other.least).sum()
    fit = ou_block((w @ base)[None, :], 1.0, series=len(x))[0]
    values = np.abs(w if space == "log" else w * last)
    edge = 1e4 * ENTRY * float(fit["sigma_eq"]) / float(values.sum())
    round_trip = 2.0 * float(values @ cost) / float(values.sum())
    return BasketRow(
        group=group, space=space, symbols=members, weights=tuple(w.tolist()), stat=found.trace[0], p=found.trace_p[0],
        floor=found.floor, shrinkage=SHRINKAGE, half_life=float(fit["half_life"]),
        walk_percentile=float(fit["walk_percentile"]), box_tiao=tuple(least.tolist()),
        predictable=float(other.ratios[0]),
        predictable_percentile=walk_ratio_percentile(float(other.ratios[0]), len(x), x.shape[1]), edge_bp=edge,
        edge_over_cost=edge / round_trip if round_trip > 0 else math.inf,
    )  # fmt: skip


def _refused(group: str, space: str, members: tuple[str, ...], reason: str) -> BasketRow:
    nothing = (math.nan,) * len(members)
    return BasketRow(
        group=group, space=space, symbols=members, weights=nothing, stat=math.nan, p=math.nan, floor=math.nan,
        shrinkage=SHRINKAGE, half_life=math.nan, walk_percentile=math.nan, box_tiao=nothing, predictable=math.nan,
        predictable_percentile=math.nan, edge_bp=math.nan, edge_over_cost=math.nan, verdict=REFUSED, reason=reason,
    )  # fmt: skip
