"""One leg as a stream of touches: what an audit needs of a tape, whatever its rows are."""

from __future__ import annotations

from typing import Any

import numpy as np

from oneprice.core.jit import njit
from oneprice.core.records import BAR, BOOK, LAST, NO_PRICE, TOP, record
from oneprice.market.book import book_at, book_bytes, book_init_at, book_row

QUOTE = record(
    [
        ("receive_ns", "i8"),  # local clock
        ("exchange_ns", "i8"),  # on the local clock (raw stamp + clock offset)
        ("bid", "f8"),  # quote currency per unit of underlying; NaN when the side is empty
        ("ask", "f8"),
        ("bid_qty", "f8"),  # underlying units
        ("ask_qty", "f8"),
        ("crossed", "i8"),
        ("other", "i8"),  # row of the other leg at this row's exchange time; -1 before its first
    ]
)

TOUCH = record(
    [
        ("receive_ns", "i8"),
        ("exchange_ns", "i8"),
        ("bid_ticks", "i8"),
        ("ask_ticks", "i8"),
        ("bid_lots", "i8"),
        ("ask_lots", "i8"),
    ]
)


@njit
def touches(address: int, events: Any, assumed_lots: int, out: Any) -> int:
    """The touch after each batch of quote rows of one leg; returns how many rows of `out` were written."""
    b = book_at(address)
    n = 0
    dirty = False
    for i in range(len(events)):
        ev = events[i]
        if ev.kind == BOOK or ev.kind == TOP:
            book_row(b, ev)
            dirty = True
        elif ev.kind == BAR:
            dirty = True
        if not dirty or (ev.flag_bits & LAST) == 0:
            continue
        dirty = False
        t = out[n]
        n += 1
        t.receive_ns = ev.receive_ns
        t.exchange_ns = ev.exchange_ns
        if ev.kind == BAR:
            t.bid_ticks = t.ask_ticks = ev.close
            t.bid_lots = t.ask_lots = assumed_lots
        else:
            t.bid_ticks = b.bid_ticks
            t.ask_ticks = b.ask_ticks
            t.bid_lots = b.bid_lots if b.bid_lots > 0 else assumed_lots
            t.ask_lots = b.ask_lots if b.ask_lots > 0 else assumed_lots
    return n


def quotes(
    events: np.ndarray,
    *,
    tick: float,
    lot: float,
    inverse: bool = False,
    clock_offset_ns: int = 0,
    assumed_lots: int = 0,
    one_sided: bool = False,
    log2_width: int = 15,
) -> np.ndarray:
    """QUOTE[m]: one leg's touch after each batch, prices in quote currency, quantities in underlying units.

    Parameters
    ----------
    events : EVENT[n] of one leg in receive order.
    tick, lot : quote currency a tick; underlying units a lot (inverse: quote currency a lot).
    assumed_lots : depth where the tape shows none.
    one_sided : the leg is closes or trades, not two sides: it cannot be crossed.
    """
    room = np.zeros(book_bytes(log2_width, 16) + 64, np.uint8)
    address = room.ctypes.data + -room.ctypes.data % 64
    book_init_at(address, log2_width, 16)
    rows = np.empty(len(events), TOUCH)
    t = rows[: touches(address, np.asarray(events), assumed_lots, rows)]
    out = np.zeros(len(t), QUOTE)
    out["receive_ns"] = t["receive_ns"]
    out["exchange_ns"] = t["exchange_ns"] + clock_offset_ns
    for side in ("bid", "ask"):
        price = np.where(t[f"{side}_ticks"] == NO_PRICE, np.nan, t[f"{side}_ticks"] * tick)
        out[side] = price
        out[f"{side}_qty"] = t[f"{side}_lots"] * (lot / price if inverse else lot)
    if not one_sided:
        out["crossed"] = t["bid_ticks"] >= t["ask_ticks"]
        out["crossed"][(t["bid_ticks"] == NO_PRICE) | (t["ask_ticks"] == NO_PRICE)] = 0
    out["other"] = -1
    return out


def join(a: np.ndarray, b: np.ndarray, *, bound_ns: int = 0) -> None:
    """Fill `other` of both legs: the newest row of the other leg that its exchange may have had by then.

    `bound_ns` is the sum of both clock bounds: a row that may have been sent by then counts as sent, so a gap
    that another row could already have closed is not taken for simultaneous.
    """
    for x, y in ((a, b), (b, a)):
        order = np.argsort(y["exchange_ns"], kind="stable")
        at = np.searchsorted(y["exchange_ns"][order], x["exchange_ns"] + bound_ns, side="right") - 1
        x["other"] = np.where(at >= 0, order[np.maximum(at, 0)], -1)
