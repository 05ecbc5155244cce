"""Columns of a CSV or Parquet file as exact integers: times in ns, prices in ticks, sizes in lots.

CSV is read as text and never becomes a float. Parquet floats must lie within a thousandth of a unit of the
grid. Nulls (empty fields) are allowed only where a missing quote side is meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError, DataError, unknown_name
from oneprice.core.instruments import Number, exact
from oneprice.market.importers.decimals import parse_decimals, unit_of, why

UNIT_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
GRID_TOLERANCE = 1e-3  # of a tick or lot, for floats
_FAR = float(1 << 53)


@dataclass(frozen=True)
class Columns:
    """A file's columns by our names, and how to speak of its rows."""

    path: Path
    frame: Any  # polars.DataFrame with our names
    theirs: Mapping[str, str]

    def __len__(self) -> int:
        return int(self.frame.height)

    def has(self, name: str) -> bool:
        return name in self.frame.columns

    def place(self, row: int, name: str) -> str:
        """`file, row 7, column 'px'`; rows count from 1 without the heading."""
        return f"{self.path}, row {row + 1}, column {self.theirs.get(name, name)!r}"


def read_columns(
    path: str | Path, columns: Mapping[str, str], *, required: Sequence[str], optional: Sequence[str] = ()
) -> Columns:
    """Load the mapped columns of a CSV (`.csv`, `.csv.gz`) or Parquet file.

    Parameters
    ----------
    columns : {our name: their name}; a name of ours that is not mapped is looked up under itself.

    Raises
    ------
    ConfigError : an unknown name of ours in `columns`.
    DataError : missing or unreadable file, no rows, or a required column that is not there (lists what is).
    """
    import polars as pl

    path = Path(path)
    known = [*required, *optional]
    for name in columns:
        if name not in known:
            raise unknown_name("column", name, known)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty; expected a heading and rows")
    try:
        if path.suffix == ".parquet":
            frame = pl.read_parquet(path)
        else:
            frame = pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        kind = "Parquet" if path.suffix == ".parquet" else "CSV"
        first = str(error).partition("\n")[0]
        raise DataError(f"{path}: cannot be read as {kind}; is the format right? ({first})") from error
    chosen = {}
    for name in known:
        theirs = columns.get(name, name)
        if theirs in frame.columns:
            chosen[name] = theirs
        elif name in required or name in columns:
            have = ", ".join(frame.columns[:20])
            raise DataError(
                f"{path}: no column {theirs!r} for {name!r}; the file has {have}: map it with"
                f" columns={{{name!r}: ...}} (--column {name}=THEIRS)"
            )
    if frame.height == 0:
        raise DataError(f"{path}: the file has a heading but no rows")
    return Columns(path, frame.select([pl.col(v).alias(k) for k, v in chosen.items()]), chosen)


def filtered(c: Columns, **equal: str) -> Columns:
    """The rows whose columns equal the given values."""
    import polars as pl

    frame = c.frame
    for name, value in equal.items():
        held = sorted(str(v) for v in frame[name].unique().to_list())
        if value not in held:
            raise unknown_name(name, value, held)
        frame = frame.filter(pl.col(name) == value)
    return Columns(c.path, frame, c.theirs)


def times(c: Columns, name: str, *, unit: str, timezone: str) -> np.ndarray:
    """A time column as int64 ns since 1970 UTC.

    Integers and floats count `unit`s since 1970; text is an integer or an ISO date and time; naive dates and
    datetimes are in `timezone`. Raises DataError for nulls, text that is no time, and hours that a change of
    clocks makes ambiguous or skips.
    """
    import polars as pl

    if unit not in UNIT_NS:
        raise unknown_name("time unit", unit, list(UNIT_NS))
    column = c.frame[name]
    _refuse_null(c, name, column)
    if column.dtype == pl.String:
        counts = column.cast(pl.Int64, strict=False)
        if counts.null_count() == 0:
            column = counts
        else:
            try:
                column = column.str.to_datetime(time_unit="ns", strict=False)
            except pl.exceptions.PolarsError as error:
                place = c.place(0, name)
                raise DataError(
                    f"{place}: expected a time (integer or ISO 8601), got {c.frame[name][0]!r}"
                ) from error
            if column.null_count():
                row = int(column.is_null().arg_max() or 0)
                got = c.frame[name][row]
                raise DataError(f"{c.place(row, name)}: expected a time (integer or ISO 8601), got {got!r}")
    if column.dtype.is_integer():
        return _scaled(c, name, column.cast(pl.Int64).to_numpy(), UNIT_NS[unit])
    if column.dtype.is_float():
        raw = column.to_numpy()
        bad = np.flatnonzero(~np.isfinite(raw) | (np.abs(raw * UNIT_NS[unit]) > 9e18))
        if len(bad):
            raise DataError(f"{c.place(int(bad[0]), name)}: expected a finite time, got {raw[bad[0]]}")
        return np.rint(raw * UNIT_NS[unit]).astype(np.int64)
    if column.dtype == pl.Date:
        column = column.cast(pl.Datetime("ns"))
    if not isinstance(column.dtype, pl.Datetime):
        raise DataError(f"{c.path}, column {c.theirs[name]!r}: expected times, got {column.dtype}")
    try:
        if column.dtype.time_zone is None:
            column = column.dt.replace_time_zone(timezone)
        column = column.dt.convert_time_zone("UTC").dt.cast_time_unit("ns")
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{c.path}, column {c.theirs[name]!r}, time zone {timezone!r}: {error}") from error
    return column.dt.epoch("ns").to_numpy()


