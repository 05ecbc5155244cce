"""The journal: one append-only file that a session can be rebuilt from.

A prelude of 64 bytes (magic, format), then frames (`core/frames.py`): the manifest first, then private events
in, rows out, snapshots, models and session marks. It lies in a preallocated map that grows by segments;
closing cuts it to its true length. `core/journal_read.py` reads it back.

Durability (DESIGN 7): `strict` syncs each batch that has commands before they may be sent; `group` lets the
send wait for a group of at most `group_ns`; `async` never waits: it survives a killed process, not a power
loss.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from oneprice.core import frames as fr
from oneprice.core.errors import JournalError
from oneprice.core.journal_read import (
    DATA_REF,
    PRELUDE,
    PRELUDE_BYTES,
    SESSION,
    SNAPSHOT_HEAD,
    Frame,
    JournalReader,
    SessionMark,
    Snapshot,
    TornTail,
)
from oneprice.core.manifest import Manifest
from oneprice.core.records import EVENT, ROW

__all__ = [
    "Frame",
    "Journal",
    "JournalReader",
    "SessionMark",
    "Snapshot",
    "TornTail",
    "cut_behind",
    "next_epoch",
    "refuse_writer",
]

DURABILITY = ("strict", "group", "async")
MAX_EPOCH = (1 << 20) - 1


class Journal:
    """The writer. Build it with `create` or `resume`; every append returns the frame's sequence number."""

    def __init__(self, file: int, path: Path, *, durability: str, group_ns: int, segment_bytes: int) -> None:
        if durability not in DURABILITY:
            raise JournalError(f"durability: expected one of {', '.join(DURABILITY)}, got {durability!r}")
        self.path, self.durability = path, durability
        self._file, self._group_ns, self._segment = file, group_ns, segment_bytes
        self._flag = fr.NEVER_SYNCED if durability == "async" else 0
        self._at = self._synced = 0  # bytes written, bytes known to be on disk
        self._seq = 0
        self._waits_since: int | None = None  # time of the oldest batch whose commands wait for a sync
        self._map: mmap.mmap | None = None
        self._base = 0

    @staticmethod
    def create(
        path: str | Path,
        manifest: Manifest,
        *,
        durability: str = "strict",
        group_ns: int = 2_000_000,
        segment_bytes: int = 16 << 20,
    ) -> Journal:
        """A new journal whose first frame is the manifest; an existing file is never overwritten."""
        path = Path(path)
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            raise JournalError(
                f"{path}: expected no such file, a journal is never overwritten: choose another name"
            ) from None
        out = Journal(file, path, durability=durability, group_ns=group_ns, segment_bytes=segment_bytes)
        _lock(file, path)
        out._grow(PRELUDE_BYTES)
        assert out._map is not None
        out._map[:PRELUDE_BYTES] = PRELUDE
        out._at = PRELUDE_BYTES
        out.append_blob(fr.MANIFEST, manifest.to_json())
        out.sync()
        _sync_folder(path.parent)
        return out

    @staticmethod
    def resume(
        path: str | Path,
        *,
        durability: str = "strict",
        group_ns: int = 2_000_000,
        segment_bytes: int = 16 << 20,
    ) -> Journal:
        """Go on behind the last whole frame; a torn tail is cut first (`JournalReader` says which)."""
        path = Path(path)
        file = os.open(path, os.O_RDWR)
        _lock(file, path)
        reader = JournalReader(path, recover=True)
        if not reader.frames:
            raise JournalError(
                f"{path}: expected a manifest to go on from, found no whole frame: create a new journal"
            )
        out = Journal(file, path, durability=durability, group_ns=group_ns, segment_bytes=segment_bytes)
        out._at = out._synced = reader.end
        out._seq = int(reader.frames[-1].seq) + 1
        os.fsync(file)
        out._grow(reader.end)
        out._mark_synced()
        return out

    def append_events(self, rows: np.ndarray) -> int:
        """Private events in, EVENT[n]."""
        return self._append(fr.EVENTS, _records(rows, EVENT, "events"))

    def append_rows(self, rows: np.ndarray) -> int:
        """Rows out, ROW[n]."""
        return self._append(fr.ROWS, _records(rows, ROW, "rows"))

    def append_blob(self, kind: int, raw: bytes | memoryview) -> int:
        """Any bytes under a frame kind, with their true length in front, padded to 64."""
        n = len(raw)
        payload = np.zeros((8 + n + fr.UNIT - 1) // fr.UNIT * fr.UNIT, np.uint8)
        payload[:8] = np.frombuffer(struct.pack("<q", n), np.uint8)
        payload[8 : 8 + n] = np.frombuffer(raw, np.uint8)
        return self._append(kind, payload)

    def append_snapshot(
        self, state: bytes, *, layout: str, cursors: Sequence[int] = (), time_ns: int, n_events: int
    ) -> int:
        """The state's bytes with the digest of their layout and the tape cursors at that moment."""
        head = np.zeros(1, SNAPSHOT_HEAD)
        head["time_ns"], head["n_events"], head["n_tapes"], head["n_state"] = (
            time_ns,
            n_events,
            len(cursors),
            len(state),
        )
        head["layout"] = _digest_bytes(layout)
        return self.append_blob(fr.SNAPSHOT, head.tobytes() + np.asarray(cursors, np.int64).tobytes() + state)

    def append_data_ref(
        self, tape: int, segment: int, first_row: int, n_rows: int, *, digest: str = ""
    ) -> int:
        """Rows of a tape segment folded from here on (live sessions write market data once, as tapes)."""
        ref = np.zeros(1, DATA_REF)
        ref["tape"], ref["segment"], ref["first_row"], ref["n_rows"] = tape, segment, first_row, n_rows
        ref["digest"] = _digest_bytes(digest)
        return self._append(fr.DATA_REF, ref.view(np.uint8))

    def start_session(
        self, epoch: int, *, time_ns: int, n_events: int = 0, cursors: Sequence[int] = ()
    ) -> int:
        """SESSION_START, on disk before this returns: no order of this epoch can be sent before it."""
        seq = self._session(fr.SESSION_START, epoch, time_ns, n_events, cursors, "")
        self.sync()
        return seq

    def end_session(
        self, epoch: int, *, time_ns: int, n_events: int, cursors: Sequence[int] = (), digest: str = ""
    ) -> int:
        """SESSION_END with the cursor of each tape and the digest of the final state, on disk."""
        self.sync()
        seq = self._session(fr.SESSION_END, epoch, time_ns, n_events, cursors, digest)
        self.sync()
        return seq

    def commit(self, now_ns: int, *, has_commands: bool) -> bool:
        """End a batch. True: every command appended so far may be sent.

        `now_ns` is the caller's time (of the event, or a clock at the edge); nothing here reads a clock.
        Under `group` False means: hold the commands and call again by `due_ns`.
        """
        if self.durability == "async":
            return True
        if self.durability == "strict":
            if has_commands:
                self.sync()
            return True
        if has_commands and self._waits_since is None:
            self._waits_since = now_ns
        if self._waits_since is not None and now_ns - self._waits_since >= self._group_ns:
            self.sync()
        return self._waits_since is None

    @property
    def due_ns(self) -> int | None:
        """Time by which `commit` must be called again (`group`), or None while nothing waits."""
        return None if self._waits_since is None else self._waits_since + self._group_ns

    @property
    def n_bytes(self) -> int:
        return self._at

    @property
    def next_seq(self) -> int:
        return self._seq

    def sync(self) -> None:
        """Bring everything written to the disk now, whatever the durability level."""
        assert self._map is not None, "journal is closed"
        if self._at > self._synced:
            start = self._synced // mmap.PAGESIZE * mmap.PAGESIZE
            self._map.flush(start, self._at - start)  # msync, synchronous
            self._mark_synced()
        self._waits_since = None

    def close(self) -> None:
        """Sync, cut the file to its true length and let go of it. Closing twice is harmless."""
        if self._map is None:
            return
        self.sync()
        self._map.close()
        self._map = None
        os.ftruncate(self._file, self._at)
        os.fsync(self._file)
        os.close(self._file)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _session(
        self, kind: int, epoch: int, time_ns: int, n_events: int, cursors: Sequence[int], digest: str
    ) -> int:
        mark = np.zeros(1, SESSION)
        mark["epoch"], mark["time_ns"], mark["n_events"], mark["n_tapes"] = (
            epoch,
            time_ns,
            n_events,
            len(cursors),
        )
        mark["digest"] = _digest_bytes(digest)
        tail = np.zeros((len(cursors) + 7) // 8 * 8, np.int64)
        tail[: len(cursors)] = cursors
        return self._append(kind, np.concatenate([mark.view(np.uint8), tail.view(np.uint8)]))

    def _append(self, kind: int, payload: np.ndarray) -> int:
        n, seq = payload.nbytes, self._seq
        if n >= 1 << 32 or seq >= 1 << 32:
            raise JournalError(
                f"{self.path}: expected frame and count below 2^32, got {n} bytes as frame {seq}"
            )
        if self._map is None:
            raise JournalError(f"{self.path}: expected an open journal, this one is closed")
        if self._at + fr.HEADER_BYTES + n > len(self._map):
            self._grow(self._at + fr.HEADER_BYTES + n)
        self._at = fr.encode_frame(self._base, self._at, kind, self._flag, seq, payload.ctypes.data, n)
        self._seq = seq + 1
        if self.durability != "async":
            self._flag = 0
        return seq

    def _mark_synced(self) -> None:
        self._synced = self._at
        if self.durability != "async":
            self._flag = fr.SYNCED_BEFORE

    def _grow(self, needed: int) -> None:
        """Preallocate at least `needed` bytes; each segment doubles the file."""
        size = max(self._segment, len(self._map) * 2 if self._map else 0)
        while size < needed:
            size *= 2
        if self._map is not None:
            self.sync()
            self._map.close()
        _preallocate(self._file, size, self.path)
        os.fsync(self._file)
        self._map = mmap.mmap(self._file, size)
        raw = np.frombuffer(self._map, np.uint8)
        self._base = int(raw.ctypes.data)


def refuse_writer(path: str | Path) -> None:
    """JournalError if another process writes this journal: it is not cut or replaced under its writer."""
    file = os.open(path, os.O_RDWR)
    _lock(file, Path(path))
    os.close(file)


def cut_behind(path: str | Path, frame: Frame) -> None:
    """Cut a journal behind one of its frames: what follows was written by an end that did not finish."""
    end = frame.offset + fr.HEADER_BYTES + frame.payload.nbytes
    with open(path, "r+b") as file:
        file.truncate(end)
        os.fsync(file.fileno())


def next_epoch(folder: str | Path, *, above: int = 0) -> int:
    """The next session epoch of a folder (1, 2, ...; 20 bits), on disk before this returns.

    `above` is the highest epoch known otherwise (a journal's), so that a lost counter file cannot bring an
    old epoch, and with it old client ids, back.
    """
    folder = Path(folder)
    guard = os.open(folder / "epoch.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock(guard, folder / "epoch.lock")
        path = folder / "epoch"
        text = path.read_text().strip() if path.exists() else "0"
        if not text.isdigit():
            raise JournalError(f"{path}: expected a number, got {text!r}: write the last epoch used into it")
        epoch = max(int(text), above) + 1
        if epoch > MAX_EPOCH:
            raise JournalError(
                f"{path}: expected an epoch of at most {MAX_EPOCH}, got {epoch}: start a new folder"
            )
        fresh = folder / "epoch.new"
        with open(fresh, "w") as file:
            file.write(f"{epoch}\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
        _sync_folder(folder)
        return epoch
    finally:
        os.close(guard)


def _records(rows: np.ndarray, dtype: np.dtype, what: str) -> np.ndarray:
    if rows.dtype != dtype:
        raise JournalError(f"{what}: expected 64-byte {what} records, got dtype {rows.dtype}")
    return np.ascontiguousarray(rows)


def _digest_bytes(digest: str) -> np.ndarray:
    raw = bytes.fromhex(digest)
    if len(raw) not in (0, 32):
        raise JournalError(f"digest: expected 64 hex digits or none, got {digest!r}")
    return np.frombuffer(raw.ljust(32, b"\0"), np.uint8)


def _lock(file: int, path: Path) -> None:
    """One writer a file, where the system has advisory locks."""
    try:
        import fcntl
    except ImportError:  # Windows: no advisory locks
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise JournalError(
            f"{path}: expected no other writer, another process holds it open: stop that one first"
        ) from None


def _preallocate(file: int, size: int, path: Path) -> None:
    """Reserve real blocks, so that a full disk is an error here and not a signal inside a kernel."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file, 0, size)
        else:
            os.ftruncate(file, size)
    except OSError as error:
        raise JournalError(
            f"{path}: expected room for {size} bytes, {error.strerror}: free some disk space"
        ) from error


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
