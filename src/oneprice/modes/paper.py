"""Paper: the live driver on a tape, one event at a time, against simulated venues, at its pace or faster.

The loop is the one real venues will use: journal the event, fold it through `live_step`, journal what came
out, commit, then send. A stop (Ctrl-C) is an operator event like any other: working orders are cancelled,
packages are finished or unwound, and the journal replays to the same commands.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError, StrategyError
from oneprice.core.instruments import Fees
from oneprice.core.records import COMMAND, EVENT, OP_STOP, OPERATOR
from oneprice.engine import simulate as sim
from oneprice.engine.live import finish, live_step, next_private, send_rows
from oneprice.engine.loop import check_params, params_digests, requests_in
from oneprice.engine.merge import INF
from oneprice.engine.state import Engine, Settings
from oneprice.execution.latency import Latency
from oneprice.execution.package import PackagePolicy
from oneprice.execution.strategy import Strategy
from oneprice.execution.venue import FillModel
from oneprice.market.tape import Tape, join_events
from oneprice.modes.fit import Fit, Fitter, in_order
from oneprice.modes.replay import (
    GRACE_NS,
    last_ns,
    opened,
    tape_table,
)
from oneprice.modes.run import Run
from oneprice.modes.store import SNAPSHOT_EVENTS, Store
from oneprice.risk.limits import Limits

SETTLE_NS = 10_000_000_000  # event time given to what works after a stop


def paper(
    strategy: Strategy | Sequence[Strategy],
    tapes: Sequence[Tape],
    *,
    latency: Latency | Mapping[str, Latency],
    limits: Limits | None = None,
    speed: float = 1.0,
    fees: Fees | Mapping[str, Fees] | None = None,
    settings: Settings | None = None,
    policy: PackagePolicy | None = None,
    fills: FillModel | Mapping[str, FillModel] | None = None,
    fits: Sequence[Fit] = (),
    seed: int = 0,
    out: str | Path | None = None,
    durability: str = "strict",
    snapshot_events: int = SNAPSHOT_EVENTS,
    stop: threading.Event | None = None,
    status: Callable[[dict[str, Any]], None] | None = None,
) -> Run:
    """Trade tapes on paper.

    Parameters
    ----------
    speed : tape seconds a second; 0 or infinity runs without waiting.
    fits : estimators, on a schedule or on request, as `replay` takes them.
    out : folder of the journal, written ahead of every send. It takes the folder's next session epoch, and
        refuses a folder that has a journal already.
    snapshot_events : events between two snapshots in the journal; a recovery folds from the last one.
    stop : set it (or press Ctrl-C) to stop cleanly.
    status : called about twice a second with figures of the session.
    """
    if not speed >= 0:
        raise ConfigError(f"speed: expected 0 (no waiting) or more, got {speed}")
    if snapshot_events < 1:
        raise ConfigError(f"snapshot_events: expected 1 or more, got {snapshot_events}")
    chosen, engine, half, text = opened(
        strategy,
        tapes,
        latency=latency,
        limits=limits,
        fees=fees,
        settings=settings,
        policy=policy,
        fills=fills,
        fits=fits,
        seed=seed,
        mode="paper",
    )
    fitter = Fitter(fits, chosen, engine)
    store = Store(out, text, engine, durability=durability)
    session = Session(engine, half, tape_table(chosen), store)
    session.fitter = fitter if fits else None
    session.snapshot_events = snapshot_events
    flag = stop or threading.Event()
    with _ctrl_c(flag):
        session.trade(chosen, speed, flag, status)
    store.finish(engine, session.cursor, session.n_market)
    extra = {"fits": fitter.counts()} if fits else {}
    return Run(engine, text, store.rows(), store.events(), session.n_market, store.folder, half, extra)


class Session:
    """Progress of one paper session."""

    def __init__(self, engine: Engine, half: Any, table: np.ndarray, store: Store) -> None:
        self.engine, self.half, self.table, self.store = engine, half, table, store
        self.cursor = np.zeros(len(table), np.int64)
        self.n_market = 0
        self.snapshot_events = SNAPSHOT_EVENTS
        self.fitter: Fitter | None = None
        self.models = np.zeros(0, EVENT)  # given by fits and not yet folded, in order
        self._since_snapshot = 0
        self._entries = int(engine.entries.ctypes.data)
        self._drive = np.zeros(1, sim.DRIVE)
        self._own = np.zeros(1, EVENT)
        self._digests = params_digests(engine)

    def trade(self, tapes: Sequence[Tape], speed: float, stop: threading.Event, status: Any) -> None:
        """Fold all events in time order, waiting for their time; stop when asked.

        The journal of a strategy's fault ends there, in order, and can be rerun up to it.
        """
        try:
            self._trade(tapes, speed, stop, status)
        except StrategyError:
            self.store.finish(self.engine, self.cursor, self.n_market)
            raise
        except BaseException:
            self.store.abandon()
            raise

    def _trade(self, tapes: Sequence[Tape], speed: float, stop: threading.Event, status: Any) -> None:
        stamps = np.concatenate([t.events["receive_ns"] for t in tapes])
        legs = np.repeat(np.arange(len(tapes)), [len(t) for t in tapes])
        order = np.lexsort((legs, stamps))  # stable: ties by leg, then by row
        rows = [t.events for t in tapes]
        base = [int(self.table[i, 0]) for i in range(len(tapes))]
        order = order[self.n_market :]  # a recovered session goes on where it stopped
        pace = _Pace(speed, int(stamps[order[0]]) if len(order) else 0)
        told = time.monotonic()
        ending = INF
        for j in order:
            leg = int(legs[j])
            row = int(self.cursor[leg])
            at_ns = int(rows[leg]["receive_ns"][row])
            self.drain_private(at_ns)
            pace.wait(at_ns, stop)
            if stop.is_set() and ending == INF and at_ns > int(self.engine.state["now_ns"]):
                # between two times: the word follows all rows of its nanosecond, as the tie rule has it
                self.tell(OP_STOP)
                self.drain_private(at_ns)  # what it set off may be due before the next row
                ending = at_ns + SETTLE_NS
            if ending != INF and (self.idle() or at_ns > ending):
                break
            self.cursor[leg] += 1
            self.n_market += 1
            self.fold(base[leg] + row * EVENT.itemsize)
            if status is not None and time.monotonic() - told > 0.5:
                told = time.monotonic()
                status(self.figures(len(order)))
        else:
            self.drain_private(last_ns(tapes) + GRACE_NS + 1)
        self.snapshot()  # before the last marks: a session that dies while it ends is folded up to here
        finish(self.engine.arena.address)
        self.flush()
        check_params(self.engine, self._digests)
        if status is not None:
            status(self.figures(len(order)))

    def drain_private(self, before_ns: int) -> None:
        """Fold answers, timers and models due strictly before a time (venue data goes first at ties, models last).

        A scheduled fit runs before any event at or after its time.
        """
        address = self.engine.arena.address
        while True:
            fit_ns = self.fitter.next_ns if self.fitter is not None else INF
            model_ns = int(self.models["receive_ns"][0]) if len(self.models) else INF
            until_ns = min(before_ns, fit_ns, model_ns + 1 if model_ns < INF else INF)
            self._drive["n_private"] = 0
            if next_private(address, self.half.address, self._drive, self.table, self._own, until_ns):
                self.take(self._own)
            elif self.fitter is not None and fit_ns <= min(model_ns, before_ns):
                self.expect(self.fitter.due(fit_ns))
            elif model_ns < before_ns:
                self._own[...], self.models = self.models[:1], self.models[1:]
                self.take(self._own)
            else:
                return

    def take(self, event: np.ndarray) -> None:
        """Journal a private event and fold it."""
        self.store.drain(self.engine.arena.drain(), event.copy())
        self.fold(int(event.ctypes.data))

    def expect(self, models: np.ndarray) -> None:
        """MODEL events of a fit, to be folded when their time has come."""
        self.models = in_order(join_events([self.models, models]))

    def tell(self, key: int) -> None:
        """An operator event now."""
        event = np.zeros(1, EVENT)
        now = int(self.engine.state["now_ns"])
        event["receive_ns"] = event["exchange_ns"] = now
        event["kind"], event["key"], event["leg"] = OPERATOR, key, -1
        self.store.drain(self.engine.arena.drain(), event)
        self.fold(int(event.ctypes.data))

    def fold(self, address: int) -> None:
        """One event through `live_step`; what comes out is journalled and committed before it is sent."""
        state = self.engine.arena.address
        n = live_step(state, address, self._entries)
        if n < 0:
            self.flush()
            raise StrategyError(
                f"strategy {self.engine.strategies[-n - 1].name} raised; trading is halted; for the line:"
                f" oneprice.rerun({str(self.store.folder or 'a run with out=...')!r})"
            )
        if n:
            self.flush()
        self._since_snapshot += 1
        if self._since_snapshot >= self.snapshot_events:
            self.snapshot()

    def snapshot(self) -> None:
        """Journal the state as it stands between two events."""
        self._since_snapshot = 0
        self.store.snapshot(self.engine, self.cursor)

    def flush(self) -> None:
        """Journal the rows in the sink, commit, then hand the commands to the venues."""
        rows = self.engine.arena.drain()
        if not len(rows):
            return
        self.store.drain(rows, rows[:0].view(EVENT))
        commands = rows[rows["kind"] == COMMAND]
        self.store.commit(int(self.engine.state["now_ns"]), has_commands=bool(len(commands)))
        if len(commands):
            check_params(self.engine, self._digests)
            send_rows(self.half.address, commands)
        if self.fitter is not None and self.fitter.takes_requests:
            for request in requests_in(rows):  # when all that was decided is sent
                self.expect(self.fitter.asked(*request))

    def idle(self) -> bool:
        """Nothing works and no package is open."""
        blotter = self.engine.state["blotter"]
        return int(blotter["n_open_orders"]) == 0 and int(blotter["n_open_packages"]) == 0

    def figures(self, total: int) -> dict[str, Any]:
        """What a status line shows."""
        s = self.engine.state
        return {
            "done": self.n_market / max(1, total),
            "time_ns": int(s["now_ns"]),
            "events": int(s["n_events"]),
            "open_orders": int(s["blotter"]["n_open_orders"]),
            "open_packages": int(s["blotter"]["n_open_packages"]),
            "halt": int(s["halt"]),
        }


class _Pace:
    """Waits until the wall clock has reached a tape time."""

    def __init__(self, speed: float, first_ns: int) -> None:
        self._speed = 0.0 if speed == float("inf") else speed
        self._first_ns, self._start = first_ns, time.monotonic()

    def wait(self, at_ns: int, stop: threading.Event) -> None:
        if self._speed == 0.0 or stop.is_set():
            return
        due = self._start + (at_ns - self._first_ns) * 1e-9 / self._speed
        left = due - time.monotonic()
        if left > 0:
            stop.wait(left)


@contextmanager
def _ctrl_c(flag: threading.Event) -> Iterator[None]:
    """Ctrl-C sets the flag instead of raising (main thread only)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: flag.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
