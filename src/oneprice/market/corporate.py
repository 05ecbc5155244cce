"""What happens to a line beside its trading: dividends, borrow fees, short bans and halts, as rows of its tape.

Each function returns a new tape with rows added in front of all rows received at the same time: whoever holds the
line as the ex-date begins is paid, and a ban is in force before the first quote of its day. The rows are ordinary
events: they have a digest, are journalled by reference and replayed like quotes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.instruments import Number, exact
from oneprice.core.records import (
    BORROW,
    DIVIDEND,
    EVENT,
    LAST,
    NO_PRICE,
    NO_SHORT,
    OPEN,
    PAUSED,
    STATUS,
)
from oneprice.market.tape import Tape, digest_of, exchange_order_of, join_events

DAY_NS = 86_400_000_000_000
E12 = 10**12
LAST_WORD = 2**62  # of a rate or an amount


def day_ns(text: str) -> int:
    """Midnight UTC of a date `YYYY-MM-DD`, in ns since 1970."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise ConfigError(f"date {text!r}: expected YYYY-MM-DD") from None
    return int(day.timestamp()) * 1_000_000_000


# SEC release 34-58592: no short sales of some 800 financial stocks from 2008-09-19 to 2008-10-08, both included
US_SHORT_BAN_2008_NS = (day_ns("2008-09-19"), day_ns("2008-10-09"))


def with_dividends(tape: Tape, dividends: Sequence[tuple[int, Number]]) -> Tape:
    """The tape with a DIVIDEND row a dividend.

    Parameters
    ----------
    dividends : (ex_ns, amount) pairs: when the line begins to trade without it, and the amount a unit of underlying
        in the quote currency (a share's dividend, rounded to 1e-12 ticks). Longs are paid and shorts charged as that
        time comes. On prices that are adjusted for dividends already they would count twice: a tape does not know.

    Raises
    ------
    ConfigError
        An amount that is not above 0, or beyond 4.6 million ticks; an inverse contract.
    DataError
        An ex-date outside the tape, which would be dropped in silence otherwise.
    """
    where = f"dividends of {tape.leg}"
    if tape.instrument.contract != "linear":
        raise ConfigError(f"{where}: an inverse contract pays none")
    rows = _rows(tape, len(dividends), DIVIDEND)
    tick = exact(tape.instrument.tick, f"{where}: tick")
    for row, (at_ns, amount) in zip(rows, dividends, strict=True):
        value = exact(amount, f"{where} at {at_ns}")
        if value <= 0:
            raise ConfigError(f"{where} at {at_ns}: expected more than 0, got {amount}")
        row["ticks_e12"] = _word(value / tick * E12, f"{where} at {at_ns}: {amount} in ticks")
        row["receive_ns"] = _inside(tape, at_ns, where)
    return _with_rows(tape, rows)


