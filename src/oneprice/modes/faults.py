"""Failing venues, from a seed: answers are dropped, delayed, doubled, reordered; links break and come back.

The exchange half stays honest; what fails is the way between it and us. A broken link loses the answers and
the commands of its leg until it is back; the session is told at the break and at the return, asks `settle_ns`
later, and checks its live orders and executions every `check_ns`, as a live session does. After the last
market row nothing fails any more, so that a run can be reconciled.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.records import ACK, CANCEL_REJECT, COMMAND, EVENT
from oneprice.engine.live import next_private, send_rows
from oneprice.engine.merge import INF
from oneprice.engine.state import Engine
from oneprice.execution.latency import Latency
from oneprice.execution.strategy import Strategy
from oneprice.execution.venue import ExchangeHalf
from oneprice.market.tape import Tape
from oneprice.modes.reconcile import live_orders
from oneprice.modes.recover import AskingSession
from oneprice.modes.replay import describe, engine_for, last_ns, tape_table, venues_for
from oneprice.modes.run import Run
from oneprice.modes.store import Store
from oneprice.risk.limits import Limits

ANSWER, BACK, QUESTION, CHECK = 0, 1, 2, 3  # what is due


class Faults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Probabilities for each answer of a venue, and times in ns. All zero: an honest way."""

    drop: float = 0.0
    delay: float = 0.0  # comes up to `delay_ns` later, so behind answers made after it
    duplicate: float = 0.0  # comes again, up to `delay_ns` later
    disconnect: float = 0.0  # the leg's link breaks instead, for up to `down_ns`
    delay_ns: int = 50_000_000
    down_ns: int = 300_000_000
    settle_ns: int = 100_000_000
    check_ns: int = 500_000_000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("drop", "delay", "duplicate", "disconnect"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"faults.{name}: expected a probability, got {getattr(self, name)}")
        for name in ("delay_ns", "down_ns", "settle_ns", "check_ns"):
            if getattr(self, name) < 1:
                raise ConfigError(f"faults.{name}: expected 1 ns or more, got {getattr(self, name)}")


def faulty(
    strategy: Strategy | Sequence[Strategy],
    tapes: Sequence[Tape],
    *,
    latency: Latency,
    faults: Faults,
    limits: Limits | None = None,
    out: str | Path | None = None,
) -> tuple[Run, dict[str, int]]:
    """A paper session over failing venues; returns the run and how often each fault struck."""
    strategies = (strategy,) if isinstance(strategy, Strategy) else tuple(strategy)
    limits = limits or Limits()
    engine = engine_for(tapes, strategies, limits=limits)
    half = venues_for(engine, tapes, latency, None)
    text = describe(
        engine,
        tapes,
        limits=limits,
        latency=latency,
        policy=None,
        settings=None,
        seed=faults.seed,
        mode="paper",
    )
    store = Store(out, text, engine, durability="async")
    session = FaultySession(engine, half, tape_table(tapes), store, faults, last_ns(tapes))
    session.run(tapes)
    store.finish(engine, session.cursor, session.n_market)
    run = Run(engine, text, store.rows(), store.events(), session.n_market, store.folder, half)
    return run, session.struck


