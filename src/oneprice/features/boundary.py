"""Is a price outside its band, and stays it there? Confirmed before it counts, and left only when it is well inside.

    +1  the price has been above high + open for `confirm` readings in a row
    -1  below low - open
     0  otherwise; once outside, only when the price is back within `back` of the bound, on its inner side

`back` above 0 asks for a return beyond the bound (a trade has to earn its way out), below 0 lets it go early. Where an
instrument has no lower or no upper bound, say NO_LOW or NO_HIGH: a NaN bound is one not known, and changes nothing.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

NO_LOW, NO_HIGH = -1e300, 1e300
STATE = record([("side", "i8"), ("run", "i8"), ("leaning", "i8")])
PARAMS = record([("open", "f8"), ("back", "f8"), ("confirm", "i8")])


@njit
def step(s: Any, price: float, low: float, high: float, open: float, back: float, confirm: int) -> float:  # noqa: A002
    """Side of the price after this reading: 1 above, -1 below, 0 inside; NaN when price or band are not finite.

    A reading inside, or on the other side, starts the count again. A price that jumps through the band changes side
    only after it is confirmed there. low > high is no band: NaN, nothing is remembered.
    """
    if not (math.isfinite(price) and math.isfinite(low) and math.isfinite(high)) or low > high:
        return math.nan
    if (s.side > 0 and not price > high - back) or (s.side < 0 and not price < low + back):
        s.side = 0
    lean = 1 if price > high + open else -1 if price < low - open else 0
    s.run = s.run + 1 if lean != 0 and lean == s.leaning else (1 if lean != 0 else 0)
    s.leaning = lean
    if lean != 0 and s.side == 0 and s.run >= confirm:
        s.side = lean
    return float(s.side)


@njit
def loop(
    states: Any,
    price: Any,
    low: Any,
    high: Any,
    open: float,  # noqa: A002
    back: float,
    confirm: int,
    out: Any,
) -> None:
    """`step` over arrays."""
    for i in range(len(out)):
        out[i] = step(states[0], price[i], low[i], high[i], open, back, confirm)


FOLD = Fold(
    "boundary",
    STATE,
    PARAMS,
    step,
    loop,
    ("price", "low", "high"),
    {"open": 0.0, "back": 0.0, "confirm": 2},
    {"open": (0.0, 1e12), "back": (-1e12, 1e12), "confirm": (1, 1 << 40)},
)
