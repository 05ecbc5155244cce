"""The book inside the loops that fold many rows: its usual case in the caller's own code, its levels asked for ahead.

`book_row_inline` leaves the bytes that `book_row` leaves (tested on random rows).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from oneprice.core.address import address_of, intrinsic, words_at
from oneprice.core.jit import njit
from oneprice.core.records import BOOK, CLEAR, NO_PRICE
from oneprice.market.book import BOOK_HEAD, _above, _below, _depth_at, _follow, book_row

# words of the head, bids first: the touch's price and lots are two words a side, the others one
TOUCH, SHOWN, DEPTH, LEVELS, BITS = (
    int(BOOK_HEAD.fields[name][1]) // 8  # type: ignore[index]
    for name in ("bid_ticks", "bid_lots", "depth_bid", "bid_lots_off", "bid_bits_off")
)
NEAR_LEVELS = 1 << 12


@intrinsic
def prefetch(typing_context: Any, address: Any) -> Any:
    """Ask for the cache line at an address, to write to it; nothing is read, so no address is wrong."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(ask, [builder.inttoptr(args[0], byte), word(1), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(types.intp), build


@njit(forceinline=True)
def book_row_inline(b: Any, ev: Any) -> bool:
    """`book_row` for the loops that fold many rows: what most rows do, in the caller's own code.

    A row that sets a level behind the touch, or the lots at the touch, of a window that stands needs no more. Sides
    differ by index, not by branch: which side comes next cannot be foreseen.
    """
    t = ev.price
    plain = ev.kind == BOOK and (ev.flag_bits & CLEAR) == 0 and b.overlay == 0 and b.placed != 0
    if not plain or t < b.low_ticks or t >= b.low_ticks + b.width:
        return book_row(b, ev)
    q = max(ev.qty, 0)
    k = 0 if ev.side > 0 else 1
    w = words_at(address_of(b))
    best = w[DEPTH + k]
    if best == NO_PRICE:
        return book_row(b, ev)
    better = (t - best) * (1 - 2 * k)
    if better > 0 or (better == 0 and q == 0):
        return _best_moves(b, t, q, k, ev.seq)
    shown = w[SHOWN + 2 * k]
    now = q if better == 0 else shown
    w[SHOWN + 2 * k] = now
    _set_level(b, w, k, t, q)
    b.n_rows += 1
    b.diff_seq = ev.seq
    return now != shown


@njit(forceinline=True)
def _set_level(b: Any, w: Any, k: int, t: int, q: int) -> None:
    """A level of the window set to a total; k is 0 for bids and 1 for asks, w the words of the head."""
    lots = words_at(address_of(b) + w[LEVELS + k])
    bits = words_at(address_of(b) + w[BITS + k])
    slot = t & (b.width - 1)
    flips = 1 if (lots[slot] == 0) != (q == 0) else 0
    lots[slot] = q
    bits[slot >> 6] ^= flips << (t & 63)


@njit(apart=True)
def _best_moves(b: Any, t: int, q: int, k: int, seq: int) -> bool:
    """A level of the window better than the best of its side, or the best itself removed."""
    w = words_at(address_of(b))
    _set_level(b, w, k, t, q)
    b.n_rows += 1
    b.diff_seq = seq
    if q > 0:
        w[DEPTH + k] = t
        _follow(b)
    elif t == w[DEPTH + k]:
        t = _below(b, t) if k == 0 else _above(b, t)
        w[DEPTH + k] = t
        _follow(b)
        q = 0 if t == NO_PRICE else _depth_at(b, 1 - 2 * k, t)
    else:
        return False
    w[TOUCH + 2 * k] = t
    w[SHOWN + 2 * k] = q
    return True


@njit
def is_wide(b: Any) -> bool:
    """Whether the window of a book outgrows the processor's nearest cache, so that levels are worth asking for."""
    return b.width > NEAR_LEVELS


@njit(forceinline=True)
def fetch_level(b: Any, ev: Any) -> None:
    """Ask the processor for the level of a row that comes soon: a wide book does not fit its nearest cache."""
    off = b.bid_lots_off if ev.side > 0 else b.ask_lots_off
    prefetch(address_of(b) + off + 8 * (ev.price & (b.width - 1)))
