"""Audit of recorded data: every gap between legs, its class, life, depth, and what costs and latency leave.

Classes: `clean`; `self_crossed_venue` (one book at or above itself); `stale` (a leg older than the bound);
`non_simultaneous` (a gap in receive time that no exchange time shows); `basis` (there most of the time, or no
more than the slow mean of the difference); `side_bias` (the same between feeds of one side only: an ask held
against a bid or a mid). An episode gets the condition that held for at least half of its time.

Net edge is `signals.cost.edge` at the touches. `inventory`: the whole gap less two crossings. `converge`: the
gap beyond its slow mean (where it is expected to go) less four crossings and the half spreads of the way out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.lib import recfunctions

from oneprice.core.errors import ConfigError
from oneprice.market.clock import correct_clocks
from oneprice.market.tape import Tape
from oneprice.signals.cost import Costs, LegCosts, Touch, edge
from oneprice.study.episodes import find_episodes
from oneprice.study.quotes import join, quotes

CLASSES = ("clean", "self_crossed_venue", "stale", "non_simultaneous", "basis", "side_bias")
CLEAN, SELF_CROSSED, STALE, NON_SIMULTANEOUS, BASIS, SIDE_BIAS = range(len(CLASSES))
EXITS = ("inventory", "converge")
Progress = Callable[[float, float], None]


@dataclass(frozen=True)
class Settings:
    """The bounds an audit was made with; they are part of its result."""

    latency_ms: tuple[float, ...] = (0.0, 1.0, 10.0, 100.0)
    max_age_ms: float = 500.0
    slow_window_s: float = 20.0  # of the centred rolling median
    persist_share: float = 0.5  # a gap there for more of the time than this is no event
    band_sigmas: float = 3.0  # around the slow mean
    transfer_bp: float = 0.0  # of one transfer between the venues, shared by so many trades:
    trades_per_transfer: float = 1.0


@dataclass(frozen=True)
class Direction:
    """Buying on one leg and selling on another: how often, and what it costs."""

    buy: str
    sell: str
    one_sided: bool
    live_s: float
    gap_share: float  # of the time in which both sides were there
    persistent: bool
    slow_bp: float  # median over time of the difference of mids, in this direction
    sigma_bp: float  # around the slow mean
    states: tuple[
        int, int, int, int
    ]  # looked at, with a gap, both quotes fresh as well, and no book crossed as well
    cost_bp: Mapping[str, float]  # by exit


@dataclass(frozen=True)
class ClassRow:
    """All episodes of one class in one direction. NaN where there is nothing to take a median of."""

    buy: str
    sell: str
    label: str
    count: int
    time_share: float
    life_ms: float  # median
    qty: float  # median of the smaller touch, underlying units
    gross_bp: float  # median, when first seen in this class
    net_bp: Mapping[str, float]  # median by exit
    paying: Mapping[str, int]  # episodes with positive net edge, by exit
    alive: Mapping[float, float]  # share with a gap left at the exchanges after each latency, ms
    captured: Mapping[float, float]  # share whose net edge (inventory) is positive there then
    break_even_fee_bp: float  # per crossing, at which half of the episodes stop paying (inventory)


@dataclass(frozen=True)
class Audit:
    """What `audit` found. Prints as a table; `.to_frame()` and `.to_dict()` hold the same rows."""

    settings: Settings
    directions: tuple[Direction, ...]
    rows: tuple[ClassRow, ...]
    episodes: np.ndarray  # EPISODE and direction, label, net_inventory_bp, net_converge_bp, later_bp[latency]
    notes: tuple[str, ...]

    def count(self, label: str) -> int:
        """Episodes of a class over all directions."""
        return sum(r.count for r in self.rows if r.label == label)

    @property
    def verdict(self) -> str:
        """One sentence: whether any gap is left after classes and stated costs."""
        clean = self.count("clean")
        paying = {e: sum(r.paying[e] for r in self.rows if r.label == "clean") for e in EXITS}
        if clean == 0:
            most = max(self.rows, key=lambda r: r.time_share, default=None)
            why = f"; most of what looks like one is {most.label}" if most else ""
            return f"not an arbitrage: none of {len(self.episodes)} gaps is clean{why}"
        if not any(paying.values()):
            return f"{clean} clean gaps, none of which pays its stated costs"
        told = ", ".join(f"{n} with exit {e}" for e, n in paying.items())
        return f"{clean} clean gaps; after stated costs these pay before latency: {told}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values: settings, directions, rows, notes, verdict (no episodes)."""
        from dataclasses import asdict

        return {
            "settings": asdict(self.settings),
            "directions": [asdict(d) for d in self.directions],
            "rows": [asdict(r) for r in self.rows],
            "episodes": len(self.episodes),
            "notes": list(self.notes),
            "verdict": self.verdict,
        }

    def to_frame(self) -> Any:
        """A polars frame of episodes: one row each, with direction, class, life, gap, depth and net edges."""
        import polars as pl

        e = self.episodes
        columns: dict[str, Any] = {
            "buy": [self.directions[k].buy for k in e["direction"]],
            "sell": [self.directions[k].sell for k in e["direction"]],
            "label": [CLASSES[k] for k in e["label"]],
            "life_ms": (e["end_ns"] - e["start_ns"]) / 1e6,
        }
        for name in ("start_ns", "end_ns", "gap_bp", "gap_max_bp", "slow_bp", "qty", "price"):
            columns[name] = e[name]
        for name in ("net_inventory_bp", "net_converge_bp"):
            columns[name] = e[name]
        for i, ms in enumerate(self.settings.latency_ms):
            columns[f"gap_after_{ms:g}ms_bp"] = e["later_bp"][:, i]
        return pl.DataFrame(columns)

    def __str__(self) -> str:
        from oneprice.study.audit_text import render

        return render(self)


