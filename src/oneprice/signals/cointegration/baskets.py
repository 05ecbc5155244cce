"""Johansen over thousands of baskets from the moments of one block: the screen's second engine.

All rows that any basket needs (levels, differences, their lags) are multiplied once; a basket gathers its own
moments and costs nothing that grows with T. Where the moments have lost digits (nearly collinear levels) the basket is
done again from the data.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.signals.cointegration.johansen import check, flatten, layout_of, reduced_rank, residuals
from oneprice.signals.cointegration.johansen_kernels import basket_statistics, rows_of
from oneprice.signals.unit_root.inputs import block

NEAR = 1e-4  # share of its square that each row must keep for its moments to be trusted


class Block(msgspec.Struct, frozen=True):
    """`moments` float64 [1 + (lags + 2) n, same] of (1, levels, differences, lagged differences) of n series.

    The levels are taken less `means` (zero with det "n"), and less their trend with "ct".
    """

    moments: Any
    levels: Any  # [n, T]
    means: Any
    lags: int
    det: str


def basket_moments(levels: Any, *, lags: int = 1, det: str = "c") -> Block:
    """Prepare series [n, T] for baskets. Raises as `johansen` does; no series may be constant or doubled."""
    x = block(levels, "levels")
    check(1, x.shape[1], lags, det, 0, 0.0)
    means = x.mean(axis=1) if det in ("c", "rc") else np.zeros(len(x))
    e = flatten(x) if det == "ct" else x - means[:, None]
    n, length = x.shape
    rows = np.empty((1 + (lags + 2) * n, length - 1 - lags))
    rows_of(e, lags, rows)
    return Block(rows @ rows.T, x, means, lags, det)


def johansen_baskets(b: Block, baskets: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(trace [m, N], largest [m, N], first relation [m, N or N+1]) of baskets int64 [m, N] of series numbers.

    The relation has unit variance in the levels' metric (v'S_kk v = 1), first weight positive; the last entry is the
    constant with det "rc". A basket whose series are exact combinations of each other gives NaN.
    Raises ConfigError for baskets that repeat a series or name one that is not there, DataError when T is too short.
    """
    count, length = b.levels.shape
    chosen = np.ascontiguousarray(baskets, np.int64)
    if chosen.ndim != 2 or chosen.size == 0 or chosen.shape[1] < 2 or chosen.min() < 0 or chosen.max() >= count:
        raise ConfigError(f"baskets: expected int64 [m, N >= 2] of numbers 0..{count - 1}, got {chosen.shape}")
    ordered = np.sort(chosen, axis=1)
    twice = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
    if len(twice):
        raise ConfigError(f"baskets: row {twice[0]} names a series twice: {chosen[twice[0]].tolist()}")
    width = chosen.shape[1]
    check(width, length, b.lags, b.det, 0, 0.0)
    rows = length - 1 - b.lags
    _, lags, constant, restricted = layout_of(width, b.lags, b.det)
    each, share = np.empty((len(chosen), width + restricted)), np.empty(len(chosen))
    vectors = np.empty_like(each)
    basket_statistics(b.moments, chosen, (count, lags, constant, restricted), 0.0, each, vectors, share)
    vectors *= np.sqrt(rows)
    for i in np.flatnonzero(~(share > NEAR)):
        again(b, chosen[i], each[i], vectors[i])
    if restricted:
        vectors[:, -1] -= np.einsum("ij,ij->i", vectors[:, :-1], b.means[chosen])
    largest = rows * each[:, :width]
    trace = np.cumsum(largest[:, ::-1], axis=1)[:, ::-1]
    return np.ascontiguousarray(trace), np.ascontiguousarray(largest), vectors


def again(b: Block, basket: np.ndarray, each: np.ndarray, vector: np.ndarray) -> None:
    """One basket from the data; NaN when a series is an exact combination of the others."""
    try:
        values, vectors, _ = reduced_rank(*residuals(b.levels[basket], b.lags, b.det, 0), 0.0)
        each[:], vector[:] = -np.log1p(-values), vectors[:, 0]
    except DataError:
        each[:], vector[:] = np.nan, np.nan
