"""A panel of prices as tapes of bars, one a series: what a replay of daily data trades on.

A bar is stamped with its time in the panel and known then; what is decided on it fills at the open of the next bar.
A panel has closes only, so what the open is must be said: `opens="close"` (the next close: a step is waited, the
default), `"previous"` (the close decided on: as if one could trade at the price one has just seen), or an array.

A series that has no price for `absent_steps` rows in a row has left the market: it expires at its last price, and
what comes after is not traded. This is decided on the past alone. Short bans refuse sales that would fill from the
first to the last banned row; borrow accrues on each bar; dividends are charged to shorts on the row they are given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError, unknown_name
from oneprice.core.instruments import Fees, Instrument
from oneprice.core.records import BAR, BORROW, DIVIDEND, EVENT, EXPIRY, LAST, NO_PRICE, NO_SHORT, OPEN, STATUS
from oneprice.market.header import Header
from oneprice.market.prices import Prices
from oneprice.market.tape import Tape, join_events, make_tape

YEAR_NS = 365 * 86_400_000_000_000
FINE = 10_000  # least ticks in the lowest price of a series: rounding is below half a basis point
DEPTH_LOTS = 10**9  # a panel has no volumes: size is bounded by limits, not by bars
STALE_STEPS = 8  # a quote is traded on for so many steps: weekends and holidays
OPENS = ("close", "previous")


class Ban(msgspec.Struct, frozen=True, kw_only=True):
    """No short sale may fill from `first` to `last` (ISO dates or nanoseconds, both inclusive).

    `symbols` empty: in no series.
    """

    first: str | int
    last: str | int
    symbols: tuple[str, ...] = ()


def bar_tapes(
    prices: Prices,
    *,
    opens: str | np.ndarray = "close",
    venue: str = "prices",
    currency: str = "USD",
    lot: str = "0.01",
    fees: Fees | Mapping[str, Fees] | None = None,
    borrow_bp_year: float = 0.0,
    dividends: Mapping[str, Sequence[tuple[str | int, float]]] | None = None,
    bans: Sequence[Ban] = (),
    absent_steps: int = 10,
) -> list[Tape]:
    """One tape a series, in the order of the panel.

    Parameters
    ----------
    opens : "close", "previous", or float64[T, N] of opens (NaN where the series has no price).
    fees : one for all, or by symbol of the panel; None leaves them to the replay.
    borrow_bp_year : basis points of the value a year that a short position pays.
    dividends : symbol -> (date, amount a unit) charged to shorts and paid to longs from before that row.

    Raises
    ------
    ConfigError, DataError
        An unknown word or symbol, opens of another shape, prices that no tick expresses.
    """
    n_rows, width = prices.close.shape
    if absent_steps < 1:
        raise ConfigError(f"bar_tapes: absent_steps: expected 1 or more, got {absent_steps}")
    opened = _opens(prices, opens)
    for name in [*(dividends or {}), *(s for b in bans for s in b.symbols), *(fees if isinstance(fees, Mapping) else ())]:
        if name not in prices.symbols:
            raise unknown_name("series", name, list(prices.symbols))
    how = opens if isinstance(opens, str) else "given"
    header = _header(prices, how)
    tapes = []
    for i, symbol in enumerate(prices.symbols):
        close = np.ascontiguousarray(prices.close[:, i])
        stop, gone = _leaves(close, absent_steps)
        tick = _tick(symbol, close[:stop])
        own = fees.get(symbol) if isinstance(fees, Mapping) else fees
        instrument = Instrument(
            symbol=f"{venue}:{symbol}", underlying=symbol, quote=currency, tick=tick, lot=lot, fees=own,
            stale_ns=STALE_STEPS * prices.step_ns, assumed_depth_lots=DEPTH_LOTS,
        )  # fmt: skip
        at = np.flatnonzero(np.isfinite(close[:stop]))
        if len(at) == 0:
            raise DataError(f"bar_tapes: {symbol} has no price at all; leave it out (load does)")
        times = prices.time_ns
        parts = [_bars(times[at], close[at], opened[at, i], float(tick))]
        if gone >= 0:
            parts.append(_rows(EXPIRY, times[gone : gone + 1], price=_ticks(close[at[-1] : at[-1] + 1], float(tick))))
        parts += [_ban(b, times) for b in bans if symbol in b.symbols]
        if borrow_bp_year:
            parts.append(_borrow(times[at], borrow_bp_year))
        for when, amount in (dividends or {}).get(symbol, ()):
            parts.append(_dividend(times, _moment(when), amount / float(tick)))
        tapes.append(make_tape(instrument, _in_order(parts, times[gone] if gone >= 0 else None), header=header))
    return tapes


def _opens(prices: Prices, opens: str | np.ndarray) -> np.ndarray:
    close = prices.close
    if isinstance(opens, str):
        if opens not in OPENS:
            raise unknown_name("opens", opens, [*OPENS, "an array"])
        if opens == "close":
            return close
        held = close.copy()  # the last price before each row
        for t in range(1, len(held)):
            held[t] = np.where(np.isfinite(held[t]), held[t], held[t - 1])
        return np.vstack([close[:1], held[:-1]])
    given = np.asarray(opens, np.float64)
    if given.shape != close.shape:
        raise DataError(f"bar_tapes: opens: expected shape {close.shape} as the closes, got {given.shape}")
    bad = np.isfinite(close) & ~np.isfinite(given)
    if bad.any():
        t, i = np.argwhere(bad)[0]
        raise DataError(f"bar_tapes: opens: {prices.symbols[i]} has a close and no open at row {t}")
    return given


def _leaves(close: np.ndarray, absent_steps: int) -> tuple[int, int]:
    """(rows traded, row at which the series is known to have left, or -1)."""
    missing = 0
    seen = False
    for t, price in enumerate(close):
        if math.isfinite(price):
            seen, missing = True, 0
        elif seen:
            missing += 1
            if missing == absent_steps:
                return t, t
    return len(close), -1


def _tick(symbol: str, close: np.ndarray) -> str:
    """The coarsest power of ten of which the lowest price has FINE."""
    least = np.nanmin(np.abs(np.where(close == 0.0, np.nan, close)))
    most = np.nanmax(np.abs(close))
    power = math.floor(math.log10(least / FINE) + 1e-9)
    if most / 10.0**power >= 2**31:
        raise DataError(
            f"bar_tapes: {symbol} runs from {least:g} to {most:g}: no tick expresses both; cut its history or rescale it"
        )
    return f"1e{power}"


def _ticks(price: np.ndarray, tick: float) -> np.ndarray:
    return np.round(price / tick).astype(np.int64)


def _rows(kind: int, time_ns: Any, **words: Any) -> np.ndarray:
    rows = np.zeros(len(time_ns), EVENT)
    rows["receive_ns"] = rows["exchange_ns"] = time_ns
    rows["kind"], rows["flag_bits"] = kind, LAST
    for name, value in words.items():
        rows[name] = value
    return rows


def _bars(time_ns: np.ndarray, close: np.ndarray, opened: np.ndarray, tick: float) -> np.ndarray:
    end, begin = _ticks(close, tick), _ticks(opened, tick)
    rows = _rows(BAR, time_ns, close=end, open_off=begin - end)
    rows["high_off"], rows["low_off"] = np.maximum(rows["open_off"], 0), np.minimum(rows["open_off"], 0)
    rows["seq"] = np.arange(len(rows))
    return rows


def _ban(ban: Ban, times: np.ndarray) -> np.ndarray:
    """Sales decided on the bar before the first banned row fill in it: the ban begins with that bar."""
    first = int(np.searchsorted(times, _moment(ban.first)))
    last = int(np.searchsorted(times, _moment(ban.last), side="right")) - 1
    if last < first:
        raise ConfigError(f"ban {ban.first}..{ban.last}: expected rows of the panel in it, found none")
    rows = _rows(STATUS, [times[max(first - 1, 0)], times[last]])
    rows["value"] = [NO_SHORT, OPEN]
    return rows


def _borrow(time_ns: np.ndarray, bp_year: float) -> np.ndarray:
    if not (math.isfinite(bp_year) and bp_year > 0.0):
        raise ConfigError(f"bar_tapes: borrow_bp_year: expected 0 or more, got {bp_year}")
    span = np.diff(time_ns)
    rate = np.round(bp_year * 1e-4 * span / YEAR_NS * 1e12).astype(np.int64)
    return _rows(BORROW, time_ns[1:], rate_e12=rate, mark=NO_PRICE, interval_ns=span)


def _dividend(times: np.ndarray, at_ns: int, ticks: float) -> np.ndarray:
    at = int(np.searchsorted(times, at_ns))
    if at >= len(times) or not math.isfinite(ticks):
        raise ConfigError(f"bar_tapes: dividends: expected a date in the panel and a finite amount, got {at_ns}")
    return _rows(DIVIDEND, times[at : at + 1], ticks_e12=round(ticks * 1e12))


def _in_order(parts: list[np.ndarray], end_ns: Any) -> np.ndarray:
    """By time; at one time status and charges before the bar. Nothing comes after an expiry."""
    rows = join_events(parts)
    rank = np.where(rows["kind"] == BAR, 1, 0)
    rows = rows[np.lexsort((rank, rows["receive_ns"]))]
    return rows if end_ns is None else rows[rows["receive_ns"] <= end_ns]


def _moment(value: str | int) -> int:
    return int(np.datetime64(value, "ns").astype(np.int64)) if isinstance(value, str) else int(value)


def _header(prices: Prices, opens: str) -> Header:
    about = prices.header
    waits = {"close": "the next close", "previous": "the close decided on", "given": "the next open"}[opens]
    return Header(
        source=about.source, licence=about.licence, period=about.period, side=about.side,
        simultaneity=about.simultaneity, survivorship=about.survivorship, tries=1, claim=about.claim,
        claim_why=f"{about.claim_why}; orders fill at {waits}; adjusted: {about.adjusted}",
    )  # fmt: skip
