"""The screen's engine room: which blocks of pairs there are, what one block of tests is reduced to, who runs it.

A task is two runs of rows (the same run twice: its upper triangle). Its tests are counted in a histogram over the
draws of the null, which holds every p-value exactly, and only its best pairs are kept: memory does not grow with the
number of pairs, and the sum over tasks does not depend on who ran them or when.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import Any

import msgspec
import numpy as np

from oneprice.core.jit import njit
from oneprice.signals.cointegration.gram import Moments, pairs_chosen, pairs_fixed, prepare
from oneprice.signals.unit_root.inputs import FIXED
from oneprice.signals.unit_root.null import Null, count_at_most

FIXED_BLOCK, CHOSEN_BLOCK = 500, 200  # series a block: the cross moments of two stay in the cache's reach
BATCH_PAIRS = 100_000  # small families are sent together: a task should last longer than its journey
IN_FLIGHT = 16
MOST_REFUSED = 1_000  # collinear pairs listed by name; all are counted

Task = tuple[int, int, int, int]  # rows a_first..a_stop-1 against b_first..b_stop-1


class Part(msgspec.Struct, frozen=True, eq=False):
    """What a batch of tasks was reduced to. `counts` int64[draws + 1]: tests by the number of draws at or below them;
    `stat`, `pairs` [k, 2], `beta` the best; `refused` [r, 2] collinear pairs (some), `n_refused` all of them."""

    counts: np.ndarray
    stat: np.ndarray
    pairs: np.ndarray
    beta: np.ndarray
    refused: np.ndarray
    n_refused: int


def plan(sizes: Sequence[int], block: int) -> list[list[Task]]:
    """Batches of tasks that cover each pair within each run of `sizes` rows once."""
    out: list[list[Task]] = [[]]
    load = start = 0
    for size in sizes:
        edges = [*range(start, start + size, block), start + size]
        runs = list(itertools.pairwise(edges))
        for k, (a, b) in enumerate(runs):
            for c, d in runs[k:]:
                pairs = (b - a) * (b - a - 1) // 2 if a == c else (b - a) * (d - c)
                if not pairs:
                    continue
                if load and load + pairs > BATCH_PAIRS:
                    out.append([])
                    load = 0
                out[-1].append((a, b, c, d))
                load += pairs
        start += size
    return [b for b in out if b]


def pairs_of(batch: Sequence[Task]) -> int:
    """Number of pairs in a batch."""
    return sum((b - a) * (b - a - 1) // 2 if a == c else (b - a) * (d - c) for a, b, c, d in batch)


class Job(msgspec.Struct, frozen=True, eq=False):
    """A batch with the rows it needs, so that it runs anywhere: `runs` maps the first row of a run to its series."""

    batch: list[Task]
    runs: dict[int, np.ndarray]
    lags: int | str
    null: Null
    keep: int
    bound: float


def run_job(job: Job) -> Part:
    """Every test of a batch, reduced."""
    counts = np.zeros(len(job.null.draws) + 1, np.int64)
    made: dict[int, Moments] = {}
    parts = []
    for task in job.batch:
        for first in (task[0], task[2]):
            if first not in made:
                made[first] = prepare(job.runs[first], job.lags)
        parts.append(_run_task(task, made[task[0]], made[task[2]], job, counts))
    best = join([p[0] for p in parts], job.keep)
    refused = np.concatenate([p[1] for p in parts])
    listed = refused[np.lexsort((refused[:, 1], refused[:, 0]))][:MOST_REFUSED]
    return Part(counts, *best, listed, len(refused))


Best = tuple[np.ndarray, np.ndarray, np.ndarray]


def _run_task(task: Task, a: Moments, b: Moments, job: Job, counts: np.ndarray) -> tuple[Best, np.ndarray]:
    stat, beta = np.empty((a.count, b.count)), np.empty((a.count, b.count))
    if a.criterion == FIXED:
        pairs_fixed(a, b, stat, beta)
    else:
        pairs_chosen(a, b, stat, beta, np.empty(stat.shape, np.int64))
    if task[0] == task[2]:
        stat[np.tril_indices(a.count)] = np.nan
    null = job.null
    _tally(stat, null.draws, null.start, np.array([null.low, null.per_unit]), counts)
    offset = np.array([task[0], task[2]])
    good = np.isfinite(stat) & (stat <= job.bound)
    at = np.argwhere(good)
    found = (stat[good], at + offset, beta[good])
    return join([found], job.keep), np.argwhere(stat == -np.inf) + offset


@njit
def _tally(stat: Any, draws: Any, start: Any, scale: Any, counts: Any) -> None:
    """Count each finite statistic by the draws at or below it."""
    for i in range(stat.shape[0]):
        for j in range(stat.shape[1]):
            if np.isfinite(stat[i, j]):
                counts[count_at_most(stat[i, j], draws, start, scale)] += 1


def join(parts: Sequence[Best], keep: int) -> Best:
    """The `keep` best of several lists, by statistic and then by place: the same whatever the order of the lists."""
    stat = np.concatenate([p[0] for p in parts])
    pairs, beta = np.concatenate([p[1] for p in parts]), np.concatenate([p[2] for p in parts])
    if len(stat) > 4 * keep:
        near = stat <= np.partition(stat, keep - 1)[keep - 1]
        stat, pairs, beta = stat[near], pairs[near], beta[near]
    order = np.lexsort((pairs[:, 1], pairs[:, 0], stat))[:keep]
    return stat[order], pairs[order], beta[order]


def run_all(
    rows: np.ndarray,
    batches: Sequence[tuple[int, list[Task]]],
    make: Callable[[list[Task], dict[int, np.ndarray]], Job],
    executor: Executor | None,
) -> Iterator[tuple[int, Part]]:
    """(batch number, its part) as they are done; at most IN_FLIGHT batches are out at once.

    `make` is called when a batch is sent, so it can pass on the best bound known by then.
    """

    def job_of(batch: list[Task]) -> Job:
        spans = {a: b for task in batch for a, b in (task[:2], task[2:])}
        return make(batch, {a: rows[a:b] for a, b in spans.items()})

    if executor is None:
        for number, batch in batches:
            yield number, run_job(job_of(batch))
        return
    out: dict[Future[Part], int] = {}
    todo = iter(batches)
    try:
        while True:
            for number, batch in todo:
                out[executor.submit(run_job, job_of(batch))] = number
                if len(out) >= IN_FLIGHT:
                    break
            if not out:
                return
            done, _ = wait(out, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=lambda f: out[f]):
                yield out.pop(future), future.result()
    finally:
        for future in out:
            future.cancel()
