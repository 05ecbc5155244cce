"""Latency arbitrage: the leader has moved, the laggard's quote still stands at the old price; take it before it goes.

The laggard's fair price is the leader's mid at its usual distance (an exponential mean of the log gap, so a standing
basis is no signal). When its touch is worse than that by the taker fee and `edge_bp`, an immediate-or-cancel order
takes what is shown at the touch, once a stale quote. Exit: the position is closed by immediate orders when the laggard
has caught up to within `exit_bp`, or after `hold_s`. What one earns depends on who is first: see `study.race`.
"""

from __future__ import annotations

from typing import Any

from oneprice.core.records import ACK, LINK
from oneprice.execution.intents import fresh, target, timer
from oneprice.execution.strategy import strategy
from oneprice.strategies import desk

DEADLINE = 1


@strategy(
    edge_bp=0.5,  # least a taken quote is better than fair after the taker fee
    exit_bp=0.2,  # the laggard has caught up when it is this near
    hold_s=1.0,  # and a position is closed after so long whatever happened
    qty=0.01,  # most one order takes, underlying units
    limit=0.01,  # most that is held
    dust=0.02,  # less than this share of an order is nothing held: venues have a minimum
    fee_share=1.0,  # of the taker fee in the trigger; 0: as if it were free, to measure the race alone
    gap_s=10.0,  # memory of the usual distance
    warm=500,  # observations before the first order
    memory={"gap": desk.GAP_STATE, "said": desk.SAID},
    exit="converge",
)
def latency_arb(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """Legs: 0 leads, 1 lags and is traded."""
    a, b, said, now_ns = legs[0], legs[1], m.said, event.receive_ns
    if not (a.bid < a.ask) or not (b.bid < b.ask):
        return
    fair = desk.expected(now_ns, a, b, m.gap, p.gap_s)
    if m.gap.n < p.warm:
        return
    if ACK <= event.kind <= LINK:
        return  # an answer is no news of the price
    if abs(b.position) > p.dust * p.qty:
        side = 1.0 if b.position > 0.0 else -1.0
        late = now_ns >= said.start_ns + int(p.hold_s * 1e9)
        if late or side * (fair - b.mid) <= p.exit_bp * 1e-4 * b.mid:
            target(orders, 1, 0.0, b.bid if side > 0.0 else b.ask)
            timer(orders, DEADLINE, now_ns + 1_000_000)  # looked at again until it is closed
        return
    if not fresh(event, a, b):
        return
    cost = (p.fee_share * b.taker_fee_bp + p.edge_bp) * 1e-4
    if fair * (1.0 - cost) > b.ask:
        if said.ask == b.ask:
            return  # it was tried and has gone: what we see is old news
        said.ask = b.ask
        target(orders, 1, min(p.qty, p.limit, b.ask_qty), b.ask)
    elif fair * (1.0 + cost) < b.bid:
        if said.bid == b.bid:
            return
        said.bid = b.bid
        target(orders, 1, -min(p.qty, p.limit, b.bid_qty), b.bid)
    else:
        said.bid = said.ask = 0.0
        return
    said.start_ns = now_ns
    timer(orders, DEADLINE, now_ns + int(p.hold_s * 1e9))
