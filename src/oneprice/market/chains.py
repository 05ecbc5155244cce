"""Contracts and their chains: which contract `CL02` is on a date, when it is rolled, and which boundary it has.

Days are whole days since 1970 (int64), as numpy's `datetime64[D]`. A chain never adjusts a price: it says which
contract a price belongs to. A contract may be traded on its last trading day, so the n-th contract on a day is the n-th
whose last trade is that day or later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError, unknown_name

TWO_SIDED, UPPER, NO_BOUNDARY = "two_sided", "upper", "none"
BOUNDARIES = (TWO_SIDED, UPPER, NO_BOUNDARY)
MONTHS = "FGHJKMNQUVXZ"
DAYS_A_YEAR = 365.0  # of tenors, unless a day count is named

# What can be stored can be bought and carried; what cannot be lent has no lower bound; what cannot be stored has none
BOUNDARY_OF = {
    "GC": TWO_SIDED, "SI": TWO_SIDED, "HG": UPPER, "ALI": UPPER,
    "CL": UPPER, "BRN": UPPER, "HO": UPPER, "RB": UPPER, "NG": UPPER,
    "VX": NO_BOUNDARY, "PJM": NO_BOUNDARY,
}  # fmt: skip


def day_number(value: Any) -> int:
    """Days since 1970 of an ISO date, a date or a day number. Raises DataError for anything else."""
    if isinstance(value, (int, np.integer)):
        return int(value)
    try:
        day = np.datetime64(value, "D")
    except ValueError:
        raise DataError(f"date {value!r}: expected YYYY-MM-DD") from None
    if np.isnat(day):
        raise DataError(f"date {value!r}: expected a date, got none")
    return int(day.astype(np.int64))


def day_text(day: int) -> str:
    """YYYY-MM-DD of a day number."""
    return str(np.datetime64(int(day), "D"))


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """One future. `first_notice_day` is when a long may be made to take delivery (-1: never, settled in cash)."""

    symbol: str  # root, month letter and year (CLF2020), or root and last trading day
    root: str
    last_trade_day: int
    first_notice_day: int = -1
    delivery_month: int = 0  # 12 year + month - 1; 0: not stated

    def years_left(self, day: int, days_a_year: float = DAYS_A_YEAR) -> float:
        """From a day to the last trade, in years; negative once it has expired."""
        return (self.last_trade_day - day) / days_a_year


class Chain(msgspec.Struct, frozen=True):
    """The contracts of one root, by last trading day.

    `multiplier` units of underlying a contract, `tick` in quote currency a unit; `notes` say what the table of expiries
    needed. Raises ConfigError for a boundary that
    is none of BOUNDARIES, DataError for contracts that are duplicated, unsorted or of another root.
    """

    root: str
    contracts: tuple[Contract, ...]
    boundary: str
    multiplier: float = 1.0
    tick: float = 0.01
    currency: str = "USD"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.boundary not in BOUNDARIES:
            raise unknown_name(f"boundary of {self.root}", self.boundary, list(BOUNDARIES))
        if not (self.multiplier > 0 and self.tick > 0):
            got = f"{self.multiplier}, {self.tick}"
            raise ConfigError(f"chain {self.root}: expected multiplier and tick above 0, got {got}")
        if not self.contracts:
            raise DataError(f"chain {self.root}: expected at least one contract, got none")
        for i, c in enumerate(self.contracts):
            if c.root != self.root:
                raise DataError(f"chain {self.root}: contract {i} ({c.symbol}) is of {c.root}")
            if i and c.last_trade_day <= self.contracts[i - 1].last_trade_day:
                before = self.contracts[i - 1]
                word = "is a duplicate of" if c.last_trade_day == before.last_trade_day else "expires before"
                raise DataError(
                    f"chain {self.root}: contract {i} ({c.symbol}, {day_text(c.last_trade_day)}) {word} the one before "
                    f"it ({before.symbol}, {day_text(before.last_trade_day)}): expected rising last trading days"
                )
        if len({c.symbol for c in self.contracts}) < len(self.contracts):
            raise DataError(f"chain {self.root}: two contracts have one symbol")

    @property
    def last_trade_days(self) -> np.ndarray:
        """int64[n], rising."""
        return np.array([c.last_trade_day for c in self.contracts], np.int64)

    def first_on(self, day: int) -> int:
        """Place of the first contract that may be traded on a day."""
        return int(np.searchsorted(self.last_trade_days, day))

    def nth(self, day: int, n: int) -> Contract:
        """The n-th contract (1: the front) on a day. Raises DataError when the chain ends before it."""
        if n < 1:
            raise ConfigError(f"chain {self.root}: expected n of 1 or more, got {n}")
        at = self.first_on(day) + n - 1
        if at >= len(self.contracts):
            raise DataError(
                f"chain {self.root}: no contract {n} on {day_text(day)}: the last of the chain is "
                f"{self.contracts[-1].symbol}, {day_text(self.contracts[-1].last_trade_day)}"
            )
        return self.contracts[at]

    def place(self, symbol: str) -> int:
        """Place of a contract by its symbol."""
        for i, c in enumerate(self.contracts):
            if c.symbol == symbol:
                return i
        raise unknown_name(f"contract of {self.root}", symbol, [c.symbol for c in self.contracts])


class Roll(msgspec.Struct, frozen=True, kw_only=True):
    """When a position leaves a contract: `days` calendar days before its last trade, and before first notice.

    A rule that waits for the last trade of a deliverable contract ends in delivery, so `days` is 1 or more.
    """

    days: int = 5
    before_notice: bool = True

    def __post_init__(self) -> None:
        if self.days < 1:
            raise ConfigError(f"roll: expected 1 day or more before the last trade, got {self.days}")

    def last_day(self, contract: Contract) -> int:
        """The last day on which the contract may be held."""
        last = contract.last_trade_day - self.days
        if self.before_notice and contract.first_notice_day >= 0:
            last = min(last, contract.first_notice_day - 1)
        return last

    def held(self, chain: Chain, day: int) -> Contract:
        """The contract that a rolled position holds on a day. Raises DataError when the chain has ended."""
        for c in chain.contracts[chain.first_on(day) :]:
            if self.last_day(c) >= day:
                return c
        raise DataError(f"chain {chain.root}: no contract to hold on {day_text(day)}")


def month_symbol(root: str, year: int, month: int) -> str:
    """`CLF2020` of CL, 2020, January."""
    if not 1 <= month <= 12:
        raise DataError(f"month {month} of {root}: expected 1 to 12")
    return f"{root}{MONTHS[month - 1]}{year}"


def make_chain(
    root: str,
    last_trade: Sequence[Any],
    *,
    first_notice: Sequence[Any] | None = None,
    delivery: Sequence[tuple[int, int] | None] | None = None,
    boundary: str | None = None,
    multiplier: float = 1.0,
    tick: float = 0.01,
    currency: str = "USD",
) -> Chain:
    """A chain from columns, sorted by last trade.

    Parameters
    ----------
    last_trade, first_notice : dates (ISO, date or day number), one a contract; first notice None or missing: cash.
    delivery : (year, month) of each names the contract (CLF2020); None: its last trade does (BRN2016-01-14).
    boundary : one of BOUNDARIES; left out, that of the root in BOUNDARY_OF (unknown roots must state it).
    """
    if boundary is None:
        if root not in BOUNDARY_OF:
            raise ConfigError(
                f"chain {root}: state boundary=, one of {', '.join(BOUNDARIES)}: two_sided can be borrowed and stored, "
                f"upper only stored, none neither"
            )
        boundary = BOUNDARY_OF[root]
    for name, column in (("first_notice", first_notice), ("delivery", delivery)):
        if column is not None and len(column) != len(last_trade):
            raise DataError(f"chain {root}: expected {len(last_trade)} of {name}, got {len(column)}")
    rows = []
    for i, value in enumerate(last_trade):
        day = day_number(value)
        month = delivery[i] if delivery is not None else None
        notice = first_notice[i] if first_notice is not None else None
        rows.append(
            Contract(
                symbol=f"{root}{day_text(day)}" if month is None else month_symbol(root, int(month[0]), int(month[1])),
                root=root,
                last_trade_day=day,
                first_notice_day=-1 if notice is None else day_number(notice),
                delivery_month=0 if month is None else 12 * int(month[0]) + int(month[1]) - 1,
            )
        )
    rows.sort(key=lambda c: c.last_trade_day)
    return Chain(root, tuple(rows), boundary, multiplier, tick, currency)
