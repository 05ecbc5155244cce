"""Tapes made by hand and one strategy of many tricks: what tests of the whole engine share."""

from __future__ import annotations

from typing import Any

import numpy as np

from oneprice.core.instruments import Fees, Instrument
from oneprice.core.records import (
    ACK,
    EVENT,
    EXPIRY,
    FUNDING,
    HALT_ROW,
    LAST,
    NO_PRICE,
    OPERATOR,
    ROW,
    STATUS,
    TIMER,
    TOP,
    record,
)
from oneprice.execution.intents import (
    cancel,
    package,
    package_begin,
    package_leg,
    quote,
    target,
    timer,
)
from oneprice.execution.latency import constant
from oneprice.execution.strategy import strategy
from oneprice.market.header import Header
from oneprice.market.tape import Tape, join_events, make_tape

START = 1_700_000_000_000_000_000
US, MS, S = 1_000, 1_000_000, 1_000_000_000
FEED_NS = MS  # every hand-made row is received this long after its exchange time
LATENCY = constant(100, 100)  # an answer is back 200 us after the decision
FEES = Fees(maker_bp=1, taker_bp=2)
HEADER = Header(
    source="made by hand",
    licence="Apache-2.0",
    period="none",
    side="both",
    simultaneity="as written",
    survivorship="not applicable",
    tries=1,
    claim=False,
    claim_why="rows of a test",
)
N_LOG = 64
MODEL_DTYPE = record([("level", "f8"), ("spread", "f8")])


def instrument(venue: str, **words: Any) -> Instrument:
    """`venue:XYZ-USD`, tick 0.1, lot 0.01, quotes good for a minute."""
    given: dict[str, Any] = dict(tick="0.1", lot="0.01", fees=FEES, stale_ns=60 * S)
    return Instrument(symbol=f"{venue}:XYZ-USD", underlying="XYZ", quote="USD", **{**given, **words})


def row(kind: int, at_ns: int, **words: int) -> np.ndarray:
    """One EVENT received `at_ns` after START."""
    one = np.zeros(1, EVENT)
    one["kind"], one["flag_bits"] = kind, LAST
    one["receive_ns"], one["exchange_ns"] = START + at_ns, START + at_ns - FEED_NS
    for name, value in words.items():
        one[name] = value
    return one


def top(at_ns: int, bid: int = 1_000, ask: int = 1_001, lots: int = 1_000) -> np.ndarray:
    return row(TOP, at_ns, bid=bid, ask=ask, bid_qty=lots, ask_qty=lots)


def funding(at_ns: int, rate_e12: int) -> np.ndarray:
    return row(FUNDING, at_ns, rate_e12=rate_e12, mark=NO_PRICE)


def status(at_ns: int, value: int) -> np.ndarray:
    return row(STATUS, at_ns, value=value)


def expiry(at_ns: int, price: int) -> np.ndarray:
    return row(EXPIRY, at_ns, price=price)


def operator(*words: tuple[int, int]) -> np.ndarray:
    """(time after START, OP_ key) pairs as OPERATOR events."""
    parts = [row(OPERATOR, at_ns, key=key, leg=-1) for at_ns, key in words]
    return join_events(parts)


def tape(venue: str, rows: list[np.ndarray], **words: Any) -> Tape:
    return make_tape(instrument(venue, **words), join_events(rows), header=HEADER)


def steady(
    venue: str, n: int = 100, step_ns: int = 10 * MS, bid: int = 1_000, ask: int = 1_001, **words: Any
) -> Tape:
    """`n` equal quotes."""
    return tape(venue, [top(i * step_ns, bid, ask) for i in range(n)], **words)


def of_kind(rows: np.ndarray, kind: int) -> np.ndarray:
    return rows[rows["kind"] == kind]


def halts(rows: np.ndarray) -> list[tuple[int, int, int]]:
    """(code, state before, state after) of each HALT_ROW."""
    return [(int(r["code"]), int(r["a"]), int(r["b"])) for r in of_kind(rows, HALT_ROW)]


def joined_rows(parts: list[np.ndarray]) -> np.ndarray:
    raw = [np.ascontiguousarray(p).view(np.uint8) for p in parts]
    return np.concatenate(raw).view(ROW) if raw else np.zeros(0, ROW)


# ---------------------------------------------------------------- one strategy, many tricks: one compile
(
    QUIET,
    RAISES,
    WILD_LEG,
    WRITES_P,
    WRITES_EVENT,
    FLOODS_LIST,
    FLOODS_KEYS,
    WILD_INTENT,
    WILD_MEMORY,
    PACKAGE_ONCE,
    QUOTES,
    TARGETS,
    TIMERS,
    FOLLOWS_MODEL,
    TIES,
    QUOTES_ALWAYS,
    RAISES_ON_ACK,
    CANCELS,
    WRITES_LEG,
) = range(19)


