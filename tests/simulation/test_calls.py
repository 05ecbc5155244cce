"""What a strategy is called on: less than all changes nothing it does not look at, and is not paid for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from oneprice.core.arena import STRATEGY
from oneprice.core.errors import ConfigError
from oneprice.core.records import BUY, EVENT, SELL, TIMER
from oneprice.engine.loop import Loop, run
from oneprice.execution.intents import quote, timer
from oneprice.execution.latency import Latency
from oneprice.execution.strategy import Strategy, strategy
from oneprice.market.synthetic import two_venues
from oneprice.modes.replay import engine_for, last_ns, tape_table, venues_for
from oneprice.risk.limits import Limits

FAR = 1e9
WIDE = Limits(order_value=FAR, position_value=FAR, gross_value=FAR, net_value=FAR, venue_gross_value=FAR)


def by_timer(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """Quotes both legs each 50 ms, sizes from its positions on both."""
    if m.started == 0:
        m.started = 1
        timer(orders, 1, event.receive_ns + 50_000_000)
    if event.kind != TIMER:
        return
    m.rounds += 1
    timer(orders, 1, event.receive_ns + 50_000_000)
    held = legs[0].position + legs[1].position
    for i in range(2):
        a = legs[i]
        quote(orders, 1 + 2 * i, i, BUY, a.bid, p.qty if held < p.limit else 0.0)
        quote(orders, 2 + 2 * i, i, SELL, a.ask, p.qty if held > -p.limit else 0.0)


def by_touch(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """Requotes a leg whose touch moved, sizes from its positions on both."""
    for i in range(2):
        a = legs[i]
        if a.bid_ticks != m.bid[i] or a.ask_ticks != m.ask[i]:
            m.bid[i] = a.bid_ticks
            m.ask[i] = a.ask_ticks
            held = legs[0].position + legs[1].position
            quote(orders, 1 + 2 * i, i, BUY, a.bid, p.qty if held < p.limit else 0.0)
            quote(orders, 2 + 2 * i, i, SELL, a.ask, p.qty if held > -p.limit else 0.0)


def looks(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """Rests a bid on each leg, then asks to be called at once, and notes what the views say of each at that moment."""
    if event.kind == TIMER and m.started == 1:
        m.started = 2
        m.bid[0] = legs[0].open_lots
        m.bid[1] = legs[1].open_lots
    if m.started == 0 and legs[0].bid > 0.0 and legs[1].bid > 0.0:
        m.started = 1
        quote(orders, 1, 0, BUY, legs[0].bid - 50 * legs[0].tick, p.qty)
        quote(orders, 2, 1, SELL, legs[1].ask + 50 * legs[1].tick, p.qty)
        timer(orders, 1, event.receive_ns + 1)


def made(function: Any, calls: str) -> Strategy:
    memory = {"started": "i8", "rounds": "i8", "bid": ("i8", 2), "ask": ("i8", 2)}
    return strategy(memory=memory, exit="inventory", calls=calls, qty=0.02, limit=0.5)(function)


def rows_of(chosen: Strategy) -> tuple[bytes, int]:
    """Rows out of a simulation on two venues, and how often the strategy was called."""
    tapes = two_venues(3, 0.3).tapes
    engine = engine_for(tapes, [chosen], limits=WIDE)
    half = venues_for(engine, tapes, Latency(1_000_000, 1_000_000), None)
    loop = Loop(engine, tape_table(tapes), np.zeros(0, EVENT), exchange=half, keep=tapes)
    loop.drive["end_ns"] = last_ns(tapes)
    parts: list[bytes] = []
    run(loop, lambda rows, events: parts.append(rows.tobytes()))
    return b"".join(parts), int(engine.arena.section("strategies", STRATEGY)[0]["calls"])


@pytest.mark.parametrize(
    ("function", "calls"),
    [(by_timer, "timers"), (by_touch, "market"), (by_timer, "market"), (by_touch, "fills"), (by_timer, "fills")],
)
def test_calls_it_does_not_look_at_may_be_left_out(function: Any, calls: str) -> None:
    """The same rows leave, byte for byte, and the strategy is called less often; its views are those of the moment."""
    every, n_all = rows_of(made(function, "all"))
    some, n_some = rows_of(made(function, calls))
    assert some == every and len(every) > 64 * 100
    assert 1 < n_some < n_all


@pytest.mark.parametrize("calls", ["all", "fills", "market"])
def test_the_views_know_what_was_just_sent(calls: str) -> None:
    """A call a nanosecond after orders left, on a timer, sees their lots at work on every leg."""
    chosen = made(looks, calls)
    tapes = two_venues(3, 0.05).tapes
    engine = engine_for(tapes, [chosen], limits=WIDE)
    half = venues_for(engine, tapes, Latency(1_000_000, 1_000_000), None)
    loop = Loop(engine, tape_table(tapes), np.zeros(0, EVENT), exchange=half, keep=tapes)
    loop.drive["end_ns"] = last_ns(tapes)
    run(loop, lambda rows, events: None)
    st = engine.arena.section("strategies", STRATEGY)[0]
    at = int(st["memory_off"])
    memory = engine.arena.buffer[at : at + int(st["memory_bytes"])].view(chosen.memory)[0]
    assert memory["started"] == 2 and memory["bid"].tolist() == [20, -20]


def test_a_misspelt_kind_of_calls_lists_them_all() -> None:
    """`calls` is all, fills, market or timers."""
    with pytest.raises(ConfigError, match=r"timer.*all, fills, market, timers"):
        made(by_timer, "timer")
