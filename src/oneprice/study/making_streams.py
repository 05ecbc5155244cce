"""A tape as a market maker's calibration reads it: touches and prints by exchange time, in ticks."""

from __future__ import annotations

import msgspec
import numpy as np

from oneprice.core.errors import DataError
from oneprice.core.instruments import Instrument
from oneprice.core.records import GAP, NO_PRICE, TRADE
from oneprice.study.quotes import quotes


class Streams(msgspec.Struct, frozen=True):
    """Touches and prints of one leg. Prices in ticks (NO_PRICE: that side is empty), quantities in underlying units."""

    tick: float
    touch_ns: np.ndarray
    bid: np.ndarray
    ask: np.ndarray
    bid_qty: np.ndarray
    ask_qty: np.ndarray
    trade_ns: np.ndarray
    trade_price: np.ndarray
    trade_side: np.ndarray
    last_ns: int  # receive time of the last row

    @property
    def mid(self) -> np.ndarray:
        """Quote currency; NaN where a side is missing or the book is crossed."""
        good = (self.bid != NO_PRICE) & (self.ask != NO_PRICE) & (self.ask > self.bid)
        return np.where(good, 0.5 * self.tick * (self.bid + self.ask), np.nan)

    def since(self, from_ns: int) -> Streams:
        """Only what the exchange stamped at or after a moment (one touch before it is kept, moved to it)."""
        at = max(int(np.searchsorted(self.touch_ns, from_ns, side="right")) - 1, 0)
        trade = int(np.searchsorted(self.trade_ns, from_ns))
        stamps = np.maximum(self.touch_ns[at:], from_ns)
        return msgspec.structs.replace(
            self, touch_ns=stamps, bid=self.bid[at:], ask=self.ask[at:], bid_qty=self.bid_qty[at:],
            ask_qty=self.ask_qty[at:], trade_ns=self.trade_ns[trade:], trade_price=self.trade_price[trade:],
            trade_side=self.trade_side[trade:],
        )  # fmt: skip


def streams_of(events: np.ndarray, instrument: Instrument) -> Streams:
    """The streams of EVENT[n] rows in receive order.

    Where updates are missing (a GAP row) no touch is known from the row before it on, until the next.

    Raises
    ------
    DataError
        No touches, or no prints: arrivals cannot be counted.
    """
    tick = float(instrument.tick)
    inverse = instrument.contract == "inverse"
    rows = quotes(events, tick=tick, lot=float(instrument.lot), inverse=inverse)
    prints = events[events["kind"] == TRADE]
    prints = prints[(prints["side"] != 0) & (prints["qty"] > 0)]  # a trade of nothing is no arrival
    if len(rows) < 2 or len(prints) == 0:
        raise DataError(
            f"{instrument.symbol}: expected a tape with quotes and trades, got {len(rows)} touches and "
            f"{len(prints)} prints with a side and a quantity"
        )
    order = np.argsort(rows["exchange_ns"], kind="stable")
    rows = rows[order]
    bid, ask = (_ticks(rows[name], tick) for name in ("bid", "ask"))
    _blind(rows["exchange_ns"], bid, events)
    when = np.argsort(prints["exchange_ns"], kind="stable")
    return Streams(
        tick, rows["exchange_ns"].copy(), bid, ask, rows["bid_qty"].copy(), rows["ask_qty"].copy(),
        prints["exchange_ns"][when].copy(), prints["price"][when].copy(), prints["side"][when].astype(np.int64),
        int(events["receive_ns"][-1]),
    )  # fmt: skip


def _ticks(price: np.ndarray, tick: float) -> np.ndarray:
    missing = np.isnan(price)
    return np.where(missing, NO_PRICE, np.rint(np.where(missing, 0.0, price) / tick)).astype(np.int64)


def _blind(touch_ns: np.ndarray, bid: np.ndarray, events: np.ndarray) -> None:
    """Mark the touches that stood when updates went missing as unknown."""
    rows = np.flatnonzero((events["flag_bits"] & GAP) != 0)
    before = np.searchsorted(touch_ns, events["exchange_ns"][rows], side="left") - 1
    bid[before[before >= 0]] = NO_PRICE
