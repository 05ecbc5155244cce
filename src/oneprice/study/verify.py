"""Published numbers beside computed ones: the harness behind `oneprice verify`.

Rows come in groups, because rows often share their work: one function takes the folder of reference data and
returns its rows. GROUPS names the functions, imported when they run, and the data that each needs.
"""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from oneprice.core.errors import ConfigError, DataError, unknown_name

PASS, FAIL, NO_DATA = "pass", "fail", "no-data"


class Group(msgspec.Struct, frozen=True):
    """Rows that are computed together.

    `function` is `module:name` of a function `(data folder) -> rows`, each with id, source, published,
    computed, tolerance and (if it has one) note. `needs` are files or folders below the data folder.
    """

    name: str
    function: str
    needs: tuple[str, ...] = ()


class Row(msgspec.Struct, frozen=True):
    """One line of the verdict table. `computed` is NaN where there is no data or the computation failed."""

    id: str
    source: str
    published: float
    computed: float
    tolerance: float  # absolute; 0 means equal
    verdict: str  # pass | fail | no-data
    note: str = ""


GROUPS: tuple[Group, ...] = (
    Group(
        "market",
        "oneprice.study.anchors_market:market_anchors",
        ("binance_l2", "fx_two_venues/eurusd_fxcm_oanda_ticks_201405.parquet"),
    ),
    Group(
        "filters",
        "oneprice.study.anchors_filters:filter_anchors",
        ("chan/inputData_EWA_EWC_IGE.csv", "econometrics/dem2gbp.csv", "pairs/stock_prices.csv"),
    ),
    Group(
        "cointegration",
        "oneprice.study.anchors_cointegration:cointegration_anchors",
        ("econometrics/denmark.csv", "chan/inputData_EWA_EWC_IGE.csv"),
    ),
    Group("micro", "oneprice.study.anchors_micro:micro_anchors", ("binance_l2",)),
    Group(
        "orders",
        "oneprice.study.anchors_orders:order_anchors",
        ("bitstamp_l3/2015-05-01.log.xz", "lobster/amzn_l1_20120621.parquet"),
    ),
    Group("selection", "oneprice.study.anchors_selection:selection_anchors"),
    Group("capital", "oneprice.study.anchors_capital:capital_anchors"),
    Group("quoting", "oneprice.study.anchors_quoting:quoting_anchors"),
    Group("making", "oneprice.study.anchors_making:making_anchors"),
    Group("clusters", "oneprice.study.anchors_clusters:cluster_anchors"),
    Group(
        "reversion",
        "oneprice.study.anchors_reversion:reversion_anchors",
        ("chan/inputData_EWA_EWC_IGE.csv", "chan/inputData_GLD_USO.csv", "pairs/ANZ-ADB.csv", "pairs/Country_ETF.csv"),
    ),
    Group(
        "curve",
        "oneprice.study.anchors_curve:curve_anchors",
        ("chan/inputDataDaily_CL_20120502.csv", "wti_oracle/stitched_futures.parquet"),
    ),
    Group("bootstrap", "oneprice.study.anchors_bootstrap:bootstrap_anchors", ("curve_oracles",)),
    Group(
        "parity",
        "oneprice.study.anchors_parity:parity_anchors",
        ("futures_curves/dflong.parquet", "futures_curves/expiry_table.parquet"),
    ),
)


def data_root() -> Path:
    """The folder of reference data: ONEPRICE_DATA, else ../shared/data."""
    return Path(os.environ.get("ONEPRICE_DATA") or "../shared/data")


def verify(
    *,
    names: Iterable[str] = (),
    data: Path | None = None,
    groups: Sequence[Group] = GROUPS,
    progress: Callable[[float, float], None] | None = None,
) -> list[Row]:
    """Compute the rows of all groups (or of those named) and judge each.

    Returns
    -------
    The rows. The verdict is `fail` when |computed - published| exceeds the tolerance, a number is not finite
    or the computation refuses its data; `no-data` (one row a group) when something it needs is not there.

    Raises
    ------
    ConfigError
        A name matches no group, or two rows have one id.
    """
    wanted = list(names)
    known = {g.name: g for g in groups}
    for name in wanted:
        if name not in known:
            raise unknown_name("group of anchors", name, list(known))
    chosen = [known[n] for n in wanted] or list(groups)
    root = data if data is not None else data_root()
    rows: list[Row] = []
    for i, group in enumerate(chosen):
        if progress:
            progress(i, len(chosen))
        rows += judge_group(group, root)
    if progress:
        progress(len(chosen), len(chosen))
    ids = [r.id for r in rows]
    twice = sorted({i for i in ids if ids.count(i) > 1})
    if twice:
        raise ConfigError(f"verify: expected one row an id, got two of {', '.join(twice)}")
    return rows


def judge_group(group: Group, root: Path) -> list[Row]:
    """The rows of one group, judged."""
    missing = [n for n in group.needs if not (root / n).exists()]
    if missing:
        note = f"not found under {root}: {', '.join(missing)}"
        return [Row(group.name, "", math.nan, math.nan, math.nan, NO_DATA, note)]
    module, _, name = group.function.partition(":")
    compute: Callable[[Path], Iterable[Any]] = getattr(importlib.import_module(module), name)
    try:
        found = list(compute(root))
    except DataError as error:
        return [Row(group.name, group.function, math.nan, math.nan, math.nan, FAIL, str(error))]
    return [judge(one) for one in found]


def judge(one: Any) -> Row:
    """A row with its verdict; a tolerance that is negative or NaN, so that it could not fail, is refused."""
    published, computed, tolerance = float(one.published), float(one.computed), float(one.tolerance)
    if not (tolerance >= 0.0 and math.isfinite(tolerance)):
        raise ConfigError(f"anchor {one.id}: expected a finite tolerance of 0 or more, got {tolerance}")
    missing = getattr(one, "missing", "")
    if missing:
        return Row(one.id, one.source, published, math.nan, tolerance, NO_DATA, missing)
    good = math.isfinite(computed) and abs(computed - published) <= tolerance
    verdict = PASS if good else FAIL
    return Row(one.id, one.source, published, computed, tolerance, verdict, getattr(one, "note", ""))
