"""Whole simulations beside the library a user would pick instead: equal rows, equal latency, equal fees.

Gate, ledger and attribution are on in ours; the other engine has none of them. Building engines and opening tapes are
not counted on either side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from oneprice.core.arena import STRATEGY
from oneprice.core.instruments import Fees
from oneprice.core.records import BOOK, BUY, CLEAR, EVENT, SELL, TIMER, TRADE
from oneprice.engine.loop import Loop, run
from oneprice.execution.intents import quote, timer
from oneprice.execution.latency import Latency
from oneprice.execution.strategy import strategy
from oneprice.execution.venue import FillModel
from oneprice.market.synthetic import market_making_world, to_hftbacktest
from oneprice.market.tape import Tape, exchange_order_of, join_events
from oneprice.modes.replay import engine_for, last_ns, tape_table, venues_for
from oneprice.risk.limits import Limits
from oneprice.study.bench_time import LEAST, Figure, absent, interleaved, timed

FAR = 1e9  # each limit is there and checked; none is reached
WIDE = Limits(
    order_value=FAR, position_value=FAR, gross_value=FAR, net_value=FAR, venue_gross_value=FAR,
    residual_value_s=FAR, drawdown_value=FAR, orders_per_s=1_000_000, burst=100_000, venue_orders_per_s=1_000_000,
    venue_burst=100_000, messages_per_day=1 << 40,
)  # fmt: skip
ENTRY_NS = RESPONSE_NS = 2_000_000
QTY, LIMIT, EVERY_NS = 0.01, 1.0, 100_000_000
LEAST_RATIO, UNIT = 1.5, "x hftbacktest"
REAL = (("usdm_btcusdt", "USDT perpetual"), ("spot_btcusdt", "spot"))
REAL_DAY = "20240808"
ROI_SHARE = 0.05  # the other engine's dense book spans the traded prices and this much on both sides


@strategy(interval_ns=EVERY_NS, qty=QTY, limit=LIMIT, memory={"started": "i8"}, calls="timers")
def quote_every(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """Join both touches every `interval_ns`, inside +-limit."""
    if m.started == 0:
        m.started = 1
        timer(orders, 1, event.receive_ns + p.interval_ns)
    if event.kind != TIMER:
        return
    timer(orders, 1, event.receive_ns + p.interval_ns)
    a = legs[0]
    quote(orders, 1, 0, BUY, a.bid, p.qty if a.position < p.limit else 0.0, 0)
    quote(orders, 2, 0, SELL, a.ask, p.qty if a.position > -p.limit else 0.0, 0)


@strategy(qty=QTY, limit=LIMIT, memory={"bid": "i8", "ask": "i8"}, calls="market")
def quote_each_event(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """Look at every event, requote when the touch has moved."""
    a = legs[0]
    if a.bid_ticks != m.bid or a.ask_ticks != m.ask:
        m.bid = a.bid_ticks
        m.ask = a.ask_ticks
        quote(orders, 1, 0, BUY, a.bid, p.qty if a.position < p.limit else 0.0, 0)
        quote(orders, 2, 0, SELL, a.ask, p.qty if a.position > -p.limit else 0.0, 0)


CASES = (("two quotes each 100 ms", quote_every, False), ("per-event strategy", quote_each_event, True))


def ours(
    tapes: Sequence[Tape], chosen: Any, fills: FillModel | None = None, limits: Limits = WIDE
) -> tuple[float, dict[str, Any]]:
    """Seconds of one whole simulation and its figures."""
    engine = engine_for(tapes, [chosen], limits=limits)
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
        "lots": int(half.legs["bought_lots"].sum() + half.legs["sold_lots"].sum()),
        "position": [int(x) for x in positions["lots"]],
        "commands": int(loop.drive[0]["n_commands"]),
        "events": int(engine.state["n_events"]),
        "calls": int(engine.arena.section("strategies", STRATEGY)[0]["calls"]),
        "rows_out": n_rows[0],
    }


def rival_of(rows: np.ndarray, tape: Tape) -> Any:
    """hftbacktest over rows of a tape: its fees, our latencies, depth as wide as prices were."""
    from oneprice.study import rival

    fees, one = tape.instrument.fees, tape.instrument
    assert fees is not None
    traded = rows["px"][(rows["ev"] & 0xFF) == 2]
    return rival.backtest(
        rows,
        tick=float(one.tick),
        lot=float(one.lot),
        latency_ns=(ENTRY_NS, RESPONSE_NS),
        fees=(float(fees.maker_bp) * 1e-4, float(fees.taker_bp) * 1e-4),
        span=(float(traded.min()) * (1 - ROI_SHARE), float(traded.max()) * (1 + ROI_SHARE)),
    )


def theirs(
    rows: np.ndarray, tape: Tape, each_event: bool, waits: bool = False, qty: float = QTY
) -> tuple[float, dict[str, Any]]:
    """The same with hftbacktest; `waits`: like ours, it sends a new order only once the old one is gone."""
    from oneprice.study import rival

    test = rival_of(rows, tape)
    call: Callable[[], int]
    if each_event:
        call = lambda: rival.quote_each_event(test, qty, LIMIT, waits)  # noqa: E731 - one of two calls
    else:
        call = lambda: rival.quote_every(test, EVERY_NS, qty, LIMIT, waits)  # noqa: E731
    seconds, sent = timed(call)
    values = test.state_values(0)
    lot = float(tape.instrument.lot)
    out = {
        "fills": int(values.num_trades),
        "lots": round(float(values.trading_volume) / lot),
        "position": [round(float(values.position) / lot)],
        "orders": int(sent),
    }
    test.close()
    return seconds, out


def versus(n_rows: int = 5_000_000, repeats: int = 3, seed: int = 1) -> list[Figure]:
    """Whole simulation on `n_rows` simulated rows, by timer and per event: how many times faster ours is."""
    return compare(market_making_world(n_rows, seed).tapes[0], f"{n_rows:,} simulated rows", repeats)


def compare(tape: Tape, what: str, repeats: int) -> list[Figure]:
    """Both engines on one tape, interleaved; without the other one lines that say so."""
    try:
        import hftbacktest  # noqa: F401
    except ImportError as error:
        return [absent(f"{what}, {name}", UNIT, LEAST_RATIO, error) for name, _, _ in CASES]
    rows = converted(tape)
    out = []
    for name, mine, each_event in CASES:
        ours([tape], mine)
        theirs(rows[: min(len(rows), 50_000)], tape, each_event)
        seconds, last = interleaved(
            {
                "ours": lambda mine=mine: ours([tape], mine),  # type: ignore[misc]
                "theirs": lambda each_event=each_event: theirs(rows, tape, each_event),  # type: ignore[misc]
            },
            repeats,
        )
        detail = {
            "rows": len(tape),
            "ours_ns_row": seconds["ours"] / len(tape) * 1e9,
            "theirs_ns_row": seconds["theirs"] / len(tape) * 1e9,
            "ours": last["ours"],
            "theirs": last["theirs"],
        }
        ratio = seconds["theirs"] / seconds["ours"]
        out.append(Figure(f"{what}, {name}", ratio, UNIT, LEAST_RATIO, LEAST, detail=detail))
    return out


def real(data: Path | None, repeats: int) -> list[Figure]:
    """The same on Binance BTC captures below `data`; without them each line says so."""
    from oneprice.market.importers import read_files

    out = []
    for name, what in REAL:
        path = data / "binance_l2" / f"{name}_{REAL_DAY}.gz" if data is not None else None
        if path is None or not path.is_file():
            why = f"no data: {path or 'ONEPRICE_DATA is not set'}"
            names = [f"Binance BTC {what}, {case[0]}" for case in CASES]
            out += [Figure(name, None, UNIT, LEAST_RATIO, LEAST, why) for name in names]
            continue
        tape = depth_and_trades(read_files([path], format="binance", fees=Fees(maker_bp=2, taker_bp=5))[0])
        out += compare(tape, f"Binance BTC {what}", repeats)
    return out


def depth_and_trades(tape: Tape) -> Tape:
    """What both engines can read: depth and trades from the snapshot on (the other has no top-of-book rows)."""
    events = tape.events
    start = np.flatnonzero((events["flag_bits"] & CLEAR) != 0)
    keep = np.isin(events["kind"], (BOOK, TRADE))
    keep[: int(start[0]) if len(start) else 0] = False
    events = join_events([events[keep]])
    return replace(tape, events=events, exchange_order=exchange_order_of(events), path=None)


def converted(tape: Tape) -> np.ndarray:
    """The tape in the other engine's format, exchange stamps on the corrected clock."""
    one = tape.instrument
    return to_hftbacktest(tape.events, float(one.tick), float(one.lot), tape.clock_offset_ns, split=True)


