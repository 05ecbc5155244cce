"""Readers of the tables inside data packs: bytes of JSON or CSV to checked rows as the settlement readers want them."""

from __future__ import annotations

from typing import Any

from oneprice.core.errors import DataError

EXPIRY_DATES = ("Last.Trade", "First.Notice", "First.Delivery", "Last.Delivery")


def settlement_rows(raw: bytes, where: str) -> Any:
    """A JSON list of {date, series, value} as a frame with dates; a missing value stays missing."""
    import polars as pl

    rows = _json(raw, where, ("date", "series", "value"))
    return rows.select(_dates(rows, "date", where), "series", pl.col("value").cast(pl.Float64))


def expiry_rows(raw: bytes, where: str) -> Any:
    """A JSON list of contracts: dates of last trade, notice and delivery as times, delivery year and month."""
    import polars as pl

    rows = _json(raw, where, ("tick.prefix", *EXPIRY_DATES, "Year", "Month"))
    dates = [_dates(rows, name, where).cast(pl.Datetime("ms")) for name in EXPIRY_DATES]
    return rows.with_columns(*dates, pl.col("Year").cast(pl.Float64), pl.col("Month").cast(pl.Float64))


def treasury_rows(raw: bytes, where: str) -> Any:
    """A CSV of par yields, a row a day: the first column becomes dates, the others numbers; empty is missing."""
    import polars as pl

    try:
        rows = pl.read_csv(raw, infer_schema_length=None)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{where}: expected a CSV of yields by day: {str(error).splitlines()[0]}") from error
    if rows.width < 2 or not rows.height:
        raise DataError(f"{where}: expected a date and yields, got columns {', '.join(rows.columns)}")
    day = rows.columns[0]
    numbers = [pl.col(c).cast(pl.Float64, strict=False) for c in rows.columns[1:]]
    return rows.select(_dates(rows, day, where), *numbers)


def _json(raw: bytes, where: str, wanted: tuple[str, ...]) -> Any:
    """A frame of a JSON list of records with the wanted fields."""
    import polars as pl

    try:
        rows = pl.read_json(raw)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{where}: expected a JSON list of rows: {str(error).splitlines()[0]}") from error
    lacking = [c for c in wanted if c not in rows.columns]
    if lacking or not rows.height:
        raise DataError(f"{where}: expected fields {', '.join(wanted)}, got {', '.join(rows.columns) or 'none'}")
    return rows


def _dates(rows: Any, name: str, where: str) -> Any:
    """A column of YYYY-MM-DD as dates; the first text that is none is an error with its row."""
    import polars as pl

    text = rows[name].cast(pl.String).str.slice(0, 10)
    made = text.str.to_date("%Y-%m-%d", strict=False)
    bad = (made.is_null() & text.is_not_null()).arg_true()
    if len(bad):
        at = int(bad[0])
        raise DataError(f"{where}, row {at + 1}, field {name}: expected YYYY-MM-DD, got {text[at]!r}")
    return made.alias(name)
