"""How much of a bar's price change its own order flow explains, and that it explains nothing of the next one.

    move_k = a + b OFI_k + e_k            (same bar: contemporaneous)
    move_{k+1} = a' + b' OFI_k + e'_k     (one bar ahead: what a trader could use)

R^2 of both, side by side, for order flow imbalance at the best, for more levels together, and for trade imbalance;
Newey-West errors. A high first and a zero second number is the normal finding: flow is the price change seen from the
book, no forecast of it. `impact_by_depth` fits b = c / depth^lambda over windows.

References: R. Cont, A. Kukanov, S. Stoikov (2014), doi:10.1093/jjfinec/nbt003; K. Xu, M. Gould, S. Howison (2018),
doi:10.1142/S2382626619500114; W. Newey, K. West (1987), doi:10.2307/1913610.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import DataError
from oneprice.signals.micro.bars import FlowBars

LEAST_BARS = 20


class Line(msgspec.Struct, frozen=True):
    """One ordinary least squares line y = a + b x with a Newey-West error of b."""

    a: float
    b: float
    b_se: float
    r2: float
    n: int


class FlowFit(msgspec.Struct, frozen=True):
    """Regressions of one set of bars; `lead` ones explain the next bar's move."""

    ofi: Line
    ofi_lead: Line
    trade: Line
    trade_lead: Line
    level_r2: tuple[float, ...]  # of the levels 1..m together, same bar
    level_lead_r2: tuple[float, ...]
    bar_s: float
    n: int


def line(x: Any, y: Any, *, lags: int | None = None) -> Line:
    """Least squares of y on x over rows where both are finite.

    lags: of the Newey-West error; default floor(4 (n / 100)^(2/9)). Raises DataError when fewer than LEAST_BARS rows
    remain or either does not vary (sigma = 0).
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise DataError(f"flow regression: expected x and y of one shape (n,), got {x.shape} and {y.shape}")
    good = np.isfinite(x) & np.isfinite(y)
    x, y = x[good], y[good]
    n = len(x)
    if n < LEAST_BARS:
        raise DataError(f"flow regression: expected at least {LEAST_BARS} bars, got {n}; use a longer tape")
    dx, dy = x - x.mean(), y - y.mean()
    sxx, syy = float(dx @ dx), float(dy @ dy)
    if not (sxx > 0.0 and syy > 0.0):
        raise DataError(f"flow regression: {'flow' if sxx <= 0.0 else 'price'} does not vary over {n} bars")
    b = float(dx @ dy) / sxx
    e = dy - b * dx
    most = int(4.0 * (n / 100.0) ** (2.0 / 9.0)) if lags is None else lags
    score = dx * e
    s = float(score @ score)
    for lag in range(1, most + 1):
        s += 2.0 * (1.0 - lag / (most + 1.0)) * float(score[lag:] @ score[:-lag])
    r2 = 1.0 - float(e @ e) / syy
    return Line(float(y.mean() - b * x.mean()), b, math.sqrt(max(s, 0.0)) / sxx, r2, n)


def joint_r2(x: np.ndarray, y: np.ndarray) -> float:
    """R^2 of y on all columns of x (n, m) and a constant, over rows where all are finite."""
    good = np.isfinite(y) & np.isfinite(x).all(axis=1)
    if int(good.sum()) < LEAST_BARS + x.shape[1]:
        raise DataError(f"flow regression: expected at least {LEAST_BARS + x.shape[1]} bars, got {int(good.sum())}")
    dx, dy = x[good] - x[good].mean(axis=0), y[good] - y[good].mean()
    scale = dx.std(axis=0)
    dx = dx[:, scale > 0.0] / scale[scale > 0.0]
    if not float(dy @ dy) > 0.0:
        raise DataError("flow regression: price does not vary")
    b = np.linalg.lstsq(dx, dy, rcond=None)[0]
    e = dy - dx @ b
    return 1.0 - float(e @ e) / float(dy @ dy)


def fit_flow(bars: FlowBars) -> FlowFit:
    """All regressions of a set of bars. Raises DataError as `line` does."""
    x, y, t = bars.ofi, bars.move, bars.trade_flow
    levels = range(1, bars.level_ofi.shape[1] + 1)
    return FlowFit(
        ofi=line(x, y),
        ofi_lead=line(x[:-1], y[1:]),
        trade=line(t, y),
        trade_lead=line(t[:-1], y[1:]),
        level_r2=tuple(joint_r2(bars.level_ofi[:, :m], y) for m in levels),
        level_lead_r2=tuple(joint_r2(bars.level_ofi[:-1, :m], y[1:]) for m in levels),
        bar_s=bars.bar_s,
        n=len(bars),
    )


class Impact(msgspec.Struct, frozen=True):
    """b = c / depth^power over windows: c in ticks x quantity^power / quantity; `power_se` of the logs' line."""

    c: float
    power: float
    power_se: float
    windows: int
    left_out: int  # windows whose slope is not positive or that have too few bars


def impact_by_depth(bars: FlowBars, *, windows: int = 10) -> Impact:
    """Slope of each of `windows` equal runs of bars against its mean depth, in logs.

    Theory of a book with equal queues at all levels says power 1, c 1/2. Raises DataError with fewer than four usable
    windows, or equal depths.
    """
    edges = np.linspace(0, len(bars), windows + 1).astype(int)
    slopes, depths = [], []
    for low, high in pairwise(edges):
        depth = bars.depth[low:high]
        try:
            b = line(bars.ofi[low:high], bars.move[low:high]).b
        except DataError:
            continue
        if b > 0.0 and np.isfinite(depth).any():
            slopes.append(math.log(b))
            depths.append(math.log(float(np.nanmean(depth))))
    if len(slopes) < 4:
        raise DataError(f"impact_by_depth: expected at least 4 windows with a positive slope, got {len(slopes)}")
    x, y = np.array(depths), np.array(slopes)
    dx = x - x.mean()
    if not float(dx @ dx) > 0.0:
        raise DataError("impact_by_depth: depth is the same in all windows; its power is not identified")
    power = float(dx @ y) / float(dx @ dx)
    e = y - y.mean() - power * dx
    se = math.sqrt(float(e @ e) / max(1, len(y) - 2) / float(dx @ dx))
    return Impact(math.exp(float(y.mean()) - power * float(x.mean())), -power, se, len(y), windows - len(y))
