"""What a walk-forward fits on a window: which pairs survive the number of tests made, and how each is traded.

`PairSelection` is the default: the pairs of a declared family are screened (one hypothesis a pair, the false-discovery
rate held over all of them), and what survives is traded only if its estimated reversion, uncertain as it is, is
expected to earn more than a round trip costs. No asset is in two pairs. Any other function of a panel and its costs
that returns a `Picked` can take its place.
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
from oneprice.signals.cointegration.engle_granger import engle_granger
from oneprice.signals.reversion.ornstein import fit_ou
from oneprice.signals.slots import N_SLOTS, Slot
from oneprice.signals.thresholds.uncertain import kappa_nodes, uncertain_band
from oneprice.study.screen import CORRECTIONS, screen
from oneprice.study.screen_result import ScreenResult
from oneprice.study.screen_store import LEVELS

NORMAL_95 = 1.959963984540054
LEAST_HALF_LIFE = 1.0  # steps: what is decided on a bar fills in the next
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
    family : symbol -> group: only pairs inside a group are tested; "clusters": groups made from the window's returns;
        None: the whole panel is the one family declared.
    correction, level : "bh" or "by", and its rate. alpha : what counts as nominal in the funnel, and on a retest.
    lags : of the residual's test, fixed in advance, or "aic", "bic".
    most_pairs : traded at once. capital : gross value of one. rebalance : see `Slot`. keep : pairs described a window.
    least_entry : sigmas from the centre below which nothing is entered: the centre is estimated too. stop : sigmas at
        which a position is given up. longest_half_life : share of the window above which a reversion is
        not believed. hold_half_lives : longest holding (0: no end).
    """

    space: str = "log"
    family: Mapping[str, str] | str | None = None
    correction: str = "bh"
    level: float = 0.10
    alpha: float = 0.05
    lags: int | str = 1
    most_pairs: int = 8
    capital: float = 100_000.0
    rebalance: float = 0.0
    keep: int = 40
    least_entry: float = 1.0
    stop: float = 4.0
    longest_half_life: float = 0.25
    hold_half_lives: float = 6.0

    def __post_init__(self) -> None:
        require_space(self.space)
        if self.correction not in CORRECTIONS:
            raise unknown_name("correction", self.correction, list(CORRECTIONS))
        if not 1 <= self.most_pairs <= N_SLOTS:
            raise ConfigError(f"selection: most_pairs: expected 1 to {N_SLOTS}, got {self.most_pairs}")
        if f"{self.alpha:g}" not in [f"{v:g}" for v in LEVELS]:
            raise ConfigError(f"selection: alpha: expected one of {LEVELS}, got {self.alpha}")
        if not 0.0 <= self.least_entry < self.stop:
            raise ConfigError(f"selection: least_entry: expected 0 to stop = {self.stop:g}, got {self.least_entry}")
        for name in ("level", "longest_half_life"):
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
        cost = dict(zip(prices.symbols, costs_bp.tolist(), strict=True))
        family = dict.fromkeys(panel.symbols, "panel") if self.family is None else self.family
        result = self.screened(panel, family, cost, self.keep)
        if result.significant > self.keep:  # what survives is matched whole
            result = self.screened(panel, family, cost, result.significant)
        x = dict(zip(panel.symbols, panel.columns(self.space), strict=True))
        found = [
            self.one((r.y, r.x), x[r.y], x[r.x], (r.p, r.q, r.beta), (cost[r.y], cost[r.x]))
            for r in result.pairs
            if r.q <= self.level
        ]
        slots, told = self.matched(found)
        return Picked(
            slots=slots,
            tests=result.tests,
            by_chance=self.alpha * result.tests,
            nominal=next(n for level, n in result.below.items() if float(level) == self.alpha),
            survivors=told,
            excluded=left_out,
            smallest_p=min((r.p for r in result.pairs), default=math.nan),
        )

    def screened(
        self, panel: Prices, family: Mapping[str, str] | str, cost: Mapping[str, float], keep: int
    ) -> ScreenResult:
        """The screen of a window, with its `keep` best pairs described."""
        return screen(
            panel, space=self.space, family=family,
            false_discovery=self.level, correction=self.correction, lags=self.lags, confirm=0.0, cost_bp=cost,
            keep=keep,
        )  # fmt: skip

    def retest(self, prices: Prices, costs_bp: np.ndarray, slot: Slot) -> Slot | None:
        """The slot fitted anew on this window if its one test still passes at `alpha`, else None."""
        panel, _ = usable(prices.select(slot.symbols), self.space)
        if panel is None or len(slot.symbols) != 2:
            return None
        y, x = panel.columns(self.space)
        test = engle_granger(y, x, lags=self.lags)
        if not (math.isfinite(test.stat) and test.p <= self.alpha):  # -inf: one series is the other, scaled
            return None
        cost = dict(zip(prices.symbols, costs_bp.tolist(), strict=True))
        about = (test.p, test.p, test.hedge[0])
        return self.one(slot.symbols, y, x, about, (cost[slot.symbols[0]], cost[slot.symbols[1]]))[0]

    def one(
        self, names: Any, y: np.ndarray, x: np.ndarray, about: tuple[float, float, float], costs: tuple[float, float]
    ) -> tuple[Slot | None, Survivor]:
        """A surviving pair as a slot, or why it is not traded. about = (p, adjusted p, beta)."""
        p, q, beta = about
        spread = y - beta * x
        values = (1.0, abs(beta)) if self.space == "log" else (float(abs(y[-1])), float(abs(beta * x[-1])))
        gross = sum(values)
        paid = 2.0 * (values[0] * costs[0] + values[1] * costs[1]) * 1e-4
        fit = fit_ou(spread, 1.0, series=2)
        kappa = float(fit["kappa_unbiased"])
        half_life = math.log(2.0) / kappa if kappa > 0.0 else math.inf

        def told(verdict: str, entry: float = math.nan, edge: float = math.nan) -> Survivor:
            return Survivor(tuple(names), p, q, beta, half_life, entry, paid / gross * 1e4, edge / gross * 1e4, verdict)

        if beta <= 0.0:
            return None, told("both legs on one side")
        if not half_life >= LEAST_HALF_LIFE:  # 0 where a step reverses the one before it: bounces of single prices
            return None, told("half-life below one step: gone before it can be filled")
        if not half_life <= self.longest_half_life * len(y):
            return None, told(f"half-life above {self.longest_half_life:g} of the window")
        sigma = float(fit["sigma_eq"])
        band = uncertain_band(kappa_nodes(fit, 1.0), paid, self.stop * sigma)
        if not band.trades or -band.entry >= self.stop * sigma:
            return None, told("no band earns its costs")
        entry, leave = max(-band.entry / sigma, self.least_entry), 0.0 - band.exit / sigma
        gain = (entry - leave) * sigma * math.exp(-kappa)  # both fills come a step after they are decided
        if gain <= paid:
            return None, told("what is left a step later, at the fill, does not pay")
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
        return slot, told("traded", entry, gain)

    def matched(self, found: list[tuple[Slot | None, Survivor]]) -> tuple[tuple[Slot, ...], tuple[Survivor, ...]]:
        """The slots of the matching with the most evidence (-log10 p), the best first; the others say why."""
        able = [k for k, (slot, _) in enumerate(found) if slot is not None]
        names = sorted({s for k in able for s in found[k][1].symbols})
        at = {s: n for n, s in enumerate(names)}
        edges = np.array([[at[s] for s in found[k][1].symbols] for k in able], np.int64).reshape(-1, 2)
        chosen = [able[r] for r in match(edges, np.array([-math.log10(found[k][1].p) for k in able]))]
        chosen.sort(key=lambda k: (found[k][1].p, found[k][1].symbols))
        kept = chosen[: self.most_pairs]
        told = []
        for k, (slot, row) in enumerate(found):
            if slot is not None and k not in kept:
                why = f"beyond the best {self.most_pairs}" if k in chosen else "an asset is in a better pair"
                row = msgspec.structs.replace(row, verdict=why, entry=math.nan)
            told.append(row)
        slots = (found[k][0] for k in kept)
        return tuple(s for s in slots if s is not None), tuple(told)


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
