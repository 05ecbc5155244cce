"""The records everything else is made of: events in, rows out, legs and their float views.

All are aligned, 8-byte natural and asserted in size. Payload words have one name a kind, laid over each other
(`price` of a BOOK, `bid` of a TOP and `rate_e12` of a FUNDING are the same eight bytes).
No field may be an attribute of `np.record` (`size`, `flags`, `mean`...): uncompiled runs would read the method.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError

# ---------------------------------------------------------------- event kinds
# One nanosecond: rows of tapes first (by leg, then as they lie), then own answers, timers, models, the operator.
BOOK, TOP, TRADE, BAR, FUNDING, STATUS, EXPIRY, BORROW, DIVIDEND = 1, 2, 3, 4, 5, 6, 7, 8, 9
ACK, FILL, REJECT, CANCELED, CANCEL_REJECT, LINK = 10, 11, 12, 13, 14, 15
TIMER, MODEL, OPERATOR = 20, 21, 22

# flag_bits of an event
LAST = 1  # ends an atomic batch: the crossed check and strategies run only then
SNAPSHOT = 2  # part of a snapshot
CLEAR = 4  # the book of this leg is emptied before this row is applied
GAP = 8  # updates are missing before this row
CROSSED = 16  # the venue's own book was crossed or locked after this batch
ESTIMATED = 32  # exchange_ns was missing and is estimated inside its sequence bounds
BACKWARD = 64  # exchange_ns is earlier than that of the row before
AMBIGUOUS = 128  # LINK: the outcome of orders in flight is unknown until the venue says
FINAL = 256  # FILL: nothing of the order is left working
MAKER = 1 << 16  # FILL: our order was resting

BUY, SELL = 1, -1

_EVENT_FIELDS = [
    ("receive_ns", "i8", 0),
    ("exchange_ns", "i8", 8),
    ("seq", "i8", 16),
    # BOOK, TRADE, FILL: price and quantity; qty of a BOOK row is the new total at that price
    ("price", "i8", 24),
    ("qty", "i8", 32),
    ("order_id", "i8", 40),
    ("count", "i8", 48),
    # TOP
    ("bid", "i8", 24),
    ("bid_qty", "i8", 32),
    ("ask", "i8", 40),
    ("ask_qty", "i8", 48),
    # TRADE
    ("trade_id", "i8", 40),
    ("maker_id", "i8", 48),
    # BAR: close, volume, then open/high/low as offsets from close in ticks
    ("close", "i8", 24),
    ("volume", "i8", 32),
    ("open_off", "i4", 40),
    ("high_off", "i4", 44),
    ("low_off", "i4", 48),
    ("bar_count", "i4", 52),
    # ACK, FILL, REJECT, CANCELED, CANCEL_REJECT, LINK: the order, the fee in ledger units (a cost is > 0), a reason
    ("client_id", "i8", 40),
    ("fee", "i8", 48),
    ("reason", "i8", 48),
    # FUNDING, BORROW: rate of the notional for the interval, and the price it is taken at (NO_PRICE or 0: the mid)
    ("rate_e12", "i8", 24),
    ("mark", "i8", 32),
    ("interval_ns", "i8", 40),
    ("next_ns", "i8", 48),
    # DIVIDEND: ticks a unit of underlying x 1e12, paid to who is long, charged to who is short
    ("ticks_e12", "i8", 24),
    # TIMER, MODEL, OPERATOR, STATUS
    ("owner", "i8", 24),
    ("key", "i8", 32),
    ("value", "i8", 40),
    ("version", "i8", 48),
    ("leg", "i2", 56),
    ("kind", "u1", 58),
    ("side", "i1", 59),
    ("flag_bits", "u4", 60),
]


def overlaid(fields: list[tuple[str, str, int]], itemsize: int) -> np.dtype:
    """A record dtype whose words may have several names."""
    names, formats, offsets = zip(*fields, strict=True)
    check_names(names)
    spec: Any = {"names": list(names), "formats": list(formats), "offsets": list(offsets), "itemsize": itemsize}
    return np.dtype(spec, align=True)


def check_names(names: tuple[str, ...] | list[str]) -> None:
    """Refuse names that uncompiled code would read as attributes of `np.record`."""
    for name in names:
        if hasattr(np.record, name) or hasattr(np.recarray, name) or name.startswith("_") or not name.isidentifier():
            raise ConfigError(f"field name {name!r}: expected a name that np.record does not use, e.g. {name}_value")


def record(fields: list[tuple]) -> np.dtype:
    """An aligned record dtype with checked names."""
    check_names([f[0] for f in fields])
    return np.dtype(fields, align=True)


EVENT = overlaid(_EVENT_FIELDS, 64)
assert EVENT.itemsize == 64 and EVENT.isalignedstruct

# ---------------------------------------------------------------- rows out
COMMAND, REFUSED, PACKAGE_ROW, POSTING, SAMPLE, EQUITY, HALT_ROW, FILL_ROW, RESIDUAL_ROW = 1, 2, 3, 4, 5, 6, 7, 8, 9
REFIT = 10  # a strategy asks for a fit of its model: a = key, b = how many it has asked for so far
NEW, CANCEL, AMEND = 1, 2, 3  # code of a COMMAND

_ROW_FIELDS = [
    ("time_ns", "i8", 0),
    ("client_id", "i8", 8),  # COMMAND, REFUSED, FILL_ROW
    ("package", "i8", 8),  # PACKAGE_ROW, RESIDUAL_ROW
    ("ref", "i8", 8),  # POSTING, SAMPLE, EQUITY, HALT_ROW
    # COMMAND / REFUSED / FILL_ROW
    ("price", "i8", 16),
    ("qty", "i8", 24),
    ("owner", "i8", 32),  # package number + 1, or 0
    ("tif", "i8", 40),  # COMMAND: TIF bits · REFUSED: the value observed
    ("limit", "i8", 48),  # REFUSED: the limit it broke · COMMAND: the intent key
    # POSTING: double entry, amount > 0 moves from credit to debit
    ("amount", "i8", 16),
    ("debit", "i8", 24),
    ("credit", "i8", 32),
    # generic words for PACKAGE_ROW, SAMPLE, EQUITY, RESIDUAL_ROW, HALT_ROW
    ("a", "i8", 16),
    ("b", "i8", 24),
    ("c", "i8", 32),
    ("d", "i8", 40),
    ("e", "i8", 48),
    ("leg", "i2", 56),
    ("kind", "u1", 58),
    ("side", "i1", 59),
    ("strategy", "u1", 60),
    ("code", "u1", 61),
    ("aux", "u2", 62),
]
ROW = overlaid(_ROW_FIELDS, 64)
assert ROW.itemsize == 64

# time in force and order flags (bits of ORDER.tif and COMMAND.tif)
GTC, IOC, POST_ONLY, REDUCE_ONLY = 0, 1, 2, 4

# trading status of a leg
OPEN, PAUSED, CLOSED_SESSION, EXPIRED, DEGRADED, NO_SHORT = 0, 1, 2, 3, 4, 5

# halt states of the whole engine
ACTIVE, REDUCING, HALTED = 0, 1, 2

# OPERATOR event keys
OP_STOP, OP_HALT, OP_REDUCE, OP_RESUME, OP_CANCEL_ALL, OP_FLATTEN = 1, 2, 3, 4, 5, 6
OP_EPOCH = 7  # a recovered session goes on: `value` is its epoch

LINEAR, INVERSE = 0, 1
NO_PRICE = np.iinfo(np.int64).min  # "no quote on this side"; strategies see NaN, never this

# ---------------------------------------------------------------- one leg of the engine, in integers
LEG = record(
    [
        # static
        ("tick", "f8"),  # quote currency per tick
        ("lot", "f8"),  # linear: underlying units a lot · inverse: quote currency a lot (contract value)
        ("money_num", "i8"),  # linear: ledger units per (half tick x lot) · inverse: ledger units x half ticks a lot
        ("maker_fee_e9", "i8"),
        ("taker_fee_e9", "i8"),
        ("buy_tax_e9", "i8"),
        ("sell_tax_e9", "i8"),
        ("fee_per_lot", "i8"),  # ledger units
        ("min_lots", "i8"),
        ("lot_step", "i8"),
        ("min_notional", "i8"),  # ledger units
        ("stale_ns", "i8"),
        ("clock_offset_ns", "i8"),  # exchange_ns + offset is on the local clock
        ("clock_bound_ns", "i8"),
        ("book_off", "i8"),  # from the arena's base; 0 = top of book only
        ("subs_off", "i8"),  # from the arena's base: n_subs pairs (strategy i8, slot i8)
        ("n_subs", "i8"),
        ("assumed_depth_lots", "i8"),  # for tapes without sizes; 0 = sizes are real
        # as the local half sees it now
        ("bid_ticks", "i8"),
        ("bid_lots", "i8"),
        ("ask_ticks", "i8"),
        ("ask_lots", "i8"),
        ("mid2_ticks", "i8"),  # doubled mid (bid + ask); last known while one side is missing
        ("last_ticks", "i8"),
        ("bought_lots", "i8"),  # by takers since the start, in all trades seen, also those inside a batch
        ("sold_lots", "i8"),
        ("quote_ns", "i8"),  # receive time of the last update of the touch or of a book row
        ("quote_exchange_ns", "i8"),
        ("seq", "i8"),
        ("position_lots", "i8"),  # filled, all strategies
        ("open_buy_lots", "i8"),  # working or in flight
        ("open_sell_lots", "i8"),
        ("n_updates", "i8"),
        ("settle_days", "i8"),  # 1: what is bought on a trading day cannot be sold before the next one
        ("day_start_ns", "i8"),  # of a trading day, after midnight UTC
        ("locked_lots", "i8"),  # bought on `locked_day` and held since
        ("locked_day", "i8"),
        ("venue", "i2"),
        ("currency", "i2"),  # settlement currency
        ("underlying", "i2"),
        ("contract", "u1"),
        ("trading", "u1"),
        ("mark_bits", "u4"),  # quality flags seen since the last LAST
        ("fx_currency", "i4"),  # this leg's mid is the rate of that currency to the report currency; -1 = none
    ]
)

# ---------------------------------------------------------------- what a strategy sees of one of its legs
VIEW = record(
    [
        ("bid", "f8"),  # NaN when the side is empty
        ("ask", "f8"),
        ("bid_qty", "f8"),  # underlying units
        ("ask_qty", "f8"),
        ("mid", "f8"),
        ("last", "f8"),
        ("position", "f8"),  # this strategy's own, underlying units
        ("budget", "f8"),  # underlying units this strategy may hold on this leg
        ("tick", "f8"),
        ("lot_qty", "f8"),  # underlying units a lot (inverse: at the mid)
        ("min_qty", "f8"),
        ("maker_fee_bp", "f8"),
        ("taker_fee_bp", "f8"),
        ("stale_ns", "i8"),
        ("quote_ns", "i8"),  # receive time of the last update
        ("venue_ns", "i8"),  # its exchange time, corrected to the local clock (+- clock_bound_ns)
        ("clock_bound_ns", "i8"),
        ("bid_ticks", "i8"),
        ("ask_ticks", "i8"),
        ("bid_lots", "i8"),
        ("ask_lots", "i8"),
        ("position_lots", "i8"),
        ("book_rel", "i8"),  # the leg's book, as an offset from this record; 0 = top of book only
        ("open_lots", "i8"),  # this strategy's signed working lots
        ("leg", "i4"),
        ("venue", "i4"),
        ("currency", "i4"),
        ("underlying", "i4"),
        ("contract", "i4"),
        ("trading", "i4"),
        ("degraded", "i8"),
        ("bought_qty", "f8"),  # by takers since the start: what a strategy takes differences of, whatever ends a batch
        ("sold_qty", "f8"),
        ("locked_lots", "i8"),  # of the leg, all strategies: bought today, not to be sold before tomorrow
    ]
)

# ---------------------------------------------------------------- causes of P&L (attribution, POSTING.code)
CAUSES = (
    "edge",  # q (mid at decision - touch at decision): what the touch pays or costs
    "slippage",  # q (touch at decision - fill price): latency and depth
    "adverse",  # q (mid at fill + horizon - mid at decision)
    "inventory",  # q (mark - mid at fill + horizon)
    "fee",
    "tax",
    "funding",
    "borrow",
    "fx",
    "transfer",
    "rounding",
    "dividend",
)
EDGE, SLIPPAGE, ADVERSE, INVENTORY, FEE, TAX, FUNDING_CAUSE, BORROW_CAUSE, FX, TRANSFER, ROUNDING = range(11)
DIVIDEND_CAUSE = 11

# ---------------------------------------------------------------- why the gate refused (REFUSED.code)
REASONS = (
    "approved",
    "quantity",
    "notional",
    "position",
    "gross",
    "net",
    "venue",
    "residual",
    "order_rate",
    "message_cap",
    "price_band",
    "stale_quote",
    "self_trade",
    "halted",
    "reducing",
    "pool_full",
    "leg_closed",
    "min_size",
    "budget",
    "bad_intent",
    "short_ban",
    "ambiguous",
    "no_quote",
    "unsettled",
)
(
    R_OK,
    R_QUANTITY,
    R_NOTIONAL,
    R_POSITION,
    R_GROSS,
    R_NET,
    R_VENUE,
    R_RESIDUAL,
    R_ORDER_RATE,
    R_MESSAGE_CAP,
    R_PRICE_BAND,
    R_STALE_QUOTE,
    R_SELF_TRADE,
    R_HALTED,
    R_REDUCING,
    R_POOL_FULL,
    R_LEG_CLOSED,
    R_MIN_SIZE,
    R_BUDGET,
    R_BAD_INTENT,
    R_SHORT_BAN,
    R_AMBIGUOUS,
    R_NO_QUOTE,
    R_UNSETTLED,
) = range(len(REASONS))

# ---------------------------------------------------------------- pool sizes, fixed when the engine is built
N_ORDERS, N_PACKAGES, N_PACKAGE_LEGS, N_ALGOS, N_TIMERS, N_INTENTS, N_STRATEGIES = 1024, 64, 8, 128, 256, 32, 16
