"""Settlement of what was bought: on a T+1 leg the lots bought on a trading day cannot be sold before the next one.

It is the law of the account, not of a strategy: lots of all strategies count together, and older lots are sold
first. With bought_t the lots bought today that were not covering a short, held today

    locked = min(bought_t, max(position, 0)),    may be sold = position - locked - sells at work

so a position that is short, or was sold down to what is left of today's purchases, follows. A trading day begins
`day_start_ns` after midnight UTC (the first session's open) and ends where the next begins.
"""

from __future__ import annotations

from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import BUY

DAY_NS = 86_400_000_000_000


@njit
def trading_day(leg: Any, now_ns: int) -> int:
    """Number of the trading day of a leg at a receive time (days since 1970)."""
    return (now_ns - leg.day_start_ns) // DAY_NS


@njit
def next_day_ns(leg: Any, now_ns: int) -> int:
    """When the next trading day of a leg begins."""
    return (trading_day(leg, now_ns) + 1) * DAY_NS + leg.day_start_ns


@njit
def locked_lots(leg: Any, now_ns: int) -> int:
    """Lots of the leg's position that were bought today and cannot be sold today; 0 on a leg without the rule."""
    if leg.settle_days == 0 or leg.locked_lots == 0 or trading_day(leg, now_ns) != leg.locked_day:
        return 0
    return leg.locked_lots


@njit
def free_to_sell(leg: Any, now_ns: int) -> int:
    """Lots that may be sold now beside the sells at work; meaningful while `locked_lots` is not 0."""
    return leg.position_lots - leg.open_sell_lots - locked_lots(leg, now_ns)


@njit
def settled(leg: Any, side: int, lots: int, now_ns: int) -> bool:
    """May an order of `lots` more be sent without selling what was bought today? Buys always may."""
    return side == BUY or locked_lots(leg, now_ns) == 0 or free_to_sell(leg, now_ns) >= lots


@njit
def settle_fill(leg: Any, q: int, now_ns: int) -> None:
    """Note a fill of `q` signed lots that `leg.position_lots` has in it already."""
    if leg.settle_days == 0:
        return
    day = trading_day(leg, now_ns)
    if day != leg.locked_day:
        leg.locked_day = day
        leg.locked_lots = 0
    held = max(leg.position_lots, 0)
    if q > 0:
        leg.locked_lots += min(q, held)
    leg.locked_lots = min(leg.locked_lots, held)
