"""`oneprice warm`: compile once, so that the first run starts at once."""

from __future__ import annotations

import time

import typer

from oneprice.cli.common import JSON, print_json, progress, verb


@verb
def warm(as_json: JSON = False) -> None:
    """Fill the cache of compiled kernels.

    Example: oneprice warm
    """
    from oneprice.core.jit import cache_home

    start = time.perf_counter()
    with progress("compiling (once per version)", quiet=as_json) as tick:
        tick(0, 0)
        from oneprice import engine

        engine.warm()
    took = time.perf_counter() - start
    if as_json:
        print_json({"seconds": took, "cache": str(cache_home())})
    else:
        typer.echo(f"compiled kernels are ready in {cache_home()} ({took:.1f} s)")
