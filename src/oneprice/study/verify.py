"""Published numbers beside computed ones: the harness behind `oneprice verify`.

A row is one function decorated with `anchor`: it gets the folder of reference data and returns one number.
Modules that hold anchors are named in ANCHOR_MODULES and imported when the harness runs.
"""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from oneprice.core.errors import ConfigError, DataError, unknown_name

ANCHOR_MODULES = ("oneprice.study.anchors_market",)
PASS, FAIL, NO_DATA = "pass", "fail", "no-data"
Compute = Callable[[Path], float]


class Anchor(msgspec.Struct, frozen=True):
    """One published number and how to compute it again."""

    id: str
    source: str
    published: float
    tolerance: float  # absolute; 0 means equal
    unit: str
    needs: tuple[str, ...]  # files or folders under the data folder
    compute: Any


class Row(msgspec.Struct, frozen=True):
    """One line of the verdict table. `computed` is NaN where there is no data or the computation failed."""

    id: str
    source: str
    published: float
    computed: float
    tolerance: float
    verdict: str  # pass | fail | no-data
    unit: str = ""
    note: str = ""


_registered: dict[str, Anchor] = {}


def anchor(
    key: str, *, source: str, published: float, tolerance: float, unit: str = "", needs: Iterable[str] = ()
) -> Callable[[Compute], Compute]:
    """Register a function `(data folder) -> computed number` under an id.

    Raises
    ------
    ConfigError
        The id is taken, or the tolerance is negative or NaN (such a row could not fail or could not pass).
    """
    if not tolerance >= 0.0:
        raise ConfigError(f"anchor {key}: expected tolerance >= 0, got {tolerance}")

    def register(function: Compute) -> Compute:
        known = _registered.get(key)
        if known is not None and known.compute.__module__ != function.__module__:
            raise ConfigError(
                f"anchor {key}: already registered by {known.compute.__module__}; ids are unique"
            )
        _registered[key] = Anchor(key, source, published, tolerance, unit, tuple(needs), function)
        return function

    return register


def data_root() -> Path:
    """The folder of reference data: ONEPRICE_DATA, else ../shared/data."""
    return Path(os.environ.get("ONEPRICE_DATA") or "../shared/data")


def anchors(modules: Iterable[str] = ANCHOR_MODULES) -> dict[str, Anchor]:
    """Every registered anchor by id, in order of registration."""
    for name in modules:
        importlib.import_module(name)
    return dict(_registered)


def verify(
    *,
    ids: Iterable[str] = (),
    data: Path | None = None,
    progress: Callable[[float, float], None] | None = None,
    modules: Iterable[str] = ANCHOR_MODULES,
) -> list[Row]:
    """Compute the anchors (all, or those whose id is or begins with one of `ids`) and judge each.

    Returns
    -------
    One Row an anchor. The verdict is `fail` when |computed - published| exceeds the tolerance, the result is
    not finite or the computation refuses its data; `no-data` when a file it needs is not there.

    Raises
    ------
    ConfigError
        An id matches no anchor.
    """
    known = anchors(modules)
    chosen = _choose(known, list(ids))
    root = data if data is not None else data_root()
    rows = []
    for i, item in enumerate(chosen):
        if progress:
            progress(i, len(chosen))
        rows.append(judge(item, root))
    if progress:
        progress(len(chosen), len(chosen))
    return rows


def _choose(known: dict[str, Anchor], ids: list[str]) -> list[Anchor]:
    if not ids:
        return list(known.values())
    chosen = {}
    for wanted in ids:
        hits = {k: v for k, v in known.items() if k == wanted or k.startswith(wanted + ".")}
        if not hits:
            raise unknown_name("anchor", wanted, list(known))
        chosen |= hits
    return list(chosen.values())


def judge(item: Anchor, root: Path) -> Row:
    """Compute one anchor against the data under `root`."""

    def row(computed: float, verdict: str, note: str = "") -> Row:
        return Row(item.id, item.source, item.published, computed, item.tolerance, verdict, item.unit, note)

    missing = [n for n in item.needs if not (root / n).exists()]
    if missing:
        return row(math.nan, NO_DATA, f"not found under {root}: {', '.join(missing)}")
    try:
        computed = float(item.compute(root))
    except DataError as error:
        return row(math.nan, FAIL, str(error))
    good = math.isfinite(computed) and abs(computed - item.published) <= item.tolerance
    return row(computed, PASS if good else FAIL)
