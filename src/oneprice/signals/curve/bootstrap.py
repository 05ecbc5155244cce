"""Curves from market quotes: deposits, overnight-indexed swaps, futures and swaps, bootstrapped by QuantLib.

Needs the extra `[curves]`. Interest-rate futures are quoted as 100 less a rate that is paid daily; the forward rate is
lower by a convexity that must be stated (0 says that it is left out). Each bootstrap keeps its quotes, so one that
moves is solved again from where it stood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError, unknown_name
from oneprice.signals.curve.curve import Curve, make_curve
from oneprice.signals.curve.resolve import gap, packed, resolve

KINDS = ("deposit", "ois", "future", "swap")
_TENOR = re.compile(r"(?:\d+[DWMY])+")


class Quote(msgspec.Struct, frozen=True):
    """One quote. `rate` is a share; of a future it is the price (94.66). `tenor` is 1W, 3M, 10Y; of a future its place,
    counted from the first quarterly contract after the anchor ("1", "2"...). `convexity` is taken off a future's rate.
    """

    kind: str
    tenor: str
    rate: float
    convexity: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("kind of quote", self.kind, list(KINDS))
        if self.kind == "future":
            if not self.tenor.isdigit() or self.tenor == "0":
                raise ConfigError(f"future {self.tenor!r}: expected its place among the quarterly contracts: 1, 2, ...")
            if self.convexity is None:
                raise ConfigError(f"future {self.tenor}: state its convexity= (0.0 says that it is left out)")
        elif not _TENOR.fullmatch(self.tenor):
            raise ConfigError(f"tenor {self.tenor!r}: expected like 1W, 3M, 10Y or 1Y6M")
        if not np.isfinite(self.rate):
            raise DataError(f"{self.kind} {self.tenor}: expected a finite quote, got {self.rate}")


class Convention(msgspec.Struct, frozen=True, kw_only=True):
    """How quotes of one currency are read. `calendar` names a calendar of QuantLib."""

    name: str
    currency: str
    calendar: str
    spot_days: int
    payment_days: int = 0  # of overnight-indexed swaps
    day_count: str = "act/360"
    fixed_day_count: str = "30/360"  # of the fixed leg of swaps on a term rate
    fixed_frequency: str = "annual"
    floating_months: int = 3


CONVENTIONS = {
    c.name: c
    for c in (
        Convention(name="EONIA", currency="EUR", calendar="TARGET", spot_days=2, payment_days=1),
        Convention(name="ESTR", currency="EUR", calendar="TARGET", spot_days=2, payment_days=1),
        Convention(name="SOFR", currency="USD", calendar="FederalReserve", spot_days=0, payment_days=2),
        Convention(name="SONIA", currency="GBP", calendar="UnitedKingdom", spot_days=0, day_count="act/365"),
        Convention(name="USD-3M", currency="USD", calendar="UnitedKingdom", spot_days=2, fixed_frequency="semiannual"),
    )
}


def quantlib() -> Any:
    """The library; a clear error where the extra is missing."""
    try:
        import QuantLib
    except ImportError:
        raise ConfigError("bootstrapping needs QuantLib: pip install 'oneprice[curves]'") from None
    return QuantLib


class Bootstrap:
    """A curve that follows its quotes. Make it with `bootstrap`.

    QuantLib reads the conventions and solves once; a quote that moves is solved in compiled code (`resolve.py`), from
    the node it concerns, on the cash flows that QuantLib made.
    """

    def __init__(self, anchor: str, quotes: Sequence[Quote], convention: Convention, method: str) -> None:
        ql = quantlib()
        self.anchor, self.convention, self.method = anchor, convention, method
        day = _date(ql, anchor)
        with _evaluated_on(ql, day):
            index = _index(ql, convention)
            made = [(_helper(ql, day, q, convention, index), q) for q in quotes]
            made.sort(key=lambda pair: pair[0].pillarDate())
            self.quotes = tuple(q for _, q in made)
            helpers = [h for h, _ in made]
            term = ql.PiecewiseLogLinearDiscount(day, helpers, ql.Actual365Fixed())
            try:
                nodes = term.nodes()
            except RuntimeError as error:
                raise DataError(f"bootstrap {anchor}: {str(error).splitlines()[0]}") from None
            days = _day_count(ql, convention.day_count)
            self._flows, self._ends = packed([_condition(ql, day, h, q, days) for h, q in made])
        self._years = np.array([(when - day) / 365.0 for when, _ in nodes[1:]])
        self._logs = np.log([factor for _, factor in nodes[1:]])
        self._rates = np.array([_rate(q) for q in self.quotes])

    @property
    def curve(self) -> Curve:
        """As of the quotes now; its day count is act/365."""
        return make_curve(self.anchor, self._years, np.exp(self._logs), method=self.method)

    def move(self, place: int, rate: float) -> Curve:
        """The quote at a place of `quotes` (they are in the order of their last dates) becomes `rate`.

        Returns the curve that follows. A rate that cannot be solved for raises DataError and changes nothing.
        """
        if not 0 <= place < len(self.quotes):
            raise ConfigError(f"move: expected a place from 0 to {len(self.quotes) - 1}, got {place}")
        moved = msgspec.structs.replace(self.quotes[place], rate=float(rate))
        rates, logs = self._rates.copy(), self._logs.copy()
        rates[place] = _rate(moved)
        if resolve(self._years, logs, rates, self._flows, self._ends, place) >= 0:
            raise DataError(f"bootstrap {self.anchor}: no curve fits {moved.kind} {moved.tenor} at {rate}")
        self._rates, self._logs = rates, logs
        self.quotes = (*self.quotes[:place], moved, *self.quotes[place + 1 :])
        return self.curve

    def errors(self) -> np.ndarray:
        """By how much each condition is missed, float64[n], per unit of notional."""
        logs, begin, out = self._logs, 0, np.empty(len(self.quotes))
        for i, (middle, end) in enumerate(self._ends):
            floating, fixed = self._flows[begin:middle], self._flows[middle:end, :2]
            out[i] = gap(self._years, logs, len(logs), floating, fixed, self._rates[i])
            begin = end
        return out


def bootstrap(
    anchor: str, quotes: Sequence[Quote], convention: str | Convention, *, method: str = "log_linear"
) -> Bootstrap:
    """Solve for the discount factors that price every quote; between nodes they are log-linear while solving.

    `method` says how the curve is read between nodes afterwards (see `make_curve`); the nodes are the same.

    Raises
    ------
    ConfigError, DataError
        No quotes, two of one tenor, an unknown convention, quotes that no positive discount factors fit.
    """
    if isinstance(convention, str):
        if convention not in CONVENTIONS:
            raise unknown_name("convention", convention, list(CONVENTIONS))
        convention = CONVENTIONS[convention]
    if not quotes:
        raise DataError(f"bootstrap {anchor}: expected quotes, got none")
    seen: set[tuple[str, str]] = set()
    for i, q in enumerate(quotes):
        if (q.kind, q.tenor) in seen:
            raise DataError(f"bootstrap {anchor}: quote {i}: {q.kind} {q.tenor} is there twice")
        seen.add((q.kind, q.tenor))
    return Bootstrap(anchor, quotes, convention, method)


@contextmanager
def _evaluated_on(ql: Any, day: Any) -> Iterator[None]:
    """QuantLib's date of evaluation is one for the process: ours while we work, theirs again after."""
    settings = ql.Settings.instance()
    before = settings.evaluationDate
    settings.evaluationDate = day
    try:
        yield
    finally:
        settings.evaluationDate = before


