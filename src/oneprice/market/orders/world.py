"""A seeded market of single orders: arrivals, cancels and trades whose queues behave like queues.

A zero-intelligence book (R. Cont, S. Stoikov, R. Talreja, "A stochastic model for order book dynamics", Operations
Research 58(3), 2010, doi 10.1287/opre.1090.0780): limit orders arrive at a distance from the opposite touch, each
resting order is cancelled or shrunk at a rate of its own, market orders take the front of the best queue. Depth
returns to `orders_a_side` because each order has the same chance to leave. Ids count up from 1.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.instruments import Fees, Instrument
from oneprice.core.jit import njit
from oneprice.core.records import BOOK, CLEAR, EVENT, LAST, SNAPSHOT, TRADE
from oneprice.market.header import Header
from oneprice.market.importers.orders import Recorded, tape_of
from oneprice.market.orders.feed import feed
from oneprice.market.orders.queues import best_level
from oneprice.market.orders.records import ADD, CANCEL, EXECUTE, MESSAGE, MODIFY, REDUCE
from oneprice.market.orders.table import find, new_orders
from oneprice.market.tape import Tape, join_events, make_tape

MIDDLE = 10_000  # ticks
LEAVING = 0.35  # share of messages that end an order when there are 2 x orders_a_side of them
START_NS = 1_700_000_000_000_000_000


class OrderWorld(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of a world; shares are of all messages, sizes in lots, distances in ticks."""

    n_messages: int = 20_000
    seed: int = 0
    orders_a_side: int = 100
    trades: float = 0.08  # share of market orders
    shrinks: float = 0.05  # share of orders that shrink or are moved
    depth: float = 4.0  # mean distance of a new order beyond the opposite touch
    lots: int = 10  # sizes are 1 to this
    gap_ms: float = 20.0  # mean time between messages


def order_messages(world: OrderWorld) -> np.ndarray:
    """MESSAGE[n] of a world, the first 2 x orders_a_side a snapshot; deterministic in the seed."""
    _check(world)
    rng = np.random.default_rng(world.seed)
    n_first = 2 * world.orders_a_side
    n = world.n_messages + n_first
    draws = rng.random((n, 5))
    out = np.zeros(n, MESSAGE)
    gaps = rng.exponential(world.gap_ms * 1e6, n)
    gaps[:n_first] = 0.0
    out["receive_ns"] = out["exchange_ns"] = START_NS + np.cumsum(np.maximum(gaps, 1.0)).astype(np.int64)
    out["receive_ns"][:n_first] = out["exchange_ns"][:n_first] = START_NS
    out["line"] = np.arange(1, n + 1)
    out["flag_bits"] = LAST
    orders = new_orders(8 * world.orders_a_side)  # the cancel rate keeps the book below 5 x orders_a_side
    chances = np.array([world.trades, world.shrinks, world.depth, world.lots, world.orders_a_side], np.float64)
    live = np.zeros((2, n + 2), np.int64)  # ids that rest, and where each id stands among them
    scratch = (
        np.zeros(16 * world.orders_a_side + 64, EVENT),
        np.zeros(3, np.int64),
        np.zeros((0, 2, 0, 2), np.int64),
        np.zeros(3, np.int64),
    )
    made = _make(out, draws, chances, orders.t, live, scratch, n_first)
    out["flag_bits"][:n_first] |= SNAPSHOT
    out["flag_bits"][0] |= CLEAR
    out["flag_bits"][: n_first - 1] &= ~np.uint16(LAST)
    return out[:made]


def order_tape(world: OrderWorld, *, fees: Fees | None = None, symbol: str = "sim:ORDERS") -> Tape:
    """A world as a tape that names its orders: tick 0.01, lot 1."""
    instrument = Instrument(
        symbol=symbol, underlying="ORDERS", quote="USD", tick="0.01", lot="1", fees=fees, book_log2=12
    )
    recorded = Recorded(order_messages(world), f"world {world.seed}", 2 * world.orders_a_side)
    return tape_of(recorded, instrument, header=_header(world))


def without_names(tape: Tape) -> Tape:
    """The same market as a depth tape: rows without orders and stamps, for what order-by-order data add."""
    rows = join_events([tape.events])
    rows["order_id"][rows["kind"] == BOOK] = 0
    rows["count"][rows["kind"] == BOOK] = 0
    rows["maker_id"][rows["kind"] == TRADE] = 0
    header = msgspec.structs.replace(tape.header, depth="")
    return make_tape(
        tape.instrument,
        rows,
        header=header,
        clock_offset_ns=tape.clock_offset_ns,
        clock_bound_ns=tape.clock_bound_ns,
    )


