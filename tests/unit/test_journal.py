"""Journal, frames and manifest: what is written comes back, what is damaged is said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from oneprice.core import frames as fr
from oneprice.core.errors import JournalError
from oneprice.core.journal import MAX_EPOCH, Journal, JournalReader, next_epoch
from oneprice.core.journal_read import PRELUDE_BYTES
from oneprice.core.manifest import Manifest, StrategyEntry, TapeEntry, dtype_digest, manifest, strategy_entry
from oneprice.core.records import COMMAND, EVENT, FILL, ROW

SMALL = 1 << 12


def events(n: int, start: int = 0) -> np.ndarray:
    out = np.zeros(n, EVENT)
    out["receive_ns"] = np.arange(start, start + n)
    out["kind"] = FILL
    out["price"] = 100 + np.arange(n)
    return out


def rows(n: int) -> np.ndarray:
    out = np.zeros(n, ROW)
    out["kind"] = COMMAND
    out["client_id"] = np.arange(n)
    return out


def write(path: Path, n: int = 3, **how: object) -> Journal:
    journal = Journal.create(path, Manifest(seed=7), segment_bytes=SMALL, **how)
    journal.start_session(1, time_ns=5)
    for i in range(n):
        journal.append_events(events(i + 1))
        journal.append_rows(rows(i + 1))
        journal.commit(i, has_commands=True)
    return journal


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 63, 64, 65, 1000])
@pytest.mark.parametrize("shift", [0, 1, 5])
def test_crc_is_that_of_zlib(n: int, shift: int) -> None:
    """The kernel's checksum equals zlib's for any length, alignment and continuation."""
    raw = np.random.default_rng(n).integers(0, 256, n + 8, np.uint8)
    data = raw[shift : shift + n].tobytes()
    assert fr.crc32_at(raw.ctypes.data + shift, n, 0) == zlib.crc32(data)
    assert fr.crc32_at(raw.ctypes.data + shift, n, 0xDEADBEEF) == zlib.crc32(data, 0xDEADBEEF)


def test_frame_bytes_are_as_decided() -> None:
    """Length, kind, flags, seq and crc lie where decision 0001 says, crc over header and payload."""
    payload = events(2)
    out = np.zeros(256, np.uint8)
    assert fr.encode_frame(out.ctypes.data, 16, fr.EVENTS, 1, 9, payload.ctypes.data, 128) == 160
    head = out[16:32].tobytes()
    assert head[:12] == (128).to_bytes(4, "little") + b"\x02\0\x01\0" + (9).to_bytes(4, "little")
    crc = zlib.crc32(payload.tobytes(), zlib.crc32(head[:12] + b"\0\0\0\0"))
    assert int.from_bytes(head[12:], "little") == crc
    assert out[32:160].tobytes() == payload.tobytes()
    assert fr.frame_at(out.ctypes.data, 16, 160) == 144
    assert fr.frame_at(out.ctypes.data, 16, 159) == 0


def test_all_frame_kinds_come_back(tmp_path: Path) -> None:
    """Events, rows, snapshots, models, session marks, references and the manifest are read as written."""
    path = tmp_path / "a.journal"
    layout = dtype_digest(EVENT)
    with write(path) as journal:
        model_seq = journal.append_blob(fr.MODEL, b"weights")
        journal.append_snapshot(b"state" * 99, layout=layout, cursors=[4, 5], time_ns=11, n_events=12)
        journal.append_data_ref(1, 2, 3, 4, digest=layout)
        journal.end_session(1, time_ns=13, n_events=14, cursors=list(range(9)), digest=layout)
    reader = JournalReader(path)
    assert reader.torn is None and reader.closed
    assert reader.manifest().seed == 7
    assert reader.read_events().tobytes() == b"".join(events(i).tobytes() for i in (1, 2, 3))
    assert reader.read_rows().tobytes() == b"".join(rows(i).tobytes() for i in (1, 2, 3))
    assert len(reader.read_rows(after=5)) == 3
    assert reader.read_models() == {model_seq: b"weights"}
    (snapshot,) = reader.read_snapshots()
    assert (snapshot.state, snapshot.cursors, snapshot.layout) == (b"state" * 99, (4, 5), layout)
    assert (snapshot.time_ns, snapshot.n_events) == (11, 12)
    assert reader.read_data_refs()[["tape", "segment", "first_row", "n_rows"]].tolist() == [(1, 2, 3, 4)]
    start, end = reader.read_sessions()
    assert start.start and not end.start
    assert (start.kind, start.epoch, start.time_ns, start.digest) == (fr.SESSION_START, 1, 5, "")
    assert (end.kind, end.cursors, end.digest, end.n_events) == (fr.SESSION_END, tuple(range(9)), layout, 14)


def test_growth_and_true_length(tmp_path: Path) -> None:
    """The file doubles by segments while it is open and has its true length once closed."""
    path = tmp_path / "a.journal"
    journal = write(path, 0)
    for i in range(200):
        journal.append_events(events(3, i))
    assert path.stat().st_size > journal.n_bytes and path.stat().st_size % SMALL == 0
    journal.close()
    journal.close()
    assert path.stat().st_size == journal.n_bytes
    assert len(JournalReader(path).read_events()) == 600
    with pytest.raises(JournalError, match="closed"):
        journal.append_events(events(1))


def test_never_overwritten_and_one_writer(tmp_path: Path) -> None:
    """An existing journal is not overwritten, and a second writer is refused while the first is open."""
    path = tmp_path / "a.journal"
    journal = write(path)
    with pytest.raises(JournalError, match="never overwritten"):
        Journal.create(path, Manifest())
    with pytest.raises(JournalError, match="another process"):
        Journal.resume(path)
    journal.close()
    with Journal.resume(path, segment_bytes=SMALL) as again:
        again.start_session(2, time_ns=9)
        again.append_events(events(5))
    reader = JournalReader(path)
    assert [m.epoch for m in reader.read_sessions()] == [1, 2]
    assert len(reader.read_events()) == 11


def test_group_commit_takes_time_from_the_caller(tmp_path: Path) -> None:
    """Under `group` commands wait until group_ns after the first of them; other batches do not wait."""
    with write(tmp_path / "a.journal", 0, durability="group", group_ns=100) as journal:
        assert journal.commit(1000, has_commands=False) and journal.due_ns is None
        journal.append_rows(rows(1))
        assert not journal.commit(1000, has_commands=True)
        assert journal.due_ns == 1100
        journal.append_rows(rows(1))
        assert not journal.commit(1099, has_commands=True)
        assert journal.commit(1100, has_commands=False)
        assert journal.due_ns is None


def test_only_batches_with_commands_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`strict` syncs before commands are sent and only then; `async` never does."""
    for durability, expected in (("strict", 1), ("async", 0)):
        journal = write(tmp_path / durability, 0, durability=durability)
        calls: list[int] = []
        real = journal.sync
        monkeypatch.setattr(journal, "sync", lambda real=real, calls=calls: (calls.append(1), real())[1])
        journal.append_events(events(1))
        assert journal.commit(1, has_commands=False)
        journal.append_rows(rows(1))
        assert journal.commit(2, has_commands=True)
        assert len(calls) == expected
        journal.close()


