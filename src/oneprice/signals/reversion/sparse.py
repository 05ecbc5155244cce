"""Sparse mean-reverting baskets: few assets, fast reversion, and a variance worth trading.

Among supports of `size` assets the least predictability nu is searched greedily (one asset at a time, each step
the exact smallest generalised eigenvalue of the support) or by all subsets where those are few. The least
predictable portfolio tends to be one that hardly moves; the floor demands w' G w >= floor * median variance for
w of unit norm. On a support the problem with the floor v is exact by duality (two quadratic forms):

    min w' M w / w' G w  subject to  w' (G - v I) w >= 0   =   max over mu >= 0 of lambda_min(M - mu (G - v I), G)

and where the floor binds, w is the combination of the eigenvectors on both sides of mu that lies on it.

Sources: d'Aspremont (2011), doi:10.1080/14697688.2010.481634; Cuturi and d'Aspremont (2013), Mean reversion with a
variance threshold, ICML.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, unknown_name
from oneprice.signals.reversion.box_tiao import Predictable, predictable

MOST_SUBSETS = 200_000
METHODS = ("greedy", "exhaustive")


class Basket(msgspec.Struct, frozen=True):
    """`weights` [N], unit norm, zero off the `support` (rising indices); `ratio` is nu, `variance` of unit norm."""

    weights: np.ndarray
    support: tuple[int, ...]
    ratio: float
    variance: float
    floor: float  # the variance that was demanded, units of the series squared


def sparse_basket(series: Any, size: int, *, floor: float = 0.0, method: str = "greedy") -> Basket:
    """The least predictable basket of `size` of the N series [N, T].

    Parameters
    ----------
    series: levels or logs, one a row. size: assets in the basket, 2 to N. floor: least variance of the unit-norm
    basket as a share of the median variance of the series, 0 for none. method: "greedy", or "exhaustive" up to
    200,000 subsets.

    Raises ConfigError for a size out of range, a floor that no basket reaches or too many subsets; DataError as
    `box_tiao.predictable`.
    """
    return basket_of(predictable(series), size, floor=floor, method=method)


def basket_of(moments: Predictable, size: int, *, floor: float = 0.0, method: str = "greedy") -> Basket:
    """`sparse_basket` of given moments."""
    n = len(moments.cov)
    if method not in METHODS:
        raise unknown_name("method", method, list(METHODS))
    if not 2 <= size <= n:
        raise ConfigError(f"sparse basket: expected a size from 2 to {n}, got {size}")
    if not (floor >= 0.0 and math.isfinite(floor)):
        raise ConfigError(f"sparse basket: expected a floor >= 0, got {floor!r}")
    least = floor * float(np.median(np.diag(moments.cov)))
    if method == "exhaustive":
        if math.comb(n, size) > MOST_SUBSETS:
            raise ConfigError(f"sparse basket: expected at most {MOST_SUBSETS:,} subsets, got {math.comb(n, size):,}")
        supports = np.array(list(itertools.combinations(range(n), size)), np.int64)
        found = _best(moments, supports, least)
    else:
        pairs = np.array(list(itertools.combinations(range(n), 2)), np.int64)
        found = _best(moments, pairs, least)
        while len(found[0]) < size:
            rest = [j for j in range(n) if j not in found[0]]
            found = _best(moments, np.array([[*found[0], j] for j in rest], np.int64), least)
    support, w = found
    if len(w) == 0:
        raise ConfigError(f"sparse basket: expected a floor that a basket of {size} reaches, got {floor:g}; lower it")
    order = np.argsort(support)
    weights = np.zeros(n)
    weights[np.array(support)] = w * np.sign(w[np.argmax(np.abs(w))])
    chosen = tuple(int(support[i]) for i in order)
    return Basket(weights, chosen, moments.ratio(weights), moments.variance(weights), least)


def _best(moments: Predictable, supports: np.ndarray, floor: float) -> tuple[list[int], np.ndarray]:
    """(support, unit weights on it) with the least ratio among `supports` [m, k].

    The bound without the floor ranks the supports, so that few need the exact solution with it. Where none reaches
    the floor: the support with the largest variance, to grow from, and no weights.
    """
    bounds = smallest_ratios(moments, supports)
    best, chosen, weights = math.inf, [], np.empty(0)
    for i in np.argsort(bounds, kind="stable"):
        if bounds[i] >= best:
            break
        at = np.ix_(supports[i], supports[i])
        w = floored(moments.told[at], moments.cov[at], floor)
        if w is None:
            continue
        ratio = float(w @ moments.told[at] @ w / (w @ moments.cov[at] @ w))
        if ratio < best:
            best, chosen, weights = ratio, [int(j) for j in supports[i]], w
    if not chosen:
        tops = np.linalg.eigvalsh(moments.cov[supports[:, :, None], supports[:, None, :]])[:, -1]
        chosen = [int(j) for j in supports[int(np.argmax(tops))]]
    return chosen, weights


def smallest_ratios(moments: Predictable, supports: np.ndarray) -> np.ndarray:
    """The least nu on each support [m, k], without a floor; float64 [m]."""
    rows, columns = supports[:, :, None], supports[:, None, :]
    root = np.linalg.cholesky(moments.cov[rows, columns])
    half = np.linalg.solve(root, moments.told[rows, columns])
    white = np.linalg.solve(root, half.transpose(0, 2, 1))
    return np.asarray(np.linalg.eigvalsh(white)[:, 0])


def floored(told: np.ndarray, cov: np.ndarray, floor: float) -> np.ndarray | None:
    """Unit weights with the least w' told w / w' cov w subject to w' cov w >= floor; None when none reaches it."""
    from scipy.linalg import eigh

    above = cov - floor * np.eye(len(cov))
    if np.linalg.eigvalsh(above)[-1] < 0.0:
        return None

    def bottom(mu: float) -> tuple[np.ndarray, float]:
        w = eigh(told - mu * above, cov, subset_by_index=[0, 0])[1][:, 0]
        w = w / np.linalg.norm(w)
        return w, float(w @ above @ w)

    w, slack = bottom(0.0)
    if slack >= 0.0:
        return w
    low, high, inside = 0.0, 1.0, w
    under = w
    while True:
        inside, slack = bottom(high)
        if slack >= 0.0:
            break
        low, under, high = high, inside, 2.0 * high
        if high > 1e12:  # the floor is the largest variance: only its own direction is left
            top = np.asarray(np.linalg.eigh(cov)[1][:, -1])
            return top
    for _ in range(100):
        middle = 0.5 * (low + high)
        w, slack = bottom(middle)
        if slack >= 0.0:
            high, inside = middle, w
        else:
            low, under = middle, w
    return _on_the_floor(under, inside, told, above)


def _on_the_floor(under: np.ndarray, inside: np.ndarray, told: np.ndarray, above: np.ndarray) -> np.ndarray:
    """The combination of both eigenvectors with w' above w = 0 and the smaller w' told w, unit norm."""
    a, b, c = under @ above @ under, 2.0 * under @ above @ inside, inside @ above @ inside
    root = math.sqrt(max(b * b - 4.0 * a * c, 0.0))
    best, chosen = math.inf, inside
    for sign in (1.0, -1.0):
        if a >= 0.0:
            continue
        w = (-b + sign * root) / (2.0 * a) * under + inside
        size = np.linalg.norm(w)
        if size < 1e-12:
            continue
        w = w / size
        value = float(w @ told @ w)
        if value < best:
            best, chosen = value, w
    return chosen
