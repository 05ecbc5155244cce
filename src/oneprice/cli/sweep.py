"""`oneprice sweep`: at which latency, fee and size does the edge die?"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated, Any

import typer

from oneprice.cli import inputs
from oneprice.cli.common import JSON, floats, grid, print_json, progress, verb


@verb
def sweep(
    data: inputs.DATA,
    *,
    strategy: inputs.STRATEGY = "cross_market",
    over: Annotated[
        list[str] | None, typer.Option("--over", help="A parameter, name=v1,v2,...; repeat.")
    ] = None,
    latency_ms: Annotated[str, typer.Option(help="Order latencies each way.")] = "0,1,10,100",
    fee_scale: Annotated[str, typer.Option(help="Factors on all fees.")] = "0,1,2",
    legs: inputs.LEGS = None,
    days: inputs.DAYS = None,
    fees: inputs.FEES = None,
    limits: inputs.LIMITS = None,
    jobs: Annotated[int, typer.Option(help="Processes; 1 runs here.")] = 1,
    tries_before: Annotated[int, typer.Option(help="Tries made earlier on the same data.")] = 0,
    seed: inputs.SEED = 0,
    out: inputs.OUT = None,
    as_json: JSON = False,
) -> None:
    """Replay a strategy on a grid and correct the best result for the number of tries.

    Example: oneprice sweep synthetic:7 --over edge_bp=1,2,4 --over qty=0.1,0.5 --out runs/first
    """
    from oneprice.study.sweep import sweep as study

    tapes = inputs.tapes_of(data, legs, days)
    with progress("sweep", quiet=as_json) as tick, _pool(jobs) as pool:
        found = study(
            inputs.strategy_of(strategy),
            tapes,
            fees=inputs.fees_of(fees),
            limits=inputs.limits_of(limits),
            latency_ms=floats(latency_ms, what="--latency-ms"),
            fee_scale=floats(fee_scale, what="--fee-scale"),
            executor=pool,
            seed=seed,
            tries_before=tries_before,
            progress=tick,
            **grid(over, what="--over"),
        )
    path = found.write(out) if out is not None else None
    if as_json:
        print_json(found.to_dict())
    else:
        typer.echo(str(found))
        if path is not None:
            typer.echo(f"wrote {path}; `oneprice report {out}` draws the break-even map")


def _pool(jobs: int) -> Any:
    from concurrent.futures import ProcessPoolExecutor

    return ProcessPoolExecutor(jobs) if jobs > 1 else nullcontext()
