"""Databento market-by-order files (DBN, schema mbo) to a tape that names its orders.

A record is 56 bytes, little endian, as `MBO` below says (DBN versions 1 to 3 share it). Plain files are read here;
zstd-compressed ones by the `databento-dbn` package (extra `mbo`). Rules:

- Actions: A joins, C takes `size` off, M moves or resizes (what shrinks in place keeps its place), R empties the book,
  F fills a resting order (a TRADE row; its C or M follows in the same event), T is the taker's trade: a TRADE row of
  its own only where the event tells no F. N says nothing.
- An event ends with F_LAST: one batch. Snapshot records are flagged, records after a possible hole are GAP.
- Records that are not order by order (top of book, aggregated depth) are refused.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from oneprice.core import records as R
from oneprice.core.errors import ConfigError, DataError
from oneprice.core.instruments import Instrument, exact
from oneprice.core.jit import njit
from oneprice.market.header import Header
from oneprice.market.importers.build import note
from oneprice.market.importers.orders import Recorded, tape_of
from oneprice.market.orders.feed import messages_of
from oneprice.market.orders.records import ADD, EMPTY, FILLED, MODIFY, PRINT, REDUCE
from oneprice.market.tape import Tape

MBO = np.dtype(
    [
        ("length", "u1"),  # of the record in words of 4 bytes
        ("rtype", "u1"),
        ("publisher_id", "<u2"),
        ("instrument_id", "<u4"),
        ("ts_event", "<u8"),  # ns since 1970 UTC
        ("order_id", "<u8"),
        ("price", "<i8"),  # 1e-9
        ("size", "<u4"),
        ("flags", "u1"),
        ("channel_id", "u1"),
        ("action", "S1"),
        ("side", "S1"),  # B buy, A sell, N none
        ("ts_recv", "<u8"),
        ("ts_in_delta", "<i4"),
        ("sequence", "<u4"),
    ]
)
MBO_TYPE, PRICE_SCALE, NO_STAMP = 160, 1_000_000_000, (1 << 64) - 1
F_LAST, F_TOB, F_SNAPSHOT, F_MBP, F_MAYBE_BAD_BOOK = 128, 64, 32, 16, 4
_ZSTD = b"\x28\xb5\x2f\xfd"
_KIND = {b"A": ADD, b"C": REDUCE, b"M": MODIFY, b"R": EMPTY, b"F": FILLED, b"T": PRINT}
LONGEST = (1 << 63) - 1


def import_mbo(
    path: str | Path,
    instrument: Instrument,
    *,
    instrument_id: int | None = None,
    header: Header | None = None,
    notes: dict[str, int] | None = None,
) -> Tape:
    """Read a DBN file of the schema mbo; `instrument_id` picks one of several instruments.

    Raises
    ------
    ConfigError
        A compressed file without the package databento-dbn; several instruments and none picked.
    DataError
        Not a DBN file, cut short, no mbo record, prices off the tick, unknown actions (file, record, field).
    """
    records = read_dbn(path)
    m = mbo_messages(records, instrument, where=str(path), instrument_id=instrument_id, notes=notes)
    snapshot = int(np.argmin(m["flag_bits"] & R.SNAPSHOT)) if (m["flag_bits"] & R.SNAPSHOT == 0).any() else len(m)
    recorded = Recorded(m, str(path), snapshot)
    return tape_of(recorded, instrument, header=header or _header(path), notes=notes)


def read_dbn(path: str | Path) -> np.ndarray:
    """The MBO records of a DBN file, plain or zstd-compressed."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    raw = path.read_bytes()
    if raw[:4] == _ZSTD:
        return _decoded(raw, path)
    if len(raw) < 8 or raw[:3] != b"DBN":
        raise DataError(f"{path}: expected a DBN file (it begins with the letters DBN), got {raw[:8]!r}")
    start = 8 + int.from_bytes(raw[4:8], "little")
    if start > len(raw):
        raise DataError(f"{path}: the metadata end after the file; it is cut short, fetch it again")
    body = np.frombuffer(raw, np.uint8)[start:]
    at = np.zeros(len(body) // 16 + 1, np.int64)
    n, end = _walk(body, at)
    if end != len(body):
        raise DataError(f"{path}, byte {start + end}: the last record is cut short; fetch the file again")
    if n == 0:
        raise DataError(f"{path}: no mbo record; expected the schema mbo (order by order)")
    return body[at[:n, None] + np.arange(MBO.itemsize)].copy().view(MBO).reshape(-1)


@njit
def _walk(body: Any, at: Any) -> tuple[int, int]:
    """Where the mbo records begin, and where the last whole record ends."""
    n, here = 0, 0
    while here + 16 <= len(body):
        length = 4 * int(body[here])
        if length < 16 or here + length > len(body):
            break
        if body[here + 1] == MBO_TYPE and length >= 56:
            at[n] = here
            n += 1
        here += length
    return n, here


def _decoded(raw: bytes, path: Path) -> np.ndarray:
    """A compressed file through databento-dbn."""
    try:
        databento_dbn = import_module("databento_dbn")
    except ImportError as error:
        raise ConfigError(
            f"{path}: a zstd-compressed DBN file needs the package databento-dbn, which is not installed; install"
            " oneprice[mbo] or decompress the file first (zstd -d)"
        ) from error
    decoder = databento_dbn.DBNDecoder(compression=databento_dbn.Compression.ZSTD)
    try:
        decoder.write(raw)
        found = [bytes(r)[: MBO.itemsize] for r in decoder.decode() if isinstance(r, databento_dbn.MBOMsg)]
    except (databento_dbn.DBNError, RuntimeError) as error:  # what zstd says of a broken frame is a RuntimeError
        raise DataError(f"{path}: not a DBN file of the schema mbo ({error})") from error
    if len(decoder.buffer()):
        raise DataError(f"{path}: the file ends within a record, after {len(found):,}: it is truncated, fetch it again")
    if not found:
        raise DataError(f"{path}: no mbo record; expected the schema mbo (order by order)")
    return np.frombuffer(b"".join(found), MBO).copy()


def mbo_messages(
    records: np.ndarray,
    instrument: Instrument,
    *,
    where: str = "mbo",
    instrument_id: int | None = None,
    notes: dict[str, int] | None = None,
) -> np.ndarray:
    """MBO[n] to MESSAGE[k]: one a record that says something; `line` counts records from 1."""
    if records.dtype != MBO:
        raise DataError(f"{where}: expected records of the mbo layout, got {records.dtype}")
    line = np.arange(1, len(records) + 1)
    known = np.unique(records["instrument_id"])
    if instrument_id is None and len(known) > 1:
        ids = ", ".join(str(i) for i in known[:10])
        raise ConfigError(f"{where}: {len(known)} instruments in one file ({ids}...): say which with instrument_id=")
    if instrument_id is not None:
        if instrument_id not in known:
            raise ConfigError(f"{where}: instrument_id {instrument_id}: expected one of {known[:10].tolist()}")
        mine = records["instrument_id"] == instrument_id
        line, records = line[mine], records[mine]
    _refuse(where, line, "flags", (records["flags"] & (F_TOB | F_MBP)) != 0, records["flags"], "order-by-order records")
    action, flags = records["action"], records["flags"]
    known_action = np.isin(action, [*_KIND, b"N"])
    _refuse(where, line, "action", ~known_action, action, "one of A, C, M, R, T, F, N")
    ticks = _ticks(records, instrument, where, line)
    ends = np.cumsum((flags & F_LAST) != 0) - ((flags & F_LAST) != 0)  # number of the event each record is of
    has_fill = np.zeros(int(ends[-1]) + 1, bool)
    has_fill[ends[action == b"F"]] = True
    out = (action == b"N") | ((action == b"T") & has_fill[ends])
    note(notes, "trades_told_by_fills", np.count_nonzero((action == b"T") & out))
    m = messages_of(len(records))
    receive = np.where(records["ts_recv"] == NO_STAMP, records["ts_event"], records["ts_recv"]).astype(np.int64)
    m["receive_ns"], m["exchange_ns"] = np.maximum.accumulate(receive), records["ts_event"].astype(np.int64)
    m["seq"], m["line"], m["price"], m["qty"] = records["sequence"], line, ticks, records["size"]
    _refuse(where, line, "order_id", records["order_id"] > LONGEST, records["order_id"], "an id below 2^63")
    m["order_id"] = records["order_id"].astype(np.int64)
    for letter, kind in _KIND.items():
        m["kind"][action == letter] = kind
    m["side"] = np.where(records["side"] == b"B", R.BUY, np.where(records["side"] == b"A", R.SELL, 0))
    sideless = (m["side"] == 0) & (action == b"A")
    _refuse(where, line, "side", sideless, records["side"], "B or A for an order that joins")
    bits = np.where((flags & F_SNAPSHOT) != 0, R.SNAPSHOT, 0) | np.where((flags & F_MAYBE_BAD_BOOK) != 0, R.GAP, 0)
    m["flag_bits"] = bits | np.where((flags & F_LAST) != 0, R.LAST, 0)
    m["flag_bits"][-1] |= R.LAST
    last = np.flatnonzero(~out)
    if len(last) == 0:
        raise DataError(f"{where}: no record says anything of an order or a trade")
    for k in np.flatnonzero(out & ((m["flag_bits"] & R.LAST) != 0)):  # its event ends with the record kept before it
        before = last[np.searchsorted(last, k) - 1]
        if before < k:
            m["flag_bits"][before] |= R.LAST
    return m[~out]


def _ticks(records: np.ndarray, instrument: Instrument, where: str, line: np.ndarray) -> np.ndarray:
    """Prices in ticks; NO_PRICE where a record has none."""
    unit = exact(instrument.tick, "tick") * PRICE_SCALE
    if unit.denominator != 1:
        raise ConfigError(f"{where}: tick {instrument.tick} is finer than the 1e-9 of the file")
    none = records["price"] == LONGEST
    price = np.where(none, 0, records["price"])
    priced = np.isin(records["action"], [b"A", b"M", b"T"])
    _refuse(where, line, "price", none & priced, records["price"], "a price")
    _refuse(where, line, "price", price % int(unit) != 0, price, f"multiples of the tick {instrument.tick} (in 1e-9)")
    return np.where(none, R.NO_PRICE, price // int(unit))


def _refuse(where: str, line: np.ndarray, field: str, bad: np.ndarray, values: np.ndarray, expected: str) -> None:
    at = np.flatnonzero(bad)
    if len(at):
        raise DataError(f"{where}, record {line[at[0]]}, field {field}: expected {expected}, got {values[at[0]]}")


def _header(path: str | Path) -> Header:
    return Header(
        source=f"{Path(path).name}: Databento market-by-order records",
        licence="of the file; not a grant of the exchange",
        period="as in the file",
        side="both",
        simultaneity="venue times and the vendor's receive times, ns",
        survivorship="one instrument, chosen by who asked for the file",
        tries=0,
        claim=False,
        claim_why="receive times are the vendor's, not the user's own",
        depth="orders",
    )
