"""Total least squares: the line nearest to the points when both series carry noise, so that no side is "the" y.

    (beta, -1) is the eigenvector of least eigenvalue of the 2 x 2 covariance of (x, y):
    beta = (d + sqrt(d^2 + 4 S_xy^2)) / (2 S_xy),  d = S_yy - ratio S_xx   (ratio = 1: orthogonal)

`ratio` is Var(noise of y) / Var(noise of x) (Deming regression). Regressing x on y gives exactly 1 / beta, which
least squares does not. Not invariant to units unless `ratio` moves with them: for prices of different size use
logs, or a ratio.

References: W. E. Deming (1943), Statistical Adjustment of Data; W. A. Fuller (1987), Measurement Error Models,
section 1.3 (the asymptotic variance).
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from oneprice.core.errors import ConfigError, DataError
from oneprice.signals.hedge.checks import pair


class LineFit(msgspec.Struct, frozen=True):
    """y = beta x + mu; residual_sd of y - beta x - mu; beta_se holds for independent errors only."""

    beta: float
    mu: float
    beta_se: float
    residual_sd: float
    n: int


def fit_tls(y: Any, x: Any, *, ratio: float = 1.0) -> LineFit:
    """Total least squares of y on x, shapes (n,).

    Raises DataError for bad series or when they are uncorrelated to the last digit (no line), ConfigError unless
    ratio is positive and finite.
    """
    if not (ratio > 0.0 and math.isfinite(ratio)):
        raise ConfigError(f"total least squares: expected ratio > 0, got {ratio}")
    a, b = pair(y, x, 3)
    n = len(a)
    dy, dx = a - a.mean(), b - b.mean()
    s_xx, s_xy, s_yy = float(dx @ dx) / n, float(dx @ dy) / n, float(dy @ dy) / n
    if s_xy == 0.0:
        raise DataError("total least squares: expected correlated series, got covariance 0")
    d = s_yy - ratio * s_xx
    root = math.sqrt(d * d + 4.0 * ratio * s_xy * s_xy)
    # the form without cancellation
    beta = (d + root) / (2.0 * s_xy) if d >= 0.0 else 2.0 * ratio * s_xy / (root - d)
    residual = dy - beta * dx
    v = float(residual @ residual) / (n - 2)
    noise_x = v / (ratio + beta * beta)
    signal = s_xy / beta  # variance of the true x
    cross = -beta * noise_x
    variance = (signal * v + noise_x * v - cross * cross) / (n * signal * signal)
    return LineFit(beta, float(a.mean() - beta * b.mean()), math.sqrt(max(0.0, variance)), math.sqrt(v), n)
