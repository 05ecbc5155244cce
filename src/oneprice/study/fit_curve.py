"""`oneprice fit curve`: a curve of a day from yields or quotes, with its errors and its conditioning.

Zero rates and par yields are taken as they are; deposits, overnight-indexed swaps, futures and swaps are bootstrapped
first. Then a Svensson, Nelson-Siegel or Diebold-Li curve is fitted to the zero rates, or the nodes are the curve.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError, unknown_name
from oneprice.market.chains import day_number, day_text
from oneprice.market.rates import Treasury, read_treasury, zeros_of
from oneprice.signals.curve.bootstrap import KINDS, Quote, bootstrap
from oneprice.signals.curve.curve import Curve, make_curve
from oneprice.signals.curve.fit_svensson import DECAY_MONTHS, diebold_li, fit_svensson, refuse_singular
from oneprice.signals.curve.parametric import Svensson
from oneprice.signals.curve.rates import forward_rate, par_rate, zero_rate

METHODS = ("svensson", "nelson_siegel", "diebold_li", "bootstrap")
YIELDS = ("zero", "par")
SHOWN = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 20.0, 30.0)
ILL = 1e6  # condition above which betas trade against each other
_TENOR = re.compile(r"(\d+(?:\.\d+)?)\s*([DWMY])", re.IGNORECASE)
_YEARS = {"D": 1 / 365, "W": 7 / 365, "M": 1 / 12, "Y": 1.0}


class Given(msgspec.Struct, frozen=True, eq=False):
    """What a curve is fitted to: `years` and `zero` float64[n] (continuously compounded), names of the quotes, the
    bootstrapped curve where there is one, and how the zero rates came about.
    """

    day: str
    source: str
    how: str
    years: np.ndarray
    zero: np.ndarray
    names: tuple[str, ...]
    curve: Curve


class CurveModel(msgspec.Struct, frozen=True, eq=False):
    """A fitted curve. `parameters` of the parametric ones (none for the nodes); `errors_bp` float64[n] fitted less
    given zero rates; `condition` of the scaled columns (NaN: nothing was fitted).
    """

    method: str
    given: Given
    curve: Svensson | Curve
    parameters: dict[str, float]
    errors_bp: np.ndarray
    condition: float

    @property
    def rmse_bp(self) -> float:
        """Root mean square error of the zero rates."""
        return float(np.sqrt(np.mean(self.errors_bp**2)))

    def rates(self) -> list[dict[str, float]]:
        """Zero (continuous), one-year forward (continuous) and par (semiannual) rates, as far as the data reach."""
        first, last = float(self.given.years[0]), float(self.given.years[-1])
        return [
            {
                "years": t,
                "zero": zero_rate(self.curve, t, "continuous"),
                "forward": forward_rate(self.curve, t, t + 1.0, "continuous") if t + 1.0 <= last + 1e-9 else math.nan,
                "par": par_rate(self.curve, t, "semiannual"),
            }
            for t in SHOWN
            if first - 1e-9 <= t <= last + 1e-9
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        g = self.given
        return {
            "method": self.method, "day": g.day, "source": g.source, "how": g.how, "parameters": self.parameters,
            "rmse_bp": self.rmse_bp, "worst_bp": float(np.abs(self.errors_bp).max()), "condition": self.condition,
            "quotes": [
                {"name": n, "years": float(t), "zero": float(z), "error_bp": float(e)}
                for n, t, z, e in zip(g.names, g.years, g.zero, self.errors_bp, strict=True)
            ],
            "nodes": [[float(t), float(p)] for t, p in zip(g.curve.years, np.exp(g.curve.log_discount), strict=True)],
            "rates": self.rates(), "compounding": {"zero": "continuous", "forward": "continuous", "par": "semiannual"},
        }  # fmt: skip

    def write(self, path: str | Path) -> Path:
        """The model as JSON (NaN is null)."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(_plain(self.to_dict()), indent=1) + "\n")
        return target

    def __str__(self) -> str:
        g = self.given
        lines = [f"{self.method} curve of {g.day}, {len(g.years)} quotes of {g.source}", f"  {g.how}"]
        lines += [f"  {n:14s} {v:.6g}" for n, v in self.parameters.items()]
        lines.append(f"  root mean square error {self.rmse_bp:.3f} bp, largest {np.abs(self.errors_bp).max():.3f} bp")
        if math.isfinite(self.condition):
            ill = "; above 1e6 betas trade against each other: use the curve, not its parameters"
            lines.append(f"  condition {self.condition:.3g}{ill if self.condition > ILL else ''}")
        lines += ["", "  quote        years     zero %   error bp"]
        rows = zip(g.names, g.years, g.zero, self.errors_bp, strict=True)
        lines += [f"  {n:10s} {t:7.3f} {100 * z:10.4f} {e:10.3f}" for n, t, z, e in rows]
        lines += ["", "  years  zero % (cc)  forward 1y % (cc)  par % (semiannual)"]
        lines += [
            f"  {r['years']:5g} {_share(r['zero']):>12s} {_share(r['forward']):>18s} {_share(r['par']):>19s}"
            for r in self.rates()
        ]
        return "\n".join(lines)


