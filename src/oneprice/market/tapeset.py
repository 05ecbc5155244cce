"""Several legs opened together: the unit that replay, audit and sweep work on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import msgspec

from oneprice.core.errors import ConfigError, DataError, unknown_name
from oneprice.market.tape import Tape, digest_of, exchange_order_of, join_events, leg_folder, read_tape


@dataclass(frozen=True)
class TapeSet:
    """Tapes of different legs, in leg order."""

    tapes: tuple[Tape, ...]

    def __post_init__(self) -> None:
        legs = [t.leg for t in self.tapes]
        if not legs:
            raise ConfigError("tape set: expected at least one tape, got none")
        twice = sorted({leg for leg in legs if legs.count(leg) > 1})
        if twice:
            raise ConfigError(f"tape set: expected different legs, {', '.join(twice)} came more than once")

    def __iter__(self) -> Iterator[Tape]:
        return iter(self.tapes)

    def __len__(self) -> int:
        return len(self.tapes)

    def __getitem__(self, leg: int | str) -> Tape:
        """A tape by position or by its `venue:symbol`."""
        if isinstance(leg, int):
            return self.tapes[leg]
        for tape in self.tapes:
            if tape.leg == leg:
                return tape
        raise unknown_name("leg", leg, self.legs)

    @property
    def legs(self) -> list[str]:
        return [t.leg for t in self.tapes]

    @property
    def n_events(self) -> int:
        return sum(len(t) for t in self.tapes)

    @property
    def digests(self) -> dict[str, str]:
        return {t.leg: t.digest for t in self.tapes}

    @property
    def period_ns(self) -> tuple[int, int]:
        """First and last receive stamp over all legs."""
        first = min(int(t.events["receive_ns"][0]) for t in self.tapes)
        return first, max(int(t.events["receive_ns"][-1]) for t in self.tapes)

    @property
    def period(self) -> str:
        stamps = [
            datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S") for ns in self.period_ns
        ]
        return f"{stamps[0]} to {stamps[1]} UTC"


def list_legs(folder: str | Path) -> dict[str, list[str]]:
    """Legs below a folder and the days of each."""
    found: dict[str, list[str]] = {}
    for book in sorted(Path(folder).glob("*/manifest.json")):
        try:
            text = msgspec.json.decode(book.read_bytes())
            found[text["leg"]] = sorted(text["days"])
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
            raise DataError(f"{book}: not a manifest ({error}); import the source again") from error
    return found


def open_tapes(
    folder: str | Path,
    legs: Sequence[str] | None = None,
    days: str | Sequence[str] | None = None,
    *,
    verify: bool = True,
) -> TapeSet:
    """Open written tapes as one set.

    Parameters
    ----------
    folder : where `oneprice import` wrote.
    legs : `venue:symbol` names in the order wanted; None takes all, sorted.
    days : `"2024-08-08"`, `"2024-08-08..2024-08-12"` (both ends included) or a list; None takes all.
    verify : check digests and order of every row.

    Several days of one leg are joined in memory; one day stays memory-mapped.

    Raises
    ------
    ConfigError : an unknown leg. DataError : no tape for a leg in these days, or a tape that is not valid.
    """
    known = list_legs(folder)
    if not known:
        raise DataError(
            f"{folder}: expected legs with a manifest.json, found none; run `oneprice import` first"
        )
    chosen = list(legs) if legs is not None else sorted(known)
    tapes = []
    for leg in chosen:
        if leg not in known:
            raise unknown_name("leg", leg, sorted(known))
        mine = [d for d in known[leg] if _wanted(d, days)]
        if not mine:
            raise DataError(f"{leg}: no tape for days {days!r}; there are {', '.join(known[leg])}")
        home = leg_folder(folder, leg)
        tapes.append(_join([read_tape(home / f"{d}.ev", verify=verify) for d in mine]))
    return TapeSet(tuple(tapes))


def _wanted(day: str, days: str | Sequence[str] | None) -> bool:
    if days is None:
        return True
    if not isinstance(days, str):
        return day in days
    first, found, last = days.partition("..")
    return first <= day <= (last if found else first)


def _join(tapes: list[Tape]) -> Tape:
    """Days of one leg as one tape; the clock is the widest that covers each day's."""
    if len(tapes) == 1:
        return tapes[0]
    for a, b in pairwise(tapes):
        if a.instrument != b.instrument:
            raise DataError(f"{b.path}: the instrument differs from that of {a.path}; open these days apart")
        if b.events["receive_ns"][0] < a.events["receive_ns"][-1]:
            raise DataError(f"{b.path}, row 0, receive_ns: starts before {a.path} ends")
    events = join_events([t.events for t in tapes])
    low = min(t.clock_offset_ns - t.clock_bound_ns for t in tapes)
    offset = min(t.clock_offset_ns for t in tapes)
    bound = max(offset - low, max(t.clock_offset_ns + t.clock_bound_ns for t in tapes) - offset)
    head = tapes[0]
    return Tape(
        head.instrument, events, offset, bound, exchange_order_of(events), digest_of(events), head.header
    )
