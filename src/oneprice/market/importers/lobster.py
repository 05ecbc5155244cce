"""LOBSTER: messages of single orders with the book after each, to a tape that names its orders.

Two layouts: the pair `<name>_message_<n>.csv` and `<name>_orderbook_<n>.csv` without headings (give the message file;
prices are 1e-4 dollars, times seconds after midnight of the exchange), and one Parquet of both with the columns Secs,
Type, OrderID, Size, Price, TradeDirection, Time, Askp1, Asks1, Bidp1, Bids1, ... (prices in dollars). Rules:

- Times are seconds after midnight at the exchange; the day comes from the file's name, or from Time, whose hours are
  not looked at.
- What the book file shows is the truth: lots that no message explains become one order without a name at the front
  of its level. A level out of sight stays as last seen and gives up its names when it is shown again.
- Types: 1 new, 2 shrinks, 3 leaves, 4 executed, 5 hidden execution and 6 cross (TRADE rows with maker 0), 7 halt.
- Messages of one nanosecond are one batch: a market order's fills belong together.
- A hidden execution between ticks (mid-point) fits no tick: it is left out and counted.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.instruments import Fees, Instrument, exact
from oneprice.core.records import CLOSED_SESSION, LAST, NO_PRICE, OPEN, PAUSED
from oneprice.market.header import Header
from oneprice.market.importers.build import mark_backward, note
from oneprice.market.importers.columns import GRID_TOLERANCE
from oneprice.market.importers.orders import note_troubles
from oneprice.market.orders.feed import messages_of, rows_of
from oneprice.market.orders.records import ADD, CANCEL, EXECUTE, PRINT, REDUCE, STATUS_IS
from oneprice.market.orders.table import new_orders
from oneprice.market.quality import mark_crossed
from oneprice.market.tape import Tape, make_tape

ZONE = "America/New_York"
PRICE_UNIT = 1e-4  # dollars, of the CSV layout
_FAR, _DAY_S = float(1 << 53), 90_000.0
NO_ASK = 9_999_999_999  # prices of empty levels in the CSV layout: this, and its negative for bids
_KIND = np.array([0, ADD, REDUCE, CANCEL, EXECUTE, PRINT, PRINT, STATUS_IS], np.uint8)
HIDDEN, CROSS, HALT = 5, 6, 7
HALTS = {-1: PAUSED, 0: CLOSED_SESSION, 1: OPEN}


def lobster_instrument(name: str, fees: Fees | None = None, *, tick: str = "0.01") -> Instrument:
    """A share of a LOBSTER file: one share a lot, dollars, depth of 2^13 ticks each side of the touch."""
    symbol = f"nasdaq:{name}"
    return Instrument(symbol=symbol, underlying=name, quote="USD", tick=tick, lot="1", fees=fees, book_log2=13)


def import_lobster(
    path: str | Path,
    instrument: Instrument,
    *,
    day: date | None = None,
    timezone: str = ZONE,
    header: Header | None = None,
    notes: dict[str, int] | None = None,
) -> Tape:
    """Read a message file with its order book file beside it, or one Parquet of both.

    `day`: of the file, if neither its name nor a column Time says it. `notes` gets counts of what was met, among them
    touch_rebuilt, touch_uncovered and touch_differs: one a message and side, whether the touch that messages alone
    gave was the one shown, a level not seen before, or neither.

    Raises DataError with file and row for times that go back, prices or sizes that do not fit, unknown types.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    columns, shown, found = _read_parquet(path) if path.suffix == ".parquet" else _read_pair(path)
    day = day or found
    if day is None:
        raise ConfigError(f"{path}: its day is neither in its name (NAME_YYYY-MM-DD_...) nor in a column; say day=")
    m, keep = _messages(path, columns, instrument, _midnight(day, timezone), notes)
    book = _shown(path, shown, instrument)[keep]
    seen = np.zeros(3, np.int64)
    orders, events = rows_of(new_orders(), m, shown=book, seen=seen)
    for name, n in zip(("touch_rebuilt", "touch_uncovered", "touch_differs"), seen, strict=True):
        note(notes, name, n)
    note_troubles(orders, notes)
    note(notes, "backward", mark_backward(events))
    note(notes, "crossed", mark_crossed(events, instrument.book_log2))
    return make_tape(instrument, events, header=header or _header(path, day))


