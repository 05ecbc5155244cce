"""Term structure: what lies outside its no-arbitrage band is sold above and bought below, all legs as one package.

The relations and their bands come as model updates (`signals/parity/relations.py`): cash-and-carry and its reverse,
calendar spreads as two legs or as one listed spread, butterflies, cracks, perpetual against spot. A band holds all
costs of the round trip, a quote counts once it is confirmed outside, and a position is left when it is well inside
again, or before its last day.
"""

from __future__ import annotations

from typing import Any

from oneprice.core.records import BAR, FILL, MODEL, N_INTENTS
from oneprice.execution.intents import cancel_all, package_begin, package_leg, target
from oneprice.execution.strategy import strategy
from oneprice.signals.parity.relation_book import (
    leaving,
    look,
    quoted,
    rests,
    take_relations,
    together,
    touches,
    wanted,
    working,
)
from oneprice.signals.parity.relations import LISTED, N_RELATIONS, STATE
from oneprice.signals.parity.relations import MODEL as RELATIONS


@strategy(
    participation=0.25,  # of the depth shown at a touch, when opening
    slip_bp=20.0,  # how much worse than the touch a leg may fill
    slip_price=0.0,  # the same in quote currency, for prices near 0
    memory={"model": RELATIONS, "book": (STATE, (N_RELATIONS,)), "waiting": "i8"},
    exit="converge",
)
def term_structure(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """Keys: the id of the relation."""
    if event.kind == MODEL or m.waiting > 0:
        take_relations(m, legs)
        if event.kind == MODEL and rests(m.book, legs):
            cancel_all(orders)  # forgets the targets of spreads that are gone: there is room for 128
    if event.kind > BAR and event.kind != FILL:
        return  # an order that found no quote is asked for again at the next quote, not as it is answered
    for k in range(N_RELATIONS):
        st = m.book[k]
        r = st.now
        if touches(r, legs, event.leg):
            st.asked = 0
        if r.id == 0 or not quoted(r, legs, event.receive_ns) or working(r, legs):
            continue
        if leaving(st, event.receive_ns):
            st.side = 0
        elif touches(r, legs, event.leg) and together(r, legs):
            look(st, legs)
        else:
            continue
        units = wanted(st, legs, p.participation)
        if units == 0.0 or orders.count + r.n_legs >= N_INTENTS:
            continue
        st.asked = 1
        if r.kind == LISTED:
            v = legs[r.leg[1]]
            touch, side = (v.ask, 1) if units > 0.0 else (v.bid, -1)
            limit = touch + side * (abs(touch) * p.slip_bp * 1e-4 + p.slip_price)
            target(orders, r.leg[1], v.position + units, limit)
            continue
        h = package_begin(orders, r.id, abs(units), -1, 0, st.side == 0)
        for j in range(r.n_legs):
            v = legs[r.leg[j]]
            side = 1 if units * r.weight[j] > 0.0 else -1
            touch = v.ask if side > 0 else v.bid
            limit = touch + side * (abs(touch) * p.slip_bp * 1e-4 + p.slip_price)
            package_leg(orders, h, r.leg[j], side, abs(r.weight[j]), limit)
