"""Johansen's rank test: how many independent relations tie several series, and what they are.

    dX_t = alpha beta' X_{t-1} + sum_{i=1..k} Gamma_i dX_{t-i} + deterministic + eps_t
    trace(r) = -n sum_{i>r} log(1 - lambda_i),   largest(r) = -n log(1 - lambda_{r+1})

lambda are the squared canonical correlations of dX_t and X_{t-1}, both free of the short run. Large values reject
"at most r relations". Deterministic terms (`det`):

    "n"  none                      "rc" constant inside the relation only (no drift)
    "c"  constant, unrestricted    "ct" levels and differences detrended first (LeSage's order 1)

p-values are simulated for N - r driftless walks of this length, lags and det; the published tables (none for "rc")
stand beside. The table of "c" assumes that the series drift: where they hardly do, it rejects too often (at one
common trend left its 5 % point is 3.84, that of driftless walks 8.1), so the simulated p is the cautious one.

Sources: Johansen (1988), doi:10.1016/0165-1889(88)90041-3; Johansen and Juselius (1990),
doi:10.1111/j.1468-0084.1990.mp52002003.x; MacKinnon, Haug and Michelis (1999).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError, unknown_name
from oneprice.signals.cointegration.johansen_kernels import systems_statistics
from oneprice.signals.cointegration.johansen_tables import LARGEST, TRACE
from oneprice.signals.unit_root.inputs import block
from oneprice.signals.unit_root.null import Null, kept, null_of, p_text, simulate

DETERMINISTIC = ("n", "rc", "c", "ct")
DRAWS = 19_999
LONGEST = 1_000
MOST_SERIES = 12
SHRUNK_DRAWS = 1_999
SINGULAR = 1e-10
SINGULAR_MOMENTS = 1e-6  # the null with shrinkage is made from moments, which square the loss of digits


class Johansen(msgspec.Struct, frozen=True):
    """Result of `johansen`; entry r of each list is about "at most r relations". No verdict: that needs the tries.

    `vectors` [N or N+1, N]: columns are relations by falling eigenvalue, v'S_kk v = 1, first weight positive; the last
    row is the constant when det is "rc". `loadings` [N, N]: alpha of each. `criticals`: (1, 5, 10 %) by r, NaN without
    a table. `half_life_steps` of the first relation: ln 2 / -ln(1 + slope of its AR(1)); inf when it does not revert.
    """

    eigenvalues: tuple[float, ...]
    trace: tuple[float, ...]
    largest: tuple[float, ...]
    trace_p: tuple[float, ...]
    largest_p: tuple[float, ...]
    floor: float
    trace_criticals: tuple[tuple[float, ...], ...]
    largest_criticals: tuple[tuple[float, ...], ...]
    vectors: Any
    loadings: Any
    half_life_steps: float
    lags: int
    det: str
    seasons: int
    shrinkage: float
    n_obs: int

    @property
    def p_text(self) -> str:
        """p of "no relation at all" (trace), or "< floor"."""
        return p_text(self.trace_p[0], self.floor)

    @property
    def beta(self) -> np.ndarray:
        """The first relation with weight 1 on the first series."""
        return np.asarray(self.vectors[:, 0] / self.vectors[0, 0])


def johansen(
    levels: Any,
    *,
    lags: int = 1,
    det: str = "c",
    seasons: int = 0,
    shrinkage: float = 0.0,
    drift: float = 0.0,
    draws: int = DRAWS,
) -> Johansen:
    """Rank test of levels [N, T] (2 to 12 series in one unit of account; NaN is refused).

    lags: lagged differences (a VAR of lags + 1). seasons: centred seasonal dummies of that period, the first row being
    the first season. shrinkage in [0, 1): the covariances of differences and of levels are drawn towards their
    diagonals by this share, for many series and few rows; p (of r = 0 only) then comes from walks correlated as
    the data. drift: of the null's walks, in standard deviations a step; 1 gives p-values that meet the table of "c".

    Raises DataError (gaps, constant or duplicated series, a straight line, too short, an exact relation), ConfigError
    (settings).
    """
    x = block(levels, "levels")
    n, length = x.shape
    check(n, length, lags, det, seasons, shrinkage)
    refuse_lines(x)
    r0, rk = residuals(x, lags, det, seasons)
    values, vectors, loadings = reduced_rank(r0, rk, shrinkage / (1.0 - shrinkage))
    if det == "rc":
        vectors[n] -= x.mean(axis=1) @ vectors[:n]
    rows = r0.shape[1]
    each = -rows * np.log1p(-values[:n])
    trace = np.cumsum(each[::-1])[::-1]
    laws = null_laws(x, (lags, det, drift), shrinkage, draws)
    tables = [TRACE.get(det), LARGEST.get(det)]
    nothing = (math.nan,) * 3
    criticals = [tuple(nothing if t is None else tuple(map(float, t[n - r - 1])) for r in range(n)) for t in tables]
    return Johansen(
        tuple(map(float, values[:n])), tuple(map(float, trace)), tuple(map(float, each)),
        *stated_p(laws, trace, each), criticals[0], criticals[1], vectors[:, :n], loadings[:, :n],
        half_life(vectors[:n, 0] @ x), lags, det, seasons, shrinkage, rows,
    )  # fmt: skip


def stated_p(
    laws: list[tuple[Null, Null] | None], trace: np.ndarray, each: np.ndarray
) -> tuple[tuple[float, ...], tuple[float, ...], float]:
    """(p of trace, p of largest, floor); NaN where the null is not known."""
    known = [law for law in laws if law is not None]
    p = [
        tuple(math.nan if law is None else float(law[i].p(values[r])) for r, law in enumerate(laws))
        for i, values in enumerate((trace, each))
    ]
    return p[0], p[1], known[0][0].floor


def check(n: int, length: int, lags: int, det: str, seasons: int, shrinkage: float) -> None:
    """Refuse settings that do not exist and samples that are too short for them."""
    if det not in DETERMINISTIC:
        raise unknown_name("deterministic terms", det, list(DETERMINISTIC))
    if n > MOST_SERIES:
        raise ConfigError(f"johansen: expected at most {MOST_SERIES} series, got {n}: choose a basket first")
    if lags < 0 or seasons < 0 or seasons == 1 or not 0.0 <= shrinkage < 1.0:
        got = f"lags {lags}, seasons {seasons}, shrinkage {shrinkage}"
        raise ConfigError(f"johansen: expected lags >= 0, seasons 0 or 2.., shrinkage in [0, 1), got {got}")
    need = 2 * n + lags * n + seasons + 2
    if length - 1 - lags < need:
        raise DataError(
            f"johansen: {n} series with {lags} lags need {need + 1 + lags} rows, got {length}: "
            "use fewer lags or a longer history"
        )


def residuals(x: np.ndarray, lags: int, det: str, seasons: int) -> tuple[np.ndarray, np.ndarray]:
    """(differences [N, n], levels [N or N+1, n]) after regression on the short run and the deterministic terms.

    Levels are taken less their means when there is a constant: with "rc" the constant is that of centred levels.
    """
    length = x.shape[1]
    if det in ("c", "rc"):
        x = x - x.mean(axis=1, keepdims=True)
    elif det == "ct":
        x = flatten(x)
    d = np.diff(x, axis=1)
    rows = length - 1 - lags
    z0, zk = d[:, lags:], x[:, lags : length - 1]
    z1 = [d[:, lags - i : length - 1 - i] for i in range(1, lags + 1)]
    if det in ("c", "ct"):
        z1.append(np.ones((1, rows)))
    if det == "rc":
        zk = np.vstack([zk, np.ones((1, rows))])
    if seasons:
        season = np.arange(lags + 1, length) % seasons
        z1.append(np.array([(season == s) - 1.0 / seasons for s in range(1, seasons)]))
    if not z1:
        return z0, zk
    q = np.linalg.qr(np.vstack(z1).T)[0]
    for _ in range(2):  # twice: what is left of a projection is orthogonal to rounding only then
        z0, zk = z0 - (z0 @ q) @ q.T, zk - (zk @ q) @ q.T
    return z0, zk


def reduced_rank(r0: np.ndarray, rk: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(eigenvalues falling, vectors [K, K], loadings [N, K]) of the canonical correlations of r0 [N, n], rk [K, n].

    By orthogonal factors of the data, not of their moments. Raises DataError when a series is an exact combination.
    """
    rows = r0.shape[1]
    t0, tk = widen(r0, ridge), widen(rk, ridge)
    scale = np.sqrt(np.einsum("ij,ij->i", tk, tk))  # a unit of account must not look like a combination
    steps = np.sqrt(np.einsum("ij,ij->i", t0, t0))
    u0 = np.linalg.qr((t0 / steps[:, None]).T)[1]
    uk = np.linalg.qr((tk / scale[:, None]).T)[1]
    for name, u in (("differences", u0), ("levels", uk)):
        refuse_combination(u, name)
    u0, uk = u0 * steps, uk * scale
    cross = np.linalg.solve(u0.T, r0 @ rk.T)
    cross = np.linalg.solve(uk.T, cross.T).T
    _, s, vt = np.linalg.svd(cross)
    values = np.zeros(len(rk))
    values[: len(s)] = np.minimum(s, 1.0) ** 2
    vectors = np.linalg.solve(uk, vt.T) * math.sqrt(rows)
    signs = np.where(vectors[0] < 0.0, -1.0, 1.0)
    vectors = vectors * signs
    return values, vectors, (r0 @ rk.T / rows) @ vectors


