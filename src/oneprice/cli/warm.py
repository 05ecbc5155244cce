"""`oneprice warm`: compile once, so that the first run starts at once."""

from __future__ import annotations

import tempfile
import time
from typing import Any

import typer

from oneprice.cli.common import JSON, print_json, progress, verb

SEED, MINUTES = 1, 0.5


@verb
def warm(as_json: JSON = False) -> None:
    """Fill the cache of compiled kernels: a short simulated world goes through audit, replay and paper.

    Example: oneprice warm
    """
    from oneprice.core.jit import cache_home

    took = {}
    with progress("compiling (once per version)", quiet=as_json) as tick:
        for i, (name, step) in enumerate(steps()):
            tick(i, 4)
            start = time.perf_counter()
            step()
            took[name] = time.perf_counter() - start
    if as_json:
        print_json({"seconds": took, "cache": str(cache_home())})
    else:
        told = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in took.items())
        typer.echo(f"compiled kernels are ready in {cache_home()} ({told})")


def steps() -> list[tuple[str, Any]]:
    """What is run so that it is compiled: the audit, the simulation, the live step."""
    from oneprice.engine.warm import warm as engine_warm
    from oneprice.execution.latency import constant
    from oneprice.market.synthetic import two_venues
    from oneprice.modes.paper import paper
    from oneprice.modes.replay import replay
    from oneprice.modes.rerun import rerun
    from oneprice.risk.limits import Limits
    from oneprice.strategies import cross_market
    from oneprice.study.audit import audit

    tapes = list(two_venues(SEED, MINUTES).tapes)
    how: dict[str, Any] = {"latency": constant(500, 500), "limits": Limits()}

    def replayed() -> None:
        replay(cross_market, tapes, **how)

    def again() -> None:
        with tempfile.TemporaryDirectory() as scratch:
            replay(cross_market, tapes, out=scratch, **how)
            rerun(scratch, tapes=tapes)

    return [
        ("engine, in two processes", lambda: engine_warm(replayed)),
        ("audit", lambda: audit(tapes)),
        ("its journal again", again),
        ("live step", lambda: paper(cross_market, tapes, speed=0.0, **how)),
    ]
