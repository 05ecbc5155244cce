"""How a market row moves a LEG: the touch as the local half knows it, with or without a book behind it."""

from __future__ import annotations

from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import BAR, CLEAR, GAP, LAST, NO_PRICE, TOP, TRADE


@njit
def _stamp(leg: Any, ev: Any) -> None:
    leg.quote_ns = ev.receive_ns
    leg.quote_exchange_ns = ev.exchange_ns
    leg.seq = ev.seq


@njit
def _set_touch(leg: Any, bid: int, bid_lots: int, ask: int, ask_lots: int) -> bool:
    """Write the touch; a missing side is NO_PRICE and keeps the last known mid. True when it changed."""
    changed = bid != leg.bid_ticks or ask != leg.ask_ticks
    changed = changed or bid_lots != leg.bid_lots or ask_lots != leg.ask_lots
    leg.bid_ticks = bid
    leg.bid_lots = bid_lots
    leg.ask_ticks = ask
    leg.ask_lots = ask_lots
    if bid != NO_PRICE and ask != NO_PRICE:
        leg.mid2_ticks = bid + ask
    return changed


@njit
def touch_from_top(leg: Any, ev: Any) -> bool:
    """Apply a TOP, TRADE or BAR to a leg without depth; True when the touch changed.

    TOP: an older update id than the one held is ignored unless the row says GAP or CLEAR. Where sizes are
    absent (`assumed_depth_lots > 0`), a quantity of 0 becomes that depth. TRADE moves `last_ticks` and what takers
    bought or sold. BAR: while no touch with a spread stands, its close is both sides.
    """
    leg.n_updates += 1
    leg.mark_bits |= ev.flag_bits & ~LAST
    if ev.kind == TRADE:
        leg.last_ticks = ev.price
        if ev.side > 0:
            leg.bought_lots += ev.qty
        elif ev.side < 0:
            leg.sold_lots += ev.qty
        return False
    if ev.kind == BAR:
        leg.last_ticks = ev.close
        if leg.bid_ticks != leg.ask_ticks:
            return False
        _stamp(leg, ev)
        return _set_touch(leg, ev.close, leg.assumed_depth_lots, ev.close, leg.assumed_depth_lots)
    if ev.kind != TOP:
        return False
    if ev.seq != 0 and ev.seq < leg.seq and (ev.flag_bits & (GAP | CLEAR)) == 0:
        return False
    _stamp(leg, ev)
    bid_lots = ev.bid_qty
    ask_lots = ev.ask_qty
    if leg.assumed_depth_lots > 0:
        bid_lots = leg.assumed_depth_lots if bid_lots <= 0 else bid_lots
        ask_lots = leg.assumed_depth_lots if ask_lots <= 0 else ask_lots
    bid_lots = 0 if ev.bid == NO_PRICE else bid_lots
    ask_lots = 0 if ev.ask == NO_PRICE else ask_lots
    return _set_touch(leg, ev.bid, bid_lots, ev.ask, ask_lots)


@njit
def touch_from_book(leg: Any, b: Any, ev: Any) -> bool:
    """Copy a book's touch to its leg after a BOOK or TOP row was applied; True when the touch changed."""
    leg.n_updates += 1
    leg.mark_bits |= ev.flag_bits & ~LAST
    _stamp(leg, ev)
    return _set_touch(leg, b.bid_ticks, b.bid_lots, b.ask_ticks, b.ask_lots)
