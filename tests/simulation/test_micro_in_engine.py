"""Features inside a strategy of the engine say what the same folds say over the tape's touches in a batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine_kit import LATENCY, memory_of
from oneprice.core.records import LAST, TRADE
from oneprice.execution.strategy import strategy
from oneprice.features import hawkes, hayashi_yoshida, mlofi, ofi, queue_race, trade_imbalance
from oneprice.features.levels import read_levels
from oneprice.market.synthetic import market_making_world
from oneprice.market.tape import make_tape
from oneprice.modes.replay import replay
from oneprice.signals.micro.bars import flow_bars, touch_columns

MEMORY = {
    "flow": ofi.STATE,
    "deep": mlofi.STATE,
    "trades": trade_imbalance.STATE,
    "prints": hawkes.STATE,
    "pair": hayashi_yoshida.STATE,
    "up": "f8",
    "race": queue_race.STATE,
    "row": ("f8", (4 * mlofi.LEVELS,)),
}


@strategy(tau_s=1.0, memory=MEMORY)
def reader(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """Reads features at every event, trades nothing."""
    a = legs[0]
    now = event.receive_ns
    if event.kind == TRADE:
        trade_imbalance.step(m.trades, now, float(event.side), event.qty * a.lot_qty, p.tau_s)
        hawkes.step(m.prints, now, 0.5, 0.8, 1.2)
        return
    ofi.step(m.flow, now, a.bid, a.ask, a.bid_qty, a.ask_qty, p.tau_s)
    read_levels(a, m.row)
    mlofi.step(m.deep, now, m.row, p.tau_s, 1.0)
    m.up = queue_race.step(m.race, a.bid_qty, a.ask_qty, a.lot_qty)
    hayashi_yoshida.step(m.pair, now, 0.0, a.mid, 0.1, 60.0)


def test_a_strategy_reads_what_a_batch_computes() -> None:
    """State after a replay, field by field, against `scan` over the touches and trades of the tape."""
    world = market_making_world(6_000, 5).tapes[0]
    events = world.events.copy()
    events["flag_bits"][events["kind"] == TRADE] |= LAST  # a strategy is called at the end of a batch only
    tape = make_tape(world.instrument, events, header=world.header)
    run = replay(reader(), [tape], latency=LATENCY)
    m = memory_of(run.engine, 0)[0]
    touch = touch_columns(tape)
    quotes = (touch.bid, touch.ask, touch.bid_qty, touch.ask_qty)
    state = ofi.FOLD.fresh()
    ofi.FOLD.scan(touch.time_ns, *quotes, state=state, tau_s=1.0)
    assert state["n"][0] == m["flow"]["n"] > 1000
    for name in ("flow", "total", "depth", "bid", "ask_qty"):
        np.testing.assert_allclose(m["flow"][name], state[name][0], rtol=1e-12, err_msg=name)
    bars = flow_bars(tape, bar_s=1e4, source="book", levels=mlofi.LEVELS)
    np.testing.assert_allclose(m["deep"]["total"], bars.level_ofi.sum(axis=0), atol=1e-9)
    assert m["deep"]["total"][0] == state["total"][0] and np.abs(m["deep"]["total"][1:]).min() > 0.0
    prints = tape.events[tape.events["kind"] == TRADE]
    assert m["trades"]["n"] == m["prints"]["n"] == len(prints) > 50
    lot = float(tape.instrument.lot)
    np.testing.assert_allclose(m["trades"]["total"], (prints["side"] * prints["qty"]).sum() * lot, rtol=1e-9)
    want = queue_race.FOLD.scan(touch.bid_qty[-1:], touch.ask_qty[-1:], unit_qty=lot)[0]
    assert m["up"] == want and m["pair"]["seen"][0] > 1000
