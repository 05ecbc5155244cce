"""Treasury par yields by day, and the money-market rate that carry is financed at: only what was known by a day.

A day's yields are told after its close, so a decision on a day may use those of the days before it. Conversion, stated:
up to half a year a bill, P = 1 / (1 + y t); beyond it a par bond with half-yearly coupons, y interpolated linearly
between tenors, solved upwards for P; then r(t) = -ln P(t) / t, continuously compounded, act/365, ln P linear between
the nodes. Zero means missing in these files. The yields are smoothed, not prices: rates to carry at, never P&L.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.market.chains import day_number, day_text

STALE_DAYS = 10  # over the longest closure of the bond market; older yields are no rate of today
_TENOR = re.compile(r"(?:BC_)?(\d+(?:\.\d+)?)\s*(mo|yr|month|year)s?$", re.IGNORECASE)
LONGEST_YEARS = 30.0
ABSENT = ("", "n/a", "na", "nan", "null", "none", ".", "-", "nd")  # words of files for no yield


class Treasury(msgspec.Struct, frozen=True, eq=False):
    """Par yields: `days` int64[T] rising, `tenors` float64[K] in years, rising, `par` float64[T, K] shares, NaN: none.

    Treasury yields are what a government pays; who borrows pays more: add a spread where a band asks for one.
    """

    days: np.ndarray
    tenors: np.ndarray
    par: np.ndarray
    source: str = ""

    def known(self, day: Any) -> int:
        """Row of the last yields told before a day.

        Raises DataError when there are none, or none of the last STALE_DAYS days: absent rates are said, not guessed.
        """
        at = day_number(day)
        row = int(np.searchsorted(self.days, at)) - 1
        if row < 0 or at - int(self.days[row]) > STALE_DAYS:
            span = f"{day_text(int(self.days[0]))}..{day_text(int(self.days[-1]))}"
            raise DataError(
                f"rates for {day_text(at)}: expected yields of the {STALE_DAYS} days before, {self.source} has {span}; "
                f"state a rate of your own, or stop where the rates stop"
            )
        return row

    def covers(self, day: Any) -> bool:
        """Whether `known` has a row."""
        at = day_number(day)
        row = int(np.searchsorted(self.days, at)) - 1
        return row >= 0 and at - int(self.days[row]) <= STALE_DAYS

    def zeros(self, day: Any, longest: float = LONGEST_YEARS) -> tuple[np.ndarray, np.ndarray]:
        """(years, r) of the yields told before a day: nodes float64[n] and rates, continuously compounded.

        `longest` years are asked for: nodes end with the first at or behind it.
        """
        row = self.par[self.known(day)]
        have = np.isfinite(row)
        return zeros_of(self.tenors[have], row[have], longest)

    def rate(self, day: Any, years: float) -> float:
        """r(years) by the yields told before a day; flat before the first node and behind the last.

        Raises DataError as `known`, ConfigError for years below 0.
        """
        if not years >= 0:
            raise ConfigError(f"rate: expected years of 0 or more, got {years}")
        nodes, r = self.zeros(day, years)
        if years <= nodes[0]:
            return float(r[0])
        if years >= nodes[-1]:
            return float(r[-1])
        return float(np.interp(years, nodes, r * nodes) / years)

    def forward(self, day: Any, start: float, end: float) -> float:
        """Rate from `start` to `end` (years from the day), continuously compounded; `rate(end)` when start is 0."""
        if not 0 <= start < end:
            raise ConfigError(f"forward rate: expected 0 <= start < end, got {start} and {end}")
        return (self.rate(day, end) * end - self.rate(day, start) * start) / (end - start)


def zeros_of(tenors: np.ndarray, par: np.ndarray, longest: float = LONGEST_YEARS) -> tuple[np.ndarray, np.ndarray]:
    """(years, r) of par yields: the bills as they are, then half-yearly nodes up to the tenor asked for.

    Raises DataError for no yields, tenors not rising from above 0, a yield of -100 % or less.
    """
    t, y = np.asarray(tenors, np.float64), np.asarray(par, np.float64)
    if len(t) == 0 or t.shape != y.shape or not (np.diff(t, prepend=0.0) > 0).all() or not (y > -1.0).all():
        raise DataError(f"par yields: expected one yield above -1 for each of rising tenors, got {t}, {y}")
    bills = t <= 0.5 + 1e-9
    years = t[bills].tolist()
    log_p = (-np.log1p(y[bills] * t[bills])).tolist()
    halves = np.arange(0.5, min(float(t[-1]), longest + 0.5) + 1e-9, 0.5)
    annuity, discounts = 0.0, []
    for at, yielded in zip(halves.tolist(), np.interp(halves, t, y).tolist(), strict=True):
        coupon = 0.5 * yielded
        if at <= 0.5 + 1e-9:
            p = 1.0 / (1.0 + 2.0 * coupon * at)
        else:
            p = (1.0 - coupon * annuity) / (1.0 + coupon)
        if not p > 0:
            raise DataError(f"par yields: no discount factor above 0 at {at:g} years")
        annuity += p
        discounts.append(p)
    later = halves[halves > (years[-1] if years else 0.0) + 1e-9]
    skip = len(halves) - len(later)
    nodes = np.array([*years, *later.tolist()])
    logs = np.array([*log_p, *np.log(discounts[skip:]).tolist()])
    return nodes, -logs / nodes


def _per_cent(par: np.ndarray, years: np.ndarray, path: Path) -> bool:
    """Whether yields are per cent: long ones never were below a quarter of one per cent, nor above 20 as shares."""
    long = par[:, years >= 10.0]
    if np.isfinite(long).any():
        return bool(np.nanmedian(np.abs(long)) > 0.25)
    if not np.isfinite(par).any():
        return False
    middle = float(np.nanmedian(np.abs(par)))
    if 0.005 < middle <= 0.25:
        raise DataError(
            f"{path}: yields around {middle:g} of tenors below ten years may be per cent or shares; add a "
            "column of ten years or longer, which tells"
        )
    return middle > 0.25


def read_treasury(*paths: str | Path) -> Treasury:
    """Par yields of one file or several, days in more than one taken from the first that has them.

    A file is CSV, or Parquet of the same columns: a date column first, then tenors by name (`1 Mo`, `BC_3MONTH`,
    `10year`). Per cent or shares is told by the size of yields of ten years and longer; a file of shorter tenors alone
    whose yields could be either is refused. Raises DataError for a file without a date or a tenor, or days twice.
    """
    if not paths:
        raise ConfigError("read_treasury: expected a file, got none")
    parts = [_read_one(Path(path)) for path in paths]
    tenors = np.unique(np.round(np.concatenate([t for _, t, _ in parts]), 9))
    rows: dict[int, np.ndarray] = {}
    for days, own, par in parts:
        at = np.searchsorted(tenors, np.round(own, 9))
        for day, values in zip(days.tolist(), par, strict=True):
            if day not in rows and np.isfinite(values).any():
                rows[day] = np.full(len(tenors), np.nan)
                rows[day][at] = values
    if not rows:
        raise DataError(f"{', '.join(str(p) for p in paths)}: no yield other than 0")
    days = np.array(sorted(rows), np.int64)
    return Treasury(days, tenors, np.array([rows[int(d)] for d in days]), ", ".join(Path(p).name for p in paths))


def _day(value: Any, path: Path, row: int) -> int:
    """The day of a row, of a date or of text that begins with one."""
    try:
        return day_number(str(value)[:10])
    except DataError as error:
        raise DataError(f"{path}, row {row + 1}: {error}") from None


def _numbers(column: Any, path: Path) -> None:
    """Raises DataError for text that is neither a yield nor a word for none."""
    import polars as pl

    if column.dtype != pl.String:
        return
    bad = column.cast(pl.Float64, strict=False).is_null() & ~column.str.strip_chars().str.to_lowercase().is_in(ABSENT)
    rows = bad.fill_null(False).arg_true()
    if len(rows):
        i = int(rows[0])
        raise DataError(f"{path}, row {i + 1}, column {column.name}: expected a yield or none, got {column[i]!r}")


def _read_one(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(days, tenors, par) of one file, days sorted, zeros as NaN."""
    import polars as pl

    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        table = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, infer_schema_length=None)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path}: expected CSV or Parquet of yields: {str(error).splitlines()[0]}") from error
    named = {c: _TENOR.match(c.strip()) for c in table.columns[1:]}
    found = {c: float(m[1]) / (12.0 if m[2].lower().startswith("mo") else 1.0) for c, m in named.items() if m}
    if found and not table.height:
        raise DataError(f"{path}: expected a row a day, got the header alone")
    if not found:
        raise DataError(f"{path}: expected a date and tenors such as `3 Mo` or `BC_10YEAR`, got {table.columns}")
    columns = sorted(found, key=lambda c: found[c])
    days = np.array([_day(d, path, i) for i, d in enumerate(table[table.columns[0]].to_list())], np.int64)
    order = np.sort(days)
    twice = order[1:][np.diff(order) == 0]
    if len(twice):
        raise DataError(f"{path}: {day_text(int(twice[0]))} is there twice: expected a row a day")
    for column in columns:
        _numbers(table[column], path)
    raw = table.select(pl.col(columns).cast(pl.Float64, strict=False)).to_numpy()
    par = np.where(np.isfinite(raw) & (raw != 0.0), raw, np.nan)
    if _per_cent(par, np.array([found[c] for c in columns]), path):
        par = par / 100.0
    order = np.argsort(days)
    return days[order], np.array([found[c] for c in columns]), par[order]
