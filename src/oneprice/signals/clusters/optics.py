"""OPTICS: points in an order in which dense groups are valleys, and the valleys as labels.

Ankerst, Breunig, Kriegel, Sander 1999 (doi 10.1145/304181.304187), clusters by the xi rule of its figure 19, with the
predecessor correction of Schubert and Gertz 2018 (LWDA, "Improving the cluster structure extracted from OPTICS plots").
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.jit import njit

NOISE = -1
DECIMALS = 15  # distances are rounded so that ties do not hang on the order of a sum


class Optics(msgspec.Struct, frozen=True, eq=False):
    """Result: arrays of length n, by point except `order` and `labels`' numbering.

    `order` visits the points; `reach` and `core` are distances (inf: none), `before` the point from which each was
    reached (-1: none); `labels` number the clusters from 0 in the order of their valleys, NOISE is -1.
    """

    order: np.ndarray
    reach: np.ndarray
    core: np.ndarray
    before: np.ndarray
    labels: np.ndarray


def optics(points: np.ndarray, *, least: int = 5, xi: float = 0.05, widest: float = math.inf) -> Optics:
    """Cluster points by density without a radius to choose.

    Parameters
    ----------
    points : float64[n, d], Euclidean. least : points (itself counted) within the core distance, and in a cluster.
    xi : relative drop that makes a slope steep, in (0, 1). widest : no neighbour is looked for beyond.

    Raises
    ------
    DataError
        Points are not finite, or fewer than `least`.
    """
    x = np.ascontiguousarray(points, dtype=np.float64)
    if x.ndim != 2 or not x.shape[1]:
        raise DataError(f"optics: expected points [n, d], got shape {x.shape}")
    if not np.isfinite(x).all():
        raise DataError(f"optics: point {int(np.argwhere(~np.isfinite(x))[0][0])} is not finite")
    if not 2 <= least <= len(x):
        raise DataError(f"optics: expected 2 <= least <= {len(x)} points, got {least}")
    if not 0 < xi < 1:
        raise ConfigError(f"optics: expected 0 < xi < 1, got {xi}")
    order, reach, core, before = _order(x, int(least), float(widest))
    return Optics(order, reach, core, before, _labels(order, reach, before, int(least), float(xi)))


@njit
def _distance(x: Any, i: int, j: int) -> float:
    total = 0.0
    for k in range(x.shape[1]):
        d = x[i, k] - x[j, k]
        total += d * d
    return math.sqrt(total)


@njit
def _rounded(value: float) -> float:
    return np.round(value, DECIMALS)


@njit
def _core_distance(x: Any, i: int, nearest: Any, widest: float) -> float:
    """Distance to the len(nearest)-th nearest point, itself counted; `nearest` is scratch, kept sorted."""
    nearest[:] = np.inf
    for j in range(len(x)):
        d = _distance(x, i, j)
        k = len(nearest) - 1
        if d < nearest[k]:
            while k > 0 and nearest[k - 1] > d:
                nearest[k] = nearest[k - 1]
                k -= 1
            nearest[k] = d
    far = nearest[len(nearest) - 1]
    return _rounded(far) if far <= widest else np.inf


@njit
def _order(x: Any, least: int, widest: float) -> Any:
    """Visit the points: always the one nearest to what was visited (the first of equals)."""
    n = len(x)
    order, before = np.empty(n, np.int64), np.full(n, -1, np.int64)
    reach, core = np.full(n, np.inf), np.empty(n)
    done, nearest = np.zeros(n, np.bool_), np.empty(least)
    for i in range(n):
        core[i] = _core_distance(x, i, nearest, widest)
    for step in range(n):
        here = -1
        for j in range(n):
            if not done[j] and (here < 0 or reach[j] < reach[here]):
                here = j
        order[step] = here
        done[here] = True
        if core[here] == np.inf:
            continue
        for j in range(n):
            if done[j]:
                continue
            d = _distance(x, here, j)
            if d <= widest:
                r = _rounded(max(d, core[here]))
                if r < reach[j]:
                    reach[j] = r
                    before[j] = here
    return order, reach, core, before


# ---------------------------------------------------------------- valleys of the reachability plot
class _Slope(msgspec.Struct):
    """A steep way down: first and last step, and the highest point seen since its end."""

    first: int
    last: int
    highest: float = 0.0


def _labels(order: np.ndarray, reach: np.ndarray, before: np.ndarray, least: int, xi: float) -> np.ndarray:
    """Number of the smallest valley that each point lies in."""
    height = np.append(reach[order], np.inf)
    sequence = np.full(len(order), NOISE, np.int64)
    number = 0
    for first, last in _valleys(height, before[order], order, least, 1.0 - xi):
        if (sequence[first : last + 1] == NOISE).all():
            sequence[first : last + 1] = number
            number += 1
    labels = np.empty_like(sequence)
    labels[order] = sequence
    return labels


def _valleys(
    height: np.ndarray, before: np.ndarray, order: np.ndarray, least: int, keep: float
) -> list[tuple[int, int]]:
    """(first, last) of each valley in the plot, inner ones ahead of those that hold them."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = height[:-1] / height[1:]
    down, up = ratio >= 1.0 / keep, ratio <= keep
    falls, rises = ratio > 1.0, ratio < 1.0
    slopes: list[_Slope] = []
    found: list[tuple[int, int]] = []
    at, highest = 0, 0.0
    for i in np.flatnonzero(down | up):
        if i < at:
            continue
        highest = max(highest, float(height[at : i + 1].max()))
        slopes = _still_open(slopes, highest, keep, height)
        if down[i]:
            end = _end_of_slope(down, rises, int(i), least)
            slopes.append(_Slope(int(i), end))
        else:
            end = _end_of_slope(up, falls, int(i), least)
            here = [_valley(s, int(i), end, height, keep) for s in slopes]
            kept = [_reached(v, height, before, order) for v in here if v is not None]
            good = [
                v
                for s, v in zip([s for s, v in zip(slopes, here, strict=True) if v is not None], kept, strict=True)
                if v is not None and v[1] - v[0] + 1 >= least and v[0] <= s.last and v[1] >= i
            ]
            found += good[::-1]
        at = end + 1
        highest = float(height[at])
    return found


