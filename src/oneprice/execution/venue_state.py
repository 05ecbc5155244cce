"""The exchange half's arena: records, where they lie, and how an answer leaves.

EXHEAD, then EXLEG[n_legs], the answers on their way (a pool of EVENTs and its order), the last executions,
what is known of each client id, latency tables, books. Like the local half's arena it holds offsets, never
addresses.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from oneprice.core.address import address_of, i64_at, record_at, words_at
from oneprice.core.arena import EVENT_BYTES, event_at
from oneprice.core.jit import njit
from oneprice.core.records import FILL, LEG, NO_PRICE, record
from oneprice.execution.depletion import DEPLETED, N_DEPLETED
from oneprice.execution.latency import TABLE_WORDS, interpolate
from oneprice.market.book import book_at, book_level, book_next

MAGIC = 0x6F6E6570_00000002
INF = np.iinfo(np.int64).max
MAKER = 1 << 16  # bit of flag_bits of a FILL: the fill was passive
N_RESTING, N_COMMANDS, N_RING, N_EXECUTIONS, N_KNOWN = 64, 128, 4096, 16384, 8192

# why the venue said no (`reason` of REJECT, CANCELED, CANCEL_REJECT)
VENUE_REASONS = (
    "none", "post_only", "size", "notional", "leg_closed", "pool_full", "duplicate", "unknown_order",
    "filled", "ioc_remainder", "expired", "busy", "by_client", "bad_price",
)  # fmt: skip
(
    X_NONE, X_POST_ONLY, X_SIZE, X_NOTIONAL, X_CLOSED, X_POOL, X_DUPLICATE, X_UNKNOWN, X_FILLED,
    X_IOC, X_EXPIRED, X_BUSY, X_CLIENT, X_PRICE,
) = range(len(VENUE_REASONS))  # fmt: skip

# state of a client id at the venue
V_WORKING, V_FILLED, V_CANCELED, V_REJECTED = 1, 2, 3, 4
VENUE_STATES = {V_WORKING: "working", V_FILLED: "filled", V_CANCELED: "canceled", V_REJECTED: "rejected"}

EXORDER = record(
    [
        ("client_id", "i8"),
        ("price", "i8"),
        ("lots", "i8"),  # total
        ("filled", "i8"),
        ("tif", "i8"),
        ("arrived_ns", "i8"),
        ("level_lots", "i8"),  # what the level showed when last looked at
        ("traded_lots", "i8"),  # traded at our price since then
        ("ahead", "f8"),  # market lots before us; -1: the level was not seen yet
        ("behind_stamp", "i8"),  # tapes that name orders: stamp of the first to join behind us; see queue.py
        ("side", "i8"),
        ("used", "i8"),  # 1: this slot holds an order
    ]
)
EXCOMMAND = record(
    [
        ("arrive_ns", "i8"),
        ("client_id", "i8"),
        ("price", "i8"),
        ("qty", "i8"),
        ("tif", "i8"),
        ("side", "i4"),
        ("action", "i4"),
    ]
)
KNOWN = record(
    [
        ("client_id", "i8"),
        ("price", "i8"),
        ("lots", "i8"),
        ("filled", "i8"),
        ("leg", "i4"),
        ("side", "i1"),
        ("state", "u1"),
        ("reason", "u2"),
    ]
)
EXECUTION = record(
    [
        ("exec_id", "i8"),
        ("client_id", "i8"),
        ("venue_ns", "i8"),
        ("price", "i8"),
        ("lots", "i8"),
        ("fee", "i8"),
        ("tax", "i8"),
        ("leg", "i4"),
        ("side", "i2"),
        ("maker", "i2"),
    ]
)
EXLEG = record(
    [
        ("leg", LEG),  # static words, and the touch as the venue has it now
        ("book_off", "i8"),  # from EXHEAD; 0: top of book only
        ("table_off", "i8"),  # latency table, from EXHEAD
        ("n_table", "i8"),
        ("entry_ns", "i8"),
        ("response_ns", "i8"),
        ("cancel_entry_ns", "i8"),
        ("cancel_response_ns", "i8"),
        ("least_response_ns", "i8"),
        ("queue_model", "i8"),
        ("power", "f8"),
        ("half_life_ns", "f8"),  # 0: consumed depth never refills in place
        ("deplete", "i8"),
        ("cross_fills", "i8"),
        ("bound_by_displayed", "i8"),
        ("slippage_bp", "f8"),
        ("participation", "f8"),
        # progress
        ("cursor", "i8"),
        ("started", "i8"),
        ("bars", "i8"),  # a leg of BAR rows
        ("row_ns", "i8"),  # exchange time (corrected) of the next row; INF: no more
        ("last_arrive_ns", "i8"),
        ("last_answer_ns", "i8"),
        ("resync", "i8"),  # between a CLEAR and its LAST the shown sizes mean nothing
        ("active", "i8"),
        ("n_resting", "i8"),
        ("watched", "i8"),  # bit (price mod 64) of each resting order: rows at other prices move no queue of ours
        ("taken", "i8"),  # bit (price mod 64) of each depleted level
        ("clear_to", "i8"),  # no row before this one meets our orders
        ("look", "i8"),  # since the last complete batch the touch moved or a depleted level changed
        ("top_buy", "i8"),  # best resting prices of ours, NO_PRICE and INF without any
        ("low_sell", "i8"),
        ("cmd_head", "i8"),
        ("n_commands", "i8"),
        ("n_depleted", "i8"),
        ("depletion_lost", "i8"),
        ("n_answers", "i8"),
        ("n_executions", "i8"),
        # the venue's ledger, ledger units
        ("net_lots", "i8"),
        ("bought_lots", "i8"),
        ("sold_lots", "i8"),
        ("fees", "i8"),
        ("taxes", "i8"),
        ("rank", "i4", (N_RESTING,)),  # slots of `orders` in price-time priority (a side's own order kept)
        ("orders", EXORDER, (N_RESTING,)),
        ("commands", EXCOMMAND, (N_COMMANDS,)),
        ("depleted", DEPLETED, (N_DEPLETED,)),
    ]
)
EXHEAD = record(
    [
        ("magic", "i8"),
        ("n_legs", "i8"),
        ("next_due_ns", "i8"),  # no answer can reach us before this
        ("n_ring", "i8"),
        ("ring_first", "i8"),
        ("n_free", "i8"),
        ("lost", "i8"),  # answers lost because the ring was full: a fault for the driver
        ("n_executions", "i8"),
        ("n_active", "i8"),
        ("legs_off", "i8"),
        ("active_off", "i8"),  # int64[n_legs]: the active legs
        ("pool_off", "i8"),  # EVENT[N_RING]
        ("order_off", "i8"),  # int64[2 N_RING]: sorted slots (a ring), then free slots (a stack)
        ("executions_off", "i8"),  # EXECUTION[N_EXECUTIONS], a ring
        ("known_off", "i8"),  # KNOWN[N_KNOWN], by the low bits of the client id
        ("least_entry_ns", "i8"),  # no command sent from now on arrives sooner than this
    ]
)
exchange_at = record_at(EXHEAD)


_exleg_at, _known_at = record_at(EXLEG), record_at(KNOWN)
_KNOWN_BYTES = KNOWN.itemsize
_EXLEG_BYTES = EXLEG.itemsize


@njit
def exleg_of(x: Any, i: int) -> Any:
    """EXLEG i: the record itself."""
    return _exleg_at(address_of(x) + x.legs_off + i * _EXLEG_BYTES)


@njit
def known_of(x: Any, client_id: int) -> Any:
    """The KNOWN record where a client id belongs (it may hold another, older id)."""
    return _known_at(address_of(x) + x.known_off + (client_id & (N_KNOWN - 1)) * _KNOWN_BYTES)


@njit
def shown_lots(x: Any, e: Any, side: int, ticks: int) -> int:
    """What the market shows at a price of a side."""
    if e.book_off != 0:
        return book_level(book_at(address_of(x) + e.book_off), side, ticks)
    if side > 0:
        return e.leg.bid_lots if ticks == e.leg.bid_ticks else 0
    return e.leg.ask_lots if ticks == e.leg.ask_ticks else 0


@njit
def next_shown(x: Any, e: Any, side: int, ticks: int) -> int:
    """The next worse level of a side (NO_PRICE starts at the touch)."""
    if e.book_off != 0:
        return book_next(book_at(address_of(x) + e.book_off), side, ticks)
    if ticks != NO_PRICE:
        return NO_PRICE
    return e.leg.bid_ticks if side > 0 else e.leg.ask_ticks


@njit
def entry_latency(x: Any, e: Any, cancel: bool, at_ns: int) -> int:
    """Decision to venue, ns."""
    if cancel and e.cancel_entry_ns >= 0:
        return e.cancel_entry_ns
    if e.n_table > 0:
        return interpolate(_table(x, e), 1, at_ns)
    return e.entry_ns


@njit
def response_latency(x: Any, e: Any, cancel: bool, at_ns: int) -> int:
    """Venue to us, ns."""
    if cancel and e.cancel_response_ns >= 0:
        return e.cancel_response_ns
    if e.n_table > 0:
        return interpolate(_table(x, e), 2, at_ns)
    return e.response_ns


@njit
def _table(x: Any, e: Any) -> Any:
    return i64_at(address_of(x) + e.table_off, TABLE_WORDS * e.n_table).reshape((e.n_table, TABLE_WORDS))


@njit
def mix64(word: int) -> int:
    """A bijection of 64-bit words (the finaliser of splitmix64): unique ids that look like a venue's."""
    z = np.uint64(word) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64(z ^ (z >> np.uint64(31)))  # type: ignore[return-value]


