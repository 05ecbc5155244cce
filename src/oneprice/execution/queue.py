"""Where a resting order stands in its queue: lots ahead, moved by trades and (in some models) by cancels.

`ahead` counts market lots before us. A trade of n lots at our price moves it by n; what n exceeds it fills
us. When the level shrinks by dq without trades, a model says how much of that stood ahead:

- risk_averse  none: only trades advance (the default)
- prob_log     V <- max(V + p dQ, 0), p = f(V) / (f(V) + f(Q - V)), f(x) = log(1 + x)
- prob_power   the same with f(x) = x^n
- touch        no queue at all: any trade at the price fills (the optimistic bound)
- fifo         all of it, if the order that left had joined before us: the true place, on tapes that name orders

A row of such a tape carries the stamp of the order it is about, which rises with every joining. All that a level
shows when we join stands before us; the first stamp that joins later parts what stands before from what stands
behind. A row of our level without a stamp (a resync) ends that knowledge: from then on trades alone move us.

In every model what is no longer displayed cannot be ahead of us (switch: `bound_by_displayed`). Source: E.
Rigtorp, "Estimating order queue position" (rigtorp.se, 2013); the probability forms as in ANCHORS "Queues".
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit

RISK_AVERSE, PROB_LOG, PROB_POWER, TOUCH, FIFO = 0, 1, 2, 3, 4
QUEUE_MODELS = {
    "risk_averse": RISK_AVERSE,
    "prob_log": PROB_LOG,
    "prob_power": PROB_POWER,
    "touch": TOUCH,
    "fifo": FIFO,
}
NOBODY = 9_223_372_036_854_775_807  # stamp of the first order behind us while none has joined
UNSEEN = -1.0  # lots ahead of an order at a price whose level has not been seen yet


@njit
def share_ahead(model: int, power: float, ahead: float, behind: float) -> float:
    """Expected share of a cancelled quantity that stood ahead of us; 0 for models that trust trades only."""
    if model == PROB_LOG:
        a = math.log(1.0 + ahead)
        b = math.log(1.0 + behind)
    elif model == PROB_POWER:
        a = ahead**power
        b = behind**power
    else:
        return 0.0
    return a / (a + b) if a + b > 0.0 else 1.0


@njit
def queue_join(e: Any, o: Any, shown: int, seen: bool) -> None:
    """An order joins behind everything its level shows (or behind what it will show when first seen)."""
    o.level_lots = shown
    o.traded_lots = 0
    o.behind_stamp = NOBODY
    if e.queue_model == TOUCH:
        o.ahead = 0.0
    elif seen:
        o.ahead = float(shown)
    else:
        o.ahead = UNSEEN


@njit
def queue_trade(o: Any, lots: int) -> int:
    """A trade of `lots` at our price: the queue moves up; returns the lots that reach us."""
    if o.ahead < 0.0:
        return 0
    o.traded_lots += lots
    o.ahead -= lots
    if o.ahead >= 0.0:
        return 0
    reach = math.floor(-o.ahead + 1e-9)
    o.ahead = 0.0
    return reach


@njit
def queue_named(o: Any, shown: int, stamp: int) -> None:
    """The order of `stamp` changed our level to `shown` lots: who joins is behind us, who leaves may be ahead."""
    gone = o.level_lots - shown - o.traded_lots
    if stamp <= 0:
        o.behind_stamp = 0
    elif gone < 0:
        o.behind_stamp = min(o.behind_stamp, stamp)
    elif stamp < o.behind_stamp:
        o.ahead = max(o.ahead - gone, 0.0)


@njit
def queue_level(e: Any, o: Any, shown: int, stamp: int = 0) -> None:
    """The level of an order now shows `shown` market lots; `stamp` of the order that changed it, 0 if not named."""
    if o.ahead < 0.0:
        o.ahead = float(shown)
    elif e.queue_model == FIFO:
        queue_named(o, shown, stamp)
    elif shown < o.level_lots and o.ahead > 0.0:
        gone = o.level_lots - shown - o.traded_lots  # what trades did not explain
        if gone > 0:
            behind = max(o.level_lots - o.traded_lots - o.ahead, 0.0)
            o.ahead = max(o.ahead - gone * share_ahead(e.queue_model, e.power, o.ahead, behind), 0.0)
    if e.bound_by_displayed != 0 and o.ahead > shown:
        o.ahead = float(shown)
    o.level_lots = shown
    o.traded_lots = 0


def need_stamps(queue: str, depth: str, leg: str) -> None:
    """Refuse `fifo` on a tape whose rows do not name orders (`depth` of its header is not "orders")."""
    if queue == "fifo" and depth != "orders":
        raise ConfigError(
            f"{leg}: queue model 'fifo' needs a tape that names its orders (header depth: 'orders'), this one shows"
            " levels only; import order messages (oneprice import --format bitstamp, lobster or mbo), or use"
            " 'risk_averse', 'prob_log' or 'prob_power'"
        )
