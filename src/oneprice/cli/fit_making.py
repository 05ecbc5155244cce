"""`oneprice fit market_making --tape ...`: the calibration of a quoting strategy, or why the tape cannot carry one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from oneprice.cli import inputs
from oneprice.cli.common import EXIT_FAIL, print_json, progress
from oneprice.core.errors import ConfigError

TAPE = Annotated[str | None, typer.Option("--tape", help="Market making: folder of tapes, or synthetic:SEED.")]
NEAR = Annotated[float | None, typer.Option(help="Market making: nearest distance fitted, quote currency.")]
FAR = Annotated[float | None, typer.Option(help="Market making: farthest distance fitted, quote currency.")]
JOIN = Annotated[float, typer.Option("--join-ms", help="Market making: prints this close are one arrival.")]
FIRST = Annotated[str, typer.Option(help="Market making: only the first so much of the tape, e.g. 200s. Empty: all.")]
PAGE = Annotated[Path | None, typer.Option(help="Market making: file for a page with the plots.")]


def quotes_model(strategy: Any) -> bool:
    """Whether a strategy's model is that of a calibrated maker."""
    from oneprice.signals.quoting.model import QUOTING

    fields = strategy.memory.fields or {}
    return "model" in fields and fields["model"][0] == QUOTING


def explained(tape: Any) -> Any:
    """What flow and the book explain and predict on the rows that are fitted (a Micro), or why it is not told."""
    from oneprice.core.errors import DataError
    from oneprice.study.micro import micro

    try:
        return micro(tape)
    except DataError as error:
        return str(error)


def leads_of(tapes: list[Any]) -> list[Any]:
    """Lead-lag of the first leg with each other of its underlying (a LeadLag), or why it is not told."""
    from oneprice.core.errors import DataError
    from oneprice.study.lead_lag import lead_lag

    found: list[Any] = []
    for other in tapes[1:]:
        if other.instrument.underlying != tapes[0].instrument.underlying:
            continue
        try:
            found.append(lead_lag(tapes[0], other))
        except DataError as error:
            found.append(str(error))
    return found


def _words(found: Any) -> str:
    return f"microstructure: not told: {found}" if isinstance(found, str) else str(found)


def _plain(found: Any) -> dict[str, Any]:
    return {"missing": found} if isinstance(found, str) else dict(found.to_dict())


def _first(text: str) -> int:
    """`--first` in nanoseconds, 0 for all."""
    from oneprice.study.walk_estimator import span

    try:
        months, first_ns = span(text) if text else (0, 0)
    except ConfigError:
        months, first_ns = 1, 0
    if months:
        raise ConfigError(f"--first: expected a whole number and s, h, d or w, such as 200s or 1h, got {text!r}")
    return first_ns


def _page(found: Any, tape: Any, page: Path, micro: Any, leads: list[Any]) -> None:
    """Write the page of one leg."""
    from oneprice.core.errors import DataError
    from oneprice.dashboard.making_page import write_making_page
    from oneprice.signals.micro.bars import flow_bars

    try:
        bars = flow_bars(tape, bar_s=found.flow.bar_s)
    except DataError:
        bars = None  # the fit of the flow has said why
    write_making_page(found, tape.header, page, micro=micro, bars=bars, leads=leads)


def fit_making(
    strategy: str,
    tape: str | None,
    *,
    legs: list[str] | None,
    days: str | None,
    near: float | None,
    far: float | None,
    join_ms: float,
    first: str,
    page: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Calibrate on each leg; exit status 1 where one is refused, and no model is written."""
    from oneprice.signals.intensity.reach import check_range
    from oneprice.study.fit_making import calibrate, first_part, write_model
    from oneprice.study.making_text import text

    if tape is None:
        raise ConfigError(f"fit {strategy}: expected --tape FOLDER with a tape of quotes and trades, got none")
    first_ns = _first(first)
    if not 0.0 <= join_ms < 1e9:
        raise ConfigError(f"--join-ms: expected milliseconds of 0 or more, got {join_ms:g}")
    check_range(near, far)
    tapes = inputs.tapes_of(tape, legs, days)
    if len(tapes) != 1 and (out or (page and not legs)):
        names = ", ".join(t.leg for t in tapes)
        more = "; a page of several is that of the first --leg, with its lead" if page and not out else ""
        raise ConfigError(f"fit {strategy}: --out and --page are of one leg: choose with --leg among {names}{more}")
    found, beside = [], []
    with progress("fit", quiet=as_json) as tick:
        for i, one in enumerate(tapes):
            tick(i, len(tapes))
            join_ns = round(join_ms * 1e6)
            found.append(calibrate(one, near=near, far=far, join_ns=join_ns, first_ns=first_ns))
            beside.append(explained(first_part(one, first_ns)))
    heads = [first_part(one, first_ns) for one in tapes]
    leads = leads_of(heads)
    if page is not None:
        _page(found[0], heads[0], page, beside[0], leads)
    refused = [f for f in found if f.refused]
    if out is not None and not refused:
        write_model(found[0], out)
    if as_json:
        told = [f.to_dict() | {"microstructure": _plain(m)} for f, m in zip(found, beside, strict=True)]
        several = {"legs": told, "lead_lag": [one if isinstance(one, str) else one.to_dict() for one in leads]}
        print_json(told[0] if len(told) == 1 else several)
    else:
        typer.echo("\n\n".join(f"{_words(m)}\n\n{text(f)}" for f, m in zip(found, beside, strict=True)))
        if leads:
            typer.echo("\n" + "\n".join(str(one) for one in leads))
        if out is not None and not refused:
            typer.echo(f"wrote {out}; `oneprice replay TAPES --strategy {strategy} --model {out}` quotes with it")
    if refused:
        raise typer.Exit(EXIT_FAIL)
