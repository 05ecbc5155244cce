"""A small STATE for tests of the risk layer: a blotter, a gate, a ledger, and events to feed them."""

from __future__ import annotations

from typing import Any

import numpy as np

from oneprice.core.address import record_at
from oneprice.core.arena import POSITION, STRATEGY, Arena, build_arena, state_dtype
from oneprice.core.instruments import Fees, Instrument, Scales, to_legs
from oneprice.core.jit import njit
from oneprice.core.records import EVENT, LEG, NO_PRICE
from oneprice.execution.blotter import BLOTTER, FILLED, IN_FLIGHT, PLANNED
from oneprice.risk import Limits, init, ledger, sections
from oneprice.risk.gate import GATE
from oneprice.risk.ledger import LEDGER

# not the blotter first: numba takes a record that starts like another for a subtype of it, and warns
STATE = state_dtype(("gate", GATE), ("ledger", LEDGER), ("blotter", BLOTTER))
SECOND = 1_000_000_000
FREE = Limits(
    order_value=None,
    position_value=None,
    gross_value=None,
    net_value=None,
    venue_gross_value=None,
    residual_value_s=None,
    drawdown_value=None,
    price_band_bp=None,
    orders_per_s=None,
    venue_orders_per_s=None,
    messages_per_day=None,
)

SPOT = Instrument(
    symbol="a:BTC-USDT", underlying="BTC", quote="USDT", tick="0.01", lot="0.00001", fees=Fees("1.5", "7.5")
)
PERP = Instrument(
    symbol="b:BTC-USDT-PERP",
    underlying="BTC",
    quote="USDT",
    tick="0.1",
    lot="0.001",
    fees=Fees("-0.5", "4.5"),
)
COIN = Instrument(
    symbol="b:BTC-USD-COIN",
    underlying="BTC",
    quote="USD",
    tick="0.1",
    lot="100",
    contract="inverse",
    fees=Fees("1", "5"),
)
STOCK = Instrument(
    symbol="c:ACME",
    underlying="ACME",
    quote="CNY",
    tick="0.01",
    lot="100",
    fees=Fees(2, 2, per_lot="0.3", buy_tax_bp=0, sell_tax_bp=5),
)
RATES = {"BTC": 60_000, "CNY": "0.1391"}


def bench(
    instruments: tuple[Instrument, ...] = (SPOT, PERP),
    *,
    limits: Limits = FREE,
    n_strategies: int = 1,
    capital: int = 1_000_000,
    markouts: int = 64,
    fx: dict[str, Any] | None = None,
    sink_rows: int = 1 << 12,
) -> tuple[Arena, Scales]:
    """An arena with everything risk needs, quotes empty."""
    legs, scales = to_legs(instruments)
    n = len(legs)
    arena = build_arena(
        STATE,
        {
            "legs": n * LEG.itemsize,
            "positions": n_strategies * n * POSITION.itemsize,
            "strategies": n_strategies * STRATEGY.itemsize,
            **sections(n, n_strategies, len(scales.currencies), len(scales.venues), markouts=markouts),
        },
        sink_rows=sink_rows,
    )
    s = arena.state[0]
    s["n_legs"], s["n_strategies"] = n, n_strategies
    s["n_currencies"], s["n_venues"] = len(scales.currencies), len(scales.venues)
    arena.section("legs", LEG)[:] = legs
    rates = {c: RATES[c] for c in scales.currencies if c in RATES} if fx is None else fx
    init(arena, limits, instruments, scales, capital=capital, fx=rates, horizon_ns=SECOND)
    return arena, scales


def quote(arena: Arena, leg: int, bid: int, ask: int) -> None:
    """Set a touch as the market layer would."""
    row = arena.section("legs", LEG)[leg]
    row["bid_ticks"], row["ask_ticks"], row["mid2_ticks"] = bid, ask, bid + ask
    row["quote_ns"] = arena.state[0]["now_ns"]


