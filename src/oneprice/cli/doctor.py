"""`oneprice doctor`: what this machine has, and what would hold a run back."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import typer

from oneprice.cli.common import JSON, print_json, print_table, verb

LIBRARIES = ("numpy", "numba", "llvmlite", "scipy", "polars", "msgspec", "typer", "rich")
SLOW_FSYNC_MS = 20.0
LOW_DISK_BYTES = 2 << 30
DRIVERS = ("simulate", "live", "replay")


@verb
def doctor(as_json: JSON = False) -> None:
    """Versions, caches, data packs, compile state, disk, fsync speed and clock of this machine.

    Example: oneprice doctor
    """
    facts = {
        "versions": versions(),
        "cache": cache(),
        "packs": packs(),
        "compiled": compiled(),
        "disk": disk(Path.cwd()),
        "clock": clock(),
    }
    advice = advise(facts)
    if as_json:
        print_json(facts | {"advice": advice})
        return
    rows = [
        [part, name, _text(name, value)] for part, found in facts.items() for name, value in found.items()
    ]
    print_table("This machine", ["part", "what", "found"], rows)
    for line in advice or ["nothing to do"]:
        typer.echo(f"- {line}")


def versions() -> dict[str, str]:
    """Versions of Python, of this package and of what it stands on ("absent" where a library is missing)."""
    import platform

    from oneprice import __version__

    found = {"python": platform.python_version(), "oneprice": __version__, "machine": platform.machine()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found | {
        "cpus": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    }


def cache() -> dict[str, Any]:
    """Where compiled kernels and data packs lie, how large that is, and whether it can be written."""
    from oneprice.core.jit import cache_home

    home = cache_home().parent
    size = sum(f.stat().st_size for f in home.rglob("*") if f.is_file()) if home.is_dir() else 0
    writable = home
    while not writable.exists():
        writable = writable.parent
    return {"folder": str(home), "size_bytes": size, "writable": os.access(writable, os.W_OK)}


def packs() -> dict[str, str]:
    """Each data pack: whether its file is in the cache."""
    from oneprice.market.packs import PACKS, is_cached

    return {name: "present" if is_cached(name) else "absent" for name in PACKS}


def compiled() -> dict[str, Any]:
    """Whether the drivers of the engine have a cache for their present source and all that it imports."""
    from oneprice.core.jit import ROOT, cache_home, digest_of

    found = {}
    for name in DRIVERS:
        folder = cache_home() / digest_of(ROOT / "engine" / f"{name}.py")
        found[name] = "warm" if any(folder.rglob(f"{name}*.nbi")) else "cold"
    return found


def disk(folder: Path) -> dict[str, Any]:
    """Free space and the median time of a 64 KiB write with fsync in `folder` (NaN: not writable)."""
    import shutil

    free = shutil.disk_usage(folder).free
    if not os.access(folder, os.W_OK):
        return {"folder": str(folder), "free_bytes": free, "fsync_ms": float("nan")}
    block, times = bytes(1 << 16), []
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".fsync-") as file:
        for _ in range(15):
            start = time.perf_counter()
            file.write(block)
            file.flush()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - start) * 1e3)
    return {"folder": str(folder), "free_bytes": free, "fsync_ms": statistics.median(times)}


def clock() -> dict[str, Any]:
    """The wall clock: its resolution, steps back while watched, and what the kernel says of it."""
    last, steps, smallest = time.time_ns(), 0, 1 << 62
    until = time.monotonic() + 0.02
    while time.monotonic() < until:
        now = time.time_ns()
        steps += now < last
        if now > last:
            smallest = min(smallest, now - last)
        last = now
    return {"resolution_ns": smallest, "steps_back": steps} | _kernel_clock()


def _kernel_clock() -> dict[str, Any]:
    """What `adjtimex` says (Linux): a state of 5 means that the clock is not disciplined."""
    import ctypes

    call = getattr(ctypes.CDLL(None), "adjtimex", None)
    if call is None:
        return {"synchronised": "unknown"}
    words = (ctypes.c_long * 64)()  # struct timex with modes = 0 only reads
    state = int(call(words))
    if state < 0:
        return {"synchronised": "unknown"}
    return {"synchronised": "no" if state == 5 else "yes", "max_error_us": int(words[3])}


def advise(facts: dict[str, dict[str, Any]]) -> list[str]:
    """What to do about what was found, most important first."""
    out = []
    absent = [n for n, v in facts["versions"].items() if v == "absent"]
    if absent:
        out.append(f"missing libraries: {', '.join(absent)}; install the package again")
    if not facts["cache"]["writable"]:
        out.append("the cache folder cannot be written: set ONEPRICE_CACHE to one that can")
    if "cold" in facts["compiled"].values():
        out.append("the engine is not compiled yet: `oneprice warm` does it once")
    if "absent" in facts["packs"].values():
        out.append("data packs are missing: `oneprice demo` fetches them when there is a network")
    if facts["disk"]["free_bytes"] < LOW_DISK_BYTES:
        out.append("less than 2 GiB free: journals and tapes may not fit")
    if facts["disk"]["fsync_ms"] > SLOW_FSYNC_MS:
        out.append(
            "fsync is slow here: `strict` durability will hold each batch of commands back by that long"
        )
    if facts["clock"]["steps_back"] or facts["clock"].get("synchronised") == "no":
        out.append(
            "the clock is not disciplined: receive times of a recording will drift; run a time service"
        )
    return out


def _text(name: str, value: Any) -> Any:
    if name.endswith("_bytes"):
        return f"{value / 2**20:,.1f} MiB"
    return f"{value:.2f}" if isinstance(value, float) else value