def shown_of(
    path: str | Path, instrument: Instrument, *, day: date | None = None, timezone: str = ZONE
) -> tuple[np.ndarray, np.ndarray]:
    """What a file shows after each message: stamps int64[n] (UTC ns) and int64[n, 2, levels, 2], see `rows_of`."""
    path = Path(path)
    columns, shown, found = _read_parquet(path) if path.suffix == ".parquet" else _read_pair(path)
    midnight = _midnight(day or found or date(1970, 1, 1), timezone)
    return midnight + np.rint(columns["time"] * 1e9).astype(np.int64), _shown(path, shown, instrument)


def _messages(
    path: Path, c: dict[str, np.ndarray], instrument: Instrument, midnight_ns: int, notes: dict[str, int] | None
) -> tuple[np.ndarray, np.ndarray]:
    """MESSAGE[n] and the mask of file rows they are of."""
    kind = c["type"]
    _refuse(path, "type", (kind < 1) | (kind > HALT), kind, "1 to 7")
    _refuse(path, "time", (c["time"] < 0) | (c["time"] > _DAY_S), c["time"], "seconds after midnight")
    stamps = midnight_ns + np.rint(c["time"] * 1e9).astype(np.int64)
    _refuse(path, "time", np.append(False, stamps[1:] < stamps[:-1]), stamps, "not before the row before (ns)")
    _refuse(path, "direction", (kind < CROSS) & (np.abs(c["direction"]) != 1), c["direction"], "1 or -1")
    _refuse(path, "size", (c["size"] < 0) & (kind != HALT), c["size"], "0 or more")
    ticks = c["price"] / float(exact(instrument.tick, "tick"))
    off = np.abs(ticks - np.rint(ticks)) > GRID_TOLERANCE
    hidden = off & (kind == HIDDEN)
    note(notes, "off_grid_prints", np.count_nonzero(hidden))
    stray = off & ~hidden & (kind != HALT)
    _refuse(path, "price", stray, c["price"], f"a whole multiple of the tick {instrument.tick}")
    m = messages_of(len(kind))
    m["receive_ns"] = m["exchange_ns"] = stamps
    m["line"] = np.arange(1, len(kind) + 1)
    m["kind"], m["order_id"], m["qty"] = _KIND[kind], c["order_id"], c["size"]
    m["price"] = np.rint(ticks)
    m["side"] = np.where(kind == HIDDEN, -c["direction"], np.where(kind == CROSS, 0, c["direction"]))
    halts = kind == HALT
    m["qty"][halts] = [HALTS.get(round(p / PRICE_UNIT), HALTS.get(round(p), OPEN)) for p in c["price"][halts]]
    m = m[~hidden]
    m["flag_bits"][:-1][m["receive_ns"][1:] == m["receive_ns"][:-1]] &= ~np.uint16(LAST)
    return m, ~hidden


def _shown(path: Path, book: np.ndarray, instrument: Instrument) -> np.ndarray:
    """float64[n, 2, levels, 2] of dollars and shares to int64 ticks and lots; NaN prices are levels that are not."""
    ticks = book[..., 0] / float(exact(instrument.tick, "tick"))
    gone = np.isnan(ticks)
    near = np.rint(np.where(gone, 0.0, ticks))
    bad = ~gone & (np.abs(ticks - near) > GRID_TOLERANCE)
    if bad.any():
        row = int(np.argwhere(bad)[0][0])
        raise DataError(f"{path}, book row {row + 1}: expected prices on the tick {instrument.tick}, got {book[row]}")
    lots = np.where(gone, 0.0, book[..., 1])
    unclear = np.asarray(~(np.abs(lots) < _FAR).all(axis=(1, 2)))
    _refuse(path, "book", unclear, book[:, 0, 0, 1], "a size at each price")
    out = np.stack([np.where(gone, NO_PRICE, near.astype(np.int64)), lots.astype(np.int64)], axis=-1)
    both = (out[:, 0, 0, 0] != NO_PRICE) & (out[:, 1, 0, 0] != NO_PRICE)
    crossed = both & (out[:, 0, 0, 0] >= out[:, 1, 0, 0])
    _refuse(path, "book", crossed, out[:, 0, 0, 0], "a best bid below the best ask (ticks)")
    return np.ascontiguousarray(out)