def read_given(path: str | Path, *, day: str | None = None, convention: str | None = None) -> Given:
    """Zero rates of a file: yields by day (a Treasury file, at `day` or its last) or quotes (tenor, rate[, kind]).

    A file of quotes is CSV; rates are shares (futures: prices, with a column convexity). Kinds are zero, par, deposit,
    ois, future, swap; zero when left out. Quotes other than yields need `convention` and `day`.

    Raises
    ------
    DataError, ConfigError
        No such file or day, other columns, a rate in per cent, a tenor or a kind that is not known, kinds mixed.
    """
    import polars as pl

    at = Path(path)
    if not at.is_file():
        raise DataError(f"{at}: expected a file, got a folder" if at.is_dir() else f"{at}: no such file")
    if day is not None:
        day_number(day)
    if at.stat().st_size == 0:
        raise DataError(f"{at}: the file is empty: expected yields by day, or columns tenor, rate")
    if at.suffix == ".parquet" or "tenor" not in pl.read_csv(at, n_rows=0).columns:
        return of_treasury(read_treasury(at), day)
    table = pl.read_csv(at, schema_overrides={"tenor": pl.String})
    if "rate" not in table.columns:
        raise DataError(f"{at}: expected columns tenor, rate and maybe kind, convexity; got {', '.join(table.columns)}")
    if table.height == 0:
        raise DataError(f"{at}: expected a row a quote, got the header alone")
    kinds = table["kind"].to_list() if "kind" in table.columns else ["zero"] * table.height
    told, rates = table["rate"].to_list(), table["rate"].cast(pl.Float64, strict=False).to_list()
    tenors = table["tenor"].to_list()
    convexity = table["convexity"].cast(pl.Float64, strict=False).to_list() if "convexity" in table.columns else []
    for i, (kind, rate) in enumerate(zip(kinds, rates, strict=True)):
        if kind not in (*YIELDS, *KINDS):
            raise unknown_name(f"kind of row {i + 1} in {at.name}", str(kind), [*YIELDS, *KINDS])
        if tenors[i] is None:
            raise DataError(f"{at}, row {i + 1}: field tenor: expected like 3M, 10Y, 2W, got none")
        if rate is None or not math.isfinite(rate):
            got = "none" if told[i] is None else repr(told[i])
            raise DataError(f"{at}, row {i + 1}: field rate: expected a share such as 0.0431, got {got}")
        if kind != "future" and abs(rate) > 0.5:
            raise DataError(f"{at}, row {i + 1}: expected a share such as 0.0431, got {rate}: per cent?")
    if set(kinds) <= {"zero"} or set(kinds) <= {"par"}:
        return _of_yields(at.name, day or "the quotes", kinds[0], tenors, np.array(rates))
    if set(kinds) & set(YIELDS):
        raise DataError(
            f"{at}: expected yields of one kind or quotes to bootstrap, got {', '.join(sorted(set(kinds)))}"
        )
    if convention is None or day is None:
        raise ConfigError(f"{at.name}: {kinds[0]} quotes are bootstrapped: state --convention and --day")
    quotes = [
        Quote(k, t, float(r), convexity[i] if k == "future" and convexity else None)
        for i, (k, t, r) in enumerate(zip(kinds, tenors, rates, strict=True))
    ]
    made = bootstrap(day, quotes, convention)
    curve = made.curve
    names = tuple(f"{q.kind} {q.tenor}" for q in made.quotes)
    how = f"bootstrapped with the conventions of {convention}, log-linear discounts, act/365"
    return Given(day, at.name, how, curve.years, -curve.log_discount / curve.years, names, curve)


def of_treasury(treasury: Treasury, day: str | None = None) -> Given:
    """The yields told on a day (the last when left out)."""
    row = len(treasury.days) - 1
    if day is not None:
        found = np.flatnonzero(treasury.days == day_number(day))
        if len(found) == 0:
            span = f"{day_text(int(treasury.days[0]))}..{day_text(int(treasury.days[-1]))}"
            raise DataError(f"{treasury.source}: no yields on {day}: it has {span}")
        row = int(found[0])
    have = np.isfinite(treasury.par[row])
    tenors = [f"{12 * t:.3g}M" if t < 1 else f"{t:g}Y" for t in treasury.tenors[have].tolist()]
    return _of_yields(treasury.source, day_text(int(treasury.days[row])), "par", tenors, treasury.par[row][have])


