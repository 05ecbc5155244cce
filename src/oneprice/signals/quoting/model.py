"""QUOTING: what a calibration tells a market maker, as the record that a model update replaces as a whole.

A strategy keeps it as `memory={"model": QUOTING}` and reads `m.model`; until the first update it is all zeros, and
`ready` 0 says: do not quote. `pack` checks values and gives the dict that an estimator of `modes.fit.Fit` returns.

`micro` is the table of `features.microprice_fitted` (ticks from the mid, rows spreads, columns buckets of imbalance);
`microprice_fitted.price(m.model.micro, bid, ask, bid_qty, ask_qty, tick)` reads it. All zeros is the mid.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.records import record
from oneprice.features.microprice_fitted import STATE as MICRO_STATE
from oneprice.features.microprice_fitted import TABLE, load

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
        ("micro", "f8", TABLE),  # ticks
    ]
)


def pack(
    *,
    fit_ns: int,
    sigma: float,
    arrivals_per_s: float,
    k_decay: float,
    mu: float = 0.0,
    gains: dict[str, float] | None = None,
    skew_cap: float = 0.0,
    micro: Any = None,
) -> dict[str, Any]:
    """Values of a QUOTING record.

    Parameters
    ----------
    gains : any of ofi, lead, micro -> gain. micro : [1..4, 10] ticks; None: the mid.

    Raises
    ------
    ConfigError
        A sigma, rate or decay that is not positive and finite, a gain that is not finite.
    DataError
        A table of another shape, or with a number that is not finite.
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
    if micro is not None:
        state = np.zeros(1, MICRO_STATE)
        load(state, micro)
        words["micro"] = state["table"][0]
    return words
