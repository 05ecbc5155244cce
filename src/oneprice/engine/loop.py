"""The Python side of the compiled loops: it drains sinks, checks that nothing was written to, and names faults."""

from __future__ import annotations

import time
import traceback
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from oneprice.core.arena import SINK, SINK_BYTES, STRATEGY
from oneprice.core.errors import RiskHalt, StrategyError
from oneprice.core.records import EVENT, HALTED, REFIT, VIEW
from oneprice.engine import merge
from oneprice.engine import simulate as sim
from oneprice.engine.live import copy_event, finish, replay_from, simulate_from
from oneprice.engine.nothing import nothing
from oneprice.engine.state import Engine
from oneprice.execution.venue import ExchangeHalf
from oneprice.execution.venue_state import EXECUTION, N_EXECUTIONS

CHUNK_EVENTS = 2_000_000
CHUNK_S = 0.05
PRIVATE_ROWS = 1 << 16
Drain = Callable[[np.ndarray, np.ndarray], None]


@dataclass
class Loop:
    """Progress of one run over tapes: everything that is not in the arenas."""

    engine: Engine
    tapes: np.ndarray  # int64 (n_legs, 4): address of rows, rows, address of order or 0, first row
    ext: np.ndarray  # EVENT: models and operator words, or the private events of a recording
    exchange: ExchangeHalf | None = None  # None: replay
    keep: Sequence[Any] = ()  # what the addresses in `tapes` point into
    cursor: np.ndarray = field(init=False)
    keys: np.ndarray = field(init=False)
    tree: np.ndarray = field(init=False)
    drive: np.ndarray = field(init=False)
    private: np.ndarray = field(init=False)
    asked: list[tuple[int, int, int]] = field(default_factory=list)  # (time, strategy, key): fits asked for, not run

    def __post_init__(self) -> None:
        n = len(self.tapes)
        self.cursor = self.tapes[:, 3].copy()
        self.keys = np.zeros(n, np.int64)
        self.tree = np.zeros(merge.tree_words(n), np.int64)
        self.drive = np.zeros(1, sim.DRIVE)
        self.drive["fit_requests"] = -1
        self.drive["pause_ns"] = self.drive["end_ns"] = self.drive["n_market_end"] = merge.INF
        self.private = np.zeros(PRIVATE_ROWS if self.exchange is not None else 1, EVENT)
        sim.begin(self.tapes, self.cursor, self.keys, self.tree)

    def sink(self) -> np.void:
        """Header of the sink of outgoing rows."""
        at = self.engine.arena.sections["sink"][0]
        return self.engine.arena.buffer[at : at + SINK_BYTES].view(SINK)[0]

    def _parts(self) -> list[np.ndarray]:
        """All progress; the sink and the private events are empty whenever a checkpoint is taken.

        The venues' log of executions is left out: what it holds beyond a checkpoint is written again, the same.
        """
        arena = self.engine.arena
        parts = [arena.buffer[: arena.sections["sink"][0] + SINK_BYTES], self.cursor, self.keys, self.tree, self.drive]
        if self.exchange is None:
            return parts
        raw, at = self.exchange.buffer, int(self.exchange.head[0]["executions_off"])
        return [*parts, raw[:at], raw[at + N_EXECUTIONS * EXECUTION.itemsize :]]

    def checkpoint(self, into: list[np.ndarray] | None = None) -> list[np.ndarray]:
        """Copies of all progress, into the arrays of an earlier one if given."""
        parts = self._parts()
        saved = into or [np.empty_like(part) for part in parts]
        for part, copy in zip(parts, saved, strict=True):
            copy[...] = part
        return saved

    def rollback(self, saved: list[np.ndarray]) -> None:
        """Back to a checkpoint."""
        for part, copy in zip(self._parts(), saved, strict=True):
            part[...] = copy

    def step(self, n_max: int) -> int:
        """Fold up to `n_max` events in compiled code; returns why it stopped."""
        s, d, entries = self.engine.arena.address, self.drive, self.engine.entries
        merged = (self.tapes, self.cursor, self.keys, self.tree)
        if self.exchange is None:
            return int(replay_from(s, d, merged, self.ext, entries, n_max))
        return int(simulate_from(s, self.exchange.address, d, merged, (self.ext, self.private), entries, n_max))


