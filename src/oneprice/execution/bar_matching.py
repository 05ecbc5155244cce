"""Fills on bars: an order sent on bar t fills at the open of t + 1, a limit needs the bar to trade through
it.

The answer is made when the bar that filled it is complete, so nothing of the bar's range can leak before its
end.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import IOC, POST_ONLY
from oneprice.execution.matching import cancel_at, fill, leave
from oneprice.execution.venue_state import X_IOC, exleg_of


@njit
def on_bar(x: Any, i: int, ev: Any, at_ns: int) -> None:
    """Match the resting orders of a bar leg against one bar, oldest and best price first.

    - open plus slippage (`ceil(|open| slippage_bp / 10^4)` ticks against us) within the limit: a taker fill
      there;
    - else low < limit (buy) or high > limit (sell), strictly: a maker fill at the limit;
    - all fills of a bar together take at most `participation` of its volume (or the assumed depth without
      volume);
    - what an IOC did not get is cancelled.
    """
    e = exleg_of(x, i)
    opened = ev.close + ev.open_off
    room = math.floor(e.participation * ev.volume + 1e-9) if ev.volume > 0 else e.leg.assumed_depth_lots
    slip = math.ceil(abs(opened) * e.slippage_bp * 1e-4 - 1e-9)
    k = 0
    while k < e.n_resting:
        o = e.orders[e.rank[k]]
        lots = min(room, o.lots - o.filled)
        price = opened + o.side * slip
        within = price <= o.price if o.side > 0 else price >= o.price
        if o.side > 0:
            through = ev.close + ev.low_off < o.price
        else:
            through = ev.close + ev.high_off > o.price
        if lots > 0 and within and (o.tif & POST_ONLY) == 0:
            room -= lots
            fill(x, i, o, lots, price, False, at_ns)
        elif lots > 0 and through and (o.tif & IOC) == 0:
            room -= lots
            fill(x, i, o, lots, o.price, True, at_ns)
        if o.filled == o.lots:
            leave(e, k)
        elif o.tif & IOC:
            cancel_at(x, i, k, at_ns, X_IOC)
        else:
            k += 1
