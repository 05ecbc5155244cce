"""The L2 book: a dense window re-centred on the touch, a hash for far levels, a TOP laid over both.

In memory: BOOK_HEAD, bid lots[W], ask lots[W], one bit a level and side, far keys[F], far lots[F]; all
reached by offsets from the head, so one set of kernels serves every arena and a VIEW reaches a book by a
relative offset. A level inside `[low, low + W)` lives in the window, any other in the hash; re-centring
moves levels between the two and drops none. When the hash is full the row is dropped, counted in `lost`, and
the book is `degraded` until its next CLEAR.

Two feeds of one venue, BOOK diffs and TOP, are ordered by update id (`ev.seq`). While the newest is a TOP it
is laid over the depth (`overlay`): the touch is the TOP's, and depth better than it is known to be gone. A
diff no newer than the TOP changes depth but not the touch; a newer one lifts the TOP off. `seq == 0` means
unsequenced: the order of arrival then decides. `side` of a level is +1 bid, -1 ask; `side` of a taker is
+1 buyer, -1 seller.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from oneprice.core.address import address_of, i64_at, leading_zeros, lowest_bit, record_at, words_at
from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit
from oneprice.core.records import CLEAR, GAP, NO_PRICE, TOP, record
from oneprice.market.far import far_best, far_drop, far_get, far_set

BOOK_HEAD = record(
    [
        # the touch, as strategies and matching see it
        ("bid_ticks", "i8"),
        ("bid_lots", "i8"),
        ("ask_ticks", "i8"),
        ("ask_lots", "i8"),
        # the best of the depth alone
        ("depth_bid", "i8"),
        ("depth_ask", "i8"),
        ("low_ticks", "i8"),  # lowest tick of the window, a multiple of 64
        ("width", "i8"),
        ("placed", "i8"),  # the window has a place (0 until the first level)
        ("overlay", "i8"),  # a TOP newer than the depth is the touch
        ("top_seq", "i8"),
        ("diff_seq", "i8"),
        ("bid_lots_off", "i8"),
        ("ask_lots_off", "i8"),
        ("bid_bits_off", "i8"),
        ("ask_bits_off", "i8"),
        ("far_keys_off", "i8"),
        ("far_lots_off", "i8"),
        ("far_log2", "i8"),
        ("n_far_bids", "i8"),
        ("n_far_asks", "i8"),
        ("degraded", "i8"),
        ("lost", "i8"),  # rows dropped because the hash was full
        ("superseded", "i8"),  # TOPs older than the depth
        ("disagree", "i8"),  # TOPs at the depth's own update id with another touch
        ("recentred", "i8"),
        ("n_rows", "i8"),
        ("spare", "i8", (5,)),
    ]
)
assert BOOK_HEAD.itemsize == 256
FAR_AWAY = 1 << 61  # beyond any tick
book_at = record_at(BOOK_HEAD)


def book_bytes(log2_width: int, far_log2: int) -> int:
    """Bytes of a book with 2^log2_width dense ticks a side and 2^far_log2 far slots."""
    if not 8 <= log2_width <= 24:
        raise ConfigError(f"book window: expected 2^8 to 2^24 ticks, got 2^{log2_width}")
    if not 3 <= far_log2 <= 24:
        raise ConfigError(f"book far hash: expected 2^3 to 2^24 slots, got 2^{far_log2}")
    width = 1 << log2_width
    return BOOK_HEAD.itemsize + 2 * 8 * width + 2 * (width >> 3) + 2 * 8 * (1 << far_log2)


@njit
def book_init(b: Any, log2_width: int, far_log2: int) -> None:
    """Lay out an empty book behind its head; the caller gives `book_bytes` of room."""
    width = 1 << log2_width
    b.width = width
    b.far_log2 = far_log2
    b.bid_lots_off = 256
    b.ask_lots_off = b.bid_lots_off + 8 * width
    b.bid_bits_off = b.ask_lots_off + 8 * width
    b.ask_bits_off = b.bid_bits_off + (width >> 3)
    b.far_keys_off = b.ask_bits_off + (width >> 3)
    b.far_lots_off = b.far_keys_off + 8 * (1 << far_log2)
    words = i64_at(address_of(b) + 256, 2 * width + 2 * (width >> 6))
    words[:] = 0
    n = 1 << far_log2
    i64_at(address_of(b) + b.far_keys_off, n)[:] = NO_PRICE
    i64_at(address_of(b) + b.far_lots_off, n)[:] = 0
    b.n_far_bids = b.n_far_asks = 0
    b.low_ticks = b.placed = b.overlay = b.top_seq = b.diff_seq = 0
    b.bid_ticks = b.ask_ticks = b.depth_bid = b.depth_ask = NO_PRICE
    b.bid_lots = b.ask_lots = 0
    b.degraded = b.lost = b.superseded = b.disagree = b.recentred = b.n_rows = 0


@njit
def book_init_at(address: int, log2_width: int, far_log2: int) -> None:
    """`book_init` for callers that hold an address (builders in Python)."""
    book_init(book_at(address), log2_width, far_log2)


@njit
def _bits(b: Any, side: int) -> Any:
    return words_at(address_of(b) + (b.bid_bits_off if side > 0 else b.ask_bits_off))


@njit
def _lots(b: Any, side: int) -> Any:
    return words_at(address_of(b) + (b.bid_lots_off if side > 0 else b.ask_lots_off))


@njit
def _empty_words(b: Any, side: int, first: int, last: int, keep: bool) -> None:
    """Empty the window's blocks of 64 ticks first <= block < last; `keep` moves their levels to the hash."""
    bits = _bits(b, side)
    lots = _lots(b, side)
    mask = (b.width >> 6) - 1
    for block in range(first, last):
        word = bits[block & mask]
        while word != 0:
            ticks = (block << 6) + lowest_bit(word)
            slot = ticks & (b.width - 1)
            if keep:
                far_set(b, side, ticks, lots[slot])
            lots[slot] = 0
            word &= word - 1
        bits[block & mask] = 0