@njit
def _make(out: Any, draws: Any, chances: Any, t: Any, live: Any, scratch: Any, n_first: int) -> int:
    """Fill the messages; every one is applied to the table, so each is about what rests then."""
    next_id, n_live, k, n = 1, 0, 0, len(out)
    while k < n:
        u = draws[k]
        m = out[k]
        target = chances[4]
        n_orders = t[0][0].n_orders
        if k < n_first or n_orders < target or u[0] > chances[0] + chances[1] + LEAVING * n_orders / (2.0 * target):
            side = 1 if u[1] < 0.5 else -1
            _new_order(m, u, chances, t, next_id, side, k, n_first)
            live[0, n_live] = next_id
            live[1, next_id] = n_live
            n_live += 1
            next_id += 1
            _apply(t, out, k, scratch)
            k += 1
        elif u[0] < chances[0] and min(t[0][0].n_bids, t[0][0].n_asks) > 1:
            k, n_live = _market_order(out, u, chances, t, live, scratch, k, n_live)
        else:
            order_id = live[0, int(u[1] * n_live)]
            o = t[1][find(t, order_id)]
            m.order_id = order_id
            m.side = o.side
            m.price = o.price
            if u[0] < chances[0] + chances[1] and o.lots > 1:
                m.qty = 1 + int(u[2] * (o.lots - 1))
                m.kind = REDUCE if u[3] < 0.5 else MODIFY
                if u[3] > 0.8:
                    m.qty += o.lots  # grows: loses its place
            else:
                m.kind = CANCEL
                m.qty = o.lots
                n_live = _leave(live, order_id, n_live)
            _apply(t, out, k, scratch)
            k += 1
    return k


@njit
def _new_order(m: Any, u: Any, chances: Any, t: Any, order_id: int, side: int, k: int, n_first: int) -> None:
    """A limit order beyond the opposite touch; the first ones fill both sides around the middle."""
    m.kind = ADD
    m.order_id = order_id
    m.side = side
    m.qty = 1 + int(u[2] * chances[3])
    away = 1 + int(-np.log(1.0 - u[3]) * chances[2])
    if k < n_first:
        m.price = MIDDLE - side * away
        return
    against = best_level(t, -side)
    m.price = t[3][against].price - side * away if against >= 0 else MIDDLE - side * away


@njit
def _market_order(
    out: Any, u: Any, chances: Any, t: Any, live: Any, scratch: Any, k: int, n_live: int
) -> tuple[int, int]:
    """A taker of some lots: one message an order it meets, one batch; the last level of a side is not emptied."""
    side = 1 if u[1] < 0.5 else -1
    lots = 1 + int(u[2] * chances[3])
    stamp = out[k].receive_ns
    while lots > 0 and k < len(out):
        at = best_level(t, -side)
        level = t[3][at]
        o = t[1][level.first_slot]
        if level.n_orders == 1 and o.lots <= lots and (t[0][0].n_asks if side > 0 else t[0][0].n_bids) == 1:
            break
        m = out[k]
        m.receive_ns = stamp
        m.exchange_ns = stamp
        m.kind = EXECUTE
        m.order_id = o.order_id
        m.side = -side
        m.price = o.price
        m.qty = min(lots, o.lots)
        m.other = k + 1
        m.flag_bits = 0
        lots -= m.qty
        if m.qty == o.lots:
            n_live = _leave(live, o.order_id, n_live)
        _apply(t, out, k, scratch)
        k += 1
    out[k - 1].flag_bits = LAST
    return k, n_live


@njit
def _leave(live: Any, order_id: int, n_live: int) -> int:
    """An id rests no longer."""
    at = live[1, order_id]
    last = live[0, n_live - 1]
    live[0, at] = last
    live[1, last] = at
    return n_live - 1


@njit
def _apply(t: Any, out: Any, k: int, scratch: Any) -> None:
    """One message to the table; its rows are of no interest here."""
    rows, cursor, shown, seen = scratch
    cursor[:] = 0
    feed(t, out[k : k + 1], 0, rows, cursor, shown, seen)


def _check(world: OrderWorld) -> None:
    """Refuse parameters that make no market."""
    for name, value, good, wanted in (
        ("n_messages", world.n_messages, world.n_messages >= 1, "1 or more"),
        ("orders_a_side", world.orders_a_side, world.orders_a_side >= 10, "10 or more"),
        ("lots", world.lots, world.lots >= 1, "1 or more"),
        ("trades", world.trades, 0.0 <= world.trades <= 0.3, "0 to 0.3"),
        ("shrinks", world.shrinks, 0.0 <= world.shrinks <= 0.3, "0 to 0.3"),
        ("depth", world.depth, 0.1 <= world.depth <= 1000.0, "0.1 to 1000 ticks"),
        ("gap_ms", world.gap_ms, 0.0 < world.gap_ms < 1e9, "more than 0"),
    ):
        if not good:
            raise ConfigError(f"world of orders: {name}: expected {wanted}, got {value}")


def _header(world: OrderWorld) -> Header:
    return Header(
        source=f"zero-intelligence world of single orders, seed {world.seed}",
        licence="made by this program",
        period="none",
        side="both",
        simultaneity="one venue, one clock",
        survivorship="none: simulated",
        tries=0,
        claim=False,
        claim_why="simulated: nobody in it answers to us",
        depth="orders",
    )
