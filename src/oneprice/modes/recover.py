"""Recovery: a session that died goes on, with no order lost and none doubled.

1. Cut the torn tail and fold the journal again (`rebuild.py`): the local state as of its last word.
2. Open a new session epoch. The link of each leg is broken: what was in flight or working is *ambiguous*.
3. After `settle_ns` (longer than any message can be on its way) ask each venue (`answers.py`) and feed what
   it says as ordinary events: fills we never saw, then how each order stands. What the venue never got is
   rejected; what it cannot tell stays ambiguous and the engine only reduces.
4. Packages finish or unwind on these events, as on any others. All of it is journalled, so the journal of a
   recovered session replays like any other.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError, JournalError
from oneprice.core.jit import njit
from oneprice.core.journal import Journal, next_epoch
from oneprice.core.journal_read import JournalReader
from oneprice.core.manifest import Manifest
from oneprice.core.records import AMBIGUOUS, COMMAND, EVENT, LINK, OP_EPOCH, OP_REDUCE, OPERATOR, ROW
from oneprice.engine.live import send_rows
from oneprice.engine.loop import requests_in
from oneprice.engine.state import Engine
from oneprice.execution.exchange import ex_catch_up, exchange_at
from oneprice.execution.strategy import Strategy
from oneprice.execution.venue import ExchangeHalf
from oneprice.execution.venue_state import N_RING
from oneprice.market.tape import Tape
from oneprice.modes.answers import Answers, answers_of
from oneprice.modes.fit import Fit, Fitter, resumed
from oneprice.modes.paper import Session
from oneprice.modes.rebuild import Rebuilt, rebuild
from oneprice.modes.reconcile import Reconciliation, SimulatedVenue, live_orders, reconcile
from oneprice.modes.replay import GRACE_NS, last_ns, venues_of
from oneprice.modes.run import Run
from oneprice.modes.store import JOURNAL, SNAPSHOT_EVENTS, Growing, Store

MAX_ASKS = 5


@dataclass
class Recovery:
    """What a recovery found and did."""

    run: Run
    torn: str
    epoch: int
    crashed_ns: int
    ambiguous: int  # orders whose outcome was unknown
    asked: list[Answers] = field(default_factory=list)
    check: Reconciliation | None = None

    def to_dict(self) -> dict[str, Any]:
        """Figures of the recovery and of the whole session as plain values."""
        return {
            "epoch": self.epoch,
            "torn": self.torn,
            "crashed_ns": self.crashed_ns,
            "ambiguous_orders": self.ambiguous,
            "missed_fills": sum(a.n_fills for a in self.asked),
            "never_arrived": sum(a.n_never_arrived for a in self.asked),
            "unresolved": self.asked[-1].unresolved if self.asked else [],
            "reconciliation": self.check.to_dict() if self.check else None,
            "run": self.run.to_dict(),
        }

    def __str__(self) -> str:
        d = self.to_dict()
        lines = [
            f"epoch {self.epoch}: {self.ambiguous} orders were ambiguous, {d['missed_fills']} fills had been"
            f" missed, {d['never_arrived']} orders had never arrived"
        ]
        lines += [self.torn] if self.torn else []
        lines += [f"  {text}" for a in self.asked for text in a.unresolved]
        return "\n".join([*lines, str(self.check) if self.check else ""])


def recover(
    folder: str | Path,
    half: ExchangeHalf | None = None,
    *,
    tapes: Sequence[Tape] | None = None,
    strategies: Sequence[Strategy] | None = None,
    fits: Sequence[Fit] = (),
    settle_ns: int = 1_000_000_000,
    durability: str = "strict",
    snapshot_events: int = SNAPSHOT_EVENTS,
    stop: threading.Event | None = None,
) -> Recovery:
    """Recover a paper session and run it on to the end of its tapes.

    Parameters
    ----------
    half : the simulated venue as it outlived the crash; None: it died with the session, and comes back from
        the manifest and the journalled commands.
    tapes, strategies : where the tapes are not where the manifest says, or the strategies are none of ours.
    fits : those of the session. What was asked for before the crash and had not arrived is run again, on the rows it
        would have seen then.
    settle_ns : must be longer than a command can be on its way.

    Raises
    ------
    JournalError, ConfigError
        The session ended in order, was a replay, or its journal disagrees with tapes, strategies or fits.
    """
    if settle_ns < 0:
        raise ConfigError(f"settle_ns: expected 0 or more, got {settle_ns}")
    if snapshot_events < 1:
        raise ConfigError(f"snapshot_events: expected 1 or more, got {snapshot_events}")
    back = rebuild(folder, tapes=tapes, strategies=strategies)
    fitter, models = fitter_again(back, fits)
    if half is None:
        half = venue_again(venues_of(back.text, back.engine, back.tapes), back)
    epoch = next_epoch(folder, above=max(back.epoch, int(back.engine.state["epoch"])))
    store = ResumedStore(Path(folder), back, epoch, durability)
    session = RecoveringSession(back, half, store, settle_ns)
    session.snapshot_events = snapshot_events
    session.fitter, session.models = fitter, models
    session.open_epoch(epoch)
    session.trade(back.tapes, 0.0, stop or threading.Event(), None)
    store.finish(back.engine, session.cursor, session.n_market)
    run = Run(back.engine, back.text, store.rows(), store.events(), session.n_market, store.folder, half)
    check = reconcile(back.engine, SimulatedVenue(half))
    return Recovery(run, back.torn, epoch, back.last_ns, session.n_ambiguous, session.asked, check)


def manifest_of(folder: str | Path) -> Manifest:
    """What a journal says of its run; JournalError where there is none."""
    path = Path(folder) / JOURNAL
    if not path.is_file():
        raise JournalError(f"{path}: expected the journal of a session, there is none")
    return JournalReader(path).manifest()


class ResumedStore(Store):
    """The journal of a dead session, opened again behind its last whole frame."""

    def __init__(self, folder: Path, back: Rebuilt, epoch: int, durability: str) -> None:
        self.folder = folder
        self._rows, self._events = Growing(ROW), Growing(EVENT)
        self._rows.append(back.rows)
        self._events.append(back.events)
        self._journal = Journal.resume(folder / JOURNAL, durability=durability)
        n_events, cursors = int(back.engine.state["n_events"]), [int(c) for c in back.cursor]
        self._journal.start_session(epoch, time_ns=back.last_ns, n_events=n_events, cursors=cursors)
        if len(back.unsent):  # behind the mark, before any event: so they are known as never sent
            self.drain(back.unsent, back.events[:0])


class AskingSession(Session):
    """A paper session that can be told things from outside and can ask its venues."""

    def __init__(self, engine: Engine, half: ExchangeHalf, table: np.ndarray, store: Store) -> None:
        super().__init__(engine, half, table, store)
        self.asked: list[Answers] = []

    def inject(self, events: np.ndarray, at_ns: int) -> None:
        """Journal events at a time, one by one, and fold each."""
        events["receive_ns"] = at_ns
        events["exchange_ns"][events["exchange_ns"] == 0] = at_ns
        for i in range(len(events)):
            one = events[i : i + 1].copy()
            self.store.drain(self.engine.arena.drain(), one)
            self.fold(int(one.ctypes.data))

    def break_links(self, legs: Sequence[int], at_ns: int) -> None:
        """What is in flight or working on these legs becomes ambiguous."""
        links = np.zeros(len(legs), EVENT)
        links["kind"], links["flag_bits"], links["leg"] = LINK, AMBIGUOUS, legs
        self.inject(links, at_ns)

    def operator(self, key: int, value: int, at_ns: int) -> None:
        """An operator event with a value."""
        word = np.zeros(1, EVENT)
        word["kind"], word["key"], word["value"], word["leg"] = OPERATOR, key, value, -1
        self.inject(word, at_ns)

    def ask(self, at_ns: int) -> Answers:
        """Ask the venues as they stand at a time, and feed what they say."""
        venue_to(self.half.address, self.table, at_ns)
        found = answers_of(self.engine, SimulatedVenue(self.half), self.store.events())
        self.asked.append(found)
        self.inject(found.events, at_ns)
        return found


class RecoveringSession(AskingSession):
    """A session that starts with ambiguous orders and asks the venues once the dust has settled."""

    def __init__(self, back: Rebuilt, half: ExchangeHalf, store: Store, settle_ns: int) -> None:
        super().__init__(back.engine, half, back.table, store)
        self.cursor[:] = back.cursor
        self.n_market = int(back.cursor.sum() - back.table[:, 3].sum())
        self.n_ambiguous = 0
        self._start_ns = max(back.last_ns, 0)
        self._last_row_ns = last_ns(back.tapes)
        self._settle_ns = settle_ns
        self._ask_ns: int | None = None

    def open_epoch(self, epoch: int) -> None:
        """Epoch and broken links as events; answers on their way are gone with the old connection."""
        venue_to(self.half.address, self.table, self._start_ns)
        forget_answers(self.half)
        self.n_ambiguous = len(live_orders(self.engine))
        self.operator(OP_EPOCH, epoch, self._start_ns)
        self.break_links(range(len(self.table)), self._start_ns)
        self._ask_ns = self._start_ns + self._settle_ns

    def drain_private(self, before_ns: int) -> None:
        """As in any session, with the question to the venues at its time."""
        last = before_ns > self._last_row_ns  # behind the tapes: no question is left open
        while self._ask_ns is not None and (last or self._ask_ns < before_ns):
            at_ns, self._ask_ns = self._ask_ns, None
            super().drain_private(at_ns + 1)
            if self.ask(at_ns).unresolved:
                if len(self.asked) < MAX_ASKS:
                    self._ask_ns = at_ns + max(self._settle_ns, 1)
                else:
                    self.operator(OP_REDUCE, 0, at_ns)
            before_ns = max(before_ns, at_ns + GRACE_NS) if last else before_ns
        super().drain_private(before_ns)


@njit
def venue_to(exchange: int, tapes: Any, until_ns: int) -> None:
    """Move every leg of a simulated venue to a time."""
    ex_catch_up(exchange_at(exchange), tapes, until_ns)


def fitter_again(back: Rebuilt, fits: Sequence[Fit]) -> tuple[Fitter | None, np.ndarray]:
    """The fitter of a session as it stood when it died, and the models that were on their way."""
    names = ("first_ns", "every_ns", "latency_ns", "window_ns", "strategy", "on_request", "min_gap_ns")
    recorded = [{n: fit[n] for n in names} for fit in back.text.extra.get("fits", [])]
    given = [{n: getattr(fit, n) for n in names} for fit in fits]
    if recorded != given:
        raise ConfigError(f"fits: expected those of the session, {recorded}, got {given}: pass fits=[...] as it did")
    if not fits:
        return None, np.zeros(0, EVENT)
    fitter = Fitter(fits, back.tapes, back.engine)
    requests = requests_in(back.rows) + requests_in(back.unsent) if fitter.takes_requests else []
    return fitter, resumed(fitter, requests, back.events, back.last_ns)


def forget_answers(half: ExchangeHalf) -> None:
    """Lose the answers on their way, as a broken connection does."""
    head = half.head[0]
    at = int(head["order_off"])
    half.buffer[at : at + 16 * N_RING].view(np.int64)[N_RING:] = np.arange(N_RING)
    head["n_ring"], head["ring_first"], head["n_free"] = 0, 0, N_RING


def venue_again(half: ExchangeHalf, back: Rebuilt) -> ExchangeHalf:
    """A simulated venue that died with the process: a fresh one gets the commands that were sent."""
    commands = back.sent[back.sent["kind"] == COMMAND]
    for i in range(len(commands)):
        venue_to(half.address, back.table, int(commands["time_ns"][i]))
        forget_answers(half)
        send_rows(half.address, commands[i : i + 1])
    return half