def audit(
    tapes: Sequence[Tape] | Any,
    *,
    fees_bp: float | Mapping[str, float] | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
    **bounds: Any,
) -> Audit:
    """Find and classify every gap between legs of the same underlying, in corrected time.

    Parameters
    ----------
    tapes : Tapes or a TapeSet, two legs or more.
    fees_bp : taker fee a crossing, one number or one a leg (`venue:symbol`); None: each instrument's own.
    settings, bounds : see `Settings`; bounds may be given by name (`latency_ms=[0, 10]`, `max_age_ms=1000`).
    progress : called with (pairs done, pairs in all).

    Raises
    ------
    ConfigError
        No two legs share an underlying, a fee is nowhere stated, or a bound is misspelt or impossible.
    """
    chosen = _settings(settings, bounds)
    legs, clock_notes = _clocks(list(tapes))
    pairs = [p for p in combinations(range(len(legs)), 2) if _same(legs[p[0]], legs[p[1]])]
    if not pairs:
        names = ", ".join(f"{t.leg} ({t.instrument.underlying})" for t in legs) or "none"
        raise ConfigError(f"audit: expected two legs or more of one underlying, got {names}")
    fees = [_fee(t, fees_bp) for t in legs]
    streams = [_quotes(t) for t in legs]
    directions: list[Direction] = []
    parts: list[np.ndarray] = []
    for done, (i, j) in enumerate(pairs):
        if progress:
            progress(done, len(pairs))
        a, b = streams[i].copy(), streams[j].copy()
        join(a, b, bound_ns=legs[i].clock_bound_ns + legs[j].clock_bound_ns)
        found, two = _pair(a, b, (legs[i], legs[j]), (fees[i], fees[j]), chosen)
        found["direction"] += len(directions)
        directions += two
        parts.append(found)
    episodes = np.concatenate(parts)
    rows = tuple(
        r for k, d in enumerate(directions) for r in _rows(episodes[episodes["direction"] == k], d, chosen)
    )
    if progress:
        progress(len(pairs), len(pairs))
    return Audit(chosen, tuple(directions), rows, episodes, tuple(clock_notes + _notes(legs, pairs)))


def one_sided(tape: Tape) -> bool:
    """Whether a tape shows one price and not two sides (bars, trades, an ask alone)."""
    return tape.header.side not in ("both",)


def _clocks(tapes: list[Tape]) -> tuple[list[Tape], list[str]]:
    """Tapes whose corrected stamps run ahead of receipt get an estimated clock, and a note says so."""
    ahead = [t for t in tapes if np.any(t.events["exchange_ns"] + t.clock_offset_ns > t.events["receive_ns"])]
    fixed = {t.leg: t for t in correct_clocks(ahead)} if ahead else {}
    notes = [
        f"{leg}: stamps run ahead of receipt; clock offset estimated as {t.clock_offset_ns / 1e6:,.1f} "
        f"+- {t.clock_bound_ns / 1e6:,.1f} ms"
        for leg, t in fixed.items()
    ]
    return [fixed.get(t.leg, t) for t in tapes], notes


