"""Reconciliation: what our ledger says against what the venues say, leg by leg and order by order.

Meant for moments when nothing is on its way; an order or fill that is on its way shows as a difference, which
the next look must not show again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from oneprice.core.records import FEE, TAX
from oneprice.engine.state import Engine
from oneprice.execution.blotter import ORDER_STATES, PLANNED, UNKNOWN
from oneprice.execution.venue import ExchangeHalf, VenueLedger, VenueOrder, ex_ledger, ex_query, executions


@dataclass(frozen=True)
class VenueAnswer:
    """What a venue says about one leg."""

    orders: dict[int, VenueOrder]  # those asked about that it knows, and every open one
    executions: np.ndarray  # EXECUTION[n], oldest first
    account: VenueLedger


class Venue(Protocol):
    """Anything that can be asked how a leg stands: a simulated exchange, or a session with a real venue."""

    def query(self, leg: int, client_ids: Sequence[int]) -> VenueAnswer:
        """The leg's open orders, the orders of these client ids, and its executions."""
        ...


@dataclass(frozen=True)
class SimulatedVenue:
    """The exchange half of a simulation as a venue that can be asked."""

    half: ExchangeHalf

    def query(self, leg: int, client_ids: Sequence[int]) -> VenueAnswer:
        """As the exchange half stands now: the caller has moved it to the moment of the question."""
        asked = ex_query(self.half, list(client_ids))
        found = {**ex_query(self.half), **asked}
        log = executions(self.half)
        mine = {cid: o for cid, o in found.items() if o.leg == leg}
        return VenueAnswer(mine, log[log["leg"] == leg], ex_ledger(self.half)[leg])


@dataclass(frozen=True)
class Line:
    """One compared number: lots or ledger units."""

    symbol: str
    what: str
    ledger: int
    venue: int

    @property
    def difference(self) -> int:
        return self.ledger - self.venue


@dataclass(frozen=True)
class Reconciliation:
    """All compared numbers. `equal` only if not one differs and each order stands alike on both sides."""

    lines: tuple[Line, ...]
    orders: tuple[str, ...]  # in words: each order that does not stand alike

    @property
    def differences(self) -> list[Line]:
        return [line for line in self.lines if line.difference]

    @property
    def equal(self) -> bool:
        return not self.differences and not self.orders

    def to_dict(self) -> dict[str, Any]:
        return {
            "equal": self.equal,
            "lines": [{**vars(line), "difference": line.difference} for line in self.lines],
            "orders": list(self.orders),
        }

    def __str__(self) -> str:
        head = f"{'leg':<24}{'what':<12}{'ledger':>22}{'venue':>22}{'difference':>22}"
        body = [
            f"{x.symbol:<24}{x.what:<12}{x.ledger:>22,}{x.venue:>22,}{x.difference:>22,}"
            for x in self.lines
            if x.difference or x.what == "position"
        ]
        verdict = "ledger and venues are equal" if self.equal else "ledger and venues DIFFER"
        return "\n".join([head, *body, *self.orders, verdict])


def live_orders(engine: Engine, leg: int | None = None) -> np.ndarray:
    """ORDER[n]: our orders that may still fill as far as we know (in flight, working, ambiguous)."""
    orders = engine.state["blotter"]["orders"]
    live = (orders["state"] > PLANNED) & (orders["state"] <= UNKNOWN)
    return orders[live if leg is None else live & (orders["leg"] == leg)]


def reconcile(engine: Engine, venue: Venue) -> Reconciliation:
    """Compare position, bought and sold lots, fees, taxes and open orders of every leg.

    A leg in the ledger of several strategies is summed: the venue has one account.
    """
    lines: list[Line] = []
    words: list[str] = []
    positions = engine.positions()
    for i, symbol in enumerate(engine.scales.symbols):
        live = live_orders(engine, i)
        answer = venue.query(i, [int(c) for c in live["client_id"]])
        own, account = positions[:, i], answer.account
        ours = {
            "position": int(engine.legs()[i]["position_lots"]),
            "bought": int(own["bought_lots"].sum()),
            "sold": int(own["sold_lots"].sum()),
            "fees": -int(own["causes"][:, FEE].sum()),
            "taxes": -int(own["causes"][:, TAX].sum()),
        }
        theirs = (account.net_lots, account.bought_lots, account.sold_lots, account.fees, account.taxes)
        lines += [Line(symbol, what, a, b) for (what, a), b in zip(ours.items(), theirs, strict=True)]
        words += _order_differences(symbol, live, answer.orders)
    return Reconciliation(tuple(lines), tuple(words))


def _order_differences(symbol: str, live: np.ndarray, theirs: dict[int, VenueOrder]) -> list[str]:
    out = []
    ours = {int(o["client_id"]): o for o in live}
    for cid, o in ours.items():
        state, filled = ORDER_STATES[int(o["state"])], int(o["filled"])
        told = theirs.get(cid)
        if told is None:
            out.append(f"{symbol} order {cid}: {state} here, the venue does not know it")
        elif told.state != "working" or told.filled != filled:
            out.append(
                f"{symbol} order {cid}: {state}, {filled} filled here; {told.state}, {told.filled} there"
            )
    for cid, told in theirs.items():
        if told.state == "working" and cid not in ours:
            out.append(f"{symbol} order {cid}: working at the venue, not here")
    return out
