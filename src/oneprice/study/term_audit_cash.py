"""Cash dividends of single dates in the bands of a strip: who carries the asset receives them, who is short owes them.

A file holds a row a payment: `date` on which the asset goes ex, `amount` a unit, and `series`, the root it belongs to
(left out: all are of the root audited). Between the expiries of contracts i and j falls what goes ex after the last
trade of i and not after that of j. The amounts are those of the file on every row: a dividend that was declared later
is hindsight, and the inputs of the audit say so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.market.chains import DAYS_A_YEAR, day_number, day_text
from oneprice.study.term_audit_sources import DAY_NS

COLUMNS = ("date", "amount")


class Payments(msgspec.Struct, frozen=True, eq=False):
    """`days` int64[n] rising, of going ex; `amounts` float64[n] above 0, a unit; where they come from, what was left
    out.
    """

    days: np.ndarray
    amounts: np.ndarray
    source: str
    notes: tuple[str, ...] = ()


def read_dividends(given: Sequence[str | Path], root: str) -> Payments:
    """Dividends of a root, of files (CSV, Parquet) or as words `2024-03-15=1.25`.

    Raises
    ------
    ConfigError, DataError
        No such file, other columns, a date or an amount that is none, no payment of the root.
    """
    rows: list[tuple[int, float]] = []
    notes: list[str] = []
    for one in given:
        day, equals, amount = str(one).partition("=")
        if equals and not Path(one).is_file():
            rows.append((_day(day, "--dividends"), _amount(amount, f"--dividends {one}")))
        else:
            rows += _of_file(Path(one), root, notes)
    if not rows:
        raise ConfigError("dividends: expected a file (columns date, amount, series) or DATE=AMOUNT, got none")
    paid: dict[int, float] = {}
    for at, value in rows:
        paid[at] = paid.get(at, 0.0) + value
    if len(paid) < len(rows):
        notes.append(f"dividends: {len(rows) - len(paid)} more on a day that has one already: added up")
    days = sorted(paid)
    source = ", ".join(dict.fromkeys("stated" if "=" in str(g) else Path(g).name for g in given))
    return Payments(np.array(days, np.int64), np.array([paid[d] for d in days]), source, tuple(notes))


def _of_file(path: Path, root: str, notes: list[str]) -> list[tuple[int, float]]:
    import polars as pl

    if not path.is_file():
        raise DataError(f"{path}: no such file: --dividends takes a file (columns date, amount, series) or DATE=AMOUNT")
    try:
        table = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, infer_schema_length=None)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path}: expected CSV or Parquet of dividends: {str(error).splitlines()[0]}") from error
    lacking = [c for c in COLUMNS if c not in table.columns]
    if lacking:
        raise DataError(
            f"{path}: expected columns date, amount (money a unit) and maybe series (the root), got "
            f"{', '.join(table.columns)}"
        )
    names = table["series"].cast(pl.String).to_list() if "series" in table.columns else [root] * table.height
    out, other = [], 0
    for i, (when, amount, name) in enumerate(zip(table["date"], table["amount"], names, strict=True)):
        if name != root:
            other += 1
            continue
        where = f"{path}, row {i + 1}"
        out.append((_day(when, where), _amount(amount, where)))
    if not out:
        found = ", ".join(sorted({str(n) for n in names})) or "no row"
        raise DataError(f"{path}: no dividend of series {root}: the file has {found}")
    if other:
        notes.append(f"dividends: {other} rows of {path.name} are of other series than {root}: left out")
    return out


def _day(value: Any, where: str) -> int:
    try:
        return day_number(str(value)[:10] if value is not None else "")
    except DataError as error:
        raise DataError(f"{where}: field date: {error}") from None


def _amount(value: Any, where: str) -> float:
    try:
        amount = float(value)
    except (TypeError, ValueError):
        amount = math.nan
    if not (math.isfinite(amount) and amount > 0):
        raise DataError(f"{where}: field amount: expected money a unit above 0, got {value!r}")
    return amount


def paid_by(
    paid: Payments, time_ns: np.ndarray, years: np.ndarray, rates: tuple[np.ndarray, np.ndarray],
    spreads: tuple[float, float],
) -> np.ndarray:  # fmt: skip
    """float64[2, T, N]: value on each row of all that goes ex until the last trade of each contract.

    Discounted on the curve `rates` (grid float64[K], ln P float64[T, K + 1]) and, continuously, at what borrowing costs
    above it (plane 0, for the upper bound) and lending earns below it (plane 1): `spreads`. NaN where the row has no
    rates.
    """
    grid, logs = rates
    out = np.zeros((2, *years.shape))
    nodes = np.append(0.0, grid)
    for t in range(len(time_ns)):
        when = (paid.days - time_ns[t] / DAY_NS) / DAYS_A_YEAR
        ahead = when > 0.0
        x = when[ahead]
        log_p = np.interp(x, nodes, np.append(0.0, logs[t, :-1]))
        log_p = np.where(x > grid[-1], x * logs[t, -2] / grid[-1], log_p)
        place = np.searchsorted(x, years[t], side="right")
        for side, spread in enumerate((-spreads[0], spreads[1])):
            total = np.cumsum(paid.amounts[ahead] * np.exp(log_p + spread * x))
            out[side, t] = np.append(0.0, total)[place]
    return out


def told(paid: Payments | None) -> str:
    """The line of the inputs."""
    if paid is None:
        return "none stated"
    span = f"{day_text(int(paid.days[0]))}..{day_text(int(paid.days[-1]))}"
    return (
        f"{len(paid.days)} of single dates ({span}, {paid.source}), taken as known on every row before: hindsight "
        f"where one was declared later"
    )
