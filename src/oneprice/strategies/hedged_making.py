"""Quote on one venue, hedge each fill on another: a quote on leg 0 is worth what leg 1 pays for it now.

    bid = bid_B (1 - taker_B - edge) / (1 + maker_A),    ask = ask_B (1 + taker_B + edge) / (1 - maker_A)

Each side is a package whose first leg is posted and whose second follows what the first fills, so a fill is never
without an owner: hedged, unwound, or in the residual ledger. Its key stays taken until the hedge is through, so one
touch of the other venue is not promised twice.
"""

from __future__ import annotations

from typing import Any

from oneprice.execution.intents import cancel, fresh, package
from oneprice.execution.strategy import strategy
from oneprice.strategies import desk


@strategy(
    edge_bp=1.0,  # least a filled and hedged quote earns after both fees
    lean_bp=0.0,  # both quotes move down by this an order held on leg 0, so that stock goes back
    qty=0.01,  # of an order, underlying units
    limit=0.05,  # most that leg 0 holds on either side
    share=0.5,  # most of the other venue's touch that one order counts on
    requote_ticks=1,  # a quote moves when it is off by so much
    rest_s=60.0,  # a posted leg is renewed after so long
    memory={"said": desk.SAID},
    exit="inventory",
)
def hedged_making(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """Keys: 1 bids on leg 0 and sells leg 1, 2 offers on leg 0 and buys leg 1."""
    a, b, said = legs[0], legs[1], m.said
    desk.watch(event, orders, b, said)
    sane = a.bid < a.ask and b.bid < b.ask
    if not sane or not fresh(event, a, b):
        if said.bid_qty > 0.0 or said.ask_qty > 0.0 or desk.owed(event, said):
            said.bid_qty = said.ask_qty = 0.0
            said.at_ns = event.receive_ns
            cancel(orders, 1)
            cancel(orders, 2)
        return
    lean = a.mid * p.lean_bp * 1e-4 * a.position / p.qty
    bid, ask, bid_qty, ask_qty = desk.hedged_quotes(a, b, p, lean)
    again = desk.owed(event, said)
    off = (p.requote_ticks - 0.5) * a.tick
    rest_ns = int(p.rest_s * 1e9)
    moved = abs(bid - said.bid) >= off or bid_qty == 0.0 or said.bid >= a.ask
    if said.bid_qty > 0.0 and moved:
        cancel(orders, 1)
        said.bid_qty = 0.0
    if bid_qty > 0.0 and (again or said.bid_qty == 0.0):
        said.bid = bid if moved else said.bid
        said.bid_qty = bid_qty
        package(orders, 1, (0, said.bid), (1, desk.worst_hedge(said.bid, -1, a, b)), bid_qty, 0, rest_ns)
    moved = abs(ask - said.ask) >= off or ask_qty == 0.0 or said.ask <= a.bid
    if said.ask_qty > 0.0 and moved:
        cancel(orders, 2)
        said.ask_qty = 0.0
    if ask_qty > 0.0 and (again or said.ask_qty == 0.0):
        said.ask = ask if moved else said.ask
        said.ask_qty = ask_qty
        package(orders, 2, (1, desk.worst_hedge(said.ask, 1, a, b)), (0, said.ask), ask_qty, 0, rest_ns)
    if again:
        said.at_ns = event.receive_ns
