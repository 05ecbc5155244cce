"""Anchors of the market layer for `oneprice verify`: numbers stated elsewhere beside what this code computes.

Binance: best bid and ask of the book built from diffs equal bookTicker wherever update ids coincide; median
basis of the perpetuals to spot. FX: crosses between two dealers, whose share depends on what one calls a
cross.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oneprice.core.instruments import Fees
from oneprice.core.jit import njit
from oneprice.core.records import BOOK, LAST, SNAPSHOT, TOP
from oneprice.market.align import Aligned, as_of, cross_episodes
from oneprice.market.book import book_at, book_bytes, book_init_at, book_row
from oneprice.market.importers.binance import import_binance, instrument_of_file
from oneprice.market.importers.fx import import_fx
from oneprice.market.quality import FAR_LOG2
from oneprice.market.tape import Tape

CAPTURES = {
    "BTC spot": "spot_btcusdt_20240808.gz",
    "ETH spot": "spot_ethusdt_20240808.gz",
    "BTC USDT perp": "usdm_btcusdt_20240808.gz",
    "ETH USDT perp": "usdm_ethusdt_20240808.gz",
    "BTC coin perp": "cm_btcusd_perp_20240808.gz",
    "ETH coin perp": "cm_ethusd_perp_20240808.gz",
}
FX_TICKS = Path("fx_two_venues") / "eurusd_fxcm_oanda_ticks_201405.parquet"
SECOND = 1_000_000_000
_NO_FEES = Fees(maker_bp=0, taker_bp=0)
COIN_NOTE = "stated elsewhere as -2.0, which no definition gives: docs/decisions/0006"
BASIS_BP = {"BTC USDT perp": -3.7, "BTC coin perp": -2.7, "ETH USDT perp": -4.4, "ETH coin perp": -2.1}


@dataclass(frozen=True)
class Anchor:
    """One row of verification: a number from `source` beside ours; it passes within `tolerance`."""

    id: str
    source: str
    published: float
    computed: float
    tolerance: float
    note: str = ""

    @property
    def passed(self) -> bool:
        return bool(abs(self.computed - self.published) <= self.tolerance)


def market_anchors(data: str | Path) -> list[Anchor]:
    """All rows of this module from the shared data folder.

    Raises DataError when a file is missing.
    """
    data = Path(data)
    tapes = binance_tapes(data)
    ticks = data / FX_TICKS
    fx = [import_fx(ticks, v, fees=_NO_FEES, assumed_depth_lots=1) for v in ("fxcm", "oanda")]
    return [*book_anchors(tapes), *basis_anchors(tapes), *fx_anchors(fx[0], fx[1])]


def binance_tapes(data: Path) -> dict[str, Tape]:
    """The six captures by name."""
    folder = Path(data) / "binance_l2"
    return {
        k: import_binance(folder / f, instrument_of_file(folder / f, fees=_NO_FEES))
        for k, f in CAPTURES.items()
    }


# ---------------------------------------------------------------- the book against bookTicker
@dataclass(frozen=True)
class BookCheck:
    """Best bid and ask (price and size) of the diff book against bookTicker at equal update ids."""

    compared: int
    mismatches: int
    crossed_states: int


def book_against_ticker(tape: Tape) -> BookCheck:
    """Build the book from diffs alone; after each compare it with the bookTicker of the same update id."""
    ev = tape.events
    tops = np.flatnonzero(ev["kind"] == TOP)
    tops = tops[np.argsort(ev["seq"][tops], kind="stable")]
    ids = np.ascontiguousarray(ev["seq"][tops])
    room = np.zeros(book_bytes(tape.instrument.book_log2, FAR_LOG2) + 64, np.uint8)
    address = room.ctypes.data + (-room.ctypes.data) % 64
    book_init_at(address, tape.instrument.book_log2, FAR_LOG2)
    return BookCheck(*(int(x) for x in _compare(ev, tops, ids, address)))


@njit
def _compare(events: Any, tops: Any, ids: Any, address: int) -> Any:
    b = book_at(address)
    compared, wrong, crossed = 0, 0, 0
    for i in range(len(events)):
        ev = events[i]
        if ev.kind != BOOK:
            continue
        book_row(b, ev)
        if (ev.flag_bits & LAST) == 0 or (ev.flag_bits & SNAPSHOT) != 0:
            continue
        if b.bid_ticks >= b.ask_ticks:
            crossed += 1
        j = np.searchsorted(ids, ev.seq)
        while j < len(ids) and ids[j] == ev.seq:
            top = events[tops[j]]
            compared += 1
            same = top.bid == b.bid_ticks and top.ask == b.ask_ticks
            if not (same and top.bid_qty == b.bid_lots and top.ask_qty == b.ask_lots):
                wrong += 1
            j += 1
    return compared, wrong, crossed


def book_anchors(tapes: dict[str, Tape]) -> list[Anchor]:
    """Mismatches and number of comparisons."""
    checks = {k: book_against_ticker(t) for k, t in tapes.items()}
    total = sum(c.compared for c in checks.values())
    each = ", ".join(f"{k} {c.compared}" for k, c in checks.items())
    wrong = sum(c.mismatches for c in checks.values())
    crossed = sum(c.crossed_states for c in checks.values())
    source = "Binance capture 2024-08-08: bookTicker at equal update id"
    return [
        Anchor("binance.book.mismatches", source, 0, wrong, 0, f"{total} comparisons: {each}"),
        Anchor("binance.book.crossed", "a book in sequence is never crossed", 0, crossed, 0),
    ]


# ---------------------------------------------------------------- basis to spot
def basis_bp(spot: Tape, perp: Tape, *, max_age_ns: int = SECOND) -> float:
    """Median of 10^4 (perp mid / spot mid - 1) over stamps at which both legs are fresh and sane."""
    a = as_of([spot, perp], max_age_ns=max_age_ns)
    return float(np.median(1e4 * (a.mid(1) / a.mid(0) - 1)))


def basis_anchors(tapes: dict[str, Tape]) -> list[Anchor]:
    """Median basis of each perpetual to the spot of its coin."""
    out = []
    for name, published in BASIS_BP.items():
        spot = tapes[f"{name[:3]} spot"]
        note = COIN_NOTE if name == "BTC coin perp" else ""
        key = f"binance.basis.{name.replace(' ', '_')}"
        said = "plain pass over the raw lines" if note else "stated median"
        source = f"Binance capture 2024-08-08, {said} (bp)"
        out.append(Anchor(key, source, published, basis_bp(spot, tapes[name]), 0.06, note))
    return out


# ---------------------------------------------------------------- FX crosses by definition
FX_DEFINITIONS: dict[str, tuple[int | None, tuple[bool, bool]]] = {
    "no age bound": (None, (False, False)),
    "age < 60 s": (60 * SECOND, (False, False)),
    "age < 60 s, FXCM sane": (60 * SECOND, (True, False)),
    "age < 1 s, both sane": (SECOND, (True, True)),
}
FX_PERCENT = {
    "no age bound": (0.26, 0.28),
    "age < 60 s": (0.078, 0.085),
    "age < 60 s, FXCM sane": (0.025, 0.014),
}
FX_EPISODES, FX_MEDIAN_PIP = (104, 64), (0.3, 0.2)


def fx_aligned(fxcm: Tape, oanda: Tape, definition: str) -> Aligned:
    """FXCM and OANDA side by side under one of FX_DEFINITIONS."""
    age_ns, sane = FX_DEFINITIONS[definition]
    return as_of([fxcm, oanda], max_age_ns=age_ns, sane=sane)


def fx_anchors(fxcm: Tape, oanda: Tape) -> list[Anchor]:
    """Share of stamps (%) at which one's bid is above the other's ask; episodes when both are sane."""
    out = []
    source = "EURUSD ticks 2014-05, as stated with the data"
    ways = (("fxcm_bid", 0, 1), ("oanda_bid", 1, 0))
    for name, percent in FX_PERCENT.items():
        a = fx_aligned(fxcm, oanda, name)
        for (way, sell, buy), published in zip(ways, percent, strict=True):
            share = 100 * len(cross_episodes(a, sell, buy).depth) / len(a)
            digits = 0.005 if published > 0.1 else 0.0005
            out.append(Anchor(f"fx.cross_percent.{way}.{name}", source, published, share, digits))
    a = fx_aligned(fxcm, oanda, "age < 1 s, both sane")
    for (way, sell, buy), count, pip in zip(ways, FX_EPISODES, FX_MEDIAN_PIP, strict=True):
        found = cross_episodes(a, sell, buy)
        out.append(Anchor(f"fx.episodes.{way}", source, count, len(found), 0))
        median = float(np.median(found.depth)) * 1e4
        out.append(Anchor(f"fx.median_pip.{way}", source, pip, median, 0.01))
    return out
