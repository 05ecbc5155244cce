"""What `term_structure` does with each relation: its band now, how far outside, how many units to trade.

Prices are the touch on the side that would be traded: a quote outside the band is one that pays after all costs in it.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.features import boundary
from oneprice.signals.parity.relations import CARRY, LISTED, PERPETUAL, YEAR_NS


@njit
def copy_relation(to: Any, new: Any) -> None:
    """Write one relation over another."""
    to.id, to.version, to.kind, to.n_legs = new.id, new.version, new.kind, new.n_legs
    for j in range(len(to.leg)):
        to.leg[j] = new.leg[j]
        to.weight[j] = new.weight[j]
    to.growth_low, to.growth_high, to.store = new.growth_low, new.growth_high, new.store
    to.low, to.high, to.two_sided, to.cost = new.low, new.high, new.two_sided, new.cost
    to.near_ns, to.expiry_ns, to.leave_ns, to.apart_ns = new.near_ns, new.expiry_ns, new.leave_ns, new.apart_ns
    to.open, to.back, to.confirm, to.qty = new.open, new.back, new.confirm, new.qty


@njit
def held(r: Any, legs: Any) -> float:
    """Units of the relation held: of the leg that holds the fewest, 0 when one holds none or the wrong side."""
    least, sign = math.inf, 0.0
    for j in range(r.n_legs):
        if r.weight[j] == 0.0:
            continue
        units = legs[r.leg[j]].position / r.weight[j]
        if units == 0.0 or (sign != 0.0 and units * sign < 0.0):
            return 0.0
        sign = 1.0 if units > 0.0 else -1.0
        least = min(least, abs(units))
    return sign * least


@njit
def idle(r: Any, legs: Any) -> bool:
    """Nothing held and no order working on any of its legs."""
    busy = 0
    for j in range(r.n_legs):
        v = legs[r.leg[j]]
        busy += 1 if v.position_lots != 0 or v.open_lots != 0 else 0
    return busy == 0


@njit
def working(r: Any, legs: Any) -> bool:
    """An order works on one of its legs."""
    n = 0
    for j in range(r.n_legs):
        n += 1 if legs[r.leg[j]].open_lots != 0 else 0
    return n > 0


@njit
def touches(r: Any, legs: Any, leg: int) -> bool:
    """Is this leg of the engine one of the relation's?"""
    n = 0
    for j in range(r.n_legs):
        n += 1 if legs[r.leg[j]].leg == leg else 0
    return n > 0


@njit
def quoted(r: Any, legs: Any, now_ns: int) -> bool:
    """Every leg has a sane quote, young enough. A missing side is NaN and no quote."""
    for j in range(r.n_legs):
        v = legs[r.leg[j]]
        if not v.bid <= v.ask or v.quote_ns <= 0 or now_ns - v.quote_ns > v.stale_ns:
            return False
    return True


@njit
def together(r: Any, legs: Any) -> bool:
    """The venue times of the legs are near enough to each other to be one price: no spread of two days."""
    first, last = legs[r.leg[0]].venue_ns, legs[r.leg[0]].venue_ns
    for j in range(r.n_legs):
        v = legs[r.leg[j]]
        first, last = min(first, v.venue_ns), max(last, v.venue_ns)
    return r.apart_ns == 0 or last - first <= r.apart_ns


@njit
def leaving(st: Any, now_ns: int) -> bool:
    """Is this relation only to be closed: gone from the model, or past its last time?"""
    return st.live == 0 or (st.now.leave_ns > 0 and now_ns >= st.now.leave_ns)


@njit
def value(r: Any, legs: Any, side: int) -> float:
    """What one unit is sold for (side -1: at bids) or bought for (side 1)."""
    if r.kind == CARRY or r.kind == PERPETUAL:
        v = legs[r.leg[1]]
        return v.ask if side > 0 else v.bid
    total = 0.0
    for j in range(r.n_legs):
        v = legs[r.leg[j]]
        total += r.weight[j] * (v.ask if side * r.weight[j] > 0.0 else v.bid)
    return total


@njit
def band(r: Any, legs: Any) -> Any:
    """(low, high) now; NaN once the last leg has expired. A price of 0 or below carries no rate."""
    near, far = legs[r.leg[0]], legs[r.leg[r.n_legs - 1]]
    if r.kind == CARRY or r.kind == LISTED:
        start_ns = r.near_ns if r.near_ns > 0 else near.venue_ns
        years = (r.expiry_ns - start_ns) / YEAR_NS
        if years < 0.0 or far.venue_ns > r.expiry_ns:
            return math.nan, math.nan
        if r.kind == LISTED:
            return _listed_band(r, 0.5 * (near.bid + near.ask), years)
        up = math.exp(r.growth_high * years) if near.ask > 0.0 else 1.0
        high = near.ask * up + r.store * years * math.exp(max(r.growth_high, 0.0) * years) + r.cost
        down = math.exp(r.growth_low * years) if near.bid > 0.0 else 1.0
        low = near.bid * down - r.cost if r.two_sided != 0 else boundary.NO_LOW
        return low, high
    if r.kind == PERPETUAL:
        return near.bid * r.growth_low - r.cost, near.ask * r.growth_high + r.cost
    return r.low - r.cost, r.high + r.cost


