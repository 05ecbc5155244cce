"""The local half: one event folded into the state. Simulation, replay, paper and live all call this function.

This is the one place that knows the order of the layers. WIRING says it as data: the diagram is drawn from it and a
test checks it against the imports below.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.address import address_of, words_at
from oneprice.core.arena import (
    CALL_ALL,
    CALL_FILLS,
    CALL_TIMERS,
    emit,
    leg_of,
    legs_of,
    position_of,
    strategy_row,
    view_of,
)
from oneprice.core.jit import njit
from oneprice.core.records import (
    ACK,
    BAR,
    BOOK,
    BORROW,
    DEGRADED,
    DIVIDEND,
    EVENT,
    EXPIRED,
    EXPIRY,
    FILL,
    FILL_ROW,
    FUNDING,
    HALTED,
    INVERSE,
    LAST,
    LINK,
    MAKER,
    MODEL,
    N_STRATEGIES,
    NEW,
    NO_PRICE,
    OPERATOR,
    REDUCING,
    REJECT,
    SAMPLE,
    STATUS,
    TIMER,
    TOP,
)
from oneprice.engine.entry import call_entry
from oneprice.engine.words import on_operator, take_model
from oneprice.execution import orders, package, planner
from oneprice.execution.blotter import P_FLAT, P_FREE, PLANNED, ROLE_OPEN, timer_fired
from oneprice.execution.settlement import locked_lots
from oneprice.market import book, book_loop, touch
from oneprice.risk import attribution, gate, halt, ledger, overlay

WIRING: tuple[tuple[str, str, str], ...] = (
    ("venues", "market", "events"),
    ("market", "features", "books, touches"),
    ("features", "signals", "numbers of a fold"),
    ("signals", "strategies", "net edge, sizes"),
    ("strategies", "execution", "intents"),
    ("execution", "risk", "orders asked for"),
    ("risk", "execution", "approved or refused"),
    ("execution", "venues", "commands"),
    ("venues", "execution", "acks, fills, rejects"),
    ("venues", "risk", "fills, funding, borrow, dividends"),
    ("risk", "strategies", "budgets, halts, positions"),
    ("engine", "journal", "every event in, every command out"),
)

GONE = 0  # action of a request whose order was refused before its turn
FAULT = 1  # fold's return: a strategy raised
EVENT_WORDS = EVENT.itemsize // 8


@njit
def fold(s: Any, ev: Any, entries: int) -> int:
    """Fold one event into the state.

    Parameters: STATE record, EVENT record, the address of the entries' addresses (int64, one a strategy).
    Returns 0, or FAULT + the strategy's index if a strategy raised (its intents are dropped, the engine halts).
    """
    if ev.kind > BAR:
        return fold_other(s, ev, entries)
    s.n_events += 1
    off = leg_of(s, ev.leg).book_off
    if ev.kind <= TOP and off != 0:
        book_loop.book_row_inline(book.book_at(address_of(s) + off), ev)
        if ev.kind == BOOK and ev.flag_bits & LAST == 0:
            return 0  # inside a batch only the book moves
    return fold_touch(s, ev, entries)


@njit(apart=True)
def fold_touch(s: Any, ev: Any, entries: int) -> int:
    """The rest of `fold` of a venue's row once it has moved the book: touch, packages on the leg, subscribers."""
    leg = leg_of(s, ev.leg)
    begin(s, ev)
    last = ev.flag_bits & LAST != 0
    if ev.kind > TOP or leg.book_off == 0:
        touch.touch_from_top(leg, ev)
    elif last:
        touch.touch_from_book(leg, book.book_at(address_of(s) + leg.book_off), ev)
    fault = on_batch(s, ev, entries, leg) if last else 0
    if s.next_sample_ns <= ev.receive_ns:
        sample(s)
    return fault


@njit(apart=True)
def fold_other(s: Any, ev: Any, entries: int) -> int:
    """`fold` of what is no row of a feed: answers of venues, timers, funding, models, the operator."""
    s.n_events += 1
    begin(s, ev)
    kind = ev.kind
    if kind >= ACK and kind <= LINK:
        fault = on_own(s, ev, entries)
    elif kind == TIMER:
        fault = on_timer(s, ev, entries)
    else:
        fault = on_rare(s, ev, entries)
    if s.next_sample_ns <= ev.receive_ns:
        sample(s)
    return fault


