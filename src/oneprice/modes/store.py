"""Where the rows and private events of a run go: memory, and a journal when a folder is given.

What an older journal in that folder means is decided here. A session that traded, on paper or for real, is
the only word about its orders: its journal is never written over. A replay can be made again: a finished
journal of one gives way to the next replay, an unfinished one is kept beside it as `journal.op.unfinished`.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from oneprice.core.errors import JournalError
from oneprice.core.journal import Journal, next_epoch, refuse_writer
from oneprice.core.journal_read import JournalReader
from oneprice.core.manifest import Manifest
from oneprice.core.records import EVENT, ROW
from oneprice.engine.state import Engine

JOURNAL = "journal.op"
UNFINISHED = "journal.op.unfinished"
FIRST_ROWS = 1 << 12
SNAPSHOT_EVENTS = 100_000  # events folded between two snapshots of a session


class Growing:
    """Records in one array that grows where it lies: a long run's rows are never held twice."""

    def __init__(self, dtype: np.dtype) -> None:
        self._data, self._n, self._lent = np.zeros(0, dtype), 0, False

    def append(self, part: np.ndarray) -> None:
        """Copy records to the end. An array handed out before is left alone: its reader keeps what it had."""
        end = self._n + len(part)
        if end > len(self._data):
            room = max(end, len(self._data) + (len(self._data) >> 2), FIRST_ROWS)
            if self._lent:
                before, self._data, self._lent = self._data, np.zeros(room, self._data.dtype), False
                self._data.view(np.int64)[: self._n * 8] = before[: self._n].view(np.int64)
            else:
                self._data.resize(room, refcheck=False)
        self._data.view(np.int64)[self._n * 8 : end * 8] = np.ascontiguousarray(part).view(np.int64)
        self._n = end

    def all(self) -> np.ndarray:
        """What there is so far, without a copy."""
        self._lent = True
        return self._data[: self._n]


class Store:
    """Rows and private events of a run.

    A session, which is any mode but replay, takes the folder's next epoch, on disk before its first order.
    """

    def __init__(self, out: str | Path | None, text: Manifest, engine: Engine, *, durability: str = "async") -> None:
        self.folder = Path(out) if out is not None else None
        self._rows, self._events = Growing(ROW), Growing(EVENT)
        self._journal: Journal | None = None
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / JOURNAL
            above = make_way(path, text.mode)
            if text.mode != "replay":
                least = int(engine.state["epoch"]) - 1  # of the settings
                engine.state["epoch"] = next_epoch(self.folder, above=max(above, least))
            self._journal = Journal.create(path, text, durability=durability)
            self._journal.start_session(int(engine.state["epoch"]), time_ns=0)
            (self.folder / "manifest.json").write_bytes(text.to_json())

    def drain(self, rows: np.ndarray, events: np.ndarray) -> None:
        """Take what a chunk produced, private events first: what came in before what went out."""
        if len(events):
            self._events.append(events)
            if self._journal is not None:
                self._journal.append_events(events)
        if len(rows):
            self._rows.append(rows)
            if self._journal is not None:
                self._journal.append_rows(rows)

    def commit(self, now_ns: int, *, has_commands: bool) -> None:
        """What was handed over is safe before this returns, as far as the durability asks."""
        if self._journal is not None and not self._journal.commit(now_ns, has_commands=has_commands):
            self._journal.sync()

    def snapshot(self, engine: Engine, cursors: np.ndarray) -> None:
        """The state between two events, all that came out of it journalled: recovery folds on from here."""
        if self._journal is not None:
            s = engine.state
            self._journal.append_snapshot(
                engine.arena.snapshot(),
                layout=engine.layout_digest(),
                cursors=cursors.tolist(),
                time_ns=int(s["now_ns"]),
                n_events=int(s["n_events"]),
            )

    def finish(self, engine: Engine, cursors: np.ndarray, n_market: int) -> None:
        """Close the journal with the end of the session and the digest of the final state."""
        if self._journal is not None:
            s = engine.state
            self._journal.end_session(
                int(s["epoch"]),
                time_ns=int(s["now_ns"]),
                n_events=int(s["n_events"]),
                cursors=[int(c) for c in cursors],
                digest=engine.state_digest(),
            )
            self._journal.close()

    def abandon(self) -> None:
        """Close what there is: a journal without an end can still be read."""
        if self._journal is not None:
            self._journal.close()

    def rows(self) -> np.ndarray:
        """All rows so far, ROW[n]."""
        return self._rows.all()

    def events(self) -> np.ndarray:
        """All private events so far, EVENT[n]."""
        return self._events.all()


def make_way(path: Path, mode: str) -> int:
    """Let a journal of `mode` be created at `path`; returns the highest epoch that was used there.

    Raises JournalError where the older journal must stay.
    """
    if not path.exists():
        return 0
    refuse_writer(path)
    reader = JournalReader(path)
    old = reader.manifest().mode if reader.frames else ""
    marks = reader.read_sessions()
    epoch = max((mark.epoch for mark in marks), default=0)
    whose = f"that of a {old} session" if old else "one that holds no manifest"
    if old not in ("", "replay") and not reader.closed:
        raise JournalError(
            f"{path}: expected no journal, found {whose} that did not end: recover it first"
            f" (oneprice recover {path.parent}), or give another --out"
        )
    if mode != "replay" or old not in ("", "replay"):
        raise JournalError(
            f"{path}: expected no journal, found {whose}: only a replay gives way, and only to a replay;"
            " give another --out"
        )
    if old and not reader.closed:
        os.replace(path, path.with_name(UNFINISHED))
    else:
        path.unlink()
    return epoch
