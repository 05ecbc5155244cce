"""The quotes of `strategies.market_making` written for hftbacktest: the same formulas, another engine around them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit  # not ours: these functions belong to the other engine's world

from oneprice.features import realised
from oneprice.signals.quoting import glft, rules, stoikov

SIDE_BUY = 1


@njit
def quote_stoikov(hbt: Any, params: Any, vol: Any, fee_bp: float, lot: float, waits: bool) -> int:
    """Avellaneda-Stoikov quotes at every feed event and answer; returns the number of orders sent.

    params: the strategy's bound values. vol: `realised.STATE`[1]. With `waits` a side's new order is sent once the
    old one is gone, as ours does it; else at once.
    """
    p = params[0]
    seen = vol[0]
    sent = 0
    start_ns = 0
    last_bid, last_ask = 0, 0
    sigma = math.nan
    margin = glft.glft_margin(p.gamma, p.k_decay, p.qty)
    cap, floor = rules.cap_share(fee_bp, p.edge_bp), rules.floor_share(fee_bp, p.edge_bp)
    said_bid, said_ask = -1, -1  # ticks; -1: withdrawn
    said_bid_qty, said_ask_qty = 0.0, 0.0
    owed = False
    last_position = 0.0
    while True:
        got = hbt.wait_next_feed(True, 10_000_000_000)
        if got == 1 or got < 0 or got > 3:
            return sent
        if got == 0:
            continue
        now_ns = hbt.current_timestamp
        if start_ns == 0:
            start_ns = now_ns
        depth = hbt.depth(0)
        tick = depth.tick_size
        best_bid, best_ask = depth.best_bid_tick, depth.best_ask_tick
        bid_qty, ask_qty, bid, ask = 0.0, 0.0, said_bid, said_ask
        position = hbt.position(0)
        answered = got == 3 and position == last_position  # an answer that is no fill leaves the quotes: as in ours
        last_position = position
        if answered:
            bid_qty, ask_qty = said_bid_qty, said_ask_qty
        elif best_bid < best_ask and best_bid > 0 and best_ask < 1 << 40:
            mid = 0.5 * (best_bid + best_ask) * tick
            if best_bid != last_bid or best_ask != last_ask:
                last_bid, last_ask = best_bid, best_ask
                sigma = realised.step(seen, now_ns, mid, p.tau_s, 60.0) * mid
            left_s = p.horizon_s - (now_ns - start_ns) * 1e-9
            if seen.sum_s >= p.warm_s and sigma > 0.0 and left_s > 0.0:
                lean = stoikov.risk(p.gamma * p.qty, sigma, left_s)
                half = margin + 0.5 * lean
                centre = mid - position / p.qty * lean
                near_bid = rules.bid_price_near(centre - half, mid * cap, best_ask * tick, tick, said_bid * tick)
                near_ask = rules.ask_price_near(centre + half, mid * floor, best_bid * tick, tick, said_ask * tick)
                bid, ask = int(near_bid / tick + 0.5), int(near_ask / tick + 0.5)
                bid_qty = rules.bid_qty_near(position, p.qty, p.limit, lot, said_bid_qty)
                ask_qty = rules.ask_qty_near(position, p.qty, p.limit, lot, said_ask_qty)
                if said_bid_qty > 0.0 and abs(bid - said_bid) < p.requote_ticks and said_bid < best_ask:
                    bid = said_bid
                if said_ask_qty > 0.0 and abs(ask - said_ask) < p.requote_ticks and said_ask > best_bid:
                    ask = said_ask
        same = bid == said_bid and ask == said_ask and bid_qty == said_bid_qty and ask_qty == said_ask_qty
        if same and not owed and got != 3:
            continue
        said_bid, said_ask, said_bid_qty, said_ask_qty = bid, ask, bid_qty, ask_qty
        n, owed = _settle(hbt, (bid, ask), (bid_qty, ask_qty), waits)
        sent += n


@njit
def _settle(hbt: Any, ticks: Any, qty: Any, waits: bool) -> tuple[int, bool]:
    """Cancel what rests elsewhere, send what is missing; the orders sent, and whether a cancel is out."""
    hbt.clear_inactive_orders(0)
    tick = hbt.depth(0).tick_size
    bid, ask = ticks
    have_bid, have_ask, elsewhere = False, False, False
    orders = hbt.orders(0).values()
    while orders.has_next():
        order = orders.get()
        wanted, want_qty = (bid, qty[0]) if order.side == SIDE_BUY else (ask, qty[1])
        stands = order.price_tick == wanted and want_qty > 0.0
        if order.side == SIDE_BUY:
            have_bid = have_bid or stands or waits
        else:
            have_ask = have_ask or stands or waits
        elsewhere = elsewhere or not stands
        if not stands and order.cancellable:
            hbt.cancel(0, order.order_id, False)
    sent = 0
    if not have_bid and qty[0] > 0.0:
        hbt.submit_buy_order(0, np.uint64(bid), bid * tick, qty[0], 1, 0, False)
        sent += 1
    if not have_ask and qty[1] > 0.0:
        hbt.submit_sell_order(0, np.uint64((1 << 40) + ask), ask * tick, qty[1], 1, 0, False)
        sent += 1
    return sent, elsewhere
