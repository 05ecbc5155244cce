"""A tape as bars of time: change of the mid, order flow imbalance (best and by level), trades and depth of each bar.

A bar takes in what was received in [start, start + bar_s); its price change is from the last mid before it (the first
bar: from the first mid, if none is before it) to its last mid. Bars start at the first touch unless `origin_ns` says
otherwise; with bars of a second and some hundred of them the origin alone moves an R^2 by several hundredths, so it is
part of a result.

The touch is that of TOP rows where the tape has any (`source="top"`), else of the book after each whole batch.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.jit import njit
from oneprice.core.records import BOOK, CLEAR, GAP, LAST, NO_PRICE, TOP, TRADE, record
from oneprice.features.levels import book_levels
from oneprice.features.mlofi import forget, mlofi_state
from oneprice.features.mlofi import step as mlofi_step
from oneprice.market.align import touches
from oneprice.market.book import book_at, book_bytes, book_init_at, book_row
from oneprice.market.quality import FAR_LOG2
from oneprice.market.tape import Tape, leg_name

SOURCES = ("auto", "top", "book")
NO_DECAY_S = 1.0  # the decayed flow is not read here
MAX_BARS = 10_000_000
SETTINGS = record(
    [
        ("origin_ns", "i8"),
        ("bar_ns", "i8"),
        ("from_top", "i8"),
        ("tick", "f8"),
        ("lot", "f8"),
        ("book", "i8"),  # address
        ("first_mid2", "i8"),  # doubled mid of the last good touch before the bars, else of the first
    ]
)


class FlowBars(msgspec.Struct, frozen=True):
    """Arrays over n bars; quantities in underlying units (inverse contracts: lots), prices in ticks."""

    leg: str
    source: str
    bar_s: float
    start_ns: np.ndarray  # int64[n]
    move: np.ndarray  # float64[n] change of the mid, ticks; NaN while there was no touch yet
    ofi: np.ndarray  # float64[n] at the best
    level_ofi: np.ndarray  # float64[n, L]; column 0 is `ofi`
    trade_flow: np.ndarray  # float64[n] buys less sells
    volume: np.ndarray  # float64[n]
    depth: np.ndarray  # float64[n] mean of both queues at the touch over its changes; NaN where none came
    events: np.ndarray  # int64[n] changes of the touch
    trades: np.ndarray  # int64[n]
    skipped: int  # touches that were missing a side, empty, locked or crossed

    def __len__(self) -> int:
        return len(self.start_ns)


@njit
def _fill(events: Any, use: Any, states: Any, row: Any, out: Any, flow: Any) -> int:
    """One pass; out[:, bar]: mid2 at the end, trade flow, volume, sum of depth, events, trades. Skipped touches."""
    s = states[0]
    u = use[0]
    b = book_at(u.book)
    skipped = 0
    levels = len(s.flow)
    for i in range(len(events)):
        ev = events[i]
        bar = (ev.receive_ns - u.origin_ns) // u.bar_ns
        if ev.kind == BOOK:
            book_row(b, ev)
            if ev.flag_bits & (CLEAR | GAP) != 0:
                forget(s)
        if bar >= out.shape[1]:
            break
        if ev.kind == TRADE:
            if ev.qty > 0 and ev.side != 0 and bar >= 0:
                out[1, bar] += ev.side * ev.qty * u.lot
                out[2, bar] += ev.qty * u.lot
                out[5, bar] += 1
            continue
        if u.from_top != 0:
            if ev.kind != TOP:
                continue
            row[0] = np.nan if ev.bid == NO_PRICE else ev.bid * u.tick
            row[1] = np.nan if ev.ask == NO_PRICE else ev.ask * u.tick
            row[2] = ev.bid_qty * u.lot
            row[3] = ev.ask_qty * u.lot
            mid2 = ev.bid + ev.ask
        else:
            if ev.kind != BOOK or ev.flag_bits & LAST == 0:
                continue
            book_levels(b, u.tick, u.lot, row)
            mid2 = b.bid_ticks + b.ask_ticks
        before = s.n
        mlofi_step(s, ev.receive_ns, row, NO_DECAY_S, 1.0)
        if s.n == before:
            skipped += 1
            continue
        if bar < 0 or before == 0:
            u.first_mid2 = mid2
        if bar < 0:
            continue
        out[0, bar] = mid2
        out[3, bar] += 0.5 * (row[2] + row[3])
        out[4, bar] += 1
        for m in range(levels):
            flow[bar, m] += s.event[m]
    return skipped


def _chosen(tape: Tape, source: str, where: str) -> bool:
    """Whether the touch is that of TOP rows."""
    if source not in SOURCES:
        raise ConfigError(f"{where}: expected source one of {', '.join(SOURCES)}, got {source!r}")
    kinds = tape.events["kind"]
    top, book = bool((kinds == TOP).any()), bool((kinds == BOOK).any())
    if (source == "top" and not top) or (source == "book" and not book) or not (top or book):
        raise DataError(f"{where}: expected {'quotes' if source == 'auto' else source} rows, the tape has none")
    return top if source == "auto" else source == "top"


def flow_bars(
    tape: Tape, *, bar_s: float = 1.0, source: str = "auto", levels: int = 1, origin_ns: int | None = None
) -> FlowBars:
    """Bars of a tape.

    Parameters
    ----------
    tape : any tape with quotes. bar_s : seconds. source : top, book, or auto (top where there is any).
    levels : levels of flow; more than 1 needs the book. origin_ns : start of the first bar, default: the first touch.

    Raises
    ------
    ConfigError
        A bar that is not positive, an unknown source, levels of a touch-only source.
    DataError
        No quotes in the tape, or more than 10 million bars.
    """
    where = f"flow_bars {leg_name(tape.instrument)}"
    bar_ns = round(bar_s * 1e9)
    if bar_ns < 1:
        raise ConfigError(f"{where}: expected bar_s > 0, got {bar_s}")
    from_top = _chosen(tape, source, where)
    if from_top and levels != 1:
        raise ConfigError(f"{where}: expected source 'book' for {levels} levels, got top of book")
    ev = tape.events
    quotes = np.flatnonzero(ev["kind"] == (TOP if from_top else BOOK))
    origin = int(ev["receive_ns"][quotes[0]]) if origin_ns is None else int(origin_ns)
    last = int(ev["receive_ns"][quotes[-1]])
    n = (last - origin) // bar_ns + 1
    if not 1 <= n <= MAX_BARS:
        raise DataError(f"{where}: expected 1 to {MAX_BARS:,} bars from origin_ns to the last quote, got {n:,}")
    t = tape.instrument
    width = t.book_log2 or 12
    room = np.zeros(book_bytes(width, FAR_LOG2) + 64, np.uint8)
    use = np.zeros(1, SETTINGS)
    address = room.ctypes.data + (-room.ctypes.data) % 64
    use[0] = (origin, bar_ns, int(from_top), float(t.tick), float(t.lot) * float(t.multiplier), address, 0)
    book_init_at(address, width, FAR_LOG2)
    out, flow = np.zeros((6, n)), np.zeros((n, levels))
    out[0] = np.nan
    skipped = _fill(ev, use, np.zeros(1, mlofi_state(levels)), np.zeros(4 * levels), out, flow)
    if not np.isfinite(out[0]).any():
        raise DataError(f"{where}: no touch with both sides, quantities and a spread in {len(quotes):,} quotes")
    counts, move = out[4], _moves(out[0], int(use["first_mid2"][0]))
    with np.errstate(invalid="ignore", divide="ignore"):
        depth = np.where(counts > 0, out[3] / counts, np.nan)
    return FlowBars(
        leg=leg_name(t), source="top" if from_top else "book", bar_s=float(bar_s),
        start_ns=origin + bar_ns * np.arange(n), move=move, ofi=flow[:, 0].copy(), level_ofi=flow,
        trade_flow=out[1], volume=out[2], depth=depth, events=counts.astype(np.int64), trades=out[5].astype(np.int64),
        skipped=int(skipped),
    )  # fmt: skip


def _moves(mid2: np.ndarray, first: int) -> np.ndarray:
    """Change of the mid by bar, ticks, the first from `first`; a bar without a touch keeps the last mid."""
    at = np.where(np.isfinite(mid2), np.arange(len(mid2)), -1)
    at = np.maximum.accumulate(at)
    held = np.where(at >= 0, mid2[np.maximum(at, 0)], np.nan)
    start = int(np.argmax(at >= 0))
    out = np.diff(held, prepend=np.nan) * 0.5
    out[start] = 0.5 * (held[start] - first)
    return out


class TouchColumns(msgspec.Struct, frozen=True):
    """Best quotes after each batch, float64[n], NaN (quantity 0) where a side is empty; times of receipt."""

    time_ns: np.ndarray
    bid: np.ndarray
    ask: np.ndarray
    bid_qty: np.ndarray
    ask_qty: np.ndarray
    tick: float

    @property
    def mid(self) -> np.ndarray:
        return self.bid + 0.5 * (self.ask - self.bid)


def touch_columns(tape: Tape, *, source: str = "auto") -> TouchColumns:
    """Best quotes of a tape in its quote currency and lots as underlying units (inverse: contract values).

    source: `top`, `book` or `auto` as for `flow_bars`; the book of `book` is that of diffs and TOP together.
    """
    where = f"touch_columns {leg_name(tape.instrument)}"
    t = tape.instrument
    if _chosen(tape, source, where):
        ev = tape.events[tape.events["kind"] == TOP]
        columns = (ev["receive_ns"], ev["bid"], ev["bid_qty"], ev["ask"], ev["ask_qty"])
    else:
        found = touches(tape)
        columns = (found.time_ns, found.bid_ticks, found.bid_lots, found.ask_ticks, found.ask_lots)
    lot = float(t.lot) * float(t.multiplier)
    prices = [np.where(c == NO_PRICE, np.nan, c * float(t.tick)) for c in (columns[1], columns[3])]
    sizes = [
        np.where(p == NO_PRICE, 0.0, q * lot) for p, q in ((columns[1], columns[2]), (columns[3], columns[4]))
    ]
    return TouchColumns(
        np.ascontiguousarray(columns[0]), prices[0], prices[1], sizes[0], sizes[1], float(t.tick)
    )
