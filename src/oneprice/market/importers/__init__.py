"""Files of many kinds to tapes: `import_files` is what `oneprice import` calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from oneprice.core.errors import ConfigError, DataError, unknown_name
from oneprice.core.instruments import Fees, Instrument
from oneprice.market.header import Header
from oneprice.market.importers.lines import Progress
from oneprice.market.tape import Tape, write_tape

FORMATS = ("binance", "quotes", "trades", "bars", "fx", "parquet", "bitstamp", "lobster", "mbo")
ORDERS = ("bitstamp", "lobster", "mbo")  # messages of single orders: tapes that name their orders


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
    warmup_s: float | None = None,
    persist_ms: int | None = None,
    instrument_id: int | None = None,
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
        elif format in ORDERS:
            own: dict[str, Any] = {"warmup_s": warmup_s, "persist_ms": persist_ms, "instrument_id": instrument_id}
            found = [_orders(path, format, instrument, fees, header, own, mine)]
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


def import_files(
    paths: Sequence[str | Path], out: str | Path, *, funding: str | Path | None = None, **options: Any
) -> list[Path]:
    """Read files, then write each as a tape below `out`; returns the paths of the tapes.

    Nothing is written before every file has been read. `funding` is a file of rates of the one perpetual imported
    (`importers/funding.py`). Options are those of `read_files`: `format` (one of
    FORMATS), `fees`, `instrument`, `header`, `columns` {our name: their column}, `time_unit`, `timezone`, `bar_ns`,
    `allow_negative`, `assumed_depth_lots`, `floor_ns`, `warmup_s`, `persist_ms` (bitstamp), `instrument_id` (mbo),
    `progress`, `notes`.

    Raises DataError for what is wrong with a file (file, row or line, field), ConfigError for what is
    missing here.
    """
    tapes = read_files(paths, **options)
    if funding is not None:
        from oneprice.market.importers.funding import with_funding_file

        met: dict[str, int] = {}
        how = {name: options[name] for name in ("time_unit", "timezone") if name in options}
        tapes = with_funding_file(tapes, funding, notes=met, **how)
        if options.get("notes") is not None:
            options["notes"][str(funding)] = met
    legs = [(t.leg, int(t.events["receive_ns"][0]) // 86_400_000_000_000) for t in tapes]
    if len(set(legs)) != len(legs):
        raise ConfigError("import: two files hold the same leg and day; import them apart or join them first")
    return [write_tape(out, tape) for tape in tapes]


def _orders(
    path: str | Path,
    format: str,  # noqa: A002 - the name users type
    instrument: Instrument | None,
    fees: Fees | None,
    header: Header | None,
    own: Mapping[str, Any],
    notes: dict[str, int],
) -> Tape:
    """A file of order messages; `own` are the options that one format takes, None where they are not given."""
    takes = {"bitstamp": ("warmup_s", "persist_ms"), "lobster": (), "mbo": ("instrument_id",)}[format]
    for name, value in own.items():
        if value is not None and name not in takes:
            raise ConfigError(f"import --format {format}: expected no {name} (it has no use for it), got {value}")
    options = {name: own[name] for name in takes if own[name] is not None}
    if format == "mbo":
        from oneprice.market.importers.mbo import import_mbo

        if instrument is None:
            raise ConfigError("import --format mbo: say the instrument (symbol, underlying, quote, tick, lot, fees)")
        return import_mbo(path, _with_depth(instrument), header=header, notes=notes, **options)
    if instrument is None and fees is None:
        raise ConfigError(f"import --format {format}: fees are required; write zeros where trading is free")
    if format == "lobster":
        from oneprice.market.importers.lobster import import_lobster, lobster_instrument

        share = instrument or lobster_instrument(Path(path).name.partition("_")[0].upper(), fees)
        return import_lobster(path, _with_depth(share), header=header, notes=notes)
    from oneprice.market.importers.bitstamp import bitstamp_instrument, import_bitstamp

    return import_bitstamp(
        path, _with_depth(instrument or bitstamp_instrument(fees)), header=header, notes=notes, **options
    )


def _with_depth(instrument: Instrument) -> Instrument:
    """The instrument with a depth book: 2^14 ticks where it states none."""
    return instrument if instrument.book_log2 else msgspec.structs.replace(instrument, book_log2=14)


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
