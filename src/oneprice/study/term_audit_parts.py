"""The bands of one row of an audit, contract by contract and part by part: a plain loop over pairs.

It computes each bound anew, as a sum of its causes, from the same inputs as the kernel (`term_audit_kernel.bounds`).
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from oneprice.market.chains import NO_BOUNDARY, TWO_SIDED
from oneprice.signals.parity.carry import growth_parts
from oneprice.study import term_audit_kernel as kernel

PARTS = ("near", "rate", "storage", "dividend", "borrow", "margin", "tax", "costs", "fit error")


class Carried(msgspec.Struct, frozen=True, eq=False):
    """What the bounds of a strip were computed with: the arguments `grid`, `logs`, `terms`, `cash` of the kernel."""

    grid: np.ndarray
    logs: np.ndarray
    terms: np.ndarray
    cash: np.ndarray


def log_discount(years: float, grid: np.ndarray, logs: np.ndarray) -> float:
    """ln P at `years`: linear between the nodes, the rate flat before the first and behind the last."""
    if years >= grid[-1]:
        return float(logs[len(grid) - 1] * years / grid[-1])
    return float(np.interp(years, np.append(0.0, grid), np.append(0.0, logs[: len(grid)])))


def part_rows(panel: Any, made: Carried | None, row: int) -> list[dict[str, Any]]:
    """A dictionary of each bound on a row: contract, bound (high, low), the contract it comes from (`against`), the
    PARTS, and their sum (`bound_at`). Empty where nothing is carried.
    """
    if made is None or panel.boundary == NO_BOUNDARY:
        return []
    out = []
    n, reach = panel.price.shape[2], int(made.terms[kernel.REACH])
    for j in range(n):
        for side in ("high", "low") if panel.boundary == TWO_SIDED else ("high",):
            best: tuple[float, int, dict[str, float]] | None = None
            for i in range(j - 1, max(j - reach, 0) - 1, -1):
                parts = pair_parts(panel, made, (row, i, j), upper=side == "high")
                if parts is None:
                    continue
                total = math.fsum(parts.values())
                if best is None or (total < best[0] if side == "high" else total > best[0]):
                    best = (total, i, parts)
            if best is not None and panel.key[row, j] >= 0:
                names = [panel.names[int(panel.key[row, k])] for k in (j, best[1])]
                out.append({"contract": names[0], "bound": side, "against": names[1], **best[2], "bound_at": best[0]})
    return out


def pair_parts(panel: Any, made: Carried, at: tuple[int, int, int], *, upper: bool) -> dict[str, float] | None:
    """What the bound of contract j by contract i on a row is made of, by the names of PARTS; None when i has no price
    or there is no time between the two. `at` is (row, i, j).
    """
    t, i, j = at
    terms, near = made.terms, float(panel.price[1 if upper else 0, t, i])
    first, last = float(panel.years[t, i]), float(panel.years[t, j])
    tau = last - first
    if math.isnan(near) or not (first >= 0.0 and tau > 0.0) or not np.isfinite(made.logs[t]).all():
        return None
    begin, end = (log_discount(x, made.grid, made.logs[t]) for x in (first, last))
    sign, spread = (1.0, terms[kernel.BORROW]) if upper else (-1.0, -terms[kernel.LEND])
    owed = 0.0
    if made.cash.size:
        side = 0 if upper else 1
        owed = float(made.cash[side, t, j] - made.cash[side, t, i]) * math.exp(spread * first - begin)
    tax = sign * abs(near) * terms[kernel.TAX]
    rates = (terms[kernel.STORAGE_RATE] if upper else 0.0, 0.0 if upper else terms[kernel.FEE], terms[kernel.YIELD])
    grown = dict.fromkeys(("rate", "storage", "borrow", "dividend"), 0.0)
    if near > 0.0:
        grown = growth_parts(near + tax - owed, begin - end + spread * tau, tau, rates)
    return {
        "near": near, "rate": grown["rate"],
        "storage": grown["storage"] + (terms[kernel.STORAGE] * tau if upper else 0.0),
        "dividend": grown["dividend"] - owed, "borrow": grown["borrow"],
        "margin": sign * abs(near) * terms[kernel.MARGIN] * (first + last), "tax": tax,
        "costs": sign * float(panel.cost[t, i] + panel.cost[t, j]),
        "fit error": sign * float(made.logs[t, -1]) * abs(near) * tau,
    }  # fmt: skip
