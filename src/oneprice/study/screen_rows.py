"""One line of the screen's table: everything a person asks about a pair before trusting it with money."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from oneprice.market.prices import Prices
from oneprice.signals.cointegration.engle_granger import EngleGranger, engle_granger
from oneprice.signals.reversion.hurst import LEAST as LEAST_HURST
from oneprice.signals.reversion.hurst import hurst_dfa, hurst_percentile
from oneprice.signals.reversion.ornstein import half_life_beyond_noise, ou_block, walk_percentile
from oneprice.signals.reversion.slopes import slope_of
from oneprice.signals.reversion.variance_ratio import ratio_percentile, variance_ratio_block
from oneprice.signals.spread import Spread, pair
from oneprice.signals.unit_root.null import p_text

WINDOWS = 4  # sub-windows in which a relation must show again
LEAST_WINDOW = 30  # steps of a sub-window below which nothing is said
VR_STEPS = 8
ENTRY = 2.0  # sigmas from the mean at which the edge of a round trip is counted
DISCOVERY, CANDIDATE, REFUSED = "discovery", "candidate", "refused"


class PairRow(msgspec.Struct, frozen=True, kw_only=True):
    """A pair: y - beta x - alpha in the screen's space. Times are in steps, costs and edge in bp of the gross value.

    `q` is adjusted over all declared hypotheses; `p` at or below `floor` is an upper bound. `half_life` is the
    likelihood estimate with its interval, `half_life_unbiased` median-unbiased (inf: no reversion beyond a walk's),
    `walk_percentile` the percent of residuals of unrelated walks of this length that look at least as fast;
    `hurst` (NaN in panels shorter than LEAST_HURST), `hurst_percentile` and
    `ratio_percentile` (of VR_STEPS steps) are among such residuals too. `half_life_beyond_noise`
    is the half-life that noise in single observations (stale closes, bounces) does not shorten, NaN where it cannot
    be told: much longer than `half_life` says that much of the reversion seen is such noise. `stability` is the share
    of WINDOWS sub-windows in which the spread, with the ratio of the whole sample, reverts faster than the median walk;
    `beta_low`, `beta_high` are the least and greatest hedge ratio of a sub-window. `edge_bp` is a move from ENTRY
    sigmas to the mean. `net_share` is the net over the gross value (0: dollar neutral), `market_beta` the slope of its
    return (of gross) on the panel's mean, `sector` that of both legs ("a|b" where they differ, empty where not known).
    `p_out`, `q_out` are of the held-out period with the weights fixed before it (NaN: not tested there).
    """

    y: str
    x: str
    group: str
    sector: str
    space: str
    stat: float
    p: float
    floor: float
    q: float
    lags: int
    beta: float
    beta_se: float
    alpha: float
    half_life: float
    half_life_low: float
    half_life_high: float
    half_life_unbiased: float
    half_life_beyond_noise: float
    walk_percentile: float
    hurst: float
    hurst_percentile: float
    variance_ratio: float
    ratio_percentile: float
    stability: float
    beta_low: float
    beta_high: float
    sigma: float
    zscore: float
    round_trip_bp: float
    edge_bp: float
    edge_over_cost: float
    net_share: float
    market_beta: float
    verdict: str = CANDIDATE
    reason: str = ""
    p_out: float = math.nan
    floor_out: float = math.nan
    q_out: float = math.nan
    confirmed: bool = False

    @property
    def p_text(self) -> str:
        """p, or "< floor"."""
        return p_text(self.p, self.floor)

    def spread(self) -> Spread:
        """The pair as a spread of its space."""
        return pair((self.y, self.x), self.beta, self.alpha, self.space)


def describe(
    prices: Prices, rows: np.ndarray, found: Sequence[tuple[str, str, str]], *, space: str, lags: int | str,
    cost_bp: dict[str, float], sectors: Mapping[str, str],
) -> list[PairRow]:  # fmt: skip
    """Rows for (y, x, group) of `found`.

    `rows` float64[N, T] are the series of `prices` in `space`; `cost_bp` by symbol, for one side of one trade of the
    leg's value. q and verdict are left to the caller, who knows what else was tested.
    """
    if not found:
        return []
    at = {s: i for i, s in enumerate(prices.symbols)}
    tests = [engle_granger(rows[at[y]], rows[at[x]], lags=lags) for y, x, _ in found]
    spreads = np.stack(
        [rows[at[y]] - t.hedge[0] * rows[at[x]] - t.constant for (y, x, _), t in zip(found, tests, strict=True)]
    )
    ou = ou_block(spreads, 1.0, series=2)
    hurst = np.full((2, len(found)), math.nan)  # and its percentile
    if spreads.shape[1] >= LEAST_HURST:
        hurst[0] = hurst_dfa(spreads)
        hurst[1] = hurst_percentile(hurst[0], spreads.shape[1], "dfa", series=2)
    ratios = variance_ratio_block(spreads, (VR_STEPS,))["ratio"][:, 0]
    of_ratios = ratio_percentile(ratios, VR_STEPS, spreads.shape[1], series=2)
    market = _market(prices)
    out = []
    for k, ((y, x, group), test) in enumerate(zip(found, tests, strict=True)):
        pairs = rows[[at[y], at[x]]]
        beta = test.hedge[0]
        low, high, stable = windows(pairs, spreads[k])
        weights = np.array([1.0, -beta])
        close = prices.close[:, [at[y], at[x]]]
        fit = ou[k]
        sigma = float(fit["sigma_eq"])
        earned = money(weights, close, market, space=space, sigma=sigma, cost_bp=(cost_bp[y], cost_bp[x]))
        row = PairRow(
            y=y, x=x, group=group, sector=sector_of(y, x, sectors), space=space, stat=test.stat, p=test.p,
            floor=test.floor, q=math.nan, lags=test.lags, beta=beta, beta_se=_error(test), alpha=test.constant,
            half_life=float(fit["half_life"]), half_life_low=float(fit["half_life_low"]),
            half_life_high=float(fit["half_life_high"]), half_life_unbiased=_half_life(float(fit["kappa_unbiased"])),
            half_life_beyond_noise=half_life_beyond_noise(spreads[k], 1.0),
            walk_percentile=float(fit["walk_percentile"]), hurst=float(hurst[0, k]),
            hurst_percentile=float(hurst[1, k]), variance_ratio=float(ratios[k]),
            ratio_percentile=float(of_ratios[k]), stability=stable, beta_low=low, beta_high=high, sigma=sigma,
            zscore=float(spreads[k, -1] / sigma) if sigma > 0 else math.nan,
            round_trip_bp=earned.round_trip_bp, edge_bp=earned.edge_bp, edge_over_cost=earned.edge_over_cost,
            net_share=earned.net_share, market_beta=earned.market_beta,
        )  # fmt: skip
        out.append(row)
    return out


class Money(msgspec.Struct, frozen=True):
    """Cost and edge of a round trip in bp of the gross value, and what is left of the market in the pair."""

    round_trip_bp: float
    edge_bp: float
    edge_over_cost: float
    net_share: float
    market_beta: float


def money(
    weights: np.ndarray, close: np.ndarray, market: np.ndarray, *, space: str, sigma: float,
    cost_bp: tuple[float, float],
) -> Money:  # fmt: skip
    """What one round trip costs and may earn."""
    values = weights if space == "log" else weights * close[-1]
    gross = float(np.abs(values).sum())
    round_trip = 2.0 * float(np.abs(values) @ np.array(cost_bp)) / gross
    edge = 1e4 * ENTRY * sigma / gross
    shares = np.broadcast_to(weights, close.shape) if space == "log" else weights * close
    moved = np.diff(close, axis=0)
    earned = weights * (moved / close[:-1] if space == "log" else moved)  # units earn whatever a price of 0 does
    step = earned.sum(axis=1) / np.abs(shares[:-1]).sum(axis=1)
    centred = market - market.mean()
    ratio = edge / round_trip if round_trip > 0 else math.inf
    slope = float(centred @ step / (centred @ centred))
    return Money(round_trip, edge, ratio, float(values.sum()) / gross, slope)


def windows(both: np.ndarray, spread: np.ndarray) -> tuple[float, float, float]:
    """(least hedge ratio, greatest, share of sub-windows that revert faster than the median walk); NaN if short."""
    n = spread.shape[0] // WINDOWS
    if n < LEAST_WINDOW:
        return math.nan, math.nan, math.nan
    betas, fast = [], 0
    for w in range(WINDOWS):
        part = slice(spread.shape[0] - (WINDOWS - w) * n, spread.shape[0] - (WINDOWS - w - 1) * n)
        x = both[1, part] - both[1, part].mean()
        betas.append(float(x @ both[0, part] / (x @ x)))
        fast += float(walk_percentile(slope_of(np.ascontiguousarray(spread[part])), n)) <= 50.0
    return min(betas), max(betas), fast / WINDOWS


def sector_of(y: str, x: str, sectors: Mapping[str, str]) -> str:
    """The sector of both legs, both sectors where they differ; empty where one is not known."""
    if y not in sectors or x not in sectors:
        return ""
    return sectors[y] if sectors[y] == sectors[x] else f"{sectors[y]}|{sectors[x]}"


def _market(prices: Prices) -> np.ndarray:
    """Mean one-step return of the panel; of prices that are not positive, relative to their size."""
    before = np.where(prices.close[:-1] == 0, np.nan, np.abs(prices.close[:-1]))
    return np.asarray(np.nanmean(np.diff(prices.close, axis=0) / before, axis=1))


def _error(test: EngleGranger) -> float:
    """The long-run standard error where there is one, else that of least squares."""
    return test.dynamic_se[0] if math.isfinite(test.dynamic_se[0]) else test.hedge_se[0]


def _half_life(kappa: float) -> float:
    return math.log(2.0) / kappa if kappa > 0 else math.inf


def to_dict(row: PairRow) -> dict[str, Any]:
    """Plain values."""
    return {**msgspec.structs.asdict(row), "p_text": row.p_text}