class FaultySession(AskingSession):
    """A session whose answers and commands pass through failing links."""

    def __init__(
        self,
        engine: Engine,
        half: ExchangeHalf,
        table: np.ndarray,
        store: Store,
        faults: Faults,
        quiet_ns: int,
    ) -> None:
        super().__init__(engine, half, table, store)
        self.faults, self._quiet_ns = faults, quiet_ns
        self.struck = {
            "drop": 0,
            "delay": 0,
            "duplicate": 0,
            "disconnect": 0,
            "lost_answer": 0,
            "lost_command": 0,
        }
        self._random = np.random.default_rng(faults.seed)
        self._count = itertools.count()
        self._due: list[tuple[int, int, int, np.ndarray | int]] = []
        self._down: dict[int, int] = {}  # leg -> when its link is back

    def run(self, tapes: Sequence[Tape]) -> None:
        """Trade the tapes without waiting."""
        import threading

        first = min(int(t.events["receive_ns"][0]) for t in tapes)
        self._put(first + self.faults.check_ns, CHECK, 0)
        self.trade(tapes, 0.0, threading.Event(), None)

    def drain_private(self, before_ns: int) -> None:
        """Answers, timers, and what the links do to them, strictly before a time."""
        while True:
            due_ns = self._due[0][0] if self._due else INF
            self._drive["n_private"] = 0
            until = min(before_ns, due_ns)
            if next_private(
                self.engine.arena.address, self.half.address, self._drive, self.table, self._own, until
            ):
                event = self._own.copy()
                if ACK <= int(event["kind"][0]) <= CANCEL_REJECT:
                    self._pass(event, int(event["receive_ns"][0]))
                else:
                    self.inject(event, int(event["receive_ns"][0]))
            elif due_ns < before_ns:
                self._happen(*heapq.heappop(self._due))
            else:
                return

    def flush(self) -> None:
        """As in any session, but commands of a broken link are lost on the way."""
        rows = self.engine.arena.drain()
        if not len(rows):
            return
        self.store.drain(rows, np.zeros(0, EVENT))
        commands = rows[rows["kind"] == COMMAND]
        self.store.commit(int(self.engine.state["now_ns"]), has_commands=bool(len(commands)))
        up = np.array([int(leg) not in self._down for leg in commands["leg"]], bool)
        self.struck["lost_command"] += int((~up).sum())
        if up.any():
            send_rows(self.half.address, commands[up])

    def _pass(self, event: np.ndarray, at_ns: int) -> None:
        """One answer meets its fate."""
        f, leg = self.faults, int(event["leg"][0])
        if leg in self._down:
            self.struck["lost_answer"] += 1
            return
        dice = self._random.random(4)
        later = at_ns + 1 + int(self._random.integers(f.delay_ns))
        if at_ns > self._quiet_ns:
            self.inject(event, at_ns)
        elif dice[0] < f.disconnect:
            self.struck["disconnect"] += 1
            self._down[leg] = at_ns + 1 + int(self._random.integers(f.down_ns))
            self._put(self._down[leg], BACK, leg)
            self.break_links([leg], at_ns)
        elif dice[1] < f.drop:
            self.struck["drop"] += 1
        elif dice[2] < f.delay:
            self.struck["delay"] += 1
            self._put(later, ANSWER, event)
        else:
            if dice[3] < f.duplicate:
                self.struck["duplicate"] += 1
                self._put(later, ANSWER, event.copy())
            self.inject(event, at_ns)

    def _happen(self, at_ns: int, _: int, what: int, item: np.ndarray | int) -> None:
        """Something delayed or planned is due."""
        if what == ANSWER:
            assert isinstance(item, np.ndarray)
            if int(item["leg"][0]) not in self._down:
                self.inject(item, at_ns)
        elif what == BACK:
            assert isinstance(item, int)
            self._down.pop(item, None)
            self.break_links([item], at_ns)  # orders sent while it was broken are as unknown as those before
            self._put(at_ns + self.faults.settle_ns, QUESTION, 0)
        elif what == CHECK:
            legs = [
                i for i in range(len(self.table)) if i not in self._down and len(live_orders(self.engine, i))
            ]
            self.break_links(legs, at_ns)
            # also without live orders: the fill of an order that is done here may have been lost
            self._put(at_ns + self.faults.settle_ns, QUESTION, 0)
            self._put(at_ns + self.faults.check_ns, CHECK, 0)
        elif not self._down:
            self.ask(at_ns)
        else:  # a venue that cannot be reached cannot be asked
            self._put(max(self._down.values()) + self.faults.settle_ns, QUESTION, 0)

    def _put(self, at_ns: int, what: int, item: np.ndarray | int) -> None:
        heapq.heappush(self._due, (at_ns, next(self._count), what, item))