def units(c: Columns, name: str, unit: Number, *, missing: int | None = None) -> np.ndarray:
    """A price or size column as int64 multiples of `unit`; nulls become `missing` or are refused.

    Raises DataError with row and column for text that is no number, NaN, infinities and values off the grid.
    """
    import polars as pl

    column = c.frame[name]
    if column.dtype == pl.String:
        column = column.str.strip_chars()
        column = column.set(column == "", None)
    empty = column.is_null().to_numpy()
    if missing is None:
        _refuse_null(c, name, column)
    if column.dtype == pl.String:
        texts = column.fill_null("0").to_list()
        values, bad, code = parse_decimals(texts, unit_of(unit, name))
        if bad >= 0:
            raise DataError(f"{c.place(bad, name)}: {why(code, unit)}, got {texts[bad][:40]!r}")
    elif column.dtype.is_numeric():
        values = _from_floats(c, name, column.fill_null(0).cast(pl.Float64).to_numpy(), unit)
    else:
        raise DataError(f"{c.path}, column {c.theirs[name]!r}: expected numbers, got {column.dtype}")
    if missing is not None:
        values = np.where(empty, missing, values)
    return values


def _from_floats(c: Columns, name: str, raw: np.ndarray, unit: Number) -> np.ndarray:
    bad = np.flatnonzero(~np.isfinite(raw))
    if len(bad):
        raise DataError(
            f"{c.place(int(bad[0]), name)}: expected a finite number, got {raw[bad[0]]}; leave missing"
            f" values empty"
        )
    scaled = raw / float(exact(unit, name))
    near = np.rint(scaled)
    bad = np.flatnonzero((np.abs(scaled - near) > GRID_TOLERANCE) | (np.abs(near) >= _FAR))
    if len(bad):
        what = why(3 if abs(near[bad[0]]) >= _FAR else 2, unit)
        raise DataError(f"{c.place(int(bad[0]), name)}: {what}, got {float(raw[bad[0]])!r}")
    return near.astype(np.int64)


def _scaled(c: Columns, name: str, raw: np.ndarray, factor: int) -> np.ndarray:
    bad = np.flatnonzero(np.abs(raw.astype(np.float64)) * factor > 9e18)
    if len(bad):
        raise DataError(
            f"{c.place(int(bad[0]), name)}: {raw[bad[0]]} is out of range; is the time unit right?"
        )
    return raw * factor


def _refuse_null(c: Columns, name: str, column: Any) -> None:
    if column.null_count():
        row = int(column.is_null().arg_max() or 0)
        raise DataError(f"{c.place(row, name)}: expected a value, the field is empty")


def refuse_where(c: Columns, name: str, bad: np.ndarray, values: np.ndarray, expected: str) -> None:
    """Raise for the first row where `bad`."""
    at = np.flatnonzero(bad)
    if len(at):
        raise DataError(f"{c.place(int(at[0]), name)}: expected {expected}, got {int(values[at[0]])} units")


def need_depth(assumed_depth_lots: int, where: str) -> None:
    """Sizes are absent: the depth to assume must be said, it has no default."""
    if assumed_depth_lots <= 0:
        raise ConfigError(
            f"{where}: there are no sizes, so say how many lots to assume at each quote:"
            " assumed_depth_lots on the instrument (--assumed-depth-lots), 1 or more; there is no default"
        )
