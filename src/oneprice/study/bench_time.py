"""The stopwatch of the benchmarks: interleaved repeats, medians, and a figure beside its bound."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import msgspec

LEAST, MOST, NONE = "at least", "at most", ""


class Figure(msgspec.Struct, frozen=True):
    """One line of the table. `side` says on which side of the bound the figure must lie; NONE: it is only shown.

    `detail` holds what the figure was made of. A figure of None was not measured: `note` says why.
    """

    name: str
    figure: float | None
    unit: str
    bound: float | None = None
    side: str = NONE
    note: str = ""
    detail: dict[str, Any] = {}

    @property
    def verdict(self) -> str:
        """holds | broken | shown | not measured."""
        if self.figure is None:
            return "not measured"
        if self.bound is None:
            return "shown"
        good = self.figure >= self.bound if self.side == LEAST else self.figure <= self.bound
        return "holds" if good else "broken"

    def to_dict(self) -> dict[str, Any]:
        return {**msgspec.structs.asdict(self), "verdict": self.verdict}


def absent(name: str, unit: str, bound: float | None, error: Exception) -> Figure:
    """The line of a comparison whose other side is not there: no figure, no verdict, how to get it."""
    why = f"install oneprice[bench] (cannot be imported: {str(error).strip().splitlines()[0]})"
    return Figure(name, None, unit, bound, NONE if bound is None else LEAST, why)


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """(seconds, result)."""
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result


def cpu_timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """(processor seconds of all threads, result): what a shared machine leaves comparable."""
    started = time.process_time()
    result = call()
    return time.process_time() - started, result


def thread_timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """(processor seconds of this thread alone, result): for code that starts no other."""
    started = time.thread_time()
    result = call()
    return time.thread_time() - started, result


def interleaved(
    runs: Mapping[str, Callable[[], tuple[float, Any]]], repeats: int
) -> tuple[dict[str, float], dict[str, Any]]:
    """Median seconds and last result of each run; one of each in turn, so that all meet the same machine.

    A run returns (seconds, result): what it prepares need not be counted. One round first, thrown away, compiles.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    last: dict[str, Any] = {}
    for _ in range(repeats):
        for name, run in runs.items():
            spent, last[name] = run()
            seconds[name].append(spent)
    return {name: median(values) for name, values in seconds.items()}, last