def test_wrong_input_is_refused(tmp_path: Path) -> None:
    """Foreign records, unknown durability and foreign files are errors that say what came."""
    with pytest.raises(JournalError, match="strict, group, async, got 'fast'"):
        Journal.create(tmp_path / "x", Manifest(), durability="fast")
    with write(tmp_path / "a.journal") as journal:
        with pytest.raises(JournalError, match="64-byte rows records"):
            journal.append_rows(events(1))
        with pytest.raises(JournalError, match="64 hex digits"):
            journal.append_data_ref(0, 0, 0, 0, digest="ab")
    other = tmp_path / "b"
    other.write_bytes(b"PAR1" * 100)
    with pytest.raises(JournalError, match="expected a journal"):
        JournalReader(other)
    other.write_bytes(b"short")
    with pytest.raises(JournalError, match="expected a journal"):
        JournalReader(other)


def test_unknown_version_and_kind(tmp_path: Path) -> None:
    """A journal or manifest of another format and a frame of an unknown kind are refused by name."""
    path = tmp_path / "a.journal"
    write(path).close()
    raw = bytearray(path.read_bytes())
    raw[8] = 9
    path.write_bytes(raw)
    with pytest.raises(JournalError, match="expected journal format 1, got 9"):
        JournalReader(path)
    odd = tmp_path / "b.journal"
    journal = write(odd)
    journal.append_blob(77, b"from the future")
    journal.close()
    with pytest.raises(JournalError, match=r"expected a kind of 1 manifest, .*, got 77"):
        JournalReader(odd)
    with pytest.raises(JournalError, match="expected format 1, got 2"):
        Manifest.from_json(b'{"format": 2, "colour": 1}')
    with pytest.raises(JournalError, match=r"colour"):
        Manifest.from_json(b'{"format": 1, "colour": 1}')


def test_corruption_in_the_middle_is_no_torn_tail(tmp_path: Path) -> None:
    """A damaged frame with synced frames behind it is an error; even `recover` leaves the file alone."""
    path = tmp_path / "a.journal"
    write(path).close()
    frame = JournalReader(path).frames[2]
    raw = bytearray(path.read_bytes())
    raw[frame.offset + 30] ^= 1
    path.write_bytes(raw)
    with pytest.raises(
        JournalError, match=f"expected frame 2 at offset {frame.offset}.*damaged in the middle"
    ):
        JournalReader(path, recover=True)
    assert path.read_bytes() == raw


def test_torn_tail_is_cut_and_said(tmp_path: Path) -> None:
    """A half-written last frame is reported with bytes and frame number; recover cuts it, resume goes on."""
    path = tmp_path / "a.journal"
    write(path).close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    reader = JournalReader(path)
    last = reader.torn
    assert (
        last is not None
        and last.seq == len(reader.frames)
        and 0 < last.n_bytes <= len(whole) - 40 - reader.end
    )
    assert f"{last.n_bytes} bytes" in str(last)
    assert path.stat().st_size == len(whole) - 40
    JournalReader(path, recover=True)
    assert path.stat().st_size == reader.end
    assert JournalReader(path).torn is None
    with Journal.resume(path, segment_bytes=SMALL) as journal:
        journal.append_events(events(1))
    assert JournalReader(path).torn is None


