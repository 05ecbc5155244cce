"""The exchange half of a simulation: each leg's venue in exchange time, commands in, answers out.

`ex_send` schedules a command at now + entry latency; `ex_advance` moves every active leg through its tape
and its commands up to a time and puts the answers on a ring in the order they reach us. A leg with nothing
of ours working or in flight lags and catches up when its next command arrives: its matching depends on its
own tape and on our commands only, so the result is the same as stepping each event (tested). Exchange time
is `exchange_ns + clock_offset_ns`, with a running maximum; at equal ns the venue's rows go before our
commands.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from oneprice.core.address import address_of, pointer, words_at
from oneprice.core.arena import EVENT_BYTES, event_at
from oneprice.core.jit import njit
from oneprice.core.records import (
    BAR,
    BOOK,
    CANCEL,
    CANCEL_REJECT,
    CLEAR,
    CLOSED_SESSION,
    DEGRADED,
    EXPIRED,
    EXPIRY,
    LAST,
    NEW,
    NO_PRICE,
    NO_SHORT,
    OPEN,
    REJECT,
    STATUS,
    TOP,
    TRADE,
)
from oneprice.execution.bar_matching import on_bar
from oneprice.execution.matching import on_batch, on_closed, on_command, on_depth, on_trade
from oneprice.execution.venue import (
    ExchangeHalf,
    FillModel,
    build_exchange,
    ex_ledger,
    ex_query,
)
from oneprice.execution.venue_state import (
    INF,
    N_COMMANDS,
    X_BUSY,
    X_CLOSED,
    X_EXPIRED,
    answer,
    entry_latency,
    exchange_at,
    exleg_of,
    ring_head,
    ring_head_ns,
    ring_pop,
)
from oneprice.market.book import book_at, book_row

__all__ = [
    "ExchangeHalf",
    "FillModel",
    "build_exchange",
    "ex_advance",
    "ex_catch_up",
    "ex_ledger",
    "ex_query",
    "ex_send",
    "exchange_at",
    "ring_head",
    "ring_head_ns",
    "ring_pop",
]


@njit
def ex_send(x: Any, now_ns: int, r: Any) -> None:
    """Send a COMMAND row (`leg`, `code` NEW | CANCEL | AMEND, `client_id`, `side`, `price`, `qty`, `tif`) to
    its venue.

    It arrives after the entry latency, never before an earlier command of the leg. A full queue is refused
    as busy.
    """
    i = r.leg
    e = exleg_of(x, i)
    arrive = max(now_ns + entry_latency(x, e, r.code == CANCEL, now_ns), e.last_arrive_ns)
    if e.n_commands >= N_COMMANDS:
        ev = answer(x, i, REJECT if r.code == NEW else CANCEL_REJECT, r.client_id, arrive, False)
        ev.side = r.side
        ev.price = r.price
        ev.qty = r.qty
        ev.reason = X_BUSY
        return
    e.last_arrive_ns = arrive
    c = e.commands[(e.cmd_head + e.n_commands) & (N_COMMANDS - 1)]
    e.n_commands += 1
    c.arrive_ns = arrive
    c.client_id = r.client_id
    c.price = r.price
    c.qty = r.qty
    c.tif = r.tif
    c.side = r.side
    c.action = r.code
    if e.active == 0:
        e.active = 1
        words_at(address_of(x) + x.active_off)[x.n_active] = i
        x.n_active += 1
    x.next_due_ns = min(x.next_due_ns, arrive + e.least_response_ns)


@njit
def ex_advance(x: Any, tapes: Any, until_ns: int) -> None:
    """Process rows and commands of every active leg up to `until_ns` inclusive, exchange time on the local
    clock.

    `tapes` int64 (n_legs, 4): address of EVENT rows, number of rows, address of the exchange order int32[n]
    (0: file order), first row. `x.next_due_ns` becomes a lower bound of the receive time of any answer not
    yet on the ring.
    """
    active = words_at(address_of(x) + x.active_off)
    due = INF
    k = 0
    while k < x.n_active:
        i = active[k]
        e = exleg_of(x, i)
        advance_leg(x, i, tapes, until_ns)
        if e.n_resting == 0 and e.n_commands == 0:
            e.active = 0
            x.n_active -= 1
            active[k] = active[x.n_active]
            continue
        due = min(due, due_of(e))
        k += 1
    x.next_due_ns = due


@njit
def horizon_ns(x: Any) -> int:
    """How far venues may go when an answer is due: no command decided after that answer arrives sooner."""
    return x.next_due_ns + max(x.least_entry_ns - 1, 0)


@njit
def ex_catch_up(x: Any, tapes: Any, until_ns: int) -> None:
    """As `ex_advance`, for every leg, active or not."""
    ex_advance(x, tapes, until_ns)
    for i in range(x.n_legs):
        advance_leg(x, i, tapes, until_ns)


@njit
def due_of(e: Any) -> int:
    """Lower bound of the receive time of a leg's next answer: only commands and met orders answer."""
    first = e.commands[e.cmd_head].arrive_ns if e.n_commands > 0 else INF
    if e.n_resting > 0:
        first = min(first, e.row_ns)
    return INF if first == INF else first + e.least_response_ns


