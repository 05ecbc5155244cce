"""`oneprice fit curve FILE`: a curve of a day from yields or quotes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oneprice.cli.common import page_told, print_json
from oneprice.core.errors import ConfigError

METHOD = Annotated[str, typer.Option(help="Curve: svensson, nelson_siegel, diebold_li or bootstrap.")]
DAY = Annotated[str | None, typer.Option("--day", help="Curve: day of the yields or quotes. None: the last of a file.")]
CONVENTION = Annotated[
    str | None, typer.Option(help="Curve: of quotes to bootstrap: EONIA, ESTR, SOFR, SONIA, USD-3M.")
]


def fit_curve(
    path: Path | None, *, method: str, day: str | None, convention: str | None, page: Path | None, out: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Fit, write and print."""
    from oneprice.study import fit_curve as study

    if path is None:
        raise ConfigError("fit curve: expected a file (CSV of yields by day, or of tenor,rate,kind), got none")
    told = [page_told(p, what=name) for p, name in ((out, "--out"), (page, "--page")) if p is not None]
    model = study.fit_curve(study.read_given(path, day=day, convention=convention), method)
    if page is not None:
        from oneprice.dashboard.curve_page import write_curve_page

        write_curve_page(model, page)
    if out is not None:
        model.write(out)
    if as_json:
        print_json(model.to_dict())
        return
    typer.echo(str(model))
    for line in told:
        typer.echo(line)
