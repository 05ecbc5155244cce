"""`oneprice import`: files of venues and vendors to tapes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from oneprice.cli import inputs
from oneprice.cli.common import JSON, pairs, print_json, print_table, progress, verb
from oneprice.core.errors import ConfigError

FORMATS = ("binance", "quotes", "trades", "bars", "fx", "parquet", "bitstamp", "lobster", "mbo")
TABLES = ("quotes", "trades", "bars")  # with a column map, of one instrument that must be said
TAKES_INSTRUMENT = (*TABLES, "mbo", "binance", "bitstamp", "lobster")  # files of the last three say it themselves

FUNDING = Annotated[
    Path | None, typer.Option(help="A perpetual's funding: CSV or Parquet with columns time, rate and, if told, mark.")
]


@verb
def import_(
    files: Annotated[list[Path], typer.Argument(help="Files to read.")],
    *,
    file_format: Annotated[str, typer.Option("--format", help="One of " + ", ".join(FORMATS) + ".")],
    out: Annotated[Path, typer.Option(help="Folder of tapes.")] = Path("tapes"),
    fees: inputs.FEES = None,
    instrument: Annotated[
        list[str] | None,
        typer.Option(
            "--instrument", help="A fact of the instrument, name=value; repeat (symbol, tick, lot...)."
        ),
    ] = None,
    columns: Annotated[
        list[str] | None, typer.Option("--column", help="our_name=their_name of a column; repeat.")
    ] = None,
    time_unit: Annotated[str, typer.Option(help="Unit of times that are numbers.")] = "ns",
    timezone: Annotated[str, typer.Option(help="Zone of times without one.")] = "UTC",
    bar_s: Annotated[float, typer.Option(help="Length of a bar, seconds.")] = 0.0,
    assumed_depth_lots: Annotated[int, typer.Option(help="Size at the touch of files without sizes.")] = 0,
    allow_negative: Annotated[bool, typer.Option(help="Prices may be negative (spreads, 2020 oil).")] = False,
    warmup_s: Annotated[
        float | None, typer.Option(help="bitstamp: seconds to drop at the start (default 1200).")
    ] = None,
    persist_ms: Annotated[
        int | None, typer.Option(help="bitstamp: a cross that lasts longer has ghosts (default 1000).")
    ] = None,
    instrument_id: Annotated[int | None, typer.Option(help="mbo: which instrument of several.")] = None,
    funding: FUNDING = None,
    as_json: JSON = False,
) -> None:
    """Read files whole, check them, and write tapes; a bad row is an error that names file, row and field.

    Example: oneprice import spot_btcusdt_20240808.gz usdm_btcusdt_20240808.gz --format binance --fees 1,5

    Example: oneprice import 2015-05-01.log.xz --format bitstamp --fees 25,25

    Example: oneprice import q.csv --format quotes --column time=ts --instrument symbol=alpha:BTC
    --instrument underlying=BTC --instrument quote=USD --instrument tick=0.1 --instrument lot=0.001 --fees 0,1
    """
    from oneprice.market.importers import import_files

    notes: dict[str, dict[str, int]] = {}
    charges = inputs.fees_of(fees)
    _refuse_unused(file_format, instrument, columns, fees)
    with progress("import", quiet=as_json) as tick:
        tick(0, 0)
        written = import_files(
            files,
            out,
            format=file_format,
            fees=charges,
            instrument=(
                _instrument(instrument, charges, assumed_depth_lots)
                if file_format in (*TABLES, "mbo") or instrument
                else None
            ),
            columns={k: str(v) for k, v in pairs(columns, what="--column").items()},
            time_unit=time_unit,
            timezone=timezone,
            bar_ns=round(bar_s * 1e9),
            allow_negative=allow_negative,
            assumed_depth_lots=assumed_depth_lots,
            warmup_s=warmup_s,
            persist_ms=persist_ms,
            instrument_id=instrument_id,
            progress=lambda _, done, of: tick(done, of),
            notes=notes,
            funding=funding,
        )
    if as_json:
        print_json({"tapes": written, "notes": notes})
        return
    for path in written:
        typer.echo(f"wrote {path}")
    rows = [[Path(file).name, what.replace("_", " "), n] for file, found in notes.items() for what, n in found.items()]
    if rows:
        print_table("Met on the way", ["file", "what", "count"], rows)


def _refuse_unused(
    file_format: str, instrument: list[str] | None, columns: list[str] | None, fees: str | None
) -> None:
    """What a format cannot use is refused, not ignored; a misspelt format is the importer's to refuse."""
    unused = {
        "--instrument": bool(instrument) and file_format not in TAKES_INSTRUMENT,
        "--column": bool(columns) and file_format not in TABLES,
        "--fees": fees is not None and file_format == "parquet",
    }
    for name, given in unused.items():
        if given and file_format in FORMATS:
            raise ConfigError(f"{name}: expected none with --format {file_format}, got one: its files say it")


def _instrument(facts: list[str] | None, fees: Any, assumed_depth_lots: int) -> Any:
    """An Instrument of name=value pairs; a missing or misspelt fact is an error that lists what there is."""
    import msgspec

    from oneprice.core.instruments import Instrument

    given: dict[str, Any] = {k: str(v) for k, v in pairs(facts, what="--instrument").items()}
    if assumed_depth_lots:
        given.setdefault("assumed_depth_lots", assumed_depth_lots)
    if fees is None:
        raise ConfigError("--fees: expected MAKER_BP,TAKER_BP, got nothing; write 0,0 where trading is free")
    try:
        made = msgspec.convert(given, Instrument, strict=False)
    except msgspec.ValidationError as error:
        known = ", ".join(Instrument.__struct_fields__)
        raise ConfigError(f"--instrument: {error}; give name=value, facts are {known}") from error
    return msgspec.structs.replace(made, fees=fees)
