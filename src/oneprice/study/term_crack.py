"""What a crack spread did beside its stated band: its lowest and highest settlement, for a run that made no trade."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from oneprice.market.chains import day_number, day_text
from oneprice.market.settlements import Settlements
from oneprice.study.term_fit import BARREL, StripRules, leave_day


class CrackRange(msgspec.Struct, frozen=True):
    """Lowest and highest spread seen, quote currency a barrel of the crude, each with its day and delivery month."""

    low: float
    low_day: int
    low_month: int
    high: float
    high_day: int
    high_month: int


def crack_range(
    panels: Sequence[Settlements], rules: StripRules, period: tuple[Any, Any] = (None, None)
) -> CrackRange | None:
    """The range of a crack over the days and delivery months in which it may be opened; None where it has no price.

    A spread counts on a day on which all its legs settled, its contracts are among the first `rules.places` and none
    is yet to be left. period: first and last date, both included.
    """
    by_root = {panel.chain.root: panel for panel in panels}
    legs = [(by_root[root], n) for root, n in rules.crack]
    crude = abs(min(n for _, n in rules.crack))
    first, last = (None if day is None else day_number(day) for day in period)
    months = [
        {c.delivery_month: p for p, c in enumerate(panel.chain.contracts) if c.delivery_month} for panel, _ in legs
    ]
    seen: list[tuple[float, int, int]] = []
    for month in sorted(set.intersection(*(set(m) for m in months))):
        held = [(panel, n, at[month]) for (panel, n), at in zip(legs, months, strict=True)]
        leave = min(leave_day(panel.chain.contracts[p], rules) for panel, _, p in held)
        days = held[0][0].days
        for panel, _, _ in held[1:]:
            days = np.intersect1d(days, panel.days)
        front = np.searchsorted(held[0][0].chain.last_trade_days, days)
        days = days[(days < leave) & (held[0][2] - front < rules.places)]
        days = days[(days >= (0 if first is None else first)) & (days <= (leave if last is None else last))]
        spread = np.zeros(len(days))
        for panel, n, p in held:
            barrels = n / crude * BARREL.get(panel.chain.root, 1.0)
            spread += barrels * panel.price[np.searchsorted(panel.days, days), p]
        good = np.isfinite(spread)
        seen += [(float(v), int(d), month) for v, d in zip(spread[good], days[good], strict=True)]
    return CrackRange(*min(seen), *max(seen)) if seen else None


def crack_note(found: CrackRange | None, rules: StripRules) -> str:
    """Why a crack made no trade, with the range it was seen in beside its band."""
    band = f"the stated band {rules.crack_low:g} to {rules.crack_high:g} a barrel (crack_low, crack_high)"
    if found is None:
        return "no trade was made: no delivery month was priced in all its roots"
    f, within = found, rules.crack_low <= found.low and found.high <= rules.crack_high
    why = f"the spread never left {band}" if within else f"where it left {band} costs, fits or limits forbade one"
    return (
        f"no trade was made: {why}; lowest seen {f.low:.2f} on {day_text(f.low_day)} (delivery {f.low_month}), "
        f"highest {f.high:.2f} on {day_text(f.high_day)} (delivery {f.high_month})"
    )
