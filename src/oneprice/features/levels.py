"""The best levels of a book as one row of numbers: what multi-level features read.

A row of L levels has 4 L numbers, level after level: bid, ask, bid quantity, ask quantity, the best level first. A
level that is not there has NaN as its price and 0 as its quantity. A VIEW without a book behind it has one level.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.address import address_of
from oneprice.core.jit import njit
from oneprice.core.records import NO_PRICE
from oneprice.market.book import book_at, book_level, book_next

LEVEL_WORDS = 4


@njit
def read_levels(view: Any, row: Any) -> int:
    """Fill `row` (float64, 4 L) from the book of a VIEW; how many levels stand on both sides.

    Prices in quote currency, quantities in underlying units.
    """
    if view.book_rel != 0:
        return book_levels(book_at(address_of(view) + view.book_rel), view.tick, view.lot_qty, row)
    for i in range(LEVEL_WORDS, len(row)):
        row[i] = math.nan if i % LEVEL_WORDS < 2 else 0.0
    bid = view.bid_ticks
    ask = view.ask_ticks
    row[0] = math.nan if bid == NO_PRICE else bid * view.tick
    row[1] = math.nan if ask == NO_PRICE else ask * view.tick
    row[2] = 0.0 if bid == NO_PRICE else view.bid_lots * view.lot_qty
    row[3] = 0.0 if ask == NO_PRICE else view.ask_lots * view.lot_qty
    return 1 if bid != NO_PRICE and ask != NO_PRICE else 0


@njit
def book_levels(b: Any, tick: float, lot_qty: float, row: Any) -> int:
    """Fill `row` from a book; how many levels stand on both sides."""
    bids = _side(b, 1, tick, lot_qty, row)
    asks = _side(b, -1, tick, lot_qty, row)
    return min(bids, asks)


@njit
def _side(b: Any, side: int, tick: float, lot_qty: float, row: Any) -> int:
    at = 0 if side > 0 else 1
    found = 0
    ticks = book_next(b, side, NO_PRICE)
    while at < len(row) and ticks != NO_PRICE:
        row[at] = ticks * tick
        row[at + 2] = book_level(b, side, ticks) * lot_qty
        found += 1
        at += LEVEL_WORDS
        if at < len(row):
            ticks = book_next(b, side, ticks)
    while at < len(row):
        row[at] = math.nan
        row[at + 2] = 0.0
        at += LEVEL_WORDS
    return found
