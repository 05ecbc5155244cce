"""Reading a journal: every whole frame from the start, the torn tail, and typed reads.

What lies behind the last whole frame is a torn tail (cut on request, and said) unless frames behind it still
check and are known to have been on disk before it: that is corruption, and an error.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oneprice.core import frames as fr
from oneprice.core.errors import JournalError
from oneprice.core.manifest import Manifest
from oneprice.core.records import EVENT, ROW, record

MAGIC, FORMAT, PRELUDE_BYTES = b"oneprice", 1, 64
PRELUDE = struct.pack("<8sI52x", MAGIC, FORMAT)

SESSION = record(
    [("epoch", "i8"), ("time_ns", "i8"), ("n_events", "i8"), ("n_tapes", "i8"), ("digest", "u1", (32,))]
)
SNAPSHOT_HEAD = record(
    [("time_ns", "i8"), ("n_events", "i8"), ("n_tapes", "i8"), ("n_state", "i8"), ("layout", "u1", (32,))]
)
DATA_REF = record(
    [("tape", "i8"), ("segment", "i8"), ("first_row", "i8"), ("n_rows", "i8"), ("digest", "u1", (32,))]
)
assert SESSION.itemsize == SNAPSHOT_HEAD.itemsize == DATA_REF.itemsize == fr.UNIT


@dataclass(frozen=True)
class Frame:
    """One whole frame; `payload` is a view of the reader's map."""

    seq: int
    kind: int
    offset: int
    payload: np.ndarray  # uint8

    def blob(self) -> bytes:
        """The bytes of a blob without their length word and padding."""
        if self.payload.nbytes < 8:
            raise JournalError(
                f"frame {self.seq} ({fr.FRAME_NAMES[self.kind]}): expected a blob, got no payload"
            )
        n = int(self.payload[:8].view(np.int64)[0])
        if not 0 <= n <= self.payload.nbytes - 8:
            raise JournalError(
                f"frame {self.seq} ({fr.FRAME_NAMES[self.kind]}): expected a blob of at most"
                f" {self.payload.nbytes - 8} bytes, its length word says {n}"
            )
        return self.payload[8 : 8 + n].tobytes()


@dataclass(frozen=True)
class Snapshot:
    """State bytes at a moment, with the cursor of each tape (rows already folded)."""

    seq: int
    time_ns: int
    n_events: int
    layout: str
    cursors: tuple[int, ...]
    state: bytes


@dataclass(frozen=True)
class SessionMark:
    """SESSION_START or SESSION_END; `digest` is that of the final state ("" where none was given)."""

    seq: int
    kind: int
    epoch: int
    time_ns: int
    n_events: int
    cursors: tuple[int, ...]
    digest: str

    @property
    def start(self) -> bool:
        return self.kind == fr.SESSION_START


@dataclass(frozen=True)
class TornTail:
    """What was found behind the last whole frame: `n_bytes` from `offset`, where frame `seq` would begin."""

    offset: int
    n_bytes: int
    seq: int

    def __str__(self) -> str:
        return f"torn tail: {self.n_bytes} bytes at offset {self.offset} are no whole frame {self.seq}"


