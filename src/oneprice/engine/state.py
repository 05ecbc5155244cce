"""Build an engine: instruments, strategies and limits laid into one arena, ready to fold."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from oneprice.core.address import record_at
from oneprice.core.arena import POSITION, STRATEGY, Arena, build_arena, state_dtype
from oneprice.core.errors import ConfigError, unknown_name
from oneprice.core.instruments import Instrument, Number, Scales, to_legs
from oneprice.core.records import ACTIVE, EVENT, LEG, N_STRATEGIES, NO_PRICE, VIEW, record
from oneprice.engine.entry import Entry, compile_entry
from oneprice.engine.merge import INF
from oneprice.execution.blotter import BLOTTER, init_blotter
from oneprice.execution.package import PackagePolicy
from oneprice.execution.strategy import CALLS, Strategy
from oneprice.market import book
from oneprice.risk.limits import Limits
from oneprice.risk.records import GATE, LEDGER
from oneprice.risk.records import sections as risk_sections
from oneprice.risk.setup import init as init_risk

SEEN = record([("words", "i8", (EVENT.itemsize // 8,))])  # the copy of the event that strategies are shown
STATE = state_dtype(("seen", SEEN), ("blotter", BLOTTER), ("gate", GATE), ("ledger", LEDGER))
state_at = record_at(STATE)
FAR_LOG2 = 12


@dataclass(frozen=True)
class Settings:
    """What an engine is built with beside instruments, strategies, limits and policy."""

    capital: Number | dict[str, Number] = 1_000_000  # report currency, on the first venue or by venue
    report: str = ""  # report currency; empty: that of the first instrument
    fx: dict[str, Number] = field(default_factory=dict)  # report currency for one unit of each other currency
    epoch: int = 1  # session epoch, top bits of client ids
    sample_ns: int = 1_000_000_000
    horizon_ns: int = 1_000_000_000  # markout horizon of adverse selection
    max_price_ticks: int | dict[str, int] = 100_000_000
    clocks: dict[str, tuple[int, int]] = field(default_factory=dict)  # symbol -> (offset_ns, bound_ns)
    sink_rows: int = 1 << 16


@dataclass(frozen=True)
class Engine:
    """A built engine: the arena and what gives its integers their meaning."""

    arena: Arena
    instruments: tuple[Instrument, ...]
    strategies: tuple[Strategy, ...]
    legs_of_strategy: tuple[tuple[int, ...], ...]
    scales: Scales
    entries: np.ndarray  # int64 addresses
    keep: tuple[Entry, ...]

    @property
    def state(self) -> np.void:
        """The STATE record (reads and writes go through)."""
        return self.arena.state[0]

    def legs(self) -> np.ndarray:
        return self.arena.section("legs", LEG)

    def positions(self) -> np.ndarray:
        """POSITION (n_strategies, n_legs)."""
        return self.arena.section("positions", POSITION).reshape(len(self.strategies), len(self.instruments))

    def layout_digest(self) -> str:
        """Changes when a snapshot of another build could not be laid back."""
        text = repr((STATE.descr, LEG.descr, VIEW.descr, self.arena.sections, [str(s.memory) for s in self.strategies]))
        return hashlib.sha256(text.encode()).hexdigest()

    def state_digest(self) -> str:
        """sha256 of the state's bytes: equal for equal folds."""
        return hashlib.sha256(self.arena.snapshot()).hexdigest()


def build(
    instruments: Sequence[Instrument],
    strategies: Sequence[Strategy],
    *,
    limits: Limits,
    policy: PackagePolicy | None = None,
    settings: Settings | None = None,
) -> Engine:
    """Lay an engine into an arena.

    Each strategy trades the legs its `legs` names (symbols, in its own order), or all of them in the given order.

    Raises
    ------
    ConfigError
        No instrument or strategy, too many of them, a leg a strategy names that is not there, missing fees, limits
        or scales that cannot be exact.
    """
    use = settings or Settings()
    if not 1 <= len(strategies) <= N_STRATEGIES:
        raise ConfigError(f"strategies: expected 1 to {N_STRATEGIES}, got {len(strategies)}")
    legs, scales = to_legs(instruments, max_price_ticks=use.max_price_ticks)
    subscriptions = tuple(_legs_of(s, scales) for s in strategies)
    sections, places = _sections(instruments, strategies, subscriptions, scales)
    arena = build_arena(STATE, sections, sink_rows=use.sink_rows)
    s = arena.state[0]
    s["n_legs"], s["n_strategies"] = len(legs), len(strategies)
    s["n_currencies"], s["n_venues"] = len(scales.currencies), len(scales.venues)
    s["n_underlyings"] = len(scales.underlyings)
    s["epoch"], s["halt"] = use.epoch, ACTIVE
    s["sample_ns"], s["next_sample_ns"] = use.sample_ns, INF
    legs["fx_currency"] = -1
    for name, (offset_ns, bound_ns) in use.clocks.items():
        legs[scales.symbols.index(name)]["clock_offset_ns"] = offset_ns
        legs[scales.symbols.index(name)]["clock_bound_ns"] = bound_ns
    arena.section("legs", LEG)[:] = legs
    for k, strategy in enumerate(strategies):
        _lay_strategy(arena, k, strategy, subscriptions[k], places[k])
    _lay_subscribers(arena, subscriptions)
    _lay_books(arena, instruments)
    init_blotter(arena, policy or PackagePolicy())
    init_risk(
        arena, limits, instruments, scales,
        capital=use.capital, report=use.report, fx=use.fx, horizon_ns=use.horizon_ns,
        strategies=[one.name for one in strategies],
    )  # fmt: skip
    entries = _compiled(strategies)
    addresses = np.array([e.address for e in entries], np.int64)
    return Engine(arena, tuple(instruments), tuple(strategies), subscriptions, scales, addresses, entries)