def _date(ql: Any, text: str) -> Any:
    try:
        day = np.datetime64(text, "D").astype(object)
    except ValueError:
        raise ConfigError(f"anchor {text!r}: expected YYYY-MM-DD") from None
    return ql.Date(day.day, day.month, day.year)


def _calendar(ql: Any, name: str) -> Any:
    us = ("FederalReserve", "Settlement", "GovernmentBond", "NYSE")
    if name in us:
        return ql.UnitedStates(getattr(ql.UnitedStates, name))
    made = getattr(ql, name, None)
    if made is None:
        raise ConfigError(f"calendar {name!r}: expected one of {', '.join(us)} or a calendar of QuantLib, like TARGET")
    return made()


def _day_count(ql: Any, name: str) -> Any:
    known = {"act/360": ql.Actual360, "act/365": ql.Actual365Fixed}
    if name == "30/360":
        return ql.Thirty360(ql.Thirty360.BondBasis)
    if name not in known:
        raise unknown_name("day count", name, [*known, "30/360"])
    return known[name]()


def _index(ql: Any, c: Convention) -> Any:
    """(overnight index, term index) of a convention."""
    currency = getattr(ql, f"{c.currency}Currency")()
    calendar, days = _calendar(ql, c.calendar), _day_count(ql, c.day_count)
    overnight = ql.OvernightIndex(c.name, 0, currency, calendar, days)
    term = ql.IborIndex(
        f"{c.name}-term", ql.Period(c.floating_months, ql.Months), c.spot_days, currency, calendar,
        ql.ModifiedFollowing, True, days,
    )  # fmt: skip
    return overnight, term


