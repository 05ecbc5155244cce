"""Phillips-Ouliaris: four residual-based tests that correct for serial correlation instead of adding lags.

With e the residual of y on x and the trend, rho its AR(1) slope, k = e_t - rho e_{t-1}, and lambda, omega the
one-sided and the long-run variance of k (Bartlett):

    Za = T z,  Zt = z / sqrt(omega / sum e^2),  z = (rho - 1) - T lambda / sum e^2      small values reject
    Pu = T omega_{11.2} / (sum e^2 / T),  Pz = T tr(Omega M_zz^-1)                      large values reject

Omega is the long-run covariance of the residuals of a VAR(1) of (y, x); omega_{11.2} that of y given x. Pz does not
depend on which series stands on the left. p-values are simulated for the length, trend and bandwidth rule.

Source: Phillips and Ouliaris (1990), doi:10.2307/2938339; Andrews (1991), doi:10.2307/2938229 (bandwidth, with the
truncation of Newey and West 1994, doi:10.2307/2297912).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.jit import njit
from oneprice.signals.cointegration.kernels import COLLINEAR, regress
from oneprice.signals.unit_root.inputs import block, trend_code
from oneprice.signals.unit_root.kernels import deterministic
from oneprice.signals.unit_root.null import Null, kept, null_of, p_text, simulate

DRAWS = 19_999
LONGEST = 1_000
STATISTICS = ("za", "zt", "pu", "pz")


class PhillipsOuliaris(msgspec.Struct, frozen=True):
    """Result of `phillips_ouliaris`: statistics and p-values in the order za, zt, pu, pz; no verdict.

    `bandwidth_z`, `bandwidth_p`: of the residual's and of the VAR's long-run (co)variance, in steps.
    """

    za: float
    zt: float
    pu: float
    pz: float
    p: tuple[float, float, float, float]
    floor: float
    bandwidth_z: float
    bandwidth_p: float
    trend: str
    n_obs: int

    @property
    def p_text(self) -> tuple[str, ...]:
        """Each p, or "< floor"."""
        return tuple(p_text(p, self.floor) for p in self.p)


def phillips_ouliaris(
    y: Any, *x: Any, trend: str = "c", bandwidth: float | None = None, draws: int = DRAWS
) -> PhillipsOuliaris:
    """The four tests of y on one or more regressors, each of shape (T,); NaN is refused.

    trend: "n", "c", "ct". bandwidth of the Bartlett kernel in steps (0: no serial correlation); None: automatic.

    Raises DataError for series that cannot be tested (gaps, constant, duplicated, collinear, too short).
    """
    if not x:
        raise DataError("phillips_ouliaris: expected y and at least one regressor, got y alone")
    if len({np.shape(v) for v in (y, *x)}) != 1:
        raise DataError(f"phillips_ouliaris: expected series of one length, got {[np.shape(v) for v in (y, *x)]}")
    series = block(np.stack([np.asarray(v, np.float64) for v in (y, *x)]), least=16)
    if bandwidth is not None and not 0.0 <= bandwidth < series.shape[1] - 1:
        raise ConfigError(f"bandwidth: expected 0 <= bandwidth < {series.shape[1] - 1}, got {bandwidth}")
    width = -1.0 if bandwidth is None else float(bandwidth)
    stats = np.empty((1, 6))
    statistics_rows(series[None], trend_code(trend), width, stats)
    if not np.isfinite(stats).all():
        raise DataError("phillips_ouliaris: the series are collinear (R^2 within 1.5e-6 of 1): no test is possible")
    laws = phillips_ouliaris_null(series.shape[1], len(series), trend=trend, bandwidth=width, draws=draws)
    p = tuple(float(law.p(v)) for law, v in zip(laws, stats[0], strict=False))
    za, zt, pu, pz, wide_z, wide_p = map(float, stats[0])
    return PhillipsOuliaris(
        za, zt, pu, pz, (p[0], p[1], p[2], p[3]), laws[0].floor, wide_z, wide_p, trend, series.shape[1]
    )


@lru_cache(maxsize=16)
def phillips_ouliaris_null(
    n_obs: int, n_series: int, *, trend: str = "c", bandwidth: float = -1.0, draws: int = DRAWS, seed: int = 0
) -> tuple[Null, ...]:
    """Nulls of za, zt, pu, pz for driftless walks; bandwidth -1 for the automatic rule."""
    length = min(n_obs, LONGEST)
    code = trend_code(trend)
    rule = f"T={length}|N={n_series}|trend={trend}|bandwidth={bandwidth}|draws={draws}|seed={seed}"

    def fill(walks: np.ndarray, out: np.ndarray) -> None:
        statistics_rows(walks, code, bandwidth, out)

    found = kept(f"phillips-ouliaris|{rule}", lambda: simulate(fill, length, n_series, draws, seed, width=6))
    return tuple(null_of(f"{s}|{rule}", found[:, i], upper=i >= 2) for i, s in enumerate(STATISTICS))


@njit
def project(rows: Any, m: int) -> None:
    """Rows m.. of `rows` less their projection on rows 0..m-1 (overwritten by an orthonormal basis)."""
    n = rows.shape[1]
    for k in range(m):
        q = rows[k]
        length = math.sqrt(np.dot(q, q))
        if length > 0.0:
            for t in range(n):
                q[t] /= length
        for j in range(k + 1, len(rows)):
            c = rows[j]
            r = np.dot(q, c)
            for t in range(n):
                c[t] -= r * q[t]


@njit
def automatic_bandwidth(v: Any) -> float:
    """1.1447 (alpha n)^(1/3) of a series v [n], alpha from its first ceil(4 (n/100)^(2/9)) autocovariances."""
    n = len(v)
    zero, first = np.dot(v, v) / n, 0.0
    for j in range(1, math.ceil(4.0 * (n / 100.0) ** (2.0 / 9.0)) + 1):
        s = 2.0 * np.dot(v[j:], v[: n - j]) / n
        zero += s
        first += j * s
    alpha = (first / zero) ** 2
    return min(1.1447 * (alpha * n) ** (1.0 / 3.0), n - 1.0)


@njit
def one_sided(a: Any, b: Any, bandwidth: float) -> float:
    """sum_{i>=1} w_i a_t b_{t-i} / n with Bartlett weights."""
    n = len(a)
    total = 0.0
    for i in range(1, int(bandwidth) + 1):
        total += (bandwidth + 1.0 - i) / (bandwidth + 1.0) * np.dot(a[i:], b[: n - i])
    return total / n


@njit
def solve_in_place(a: Any, b: Any, k: int) -> None:
    """b [k, m] becomes a^-1 b for a positive definite a [k, k] (overwritten by its Cholesky factor)."""
    for j in range(k):
        for r in range(j):
            a[j, j] -= a[j, r] * a[j, r]
        a[j, j] = math.sqrt(a[j, j])
        for i in range(j + 1, k):
            for r in range(j):
                a[i, j] -= a[i, r] * a[j, r]
            a[i, j] /= a[j, j]
    for c in range(b.shape[1]):
        for i in range(k):
            for r in range(i):
                b[i, c] -= a[i, r] * b[r, c]
            b[i, c] /= a[i, i]
        for i in range(k - 1, -1, -1):
            for r in range(i + 1, k):
                b[i, c] -= a[r, i] * b[r, c]
            b[i, c] /= a[i, i]


@njit
def z_statistics(e: Any, bandwidth: float, k: Any, out: Any) -> None:
    """Za, Zt into out[0], out[1] and the bandwidth into out[4] from the residual e [T]; k [T-1]: work."""
    n = len(e)
    square = np.dot(e[: n - 1], e[: n - 1])
    rho = np.dot(e[1:], e[: n - 1]) / square
    for t in range(n - 1):
        k[t] = e[t + 1] - rho * e[t]
    wide = automatic_bandwidth(k) if bandwidth < 0.0 else bandwidth
    scale = (n - 1.0) / n
    half = scale * one_sided(k, k, wide)
    long_run = np.dot(k, k) / n + 2.0 * half
    z = (rho - 1.0) - n * half / square
    out[0] = n * z
    out[1] = z / math.sqrt(long_run / square)
    out[4] = wide


@njit
def omega_of(u: Any, at: int, bandwidth: float, omega: Any) -> float:
    """Long-run covariance of rows at.. of u [., n], scaled by n / (n + 1), into omega; returns the bandwidth."""
    k, n = len(omega), u.shape[1]
    wide = bandwidth
    if bandwidth < 0.0:
        v = u[at].copy()
        for i in range(1, k):
            for t in range(n):
                v[t] += u[at + i, t]
        wide = automatic_bandwidth(v)
    for a in range(k):
        for b in range(a + 1):
            x, y = u[at + a], u[at + b]
            total = np.dot(x, y) / n + one_sided(x, y, wide) + one_sided(y, x, wide)
            omega[a, b] = total * n / (n + 1.0)
            omega[b, a] = omega[a, b]
    return wide


@njit
def p_statistics(series: Any, settings: Any, square: float, rows: Any, out: Any) -> None:
    """Pu, Pz into out[2], out[3], the bandwidth into out[5]. settings (trend, bandwidth); square: sum of e_t^2.

    series [N, T]; rows (lead [trend+2N, T-1], flat [trend+N, T]): work.
    """
    trend, bandwidth = settings
    lead, flat = rows
    k, n = series.shape
    deterministic(lead, trend, n - 1)
    deterministic(flat, trend, n)
    for i in range(k):
        first = series[i, 0] if trend == 0 else 0.0
        for t in range(n):
            flat[trend + i, t] = series[i, t] - first
        for t in range(n - 1):
            lead[trend + i, t] = series[i, t]
            lead[trend + k + i, t] = series[i, t + 1]
    project(lead, trend + k)
    omega = np.empty((k, k))
    out[5] = omega_of(lead, trend + k, bandwidth, omega)
    inner, right = np.empty((k, k)), np.empty((k, k))
    for a in range(1, k):
        right[a - 1, 0] = omega[a, 0]
        for b in range(1, k):
            inner[a - 1, b - 1] = omega[a, b]
    solve_in_place(inner, right[: k - 1, :1], k - 1)
    given = omega[0, 0]
    for a in range(1, k):
        given -= omega[0, a] * right[a - 1, 0]
    out[2] = n * given / (square / n)
    project(flat, trend)
    for a in range(k):
        for b in range(k):
            inner[a, b] = np.dot(flat[trend + a], flat[trend + b]) / n
            right[a, b] = omega[a, b]
    solve_in_place(inner, right, k)
    out[3] = 0.0
    for a in range(k):
        out[3] += n * right[a, a]


@njit
def statistics_rows(systems: Any, trend: int, bandwidth: float, out: Any) -> None:
    """(za, zt, pu, pz, bandwidths) of each system [m, N, T] into out [m, 6]; NaN when collinear."""
    k, n = systems.shape[1], systems.shape[2]
    columns, z = np.empty((k + trend + 1, n)), np.empty(k + trend + 1)
    rows = (np.empty((trend + 2 * k, n - 1)), np.empty((trend + k, n)))
    work = np.empty(n - 1)
    for s in range(len(systems)):
        if not regress(systems[s], trend, columns, z) > COLLINEAR:
            for i in range(6):
                out[s, i] = math.nan
            continue
        e = columns[trend + k - 1]
        z_statistics(e, bandwidth, work, out[s])
        p_statistics(systems[s], (trend, bandwidth), np.dot(e, e), rows, out[s])
