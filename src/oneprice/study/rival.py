"""The same quoting strategies written for hftbacktest, so that a benchmark can run both on equal rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit  # not ours: these functions belong to the other engine's world


@njit
def quote_every(hbt: Any, interval_ns: int, qty: float, limit: float, waits: bool) -> int:
    """Join both touches every `interval_ns` with `qty`, inside +-`limit`; returns the number of orders sent."""
    sent = 0
    while hbt.elapse(interval_ns) == 0:
        sent += _requote(hbt, qty, limit, waits)[0]
    return sent


@njit
def quote_each_event(hbt: Any, qty: float, limit: float, waits: bool) -> int:
    """Look at the touch on every feed event and requote when it has moved; returns the number of orders sent.

    With `waits` it also looks on answers while a cancel is out.
    """
    sent = 0
    owed = False
    last_bid, last_ask = 0, 0
    while True:
        got = hbt.wait_next_feed(waits, 10_000_000_000)
        if got == 1 or got < 0 or got > 3:
            return sent
        if got == 0:
            continue
        depth = hbt.depth(0)
        if owed or depth.best_bid_tick != last_bid or depth.best_ask_tick != last_ask:
            last_bid, last_ask = depth.best_bid_tick, depth.best_ask_tick
            n, elsewhere = _requote(hbt, qty, limit, waits)
            sent += n
            owed = waits and elsewhere


@njit
def _requote(hbt: Any, qty: float, limit: float, waits: bool) -> tuple[int, bool]:
    """Cancel what rests elsewhere and send what is missing; `waits`: only on a side where nothing is left.

    Returns the orders sent and whether any rested elsewhere.
    """
    hbt.clear_inactive_orders(0)
    depth = hbt.depth(0)
    tick = depth.tick_size
    position = hbt.position(0)
    bid, ask = depth.best_bid_tick, depth.best_ask_tick
    have_bid, have_ask = False, False
    orders = hbt.orders(0).values()
    sent = 0
    elsewhere = False
    while orders.has_next():
        order = orders.get()
        if order.side == 1:
            stands = order.price_tick == bid and position < limit
            have_bid = have_bid or stands or waits
        else:
            stands = order.price_tick == ask and position > -limit
            have_ask = have_ask or stands or waits
        elsewhere = elsewhere or not stands
        if not stands and order.cancellable:
            hbt.cancel(0, order.order_id, False)
    if not have_bid and position < limit:
        hbt.submit_buy_order(0, np.uint64(bid), bid * tick, qty, 1, 0, False)
        sent += 1
    if not have_ask and position > -limit:
        hbt.submit_sell_order(0, np.uint64((1 << 40) + ask), ask * tick, qty, 1, 0, False)
        sent += 1
    return sent, elsewhere


def backtest(
    rows: np.ndarray,
    *,
    tick: float,
    lot: float,
    latency_ns: tuple[int, int],
    fees: tuple[float, float],
    span: tuple[float, float],
) -> Any:
    """An hftbacktest with ROIVector depth over `span` (prices), risk-averse queue and constant latency.

    `latency_ns` is (entry, response), `fees` (maker, taker) as shares of the value traded.
    """
    from hftbacktest import BacktestAsset, ROIVectorMarketDepthBacktest

    asset = (
        BacktestAsset()
        .data([rows])
        .linear_asset(1.0)
        .constant_order_latency(*latency_ns)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(*fees)
        .tick_size(tick)
        .lot_size(lot)
        .last_trades_capacity(0)
        .roi_lb(span[0])
        .roi_ub(span[1])
    )
    return ROIVectorMarketDepthBacktest([asset])
