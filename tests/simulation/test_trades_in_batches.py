"""A strategy is called on the last row of a batch; what takers traded inside it stands in its views all the same."""

from __future__ import annotations

from typing import Any

import numpy as np

import oneprice as op
from engine_kit import memory_of
from oneprice.core.instruments import Fees
from oneprice.core.records import BOOK, TRADE
from oneprice.execution.latency import constant
from oneprice.execution.strategy import strategy
from oneprice.market.orders.world import OrderWorld, order_tape
from oneprice.modes.replay import replay


@strategy(unused_share=0.0, memory={"bought": "f8", "sold": "f8", "trades_called": "i8", "calls": "i8"})
def counts(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """Remember what takers did, and how often a trade was the event itself."""
    m.calls += 1
    m.bought = legs[0].bought_qty
    m.sold = legs[0].sold_qty
    m.trades_called += 1 if event.kind == 3 else 0


def test_trades_inside_batches_are_counted() -> None:
    """On a tape of single orders a trade never ends a batch (its level does), and is seen to the last lot."""
    tape = order_tape(OrderWorld(n_messages=3_000, seed=4), fees=Fees(maker_bp=0, taker_bp=1))
    ev = np.asarray(tape.events)
    assert TRADE == 3 and (ev["kind"] == BOOK).any()
    run = replay(counts, [tape], latency=constant(100, 100), limits=op.Limits())
    memory = memory_of(run.engine, 0)[0]
    lot = float(tape.instrument.lot)
    trades = ev[ev["kind"] == TRADE]
    assert memory["calls"] > 0
    assert memory["bought"] == float(trades["qty"][trades["side"] > 0].sum()) * lot > 0
    assert memory["sold"] == float(trades["qty"][trades["side"] < 0].sum()) * lot > 0
