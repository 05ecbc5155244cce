"""An entry that does nothing: stands in for a strategy while its fault is explained."""

from __future__ import annotations

from numba import cfunc, types

from oneprice.core.address import record_at
from oneprice.core.arena import STRATEGY

_strategy_at = record_at(STRATEGY)


@cfunc(types.void(*(types.intp,) * 7))
def nothing(event, views, n, params, memory, orders, strategy):  # type: ignore[no-untyped-def]  # numba reads it
    """Report success."""
    _strategy_at(strategy).guard = 1