def refuse_lines(x: np.ndarray) -> None:
    """DataError for a series of x [N, T] that takes the same step each time: nothing of it is random."""
    steps = np.diff(x, axis=1)
    flat = steps.std(axis=1) <= SINGULAR * np.sqrt((steps * steps).mean(axis=1))
    if flat.any():
        at = int(np.argmax(flat))
        raise DataError(f"johansen: expected series that move at random, series {at} is a straight line: leave it out")


def refuse_combination(u: np.ndarray, name: str, least: float = SINGULAR) -> None:
    """DataError that names a series if u [K, K], the triangular factor of rows of unit norm, is singular."""
    pivots = np.abs(np.diag(u))
    if pivots.min() <= least * pivots.max():
        at = int(np.argmin(pivots))
        raise DataError(f"johansen: the {name} of series {at} are an exact combination of others: leave one out")


def widen(r: np.ndarray, ridge: float) -> np.ndarray:
    """Rows r [k, n] with `ridge` of each one's own sum of squares added as columns of its own: S + ridge diag S."""
    if ridge == 0.0:
        return r
    return np.hstack([r, np.diag(np.sqrt(ridge * np.einsum("ij,ij->i", r, r)))])


def half_life(relation: np.ndarray) -> float:
    """Steps until a relation has lost half its distance to its mean: ln 2 / -ln(1 + slope); inf without reversion."""
    z = relation - relation[:-1].mean()
    slope = float(np.diff(relation) @ z[:-1] / (z[:-1] @ z[:-1]))
    if slope >= 0.0:
        return math.inf
    return math.log(2.0) / -math.log1p(slope) if slope > -1.0 else 0.0


