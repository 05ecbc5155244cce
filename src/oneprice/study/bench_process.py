"""What only a process of its own can tell: peak memory, the first compile ever, the start with a warm cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from oneprice.core.errors import OnePriceError
from oneprice.study.bench_time import MOST, Figure, timed

MB = 1e6
MOST_MEMORY_MB, MOST_COMPILE_S, MOST_START_S = 400.0, 20.0, 2.0
CODE = "import sys; from oneprice.study.bench_process import child; child(*sys.argv[1:])"


def processes(n_rows: int) -> list[Figure]:
    """Memory on a mapped tape of `n_rows`, then a cold and a warm start in an empty cache folder."""
    from oneprice.market.synthetic import market_making_world, two_venues
    from oneprice.market.tape import write_tape

    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        long = write_tape(root / "long", market_making_world(n_rows, 4).tapes[0])
        short = [write_tape(root / "short", t) for t in two_venues(1, 0.1).tapes]
        return [*memory(long), *starts(short, root / "cache")]


def memory(tape: Path) -> list[Figure]:
    """Peak resident memory of a whole replay less the size of its tape; the interpreter and all libraries count."""
    told, _ = run_child("memory", [tape], {})
    size = sum(f.stat().st_size for f in tape.parent.iterdir() if f.is_file())
    beyond = (told["peak_bytes"] - size) / MB
    note = f"of which {told['import_bytes'] / MB:.0f} MB before the tape is opened; tape {size / MB:.0f} MB"
    detail = {**told, "tape_bytes": size}
    return [Figure("peak memory beyond the mapped tape", beyond, "MB", MOST_MEMORY_MB, MOST, note, detail)]


def starts(tapes: list[Path], cache: Path) -> list[Figure]:
    """Seconds from the start of a process: empty cache to the end of a first replay, then warm to a first event."""
    cold, cold_s = run_child("start", tapes, {"ONEPRICE_CACHE": str(cache)})
    warm, warm_s = run_child("start", tapes, {"ONEPRICE_CACHE": str(cache)})
    told = {"cold": cold, "cold_s": cold_s, "warm": warm, "warm_s": warm_s}
    # The child says how long its replay took; what came before its first event is the rest of the process.
    return [
        Figure("first compile ever, to the end of a first replay", cold_s, "s", MOST_COMPILE_S, MOST, detail=told),
        Figure("warm start to the first event", warm_s - warm["after_first_s"], "s", MOST_START_S, MOST, detail=told),
    ]


def run_child(what: str, tapes: list[Path], more: dict[str, str]) -> tuple[dict[str, Any], float]:
    """What the child printed, and how long it lived (s)."""
    command = [sys.executable, "-c", CODE, what, *map(str, tapes)]
    seconds, done = timed(
        lambda: subprocess.run(command, env={**os.environ, **more}, capture_output=True, text=True, check=False)
    )
    if done.returncode != 0:
        raise OnePriceError(f"bench {what}: the child process failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1]), seconds


def child(what: str, *paths: str) -> None:
    """Runs in the child: replay the tapes and print one JSON line."""
    from oneprice.market.tape import read_tape

    said = {"memory": _memory, "start": _start}[what]([read_tape(p) for p in paths] if what == "start" else list(paths))
    print(json.dumps(said), flush=True)


def _memory(paths: list[Any]) -> dict[str, Any]:
    from oneprice.execution.latency import constant
    from oneprice.market.tape import read_tape
    from oneprice.modes.replay import replay
    from oneprice.study.bench_rival import WIDE, quote_every

    before = peak_bytes()
    run = replay(quote_every, [read_tape(p) for p in paths], latency=constant(2_000, 2_000), limits=WIDE)
    return {"import_bytes": before, "peak_bytes": peak_bytes(), "rows_out": len(run.rows), "market_rows": run.n_market}


def _start(tapes: list[Any]) -> dict[str, Any]:
    """The first event alone, then the whole replay; how long the latter took is taken off by the parent."""
    import numpy as np

    from oneprice.core.records import EVENT
    from oneprice.engine.loop import Loop
    from oneprice.execution.latency import constant
    from oneprice.modes.replay import engine_for, replay, tagged, tape_table, venues_for
    from oneprice.risk.limits import Limits
    from oneprice.strategies.cross_market import cross_market

    latency = constant(2_000, 2_000)
    chosen = tagged(tapes)
    engine = engine_for(chosen, [cross_market], limits=Limits())
    half = venues_for(engine, chosen, latency, None)
    Loop(engine, tape_table(chosen), np.zeros(0, EVENT), exchange=half, keep=chosen).step(1)
    after, run = timed(lambda: replay(cross_market, tapes, latency=latency, limits=Limits()))
    return {"after_first_s": after, "events": int(run.engine.state["n_events"])}


def peak_bytes() -> int:
    """Most resident memory this process ever had.

    On Linux `ru_maxrss` begins at what the parent held when it forked; the kernel's own mark begins anew with the
    program.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        (line,) = (one for one in status.read_text().splitlines() if one.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # bytes where there is no /proc (macOS)