@njit
def row_time(e: Any, i: int, tapes: Any) -> int:
    """Exchange time of the leg's next row, never before the last one's; INF at the end of the tape."""
    if e.cursor >= tapes[i, 1]:
        return INF
    ev = event_at(tapes[i, 0] + row_index(e, i, tapes) * EVENT_BYTES)
    t = ev.exchange_ns + e.leg.clock_offset_ns if ev.exchange_ns > 0 else ev.receive_ns
    return max(t, e.clock_ns)


@njit
def row_index(e: Any, i: int, tapes: Any) -> int:
    """Where in the file the leg's next row lies."""
    if tapes[i, 2] == 0:
        return e.cursor
    return carray(pointer(tapes[i, 2]), tapes[i, 1], np.int32)[e.cursor]


@njit
def advance_leg(x: Any, i: int, tapes: Any, until_ns: int) -> None:
    """One leg up to `until_ns`: rows and commands in time order, rows first at equal ns."""
    e = exleg_of(x, i)
    rows = tapes[i, 0]
    if e.started == 0:
        e.started = 1
        e.cursor = tapes[i, 3]
        e.row_ns = row_time(e, i, tapes)
        e.bars = 1 if e.row_ns != INF and event_at(rows + row_index(e, i, tapes) * EVENT_BYTES).kind == BAR else 0
    while True:
        arrive = e.commands[e.cmd_head].arrive_ns if e.n_commands > 0 else INF
        if e.row_ns <= arrive:
            if e.row_ns > until_ns or e.row_ns == INF:
                return
            e.clock_ns = e.row_ns
            on_row(x, i, event_at(rows + row_index(e, i, tapes) * EVENT_BYTES), e.row_ns)
            e.cursor += 1
            e.row_ns = row_time(e, i, tapes)
        else:
            if arrive > until_ns:
                return
            c = e.commands[e.cmd_head]
            e.cmd_head = (e.cmd_head + 1) & (N_COMMANDS - 1)
            e.n_commands -= 1
            on_command(x, i, c)


@njit
def on_row(x: Any, i: int, ev: Any, at_ns: int) -> None:
    """One market row of a leg, as its venue made it."""
    e = exleg_of(x, i)
    kind = ev.kind
    matching = e.leg.trading == OPEN or e.leg.trading == NO_SHORT or e.leg.trading == DEGRADED
    if kind == TRADE:
        if e.n_resting > 0 and matching and e.bars == 0:
            on_trade(x, i, ev, at_ns)
    elif kind in (BOOK, TOP):
        only = 0 if kind == TOP else ev.side
        if e.book_off != 0:
            b = book_at(address_of(x) + e.book_off)
            laid = b.overlay
            if book_row(b, ev):
                e.leg.bid_ticks = b.bid_ticks
                e.leg.bid_lots = b.bid_lots
                e.leg.ask_ticks = b.ask_ticks
                e.leg.ask_lots = b.ask_lots
                e.look = 1
            if laid != b.overlay:
                only = 0
        elif kind == TOP:
            take_top(e, ev)
        if only == 0 or (e.taken >> (ev.price & 63)) & 1 != 0:
            e.look = 1
        if ev.flag_bits & CLEAR:
            e.resync = 1
        if e.n_resting > 0 and e.resync == 0 and (only == 0 or (e.watched >> (ev.price & 63)) & 1 != 0):
            on_depth(x, i, only, ev.price)
    elif kind == BAR:
        if matching and e.bars != 0:
            on_bar(x, i, ev, at_ns)
        return
    elif kind in (STATUS, EXPIRY):
        e.leg.trading = EXPIRED if kind == EXPIRY else ev.value
        if e.leg.trading == CLOSED_SESSION or e.leg.trading == EXPIRED:
            on_closed(x, i, at_ns, X_EXPIRED if e.leg.trading == EXPIRED else X_CLOSED)
        return
    if ev.flag_bits & LAST and ((e.look != 0 and e.n_depleted > 0) or e.resync != 0 or reached(e)):
        e.look = 0
        if e.resync != 0:
            e.resync = 0
            on_depth(x, i, 0, 0)
        if matching and e.bars == 0:
            on_batch(x, i, at_ns)


@njit
def reached(e: Any) -> bool:
    """An opposite touch stands at or beyond a resting order of ours (or did in a crossed book)."""
    if e.leg.ask_ticks != NO_PRICE and e.top_buy >= e.leg.ask_ticks:
        return True
    return e.leg.bid_ticks != NO_PRICE and e.low_sell <= e.leg.bid_ticks


@njit
def take_top(e: Any, ev: Any) -> None:
    """The touch of a leg without depth; sizes that the tape lacks are the assumed depth."""
    if ev.seq != 0 and ev.seq < e.leg.seq and (ev.flag_bits & CLEAR) == 0:
        return
    e.leg.seq = ev.seq
    depth = e.leg.assumed_depth_lots
    e.leg.bid_ticks = ev.bid
    e.leg.ask_ticks = ev.ask
    e.leg.bid_lots = 0 if ev.bid == NO_PRICE else depth if ev.bid_qty <= 0 else ev.bid_qty
    e.leg.ask_lots = 0 if ev.ask == NO_PRICE else depth if ev.ask_qty <= 0 else ev.ask_qty
