"""Readers of the files inside data packs: bytes of a CSV to checked bars or closes."""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np

from oneprice.core.errors import DataError
from oneprice.core.instruments import Instrument
from oneprice.core.records import record
from oneprice.market.importers.bitstamp import read_order_csv
from oneprice.market.importers.bitstamp_trades import Events
from oneprice.market.pack_tables import expiry_rows, settlement_rows, treasury_rows

HOUR_NS = 3_600_000_000_000
CLOSE_HOURS = 21  # 16:00 in New York is 20:00 or 21:00 UTC: the later of the two, so no close is known too early

BARS = record(
    [
        ("end_ns", "i8"),  # UTC nanoseconds; the close is known at this time and not before
        ("open", "f8"),  # quote currency per unit of underlying, as are the next three
        ("high", "f8"),
        ("low", "f8"),
        ("close", "f8"),
        ("volume", "f8"),  # the vendor's own unit
    ]
)


def hourly_dotted(raw: bytes, where: str) -> np.ndarray:
    """`Time,Open,High,Low,Close,Volume` with `02.01.2017 22:00:00.000` stamps at bar start, UTC."""
    return _hourly(raw, where, "%d.%m.%Y %H:%M:%S.%f")


def hourly_iso(raw: bytes, where: str) -> np.ndarray:
    """`,Open,High,Low,Close,Volume` with `2017-04-19 09:00:00` stamps at bar start, UTC."""
    return _hourly(raw, where, "%Y-%m-%d %H:%M:%S")


def _hourly(raw: bytes, where: str, stamp: str) -> np.ndarray:
    """BARS[n] of an hourly CSV whose stamps are bar starts; every row is checked, none is repaired.

    Raises
    ------
    DataError
        A row that does not parse, time that does not rise, or a bar whose prices contradict each other.
    """
    lines = raw.decode("utf-8-sig").splitlines()
    head = [c.strip().lower() for c in lines[0].split(",")] if lines else []
    if head[1:] != ["open", "high", "low", "close", "volume"]:
        raise DataError(
            f"{where}, row 1: expected time,open,high,low,close,volume, got {','.join(head) or 'none'}"
        )
    bars = np.empty(len(lines) - 1, BARS)
    before = np.iinfo(np.int64).min
    for i, line in enumerate(lines[1:]):
        words = line.split(",")
        if len(words) != 6:
            raise DataError(f"{where}, row {i + 2}: expected 6 fields, got {len(words)}: {line[:80]!r}")
        try:
            start = datetime.strptime(words[0], stamp).replace(tzinfo=UTC)
            o, h, lo, c, v = (float(w) for w in words[1:])
        except ValueError as error:
            raise DataError(f"{where}, row {i + 2}: {error}") from error
        end_ns = round(start.timestamp()) * 1_000_000_000 + HOUR_NS
        if end_ns <= before:
            raise DataError(
                f"{where}, row {i + 2}, field time: expected later than the row before, got {words[0]}"
            )
        if not (0.0 < lo <= o <= h < math.inf and lo <= c <= h and 0.0 <= v < math.inf):
            raise DataError(
                f"{where}, row {i + 2}: expected 0 < low <= open, close <= high and volume >= 0, got {line!r}"
            )
        bars[i] = (end_ns, o, h, lo, c, v)
        before = end_ns
    return bars


def daily_wide(raw: bytes, where: str) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Gzipped `Date,SYMBOL,...` with one close a symbol a day.

    Returns
    -------
    symbols, `end_ns` int64[T] (21:00 UTC of the date) and closes float64[T, N]; an empty field is NaN.

    Raises
    ------
    DataError
        A row that does not parse, dates that do not rise, or a close that is not positive.
    """
    lines = gzip.decompress(raw).decode("utf-8-sig").splitlines()
    head = [c.strip() for c in lines[0].split(",")] if lines else []
    if head[:1] != ["Date"] or len(head) < 2 or len(set(head)) != len(head):
        raise DataError(f"{where}, row 1: expected Date and different symbols, got {','.join(head)[:80] or 'none'}")
    end_ns = np.empty(len(lines) - 1, np.int64)
    close = np.empty((len(lines) - 1, len(head) - 1), np.float64)
    before = np.iinfo(np.int64).min
    for i, line in enumerate(lines[1:]):
        words = line.split(",")
        if len(words) != len(head):
            raise DataError(f"{where}, row {i + 2}: expected {len(head)} fields, got {len(words)}: {line[:80]!r}")
        try:
            day = datetime.strptime(words[0], "%Y-%m-%d").replace(tzinfo=UTC)
            close[i] = [float(w) if w else math.nan for w in words[1:]]
        except ValueError as error:
            raise DataError(f"{where}, row {i + 2}: {error}") from error
        end_ns[i] = round(day.timestamp()) * 1_000_000_000 + CLOSE_HOURS * HOUR_NS
        if end_ns[i] <= before:
            raise DataError(f"{where}, row {i + 2}, field Date: expected later than the row before, got {words[0]}")
        bad = np.flatnonzero(~((close[i] > 0.0) & (close[i] < math.inf) | np.isnan(close[i])))
        if len(bad):
            raise DataError(
                f"{where}, row {i + 2}, field {head[1 + bad[0]]}: expected a positive close, got {words[1 + bad[0]]}"
            )
        before = int(end_ns[i])
    return tuple(head[1:]), end_ns, close


ORDERS_INSTRUMENT = Instrument(
    symbol="bitstamp:BTCUSD", underlying="BTC", quote="USD", tick="1", lot="0.00000001", book_log2=14
)


def order_events(raw: bytes, where: str) -> Events:
    """Gzipped CSV of Bitstamp's order events; every price of the file is a whole number of dollars."""
    return read_order_csv(gzip.decompress(raw), ORDERS_INSTRUMENT, where)


PARSERS: dict[str, Callable[[bytes, str], Any]] = {
    "hourly_dotted": hourly_dotted,
    "hourly_iso": hourly_iso,
    "daily_wide": daily_wide,
    "order_events": order_events,
    "settlement_rows": settlement_rows,
    "expiry_rows": expiry_rows,
    "treasury_rows": treasury_rows,
}
