"""Recorded order messages to a tape: the table run over them, a warm-up dropped, troubles noted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.instruments import Instrument
from oneprice.core.records import ESTIMATED
from oneprice.market.header import Header
from oneprice.market.importers.build import mark_backward, note
from oneprice.market.orders.feed import rows_of, snapshot_rows
from oneprice.market.orders.table import Orders, incidents_of, new_orders, troubles_of
from oneprice.market.quality import mark_crossed
from oneprice.market.tape import Tape, join_events, make_tape


@dataclass(frozen=True)
class Recorded:
    """A source's messages in its order; the first `n_snapshot` are the book it begins with."""

    messages: np.ndarray  # MESSAGE[n]
    where: str
    n_snapshot: int = 0


def tape_of(
    recorded: Recorded,
    instrument: Instrument,
    *,
    header: Header,
    hold_ns: int = -1,
    warmup_s: float = 0.0,
    notes: dict[str, int] | None = None,
) -> Tape:
    """The tape of recorded messages; see `tape_and_orders`."""
    return tape_and_orders(recorded, instrument, header=header, hold_ns=hold_ns, warmup_s=warmup_s, notes=notes)[0]


def tape_and_orders(
    recorded: Recorded,
    instrument: Instrument,
    *,
    header: Header,
    hold_ns: int = -1,
    warmup_s: float = 0.0,
    notes: dict[str, int] | None = None,
) -> tuple[Tape, Orders]:
    """The tape of recorded messages, and the table as it stands after the last.

    `warmup_s`: rows of the first seconds are dropped, and the tape begins with a snapshot of the orders known then
    (not where the source begins with a snapshot itself). `hold_ns`: see `new_orders`. For each trouble `notes` gets
    its count, and `<trouble>_first_line` the line of the source that had it first.
    """
    if not np.isfinite(warmup_s) or warmup_s < 0:
        raise ConfigError(f"warmup_s: expected 0 or more seconds, got {warmup_s}")
    if instrument.book_log2 == 0:
        raise ConfigError(f"{instrument.symbol}: order messages need a depth book: set book_log2 to 8 or more")
    m = recorded.messages
    orders = new_orders(max(1024, recorded.n_snapshot), hold_ns=hold_ns)
    first = 0
    start_ns = int(m["receive_ns"][0]) + round(warmup_s * 1e9)
    parts = []
    if warmup_s > 0 and recorded.n_snapshot == 0:
        first = int(np.searchsorted(m["receive_ns"], start_ns))
        orders, dropped = rows_of(orders, m[:first])
        note(notes, "warmup_rows_dropped", len(dropped))
        parts = [snapshot_rows(orders, start_ns, start_ns, int(m["flag_bits"][0]) & ESTIMATED)]
    orders, rows = rows_of(orders, m[first:])
    events = join_events([*parts, rows])
    if len(rows) == 0:
        raise DataError(
            f"{recorded.where}: no row is left after the first {warmup_s:g} s; lower warmup_s, or record longer"
        )
    note_troubles(orders, notes)
    note(notes, "backward", mark_backward(events))
    note(notes, "crossed", mark_crossed(events, instrument.book_log2))
    return make_tape(instrument, events, header=header), orders


def note_troubles(orders: Orders, notes: dict[str, int] | None) -> None:
    """Counts of what was wrong with messages, and the line of the first of each."""
    for name, n in troubles_of(orders).items():
        note(notes, name, n)
        rows = incidents_of(orders, name)
        if len(rows):
            note(notes, f"{name}_first_line", int(rows["line"][0]))