def _settings(settings: Settings | None, bounds: Mapping[str, Any]) -> Settings:
    from dataclasses import fields, replace

    from oneprice.core.errors import unknown_name

    known = [f.name for f in fields(Settings)]
    for name in bounds:
        if name not in known:
            raise unknown_name("audit setting", name, known)
    made = replace(settings or Settings(), **bounds)
    made = replace(made, latency_ms=tuple(float(v) for v in made.latency_ms))
    for name in ("max_age_ms", "slow_window_s", "trades_per_transfer"):
        if not getattr(made, name) > 0:
            raise ConfigError(f"audit: {name}: expected more than 0, got {getattr(made, name)!r}")
    if not made.latency_ms or min(made.latency_ms) < 0:
        raise ConfigError(f"audit: latency_ms: expected values of 0 or more, got {made.latency_ms!r}")
    return made


def _same(a: Tape, b: Tape) -> bool:
    return a.instrument.underlying == b.instrument.underlying


def _fee(tape: Tape, fees_bp: float | Mapping[str, float] | None) -> float:
    if isinstance(fees_bp, Mapping):
        if tape.leg not in fees_bp:
            raise ConfigError(
                f"audit: fees_bp: no fee for {tape.leg}; it names {', '.join(fees_bp) or 'none'}"
            )
        return float(fees_bp[tape.leg])
    if fees_bp is not None:
        return float(fees_bp)
    if tape.instrument.fees is None:
        raise ConfigError(f"audit: {tape.leg} states no fees; give fees_bp (0 where trading is free)")
    return float(tape.instrument.fees.taker_bp)


def _quotes(tape: Tape) -> np.ndarray:
    one = tape.instrument
    return quotes(
        tape.events,
        tick=float(one.tick),
        lot=float(one.lot) * float(one.multiplier),
        inverse=one.contract == "inverse",
        clock_offset_ns=tape.clock_offset_ns,
        assumed_lots=one.assumed_depth_lots,
        one_sided=one_sided(tape),
    )


def _notes(legs: Sequence[Tape], pairs: Sequence[tuple[int, int]]) -> list[str]:
    notes = []
    for i, j in pairs:
        a, b = legs[i].instrument, legs[j].instrument
        if a.quote != b.quote:
            notes.append(f"{legs[i].leg} is quoted in {a.quote}, {legs[j].leg} in {b.quote}: taken at 1:1")
        if a.contract != b.contract or a.expiry_ns != b.expiry_ns:
            notes.append(
                f"{legs[i].leg} and {legs[j].leg} are not the same contract: only exit converge applies"
            )
    for t in legs:
        if one_sided(t):
            notes.append(
                f"{t.leg} shows one side only ({t.header.side}): no price in it is known to be executable"
            )
    return notes


# ---------------------------------------------------------------- one pair
def _pair(
    a: np.ndarray, b: np.ndarray, legs: tuple[Tape, Tape], fees: tuple[float, float], how: Settings
) -> tuple[np.ndarray, list[Direction]]:
    """Episodes (with direction 0 or 1) and the two directions of a pair."""
    raw, totals, slow = find_episodes(
        a,
        b,
        max_age_ns=round(how.max_age_ms * 1e6),
        window_ns=round(how.slow_window_s * 1e9),
        band_sigmas=how.band_sigmas,
    )
    single = one_sided(legs[0]) or one_sided(legs[1])
    halves = [_half_spread_bp(x) for x in (a, b)]
    directions = []
    for k in (0, 1):
        t = totals[k]
        share = float(t["gap_ns"] / t["live_ns"]) if t["live_ns"] else 0.0
        directions.append(
            Direction(
                legs[k].leg,
                legs[1 - k].leg,
                single,
                float(t["live_ns"]) / 1e9,
                share,
                share > how.persist_share,
                slow.median_bp if k == 0 else -slow.median_bp,
                slow.sigma_bp,
                (int(t["n_states"]), int(t["n_gap"]), int(t["n_fresh"]), int(t["n_sane"])),
                _cost(how, (fees[k], fees[1 - k]), (halves[k], halves[1 - k])),
            )
        )
    return _enrich(raw, a, b, directions, how), directions


def _cost(how: Settings, fees: tuple[float, float], halves: tuple[float, float]) -> dict[str, float]:
    """All costs of one package by exit, bp."""
    costs = Costs(
        buy=LegCosts(fee_bp=fees[0], half_spread_bp=halves[0]),
        sell=LegCosts(fee_bp=fees[1], half_spread_bp=halves[1]),
        transfer_bp=how.transfer_bp,
        trades_per_transfer=how.trades_per_transfer,
    )
    same = Touch(1.0)
    return {e: -edge(same, same, costs=costs, exit=e, sigma_bp=0.0).expected_bp for e in EXITS}


