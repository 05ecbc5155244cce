"""A tape: one instrument's events of one day as memory-mapped 64-byte records.

On disk a leg is a folder: `<day>.ev` (EVENT records, nothing else), `<day>.order` (int32, only when the file
order is not the exchange's) and `manifest.json`, which holds for each day the digest, the instrument, the
clock, the header, counts by kind and flag, and the range of prices. Every file is written beside its place
and renamed, the manifest last: a reader sees the day before or the day after, never half of it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from oneprice.core import records as R
from oneprice.core.errors import DataError, OnePriceError
from oneprice.core.instruments import Instrument
from oneprice.market.header import Header

FORMAT = 1
KINDS = {
    "book": R.BOOK,
    "top": R.TOP,
    "trade": R.TRADE,
    "bar": R.BAR,
    "funding": R.FUNDING,
    "status": R.STATUS,
    "expiry": R.EXPIRY,
    "borrow": R.BORROW,
    "dividend": R.DIVIDEND,
}
MARKS = {
    "snapshot": R.SNAPSHOT,
    "clear": R.CLEAR,
    "gap": R.GAP,
    "crossed": R.CROSSED,
    "estimated": R.ESTIMATED,
    "backward": R.BACKWARD,
}


@dataclass(frozen=True)
class Tape:
    """Events of one instrument in the order in which they were received.

    `events` is EVENT[n] (raw stamps, never corrected; memory-mapped copy-on-write or in memory).
    `exchange_ns + clock_offset_ns` is on the collector's clock, give or take `clock_bound_ns`.
    `exchange_order` is int32[n], the stable sort by exchange time, or None when that is the file order.
    """

    instrument: Instrument
    events: np.ndarray
    clock_offset_ns: int
    clock_bound_ns: int
    exchange_order: np.ndarray | None
    digest: str
    header: Header
    path: Path | None = None

    @property
    def leg(self) -> str:
        """`venue:name`, what commands and reports call this leg."""
        return leg_name(self.instrument)

    def __len__(self) -> int:
        return len(self.events)


def leg_name(instrument: Instrument) -> str:
    """`venue:name` of an instrument."""
    symbol = instrument.symbol
    return symbol if ":" in symbol else f"{instrument.venue}:{symbol}"


def make_tape(
    instrument: Instrument,
    events: np.ndarray,
    *,
    header: Header,
    clock_offset_ns: int = 0,
    clock_bound_ns: int = 0,
) -> Tape:
    """A tape in memory: events checked, exchange order found, digest taken.

    Raises
    ------
    DataError
        Wrong dtype, no rows, receive time going back, or an unknown kind; the text names the row.
    """
    where = f"tape {leg_name(instrument)}"
    check_events(events, where)
    if instrument.contract == "inverse" and (events["kind"] == R.DIVIDEND).any():
        row = int(np.flatnonzero(events["kind"] == R.DIVIDEND)[0])
        raise DataError(f"{where}, row {row}: a dividend on an inverse contract; expected none")
    levels = events["kind"] == R.BOOK
    if instrument.book_log2 == 0 and levels.any():
        row = int(np.flatnonzero(levels)[0])
        raise DataError(f"{where}, row {row}: a book level, but the instrument keeps none; set its book_log2 to 14")
    order = exchange_order_of(events)
    return Tape(instrument, events, clock_offset_ns, clock_bound_ns, order, digest_of(events), header)


def with_clock(tape: Tape, *, offset_ns: int, bound_ns: int) -> Tape:
    """The same tape with another clock estimate; events and digest stay."""
    return replace(tape, clock_offset_ns=int(offset_ns), clock_bound_ns=int(bound_ns))


def join_events(parts: Sequence[np.ndarray]) -> np.ndarray:
    """EVENT arrays one after the other (`np.concatenate` would unpack the overlaid words)."""
    if not parts:
        return np.zeros(0, R.EVENT)
    raw = np.concatenate([np.ascontiguousarray(p).view(np.uint8) for p in parts])
    return raw.view(R.EVENT)


def digest_of(events: np.ndarray) -> str:
    """sha256 of the events' bytes, in hex."""
    return hashlib.sha256(np.ascontiguousarray(events).view(np.uint8).data).hexdigest()


def exchange_order_of(events: np.ndarray) -> np.ndarray | None:
    """Stable sort by exchange time as int32[n], or None when the file is in that order already."""
    stamps = events["exchange_ns"]
    if not np.any(stamps[1:] < stamps[:-1]):
        return None
    return np.argsort(stamps, kind="stable").astype(np.int32)


