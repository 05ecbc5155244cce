"""Families of a screen: which pairs are hypotheses, declared before anything is tested, and in which order."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from oneprice.core.errors import unknown_name
from oneprice.signals.clusters.groups import group_series
from oneprice.signals.reversion.variance_ratio import variance_ratio_block

CLUSTERS, GRID = "clusters", "grid"
EVERY = "all"  # the one family of every series
LEAST_CLUSTERED = 10
NAMED = 40  # of the series that are in no family
ORDER_STEPS = 8  # of the variance ratio that orders a pair


class Families(msgspec.Struct, frozen=True, eq=False):
    """Series in the order they are tested: families side by side, and in each the most walk-like first."""

    order: np.ndarray
    sizes: tuple[int, ...]
    names: tuple[str, ...]
    label: str
    untested: tuple[str, ...] = ()  # series of the panel that share a family with no other
    unknown: tuple[str, ...] = ()  # names declared that the panel lacks

    def name_of(self, place: int) -> str:
        """Family of the series at a place of the order."""
        return self.names[int(np.searchsorted(np.cumsum(self.sizes), place, side="right"))]


def declare(symbols: tuple[str, ...], rows: np.ndarray, family: Mapping[str, str] | str | None) -> Families:
    """Families in their order of testing; within one, the most walk-like first (`walk_share`), equal ones by name.

    Of a pair the series at the earlier place is the regressand: passing noise makes a test reject too often there.
    `rows` float64 [N, T] in the space of the screen.
    """
    share = walk_share(rows)
    unknown: set[str] = set()
    if family is None or family == GRID:
        groups, label = dict.fromkeys(symbols, EVERY), "ranking of the full grid"
    elif family == CLUSTERS and len(symbols) < LEAST_CLUSTERED:
        groups, label = dict.fromkeys(symbols, EVERY), f"one family of all {len(symbols)} series, too few to cluster"
    elif family == CLUSTERS:
        labels, _ = group_series(rows, n_factors=min(8, len(rows) - 1, rows.shape[1] - 2))
        groups = {s: f"cluster {k}" for s, k in zip(symbols, labels, strict=True) if k >= 0}
        label = f"{len(set(groups.values()))} clusters of {len(groups)} series, made from returns alone"
    elif isinstance(family, Mapping):
        unknown = set(family) - set(symbols)
        groups = {s: str(family[s]) for s in symbols if s in family}
        label = f"{len(set(groups.values()))} declared groups of {len(groups)} series"
        label += f" ({len(unknown)} names are not in the panel)" if unknown else ""
    else:
        raise unknown_name("family", str(family), [CLUSTERS, GRID, "a mapping symbol -> group"])
    members: dict[str, list[int]] = {}
    for i, s in enumerate(symbols):
        if s in groups:
            members.setdefault(groups[s], []).append(i)
    names = sorted(g for g, m in members.items() if len(m) > 1)
    chosen = [sorted(members[g], key=lambda i: (-share[i], symbols[i])) for g in names]
    order = np.array([i for m in chosen for i in m], np.int64)
    placed = set(order.tolist())
    untested = tuple(s for i, s in enumerate(symbols) if i not in placed)
    return Families(order, tuple(len(m) for m in chosen), tuple(names), label, untested, tuple(sorted(unknown)))


def notes_of(families: Families) -> tuple[str, ...]:
    """What a declaration left out, by name."""
    told = (
        ("not tested, in a family with no other series", families.untested),
        ("declared but not in the panel", families.unknown),
    )
    return tuple(f"{what}: {_listed(names)}" for what, names in told if names)


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def walk_share(rows: np.ndarray) -> np.ndarray:
    """How much of each series' moves lasts: the variance ratio over ORDER_STEPS steps, float64 [N], of rows [N, T].

    A walk has 1, noise that passes makes it smaller whatever the scale of the series. It looks at one series at a
    time, never at a residual. Rounded, so that twins in other units are equal and go by name.
    """
    steps = min(ORDER_STEPS, (rows.shape[1] - 1) // 2)
    return np.asarray(np.round(variance_ratio_block(rows, (steps,))["ratio"][:, 0], 9))


def declared(families: Families) -> int:
    """Hypotheses: pairs within families."""
    return sum(n * (n - 1) // 2 for n in families.sizes)


def families_of(families: Families, names: list[str]) -> dict[str, tuple[str, ...]]:
    """Family -> its series; a full grid is not listed."""
    if families.names == (EVERY,):
        return {}
    edges = np.concatenate([[0], np.cumsum(families.sizes)])
    return {g: tuple(sorted(names[edges[k] : edges[k + 1]])) for k, g in enumerate(families.names)}
