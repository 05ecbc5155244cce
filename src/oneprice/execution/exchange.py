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

from numba import types

from oneprice.core.address import address_of, intrinsic, record_at, words_at
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
    record,
)
from oneprice.execution.bar_matching import on_bar
from oneprice.execution.matching import on_batch, on_closed, on_command, on_depth, on_trade
from oneprice.execution.queue import queue_level
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
    known_of,
    ring_head,
    ring_head_ns,
    ring_pop,
)
from oneprice.market.book import book_at, book_row
from oneprice.market.book_loop import book_row_inline, fetch_level, is_wide, prefetch

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


AHEAD = 8  # rows: how early a level is asked for
LOOK_AHEAD = 16  # rows looked at for the next that meets us
TAPE = record(  # a row of `tapes`
    [
        ("rows", "i8"),  # address of EVENT rows
        ("n_rows", "i8"),
        ("order", "i8"),  # address of the exchange order, int32[n_rows]; 0: as they lie
        ("first", "i8"),
    ]
)
_tape_at, _TAPE_BYTES = record_at(TAPE), TAPE.itemsize


@intrinsic
def int32_at(typing_context: Any, address: Any) -> Any:
    """int32 numbers at an address (the exchange order of a tape)."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.int32)(types.intp), build


@njit
def tape_of(tapes: Any, i: int) -> Any:
    """The TAPE of a leg."""
    return _tape_at(tapes.ctypes.data + i * _TAPE_BYTES)


@njit
def row_of(rows: int, order: int, at: int) -> Any:
    """The EVENT at a place in the exchange order of a tape."""
    return event_at(rows + (at if order == 0 else int32_at(order)[at]) * EVENT_BYTES)


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
    prefetch(address_of(known_of(x, r.client_id)))
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

    `tapes` int64 (n_legs, 4), C-contiguous: the words of a TAPE a leg. `x.next_due_ns` becomes a lower bound of the
    receive time of any answer not yet on the ring.
    """
    active = words_at(address_of(x) + x.active_off)
    due = INF
    k = 0
    while k < x.n_active:
        i = active[k]
        e = exleg_of(x, i)
        tape = tape_of(tapes, i)
        advance_leg(x, i, tape, until_ns)
        if e.n_resting == 0 and e.n_commands == 0:
            e.active = 0
            x.n_active -= 1
            active[k] = active[x.n_active]
            continue
        due = min(due, due_of(x, i, tape))
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
        advance_leg(x, i, tape_of(tapes, i), until_ns)


@njit
def due_of(x: Any, i: int, tape: Any) -> int:
    """Lower bound of the receive time of a leg's next answer: only commands and met orders answer."""
    e = exleg_of(x, i)
    first = e.commands[e.cmd_head].arrive_ns if e.n_commands > 0 else INF
    if e.n_resting > 0 and e.row_ns < first:
        first = met_ns(x, i, tape, first)
    return INF if first == INF else first + e.least_response_ns


@njit(apart=True)
def met_ns(x: Any, i: int, tape: Any, before_ns: int) -> int:
    """Lower bound of the time of the next row that may fill or end a resting order of a leg, or `before_ns`.

    A few rows ahead are looked at. One meets us if it is a trade that reaches our prices, sets a level on the other
    side that does, or is of a rare kind. No other row can bring an opposite touch to us: as long as none stands at
    our prices now, one has to be set there first.
    """
    e = exleg_of(x, i)
    if e.resync != 0 or e.bars != 0 or reached(e):
        return e.row_ns
    if e.book_off != 0 and book_at(address_of(x) + e.book_off).overlay != 0:
        return e.row_ns  # depth that the laid TOP hides may come back
    rows, order, n = tape.rows, tape.order, tape.n_rows
    at = max(e.clear_to, e.cursor)
    last = min(n, e.cursor + LOOK_AHEAD)
    t = before_ns
    while at < n:
        ev = row_of(rows, order, at)
        t = venue_ns(e, ev)
        if at >= last or t >= before_ns or meets(e, ev):
            break
        at += 1
    e.clear_to = at
    return min(max(e.row_ns, t), before_ns) if at < n else before_ns


@njit
def meets(e: Any, ev: Any) -> bool:
    """Whether a row may fill or end a resting order, if none is reached before it."""
    kind = ev.kind
    if kind == TRADE:
        return reaches(e, ev)
    if kind == BOOK and ev.flag_bits & CLEAR == 0:
        return reaches(e, ev) and ev.qty > 0
    return True


@njit
def reaches(e: Any, ev: Any) -> bool:
    """Whether a bid or a buyer stands at a price of our sells, an ask or a seller at one of our buys."""
    up, down = ev.price >= e.low_sell, ev.price <= e.top_buy
    return (up & (ev.side >= 0)) | (down & (ev.side <= 0))


@njit(forceinline=True)
def venue_ns(e: Any, ev: Any) -> int:
    """When the venue made a row, on the local clock."""
    return ev.exchange_ns + e.leg.clock_offset_ns if ev.exchange_ns > 0 else ev.receive_ns


@njit
def begin_leg(e: Any, tape: Any) -> None:
    """A leg stands before the first row of its tape."""
    e.started = 1
    e.cursor = tape.first
    e.row_ns = INF
    if e.cursor < tape.n_rows:
        e.row_ns = venue_ns(e, row_of(tape.rows, tape.order, e.cursor))
        e.bars = 1 if first_quote(tape.rows, tape.first, tape.n_rows) == BAR else 0


@njit
def first_quote(rows: int, first: int, n_rows: int) -> int:
    """Kind of the first quote, trade or bar of a tape (EVENT rows at an address); statuses may stand before it."""
    for at in range(first, n_rows):
        kind = event_at(rows + at * EVENT_BYTES).kind
        if kind <= BAR:
            return kind
    return 0