def check_events(events: np.ndarray, where: str) -> None:
    """Refuse what no reader could use: wrong dtype, no rows, receive time going back, an unknown kind."""
    if events.dtype != R.EVENT or events.ndim != 1:
        raise DataError(
            f"{where}: expected a one-dimensional EVENT array, got {events.dtype} of {events.ndim} dimensions"
        )
    if len(events) == 0:
        raise DataError(f"{where}: the tape is empty; expected at least one event")
    back = np.flatnonzero(events["receive_ns"][1:] < events["receive_ns"][:-1])
    if len(back):
        i = int(back[0]) + 1
        before, here = int(events["receive_ns"][i - 1]), int(events["receive_ns"][i])
        raise DataError(
            f"{where}, row {i}, receive_ns: expected at least {before} (the row before), got {here}; sort"
            f" the source"
        )
    strange = np.flatnonzero((events["kind"] < R.BOOK) | (events["kind"] > R.DIVIDEND))
    if len(strange):
        i = int(strange[0])
        raise DataError(
            f"{where}, row {i}, kind: expected a market kind 1 to 9, got {int(events['kind'][i])}"
        )


# ---------------------------------------------------------------- on disk
def leg_folder(folder: str | Path, leg: str) -> Path:
    """Where a leg's days lie: `venue:symbol` without characters that file systems refuse."""
    return Path(folder) / re.sub(r"[^A-Za-z0-9._-]", "_", leg)


