"""`oneprice diagram`: the architecture, drawn from the wiring in the code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oneprice.cli.common import JSON, print_json, verb


@verb
def diagram(
    out: Annotated[Path | None, typer.Option(help="Write the SVG here.")] = None,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print the data flow as Mermaid text.")] = False,
    as_json: JSON = False,
) -> None:
    """Draw data flow, execution path and import rule as the code has them.

    Example: oneprice diagram --out docs/architecture.svg

    Example: oneprice diagram --mermaid
    """
    from oneprice.dashboard import diagram as draw
    from oneprice.dashboard.wiring import read_architecture

    found = read_architecture()
    text = draw.mermaid(found)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(draw.architecture_svg(found))
    if as_json:
        handlers = {h.name: [s.call for s in h.steps] for h in found.handlers}
        imports = {room: sorted(others) for room, others in found.imports.items()}
        print_json(
            {"flow": found.flow, "handlers": handlers, "imports": imports, "mermaid": text, "svg": out}
        )
    elif mermaid or out is None:
        typer.echo(text, nl=False)
    else:
        typer.echo(f"wrote {out}")
