"""Bitstamp's order events to a tape that names its orders: the raw log of the old feed, and CSV files of events.

Log: a line is `local_ms kind json`, kind order_created | order_changed | order_deleted | trade | order_book. CSV: id,
timestamp, exchange.timestamp (or exchange_timestamp), price, volume, action, direction, as obAnalytics and
ob-analytics write it (volumes without any decimal point are in units of 1e-8). Rules:

- Bitstamp says what is *left* of an order; what it lost was executed. Nothing left at its end: filled.
- An order is published before it is matched, so a marketable one crosses the book for a tenth of a second: it is
  held outside (`persist_ms`) and its losses are a taker's. A cross that persists drops its older side: ghosts.
- In a log each trade is looked for among the losses around it (equal lots; see bitstamp_trades): the loss of
  an order at the trade's price is its maker's (of two, the older order's), the other its taker's. Labels are all that
  this changes: rows keep the time at which the loss was told. A trade nobody's loss explains is a TRADE row with
  maker 0.
- The book is empty when recording starts, unless the file begins with a snapshot: what is dropped is the first
  `warmup_s`; the tape then begins with a snapshot of the orders known by then. Orders older than the recording stay
  unknown: their messages are counted, and depth is what is known.
- Exchange times are used where the file has them as times of events (they never go back); the old feed has the
  second in which an order was born, which is no time of the event: then they are estimated, and flagged so.
"""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from oneprice.core import records as R
from oneprice.core.errors import ConfigError, DataError
from oneprice.core.instruments import Fees, Instrument
from oneprice.market.header import Header
from oneprice.market.importers.bitstamp_trades import CHANGED, CREATED, DELETED, TRADED, Events, label_trades
from oneprice.market.importers.build import note, refuse_unsorted
from oneprice.market.importers.decimals import parse_decimals, unit_of, why
from oneprice.market.importers.lines import Progress, read_lines
from oneprice.market.importers.orders import Recorded, tape_of
from oneprice.market.orders.feed import messages_of
from oneprice.market.orders.records import ADD, CANCEL, LEFT, PRINT
from oneprice.market.tape import Tape

WARMUP_S = 1_200.0  # until then the best bid of the 2015 log is not the one its own order_book messages show
PERSIST_MS = 1_000
FAR = 10.0  # orders priced beyond this many times the median, or below its inverse, cannot matter
CLOSING = 100  # a run of this many deletes of one stamp at the end is the recorder's tidying up
_POWER = re.compile(r"\d+(\.\d+)?[eE][+-]?\d{1,2}")
_SATOSHI = "0.00000001"
_ACTIONS = {"created": CREATED, "changed": CHANGED, "deleted": DELETED}
_SIDES = {"bid": R.BUY, "ask": R.SELL}


def bitstamp_instrument(fees: Fees | None = None, *, tick: str = "0.01", symbol: str = "bitstamp:BTCUSD") -> Instrument:
    """BTC/USD as Bitstamp trades it: lots of 1e-8 BTC, depth of 2^14 ticks each side of the touch."""
    return Instrument(symbol=symbol, underlying="BTC", quote="USD", tick=tick, lot=_SATOSHI, fees=fees, book_log2=14)


def import_bitstamp(
    path: str | Path,
    instrument: Instrument,
    *,
    warmup_s: float = WARMUP_S,
    persist_ms: int = PERSIST_MS,
    header: Header | None = None,
    progress: Progress | None = None,
    notes: dict[str, int] | None = None,
) -> Tape:
    """Read a log or CSV of order events (plain, gzip or xz); see `read_bitstamp` for what was met on the way.

    Raises DataError with line and field for what does not parse, and when no event is left after the warm-up.
    """
    if persist_ms < 0:
        raise ConfigError(f"persist_ms: expected 0 or more milliseconds, got {persist_ms}")
    recorded = read_bitstamp(path, instrument, progress=progress, notes=notes)
    return tape_of(
        recorded,
        instrument,
        header=header or recording_header(path),
        hold_ns=persist_ms * 1_000_000,
        warmup_s=warmup_s,
        notes=notes,
    )


def read_bitstamp(
    path: str | Path,
    instrument: Instrument,
    *,
    progress: Progress | None = None,
    notes: dict[str, int] | None = None,
) -> Recorded:
    """The messages of a file, before any table; counts of what was met are added to `notes`.

    trades, trades_matched (a resting order lost exactly that at that price), maker_before_the_log (its maker's end is
    told, its beginning is not), only_taker_seen, nobody_seen; far_orders, closing_deletes.
    """
    path = Path(path)
    if path.suffix == ".csv" or ".csv." in path.name:
        raw = b"\n".join(line for _, line in read_lines(path, progress))
        events = read_order_csv(raw, instrument, str(path))
    else:
        events = _read_log(path, instrument, progress)
    return recorded_of(events, str(path), notes)