def day_of(events: np.ndarray) -> str:
    """UTC day of the first receive stamp, `YYYY-MM-DD`."""
    return datetime.fromtimestamp(int(events["receive_ns"][0]) // 1_000_000_000, UTC).strftime("%Y-%m-%d")


def write_tape(folder: str | Path, tape: Tape, *, day: str | None = None) -> Path:
    """Write a tape below `folder` as `<leg>/<day>.ev` and enter it in the leg's manifest; returns its path.

    A day that is there already is replaced. Raises DataError when the events are not a valid tape.
    """
    check_events(tape.events, f"tape {tape.leg}")
    home = leg_folder(folder, tape.leg)
    home.mkdir(parents=True, exist_ok=True)
    day = day or day_of(tape.events)
    book = home / "manifest.json"
    days = _read_manifest(book)["days"] if book.exists() else {}
    days[day] = _sealed(describe(tape))
    path = home / f"{day}.ev"
    if tape.exchange_order is not None:
        replace_file(home / f"{day}.order", np.ascontiguousarray(tape.exchange_order).tobytes())
    replace_file(path, np.ascontiguousarray(tape.events).tobytes())
    text = {"format": FORMAT, "leg": tape.leg, "days": dict(sorted(days.items()))}
    replace_file(book, msgspec.json.format(msgspec.json.encode(text), indent=1))
    return path


def describe(tape: Tape) -> dict[str, Any]:
    """The manifest entry of a tape: digest, instrument, clock, header, counts and ranges."""
    ev = tape.events
    low, high = price_range(ev)
    return {
        "digest": tape.digest,
        "rows": len(ev),
        "first_ns": int(ev["receive_ns"][0]),
        "last_ns": int(ev["receive_ns"][-1]),
        "counts": {name: int(np.count_nonzero(ev["kind"] == k)) for name, k in KINDS.items()},
        "marks": {name: int(np.count_nonzero(ev["flag_bits"] & bit)) for name, bit in MARKS.items()},
        "min_ticks": low,
        "max_ticks": high,
        "max_abs_ticks": max(abs(low), abs(high)),
        "max_lots": max_lots(ev),
        "ordered": tape.exchange_order is None,
        "clock_offset_ns": tape.clock_offset_ns,
        "clock_bound_ns": tape.clock_bound_ns,
        "instrument": msgspec.to_builtins(tape.instrument),
        "header": msgspec.to_builtins(tape.header),
    }


def _sealed(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry with a checksum of its other fields, so that a changed clock or fee does not go unseen."""
    bare = {k: v for k, v in entry.items() if k != "seal"}
    return {**bare, "seal": hashlib.sha256(msgspec.json.encode(bare, order="sorted")).hexdigest()}


def price_range(events: np.ndarray) -> tuple[int, int]:
    """Lowest and highest price in ticks over all prices that rows carry; (0, 0) without any."""
    parts = []
    for kind, fields in (
        (R.BOOK, ("price",)),
        (R.TRADE, ("price",)),
        (R.TOP, ("bid", "ask")),
        (R.BAR, ("close",)),
    ):
        rows = events[events["kind"] == kind]
        for field in fields:
            held = rows[field][rows[field] != R.NO_PRICE]
            if len(held):
                lift = (int(rows["low_off"].min()), int(rows["high_off"].max())) if kind == R.BAR else (0, 0)
                parts.append((int(held.min()) + lift[0], int(held.max()) + lift[1]))
    return (min(p[0] for p in parts), max(p[1] for p in parts)) if parts else (0, 0)


def max_lots(events: np.ndarray) -> int:
    """Largest quantity in lots that any row carries."""
    most = 0
    for kind, fields in (
        (R.BOOK, ("qty",)),
        (R.TRADE, ("qty",)),
        (R.TOP, ("bid_qty", "ask_qty")),
        (R.BAR, ("volume",)),
    ):
        rows = events[events["kind"] == kind]
        if len(rows):
            most = max(most, *(int(rows[f].max()) for f in fields))
    return most


def read_tape(path: str | Path, *, verify: bool = True) -> Tape:
    """Open `<leg>/<day>.ev` by memory map (copy on write).

    `verify=False` skips the digest and the pass over all rows (for files this process has just written).

    Raises
    ------
    DataError
        Missing file or manifest entry, a length that is not a whole number of records, another digest,
        receive time going back, or an order file that is not the stable sort by exchange time.
    """
    path = Path(path)
    book = path.parent / "manifest.json"
    if not path.is_file():
        raise DataError(f"{path}: no such tape; expected <folder>/<leg>/<day>.ev (see `oneprice import`)")
    if not book.is_file():
        raise DataError(f"{book}: the manifest of {path.name} is missing; import the source again")
    found = _read_manifest(book)["days"].get(path.stem)
    if found is None:
        raise DataError(
            f"{book}: no entry for day {path.stem}; the import did not finish, import the source again"
        )
    if not isinstance(found, dict) or found != _sealed(found):
        raise DataError(
            f"{book}, day {path.stem}: the entry was changed after the import; import the source again"
        )
    try:
        entry = msgspec.convert(found, _Entry)
    except (msgspec.ValidationError, OnePriceError) as error:
        raise DataError(f"{book}, day {path.stem}: {error}; import the source again") from error
    length = path.stat().st_size
    size = R.EVENT.itemsize
    if length == 0 or length % size:
        raise DataError(
            f"{path}: expected a positive multiple of {size} bytes, got {length}; the file is truncated"
        )
    events = np.memmap(path, R.EVENT, mode="c")
    if len(events) != entry.rows:
        raise DataError(f"{path}: expected {entry.rows} rows (manifest), got {len(events)}")
    if verify:
        got = digest_of(events)
        if got != entry.digest:
            raise DataError(
                f"{path}: expected sha256 {entry.digest} (manifest), got {got}; the bytes were changed,"
                f" import again"
            )
        check_events(events, str(path))
    order = None if entry.ordered else _read_order(path.with_suffix(".order"), events, verify)
    clock = entry.clock_offset_ns, entry.clock_bound_ns
    return Tape(entry.instrument, events, *clock, order, entry.digest, entry.header, path)


class _Entry(msgspec.Struct, frozen=True):
    """What reading a day needs of its manifest entry."""

    digest: str
    rows: int
    ordered: bool
    clock_offset_ns: int
    clock_bound_ns: int
    instrument: Instrument
    header: Header


def _read_order(path: Path, events: np.ndarray, verify: bool) -> np.ndarray:
    if not path.is_file() or path.stat().st_size != 4 * len(events):
        raise DataError(
            f"{path}: expected {4 * len(events)} bytes of int32, one for each row; import the source again"
        )
    order = np.fromfile(path, np.int32)
    if verify:
        truth = np.argsort(events["exchange_ns"], kind="stable")
        if not np.array_equal(order, truth):
            raise DataError(
                f"{path}: not the stable sort of the rows by exchange time; import the source again"
            )
    return order


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(path.read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a manifest ({error}); import the source again") from error
    if (
        not isinstance(found, dict)
        or found.get("format") != FORMAT
        or not isinstance(found.get("days"), dict)
    ):
        raise DataError(
            f"{path}: expected a manifest of format {FORMAT}, got something else; import the source again"
        )
    return found


def replace_file(path: Path, raw: bytes) -> None:
    """Write beside the place, sync, rename: whole or not at all."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(scratch, "wb") as out:
            out.write(raw)
            out.flush()
            os.fsync(out.fileno())
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
