"""Residuals of stocks on eigenportfolios as mean-reverting processes, and their s-scores.

    R_i = alpha_i + sum_j beta_ij F_j + e_i            over the last 60 days, by least squares
    X_k = e_1 + ... + e_k                              (X_60 = 0: residuals add to zero)
    X_{k+1} = a + b X_k + zeta;  kappa = -ln b * 252,  m = a / (1 - b),  sigma_eq = sd(zeta) / sqrt(1 - b^2)
    s = (X_60 - m + mean of m over stocks) / sigma_eq,  s_mod = s - alpha * 252 / (kappa sigma_eq)

A spread is traded by holding the stock against its eigenportfolios (`hedges`), so it can be priced and costed.

What the published cut kappa > 8.4 is worth: 60 days of a random walk pass it about four times out of five (b is
biased down), so it selects noise. It is here for replication, off by default; judge reversion by the
percentile on random walks of the same length. Published Sharpe ratios are gross of what the rule costs today.

Reference: M. Avellaneda, J.-H. Lee (2010), doi:10.1080/14697680903124632, sections 3 and 4, appendix A.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.jit import njit
from oneprice.signals.factors.pca import Factors, checked_panel, pca_factors

DAYS_A_YEAR = 252.0
OPEN, CLOSE_SHORT, CLOSE_LONG = 1.25, 0.75, 0.50
LEAST_KAPPA = 8.4  # 252 / 30, the paper's


class Scores(msgspec.Struct, frozen=True):
    """One day's scores of N stocks, each float64 (N,), per year where a rate; NaN where 0 < b < 1 does not hold.

    s: with m centred across stocks. s_mod: less the drift that is left. loadings: (N, k). alpha: per year.
    """

    s: np.ndarray
    s_mod: np.ndarray
    kappa: np.ndarray
    m: np.ndarray
    sigma_eq: np.ndarray
    alpha: np.ndarray
    loadings: np.ndarray
    residuals: np.ndarray
    factors: Factors

    def hedges(self) -> np.ndarray:
        """(N, N): row i holds the notional weights of spread i: +1 of stock i, less its eigenportfolios."""
        return np.asarray(np.eye(len(self.s)) - self.loadings @ self.factors.weights)


def reversion(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(b, m, sd of X at rest) of AR(1) fits with constant to each row of x, shape (N, L); by least squares.

    sigma_eq^2 = Var(zeta) / (1 - b^2), Var(zeta) with L - 1 in the denominator as in the paper's estimates.
    NaN where b is outside of (0, 1).
    """
    before, after = x[:, :-1], x[:, 1:]
    length = before.shape[1]
    mean_before, mean_after = before.mean(axis=1), after.mean(axis=1)
    d = before - mean_before[:, None]
    e = after - mean_after[:, None]
    square = np.einsum("ij,ij->i", d, d)
    with np.errstate(divide="ignore", invalid="ignore"):
        b = np.einsum("ij,ij->i", d, e) / square
        b = np.where((b > 0.0) & (b < 1.0), b, math.nan)
        m = (mean_after - b * mean_before) / (1.0 - b)
        zeta = e - b[:, None] * d
        variance = np.einsum("ij,ij->i", zeta, zeta) / length
        return b, m, np.sqrt(variance / (1.0 - b * b))


def residual_scores(
    returns: Any, *, window: int = 60, count: int = 15, share: float | None = None, factors: Factors | None = None
) -> Scores:
    """Scores at the end of a panel.

    Parameters
    ----------
    returns: float64 (N, T): all T days make the correlation matrix, the last `window` the residuals.
    count, share: of factors, as in `pca_factors`; or `factors` made before.
    window: days of the residual regression; at least the number of factors + 10.

    Raises
    ------
    DataError for the panel, ConfigError when the window is too short for the factors.
    """
    r = checked_panel(returns)
    found = factors if factors is not None else pca_factors(r, count=count, share=share)
    k = len(found.eigenvalues)
    if found.vectors.shape[1] != len(r):
        raise DataError(f"scores: expected factors of {len(r)} assets, got {found.vectors.shape[1]}")
    if not k + 10 <= window <= r.shape[1]:
        raise ConfigError(
            f"scores: expected window in {k + 10}..{r.shape[1]} for {k} factors and {r.shape[1]} days, got {window}"
        )
    last = r[:, -window:]
    f = found.returns(last)
    f_mean, r_mean = f.mean(axis=1), last.mean(axis=1)
    d, y = f - f_mean[:, None], last - r_mean[:, None]
    try:
        loadings = np.linalg.solve(d @ d.T, d @ y.T).T
    except np.linalg.LinAlgError as error:
        raise DataError("scores: the factor returns of the window are collinear: expected fewer factors") from error
    residuals = y - loadings @ d
    alpha = (r_mean - loadings @ f_mean) * DAYS_A_YEAR
    b, m, sigma_eq = reversion(np.cumsum(residuals, axis=1))
    kappa = -np.log(b) * DAYS_A_YEAR
    center = float(np.nanmean(m)) if np.isfinite(m).any() else math.nan
    s = (center - m) / sigma_eq
    return Scores(s, s - alpha / (kappa * sigma_eq), kappa, m, sigma_eq, alpha, loadings, residuals, found)


def rolling_scores(
    returns: Any,
    *,
    correlation_window: int = 252,
    window: int = 60,
    count: int = 15,
    share: float | None = None,
    every: int = 1,
) -> Iterator[tuple[int, Scores]]:
    """(t, scores after the days t - correlation_window .. t - 1): what may be traded on day t.

    returns: float64 (N, T). Raises as `residual_scores`.
    """
    r = checked_panel(returns, correlation_window)
    if every < 1:
        raise ConfigError(f"scores: expected every >= 1, got {every}")
    for t in range(correlation_window, r.shape[1] + 1, every):
        yield t, residual_scores(r[:, t - correlation_window : t], window=window, count=count, share=share)


@njit
def next_position(position: int, s: float, kappa: float, least_kappa: float) -> int:
    """The published rule for one spread: -1 (short), 0 or +1 (long) after seeing score s.

    Open long below -1.25 and short above +1.25 when kappa > least_kappa (0: no cut); close a short below +0.75
    and a long above -0.50. A score that is not finite closes: the residual has stopped to revert.
    """
    if not math.isfinite(s):
        return 0
    if position < 0:
        position = 0 if s < CLOSE_SHORT else -1
    elif position > 0:
        position = 0 if s > -CLOSE_LONG else 1
    if position == 0 and kappa > least_kappa:
        if s < -OPEN:
            return 1
        if s > OPEN:
            return -1
    return position


def walk_pass_share(seed: int, walks: int, days: int, least_kappa: float) -> float:
    """Share of random walks of `days` steps whose fitted kappa exceeds the cut: what the cut lets through."""
    rng = np.random.default_rng(seed)
    return float(_passed(rng, walks, days, least_kappa)) / walks


@njit
def _passed(rng: Any, walks: int, days: int, least_kappa: float) -> int:
    passed = 0
    x = np.empty(days)
    for _ in range(walks):
        level = 0.0
        for i in range(days):
            level += rng.standard_normal()
            x[i] = level
        first, second = 0.0, 0.0
        for i in range(days - 1):
            first += x[i]
            second += x[i + 1]
        first /= days - 1
        second /= days - 1
        xx, xy = 0.0, 0.0
        for i in range(days - 1):
            d = x[i] - first
            xx += d * d
            xy += d * (x[i + 1] - second)
        b = xy / xx
        if b <= 0.0 or -math.log(b) * DAYS_A_YEAR > least_kappa:
            passed += 1
    return passed
