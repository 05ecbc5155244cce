"""`oneprice replay`: a strategy over tapes through the whole engine."""

from __future__ import annotations

import typer

from oneprice.cli import inputs
from oneprice.cli.common import JSON, print_json, progress, verb


@verb
def replay(
    data: inputs.DATA,
    *,
    strategy: inputs.STRATEGY = "cross_market",
    settings: inputs.SET = None,
    legs: inputs.LEGS = None,
    days: inputs.DAYS = None,
    fees: inputs.FEES = None,
    latency_ms: inputs.LATENCY = 1.0,
    limits: inputs.LIMITS = None,
    seed: inputs.SEED = 0,
    out: inputs.OUT = None,
    as_json: JSON = False,
) -> None:
    """Replay a strategy and print where its P&L came from.

    Example: oneprice replay synthetic:7 --set edge_bp=2 --out runs/first

    Example: oneprice replay tapes --leg spot:BTC-USDT --leg perp:BTC-USDT --fees 1,5 --latency-ms 10
    """
    from oneprice.modes import replay as mode

    tapes = inputs.tapes_of(data, legs, days)
    chosen = inputs.strategy_of(strategy, settings)
    with progress("replay", quiet=as_json) as tick:
        run = mode.replay(
            chosen,
            tapes,
            fees=inputs.fees_of(fees),
            latency=inputs.latency_of(latency_ms),
            limits=inputs.limits_of(limits),
            seed=seed,
            out=out,
            progress=lambda share: tick(share, 1.0),
        )
    if as_json:
        print_json(run.to_dict())
        return
    typer.echo(run.summary())
    if out is not None:
        typer.echo(f"\njournal in {out}; `oneprice report {out}` draws it, `oneprice explain {out}` tells it")
