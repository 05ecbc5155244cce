"""What a walk-forward fits on a window: which pairs survive the number of tests made, and how each is traded.

`PairSelection` is the default: every pair of a declared family is one hypothesis (Engle-Granger in both orders, joined
into one p), the false-discovery rate is held over all of them, and what survives is traded only if its estimated
reversion, uncertain as it is, is expected to earn more than a round trip costs. No asset is in two pairs. Any other
function of a panel and its costs that returns a `Picked` can take its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, unknown_name
from oneprice.market import prices_checks as checks
from oneprice.market.prices import Prices, require_space
from oneprice.signals.clusters.matching import match
from oneprice.signals.cointegration.engle_granger import engle_granger_null
from oneprice.signals.cointegration.gram import pairs_fixed, prepare
from oneprice.signals.reversion.ornstein import fit_ou
from oneprice.signals.slots import N_SLOTS, Slot
from oneprice.signals.thresholds.uncertain import kappa_nodes, uncertain_band
from oneprice.signals.validation.multiplicity import METHODS, Family, judge, one_per_pair

NORMAL_95 = 1.959963984540054
CARRY_STEPS = 5  # a price may be so old inside a window


class Survivor(msgspec.Struct, frozen=True):
    """A pair that survived the correction, and what became of it. Times in steps of the panel."""

    symbols: tuple[str, str]
    p: float
    adjusted: float
    beta: float
    half_life: float
    entry: float  # sigmas; NaN: not traded
    cost_bp: float  # of the gross, a round trip
    edge_bp: float  # expected gain of a trade before costs, of the gross
    verdict: str  # "traded" or why not


class Picked(msgspec.Struct, frozen=True, kw_only=True):
    """What a selection says about one window."""

    slots: tuple[Slot, ...]
    tests: int
    by_chance: float  # discoveries expected at `alpha` if nothing were true
    nominal: int  # p <= alpha
    survivors: tuple[Survivor, ...] = ()
    excluded: tuple[checks.Excluded, ...] = ()
    smallest_p: float = math.nan


Select = Callable[[Prices, np.ndarray], Picked]


class PairSelection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pairs of a family by Engle-Granger and false-discovery control, traded by a band over the uncertain reversion.

    Parameters
    ----------
    space : "log" or "level".
    family : symbol -> group: only pairs inside a group are tested; None: all pairs. Declared before, never chosen here.
    method, level : correction ("bh", "by", "holm", ...) and its rate. alpha : what counts as nominal in the funnel.
    lags : of the residual's test, fixed.
    most_pairs : traded at once. capital : gross value of one. rebalance : see `Slot`.
    stop : sigmas at which a position is given up. longest_half_life : share of the window above which a reversion is
        not believed. hold_half_lives : longest holding (0: no end).
    """

    space: str = "log"
    family: Mapping[str, str] | None = None
    method: str = "bh"
    level: float = 0.05
    alpha: float = 0.05
    lags: int = 1
    most_pairs: int = 8
    capital: float = 100_000.0
    rebalance: float = 0.0
    stop: float = 4.0
    longest_half_life: float = 0.25
    hold_half_lives: float = 6.0
    slip_bp: float = 1.0

    def __post_init__(self) -> None:
        require_space(self.space)
        if self.method not in METHODS:
            raise unknown_name("method of correction", self.method, list(METHODS))
        if not 1 <= self.most_pairs <= N_SLOTS:
            raise ConfigError(f"selection: most_pairs: expected 1 to {N_SLOTS}, got {self.most_pairs}")
        for name in ("level", "alpha", "longest_half_life"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ConfigError(f"selection: {name}: expected a number in (0, 1), got {getattr(self, name)}")
        for name in ("capital", "stop"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0.0):
                raise ConfigError(f"selection: {name}: expected more than 0, got {getattr(self, name)}")

    def __call__(self, prices: Prices, costs_bp: np.ndarray) -> Picked:
        """Select on a window. `costs_bp` float64[N]: fee and slippage of one fill of each series."""
        panel, left_out = usable(prices, self.space)
        if panel is None:
            return Picked(slots=(), tests=0, by_chance=0.0, nominal=0, excluded=left_out)
        x = panel.columns(self.space)
        i, j = self.candidates(panel.symbols)
        if len(i) == 0:
            return Picked(slots=(), tests=0, by_chance=0.0, nominal=0, excluded=left_out)
        p, stat, beta = pair_tests(x, self.lags)
        both = one_per_pair(p[i, j], p[j, i], "min2")
        floor = 2.0 * engle_granger_null(x.shape[1], lags=self.lags).floor
        verdict = judge(Family("pairs", len(i), self.method, self.level), both, floor=floor)
        found = []
        cost = dict(zip(prices.symbols, costs_bp.tolist(), strict=True))
        for k in np.flatnonzero(verdict.rejected):
            y, z = (i[k], j[k]) if stat[i[k], j[k]] <= stat[j[k], i[k]] else (j[k], i[k])
            names = (panel.symbols[y], panel.symbols[z])
            about = (float(both[k]), float(verdict.adjusted[k]), float(beta[y, z]))
            found.append(self.one(names, x[y], x[z], about, (cost[names[0]], cost[names[1]])))
        slots, told = self.matched(found)
        return Picked(
            slots=slots,
            tests=len(i),
            by_chance=self.alpha * len(i),
            nominal=int((both <= self.alpha).sum()),
            survivors=told,
            excluded=left_out,
            smallest_p=float(np.nanmin(both)),
        )

    def candidates(self, symbols: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Index pairs i < j of the family."""
        i, j = np.triu_indices(len(symbols), 1)
        if self.family is None:
            return i, j
        group = np.array([self.family.get(s, "") for s in symbols])
        same = (group[i] == group[j]) & (group[i] != "")
        return i[same], j[same]

    def retest(self, prices: Prices, costs_bp: np.ndarray, slot: Slot) -> Slot | None:
        """The slot fitted anew on this window if its one test still passes at `alpha`, else None."""
        keep = [n for n in prices.symbols if n in slot.symbols]
        panel, _ = usable(prices.select(keep), self.space)
        if panel is None or len(slot.symbols) != 2 or panel.width != 2:
            return None
        x = panel.columns(self.space)
        p, _, beta = pair_tests(x, self.lags)
        y, z = (panel.symbols.index(s) for s in slot.symbols)
        if not p[y, z] <= self.alpha:
            return None
        cost = dict(zip(prices.symbols, costs_bp.tolist(), strict=True))
        costs = (cost[slot.symbols[0]], cost[slot.symbols[1]])
        made = self.one(slot.symbols, x[y], x[z], (float(p[y, z]), float(p[y, z]), float(beta[y, z])), costs)
        return made[0]

    def one(
        self, names: Any, y: np.ndarray, x: np.ndarray, about: tuple[float, float, float], costs: tuple[float, float]
    ) -> tuple[Slot | None, Survivor]:
        """A surviving pair as a slot, or why it is not traded. about = (p, adjusted p, beta)."""
        p, q, beta = about
        spread = y - beta * x
        gross = 1.0 + abs(beta)
        if self.space == "level":
            gross = float(abs(y[-1]) + abs(beta * x[-1]))
            paid = 2.0 * (abs(y[-1]) * costs[0] + abs(beta * x[-1]) * costs[1]) * 1e-4
        else:
            paid = 2.0 * (costs[0] + abs(beta) * costs[1]) * 1e-4
        paid += 2.0 * gross * self.slip_bp * 1e-4
        fit = fit_ou(spread, 1.0, series=2)
        kappa = float(fit["kappa_unbiased"])
        half_life = math.log(2.0) / kappa if kappa > 0.0 else math.inf

        def told(verdict: str, entry: float = math.nan, edge: float = math.nan) -> Survivor:
            return Survivor(names, p, q, beta, half_life, entry, paid / gross * 1e4, edge / gross * 1e4, verdict)

        if beta <= 0.0:
            return None, told("both legs on one side")
        if not half_life <= self.longest_half_life * len(y):
            return None, told(f"half-life above {self.longest_half_life:g} of the window")
        sigma = float(fit["sigma_eq"])
        band = uncertain_band(kappa_nodes(fit, 1.0), paid, self.stop * sigma)
        if not band.trades or -band.entry >= self.stop * sigma:
            return None, told("no band earns its costs")
        entry, leave = -band.entry / sigma, -band.exit / sigma
        slot = Slot(
            symbols=tuple(names),
            weights=(1.0, -beta),
            space=self.space,
            centre=float(fit["level"]),
            sigma=sigma,
            kappa=kappa,
            kappa_se=kappa_error(fit),
            entry=entry,
            exit=leave,
            stop=self.stop,
            hold_steps=math.ceil(self.hold_half_lives * half_life),
            capital=self.capital,
            rebalance=self.rebalance,
        )
        return slot, told("traded", entry, (entry - leave) * sigma)

    def matched(self, found: list[tuple[Slot | None, Survivor]]) -> tuple[tuple[Slot, ...], tuple[Survivor, ...]]:
        """The slots of a matching with the largest sum of edges net of cost, the best first; the others say why."""
        able = [k for k, (slot, _) in enumerate(found) if slot is not None]
        names = sorted({s for k in able for s in found[k][1].symbols})
        at = {s: n for n, s in enumerate(names)}
        edges = np.array([[at[s] for s in found[k][1].symbols] for k in able], np.int64).reshape(-1, 2)
        worth = np.array([max(found[k][1].edge_bp - found[k][1].cost_bp, 1e-9) for k in able])
        chosen = [able[r] for r in match(edges, worth)]
        chosen.sort(key=lambda k: (-(found[k][1].edge_bp - found[k][1].cost_bp), found[k][1].symbols))
        kept = chosen[: self.most_pairs]
        told = []
        for k, (slot, row) in enumerate(found):
            if slot is not None and k not in kept:
                why = f"beyond the best {self.most_pairs}" if k in chosen else "an asset is in a better pair"
                row = msgspec.structs.replace(row, verdict=why, entry=math.nan)
            told.append(row)
        slots = (found[k][0] for k in kept)
        return tuple(s for s in slots if s is not None), tuple(told)


def pair_tests(x: np.ndarray, lags: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(p, stat, beta), float64[N, N] each: row regressed on column, null simulated for this length."""
    n = len(x)
    stat, beta = np.empty((n, n)), np.empty((n, n))
    block = prepare(x, lags)
    pairs_fixed(block, block, stat, beta)
    p = engle_granger_null(x.shape[1], lags=lags).p(stat)
    return np.where(np.isfinite(stat), p, np.nan), stat, beta


def kappa_error(fit: Any) -> float:
    """Half the width of the interval of kappa in normal standard errors; the interval is from its simulated law."""
    high = float(fit["kappa_high"])
    if not math.isfinite(high):
        return float(fit["kappa_unbiased"])
    return (high - float(fit["kappa_low"])) / (2.0 * NORMAL_95)


def usable(prices: Prices, space: str) -> tuple[Prices | None, tuple[checks.Excluded, ...]]:
    """The window without series that cannot be tested, each with its reason; None when fewer than two are left.

    A gap of up to CARRY_STEPS rows takes the last price; a series that looks split, misses its last price, or is
    not positive where logs are taken is left out.
    """
    close, _ = checks.carry_forward(prices.close, CARRY_STEPS)
    names = list(prices.symbols)
    reasons: dict[str, str] = {}
    for n, name in enumerate(names):
        column = close[:, n]
        gaps = int((~np.isfinite(column)).sum())
        if not math.isfinite(prices.close[-1, n]):
            reasons[name] = "no price at the request"
        elif gaps:
            reasons[name] = f"{gaps} of {len(column)} prices missing in the window"
        elif space == "log" and (column <= 0.0).any():
            reasons[name] = "a price is not positive, in logs"
    whole = [n for n, name in enumerate(names) if name not in reasons]
    for found in (checks.constant_series, checks.duplicated_series):
        for one in found([names[n] for n in whole], close[:, whole]):
            reasons[one.symbol] = one.reason
    for flag in checks.flags([names[n] for n in whole], prices.time_ns, close[:, whole]) if whole else ():
        if flag.kind == "split":
            reasons.setdefault(flag.symbol, f"looks split in the window: {flag.text}")
    keep = [n for n, name in enumerate(names) if name not in reasons]
    left_out = tuple(checks.Excluded(name, why) for name, why in reasons.items())
    if len(keep) < 2:
        return None, left_out
    panel = msgspec.structs.replace(
        prices, symbols=tuple(names[n] for n in keep), close=np.ascontiguousarray(close[:, keep])
    )
    return panel, left_out
