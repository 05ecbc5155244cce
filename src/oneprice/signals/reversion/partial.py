"""Partial cointegration: a spread that is part mean-reverting, part random walk, and how much of each.

Two stocks that share all but a slow drift are not cointegrated, yet the mean-reverting part can be traded. The fit
is by likelihood, hedge ratios jointly; `pvmr` is the share of the variance of the spread's moves that comes back.
Both pure cases (a walk, an AR(1)) are nested at the edge of the parameters, so the likelihood ratios have no
chi-square law: `partial_test` simulates theirs, the AR(1) null at the AR(1) fitted to the data.

Source: Clegg and Krauss (2018), Pairs trading with partial cointegration, doi:10.1080/14697688.2017.1370122.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.signals.reversion.checks import one_series, rows_of
from oneprice.signals.reversion.partial_filter import innovations, ratios, ratios_of_sets, regress, split

LEAST = 40
MOST_HEDGES = 8
EXACT = 1e-13  # smallest eigenvalue of the correlation of moves that is still told from 0
SEED = 20_240_219


class Partial(msgspec.Struct, frozen=True):
    """A fit. Deviations are of the shocks, in units of y; `beta` has one hedge ratio for each x."""

    beta: tuple[float, ...]
    beta_se: tuple[float, ...]  # given rho and the split
    rho: float
    sigma_m: float
    sigma_r: float
    loglik: float
    ratio_walk: float  # likelihood ratio against a random walk
    ratio_ar: float  # against an AR(1)
    rho_ar: float  # the AR(1) of the restricted fit
    n: int

    @property
    def pvmr(self) -> float:
        """Share of the variance of moves that reverts; see `pvmr`."""
        return pvmr(self.rho, self.sigma_m, self.sigma_r)

    @property
    def half_life(self) -> float:
        """Bars until the mean-reverting part is halved; 0 for rho <= 0."""
        return math.log(0.5) / math.log(self.rho) if self.rho > 0.0 else 0.0


class PartialTest(msgspec.Struct, frozen=True):
    """Ratios against both pure cases with simulated p; `floor` is the least p that so many draws can show."""

    ratio_walk: float
    p_walk: float
    ratio_ar: float
    p_ar: float
    floor: float
    n: int


def pvmr(rho: float, sigma_m: float, sigma_r: float) -> float:
    """2 sigma_M^2 / (2 sigma_M^2 + (1 + rho) sigma_R^2): 1 for a pure AR(1), 0 for a pure walk."""
    m, r = 2.0 * sigma_m**2, (1.0 + rho) * sigma_r**2
    if not m + r > 0.0:
        raise ConfigError(f"pvmr: expected a deviation above 0, got {sigma_m!r} and {sigma_r!r}")
    return m / (m + r)


def columns_of(y: Any, x: Any) -> np.ndarray:
    """y [T] and x ([T], [k, T] or None) as checked rows [k + 1, T], each counted from its first value."""
    first = one_series(y, LEAST, "partial cointegration: y")
    if x is None:
        return first[None, :] - first[0]
    others = rows_of(np.atleast_2d(np.asarray(x, np.float64)), LEAST, "partial cointegration: x")
    if others.shape[1] != len(first):
        raise DataError(f"partial cointegration: expected x with {len(first)} observations, got {others.shape[1]}")
    if len(others) > MOST_HEDGES:
        raise DataError(f"partial cointegration: expected at most {MOST_HEDGES} hedges, got {len(others)}")
    rows = np.concatenate([first[None, :], others])
    moves = np.diff(rows, axis=1)
    moves /= np.linalg.norm(moves, axis=1, keepdims=True)
    if np.linalg.eigvalsh(moves @ moves.T)[0] < EXACT:
        raise DataError("partial cointegration: expected series that move on their own, one is an exact combination")
    return np.ascontiguousarray(rows - rows[:, :1])


def fit_partial(y: Any, x: Any = None) -> Partial:
    """The fit of y on hedges x.

    Parameters
    ----------
    y: float64 [T], T >= 40, levels. x: hedges [T] or [k, T], k <= 8; None: y is a spread already.

    Raises DataError for holes, constant or short series, other lengths, or y (or an x) that the others determine.
    """
    columns = columns_of(y, x)
    found = np.empty(6)
    ratios(columns, found)
    rho, walk = float(found[3]), float(found[4])
    k = len(columns)
    gram = np.empty((k, k))
    innovations(columns, rho, walk, gram)
    inverse = np.linalg.inv(gram[1:, 1:]) if k > 1 else np.empty((0, 0))
    beta = np.zeros(max(k - 1, 1))
    scale = regress(gram, beta) / (columns.shape[1] - 1)
    return Partial(
        beta=tuple(float(b) for b in beta[: k - 1]),
        beta_se=tuple(math.sqrt(scale * v) for v in np.diag(inverse)),
        rho=rho,
        sigma_m=math.sqrt(scale * (1.0 - walk)),
        sigma_r=math.sqrt(scale * walk),
        loglik=float(found[2]),
        ratio_walk=float(found[0]),
        ratio_ar=float(found[1]),
        rho_ar=float(found[5]),
        n=columns.shape[1],
    )


def reverting_part(y: Any, x: Any, fit: Partial) -> np.ndarray:
    """The filtered mean-reverting part M_t of the spread, float64 [T]: what is traded; uses no later value."""
    columns = columns_of(y, x)
    total = fit.sigma_m**2 + fit.sigma_r**2
    out = np.empty(columns.shape)
    split(columns, fit.rho, fit.sigma_r**2 / total, out)
    return np.asarray(out[0] - np.array(fit.beta) @ out[1:] if fit.beta else out[0])


def partial_test(fit: Partial, *, draws: int = 500) -> PartialTest:
    """p of both ratios by `draws` simulated samples of each null with as many hedges and observations."""
    k = len(fit.beta)
    walk = null_ratios(fit.n, k, 1.0, draws)[0]
    ar = null_ratios(fit.n, k, round(min(max(fit.rho_ar, -0.9), 0.99), 2), draws)[1]
    floor = 1.0 / (draws + 1)
    p_walk = (1 + int((walk >= fit.ratio_walk).sum())) * floor
    p_ar = (1 + int((ar >= fit.ratio_ar).sum())) * floor
    return PartialTest(fit.ratio_walk, p_walk, fit.ratio_ar, p_ar, floor, fit.n)


@lru_cache(maxsize=64)
def null_ratios(n: int, hedges: int, rho: float, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """(ratios against the walk, against AR(1)) of samples whose spread is an AR(1) with `rho`, a walk for rho = 1.

    The hedges are random walks; the ratios depend on neither beta nor scale.
    """
    if n < LEAST or draws < 1 or not -1.0 < rho <= 1.0:
        raise ConfigError(f"partial null: expected n >= {LEAST}, draws >= 1, rho in (-1, 1], got {n}, {draws}, {rho}")
    rng = np.random.default_rng((SEED, n, hedges, round(1e4 * (rho + 1.0))))
    sets = rng.standard_normal((draws, hedges + 1, n))
    sets[:, 1:] = np.cumsum(sets[:, 1:], axis=2)
    if rho == 1.0:
        sets[:, 0] = np.cumsum(sets[:, 0], axis=1)
    else:
        sets[:, 0, 0] /= math.sqrt(1.0 - rho * rho)
        for t in range(1, n):
            sets[:, 0, t] += rho * sets[:, 0, t - 1]
    out = np.empty((draws, 6))
    ratios_of_sets(np.ascontiguousarray(sets - sets[:, :, :1]), out)
    return out[:, 0].copy(), out[:, 1].copy()