@njit
def book_clear(b: Any) -> None:
    """Empty the depth (both sides); a TOP laid over it stays."""
    first = b.low_ticks >> 6
    _empty_words(b, 1, first, first + (b.width >> 6), False)
    _empty_words(b, -1, first, first + (b.width >> 6), False)
    if b.n_far_bids + b.n_far_asks > 0:
        n = 1 << b.far_log2
        i64_at(address_of(b) + b.far_keys_off, n)[:] = NO_PRICE
        i64_at(address_of(b) + b.far_lots_off, n)[:] = 0
        b.n_far_bids = b.n_far_asks = 0
    b.depth_bid = b.depth_ask = NO_PRICE
    b.degraded = 0
    b.placed = 0


@njit
def _enter(b: Any) -> None:
    """Bring far levels that the window now covers into it."""
    n = 1 << b.far_log2
    keys = words_at(address_of(b) + b.far_keys_off)
    far = words_at(address_of(b) + b.far_lots_off)
    i = 0
    while i < n:
        key = keys[i]
        t = key >> 1
        if key == NO_PRICE or t < b.low_ticks or t >= b.low_ticks + b.width:
            i += 1
            continue
        side = 1 if (key & 1) == 0 else -1
        _lots(b, side)[t & (b.width - 1)] = far[i]
        _bits(b, side)[(t >> 6) & ((b.width >> 6) - 1)] |= 1 << (t & 63)
        far_drop(keys, far, b.far_log2, i)  # may pull another key into i: look at i again
        if side > 0:
            b.n_far_bids -= 1
        else:
            b.n_far_asks -= 1


@njit
def _recentre(b: Any, centre: int) -> None:
    """Move the window so that `centre` lies in its middle."""
    old = b.low_ticks >> 6
    words = b.width >> 6
    new = (centre - (b.width >> 1)) >> 6
    if new == old and b.placed != 0:
        return
    if b.placed != 0:
        for side in (1, -1):
            if new > old:
                _empty_words(b, side, old, min(old + words, new), True)
            else:
                _empty_words(b, side, max(old, new + words), old + words, True)
        b.recentred += 1
    b.low_ticks = new << 6
    b.placed = 1
    if b.n_far_bids + b.n_far_asks > 0:
        _enter(b)


@njit
def _follow(b: Any) -> None:
    """Re-centre when the depth's touch has left the middle half of the window."""
    if b.depth_bid == NO_PRICE:
        centre = b.depth_ask
    elif b.depth_ask == NO_PRICE:
        centre = b.depth_bid
    else:
        centre = (b.depth_bid + b.depth_ask) >> 1
    if centre == NO_PRICE:
        return
    quarter = b.width >> 2
    if b.placed == 0 or centre < b.low_ticks + quarter or centre >= b.low_ticks + 3 * quarter:
        _recentre(b, centre)


