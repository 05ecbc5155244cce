"""`oneprice bench`: speed as ratios taken in one run."""

from __future__ import annotations

from typing import Annotated

import typer

from oneprice.cli.common import JSON, print_json, print_table, progress, verb


@verb
def bench(
    rows: Annotated[int, typer.Option(help="Simulated market rows.")] = 5_000_000,
    repeats: Annotated[int, typer.Option(help="Interleaved repeats; medians are reported.")] = 3,
    as_json: JSON = False,
) -> None:
    """Time whole simulations beside hftbacktest on the same rows; gate, ledger and attribution are on.

    Example: oneprice bench --rows 1000000
    """
    from oneprice.study import bench as study

    with progress("bench", quiet=as_json) as tick:
        tick(0, 0)
        found = study.versus(rows, repeats)
    if as_json:
        print_json({"benchmarks": found})
        return
    columns = ["what", "ratio", "ours ns/row", "theirs ns/row", "x plain pass"]
    keys = ("name", "ratio", "ours_ns_row", "theirs_ns_row", "times_plain_pass")
    print_table("Benchmarks", columns, [[one[k] for k in keys] for one in found])
    typer.echo("ratio: their time over ours in the same run, larger is better")
