"""QUOTING: what a calibration tells a market maker, as the record that a model update replaces as a whole.

A strategy keeps it as `memory={"model": QUOTING}` and reads `m.model`; until the first update it is all zeros, and
`ready` 0 says: do not quote. `pack` checks values and gives the dict that an estimator of `modes.fit.Fit` returns.

The table of the microprice holds, for a spread of i + 1 ticks (the last row: that many or more) and a bucket of the
imbalance bid / (bid + ask) of the touch, the fitted distance of fair value from the mid in ticks.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit
from oneprice.core.records import record

MICRO_SPREADS, MICRO_BUCKETS = 4, 20

QUOTING = record(
    [
        ("ready", "f8"),  # 1: the words below are a calibration; 0: there is none, do not quote
        ("fit_ns", "i8"),  # last row it was fitted on
        ("sigma", "f8"),  # of the mid, quote currency a square root of a second
        ("arrivals_per_s", "f8"),  # A: arrivals a second on one side at distance 0
        ("k_decay", "f8"),  # 1 / quote currency
        ("mu", "f8"),  # drift already shrunk, quote currency a second; 0: none
        ("gain_ofi", "f8"),  # quote currency a unit of order flow imbalance
        ("gain_lead", "f8"),  # quote currency a unit of quote currency that the leader moved
        ("gain_micro", "f8"),  # 1: quote around the fitted microprice; 0: around the mid
        ("skew_cap", "f8"),  # most that signals move the centre, quote currency
        ("micro_spreads", "f8"),  # rows of the table in use; 0: no table
        ("micro_buckets", "f8"),  # columns in use
        ("micro_ticks", "f8", (MICRO_SPREADS * MICRO_BUCKETS,)),  # row by row
    ]
)


@njit
def micro_offset(model: Any, bid_qty: float, ask_qty: float, spread_ticks: float) -> float:
    """Fitted distance of fair value from the mid in ticks, from the model's table.

    0 without a table; NaN where a quantity or the spread is NaN, both queues are empty or the spread is below half a
    tick.
    """
    both = bid_qty + ask_qty
    if not (bid_qty >= 0.0 and ask_qty >= 0.0 and both > 0.0 and spread_ticks >= 0.5):
        return math.nan
    rows, columns = int(model.micro_spreads), int(model.micro_buckets)
    if rows <= 0 or columns <= 0:
        return 0.0
    i = min(int(min(spread_ticks, 1e6) - 0.5), rows - 1)
    j = min(int(bid_qty / both * columns), columns - 1)
    return float(model.micro_ticks[i * columns + j])


def pack(
    *,
    fit_ns: int,
    sigma: float,
    arrivals_per_s: float,
    k_decay: float,
    mu: float = 0.0,
    gains: dict[str, float] | None = None,
    skew_cap: float = 0.0,
    micro_ticks: Any = None,
) -> dict[str, Any]:
    """Values of a QUOTING record.

    Parameters
    ----------
    gains : any of ofi, lead, micro -> gain. micro_ticks : [spreads, buckets], at most 4 x 20, ticks; None: no table.

    Raises
    ------
    ConfigError
        A sigma, rate or decay that is not positive and finite, a gain that is not finite, a table of another shape.
    """
    for name, value in (("sigma", sigma), ("arrivals_per_s", arrivals_per_s), ("k_decay", k_decay)):
        if not (value > 0.0 and math.isfinite(value)):
            raise ConfigError(f"quoting model: {name}: expected a finite number > 0, got {value!r}")
    words: dict[str, Any] = {
        "ready": 1.0, "fit_ns": int(fit_ns), "sigma": sigma, "arrivals_per_s": arrivals_per_s, "k_decay": k_decay,
        "mu": mu, "skew_cap": skew_cap,
    }  # fmt: skip
    for name, gain in (gains or {}).items():
        if name not in ("ofi", "lead", "micro"):
            raise ConfigError(f"quoting model: gains: expected ofi, lead or micro, got {name!r}")
        words[f"gain_{name}"] = gain
    for name in ("mu", "skew_cap", *(w for w in words if w.startswith("gain_"))):
        if not math.isfinite(words[name]) or (name == "skew_cap" and words[name] < 0.0):
            raise ConfigError(f"quoting model: {name}: expected a finite number, got {words[name]!r}")
    if micro_ticks is not None:
        table = np.asarray(micro_ticks, np.float64)
        shape = table.shape if table.ndim == 2 else (0, 0)
        if not (1 <= shape[0] <= MICRO_SPREADS and 1 <= shape[1] <= MICRO_BUCKETS and np.isfinite(table).all()):
            raise ConfigError(
                f"quoting model: micro_ticks: expected finite [1..{MICRO_SPREADS}, 1..{MICRO_BUCKETS}], "
                f"got shape {table.shape}"
            )
        cells = np.zeros(MICRO_SPREADS * MICRO_BUCKETS)
        cells[: table.size] = table.ravel()
        words |= {"micro_spreads": float(shape[0]), "micro_buckets": float(shape[1]), "micro_ticks": cells}
    return words