@njit
def _listed_band(r: Any, near: float, years: float) -> Any:
    """(low, high) of a listed spread: the band of its later contract less the near contract's settlement.

    The near contract is not crossed: the exchange books both contracts at prices that differ by the spread's.
    """
    up, down = 0.0, 0.0
    if near > 0.0:
        up, down = math.expm1(r.growth_high * years), math.expm1(r.growth_low * years)
    high = near * up + r.store * years * math.exp(max(r.growth_high, 0.0) * years) + r.cost
    return (near * down - r.cost if r.two_sided != 0 else boundary.NO_LOW), high


@njit
def look(st: Any, legs: Any) -> None:
    """Read the relation: `side` 1 above its band (sell it), -1 below, 0 inside."""
    r = st.now
    low, high = band(r, legs)
    bid, ask = value(r, legs, -1), value(r, legs, 1)
    price = bid if bid > high else ask if ask < low else min(max(0.5 * (bid + ask), low), high)
    st.excess = bid - high if bid > high else ask - low if ask < low else 0.0
    side = boundary.step(st.outside, price, low, high, r.open, r.back, r.confirm)
    if math.isnan(side):
        return
    st.side = int(side)


@njit
def wanted(st: Any, legs: Any, share: float) -> float:
    """Signed units to trade now: towards -side x qty, no more than `share` of the depth shown at each touch.

    Less than a lot of any leg is nothing. Opening needs the quote to be outside now, not only the fold's memory of it.
    """
    r = st.now
    have = held(r, legs)
    need = -st.side * r.qty - have
    opens = need * have >= 0.0 and st.side != 0
    if need == 0.0 or (opens and st.excess * st.side <= 0.0):
        return 0.0
    room = abs(need)
    if not opens:
        room = min(room, abs(have))
    for j in range(r.n_legs):
        if r.weight[j] == 0.0:
            continue
        v = legs[r.leg[j]]
        size = abs(r.weight[j])
        shown = v.ask_qty if need * r.weight[j] > 0.0 else v.bid_qty
        if opens:
            room = min(room, share * shown / size)
        if room * size < max(v.lot_qty, v.min_qty) - 1e-9 * v.lot_qty:
            return 0.0
    return room if need > 0.0 else -room


@njit
def take_relations(m: Any, legs: Any) -> None:
    """Lay the model over the book by id: a relation stays in its place from fit to fit and takes its new numbers.

    One that is gone from the model is left, and its place is free when it is idle. A new one waits (`m.waiting`) until
    a place is free and no relation that is still being left uses its legs.
    """
    m.waiting = 0
    for k in range(len(m.book)):
        st = m.book[k]
        at = _find(m.model.relations, st.now.id)
        st.live = 1 if at >= 0 else 0
        if at >= 0:
            if st.now.version != m.model.relations[at].version:
                copy_relation(st.now, m.model.relations[at])
        elif st.now.id != 0:
            st.side = 0
            if st.asked == 0 and idle(st.now, legs):
                st.now.id = 0
            else:
                m.waiting += 1
    for k in range(len(m.model.relations)):
        new = m.model.relations[k]
        if new.id == 0 or _placed(m.book, new.id):
            continue
        free = _place_for(m.book, new)
        if free < 0:
            m.waiting += 1
            continue
        st = m.book[free]
        copy_relation(st.now, new)
        st.outside.side = st.outside.run = st.outside.leaning = 0
        st.side, st.live, st.excess, st.asked = 0, 1, 0.0, 0


@njit
def rests(book: Any, legs: Any) -> bool:
    """Only listed spreads are in the book and no order of one works: what was asked for is done with."""
    n, busy = 0, 0
    for k in range(len(book)):
        r = book[k].now
        if r.id != 0:
            n += 1 if r.kind == LISTED else 0
            busy += 1 if r.kind != LISTED or working(r, legs) else 0
    return n > 0 and busy == 0


@njit
def _find(relations: Any, wanted_id: int) -> int:
    """Place of an id among relations, -1: not there (0 is never there)."""
    for k in range(len(relations)):
        if wanted_id != 0 and relations[k].id == wanted_id:
            return k
    return -1


@njit
def _placed(book: Any, wanted_id: int) -> bool:
    n = 0
    for k in range(len(book)):
        n += 1 if book[k].now.id == wanted_id else 0
    return n > 0


@njit
def _place_for(book: Any, new: Any) -> int:
    """An empty place for a relation, -1 while there is none or another relation has one of its legs."""
    free = -1
    for k in range(len(book)):
        r = book[k].now
        if r.id == 0:
            free = k if free < 0 else free
            continue
        for j in range(r.n_legs):
            for i in range(new.n_legs):
                if r.leg[j] == new.leg[i]:
                    return -1
    return free
