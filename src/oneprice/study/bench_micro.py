"""What a microstructure feature costs, over a plain pass that reads every word of as many records: at most 25 times.

One thread's processor seconds, interleaved, medians. Inputs are those a strategy would hand over, one observation a
record; the levels are also read off a book at each record.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from oneprice.core.jit import njit
from oneprice.core.records import EVENT, LAST
from oneprice.features import (
    bipower,
    hawkes,
    hayashi_yoshida,
    imbalance,
    microprice,
    microprice_fitted,
    mlofi,
    ofi,
    queue_race,
    realised,
    tick_garch,
    trade_imbalance,
    vpin,
)
from oneprice.features.conformance import sample
from oneprice.features.fold import Fold
from oneprice.features.levels import book_levels
from oneprice.market.book import book_at, book_bytes, book_init_at, book_row
from oneprice.study.bench_engine import plain_pass
from oneprice.study.bench_time import MOST, Figure, interleaved, thread_timed

MOST_RATIO = 25.0
RECORDS, QUICK_RECORDS = 400_000, 100_000
FOLDS: tuple[Fold, ...] = (
    ofi.FOLD, mlofi.FOLD, trade_imbalance.FOLD, imbalance.FOLD, microprice.FOLD, microprice_fitted.FOLD, realised.FOLD,
    bipower.FOLD, tick_garch.FOLD, hawkes.FOLD, queue_race.FOLD, hayashi_yoshida.FOLD, vpin.FOLD,
)  # fmt: skip
LEVELS = "mlofi with its levels read off a book"
Run = Callable[[], tuple[float, Any]]


def micro_figures(repeats: int = 5, *, records: int = RECORDS) -> list[Figure]:
    """One figure a fold, and one for levels read off a book."""
    events = np.zeros(records, EVENT)
    runs: dict[str, Run] = {"pass": lambda: thread_timed(lambda: plain_pass(events))}
    for fold in FOLDS:
        runs[fold.name] = _fold_run(fold, records)
    runs[LEVELS] = _levels_run(records)
    interleaved(runs, 1)  # compiles
    seconds, _ = interleaved(runs, repeats)
    floor = seconds.pop("pass")
    note = f"{2 * hayashi_yoshida.SIDE + 1} lags"
    return [
        Figure(
            f"feature {name}", spent / floor, "x plain pass", MOST_RATIO, MOST,
            note if name == hayashi_yoshida.FOLD.name else "",
            {"ns_record": spent / records * 1e9, "pass_ns": floor / records * 1e9},
        )
        for name, spent in seconds.items()
    ]  # fmt: skip


def _fold_run(fold: Fold, n: int) -> Run:
    """The fold over prices that move on a grid of ticks, so that touches and trades repeat as they do in a market."""
    columns = sample(fold, n, seed=1, level=60_000.0, move=0.1)
    if fold.inputs[-1] == "price":
        columns[-1] = np.round(columns[-1], 1)
    args = fold.params()[0].item()
    out = np.empty(n)

    def run() -> tuple[float, Any]:
        state = fold.fresh()
        return thread_timed(lambda: fold.loop(state, *columns, *args, out))

    return run


@njit
def _levels_loop(events: Any, address: int, states: Any, row: Any, tau_s: float) -> float:
    b = book_at(address)
    total = 0.0
    for i in range(len(events)):
        ev = events[i]
        book_row(b, ev)
        book_levels(b, 0.1, 0.001, row)
        total += mlofi.step(states[0], ev.receive_ns, row, tau_s, 1.0)
    return total


@njit
def _book_loop(events: Any, address: int) -> int:
    b = book_at(address)
    for i in range(len(events)):
        book_row(b, events[i])
    return int(b.n_rows)


def depth_rows(n: int, seed: int = 0) -> np.ndarray:
    """BOOK rows around 60,000.0: sizes of ten levels a side, one in ten removed; the sides never meet."""
    rng = np.random.default_rng(seed)
    out = np.zeros(n, EVENT)
    side = rng.choice([-1, 1], n)
    away = rng.integers(1, 11, n)
    out["kind"], out["side"], out["flag_bits"] = 1, side, LAST
    out["price"] = 600_000 - side * away
    out["qty"] = np.where((rng.random(n) < 0.1) & (away > 1), 0, rng.integers(1, 5000, n))
    out["receive_ns"] = np.cumsum(rng.integers(0, 10_000_000, n))
    return out


def _levels_run(n: int) -> Run:
    """Book rows, levels and flow, less the book rows alone."""
    rows = depth_rows(n)
    room = np.zeros(book_bytes(12, 6) + 64, np.uint8)
    address = room.ctypes.data + (-room.ctypes.data) % 64
    row = np.zeros(4 * mlofi.LEVELS)

    def run() -> tuple[float, Any]:
        book_init_at(address, 12, 6)
        whole, total = thread_timed(lambda: _levels_loop(rows, address, mlofi.FOLD.fresh(), row, 1.0))
        book_init_at(address, 12, 6)
        book, _ = thread_timed(lambda: _book_loop(rows, address))
        return max(0.0, whole - book), (total, room[0])

    return run
