"""Fold a journal to its last word: the local state of a session as it was when it died.

Tapes and private events are folded again, from the last snapshot of this layout if there is one. Rows decided
behind the last journalled one were never sent (a command is sent after it is journalled): they are handed
back as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oneprice.core import frames
from oneprice.core.errors import JournalError, StrategyError
from oneprice.core.journal import cut_behind, refuse_writer
from oneprice.core.journal_read import JournalReader
from oneprice.core.manifest import Manifest
from oneprice.core.records import COMMAND, ROW
from oneprice.engine import simulate as sim
from oneprice.engine.loop import Loop
from oneprice.engine.state import Engine
from oneprice.execution.strategy import Strategy
from oneprice.market.tape import Tape
from oneprice.modes.replay import tagged, tape_table
from oneprice.modes.rerun import check_tapes, engine_of, named_strategies, recorded_tapes
from oneprice.modes.store import JOURNAL


@dataclass(frozen=True)
class Rebuilt:
    """The local half as of the last word of a journal."""

    engine: Engine
    text: Manifest
    tapes: list[Tape]
    table: np.ndarray  # tapes as the kernels take them
    cursor: np.ndarray  # int64[n_legs]: rows folded
    rows: np.ndarray  # ROW[n] journalled
    events: np.ndarray  # EVENT[n] journalled
    sent: np.ndarray  # ROW[n] journalled by the session that was to send them
    unsent: np.ndarray  # ROW[n] decided after the last journalled row: never sent
    last_ns: int
    epoch: int  # the highest epoch in the journal
    torn: str  # what was cut, in words, or ""


def rebuild(
    folder: str | Path, *, tapes: Sequence[Tape] | None = None, strategies: Sequence[Strategy] | None = None
) -> Rebuilt:
    """Fold a journal to its last word; a torn tail is cut from the file.

    Raises
    ------
    JournalError, ConfigError
        The journal is damaged, disagrees with its tapes or strategies, or its session ended in order.
    """
    path = Path(folder) / JOURNAL
    if not path.is_file():
        raise JournalError(f"{path}: expected the journal of a session, there is none")
    refuse_writer(path)
    reader = JournalReader(path, recover=True)
    text = reader.manifest()
    if text.mode == "replay":
        raise JournalError(f"{path}: expected a session that traded, this is a replay: replay it again")
    marks = reader.read_sessions()
    if marks and not marks[-1].start:
        raise JournalError(
            f"{path}: expected a session that died, this one ended in order: nothing to recover"
        )
    chosen = tagged(tapes if tapes is not None else recorded_tapes(text))
    check_tapes(text, chosen)
    engine = engine_of(text, strategies or named_strategies(text))
    engine.state["next_sample_ns"] = min(int(t.events["receive_ns"][0]) for t in chosen)
    if marks:
        engine.state["epoch"] = marks[0].epoch  # later ones come as events
    rows, events = reader.read_rows(), reader.read_events()
    last_ns = max(int(rows["time_ns"].max(initial=-1)), int(events["receive_ns"].max(initial=-1)))
    table = tape_table(chosen)
    first = _from_snapshot(reader, engine)
    since = first.seq if first else -1
    loop = Loop(engine, table, reader.read_events(after=since), keep=chosen)
    if first:
        loop.cursor[:] = first.cursors
        last_ns = max(last_ns, _reached_ns(chosen, first.cursors))
        sim.begin(loop.tapes, loop.cursor, loop.keys, loop.tree)
    loop.drive["end_ns"] = last_ns
    again = _fold(loop)
    recorded = reader.read_rows(after=since)
    n = min(len(recorded), len(again))
    _same(path, recorded[:n], again[:n])
    if len(recorded) > n:
        rows = rows[: _cut_ending(path, reader, recorded[n:], len(rows) - len(recorded) + n)]
    epoch = max((m.epoch for m in marks), default=0)
    torn = str(reader.torn) if reader.torn else ""
    sent = rows[was_sent(reader)[: len(rows)]]
    kept = (rows, events, sent, again[n:])
    return Rebuilt(engine, text, chosen, table, loop.cursor, *kept, last_ns, epoch, torn)


def was_sent(reader: JournalReader) -> np.ndarray:
    """bool[n rows]: False for what a recovery found decided but not journalled, and so never sent.

    Such rows stand between a session's second or later start and its first event.
    """
    parts = [np.zeros(0, bool)]
    starts, late = 0, False
    for frame in reader.frames:
        if frame.kind == frames.SESSION_START:
            starts += 1
            late = starts > 1
        elif frame.kind == frames.EVENTS:
            late = False
        elif frame.kind == frames.ROWS:
            parts.append(np.full(frame.payload.nbytes // ROW.itemsize, not late))
    return np.concatenate(parts)


def _from_snapshot(reader: JournalReader, engine: Engine) -> Any:
    """The last snapshot of this layout, laid into the arena; None without one."""
    for snapshot in reversed(reader.read_snapshots()):
        if snapshot.layout == engine.layout_digest():
            engine.arena.restore(snapshot.state)
            return snapshot
    return None


def _reached_ns(tapes: Sequence[Tape], cursors: Sequence[int]) -> int:
    """Receive time of the last market row that a snapshot has folded, journalled words behind it or not."""
    rows = (t.events["receive_ns"][n - 1] for t, n in zip(tapes, cursors, strict=True) if n > 0)
    return max((int(ns) for ns in rows), default=-1)


def _fold(loop: Loop) -> np.ndarray:
    parts = []
    while True:
        why = loop.step(100_000)
        parts.append(loop.engine.arena.drain())
        if why == sim.GUARD:
            name = loop.engine.strategies[max(0, int(loop.drive[0]["fault"]) - 1)].name
            raise StrategyError(
                f"strategy {name} raised again while its journal was folded: replay it for the line"
            )
        if why == sim.DONE:
            return np.concatenate(parts, dtype=ROW)


def _same(path: Path, recorded: np.ndarray, again: np.ndarray) -> None:
    bad = np.flatnonzero((_words(recorded) != _words(again)).any(axis=1))
    if len(bad):
        i = int(bad[0])
        raise JournalError(
            f"{path}: row {i}: expected {recorded[i]} as recorded, it folds to {again[i]}"
        )


def _words(rows: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rows).view(np.int64).reshape(len(rows), 8)


def _cut_ending(path: Path, reader: JournalReader, extra: np.ndarray, keep: int) -> int:
    """The session died while it wrote its last samples: cut them to go on. Returns the rows kept."""
    if (extra["kind"] == COMMAND).any():
        raise JournalError(
            f"{path}: {len(extra)} rows with commands were journalled that the tapes do not give again"
        )
    n = 0
    for frame in reader.frames:
        if frame.kind != frames.ROWS:
            continue
        size = frame.payload.nbytes // ROW.itemsize
        if n + size > keep:
            cut_behind(path, reader.frames[frame.seq - 1])
            return n
        n += size
    return n
