"""Quote, trade and bar files (CSV or Parquet) with a column map to tapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from oneprice.core import records as R
from oneprice.core.errors import ConfigError, DataError
from oneprice.core.instruments import Instrument
from oneprice.market.header import Header
from oneprice.market.importers.build import mark_backward, note
from oneprice.market.importers.columns import Columns, need_depth, read_columns, refuse_where, times, units
from oneprice.market.quality import mark_crossed
from oneprice.market.tape import Tape, make_tape

QUOTE_COLUMNS = ("time", "bid", "ask"), ("exchange_time", "bid_qty", "ask_qty", "seq")
TRADE_COLUMNS = ("time", "price", "qty"), ("exchange_time", "side", "trade_id")
BAR_COLUMNS = ("time", "open", "high", "low", "close"), ("volume", "count")
_SIDES = {"buy": 1, "b": 1, "1": 1, "+1": 1, "sell": -1, "s": -1, "a": -1, "-1": -1}
I4 = (1 << 31) - 1


@dataclass(frozen=True)
class Layout:
    """How a file is written: {our name: their column}, the unit of numeric times, the zone of naive ones.

    `bar_ns > 0` says that bars are stamped at their start and last so long; 0 that they are stamped at their
    end.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    time_unit: str = "ns"
    timezone: str = "UTC"
    bar_ns: int = 0
    allow_negative: bool = False  # spreads, and oil on one day of 2020


def import_quotes(
    path: str | Path,
    instrument: Instrument,
    *,
    header: Header,
    layout: Layout | None = None,
    notes: dict[str, int] | None = None,
) -> Tape:
    """Best bid and ask per row -> TOP events. An empty bid or ask is a missing side.

    Columns: time, bid, ask; optional exchange_time, bid_qty, ask_qty, seq. Without sizes (or with zeros only)
    the instrument must state `assumed_depth_lots`. Rows equal to the row before are dropped and counted in
    `notes`.

    Raises DataError (file, row, column) and ConfigError (column map, missing assumed depth).
    """
    layout = layout or Layout()
    return quotes_from(
        read_columns(path, layout.columns, required=QUOTE_COLUMNS[0], optional=QUOTE_COLUMNS[1]),
        instrument,
        header=header,
        layout=layout,
        notes=notes,
    )


def quotes_from(
    c: Columns, instrument: Instrument, *, header: Header, layout: Layout, notes: dict[str, int] | None = None
) -> Tape:
    """TOP events of columns that are already loaded."""
    rows = _stamped(c, layout, R.TOP)
    for name in ("bid", "ask"):
        price = units(c, name, instrument.tick, missing=R.NO_PRICE)
        if not layout.allow_negative:
            refuse_where(
                c, name, (price <= 0) & (price != R.NO_PRICE), price, "a price above 0 (empty: no quote)"
            )
        rows[name] = price
        if c.has(f"{name}_qty"):
            qty = units(c, f"{name}_qty", instrument.lot, missing=0)
            refuse_where(c, f"{name}_qty", qty < 0, qty, "a size of 0 or more")
            rows[f"{name}_qty"] = np.where(price == R.NO_PRICE, 0, qty)
    if not rows["bid_qty"].any() and not rows["ask_qty"].any():
        need_depth(instrument.assumed_depth_lots, str(c.path))
    if c.has("seq"):
        rows["seq"] = units(c, "seq", 1)
    rows["flag_bits"] = R.LAST
    rows = _without_repeats(rows, notes)
    note(notes, "backward", mark_backward(rows))
    note(notes, "crossed", mark_crossed(rows, 0))
    return make_tape(instrument, rows, header=header)


def import_trades(
    path: str | Path,
    instrument: Instrument,
    *,
    header: Header,
    layout: Layout | None = None,
    notes: dict[str, int] | None = None,
) -> Tape:
    """One trade per row -> TRADE events.

    Columns: time, price, qty; optional exchange_time, side (buy, sell, b, s, 1, -1; empty: unknown),
    trade_id. A row with the trade_id of the row before is a duplicate: dropped and counted in `notes`.
    """
    layout = layout or Layout()
    c = read_columns(path, layout.columns, required=TRADE_COLUMNS[0], optional=TRADE_COLUMNS[1])
    rows = _stamped(c, layout, R.TRADE)
    rows["price"] = units(c, "price", instrument.tick)
    if not layout.allow_negative:
        refuse_where(c, "price", rows["price"] <= 0, rows["price"], "a price above 0")
    rows["qty"] = units(c, "qty", instrument.lot)
    refuse_where(c, "qty", rows["qty"] <= 0, rows["qty"], "a quantity above 0")
    if c.has("side"):
        rows["side"] = _sides(c)
    rows["flag_bits"] = R.LAST
    if c.has("trade_id"):
        ids = units(c, "trade_id", 1)
        rows["trade_id"] = ids
        keep = np.append(True, ids[1:] != ids[:-1])
        note(notes, "duplicates", np.count_nonzero(~keep))
        rows = rows[keep]
    note(notes, "backward", mark_backward(rows))
    return make_tape(instrument, rows, header=header)


