"""What the table of orders is made of: messages in, slots, levels, and what was wrong with a message."""

from __future__ import annotations

from oneprice.core.records import record

# what a source says of an order
ADD = 1  # joins the back of the queue at `price`
REDUCE = 2  # loses `qty` lots without a trade, keeps its place
CANCEL = 3  # leaves
MODIFY = 4  # now at `price` with `qty` lots left: keeps its place only if it shrinks where it stands
EXECUTE = 5  # `qty` of its lots traded: a TRADE and its level (NO_PRICE: at its own price)
REPLACE = 6  # leaves, and order `other` joins at `price` with `qty` lots
LEFT = 7  # `qty` lots are left and what it lost was executed; another price is a move (Bitstamp)
PRINT = 8  # a trade without a resting order in sight: a TRADE row with maker 0 (`side` of the taker, or 0)
FILLED = 9  # `qty` lots of a resting order traded; its level follows in a later message of the batch (Databento)
EMPTY = 10  # the book is emptied
LEVEL_IS = 11  # a level's total as the venue shows it: what we do not know of it becomes one order without a name
STATUS_IS = 12  # trading status `qty` (OPEN, PAUSED... of core.records)
KINDS = (
    "", "add", "reduce", "cancel", "modify", "execute", "replace", "left", "print", "filled", "empty", "level_is",
    "status_is",
)  # fmt: skip

MESSAGE = record(
    [
        ("receive_ns", "i8"),
        ("exchange_ns", "i8"),
        ("seq", "i8"),
        ("order_id", "i8"),  # > 0; the table makes ids < 0 for lots whose orders it was never told of
        ("price", "i8"),  # ticks; NO_PRICE: its own
        ("qty", "i8"),  # lots
        ("other", "i8"),  # REPLACE: the new order's id · EXECUTE, LEFT, PRINT, FILLED: trade id or 0
        ("line", "i4"),  # of the source
        ("kind", "u1"),
        ("side", "i1"),  # of the order; PRINT: of the taker
        ("flag_bits", "u2"),  # LAST, SNAPSHOT, CLEAR, GAP, ESTIMATED of core.records
    ]
)
assert MESSAGE.itemsize == 64

RESTING, HELD, GONE = 1, 2, 3  # state of a slot: in a queue, crossing and waiting, left before it came
SLOT = record(
    [
        ("order_id", "i8"),
        ("price", "i8"),
        ("lots", "i8"),
        ("stamp", "i8"),  # place in time of its last joining; 0: none yet
        ("arrived", "i8"),  # number of the message that brought it
        ("since_ns", "i8"),  # HELD: receive time of its last sign of life
        ("line", "i8"),
        ("next_slot", "i4"),  # behind it in its queue; free slots: the next free one
        ("prev_slot", "i4"),
        ("level", "i4"),
        ("side", "i2"),
        ("state", "i2"),
    ]
)
LEVEL = record(
    [
        ("price", "i8"),
        ("lots", "i8"),  # sum over its orders
        ("n_orders", "i8"),
        ("first_slot", "i4"),
        ("last_slot", "i4"),  # free levels: the next free one
    ]
)
# what may be wrong with a message; each is counted, the first MAX_INCIDENTS are listed
TROUBLES = (
    "unknown_orders",  # reduce, cancel, modify or execution of an id that is not in the book: no row
    "deletes_before_adds",  # an order that had left when it came: never enters
    "duplicate_adds",  # an id that is in the book already: the first stays
    "zero_quantities",  # an add or a trade of no lots: no row
    "over_executed",  # more lots than the order had: what it had is taken
    "held",  # crossed the book when it came: waits outside until it trades, leaves or the cross persists
    "ghosts",  # the older side of a cross that persisted: taken out
    "levels_learned",  # lots the venue shows that no message named
    "levels_over",  # more lots of named orders in a level than the venue shows: its names are given up
    "trades_without_maker",  # a trade whose resting order is not in the book
)
(
    T_UNKNOWN, T_EARLY, T_DUPLICATE, T_ZERO, T_OVER, T_HELD, T_GHOST, T_LEARNED, T_LEVEL_OVER, T_NO_MAKER,
) = range(len(TROUBLES))  # fmt: skip
MAX_INCIDENTS = 16_384
MAX_HELD = 256
MAX_GONE = 4_096

TABLE = record(
    [
        ("n_orders", "i8"),  # resting and held
        ("n_used", "i8"),  # slots in use: those and the gone
        ("free_slot", "i8"),  # -1: none
        ("free_level", "i8"),
        ("n_bids", "i8"),  # levels
        ("n_asks", "i8"),
        ("stamps", "i8"),  # last stamp given; they rise by 2
        ("messages", "i8"),
        ("hold_ns", "i8"),  # how long a cross may last before its older side is a ghost; < 0: crosses stand
        ("n_held", "i8"),
        ("n_gone", "i8"),
        ("gone_at", "i8"),
        ("n_incidents", "i8"),
        ("now_ns", "i8"),
        ("looked", "i8"),  # a shown book was held against this table before
        ("sight", "i8", (2,)),  # worst price in sight then, times side
        ("troubles", "i8", (len(TROUBLES),)),
        ("held_slots", "i4", (MAX_HELD,)),
        ("gone_slots", "i4", (MAX_GONE,)),
    ]
)
INCIDENT = record(
    [
        ("order_id", "i8"),
        ("price", "i8"),
        ("lots", "i8"),
        ("receive_ns", "i8"),
        ("line", "i8"),
        ("code", "i8"),  # index into TROUBLES
    ]
)