@strategy(
    trick=0,
    at=5,  # the call at which it happens
    qty=0.05,
    leg=0,
    price=0.0,
    other=1,
    memory={"n": "i8", "log": ("i8", (N_LOG,)), "log_ns": ("i8", (N_LOG,)), "model": MODEL_DTYPE},
)
def tricky(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """Counts its calls; at call `at` plays one trick."""
    if m.n < 64:
        m.log[m.n] = int(event.kind) * 100 + int(event.leg)
        m.log_ns[m.n] = event.receive_ns
    m.n += 1
    if p.trick == 13:
        if m.model.level > 0.0:
            quote(orders, 1, p.leg, 1, m.model.level, p.qty)
        return
    if p.trick == 15 and m.n >= p.at:
        quote(orders, 1, p.leg, 1, p.price, p.qty)
        return
    if p.trick == 12:
        if event.kind == TIMER or m.n == p.at:
            timer(orders, 7, event.receive_ns + 3_500_000)
        return
    if p.trick == 16:
        if event.kind == ACK:
            raise ValueError("on an answer")
        if m.n == p.at:
            quote(orders, 1, p.leg, 1, p.price, p.qty)
        return
    if p.trick == 17:
        if m.n == p.at:
            quote(orders, 1, p.leg, 1, p.price, p.qty)
        elif m.n == p.at + 5:
            cancel(orders, 1)
        return
    if m.n != p.at:
        return
    if p.trick == 1:
        quote(orders, 9, 0, 1, legs[0].bid, p.qty)
        raise ValueError("on purpose")
    elif p.trick == 2:
        quote(orders, 9, 0, 1, legs[17].bid, p.qty)
    elif p.trick == 3:
        p.qty += 1.0
        quote(orders, 9, 0, 1, legs[0].bid, 0.01)
    elif p.trick == 4:
        event.bid = 1
        event.ask = 2
        event.receive_ns = 5
    elif p.trick == 5:
        for i in range(40):
            quote(orders, i, 0, 1, legs[0].bid, 0.01)
    elif p.trick == 7:
        orders.intent[33].qty = 1.0
    elif p.trick == 8:
        m.log[1_000] = 1
    elif p.trick == 9:
        package(orders, 1, (p.leg, legs[p.leg].ask * 1.01), (p.other, legs[p.other].bid * 0.99), p.qty)
    elif p.trick == 10:
        quote(orders, 1, p.leg, 1, p.price, p.qty)
    elif p.trick == 11:
        target(orders, p.leg, p.qty, p.price)
    elif p.trick == 18:
        legs[0].leg = 1_000_000
        quote(orders, 1, 0, 1, p.price, p.qty)
    elif p.trick == 14:
        quote(orders, 1, 1, 1, legs[1].bid - 1.0, p.qty)
        quote(orders, 2, 0, 1, legs[0].bid - 1.0, p.qty)
        timer(orders, 7, event.receive_ns + 200_000)


@strategy(at=3, rate=40)
def floods(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """From call `at` on asks for a full list of ever new quotes."""
    if event.receive_ns > 0 and legs[0].bid > 0.0 and event.kind <= 2:
        for i in range(20):
            quote(orders, event.receive_ns + i, 0, 1, legs[0].bid, 0.01)


@strategy(leg0=0.0, price0=0.0, ratio=1.0, qty=0.05, maker=-1, at=5, memory={"n": "i8"})
def odd_package(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """At call `at` a package whose first leg, price, ratio, quantity and maker are as given."""
    m.n += 1
    if m.n == p.at:
        k = package_begin(orders, 1, p.qty, p.maker)
        package_leg(orders, k, int(p.leg0), 1, p.ratio, p.price0)
        package_leg(orders, k, 1, -1, 1.0, legs[1].bid * 0.99)


def memory_of(engine: Any, k: int) -> np.ndarray:
    """Strategy k's memory record, one element."""
    from oneprice.core.arena import STRATEGY

    st = engine.arena.section("strategies", STRATEGY)[k]
    dtype = engine.strategies[k].memory
    at = int(st["memory_off"])
    return engine.arena.buffer[at : at + dtype.itemsize].view(dtype)


def log_of(engine: Any, k: int) -> list[tuple[int, int, int]]:
    """(time after START, kind, leg) of the first calls of a `tricky`."""
    m = memory_of(engine, k)[0]
    n = min(int(m["n"]), N_LOG)
    out = []
    for word, at_ns in zip(m["log"][:n].tolist(), m["log_ns"][:n].tolist(), strict=True):
        kind, leg = (word // 100, word % 100) if word % 100 != 99 else (word // 100 + 1, -1)
        out.append((at_ns - START, kind, leg))
    return out
