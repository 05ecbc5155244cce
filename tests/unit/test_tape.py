"""Tapes on disk: what is written comes back, what is damaged is refused with file, row and remedy."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from oneprice.core import records as R
from oneprice.core.errors import ConfigError, DataError
from oneprice.core.instruments import Fees, Instrument
from oneprice.market.header import Header
from oneprice.market.parquet import read_parquet, to_frame, write_parquet
from oneprice.market.tape import (
    Tape,
    describe,
    exchange_order_of,
    join_events,
    leg_folder,
    make_tape,
    read_tape,
    write_tape,
)
from oneprice.market.tapeset import TapeSet, list_legs, open_tapes

DAY = 86_400_000_000_000
HEADER = Header(
    source="made up",
    licence="none needed",
    period="none",
    side="both",
    simultaneity="exact",
    survivorship="none",
    tries=0,
    claim=False,
    claim_why="made up",
)


def instrument(symbol: str = "here:AAA-USD", **more: object) -> Instrument:
    fields = {
        "tick": "0.01",
        "lot": "0.1",
        "underlying": "AAA",
        "quote": "USD",
        "fees": Fees(maker_bp=1, taker_bp=2),
    }
    return Instrument(symbol=symbol, **(fields | more))  # type: ignore[arg-type]


def some_events(n: int = 6, start_ns: int = 10) -> np.ndarray:
    ev = np.zeros(n, R.EVENT)
    ev["receive_ns"] = start_ns + 10 * np.arange(n)
    ev["exchange_ns"] = ev["receive_ns"] - 3
    ev["kind"] = R.TOP
    ev["bid"], ev["ask"] = 100 + np.arange(n), 102 + np.arange(n)
    ev["bid_qty"] = ev["ask_qty"] = 5
    ev["flag_bits"] = R.LAST
    return ev


def some_tape(symbol: str = "here:AAA-USD", **more: int) -> Tape:
    return make_tape(
        instrument(symbol), some_events(**more), header=HEADER, clock_offset_ns=7, clock_bound_ns=2
    )


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """Every field of a tape survives the disk; the events are mapped, not copied."""
    tape = some_tape()
    path = write_tape(tmp_path, tape)
    assert path == tmp_path / "here_AAA-USD" / "1970-01-01.ev"
    back = read_tape(path)
    assert isinstance(back.events, np.memmap)
    assert back.events.tobytes() == tape.events.tobytes()
    assert (back.instrument, back.header, back.digest) == (tape.instrument, tape.header, tape.digest)
    assert (back.clock_offset_ns, back.clock_bound_ns, back.exchange_order) == (7, 2, None)
    assert back.leg == "here:AAA-USD" and len(back) == 6
    back.events["bid"][0] = 1  # copy on write: the file does not change
    assert read_tape(path).digest == tape.digest


def test_manifest_says_counts_and_ranges(tmp_path: Path) -> None:
    """The manifest carries what an engine needs before it reads a row."""
    ev = some_events()
    ev["bid"][2] = R.NO_PRICE
    ev["flag_bits"][3] |= R.GAP
    entry = describe(make_tape(instrument(), ev, header=HEADER))
    assert entry["counts"]["top"] == 6 and entry["counts"]["book"] == 0
    assert entry["marks"]["gap"] == 1
    assert (entry["min_ticks"], entry["max_ticks"], entry["max_abs_ticks"], entry["max_lots"]) == (
        100,
        107,
        107,
        5,
    )
    assert (entry["first_ns"], entry["last_ns"]) == (10, 60)


def test_exchange_order_is_the_stable_sort_and_travels(tmp_path: Path) -> None:
    """Rows out of exchange order get a sidecar; equal stamps keep the file's order."""
    ev = some_events()
    ev["exchange_ns"] = [5, 3, 3, 9, 8, 9]
    order = exchange_order_of(ev)
    assert order is not None and order.dtype == np.int32
    assert order.tolist() == [1, 2, 0, 4, 3, 5]
    path = write_tape(tmp_path, make_tape(instrument(), ev, header=HEADER))
    assert read_tape(path).exchange_order.tolist() == order.tolist()  # type: ignore[union-attr]
    wrong = order.copy()
    wrong[:2] = wrong[1::-1]
    path.with_suffix(".order").write_bytes(wrong.tobytes())
    with pytest.raises(DataError, match="stable sort"):
        read_tape(path)
    path.with_suffix(".order").unlink()
    with pytest.raises(DataError, match="24 bytes of int32"):
        read_tape(path)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda raw: raw[:-1], "multiple of 64 bytes"),
        (lambda raw: b"", "multiple of 64 bytes"),
        (lambda raw: raw[:-64], "expected 6 rows"),
        (lambda raw: raw[:30] + bytes([raw[30] ^ 1]) + raw[31:], "sha256"),
    ],
)
def test_damaged_tapes_are_refused(tmp_path: Path, damage: object, text: str) -> None:
    """Truncation and any flipped bit are found before a row is used."""
    path = write_tape(tmp_path, some_tape())
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(DataError, match=text):
        read_tape(path)


