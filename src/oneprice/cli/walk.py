"""`oneprice walk`: select, fit and trade a table of prices window by window, and report what is left."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from oneprice.cli import fit as words
from oneprice.cli import inputs
from oneprice.cli.common import JSON, number, print_json, progress, verb
from oneprice.core.errors import ConfigError


@verb
def walk(
    prices: Annotated[Path, typer.Argument(help="CSV or Parquet of prices, wide or long.")],
    *,
    strategy: inputs.STRATEGY = "stat_arb",
    settings: inputs.SET = None,
    train: Annotated[str, typer.Option(help="Length of the training window, e.g. 3y, 200d.")] = "3y",
    step: Annotated[str, typer.Option(help="Time between selections.")] = "6m",
    space: words.SPACE = "log",
    family: words.FAMILY = "panel",
    false_discovery: words.LEVEL = 0.10,
    lags: words.LAGS = "1",
    most_pairs: words.MOST = 8,
    pair_capital: words.EACH = 100_000.0,
    capital: Annotated[float, typer.Option(help="Of the account.")] = 1_000_000.0,
    fees: inputs.FEES = None,
    slippage_bp: words.SLIP = 1.0,
    borrow_bp: Annotated[float, typer.Option("--borrow-bp", help="What a short pays a year, basis points.")] = 0.0,
    ban: Annotated[
        list[str] | None, typer.Option("--ban", help="FIRST..LAST:SYMBOL,SYMBOL: no short sales; repeat.")
    ] = None,
    most_legs: words.MOST_LEGS = 4,
    hedge: words.HEDGE = "auto",
    tries: Annotated[int, typer.Option(help="Walk-forwards looked at on these prices, this one included.")] = 1,
    align: words.ALIGN = "union",
    sort: words.SORT = False,
    time_column: words.TIME = None,
    time_format: words.FORMAT = None,
    symbols: words.SYMBOLS = None,
    about: words.ABOUT = None,
    limits: inputs.LIMITS = None,
    seed: inputs.SEED = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for journal, walk.json and walk.html.")] = None,
    as_json: JSON = False,
) -> None:
    """Walk forward: each selection sees its window only, drift monitors ask for refits, all in one replay.

    Example: oneprice walk prices.parquet --train 3y --step 6m --fees 0,5 --out runs/walk
    """
    from oneprice.study.walk_forward import walk_forward

    chosen = inputs.strategy_of(strategy, settings)
    words.model_of(chosen)
    words.fill_cost(fees, slippage_bp)
    panel = words.panel_of(
        prices, align, sort=sort, time=time_column, time_format=time_format, symbols=symbols, about=about
    )
    select = words.selection(
        space, family, false_discovery, number(lags), most_pairs, pair_capital, most_legs=most_legs, hedge=hedge
    )
    with progress("walk", quiet=as_json) as tick:
        found = walk_forward(
            chosen,
            panel,
            train=train,
            step=step,
            select=select,
            fees=inputs.fees_of(fees),
            limits=inputs.limits_of(limits) if limits else None,
            bans=bans_of(ban),
            progress=lambda share: tick(share, 1.0),
            capital=capital, slippage_bp=slippage_bp, borrow_bp_year=borrow_bp, tries=tries, seed=seed, out=out,
        )  # fmt: skip
    written = []
    if out is not None:
        from oneprice.dashboard.walk_page import write_walk_page

        written = [found.write(out / "walk.json"), write_walk_page(found, out / "walk.html")]
    if as_json:
        print_json(found.to_dict())
        return
    typer.echo(str(found))
    for path in written:
        typer.echo(f"wrote {path}")


def bans_of(texts: list[str] | None) -> list[Any]:
    """`2008-09-19..2008-10-08:BAC,JPM` as a Ban."""
    from oneprice.market.bars import Ban

    out = []
    for text in texts or []:
        days, colon, names = text.partition(":")
        first, dots, last = days.partition("..")
        if not colon or not dots or not names:
            raise ConfigError(f"--ban: expected FIRST..LAST:SYMBOL,SYMBOL, got {text!r}")
        out.append(Ban(first=first, last=last, symbols=tuple(s.strip() for s in names.split(","))))
    return out
