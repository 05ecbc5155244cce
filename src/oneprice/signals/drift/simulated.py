"""Limits of the monitors that have no Markov chain, from a wanted probability of a false alarm, by simulation.

A monitor that never resets until its first alarm alarms within n observations when the largest value of its statistic
by then is above the limit. So one simulation of the largest value over `horizon` independent normal observations gives
the limit of every rate: its quantile. A rate of 1 - 1/e = .632 gives a mean run length near the horizon.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit
from oneprice.signals.drift import bocpd, page_hinkley


def page_hinkley_threshold(
    rate: float,
    horizon: int,
    *,
    delta: float = 0.005,
    forget: float = 1.0 - 1e-4,
    warm: int = 30,
    paths: int = 2000,
    seed: int = 0,
) -> float:
    """`threshold` of `page_hinkley` for a false alarm within `horizon` observations with probability `rate`.

    In standard deviations of the series, as `delta` here is: multiply both by the deviation of yours.
    """
    _check(rate, horizon, warm, paths)
    out = np.empty(paths)
    settings = np.array([delta, forget])
    _largest_page(page_hinkley.FOLD.fresh(), np.random.default_rng(seed), settings, int(warm), int(horizon), out)
    return float(np.quantile(out, 1.0 - rate))


def bocpd_limit(
    rate: float,
    horizon: int,
    *,
    hazard: float = 1.0 / 250.0,
    shift: float = 3.0,
    recent: int = 20,
    paths: int = 500,
    seed: int = 0,
) -> float:
    """`limit` of `bocpd` for a false alarm within `horizon` observations with probability `rate`."""
    _check(rate, horizon, recent, paths)
    out = np.empty(paths)
    settings = np.array([hazard, shift])
    _largest_recent(bocpd.FOLD.fresh(), np.random.default_rng(seed), settings, int(recent), int(horizon), out)
    return min(float(np.quantile(out, 1.0 - rate)), 1.0 - 1e-9)


def _check(rate: float, horizon: int, warm: int, paths: int) -> None:
    if not (0.0 < rate < 1.0 and horizon > warm >= 1 and paths >= 1 and math.isfinite(horizon)):
        raise ConfigError(
            f"false alarms: expected a rate in (0, 1), a horizon above {warm} observations and paths >= 1, got {rate}, "
            f"{horizon} and {paths}"
        )


@njit
def _largest_page(states: Any, rng: Any, settings: Any, warm: int, horizon: int, out: Any) -> None:
    for i in range(len(out)):
        s = states[0]
        s.level, s.up, s.low, s.down, s.high, s.n, s.alarm = 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0
        most = 0.0
        for t in range(horizon):
            page_hinkley.step(s, rng.standard_normal(), settings[0], 1e300, settings[1], warm, 0)
            if t + 1 >= warm:
                most = max(most, s.up - s.low, s.high - s.down)
        out[i] = most


@njit
def _largest_recent(states: Any, rng: Any, settings: Any, recent: int, horizon: int, out: Any) -> None:
    for i in range(len(out)):
        s = states[0]
        s.used, s.n, s.p_recent, s.alarm = 0, 0, 0.0, 0.0
        most = 0.0
        for t in range(horizon):
            bocpd.step(s, rng.standard_normal(), settings[0], settings[1], recent, 2.0, 0)
            if t >= recent:
                most = max(most, s.p_recent)
        out[i] = most