def recorded_of(events: Events, where: str, notes: dict[str, int] | None) -> Recorded:
    """Events to messages."""
    events = _without_closing(events, notes)
    events = _without_far(events, notes)
    if len(events) == 0:
        raise DataError(f"{where}: no order event; expected order_created, order_changed and order_deleted")
    n_first = _opening(events)
    m = messages_of(len(events))
    m["receive_ns"] = np.maximum.accumulate(events.receive_ms) * 1_000_000
    m["line"], m["order_id"], m["price"], m["side"] = events.line, events.ident, events.price, events.side
    m["qty"] = events.left
    m["kind"] = np.array([ADD, LEFT, LEFT, PRINT], np.uint8)[events.action]
    m["kind"][(events.action == DELETED) & (events.left > 0)] = CANCEL
    exchange = events.exchange_ms
    if exchange.min() > 0 and not (np.diff(exchange) < 0).any():
        m["exchange_ns"] = exchange * 1_000_000
    else:
        m["exchange_ns"] = m["receive_ns"]
        m["flag_bits"] |= R.ESTIMATED
    if n_first:  # orders of one moment: the older id is the older order
        m[:n_first] = m[:n_first][np.argsort(m["order_id"][:n_first], kind="stable")]
        m["flag_bits"][:n_first] |= R.SNAPSHOT
        m["flag_bits"][0] |= R.CLEAR
        m["flag_bits"][: n_first - 1] &= ~np.uint16(R.LAST)
    gone = label_trades(events, m, notes)
    return Recorded(m[~gone], where, n_first)


def _opening(events: Events) -> int:
    """How many events open the file as a snapshot: orders created at one stamp, more than one."""
    first = (events.receive_ms != events.receive_ms[:1]) | (events.exchange_ms != events.exchange_ms[:1])
    first |= events.action != CREATED
    n = int(np.argmax(first)) if first.any() else len(events)
    return n if n > 1 else 0


def _without_closing(events: Events, notes: dict[str, int] | None) -> Events:
    """Leave out the run of deletes of one stamp with which a recorder ends every order that still rests."""
    other = (events.receive_ms != events.receive_ms[-1:]) | (events.action != DELETED)
    n = int(np.argmax(other[::-1])) if other.any() else len(events)
    if n < CLOSING:
        return events
    note(notes, "closing_deletes", n)
    return events.where(np.arange(len(events)) < len(events) - n)


def _without_far(events: Events, notes: dict[str, int] | None) -> Events:
    """Leave out orders at prices that cannot matter (every event of theirs)."""
    born = events.action == CREATED
    if not born.any():
        return events
    middle = float(np.median(events.price[born]))
    far = born & ((events.price > FAR * middle) | (events.price < middle / FAR) | (events.price <= 0))
    out = np.isin(events.ident, events.ident[far]) & (events.action != TRADED)
    note(notes, "far_orders", np.count_nonzero(far))
    return events.where(~out) if out.any() else events


# ---------------------------------------------------------------- reading
_Id = Annotated[int, msgspec.Meta(ge=1, le=1 << 62)]


class _Order(msgspec.Struct, gc=False):
    price: str
    amount: str
    id: _Id
    order_type: Annotated[int, msgspec.Meta(ge=0, le=1)]
    datetime: str = ""


class _Trade(msgspec.Struct, gc=False):
    price: float
    amount: float
    id: _Id


_KINDS = {
    b"order_created": CREATED,
    b"order_changed": CHANGED,
    b"order_deleted": DELETED,
    b"trade": TRADED,
    b"order_book": -1,
}