def with_borrow(
    tape: Tape, rate_bp_year: Number, calendar: Sequence[int] | np.ndarray | None = None, *, year_days: int = 360
) -> Tape:
    """The tape with BORROW rows: shorts pay `rate_bp_year` basis points of their notional a year, day by day.

    Parameters
    ----------
    calendar : receive times of the charges, rising; the first only begins the count. None: the first row of each UTC
        day that has rows, so a weekend costs three days on Monday.
    year_days : days of a year of interest; 360 is what US and most European desks charge on, 365 sterling's.

    The rate of a charge is `rate / year_days * elapsed days`, rounded to 1e-12. A rate that changes is several calls
    with calendars that meet. Raises ConfigError for a rate below 0, a calendar that does not rise or leaves the tape.
    """
    where = f"borrow of {tape.leg}"
    rate = exact(rate_bp_year, f"{where}: rate_bp_year")
    if rate < 0:
        raise ConfigError(f"{where}: expected a rate of 0 or more, got {rate_bp_year}")
    if year_days < 1:
        raise ConfigError(f"{where}: year_days: expected 1 or more, got {year_days}")
    stamps = tape.events["receive_ns"]
    if calendar is None:
        first = np.flatnonzero(np.diff(stamps // DAY_NS, prepend=stamps[0] // DAY_NS - 1))
        calendar = stamps[first]
        counted = np.asarray(calendar) // DAY_NS * DAY_NS  # whole days, whatever the hour of the first row
    else:
        counted = np.asarray(calendar, np.int64)
    if len(counted) < 1 or (np.diff(counted) <= 0).any():
        raise ConfigError(f"{where}: calendar: expected rising times, at least one, got {list(calendar)[:4]}")
    rows = _rows(tape, len(counted) - 1, BORROW)
    rows["mark"] = NO_PRICE
    for i, row in enumerate(rows):
        passed = int(counted[i + 1]) - int(counted[i])
        row["rate_e12"] = round(rate / 10_000 / year_days * Fraction(passed, DAY_NS) * E12)
        row["interval_ns"] = passed
        row["receive_ns"] = _inside(tape, int(calendar[i + 1]), where)
    return _with_rows(tape, rows)


def with_status(tape: Tape, windows: Sequence[tuple[int, int]], trading: int = NO_SHORT) -> Tape:
    """The tape with a trading status in force from the start of each window to its end (receive times).

    `trading` is NO_SHORT (a short ban: what shortens a long goes through, a new short is refused as `short_ban`) or
    PAUSED. Where the tape itself says that the line is closed it stays closed; where it says that it opens inside a
    window it opens as `trading`. Raises ConfigError for windows that are empty or overlap, DataError for one that
    the tape does not reach.
    """
    if trading not in (NO_SHORT, PAUSED):
        raise ConfigError(f"status of {tape.leg}: expected NO_SHORT ({NO_SHORT}) or PAUSED ({PAUSED}), got {trading}")
    events = tape.events
    spans = sorted((int(a), int(b)) for a, b in windows)
    for i, (start, end) in enumerate(spans):
        if end <= start or (i and start < spans[i - 1][1]):
            raise ConfigError(f"status of {tape.leg}: expected windows that end after they start, apart, got {spans}")
        if start > events["receive_ns"][-1] or end <= events["receive_ns"][0]:
            raise DataError(
                f"status of {tape.leg}: window {start} to {end} lies outside the tape"
                f" ({events['receive_ns'][0]} to {events['receive_ns'][-1]})"
            )
    events = join_events([events])
    stamps = events["receive_ns"]
    own = np.flatnonzero(events["kind"] == STATUS)
    added: list[tuple[int, int]] = []
    for start, end in spans:
        first = max(start, int(stamps[0]))
        inside = own[(stamps[own] >= first) & (stamps[own] < end) & (events["value"][own] == OPEN)]
        events["value"][inside] = trading
        before = own[stamps[own] < first]
        now = int(events["value"][before[-1]]) if len(before) else OPEN
        if now == OPEN:
            added.append((first, trading))
            now = trading
        within = own[(stamps[own] >= first) & (stamps[own] < end)]
        now = int(events["value"][within[-1]]) if len(within) else now
        if end <= stamps[-1] and now == trading:
            added.append((end, OPEN))
    rows = _rows(tape, len(added), STATUS)
    for row, (at_ns, value) in zip(rows, added, strict=True):
        row["receive_ns"], row["value"] = at_ns, value
    return _with_rows(replace(tape, events=events), rows)


def _rows(tape: Tape, n: int, kind: int) -> np.ndarray:
    """EVENT[n] of a kind, tagged as the tape's rows are."""
    rows = np.zeros(n, EVENT)
    rows["kind"], rows["flag_bits"], rows["leg"] = kind, LAST, tape.events["leg"][0]
    return rows


def _inside(tape: Tape, at_ns: int, where: str) -> int:
    stamps = tape.events["receive_ns"]
    if not stamps[0] <= at_ns <= stamps[-1]:
        raise DataError(f"{where}: expected a time within the tape ({stamps[0]} to {stamps[-1]}), got {at_ns}")
    return int(at_ns)


def _word(value: Fraction, where: str) -> int:
    if value >= LAST_WORD:
        raise ConfigError(f"{where}: expected less than {LAST_WORD / E12:g}, got {float(value) / E12:g}")
    return round(value)


def _with_rows(tape: Tape, rows: np.ndarray) -> Tape:
    """The rows merged in by receive time, in front of equals; the venue had them one feed latency earlier."""
    events = tape.events
    feed_ns = int((events["receive_ns"] - events["exchange_ns"])[events["exchange_ns"] > 0].min(initial=2**62))
    feed_ns = feed_ns if feed_ns < 2**62 else 0  # no row has a venue's stamp
    rows["exchange_ns"] = rows["receive_ns"] - feed_ns
    rows = rows[np.argsort(rows["receive_ns"], kind="stable")]
    at = np.searchsorted(events["receive_ns"], rows["receive_ns"], side="left")
    merged = np.zeros(len(events) + len(rows), EVENT)
    new = at + np.arange(len(rows))
    old = np.ones(len(merged), bool)
    old[new] = False
    raw: Any = merged.view(np.uint8).reshape(-1, EVENT.itemsize)
    raw[new] = rows.view(np.uint8).reshape(-1, EVENT.itemsize)
    raw[old] = np.ascontiguousarray(events).view(np.uint8).reshape(-1, EVENT.itemsize)
    return replace(tape, events=merged, exchange_order=exchange_order_of(merged), digest=digest_of(merged), path=None)