@njit
def _depth_at(b: Any, side: int, ticks: int) -> int:
    if ticks >= b.low_ticks and ticks < b.low_ticks + b.width:
        return _lots(b, side)[ticks & (b.width - 1)]
    return far_get(b, side, ticks)


@njit
def _below(b: Any, ticks: int) -> int:
    """The best bid of the depth below `ticks`, or NO_PRICE."""
    top = b.low_ticks + b.width
    if ticks > top:
        far = far_best(b, 1, top, ticks)
        if far != NO_PRICE:
            return far
        ticks = top
    if ticks > b.low_ticks:
        bits = _bits(b, 1)
        mask = (b.width >> 6) - 1
        block = (ticks - 1) >> 6
        word = bits[block & mask] & ((2 << ((ticks - 1) & 63)) - 1)
        first = b.low_ticks >> 6
        while word == 0 and block > first:
            block -= 1
            word = bits[block & mask]
        if word != 0:
            return (block << 6) + 63 - leading_zeros(word)
    return far_best(b, 1, -FAR_AWAY, min(ticks, b.low_ticks))


@njit
def _above(b: Any, ticks: int) -> int:
    """The best ask of the depth above `ticks`, or NO_PRICE."""
    if ticks < b.low_ticks - 1:
        far = far_best(b, -1, ticks + 1, b.low_ticks)
        if far != NO_PRICE:
            return far
        ticks = b.low_ticks - 1
    top = b.low_ticks + b.width
    if ticks + 1 < top:
        bits = _bits(b, -1)
        mask = (b.width >> 6) - 1
        block = (ticks + 1) >> 6
        word = bits[block & mask] & (-1 << ((ticks + 1) & 63))
        last = (top >> 6) - 1
        while word == 0 and block < last:
            block += 1
            word = bits[block & mask]
        if word != 0:
            return (block << 6) + lowest_bit(word)
    return far_best(b, -1, max(ticks + 1, top), FAR_AWAY)


@njit
def _touch_of_depth(b: Any) -> bool:
    """The depth's best becomes the touch; says whether that changed it."""
    bid_lots = 0 if b.depth_bid == NO_PRICE else _depth_at(b, 1, b.depth_bid)
    ask_lots = 0 if b.depth_ask == NO_PRICE else _depth_at(b, -1, b.depth_ask)
    same = b.bid_ticks == b.depth_bid and b.ask_ticks == b.depth_ask
    same = same and b.bid_lots == bid_lots and b.ask_lots == ask_lots
    b.bid_ticks = b.depth_bid
    b.bid_lots = bid_lots
    b.ask_ticks = b.depth_ask
    b.ask_lots = ask_lots
    b.overlay = 0
    return not same


@njit
def _set_depth(b: Any, side: int, t: int, q: int) -> None:
    """One level of the depth set to a total, its bit and the hash kept true."""
    if t >= b.low_ticks and t < b.low_ticks + b.width:
        lots = _lots(b, side)
        slot = t & (b.width - 1)
        old = lots[slot]
        lots[slot] = q
        if (old == 0) != (q == 0):
            _bits(b, side)[(t >> 6) & ((b.width >> 6) - 1)] ^= 1 << (t & 63)
    else:
        far_set(b, side, t, q)


@njit(apart=True)
def book_row(b: Any, ev: Any) -> bool:
    """Apply one BOOK or TOP event; True when the touch (price or lots, either side) changed.

    BOOK: `ev.qty` is the new total at `ev.price` (<= 0 removes), `ev.side` +1 bid, -1 ask. CLEAR empties the
    depth first; CLEAR with GAP also forgets the TOP (the venue's numbering may have restarted). TOP: a
    missing side is NO_PRICE.
    """
    b.n_rows += 1
    if ev.kind == TOP:
        return _top_row(b, ev)
    side = 1 if ev.side > 0 else -1
    t = ev.price
    q = max(ev.qty, 0)
    cleared = (ev.flag_bits & CLEAR) != 0
    if cleared:
        book_clear(b)
        if ev.flag_bits & GAP:
            b.overlay = b.top_seq = 0
    if b.placed == 0 and q > 0:
        _recentre(b, t)
    _set_depth(b, side, t, q)
    moved = False
    if side > 0:
        if q > 0:
            if t > b.depth_bid and _present(b, side, t):
                b.depth_bid = t
                moved = True
        elif t == b.depth_bid:
            b.depth_bid = _below(b, t)
            moved = True
    elif q > 0:
        if (t < b.depth_ask or b.depth_ask == NO_PRICE) and _present(b, side, t):
            b.depth_ask = t
            moved = True
    elif t == b.depth_ask:
        b.depth_ask = _above(b, t)
        moved = True
    if moved:
        _follow(b)
    b.diff_seq = ev.seq
    if b.overlay != 0:
        if ev.seq != 0 and ev.seq <= b.top_seq:
            return False
        return _touch_of_depth(b)
    if moved or cleared:
        return _touch_of_depth(b)
    if side > 0 and t == b.bid_ticks:
        q = _depth_at(b, side, t) if b.degraded != 0 else q
        changed = q != b.bid_lots
        b.bid_lots = q
        return changed
    if side < 0 and t == b.ask_ticks:
        q = _depth_at(b, side, t) if b.degraded != 0 else q
        changed = q != b.ask_lots
        b.ask_lots = q
        return changed
    return False