@njit
def begin(s: Any, ev: Any) -> None:
    """The clock moves to an event; fills whose horizon has passed are marked out at the mids before it."""
    s.now_ns = ev.receive_ns
    if s.ledger.next_due_ns <= ev.receive_ns:
        attribution.due(s)


@njit
def on_batch(s: Any, ev: Any, entries: Any, leg: Any) -> int:
    """A batch of a leg is complete: packages waiting on it, then its subscribers."""
    i = ev.leg
    if leg.fx_currency >= 0:
        ledger.set_fx_from_leg(s, i)
    if s.blotter.n_attention > 0:
        package.on_touch(s, i)
        dispatch(s)
    fault = 0
    subs = words_at(address_of(s) + leg.subs_off)
    for j in range(leg.n_subs):
        k = subs[2 * j]
        st = strategy_row(s, k)
        if st.called == CALL_ALL:
            refresh(s, k, subs[2 * j + 1], i)
        elif st.called == CALL_TIMERS and st.calls > 0:
            continue
        if st.halt == 0:
            got = call(s, ev, entries, k)
            if got != 0:
                fault = got
    return fault


@njit(forceinline=True)
def refresh(s: Any, k: int, slot: int, i: int) -> None:
    """Write strategy k's float view of leg i, its number too: the strategy may have written over it."""
    v = view_of(s, k, slot)
    leg = leg_of(s, i)
    v.leg = i
    unit = leg.lot
    v.bid_ticks = leg.bid_ticks
    v.ask_ticks = leg.ask_ticks
    v.bid_lots = leg.bid_lots
    v.ask_lots = leg.ask_lots
    v.bid = leg.bid_ticks * leg.tick if leg.bid_ticks != NO_PRICE else math.nan
    v.ask = leg.ask_ticks * leg.tick if leg.ask_ticks != NO_PRICE else math.nan
    if leg.bid_ticks != NO_PRICE and leg.ask_ticks != NO_PRICE:
        v.mid = 0.5 * leg.mid2_ticks * leg.tick
    else:
        v.mid = math.nan
    if leg.contract == INVERSE and leg.mid2_ticks > 0:
        unit = leg.lot / (0.5 * leg.mid2_ticks * leg.tick)
    v.lot_qty = unit
    v.bid_qty = leg.bid_lots * unit
    v.ask_qty = leg.ask_lots * unit
    v.last = leg.last_ticks * leg.tick if leg.last_ticks != NO_PRICE else math.nan
    v.bought_qty = leg.bought_lots * unit
    v.sold_qty = leg.sold_lots * unit
    v.quote_ns = leg.quote_ns
    v.venue_ns = leg.quote_exchange_ns + leg.clock_offset_ns
    v.trading = leg.trading
    v.locked_lots = locked_lots(leg, s.now_ns)
    v.min_qty = leg.min_lots * unit
    v.degraded = 1 if leg.trading == DEGRADED else 0
    own = position_of(s, k * s.n_legs + i)
    v.position_lots = own.lots
    v.open_lots = own.open_buy_lots - own.open_sell_lots
    v.position = own.lots * unit
    v.budget = own.budget_lots * unit


@njit
def refresh_leg(s: Any, i: int) -> None:
    """Write the views of the subscribers of a leg that are called on all: the others get theirs when called."""
    leg = leg_of(s, i)
    subs = words_at(address_of(s) + leg.subs_off)
    for j in range(leg.n_subs):
        if strategy_row(s, subs[2 * j]).called == CALL_ALL:
            refresh(s, subs[2 * j], subs[2 * j + 1], i)


@njit(apart=True)
def refresh_all(s: Any, k: int) -> None:
    """Write all views of strategy k."""
    for i in range(s.n_legs):
        leg = leg_of(s, i)
        subs = words_at(address_of(s) + leg.subs_off)
        for j in range(leg.n_subs):
            if subs[2 * j] == k:
                refresh(s, k, subs[2 * j + 1], i)