def _helper(ql: Any, anchor: Any, q: Quote, c: Convention, index: Any) -> Any:
    """What QuantLib solves for one quote."""
    handle, calendar = ql.QuoteHandle(ql.SimpleQuote(q.rate)), _calendar(ql, c.calendar)
    days = _day_count(ql, c.day_count)
    if q.kind == "deposit":
        lag = 0 if q.tenor == "1D" else c.spot_days
        rule = ql.Following if q.tenor.endswith(("D", "W")) else ql.ModifiedFollowing
        return ql.DepositRateHelper(handle, ql.Period(q.tenor), lag, calendar, rule, False, days)
    if q.kind == "ois":
        return ql.OISRateHelper(
            c.spot_days, ql.Period(q.tenor), handle, index[0], ql.YieldTermStructureHandle(), True, c.payment_days,
            ql.Following, ql.Annual, calendar,
        )  # fmt: skip
    if q.kind == "future":
        start = anchor
        for _ in range(int(q.tenor)):
            start = ql.IMM.nextDate(start, True)
        convexity = ql.QuoteHandle(ql.SimpleQuote(float(q.convexity or 0.0)))
        return ql.FuturesRateHelper(
            handle, start, c.floating_months, calendar, ql.ModifiedFollowing, True, days, convexity
        )
    frequency = {"annual": ql.Annual, "semiannual": ql.Semiannual}[c.fixed_frequency]
    fixed_days = _day_count(ql, c.fixed_day_count)
    return ql.SwapRateHelper(
        handle, ql.Period(q.tenor), calendar, frequency, ql.ModifiedFollowing, fixed_days, index[1]
    )


def _rate(q: Quote) -> float:
    """The rate of a quote: of a future 1 less its price in per cent, less its convexity."""
    return (100.0 - q.rate) / 100.0 - (q.convexity or 0.0) if q.kind == "future" else q.rate


def _condition(ql: Any, anchor: Any, helper: Any, q: Quote, days: Any) -> tuple[list, list]:
    """(floating rows, fixed rows) of a quote, as `resolve.py` states them."""

    def years(when: Any) -> float:
        return (when - anchor) / 365.0

    if q.kind in ("deposit", "future"):
        start, end = helper.earliestDate(), helper.maturityDate()
        return [(years(start), years(end), 0.0, 1.0)], [(days.yearFraction(start, end), 0.0)]
    swap = helper.swap()
    fixed = [(c.accrualPeriod(), years(c.date())) for c in map(ql.as_fixed_rate_coupon, swap.leg(0))]
    floating = []
    for flow in swap.leg(1):
        c = ql.as_floating_rate_coupon(flow)
        floating.append((years(c.accrualStartDate()), years(c.accrualEndDate()), years(c.date()), 1.0))
    return floating, fixed