class JournalReader:
    """All whole frames of a journal, the torn tail if there is one, and typed reads.

    `recover=True` also cuts the file at the end of the last whole frame. Raises JournalError on a foreign
    file, an unknown format or frame kind, and on corruption: a bad frame with good ones behind it.
    """

    def __init__(self, path: str | Path, *, recover: bool = False) -> None:
        self.path = Path(path)
        small = self.path.stat().st_size < 1 << 16
        self._raw = (
            np.fromfile(self.path, np.uint8) if small else np.asarray(np.memmap(self.path, np.uint8, "c"))
        )
        self.frames: list[Frame] = []
        self.torn: TornTail | None = None
        self.end = PRELUDE_BYTES
        if self._check_prelude():
            self._scan()
        if recover:
            with open(self.path, "r+b") as file:
                file.truncate(self.end)
                os.fsync(file.fileno())

    def _check_prelude(self) -> bool:
        """False (and a torn tail) when the file ended inside the prelude."""
        head = self._raw[:PRELUDE_BYTES].tobytes()
        said = head.rstrip(b"\0")
        if PRELUDE.startswith(said) and (len(head) < PRELUDE_BYTES or len(said) < len(PRELUDE.rstrip(b"\0"))):
            self.torn, self.end = TornTail(0, self._raw.size, 0), 0
            return False
        if not head.startswith(MAGIC):
            raise JournalError(f"{self.path}: expected a journal ({MAGIC!r} first), got {head[:8]!r}")
        if head != PRELUDE:
            version = int.from_bytes(head[8:12], "little")
            raise JournalError(
                f"{self.path}: expected journal format {FORMAT}, got {version}: use the version that wrote it"
            )
        return True

    def _scan(self) -> None:
        base, size = int(self._raw.ctypes.data), self._raw.size
        found = np.zeros(4096, fr.FOUND)
        at, seq = PRELUDE_BYTES, 0
        while True:
            n, at, seq = fr.scan_frames(base, at, size, seq, found)
            for f in found[:n]:
                self._add(f)
            if n < found.size:
                break
        self.end = at
        verdict, proof = fr.judge_tail(base, at, size, seq)
        if verdict == fr.CORRUPT:
            raise JournalError(
                f"{self.path}: expected frame {seq} at offset {at}, it does not check, but the frame at"
                f" offset {proof} does: the file is damaged in the middle, restore it from a copy"
            )
        if verdict == fr.TORN:
            self.torn = TornTail(at, int(fr.last_nonzero(base, at, size)) - at, seq)

    def _add(self, f: np.void) -> None:
        kind, offset, seq = int(f["kind"]), int(f["offset"]), int(f["seq"])
        if not 0 < kind < len(fr.FRAME_NAMES):
            known = ", ".join(f"{i} {name}" for i, name in enumerate(fr.FRAME_NAMES) if i)
            raise JournalError(
                f"{self.path}: frame {seq} at offset {offset}: expected a kind of {known}, got {kind}"
            )
        if (seq == 0) != (kind == fr.MANIFEST):
            raise JournalError(
                f"{self.path}: frame {seq} is {fr.FRAME_NAMES[kind]}: expected one manifest, first"
            )
        start = offset + fr.HEADER_BYTES
        self.frames.append(Frame(seq, kind, offset, self._raw[start : start + int(f["length"])]))

    def manifest(self) -> Manifest:
        """The manifest; JournalError when the file was cut before its end."""
        if not self.frames:
            raise JournalError(f"{self.path}: expected a manifest, the file ends before one: {self.torn}")
        return Manifest.from_json(self.frames[0].blob())

    def of_kind(self, kind: int) -> Iterator[Frame]:
        """Frames of one kind, in order."""
        return (f for f in self.frames if f.kind == kind)

    def read_events(self, *, after: int = -1) -> np.ndarray:
        """EVENT[n]: all private events in order, of frames behind sequence number `after`."""
        return self._joined(fr.EVENTS, EVENT, after)

    def read_rows(self, *, after: int = -1) -> np.ndarray:
        """ROW[n]: all rows out in order, of frames behind sequence number `after`."""
        return self._joined(fr.ROWS, ROW, after)

    def read_data_refs(self) -> np.ndarray:
        """DATA_REF[n]."""
        return self._joined(fr.DATA_REF, DATA_REF, -1)

    def read_models(self) -> dict[int, bytes]:
        """Model blobs by the sequence number of their frame."""
        return {f.seq: f.blob() for f in self.of_kind(fr.MODEL)}

    def read_snapshots(self) -> list[Snapshot]:
        """All snapshots, oldest first."""
        out = []
        for f in self.of_kind(fr.SNAPSHOT):
            raw = f.blob()
            head = np.frombuffer(raw, SNAPSHOT_HEAD, 1)[0]
            start = SNAPSHOT_HEAD.itemsize + 8 * int(head["n_tapes"])
            if len(raw) != start + int(head["n_state"]):
                raise JournalError(
                    f"{self.path}: snapshot in frame {f.seq}: expected {start + int(head['n_state'])} bytes"
                )
            cursors = tuple(np.frombuffer(raw[SNAPSHOT_HEAD.itemsize : start], np.int64).tolist())
            layout = head["layout"].tobytes().hex()
            out.append(
                Snapshot(f.seq, int(head["time_ns"]), int(head["n_events"]), layout, cursors, raw[start:])
            )
        return out

    def read_sessions(self) -> list[SessionMark]:
        """SESSION_START and SESSION_END marks, in order."""
        out = []
        for f in self.frames:
            if f.kind in (fr.SESSION_START, fr.SESSION_END):
                mark = f.payload[: SESSION.itemsize].view(SESSION)[0]
                cursors = tuple(f.payload[SESSION.itemsize :].view(np.int64)[: int(mark["n_tapes"])].tolist())
                digest = mark["digest"].tobytes().hex() if mark["digest"].any() else ""
                numbers = int(mark["epoch"]), int(mark["time_ns"]), int(mark["n_events"])
                out.append(SessionMark(f.seq, f.kind, *numbers, cursors, digest))
        return out

    @property
    def closed(self) -> bool:
        """Whether the last session ended in order."""
        return bool(self.frames) and self.frames[-1].kind == fr.SESSION_END and self.torn is None

    def _joined(self, kind: int, dtype: np.dtype, after: int) -> np.ndarray:
        # as bytes: numpy repacks records with overlaid words when it joins them
        parts = [f.payload for f in self.of_kind(kind) if f.seq > after]
        return (np.concatenate(parts) if parts else np.zeros(0, np.uint8)).view(dtype)
