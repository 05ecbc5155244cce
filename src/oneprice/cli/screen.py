"""`oneprice screen`: which pairs of a table of prices move together, after paying for every look."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from oneprice.cli import fit as words
from oneprice.cli.common import JSON, number, print_json, progress, verb
from oneprice.core.errors import ConfigError, DataError

POWER_WORLDS = 20  # of ten planted pairs each

FAMILY = Annotated[str, typer.Option(help="clusters, grid (every pair: a ranking), or a CSV of symbol,group.")]
POWER = Annotated[bool, typer.Option(help="Also say what a screen of this length finds in worlds of known pairs.")]


@verb
def screen(
    prices: Annotated[Path, typer.Argument(help="CSV or Parquet of prices, wide or long.")],
    *,
    space: Annotated[str, typer.Option(help="log: ratios of value; level: ratios of units.")] = "log",
    family: FAMILY = "clusters",
    false_discovery: Annotated[float, typer.Option(help="Rate of false discoveries allowed.")] = 0.10,
    correction: Annotated[str, typer.Option(help="bh, or by (any dependence).")] = "bh",
    half_life: Annotated[str, typer.Option(help="least..most, in steps or as 1d..30d.")] = "1..inf",
    lags: Annotated[str, typer.Option(help="A number fixed in advance, aic or bic.")] = "1",
    confirm: Annotated[
        float | None, typer.Option(help="Share of the times kept back. None: 0.3 of a grid, 0 of families.")
    ] = None,
    cost_bp: Annotated[float, typer.Option(help="One side of one leg, of the value traded.")] = 5.0,
    sectors: Annotated[str | None, typer.Option(help="CSV of symbol,group: shown beside each pair.")] = None,
    keep: Annotated[int, typer.Option(help="Pairs to describe.")] = 200,
    baskets: Annotated[bool, typer.Option(help="Test families of 3 to 8 series as one relation each.")] = True,
    power: POWER = False,
    align: words.ALIGN = "intersection",
    sort: words.SORT = False,
    time_column: words.TIME = None,
    time_format: words.FORMAT = None,
    symbols: words.SYMBOLS = None,
    about: Annotated[
        list[str] | None, typer.Option("--about", help="What is known of the data, e.g. adjusted=splits; repeat.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Processes; 1 runs here.")] = 1,
    resume: Annotated[
        Path | None, typer.Option(help="Checkpoint file: written as it goes, read when it is there.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for screen.json and screen.html.")] = None,
    as_json: JSON = False,
) -> None:
    """Screen a panel of prices for pairs and baskets that hold together.

    Example: oneprice screen prices.parquet --family groups.csv --half-life 1d..30d --out runs/screen
    """
    from msgspec import to_builtins

    from oneprice.study.screen import screen as study

    panel = words.panel_of(
        prices, align, sort=sort, time=time_column, time_format=time_format, symbols=symbols, about=about
    )
    with progress("screen", quiet=as_json) as tick, _pool(jobs) as pool:
        found = study(
            panel,
            space=space,
            family=_family(family),
            false_discovery=false_discovery,
            correction=correction,
            half_life=_range(half_life),
            lags=number(lags),
            confirm=confirm,
            cost_bp=cost_bp,
            sectors=_family(sectors) if sectors else None,
            keep=keep,
            baskets=baskets,
            executor=pool,
            resume=resume,
            progress=tick,
        )
    written = []
    if out is not None:
        from oneprice.dashboard.screen_page import write_screen_page

        written = [found.write(out / "screen.json"), write_screen_page(found, panel, out / "screen.html")]
    rows = _power(found.n_obs, false_discovery, correction) if power else []
    if as_json:
        print_json({**found.to_dict(), "power": [to_builtins(r) for r in rows]} if power else found.to_dict())
    else:
        _show(found, rows, written)


def _show(found: Any, rows: list[Any], written: list[Path]) -> None:
    """The table, the power of a screen of this length, the files written."""
    typer.echo(str(found))
    for r in rows:
        typer.echo(
            f"power at {r.n_obs} times, half-life {r.half_life:g}: {100 * r.power:.0f} % of known pairs found "
            f"among walks, {100 * r.false_rate:.0f} % of discoveries false ({r.planted} pairs planted)"
        )
    for path in written:
        typer.echo(f"wrote {path}")


def _family(text: str) -> Any:
    """clusters, grid, or the groups of a CSV file with the columns symbol and group."""
    if text in ("clusters", "grid"):
        return text
    import polars as pl

    path = Path(text)
    if not path.is_file():
        raise ConfigError(f"--family: expected clusters, grid or a CSV of symbol,group; there is no file {text!r}")
    try:
        frame = pl.read_csv(path, infer_schema_length=0)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{text}: cannot be read as CSV: {error}") from error
    if not {"symbol", "group"} <= set(frame.columns):
        raise DataError(f"{text}: expected columns symbol and group, got {', '.join(frame.columns)}")
    return dict(zip(frame["symbol"].to_list(), frame["group"].to_list(), strict=True))


def _power(n_obs: int, false_discovery: float, correction: str) -> list[Any]:
    """Known pairs of four half-lives among walks, as long as the panel that was searched."""
    from oneprice.study.power import power_of

    return [
        power_of(n_obs, h, worlds=POWER_WORLDS, false_discovery=false_discovery, correction=correction)
        for h in (5.0, 10.0, 20.0, 40.0)
    ]


def _range(text: str) -> tuple[Any, Any]:
    low, dots, high = text.partition("..")
    if not dots:
        raise ConfigError(f"--half-life: expected least..most, e.g. 1d..30d or 2..60, got {text!r}")
    return number(low.strip()), number(high.strip())


def _pool(jobs: int) -> Any:
    from concurrent.futures import ProcessPoolExecutor

    return ProcessPoolExecutor(jobs) if jobs > 1 else nullcontext()
