"""Legs side by side in time, only where each of them is fresh: prices that existed together.

A row stands for one stamp of the union of all legs' stamps, with the state after all events of that stamp. A
leg's age is the time since its own last update. Without a bound on age a dead quote looks like a free lunch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.instruments import exact
from oneprice.core.jit import njit
from oneprice.core.records import BOOK, LAST, NO_PRICE, TOP
from oneprice.market.book import book_at, book_bytes, book_init_at, book_row
from oneprice.market.quality import FAR_LOG2
from oneprice.market.tape import Tape


@dataclass(frozen=True)
class Touches:
    """Best bid and ask of one leg after each batch: int64[n] each; NO_PRICE where a side is empty."""

    time_ns: np.ndarray
    bid_ticks: np.ndarray
    bid_lots: np.ndarray
    ask_ticks: np.ndarray
    ask_lots: np.ndarray


@dataclass(frozen=True)
class Aligned:
    """k legs on common rows. Arrays are [n] or [n, k]; prices in ticks of each leg.

    `row` numbers the stamps of the union, so neighbours differ by 1; `next_ns` is the next stamp of the
    union, kept or not. `n_union` counts the stamps at which each leg has been seen at least once.
    `clock_bound_ns` says how far each leg's clock may be off; in exchange time two legs are simultaneous only
    up to the sum of theirs.
    """

    legs: tuple[str, ...]
    tick: tuple[str, ...]
    time_ns: np.ndarray
    next_ns: np.ndarray
    row: np.ndarray
    bid_ticks: np.ndarray
    ask_ticks: np.ndarray
    age_ns: np.ndarray
    clock_bound_ns: tuple[int, ...]
    n_union: int

    def __len__(self) -> int:
        return len(self.time_ns)

    def bid(self, leg: int) -> np.ndarray:
        """Bids in quote currency; NaN where the side is empty."""
        return _price(self.bid_ticks[:, leg], self.tick[leg])

    def ask(self, leg: int) -> np.ndarray:
        """Asks in quote currency; NaN where the side is empty."""
        return _price(self.ask_ticks[:, leg], self.tick[leg])

    def mid(self, leg: int) -> np.ndarray:
        return (self.bid(leg) + self.ask(leg)) / 2


@dataclass(frozen=True)
class Episodes:
    """Runs of neighbouring rows in which one leg's bid stands above another's ask.

    `start_ns`, `end_ns`: the first stamp that crosses, the first that does not. `peak`: deepest cross in
    quote currency. `depth`: cross at every crossing row.
    """

    start_ns: np.ndarray
    end_ns: np.ndarray
    peak: np.ndarray
    depth: np.ndarray

    def __len__(self) -> int:
        return len(self.start_ns)


def touches(tape: Tape, *, clock: str = "receive") -> Touches:
    """Best bid and ask after each batch of a tape.

    clock="receive": in the order and at the time of receipt. clock="exchange": in exchange order, stamped
    `exchange_ns + clock_offset_ns`. The book is that of diffs and TOP together when the instrument has one.
    """
    if clock not in ("receive", "exchange"):
        raise ConfigError(f"clock: expected 'receive' or 'exchange', got {clock!r}")
    n = len(tape)
    order = np.arange(n, dtype=np.int32)
    if clock == "exchange" and tape.exchange_order is not None:
        order = np.ascontiguousarray(tape.exchange_order)
    out = np.zeros((5, n), np.int64)
    address, room = 0, None
    if tape.instrument.book_log2:
        room = np.zeros(book_bytes(tape.instrument.book_log2, FAR_LOG2) + 64, np.uint8)
        address = room.ctypes.data + (-room.ctypes.data) % 64
        book_init_at(address, tape.instrument.book_log2, FAR_LOG2)
    if address:
        m = _touches_of_book(tape.events, order, address, out)
    else:
        m = _touches_of_tops(tape.events, order, out)
    stamp = "exchange_ns" if clock == "exchange" else "receive_ns"
    time_ns = tape.events[stamp][out[0, :m]] + (tape.clock_offset_ns if clock == "exchange" else 0)
    return Touches(time_ns, out[1, :m], out[2, :m], out[3, :m], out[4, :m])


@njit
def _touches_of_book(events: Any, order: Any, address: int, out: Any) -> int:
    b = book_at(address)
    m = 0
    for j in range(len(order)):
        i = order[j]
        ev = events[i]
        if ev.kind == BOOK or ev.kind == TOP:
            book_row(b, ev)
            if (ev.flag_bits & LAST) != 0:
                out[0, m] = i
                out[1, m] = b.bid_ticks
                out[2, m] = b.bid_lots
                out[3, m] = b.ask_ticks
                out[4, m] = b.ask_lots
                m += 1
    return m


@njit
def _touches_of_tops(events: Any, order: Any, out: Any) -> int:
    m = 0
    for j in range(len(order)):
        i = order[j]
        ev = events[i]
        if ev.kind == TOP:
            out[0, m] = i
            out[1, m] = ev.bid
            out[2, m] = ev.bid_qty
            out[3, m] = ev.ask
            out[4, m] = ev.ask_qty
            m += 1
    return m


def as_of(
    tapes: Sequence[Tape],
    *,
    max_age_ns: int | None,
    sane: bool | Sequence[bool] = True,
    clock: str = "receive",
) -> Aligned:
    """Legs side by side at each stamp where every leg is fresh.

    Parameters
    ----------
    max_age_ns : rows are kept where each leg's age is below this; None sets no bound (say so).
    sane : drop rows where a leg's own book is locked, crossed or one-sided; one flag for all or one a leg.
    clock : "receive" (what we could know) or "exchange" (what was true at once, up to the clocks' bounds).

    Raises ConfigError for fewer than two tapes or a bound below 1 ns.
    """
    if len(tapes) < 2:
        raise ConfigError(f"as_of: expected two tapes or more, got {len(tapes)}")
    if max_age_ns is not None and max_age_ns < 1:
        raise ConfigError(f"as_of: max_age_ns: expected 1 or more, or None for no bound, got {max_age_ns}")
    want_sane = [sane] * len(tapes) if isinstance(sane, bool) else list(sane)
    if len(want_sane) != len(tapes):
        raise ConfigError(f"as_of: sane: expected one flag or {len(tapes)}, got {len(want_sane)}")
    feeds = [touches(t, clock=clock) for t in tapes]
    union = np.unique(np.concatenate([f.time_ns for f in feeds]))
    at = np.stack([np.searchsorted(f.time_ns, union, side="right") - 1 for f in feeds], axis=1)
    seen = (at >= 0).all(axis=1)
    keep = seen.copy()
    at = np.maximum(at, 0)
    bid = np.stack([f.bid_ticks[at[:, k]] for k, f in enumerate(feeds)], axis=1)
    ask = np.stack([f.ask_ticks[at[:, k]] for k, f in enumerate(feeds)], axis=1)
    age = np.stack([union - f.time_ns[at[:, k]] for k, f in enumerate(feeds)], axis=1)
    if max_age_ns is not None:
        keep &= (age < max_age_ns).all(axis=1)
    for k, flag in enumerate(want_sane):
        if flag:
            keep &= (bid[:, k] != NO_PRICE) & (ask[:, k] != NO_PRICE) & (bid[:, k] < ask[:, k])
    row = np.flatnonzero(keep)
    next_ns = np.append(union[1:], union[-1:])[row]
    legs, ticks = tuple(t.leg for t in tapes), tuple(str(t.instrument.tick) for t in tapes)
    bounds = tuple(t.clock_bound_ns for t in tapes)
    return Aligned(
        legs, ticks, union[row], next_ns, row, bid[row], ask[row], age[row], bounds, int(seen.sum())
    )


def crossing(a: Aligned, sell: int, buy: int) -> np.ndarray:
    """bool[n]: the bid of leg `sell` stands above the ask of leg `buy` (exact in the legs' ticks)."""
    one, other = exact(a.tick[sell], "tick"), exact(a.tick[buy], "tick")
    unit = one / other
    bid, ask = a.bid_ticks[:, sell], a.ask_ticks[:, buy]
    there = (bid != NO_PRICE) & (ask != NO_PRICE)
    high = np.where(there, bid, 0) * unit.numerator > np.where(there, ask, 0) * unit.denominator
    return there & high


def cross_episodes(a: Aligned, sell: int, buy: int) -> Episodes:
    """Episodes in which leg `sell`'s bid stands above leg `buy`'s ask."""
    at = np.flatnonzero(crossing(a, sell, buy))
    depth = a.bid(sell)[at] - a.ask(buy)[at]
    if len(at) == 0:
        none = np.zeros(0, np.int64)
        return Episodes(none, none, depth, depth)
    starts = np.flatnonzero(np.diff(a.row[at], prepend=-2) != 1)
    ends = np.append(starts[1:], len(at)) - 1
    return Episodes(a.time_ns[at[starts]], a.next_ns[at[ends]], np.maximum.reduceat(depth, starts), depth)


def _price(ticks: np.ndarray, tick: str) -> np.ndarray:
    return np.where(ticks == NO_PRICE, np.nan, ticks * float(exact(tick, "tick")))
