"""Box and Tiao's portfolios: from the least predictable (fastest reverting) to the most (the trend).

With x_t = A x_{t-1} + e fitted by least squares to centred series and G their covariance, the portfolio w has

    nu(w) = w' A G A' w / w' G w     (the share of its variance known a bar ahead; here A acts on columns)

and the generalised eigenvectors of (A G A', G) are its stationary points. Small nu is fast reversion; near 1 is a
walk. In sample the least nu of N unrelated walks is below 1 too, more so for larger N: `walk_ratio_percentile`.

Sources: Box and Tiao (1977), doi:10.1093/biomet/64.2.355; d'Aspremont (2011), doi:10.1080/14697688.2010.481634.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.signals.reversion.checks import rows_of
from oneprice.signals.reversion.walks import percentile_among

WORST = 1e-11  # smallest eigenvalue of the correlation matrix that is still told from 0
SEED, WALKS = 20_240_220, 400


class Predictable(msgspec.Struct, frozen=True):
    """Moments of a panel: `cov` G [N, N], `told` A G A' [N, N], `centre` [N], in units of the series squared."""

    cov: np.ndarray
    told: np.ndarray
    centre: np.ndarray

    def ratio(self, weights: Any) -> float:
        """nu of a portfolio."""
        w = np.asarray(weights, np.float64)
        return float(w @ self.told @ w / (w @ self.cov @ w))

    def variance(self, weights: Any) -> float:
        """Variance of the portfolio scaled to unit norm, units of the series squared."""
        w = np.asarray(weights, np.float64)
        return float(w @ self.cov @ w / (w @ w))


class BoxTiao(msgspec.Struct, frozen=True):
    """`ratios` [N] rising; `weights` [N, N], column i has ratio i, unit norm, its largest entry positive."""

    ratios: np.ndarray
    weights: np.ndarray

    @property
    def least(self) -> np.ndarray:
        """Weights of the least predictable portfolio, [N]."""
        return np.ascontiguousarray(self.weights[:, 0])

    @property
    def most(self) -> np.ndarray:
        """Weights of the most predictable portfolio, [N]."""
        return np.ascontiguousarray(self.weights[:, -1])


def predictable(series: Any) -> Predictable:
    """Moments of N series (levels or logs, one a row) [N, T], T > 2 N + 10.

    Raises DataError for holes, constant rows, too few observations or a series that the others determine.
    """
    x = rows_of(series, 20, "Box-Tiao")
    n, length = x.shape
    if n < 2 or length <= 2 * n + 10:
        raise DataError(f"Box-Tiao: expected 2 series or more and T > 2 N + 10 observations, got {n} and {length}")
    centre = x.mean(axis=1)
    c = x - centre[:, None]
    cov = c @ c.T / (length - 1)
    scale = np.sqrt(np.diag(cov))
    least = float(np.linalg.eigvalsh(cov / np.outer(scale, scale))[0])
    if least < WORST:
        pair = _twins(cov / np.outer(scale, scale))
        raise DataError(f"Box-Tiao: expected series that do not determine each other, nearest are rows {pair}")
    coefficients = np.linalg.lstsq(c[:, :-1].T, c[:, 1:].T, rcond=None)[0]  # x_{t+1}' = x_t' coefficients
    return Predictable(cov, coefficients.T @ cov @ coefficients, centre)


def _twins(correlation: np.ndarray) -> tuple[int, int]:
    off = np.abs(correlation - np.eye(len(correlation)))
    i, j = divmod(int(np.argmax(off)), len(off))
    return i, j


def box_tiao(series: Any) -> BoxTiao:
    """All portfolios of N series [N, T] by predictability; see `predictable` for what is refused."""
    return portfolios(predictable(series))


def portfolios(moments: Predictable) -> BoxTiao:
    """All stationary portfolios of given moments."""
    from scipy.linalg import eigh

    ratios, w = eigh(moments.told, moments.cov)
    w = w / np.linalg.norm(w, axis=0)
    largest = w[np.argmax(np.abs(w), axis=0), np.arange(len(w))]
    return BoxTiao(ratios, w * np.sign(largest))


def walk_ratio_percentile(ratio: float, count: int, length: int) -> float:
    """Percent of panels of `count` independent walks of `length` whose least ratio is at most `ratio`."""
    return float(percentile_among(least_ratios_of_walks(count, length), ratio))


@lru_cache(maxsize=16)
def least_ratios_of_walks(count: int, length: int) -> np.ndarray:
    """Sorted least ratios of 400 panels of independent Gaussian walks."""
    if count < 2 or length <= 2 * count + 10:
        raise ConfigError(f"walks: expected count >= 2 and length > 2 count + 10, got {count} and {length}")
    rng = np.random.default_rng((SEED, count, length))
    found = [box_tiao(np.cumsum(rng.standard_normal((count, length)), axis=1)).ratios[0] for _ in range(WALKS)]
    return np.sort(np.array(found))
