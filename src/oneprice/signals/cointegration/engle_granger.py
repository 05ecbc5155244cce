"""Engle-Granger: are two or more series tied together? One hypothesis a relation.

    y_t = a + sum_i b_i x_{i,t} + e_t  by least squares;  stat = ADF t of e (no constant: the regression had it)

Small values reject "no cointegration". The null is simulated for this length, lag rule, trend and number of series,
or MacKinnon's surface for N series (never Dickey-Fuller's own), or wild: walks made of the series' own steps, each row
with a random sign, so that a crisis in the sample is in the null too (with volatility five times higher in the first
half of 250 rows the other two reject 25 % at 5 %). Which series stands on the left is a choice to make in advance;
`both_orders` gives both for inspection, and they remain one hypothesis.

The least-squares slope is superconsistent but its usual standard error assumes independent residuals, so it is too
small for a slowly reverting spread. `dynamic` adds leads and lags of the differences (Stock and Watson) and a
long-run variance: its standard error is the one to quote.

Sources: Cavaliere and Taylor (2008), Econometric Theory 24, 43-71 (wild bootstrap of unit roots); Engle and Granger
(1987), doi:10.2307/1913236; Stock and Watson (1993), doi:10.2307/2951763; Newey and West (1994), doi:10.2307/2297912.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from oneprice.core.errors import DataError, unknown_name
from oneprice.signals.cointegration.kernels import COLLINEAR, null_tests, residual_tests
from oneprice.signals.unit_root.inputs import block, lag_rule, trend_code
from oneprice.signals.unit_root.null import DRAWS, LONGEST, Null, cached, null_of, simulate
from oneprice.signals.unit_root.result import NULLS as ROOT_NULLS
from oneprice.signals.unit_root.result import RootTest, judged
from oneprice.signals.unit_root.surfaces import mackinnon_critical, mackinnon_p

NULLS = (*ROOT_NULLS, "wild")
WILD_DRAWS, WILD_BATCH = 4_999, 250


class EngleGranger(RootTest, frozen=True, kw_only=True):
    """Result of `engle_granger`: the residual's test, and the relation.

    `hedge` the slopes (units of y per unit of x), `hedge_se` their least-squares standard errors, `dynamic` and
    `dynamic_se` those with leads and lags and a long-run variance (NaN where the sample is too short). `constant` is 0
    without one.
    """

    hedge: tuple[float, ...]
    hedge_se: tuple[float, ...]
    dynamic: tuple[float, ...]
    dynamic_se: tuple[float, ...]
    constant: float
    r_squared: float


def engle_granger(
    y: Any,
    *x: Any,
    trend: str = "c",
    lags: int | str = 1,
    max_lags: int | None = None,
    null: str = "simulated",
    draws: int = DRAWS,
) -> EngleGranger:
    """Test of y on one to five regressors, each of shape (T,), in one unit of account; NaN is refused.

    trend of the cointegrating regression: "n", "c" or "ct". lags of the residual's ADF: an integer fixed in advance,
    "aic" or "bic" (among 0..max_lags). null: "simulated", "surface" or "wild" (at most WILD_DRAWS draws, not kept).

    At R^2 >= 1 - 1.49e-6 the residual is rounding: the statistic is -inf and p the floor.
    Raises DataError for series that cannot be tested (gaps, constant, duplicated, too short), ConfigError for settings.
    """
    if not x:
        raise DataError("engle_granger: expected y and at least one regressor, got y alone")
    if len({np.shape(v) for v in (y, *x)}) != 1:
        raise DataError(f"engle_granger: expected series of one length, got {[np.shape(v) for v in (y, *x)]}")
    series = block(np.stack([np.asarray(v, np.float64) for v in (y, *x)]))
    if null not in NULLS:
        raise unknown_name("null", null, list(NULLS))
    n_series, n = series.shape
    count, criterion = lag_rule(lags, n, 0, max_lags)
    settings = (count, trend_code(trend), criterion)
    stat, used = np.empty(1), np.empty(1, np.int64)
    residual_tests(series[None], settings, stat, used)
    if null == "surface":
        p, floor = mackinnon_p(stat[0], trend=trend, n_series=n_series), 0.0
        criticals = mackinnon_critical(trend=trend, n_series=n_series, n_obs=n - 1)
    else:
        if null == "wild":
            law = wild_null(series, settings, min(draws, WILD_DRAWS))
        else:
            law = engle_granger_null(n, lags=count, criterion=criterion, trend=trend, n_series=n_series, draws=draws)
        p, floor, criticals = judged(law, stat[0])
    hedge, errors, constant, short = least_squares(series, trend)
    slopes, robust = dynamic_least_squares(series, trend)
    return EngleGranger(
        stat=float(stat[0]), p=p, floor=floor, hedge=hedge, hedge_se=errors, dynamic=slopes, dynamic_se=robust,
        constant=constant, r_squared=1.0 - short, lags=int(used[0]), trend=trend, n_obs=n - 1 - int(used[0]),
        null=null, criticals=criticals,
    )  # fmt: skip


def both_orders(y: Any, x: Any, **settings: Any) -> tuple[EngleGranger, EngleGranger]:
    """(y on x, x on y): two looks at one hypothesis. Settings as for `engle_granger`."""
    return engle_granger(y, x, **settings), engle_granger(x, y, **settings)


@lru_cache(maxsize=32)
def engle_granger_null(
    n_obs: int,
    *,
    lags: int,
    criterion: int = 0,
    trend: str = "c",
    n_series: int = 2,
    draws: int = DRAWS,
    seed: int = 0,
) -> Null:
    """Simulated null of the statistic for a length, lags (or most lags and criterion), trend and number of series."""
    length = min(n_obs, LONGEST)
    settings = (lags, trend_code(trend), criterion)

    def fill(walks: np.ndarray, out: np.ndarray) -> None:
        null_tests(walks, settings, out)

    rule = f"T={length}|lags={lags}|criterion={criterion}|trend={trend}|N={n_series}|draws={draws}|seed={seed}"
    return cached(f"engle-granger|{rule}", lambda: simulate(fill, length, n_series, draws, seed))


def wild_null(series: np.ndarray, settings: tuple[int, int, int], draws: int, seed: int = 0) -> Null:
    """Null of series [N, T] by wild bootstrap: their steps with one random sign a row, added up.

    The sign is common to the series of a row, so their correlation stays, and the size of each row's move stays.
    Serial correlation of the steps does not: choose lags for it.
    """
    n_series, n = series.shape
    steps = np.diff(series, axis=1)
    steps = steps - steps.mean(axis=1, keepdims=True)
    rng = np.random.default_rng(np.random.SeedSequence([seed, n, n_series]))
    out, walks = np.empty(draws), np.zeros((WILD_BATCH, n_series, n))
    for at in range(0, draws, WILD_BATCH):
        m = min(WILD_BATCH, draws - at)
        signs = rng.integers(0, 2, (m, 1, n - 1)) * 2.0 - 1.0
        np.cumsum(steps * signs, axis=2, out=walks[:m, :, 1:])
        null_tests(walks[:m], settings, out[at : at + m])
    return null_of("engle-granger wild", out)


def design(series: np.ndarray, trend: str) -> np.ndarray:
    """Regressors [k, T]: x..., then 1 and time (in units of T) as the trend says."""
    n = series.shape[1]
    return np.vstack([series[1:], np.ones((1, n)), np.arange(n)[None] / n][: 1 + trend_code(trend)])


def least_squares(series: np.ndarray, trend: str) -> tuple[tuple[float, ...], tuple[float, ...], float, float]:
    """(slopes, their standard errors with iid residuals, constant, 1 - R^2) of series[0] on the others."""
    level, centred = centre(series, trend)
    z = design(centred, trend)
    b, inverse = solve(z, centred[0])
    e = centred[0] - b @ z
    n_x = len(series) - 1
    error = np.sqrt(np.diag(inverse) * (e @ e) / (len(e) - len(z)))
    constant = float(level[0] - b[:n_x] @ level[1:] + b[n_x]) if trend != "n" else 0.0
    short = float(e @ e / (centred[0] @ centred[0]))
    return tuple(map(float, b[:n_x])), tuple(map(float, error[:n_x])), constant, short


def centre(series: np.ndarray, trend: str) -> tuple[np.ndarray, np.ndarray]:
    """(means [N], series less their means): a constant absorbs a level, which would hide small moves in rounding.

    Without a constant the level is part of the relation: means of 0, series as they are.
    """
    level = np.zeros(len(series)) if trend == "n" else series.mean(axis=1)
    return level, series - level[:, None]


def dynamic_least_squares(series: np.ndarray, trend: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Slopes with k = ceil(T^(1/3)) / 2 leads and lags of the regressors' differences, and their standard errors.

    The long-run variance of the residual is Bartlett's with bandwidth 4 (T/100)^(2/9), prewhitened by an AR(1).
    """
    n_x, n = len(series) - 1, series.shape[1]
    k = math.ceil(n ** (1.0 / 3.0)) // 2
    nothing = (math.nan,) * n_x
    if n - 2 * k - 1 <= 2 * (n_x * (2 * k + 2) + 2):
        return nothing, nothing
    steps = np.diff(series[1:], axis=1)
    rows = slice(k + 1, n - k)
    moved = [steps[:, k + j : n - 1 - k + j] for j in range(-k, k + 1)]
    centred = centre(series, trend)[1]
    z = np.vstack([design(centred, trend)[:, rows], *moved])
    y = centred[0, rows]
    b, inverse = solve(z, y)
    e = y - b @ z
    if not e @ e > COLLINEAR * (y - y.mean()) @ (y - y.mean()):
        return tuple(map(float, b[:n_x])), nothing
    error = np.sqrt(np.diag(inverse)[:n_x] * long_run_variance(e))
    return tuple(map(float, b[:n_x])), tuple(map(float, error))


def solve(z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(coefficients, inverse of z z') by singular values; directions below rounding are left out.

    Rows are brought to one size first, so that what is left out does not depend on the units of a row.
    """
    size = np.abs(z).max(axis=1)
    size[size == 0.0] = 1.0
    u, s, vt = np.linalg.svd((z / size[:, None]).T, full_matrices=False)
    keep = s > s[0] * len(y) * np.finfo(float).eps
    v = vt[keep].T / s[keep] / size[:, None]
    return v @ (u[:, keep].T @ y), v @ v.T


def long_run_variance(e: np.ndarray) -> float:
    """Long-run variance: Bartlett on the innovations of an AR(1), recoloured; its root is held below 0.97."""
    r = min(float(e[1:] @ e[:-1] / (e[:-1] @ e[:-1])), 0.97)
    u = e[1:] - r * e[:-1]
    n = len(u)
    width = int(4.0 * (n / 100.0) ** (2.0 / 9.0))
    total = float(u @ u)
    for j in range(1, width + 1):
        total += 2.0 * (1.0 - j / (width + 1.0)) * float(u[j:] @ u[:-j])
    return total / n / (1.0 - r) ** 2
