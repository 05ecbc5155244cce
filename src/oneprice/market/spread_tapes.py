"""Listed calendar spreads as instruments: one market, one price, one fill.

A listed spread is the later contract less the nearer one, traded as one line: its price is the difference of the two
settlements of a day and may be 0 or negative, its tick and its half spread are its own. A day on which one of the two
does not settle has no quote, so nothing fills there. It ends with the last trade of the nearer contract. As with
contracts, what is decided on a settlement fills at the next one.

No file has quotes of listed spreads; the half spread is assumed and said in the header. It is narrower than that of
two outrights because one order book is crossed, not two. Exchanges quote the nearer contract less the later one; here
the sign is that of a relation, so that a spread beyond full carry is dear.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.instruments import Fees, Instrument, exact
from oneprice.market.chains import Chain, day_number, day_text
from oneprice.market.settlement_tapes import (
    STALE_DAYS,
    HalfSpread,
    period_of,
    settlement_rows,
    with_expiry,
)
from oneprice.market.settlements import Settlements
from oneprice.market.tape import Tape, make_tape

DAY_NS = 86_400 * 10**9
LISTED_HALF = HalfSpread(by_place=(1.0, 1.0, 2.0, 4.0, 8.0))


class SpreadMarket(msgspec.Struct, frozen=True, kw_only=True):
    """What is assumed of the market of listed spreads.

    `tick` in quote currency a unit (0: the contracts' own); `half_spread` in ticks of the spread, by the place of its
    later contract and by era. Raises ConfigError for a tick below 0.
    """

    tick: float = 0.0
    half_spread: HalfSpread = LISTED_HALF

    def __post_init__(self) -> None:
        if not 0.0 <= self.tick < float("inf"):
            raise ConfigError(f"listed spread: expected a tick of 0 (the contracts' own) or more, got {self.tick}")

    def ticks_of(self, chain: Chain) -> tuple[float, int]:
        """(tick, how many of them are one tick of the contracts). Raises ConfigError where that is no whole number."""
        own = self.tick or chain.tick
        many = exact(chain.tick, "tick") / exact(own, "spread tick")
        if many.denominator != 1:
            raise ConfigError(
                f"listed spreads of {chain.root}: expected a tick of which the contracts' {chain.tick:g} is a whole "
                f"number, got {own:g}: a difference of two settlements would not be a price"
            )
        return own, int(many)

    def text(self, chain: Chain) -> str:
        """The assumption, for a header."""
        return f"listed spreads: tick {self.ticks_of(chain)[0]:g}, {self.half_spread.text()} (of the later contract)"


class ListedSpread(msgspec.Struct, frozen=True, eq=False):
    """One listed spread: places of its contracts in the chain, its tape, and its ticks a tick of the contracts."""

    near: int
    far: int
    tape: Tape
    ticks_a_tick: int

    @property
    def symbol(self) -> str:
        """Of the spread, venue included."""
        return self.tape.instrument.symbol


def spread_name(chain: Chain, near: int, far: int) -> str:
    """What it is worth: the later contract less the nearer one (`CLG2020-CLF2020`)."""
    return f"{chain.contracts[far].symbol}-{chain.contracts[near].symbol}"


def spread_fees(fees: Fees) -> Fees:
    """Fees of a lot of the spread: two contracts are cleared, so twice the fee of a contract.

    Raises ConfigError for rates: they would be taken of the spread's own price, which is near 0.
    """
    rates = {n: getattr(fees, n) for n in ("maker_bp", "taker_bp", "buy_tax_bp", "sell_tax_bp")}
    told = {name: value for name, value in rates.items() if exact(value, name) != 0}
    if told:
        raise ConfigError(f"listed spreads: expected fees a lot only, got {told}: a rate of the spread's price is none")
    twice = 2 * Decimal(str(fees.per_lot))
    return Fees(maker_bp=0, taker_bp=0, per_lot=f"{twice:f}")


def neighbours(chain: Chain) -> list[tuple[int, int]]:
    """Pairs by place in the chain, (0, 1), (2, 3)...: a contract keeps its partner for life."""
    return [(k, k + 1) for k in range(0, len(chain.contracts) - 1, 2)]


def spread_tapes(
    panel: Settlements,
    pairs: Iterable[tuple[str, str]] | None = None,
    *,
    first: Any = None,
    last: Any = None,
    market: SpreadMarket | None = None,
    venue: str = "futures",
    fees: Fees | None = None,
) -> list[ListedSpread]:
    """One listed spread a pair, in the order of the chain.

    Parameters
    ----------
    pairs : (nearer, later) symbols; left out, all `neighbours` that have a price in the period.
    first, last : dates, both inclusive; left out, those of the panel.
    fees : of one *contract* and side; a lot of the spread pays them twice.

    Raises
    ------
    ConfigError
        A pair in the wrong order, of one contract, or given twice; a tick or fees that cannot be.
    DataError
        No settlement in the period; a pair asked for that never settles on one day there (expired before, no price).
    """
    chain, about = panel.chain, market or SpreadMarket()
    _, many = about.ticks_of(chain)
    low = panel.days[0] if first is None else day_number(first)
    high = panel.days[-1] if last is None else day_number(last)
    rows, made_ns, told_ns = period_of(panel, low, high)
    days = panel.days[rows]
    front = np.searchsorted(chain.last_trade_days, days)
    settle = np.full((len(days), len(chain.contracts)), np.nan)
    settle[:] = np.round(panel.price[rows] / chain.tick)
    out = []
    for near, far in _asked(chain, pairs):
        value = many * (settle[:, far] - settle[:, near])
        if not np.isfinite(value).any():
            if pairs is None:
                continue
            raise DataError(
                f"listed spread {spread_name(chain, near, far)}: its contracts never both settle on a day from "
                f"{day_text(low)} to {day_text(high)} (last trade of the nearer: "
                f"{day_text(chain.contracts[near].last_trade_day)})"
            )
        half = about.half_spread.ticks(far - front + 1, days)
        events = settlement_rows(value, half, (made_ns, told_ns))
        events = with_expiry(events, chain.contracts[near], days, value, told_ns)
        header = msgspec.structs.replace(
            panel.header, claim=False, claim_why=f"{panel.header.claim_why}; {about.text(chain)}"
        )
        one = _instrument(chain, (near, far), about, venue, fees)
        out.append(ListedSpread(near, far, make_tape(one, events, header=header), many))
    if not out:
        raise DataError(f"settlements of {chain.root}: no two neighbours settle on one day of the period")
    return out


def _asked(chain: Chain, pairs: Iterable[tuple[str, str]] | None) -> list[tuple[int, int]]:
    """Places of the pairs, in the order of the chain. Raises ConfigError as `spread_tapes`."""
    if pairs is None:
        return neighbours(chain)
    found: list[tuple[int, int]] = []
    for near, far in pairs:
        at = (chain.place(near), chain.place(far))
        if at[0] == at[1]:
            raise ConfigError(f"listed spread: expected two contracts, got {near} twice")
        if at[0] > at[1]:
            raise ConfigError(f"listed spread: expected the nearer contract first, got {near} before {far}")
        if at in found:
            raise ConfigError(f"listed spread: {spread_name(chain, *at)} is asked for twice")
        found.append(at)
    return sorted(found)


def _instrument(chain: Chain, pair: tuple[int, int], market: SpreadMarket, venue: str, fees: Fees | None) -> Instrument:
    return Instrument(
        symbol=f"{venue}:{spread_name(chain, *pair)}", underlying=chain.root, quote=chain.currency,
        tick=f"{market.ticks_of(chain)[0]:g}", lot=f"{chain.multiplier:g}",
        fees=None if fees is None else spread_fees(fees), stale_ns=STALE_DAYS * DAY_NS,
    )  # fmt: skip
