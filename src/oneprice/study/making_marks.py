"""One quoting run measured against its tape: what each fill was worth later, what signal and queue it had, where the
quotes stood.

Everything is on the venue's own timeline (exchange stamps on the local clock), where fills happen: the mid of a fill is
the last one before it, not the one we had heard of. Trades and quotes are those of the run's journal; the touch is
that of the tape, without our own orders.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.errors import DataError
from oneprice.core.instruments import Instrument
from oneprice.core.jit import njit
from oneprice.core.records import ACK, BOOK, CANCELED, COMMAND, FILL, FILL_ROW, FINAL, LAST, NEW, NO_PRICE, TOP, record
from oneprice.features import ofi
from oneprice.market.book import book_at, book_bytes, book_init_at, book_level, book_row
from oneprice.market.tape import Tape

FLOW_S = 1.0
STILL = record(
    [
        ("at_ns", "i8"),
        ("bid_ticks", "i8"),
        ("ask_ticks", "i8"),
        ("bid_lots", "i8"),
        ("ask_lots", "i8"),
        ("flow", "f8"),  # order flow imbalance of the last second over the mean queue of the touch
    ]
)
QUESTION = record([("at_ns", "i8"), ("price", "i8"), ("shown", "i8"), ("side", "i8"), ("order", "i8")])
QUOTE_LIFE = record(
    [
        ("client_id", "i8"),
        ("start_ns", "i8"),  # at the venue
        ("end_ns", "i8"),
        ("price", "i8"),  # ticks
        ("side", "i8"),
        ("queue_lots", "i8"),  # shown at its price when it joined; -1: not known (a tape of touches, behind the touch)
    ]
)
MARK = record(
    [
        ("at_ns", "i8"),  # when the venue filled it
        ("lots", "i8"),  # > 0
        ("side", "i8"),
        ("maker", "i8"),
        ("price", "f8"),  # quote currency
        ("mid", "f8"),  # just before; NaN: none
        ("imbalance", "f8"),  # of the touch just before, for the side we took: > 0 is for us
        ("flow", "f8"),  # order flow of the last second in queues of the touch, likewise
        ("queue_lots", "f8"),  # ahead of the order when it joined; NaN: not known
    ]
)


@njit
def follow(address: int, events: Any, order: Any, offset_ns: int, flows: Any, out: Any, asked: Any) -> int:
    """The touch after each batch in venue time, and the lots shown at the times and prices `asked` about.

    `flows` is an `ofi.STATE`[1] to start from. Returns the rows of `out` written. `asked` (by time) is answered as of
    just after the rows stamped at its time.
    """
    b = book_at(address)
    f = flows[0]
    n = 0
    j = 0
    stamp = 0
    for i in range(len(events)):
        ev = events[order[i]] if len(order) > 0 else events[i]
        at_ns = ev.exchange_ns + offset_ns if ev.exchange_ns > 0 else ev.receive_ns
        stamp = max(stamp, at_ns)
        while j < len(asked) and asked[j].at_ns < stamp:
            asked[j].shown = book_level(b, asked[j].side, asked[j].price)
            j += 1
        if ev.kind == BOOK or ev.kind == TOP:
            book_row(b, ev)
            if ev.flag_bits & LAST != 0:
                t = out[n]
                n += 1
                t.at_ns = stamp
                t.bid_ticks = b.bid_ticks
                t.ask_ticks = b.ask_ticks
                t.bid_lots = b.bid_lots
                t.ask_lots = b.ask_lots
                t.flow = math.nan
                if b.bid_ticks != NO_PRICE and b.ask_ticks != NO_PRICE:
                    queues = (float(b.bid_lots), float(b.ask_lots))
                    flow = ofi.step(f, stamp, float(b.bid_ticks), float(b.ask_ticks), queues[0], queues[1], FLOW_S)
                    t.flow = flow / f.depth
    while j < len(asked):
        asked[j].shown = book_level(b, asked[j].side, asked[j].price)
        j += 1
    return n


@njit
def touch_time(still: Any, life: Any, end_ns: int, out: Any) -> None:
    """Nanoseconds on each side (0 bids, 1 asks) that a quote lived, and that it was at or inside the touch: out[2, 2].

    `life` in order of start; quotes of one side do not overlap.
    """
    for side in (1, -1):
        row = 0 if side > 0 else 1
        at = 0
        for k in range(len(life)):
            q = life[k]
            if q.side != side:
                continue
            stop = min(q.end_ns, end_ns)
            out[row, 0] += max(stop - q.start_ns, 0)
            while at + 1 < len(still) and still[at + 1].at_ns <= q.start_ns:
                at += 1
            i = at
            while i < len(still) and still[i].at_ns < stop:
                begin = max(still[i].at_ns, q.start_ns)
                until = min(still[i + 1].at_ns, stop) if i + 1 < len(still) else stop
                best = still[i].bid_ticks if side > 0 else still[i].ask_ticks
                if best == NO_PRICE or (q.price - best) * side >= 0:
                    out[row, 1] += max(until - begin, 0)
                i += 1


def quote_lives(rows: np.ndarray, events: np.ndarray, leg: int, offset_ns: int, end_ns: int) -> np.ndarray:
    """QUOTE_LIFE of each order of a leg that the venue took and that could rest, by start."""
    sent = rows[(rows["kind"] == COMMAND) & (rows["code"] == NEW) & (rows["leg"] == leg) & ((rows["tif"] & 1) == 0)]
    own = events[(events["leg"] == leg) & np.isin(events["kind"], (ACK, FILL, CANCELED))]
    begun = {int(e["client_id"]): int(e["exchange_ns"]) for e in own[own["kind"] == ACK]}
    over = own[(own["kind"] == CANCELED) | ((own["kind"] == FILL) & ((own["flag_bits"] & FINAL) != 0))]
    ended = {int(e["client_id"]): int(e["exchange_ns"]) for e in over}
    took = sent[np.isin(sent["client_id"], np.array(sorted(begun), np.int64))]
    out = np.zeros(len(took), QUOTE_LIFE)
    for name in ("client_id", "price", "side"):
        out[name] = took[name]
    out["start_ns"] = [begun[int(c)] + offset_ns for c in took["client_id"]]
    out["end_ns"] = [ended[int(c)] + offset_ns if int(c) in ended else end_ns for c in took["client_id"]]
    out["queue_lots"] = -1
    return out[np.argsort(out["start_ns"], kind="stable")]


def venue_touches(tape: Tape, asked: np.ndarray | None = None) -> np.ndarray:
    """STILL[n]: the touch of a tape in venue time; fills `shown` of QUESTION rows where they are given (by time)."""
    width = max(tape.instrument.book_log2, 8)
    room = np.zeros(book_bytes(width, 16) + 64, np.uint8)
    address = room.ctypes.data + -room.ctypes.data % 64
    book_init_at(address, width, 16)
    order = tape.exchange_order if tape.exchange_order is not None else np.zeros(0, np.int32)
    out = np.zeros(len(tape.events), STILL)
    questions = np.zeros(0, QUESTION) if asked is None else asked
    flows = ofi.FOLD.fresh()
    return out[: follow(address, np.asarray(tape.events), order, tape.clock_offset_ns, flows, out, questions)]


def mids(still: np.ndarray, tick: float) -> np.ndarray:
    """Mid of each touch, quote currency; NaN where a side is missing."""
    whole = (still["bid_ticks"] != NO_PRICE) & (still["ask_ticks"] != NO_PRICE)
    doubled = np.where(whole, still["bid_ticks"], 0) + np.where(whole, still["ask_ticks"], 0)
    return np.where(whole, 0.5 * tick * doubled, np.nan)


def mid_at(still: np.ndarray, mid: np.ndarray, at_ns: np.ndarray, *, before: bool = False) -> np.ndarray:
    """The mid in force at times; `before`: just before rows of that stamp. NaN before the first and after the last."""
    at = np.searchsorted(still["at_ns"], at_ns, side="left" if before else "right") - 1
    known = (at >= 0) & (at_ns <= still["at_ns"][-1]) if len(still) else np.zeros(len(at_ns), bool)
    return np.where(known, mid[np.maximum(at, 0)] if len(mid) else np.nan, np.nan)


def marks(rows: np.ndarray, events: np.ndarray, tape: Tape, leg: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(MARK a fill, QUOTE_LIFE a quote, STILL) of a leg of a run.

    Raises DataError where the journal holds fills without the venue's answers (private events).
    """
    one, offset_ns = tape.instrument, tape.clock_offset_ns
    end_ns = int(tape.events["receive_ns"][-1])
    lives = quote_lives(rows, events, leg, offset_ns, end_ns)
    asked = np.zeros(len(lives), QUESTION)
    for name, source in (("at_ns", "start_ns"), ("price", "price"), ("side", "side")):
        asked[name] = lives[source]
    still = venue_touches(tape, asked)
    if (np.asarray(tape.events["kind"]) == BOOK).any():
        lives["queue_lots"] = asked["shown"]
    told = events[(events["kind"] == FILL) & (events["leg"] == leg)]
    booked = rows[(rows["kind"] == FILL_ROW) & (rows["leg"] == leg)]
    if len(told) != len(booked):
        raise DataError(f"fills of leg {leg}: expected the {len(booked)} booked among private events, got {len(told)}")
    out = np.zeros(len(told), MARK)
    out["at_ns"] = told["exchange_ns"] + offset_ns
    out["lots"], out["side"] = np.abs(told["qty"]), booked["side"]
    out["maker"] = booked["tif"]
    tick = float(one.tick)
    out["price"] = told["price"] * tick
    mid = mids(still, tick)
    out["mid"] = mid_at(still, mid, out["at_ns"], before=True)
    at = np.maximum(np.searchsorted(still["at_ns"], out["at_ns"], side="left") - 1, 0)
    if len(still):
        bid_lots, ask_lots = still["bid_lots"][at].astype(float), still["ask_lots"][at].astype(float)
        out["imbalance"] = out["side"] * (bid_lots - ask_lots) / np.maximum(bid_lots + ask_lots, 1.0)
        out["flow"] = out["side"] * still["flow"][at]
    where = {int(c): i for i, c in enumerate(lives["client_id"])}
    ahead = [lives["queue_lots"][where[int(c)]] if int(c) in where else -1 for c in told["client_id"]]
    out["queue_lots"] = [float(q) if q >= 0 else np.nan for q in ahead]
    return out, lives, still


def value_of(lots: np.ndarray, price: np.ndarray, one: Instrument) -> np.ndarray:
    """Value of lots at a price in the currency the leg settles in."""
    if one.contract == "inverse":
        return lots * float(one.lot) * float(one.multiplier) / price
    return lots * float(one.lot) * float(one.multiplier) * price