event_at = record_at(EVENT)


@njit
def _fill(s: Any, ev: int, strategy: int, mid2: int, touch: int, maker: int, package: int) -> None:
    ledger.on_fill(s, event_at(ev), strategy, mid2, touch, maker, package)


@njit
def _funding(s: Any, ev: int) -> None:
    ledger.on_funding(s, event_at(ev))


@njit
def _borrow(s: Any, ev: int) -> None:
    ledger.on_borrow(s, event_at(ev))


@njit
def _dividend(s: Any, ev: int) -> None:
    ledger.on_dividend(s, event_at(ev))


@njit
def _expiry(s: Any, ev: int) -> None:
    ledger.on_expiry(s, event_at(ev))


def event(**fields: int) -> np.ndarray:
    """One EVENT record; `fee` stays unknown unless given, so the schedule is charged."""
    ev = np.zeros(1, EVENT)
    if not {"interval_ns", "rate_e12", "ticks_e12"} & fields.keys():
        ev["fee"] = NO_PRICE
    for name, value in fields.items():
        ev[name] = value
    return ev


def fill(
    arena: Arena,
    leg: int,
    lots: int,
    price: int,
    *,
    mid2: int = NO_PRICE,
    touch: int = NO_PRICE,
    strategy: int = 0,
    maker: int = 0,
    package: int = -1,
    fee: int = NO_PRICE,
) -> None:
    """Book a fill of signed lots."""
    ev = event(leg=leg, side=1 if lots > 0 else -1, price=price, qty=abs(lots), fee=fee)
    _fill(arena.state[0], ev.ctypes.data, strategy, mid2, touch, maker, package)


def funding(arena: Arena, leg: int, rate_e12: int, mark: int) -> None:
    """Book a FUNDING event."""
    _funding(arena.state[0], event(leg=leg, rate_e12=rate_e12, mark=mark).ctypes.data)


def borrow(arena: Arena, leg: int, rate_e12: int, mark: int = NO_PRICE) -> None:
    """Book a BORROW event."""
    _borrow(arena.state[0], event(leg=leg, rate_e12=rate_e12, mark=mark).ctypes.data)


def dividend(arena: Arena, leg: int, ticks_e12: int) -> None:
    """Book a DIVIDEND event."""
    _dividend(arena.state[0], event(leg=leg, ticks_e12=ticks_e12).ctypes.data)


def expiry(arena: Arena, leg: int, price: int) -> None:
    """Book an EXPIRY event."""
    _expiry(arena.state[0], event(leg=leg, price=price).ctypes.data)


def order(arena: Arena, slot: int = 0, **fields: int) -> Any:
    """An order in the pool, not yet sent unless `state` says so."""
    o = arena.state[0]["blotter"]["orders"][slot]
    for name in o.dtype.names:
        o[name] = 0
    o["package"] = o["mate"] = o["desire"] = o["package_id"] = -1
    for name, value in fields.items():
        o[name] = value
    bits = arena.state[0]["blotter"]["live_bits"].view("u8")
    bit = np.uint64(1 << (slot & 63))
    live = PLANNED <= int(o["state"]) < FILLED
    bits[slot >> 6] = bits[slot >> 6] | bit if live else bits[slot >> 6] & ~bit
    return o


def working(arena: Arena, slot: int, **fields: int) -> Any:
    """An order in flight, counted in the open lots as execution counts it."""
    o = order(arena, slot, state=IN_FLIGHT, **fields)
    o["open_lots"] = o["lots"] - o["filled"]
    name = "open_buy_lots" if o["side"] > 0 else "open_sell_lots"
    arena.section("legs", LEG)[int(o["leg"])][name] += o["open_lots"]
    at = int(o["strategy"]) * int(arena.state[0]["n_legs"]) + int(o["leg"])
    arena.section("positions", POSITION)[at][name] += o["open_lots"]
    return o
