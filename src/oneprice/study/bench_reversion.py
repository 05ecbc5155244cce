"""Ratios of the reversion estimators: Hurst against the hurst package, variance ratios against arch, rates shown."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from oneprice.signals.reversion.hurst import hurst_rs_block
from oneprice.signals.reversion.ornstein import fit_rows, ou_block
from oneprice.signals.reversion.partial import fit_partial
from oneprice.signals.reversion.variance_ratio import variance_ratio_block
from oneprice.study.bench_time import LEAST, Figure, absent, interleaved, thread_timed

SERIES, BARS, REPEATS, SEED = 30, 1_000, 5, 20_240_222
LEAST_HURST, EQUAL = 30.0, 1e-8
STEPS = (2, 4, 8, 16)


def reversion_figures(*, repeats: int = REPEATS, series: int = SERIES, bars: int = BARS) -> list[Figure]:
    """The figures of this module; those whose rival is not installed say so."""
    walks = np.cumsum(np.random.default_rng(SEED).standard_normal((series, bars)), axis=1)
    return [
        hurst_figure(walks, repeats, True),
        hurst_figure(walks, repeats, False),
        variance_figure(walks, repeats),
        *rate_figures(walks, repeats),
    ]


def hurst_figure(walks: np.ndarray, repeats: int, simplified: bool) -> Figure:
    """Processor seconds of `hurst.compute_Hc` over ours on the same walks; 0 when a value differs by 1e-8."""
    name = f"Hurst R/S{' simplified' if simplified else ''}, {walks.shape[1]:,} bars, against hurst"
    try:
        import hurst
    except ImportError as error:
        return absent(name, "x", LEAST_HURST, error)

    def theirs() -> np.ndarray:
        return np.array([hurst.compute_Hc(row, simplified=simplified)[0] for row in walks])

    return _ratio(name, theirs, lambda: hurst_rs_block(walks, simplified=simplified), repeats, LEAST_HURST)


def variance_figure(walks: np.ndarray, repeats: int) -> Figure:
    """Processor seconds of arch's VarianceRatio (ratio and z* for four q) over ours."""
    name = f"variance ratio, 4 q, {walks.shape[1]:,} bars, against arch"
    try:
        from arch.unitroot import VarianceRatio
    except ImportError as error:
        return absent(name, "x", None, error)

    def theirs() -> np.ndarray:
        return np.array([[VarianceRatio(row, lags=q).stat for q in STEPS] for row in walks])

    return _ratio(name, theirs, lambda: variance_ratio_block(walks, STEPS)["z_star"], repeats, None)


def rate_figures(walks: np.ndarray, repeats: int) -> list[Figure]:
    """What a fit costs: Ornstein-Uhlenbeck alone, with interval and percentile, partial cointegration of a pair."""
    out = np.zeros(len(walks), ou_block(walks, 1.0).dtype)
    runs: dict[str, Callable[[], tuple[float, Any]]] = {
        "kernel": lambda: _processor(lambda: [fit_rows(walks, 1.0, out) for _ in range(50)], 50 * len(walks)),
        "block": lambda: _processor(lambda: [ou_block(walks, 1.0) for _ in range(5)], 5 * len(walks)),
        "partial": lambda: _processor(lambda: fit_partial(walks[0], walks[1]), 1),
    }
    interleaved(runs, 1)
    seconds = interleaved(runs, repeats)[0]
    bars = f"{walks.shape[1]:,} bars"
    return [
        Figure(f"OU fit, {bars}", seconds["kernel"] * 1e6, "us a spread", detail=seconds),
        Figure(f"OU with interval, block of {len(walks)}, {bars}", seconds["block"] * 1e6, "us a spread"),
        Figure(f"partial cointegration of a pair, {bars}", seconds["partial"] * 1e3, "ms a fit"),
    ]


def _ratio(
    name: str, theirs: Callable[[], np.ndarray], ours: Callable[[], np.ndarray], repeats: int, least: float | None
) -> Figure:
    """Their processor time over ours; a ratio counts only when the values are equal."""
    loops = 20
    runs: dict[str, Callable[[], tuple[float, Any]]] = {
        "ours": lambda: _processor(lambda: [ours() for _ in range(loops)][-1], loops),
        "theirs": lambda: _processor(theirs, 1),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        interleaved(runs, 1)
        seconds, last = interleaved(runs, repeats)
    gap = float(np.abs(last["ours"] - last["theirs"]).max())
    ratio = seconds["theirs"] / seconds["ours"] if gap < EQUAL else 0.0
    note = f"largest difference {gap:.1e}"
    return Figure(name, ratio, "x", least, LEAST if least else "", note, {**seconds, "largest_difference": gap})


def _processor(call: Callable[[], Any], over: int) -> tuple[float, Any]:
    """(processor seconds of this thread a unit, result)."""
    seconds, result = thread_timed(call)
    return seconds / over, result
