"""Benchmarks: our engine beside the library a user would pick instead, on equal rows and rules, as ratios of one run.

Runs are interleaved and medians taken; absolute times are shown for orientation only. Gate, ledger and attribution
are on in ours; the other engine has none of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np

from oneprice.core.jit import njit
from oneprice.core.records import BUY, SELL, TIMER
from oneprice.execution.intents import quote, timer
from oneprice.execution.latency import Latency
from oneprice.execution.strategy import strategy
from oneprice.execution.venue import FillModel
from oneprice.market.tape import Tape
from oneprice.risk.limits import Limits

WIDE = Limits(
    order_value=None, position_value=None, gross_value=None, net_value=None, venue_gross_value=None,
    residual_value_s=None, drawdown_value=None, orders_per_s=None, venue_orders_per_s=None, messages_per_day=None,
)  # fmt: skip
ENTRY_NS = RESPONSE_NS = 2_000_000


@strategy(interval_ns=100_000_000, qty=0.01, limit=1.0, memory={"started": "i8"})
def quote_every(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """Join both touches every `interval_ns`, inside +-limit: the quoting strategy of the comparison."""
    if m.started == 0:
        m.started = 1
        timer(orders, 1, event.receive_ns + p.interval_ns)
    if event.kind != TIMER:
        return
    timer(orders, 1, event.receive_ns + p.interval_ns)
    a = legs[0]
    quote(orders, 1, 0, BUY, a.bid, p.qty if a.position < p.limit else 0.0, 0)
    quote(orders, 2, 0, SELL, a.ask, p.qty if a.position > -p.limit else 0.0, 0)


@strategy(qty=0.01, limit=1.0, memory={"bid": "i8", "ask": "i8"})
def quote_each_event(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """Look at every event, requote when the touch has moved."""
    a = legs[0]
    if a.bid_ticks != m.bid or a.ask_ticks != m.ask:
        m.bid = a.bid_ticks
        m.ask = a.ask_ticks
        quote(orders, 1, 0, BUY, a.bid, p.qty if a.position < p.limit else 0.0, 0)
        quote(orders, 2, 0, SELL, a.ask, p.qty if a.position > -p.limit else 0.0, 0)


@strategy(unused=0)
def nothing(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """Does nothing: what the engine itself costs."""


@njit
def plain_pass(rows: Any) -> int:
    """Read every word of every record once: the floor."""
    total = 0
    for i in range(len(rows)):
        r = rows[i]
        total += r.receive_ns + r.exchange_ns + r.seq + r.price + r.qty + r.order_id + r.count + r.leg
    return total


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """(seconds, result)."""
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result


def ours(tapes: Sequence[Tape], chosen: Any, fills: FillModel | None = None) -> tuple[float, dict[str, Any]]:
    """Seconds of one whole simulation and its figures; building the engine and opening tapes are not counted."""
    from oneprice.core.records import EVENT
    from oneprice.engine.loop import Loop, run
    from oneprice.engine.state import Settings
    from oneprice.modes.replay import engine_for, last_ns, tape_table, venues_for

    engine = engine_for(tapes, [chosen], limits=WIDE, settings=Settings(sink_rows=1 << 18))
    half = venues_for(engine, tapes, Latency(ENTRY_NS, RESPONSE_NS), fills)
    loop = Loop(engine, tape_table(tapes), np.zeros(0, EVENT), exchange=half, keep=tapes)
    loop.drive["end_ns"] = last_ns(tapes)
    n_rows = [0]

    def drain(rows: np.ndarray, events: np.ndarray) -> None:
        n_rows[0] += len(rows)

    seconds, _ = timed(lambda: run(loop, drain))
    positions = engine.positions()[0]
    return seconds, {
        "fills": int(positions["fills"].sum()),
        "position": [int(x) for x in positions["lots"]],
        "commands": int(loop.drive[0]["n_commands"]),
        "calls": int(engine.state["n_events"]),
    }


def rival(rows: np.ndarray, tape: Tape, each_event: bool) -> tuple[float, dict[str, Any]]:
    """The same with hftbacktest."""
    from oneprice.study import rival as other

    fees = tape.instrument.fees
    assert fees is not None
    test = other.backtest(
        rows,
        tick=float(tape.instrument.tick),
        lot=float(tape.instrument.lot),
        entry_ns=ENTRY_NS,
        response_ns=RESPONSE_NS,
        maker=float(fees.maker_bp) * 1e-4,
        taker=float(fees.taker_bp) * 1e-4,
    )
    call = (lambda: other.quote_each_event(test, 0.01, 1.0)) if each_event else (
        lambda: other.quote_every(test, 100_000_000, 0.01, 1.0)
    )  # fmt: skip
    seconds, sent = timed(call)
    values = test.state_values(0)
    out = {"fills": int(values.num_trades), "position": float(values.position), "orders": int(sent)}
    test.close()
    return seconds, out


def versus(n_rows: int = 5_000_000, repeats: int = 3, seed: int = 1) -> list[dict[str, Any]]:
    """Whole simulation on `n_rows` simulated rows, timer-driven and per event, interleaved; medians and ratios."""
    from oneprice.market.synthetic import market_making_world, to_hftbacktest

    tape = market_making_world(n_rows, seed).tapes[0]
    rows = to_hftbacktest(tape.events, float(tape.instrument.tick), float(tape.instrument.lot), tape.clock_offset_ns)
    out = []
    for name, mine, each_event in (
        ("whole simulation, two quotes each 100 ms", quote_every, False),
        ("whole simulation, per-event strategy", quote_each_event, True),
    ):
        ours([tape], mine)
        rival(rows[:50_000], tape, each_event)
        seconds: dict[str, list[float]] = {"ours": [], "theirs": [], "pass": []}
        for _ in range(repeats):
            a, figures = ours([tape], mine)
            b, theirs = rival(rows, tape, each_event)
            seconds["ours"].append(a)
            seconds["theirs"].append(b)
            seconds["pass"].append(timed(lambda: plain_pass(tape.events))[0])
        own, other, floor = (median(seconds[k]) for k in ("ours", "theirs", "pass"))
        out.append(
            {
                "name": name,
                "rows": n_rows,
                "ratio": other / own,
                "ours_ns_row": own / n_rows * 1e9,
                "theirs_ns_row": other / n_rows * 1e9,
                "times_plain_pass": own / floor,
                "ours": figures,
                "theirs": theirs,
            }
        )
    return out