def test_manifest_must_be_there_and_whole(tmp_path: Path) -> None:
    """Without its manifest entry a tape is an import that did not finish."""
    path = write_tape(tmp_path, some_tape())
    book = path.parent / "manifest.json"
    kept = book.read_bytes()
    book.write_bytes(kept.replace(b'"clock_offset_ns": 7', b'"clock_offset_ns": 8'))
    with pytest.raises(DataError, match="changed after the import"):
        read_tape(path)
    book.write_bytes(kept[:40])
    with pytest.raises(DataError, match="not a manifest"):
        read_tape(path)
    book.write_bytes(b'{"format": 1, "leg": "here:AAA-USD", "days": {}}')
    with pytest.raises(DataError, match="did not finish"):
        read_tape(path)
    book.unlink()
    with pytest.raises(DataError, match="is missing"):
        read_tape(path)
    with pytest.raises(DataError, match="no such tape"):
        read_tape(tmp_path / "nowhere.ev")


def test_bad_events_never_become_a_tape(tmp_path: Path) -> None:
    """Receive time going back, an unknown kind, no rows and a foreign dtype are refused."""
    ev = some_events()
    ev["receive_ns"][4] = 1
    with pytest.raises(DataError, match=r"row 4, receive_ns: expected at least 40 .* got 1"):
        make_tape(instrument(), ev, header=HEADER)
    ev = some_events()
    ev["kind"][2] = R.FILL
    with pytest.raises(DataError, match="row 2, kind"):
        make_tape(instrument(), ev, header=HEADER)
    with pytest.raises(DataError, match="empty"):
        make_tape(instrument(), some_events(0), header=HEADER)
    with pytest.raises(DataError, match="EVENT array"):
        make_tape(instrument(), np.zeros(3), header=HEADER)
    broken = some_tape()
    broken.events["receive_ns"][3] = 0
    with pytest.raises(DataError):
        write_tape(tmp_path, broken)
    assert not any(tmp_path.rglob("*"))