def least_qty(tape: Tape) -> float:
    """The smallest order the venue takes at the prices of the tape: nearly all of its fills are whole."""
    one = tape.instrument
    lowest = float(tape.events["price"][tape.events["kind"] == TRADE].min()) * float(one.tick)
    lots = max(one.min_lots, ceil(float(one.min_notional) / (lowest * float(one.lot))))
    return -(-lots // one.lot_step) * one.lot_step * float(one.lot)


def fills_by_rule(tape: Tape) -> list[dict[str, Any]]:
    """Fills and lots of both engines, one rule of one engine changed at a time, and again with the least orders."""
    rows = converted(tape)
    models = {
        "ours": FillModel(),
        "ours: what we took is there again": FillModel(deplete=False),
        "ours: no fill from an opposite touch": FillModel(cross_fills=False),
        "ours: queue not bounded by what is shown": FillModel(bound_by_displayed=False),
        "ours: no queue": FillModel(queue="touch"),
    }
    ways = {"theirs": False, "theirs: new order waits for the cancel": True}
    out = []
    for qty in (QTY, least_qty(tape)):
        for case, mine, each_event in CASES:
            chosen = mine(qty=qty)
            found = {name: ours([tape], chosen, model)[1] for name, model in models.items()}
            found |= {name: theirs(rows, tape, each_event, way, qty)[1] for name, way in ways.items()}
            for name, f in found.items():
                held = {"fills": f["fills"], "lots": f["lots"], "position_lots": f["position"][0]}
                out.append({"case": case, "order_qty": qty, "rule": name, **held})
    return out
