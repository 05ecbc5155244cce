"""`oneprice verify`: every published anchor beside the computed number."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oneprice.cli.common import EXIT_FAIL, JSON, print_json, print_table, progress, verb


@verb
def verify(
    groups: Annotated[list[str] | None, typer.Argument(help="Groups of anchors; none: all.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of reference data (else ONEPRICE_DATA).")] = None,
    as_json: JSON = False,
) -> None:
    """Compare computed numbers with published ones; exit status 1 if any differs.

    Example: oneprice verify

    Example: oneprice verify market --data ../shared/data --json
    """
    import msgspec

    from oneprice.study import verify as harness

    with progress("anchors", quiet=as_json) as tick:
        rows = harness.verify(names=groups or (), data=data, progress=tick)
    counts = {v: sum(r.verdict == v for r in rows) for v in (harness.PASS, harness.FAIL, harness.NO_DATA)}
    if as_json:
        print_json({"rows": [msgspec.structs.asdict(r) for r in rows], "counts": counts})
    else:
        columns = ["id", "published", "computed", "tolerance", "verdict", "source"]
        table = [[r.id, r.published, r.computed, r.tolerance, r.verdict, r.source] for r in rows]
        print_table("Published numbers", columns, table)
        for row in rows:
            if row.note:
                typer.echo(f"{row.id}: {row.note}")
        typer.echo(", ".join(f"{n} {v}" for v, n in counts.items()))
    if counts[harness.FAIL]:
        raise typer.Exit(EXIT_FAIL)