def run(
    loop: Loop,
    drain: Drain,
    *,
    on_fit: Callable[[Loop], None] | None = None,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Fold to the end of the tapes; rows out and private events go to `drain` in order.

    Chunks last about 50 ms, so Ctrl-C and progress bars work; the strategy's parameters are checked after each.

    Raises
    ------
    StrategyError
        A strategy raised (the text names its line) or wrote to its parameters.
    """
    total = max(1, int(loop.tapes[:, 1].sum() - loop.tapes[:, 3].sum()) + len(loop.ext))
    digests = params_digests(loop.engine)
    n_max = 20_000
    saved: list[np.ndarray] | None = None
    while True:
        saved = loop.checkpoint(saved)
        started = time.perf_counter()
        done_before = _folded(loop)
        why = loop.step(n_max)
        spent = time.perf_counter() - started
        if why == sim.GUARD:
            n = _folded(loop) - done_before
            emptied(loop, drain)
            halted = loop.checkpoint()
            loop.rollback(saved)
            error = explain_fault(loop, n)
            loop.rollback(halted)  # the run ends as it was left: halted, the fault counted
            raise error
        emptied(loop, drain)
        check_lost(loop)
        check_params(loop.engine, digests)
        if progress is not None:
            progress(min(1.0, _folded(loop) / total))
        if why == sim.DONE:
            break
        if why == sim.FIT_DUE and on_fit is not None:
            on_fit(loop)
        if why == sim.CHUNK:
            n_max = int(min(CHUNK_EVENTS, max(2_000, n_max * CHUNK_S / max(spent, 1e-4))))
    finish(loop.engine.arena.address)
    emptied(loop, drain)


def _folded(loop: Loop) -> int:
    return int(loop.engine.state["n_events"])


def emptied(loop: Loop, drain: Drain) -> None:
    """Hand over the rows and private events gathered so far: views, to be copied by who keeps them."""
    rows = loop.engine.arena.waiting()
    if loop.drive[0]["fit_requests"] >= 0 and len(rows):
        loop.asked += requests_in(rows)
    n = int(loop.drive[0]["n_private"])
    events = loop.private[:n] if loop.exchange is not None else loop.private[:0]
    loop.drive[0]["n_private"] = 0
    if len(rows) or len(events):
        drain(rows, events)


def requests_in(rows: np.ndarray) -> list[tuple[int, int, int]]:
    """(time, strategy, key) of each request for a fit among ROW[n]."""
    asked = rows[rows["kind"] == REFIT]
    return [(int(r["time_ns"]), int(r["strategy"]), int(r["a"])) for r in asked]


def check_params(engine: Engine, digests: list[int]) -> None:
    """Raise StrategyError, with the strategy's name, if parameters are not what they were."""
    for strategy, before, now in zip(engine.strategies, digests, params_digests(engine), strict=True):
        if before != now:
            raise StrategyError(
                f"strategy {strategy.name} wrote to its parameters `p` in {strategy.function.__code__.co_filename}:"
                " they are read-only, keep state in `m` (memory={...}); trading stopped"
            )


def check_lost(loop: Loop) -> None:
    """Raise RiskHalt if rows or answers found no room: what follows would not be what happened."""
    rows = int(loop.sink()["lost"])
    if rows:
        raise RiskHalt(f"{rows} rows of one event found the sink full: raise settings.sink_rows")
    answers = int(loop.exchange.head[0]["lost"]) if loop.exchange is not None else 0
    if answers:
        raise RiskHalt(f"{answers} answers of the venues found their ring full: send fewer orders at once")


def params_digests(engine: Engine) -> list[int]:
    """crc32 of each strategy's parameters as they lie in the arena."""
    out = []
    for st in engine.arena.section("strategies", STRATEGY):
        at = int(st["params_off"])
        out.append(zlib.crc32(engine.arena.buffer[at : at + int(st["params_bytes"])].tobytes()))
    return out


def explain_fault(loop: Loop, n_events: int) -> StrategyError:
    """Run up to the event before the fault, then call the strategy uncompiled, and say which line raised.

    The loop stands at the last checkpoint; `n_events` includes the faulty one.
    """
    if n_events > 1:
        loop.step(n_events - 1)
    before = loop.checkpoint()
    loop.step(1)
    fault = int(loop.drive[0]["fault"])
    k = max(0, fault - 1)
    event = _event_at_fault(loop)
    loop.rollback(before)
    strategy = loop.engine.strategies[k]
    entries = loop.engine.entries.copy()
    loop.engine.entries[k] = nothing.address
    loop.step(1)
    loop.engine.entries[:] = entries
    try:
        strategy.function(*plain_arguments(loop.engine, k, event))
    except Exception as error:  # noqa: BLE001 - the user's code may raise anything; it is reported, not swallowed
        frames = traceback.extract_tb(error.__traceback__)
        here = next((f for f in reversed(frames) if f.filename == strategy.function.__code__.co_filename), frames[-1])
        text = f"{type(error).__name__}: {error}"
        return StrategyError(
            f"strategy {strategy.name} raised {text}\n  at {here.filename}:{here.lineno}: {here.line}\n"
            f"  on {describe_event(event)}; it is halted, its intents of this call were dropped"
        )
    return StrategyError(
        f"strategy {strategy.name} raised in compiled code but not uncompiled, on {describe_event(event)};"
        " it is halted, its intents of this call were dropped (most likely an index beyond its legs or arrays)"
    )


def _event_at_fault(loop: Loop) -> np.ndarray:
    """The event folded last, as a one-element EVENT array."""
    out = np.zeros(1, EVENT)
    copy_event(int(loop.drive[0]["event_address"]), out)
    return out


def plain_arguments(engine: Engine, k: int, event: np.ndarray) -> tuple[Any, ...]:
    """(event, legs, p, m, orders) as records over the arena, for an uncompiled call."""
    arena, strategy = engine.arena, engine.strategies[k]
    st = arena.section("strategies", STRATEGY)[k]

    def at(name: str, dtype: np.dtype, n: int = 1) -> Any:
        first = int(st[f"{name}_off"])
        return arena.buffer[first : first + n * dtype.itemsize].view(dtype).view(np.recarray)

    intents = arena.state.view(np.recarray)[0].blotter.intents
    return (
        event.view(np.recarray)[0],
        at("views", VIEW, int(st["n_legs"])),
        at("params", strategy.params)[0],
        at("memory", strategy.memory)[0],
        intents,
    )


def describe_event(event: np.ndarray) -> str:
    """`kind 2 of leg 0 at 1700000000000000000 ns`."""
    e = event[0]
    return f"an event of kind {int(e['kind'])} on leg {int(e['leg'])} at {int(e['receive_ns'])} ns"


def is_halted(engine: Engine) -> bool:
    """Whether trading stopped itself."""
    return int(engine.state["halt"]) == HALTED

