"""Quality marks on tapes and a report of them. Marks are set at import and never repair anything."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from oneprice.core.jit import njit
from oneprice.core.records import BOOK, CLOSED_SESSION, CROSSED, LAST, NO_PRICE, PAUSED, STATUS, TOP
from oneprice.market.book import book_at, book_bytes, book_init_at, book_row, crossed
from oneprice.market.tape import KINDS, MARKS, Tape

FAR_LOG2 = 14
GAP_LEAST_NS = 60_000_000_000
GAP_STEPS = 100  # of the usual step between rows: a longer silence is a gap
BLOCK = 64  # rows looked at at once
MINUTE_NS, DAY_NS = 60_000_000_000, 86_400_000_000_000


def mark_crossed(events: np.ndarray, book_log2: int) -> int:
    """Flag CROSSED in place on the last row of each batch that leaves the venue's own book crossed or locked.

    With `book_log2 > 0` the book is that of diffs and TOP together, else TOP rows alone. Returns the count.
    """
    if book_log2 == 0:
        return int(_mark_tops(events))
    room = np.zeros(book_bytes(book_log2, FAR_LOG2) + 64, np.uint8)
    at = room.ctypes.data + (-room.ctypes.data) % 64
    book_init_at(at, book_log2, FAR_LOG2)
    return int(_mark_books(events, at))


def time_gaps(tape: Tape) -> np.ndarray:
    """Silences inside a tape that nothing explains: int64[n, 2], receive times of the rows before and behind each.

    A step longer than a minute and than 100 usual steps (the mean step of the median block of 64 rows), unless the
    line was closed or paused by its last status row, or the instrument has sessions and the step leaves one.
    """
    stamps = tape.events["receive_ns"]
    edges = np.append(stamps[:-1:BLOCK], stamps[-1:])
    if len(stamps) < 3:
        return np.zeros((0, 2), np.int64)
    usual = float(np.median(np.diff(edges[:-1]))) / BLOCK if len(edges) > 2 else float(np.median(np.diff(stamps)))
    limit = max(GAP_LEAST_NS, GAP_STEPS * usual)
    found = []
    for block in np.flatnonzero(np.diff(edges) > limit):
        part = stamps[block * BLOCK : (block + 1) * BLOCK + 1]
        found += [(int(part[i]), int(part[i + 1])) for i in np.flatnonzero(np.diff(part) > limit)]
    return np.array([gap for gap in found if not _closed(tape, gap)], np.int64).reshape(-1, 2)


def _closed(tape: Tape, gap: tuple[int, int]) -> bool:
    """Whether the line was not trading by its own word for some of a silence."""
    upto = tape.events[: int(np.searchsorted(tape.events["receive_ns"], gap[0], side="right"))]
    told = upto["value"][upto["kind"] == STATUS]
    if len(told) and int(told[-1]) in (PAUSED, CLOSED_SESSION):
        return True
    inside = False
    for opens, closes in tape.instrument.session:
        into = (gap[0] - opens * MINUTE_NS) % DAY_NS
        inside = inside or into + gap[1] - gap[0] <= (closes - opens) * MINUTE_NS
    return bool(tape.instrument.session) and not inside


def gap_warning(tape: Tape) -> str:
    """What to say of a tape's time gaps, "" without any."""
    gaps = time_gaps(tape)
    if not len(gaps):
        return ""
    spans = gaps[:, 1] - gaps[:, 0]
    first, last = gaps[int(spans.argmax())].tolist()
    count = f"{len(gaps)} gaps in time" if len(gaps) > 1 else "a gap in time"
    return (
        f"{tape.leg}: {count} without a status that explains it, the longest {(last - first) / 1e9:,.0f} s from"
        f" {first} to {last}: quotes are stale behind it, timers fire in it"
    )


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


@dataclass(frozen=True)
class Quality:
    """What is wrong with a tape, in numbers. Shares are fractions of rows unless the name says time."""

    leg: str
    rows: int
    kinds: dict[str, int]
    marks: dict[str, int]
    estimated_share: float  # rows whose exchange time was missing
    out_of_order_share: float  # rows that the exchange stamped before the row in front of them
    locked: int  # batches that leave bid = ask
    crossed: int  # batches that leave bid > ask
    crossed_time_share: float  # of the time a quote stood (up to stale_ns each), locked or crossed
    longest_silence_ns: int
    silence_from_ns: int  # receive time of the last row before it

    def rows_of_table(self) -> list[tuple[str, str]]:
        """(what, value) pairs for a table in a terminal or a report."""
        out = [("leg", self.leg), ("rows", f"{self.rows:,}")]
        out += [(f"rows: {k}", f"{n:,}") for k, n in self.kinds.items() if n]
        out += [(f"marked: {k}", f"{n:,} ({n / self.rows:.3%})") for k, n in self.marks.items() if n]
        out += [
            ("exchange time estimated", f"{self.estimated_share:.2%} of rows"),
            ("out of exchange order", f"{self.out_of_order_share:.2%} of rows"),
            ("own book locked / crossed", f"{self.locked:,} / {self.crossed:,} batches"),
            ("own book locked or crossed", f"{self.crossed_time_share:.3%} of quoted time"),
            ("longest silence", f"{self.longest_silence_ns / 1e9:.3f} s"),
        ]
        return out

    def __str__(self) -> str:
        return "\n".join(f"{name:28s} {value}" for name, value in self.rows_of_table())

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def quality(tape: Tape) -> Quality:
    """Count a tape's marks and measure its silences and its crossed time.

    A quote stands until the next batch, but at most `instrument.stale_ns`.
    """
    from oneprice.market.align import touches

    ev = tape.events
    n = len(ev)
    gaps = np.diff(ev["receive_ns"])
    worst = int(np.argmax(gaps)) if n > 1 else 0
    kinds = {name: int(np.count_nonzero(ev["kind"] == k)) for name, k in KINDS.items()}
    marks = {name: int(np.count_nonzero(ev["flag_bits"] & bit)) for name, bit in MARKS.items()}
    t = touches(tape)
    both = (t.bid_ticks != NO_PRICE) & (t.ask_ticks != NO_PRICE)
    stood = np.minimum(np.diff(t.time_ns, append=t.time_ns[-1:]), tape.instrument.stale_ns)
    bad = both & (t.bid_ticks >= t.ask_ticks)
    quoted = int(stood[both].sum())
    return Quality(
        leg=tape.leg,
        rows=n,
        kinds=kinds,
        marks=marks,
        estimated_share=marks["estimated"] / n,
        out_of_order_share=marks["backward"] / n,
        locked=int(np.count_nonzero(both & (t.bid_ticks == t.ask_ticks))),
        crossed=int(np.count_nonzero(both & (t.bid_ticks > t.ask_ticks))),
        crossed_time_share=int(stood[bad].sum()) / quoted if quoted else 0.0,
        longest_silence_ns=int(gaps[worst]) if n > 1 else 0,
        silence_from_ns=int(ev["receive_ns"][worst]),
    )