def _read_log(path: Path, instrument: Instrument, progress: Progress | None) -> Events:
    order, trade = msgspec.json.Decoder(_Order).decode, msgspec.json.Decoder(_Trade).decode
    heads: list[tuple[int, int, int, int, int]] = []  # line, ms, id, action, side
    prices: list[str] = []
    amounts: list[str] = []
    before = -1
    for number, raw in read_lines(path, progress):
        stamp, _, rest = raw.partition(b" ")
        kind, _, text = rest.partition(b" ")
        if not stamp.isdigit() or len(stamp) > 16 or kind not in _KINDS:
            raise DataError(f"{path}, line {number}: expected `local_ms kind json`, got {raw[:40]!r}")
        refuse_unsorted(int(stamp), before, f"{path}, line {number}")
        before = int(stamp)
        action = _KINDS[kind]
        if action < 0:
            continue
        try:
            if action == TRADED:
                d = trade(text)
                heads.append((number, before, d.id, TRADED, 0))
                prices.append(f"{d.price:.8f}")  # a double in the feed: 1.7885566900000001 says 1.78855669
                amounts.append(f"{d.amount:.8f}")
            else:
                o = order(text)
                heads.append((number, before, o.id, action, R.SELL if o.order_type else R.BUY))
                prices.append(o.price)
                amounts.append(o.amount)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DataError(f"{path}, line {number}: not a Bitstamp message ({error})") from error
    head = np.array(heads, np.int64).reshape(-1, 5)
    price = _decimals(prices, instrument.tick, head[:, 0], path, "price")
    left = _decimals(amounts, instrument.lot, head[:, 0], path, "amount")
    return Events(
        head[:, 0], head[:, 1], np.zeros(len(head), np.int64), head[:, 2], price, left, head[:, 3], head[:, 4]
    )


def _decimals(texts: list[str], unit: Any, lines: np.ndarray, path: Path, field: str) -> np.ndarray:
    values, bad, code = parse_decimals(texts, unit_of(unit, field))
    if bad >= 0:
        raise DataError(f"{path}, line {int(lines[bad])}, field {field}: {why(code, unit)}, got {texts[bad][:40]!r}")
    return values


COLUMNS = ("id", "timestamp", "exchange_timestamp", "price", "volume", "action", "direction")


def read_order_csv(raw: bytes, instrument: Instrument, where: str) -> Events:
    """The events of a CSV's bytes (already unpacked)."""
    import polars as pl

    try:
        frame = pl.read_csv(raw, infer_schema=False)
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise DataError(f"{where}: cannot be read as CSV ({str(error).partition(chr(10))[0]})") from error
    frame = frame.rename({c: c.replace(".", "_") for c in frame.columns})
    missing = [c for c in COLUMNS if c not in frame.columns]
    if missing or frame.height == 0:
        raise DataError(
            f"{where}: expected rows with the columns {', '.join(COLUMNS)}; missing {', '.join(missing) or 'rows'}"
        )
    lines = np.arange(2, frame.height + 2)

    def column(name: str, unit: str) -> np.ndarray:
        found = frame[name]
        if found.null_count():
            row = int(found.is_null().arg_max() or 0)
            raise DataError(f"{where}, line {row + 2}, field {name}: expected a value, the field is empty")
        texts = found.to_list()
        if found.str.contains("[eE]").any():
            texts = [f"{Decimal(x):f}" if _POWER.fullmatch(x) else x for x in texts]  # 7.18e-06
        return _decimals(texts, unit, lines, Path(where), name)

    def words(name: str, known: dict[str, int]) -> np.ndarray:
        found = frame[name].replace_strict(known, default=None, return_dtype=pl.Int64)
        if found.null_count():
            row = int(found.is_null().arg_max() or 0)
            raise DataError(
                f"{where}, line {row + 2}, field {name}: expected {' or '.join(known)}, got {frame[name][row]!r}"
            )
        return found.to_numpy()

    whole = not frame["volume"].str.contains(".", literal=True).any()
    volume = column("volume", "1" if whole else str(instrument.lot))
    if whole:
        per_lot = unit_of(instrument.lot, "lot")
        mantissa = per_lot[0] * 10 ** (8 - per_lot[1]) if per_lot[1] <= 8 else 0
        if mantissa == 0 or (volume % mantissa).any():
            raise DataError(
                f"{where}, field volume: expected whole multiples of the lot {instrument.lot} in units of 1e-8"
            )
        volume = volume // mantissa
    price = column("price", str(instrument.tick))
    for name, values in (("price", price), ("volume", volume)):
        wrong = np.flatnonzero(values < 0)
        if len(wrong):
            i = int(wrong[0])
            raise DataError(f"{where}, line {i + 2}, field {name}: expected 0 or more, got {frame[name][i]!r}")
    return Events(
        lines,
        column("timestamp", "1"),
        column("exchange_timestamp", "1"),
        column("id", "1"),
        price,
        volume,
        words("action", _ACTIONS),
        words("direction", _SIDES),
    )


def recording_header(path: str | Path) -> Header:
    """What must be said above anything made of a recording of Bitstamp's orders."""
    return Header(
        source=f"{Path(path).name}: Bitstamp BTC/USD order events, one collector",
        licence="of the collection; not a grant of the exchange",
        period="as in the file",
        side="both",
        simultaneity="one venue; receive times of one collector",
        survivorship="one market, one recording",
        tries=0,
        claim=False,
        claim_why="one recording of one market; orders older than it are not in its book",
        depth="orders",
    )