@njit
def _present(b: Any, side: int, t: int) -> bool:
    """Whether a level just set was kept (a full hash may have dropped it)."""
    return b.degraded == 0 or _depth_at(b, side, t) > 0


@njit
def _top_row(b: Any, ev: Any) -> bool:
    bid_lots = 0 if ev.bid == NO_PRICE else ev.bid_qty
    ask_lots = 0 if ev.ask == NO_PRICE else ev.ask_qty
    same = ev.bid == b.bid_ticks and ev.ask == b.ask_ticks
    same = same and bid_lots == b.bid_lots and ask_lots == b.ask_lots
    if ev.seq != 0 and (ev.seq <= b.diff_seq or (b.overlay != 0 and ev.seq < b.top_seq)):
        if ev.seq == b.diff_seq:
            b.disagree += 0 if same else 1
        else:
            b.superseded += 1
        return False
    b.bid_ticks = ev.bid
    b.bid_lots = bid_lots
    b.ask_ticks = ev.ask
    b.ask_lots = ask_lots
    b.top_seq = ev.seq
    b.overlay = 1
    return not same


@njit
def book_level(b: Any, side: int, ticks: int) -> int:
    """Lots shown at a price: 0 when the level is empty or better than the touch."""
    touch = b.bid_ticks if side > 0 else b.ask_ticks
    if touch == NO_PRICE or (ticks > touch if side > 0 else ticks < touch):
        return 0
    if ticks == touch:
        return b.bid_lots if side > 0 else b.ask_lots
    return _depth_at(b, side, ticks)


@njit
def book_next(b: Any, side: int, ticks: int) -> int:
    """The next worse non-empty level after `ticks`; the touch when `ticks` is better than it or NO_PRICE."""
    touch = b.bid_ticks if side > 0 else b.ask_ticks
    if touch == NO_PRICE:
        return NO_PRICE
    if ticks == NO_PRICE or (ticks > touch if side > 0 else ticks < touch):
        return touch
    return _below(b, ticks) if side > 0 else _above(b, ticks)


@njit
def cost_to_take(b: Any, side: int, lots: int, limit_ticks: int) -> tuple[int, int, int]:
    """Walk the opposite side for a taker of `side` (+1 buys) up to `limit_ticks` (NO_PRICE: no limit).

    Returns (filled lots, sum of ticks x lots, worst ticks reached or NO_PRICE when nothing is there).
    """
    filled = 0
    value = 0
    worst = NO_PRICE
    t = book_next(b, -side, NO_PRICE)
    while t != NO_PRICE and filled < lots:
        if limit_ticks != NO_PRICE and (t > limit_ticks if side > 0 else t < limit_ticks):
            break
        n = min(lots - filled, book_level(b, -side, t))
        if n > 0:
            filled += n
            value += n * t
            worst = t
        t = book_next(b, -side, t)
    return filled, value, worst


@njit
def crossed(b: Any) -> bool:
    """Whether both sides exist and the bid is at or above the ask (crossed or locked)."""
    return b.bid_ticks != NO_PRICE and b.ask_ticks != NO_PRICE and b.bid_ticks >= b.ask_ticks


def book_head(buffer: np.ndarray, offset: int = 0) -> np.ndarray:
    """BOOK_HEAD[1] over a byte buffer, for readers in Python."""
    return buffer[offset : offset + BOOK_HEAD.itemsize].view(BOOK_HEAD)