def _enrich(raw: np.ndarray, a: np.ndarray, b: np.ndarray, two: list[Direction], how: Settings) -> np.ndarray:
    """Add direction, label, net edges and the gap left at the exchanges after each latency."""
    extra = [("direction", "i8"), ("label", "i8"), ("net_inventory_bp", "f8"), ("net_converge_bp", "f8")]
    dtype = np.dtype([*raw.dtype.descr, *extra, ("later_bp", "f8", (len(how.latency_ms),))])
    out = np.zeros(len(raw), dtype)
    recfunctions.assign_fields_by_name(out, raw)
    out["direction"] = raw["buy"]
    out["label"] = _labels(raw, two)
    beyond = raw["gap_bp"] - np.maximum(raw["slow_bp"], 0.0)
    for k in (0, 1):
        mine = raw["buy"] == k
        out["net_inventory_bp"][mine] = raw["gap_bp"][mine] - two[k].cost_bp["inventory"]
        out["net_converge_bp"][mine] = beyond[mine] - two[k].cost_bp["converge"]
    seen = np.where(raw["clean_ns"] >= 0, raw["clean_ns"], raw["start_ns"])
    touch = [_at_exchange(x) for x in (a, b)]
    for i, ms in enumerate(how.latency_ms):
        now = [
            x[np.maximum(np.searchsorted(t, seen + round(ms * 1e6), side="right") - 1, 0)] for t, x in touch
        ]
        ask = np.where(raw["buy"] == 0, now[0]["ask"], now[1]["ask"])
        bid = np.where(raw["buy"] == 0, now[1]["bid"], now[0]["bid"])
        out["later_bp"][:, i] = 2e4 * (bid - ask) / (bid + ask)
    return out


def _labels(raw: np.ndarray, two: list[Direction]) -> np.ndarray:
    """Class of each episode: clean when half of its time is, else the condition that held longest."""
    times = np.stack(
        [raw[f"in_{c}_ns"] for c in ("clean", "crossed", "stale", "unshared", "explained")], axis=1
    )
    clean = 2 * times[:, CLEAN] >= times.sum(axis=1)
    label = np.where(clean, CLEAN, 1 + np.argmax(times[:, 1:], axis=1))
    for k in (0, 1):
        mine = raw["buy"] == k
        if two[k].persistent:
            label[mine] = BASIS
        if two[k].one_sided:
            label[mine] = np.where(label[mine] == BASIS, SIDE_BIAS, NON_SIMULTANEOUS)
    return label


def _at_exchange(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(x["exchange_ns"], kind="stable")
    return x["exchange_ns"][order], x[order]


def _half_spread_bp(x: np.ndarray) -> float:
    """Median half spread of a sane book, bp; 0 without one."""
    good = (x["ask"] > x["bid"]) & np.isfinite(x["ask"] - x["bid"])
    if not good.any():
        return 0.0
    return float(np.median(1e4 * (x["ask"][good] - x["bid"][good]) / (x["ask"][good] + x["bid"][good])))


def _rows(mine: np.ndarray, d: Direction, how: Settings) -> list[ClassRow]:
    return [
        _row(mine[mine["label"] == k], d, label, how)
        for k, label in enumerate(CLASSES)
        if np.any(mine["label"] == k)
    ]


def _row(e: np.ndarray, d: Direction, label: str, how: Settings) -> ClassRow:
    life = e["end_ns"] - e["start_ns"]
    later = e["later_bp"]
    net = {x: e[f"net_{x}_bp"] for x in EXITS}
    fee_free = d.cost_bp["inventory"]
    return ClassRow(
        d.buy,
        d.sell,
        label,
        len(e),
        float(life.sum() / 1e9 / d.live_s) if d.live_s else 0.0,
        float(np.median(life) / 1e6),
        float(np.median(e["qty"])),
        float(np.median(e["gap_bp"])),
        {x: float(np.median(v)) for x, v in net.items()},
        {x: int(np.count_nonzero(v > 0.0)) for x, v in net.items()},
        {ms: float(np.mean(later[:, i] > 0.0)) for i, ms in enumerate(how.latency_ms)},
        {ms: float(np.mean(later[:, i] > fee_free)) for i, ms in enumerate(how.latency_ms)},
        float(np.median(e["gap_bp"]) / 2.0),
    )
