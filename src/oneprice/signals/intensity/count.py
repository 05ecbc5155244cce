"""Arrivals at depth, counted from touches and trades of a tape.

An arrival is one aggressive order: prints on one side that follow each other within `join_ns` are one, however many
resting orders it met. Its reach is the distance from the mid BEFORE it (the last touch stamped strictly earlier) to the
deepest price it printed. Reaches are whole half ticks: with an even spread the mid is on the grid, with an odd one
between. So a level at h half ticks exists only while the spread s (in ticks, which is the half spread in half ticks)
has the parity of h and s <= h; that time is its exposure. Counting in ticks of a mid that is not on the grid, or giving
distances inside the spread the exposure of the whole tape, is where such fits go wrong: nothing can rest nearer than
the touch without becoming it, and the rate there is flat.

Both sides are pooled: exposure is twice the time, A is the rate of one side.
"""

from __future__ import annotations

import msgspec
import numpy as np

from oneprice.core.errors import DataError
from oneprice.core.records import NO_PRICE

BLOCKS = 20  # of equal time, for errors that know of clustering
MAX_HALF_TICKS = 20_000  # reaches beyond are counted as so deep
JOIN_NS = 1_000_000


class Counts(msgspec.Struct, frozen=True):
    """Arrivals of a tape with their reaches, and how long each distance was exposed. One row an arrival."""

    half_tick: float  # quote currency
    at_ns: np.ndarray
    side: np.ndarray  # 1: a buyer came, asks were hit; -1
    reach: np.ndarray  # half ticks from the mid before it
    spread: np.ndarray  # ticks before it
    exposure_s: np.ndarray  # [blocks, longest reach + 4] seconds, both sides, by half ticks
    block: np.ndarray  # of each arrival
    prints: int  # trades that made the arrivals
    unmatched: int  # arrivals before the first touch, or on a one-sided or crossed one
    seconds: float  # watched

    @property
    def inside(self) -> int:
        """Arrivals that printed nearer to the mid than the touch before them: the touch had moved meanwhile."""
        return int((self.reach < self.spread).sum())


def count_arrivals(
    touch_ns: np.ndarray,
    bid_ticks: np.ndarray,
    ask_ticks: np.ndarray,
    trade_ns: np.ndarray,
    trade_ticks: np.ndarray,
    trade_side: np.ndarray,
    *,
    tick: float,
    join_ns: int = JOIN_NS,
    blocks: int = BLOCKS,
) -> Counts:
    """Count the arrivals of one tape.

    Parameters
    ----------
    touch_ns, bid_ticks, ask_ticks : touches in time order (exchange time), NO_PRICE where a side is missing; a touch
        stands until the next.
    trade_ns, trade_ticks, trade_side : prints, in any order; side of the aggressor, 1 or -1.
    tick : quote currency a tick.

    Raises
    ------
    DataError
        Shapes differ, touches out of order, fewer than two touches, no prints, or a side that is neither.
    """
    _check(touch_ns, bid_ticks, ask_ticks, trade_ns, trade_ticks, trade_side)
    first, last = int(touch_ns[0]), int(touch_ns[-1])
    good = (bid_ticks != NO_PRICE) & (ask_ticks != NO_PRICE) & (ask_ticks > bid_ticks)
    spread = np.where(good, ask_ticks - bid_ticks, 0)
    inside = (trade_ns > first) & (trade_ns <= last)
    at, side, deepest = _bursts(trade_ns[inside], trade_ticks[inside], trade_side[inside], join_ns)
    before = np.searchsorted(touch_ns, at, side="left") - 1
    known = (before >= 0) & good[np.maximum(before, 0)]
    unmatched = int((~known).sum())
    at, side, deepest, before = at[known], side[known], deepest[known], before[known]
    mid2 = bid_ticks[before] + ask_ticks[before]
    reach = np.minimum(side * (2 * deepest - mid2), MAX_HALF_TICKS)
    exposure = _exposure(touch_ns, spread, int(max(reach.max(initial=0), 0)) + 3, blocks)
    width = max((last - first) / blocks, 1.0)
    block = np.minimum(((at - first) / width).astype(np.int64), blocks - 1)
    return Counts(
        0.5 * tick, at, side, reach, spread[before], exposure, block, int(inside.sum()), unmatched,
        1e-9 * (last - first),
    )  # fmt: skip


def _check(
    touch_ns: np.ndarray, bid: np.ndarray, ask: np.ndarray, trade_ns: np.ndarray, price: np.ndarray, side: np.ndarray
) -> None:
    if not (touch_ns.shape == bid.shape == ask.shape and touch_ns.ndim == 1 and len(touch_ns) >= 2):
        raise DataError(f"arrivals: expected two or more touches in arrays of one shape, got {touch_ns.shape}")
    if not (trade_ns.shape == price.shape == side.shape and trade_ns.ndim == 1):
        raise DataError(f"arrivals: expected prints in arrays of one shape, got {trade_ns.shape} and {price.shape}")
    if len(trade_ns) == 0:
        raise DataError("arrivals: expected prints, got none: a tape without trades says nothing of arrivals")
    back = np.flatnonzero(np.diff(touch_ns) < 0)
    if len(back):
        raise DataError(f"arrivals: touch {int(back[0]) + 1}: time goes back; sort touches by exchange time")
    if not np.isin(side, (-1, 1)).all():
        raise DataError("arrivals: side of a print: expected 1 (a buyer came) or -1, got another")


def _bursts(at: np.ndarray, price: np.ndarray, side: np.ndarray, join_ns: int) -> tuple[np.ndarray, ...]:
    """(first stamp, side, deepest price) of each aggressive order, in time order."""
    parts = []
    for sign, deepest in ((1, np.maximum), (-1, np.minimum)):
        mine = np.flatnonzero(side == sign)
        mine = mine[np.argsort(at[mine], kind="stable")]
        if len(mine) == 0:
            continue
        starts = np.flatnonzero(np.append(True, np.diff(at[mine]) > join_ns))
        parts.append((at[mine][starts], np.full(len(starts), sign), deepest.reduceat(price[mine], starts)))
    if not parts:
        none = np.zeros(0, np.int64)
        return none, none, none
    stamps, sides, prices = (np.concatenate(c) for c in zip(*parts, strict=True))
    order = np.argsort(stamps, kind="stable")
    return stamps[order], sides[order], prices[order]


def _exposure(touch_ns: np.ndarray, spread: np.ndarray, longest: int, blocks: int) -> np.ndarray:
    """Seconds, both sides, by block and half ticks 0..longest (spread 0: no two-sided book, no exposure)."""
    first, last = int(touch_ns[0]), int(touch_ns[-1])
    edges = first + np.linspace(0.0, float(last - first), blocks + 1).astype(np.int64)
    out = np.zeros((blocks, longest + 1))
    counted = (spread > 0) & (spread <= longest)
    for i in range(blocks):
        a, b = edges[i], edges[i + 1]
        begin = np.clip(touch_ns[:-1], a, b)
        end = np.clip(touch_ns[1:], a, b)
        seconds = 2e-9 * (end - begin)
        use = counted[:-1] & (seconds > 0.0)
        out[i] = np.bincount(spread[:-1][use], weights=seconds[use], minlength=longest + 1)
    for parity in (0, 1):
        out[:, parity::2] = np.cumsum(out[:, parity::2], axis=1)
    return out