def _read_parquet(path: Path) -> tuple[dict[str, np.ndarray], np.ndarray, date | None]:
    import polars as pl

    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: cannot be read as Parquet ({first_line(error)})") from error
    names = {"time": "Secs", "type": "Type", "order_id": "OrderID", "size": "Size", "price": "Price"}
    names["direction"] = "TradeDirection"
    levels = [k for k in range(1, 51) if f"Askp{k}" in frame.columns]
    wanted = [*names.values(), *(f"{a}{k}" for k in levels for a in ("Bidp", "Bids", "Askp", "Asks"))]
    missing = [name for name in wanted if name not in frame.columns]
    if missing or not levels or frame.height == 0:
        raise DataError(f"{path}: expected the columns {', '.join(wanted)} and Askp1, and rows; missing {missing}")
    empty = [name for name in wanted if frame[name].null_count()]
    if empty:
        n = frame[empty[0]].null_count()
        raise DataError(f"{path}, column {empty[0]!r}: expected a value in each row, {n} are empty")
    columns = {ours: _typed(path, frame[theirs].to_numpy(), ours) for ours, theirs in names.items()}
    sides = [[[frame[f"{s}{w}{k}"].to_numpy() for w in "ps"] for k in levels] for s in ("Bid", "Ask")]
    book = np.moveaxis(np.array(sides, np.float64), -1, 0)
    first = frame["Time"][0] if "Time" in frame.columns else None
    return columns, book, first.date() if isinstance(first, datetime) else None


def _read_pair(path: Path) -> tuple[dict[str, np.ndarray], np.ndarray, date | None]:
    beside = path.with_name(path.name.replace("_message_", "_orderbook_"))
    if beside == path or not beside.is_file():
        raise DataError(f"{path}: expected NAME_message_N.csv, and NAME_orderbook_N.csv beside it")
    raw, levels = _table(path), _table(beside)
    if raw.shape[1] < 6 or levels.shape[1] % 4 or levels.shape[1] == 0:
        got = f"{raw.shape[1]} and {levels.shape[1]}"
        raise DataError(f"{path}: expected 6 columns of messages and 4 a level of the book, got {got}")
    if len(raw) != len(levels):
        raise DataError(f"{beside}: expected {len(raw)} rows, as many as messages, got {len(levels)}")
    names = ("time", "type", "order_id", "size", "price", "direction")
    columns = {name: _typed(path, raw[:, k], name) for k, name in enumerate(names)}
    columns["price"] = columns["price"] * PRICE_UNIT
    book = levels.reshape(len(levels), -1, 2, 2)[:, :, ::-1].transpose(0, 2, 1, 3).copy()  # file: ask first
    book[..., 0][np.abs(book[..., 0]) >= NO_ASK] = np.nan
    book[..., 0] *= PRICE_UNIT
    day = re.search(r"_(\d{4}-\d{2}-\d{2})_", path.name)
    return columns, book, date.fromisoformat(day[1]) if day else None


def _table(path: Path) -> np.ndarray:
    """A CSV without heading as float64[n, columns]; every field is a number."""
    import polars as pl

    try:
        frame = pl.read_csv(path, has_header=False, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as CSV ({first_line(error)})") from error
    try:
        table = frame.select(pl.all().cast(pl.Float64)).to_numpy()
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path}: expected numbers only, without a heading ({first_line(error)})") from error
    bad = ~(np.abs(table) < _FAR)
    if bad.any():
        row, column = (int(x) for x in np.argwhere(bad)[0])
        raise DataError(f"{path}, row {row + 1}, column {column + 1}: expected a number, got {table[row, column]}")
    return table


def first_line(error: Exception) -> str:
    """The first line of what a library says."""
    return str(error).partition("\n")[0]


def _typed(path: Path, values: np.ndarray, name: str) -> np.ndarray:
    """A column as float64 (time, price) or int64; what is not finite or not whole is refused."""
    wide = values.astype(np.float64)
    whole = name not in ("time", "price")
    bad = ~(np.abs(wide) < _FAR) | (whole & (wide != np.rint(np.where(np.isfinite(wide), wide, 0.0))))
    _refuse(path, name, bad, wide, "a whole number" if whole else "a finite number")
    return values.astype(np.int64) if whole else wide


def _midnight(day: date, timezone: str) -> int:
    """UTC ns of a day's midnight at the exchange."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        zone: Any = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigError(f"timezone: expected a name like {ZONE}, got {timezone!r}") from error
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC).timestamp()) * 1_000_000_000


def _refuse(path: Path, field: str, bad: np.ndarray, values: np.ndarray, expected: str) -> None:
    at = np.flatnonzero(bad)
    if len(at):
        raise DataError(f"{path}, row {int(at[0]) + 1}, field {field}: expected {expected}, got {values[at[0]]}")


def _header(path: Path, day: date) -> Header:
    return Header(
        source=f"{path.name}: LOBSTER, NASDAQ order messages with the book after each",
        licence="of the file; not a grant of the exchange",
        period=f"{day}",
        side="both",
        simultaneity="one venue's matching engine: its own order, ns",
        survivorship="one share, one day",
        tries=0,
        claim=False,
        claim_why="times are the exchange's own: what a user would have known when is not in the file",
        depth="orders",
    )
