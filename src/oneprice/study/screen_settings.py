"""Settings of a screen in the units it works in: half-lives in steps, a cost for each symbol."""

from __future__ import annotations

import math
from collections.abc import Mapping

from oneprice.core.errors import ConfigError
from oneprice.market.prices import Prices

UNITS_NS = {"d": 86_400e9, "h": 3_600e9, "min": 60e9, "s": 1e9, "ms": 1e6}


def costs_of(cost_bp: float | Mapping[str, float], symbols: tuple[str, ...]) -> dict[str, float]:
    """Cost by symbol, each stated and not below 0."""
    out = dict.fromkeys(symbols, cost_bp) if not isinstance(cost_bp, Mapping) else dict(cost_bp)
    missing = [s for s in symbols if s not in out]
    if missing:
        raise ConfigError(f"screen: cost_bp: no cost for {', '.join(missing[:5])}; give one a symbol, or one number")
    for s in symbols:
        if not (math.isfinite(out[s]) and out[s] >= 0):
            raise ConfigError(f"screen: cost_bp: expected 0 or more for {s}, got {out[s]}")
    return {s: float(out[s]) for s in symbols}


def steps_of(half_life: tuple[float | str, float | str], prices: Prices) -> tuple[float, float]:
    """(least, most) in steps of the panel, whose step is the median one."""
    low, high = (_steps(v, prices.step_ns) for v in half_life)
    if not 0 <= low < high:
        raise ConfigError(f"screen: half_life: expected 0 <= least < most, got {half_life}")
    return low, high


def _steps(value: float | str, step_ns: int) -> float:
    if not isinstance(value, str):
        return float(value)
    digits = value.rstrip("abcdefghijklmnopqrstuvwxyz").strip()
    unit = value[len(value.rstrip("abcdefghijklmnopqrstuvwxyz")) :]
    try:
        return float(digits) * UNITS_NS[unit] / step_ns
    except (ValueError, KeyError) as error:
        raise ConfigError(
            f"screen: half_life: expected steps or a number with d, h, min, s or ms, got {value!r}"
        ) from error