def _compiled(strategies: Sequence[Strategy]) -> tuple[Entry, ...]:
    """Entries of the strategies; a cache without the engine itself is filled now, in two processes."""
    from oneprice.engine.warm import ensure  # it imports the kernels that take what this file lays out

    return ensure(lambda: tuple(compile_entry(one) for one in strategies))


def _legs_of(strategy: Strategy, scales: Scales) -> tuple[int, ...]:
    names = strategy.legs or scales.symbols
    for name in names:
        if name not in scales.symbols:
            raise unknown_name(f"leg of strategy {strategy.name}", name, list(scales.symbols))
    return tuple(scales.symbols.index(name) for name in names)


def _sections(
    instruments: Sequence[Instrument], strategies: Sequence[Strategy], subscriptions: Any, scales: Scales
) -> tuple[dict[str, int], list[dict[str, int]]]:
    """Bytes of each section, and where each strategy's parts lie inside the private section."""
    n_legs, n = len(instruments), len(strategies)
    places, at = [], 0
    for strategy, own in zip(strategies, subscriptions, strict=True):
        place = {}
        for name, length in (
            ("views", len(own) * VIEW.itemsize),
            ("params", strategy.params.itemsize),
            ("memory", strategy.memory.itemsize),
            ("stage", strategy.memory["model"].itemsize if "model" in (strategy.memory.names or ()) else 0),
        ):
            place[name] = at
            at = (at + length + 63) // 64 * 64
        places.append(place)
    books = sum(book.book_bytes(i.book_log2, FAR_LOG2) for i in instruments if i.book_log2)
    return {
        "legs": n_legs * LEG.itemsize,
        "positions": n * n_legs * POSITION.itemsize,
        "strategies": n * STRATEGY.itemsize,
        "subs": sum(len(own) for own in subscriptions) * 16,
        "private": at,
        **risk_sections(n_legs, n, len(scales.currencies), len(scales.venues)),
        "books": books,
    }, places


def _lay_strategy(arena: Arena, k: int, strategy: Strategy, own: tuple[int, ...], place: dict[str, int]) -> None:
    base = arena.sections["private"][0]
    st = arena.section("strategies", STRATEGY)[k]
    st["n_legs"] = len(own)
    for name in ("views", "params", "memory", "stage"):
        st[f"{name}_off"] = base + place[name]
    st["params_bytes"], st["memory_bytes"] = strategy.params.itemsize, strategy.memory.itemsize
    raw = strategy.values.tobytes()
    at = base + place["params"]
    arena.buffer[at : at + len(raw)] = np.frombuffer(raw, np.uint8)
    st["params_digest"] = zlib.crc32(raw)
    st["guard"] = 1
    st["called"] = CALLS.index(strategy.calls)
    fields: Any = strategy.memory.fields or {}
    if "model" in fields:
        st["model_off"] = base + place["memory"] + fields["model"][1]
        st["model_bytes"] = fields["model"][0].itemsize
    legs = arena.section("legs", LEG)
    at = base + place["views"]
    views = arena.buffer[at : at + len(own) * VIEW.itemsize].view(VIEW)
    for slot, i in enumerate(own):
        v, leg = views[slot], legs[i]
        v["leg"], v["tick"], v["lot_qty"] = i, leg["tick"], leg["lot"]
        for name in ("bid", "ask", "mid", "last"):
            v[name] = np.nan
        v["bid_ticks"] = v["ask_ticks"] = NO_PRICE
        v["maker_fee_bp"], v["taker_fee_bp"] = leg["maker_fee_e9"] / 1e5, leg["taker_fee_e9"] / 1e5
        for name in ("stale_ns", "clock_bound_ns", "venue", "currency", "underlying", "contract", "trading"):
            v[name] = leg[name]


def _lay_subscribers(arena: Arena, subscriptions: tuple[tuple[int, ...], ...]) -> None:
    legs = arena.section("legs", LEG)
    pairs = arena.section("subs", np.dtype("i8")).reshape(-1, 2)
    at = 0
    for i in range(len(legs)):
        mine = [(k, own.index(i)) for k, own in enumerate(subscriptions) if i in own]
        legs[i]["subs_off"], legs[i]["n_subs"] = arena.sections["subs"][0] + 16 * at, len(mine)
        pairs[at : at + len(mine)] = np.array(mine, np.int64).reshape(-1, 2)
        at += len(mine)


def _lay_books(arena: Arena, instruments: Sequence[Instrument]) -> None:
    legs = arena.section("legs", LEG)
    at = arena.sections["books"][0]
    for i, one in enumerate(instruments):
        if one.book_log2:
            book.book_init_at(arena.address + at, one.book_log2, FAR_LOG2)
            legs[i]["book_off"] = at
            at += book.book_bytes(one.book_log2, FAR_LOG2)
    for st in arena.section("strategies", STRATEGY):
        first = int(st["views_off"])
        views = arena.buffer[first : first + int(st["n_legs"]) * VIEW.itemsize].view(VIEW)
        for slot in range(len(views)):
            off = int(legs[views[slot]["leg"]]["book_off"])
            views[slot]["book_rel"] = off - (first + slot * VIEW.itemsize) if off else 0
