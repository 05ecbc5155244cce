"""Ornstein-Uhlenbeck by exact likelihood: dX = kappa (level - X) dt + sigma dW, sampled every `dt`.

    X_{t+1} = level (1 - b) + b X_t + e,   b = exp(-kappa dt),   var e = sigma^2 (1 - b^2) / (2 kappa)

so the likelihood given the first value is least squares. The estimate is biased towards reversion by about
4 / T (T the span), and a random walk shows a half-life too; therefore a fit carries the median-unbiased
kappa, an interval from the simulated law of the slope (not from a normal one; it may reach kappa = 0, an
infinite half-life) and the share of matched-length random walks that look at least as fast.

Bias: Tang and Chen (2009), doi:10.1016/j.jeconom.2008.11.001; jackknife: Phillips and Yu (2005),
doi:10.1093/rfs/hhi018; s-score: Avellaneda and Lee (2010), doi:10.1080/14697680903124632.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.signals.reversion.checks import one_series, positive, rows_of, share
from oneprice.signals.reversion.slopes import slope_law, walk_slopes
from oneprice.signals.reversion.walks import percentile_among

LEAST = 20  # observations

OU = record(
    [
        ("n", "i8"),  # observations
        ("series", "i8"),  # how many were regressed on each other to make the spread; 1: none
        ("slope", "f8"),  # b
        ("kappa", "f8"),  # 1 / time, -ln(b) / dt; <= 0: no reversion seen; inf: b <= 0
        ("level", "f8"),  # the mean, units of the spread; NaN without reversion
        ("sigma", "f8"),  # units / sqrt(time)
        ("sigma_eq", "f8"),  # stationary standard deviation, units; NaN without reversion
        ("half_life", "f8"),  # ln 2 / kappa, time; inf without reversion, 0 when b <= 0
        ("kappa_unbiased", "f8"),  # median-unbiased
        ("kappa_low", "f8"),  # the interval; 0: a walk cannot be excluded
        ("kappa_high", "f8"),
        ("half_life_low", "f8"),
        ("half_life_high", "f8"),  # inf: a walk cannot be excluded
        ("walk_percentile", "f8"),  # % of matched walks at least as fast; small: unlike a walk
        ("score", "f8"),  # (last - level) / sigma_eq
    ]
)


def fit_ou(spread: Any, dt: float, *, series: int = 1, confidence: float = 0.95) -> Any:
    """The fit of one spread [T]: a record of OU, fields as attributes; see `ou_block`."""
    rows = one_series(spread, LEAST, "ou")[None, :]
    return ou_block(rows, dt, series=series, confidence=confidence).view(np.recarray)[0]


def ou_block(spreads: Any, dt: float, *, series: int = 1, confidence: float = 0.95) -> np.ndarray:
    """Fits of many spreads at once.

    Parameters
    ----------
    spreads: float64 [n, T], one spread a row, equally spaced, T >= 20. dt: time between observations in the
    unit wanted for kappa and half-lives (1: bars; 1 / 252: years of daily bars). series: how many series were
    regressed on each other to make the spread on these same observations (1: weights from outside, 2: a pair, at
    most 12): such a residual looks faster than its spread is, and interval, median and percentile allow for it.
    confidence: of the interval.

    Returns
    -------
    Records of OU, shape [n]. Raises DataError for holes, constant or short rows.
    """
    x = rows_of(spreads, LEAST, "ou")
    step = positive("dt", dt)
    tail = 0.5 * (1.0 - share("confidence", confidence))
    out = np.zeros(len(x), OU)
    fit_rows(x, step, out)
    law = slope_law(x.shape[1], series)
    out["series"] = series
    b = out["slope"]
    with np.errstate(divide="ignore"):
        for name, level in (("unbiased", 0.5), ("low", tail), ("high", 1.0 - tail)):
            out[f"kappa_{name}"] = -np.log(law.invert(b, level)) / step + 0.0
        out["half_life_low"] = math.log(2.0) / out["kappa_high"]
        out["half_life_high"] = math.log(2.0) / out["kappa_low"]
    out["walk_percentile"] = walk_percentile(b, x.shape[1], series)
    return out


def walk_percentile(slope: Any, n: int, series: int = 1) -> np.ndarray:
    """Percent of matched walks (`walks`) whose slope is at most `slope`, as fast or faster; small: unlike a walk."""
    return percentile_among(walk_slopes(n, series), slope)


@njit
def fit_rows(x: Any, dt: float, out: Any) -> None:
    """Likelihood estimates of each row of x [n, T] into OU records (interval and percentile apart)."""
    n, length = x.shape
    m = length - 1
    for i in range(n):
        row = x[i]
        r = out[i]
        base = row[0]
        sums = 0.0
        for t in range(m):
            sums += row[t] - base
        before = sums / m
        after = before + (row[m] - base) / m
        xx = 0.0
        xy = 0.0
        yy = 0.0
        for t in range(m):
            d = row[t] - base - before
            e = row[t + 1] - base - after
            xx += d * d
            xy += d * e
            yy += e * e
        b = xy / xx
        noise = max(yy - b * xy, 0.0) / m
        r.n = length
        r.slope = b
        natural(r, b, noise, dt)
        r.level = base + (after - b * before) / (1.0 - b) if b < 1.0 else math.nan
        r.score = (row[m] - r.level) / r.sigma_eq


@njit
def natural(r: Any, b: float, noise: float, dt: float) -> None:
    """kappa, sigma, sigma_eq and half-life from slope and variance of the shocks."""
    if b <= 0.0:  # no OU has such a slope: faster than can be seen at this spacing
        r.kappa = math.inf
        r.half_life = 0.0
        r.sigma = math.nan
        r.sigma_eq = math.sqrt(noise / (1.0 - b * b)) if b > -1.0 else math.nan
        return
    r.kappa = -math.log(b) / dt
    if b >= 1.0:
        r.half_life = math.inf
        r.sigma = math.sqrt(noise / dt)
        r.sigma_eq = math.nan
        return
    r.half_life = math.log(2.0) / r.kappa
    r.sigma_eq = math.sqrt(noise / (1.0 - b * b))
    r.sigma = r.sigma_eq * math.sqrt(2.0 * r.kappa)


def kappa_jackknife(spread: Any, dt: float, blocks: int = 2) -> float:
    """kappa with the first-order bias taken out by `blocks` equal sub-samples, 1 / time.

    kappa_J = m / (m - 1) kappa - sum of kappa_i / (m^2 - m). Noisier than kappa; NaN when a piece has b <= 0.
    """
    if blocks < 2:
        raise ConfigError(f"jackknife: expected 2 blocks or more, got {blocks}")
    x = one_series(spread, LEAST * blocks, "jackknife")
    size = len(x) // blocks
    whole = np.zeros(1, OU)
    fit_rows(x[None, :], positive("dt", dt), whole)
    parts = np.zeros(blocks, OU)
    fit_rows(rows_of(x[: size * blocks].reshape(blocks, size), LEAST, "jackknife piece"), dt, parts)
    all_kappas = np.concatenate([whole["kappa"], parts["kappa"]])
    if not np.isfinite(all_kappas).all():
        return math.nan
    return float(blocks * whole["kappa"][0] / (blocks - 1) - parts["kappa"].sum() / (blocks * blocks - blocks))


def kappa_bias(kappa: float, dt: float, n: int) -> float:
    """Expected kappa_hat - kappa for n observations and an estimated level, 1 / time (Tang and Chen).

    (5 + 2 e^(kappa dt) + e^(2 kappa dt)) / (2 n dt), which tends to 4 / T for small dt.
    """
    g = math.exp(positive("kappa", kappa) * positive("dt", dt))
    return (5.0 + 2.0 * g + g * g) / (2.0 * n * dt)


def half_life_beyond_noise(spread: Any, dt: float) -> float:
    """Half-life with the value before last as the instrument, in time: not deceived by noise in single observations.

    Stale closes and bounces between bid and ask add noise that does not last; least squares takes it for fast reversion
    (noise as large as a shock turns a half-life of 20 bars into 6). cov(X_t, X_{t-2}) /
    cov(X_{t-1}, X_{t-2}) is free of it. Less precise than `fit_ou` where there is no noise: a check beside it, with no
    interval. inf for a slope of 1 or more, NaN when the covariances have no positive ratio.
    """
    x = one_series(spread, LEAST, "half-life")
    d = x - x.mean()
    top, bottom = float(d[2:] @ d[:-2]), float(d[1:-1] @ d[:-2])
    slope = top / bottom if bottom > 0.0 else math.nan
    if not slope > 0.0:
        return math.nan
    return math.inf if slope >= 1.0 else -math.log(2.0) * positive("dt", dt) / math.log(slope)


def s_scores(spread: Any, level: float, sigma_eq: float) -> np.ndarray:
    """(X - level) / sigma_eq of each observation [T]: how many equilibrium deviations away."""
    return (np.ascontiguousarray(spread, np.float64) - level) / positive("sigma_eq", sigma_eq)
