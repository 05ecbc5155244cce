"""Candidate groups of a panel: PCA loadings of returns, standardised, clustered by OPTICS.

Sarmento and Horta 2020 (doi 10.1016/j.eswa.2020.113490): series that load alike on the common factors are likely to
share a trend. The groups are found from returns only, so a test of cointegration inside them is not tested on what
chose it; still, groups must be made before the tests are looked at.
"""

from __future__ import annotations

import numpy as np

from oneprice.core.errors import DataError
from oneprice.signals.clusters.optics import NOISE, Optics, optics


def loadings(returns: np.ndarray, n_factors: int = 8) -> np.ndarray:
    """Float64[N, n_factors]: eigenvectors of the correlation matrix, each column scaled to mean 0, deviation 1.

    Parameters
    ----------
    returns : float64[N, T], a row a series. The sign of an eigenvector is set so that its largest entry is positive.

    Raises
    ------
    DataError
        Not finite, a series that does not move, or fewer series or times than factors.
    """
    x = np.asarray(returns, np.float64)
    if x.ndim != 2 or min(x.shape) <= n_factors:
        raise DataError(f"loadings: expected more than {n_factors} series and times [N, T], got shape {x.shape}")
    if not np.isfinite(x).all():
        raise DataError(f"loadings: returns of series {int(np.argwhere(~np.isfinite(x))[0][0])} are not finite")
    z = x - x.mean(axis=1, keepdims=True)
    deviation = np.sqrt((z * z).sum(axis=1))
    if (deviation == 0).any():
        raise DataError(f"loadings: series {int(np.argmin(deviation))} does not move")
    z /= deviation[:, None]
    n, t = z.shape
    if n <= t:
        vectors = np.linalg.eigh(z @ z.T)[1][:, : n - n_factors - 1 : -1]
    else:
        values, times = np.linalg.eigh(z.T @ z)
        vectors = z @ (times[:, : t - n_factors - 1 : -1] / np.sqrt(values[: t - n_factors - 1 : -1]))
    peak = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.sign(vectors[peak, np.arange(n_factors)])
    return np.ascontiguousarray((vectors - vectors.mean(axis=0)) / vectors.std(axis=0))


def group_series(
    rows: np.ndarray, *, n_factors: int = 8, least: int = 3, xi: float = 0.05
) -> tuple[np.ndarray, Optics]:
    """(labels int64[N], NOISE = -1; the OPTICS run behind them) of series [N, T], prices or logs as rows.

    Series are put in an order of their own content first, so a permutation of the columns permutes the labels'
    points and nothing else. Clusters are numbered by that order too.
    """
    x = np.ascontiguousarray(rows, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] < 3:
        raise DataError(f"group_series: expected series [N, T], got shape {x.shape}")
    order = np.lexsort((x[:, 1], x.sum(axis=1), x[:, 0], x[:, -1]))
    found = optics(loadings(np.diff(x[order], axis=1), n_factors), least=least, xi=xi)
    labels = np.empty(len(x), np.int64)
    labels[order] = _renumbered(found.labels)
    return labels, found


def _renumbered(labels: np.ndarray) -> np.ndarray:
    """Clusters numbered by their first member."""
    out = np.full_like(labels, NOISE)
    real = labels != NOISE
    if real.any():
        values, first = np.unique(labels[real], return_index=True)
        number = np.empty(int(values.max()) + 1, np.int64)
        number[values[np.argsort(first)]] = np.arange(len(values))
        out[real] = number[labels[real]]
    return out
