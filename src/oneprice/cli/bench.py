"""`oneprice bench`: speed as ratios taken in one run, each beside its bound."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from oneprice.cli.common import EXIT_FAIL, JSON, print_json, print_table, progress, verb


@verb
def bench(
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", help="engine, statistics, microstructure or a part of them (see the guide); repeat. Without: all."
        ),
    ] = None,
    rows: Annotated[int, typer.Option(help="Simulated market rows of the comparison.")] = 5_000_000,
    repeats: Annotated[int, typer.Option(help="Interleaved repeats; medians are reported.")] = 3,
    quick: Annotated[bool, typer.Option(help="Small sizes: a look, not a measurement.")] = False,
    fills: Annotated[bool, typer.Option(help="Only count fills, one rule changed at a time.")] = False,
    as_json: JSON = False,
) -> None:
    """Time the engine beside hftbacktest, and the statistics beside statsmodels, arch, filterpy, hurst and vectorbt.

    Leaves with status 1 when a bound is broken. Bounds in seconds or ns are those of an idle machine. What is not
    installed or not there is not measured, and never counts as a pass.

    Example: oneprice bench --quick

    Example: oneprice bench --only statistics --only microstructure --repeats 5
    """
    from oneprice.core.errors import ConfigError
    from oneprice.study import bench as study

    if rows < 1_000 or repeats < 1:
        raise ConfigError(f"bench: expected at least 1000 rows and 1 repeat, got {rows} and {repeats}")
    parts = study.chosen(only or ())
    if fills and only:
        raise ConfigError("bench: --fills counts fills of the whole engine, expected no --only beside it")
    named = os.environ.get("ONEPRICE_DATA")
    data = Path(named) if named else None
    if fills:
        table = study.fills(min(rows, study.QUICK_ROWS), data)
        if as_json:
            print_json({"fills": table})
        else:
            print_table("Fills by rule", list(table[0]), [list(row.values()) for row in table])
        return
    with progress("bench", quiet=as_json) as tick:
        found = study.bench(rows, repeats, only=parts, quick=quick, data=data, progress=tick)
    if as_json:
        print_json({"benchmarks": [one.to_dict() for one in found]})
    else:
        columns = ["what", "figure", "bound", "verdict"]
        cells = [[f.name, f"{_shown(f.figure)} {f.unit}", _bound(f), f.verdict] for f in found]
        print_table("Benchmarks", columns, cells)
        for f in found:
            if f.note:
                typer.echo(f"{f.name}: {f.note}")
        typer.echo("x NAME or against NAME: their time over ours in one run, larger is better; --json has the parts")
        counts = Counter(f.verdict for f in found)
        typer.echo(", ".join(f"{counts[v]} {v}" for v in ("holds", "broken", "shown", "not measured")))
    if any(one.verdict == "broken" for one in found):
        raise typer.Exit(EXIT_FAIL)


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"


def _bound(figure: object) -> str:
    bound, side = getattr(figure, "bound", None), getattr(figure, "side", "")
    return "" if bound is None else f"{side} {bound:g}"
