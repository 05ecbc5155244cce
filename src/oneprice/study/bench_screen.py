"""Ratios of the research room: a z-score grid against vectorbt at equal returns."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np

from oneprice.study.bench_time import LEAST, Figure, interleaved
from oneprice.study.zscore_grid import Grid, zscore_grid

BARS, REPEATS, FEE_BP, SEED = 5000, 3, 2.0, 1
LEAST_GRID = 20.0


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


def screen_figures(*, repeats: int = REPEATS, per_axis: int = 10, bars: int = BARS) -> list[Figure]:
    """The figures of this module; those whose rival is not installed say so."""
    return [grid_figure(repeats, per_axis, bars)]


def grid_figure(repeats: int = REPEATS, per_axis: int = 10, bars: int = BARS) -> Figure:
    """Processor seconds of vectorbt over ours for the whole grid, and the largest difference of final equity."""
    name = f"z-score grid {per_axis**3:,} x {bars:,} bars against vectorbt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import vectorbt  # noqa: F401
        except (ImportError, ValueError) as error:  # its themes fail on plotly 6 with a ValueError
            why = str(error).strip().splitlines()[0]
            return Figure(name, None, "x", LEAST_GRID, LEAST, f"vectorbt cannot be imported: {why}")
        spread, close = planted_pair(bars)
        points = grid_points(per_axis)
        runs: dict[str, Any] = {
            "ours": lambda: _processor(lambda: zscore_grid(spread, close, points, fee_bp=FEE_BP)),
            "vectorbt": lambda: _processor(lambda: vectorbt_grid(spread, close, points, FEE_BP)),
        }
        interleaved(runs, 1)
        seconds, last = interleaved(runs, repeats)
    ours: Grid = last["ours"]
    gap = float(np.abs(ours.final - last["vectorbt"]).max())
    note = f"largest difference of final equity {gap:.1e}; {int(ours.trades.sum()):,} entries"
    ratio = seconds["vectorbt"] / seconds["ours"] if gap < 1e-9 else 0.0
    return Figure(name, ratio, "x", LEAST_GRID, LEAST, note, {**seconds, "largest_difference": gap})


def _processor(call: Any) -> tuple[float, Any]:
    started = time.process_time()
    result = call()
    return time.process_time() - started, result
