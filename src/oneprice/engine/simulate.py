"""Simulation: tapes through the local half, its commands through the exchange half, answers back.

The loop is resumable: it returns CHUNK, SINK_FULL, FIT_DUE, GUARD or DONE and keeps all progress in its arguments.
"""

from __future__ import annotations

from typing import Any

from oneprice.core.address import address_of
from oneprice.core.arena import EVENT_BYTES, ROW_BYTES, SINK_BYTES, event_at, leg_of, row_at, sink_of
from oneprice.core.jit import njit
from oneprice.core.records import BOOK, COMMAND, LAST, TIMER, record
from oneprice.engine import merge
from oneprice.engine.local import fold, fold_other, fold_touch
from oneprice.execution import exchange
from oneprice.market import book, book_loop

DONE, FIT_DUE, SINK_FULL, GUARD, CHUNK = 0, 1, 2, 3, 4
ROWS_AN_EVENT = 4096  # room left in the sink before each event
AHEAD = 8  # rows: how early a level is asked for

DRIVE = record(
    [
        ("n_private", "i8"),  # private events recorded since the last drain
        ("ext_cursor", "i8"),  # models and operator words given from outside
        ("pause_ns", "i8"),  # FIT_DUE is returned before an event at or after this time
        ("end_ns", "i8"),  # events after this time are not folded
        ("fault", "i8"),
        ("event_address", "i8"),  # of the event folded last
        ("n_market", "i8"),
        ("n_market_end", "i8"),  # replay: market rows the session folded
        ("n_commands", "i8"),
        ("last_ns", "i8"),
        ("fit_requests", "i8"),  # requests for a fit that were answered; FIT_DUE is returned at the next; -1: never
    ]
)


@njit
def begin(tapes: Any, cursor: Any, keys: Any, tree: Any) -> None:
    """Lay the merge over the tapes from their cursors."""
    for i in range(len(keys)):
        keys[i] = head_ns(tapes, cursor, i)
    merge.tree_build(keys, tree)


@njit
def head_ns(tapes: Any, cursor: Any, i: int) -> int:
    """Receive time of a leg's next row, or INF."""
    if cursor[i] >= tapes[i, 1]:
        return merge.INF
    return event_at(tapes[i, 0] + cursor[i] * EVENT_BYTES).receive_ns


@njit
def leaders(keys: Any, tree: Any) -> tuple[int, int]:
    """Winner and runner-up among the streams."""
    if len(keys) <= merge.SCAN_UP_TO:
        return merge.scan_two(keys)
    return tree[1], merge.runner_up(keys, tree)


@njit
def forward(s: Any, x: Any, before: int) -> int:
    """Hand the commands among the rows since `before` to the exchange half."""
    sink = sink_of(s)
    rows = address_of(s) + s.sink_off + SINK_BYTES
    n = 0
    for i in range(before, sink.n_rows):
        r = row_at(rows + i * ROW_BYTES)
        if r.kind == COMMAND:
            exchange.ex_send(x, s.now_ns, r)
            n += 1
    return n


@njit
def keep(private: int, d: Any, ev: Any) -> Any:
    """Copy a private event to the record of the run (EVENT rows at an address); returns the copy."""
    slot = event_at(private + d.n_private * EVENT_BYTES)
    slot.receive_ns = ev.receive_ns
    slot.exchange_ns = ev.exchange_ns
    slot.seq = ev.seq
    slot.price = ev.price
    slot.qty = ev.qty
    slot.order_id = ev.order_id
    slot.count = ev.count
    slot.leg = ev.leg
    slot.kind = ev.kind
    slot.side = ev.side
    slot.flag_bits = ev.flag_bits
    d.n_private += 1
    return slot


@njit
def timer_event(s: Any, private: int, d: Any) -> Any:
    """The next timer of the state as an event at its deadline."""
    t = s.blotter.timers[s.blotter.timer_next]
    slot = event_at(private + d.n_private * EVENT_BYTES)
    slot.receive_ns = max(t.at_ns, s.now_ns)
    slot.exchange_ns = t.at_ns
    slot.seq = s.n_events  # not of the driver: a recording must not depend on how it was chunked
    slot.owner = t.owner
    slot.key = t.key
    slot.value = t.at_ns
    slot.version = t.ref
    slot.leg = -1
    slot.kind = TIMER
    slot.side = 0
    slot.flag_bits = 0
    d.n_private += 1
    return slot