def test_unfinished_sync_may_leave_holes(tmp_path: Path) -> None:
    """Frames of an unfinished sync may reach the disk in any order: a hole there is a torn tail."""
    path = tmp_path / "a.journal"
    journal = write(path)
    n = journal.next_seq
    for _ in range(3):
        journal.append_events(events(2))
    raw = bytearray(path.read_bytes())
    journal.close()
    first = JournalReader(path).frames[n + 1].offset
    raw[first : first + 80] = bytes(80)
    path.write_bytes(raw)
    reader = JournalReader(path)
    assert reader.torn is not None and reader.torn.seq == n + 1


def test_shuffled_frames_are_corruption(tmp_path: Path) -> None:
    """A frame that checks but stands in the wrong place is corruption."""
    path = tmp_path / "a.journal"
    with write(path, 0) as journal:
        for _ in range(4):
            journal.append_events(events(1))
    frames = JournalReader(path).frames
    raw = bytearray(path.read_bytes())
    a, b = frames[3].offset, frames[4].offset
    raw[a : a + 80], raw[b : b + 80] = raw[b : b + 80], raw[a : a + 80]
    path.write_bytes(raw)
    with pytest.raises(JournalError, match="expected frame 3"):
        JournalReader(path)


def test_epoch_only_rises(tmp_path: Path) -> None:
    """Epochs count up, never below one known from a journal, and refuse to run over 20 bits."""
    assert [next_epoch(tmp_path), next_epoch(tmp_path)] == [1, 2]
    assert next_epoch(tmp_path, above=40) == 41
    assert next_epoch(tmp_path) == 42
    (tmp_path / "epoch").write_text("rubbish")
    with pytest.raises(JournalError, match="rubbish"):
        next_epoch(tmp_path)
    (tmp_path / "epoch").write_text(str(MAX_EPOCH))
    with pytest.raises(JournalError, match="new folder"):
        next_epoch(tmp_path)


def test_manifest_round_trip() -> None:
    """to_json and from_json are inverse, and equal manifests give equal bytes."""
    entry = strategy_entry("s", {"edge_bp": np.float64(4.0), "n": 2}, "def s(): ...", EVENT, legs=[0, 1])
    m = manifest(
        strategies=[entry],
        tapes=[TapeEntry(0, "a.tape", "ff", 9)],
        scales={"USDT": 10, "BTC": 12},
        capital={"USDT": 5},
    )
    again = Manifest.from_json(m.to_json())
    assert again == m and again.to_json() == m.to_json()
    assert m.numba and m.python and m.oneprice and "edge" in m.causes and "approved" in m.reasons
    assert isinstance(m.strategies[0], StrategyEntry) and len(entry.sha256) == 64
    with pytest.raises(AttributeError):
        m.seed = 3  # type: ignore[misc]


def test_layout_digest_sees_order_offsets_and_sections() -> None:
    """Any change of a record's layout or of a section's length changes the digest."""
    a = np.dtype([("x", "i8"), ("y", "i8")], align=True)
    b = np.dtype([("y", "i8"), ("x", "i8")], align=True)
    nested = np.dtype([("x", "i8"), ("y", b, (2,))], align=True)
    nested_a = np.dtype([("x", "i8"), ("y", a, (2,))], align=True)
    digests = [dtype_digest(a), dtype_digest(b), dtype_digest(nested), dtype_digest(nested_a)]
    digests += [dtype_digest(a, {"legs": 64}), dtype_digest(a, {"legs": 128})]
    assert len(set(digests)) == 6 and dtype_digest(a) == dtype_digest(a)


_KILLED = """
import sys, numpy as np
from oneprice.core.journal import Journal
from oneprice.core.manifest import Manifest
from oneprice.core.records import EVENT
journal = Journal.create(sys.argv[1], Manifest(), durability=sys.argv[2], segment_bytes=4096)
one = np.zeros(3, EVENT)
i = 0
while True:
    one["receive_ns"] = i
    journal.append_events(one)
    assert journal.commit(i, has_commands=True)
    sys.stdout.write(f"{i}\\n")
    sys.stdout.flush()
    i += 1
"""


@pytest.mark.parametrize("durability", ["strict", "async"])
def test_killed_process_keeps_what_was_committed(tmp_path: Path, durability: str) -> None:
    """After kill -9 everything committed is in the journal and at most one uncommitted batch more."""
    path = tmp_path / "k.journal"
    child = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(path), durability], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    said = [int(child.stdout.readline()) for _ in range(300)]
    os.kill(child.pid, signal.SIGKILL)
    said += [int(line) for line in child.stdout.read().split()]
    child.stdout.close()
    child.wait()
    got = JournalReader(path, recover=True).read_events()["receive_ns"][::3]
    assert got.tolist() == list(range(len(got)))
    assert len(said) <= len(got) <= len(said) + 1
    assert path.stat().st_size > PRELUDE_BYTES
