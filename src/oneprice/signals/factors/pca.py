"""Principal components of the correlation matrix of returns: eigenportfolios, and how many of them matter.

    Z = (R - mean) / sd over the window,  C = Z Z' / (T - 1)  (N x N),  C v_j = lambda_j v_j
    eigenportfolio j holds v_ij / sd_i of asset i; its return is F_j = sum_i v_ij R_i / sd_i

With more assets than days C has rank below T, and its eigenvectors come from the T x T matrix Z' Z / (T - 1):
v = Z u / sqrt(lambda (T - 1)). Of it only the wanted eigenvectors are computed. Nothing is carried from one day
to the next (no warm start), so a day's factors depend on that day's window only, bit for bit.

Signs are fixed: the entry of largest size in v_j is positive.

Reference: M. Avellaneda, J.-H. Lee (2010), doi:10.1080/14697680903124632, section 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError

LEAST_DAYS = 10
_FIRST = 30  # eigenvectors asked for first when a share of variance is wanted


class Factors(msgspec.Struct, frozen=True):
    """k factors of N assets. eigenvalues (k,), largest first; vectors (k, N), of length 1; sd (N,) of the returns.

    share: of the variance of standardised returns that the k factors carry.
    """

    eigenvalues: np.ndarray
    vectors: np.ndarray
    sd: np.ndarray
    share: float
    days: int

    @property
    def weights(self) -> np.ndarray:
        """Eigenportfolios (k, N): vectors over sd."""
        return np.asarray(self.vectors / self.sd)

    def returns(self, returns: np.ndarray) -> np.ndarray:
        """Factor returns (k, T) of asset returns (N, T)."""
        return np.asarray(self.weights @ returns)


def checked_panel(returns: Any, least: int = LEAST_DAYS) -> np.ndarray:
    """`returns` as contiguous float64 (N, T), N >= 2, T >= least; DataError names the asset that is not finite."""
    r = np.ascontiguousarray(returns, np.float64)
    if r.ndim != 2 or r.shape[0] < 2 or r.shape[1] < least:
        raise DataError(f"factors: expected returns of shape (assets >= 2, days >= {least}), got {r.shape}")
    good = np.isfinite(r).all(axis=1)
    if not good.all():
        asset = int(np.flatnonzero(~good)[0])
        day = int(np.flatnonzero(~np.isfinite(r[asset]))[0])
        raise DataError(
            f"factors: expected finite returns, got {r[asset, day]} for asset {asset}, day {day} "
            f"({int((~good).sum())} assets have gaps): leave them out first"
        )
    return r


def standardised(r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(Z, sd) of a checked panel; sd with T - 1. Raises DataError for an asset that does not move."""
    centered = r - r.mean(axis=1, keepdims=True)
    sd = np.sqrt(np.einsum("ij,ij->i", centered, centered) / (r.shape[1] - 1))
    still = np.flatnonzero(~(sd > 1e-14 * np.abs(r).max(axis=1)))
    if len(still):
        raise DataError(f"factors: expected returns that vary, got a constant for asset {int(still[0])}")
    centered /= sd[:, None]
    return centered, sd


def pca_factors(returns: Any, *, count: int = 15, share: float | None = None) -> Factors:
    """Factors of one window.

    Parameters
    ----------
    returns: float64 (N assets, T days). NaN is refused: leave such assets out, and say so.
    count: how many factors, at most min(N, T - 1).
    share: take instead as many as carry this share of the variance (0.55 in the paper); `count` is then unused.

    Raises
    ------
    DataError for the panel; ConfigError for count or share.
    """
    r = checked_panel(returns)
    n, days = r.shape
    rank = min(n, days - 1)
    if share is None and not 1 <= count <= rank:
        raise ConfigError(f"factors: expected count in 1..{rank} for {n} assets and {days} days, got {count}")
    if share is not None and not 0.0 < share <= 1.0:
        raise ConfigError(f"factors: expected share in (0, 1], got {share}")
    z, sd = standardised(r)
    dual = n > days
    matrix = (z.T @ z if dual else z @ z.T) / (days - 1)
    values, vectors = _top(matrix, count) if share is None else _enough(matrix, share * n, rank)
    rows = (z @ vectors / np.sqrt(values * (days - 1))).T if dual else vectors.T
    rows = np.ascontiguousarray(rows)
    largest = np.argmax(np.abs(rows), axis=1)
    rows *= np.sign(rows[np.arange(len(rows)), largest])[:, None]
    return Factors(values, rows, sd, float(values.sum() / n), days)


def _enough(matrix: np.ndarray, wanted: float, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """As many of the largest eigenvalues as add to `wanted` (their whole sum is known), and their vectors."""
    k = min(rank, _FIRST)
    while True:
        values, vectors = _top(matrix.copy() if k < rank else matrix, k)
        carried = np.cumsum(values)
        if k == rank or carried[-1] >= wanted:
            count = min(k, int(np.searchsorted(carried, wanted * (1.0 - 1e-12))) + 1)
            return values[:count], vectors[:, :count]
        k = min(rank, 3 * k)


def _top(matrix: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k largest eigenvalues, descending, and their vectors as columns."""
    from scipy.linalg import eigh

    size = len(matrix)
    if 2 * k >= size:
        values, vectors = np.linalg.eigh(matrix)
        values, vectors = values[-k:], vectors[:, -k:]
    else:
        values, vectors = eigh(matrix, subset_by_index=(size - k, size - 1), check_finite=False, overwrite_a=True)
    return values[::-1], vectors[:, ::-1]


def rolling_factors(
    returns: Any, *, window: int = 252, count: int = 15, share: float | None = None, every: int = 1
) -> Iterator[tuple[int, Factors]]:
    """(t, factors of the days t - window .. t - 1) for t = window, window + every, ..., T.

    The factors at t have seen nothing of day t. returns: float64 (N, T). Raises as `pca_factors`.
    """
    r = checked_panel(returns, window)
    if window < LEAST_DAYS or every < 1:
        raise ConfigError(f"factors: expected window >= {LEAST_DAYS} and every >= 1, got {window}, {every}")
    for t in range(window, r.shape[1] + 1, every):
        yield t, pca_factors(r[:, t - window : t], count=count, share=share)
