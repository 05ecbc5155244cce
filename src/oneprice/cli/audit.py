"""`oneprice audit`: which gaps are arbitrage, which only look like it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from oneprice.cli import audit_term as term
from oneprice.cli import inputs
from oneprice.cli.common import JSON, floats, print_json, progress, verb
from oneprice.core.errors import ConfigError


def _fills(tapes: list[Any], horizon: str, rivals: bool, as_json: bool) -> None:
    """Score the queue models on each tape that names its orders."""
    from oneprice.study.fill_truth import fill_truth

    found = []
    with progress("fills", quiet=as_json) as tick:
        for k, tape in enumerate(tapes):
            found.append(fill_truth(tape, horizon=horizon, rivals=rivals))
            tick(k + 1, len(tapes))
    if as_json:
        print_json([one.to_dict() for one in found])
    else:
        typer.echo("\n\n".join(str(one) for one in found))


@verb
def audit(
    data: Annotated[
        str, typer.Argument(help="Folder of tapes, or `synthetic:SEED`; with --family term a file of prices or yields.")
    ],
    *,
    legs: inputs.LEGS = None,
    days: inputs.DAYS = None,
    fee_bp: Annotated[float | None, typer.Option(help="Taker fee for all legs. None: the instruments'.")] = None,
    latency_ms: Annotated[str, typer.Option(help="Latencies to try, milliseconds.")] = "0,1,10,100",
    max_age_ms: Annotated[float, typer.Option(help="A leg older than this is stale.")] = 500.0,
    family: term.FAMILY = "gaps",
    root: term.ROOT = None,
    expiry: term.EXPIRY = None,
    rates: term.RATES = None,
    rate: term.RATE = None,
    storage: term.STORAGE = None,
    lease: term.LEASE = 0.0,
    dividends: term.DIVIDENDS = None,
    margin: term.MARGIN = 0.0,
    margin_rate: term.MARGIN_RATE = 0.0,
    tax: term.TAX = 0.0,
    spreads_bp: term.SPREADS = "50,25",
    places: term.PLACES = 36,
    boundary: term.BOUNDARY = None,
    confirm: term.CONFIRM = 2,
    observed: term.OBSERVED = False,
    day: term.DAY = None,
    page: term.PAGE = None,
    fills: Annotated[
        bool, typer.Option("--fills", help="Prove the fill models on the hidden orders of an L3 tape.")
    ] = False,
    horizon: Annotated[str, typer.Option(help="With --fills: left, or rests (see the theory of fills).")] = "left",
    rivals: Annotated[
        bool, typer.Option("--rivals", help="With --fills: hftbacktest's queue models beside ours.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Find every gap between legs of one underlying, classify it, and say what is left net of costs.

    Example: oneprice audit synthetic:7

    Example: oneprice audit tapes --fee-bp 5 --latency-ms 0,10,100

    Example: oneprice audit tapes --fills --leg bitstamp:BTCUSD

    With --family term the argument is a file: settlements of futures, VIX futures, minute quotes of futures or of
    perpetuals with their spot, Treasury yields (CSV), or pack:futures_settlements_1d. Each contract is held against
    the carry of those before it.

    Example: oneprice audit pack:futures_settlements_1d --family term --root CL --page cl.html

    Example: oneprice audit dflong.parquet --family term --root NG --rates treasury.csv --storage 0.05 --day 2020-04-20

    Example: oneprice audit gold.parquet --family term --root GC --rate 0.001 --json

    Example: oneprice audit index.parquet --family term --root ES --boundary two_sided --rates treasury.csv
    --dividends paid.csv --margin 0.06 --margin-rate 0.02
    """
    if term.is_term(family):
        term.audit_term(
            data, root=root, expiry=expiry, rates=rates, rate=rate, storage=storage, lease=lease, spreads=spreads_bp,
            places=places, boundary=boundary, confirm=confirm, observed=observed, fee_bp=fee_bp, days=days, day=day,
            page=page,
            dividends=dividends, margin=margin, margin_rate=margin_rate, tax=tax, as_json=as_json,
        )  # fmt: skip
        return
    term.refuse_others(
        root=root, expiry=expiry, rates=rates, rate=rate, storage=storage, lease=lease, dividends=dividends,
        margin=margin, margin_rate=margin_rate, tax=tax, boundary=boundary, observed=observed, day=day, page=page,
    )  # fmt: skip
    if fills:
        _fills(inputs.tapes_of(data, legs, days), horizon, rivals, as_json)
        return
    if rivals or horizon != "left":
        raise ConfigError("--rivals and --horizon are of the proof of fill models: add --fills")
    from oneprice.study.audit import audit as study

    tapes = inputs.tapes_of(data, legs, days)
    with progress("audit", quiet=as_json) as tick:
        found = study(
            tapes,
            fees_bp=fee_bp,
            latency_ms=tuple(floats(latency_ms, what="--latency-ms")),
            max_age_ms=max_age_ms,
            progress=tick,
        )
    if as_json:
        print_json(found.to_dict())
    else:
        typer.echo(str(found))
