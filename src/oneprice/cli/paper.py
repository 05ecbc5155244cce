"""`oneprice paper`: the live driver in real time against a simulated venue."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from oneprice.cli import inputs
from oneprice.cli.common import JSON, print_json, verb
from oneprice.core.errors import ConfigError


@verb
def paper(
    data: inputs.DATA,
    *,
    strategy: inputs.STRATEGY = "cross_market",
    settings: inputs.SET = None,
    legs: inputs.LEGS = None,
    days: inputs.DAYS = None,
    fees: inputs.FEES = None,
    latency_ms: inputs.LATENCY = 1.0,
    limits: inputs.LIMITS = None,
    speed: Annotated[float, typer.Option(help="Tape seconds a second; 0 does not wait.")] = 1.0,
    seed: inputs.SEED = 0,
    out: inputs.OUT = None,
    model: inputs.MODEL = None,
    queue: inputs.QUEUE = None,
    as_json: JSON = False,
) -> None:
    """Trade a tape on paper, one event at a time. Ctrl-C cancels what works and leaves a whole journal.

    Example: oneprice paper synthetic:7 --speed 20 --out runs/paper

    Example: oneprice paper tapes --strategy market_making --queue fifo --speed 0
    """
    from oneprice.modes import paper as mode

    tapes = inputs.tapes_of(data, legs, days)
    chosen, fits = inputs.quoting_of(inputs.strategy_of(strategy, settings), tapes, model)
    if model is not None and not fits:
        raise ConfigError(f"--model: {strategy} takes no model of quotes")
    run = mode.paper(
        chosen,
        tapes,
        fits=fits,
        fees=inputs.fees_of(fees),
        latency=inputs.latency_of(latency_ms),
        fills=inputs.fills_of(queue),
        limits=inputs.limits_of(limits),
        speed=speed,
        seed=seed,
        out=out,
        status=None if as_json else _tell,
    )
    if as_json:
        print_json(run.to_dict())
    else:
        typer.echo(run.summary())


def _tell(facts: dict[str, Any]) -> None:
    """One line on stderr, as often as the driver speaks."""
    typer.echo("  ".join(f"{k} {v}" for k, v in facts.items()), err=True)
