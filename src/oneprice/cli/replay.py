"""`oneprice replay`: a strategy over tapes through the whole engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from oneprice.cli import inputs
from oneprice.cli.common import JSON, print_json, progress, verb
from oneprice.core.errors import ConfigError


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
    queue: inputs.QUEUE = None,
    limits: inputs.LIMITS = None,
    seed: inputs.SEED = 0,
    out: inputs.OUT = None,
    model: inputs.MODEL = None,
    as_json: JSON = False,
) -> None:
    """Replay a strategy and print where its P&L came from.

    Example: oneprice replay prices.parquet --strategy stat_arb --model model.json --fees 0,5

    Example: oneprice replay synthetic:7 --set edge_bp=2 --out runs/first

    Example: oneprice replay tapes --strategy market_making --model quotes.json --out runs/quotes

    Example: oneprice replay tapes --strategy market_making --model quotes.json --queue fifo

    Example: oneprice replay dflong.parquet --strategy term_structure --set root=CL --set expiries=expiry_table.parquet
    --set rates=treasury.csv --set storage=0.5 --days 2008-10-01..2009-12-31

    Example: oneprice replay tapes --leg spot:BTC-USDT --leg perp:BTC-USDT --fees 1,5 --latency-ms 10
    """
    from oneprice.modes import replay as mode

    if strategy == "term_structure":
        _of_strips(data, settings, (legs, days), (fees, limits, latency_ms), seed, out, model, as_json)
        return
    chosen = inputs.strategy_of(strategy, settings)
    if model is not None and not inputs.is_quoting(chosen):
        if queue is not None:
            raise ConfigError("--queue: expected none with a model on closes, which have no queue")
        if "model" not in (chosen.memory.fields or {}):
            fix = "name the strategy it was fitted for with --strategy"
            raise ConfigError(f"--model: {chosen.name} takes no model: {fix}")
        _of_model(chosen, data, model, fees, limits, seed, out, as_json)
        return
    tapes = inputs.tapes_of(data, legs, days)
    chosen, fits = inputs.quoting_of(chosen, tapes, model)
    how = {
        "fees": inputs.fees_of(fees),
        "latency": inputs.latency_of(latency_ms),
        "limits": inputs.limits_of(limits),
        "fills": inputs.fills_of(queue),
        "seed": seed,
        "fits": fits,
    }
    with progress("replay", quiet=as_json) as tick:
        run = mode.replay(chosen, tapes, out=out, progress=lambda share: tick(share, 1.0), **how)
        made = _made(chosen, tapes, run, how)
    _tell(run, out, as_json, made)


def _made(strategy: Any, tapes: list[Any], run: Any, how: dict[str, Any]) -> Any:
    """What a quoting strategy earned beside its symmetric twin, or the race of one that takes; None for another."""
    if strategy.name == "latency_arb" and len(tapes) > 1:
        return _race(strategy, tapes, run.folder, how)
    if not inputs.is_quoting(strategy):
        return None
    from oneprice.study.making import making

    return making(strategy, tapes, run=run, **how)


def _race(strategy: Any, tapes: list[Any], folder: Path | None, how: dict[str, Any]) -> Any:
    """Who wins at each latency, triggered by the gap alone; a page and a file where there is a folder."""
    from oneprice.study.race import races

    by_symbol = {t.instrument.symbol: t for t in tapes}
    pair = [by_symbol[name] for name in strategy.legs] if len(strategy.legs) > 1 else tapes[:2]
    found = races(pair[0], pair[1], strategy=strategy(fee_share=0.0), fees=how["fees"], limits=how["limits"])
    if folder is not None:
        from oneprice.dashboard.race_page import write_race_page

        found.write(folder / "race.json")
        write_race_page(found, folder / "race.html")
    return found


def _of_model(
    strategy: Any, data: str, model: Path, fees: str | None, limits: Any, seed: int, out: Path | None, as_json: bool
) -> None:
    """Replay a table of prices with a fitted model in force."""
    from oneprice.market.prices import load
    from oneprice.study.model_file import read_model, replay_model

    found, prices = read_model(model), load(data, align="union")
    with progress("replay", quiet=as_json) as tick:
        run = replay_model(
            strategy,
            prices,
            found,
            fees=inputs.fees_of(fees),
            limits=inputs.limits_of(limits) if limits else None,
            seed=seed,
            out=out,
            progress=lambda share: tick(share, 1.0),
        )
    _tell(run, out, as_json)


def _of_strips(
    data: str, settings: Any, which: Any, market: Any, seed: int, out: Path | None, model: Path | None, as_json: bool
) -> None:  # fmt: skip
    """Replay relations of futures: strips from a file of settlements, or those of `--model` on tapes."""
    from oneprice.cli.common import pairs
    from oneprice.core.errors import ConfigError
    from oneprice.study import term_cli

    fees, limits, latency_ms = market
    _there(data, model)
    how = {"fees": inputs.fees_of(fees), "seed": seed, "out": out}
    if Path(data).is_dir() or data.startswith("synthetic"):
        if model is None:
            raise ConfigError("replay: term_structure on tapes takes --model relations.json: which legs, which bands")
        from oneprice.modes import replay as mode

        tapes = term_cli.tapes_with_cash(model, inputs.tapes_of(data, *which))
        how |= {"latency": inputs.latency_of(latency_ms), "limits": inputs.limits_of(limits)}
        chosen = inputs.strategy_of("term_structure", settings)
        with progress("replay", quiet=as_json) as tick:
            run = mode.replay(
                chosen, tapes, fits=[term_cli.relations_fit(model, tapes)], progress=lambda x: tick(x, 1.0), **how
            )
        _tell(run, out, as_json, strips=term_cli.parts_on_tapes(model, run, tapes, out))
        return
    period = inputs.span_of(which[1])
    bounds = inputs.limits_of(limits) if limits else None
    with progress("replay", quiet=as_json) as tick:
        done = term_cli.replay_settings(
            data, pairs(settings, what="--set"), period=period, limits=bounds, progress=lambda x: tick(x, 1.0), **how
        )
    _tell(done, out, as_json)


def _there(data: str, model: Path | None) -> None:
    """Raises ConfigError for data that are not there, and for a model beside a file, which takes none."""
    kind = "folder of tapes" if model is not None else "file of settlements, nor folder of tapes"
    if not data.startswith("synthetic") and not Path(data).exists():
        raise ConfigError(f"replay: {data}: no such {kind}")
    if model is not None and Path(data).is_file():
        raise ConfigError(
            f"--model: expected a folder of tapes with it, got the file {data}; settlements make their relations by"
            " --set, for example --set root=CL"
        )


def _tell(run: Any, out: Path | None, as_json: bool, made: Any = None, strips: dict[str, Any] | None = None) -> None:
    """Print a run, what its quotes earned, and where its journal is."""
    if as_json:
        told = {k: v for k, v in made.to_dict().items() if k != "series"} if made else None
        name = "race" if told and "leader" in told else "making"
        print_json(run.to_dict() | ({name: told} if told else {}) | ({"strips": strips} if strips else {}))
        return
    typer.echo(run.summary() if hasattr(run, "summary") else str(run))
    if made is not None:
        typer.echo(f"\n{made}")
    if strips:
        from oneprice.study.term_file import strips_text

        typer.echo(f"\n{strips_text(strips)}")
    if out is None:
        return
    for folder in getattr(run, "folders", (out,)):
        typer.echo(f"\njournal in {folder}; `oneprice report {folder}` draws it, `oneprice explain {folder}` tells it")
