"""Fuzz of the journal reader: any cut gives a prefix of whole frames, any flipped bit is seen."""

from __future__ import annotations

import shutil
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.core import frames as fr
from oneprice.core.errors import JournalError
from oneprice.core.journal import Journal, JournalReader
from oneprice.core.manifest import Manifest
from oneprice.core.records import EVENT, ROW


@lru_cache(maxsize=2)
def sample(durability: str) -> tuple[bytes, list[tuple[int, bytes]]]:
    """A small journal's bytes and its frames as (offset behind the frame, payload)."""
    rng = np.random.default_rng(0)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.journal"
        with Journal.create(path, Manifest(), durability=durability, segment_bytes=4096) as journal:
            journal.start_session(1, time_ns=0)
            for i in range(5):
                journal.append_events(rng.integers(0, 256, 64 * (i % 3 + 1), np.uint8).view(EVENT))
                journal.append_rows(rng.integers(0, 256, 64, np.uint8).view(ROW))
                journal.commit(i, has_commands=i % 2 == 0)
            journal.append_snapshot(b"s" * 100, layout="", cursors=[1], time_ns=1, n_events=1)
            journal.end_session(1, time_ns=1, n_events=10)
        reader = JournalReader(path)
        whole = [(f.offset + 16 + f.payload.nbytes, f.payload.tobytes()) for f in reader.frames]
        return path.read_bytes(), whole


def read(raw: bytes) -> JournalReader:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.journal"
        path.write_bytes(raw)
        return JournalReader(path)


def test_cut_at_every_byte() -> None:
    """A journal cut at any byte, with or without zeros behind, gives exactly the whole frames before."""
    raw, whole = sample("strict")
    for cut in range(len(raw) + 1):
        for padding in (b"", bytes(128)):
            reader = read(raw[:cut] + padding)
            expected = [payload for end, payload in whole if end <= cut]
            got = [f.payload.tobytes() for f in reader.frames]
            # a cut that only lost zeros at the end of a frame loses nothing once zeros follow
            assert len(expected) <= len(got) <= len(expected) + bool(padding)
            assert got == [payload for _, payload in whole[: len(got)]]
            end = whole[len(got) - 1][0] if got else 0
            assert reader.torn is None or reader.torn.offset in (0, 64, end)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_flipped_bits_are_seen(data: st.DataObject) -> None:
    """After flips of any bits the reader raises or returns a proper prefix of what was written."""
    raw, whole = sample(data.draw(st.sampled_from(["strict", "async"])))
    bits = data.draw(st.lists(st.integers(64 * 8, len(raw) * 8 - 1), min_size=1, max_size=4, unique=True))
    bad = bytearray(raw)
    for bit in bits:
        bad[bit // 8] ^= 1 << bit % 8
    try:
        reader = read(bytes(bad))
    except JournalError:
        return
    got = [f.payload.tobytes() for f in reader.frames]
    assert got == [payload for _, payload in whole[: len(got)]]
    assert len(got) < len(whole) and reader.torn is not None


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=600), st.integers(0, 400))
def test_garbage_behind_whole_frames(garbage: bytes, keep: int) -> None:
    """Any bytes behind a cut give a prefix or an error, and no other exception."""
    raw, whole = sample("async")
    try:
        reader = read(raw[: 64 + keep] + garbage)
    except JournalError:
        return
    got = [f.payload.tobytes() for f in reader.frames]
    assert got == [payload for _, payload in whole[: len(got)]]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 5), max_size=30),
    st.sampled_from(["strict", "group", "async"]),
    st.integers(0, 200),
)
def test_written_is_read(counts: list[int], durability: str, cut: int) -> None:
    """Any run of appends comes back; after a cut and a resume the rest follows on the prefix."""
    rng = np.random.default_rng(len(counts))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.journal"
        parts = [rng.integers(0, 256, 64 * n, np.uint8).view(EVENT) for n in counts]
        with Journal.create(path, Manifest(), durability=durability, segment_bytes=4096) as journal:
            for t, part in enumerate(parts):
                journal.append_events(part)
                journal.commit(t, has_commands=bool(t % 2))
        reader = JournalReader(path)
        assert reader.read_events().tobytes() == b"".join(p.tobytes() for p in parts)
        first = reader.frames[0].payload.nbytes + 80
        with open(path, "r+b") as file:
            file.truncate(max(first, path.stat().st_size - cut))
        kept = JournalReader(path)
        with Journal.resume(path, durability=durability, segment_bytes=4096) as journal:
            journal.append_blob(fr.MODEL, b"m")
        again = JournalReader(path)
        assert again.torn is None and len(again.frames) == len(kept.frames) + 1
        assert again.read_events().tobytes() == kept.read_events().tobytes()
        shutil.copy(path, path.with_suffix(".copy"))
        assert len(JournalReader(path.with_suffix(".copy")).frames) == len(again.frames)
