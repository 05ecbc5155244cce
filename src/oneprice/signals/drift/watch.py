"""Five monitors on one stream of standardised shocks, each with its own vote; a limit of 0 means it does not listen.

    CUSUM          a shift of the mean of one deviation            GROWTH  variance growing by `growth`
    PAGE           a smaller shift, away from the running average  BOCPD   either, by Bayes
    ADWIN          a change of the mean of any size, with a bound on its false alarms

`step` returns the bits of the monitors whose alarm stands; alarms stay until `clear`. What the rates of five monitors
add up to is stated, not hoped for: with the limits of `RULES` a mean of `BUDGET` standard normal shocks goes by until
the first alarm of any (CUSUM by its Markov chain at 3,480, growth at 11,000, Page-Hinkley and BOCPD by simulation at
10,000 each, ADWIN beyond that), which a test measures on stationary Ornstein-Uhlenbeck spreads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.signals.drift import adwin, bocpd, cusum, page_hinkley, residual

CUSUM, GROWTH, PAGE, ADWIN, BOCPD = 1, 2, 4, 8, 16
FAN, STOP = 32, 64  # not of this bank: what else makes a strategy ask
MONITORS = {CUSUM: "cusum", GROWTH: "growth", PAGE: "page_hinkley", ADWIN: "adwin", BOCPD: "bocpd"}
ASKERS = {**MONITORS, FAN: "fan", STOP: "stop"}
BUDGET = 2_000  # shocks between false alarms of any of the five, at least

FORGET, WARM = 1.0 - 1e-4, 30  # Page-Hinkley
CLOCK = 32  # ADWIN looks once in so many
SHIFT, RECENT = 3.0, 20  # BOCPD
STATE = record(
    [
        ("cusum", cusum.STATE),
        ("growth", residual.STATE),
        ("page", page_hinkley.STATE),
        ("adwin", adwin.STATE),
        ("bocpd", bocpd.STATE),
    ]
)
RULES = {
    "cusum_k": 0.5,
    "cusum_h": 7.0,
    "growth": 2.0,
    "growth_h": 25.0,
    "page_delta": 0.25,
    "page_h": 16.0,
    "adwin_delta": 0.002,
    "bocpd_hazard": 0.004,
    "bocpd_limit": 0.86,
}
RULE = record([(name, "f8") for name in RULES])
SILENT = {"cusum_h": 0.0, "growth_h": 0.0, "page_h": 0.0, "adwin_delta": 0.0, "bocpd_limit": 0.0}


@njit
def step(w: Any, x: float, p: Any) -> int:
    """Take in one shock in standard deviations; the bits of the monitors whose alarm stands, 0: all is quiet.

    `p` has the fields of `RULES`. A shock that is not finite changes nothing.
    """
    fired = 0
    if p.cusum_h > 0.0:
        cusum.step(w.cusum, x, p.cusum_k, p.cusum_h, 1)
        fired |= CUSUM if w.cusum.alarm > 0.0 else 0
    if p.growth_h > 0.0:
        residual.step(w.growth, x, p.growth, p.growth_h, 1)
        fired |= GROWTH if w.growth.alarm > 0.0 else 0
    if p.page_h > 0.0:
        page_hinkley.step(w.page, x, p.page_delta, p.page_h, FORGET, WARM, 1)
        fired |= PAGE if w.page.alarm > 0.0 else 0
    if p.adwin_delta > 0.0:
        adwin.step(w.adwin, x, p.adwin_delta, CLOCK, 1)
        fired |= ADWIN if w.adwin.alarm > 0.0 else 0
    if p.bocpd_limit > 0.0:
        bocpd.step(w.bocpd, x, p.bocpd_hazard, SHIFT, RECENT, p.bocpd_limit, 1)
        fired |= BOCPD if w.bocpd.alarm > 0.0 else 0
    return fired


@njit
def clear(w: Any) -> None:
    """All monitors afresh."""
    w.cusum.up, w.cusum.down, w.cusum.n_up, w.cusum.n_down, w.cusum.alarm = 0.0, 0.0, 0, 0, 0.0
    w.growth.up, w.growth.n_up, w.growth.n, w.growth.sum_sq, w.growth.alarm = 0.0, 0, 0, 0.0, 0.0
    h = w.page
    h.level, h.up, h.low, h.down, h.high, h.n, h.alarm = 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0
    a = w.adwin
    a.origin, a.total, a.squares, a.width, a.n, a.rows, a.alarm = 0.0, 0.0, 0.0, 0, 0, 0, 0.0
    for i in range(len(a.held)):
        a.held[i] = 0
    w.bocpd.used, w.bocpd.n, w.bocpd.p_recent, w.bocpd.best_age, w.bocpd.alarm = 0, 0, 0.0, 0, 0.0


@njit
def _scan(states: Any, x: Any, rules: Any, out: Any) -> None:
    for i in range(len(x)):
        out[i] = step(states[0], x[i], rules[0])


@njit
def _clear(states: Any) -> None:
    clear(states[0])


def rules_of(parameters: Mapping[str, Any]) -> np.ndarray:
    """RULE[1] of a strategy's parameters; names it does not have are as in `RULES`.

    Raises ConfigError for limits that no monitor can have.
    """
    out = np.zeros(1, RULE)
    for name, default in RULES.items():
        value = float(parameters.get(name, default))
        least = 1.0 + 1e-9 if name == "growth" else 0.0
        most = 1.0 if name in ("adwin_delta", "bocpd_limit", "bocpd_hazard") else math.inf
        if not least <= value < most:
            raise ConfigError(f"monitors: {name}: expected {least:g} to below {most:g}, got {value:g}; 0: off")
        out[name] = value
    return out


def scan(x: Any, parameters: Mapping[str, Any] | None = None) -> np.ndarray:
    """The bits that stand after each of the shocks x [n], int64[n], from a fresh start."""
    shocks = np.ascontiguousarray(x, np.float64)
    out = np.zeros(len(shocks), np.int64)
    _scan(np.zeros(1, STATE), shocks, rules_of(parameters or RULES), out)
    return out


def names_of(bits: int) -> str:
    """`cusum+bocpd` of bits; "" of none."""
    return "+".join(name for bit, name in ASKERS.items() if bits & bit)