def test_a_failed_write_leaves_the_old_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up while writing leaves the former tape whole and no scratch files."""
    path = write_tape(tmp_path, some_tape())

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_tape(tmp_path, some_tape(start_ns=11))
    monkeypatch.undo()
    assert read_tape(path).digest == some_tape().digest
    assert sorted(p.name for p in path.parent.iterdir()) == ["1970-01-01.ev", "manifest.json"]


def test_joining_keeps_overlaid_words() -> None:
    """`np.concatenate` unpacks overlaid words into a wider dtype; `join_events` keeps 64 bytes a row."""
    a = some_events(2)
    assert np.concatenate([a, a]).dtype.itemsize != 64
    both = join_events([a, a[1:]])
    assert both.dtype == R.EVENT and both.tobytes() == a.tobytes() + a[1:].tobytes()
    assert len(join_events([])) == 0


def test_a_set_opens_by_leg_and_days(tmp_path: Path) -> None:
    """Legs keep the order asked for; days are chosen by name, range or list and joined."""
    for symbol in ("here:AAA-USD", "there:AAA-USD"):
        for d in range(3):
            write_tape(tmp_path, some_tape(symbol, start_ns=d * DAY))
    assert list_legs(tmp_path)["here:AAA-USD"] == ["1970-01-01", "1970-01-02", "1970-01-03"]
    found = open_tapes(tmp_path, ["there:AAA-USD", "here:AAA-USD"], "1970-01-02..1970-01-03")
    assert found.legs == ["there:AAA-USD", "here:AAA-USD"]
    assert [len(t) for t in found] == [12, 12] and found.n_events == 24
    assert found["here:AAA-USD"].events["receive_ns"][0] == DAY
    assert found.period == "1970-01-02 00:00:00 to 1970-01-03 00:00:00 UTC"
    assert len(open_tapes(tmp_path, days="1970-01-01")[0]) == 6
    assert len(open_tapes(tmp_path, days=["1970-01-01", "1970-01-03"])[1]) == 12
    with pytest.raises(ConfigError, match="did you mean 'here:AAA-USD'"):
        open_tapes(tmp_path, ["here:AAA-USE"])
    with pytest.raises(DataError, match="there are 1970-01-01"):
        open_tapes(tmp_path, days="1971-01-01")
    with pytest.raises(DataError, match="oneprice import"):
        open_tapes(tmp_path / "empty")
    with pytest.raises(ConfigError, match="more than once"):
        TapeSet((found[0], found[0]))


def test_names_of_legs_cannot_leave_the_folder(tmp_path: Path) -> None:
    """Characters that mean something to a file system do not survive in a folder name."""
    assert leg_folder(tmp_path, "x:../../etc/passwd").parent == tmp_path


def test_parquet_round_trip_is_byte_equal(tmp_path: Path) -> None:
    """Tape to Parquet and back: same bytes, digest, clock, instrument."""
    ev = some_events()
    ev["bid"][1] = R.NO_PRICE
    ev["exchange_ns"][2] = -5
    tape = make_tape(instrument(), ev, header=HEADER, clock_offset_ns=-9, clock_bound_ns=4)
    back = read_parquet(write_parquet(tape, tmp_path / "a.parquet"))
    assert back.events.tobytes() == tape.events.tobytes()
    assert (back.digest, back.instrument, back.header) == (tape.digest, tape.instrument, tape.header)
    assert (back.clock_offset_ns, back.clock_bound_ns) == (-9, 4)
    assert back.exchange_order is not None and tape.exchange_order is not None
    frame = to_frame(tape)
    assert frame["bid"].to_list() == [100, None, 102, 103, 104, 105]
    assert frame["price"].null_count() == 6


def test_foreign_or_altered_parquet_is_refused(tmp_path: Path) -> None:
    """A Parquet file that is no tape, or whose rows changed, says so."""
    import polars as pl

    path = write_parquet(some_tape(), tmp_path / "a.parquet")
    frame = pl.read_parquet(path)
    frame.with_columns(word_0=pl.col("word_0") + 1).write_parquet(path)
    with pytest.raises(DataError, match="rows were changed"):
        read_parquet(path)
    frame.drop("seq").write_parquet(path)
    with pytest.raises(DataError, match="missing seq"):
        read_parquet(path)
    frame.with_columns(tape=pl.lit("{}")).write_parquet(path)
    with pytest.raises(DataError, match="column tape, row 0"):
        read_parquet(path)
    path.write_bytes(b"PAR1 nothing")
    with pytest.raises(DataError, match="not a Parquet file"):
        read_parquet(path)


def test_headers_answer_the_question(tmp_path: Path) -> None:
    """A header without a reason, with an unknown side or a negative count is refused."""
    fields = msgspec.to_builtins(HEADER)
    assert HEADER.lines()[-1] == ("can P&L be claimed?", "no, made up")
    for change, text in (
        ({"claim_why": ""}, "claim_why"),
        ({"side": "left"}, "expected one of"),
        ({"tries": -1}, "tries"),
    ):
        with pytest.raises(ConfigError, match=text):
            Header(**(fields | change))


def test_levels_of_a_book_that_nobody_keeps_are_refused() -> None:
    """An instrument without a window drops levels in silence: a maker on it would never quote."""
    events = np.zeros(2, R.EVENT)
    events["receive_ns"] = (1, 2)
    events["kind"] = (R.TOP, R.BOOK)
    with pytest.raises(DataError, match=r"row 1: a book level.*book_log2"):
        make_tape(instrument(book_log2=0), events, header=HEADER)
    assert len(make_tape(instrument(book_log2=8), events, header=HEADER)) == 2