@njit(apart=True)
def call(s: Any, ev: Any, entries: Any, k: int) -> int:
    """Call strategy k, turn its intents into requests, and send those through the gate.

    It is shown a copy of the event, so that nothing it does reaches the tape or another strategy. Once the operator
    has said stop, strategies are called no more.
    """
    if s.stopping != 0:
        return 0
    st = strategy_row(s, k)
    if st.called != CALL_ALL:
        refresh_all(s, k)
    intents = s.blotter.intents
    intents.count = 0
    intents.strategy = k
    base = address_of(s)
    words = words_at(address_of(ev))
    for i in range(EVENT_WORDS):
        s.seen.words[i] = words[i]
    st.calls += 1
    call_entry(
        words_at(entries)[k],
        address_of(s.seen),
        base + st.views_off,
        st.n_legs,
        base + st.params_off,
        base + st.memory_off,
        address_of(intents),
        address_of(st),
    )
    if st.guard == 0:
        intents.count = 0
        st.faults += 1
        st.halt = HALTED
        halt.set_halt(s, HALTED, halt.STRATEGY_FAULT, k)
        return FAULT + k
    if intents.count > 0 or intents.overflow != 0:
        planner.on_intents(s, k)
        dispatch(s)
    return 0


@njit
def dispatch(s: Any) -> None:
    """Each request through the gate: a COMMAND row, or a REFUSED row and word to its package.

    A package opens with all its legs or with none: one that is refused takes the others along before any is sent.
    """
    blotter = s.blotter
    i = 0
    while i < blotter.n_requests:
        o = blotter.requests[i].order
        action = blotter.requests[i].action
        if action == GONE:
            i += 1
            continue
        reason = gate.check_others(s, i) if action == NEW and blotter.orders[o].package >= 0 else 0
        if reason == 0:
            reason = gate.check(s, blotter.orders[o], action)
        if reason == 0:
            slot = blotter.orders[o].package
            if action == NEW and slot >= 0:
                open_overlay(s, slot)
            orders.approved(s, o, action)
        else:
            orders.refused(s, o, action, reason)
            if action == NEW:
                refuse_siblings(s, i, reason)
            package.review(s)  # what the refused leg leaves behind may ask for more, at the end of this list
        i += 1
    blotter.n_requests = 0
    if blotter.want_reducing != 0:  # lots that nothing hedges, or more than was ordered
        blotter.want_reducing = 0
        halt.set_halt(s, REDUCING, halt.UNHEDGED, blotter.n_overfills)


@njit
def refuse_siblings(s: Any, at: int, reason: int) -> None:
    """Refuse, for the reason of request `at`, the opening orders of its package that wait behind it."""
    b = s.blotter
    first = b.orders[b.requests[at].order]
    if first.role != ROLE_OPEN or first.package < 0:
        return
    for j in range(at + 1, b.n_requests):
        o = b.orders[b.requests[j].order]
        waits = b.requests[j].action == NEW and o.state == PLANNED
        if waits and o.role == ROLE_OPEN and o.package_id == first.package_id:
            b.requests[j].action = GONE
            orders.refused(s, b.requests[j].order, NEW, reason)


@njit
def on_own(s: Any, ev: Any, entries: Any) -> int:
    """An answer of a venue: the order, the ledger, its package, then the strategy that sent it."""
    o = orders.on_response(s, ev)
    if o == -1:
        package.review(s)
        dispatch(s)
        return 0
    if o < -1:
        k = -2 - o  # a fill of no order we know: booked all the same, and nothing new is opened
        ledger.on_fill(s, ev, k, NO_PRICE, NO_PRICE, 0, -1)
        halt.set_halt(s, REDUCING, halt.ORPHAN_FILL, k)
    else:
        order = s.blotter.orders[o]
        k = order.strategy
        if ev.kind == FILL:
            book_fill(s, ev, order)
    package.review(s)
    if s.blotter.n_requests > 0 or s.blotter.want_reducing != 0:
        dispatch(s)
    if o >= 0 and s.blotter.orders[o].package >= 0:
        close_overlay(s, s.blotter.orders[o].package)
    refresh_leg(s, ev.leg)
    st = strategy_row(s, k)
    if st.halt == 0 and (st.called == CALL_ALL or (st.called == CALL_FILLS and ev.kind in (FILL, REJECT))):
        return call(s, ev, entries, k)
    return 0