@njit
def advance_leg(x: Any, i: int, tape: Any, until_ns: int) -> None:
    """One leg up to `until_ns`: rows and commands in time order, rows first at equal ns."""
    e = exleg_of(x, i)
    if e.started == 0:
        begin_leg(e, tape)
    while True:
        arrive = e.commands[e.cmd_head].arrive_ns if e.n_commands > 0 else INF
        bound = min(until_ns, arrive)
        if e.row_ns <= bound and e.row_ns != INF:
            advance_rows(x, i, tape, bound)
        if arrive > until_ns or arrive == INF:
            return
        c = e.commands[e.cmd_head]
        e.cmd_head = (e.cmd_head + 1) & (N_COMMANDS - 1)
        e.n_commands -= 1
        on_command(x, i, c)


@njit(apart=True)
def advance_rows(x: Any, i: int, tape: Any, bound_ns: int) -> None:
    """The market's rows of a leg up to `bound_ns`; each is before the leg's next command.

    The clock of a leg never goes back: a row stamped earlier than the one before it happens when that one did.
    """
    e = exleg_of(x, i)
    rows, n, ordered = tape.rows, tape.n_rows, tape.order != 0
    order = int32_at(tape.order)
    b = book_at(address_of(x) + e.book_off)
    at, t = e.cursor, e.row_ns
    wide = e.book_off != 0 and is_wide(b)
    while True:
        ev = event_at(rows + (order[at] if ordered else at) * EVENT_BYTES)
        t = max(t, venue_ns(e, ev))
        if t > bound_ns:
            break
        kind = ev.kind
        if wide and at + AHEAD < n:
            fetch_level(b, event_at(rows + (order[at + AHEAD] if ordered else at + AHEAD) * EVENT_BYTES))
        at += 1
        if kind == BOOK and ev.flag_bits & CLEAR == 0 and e.resync == 0 and e.book_off != 0 and b.overlay == 0:
            if book_row_inline(b, ev):
                take_touch(e, b)
            on_level(x, i, e, b, ev)
        elif kind == TRADE:
            if reaches(e, ev) and matches(e) and e.bars == 0:
                on_trade(x, i, ev, t)
        else:
            on_row(x, i, ev, t)
        if ev.flag_bits & LAST and ((e.look != 0 and e.n_depleted > 0) or e.resync != 0 or reached(e)):
            if kind <= TRADE:
                complete(x, i, t)
        if at >= n:
            t = INF
            break
    e.cursor = at
    e.row_ns = t


@njit
def on_level(x: Any, i: int, e: Any, b: Any, ev: Any) -> None:
    """A level was set: what that is to what we took there and to orders of ours that rest there.

    Depth that no TOP hides and no full table cut shows what the row says. What we took of a level is looked at again
    when a row empties it; all other rows leave it where it was.
    """
    bit = 1 << (ev.price & 63)
    if ev.qty <= 0 and e.taken & bit != 0:
        e.look = 1
    if e.watched & bit != 0:
        if b.degraded != 0:
            on_depth(x, i, ev.side, ev.price, ev.count)
            return
        for k in range(e.n_resting):
            o = e.orders[e.rank[k]]
            if o.side == ev.side and o.price == ev.price:
                queue_level(e, o, max(ev.qty, 0), ev.count)


@njit
def take_touch(e: Any, b: Any) -> None:
    """The book's touch becomes the leg's."""
    e.leg.bid_ticks = b.bid_ticks
    e.leg.bid_lots = b.bid_lots
    e.leg.ask_ticks = b.ask_ticks
    e.leg.ask_lots = b.ask_lots


@njit(apart=True)
def complete(x: Any, i: int, at_ns: int) -> None:
    """A batch that concerns us is complete: what the venue does then, if it trades."""
    e = exleg_of(x, i)
    e.look = 0
    if e.resync != 0:
        e.resync = 0
        on_depth(x, i, 0, 0, 0)
    if matches(e) and e.bars == 0:
        on_batch(x, i, at_ns)


@njit
def matches(e: Any) -> bool:
    """Whether the venue matches orders on this leg now."""
    return e.leg.trading == OPEN or e.leg.trading == NO_SHORT or e.leg.trading == DEGRADED


@njit(apart=True)
def on_row(x: Any, i: int, ev: Any, at_ns: int) -> None:
    """A row that is no trade, of a leg without depth, or that says more than the total of a level."""
    e = exleg_of(x, i)
    kind = ev.kind
    if kind == BAR:
        if matches(e) and e.bars != 0:
            on_bar(x, i, ev, at_ns)
    elif kind in (BOOK, TOP):
        only = 0 if kind == TOP else ev.side
        if only == 0 or e.taken & (1 << (ev.price & 63)) != 0:
            e.look = 1
        if e.book_off != 0:
            b = book_at(address_of(x) + e.book_off)
            laid = b.overlay
            if book_row(b, ev):
                take_touch(e, b)
                e.look = 1
            if laid != b.overlay:
                only = 0
        elif kind == TOP:
            take_top(e, ev)
        if ev.flag_bits & CLEAR:
            e.resync = 1
        if e.n_resting > 0 and e.resync == 0 and (only == 0 or (e.watched >> (ev.price & 63)) & 1 != 0):
            on_depth(x, i, only, ev.price, 0 if only == 0 else ev.count)
    elif kind in (STATUS, EXPIRY):
        e.leg.trading = EXPIRED if kind == EXPIRY else ev.value
        if e.leg.trading == CLOSED_SESSION or e.leg.trading == EXPIRED:
            on_closed(x, i, at_ns, X_EXPIRED if e.leg.trading == EXPIRED else X_CLOSED)


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
