"""Funding of a perpetual from a file of its own: what the venue charged, posted on the tape of its quotes.

Columns `time` (as the times of the files imported beside it), `rate` (a share of the notional, 0.0001 is 1 bp, what a
long pays a short; to 1e-12) and, if the venue tells it, `mark` (the price it was taken at; empty or absent: the mid).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.records import EVENT, FUNDING, LAST, NO_PRICE
from oneprice.market.importers.build import note
from oneprice.market.importers.columns import Columns, read_columns, times, units
from oneprice.market.tape import Tape, digest_of, exchange_order_of, join_events

COLUMNS = ("time", "rate", "mark")
MOST = 0.1  # of the notional at once: beyond that a rate is in percent or basis points


def with_funding_file(
    tapes: Sequence[Tape],
    path: str | Path,
    *,
    time_unit: str = "ns",
    timezone: str = "UTC",
    notes: dict[str, int] | None = None,
) -> list[Tape]:
    """The tapes of one perpetual (a day each, or all in one) with the funding rows of a file.

    A row stands on the last tape that began by its time, so what is paid at midnight between two files is not lost.
    Rows before the first quote and behind the last are nobody's: left out and counted in `notes`.

    Raises
    ------
    ConfigError
        Tapes of more than one leg.
    DataError
        A column that is not there; a time not after the row before, a rate that is no number or above MOST, a mark off
        the tick or not above 0 (file, row, column); no row in the time of the tapes; tapes that have funding already.
    """
    legs = sorted({t.leg for t in tapes})
    if len(legs) != 1:
        raise ConfigError(f"funding: expected files of one perpetual, got {', '.join(legs)}: import it apart")
    for tape in tapes:
        if (tape.events["kind"] == FUNDING).any():
            raise DataError(f"{path}: the tape of {tape.leg} has funding already; expected one source of it")
    rows = _rows(path, tapes[0], time_unit, timezone)
    order = sorted(range(len(tapes)), key=lambda i: int(tapes[i].events["receive_ns"][0]))
    begins = np.array([tapes[i].events["receive_ns"][0] for i in order], np.int64)
    end = max(int(t.events["receive_ns"][-1]) for t in tapes)
    at = np.searchsorted(begins, rows["receive_ns"], side="right") - 1
    outside = (at < 0) | (rows["receive_ns"] > end)
    if outside.all():
        first, last = (np.datetime64(int(t), "ns") for t in (begins[0], end))
        raise DataError(f"{path}: expected funding of {legs[0]} from {first} to {last}, got {len(rows)} rows outside")
    note(notes, "funding", int(np.count_nonzero(~outside)))
    note(notes, "funding_outside", int(np.count_nonzero(outside)))
    out = list(tapes)
    for place, i in enumerate(order):
        out[i] = _merged(tapes[i], rows[(at == place) & ~outside], Path(path).name)
    return out


def _rows(path: str | Path, tape: Tape, time_unit: str, timezone: str) -> np.ndarray:
    """Events of all rows of the file, in its order."""
    c = read_columns(path, {}, required=(), optional=COLUMNS)
    for name in COLUMNS[:2]:
        if not c.has(name):
            raise DataError(f"{path}: no column {name!r}; funding has the columns time, rate and, if told, mark")
    rows = np.zeros(len(c), EVENT)
    stamp = times(c, "time", unit=time_unit, timezone=timezone)
    back = np.flatnonzero(np.diff(stamp) <= 0)
    if len(back):
        i = int(back[0]) + 1
        what = f"a time after {stamp[i - 1]} ns (the row before)"
        raise DataError(f"{c.place(i, 'time')}: expected {what}, got {stamp[i]} ns")
    rows["receive_ns"] = rows["exchange_ns"] = stamp
    rows["kind"], rows["flag_bits"] = FUNDING, LAST
    rows["rate_e12"] = np.rint(_rates(c) * 1e12).astype(np.int64)
    if len(stamp) > 1:
        rows["interval_ns"] = np.append(stamp[1] - stamp[0], np.diff(stamp))
    rows["mark"] = NO_PRICE
    if c.has("mark"):
        rows["mark"] = units(c, "mark", tape.instrument.tick, missing=NO_PRICE)
        bad = np.flatnonzero((rows["mark"] <= 0) & (rows["mark"] != NO_PRICE))
        if len(bad):
            got = c.frame["mark"][int(bad[0])]
            raise DataError(f"{c.place(int(bad[0]), 'mark')}: expected a price above 0 (empty: the mid), got {got}")
    return rows


def _rates(c: Columns) -> np.ndarray:
    """Finite shares of the notional."""
    import polars as pl

    value = c.frame["rate"].cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
    bad = np.flatnonzero(~(np.abs(value) <= MOST))
    if len(bad):
        i = int(bad[0])
        what = f"a share of the notional from -{MOST} to {MOST} (0.0001 is 1 bp)"
        raise DataError(f"{c.place(i, 'rate')}: expected {what}, got {c.frame['rate'][i]!r}")
    return np.asarray(value, np.float64)


def _merged(tape: Tape, rows: np.ndarray, name: str) -> Tape:
    """Rows behind the tape's own of the same receive time."""
    if len(rows) == 0:
        return tape
    merged = join_events([tape.events, rows])
    merged = merged[np.argsort(merged["receive_ns"], kind="stable")].copy()
    about = msgspec.structs.replace(tape.header, source=f"{tape.header.source}; funding of {name}")
    order, digest = exchange_order_of(merged), digest_of(merged)
    return replace(tape, events=merged, exchange_order=order, digest=digest, header=about, path=None)
