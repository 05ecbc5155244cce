"""ACTIVE, REDUCING, HALTED: trading stops itself, and only the operator lets it go on."""

from __future__ import annotations

from typing import Any

from oneprice.core.arena import emit, strategy_row
from oneprice.core.jit import njit
from oneprice.core.records import ACTIVE, HALT_ROW, REDUCING
from oneprice.risk.accounts import equity
from oneprice.risk.records import NO_STRATEGY

# why (HALT_ROW.code)
OPERATOR_WORD, DRAWDOWN, STRATEGY_FAULT, VENUE_LOST, SINK_LOST, ORPHAN_FILL, UNHEDGED = 1, 2, 3, 4, 5, 6, 7
CODES = ("", "operator", "drawdown", "strategy fault", "venue lost", "rows lost", "orphan fill", "unhedged")


@njit
def set_halt(s: Any, state: int, code: int, detail: int) -> bool:
    """Change the state of the whole engine; True when it changed.

    Anything may tighten it, only OPERATOR_WORD may loosen it. Leaves a HALT_ROW: a = before, b = after, c =
    `detail` (a strategy's index, or the value observed), d = the limit it broke (drawdown), strategy = 255.
    When the operator resumes, the peak of equity starts anew, or the same drawdown would halt at once.
    """
    before = s.halt
    if state == before or (state < before and code != OPERATOR_WORD):
        return False
    s.halt = state
    row = emit(s, HALT_ROW)
    row.code = code
    row.a = before
    row.b = state
    row.c = detail
    row.d = s.gate.drawdown_limit if code == DRAWDOWN else 0
    row.strategy = NO_STRATEGY
    if state == ACTIVE:
        s.gate.peak_equity = equity(s)
    return True


@njit
def halt_strategy(s: Any, k: int, state: int, code: int, detail: int) -> bool:
    """The same for one strategy (`strategies[k].halt`); the row's strategy is k."""
    st = strategy_row(s, k)
    before = st.halt
    if state == before or (state < before and code != OPERATOR_WORD):
        return False
    st.halt = state
    row = emit(s, HALT_ROW)
    row.code = code
    row.a = before
    row.b = state
    row.c = detail
    row.strategy = k
    return True


@njit
def check_drawdown(s: Any) -> bool:
    """Compare equity with its peak; beyond the limit the engine only reduces. Call it after `mark_all`."""
    now = equity(s)
    if now > s.gate.peak_equity:
        s.gate.peak_equity = now
    fall = s.gate.peak_equity - now
    if fall > s.gate.drawdown_limit:
        return set_halt(s, REDUCING, DRAWDOWN, fall)
    return False
