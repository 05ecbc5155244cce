"""What holding a spot costs and earns in cash: interest, storage and the lender's fee, as rows of its tape.

A future is margined, a spot is paid for: who buys it borrows its price, who sells it short lends the proceeds. From
the last quote of a day to that of the next day with quotes, dt years later, on the value at that quote:

    long   pays   e^(b dt) - 1 + u dt + s dt / price     borrowed money, storage as a rate and as money a unit
    short  earns  e^(l dt) - 1 - f dt                    lent proceeds, less the fee of who lends the asset

A FUNDING row carries what a long pays (the ledger's funding, which a short receives), a BORROW row what a short does
not get of it. The value is the mark, not the price once paid: the other leg is margined daily, and what it pays or
takes moves the cash borrowed as the mark does. Interest on the interest is not charged, some r^2 T^2 / 2 of the value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.records import BORROW, EVENT, FUNDING, LAST, NO_PRICE, TOP
from oneprice.market.tape import Tape, digest_of, exchange_order_of, join_events

DAY_NS = 86_400 * 10**9
DAYS_A_YEAR = 365.0


class Cash(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rates a year, continuously compounded: money lent and borrowed, the fee of borrowing the asset, its storage.

    `store` is storage as money a unit and year. Raises ConfigError for lend above borrow, for what is not finite, and
    for a fee or storage below 0.
    """

    lend: float
    borrow: float
    fee: float = 0.0
    storage_rate: float = 0.0
    store: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.lend) and math.isfinite(self.borrow) and self.lend <= self.borrow):
            raise ConfigError(f"cash: expected finite rates, lend <= borrow, got {self.lend} and {self.borrow}")
        for name in ("fee", "storage_rate", "store"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise ConfigError(f"cash: expected {name} of 0 or more, got {value}")


def with_cash(tape: Tape, cash: Cash, *, base: Callable[[int], float] | None = None) -> Tape:
    """The spot's tape with its interest, a day after the other.

    Parameters
    ----------
    base : rate a year by day (days since 1970), added to `cash.lend` and `cash.borrow`; left out, these are the rates.

    A day is charged right behind its last quote's row, with its mid (rounded down to a tick) as the mark; the last day
    of the tape is charged to nobody, a price of 0 pays nothing, one below 0 no interest.

    Raises DataError for a tape without quotes, ConfigError for an inverse contract, which holds no spot.
    """
    one, events = tape.instrument, tape.events
    if one.contract != "linear":
        raise ConfigError(f"cash of {tape.leg}: expected a spot in its quote currency, got an inverse contract")
    quoted = np.flatnonzero((events["kind"] == TOP) & (events["bid"] != NO_PRICE) & (events["ask"] != NO_PRICE))
    if len(quoted) == 0:
        raise DataError(f"cash of {tape.leg}: expected quotes, got none")
    day = events["exchange_ns"][quoted] // DAY_NS
    last = quoted[np.append(np.flatnonzero(np.diff(day)), len(day) - 1)]
    days = events["exchange_ns"][last] // DAY_NS
    rows = []
    for i, at in enumerate(last[:-1]):
        mark = (int(events["bid"][at]) + int(events["ask"][at])) // 2
        if mark == 0:
            continue
        years = int(days[i + 1] - days[i]) / DAYS_A_YEAR
        extra = base(int(days[i])) if base is not None else 0.0
        pays, earns = _rates(cash, extra, years, mark * float(str(one.tick)))
        rows += [_row(events, at, kind, mark, r) for kind, r in ((FUNDING, pays), (BORROW, pays - earns))]
    if not rows:
        return tape
    merged = join_events([events, *rows])
    merged = merged[np.argsort(merged["receive_ns"], kind="stable")].copy()
    return replace(tape, events=merged, exchange_order=exchange_order_of(merged), digest=digest_of(merged), path=None)


def _rates(cash: Cash, extra: float, years: float, price: float) -> tuple[float, float]:
    """(what a long pays, what a short earns) of the value for so many years; a price below 0 carries no interest."""
    stored = cash.storage_rate * years * (1.0 if price > 0.0 else -1.0) + cash.store * years / price
    if price < 0.0:
        return stored, 0.0
    earns = math.expm1((cash.lend + extra) * years) - cash.fee * years
    return math.expm1((cash.borrow + extra) * years) + stored, earns


def _row(events: np.ndarray, at: int, kind: int, mark: int, rate: float) -> np.ndarray:
    row = np.zeros(1, EVENT)
    row["receive_ns"], row["exchange_ns"] = events["receive_ns"][at], events["exchange_ns"][at]
    row["leg"], row["kind"], row["flag_bits"] = events["leg"][at], kind, LAST
    row["mark"], row["rate_e12"], row["interval_ns"] = mark, round(rate * 1e12), DAY_NS
    return row
