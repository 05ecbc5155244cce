"""Anchors of order-by-order data for `oneprice verify`: books rebuilt from single orders beside what venues showed.

Bitstamp 2015: each published trade is found among the losses of orders, its maker stands first at the best price of
the book rebuilt from order events, and that book's touch is the one of the log's own order_book messages. LOBSTER: the
touch that messages alone give is the file's wherever its level was in sight, and the tape's book is always the file's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from oneprice.core.records import NO_PRICE
from oneprice.market.book import book_bytes, book_init_at
from oneprice.market.importers.bitstamp import PERSIST_MS, WARMUP_S, bitstamp_instrument, read_bitstamp
from oneprice.market.importers.lines import read_lines
from oneprice.market.importers.lobster import import_lobster, lobster_instrument, shown_of
from oneprice.market.orders.feed import rows_of
from oneprice.market.orders.queues import best_level, best_price
from oneprice.market.orders.records import EXECUTE
from oneprice.market.orders.table import new_orders, place_of
from oneprice.study.anchors_market import Anchor
from oneprice.study.quotes import TOUCH, touches

LOG = Path("bitstamp_l3") / "2015-05-01.log.xz"
AMZN = Path("lobster") / "amzn_l1_20120621.parquet"
TRADES = 575
_LOG_SAYS = "the log of 2015-05-01 itself"
_FILE_SAYS = "the file of 2012-06-21 itself"


def order_anchors(data: str | Path) -> list[Anchor]:
    """All rows of this module from the shared data folder. Raises DataError when a file is missing."""
    data = Path(data)
    return [*bitstamp_anchors(data / LOG), *lobster_anchors(data / AMZN)]


def bitstamp_anchors(path: Path) -> list[Anchor]:
    """Trades matched to orders, and the touch beside the log's own order_book messages."""
    notes: dict[str, int] = {}
    recorded = read_bitstamp(path, bitstamp_instrument(), notes=notes)
    named, before = notes.get("trades_matched", 0), notes.get("maker_before_the_log", 0)
    lost = notes.get("only_taker_seen", 0) + notes.get("nobody_seen", 0)
    equal, n = _beside_books(path, recorded.messages)
    first, known = _makers_first(recorded.messages)
    where = f"{n} order_book messages after {WARMUP_S:g} s"
    return [
        Anchor("orders.bitstamp.trades", "shared data, README", TRADES, notes.get("trades", 0), 0.0),
        Anchor(
            "orders.bitstamp.trades_matched", _LOG_SAYS, TRADES, named + before, 0.0,
            f"{before} of them by orders older than the log, whose end alone is told",
        ),
        Anchor("orders.bitstamp.trades_mismatched", _LOG_SAYS, 0.0, lost, 0.0),
        Anchor(
            "orders.bitstamp.maker_first", "price-time priority", named, first, 0.0,
            f"trades whose maker stood first at the best price, of {known} makers in the rebuilt book",
        ),
        Anchor("orders.bitstamp.best_bid", _LOG_SAYS, 1.0, equal[0] / n, 0.002, where),
        Anchor("orders.bitstamp.best_ask", _LOG_SAYS, 1.0, equal[1] / n, 0.002, where),
    ]  # fmt: skip


class _Shown(msgspec.Struct):
    """What the log's order_book messages say: best 20 levels of each side."""

    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


def _beside_books(path: Path, messages: np.ndarray) -> tuple[list[int], int]:
    """([best bids equal, best asks equal], order_book messages looked at): price and lots, after the warm-up."""
    decode = msgspec.json.Decoder(_Shown).decode
    orders, at, equal, n = new_orders(hold_ns=PERSIST_MS * 1_000_000), 0, [0, 0], 0
    start_ms = int(messages["receive_ns"][0]) // 1_000_000 + WARMUP_S * 1000
    for number, raw in read_lines(path):
        stamp, kind, text = raw.split(b" ", 2)
        if kind != b"order_book" or int(stamp) < start_ms:
            continue
        upto = int(np.searchsorted(messages["line"], number))
        orders, _ = rows_of(orders, messages[at:upto])
        at = upto
        shown = decode(text)
        n += 1
        for k, (side, levels) in enumerate(((1, shown.bids), (-1, shown.asks))):
            best = best_level(orders.t, side)
            told = (round(float(levels[0][0]) * 100), round(float(levels[0][1]) * 1e8)) if levels else None
            ours = orders.levels[best] if best >= 0 else None
            equal[k] += told == (None if ours is None else (int(ours["price"]), int(ours["lots"])))
    return equal, n


def _makers_first(messages: np.ndarray) -> tuple[int, int]:
    """(trades that hit the first order of the best level, trades whose maker was in the book)."""
    orders, at, first, known = new_orders(hold_ns=PERSIST_MS * 1_000_000), 0, 0, 0
    for k in np.flatnonzero(messages["kind"] == EXECUTE):
        orders, _ = rows_of(orders, messages[at:k])
        at = int(k)
        place = place_of(orders, int(messages["order_id"][k]))
        if place is not None and not place.held:
            known += 1
            first += place.orders_ahead == 0 and place.price == best_price(orders.t, place.side)
    return int(first), known


def lobster_anchors(path: Path) -> list[Anchor]:
    """The touch from messages alone, and the tape's book, beside the file's best quotes."""
    notes: dict[str, int] = {}
    share = lobster_instrument("AMZN")
    tape = import_lobster(path, share, notes=notes)
    room = np.zeros(book_bytes(13, 12) + 64, np.uint8)
    address = room.ctypes.data + -room.ctypes.data % 64
    book_init_at(address, 13, 12)
    ours = np.zeros(len(tape.events), TOUCH)
    ours = ours[: touches(address, np.asarray(tape.events), 0, ours)]
    stamps, shown = shown_of(path, share)
    last = np.append(stamps[1:] != stamps[:-1], True)  # messages of one nanosecond are one batch
    at = np.searchsorted(ours["exchange_ns"], stamps[last], side="right") - 1
    mine: Any = ours[np.maximum(at, 0)]
    same = np.ones(len(at), bool)
    for k, side in enumerate(("bid", "ask")):
        same &= (mine[f"{side}_ticks"] == shown[last][:, k, 0, 0]) & (mine[f"{side}_lots"] == shown[last][:, k, 0, 1])
    same &= (mine["bid_ticks"] != NO_PRICE) & (at >= 0)
    told = notes.get("touch_rebuilt", 0)
    where = f"{told} of {told + notes.get('touch_uncovered', 0)} touches; the others had been out of sight"
    return [
        Anchor("orders.lobster.touch_differs", _FILE_SAYS, 0.0, notes.get("touch_differs", 0), 0.0, where),
        Anchor("orders.lobster.book_of_tape", _FILE_SAYS, 1.0, float(same.mean()), 0.0, f"{len(same)} moments"),
    ]
