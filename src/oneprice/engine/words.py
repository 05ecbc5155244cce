"""What is told to the engine from outside: a fitted model for a strategy, and the word of the operator."""

from __future__ import annotations

from typing import Any

from oneprice.core.address import address_of, words_at
from oneprice.core.arena import strategy_row
from oneprice.core.jit import njit
from oneprice.core.records import (
    ACTIVE,
    HALTED,
    LAST,
    OP_CANCEL_ALL,
    OP_EPOCH,
    OP_FLATTEN,
    OP_HALT,
    OP_REDUCE,
    OP_RESUME,
    OP_STOP,
    REDUCING,
)
from oneprice.execution import planner
from oneprice.risk import halt


@njit
def take_model(s: Any, ev: Any) -> bool:
    """One word of a model update; True on the last, when the whole model has replaced the one before.

    A model of n bytes comes as n / 8 events of one nanosecond (key = byte offset, value = the word, LAST on the last),
    so the journal holds it and a strategy never sees half of it.
    """
    if ev.owner < 0 or ev.owner >= s.n_strategies:
        return False
    st = strategy_row(s, ev.owner)
    base = address_of(s)
    n = st.model_bytes // 8
    if ev.key < 0 or ev.key // 8 >= n:
        return False
    stage = words_at(base + st.stage_off)
    stage[ev.key // 8] = ev.value
    if ev.flag_bits & LAST == 0:
        return False
    model = words_at(base + st.model_off)
    for i in range(n):
        model[i] = stage[i]
    return True


@njit
def on_operator(s: Any, ev: Any) -> None:
    """The operator's word: stop, halt, reduce, resume, cancel all, flatten."""
    key = ev.key
    if key == OP_HALT:
        halt.set_halt(s, HALTED, halt.OPERATOR_WORD, 0)
    elif key == OP_REDUCE:
        halt.set_halt(s, REDUCING, halt.OPERATOR_WORD, 0)
    elif key == OP_RESUME:
        halt.set_halt(s, ACTIVE, halt.OPERATOR_WORD, 0)
        s.stopping = 0
    elif key == OP_CANCEL_ALL:
        planner.cancel_everything(s, -1)
    elif key == OP_STOP:
        s.stopping = 1
        planner.cancel_everything(s, -1)
    elif key == OP_FLATTEN:
        planner.flatten_everything(s, -1)
    elif key == OP_EPOCH:
        s.epoch = ev.value
