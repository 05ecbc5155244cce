"""What a walk-forward fits on a window: which pairs and baskets survive the tests made, and how each is traded.

`PairSelection` is the default: the pairs of a declared family and the baskets of three and four legs that returns alone
suggest (`walk_baskets.py`) are tested once each and judged together, the false-discovery rate held over all of them.
What survives is traded only if its estimated reversion, uncertain as it is, is expected to earn more than a round trip
of all its legs costs; a pair's hedge is static or follows a filter, as its window says (`walk_hedge.py`). No asset is
in two relations (`walk_match.py`). Any other function of a panel and its costs that returns a `Picked` can take its
place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError, unknown_name
from oneprice.market import prices_checks as checks
from oneprice.market.prices import Prices, require_space
from oneprice.signals.cointegration.engle_granger import engle_granger, engle_granger_null
from oneprice.signals.reversion.ornstein import fit_ou
from oneprice.signals.slots import N_SLOT_LEGS, N_SLOTS, Slot
from oneprice.signals.thresholds.uncertain import kappa_nodes, uncertain_band
from oneprice.signals.unit_root.inputs import lag_rule
from oneprice.signals.validation.multiplicity import adjusted
from oneprice.study import screen_blocks, walk_hedge
from oneprice.study.screen import CORRECTIONS, count_pairs
from oneprice.study.screen_families import declare, declared
from oneprice.study.screen_store import LEVELS, Tally
from oneprice.study.walk_baskets import LEAST_SHARE, beyond_parts, candidates, relation, trace_p
from oneprice.study.walk_match import packed

NORMAL_95 = 1.959963984540054
LEAST_HALF_LIFE = 1.0  # steps: what is decided on a bar fills in the next
CARRY_STEPS = 5  # a price may be so old inside a window


class Survivor(msgspec.Struct, frozen=True):
    """A relation that survived the correction, and what became of it. Times in steps of the panel."""

    symbols: tuple[str, ...]
    p: float
    adjusted: float
    beta: float  # of a basket NaN
    half_life: float
    entry: float  # sigmas; NaN: not traded
    cost_bp: float  # of the gross, a round trip
    edge_bp: float  # expected gain of a trade before costs, of the gross
    verdict: str  # "traded" or why not
    kind: str = "pair"  # or how the weights of a basket were found: "johansen", "box_tiao"
    hedge: str = "static"  # or "dynamic"
    bic_gain: float = math.nan  # of the dynamic hedge over the static one; a basket has none


class Picked(msgspec.Struct, frozen=True, kw_only=True):
    """What a selection says about one window."""

    slots: tuple[Slot, ...]
    tests: int
    by_chance: float  # discoveries expected at `alpha` if nothing were true
    nominal: int  # p <= alpha
    survivors: tuple[Survivor, ...] = ()
    excluded: tuple[checks.Excluded, ...] = ()
    smallest_p: float = math.nan
    baskets: int = 0  # of the tests, those of baskets
    untested: tuple[str, ...] = ()  # series that share a family with no other
    unlisted: int = 0  # pairs that survive beyond the `keep` best: counted, not looked at


class Hypotheses(msgspec.Struct, frozen=True, eq=False):
    """All tests of a window: the rows [N, T] in their order of testing, the pairs kept, the baskets, every p."""

    names: tuple[str, ...]
    rows: np.ndarray
    tally: Tally
    baskets: list[tuple[int, ...]]
    declared: int  # pairs
    p_pairs: np.ndarray  # of the pairs kept
    p_baskets: np.ndarray
    floor: float
    untested: tuple[str, ...] = ()


Select = Callable[[Prices, np.ndarray], Picked]


class PairSelection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Relations of a family by cointegration and false-discovery control, traded by a band over uncertain reversion.

    Parameters
    ----------
    space : "log" or "level".
    family : symbol -> group: only series of one group are tested together; "clusters": groups made from the window's
        returns; None: the whole panel is the one family declared.
    correction, level : "bh" or "by", and its rate. alpha : what counts as nominal in the funnel, and on a retest.
    lags : of the residual's test, fixed in advance, or "aic", "bic" (baskets: 1).
    most_legs : of a relation, 2 to 4; 2: pairs alone, and no other hypotheses. hedge : of pairs, "auto", "static" or
        "dynamic"; hedge_margin : by how much the BIC of the dynamic one must be lower for "auto" to take it.
    most_pairs : relations traded at once. capital : gross value of one. rebalance : see `Slot` (a dynamic hedge is
        rebalanced at 5 % at least as finely). keep : pairs of which p is kept, the best; all are counted.
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
    most_legs: int = N_SLOT_LEGS
    hedge: str = "auto"
    hedge_margin: float = walk_hedge.MARGIN
    most_pairs: int = 8
    capital: float = 100_000.0
    rebalance: float = 0.0
    keep: int = 1_000
    least_entry: float = 1.0
    stop: float = 4.0
    longest_half_life: float = 0.25
    hold_half_lives: float = 6.0

    def __post_init__(self) -> None:
        require_space(self.space)
        if self.correction not in CORRECTIONS:
            raise unknown_name("correction", self.correction, list(CORRECTIONS))
        if self.hedge not in walk_hedge.HEDGES:
            raise unknown_name("hedge", self.hedge, list(walk_hedge.HEDGES))
        if not 2 <= self.most_legs <= N_SLOT_LEGS:
            raise ConfigError(f"selection: most_legs: expected 2 to {N_SLOT_LEGS}, got {self.most_legs}")
        if not 1 <= self.most_pairs <= N_SLOTS:
            raise ConfigError(f"selection: most_pairs: expected 1 to {N_SLOTS}, got {self.most_pairs}")
        if f"{self.alpha:g}" not in [f"{v:g}" for v in LEVELS]:
            raise ConfigError(f"selection: alpha: expected one of {LEVELS}, got {self.alpha}")
        if not 0.0 <= self.least_entry < self.stop:
            raise ConfigError(f"selection: least_entry: expected 0 to stop = {self.stop:g}, got {self.least_entry}")
        if self.keep < 1:
            raise ConfigError(f"selection: keep: expected 1 or more, got {self.keep}")
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
        h = self.tested(panel)
        p = np.concatenate([h.p_pairs, h.p_baskets])
        ran = np.flatnonzero(np.isfinite(p))
        size = h.declared + len(h.baskets)
        q = np.full(len(p), np.nan)
        if len(ran):
            q[ran] = adjusted(p[ran], self.correction, size=size, floor=h.floor)
        found = []
        for k in np.flatnonzero(q <= self.level):
            members = tuple(h.tally.pairs[k]) if k < len(h.p_pairs) else h.baskets[k - len(h.p_pairs)]
            names = tuple(h.names[i] for i in members)
            paid = np.array([cost[s] for s in names])
            x = h.rows[list(members)]
            if len(members) == 2:
                found.append(self.one(names, x, (float(p[k]), float(q[k]), float(h.tally.beta[k])), paid))
            else:
                found.append(self.basket(names, x, (float(p[k]), float(q[k])), paid))
        slots, told = self.matched(found)
        tests = h.tally.tests + int(np.isfinite(h.p_baskets).sum())
        return Picked(
            slots=slots,
            tests=tests,
            by_chance=self.alpha * tests,
            nominal=h.tally.below(self.alpha) + int((h.p_baskets <= self.alpha).sum()),
            survivors=told,
            excluded=left_out,
            smallest_p=float(p[ran].min()) if len(ran) else math.nan,
            baskets=tests - h.tally.tests,
            untested=h.untested,
            unlisted=max(0, h.tally.significant(size, self.correction, self.level) - self.keep),
        )

    def tested(self, panel: Prices) -> Hypotheses:
        """Every hypothesis of a window, each tested once."""
        rows = panel.columns(self.space)
        family = dict.fromkeys(panel.symbols, "panel") if self.family is None else self.family
        families = declare(panel.symbols, rows, family)
        ordered = np.ascontiguousarray(rows[families.order])
        lags, criterion = lag_rule(self.lags, rows.shape[1], 0)
        null = engle_granger_null(rows.shape[1], lags=lags, criterion=criterion, n_series=2)
        size = screen_blocks.CHOSEN_BLOCK if criterion else screen_blocks.FIXED_BLOCK
        tally, _ = count_pairs(
            ordered, families, lags=self.lags, null=null, keep=self.keep, size=size, executor=None, path=None,
            progress=None,
        )  # fmt: skip
        baskets = candidates(ordered, families.sizes, self.most_legs) if self.most_legs > 2 else []
        of_baskets, floor = trace_p(ordered, baskets, self.lags if isinstance(self.lags, int) else 1)
        names = tuple(panel.symbols[i] for i in families.order)
        p = null.p(tally.stat)
        of_pairs = {frozenset(pair): float(v) for pair, v in zip(tally.pairs.tolist(), p, strict=True)}
        of_baskets = beyond_parts(of_baskets, baskets, of_pairs)
        return Hypotheses(
            names, ordered, tally, baskets, declared(families), p, of_baskets, max(floor, null.floor), families.untested
        )

    def retest(self, prices: Prices, costs_bp: np.ndarray, slot: Slot) -> Slot | None:
        """The slot fitted anew on this window if its one test still passes at `alpha`, else None."""
        panel, _ = usable(prices.select(slot.symbols), self.space)
        if panel is None or panel.symbols != slot.symbols:
            return None
        x = panel.columns(self.space)
        cost = dict(zip(prices.symbols, costs_bp.tolist(), strict=True))
        paid = np.array([cost[s] for s in slot.symbols])
        if len(slot.symbols) > 2:
            p = float(trace_p(x, [tuple(range(len(x)))], self.lags if isinstance(self.lags, int) else 1)[0][0])
            return self.basket(slot.symbols, x, (p, p), paid)[0] if p <= self.alpha else None
        test = engle_granger(x[0], x[1], lags=self.lags)
        if not (math.isfinite(test.stat) and test.p <= self.alpha):  # -inf: one series is the other, scaled
            return None
        return self.one(slot.symbols, x, (test.p, test.p, test.hedge[0]), paid)[0]

    def one(
        self, names: tuple[str, ...], x: np.ndarray, about: tuple[float, float, float], costs_bp: np.ndarray
    ) -> tuple[Slot | None, Survivor]:
        """A surviving pair x [2, T] as a slot, or why it is not traded. about = (p, adjusted p, beta)."""
        p, q, beta = about
        row = Survivor(names, p, q, beta, math.nan, math.nan, math.nan, math.nan, "")
        if beta <= 0.0:
            return self.banded(row, (1.0, -beta), x, costs_bp, why="both legs on one side")
        if self.hedge == "static":
            return self.banded(row, (1.0, -beta), x, costs_bp)
        gain, fit, order = walk_hedge.compare(x)
        row = msgspec.structs.replace(row, bic_gain=gain)
        if not (gain > self.hedge_margin or self.hedge == "dynamic"):
            return self.banded(row, (1.0, -beta), x, costs_bp)
        names, x, costs_bp = tuple(names[i] for i in order), x[list(order)], costs_bp[list(order)]
        seen = walk_hedge.follow(x[0], x[1], fit)
        row = msgspec.structs.replace(row, symbols=names, hedge="dynamic", beta=seen.beta)
        if not seen.beta > 0.0:
            return self.banded(row, (1.0, -seen.beta), x, costs_bp, why="both legs on one side")
        why = "" if fit.phi > 0.0 else self.too_slow(0.0, x.shape[1])
        slot, row = self.banded(row, (1.0, -seen.beta), x, costs_bp, spread=seen.spread, why=why)
        return (None if slot is None else walk_hedge.dynamic_slot(slot, seen, self.least_entry, self.rebalance)), row

    def basket(
        self, names: tuple[str, ...], x: np.ndarray, about: tuple[float, float], costs_bp: np.ndarray
    ) -> tuple[Slot | None, Survivor]:
        """A surviving basket x [legs, T] as a slot, or why it is not traded. about = (p, adjusted p)."""
        row = Survivor(names, *about, math.nan, math.nan, math.nan, math.nan, math.nan, "", kind="basket")
        try:
            found = relation(x, self.lags if isinstance(self.lags, int) else 1)
        except (DataError, np.linalg.LinAlgError) as error:
            return None, msgspec.structs.replace(row, verdict=str(error))
        row = msgspec.structs.replace(row, kind=found.how)
        w = np.array(found.weights)
        values = np.abs(w if self.space == "log" else w * x[:, -1])
        why = ""
        if values.min() < LEAST_SHARE * values.sum():
            why = f"{names[int(values.argmin())]} is below {LEAST_SHARE:g} of the gross: a leg that does nothing"
        elif (w > 0.0).all():
            why = "all legs on one side"
        return self.banded(row, found.weights, x, costs_bp, why=why)

    def banded(
        self,
        row: Survivor,
        weights: tuple[float, ...],
        x: np.ndarray,
        costs_bp: np.ndarray,
        *,
        spread: np.ndarray | None = None,
        why: str = "",
    ) -> tuple[Slot | None, Survivor]:
        """A relation as a slot with its band net of all legs' costs, or `row` with why it is not traded.

        `spread`: what was filtered, where the hedge is dynamic; else weights @ x.
        """
        w = np.array(weights)
        values = np.abs(w if self.space == "log" else w * x[:, -1])
        gross = float(values.sum())
        paid = 2.0 * float(values @ costs_bp) * 1e-4
        line = np.asarray(w @ x) if spread is None else spread
        fit = fit_ou(line, 1.0, series=len(x))
        kappa, sigma = float(fit["kappa_unbiased"]), float(fit["sigma_eq"])
        half_life = math.log(2.0) / kappa if kappa > 0.0 else math.inf
        row = msgspec.structs.replace(row, half_life=half_life, cost_bp=paid / gross * 1e4)
        why = why or self.too_slow(half_life, x.shape[1])
        entry = leave = gain = math.nan
        if not why:
            band = uncertain_band(kappa_nodes(fit, 1.0), paid, self.stop * sigma)
            if not band.trades or -band.entry >= self.stop * sigma:
                why = "no band earns its costs"
            else:
                entry, leave = max(-band.entry / sigma, self.least_entry), 0.0 - band.exit / sigma
                gain = (entry - leave) * sigma * math.exp(-kappa)  # both fills come a step after they are decided
                why = "" if gain > paid else "what is left a step later, at the fill, does not pay"
        if why:
            return None, msgspec.structs.replace(row, verdict=why)
        slot = Slot(
            symbols=row.symbols, weights=tuple(float(v) for v in weights), space=self.space,
            centre=float(fit["level"]), sigma=sigma, kappa=kappa, kappa_se=kappa_error(fit), entry=entry, exit=leave,
            stop=self.stop, hold_steps=math.ceil(self.hold_half_lives * half_life), capital=self.capital,
            rebalance=self.rebalance,
        )  # fmt: skip
        return slot, msgspec.structs.replace(row, verdict="traded", entry=entry, edge_bp=gain / gross * 1e4)

    def too_slow(self, half_life: float, steps: int) -> str:
        """Why a half-life cannot be traded, or ""."""
        if not half_life >= LEAST_HALF_LIFE:  # 0 where a step reverses the one before it: bounces of single prices
            return "half-life below one step: gone before it can be filled"
        if not half_life <= self.longest_half_life * steps:
            return f"half-life above {self.longest_half_life:g} of the window"
        return ""

    def matched(self, found: Sequence[tuple[Slot | None, Survivor]]) -> tuple[tuple[Slot, ...], tuple[Survivor, ...]]:
        """The slots of the packing with the most evidence (-log10 p), the best first; the others say why."""
        able = [k for k, (slot, _) in enumerate(found) if slot is not None]
        chosen = [
            able[r] for r in packed([found[k][1].symbols for k in able], [-math.log10(found[k][1].p) for k in able])
        ]
        chosen.sort(key=lambda k: (found[k][1].p, found[k][1].symbols))
        kept = chosen[: self.most_pairs]
        told = []
        for k, (slot, row) in enumerate(found):
            if slot is not None and k not in kept:
                why = f"beyond the best {self.most_pairs}" if k in chosen else "an asset is in a better relation"
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


def too_few(left_out: Sequence[tuple[str, str]], space: str) -> str:
    """What to say where fewer than two series can be tested: the first reasons, and a way out."""
    listed = "; ".join(f"{symbol}: {reason}" for symbol, reason in left_out[:5])
    more = f" and {len(left_out) - 5} more" if len(left_out) > 5 else ""
    hint = "; prices at or below zero need space='level'" if space == "log" else ""
    return f"expected at least 2 series that can be tested, fewer are left; excluded: {listed}{more}{hint}"


def usable(prices: Prices, space: str) -> tuple[Prices | None, tuple[checks.Excluded, ...]]:
    """The window without series that cannot be tested, each with its reason; None when fewer than two are left.

    A gap of up to CARRY_STEPS rows takes the last price; a series that looks split (by its ratio where it is positive,
    by the size of a lasting jump where it is not), misses its last price, or is not positive where logs are taken is
    left out.
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
        if flag.kind in ("split", "jump"):
            what = "looks split" if flag.kind == "split" else "jumps"
            reasons.setdefault(flag.symbol, f"{what} in the window: {flag.text}")
    keep = [n for n, name in enumerate(names) if name not in reasons]
    left_out = tuple(checks.Excluded(name, why) for name, why in reasons.items())
    if len(keep) < 2:
        return None, left_out
    panel = msgspec.structs.replace(
        prices, symbols=tuple(names[n] for n in keep), close=np.ascontiguousarray(close[:, keep])
    )
    return panel, left_out
