"""What order-by-order tapes cost: a whole replay with the true queue beside the same market as depth, and the import.

Both replays quote the same way on the same rows; one tape names its orders and fills by `fifo`, the other does not
and fills by the default model. Times are processor seconds of this thread, interleaved, medians.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from oneprice.core.instruments import Fees
from oneprice.core.records import EVENT
from oneprice.engine.loop import Loop, run
from oneprice.execution.latency import Latency
from oneprice.execution.venue import FillModel
from oneprice.market.orders.feed import rows_of
from oneprice.market.orders.table import new_orders
from oneprice.market.orders.world import OrderWorld, order_messages, order_tape, without_names
from oneprice.market.tape import Tape
from oneprice.modes.replay import engine_for, last_ns, tape_table, venues_for
from oneprice.study.bench_rival import ENTRY_NS, RESPONSE_NS, WIDE, quote_every
from oneprice.study.bench_time import MOST, Figure, interleaved, thread_timed
from oneprice.study.queue_probes import probe_table, queue_probes

ROWS, QUICK_ROWS = 1_000_000, 100_000
MOST_RATIO = 1.25  # an L3 replay may cost this much of the L2 replay of the same rows
QTY, LIMIT = 5.0, 50.0


def order_figures(n_messages: int = ROWS, repeats: int = 5) -> list[Figure]:
    """Rows a second of both replays and their ratio; messages a second of the table of orders."""
    world = OrderWorld(n_messages=n_messages, seed=7)
    named = order_tape(world, fees=Fees(maker_bp=0, taker_bp=1))
    bare = without_names(named)
    messages = order_messages(world)
    runs = {
        "orders, fifo": lambda: _replayed(named, FillModel(queue="fifo")),
        "orders, risk averse": lambda: _replayed(named, FillModel()),
        "depth, risk averse": lambda: _replayed(bare, FillModel()),
        "table": lambda: thread_timed(lambda: len(rows_of(new_orders(), messages)[1])),
    }
    interleaved(runs, 1)  # compiles
    seconds, last = interleaved(runs, repeats)
    n = len(named)
    rate = {name: n / spent for name, spent in seconds.items() if name != "table"}
    detail = {
        "rows": n,
        "messages": len(messages),
        "rows_a_second": rate,
        "fills": {name: last[name] for name in rate},
    }
    return [
        Figure(
            "replay of an order-by-order tape with the true queue over the same market as depth",
            seconds["orders, fifo"] / seconds["depth, risk averse"], "x", MOST_RATIO, MOST, detail=detail,
        ),
        Figure("order-by-order replay, fifo", rate["orders, fifo"] / 1e6, "million rows/s", detail=detail),
        Figure("the same as depth, risk averse", rate["depth, risk averse"] / 1e6, "million rows/s", detail=detail),
        probing(named),
        Figure(
            "order messages to rows (table of orders)", len(messages) / seconds["table"] / 1e6, "million messages/s",
            detail=detail,
        ),
    ]  # fmt: skip


def probing(tape: Tape) -> Figure:
    """Fills of fixed probe orders under the default model over those of the true queue: how pessimistic it is."""
    probes = queue_probes(tape, every_s=2.0, life_s=10.0)
    lots = {name: int(one.filled.sum()) for name, one in probes.items()}
    share = lots["risk_averse"] / lots["fifo"] if lots["fifo"] else None
    name = "fixed probe orders: fills of the default queue model over those of the true queue"
    return Figure(name, share, "of the true fills", detail={"lots": lots}, note=probe_table(probes))


def _replayed(tape: Tape, fills: FillModel) -> tuple[float, Any]:
    """(seconds, fills) of one whole simulation: two quotes each 100 ms."""
    chosen = quote_every(qty=QTY, limit=LIMIT)
    engine = engine_for([tape], [chosen], limits=WIDE)
    half = venues_for(engine, [tape], Latency(ENTRY_NS, RESPONSE_NS), fills)
    loop = Loop(engine, tape_table([tape]), np.zeros(0, EVENT), exchange=half, keep=[tape])
    loop.drive["end_ns"] = last_ns([tape])
    seconds, _ = thread_timed(lambda: run(loop, lambda rows, events: None))
    return seconds, int(engine.positions()[0]["fills"].sum())
