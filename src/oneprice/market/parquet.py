"""Tapes to Parquet and back, byte for byte: interchange and archive, never the format of a run.

The four payload words keep their bits as int64 columns `word_0..word_3` (what they mean depends on `kind`,
see `core/records.py`); everything else of a tape is JSON in the first row of the column `tape`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import DataError, OnePriceError
from oneprice.core.instruments import Instrument
from oneprice.core.records import BAR, BOOK, EVENT, NO_PRICE, TOP, TRADE
from oneprice.market.header import Header
from oneprice.market.tape import Tape, describe, make_tape, replace_file

_WORDS = np.dtype(
    [("receive_ns", "i8"), ("exchange_ns", "i8"), ("seq", "i8")]
    + [(f"word_{i}", "i8") for i in range(4)]
    + [("leg", "i2"), ("kind", "u1"), ("side", "i1"), ("flag_bits", "u4")]
)
assert _WORDS.itemsize == EVENT.itemsize


def write_parquet(tape: Tape, path: str | Path) -> Path:
    """Write a tape as one Parquet file (whole or not at all)."""
    import io

    import polars as pl

    path = Path(path)
    rows = np.ascontiguousarray(tape.events).view(_WORDS)
    frame = pl.DataFrame({name: np.ascontiguousarray(rows[name]) for name in _WORDS.names or ()})
    text = msgspec.json.encode(describe(tape)).decode()
    held = pl.Series("tape", [text, *[None] * (len(tape) - 1)], dtype=pl.String)
    out = io.BytesIO()
    frame.with_columns(held).write_parquet(out)
    replace_file(path, out.getvalue())
    return path


def read_parquet(path: str | Path) -> Tape:
    """Read a tape written by `write_parquet`; the digest must be that of the tape written.

    Raises DataError when the file is missing, no Parquet, lacks columns, or its rows have another digest.
    """
    import polars as pl

    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: not a Parquet file that can be read ({error})") from error
    wanted = [*(_WORDS.names or ()), "tape"]
    missing = [c for c in wanted if c not in frame.columns]
    if missing or frame.height == 0:
        raise DataError(
            f"{path}: expected the columns of a tape, missing {', '.join(missing) or 'any row'};"
            " other files come in by `oneprice import --format quotes|trades|bars`"
        )
    rows = np.zeros(frame.height, _WORDS)
    for name in _WORDS.names or ():
        column = frame[name]
        if column.null_count() or column.to_numpy().dtype != _WORDS[name]:
            raise DataError(
                f"{path}, column {name}: expected {_WORDS[name]} without nulls, got {column.dtype}"
            )
        rows[name] = column.to_numpy()
    try:
        entry = msgspec.json.decode(frame["tape"][0] or "", type=dict[str, Any])
        instrument = msgspec.convert(entry["instrument"], Instrument)
        header = msgspec.convert(entry["header"], Header)
        clock = int(entry["clock_offset_ns"]), int(entry["clock_bound_ns"])
        digest = entry["digest"]
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, OnePriceError) as error:
        raise DataError(f"{path}, column tape, row 0: not the description of a tape ({error})") from error
    tape = make_tape(
        instrument, rows.view(EVENT), header=header, clock_offset_ns=clock[0], clock_bound_ns=clock[1]
    )
    if tape.digest != digest:
        raise DataError(f"{path}: expected sha256 {digest}, got {tape.digest}; the rows were changed")
    return tape


def to_frame(tape: Tape) -> Any:
    """Events as a polars frame with named columns in ticks and lots, null where a kind has no such word."""
    import polars as pl

    ev = tape.events
    columns = {n: np.ascontiguousarray(ev[n]) for n in ("receive_ns", "exchange_ns", "seq", "kind", "side")}
    frame = pl.DataFrame({**columns, "flag_bits": np.ascontiguousarray(ev["flag_bits"])})
    fields = {
        "price": (BOOK, TRADE),
        "qty": (BOOK, TRADE),
        "trade_id": (TRADE,),
        "bid": (TOP,),
        "bid_qty": (TOP,),
        "ask": (TOP,),
        "ask_qty": (TOP,),
        "close": (BAR,),
        "volume": (BAR,),
    }
    named = []
    for name, kinds in fields.items():
        held = np.isin(ev["kind"], kinds) & (ev[name] != NO_PRICE)
        values = pl.Series(name, np.ascontiguousarray(ev[name]))
        named.append(pl.select(pl.when(pl.Series(held)).then(values).otherwise(None)).to_series().alias(name))
    return frame.with_columns(named)
