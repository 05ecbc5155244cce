"""A session is killed anywhere, recovered and run on: no order lost, none doubled, ledger = venue."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oneprice.core import frames
from oneprice.core.arena import aligned_bytes
from oneprice.core.errors import JournalError
from oneprice.core.journal import Journal, JournalReader
from oneprice.core.records import COMMAND, EVENT, FILL, FILL_ROW, NEW, REJECT
from oneprice.engine.loop import Loop
from oneprice.execution.latency import constant
from oneprice.execution.venue import ExchangeHalf, ex_query, executions
from oneprice.execution.venue_state import EXHEAD, EXLEG, X_DUPLICATE, X_UNKNOWN
from oneprice.market.synthetic import two_venues
from oneprice.modes import paper as paper_mode
from oneprice.modes import replay as replay_mode
from oneprice.modes.rebuild import rebuild
from oneprice.modes.recover import Recovery, recover, venue_again, venue_to
from oneprice.modes.replay import Store, tape_table, venues_for
from oneprice.modes.rerun import rerun
from oneprice.strategies.cross_market import cross_market

LATENCY = constant(5_000, 8_000)  # microseconds: packages are in flight for many events
SETTLE_NS = 100_000_000
STRATEGY = cross_market(warm=50, k_sigma=1.5, edge_bp=0.5, alpha=0.01)


class Killed(Exception):
    """Stands for kill -9."""


class DyingStore(Store):
    """A store that dies at step `at`: before an append (even), behind it, or behind a commit."""

    at = -1
    on_step: Any = None
    last: DyingStore
    half: ExchangeHalf

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.step = 0
        DyingStore.last = self

    def _count(self) -> None:
        if self.step == self.at:
            _bury(self)
            raise Killed
        if self.on_step is not None:
            self.on_step(self)
        self.step += 1

    def drain(self, rows: np.ndarray, events: np.ndarray) -> None:
        self._count()
        super().drain(rows, events)
        self._count()

    def commit(self, now_ns: int, *, has_commands: bool) -> None:
        super().commit(now_ns, has_commands=has_commands)
        if has_commands:
            self._count()


def world(seed: int, minutes: float = 0.15) -> list:
    """Two venues with many gaps, a few thousand rows."""
    return list(two_venues(seed, minutes, real_per_minute=20.0).tapes)


def session(folder: Path, tapes: list, at: int) -> tuple[ExchangeHalf, int]:
    """A paper session that dies at a step; returns the venue as it goes on living, and the steps made."""
    halves: list[ExchangeHalf] = []

    def keep(*args: Any) -> ExchangeHalf:
        halves.append(venues_for(*args))
        DyingStore.half = halves[0]
        return halves[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DyingStore, "at", at)
        patch.setattr(paper_mode, "Store", DyingStore)
        patch.setattr(replay_mode, "venues_for", keep)
        with suppress(Killed):
            paper_mode.paper(STRATEGY, tapes, latency=LATENCY, speed=0, out=folder)
    return halves[0], DyingStore.last.step


def copy_of(half: ExchangeHalf) -> ExchangeHalf:
    """A venue of its own with the same past."""
    buffer = aligned_bytes(half.buffer.nbytes)
    buffer[:] = half.buffer
    head = buffer[: EXHEAD.itemsize].view(EXHEAD)
    at = int(head["legs_off"][0])
    return ExchangeHalf(buffer, head, buffer[at : at + half.legs.nbytes].view(EXLEG))


def _bury(store: Store) -> None:
    """A killed process: its files stay as they are, its lock is gone."""
    journal: Any = store._journal
    journal._map.close()
    journal._map = None
    os.close(journal._file)


def check(recovery: Recovery, half: ExchangeHalf, folder: Path, tapes: list) -> None:
    """All that must hold after a recovery, whatever happened before."""
    run = recovery.run
    assert recovery.check is not None and recovery.check.equal, str(recovery)
    news = run.rows[(run.rows["kind"] == COMMAND) & (run.rows["code"] == NEW)]["client_id"]
    assert len(np.unique(news)) == len(news), "an order was sent under an old id"
    rejects = run.events[run.events["kind"] == REJECT]
    assert not (rejects["reason"] == X_DUPLICATE).any()
    known = set(ex_query(half, [int(c) for c in news]))
    never = set(rejects[rejects["reason"] == X_UNKNOWN]["client_id"].tolist())
    assert known | never == set(news.tolist()) and not known & never, "an order was lost"
    log = executions(half)
    booked = run.rows[run.rows["kind"] == FILL_ROW]
    assert sorted(zip(booked["client_id"], booked["price"], booked["qty"], strict=True)) == sorted(
        zip(log["client_id"], log["price"], log["lots"], strict=True)
    ), "a fill was lost or doubled"
    blotter = run.engine.state["blotter"]
    assert int(blotter["n_open_orders"]) == 0 and int(blotter["n_open_packages"]) == 0
    residuals = blotter["residuals"]["lots"].sum()
    assert int(run.engine.legs()["position_lots"].sum()) == int(residuals), "unhedged and not reported"
    assert run.closes() == 0
    again = rerun(folder, tapes=tapes, strategies=[STRATEGY])
    assert again.equal, str(again)


def crash_and_recover(folder: Path, tapes: list, at: int, cut: int = 0) -> Recovery:
    """Die at a step, lose `cut` bytes of the last frame if it was not synced, recover, run on, check."""
    half, _ = session(folder, tapes, at)
    path = folder / "journal.op"
    if cut:
        reader = JournalReader(path)
        frame = reader.frames[-1]
        with open(path, "r+b") as file:
            file.truncate(max(frame.offset + 1, reader.end - cut))
    recovery = recover(folder, half, tapes=tapes, strategies=[STRATEGY], settle_ns=SETTLE_NS)
    check(recovery, half, folder, tapes)
    return recovery


def steps_of(folder: Path, tapes: list) -> int:
    return session(folder, tapes, -1)[1]


def test_every_boundary(tmp_path: Path) -> None:
    """Killed before and behind each record and each commit of a session with packages in flight."""
    tapes = world(2, 0.1)
    seen = {"steps": 0, "ambiguous": 0, "fills": 0, "never": 0}

    def killed_here(store: DyingStore) -> None:
        folder = tmp_path / f"at{store.step}"
        folder.mkdir()
        journal: Any = store._journal
        raw = (tmp_path / "whole" / "journal.op").read_bytes()
        (folder / "journal.op").write_bytes(raw[: journal.n_bytes + 4096])
        half = copy_of(store.half)
        recovery = recover(
            folder, half, tapes=tapes, strategies=[STRATEGY], settle_ns=SETTLE_NS, durability="async"
        )
        check(recovery, half, folder, tapes)
        seen["steps"] += 1
        seen["ambiguous"] = max(seen["ambiguous"], recovery.ambiguous)
        seen["fills"] += sum(a.n_fills for a in recovery.asked)
        seen["never"] += sum(a.n_never_arrived for a in recovery.asked)
        (folder / "journal.op").unlink()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DyingStore, "on_step", staticmethod(killed_here))
        session(tmp_path / "whole", tapes, -1)
    assert seen["steps"] > 100
    assert seen["ambiguous"] >= 2 and seen["fills"] > 0 and seen["never"] > 0, "nothing was in flight"


def test_inside_records(tmp_path: Path) -> None:
    """Killed while a record was being written: the torn frame is cut, said, and nothing else is lost."""
    tapes = world(2, 0.1)
    n = steps_of(tmp_path / "whole", tapes)
    rng = np.random.default_rng(0)
    torn = 0
    for at in range(1, n, 7):
        folder = tmp_path / f"at{at}"
        half, _ = session(folder, tapes, at)
        journal: Any = DyingStore.last._journal
        if journal._synced >= journal.n_bytes:
            continue  # the last frame was on disk: it cannot be torn
        with open(folder / "journal.op", "r+b") as file:
            last = JournalReader(folder / "journal.op").frames[-1]
            size = frames.HEADER_BYTES + last.payload.nbytes
            file.truncate(last.offset + int(rng.integers(1, size)))
        recovery = recover(folder, half, tapes=tapes, strategies=[STRATEGY], settle_ns=SETTLE_NS)
        torn += recovery.torn != ""
        check(recovery, half, folder, tapes)
    assert torn > 5


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), where=st.floats(0.02, 0.98), again=st.floats(0.02, 0.98))
def test_any_seed_killed_twice(
    tmp_path_factory: pytest.TempPathFactory, seed: int, where: float, again: float
) -> None:
    """Over seeds: killed somewhere, recovered, killed in the recovered session, recovered again."""
    tapes = world(seed)
    folder = tmp_path_factory.mktemp("crash")
    n = steps_of(folder / "whole", tapes)
    half, _ = session(folder / "a", tapes, int(n * where))
    with pytest.MonkeyPatch.context() as patch:
        left = n - int(n * where)
        patch.setattr("oneprice.modes.recover.ResumedStore.drain", _dying_drain(int(left * again) + 5))
        try:
            recovery = recover(folder / "a", half, tapes=tapes, strategies=[STRATEGY], settle_ns=SETTLE_NS)
        except Killed:
            recovery = None
    if recovery is None:
        recovery = recover(folder / "a", half, tapes=tapes, strategies=[STRATEGY], settle_ns=SETTLE_NS)
        assert recovery.epoch == 3
    check(recovery, half, folder / "a", tapes)


def _dying_drain(at: int) -> Any:
    left = [at]

    def drain(self: Store, rows: np.ndarray, events: np.ndarray) -> None:
        left[0] -= 1
        if left[0] == 0:
            _bury(self)
            raise Killed
        Store.drain(self, rows, events)

    return drain


def test_the_venue_dies_too(tmp_path: Path) -> None:
    """A paper session killed with its simulated venue: the venue comes back from the journalled commands."""
    tapes = world(3)
    n = steps_of(tmp_path / "whole", tapes)
    folder = tmp_path / "a"
    half, _ = session(folder, tapes, n // 2)
    back = rebuild(folder, tapes=tapes, strategies=[STRATEGY])
    fresh = venue_again(venues_for(back.engine, tapes, LATENCY, None), back)
    for one in (half, fresh):
        venue_to(one.address, tape_table(tapes), back.last_ns)
    assert executions(fresh).tobytes() == executions(half).tobytes()
    recovery = recover(folder, fresh, tapes=tapes, strategies=[STRATEGY], settle_ns=SETTLE_NS)
    check(recovery, fresh, folder, tapes)


def test_snapshot_shortens_the_fold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recovery from a snapshot in the journal gives the same state as from the start, and folds less."""
    tapes = world(5)
    n = steps_of(tmp_path / "whole", tapes)
    states, counts = [], []
    real = Loop.step
    for taken in (False, True):
        folder = tmp_path / f"snap{taken}"
        session(folder, tapes, n // 2)
        if taken:
            _insert_snapshot(folder, tapes)
        before: list[int] = []

        def step(loop: Loop, n_max: int, before: list[int] = before) -> int:
            before.append(int(loop.engine.state["n_events"]))
            return int(real(loop, n_max))

        monkeypatch.setattr(Loop, "step", step)
        back = rebuild(folder, tapes=tapes, strategies=[STRATEGY])
        states.append(back.engine.arena.snapshot())
        counts.append(before[0])
    assert states[0] == states[1]
    assert counts[0] == 0 and counts[1] > 0


def _insert_snapshot(folder: Path, tapes: list) -> None:
    """Rewrite a journal with a snapshot in its middle, as a driver that takes snapshots leaves it."""
    path = folder / "journal.op"
    raw = path.read_bytes()
    whole = path.with_suffix(".whole")
    whole.write_bytes(raw)
    frames = JournalReader(whole).frames
    at = len(frames) // 2
    while True:
        path.write_bytes(raw[: frames[at + 1].offset])
        back = rebuild(folder, tapes=tapes, strategies=[STRATEGY])
        if not len(back.unsent):
            break
        at += 1  # a moment at which the journal and the fold stand equal
    with Journal.resume(path) as journal:
        journal.append_snapshot(
            back.engine.arena.snapshot(),
            layout=back.engine.layout_digest(),
            cursors=back.cursor.tolist(),
            time_ns=back.last_ns,
            n_events=int(back.engine.state["n_events"]),
        )
        for frame in frames[at + 1 :]:
            journal._append(frame.kind, frame.payload.copy())


def test_an_ended_session_is_not_recovered(tmp_path: Path) -> None:
    """Nothing to do after an orderly end; another strategy text or a damaged journal is refused."""
    tapes = world(2, 0.1)
    half, n = session(tmp_path / "a", tapes, -1)
    with pytest.raises(JournalError, match="nothing to recover"):
        recover(tmp_path / "a", half, tapes=tapes, strategies=[STRATEGY])
    half, _ = session(tmp_path / "b", tapes, n // 2)
    path = tmp_path / "b" / "journal.op"
    frame = JournalReader(path).frames[6]
    raw = bytearray(path.read_bytes())
    raw[frame.offset + 40] ^= 4
    path.write_bytes(raw)
    with pytest.raises(JournalError, match="damaged in the middle"):
        recover(tmp_path / "b", half, tapes=tapes, strategies=[STRATEGY])
    half, _ = session(tmp_path / "c", tapes, n // 2)
    with pytest.raises(JournalError, match=r"expected .* as recorded"):
        recover(
            tmp_path / "c", half, tapes=tapes, strategies=[cross_market(warm=60, k_sigma=1.0, edge_bp=-1.0)]
        )


def test_events_of_the_recovery_are_in_the_journal(tmp_path: Path) -> None:
    """Missed fills, standings and broken links are private events like others: the journal holds each one."""
    tapes = world(2, 0.1)
    n = steps_of(tmp_path / "whole", tapes)
    recovery = crash_and_recover(tmp_path / "a", tapes, n // 2)
    events = JournalReader(tmp_path / "a" / "journal.op").read_events()
    assert events.tobytes() == recovery.run.events.tobytes()
    assert (events["kind"] == FILL).sum() == len(recovery.run.fills()) or events.dtype == EVENT
