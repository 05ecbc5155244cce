"""Files of many kinds to tapes: `import_files` is what `oneprice import` calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from oneprice.core.errors import ConfigError, DataError, unknown_name
from oneprice.core.instruments import Fees, Instrument
from oneprice.market.header import Header
from oneprice.market.importers.lines import Progress
from oneprice.market.tape import Tape, write_tape

FORMATS = ("binance", "quotes", "trades", "bars", "fx", "parquet")


def read_files(
    paths: Sequence[str | Path],
    *,
    format: str,  # noqa: A002 - the name users type
    fees: Fees | None = None,
    instrument: Instrument | None = None,
    header: Header | None = None,
    columns: Mapping[str, str] | None = None,
    time_unit: str = "ns",
    timezone: str = "UTC",
    bar_ns: int = 0,
    allow_negative: bool = False,
    assumed_depth_lots: int = 0,
    floor_ns: int = 1_000_000,
    progress: Progress | None = None,
    notes: dict[str, dict[str, int]] | None = None,
) -> list[Tape]:
    """Files as tapes in memory; see `import_files`."""
    if format not in FORMATS:
        raise unknown_name("format", format, list(FORMATS))
    if not paths:
        raise ConfigError("import: expected at least one file, got none")
    tapes: list[Tape] = []
    for path in paths:
        mine: dict[str, int] = {}
        if format in ("quotes", "trades", "bars"):
            from oneprice.market.importers.generic import IMPORTERS, Layout

            if instrument is None:
                raise ConfigError(
                    f"import --format {format}: say the instrument (symbol, tick, lot, quote, fees)"
                )
            layout = Layout(columns or {}, time_unit, timezone, bar_ns, allow_negative)
            said = header or _unknown_header(path, _side(format, columns or {}))
            found = [IMPORTERS[format](path, instrument, header=said, layout=layout, notes=mine)]
        elif format == "parquet":
            from oneprice.market.parquet import read_parquet

            found = [read_parquet(path)]
        elif fees is None:
            raise ConfigError(
                f"import --format {format}: fees are required; write zeros where trading is free"
            )
        elif format == "binance":
            from oneprice.market.importers.binance import import_binance, instrument_of_file

            if not Path(path).is_file():  # before its name is judged
                raise DataError(f"{path}: no such file")
            one = instrument_of_file(path, fees=fees) if instrument is None else instrument
            found = [import_binance(path, one, progress=progress, notes=mine)]
        else:
            from oneprice.market.importers.fx import fx_venues, import_fx

            found = [
                import_fx(path, v, s, fees=fees, assumed_depth_lots=assumed_depth_lots, notes=mine)
                for v, s in fx_venues(path)
            ]
        tapes += found
        if notes is not None:
            notes[str(path)] = mine
    if format == "binance":
        from oneprice.market.clock import correct_clocks

        tapes = correct_clocks(tapes, floor_ns=floor_ns)
    return tapes


def import_files(paths: Sequence[str | Path], out: str | Path, **options: object) -> list[Path]:
    """Read files, then write each as a tape below `out`; returns the paths of the tapes.

    Nothing is written before every file has been read. Options are those of `read_files`: `format` (binance,
    quotes, trades, bars, fx, parquet), `fees`, `instrument`, `header`, `columns` {our name: their column},
    `time_unit`, `timezone`, `bar_ns`, `allow_negative`, `assumed_depth_lots`, `floor_ns`, `progress`,
    `notes`.

    Raises DataError for what is wrong with a file (file, row or line, field), ConfigError for what is
    missing here.
    """
    tapes = read_files(paths, **options)  # type: ignore[arg-type]
    legs = [(t.leg, int(t.events["receive_ns"][0]) // 86_400_000_000_000) for t in tapes]
    if len(set(legs)) != len(legs):
        raise ConfigError("import: two files hold the same leg and day; import them apart or join them first")
    return [write_tape(out, tape) for tape in tapes]


def _side(format: str, columns: Mapping[str, str]) -> str:  # noqa: A002 - the name users type
    """Quotes with a bid column and another ask column show both sides; nothing else says what it is."""
    two = columns.get("bid", "bid") != columns.get("ask", "ask")
    return "both" if format == "quotes" and two else "not stated"


def _unknown_header(path: str | Path, side: str) -> Header:
    return Header(
        source=Path(path).name,
        licence="not stated",
        period="as in the file",
        side=side,
        simultaneity="not stated",
        survivorship="not stated",
        tries=0,
        claim=False,
        claim_why="the source does not say whether its prices are of one moment",
    )
