"""Rows of a tape from a message: stamps, flags and what was wrong."""

from __future__ import annotations

from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import BOOK, ESTIMATED, SNAPSHOT
from oneprice.market.orders.records import MAX_INCIDENTS


@njit
def row_of(out: Any, m: Any, kind: int) -> Any:
    """The next row, with the message's stamps and the flag bits owed. `out`: (rows EVENT[n], cursor int64[3])."""
    rows, cursor = out
    r = rows[cursor[0]]
    cursor[0] += 1
    r.receive_ns = m.receive_ns
    r.exchange_ns = m.exchange_ns
    r.seq = m.seq
    r.kind = kind
    r.flag_bits = (m.flag_bits & (SNAPSHOT | ESTIMATED)) | cursor[2]
    cursor[2] = 0
    return r


@njit
def book_row_of(out: Any, m: Any, o: Any, lots: int) -> None:
    """A BOOK row: the level of order `o` now holds `lots`."""
    r = row_of(out, m, BOOK)
    r.price = o.price
    r.qty = lots
    r.side = o.side
    r.order_id = o.order_id
    r.count = o.stamp


@njit
def trouble(t: Any, m: Any, code: int) -> None:
    """Count what is wrong with a message and list it."""
    listed(t, m, code, m.order_id, m.price, m.qty)


@njit
def listed(t: Any, m: Any, code: int, order_id: int, price: int, lots: int) -> None:
    """Count and list an incident about an order other than the message's."""
    h = t[0][0]
    h.troubles[code] += 1
    if h.n_incidents < MAX_INCIDENTS:
        r = t[5][h.n_incidents]
        r.order_id = order_id
        r.price = price
        r.lots = lots
        r.receive_ns = m.receive_ns
        r.line = m.line
        r.code = code
    h.n_incidents += 1
