"""`oneprice`: the app that holds the verbs. Verb modules are light: each imports what it needs as it runs."""

from __future__ import annotations

import typer

from oneprice.cli import (
    audit,
    bench,
    demo,
    diagram,
    doctor,
    explain,
    fit,
    import_,
    paper,
    recover,
    replay,
    report,
    screen,
    sweep,
    verify,
    walk,
    warm,
)

app = typer.Typer(
    name="oneprice",
    help="Finds where one asset has two prices, trades them as one package, and proves every cent.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

VERBS = {
    "demo": demo.demo,
    "import": import_.import_,
    "screen": screen.screen,
    "replay": replay.replay,
    "paper": paper.paper,
    "recover": recover.recover,
    "audit": audit.audit,
    "sweep": sweep.sweep,
    "fit": fit.fit,
    "walk": walk.walk,
    "explain": explain.explain,
    "report": report.report,
    "verify": verify.verify,
    "bench": bench.bench,
    "doctor": doctor.doctor,
    "warm": warm.warm,
    "diagram": diagram.diagram,
}
for _name, _function in VERBS.items():
    app.command(_name)(_function)


if __name__ == "__main__":
    app()
