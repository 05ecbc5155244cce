"""A simulated venue driven from Python: rows, commands and what comes back, in a few lines a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from oneprice.core.jit import njit
from oneprice.core.records import (
    BAR,
    BOOK,
    EVENT,
    GTC,
    LAST,
    LEG,
    NEW,
    NO_PRICE,
    ROW,
    STATUS,
    TOP,
    TRADE,
)
from oneprice.execution.exchange import (
    ExchangeHalf,
    FillModel,
    build_exchange,
    ex_advance,
    ex_catch_up,
    ex_send,
    exchange_at,
    ring_head,
    ring_head_ns,
    ring_pop,
)
from oneprice.execution.latency import Latency

START = 1_000_000_000


@njit
def drive(address: int, rows: Any, tapes: Any, until_ns: int, step_ns: int, out: Any) -> int:
    """Send each COMMAND row at its time, advancing before it; then to `until_ns`. Returns the answers in
    `out`, -1 if one comes that was due before the time it was asked for: `next_due_ns` promised too much.

    step_ns > 0 is the eager way: every leg is caught up in such steps, needed or not.
    """
    x = exchange_at(address)
    n = 0
    now = rows[0].time_ns if len(rows) > 0 else until_ns
    asked = 0
    for k in range(len(rows) + 1):
        to = rows[k].time_ns if k < len(rows) else until_ns
        if step_ns > 0:
            while now < to:
                now = min(now + step_ns, to)
                ex_catch_up(x, tapes, now)
        if x.next_due_ns <= to:
            ex_advance(x, tapes, to)
        while ring_head_ns(x) <= to and n < len(out):
            ev = ring_head(x)
            if ev.receive_ns < asked:
                return -1
            slot = out[n]
            slot.receive_ns = ev.receive_ns
            slot.exchange_ns = ev.exchange_ns
            slot.seq = ev.seq
            slot.price = ev.price
            slot.qty = ev.qty
            slot.client_id = ev.client_id
            slot.reason = ev.reason
            slot.leg = ev.leg
            slot.kind = ev.kind
            slot.side = ev.side
            slot.flag_bits = ev.flag_bits
            ring_pop(x)
            n += 1
        asked = to
        if k < len(rows):
            ex_send(x, rows[k].time_ns, rows[k])
    return n


def leg_row(**words: Any) -> np.ndarray:
    """A linear LEG of one ledger unit a half tick and lot, 10 bp taker, 2 bp maker."""
    leg = np.zeros(1, LEG)
    leg["tick"] = leg["lot"] = 1.0
    leg["money_num"], leg["taker_fee_e9"], leg["maker_fee_e9"] = 1, 1_000_000, 200_000
    leg["min_lots"] = leg["lot_step"] = 1
    for name, value in words.items():
        leg[name] = value
    return leg


def row(kind: int, at: int, **words: Any) -> np.ndarray:
    one = np.zeros(1, EVENT)
    one["kind"], one["exchange_ns"], one["receive_ns"], one["flag_bits"] = (
        kind,
        START + at,
        START + at + 50,
        LAST,
    )
    for name, value in words.items():
        one[name] = value
    return one


def book(at: int, side: int, price: int, qty: int, **words: Any) -> np.ndarray:
    return row(BOOK, at, side=side, price=price, qty=qty, **words)


def trade(at: int, side: int, price: int, qty: int) -> np.ndarray:
    return row(TRADE, at, side=side, price=price, qty=qty)


def top(at: int, bid: int, bid_qty: int, ask: int, ask_qty: int) -> np.ndarray:
    return row(TOP, at, bid=bid, bid_qty=bid_qty, ask=ask, ask_qty=ask_qty)


def bar(at: int, opened: int, high: int, low: int, close: int, volume: int) -> np.ndarray:
    offs = dict(open_off=opened - close, high_off=high - close, low_off=low - close)
    return row(BAR, at, close=close, volume=volume, **offs)


def status(at: int, value: int) -> np.ndarray:
    return row(STATUS, at, value=value)


def command(
    at: int, cid: int, side: int = 1, price: int = 0, qty: int = 1, tif: int = GTC, **words: Any
) -> np.ndarray:
    one = np.zeros(1, ROW)
    one["time_ns"], one["client_id"], one["code"] = START + at, cid, NEW
    one["side"], one["price"], one["qty"], one["tif"] = side, price, qty, tif
    for name, value in words.items():
        one[name] = value
    return one


def joined(parts: list[np.ndarray], dtype: np.dtype) -> np.ndarray:
    """One array of records; `np.concatenate` would unpack words that lie over each other."""
    out = np.zeros(len(parts), dtype)
    for i, part in enumerate(parts):
        out[i : i + 1] = part
    return out


@dataclass
class Venue:
    """One or more legs, their tapes, and the answers so far."""

    half: ExchangeHalf
    tapes: list[np.ndarray]
    table: np.ndarray

    def run(self, commands: list[np.ndarray] | np.ndarray, until: int, step_ns: int = 0) -> np.ndarray:
        rows = commands if isinstance(commands, np.ndarray) else joined(commands, ROW)
        out = np.zeros(1 << 15, EVENT)
        n = drive(self.half.address, rows, self.table, START + until, step_ns, out)
        assert self.half.head["lost"][0] == 0 and 0 <= n < len(out)
        return out[:n]


def venue(
    tapes: list[list[np.ndarray]] | list[np.ndarray],
    legs: np.ndarray | None = None,
    fills: Any = None,
    latency: Any = None,
    book_log2: Any = 8,
) -> Venue:
    """Legs with 100 ns of entry and 200 ns of response latency unless said otherwise."""
    files = [joined(t, EVENT) if isinstance(t, list) else t for t in tapes]
    legs = np.concatenate([leg_row()] * len(files)) if legs is None else legs
    half = build_exchange(
        legs, latency or Latency(100, 200), fills or FillModel(), book_log2=book_log2, far_log2=8
    )
    table = np.array([[int(f.ctypes.data), len(f), 0, 0] for f in files], np.int64)
    return Venue(half, files, table)


def told(answers: np.ndarray) -> list[tuple[int, ...]]:
    """(kind, client id, price, lots) of each answer, for asserts."""
    return [tuple(int(a[k]) for k in ("kind", "client_id", "price", "qty")) for a in answers]


def filled(answers: np.ndarray, kind: int = 11) -> int:
    return int(answers["qty"][answers["kind"] == kind].sum())


EMPTY = NO_PRICE
