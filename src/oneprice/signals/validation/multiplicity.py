"""Many tests at once: adjusted p-values on a family that was declared before the tests were run.

With p_(1) <= ... <= p_(n) and n the size declared, the adjusted values are

    Bonferroni  n p                          family-wise error, any dependence
    Holm        max_{j<=i} (n - j + 1) p_(j)   the same, never worse
    Hochberg    min_{j>=i} (n - j + 1) p_(j)   family-wise error, independent or positively dependent tests
    BH          min_{j>=i} n p_(j) / j         false-discovery rate, independent or positively dependent tests
    BY          min_{j>=i} n c p_(j) / j       false-discovery rate, any dependence; c = sum 1 / i

all at most 1. Rejecting what is adjusted to `level` or less controls the rate at `level`. A pair is one hypothesis
whatever the number of orders tested (`one_per_pair`).

References: Y. Benjamini, Y. Hochberg (1995), doi 10.1111/j.2517-6161.1995.tb02031.x; Y. Benjamini, D. Yekutieli
(2001), doi 10.1214/aos/1013699998; S. Holm (1979), Scand. J. Statist. 6, 65-70; Y. Hochberg (1988),
doi 10.1093/biomet/75.4.800; J. D. Storey (2002), doi 10.1111/1467-9868.00346.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError, unknown_name

METHODS = ("bonferroni", "holm", "hochberg", "bh", "by")


class Family(msgspec.Struct, frozen=True):
    """The hypotheses that count together, declared before they are tested.

    size: how many there are, tested or not (a pair that could not be tested still was a candidate). level: the rate of
    false discoveries (bh, by) or of any false rejection (the others).
    """

    name: str
    size: int
    method: str = "bh"
    level: float = 0.05


class Verdict(msgspec.Struct, frozen=True):
    """A judged family. Arrays are float64[n] and bool[n] in the order of the p-values given."""

    family: Family
    adjusted: np.ndarray
    rejected: np.ndarray
    tested: int
    raw: int  # p-values at or below the level with no correction
    by_chance: float  # of these, expected where every hypothesis is null: level * tested
    at_floor: int  # p-values below what the test can resolve: they enter as the floor


def judge(family: Family, p: Any, *, floor: float = 0.0) -> Verdict:
    """Adjusted p-values and rejections of a declared family.

    p: float64[n], n <= family.size; NaN (a test that could not be run) counts in the size and is never rejected.
    floor: the smallest p the tests can resolve; smaller values, zeros too, are raised to it, so they can only lose.
    Raises ConfigError for an impossible family or one with fewer members than p-values, DataError for a p outside
    [0, 1].
    """
    if not 0.0 < family.level < 1.0:
        raise ConfigError(f"family {family.name!r}: expected a level in (0, 1), got {family.level}")
    values = _checked(p, floor, nan=True)
    if family.size < max(1, len(values)):
        raise ConfigError(
            f"family {family.name!r}: declared with {family.size} hypotheses, got {len(values)} p-values; "
            "declare all that are tried before trying them"
        )
    ran = ~np.isnan(values)
    out = np.full(len(values), np.nan)
    out[ran] = adjusted(values[ran], family.method, size=family.size)
    return Verdict(
        family=family,
        adjusted=out,
        rejected=ran & (out <= family.level),
        tested=int(ran.sum()),
        raw=int(np.count_nonzero(values[ran] <= family.level)),
        by_chance=family.level * int(ran.sum()),
        at_floor=int(np.count_nonzero(values[ran] <= floor)) if floor > 0.0 else 0,
    )


def adjusted(p: Any, method: str = "bh", *, size: int = 0, floor: float = 0.0) -> np.ndarray:
    """Adjusted p-values, float64[n], in the order given. `size` 0 means n; see the module for the methods."""
    if method not in METHODS:
        raise unknown_name("method of correction", method, list(METHODS))
    values = _checked(p, floor)
    n = size or len(values)
    if n < len(values):
        raise ConfigError(f"size: expected {len(values)} or more (the p-values given), got {size}")
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    rank = np.arange(1, len(values) + 1, dtype=np.float64)
    if method == "bonferroni":
        made = n * ranked
    elif method == "holm":
        made = np.maximum.accumulate((n - rank + 1.0) * ranked)
    else:
        if method == "hochberg":
            scaled = (n - rank + 1.0) * ranked
        else:
            scaled = n * ranked / rank * (harmonic(n) if method == "by" else 1.0)
        made = np.minimum.accumulate(scaled[::-1])[::-1]
        if n > len(values) and method == "hochberg":
            made = np.maximum(made, ranked)  # the hypotheses not tested have p = 1 and rank last
    out = np.empty(len(values))
    out[order] = np.minimum(1.0, made)
    return out


def adjusted_by_group(p: Any, groups: Any, method: str = "bh", *, floor: float = 0.0) -> np.ndarray:
    """Each group its own family (an industry, a cluster): float64[n]. The rate holds within a group, not over all."""
    values, labels = _checked(p, floor), np.asarray(groups)
    if labels.shape != values.shape:
        raise DataError(f"groups: expected one label a p-value, shape {values.shape}, got {labels.shape}")
    out = np.empty(len(values))
    for label in np.unique(labels):
        mine = labels == label
        out[mine] = adjusted(values[mine], method)
    return out


def one_per_pair(forward: Any, backward: Any, how: str = "max") -> np.ndarray:
    """One p-value a pair from the tests of both regressand orders, float64[n].

    Both orders test one null hypothesis, on one pair of series. `max`: the larger, valid because each of them is; an
    order whose size is off (the series with more passing noise as regressand) cannot carry the pair alone. `min2`:
    twice the smaller (at most 1), valid under any dependence as long as both sizes are right. The smaller alone is not
    valid. NaN where either is.
    """
    a, b = _checked(forward, 0.0, nan=True), _checked(backward, 0.0, nan=True)
    if a.shape != b.shape:
        raise DataError(f"both orders: expected equal shapes, got {a.shape} and {b.shape}")
    if how == "min2":
        return np.minimum(1.0, 2.0 * np.minimum(a, b))
    if how == "max":
        return np.maximum(a, b)
    raise unknown_name("way to join both orders", how, ["min2", "max"])


def null_share(p: Any, *, cut: float = 0.5) -> float:
    """Storey's estimate of the share of true nulls, (#{p > cut} + 1) / (n (1 - cut)), at most 1; for display."""
    values = _checked(p, 0.0)
    if not (0.0 < cut < 1.0 and len(values) > 0):
        raise ConfigError(f"cut: expected a number in (0, 1) and some p-values, got {cut} and {len(values)}")
    return min(1.0, (np.count_nonzero(values > cut) + 1.0) / (len(values) * (1.0 - cut)))


def harmonic(n: int) -> float:
    """c = 1 + 1/2 + ... + 1/n of Benjamini and Yekutieli."""
    if n < 100_000:
        return float(np.sum(1.0 / np.arange(1, n + 1)))
    return float(np.log(n) + 0.5772156649015329 + 0.5 / n - 1.0 / (12.0 * n * n))


def _checked(p: Any, floor: float, *, nan: bool = False) -> np.ndarray:
    values = np.asarray(p, np.float64)
    if values.ndim != 1:
        raise DataError(f"p-values: expected shape (n,), got {values.shape}")
    if not 0.0 <= floor < 1.0:
        raise ConfigError(f"floor: expected a number in [0, 1), got {floor}")
    bad = ~((values >= 0.0) & (values <= 1.0)) & ~(np.isnan(values) & nan)
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise DataError(f"p-values: expected numbers in [0, 1], got {values[i]} at {i}")
    return np.maximum(values, floor)
