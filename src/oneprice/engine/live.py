"""Kernels as Python calls them: by address. `live_step` folds one event; paper and live are driven by it."""

from __future__ import annotations

from typing import Any

import numpy as np

from oneprice.core.address import record_at
from oneprice.core.arena import sink_of
from oneprice.core.jit import njit
from oneprice.core.records import EVENT
from oneprice.engine.local import fold, sample
from oneprice.engine.merge import INF
from oneprice.engine.replay import replay
from oneprice.engine.simulate import keep, simulate, timer_event
from oneprice.engine.state import state_at
from oneprice.execution.exchange import (
    ex_advance,
    ex_send,
    exchange_at,
    horizon_ns,
    ring_head,
    ring_head_ns,
    ring_pop,
)

_event_at = record_at(EVENT)


@njit
def live_step(state: int, event: int, entries: int) -> int:
    """Fold the event at an address into the state at an address.

    Returns the number of rows now in the sink, or -(1 + k) if strategy k raised.
    """
    s = state_at(state)
    fault = fold(s, _event_at(event), entries)
    if fault != 0:
        return -fault
    return sink_of(s).n_rows


@njit
def simulate_from(state: int, exchange: int, d: Any, merged: Any, streams: Any, entries: Any, n_max: int) -> int:
    """`simulate` on the arenas at two addresses; merged = (tapes, cursor, keys, tree)."""
    at = np.int64(entries.ctypes.data)  # as in `live_step`: one specialisation of the fold, not two
    return simulate(state_at(state), exchange_at(exchange), d[0], merged, streams, at, n_max)


@njit
def replay_from(state: int, d: Any, merged: Any, private: Any, entries: Any, n_max: int) -> int:
    """`replay` on the arena at an address."""
    return replay(state_at(state), d[0], merged, private, np.int64(entries.ctypes.data), n_max)


@njit
def finish(state: int) -> None:
    """The last marks and samples of a run."""
    sample(state_at(state))


@njit
def copy_event(address: int, out: Any) -> None:
    """Copy the EVENT at an address into out[0]."""
    out[0] = _event_at(address)


@njit
def next_private(state: int, exchange: int, d: Any, tapes: Any, out: Any, before_ns: int) -> bool:
    """The next answer or timer due strictly before a time, written to out[0]; False if there is none."""
    s = state_at(state)
    x = exchange_at(exchange)
    while True:
        t_ring = ring_head_ns(x)
        t_timer = max(s.blotter.timer_next_ns, s.now_ns)
        t = min(t_ring, t_timer)
        if x.next_due_ns <= t and x.next_due_ns < before_ns:
            ex_advance(x, tapes, horizon_ns(x))
            continue
        if t >= before_ns or t == INF:
            return False
        if t_ring == t:
            keep(out.ctypes.data, d[0], ring_head(x))
            ring_pop(x)
        else:
            timer_event(s, out.ctypes.data, d[0])
        return True


@njit
def send_rows(exchange: int, rows: Any) -> None:
    """Hand COMMAND rows to the simulated venues."""
    x = exchange_at(exchange)
    for r in rows:
        ex_send(x, r.time_ns, r)
