"""`oneprice demo`: a gap that looks like money, a gap that is money, and the proof."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oneprice.cli.common import JSON, print_json, print_table, progress, verb


@verb
def demo(
    out: Annotated[Path, typer.Option(help="Folder for journal and report.")] = Path("runs/demo"),
    as_json: JSON = False,
) -> None:
    """Show two gaps: real feeds whose gap is none, and a simulated world with planted gaps and decoys.

    The real feeds are fetched once with pip; without a network and without a cache only the second is shown.

    Example: oneprice demo

    Example: oneprice demo --out runs/mine --json
    """
    from oneprice.dashboard.html import write_report
    from oneprice.study.demo import run_demo

    with progress("demo (the first run compiles)", quiet=as_json) as tick:
        made = run_demo(out, progress=tick)
        report = write_report(out)
    if as_json:
        print_json(made.to_dict() | {"report": report})
        return
    typer.echo(str(made))
    typer.echo("")
    print_table("Summary", ["exhibit", "can P&L be claimed?", "verdict"], [list(r) for r in made.summary()])
    typer.echo(f"\nreport: {report}")
