"""What signals do to the centre of the quotes: a stated gain each, summed, and never more than a cap.

    shift = clip(gain_ofi ofi + gain_lead lead + gain_micro micro, -cap, cap)

ofi is order flow imbalance (units of the underlying), lead the move of a leading venue that this one has not made yet
and micro the fitted distance of fair value from the mid (both quote currency). Gains are 0 unless a fit on earlier rows
gave them: an impact that is only contemporaneous is no reason to move a quote.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit


@njit
def clipped(x: float, cap: float) -> float:
    """x within +-cap; NaN stays NaN, a cap that is NaN or negative is 0."""
    if not cap > 0.0:
        return 0.0 * x
    return min(max(x, -cap), cap) if x == x else math.nan


@njit
def signal_part(gain: float, signal: float) -> float:
    """gain * signal; 0 where the gain is 0 or the signal is not there (NaN, inf)."""
    if gain == 0.0 or not math.isfinite(signal):
        return 0.0
    return gain * signal


@njit
def signal_shift(model: Any, ofi: float, lead: float, micro: float) -> float:
    """How far the centre of the quotes moves, quote currency, by the gains and the cap of a QUOTING record.

    A missing signal counts as 0; so does a gain of 0.
    """
    total = signal_part(model.gain_ofi, ofi) + signal_part(model.gain_lead, lead) + signal_part(model.gain_micro, micro)
    return clipped(total, model.skew_cap)
