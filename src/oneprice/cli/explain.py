"""`oneprice explain`: the story of one package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oneprice.cli.common import JSON, print_json, print_table, verb


@verb
def explain(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or its journal.")],
    package: Annotated[int | None, typer.Option(help="Number of the package; none: list them.")] = None,
    as_json: JSON = False,
) -> None:
    """Tell what happened to a package, row by row, from the journal alone.

    Example: oneprice explain runs/demo

    Example: oneprice explain runs/demo --package 3
    """
    from oneprice.modes.explain import explain_package, find_package, packages_of, sentence
    from oneprice.study.report import read_run

    data = read_run(run)
    packages = packages_of(data.rows, data.manifest)
    columns = ["package", "state", "lots filled", "life ms", "orders", "fills", "refused", "naked ms"]
    rows = [
        [p.number, p.state, p.filled_text, p.life_ms, p.n_orders, p.n_fills, p.n_refused, p.naked_ms]
        for p in packages
    ]
    if package is None:
        if as_json:
            print_json({"packages": [dict(zip(columns, r, strict=True)) for r in rows]})
        else:
            print_table(f"{len(rows)} packages", columns, rows)
        return
    if as_json:
        p = find_package(packages, package)
        story = [{"time_ns": int(r["time_ns"]), "what": sentence(r, data.manifest)} for r in p.rows]
        facts = {"package": p.number, "state": p.state, "filled": p.filled, "naked_ms": p.naked_ms}
        more = {"worst_naked": p.worst_naked, "legging": p.legging_cost, "currency": p.cost_currency}
        more |= {"borrow": p.borrow, "dividend": p.dividend}
        print_json(facts | more | {"story": story})
    else:
        typer.echo(explain_package(data.rows, data.manifest, package))
