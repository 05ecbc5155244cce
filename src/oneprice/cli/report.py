"""`oneprice report`: one self-contained page from a run's journal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oneprice.cli.common import JSON, print_json, verb


@verb
def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or its journal.")],
    out: Annotated[
        Path | None, typer.Option(help="Where to write; else report.html in the run's folder.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Write report.html from journal and manifest; no market data are read.

    Example: oneprice report runs/demo
    """
    from oneprice.dashboard.html import write_report
    from oneprice.study.report import cause_table, read_run

    path = write_report(run, out=out)
    table = cause_table(read_run(run))
    if as_json:
        facts = {"report": path, "currency": table.currency, "total": table.amount(table.total)}
        print_json(facts | {"causes": dict(table.causes), "difference": table.difference})
    else:
        closes = (
            "the causes sum exactly" if table.difference == 0 else f"OFF BY {table.difference} ledger units"
        )
        typer.echo(f"wrote {path}: P&L {table.amount(table.total):+,.8g} {table.currency}, {closes}")
