"""First compile: half of the engine in this process, half in a second one beside it.

Each part is a kernel that calls what the engine calls of a layer, with the engine's types; it is compiled as a callee,
never run. What it calls lands in the cache on disk, where the engine's own compilation finds it. A file in the cache
says that this was done for the engine as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba import types

from oneprice.core import jit
from oneprice.core.arena import event_at, row_at
from oneprice.core.beside import Wait, beside
from oneprice.core.jit import njit
from oneprice.engine import live, local, simulate
from oneprice.engine.merge import INF
from oneprice.engine.state import state_at
from oneprice.execution import exchange, orders, package, planner
from oneprice.market import book
from oneprice.risk import attribution, gate, halt, ledger, overlay

T = TypeVar("T")
config: Any = numba.config
ADDRESSES = (types.int64, types.int64)
EXECUTION = "oneprice.engine.warm:compile_execution"
LIVE = "oneprice.engine.warm:compile_live"
MESSAGE = "oneprice: compiling the engine, once per version (about 15 s on two idle cores)"


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
    gate.check_others(s, s.now_ns)
    ledger.on_fill(s, ev, s.now_ns, s.now_ns, s.now_ns, s.now_ns, s.now_ns)
    ledger.on_funding(s, ev)
    ledger.on_borrow(s, ev)
    ledger.on_dividend(s, ev)
    ledger.on_expiry(s, ev)
    ledger.set_fx_from_leg(s, s.now_ns)
    attribution.due(s)
    halt.set_halt(s, s.now_ns, s.now_ns, s.now_ns)
    overlay.package_plan(s, s.now_ns, s.now_ns, s.now_ns, s.now_ns, s.now_ns)


@njit
def local_part(state: int, event: int) -> None:
    """What the engine adds that needs nothing of execution."""
    s = state_at(state)
    ev = event_at(event)
    local.open_overlay(s, s.now_ns)
    local.close_overlay(s, s.now_ns)
    local.book_fill(s, ev, s.blotter.orders[0])
    local.refresh_leg(s, s.now_ns)
    local.take_model(s, ev)
    local.sample(s)


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


@njit
def forward_part(state: int, half: int) -> None:
    """Commands on their way to the venues."""
    s = state_at(state)
    simulate.forward(s, exchange.exchange_at(half), s.now_ns)


def compile_execution() -> None:
    """The largest part, compiled in a process of its own."""
    execution_part.get_call_template(ADDRESSES, {})


def compile_rest() -> None:
    """Market, risk and the exchange half."""
    for part in (risk_part, local_part, exchange_part):
        part.get_call_template(ADDRESSES, {})
    advance_part.get_call_template((types.int64, types.Array(types.int64, 2, "C")), {})
    forward_part.get_call_template(ADDRESSES, {})


def compile_live() -> None:
    """The step that paper and live sessions call, and the last marks of a run."""
    live.finish.compile((types.int64,))
    live.live_step.compile((types.int64,) * 3)


def is_compiled() -> bool:
    """Whether the layers of this version of the engine were compiled into this cache."""
    return _mark().is_file()


def compile_layers(wait: Wait) -> None:
    """This process's half, then until the other has done its own."""
    compile_rest()
    wait(EXECUTION)
    mark = _mark()
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()


def ensure(first: Callable[[], T]) -> T:
    """Before an engine is built: what `first` gives (it may compile too), and the layers if this cache lacks them.

    A line on standard error says so.
    """
    if config.DISABLE_JIT or is_compiled():
        return first()
    print(MESSAGE, file=sys.stderr, flush=True)
    with beside(EXECUTION) as wait:
        made = first()
        compile_layers(wait)
    return made


def warm(finish: Callable[[], Any]) -> None:
    """Compile all the engine has, `finish` (a first small run) included, whatever the cache holds."""
    with beside(EXECUTION, LIVE) as wait:
        compile_layers(wait)
        finish()
        wait(LIVE)


def _mark() -> Path:
    here = Path(__file__).resolve()
    return jit.cache_home() / jit.digest_of(here) / "layers.compiled"