def _of_yields(source: str, day: str, kind: str, tenors: list[str], rates: np.ndarray) -> Given:
    years = np.array([_named(t, f"{source}, row {i + 1}") for i, t in enumerate(tenors)])
    order = np.argsort(years, kind="stable")
    years, rates, names = years[order], rates[order], tuple(tenors[i] for i in order.tolist())
    twice = np.flatnonzero(np.diff(years) <= 0)
    if len(twice):
        raise DataError(f"{source}: tenor {names[int(twice[0]) + 1]} is there twice")
    anchor = day if day[:1].isdigit() else "1970-01-01"
    if kind == "zero":
        curve = make_curve(anchor, years, np.exp(-rates * years))
        return Given(day, source, "zero rates, continuously compounded, as given", years, rates, names, curve)
    try:
        nodes, r = zeros_of(years, rates)
    except DataError as error:
        raise DataError(f"{source}, {day}: {error}") from None
    curve = make_curve(anchor, nodes, np.exp(-r * nodes))
    zero = np.array([zero_rate(curve, t, "continuous") for t in years.tolist()])
    how = "par yields, half-yearly, linear between tenors, solved upwards for zero rates"
    return Given(day, source, how, years, zero, names, curve)


def _named(tenor: str, where: str) -> float:
    """`years_of`, with the place in the file."""
    try:
        return years_of(tenor)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


def years_of(tenor: str) -> float:
    """Years of 3M, 10Y, 2W, 1D. Raises DataError for anything else."""
    found = _TENOR.fullmatch(str(tenor).strip())
    if not found or float(found[1]) <= 0:
        raise DataError(f"tenor {tenor!r}: expected like 3M, 10Y, 2W")
    return float(found[1]) * _YEARS[found[2].upper()]


def fit_curve(given: Given, method: str = "svensson") -> CurveModel:
    """Fit one of METHODS to zero rates; `bootstrap` keeps the nodes.

    Raises
    ------
    ConfigError, DataError
        A method that is not known; too few distinct tenors (six for Svensson, five for Nelson-Siegel, four for
        Diebold-Li); tenors too close to each other to tell the curve's numbers apart.
    """
    if method not in METHODS:
        raise unknown_name("method", method, list(METHODS))
    years, zero = given.years, given.zero
    if method == "bootstrap":
        errors = np.array([zero_rate(given.curve, t, "continuous") for t in years.tolist()]) - zero
        return CurveModel(method, given, given.curve, {}, 1e4 * errors, math.nan)
    if method == "diebold_li":
        factors = diebold_li(years, zero)[0]
        if not np.isfinite(factors).all():
            raise DataError(f"Diebold-Li: expected four tenors or more, got {len(years)}")
        decay = 1.0 / (12.0 * DECAY_MONTHS)
        condition = condition_of(years, decay)
        what = f"{_tenors(given)}: Diebold-Li fit (--method bootstrap goes through every tenor)"
        refuse_singular(condition, what, years)
        curve = Svensson(float(factors[0]), float(factors[1]), float(factors[2]), 0.0, decay, decay)
        named = dict(zip(("level", "slope", "curvature"), factors.tolist(), strict=True)) | {"decay_years": decay}
        return CurveModel(method, given, curve, named, _errors(curve, given), condition)
    try:
        fit = fit_svensson(years, zero, nelson_siegel=method == "nelson_siegel")
    except DataError as error:
        raise DataError(f"{_tenors(given)}: {error}; --method bootstrap goes through every tenor") from None
    c = fit.curve
    names = {"b0": c.b0, "b1": c.b1, "b2": c.b2, "u1_years": c.u1}
    if method == "svensson":
        names |= {"b3": c.b3, "u2_years": c.u2}
    return CurveModel(method, given, c, names, _errors(c, given), fit.condition)


def _tenors(given: Given) -> str:
    """Where the rates come from, for an error."""
    return f"{given.source}, tenors {given.names[0]} to {given.names[-1]}"


def condition_of(years: np.ndarray, decay: float) -> float:
    """Condition number of the scaled columns of a three-factor curve."""
    x = years / decay
    near = -np.expm1(-x) / x
    a = np.column_stack([np.ones_like(x), near, near - np.exp(-x)])
    return float(np.linalg.cond(a / np.linalg.norm(a, axis=0)))


def _errors(curve: Svensson, given: Given) -> np.ndarray:
    return 1e4 * (np.array([curve.zero(t) for t in given.years.tolist()]) - given.zero)


def _share(rate: float) -> str:
    """Per cent; a dash where the quotes do not reach."""
    return f"{100 * rate:.4f}" if math.isfinite(rate) else "–"


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list) else value