@njit
def answer(x: Any, i: int, kind: int, client_id: int, at_ns: int, cancel: bool) -> Any:
    """A new answer of leg i made at venue time `at_ns`, in its place among those on their way.

    Sorted by (receive time, leg, order of making). The caller fills in side, price, qty and reason or fee.
    """
    e = exleg_of(x, i)
    receive = max(at_ns + response_latency(x, e, cancel, at_ns), e.last_answer_ns)
    e.last_answer_ns = receive
    e.n_answers += 1
    pool = address_of(x) + x.pool_off
    order = words_at(address_of(x) + x.order_off)
    if x.n_free == 0:
        x.lost += 1
        return event_at(pool + order[(x.ring_first + x.n_ring - 1) & (N_RING - 1)] * EVENT_BYTES)
    x.n_free -= 1
    slot = order[N_RING + x.n_free]
    k = x.n_ring
    while k > 0:
        before = order[(x.ring_first + k - 1) & (N_RING - 1)]
        b = event_at(pool + before * EVENT_BYTES)
        if b.receive_ns < receive or (b.receive_ns == receive and b.leg <= i):
            break
        order[(x.ring_first + k) & (N_RING - 1)] = before
        k -= 1
    order[(x.ring_first + k) & (N_RING - 1)] = slot
    x.n_ring += 1
    ev = event_at(pool + slot * EVENT_BYTES)
    ev.receive_ns = receive
    ev.exchange_ns = at_ns - e.leg.clock_offset_ns
    ev.seq = mix64((i << 48) + e.n_executions) if kind == FILL else e.n_answers
    ev.price = 0
    ev.qty = 0
    ev.client_id = client_id
    ev.reason = 0
    ev.leg = i
    ev.kind = kind
    ev.side = 0
    ev.flag_bits = 0
    return ev


@njit
def ring_head_ns(x: Any) -> int:
    """Receive time of the next answer, INF when none is on its way."""
    return INF if x.n_ring == 0 else ring_head(x).receive_ns


@njit
def ring_head(x: Any) -> Any:
    """The next answer (an EVENT, valid until the next call that sends, advances or pops)."""
    slot = words_at(address_of(x) + x.order_off)[x.ring_first]
    return event_at(address_of(x) + x.pool_off + slot * EVENT_BYTES)


@njit
def ring_pop(x: Any) -> None:
    """Take the next answer off the ring."""
    order = words_at(address_of(x) + x.order_off)
    order[N_RING + x.n_free] = order[x.ring_first]
    x.n_free += 1
    x.ring_first = (x.ring_first + 1) & (N_RING - 1)
    x.n_ring -= 1
