"""`oneprice verify`: every published anchor beside the computed number."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oneprice.cli.common import EXIT_FAIL, JSON, print_json, print_table, progress, verb


@verb
def verify(
    ids: Annotated[
        list[str] | None, typer.Argument(help="Anchor ids, or the first part of some; none: all.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of reference data (else ONEPRICE_DATA).")] = None,
    as_json: JSON = False,
) -> None:
    """Compare computed numbers with published ones; exit status 1 if any differs.

    Example: oneprice verify

    Example: oneprice verify --data ../shared/data --json
    """
    from oneprice.study import verify as harness

    with progress("anchors", quiet=as_json) as tick:
        rows = harness.verify(ids=ids or (), data=data, progress=tick)
    counts = {v: sum(r.verdict == v for r in rows) for v in (harness.PASS, harness.FAIL, harness.NO_DATA)}
    if as_json:
        print_json({"rows": [_as_dict(r) for r in rows], "counts": counts})
    else:
        columns = ["id", "published", "computed", "tolerance", "unit", "verdict", "source"]
        table = [[r.id, r.published, r.computed, r.tolerance, r.unit, r.verdict, r.source] for r in rows]
        print_table("Published numbers", columns, table)
        for row in rows:
            if row.note:
                typer.echo(f"{row.id}: {row.note}")
        typer.echo(", ".join(f"{n} {v}" for v, n in counts.items()))
    if counts[harness.FAIL]:
        raise typer.Exit(EXIT_FAIL)


def _as_dict(row: object) -> dict[str, object]:
    import msgspec

    return dict(msgspec.structs.asdict(row))  # type: ignore[arg-type]
