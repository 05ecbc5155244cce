"""A panel of prices as tapes of bars, one a series: what a replay of daily data trades on.

A bar is stamped with its time in the panel and known then; what is decided on it fills at the open of the next bar.
A panel has closes only, so what the open is must be said: `opens="close"` (the next close: a step is waited, the
default), `"previous"` (the close decided on: as if one could trade at the price one has just seen), or an array.

A series that has no price for `absent_steps` rows in a row has left the market: it expires at its last price, and
what comes after is not traded. This is decided on the past alone. A short ban refuses sales that would fill from
its first to its last row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError, unknown_name
from oneprice.core.instruments import Fees, Instrument
from oneprice.core.records import BAR, EVENT, EXPIRY, LAST, NO_SHORT
from oneprice.market.corporate import with_borrow, with_dividends, with_status
from oneprice.market.header import Header
from oneprice.market.prices import Prices
from oneprice.market.tape import Tape, join_events, make_tape

FINE = 1_000_000  # least ticks in the first price of a series
MOST_TICKS = 1 << 31  # in any: growth by a factor of two hundred, or two thousand, from the first
LEAST_PRICE, MOST_PRICE = 1e-12, 1e12  # beyond them the unit is wrong
PLAIN = (0, 3)  # powers of ten of first prices whose lot is 0.01
DEPTH_LOTS = 10**9  # a panel has no volumes: size is bounded by limits, not by bars
STALE_STEPS = 8  # a quote is traded on for so many steps: weekends and holidays
OPENS = ("close", "previous")


class Ban(msgspec.Struct, frozen=True, kw_only=True):
    """No short sale may fill from `first` to `last` (ISO dates or nanoseconds, both inclusive).

    Raises ConfigError without `symbols`: a ban of nothing would be one in name only.
    """

    first: str | int
    last: str | int
    symbols: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.symbols:
            raise ConfigError(f"ban {self.first}..{self.last}: expected the series it is for in `symbols`, got none")


def bar_tapes(
    prices: Prices,
    *,
    opens: str | np.ndarray = "close",
    venue: str = "prices",
    currency: str = "USD",
    lot: str | None = None,
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
    lot : units a lot of every series; None: 0.01 where the first price is from 1 to 10,000, else as many as are worth
        as much there as 0.01 is at the nearer end: lots of a thousandth coin and of a thousand are both tradable.
    fees : one for all, or by symbol of the panel; None leaves them to the replay.
    bans, borrow_bp_year, dividends (symbol -> (ex-date, amount a unit)) : see `market/corporate.py`.

    Raises
    ------
    ConfigError, DataError
        An unknown word or symbol, opens of another shape, prices that no tick expresses.
    """
    if absent_steps < 1:
        raise ConfigError(f"bar_tapes: absent_steps: expected 1 or more, got {absent_steps}")
    opened = _opens(prices, opens)
    named = [*(dividends or {}), *(s for b in bans for s in b.symbols)]
    for name in [*named, *(fees if isinstance(fees, Mapping) else ())]:
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
            symbol=f"{venue}:{symbol}", underlying=symbol, quote=currency, tick=tick, lot=lot or _lot(tick), fees=own,
            stale_ns=STALE_STEPS * prices.step_ns, assumed_depth_lots=DEPTH_LOTS,
        )  # fmt: skip
        rows = _bars(prices.time_ns[:stop], close[:stop], opened[:stop, i], float(tick))
        if gone >= 0:
            last = _ticks(close[:stop][np.isfinite(close[:stop])][-1:], float(tick))
            rows = join_events([rows, _rows(EXPIRY, prices.time_ns[gone : gone + 1], price=last)])
        tape = make_tape(instrument, rows, header=header)
        paid = (dividends or {}).get(symbol, ())
        tapes.append(_with_corporate(tape, symbol, prices.time_ns, bans, borrow_bp_year, paid))
    return tapes


def _with_corporate(
    tape: Tape, symbol: str, times: np.ndarray, bans: Sequence[Ban], borrow_bp_year: float, dividends: Sequence[Any]
) -> Tape:
    """The tape with what happens to its line beside its trading."""
    first, last = tape.events["receive_ns"][0], tape.events["receive_ns"][-1]
    windows = [_window(b, times) for b in bans if symbol in b.symbols]
    windows = [(start, end) for start, end in windows if start <= last and end > first]  # absent then: nothing to ban
    if windows:
        tape = with_status(tape, windows, NO_SHORT)
    if borrow_bp_year:
        tape = with_borrow(tape, borrow_bp_year)
    if dividends:
        tape = with_dividends(tape, [(moment_ns(when), amount) for when, amount in dividends])
    return tape


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
    """The power of ten of which the first price has FINE or a little more: later prices have no say."""
    held = np.abs(close[np.isfinite(close) & (close != 0.0)])
    if len(held) == 0:
        raise DataError(f"bar_tapes: {symbol} has no price other than 0; leave it out")
    least, most = float(held.min()), float(held.max())
    if not LEAST_PRICE <= least <= most <= MOST_PRICE:
        raise DataError(
            f"bar_tapes: {symbol} has prices of size {least:g} to {most:g}: expected {LEAST_PRICE:g} to {MOST_PRICE:g};"
            " change the unit or leave it out"
        )
    power = math.floor(math.log10(held[0] / FINE) + 1e-9)
    if most / 10.0**power >= MOST_TICKS:
        raise DataError(
            f"bar_tapes: {symbol} grows from {held[0]:g} to {most:g}: expected at most {MOST_TICKS} ticks of"
            f" 1e{power}; cut or rescale its history"
        )
    return f"1e{power}"


def _lot(tick: str) -> str:
    """The lot of a series by its tick: its money stays exact beside series of any other size of price."""
    power = int(tick[2:]) + round(math.log10(FINE))
    return f"1e{min(max(power, PLAIN[0]), PLAIN[1]) - power - 2}"


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
    at = np.isfinite(close)
    end, begin = _ticks(close[at], tick), _ticks(opened[at], tick)
    rows = _rows(BAR, time_ns[at], close=end, open_off=begin - end)
    rows["high_off"], rows["low_off"] = np.maximum(rows["open_off"], 0), np.minimum(rows["open_off"], 0)
    rows["seq"] = np.arange(len(rows))
    return rows


def _window(ban: Ban, times: np.ndarray) -> tuple[int, int]:
    """Receive times from which and to which a ban holds: a sale decided on the bar before `first` fills in it."""
    first = int(np.searchsorted(times, moment_ns(ban.first)))
    last = int(np.searchsorted(times, moment_ns(ban.last), side="right")) - 1
    if last < first:
        raise ConfigError(f"ban {ban.first}..{ban.last}: expected rows of the panel in it, found none")
    return int(times[max(first - 1, 0)]), int(times[last])


def moment_ns(value: str | int) -> int:
    """An ISO date (UTC) or nanoseconds as nanoseconds."""
    return int(np.datetime64(value, "ns").astype(np.int64)) if isinstance(value, str) else int(value)


def _header(prices: Prices, opens: str) -> Header:
    about = prices.header
    waits = {"close": "the next close", "previous": "the close decided on", "given": "the next open"}[opens]
    return Header(
        source=about.source, licence=about.licence, period=about.period, side=about.side,
        simultaneity=about.simultaneity, survivorship=about.survivorship, tries=1, claim=about.claim,
        claim_why=f"{about.claim_why}; orders fill at {waits}; adjusted: {about.adjusted}",
    )  # fmt: skip
