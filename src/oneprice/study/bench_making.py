"""A whole quoting simulation beside hftbacktest: Avellaneda-Stoikov at every event, equal rows, rules and formulas.

Both sides quote by the same kernels (`signals.quoting`, the volatility fold); what differs is the engine around them.
Gate, ledger and attribution are on in ours, the other has none. Processor time, interleaved, medians.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from oneprice.core.instruments import Fees
from oneprice.core.records import EVENT
from oneprice.engine.loop import Loop, run
from oneprice.execution.latency import Latency
from oneprice.execution.strategy import Strategy
from oneprice.execution.venue import FillModel
from oneprice.features import realised
from oneprice.market.synthetic import market_making_world
from oneprice.market.tape import Tape
from oneprice.modes.replay import engine_for, last_ns, tape_table, venues_for
from oneprice.strategies.market_making import market_making
from oneprice.study.bench_rival import (
    ENTRY_NS,
    LEAST_RATIO,
    REAL,
    REAL_DAY,
    RESPONSE_NS,
    UNIT,
    WIDE,
    converted,
    depth_and_trades,
    rival_of,
)
from oneprice.study.bench_time import LEAST, Figure, absent, cpu_timed, interleaved

CASE = "per-event Avellaneda-Stoikov quoting"
GAMMA, K_DECAY, QTY, LIMIT = 0.006, 2.0, 0.01, 0.1  # half a quote unit from the mid on the captures
AT_TOUCH = 20.0  # k_decay on simulated rows: their half spread


def quoting(tape: Tape, **changed: float) -> Strategy:
    """The strategy both sides run: the horizon is the tape, the fee is left out of where it quotes."""
    fees = tape.instrument.fees
    assert fees is not None
    horizon_s = 1.0 + (last_ns([tape]) - int(tape.events["receive_ns"][0])) * 1e-9
    given = {"gamma": GAMMA, "k_decay": K_DECAY, "qty": QTY, "limit": LIMIT, "horizon_s": horizon_s}
    return market_making(**{**given, "edge_bp": -float(fees.maker_bp), **changed})


def ours(tape: Tape, chosen: Strategy, fills: FillModel | None = None) -> tuple[float, dict[str, Any]]:
    """Processor seconds of one whole simulation and its figures; building the engine is not counted."""
    engine = engine_for([tape], [chosen], limits=WIDE)
    half = venues_for(engine, [tape], Latency(ENTRY_NS, RESPONSE_NS), fills)
    loop = Loop(engine, tape_table([tape]), np.zeros(0, EVENT), exchange=half, keep=[tape])
    loop.drive["end_ns"] = last_ns([tape])
    seconds, _ = cpu_timed(lambda: run(loop, lambda rows, events: None))
    own = engine.positions()[0]
    return seconds, {
        "fills": int(own["fills"].sum()),
        "lots": int(half.legs["bought_lots"].sum() + half.legs["sold_lots"].sum()),
        "position": int(own["lots"][0]),
        "commands": int(loop.drive[0]["n_commands"]),
        "events": int(engine.state["n_events"]),
    }


def theirs(rows: np.ndarray, tape: Tape, chosen: Strategy, waits: bool = True) -> tuple[float, dict[str, Any]]:
    """The same with hftbacktest; `waits`: like ours, a side's new order is sent once the old one is gone."""
    from oneprice.study import making_rival

    one, fees = tape.instrument, tape.instrument.fees
    assert fees is not None
    test = rival_of(rows, tape)
    vol = np.zeros(1, realised.STATE)
    params = np.array(chosen.values)
    fee_bp, lot = float(fees.maker_bp), float(one.lot)
    seconds, sent = cpu_timed(lambda: making_rival.quote_stoikov(test, params, vol, fee_bp, lot, waits))
    values = test.state_values(0)
    out = {
        "fills": int(values.num_trades),
        "lots": round(float(values.trading_volume) / lot),
        "position": round(float(values.position) / lot),
        "orders": int(sent),
    }
    test.close()
    return seconds, out


def compare(tape: Tape, what: str, repeats: int, bound: float = LEAST_RATIO, **changed: float) -> Figure:
    """Both engines on one tape; without the other one a line that says so."""
    name = f"{what}, {CASE}"
    try:
        import hftbacktest  # noqa: F401
    except ImportError as error:
        return absent(name, UNIT, bound, error)
    rows, chosen = converted(tape), quoting(tape, **changed)
    runs = {
        "ours": lambda: ours(tape, chosen),
        "theirs": lambda: theirs(rows, tape, chosen),
        "theirs, orders sent before the old are gone": lambda: theirs(rows, tape, chosen, waits=False),
    }
    interleaved(runs, 1)
    seconds, last = interleaved(runs, repeats)
    detail = {"rows": len(tape), **{f"{k} ns a row": s / len(tape) * 1e9 for k, s in seconds.items()}, **last}
    ratio = seconds["theirs"] / seconds["ours"]
    return Figure(name, ratio, UNIT, bound, LEAST, detail=detail)


def making_bench(data: Path | None, n_rows: int = 1_000_000, repeats: int = 3) -> list[Figure]:
    """Per-event quoting on `n_rows` simulated rows and on the Binance captures below `data`."""
    from oneprice.market.importers import read_files

    world = market_making_world(n_rows, 1).tapes[0]  # a third of its rows move the touch: a test of messages
    out = [compare(world, f"{n_rows:,} simulated rows", repeats, k_decay=AT_TOUCH)]
    for name, what in REAL:
        path = data / "binance_l2" / f"{name}_{REAL_DAY}.gz" if data is not None else None
        if path is None or not path.is_file():
            why = f"no data: {path or 'ONEPRICE_DATA is not set'}"
            out.append(Figure(f"Binance BTC {what}, {CASE}", None, UNIT, LEAST_RATIO, LEAST, why))
            continue
        tape = depth_and_trades(read_files([path], format="binance", fees=Fees(maker_bp=2, taker_bp=5))[0])
        out.append(compare(tape, f"Binance BTC {what}", repeats))
    return out


def fills_by_rule(tape: Tape, qty: float = QTY) -> list[dict[str, Any]]:
    """Fills and lots of both engines on one tape, one rule of ours changed at a time, to explain what differs.

    With the least `qty` a venue takes nearly every fill is whole, which the other engine's always are.
    """
    # the same risk an order and the same number of orders held, so that only the size of a fill differs
    rows, chosen = converted(tape), quoting(tape, qty=qty, limit=LIMIT / QTY * qty, gamma=GAMMA * QTY / qty)
    models = {
        "ours": FillModel(),
        "ours: what we took is there again": FillModel(deplete=False),
        "ours: no fill from an opposite touch": FillModel(cross_fills=False),
        "ours: queue not bounded by what is shown": FillModel(bound_by_displayed=False),
        "ours: none of the three": FillModel(deplete=False, cross_fills=False, bound_by_displayed=False),
    }
    out = [{"rule": name, **ours(tape, chosen, model)[1]} for name, model in models.items()]
    out.append({"rule": "theirs", **theirs(rows, tape, chosen)[1]})
    out.append({"rule": "theirs: new order at once", **theirs(rows, tape, chosen, waits=False)[1]})
    return out
