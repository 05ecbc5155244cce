"""One asset on two venues: buy where it is cheap, sell where it is dear, close both when the gap has closed.

A gap counts only against its own slow mean (a standing basis is not a gap) and only if what is left after four
crossings at the shown depth pays. Both legs must be fresh and neither venue's own book crossed.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.execution.intents import fresh, package
from oneprice.execution.strategy import strategy
from oneprice.signals import trigger
from oneprice.signals.ladder import mid_gap_bp, net_edge_bp, size_at_zero_edge


@strategy(
    edge_bp=2.0,  # least edge net of all crossings to enter
    exit_bp=0.5,  # the gap is closed when it is this near its mean
    qty=0.1,  # most a package trades, underlying units
    limit=0.5,  # most a leg holds
    k_sigma=3.0,  # |gap - mean| > k sigma
    alpha=0.001,  # weight of one observation in mean and sigma
    warm=500,  # observations before the first entry
    crossings=4,  # 4: both legs are closed again; 2: they stay as inventory
    slip_bp=1.0,  # how much worse than the touch a leg may fill
    memory={"gap": trigger.STATE},
    exit="converge",
)
def cross_market(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """Keys: 1 buys leg 0, 2 buys leg 1, 3 closes."""
    a, b = legs[0], legs[1]
    if not fresh(event, a, b) or not a.bid < a.ask or not b.bid < b.ask:
        return
    gap_bp = mid_gap_bp(legs, 0, 1)
    mean_bp = m.gap.level
    sign = trigger.step(m.gap, gap_bp, 1.0, p.k_sigma, p.alpha, 1, p.warm)
    held = min(abs(a.position), abs(b.position))
    if held > 0.0 and a.position * b.position < 0.0:
        away_bp = gap_bp - mean_bp if a.position > 0.0 else mean_bp - gap_bp
        if p.crossings == 4 and away_bp < p.exit_bp:
            slip = 1.0 + p.slip_bp * 1e-4
            if a.position > 0.0:
                package(orders, 3, (1, b.ask * slip), (0, a.bid / slip), held, -1, 0, True)
            else:
                package(orders, 3, (0, a.ask * slip), (1, b.bid / slip), held, -1, 0, True)
            return
    if sign == 0.0 or math.isnan(sign):
        return
    cheap, dear, key = (0, 1, 1) if sign > 0.0 else (1, 0, 2)
    room = p.limit - max(legs[cheap].position, -legs[dear].position)
    standing_bp = sign * mean_bp if p.crossings == 4 else 0.0
    qty = size_at_zero_edge(legs, cheap, dear, min(p.qty, room), p.crossings, standing_bp + p.edge_bp)
    if qty > 0.0 and net_edge_bp(legs, cheap, dear, qty, p.crossings, standing_bp) > p.edge_bp:
        slip = 1.0 + p.slip_bp * 1e-4
        package(orders, key, (cheap, legs[cheap].ask * slip), (dear, legs[dear].bid / slip), qty)
