"""Quality marks on tapes and a report of them. Marks are set at import and never repair anything."""

from __future__ import annotations

from typing import Any

import numpy as np

from oneprice.core.jit import njit
from oneprice.core.records import BOOK, CROSSED, EVENT, LAST, NO_PRICE, TOP
from oneprice.market.book import book_at, book_bytes, book_init_at, book_row, crossed

FAR_LOG2 = 14


def mark_crossed(events: np.ndarray, book_log2: int) -> int:
    """Flag CROSSED in place on the last row of each batch that leaves the venue's own book crossed or locked.

    With `book_log2 > 0` the book is that of diffs and TOP together, else the TOP rows alone. Returns the count.
    """
    if book_log2 == 0:
        return int(_mark_tops(events))
    room = np.zeros(book_bytes(book_log2, FAR_LOG2) + 64, np.uint8)
    at = room.ctypes.data + (-room.ctypes.data) % 64
    book_init_at(at, book_log2, FAR_LOG2)
    return int(_mark_books(events, at))


@njit
def _mark_tops(events: Any) -> int:
    n = 0
    for i in range(len(events)):
        ev = events[i]
        if ev.kind == TOP and ev.bid != NO_PRICE and ev.ask != NO_PRICE and ev.bid >= ev.ask:
            ev.flag_bits |= CROSSED
            n += 1
    return n


@njit
def _mark_books(events: Any, address: int) -> int:
    b = book_at(address)
    n = 0
    for i in range(len(events)):
        ev = events[i]
        if ev.kind == BOOK or ev.kind == TOP:
            book_row(b, ev)
            if (ev.flag_bits & LAST) != 0 and crossed(b):
                ev.flag_bits |= CROSSED
                n += 1
    return n


assert EVENT.itemsize == 64
