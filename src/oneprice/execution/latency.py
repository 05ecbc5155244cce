"""Latencies of the order path and the floor that a feed latency must not fall below.

Entry is decision to venue, response is venue to us. An order session is one ordered stream each way: neither
a later command nor a later answer overtakes an earlier one of the same leg (the exchange enforces that).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.jit import njit

TABLE_WORDS = 3  # (time, entry, response), all ns

BLOCK = 1 << 18  # rows looked at together


class Latency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Order latencies of one leg, nanoseconds; a measured table replaces the constants when given.

    `cancel_entry_ns` and `cancel_response_ns` apply to CANCEL (-1: as for other commands). `table` holds
    (time_ns, entry_ns, response_ns) rows in time order, interpolated linearly and held flat outside.
    """

    entry_ns: int
    response_ns: int
    cancel_entry_ns: int = -1
    cancel_response_ns: int = -1
    table: tuple[tuple[int, int, int], ...] = ()

    def __post_init__(self) -> None:
        for name in ("entry_ns", "response_ns"):
            if getattr(self, name) < 0:
                raise ConfigError(f"latency.{name}: expected ns >= 0, got {getattr(self, name)}")
        for name in ("cancel_entry_ns", "cancel_response_ns"):
            if getattr(self, name) < -1:
                raise ConfigError(f"latency.{name}: expected >= -1, got {getattr(self, name)}")
        for i, (at, entry, response) in enumerate(self.table):
            if entry < 0 or response < 0:
                raise ConfigError(f"latency.table[{i}]: expected >= 0, got {entry}, {response}")
            if i and at <= self.table[i - 1][0]:
                raise ConfigError(f"latency.table[{i}]: expected a time > {self.table[i - 1][0]}, got {at}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a manifest."""
        out: dict[str, Any] = msgspec.to_builtins(self)
        return out

    def rows(self) -> np.ndarray:
        """The measured table as int64 (n, 3); n = 0 for constant latencies."""
        return np.array(self.table, np.int64).reshape(-1, TABLE_WORDS)

    def least_entry_ns(self) -> int:
        """The shortest any command can take."""
        least = min(r[1] for r in self.table) if self.table else self.entry_ns
        return least if self.cancel_entry_ns < 0 else min(least, self.cancel_entry_ns)

    def least_response_ns(self) -> int:
        """The shortest any answer can take."""
        least = min(r[2] for r in self.table) if self.table else self.response_ns
        return least if self.cancel_response_ns < 0 else min(least, self.cancel_response_ns)


def constant(
    entry_us: float, response_us: float, *, cancel_entry_us: float = -1.0, cancel_response_us: float = -1.0
) -> Latency:
    """Constant latencies in microseconds; negative ones are refused (cancel: -1 means as for others)."""

    def ns(name: str, us: float) -> int:
        if not np.isfinite(us) or (us < 0 and us != -1.0) or (us < 0 and not name.startswith("cancel")):
            raise ConfigError(f"latency {name}: expected 0 or more microseconds, got {us}")
        return -1 if us < 0 else round(us * 1000)

    return Latency(
        ns("entry_us", entry_us),
        ns("response_us", response_us),
        ns("cancel_entry_us", cancel_entry_us),
        ns("cancel_response_us", cancel_response_us),
    )


def measured(path: str | Path) -> Latency:
    """Latencies from an npz of int64 `time_ns`, `entry_ns`, `response_ns`, one length, in time order."""
    file = Path(path)
    if not file.is_file():
        raise ConfigError(f"latency: expected an npz file, found none at {file}")
    with np.load(file, allow_pickle=False) as arrays:
        missing = [k for k in ("time_ns", "entry_ns", "response_ns") if k not in arrays]
        if missing:
            raise DataError(f"{file}: expected time_ns, entry_ns, response_ns; missing {', '.join(missing)}")
        columns = [arrays[k].astype(np.int64) for k in ("time_ns", "entry_ns", "response_ns")]
    if len({len(c) for c in columns}) != 1 or len(columns[0]) == 0:
        raise DataError(f"{file}: expected three arrays of one length > 0, got {[len(c) for c in columns]}")
    table = np.stack(columns, axis=1)
    bad = np.flatnonzero((table[:, 1] < 0) | (table[:, 2] < 0))
    if len(bad):
        raise DataError(f"{file}: row {bad[0]}: expected latencies >= 0, got {table[bad[0], 1:].tolist()}")
    middle = np.median(table[:, 1:], axis=0).astype(np.int64)
    return Latency(int(middle[0]), int(middle[1]), table=tuple((int(a), int(b), int(c)) for a, b, c in table))


@njit
def interpolate(table: Any, column: int, at_ns: int) -> int:
    """Column 1 (entry) or 2 (response) of a measured table at a time; flat outside its ends."""
    n = len(table)
    if at_ns <= table[0, 0]:
        return table[0, column]
    if at_ns >= table[n - 1, 0]:
        return table[n - 1, column]
    low, high = 0, n - 1
    while high - low > 1:
        middle = (low + high) >> 1
        if table[middle, 0] <= at_ns:
            low = middle
        else:
            high = middle
    share = (at_ns - table[low, 0]) / (table[high, 0] - table[low, 0])
    return table[low, column] + int(share * (table[high, column] - table[low, column]))


def check_feed_latency(events: np.ndarray, clock_offset_ns: int, floor_ns: int, *, leg: str = "leg") -> int:
    """The shortest corrected feed latency, `receive_ns - (exchange_ns + clock_offset_ns)`, of a tape's rows.

    Raises DataError when any is below `floor_ns`: a simulation would see data before the venue had them.
    """
    n_stamped, n_below, least = 0, 0, None
    for start in range(0, len(events), BLOCK):  # block by block: a tape may be as large as memory
        part = events[start : start + BLOCK]
        late = (part["receive_ns"] - part["exchange_ns"])[part["exchange_ns"] > 0] - clock_offset_ns
        if len(late):
            n_stamped += len(late)
            n_below += int(np.count_nonzero(late < floor_ns))
            least = int(late.min()) if least is None else min(least, int(late.min()))
    if least is None:
        raise DataError(f"{leg}: expected rows with an exchange time, found none in {len(events)}")
    if least < floor_ns:
        raise DataError(
            f"{leg}: feed latency: expected at least {floor_ns} ns after correction by clock_offset_ns ="
            f" {clock_offset_ns}, got {n_below} of {n_stamped} rows below, least {least} ns;"
            f" estimate the clock offset of this venue (at most {clock_offset_ns + least - floor_ns})"
            " or lower the floor"
        )
    return least
