"""Two-venue FX files (ticks and minutes, Parquet) to one tape a venue.

Ticks: ts_utc, bid, ask, venue, symbol. Minutes: ts_utc (start of the minute), bid_open..bid_close,
ask_open..ask_close, venue, symbol; a minute becomes its closing quote at its end. Sizes are zero in the
source: the depth to assume must be said. There is one time column, so receive and exchange time are the same
stamp.
"""

from __future__ import annotations

from pathlib import Path

from oneprice.core.instruments import Fees, Instrument
from oneprice.market.header import Header
from oneprice.market.importers.columns import filtered, read_columns
from oneprice.market.importers.generic import Layout, quotes_from
from oneprice.market.tape import Tape

MINUTE_NS = 60_000_000_000
_LOT = "1000"  # a micro lot


def fx_instrument(
    venue: str, symbol: str, *, fees: Fees, assumed_depth_lots: int, tick: str = ""
) -> Instrument:
    """A spot FX pair such as EURUSD in micro lots of 1,000; ticks of a tenth of a pip."""
    return Instrument(
        symbol=f"{venue}:{symbol}",
        venue=venue,
        underlying=symbol[:3],
        quote=symbol[3:],
        tick=tick or ("0.001" if symbol.endswith("JPY") else "0.00001"),
        lot=_LOT,
        fees=fees,
        assumed_depth_lots=assumed_depth_lots,
    )


def import_fx(
    path: str | Path,
    venue: str,
    symbol: str = "EURUSD",
    *,
    fees: Fees,
    assumed_depth_lots: int,
    notes: dict[str, int] | None = None,
) -> Tape:
    """One venue's quotes of one pair, from a tick or a minute file (told by its columns).

    Raises ConfigError for an unknown venue or symbol (lists those there) or an assumed depth below 1,
    DataError for what is wrong with the file.
    """
    instrument = fx_instrument(venue, symbol, fees=fees, assumed_depth_lots=assumed_depth_lots)
    minute = _is_minute_file(Path(path))
    columns = {"time": "ts_utc"}
    if minute:
        columns |= {"bid": "bid_close", "ask": "ask_close"}
    c = read_columns(path, columns, required=("time", "bid", "ask", "venue", "symbol"))
    c = filtered(c, venue=venue, symbol=symbol)
    return quotes_from(
        c,
        instrument,
        header=fx_header(Path(path)),
        layout=Layout(bar_ns=MINUTE_NS if minute else 0),
        notes=notes,
    )


def fx_venues(path: str | Path) -> list[tuple[str, str]]:
    """The (venue, symbol) pairs in a file."""
    c = read_columns(path, {}, required=("venue", "symbol"))
    return sorted(c.frame.unique().rows())


def _is_minute_file(path: Path) -> bool:
    import polars as pl

    from oneprice.core.errors import DataError

    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        return "bid_close" in pl.read_parquet_schema(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: not a Parquet file that can be read ({error})") from error


def fx_header(path: Path) -> Header:
    """The header of such a file: indicative quotes, so no claim."""
    return Header(
        source=path.name,
        licence="that of the file; no grant of the dealers",
        period="as in the file",
        side="both",
        simultaneity="one UTC clock for both venues, of unknown accuracy between them; ticks in ms",
        survivorship="none: pairs that trade throughout",
        tries=0,
        claim=False,
        claim_why="indicative dealer quotes without sizes: no one is bound to trade at them",
    )
