"""Calendar spreads as the exchange lists them: relations of one leg, and what they cost beside two.

The band is that of two contracts (`term_fit.calendar_terms`) less the near contract's settlement; what is traded is one
order in one market, so a spread is never held half. What is compared are two replays of one history: each trades what
pays beyond its own costs, so the cheaper one trades more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from oneprice.core.instruments import Fees
from oneprice.core.records import FILL_ROW
from oneprice.market.chains import NO_BOUNDARY, Chain
from oneprice.market.settlement_tapes import DAY_NS, HalfSpread, settlement_tapes
from oneprice.market.settlements import Settlements
from oneprice.market.spread_tapes import ListedSpread, SpreadMarket, spread_fees, spread_tapes
from oneprice.market.tape import Tape
from oneprice.modes.run import Run
from oneprice.signals.parity.relations import ONE_LEG, Relation
from oneprice.study.term_fit import Costs, Rate, StripEstimator, StripRules, calendar_terms, last_prices


class ListedTapes(msgspec.Struct, frozen=True, eq=False):
    """Tapes of a replay of listed spreads: near contracts, which are looked at, then the spreads, which are traded.

    `legs` are (chain, place) of each tape, of a spread its nearer contract; `contracts` the tapes of both contracts of
    each spread, by its symbol, of which the P&L is told.
    """

    tapes: tuple[Tape, ...]
    legs: tuple[tuple[Chain, int], ...]
    spreads: tuple[tuple[Chain, ListedSpread], ...]
    contracts: Mapping[str, tuple[Tape, Tape]]


def listed_tapes(
    panels: Sequence[Settlements], period: tuple[Any, Any], half_spread: HalfSpread, market: SpreadMarket, fees: Fees
) -> ListedTapes:
    """Spreads of all neighbours of the panels, and their contracts. Raises as `spread_tapes`."""
    near: list[tuple[Tape, Chain, int]] = []
    spreads: list[tuple[Chain, ListedSpread]] = []
    both: dict[str, tuple[Tape, Tape]] = {}
    for panel in panels:
        chain = panel.chain
        found = spread_tapes(panel, first=period[0], last=period[1], market=market, fees=fees)
        wanted = [chain.contracts[p].symbol for s in found for p in (s.near, s.far)]
        made = settlement_tapes(panel, wanted, first=period[0], last=period[1], half_spread=half_spread, fees=fees)
        at = {chain.place(t.instrument.symbol.split(":", 1)[1]): t for t in made}
        near += [(at[s.near], chain, s.near) for s in found]
        spreads += [(chain, s) for s in found]
        both |= {s.symbol: (at[s.near], at[s.far]) for s in found}
    tapes = (*(t for t, _, _ in near), *(s.tape for _, s in spreads))
    legs = (*((c, p) for _, c, p in near), *((c, s.near) for c, s in spreads))
    return ListedTapes(tapes, legs, tuple(spreads), both)


class ListedEstimator(StripEstimator):
    """Calendar relations of listed spreads, for `modes.fit.Fit`; windows in the order of `given.tapes`."""

    def __init__(self, given: ListedTapes, rules: StripRules, rate: Rate, market: SpreadMarket, fees: Fees) -> None:
        symbols = [t.instrument.symbol for t in given.tapes]
        n = len(given.spreads)
        super().__init__(given.legs[:n], symbols[:n], rules, rate, Costs(market.half_spread, spread_fees(fees)))
        self.symbols, self.market = tuple(symbols), market
        self.spread_at = {(chain.root, s.near): n + k for k, (chain, s) in enumerate(given.spreads)}
        self.ticks = [chain.tick for chain, _ in given.legs[:n]]
        self.ticks += [chain.tick / s.ticks_a_tick for chain, s in given.spreads]
        for chain in self.chains.values():
            if chain.boundary == NO_BOUNDARY and rules.spreads:  # said already where nobody asks for spreads
                self._note(f"{chain.root} has no boundary: nothing bounds a listed spread, no relation is made")

    def relations(self, windows: list[np.ndarray], now_ns: int) -> list[Relation]:
        """Relations that may be held from now on, the nearest first."""
        prices = last_prices(windows, self.ticks, now_ns)
        out: list[Relation] = []
        for chain in self.chains.values():
            if chain.boundary != NO_BOUNDARY:
                out += self._calendars(chain, prices, now_ns // DAY_NS)
        return out

    def _priced(self, chain: Chain, places: Sequence[int], prices: np.ndarray) -> bool:
        at = [self.at.get((chain.root, places[0]), -1), self.spread_at.get((chain.root, places[0]), -1)]
        return min(at) >= 0 and bool(np.isfinite(prices[at]).all())

    def _calendar(self, chain: Chain, places: tuple[int, int], prices: np.ndarray, day: int) -> Relation:
        near, far = places
        at = self.spread_at[(chain.root, near)]
        half = float(self.costs.spread.ticks(np.array([far - chain.first_on(day) + 1]), np.array([day]))[0])
        cost = half * self.ticks[at] + 2.0 * float(self.costs.fees.per_lot) / chain.multiplier
        terms = calendar_terms(chain, places, self.rules, self.rate, day)
        symbols = (self._symbol(chain, near), self.symbols[at])
        return Relation(kind="listed", symbols=symbols, weights=ONE_LEG, cost=cost, **terms)


class Crossings(msgspec.Struct, frozen=True):
    """What the fills of a run cost in half spreads and fees, and what they would have as two outrights."""

    listed: float
    as_legs: float

    def text(self, currency: str) -> str:
        """One line."""
        return (
            f"crossings and fees {self.listed:,.2f} {currency} as listed spreads; the same fills as two outrights each "
            f"{self.as_legs:,.2f} {currency}, at the stated half spreads, and with a leg that may be left over"
        )


def crossings(run: Run, given: ListedTapes, half_spread: HalfSpread, market: SpreadMarket, fees: Fees) -> Crossings:
    """Half spreads and fees of all fills, of one market or of two. Both are assumptions: no file has these quotes."""
    n, listed, legs = len(given.spreads), 0.0, 0.0
    per_lot = float(fees.per_lot)
    for row in run.rows[run.rows["kind"] == FILL_ROW]:
        chain, s = given.spreads[int(row["leg"]) - n]
        day, lots = int(row["time_ns"]) // DAY_NS, int(row["qty"])
        place = np.array([s.near, s.far]) - chain.first_on(day) + 1
        days = np.array([day, day])
        own = float(market.half_spread.ticks(place, days)[1]) * chain.tick / s.ticks_a_tick
        two = float(half_spread.ticks(place, days).sum()) * chain.tick
        listed += lots * (own * chain.multiplier + 2.0 * per_lot)
        legs += lots * (two * chain.multiplier + 2.0 * per_lot)
    return Crossings(listed, legs)
