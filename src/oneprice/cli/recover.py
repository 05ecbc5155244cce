"""`oneprice recover`: a paper session that died goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from oneprice.cli import inputs
from oneprice.cli.common import EXIT_FAIL, JSON, print_json, progress, verb


@verb
def recover(
    folder: Annotated[Path, typer.Argument(help="Folder of the session that died.")],
    *,
    data: Annotated[
        str | None, typer.Option(help="Its tapes, where they are not where the journal says (as for paper).")
    ] = None,
    days: inputs.DAYS = None,
    strategy: Annotated[
        list[str] | None, typer.Option(help="Its strategy as `file.py:name`, if not one of ours; repeat.")
    ] = None,
    settle_ms: Annotated[
        float, typer.Option(help="Wait before the venues are asked: longer than a message can travel.")
    ] = 1000.0,
    as_json: JSON = False,
) -> None:
    """Settle what was in flight when a paper session died, run it to the end of its tapes, and reconcile.

    No order is lost and none is sent twice. The simulated venue comes back from the journalled commands. Exit
    status 1 if ledger and venue differ in the end.

    Example: oneprice recover runs/paper

    Example: oneprice recover runs/paper --data synthetic:7 --json
    """
    from oneprice.modes import recover as mode

    with progress("recover", quiet=as_json) as tick:
        tick(0, 0)
        text = mode.manifest_of(folder)
        found = mode.recover(
            folder,
            tapes=_tapes(text, data, days),
            strategies=_strategies(text, strategy),
            settle_ns=round(settle_ms * 1e6),
        )
    if as_json:
        print_json(found.to_dict())
    else:
        typer.echo(f"{found}\n\n{found.run.summary()}")
    if found.check is None or not found.check.equal:
        raise typer.Exit(EXIT_FAIL)


def _tapes(text: Any, data: str | None, days: str | None) -> Any:
    """The tapes of the recorded legs, in their order; None leaves it to the journal."""
    if data is None:
        return None
    symbols = [leg["symbol"] for leg in text.legs]
    named = {tape.instrument.symbol: tape for tape in inputs.tapes_of(data, None, days)}
    missing = [symbol for symbol in symbols if symbol not in named]
    if missing:
        from oneprice.core.errors import ConfigError

        raise ConfigError(
            f"--data {data}: expected tapes of {', '.join(symbols)}, none of {', '.join(missing)}"
        )
    return [named[symbol] for symbol in symbols]


def _strategies(text: Any, given: list[str] | None) -> Any:
    """Strategies of the user's own files, with parameters and legs as recorded; None: the shipped ones."""
    if not given:
        return None
    from oneprice.modes.rerun import as_recorded

    return as_recorded(text, [inputs.strategy_of(name) for name in given])