def _still_open(slopes: list[_Slope], highest: float, keep: float, height: np.ndarray) -> list[_Slope]:
    """Slopes whose top is still well above everything since; each remembers the highest point after it."""
    if math.isinf(highest):
        return []
    out = [s for s in slopes if highest <= height[s.first] * keep]
    for s in out:
        s.highest = max(s.highest, highest)
    return out


def _end_of_slope(steep: np.ndarray, turned: np.ndarray, first: int, least: int) -> int:
    """Last steep step of a slope: it may rest for `least` steps, but not turn."""
    last, resting = first, 0
    for i in range(first, len(steep)):
        if steep[i]:
            last, resting = i, 0
        elif turned[i]:
            break
        else:
            resting += 1
            if resting > least:
                break
    return last


def _valley(s: _Slope, rise: int, end: int, height: np.ndarray, keep: float) -> tuple[int, int] | None:
    """The valley between slope `s` and the rise `rise..end`, its rims levelled; None if a ridge lies between."""
    top, rim = height[s.first], height[end + 1]
    if rim * keep < s.highest:
        return None
    first, last = s.first, end
    if top * keep >= rim:
        while first < s.last and height[first + 1] > rim:
            first += 1
    elif rim * keep >= top:
        while last > rise and height[last - 1] > top:
            last -= 1
    return first, last


def _reached(
    valley: tuple[int, int], height: np.ndarray, before: np.ndarray, order: np.ndarray
) -> tuple[int, int] | None:
    """The valley less points at its end that were reached from outside it."""
    first, last = valley
    inside = set(order[first:last].tolist())
    while first < last:
        if height[first] > height[last] or int(before[last]) in inside:
            return first, last
        last -= 1
        inside.discard(int(order[last]))
    return None
