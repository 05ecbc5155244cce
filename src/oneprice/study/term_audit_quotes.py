"""Minute quotes as an audit may use them: both sides and sizes, not crossed, each named and there once.

What is left out is counted and told; what cannot be told apart from an error is refused with file, row and field.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oneprice.core.errors import DataError

STAMP = "ts_utc"
PRICES, SIZES = ("bid_close", "ask_close"), ("bid_size", "ask_size")


def good_quotes(path: str | Path, names: Sequence[str], *, above_zero: bool = False) -> tuple[Any, list[str]]:
    """(rows sorted by time and `names`, notes of what was left out) of a Parquet file of minute quotes.

    Left out and counted: rows without a time or a name, without a side or a size, crossed in themselves, at a price of
    0 (with `above_zero`: or below).

    Raises
    ------
    DataError
        No such file, columns that lack or are of another type, no row, none that can be used, a market twice in a
        minute.
    """
    import polars as pl

    if not Path(path).is_file():
        raise DataError(f"{path}: no such file")
    try:
        rows = pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path}: expected Parquet of quotes: {str(error).splitlines()[0]}") from error
    _types(path, rows, names)
    if rows.height == 0:
        raise DataError(f"{path}: expected a row a minute and market, got none")
    notes = []
    nameless = rows.select(pl.any_horizontal(pl.col([STAMP, *names]).is_null())).to_series()
    if nameless.any():
        notes.append(f"{int(nameless.sum())} quotes without {', '.join((STAMP, *names))}: left out")
    rows = rows.filter(~nameless)
    bid, ask = (pl.col(c) for c in PRICES)
    known = pl.all_horizontal(pl.col([*PRICES, *SIZES]).is_finite().fill_null(False))
    sized = known & (pl.col(SIZES[0]) > 0) & (pl.col(SIZES[1]) > 0)
    crossed = known & (bid > ask)
    priced = (bid > 0) & (ask > 0) if above_zero else (bid != 0) & (ask != 0)
    lost, n_crossed = (int(rows.select(e.sum()).item()) for e in (~sized | crossed, crossed))
    if lost:
        notes.append(f"{lost} quotes without a side or a size, or crossed in themselves ({n_crossed}): left out")
    rows = rows.filter(sized & ~crossed)
    unpriced = int(rows.select((~priced).sum()).item())
    if unpriced:
        notes.append(f"{unpriced} quotes at a price of 0{' or below' if above_zero else ''}: left out")
    rows = rows.filter(priced).sort(STAMP, *names)
    if rows.height == 0:
        raise DataError(f"{path}: no quote can be used: {'; '.join(notes)}")
    twice = rows.filter(pl.struct([STAMP, *names]).is_duplicated())
    if twice.height:
        first = twice.row(0, named=True)
        who = " ".join(str(first[n]) for n in names)
        raise DataError(f"{path}: {who} is there twice at {first[STAMP]}: expected one row a minute; drop the double")
    return rows, notes


def _types(path: str | Path, rows: Any, names: Sequence[str]) -> None:
    """Raises DataError for a column that lacks or is of another type."""
    import polars as pl

    kinds = {STAMP: "times", **dict.fromkeys((*PRICES, *SIZES), "numbers"), **dict.fromkeys(names, "text")}
    for column, kind in kinds.items():
        if column not in rows.columns:
            raise DataError(f"{path}: expected columns {', '.join(kinds)}, got {', '.join(rows.columns)}")
        told = rows.schema[column]
        fits = {"times": isinstance(told, pl.Datetime), "numbers": told.is_numeric(), "text": told == pl.String}[kind]
        if not fits:
            raise DataError(f"{path}: column {column}: expected {kind}, got {told}; convert the column first")
