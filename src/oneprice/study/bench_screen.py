"""Figures of the research room: a z-score grid against vectorbt at equal returns, and a screen of 50 million pairs.

The large screen runs in a process of its own with one thread, so that its peak memory is its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from typing import Any

import numpy as np

from oneprice.core.errors import OnePriceError
from oneprice.study.bench_time import LEAST, MOST, Figure, absent, cpu_timed, interleaved
from oneprice.study.zscore_grid import Grid, zscore_grid

BARS, REPEATS, FEE_BP, SEED = 5000, 3, 2.0, 1
LEAST_GRID = 20.0
SERIES, TIMES, MOST_MEMORY_MB = 10_000, 1_000, 4_000.0
CHILD = "import sys; from oneprice.study.bench_screen import child; child(int(sys.argv[1]), int(sys.argv[2]))"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def planted_pair(n: int = BARS, seed: int = SEED) -> tuple[np.ndarray, np.ndarray]:
    """(spread [n], prices [n, 2]) of two series with a common walk and an AR(.95) gap."""
    rng = np.random.default_rng(seed)
    common, shocks = np.cumsum(rng.normal(0, 0.01, n)), rng.normal(0, 0.01, n)
    gap = np.zeros(n)
    for t in range(1, n):
        gap[t] = 0.95 * gap[t - 1] + shocks[t]
    close = np.exp(np.column_stack([common + gap + 4.0, common + 3.0]))
    return np.log(close[:, 0]) - np.log(close[:, 1]), close


def grid_points(per_axis: int = 10) -> np.ndarray:
    """per_axis^3 points of (window, entry, exit)."""
    axes = (np.arange(2, 2 + per_axis) * 10.0, np.linspace(1, 3, per_axis), np.linspace(-0.5, 0.4, per_axis))
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def vectorbt_grid(spread: np.ndarray, close: np.ndarray, points: np.ndarray, fee_bp: float) -> np.ndarray:
    """Final equity of each point by vectorbt: the same rule as two filled target paths, one order a change."""
    import pandas as pd
    import vectorbt as vbt

    series = pd.Series(spread)
    score = {}
    for w in np.unique(points[:, 0]):
        rolling = series.rolling(int(w))
        score[w] = ((series - rolling.mean()) / rolling.std(ddof=1)).to_numpy()
    z = np.column_stack([score[w] for w in points[:, 0]])
    entry, leave = points[:, 1], points[:, 2]
    filled = vbt.nb.ffill_nb if hasattr(vbt.nb, "ffill_nb") else vbt.generic.nb.ffill_nb
    long = filled(np.where(z <= -entry, 1.0, np.where(z >= -leave, 0.0, np.nan)))
    short = filled(np.where(z >= entry, -1.0, np.where(z <= leave, 0.0, np.nan)))
    side = np.nan_to_num(long) + np.nan_to_num(short)
    changed = np.empty_like(side)
    changed[:2] = np.nan
    changed[1] = np.where(side[0] != 0, 0.5 * side[0], np.nan)
    changed[2:] = np.where(np.diff(side, axis=0)[:-1] != 0, 0.5 * side[1:-1], np.nan)
    target = np.empty((len(z), 2 * len(points)))
    target[:, 0::2], target[:, 1::2] = changed, -changed
    book = vbt.Portfolio.from_orders(
        np.tile(close, len(points)), size=target, size_type="targetpercent", fees=fee_bp * 1e-4, init_cash=1e6,
        group_by=np.repeat(np.arange(len(points)), 2), cash_sharing=True, call_seq="auto", freq="1D",
    )  # fmt: skip
    return np.asarray(book.final_value()) / 1e6


def screen_figures(
    *, repeats: int = REPEATS, per_axis: int = 10, bars: int = BARS, series: int = SERIES
) -> list[Figure]:
    """The figures of this module; those whose rival is not installed say so."""
    return [grid_figure(repeats, per_axis, bars), *scale_figures(series)]


def scale_figures(series: int = SERIES, times: int = TIMES) -> list[Figure]:
    """Peak memory and pairs a second of a full grid (lag 1, one order, simulated p-values) in one thread."""
    command = [sys.executable, "-c", CHILD, str(series), str(times)]
    done = subprocess.run(command, env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OnePriceError(f"bench: the screen of {series} series failed: {done.stderr.strip()[-500:]}")
    told = json.loads(done.stdout.splitlines()[-1])
    what = f"screen of {series:,} x {times:,}, {told['tests']:,} pairs"
    found = f"{told['planted_found']} of {told['planted']} planted pairs among the {told['kept']} best"
    return [
        Figure(f"{what}: peak memory", told["peak_mb"], "MB", MOST_MEMORY_MB, MOST, found, told),
        Figure(f"{what}: speed", told["pairs_per_s"], "pairs/s", note="one thread, p-values included"),
    ]


def child(series: int, times: int) -> None:
    """In the process of its own: screen walks with 1 % planted pairs, print what came of it as JSON."""
    from oneprice.market.prices import panel
    from oneprice.study.bench_process import peak_bytes
    from oneprice.study.screen import screen

    rng = np.random.default_rng(SEED)
    paths = np.cumsum(rng.normal(0, 0.01, (series, times)), axis=1)
    first = np.arange(0, series - 1, max(series // 100, 2))
    gap, shocks = np.zeros((len(first), times)), rng.normal(0, 0.01, (len(first), times))
    for t in range(1, times):
        gap[:, t] = 0.9 * gap[:, t - 1] + shocks[:, t]
    paths[first + 1] = paths[first] + gap
    prices = panel(np.exp(3.0 + paths.T))
    planted = {frozenset((f"s{i}", f"s{i + 1}")) for i in first.tolist()}
    del paths
    found = screen(prices, family="grid", confirm=0)
    told = {
        "tests": found.tests, "pairs_per_s": found.pairs_per_s, "kept": len(found.pairs), "planted": len(planted),
        "planted_found": sum(frozenset((r.y, r.x)) in planted for r in found.pairs), "below": found.below,
        "peak_mb": peak_bytes() / 1e6,
    }  # fmt: skip
    print(json.dumps(told))


def grid_figure(repeats: int = REPEATS, per_axis: int = 10, bars: int = BARS) -> Figure:
    """Processor seconds of vectorbt over ours for the whole grid, and the largest difference of final equity."""
    name = f"z-score grid {per_axis**3:,} x {bars:,} bars against vectorbt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import vectorbt  # noqa: F401
        except (ImportError, ValueError) as error:  # its themes fail on plotly 6 with a ValueError
            return absent(name, "x", LEAST_GRID, error)
        spread, close = planted_pair(bars)
        points = grid_points(per_axis)
        runs: dict[str, Any] = {
            "ours": lambda: cpu_timed(lambda: zscore_grid(spread, close, points, fee_bp=FEE_BP)),
            "vectorbt": lambda: cpu_timed(lambda: vectorbt_grid(spread, close, points, FEE_BP)),
        }
        interleaved(runs, 1)
        seconds, last = interleaved(runs, repeats)
    ours: Grid = last["ours"]
    gap = float(np.abs(ours.final - last["vectorbt"]).max())
    note = f"largest difference of final equity {gap:.1e}; {int(ours.trades.sum()):,} entries"
    ratio = seconds["vectorbt"] / seconds["ours"] if gap < 1e-9 else 0.0
    return Figure(name, ratio, "x", LEAST_GRID, LEAST, note, {**seconds, "largest_difference": gap})
