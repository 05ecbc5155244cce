"""The best levels of a book as one row of numbers: what multi-level features read.

A row of L levels has 4 L numbers, level after level: bid, ask, bid quantity, ask quantity, the best level first. A
level that is not there has NaN as its price and 0 as its quantity. A VIEW without a book behind it has one level.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.address import address_of, leading_zeros, lowest_bit, words_at
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
    levels = len(row) // LEVEL_WORDS
    bids = _bids(b, tick, lot_qty, row, levels)
    asks = _asks(b, tick, lot_qty, row, levels)
    return min(bids, asks)


@njit
def _bids(b: Any, tick: float, lot_qty: float, row: Any, levels: int) -> int:
    """The window's bits are read a word of 64 ticks at a time; what lies beyond it level by level."""
    ticks = b.bid_ticks
    if ticks == NO_PRICE:
        return _blank(row, 0, 0, levels)
    row[0] = ticks * tick
    row[2] = b.bid_lots * lot_qty
    found = 1
    first = b.low_ticks >> 6
    block = (ticks - 1) >> 6
    if block >= first and ticks <= b.low_ticks + b.width:
        bits = words_at(address_of(b) + b.bid_bits_off)
        lots = words_at(address_of(b) + b.bid_lots_off)
        blocks = (b.width >> 6) - 1
        slots = b.width - 1
        word = bits[block & blocks] & ((2 << ((ticks - 1) & 63)) - 1)
        while found < levels:
            if word == 0:
                block -= 1
                if block < first:
                    break
                word = bits[block & blocks]
                continue
            top = 63 - leading_zeros(word)
            word ^= 1 << top
            ticks = (block << 6) + top
            row[4 * found] = ticks * tick
            row[4 * found + 2] = lots[ticks & slots] * lot_qty
            found += 1
    return found if found == levels else _beyond(b, 1, tick, lot_qty, row, ticks, found)


@njit
def _asks(b: Any, tick: float, lot_qty: float, row: Any, levels: int) -> int:
    """As `_bids`, upwards."""
    ticks = b.ask_ticks
    if ticks == NO_PRICE:
        return _blank(row, 1, 0, levels)
    row[1] = ticks * tick
    row[3] = b.ask_lots * lot_qty
    found = 1
    block = (ticks + 1) >> 6
    last = ((b.low_ticks + b.width) >> 6) - 1
    if block <= last and ticks + 1 >= b.low_ticks:
        bits = words_at(address_of(b) + b.ask_bits_off)
        lots = words_at(address_of(b) + b.ask_lots_off)
        blocks = (b.width >> 6) - 1
        slots = b.width - 1
        word = bits[block & blocks] & (-1 << ((ticks + 1) & 63))
        while found < levels:
            if word == 0:
                block += 1
                if block > last:
                    break
                word = bits[block & blocks]
                continue
            ticks = (block << 6) + lowest_bit(word)
            word &= word - 1
            row[4 * found + 1] = ticks * tick
            row[4 * found + 3] = lots[ticks & slots] * lot_qty
            found += 1
    return found if found == levels else _beyond(b, -1, tick, lot_qty, row, ticks, found)


@njit
def _beyond(b: Any, side: int, tick: float, lot_qty: float, row: Any, ticks: int, found: int) -> int:
    """Levels after `ticks`, one by one, then blanks."""
    levels = len(row) // LEVEL_WORDS
    at = 0 if side > 0 else 1
    while found < levels:
        ticks = book_next(b, side, ticks)
        if ticks == NO_PRICE:
            return _blank(row, at, found, levels)
        row[4 * found + at] = ticks * tick
        row[4 * found + at + 2] = book_level(b, side, ticks) * lot_qty
        found += 1
    return found


@njit
def _blank(row: Any, at: int, found: int, levels: int) -> int:
    for m in range(found, levels):
        row[4 * m + at] = math.nan
        row[4 * m + at + 2] = 0.0
    return found
