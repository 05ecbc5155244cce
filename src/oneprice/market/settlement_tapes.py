"""Settlements as tapes: what a replay of a futures strip trades on.

The venue makes a settlement at its time; it is *received* just before the next one. So what is decided on a settlement
arrives at the venue when the next one stands, and fills there at its price less or plus a half spread: the rule for
data without quotes, without a rule of its own in the engine. The half spread is assumed, by place in the chain and by
era, and stated in the header. Contracts expire at their last settlement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.instruments import Fees, Instrument
from oneprice.core.records import EVENT, EXPIRY, LAST, NO_PRICE, TOP
from oneprice.market.chains import Contract, day_number, day_text
from oneprice.market.header import Header
from oneprice.market.settlements import Settlements
from oneprice.market.tape import Tape, join_events, make_tape

DAY_NS = 86_400 * 10**9
SETTLE_NS = 19 * 3600 * 10**9 + 1800 * 10**9  # of a day, UTC
STALE_DAYS = 12  # a settlement is traded on until the next, over the longest closure of an exchange
DEPTH_LOTS = 500


class HalfSpread(msgspec.Struct, frozen=True, kw_only=True):
    """Assumed half spread in ticks: `by_place[k]` for contracts in the chain up to place `places[k]`, the last for all
    behind; times `before` on days before `since` (quotes were wider). Raises ConfigError for what is not rising or < 0.
    """

    places: tuple[int, ...] = (3, 6, 12, 24)
    by_place: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 15.0)
    since: str = "2012-01-01"
    before: float = 2.0

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip(self.places, self.places[1:], strict=False))
        if not rising or len(self.by_place) != len(self.places) + 1 or min(self.by_place) < 0 or self.before < 1:
            raise ConfigError(
                "half spread: expected rising places, one more value than places, none below 0, before >= 1"
            )

    def ticks(self, place: np.ndarray, day: np.ndarray) -> np.ndarray:
        """int64, rounded up: of contracts at `place` (1 is the front) on days."""
        wide = np.asarray(self.by_place)[np.searchsorted(self.places, place)]
        factor = np.where(day < day_number(self.since), self.before, 1.0)
        return np.ceil(wide * factor - 1e-9).astype(np.int64)

    def text(self) -> str:
        """The assumption, for a header."""
        bounds = [f"to place {p}: {v:g}" for p, v in zip(self.places, self.by_place, strict=False)]
        behind = f"behind: {self.by_place[-1]:g}; x{self.before:g} before {self.since}"
        return f"assumed half spread in ticks {', '.join(bounds)}, {behind}"


def settlement_tapes(
    panel: Settlements,
    symbols: Sequence[str] | None = None,
    *,
    first: Any = None,
    last: Any = None,
    half_spread: HalfSpread | None = None,
    venue: str = "futures",
    fees: Fees | None = None,
) -> list[Tape]:
    """One tape a contract, in the order of the chain.

    Parameters
    ----------
    symbols : contracts wanted; left out, all that have a price in the period.
    first, last : dates, both inclusive; left out, those of the panel.

    Raises
    ------
    DataError, ConfigError
        No settlement in the period, an unknown contract.
    """
    spread = half_spread or HalfSpread()
    low = panel.days[0] if first is None else day_number(first)
    high = panel.days[-1] if last is None else day_number(last)
    rows, made_ns, told_ns = period_of(panel, low, high)
    chosen = range(len(panel.chain.contracts)) if symbols is None else [panel.chain.place(s) for s in symbols]
    days = panel.days[rows]
    tapes = []
    for at in sorted(chosen):
        price = panel.price[rows, at]
        if not np.isfinite(price).any():
            continue
        contract = panel.chain.contracts[at]
        place = at - np.searchsorted(panel.chain.last_trade_days, days) + 1
        ticks = spread.ticks(place, days)
        settle = np.round(price / panel.chain.tick)
        events = settlement_rows(settle, ticks, (made_ns, told_ns))
        events = with_expiry(events, contract, days, settle, told_ns)
        tapes.append(make_tape(_instrument(panel, contract, venue, fees), events, header=_header(panel.header, spread)))
    if not tapes:
        raise DataError(
            f"settlements of {panel.chain.root}: no contract has a price from {day_text(low)} to {day_text(high)}"
        )
    return tapes


def period_of(panel: Settlements, low: int, high: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(rows of the panel, when each settlement is made, when it is received) of days from `low` to `high`.

    Received just before the next is made. Raises DataError for no day.
    """
    rows = np.flatnonzero((panel.days >= low) & (panel.days <= high))
    if len(rows) == 0:
        raise DataError(f"settlements of {panel.chain.root}: none from {day_text(low)} to {day_text(high)}")
    made_ns = panel.days[rows] * DAY_NS + SETTLE_NS
    return rows, made_ns, np.append(made_ns[1:], made_ns[-1] + DAY_NS) - 2


def settlement_rows(settle: np.ndarray, half: np.ndarray, times: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """TOP rows of settlements in ticks (float64[T], NaN: none) with half spreads in ticks.

    A day without a settlement between the first and the last withdraws the quote: nothing fills there, and what was
    decided before it waits.
    """
    seen = np.flatnonzero(np.isfinite(settle))
    days = np.arange(seen[0], seen[-1] + 1)
    out = np.zeros(len(days), EVENT)
    out["exchange_ns"], out["receive_ns"] = times[0][days], times[1][days]
    have = np.isfinite(settle[days])
    mid = np.where(have, settle[days], 0.0).astype(np.int64)
    out["bid"] = np.where(have, mid - half[days], NO_PRICE)
    out["ask"] = np.where(have, mid + half[days], NO_PRICE)
    out["bid_qty"] = out["ask_qty"] = np.where(have, DEPTH_LOTS, 0)
    out["kind"], out["flag_bits"], out["seq"] = TOP, LAST, 1 + np.arange(len(days))
    return out


def with_expiry(
    events: np.ndarray, contract: Contract, days: np.ndarray, settle: np.ndarray, told_ns: np.ndarray
) -> np.ndarray:
    """The rows, and the expiry of `contract` at the last settlement (in ticks) if it falls into the period."""
    end = np.flatnonzero(np.isfinite(settle))[-1]
    if days[-1] <= contract.last_trade_day:
        return events
    row = np.zeros(1, EVENT)
    row["receive_ns"] = told_ns[end] + 1
    row["exchange_ns"] = told_ns[end] + 1
    row["price"], row["kind"], row["flag_bits"] = round(float(settle[end])), EXPIRY, LAST
    return join_events([events, row])


def _instrument(panel: Settlements, contract: Contract, venue: str, fees: Fees | None) -> Instrument:
    chain = panel.chain
    return Instrument(
        symbol=f"{venue}:{contract.symbol}", underlying=chain.root, quote=chain.currency, tick=f"{chain.tick:g}",
        lot=f"{chain.multiplier:g}", fees=fees, stale_ns=STALE_DAYS * DAY_NS,
    )  # fmt: skip


def _header(about: Header, spread: HalfSpread) -> Header:
    return msgspec.structs.replace(about, claim=False, claim_why=f"{about.claim_why}; {spread.text()}")
