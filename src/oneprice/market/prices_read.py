"""A table of prices as arrays: wide or long, from a file, a frame or arrays; the time column is recognised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError, unknown_name

TIME_NAMES = ("date", "dates", "time", "timestamp", "datetime", "time_ns", "ts", "day", "index", "")
SYMBOL_NAMES = ("symbol", "ticker", "asset", "instrument", "name", "sid", "permno", "id")
PRICE_NAMES = ("adj_close", "adj close", "adjclose", "close", "price", "mid", "last", "settle", "value")
SUFFIXES = (".csv", ".csv.gz", ".tsv", ".parquet", ".pq")
ISO = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.fZ",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d",
)
ZONED = ("%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f%z")
SLASHED = ("%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y")
PLAIN = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
DAY_NS = 86_400_000_000_000


class Table(msgspec.Struct, frozen=True, eq=False):
    """What was read: names, int64[T] times (rising, each once) and float64[T, N] prices, NaN where missing."""

    symbols: tuple[str, ...]
    time_ns: np.ndarray
    close: np.ndarray
    source: str


class Wanted(msgspec.Struct, frozen=True):
    """What the caller said of the table; see `load`."""

    time: Any = None
    time_format: str | None = None
    symbols: Sequence[str] | None = None
    sort: bool = False


def read_table(source: Any, wanted: Wanted) -> Table:
    """Arrays of any source that `load` takes."""
    time, symbols, sort = wanted.time, wanted.symbols, wanted.sort
    if isinstance(source, str | Path):
        return _from_frame(_read_file(Path(source)), Path(source).name, wanted)
    if isinstance(source, Mapping):
        names = list(source) if symbols is None else list(symbols)
        for n in names:
            if n not in source:
                raise unknown_name("series", n, [str(s) for s in source])
        lengths = {str(n): len(source[n]) for n in names}
        if len(set(lengths.values())) > 1:
            raise DataError(f"prices: expected series of one length, got {lengths}; give a long table to align them")
        columns = np.column_stack([_floats(source[n], str(n)) for n in names]) if names else np.empty((0, 0))
        return _table([str(n) for n in names], _times_of(time, len(columns)), columns, "arrays", sort)
    if hasattr(source, "to_dicts") and hasattr(source, "schema"):
        return _from_frame(source, "frame", wanted)
    if hasattr(source, "columns") and hasattr(source, "index"):  # a pandas frame, which is not imported here
        names = [str(c) for c in source.columns]
        return _table(names, _times_of(time, len(source), source.index), _matrix(source.to_numpy()), "frame", sort)
    matrix = _matrix(source)
    names = [f"s{i}" for i in range(matrix.shape[1])] if symbols is None else [str(s) for s in symbols]
    return _table(names, _times_of(time, len(matrix)), matrix, "array", sort)


def time_text(ns: Any) -> str:
    """A time as ISO text (UTC), without the clock where it is midnight."""
    moment = np.datetime64(int(ns), "ns")
    day = moment.astype("datetime64[D]")
    return str(day) if moment == day else str(moment.astype("datetime64[s]"))


def _matrix(source: Any) -> np.ndarray:
    try:
        matrix = np.array(source, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"prices: expected a path, a frame, a mapping or numbers [T, N], got {type(source).__name__}"
        ) from error
    if matrix.ndim != 2:
        raise DataError(f"prices: expected an array [T, N], got shape {matrix.shape}")
    return matrix


def _floats(values: Any, name: str) -> np.ndarray:
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"prices: series {name}: expected numbers, got {str(values)[:60]}") from error


def _times_of(time: Any, n: int, index: Any = None) -> np.ndarray:
    given = time if time is not None else index
    if given is None:
        return np.arange(n, dtype=np.int64) * DAY_NS
    values = np.asarray(given)
    if values.shape != (n,):
        raise DataError(f"prices: expected {n} times, one a row, got shape {values.shape}")
    if np.issubdtype(values.dtype, np.integer):
        return values.astype(np.int64) if time is not None else values.astype(np.int64) * DAY_NS
    try:
        return values.astype("datetime64[ns]").astype(np.int64)
    except (TypeError, ValueError) as error:
        raise DataError(f"prices: expected times as datetime64, ISO text or nanoseconds, got {values[:1]}") from error


def _table(names: list[str], time_ns: np.ndarray, close: np.ndarray, source: str, sort: bool) -> Table:
    """Shapes, names and times checked."""
    if close.shape[1] != len(names):
        raise DataError(f"{source}: expected {close.shape[1]} names, one a column, got {len(names)}")
    twice = sorted({n for n in names if names.count(n) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise DataError(f"{source}: column {twice[0]!r} comes twice; give each series a name of its own")
    if sort:
        order = np.argsort(time_ns, kind="stable")
        time_ns, close = time_ns[order], close[order]
    _require_rising(time_ns, source)
    if np.isinf(close).any():
        t, i = np.argwhere(np.isinf(close))[0]
        raise DataError(f"{source}: {names[i]} is infinite at {time_text(time_ns[t])} (row {t})")
    return Table(tuple(names), np.ascontiguousarray(time_ns), np.ascontiguousarray(close), source)


def _require_rising(time_ns: np.ndarray, source: str) -> None:
    step = np.diff(time_ns)
    if len(step) and step.min() <= 0:
        t = int(np.argmax(step <= 0)) + 1
        here, before = time_text(time_ns[t]), time_text(time_ns[t - 1])
        if step[t - 1] == 0:
            raise DataError(f"{source}: row {t}: time {here} comes twice; keep one row of it")
        raise DataError(f"{source}: row {t}: time goes back from {before} to {here}; sort the rows or pass sort=True")


# ---------------------------------------------------------------- frames
def _read_file(path: Path) -> Any:
    import polars as pl

    if not path.is_file():
        raise DataError(f"{path}: no such file; expected a CSV or Parquet table of prices")
    name = path.name.lower()
    if not name.endswith(SUFFIXES):
        raise DataError(f"{path.name}: expected one of {', '.join(SUFFIXES)}")
    try:
        if name.endswith((".parquet", ".pq")):
            return pl.read_parquet(path)
        mark = "\t" if name.endswith(".tsv") else ","
        nulls = ["", "NA", "N/A", "#N/A", "#N/A N/A", "NaN", "nan", "null", "None", "."]
        frame = pl.read_csv(path, separator=mark, null_values=nulls, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path.name}: cannot be read as a table: {str(error).splitlines()[0]}") from error
    for c in frame.columns:  # polars renames the second of two columns of one name and says nothing
        first, mark, number = c.rpartition("_duplicated_")
        if mark and number.isdigit() and first in frame.columns:
            raise DataError(f"{path.name}: column {first!r} comes twice; give each series a name of its own")
    return frame


def _from_frame(frame: Any, source: str, wanted: Wanted) -> Table:
    symbols, sort = wanted.symbols, wanted.sort
    if len(frame) == 0:
        raise DataError(f"{source}: expected rows of prices, got a table without rows")
    at = _time_column(frame, source, wanted.time)
    stamps = _stamps(frame[at], source, wanted.time_format)
    rest = [c for c in frame.columns if c != at]
    name = _long_symbol(frame, rest)
    if name is None:
        names = rest if symbols is None else [_known(s, rest) for s in symbols]
        columns = [_numbers(frame[c], source) for c in names]
        matrix = np.column_stack(columns) if columns else np.empty((len(stamps), 0))
        return _table(names, stamps, matrix, source, sort)
    price = next((c for w in PRICE_NAMES for c in rest if c.lower() == w), None)
    if price is None:
        raise DataError(
            f"{source}: column {name!r} names the series of a long table, but there is no price column; "
            f"expected one of {', '.join(PRICE_NAMES)}, got {', '.join(rest)}"
        )
    return _pivot(stamps, frame[name].cast(str).to_numpy(), _numbers(frame[price], source), source, (symbols, sort))


def _time_column(frame: Any, source: str, time: Any) -> str:
    import polars as pl

    if time is not None:
        return str(_known(str(time), frame.columns))
    dated = [c for c in frame.columns if frame.schema[c] in (pl.Date, pl.Datetime)]
    named = [c for w in TIME_NAMES for c in frame.columns if c.strip().lower() == w]
    for c in [*[c for c in named if c in dated], *dated, *named]:
        return str(c)
    raise DataError(
        f"{source}: no time column among {', '.join(frame.columns[:8])}; name it date or timestamp, or pass time='...'"
    )


def _known(name: str, columns: list[str]) -> str:
    if name not in columns:
        raise unknown_name("column", name, list(columns))
    return name


def _stamps(column: Any, source: str, time_format: str | None) -> np.ndarray:
    """Nanoseconds since 1970 (UTC) of a date, datetime, text, yyyymmdd or epoch column."""
    import polars as pl

    name = column.name
    missing = column.is_null()
    if missing.any():
        raise DataError(f"{source}: row {missing.arg_max()}: column {name!r} has no time")
    if column.dtype == pl.String:
        column = _parsed(column, source, time_format)
    if column.dtype == pl.Date or isinstance(column.dtype, pl.Datetime):
        return np.ascontiguousarray(column.cast(pl.Datetime("ns")).dt.epoch("ns").to_numpy().astype(np.int64))
    if column.dtype.is_integer():
        return _integer_times(column.to_numpy().astype(np.int64), source, name)
    raise DataError(f"{source}: column {name!r}: expected times, got {column.dtype}")


def _parsed(column: Any, source: str, time_format: str | None) -> Any:
    """A column of text as datetimes: by the format given, else ISO, else the one way in which all rows are dates.

    12/01/2020 is two different days: where month first and day first both fit every row, the caller must say.
    """
    import polars as pl

    def read(how: str) -> Any:
        zoned = how in ZONED or "%z" in how
        if zoned:
            return column.str.to_datetime(how, time_unit="ns", time_zone="UTC", strict=False)
        if "%H" not in how:
            return column.str.to_date(how, strict=False)
        return column.str.to_datetime(how, time_unit="ns", strict=False)

    where = f"{source}: column {column.name!r}"
    if time_format is not None:
        made = read(time_format)
        if made.is_null().any():
            row = int(made.is_null().arg_max())
            raise DataError(f"{where}: row {row}: {column[row]!r} does not fit the format {time_format}")
        return made
    for how in (*ISO, *ZONED):
        if not (made := read(how)).is_null().any():
            return made
    fits = [made for how in SLASHED if not (made := read(how)).is_null().any()]
    if len(fits) > 1:
        raise DataError(
            f"{where}: {column[0]!r} and all rows below fit both month first and day first; say which with "
            "time_format='%m/%d/%Y' or '%d/%m/%Y'"
        )
    if fits:
        return fits[0]
    if not (number := column.cast(pl.Int64, strict=False)).is_null().any():
        return number
    none = read(ISO[0]).is_null()
    row = int(none.arg_max())
    raise DataError(f"{where}: row {row}: expected ISO times, got {column[row]!r}; or say time_format='%d-%b-%Y'")


def _integer_times(values: np.ndarray, source: str, name: str) -> np.ndarray:
    """yyyymmdd, or seconds, milliseconds, microseconds, nanoseconds since 1970: told apart by their size."""
    low, high = int(values.min()), int(values.max())
    if low >= 18_000_101 and high <= 22_001_231:
        years, months, days = values // 10_000, values // 100 % 100, values % 100
        if (months < 1).any() or (months > 12).any() or (days < 1).any() or (days > 31).any():
            raise DataError(f"{source}: column {name!r}: expected yyyymmdd, got {low}")
        month = (years - 1970) * 12 + months - 1
        start = month.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
        return (start + days - 1) * DAY_NS
    for most, factor in ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3), (2**63 - 1, 1)):
        if high < most:
            return values * factor
    raise ConfigError(f"{source}: column {name!r}: {high} is no time")


def _numbers(column: Any, source: str) -> np.ndarray:
    import polars as pl

    if column.dtype == pl.String or not (column.dtype.is_numeric() or column.dtype == pl.Null):
        given = column.drop_nulls()
        if len(given) == 0:  # a column of a CSV without one value reads as text
            return np.full(len(column), np.nan)
        bad = ~given.str.strip_chars().str.contains(PLAIN) if column.dtype == pl.String else None  # "Nan" is text too
        shown = given.filter(bad)[0] if bad is not None and bad.any() else given[0]
        row = int((column == shown).arg_max() or 0)
        raise DataError(
            f"{source}: row {row}: column {column.name!r}: expected a price, got {shown!r}; "
            "mend it or name the series wanted in symbols="
        )
    return np.array(column.cast(pl.Float64).fill_null(float("nan")).to_numpy(), dtype=np.float64)


def _long_symbol(frame: Any, rest: list[str]) -> str | None:
    """The column that names the series of a long table: text (or a known name), with values that repeat."""
    import polars as pl

    for w in SYMBOL_NAMES:
        for c in rest:
            if c.lower() == w:
                return c
    texts = [c for c in rest if frame.schema[c] in (pl.String, pl.Categorical)]
    prices = [c for c in rest if c.lower() in PRICE_NAMES]
    if len(texts) == 1 and prices and frame[texts[0]].n_unique() < len(frame):
        return texts[0]
    return None


def _pivot(
    stamps: np.ndarray, names: np.ndarray, price: np.ndarray, source: str, rule: tuple[Sequence[str] | None, bool]
) -> Table:
    """A long table as a panel over the union of all times; each series must be in order and name a time once."""
    symbols, sort = rule
    listed, which = np.unique(names.astype(str), return_inverse=True)
    order = np.lexsort((stamps, which)) if sort else np.argsort(which, kind="stable")
    who, when = which[order], stamps[order]
    same = who[1:] == who[:-1]
    step = np.diff(when)
    if (same & (step <= 0)).any():
        k = int(np.argmax(same & (step <= 0))) + 1
        name, row = listed[who[k]], int(order[k])
        if step[k - 1] == 0:
            raise DataError(f"{source}: row {row}: {name} has two prices at {time_text(when[k])}; keep one")
        back = f"{time_text(when[k - 1])} to {time_text(when[k])}"
        raise DataError(f"{source}: row {row}: time of {name} goes back from {back}; sort the rows or pass sort=True")
    axis, at = np.unique(stamps, return_inverse=True)
    close = np.full((len(axis), len(listed)), np.nan)
    close[at, which] = price
    found = [str(n) for n in listed]
    if symbols is not None:
        pick = [found.index(_known(str(s), found)) for s in symbols]
        return _table([found[i] for i in pick], axis, close[:, pick], source, False)
    return _table(found, axis, close, source, False)
