"""Probability of backtest overfitting by combinatorially symmetric cross-validation (CSCV).

The rows of a matrix of returns (time by configuration) are cut into S blocks. For each choice of S / 2 blocks the best
configuration inside is looked up outside: its rank r among N gives w = r / (N + 1) and the logit ln(w / (1 - w)).

    PBO = share of splits with logit <= 0: the best inside is no better than the median outside

With S = 16 there are C(16, 8) = 12,870 splits. Every sum a split needs is a sum of sums of blocks, so a split costs
S N, not T N.

Reference: D. Bailey, J. Borwein, M. Lopez de Prado, Q. Zhu (2017), The probability of backtest overfitting, Journal of
Computational Finance 20(4), doi 10.21314/JCF.2016.322.
"""

from __future__ import annotations

from math import comb
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.jit import njit

MOST_BLOCKS = 20  # C(20, 10) = 184,756 splits


class Overfit(msgspec.Struct, frozen=True):
    """What the splits say. Arrays have one value a split, in the order of the bit masks of the blocks inside."""

    pbo: float
    splits: int
    logits: np.ndarray  # float64[splits]
    inside: np.ndarray  # Sharpe ratio per period of the best inside
    outside: np.ndarray  # Sharpe ratio per period of the same one outside
    best: np.ndarray  # int64: its column
    slope: float  # of outside on inside by least squares: what a better backtest promises
    loss: float  # share of splits in which the best inside loses outside
    rows_dropped: int  # oldest rows left out so that blocks are equal


def backtest_overfit(returns: Any, *, blocks: int = 16) -> Overfit:
    """CSCV of returns float64[T, N] (T periods, N >= 2 configurations, all that were tried), by Sharpe ratio.

    blocks: even, 2 to 20; blocks longer than the memory of the returns keep their dependence. T mod blocks oldest rows
    are left out (the result says how many). A column with no variance in a half has ratio 0 there. Equal ratios share
    their ranks; of equal best ones the first is taken.
    Raises ConfigError for an impossible number of blocks, DataError for a matrix with NaN or too few rows or columns.
    """
    x = np.asarray(returns, np.float64)
    if blocks % 2 or not 2 <= blocks <= MOST_BLOCKS:
        raise ConfigError(f"blocks: expected an even number from 2 to {MOST_BLOCKS}, got {blocks}")
    if x.ndim != 2 or x.shape[1] < 2 or x.shape[0] < 2 * blocks:
        raise DataError(
            f"returns: expected shape (T, N) with N >= 2 configurations and T >= {2 * blocks}, got {x.shape}"
        )
    if not np.isfinite(x).all():
        row, column = np.argwhere(~np.isfinite(x))[0]
        raise DataError(f"returns: expected finite numbers, got {x[row, column]} at row {row}, column {column}")
    dropped = len(x) % blocks
    kept = x[dropped:]
    level = kept.mean(axis=0)
    cut = (kept - level).reshape(blocks, -1, x.shape[1])
    sums = np.ascontiguousarray(cut.sum(axis=1))
    squares = np.ascontiguousarray((cut * cut).sum(axis=1))
    n = comb(blocks, blocks // 2)
    out = np.empty((3, n))
    best = np.empty(n, np.int64)
    _splits(sums, squares, level, cut.shape[1] * blocks // 2, out, best)
    inside, outside, logits = out
    spread = inside - inside.mean()
    weight = float(spread @ spread)
    return Overfit(
        pbo=float(np.mean(logits <= 0.0)),
        splits=n,
        logits=logits,
        inside=inside,
        outside=outside,
        best=best,
        slope=float(spread @ outside) / weight if weight > 0.0 else float("nan"),
        loss=float(np.mean(outside < 0.0)),
        rows_dropped=dropped,
    )


@njit
def _ratio(total: Any, square: Any, level: Any, half: int, out: Any) -> None:
    """Sharpe ratios (ddof 1) from sums of deviations from `level`."""
    for j in range(len(out)):
        off = total[j] / half
        spread = (square[j] - half * off * off) / (half - 1)
        # a constant column leaves rounding dust of the order of eps^2 times its squares
        out[j] = (level[j] + off) / np.sqrt(spread) if spread > 1e-28 * level[j] * level[j] else 0.0


@njit
def _splits(sums: Any, squares: Any, level: Any, half: int, out: Any, best: Any) -> None:
    blocks, n = sums.shape
    in_sum, in_sq = np.empty(n), np.empty(n)
    out_sum, out_sq = np.empty(n), np.empty(n)
    ins, outs = np.empty(n), np.empty(n)
    mask = (1 << (blocks // 2)) - 1
    for split in range(len(best)):
        in_sum[:], in_sq[:], out_sum[:], out_sq[:] = 0.0, 0.0, 0.0, 0.0
        for b in range(blocks):
            if (mask >> b) & 1:
                in_sum += sums[b]
                in_sq += squares[b]
            else:
                out_sum += sums[b]
                out_sq += squares[b]
        _ratio(in_sum, in_sq, level, half, ins)
        _ratio(out_sum, out_sq, level, half, outs)
        top = 0
        for j in range(1, n):
            if ins[j] > ins[top]:
                top = j
        below, equal = 0, 0
        for j in range(n):
            below += outs[j] < outs[top]
            equal += outs[j] == outs[top]
        share = (below + 0.5 * (equal + 1)) / (n + 1)
        best[split] = top
        out[0, split], out[1, split] = ins[top], outs[top]
        out[2, split] = np.log(share / (1.0 - share))
        low = mask & -mask  # the next larger mask with as many bits
        up = mask + low
        mask = up | (((mask ^ up) >> 2) // low)
