"""Inventory-neutral quoting: a price of indifference that leans against the position, a half spread on each side.

With a horizon these are the quotes of Avellaneda and Stoikov (2008), r = s - (q - q*) gamma sigma^2 (T - t); without
one, for markets that never close, the stationary quotes of Gueant, Lehalle and Fernandez-Tapia (2013). Around the
formulas: nothing closer than the maker fee and `edge_bp` pay for, nothing marketable, no move that is worth less than
a place in the queue, and no quote while the touch is stale, crossed or one-sided, before volatility is known, behind
the horizon or in toxic flow. A model update (`oneprice fit market_making`) replaces what was calibrated.
"""

from __future__ import annotations

from typing import Any

from oneprice.execution.strategy import strategy
from oneprice.signals.quoting.model import QUOTING
from oneprice.strategies import desk


@strategy(
    gamma=0.1,  # risk aversion, 1 / quote currency
    k_decay=1.5,  # how fast arrivals fall with distance from the mid, 1 / quote currency
    arrivals_per_s=1.0,  # orders a second at the mid; used without a horizon
    sigma=0.0,  # quote currency a root second; 0: as it is seen
    mu=0.0,  # drift, quote currency a second: held is mu / (gamma sigma^2) orders
    horizon_s=0.0,  # seconds from the first event to the end; 0: there is none
    qty=0.01,  # of an order, underlying units
    limit=0.05,  # most that is held on either side
    edge_bp=0.0,  # least a fill is away from the fair price after the maker fee
    requote_ticks=1,  # a quote moves when it is off by so much
    symmetric=0,  # 1: the same spread around the mid, whatever is held or signalled
    gain_micro=0.0,  # share of (microprice - mid) in the fair price
    gain_ofi=0.0,  # quote currency a unit of order flow at the touch
    gain_lead=0.0,  # share of what the second leg is ahead by
    skew_cap=1e9,  # most that signals move the fair price, quote currency
    lead_alpha=0.01,  # weight of one observation in the usual distance of the second leg
    tau_s=60.0,  # memory of volatility
    warm_s=5.0,  # seconds of volatility before the first quote
    flow_s=1.0,  # memory of order flow
    toxic_burst=0.0,  # withdraw when volatility of the last moments is so many times its usual; 0: never
    toxic_flow=0.0,  # withdraw when order flow is so many times the queues; 0: never
    pause_s=1.0,  # for so long
    memory={"model": QUOTING, "seen": desk.SEEN, "said": desk.SAID},
    exit="inventory",
    calls="fills",
)
def market_making(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """Keys: 1 bids, 2 offers."""
    v = legs[0]
    desk.prepare(event, p, m)
    desk.look(event, legs, p, m)
    desk.watch(event, orders, v, m.said)
    why = desk.reason(event, v, p, m)
    if why != desk.OK:
        desk.withdraw(event, orders, m.said, why)
        return
    desk.rest(event, orders, v, p, m, desk.quotes(event.receive_ns, v, p, m))
