"""`oneprice fit`: a model from data: relations that survive the tries, or what a maker must know of a tape."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from oneprice.cli import fit_curve as curve
from oneprice.cli import fit_making as making
from oneprice.cli import inputs
from oneprice.cli.common import JSON, number, pairs, print_json, progress, verb
from oneprice.core.errors import ConfigError, unknown_name

SPACE = Annotated[str, typer.Option(help="log: ratios of value; level: ratios of units.")]
FAMILY = Annotated[str, typer.Option(help="panel (all pairs are one family), clusters, or a CSV of symbol,group.")]
LEVEL = Annotated[float, typer.Option("--false-discovery", help="Rate of false discoveries allowed.")]
LAGS = Annotated[str, typer.Option(help="A number fixed in advance, aic or bic.")]
MOST = Annotated[int, typer.Option("--most-pairs", help="Relations traded at once.")]
EACH = Annotated[float, typer.Option("--pair-capital", help="Most gross value of one relation.")]
SLIP = Annotated[float, typer.Option("--slippage-bp", help="Assumed on each fill, basis points.")]
ALIGN = Annotated[str, typer.Option(help="intersection, as_of or union of unequal calendars.")]
MOST_LEGS = Annotated[int, typer.Option("--most-legs", help="Of a relation, 2 to 4; 2: pairs alone.")]
HEDGE = Annotated[str, typer.Option(help="Of pairs: auto (by BIC on the window), static or dynamic.")]
SORT = Annotated[bool, typer.Option("--sort", help="Sort the rows by time.")]
TIME = Annotated[str | None, typer.Option("--time-column", help="Name of the column of times, if it is not plain.")]
FORMAT = Annotated[str | None, typer.Option(help="Of times that are text, e.g. %m/%d/%Y.")]
ABOUT = Annotated[
    list[str] | None, typer.Option("--about", help="What is known of the data, e.g. adjusted=splits; repeat.")
]
SYMBOLS = Annotated[str | None, typer.Option(help="Series to read, e.g. AAPL,MSFT; all by default.")]


@verb
def fit(
    strategy: Annotated[str, typer.Argument(help="stat_arb, market_making, `file.py:name`, or curve.")],
    prices: Annotated[Path | None, typer.Argument(help="CSV or Parquet of prices (strategies of slots).")] = None,
    *,
    train: Annotated[str, typer.Option(help="Length at the end of the prices to fit on, e.g. 3y. Empty: all.")] = "",
    space: SPACE = "log",
    family: FAMILY = "panel",
    false_discovery: LEVEL = 0.10,
    lags: LAGS = "1",
    most_pairs: MOST = 8,
    pair_capital: EACH = 100_000.0,
    fees: inputs.FEES = None,
    slippage_bp: SLIP = 1.0,
    most_legs: MOST_LEGS = 4,
    hedge: HEDGE = "auto",
    align: ALIGN = "intersection",
    sort: SORT = False,
    time_column: TIME = None,
    time_format: FORMAT = None,
    symbols: SYMBOLS = None,
    about: ABOUT = None,
    tape: making.TAPE = None,
    legs: inputs.LEGS = None,
    days: inputs.DAYS = None,
    near: making.NEAR = None,
    far: making.FAR = None,
    join_ms: making.JOIN = 1.0,
    first: making.FIRST = "",
    page: making.PAGE = None,
    method: curve.METHOD = "svensson",
    day: curve.DAY = None,
    convention: curve.CONVENTION = None,
    out: Annotated[Path | None, typer.Option(help="File for the model. None: it is only printed.")] = None,
    as_json: JSON = False,
) -> None:
    """Fit a model: of pairs that survive the number of tests made, or of a maker's arrivals and volatility.

    Example: oneprice fit stat_arb prices.parquet --train 3y --fees 0,5 --out model.json

    Example: oneprice fit market_making --tape tapes --leg perp:BTC-USDT --first 1h --out model.json

    Example: oneprice fit curve treasury.csv --day 2016-12-30 --method svensson --page curve.html

    Example: oneprice fit curve quotes.csv --method bootstrap --convention SOFR --day 2023-01-31 --json
    """
    if strategy == "curve":
        curve.fit_curve(prices, method=method, day=day, convention=convention, page=page, out=out, as_json=as_json)
        return
    from oneprice.study.model_file import fit_model

    if ":" not in strategy:
        from oneprice import strategies

        if strategy not in strategies.__all__:  # "cruve" is a curve misspelt, not a strategy
            raise unknown_name("model to fit", strategy, [*strategies.__all__, "curve"])
    chosen = inputs.strategy_of(strategy)
    if making.quotes_model(chosen):
        making.fit_making(
            strategy, tape, legs=legs, days=days, near=near, far=far, join_ms=join_ms, first=first,
            page=page, out=out, as_json=as_json,
        )  # fmt: skip
        return
    model_of(chosen)
    if prices is None:
        raise ConfigError(f"fit {strategy}: expected a table of prices (CSV or Parquet), got none")
    select = selection(
        space, family, false_discovery, number(lags), most_pairs, pair_capital, most_legs=most_legs, hedge=hedge
    )
    panel = panel_of(prices, align, sort=sort, time=time_column, time_format=time_format, symbols=symbols, about=about)
    with progress("fit", quiet=as_json) as tick:
        tick(0, 0)
        model = fit_model(chosen, panel, train=train, select=select, cost_bp=fill_cost(fees, slippage_bp))
    if out is not None:
        model.write(out)
    if as_json:
        print_json(model.to_dict())
        return
    typer.echo(str(model))
    if out is not None:
        typer.echo(f"wrote {out}; `oneprice replay later.parquet --strategy {strategy} --model {out}` trades it")


def panel_of(
    path: Path, align: str, *, symbols: str | None = None, about: list[str] | None = None, **words: Any
) -> Any:
    """The panel of a table of prices, `about` what is known of it; `words` as for `load`."""
    from oneprice.market.prices import load

    named = [s.strip() for s in symbols.split(",")] if symbols else None
    header = {k: str(v) for k, v in pairs(about, what="--about").items()}
    return load(path, align=align, symbols=named, header=header or None, **words)


def selection(space: str, family: str, level: float, lags: Any, most_pairs: int, capital: float, **words: Any) -> Any:
    """A PairSelection of the command line's words."""
    from oneprice.cli.screen import _family
    from oneprice.study.walk_fit import PairSelection

    groups = None if family == "panel" else _family(family)
    if groups == "grid":
        raise ConfigError("--family: expected panel, clusters or a CSV: a grid is only a ranking (oneprice screen)")
    return PairSelection(
        space=space, family=groups, level=level, lags=lags, most_pairs=most_pairs, capital=capital, **words
    )


def fill_cost(fees: str | None, slippage_bp: float) -> float:
    """Taker fee and slippage of one fill in basis points; fees must be stated."""
    found = inputs.fees_of(fees)
    if found is None:
        raise ConfigError("--fees: expected MAKER_BP,TAKER_BP, got none: prices state no fees; write --fees 0,5")
    return float(found.taker_bp) + slippage_bp


def model_of(strategy: Any) -> None:
    """Refuse a strategy that takes no slots."""
    fields = strategy.memory.fields or {}
    if "model" not in fields or "slots" not in (fields["model"][0].names or ()):
        raise ConfigError(f"strategy {strategy.name}: expected one with a model of slots, such as stat_arb")