def layout_of(n: int, lags: int, det: str) -> tuple[int, int, int, int]:
    """What the kernels need to know of a system."""
    return n, lags, int(det in ("c", "ct")), int(det == "rc")


@lru_cache(maxsize=64)
def johansen_null(
    n_obs: int,
    trends: int,
    *,
    lags: int = 1,
    det: str = "c",
    drift: float = 0.0,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[Null, Null]:
    """(trace, largest) when `trends` common trends are left, for walks of this length and drift, lags and det."""
    length = min(n_obs, LONGEST)
    rule = f"johansen|T={length}|trends={trends}|lags={lags}|det={det}|drift={drift}|draws={draws}|seed={seed}"

    def fill(walks: np.ndarray, out: np.ndarray) -> None:
        walks[:, 0, :] += drift * np.arange(length)
        system_statistics(walks, lags, det, 0.0, out)

    both = kept(rule, lambda: simulate(fill, length, trends, draws, seed, width=2))
    return null_of(rule + "|trace", both[:, 0], upper=True), null_of(rule + "|largest", both[:, 1], upper=True)


def shrunk_null(x: np.ndarray, lags: int, det: str, shrinkage: float, draws: int) -> tuple[Null, Null]:
    """(trace, largest) without any relation, for walks whose steps are correlated as those of x; not kept on disk."""
    steps = np.diff(x, axis=1)
    steps -= steps.mean(axis=1, keepdims=True)
    size = np.sqrt(np.einsum("ij,ij->i", steps, steps))
    u = np.linalg.qr((steps / size[:, None]).T)[1]  # u'u are the correlations, without the digits that a product loses
    refuse_combination(u, "steps", SINGULAR_MOMENTS)
    mix = np.ascontiguousarray(u.T * np.sign(np.diag(u)))

    def fill(walks: np.ndarray, out: np.ndarray) -> None:
        system_statistics(np.ascontiguousarray(mix @ walks), lags, det, shrinkage / (1.0 - shrinkage), out)

    both = simulate(fill, min(x.shape[1], LONGEST), len(x), min(draws, SHRUNK_DRAWS), 0, width=2)
    return null_of("shrunk trace", both[:, 0], upper=True), null_of("shrunk largest", both[:, 1], upper=True)


def system_statistics(systems: np.ndarray, lags: int, det: str, ridge: float, out: np.ndarray) -> None:
    """(trace, largest) of "no relation" of each system [m, N, T], into float64 [m, 2]."""
    _, n, length = systems.shape
    each = np.empty((len(systems), n + int(det == "rc")))
    systems_statistics(flatten(systems) if det == "ct" else systems, layout_of(n, lags, det), ridge, each)
    rows = length - 1 - lags
    out[:, 0], out[:, 1] = rows * each[:, :n].sum(axis=1), rows * each[:, 0]


def null_laws(
    x: np.ndarray, rule: tuple[int, str, float], shrinkage: float, draws: int
) -> list[tuple[Null, Null] | None]:
    """Nulls of r = 0, 1, ...; with shrinkage only that of r = 0 is known. rule (lags, det, drift)."""
    n, length = x.shape
    lags, det, drift = rule
    if shrinkage:
        return [shrunk_null(x, lags, det, shrinkage, draws), *[None] * (n - 1)]
    return [johansen_null(length, n - r, lags=lags, det=det, drift=drift, draws=draws) for r in range(n)]


def flatten(x: np.ndarray) -> np.ndarray:
    """Series along the last axis less their constant and linear trend."""
    e = x - x.mean(axis=-1, keepdims=True)
    time = np.arange(x.shape[-1]) - (x.shape[-1] - 1) / 2.0
    for _ in range(2):  # once leaves the rounding of a steep trend
        e -= (e @ time / (time @ time))[..., None] * time
        e -= e.mean(axis=-1, keepdims=True)
    return np.asarray(e)