def import_bars(
    path: str | Path,
    instrument: Instrument,
    *,
    header: Header,
    layout: Layout | None = None,
    notes: dict[str, int] | None = None,
) -> Tape:
    """One bar per row -> BAR events, stamped at the bar's end.

    Columns: time, open, high, low, close; optional volume, count. Without volume the instrument must state
    `assumed_depth_lots`. Raises DataError when low <= open, close <= high does not hold or two bars end
    together.
    """
    layout = layout or Layout()
    c = read_columns(path, layout.columns, required=BAR_COLUMNS[0], optional=BAR_COLUMNS[1])
    rows = _stamped(c, layout, R.BAR)
    price = {n: units(c, n, instrument.tick) for n in ("open", "high", "low", "close")}
    for name, ticks in price.items():
        if not layout.allow_negative:
            refuse_where(c, name, ticks <= 0, ticks, "a price above 0")
        refuse_where(c, name, ticks > price["high"], ticks, "at most the bar's high")
        refuse_where(c, name, ticks < price["low"], ticks, "at least the bar's low")
        off = ticks - price["close"]
        refuse_where(c, name, np.abs(off) > I4, ticks, "a price within 2^31 ticks of the close")
        if name != "close":
            rows[f"{name}_off"] = off
    rows["close"] = price["close"]
    if c.has("volume"):
        rows["volume"] = units(c, "volume", instrument.lot, missing=0)
        refuse_where(c, "volume", rows["volume"] < 0, rows["volume"], "a volume of 0 or more")
    if not rows["volume"].any():
        need_depth(instrument.assumed_depth_lots, str(c.path))
    if c.has("count"):
        rows["bar_count"] = units(c, "count", 1, missing=0)
    same = np.append(False, rows["receive_ns"][1:] == rows["receive_ns"][:-1])
    refuse_where(c, "time", same, rows["receive_ns"], "bars with different end times")
    rows["flag_bits"] = R.LAST
    return make_tape(instrument, rows, header=header)


IMPORTERS = {"quotes": import_quotes, "trades": import_trades, "bars": import_bars}


def _stamped(c: Columns, layout: Layout, kind: int) -> np.ndarray:
    """Rows with both stamps; one time column serves as both (the source has a single clock)."""
    if layout.bar_ns < 0:
        raise ConfigError(f"layout: bar_ns: expected 0 or more, got {layout.bar_ns}")
    rows = np.zeros(len(c), R.EVENT)
    rows["kind"] = kind
    receive = times(c, "time", unit=layout.time_unit, timezone=layout.timezone) + layout.bar_ns
    back = np.flatnonzero(receive[1:] < receive[:-1])
    if len(back):
        i = int(back[0]) + 1
        raise DataError(
            f"{c.place(i, 'time')}: expected at least {receive[i - 1]} ns (the row before), got"
            f" {receive[i]} ns;"
            " rows are shuffled or of several instruments: sort by time or split the file"
        )
    rows["receive_ns"] = rows["exchange_ns"] = receive
    if c.has("exchange_time"):
        rows["exchange_ns"] = times(c, "exchange_time", unit=layout.time_unit, timezone=layout.timezone)
    return rows


def _sides(c: Columns) -> np.ndarray:
    out = np.zeros(len(c), np.int8)
    for i, value in enumerate(c.frame["side"].to_list()):
        text = "" if value is None else str(value).strip().lower()
        if text in ("", "0"):
            continue
        if text not in _SIDES:
            raise DataError(
                f"{c.place(i, 'side')}: expected buy, sell, b, s, 1, -1 or nothing, got {value!r}"
            )
        out[i] = _SIDES[text]
    return out


def _without_repeats(rows: np.ndarray, notes: dict[str, int] | None) -> np.ndarray:
    words = np.ascontiguousarray(rows).view(np.int64).reshape(len(rows), -1)
    keep = np.append(True, (words[1:] != words[:-1]).any(axis=1))
    note(notes, "duplicates", np.count_nonzero(~keep))
    return rows[keep]
