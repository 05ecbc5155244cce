"""First compile: numba compiles one function at a time in a process, so independent layers are compiled in two.

Each part is a kernel that calls what the engine calls of a layer, with the engine's types; it is compiled as a callee,
never run. What it calls lands in the cache on disk, where the engine's own compilation finds it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

from numba import types

from oneprice.core.arena import event_at, row_at
from oneprice.core.jit import njit
from oneprice.engine.merge import INF
from oneprice.engine.state import state_at
from oneprice.execution import exchange, orders, package, planner
from oneprice.market import book
from oneprice.risk import attribution, gate, halt, ledger, overlay

ADDRESSES = (types.int64, types.int64)


@njit
def execution_part(state: int, event: int) -> None:
    """What the engine calls of execution."""
    s = state_at(state)
    ev = event_at(event)
    orders.on_response(s, ev)
    orders.approved(s, s.now_ns, s.now_ns)
    orders.refused(s, s.now_ns, s.now_ns, s.now_ns)
    planner.on_intents(s, s.now_ns)
    planner.cancel_everything(s, -1)
    planner.flatten_everything(s, -1)
    package.review(s)
    package.on_touch(s, s.now_ns)
    package.on_timer(s, ev)
    package.on_status(s, ev)


@njit
def risk_part(state: int, event: int) -> None:
    """What the engine calls of market and risk."""
    s = state_at(state)
    ev = event_at(event)
    b = book.book_at(state)
    book.book_row(b, ev)
    gate.check(s, s.blotter.orders[0], s.now_ns)
    ledger.on_fill(s, ev, s.now_ns, s.now_ns, s.now_ns, s.now_ns, s.now_ns)
    ledger.on_funding(s, ev)
    ledger.on_expiry(s, ev)
    attribution.due(s)
    attribution.mark_all(s)
    attribution.emit_equity(s)
    halt.check_drawdown(s)
    overlay.package_open(s, s.now_ns, s.now_ns, s.now_ns)
    overlay.package_close(s, s.now_ns)


@njit
def exchange_part(half: int, row: int) -> None:
    """What the engine calls of the simulated venues."""
    x = exchange.exchange_at(half)
    exchange.ex_send(x, x.next_due_ns, row_at(row))
    exchange.ring_pop(x)


@njit
def advance_part(half: int, tapes: Any) -> None:
    """The venues' own loop."""
    x = exchange.exchange_at(half)
    exchange.ex_advance(x, tapes, min(exchange.horizon_ns(x), INF))


def compile_execution() -> None:
    """The largest part, compiled in a process of its own."""
    execution_part.get_call_template(ADDRESSES, {})


def compile_rest() -> None:
    """Market, risk and the exchange half."""
    risk_part.get_call_template(ADDRESSES, {})
    exchange_part.get_call_template(ADDRESSES, {})
    advance_part.get_call_template((types.int64, types.Array(types.int64, 2, "C")), {})


def warm(finish: Callable[[], Any]) -> None:
    """Compile execution in a second process while this one compiles the rest, then `finish` (a first small run)."""
    command = [sys.executable, "-c", "from oneprice.engine.warm import compile_execution; compile_execution()"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as other:
        compile_rest()
        other.wait()  # if it failed, `finish` compiles what is missing
    finish()