@njit
def open_overlay(s: Any, slot: int) -> None:
    """Plan a package in the ledger as if it filled whole, now, at the touches: legging is measured against that."""
    p = s.blotter.packages[slot]
    if s.ledger.packages[slot].active != 0 and s.ledger.packages[slot].ref == p.id:
        return
    overlay.package_open(s, slot, p.id, p.strategy)
    legs = legs_of(s)
    for j in range(p.n_legs):
        pl = p.legs[j]
        leg = legs[pl.leg]
        touch_ticks = leg.ask_ticks if pl.side > 0 else leg.bid_ticks
        if touch_ticks != NO_PRICE and leg.mid2_ticks != NO_PRICE:
            overlay.package_plan(s, slot, pl.leg, pl.side * pl.planned, touch_ticks, leg.mid2_ticks)


@njit
def close_overlay(s: Any, slot: int) -> None:
    """Add a finished package to the totals of its strategy."""
    state = s.blotter.packages[slot].state
    if s.ledger.packages[slot].active != 0 and (state == P_FREE or state >= P_FLAT):
        overlay.package_close(s, slot)


@njit
def on_timer(s: Any, ev: Any, entries: Any) -> int:
    """A deadline: execution's own, or a strategy's."""
    timer_fired(s, ev)
    if ev.owner < 0 or ev.owner >= N_STRATEGIES:
        package.on_timer(s, ev)
        dispatch(s)
        return 0
    if strategy_row(s, ev.owner).halt == 0:
        return call(s, ev, entries, ev.owner)
    return 0


@njit
def book_fill(s: Any, ev: Any, order: Any) -> None:
    """A fill goes to the ledger and leaves a row."""
    maker = 1 if ev.flag_bits & MAKER else 0
    package_slot = order.package  # a slot used again by now counts another package's legging
    if package_slot >= 0 and s.blotter.packages[package_slot].id != order.package_id:
        package_slot = -1
    ledger.on_fill(s, ev, order.strategy, order.decision_mid2, order.decision_touch, maker, package_slot)
    row = emit(s, FILL_ROW)
    row.client_id = ev.client_id
    row.price = ev.price
    row.qty = ev.qty
    row.owner = order.package_id + 1
    row.tif = maker
    row.limit = order.decision_mid2
    row.leg = ev.leg
    row.side = ev.side
    row.strategy = order.strategy


@njit
def on_rare(s: Any, ev: Any, entries: Any) -> int:
    """Funding, borrow, dividends, trading status, expiry, model updates and the operator."""
    kind = ev.kind
    if kind == FUNDING:
        ledger.on_funding(s, ev)
    elif kind == BORROW:
        ledger.on_borrow(s, ev)
    elif kind == DIVIDEND:
        ledger.on_dividend(s, ev)
    elif kind == STATUS:
        if leg_of(s, ev.leg).trading != EXPIRED:
            leg_of(s, ev.leg).trading = ev.value
        package.on_status(s, ev)
        dispatch(s)
        refresh_leg(s, ev.leg)
    elif kind == EXPIRY:
        ledger.on_expiry(s, ev)
        package.on_status(s, ev)
        dispatch(s)
        refresh_leg(s, ev.leg)
    elif kind == MODEL:
        k = ev.owner
        if take_model(s, ev) and strategy_row(s, k).halt == 0:
            return call(s, ev, entries, k)
    elif kind == OPERATOR:
        on_operator(s, ev)
        dispatch(s)
    return 0


@njit(apart=True)
def sample(s: Any) -> None:
    """Rows for charts: each leg's quotes and position, equity and the sum of each cause."""
    attribution.mark_all(s)
    halt.check_drawdown(s)
    legs = legs_of(s)
    for i in range(s.n_legs):
        row = emit(s, SAMPLE)
        row.a = legs[i].bid_ticks
        row.b = legs[i].ask_ticks
        row.c = legs[i].position_lots
        row.d = legs[i].mid2_ticks
        row.e = legs[i].open_buy_lots - legs[i].open_sell_lots
        row.leg = i
    attribution.emit_equity(s)
    while s.next_sample_ns <= s.now_ns:
        s.next_sample_ns += s.sample_ns
