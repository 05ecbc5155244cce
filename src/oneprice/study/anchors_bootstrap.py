"""Anchors of bootstrapped curves for `oneprice verify`: two published sets of quotes with their discount factors.

F02 Open Source Risk Engine, EONIA of 2016-02-05 and SOFR of 2023-01-31; QuantLib's own test of an overnight-indexed
swap. They need the extra `[curves]`.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from oneprice.signals.curve.bootstrap import Bootstrap, Quote, bootstrap
from oneprice.signals.curve.rates import zero_rate
from oneprice.signals.curve.resolve import gap
from oneprice.study.anchors_market import Anchor

FOLDER = "curve_oracles"
# what each published curve was built on: quotes that its source lists and leaves out are named
SETS = {
    "EONIA": (
        "2016-02-05", "ORE_market_20160205.txt", "MM/RATE/EUR/0D/", "IR_SWAP/RATE/EUR/2D/1D/", ("3D", "3W", "11Y"),
        "ORE_Example10_20160205_expected_discount_factors.csv", "EUR-EONIA",
    ),
    "SOFR": (
        "2023-01-31", "ORE_nb5_market_20230131.txt", "MM/RATE/USD/SOFR/0D/1D/", "IR_SWAP/RATE/USD/SOFR/0D/1D/", (),
        "ORE_nb5_20230131_expected_discount_factors.csv", "USD-SOFR",
    ),
}  # fmt: skip
SHOWN = ("1M", "6M", "1Y", "2Y", "3Y", "5Y", "10Y", "20Y")


def bootstrap_anchors(data: str | Path) -> list[Anchor]:
    """All rows of this module."""
    folder = Path(data) / FOLDER
    rows = []
    for name, (*_, expected, column) in SETS.items():
        errors = zero_errors_bp(published_set(folder, name), published_factors(folder / expected, column))
        source = f"Open Source Risk Engine, {name}: zero rate (bp apart)"
        rows += [Anchor(f"F02.{name}.{tenor}", source, 0.0, errors[tenor], 0.05) for tenor in SHOWN]
        worst = max(errors.values(), key=abs)
        note = f"the worst of {len(errors)} tenors"
        rows.append(Anchor(f"F02.{name}.worst", source, 0.0, worst, 0.05, note))
    value = 100.0 * cached_swap()
    return [*rows, Anchor("F02.ois", "QuantLib test suite, one-year swap at a flat 5 %", 0.001730450147, value, 1e-11)]


def market_quotes(path: Path, prefix: str, kind: str, skip: Sequence[str] = ()) -> list[Quote]:
    """Quotes of a market file whose name is `prefix` and a tenor."""
    pattern = re.compile(rf"\S+\s+{re.escape(prefix)}(?P<tenor>[^/\s]*)\s+(?P<rate>\S+)")
    found = (pattern.match(line) for line in path.read_text().splitlines())
    return [Quote(kind, m["tenor"] or "1D", float(m["rate"])) for m in found if m and m["tenor"] not in skip]


def published_set(folder: Path, name: str) -> Bootstrap:
    """A curve on the quotes of SETS."""
    anchor, file, overnight, swaps, skip, _, _ = SETS[name]
    first = [q for q in market_quotes(folder / file, overnight.removesuffix("1D/"), "deposit") if q.tenor == "1D"]
    return bootstrap(anchor, [*first, *market_quotes(folder / file, swaps, "ois", skip)], name)


def published_factors(path: Path, column: str) -> dict[str, tuple[str, float]]:
    """Tenor -> (date, discount factor)."""
    with path.open() as lines:
        return {r["#Tenor"]: (r["Date"], float(r[column])) for r in csv.DictReader(lines)}


def zero_errors_bp(made: Bootstrap, published: dict[str, tuple[str, float]]) -> dict[str, float]:
    """Tenor -> our zero rate less the published one, basis points, up to the last node."""
    curve, errors = made.curve, {}
    for tenor, (date, factor) in published.items():
        years = float((np.datetime64(date) - np.datetime64(made.anchor)).astype(int)) / 365.0
        if years <= curve.years[-1]:
            errors[tenor] = 1e4 * (zero_rate(curve, years, "continuous") + math.log(factor) / years)
    return errors


def cached_swap(flat: float = 0.05, days: int = 365) -> float:
    """What a unit of a payer's one-year swap on overnight rates is worth: flat curve act/360, fixed rate e^flat - 1."""
    year, accrual = np.array([days / 365.0]), days / 360.0
    logs = np.array([-flat * accrual])
    return float(
        gap(year, logs, 1, np.array([[0.0, year[0], year[0], 1.0]]), np.array([[accrual, year[0]]]), math.expm1(flat))
    )