@njit
def next_own(s: Any, x: Any, d: Any, streams: Any, due: Any) -> Any:
    """The private event whose turn it is, recorded: an answer before a timer before a word from outside."""
    ext, private = streams
    answer, timer = due
    if answer:
        ev = keep(private, d, exchange.ring_head(x))
        exchange.ring_pop(x)
        return ev
    if timer:
        return timer_event(s, private, d)
    d.ext_cursor += 1
    return keep(private, d, event_at(ext + (d.ext_cursor - 1) * EVENT_BYTES))


@njit(apart=True)
def run_stream(s: Any, d: Any, rows: int, span: Any, until: int, entries: int) -> int:
    """Fold a run of rows of one stream, before anything else can happen; returns the row after the last.

    `rows` is the address of the stream, span = (first row, row to stop at), `until` the time to stop before. It ends
    early after an event that left rows, moved a timer or raised (`d.fault`).
    """
    at, last = span
    sink = sink_of(s)
    before = sink.n_rows
    timer = s.blotter.timer_next_ns
    off = leg_of(s, event_at(rows + at * EVENT_BYTES).leg).book_off
    b = book.book_at(address_of(s) + off)
    wide = off != 0 and book_loop.is_wide(b)
    while at < last:
        ev = event_at(rows + at * EVENT_BYTES)
        if ev.receive_ns >= until:
            break
        at += 1
        if wide and at + AHEAD < last:
            book_loop.fetch_level(b, event_at(rows + (at + AHEAD) * EVENT_BYTES))
        if off != 0 and ev.kind == BOOK:  # as `fold` does, without the call
            s.n_events += 1
            book_loop.book_row_inline(b, ev)
            if ev.flag_bits & LAST == 0:
                continue
            d.fault = fold_touch(s, ev, entries)
        else:
            d.fault = fold(s, ev, entries)
        if sink.n_rows != before or s.blotter.timer_next_ns != timer or d.fault != 0:
            break
    d.event_address = rows + (at - 1) * EVENT_BYTES
    d.last_ns = event_at(d.event_address).receive_ns
    return at


@njit
def simulate(s: Any, x: Any, d: Any, merged: Any, streams: Any, entries: Any, n_max: int) -> int:
    """Fold up to `n_max` events; returns why it stopped.

    Parameters: STATE, exchange head and DRIVE records; merged = (tapes, cursor, keys, tree): int64 (n_legs, 4) as
    `ex_advance` takes them, int64 (n_legs,) twice, int64; streams = (ext, private) EVENT arrays; entries int64
    (n_strategies,).
    """
    tapes, cursor, keys, tree = merged
    ext, private = streams[0].ctypes.data, streams[1].ctypes.data
    n_ext, room = len(streams[0]), len(streams[1]) - 4
    sink = sink_of(s)
    many = len(keys) > merge.SCAN_UP_TO
    w, second = leaders(keys, tree)
    n = 0
    while n < n_max:
        if sink.n_rows > sink.capacity - ROWS_AN_EVENT or d.n_private >= room:
            return SINK_FULL
        if s.blotter.n_fit_requests != d.fit_requests and d.fit_requests >= 0:
            return FIT_DUE
        t_market = keys[w]
        t_ring = exchange.ring_head_ns(x)
        t_timer = max(s.blotter.timer_next_ns, s.now_ns)
        t_ext = event_at(ext + d.ext_cursor * EVENT_BYTES).receive_ns if d.ext_cursor < n_ext else merge.INF
        t = min(min(t_market, t_ring), min(t_timer, t_ext))
        if x.next_due_ns <= t and x.next_due_ns <= d.end_ns:
            exchange.ex_advance(x, tapes, min(exchange.horizon_ns(x), d.end_ns))
            continue
        if t > d.end_ns or t == merge.INF:
            return DONE
        if t >= d.pause_ns:
            return FIT_DUE
        before = sink.n_rows
        if t_market == t:  # at equal times the market goes first
            until = min(min(t_ring, min(t_timer, t_ext)), min(x.next_due_ns, min(d.pause_ns, d.end_ns)))
            if second >= 0:
                until = min(until, keys[second])
            first = cursor[w]
            span = (first, min(tapes[w, 1], first + n_max - n))
            at = run_stream(s, d, tapes[w, 0], span, max(until, t + 1), entries)
            n += at - first
            d.n_market += at - first
            cursor[w] = at
            keys[w] = head_ns(tapes, cursor, w)
            if many:
                merge.tree_update(keys, tree, w)
            if second >= 0:
                w, second = leaders(keys, tree)
        else:
            ev = next_own(s, x, d, (ext, private), (t_ring == t, t_timer == t))
            d.event_address = address_of(ev)
            d.fault = fold_other(s, ev, entries)
            d.last_ns = t
            n += 1
        if sink.n_rows != before:
            d.n_commands += forward(s, x, before)
        if d.fault != 0:
            return GUARD
    return CHUNK
