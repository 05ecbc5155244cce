"""Statistical arbitrage: up to sixteen fitted relations, entered far from their centre and left near it.

The relations come as model updates (`signals/slots.py`); the strategy observes each when all its legs are known at
one moment, on bars at one bar end, on ticks once a step. What it asks for goes as one package a slot, with the
slot's id as its key, so nothing is asked twice while a package, its hedge or its rescue is at work; what was in the
way of a wish is looked at again when an answer comes.
"""

from __future__ import annotations

from typing import Any

from oneprice.core.records import BAR, BOOK, MODEL, N_INTENTS, TOP
from oneprice.execution.intents import fresh, package_begin, package_leg, refit
from oneprice.execution.strategy import strategy
from oneprice.signals.capital import STATE as PURSE
from oneprice.signals.slot_book import (
    bars_complete,
    decide,
    enter,
    first_leg,
    has_leg,
    in_flight,
    observe,
    plan,
    step_due,
    take_model,
)
from oneprice.signals.slots import MODEL as SLOTS
from oneprice.signals.slots import N_BOOK, STATE


@strategy(
    edge=1.0,  # least expected gain of a trade, in round-trip costs
    slip_bp=1.0,  # slippage a fill, as it is expected
    band_bp=500.0,  # how much worse than the quote a leg may fill
    fan_width=2.5,  # the fan of z after an entry: its width in deviations...
    fan_steps=3,  # ...and the steps in a row outside that stop the trade
    cusum_k=0.5,  # monitors of the shocks, limits for one false alarm in 2,000 steps of all five; a limit of 0: off
    cusum_h=7.0,
    growth=2.0,  # of the variance
    growth_h=25.0,
    page_delta=0.25,
    page_h=16.0,
    adwin_delta=0.002,
    bocpd_hazard=0.004,
    bocpd_limit=0.86,
    wealth=0.0,  # of the account at the start; 0: positions are a slot's capital, whatever signal and drawdown
    shrink=0.25,  # share of Kelly
    most=1.0,  # gross value of a position a unit of surplus, at most
    floor=0.8,  # of the highest wealth; what is above it is the surplus
    participation=0.05,  # of what the thinnest leg trades a step, where the slot knows it
    depth=1.0,  # on ticks: of what the touch of the thinnest leg shows
    memory={"model": SLOTS, "book": (STATE, (N_BOOK,)), "purse": PURSE, "earned": "f8", "waiting": "i8"},
    exit="converge",
)
def stat_arb(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """Keys: the id of the slot."""
    kind = event.kind
    if kind == MODEL or m.waiting > 0:
        take_model(m, legs)
    for k in range(N_BOOK):
        st = m.book[k]
        if st.slot.id == 0:
            continue
        if kind in (BAR, TOP, BOOK):
            if not has_leg(st, event.leg, legs):
                continue
            young = kind == BAR
            if not young and step_due(st, event.receive_ns):
                young = True
                for j in range(1, st.slot.n_legs):
                    young = young and fresh(event, legs[st.slot.leg[0]], legs[st.slot.leg[j]])
            if not young or (kind == BAR and not bars_complete(st, legs)):
                continue
            st.seen_ns = legs[st.slot.leg[0]].venue_ns if kind == BAR else event.receive_ns
            observe(m, k, legs, p)
            if decide(st, legs, p) != 0:
                refit(orders, st.slot.id, st.broken)
            if st.side != 0 and st.steps == 0:
                enter(m, k, legs, p)
        elif st.gone == 0 if kind == MODEL else not has_leg(st, event.leg, legs):
            continue
        if in_flight(st, legs):
            continue
        n = plan(st, legs)
        if n < 2 or orders.count + n >= N_INTENTS:
            continue
        first = first_leg(st)
        unit = abs(st.lots[first]) * legs[st.slot.leg[first]].lot_qty
        h = package_begin(orders, st.slot.id, unit, -1, 0, st.side == 0)
        for j in range(st.slot.n_legs):
            if st.lots[j] != 0.0:
                v = legs[st.slot.leg[j]]
                side = 1 if st.lots[j] > 0.0 else -1
                touch = v.ask if side > 0 else v.bid
                limit = touch + side * abs(touch) * p.band_bp * 1e-4
                package_leg(orders, h, st.slot.leg[j], side, abs(st.lots[j]) * v.lot_qty / unit, limit)
