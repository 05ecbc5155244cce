"""The common noun: where to open, where to close, and what that is expected to earn.

All distances are from the level, in the units of the spread (prices or logs, as it was fitted), and belong to
the long side: open long at `entry` < 0, close at `exit`; the short side is the mirror image. `cost` is that
of a whole round trip in the same units. Rates are per unit of the time in which kappa is measured.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError

ROOT_2 = math.sqrt(2.0)


class Band(msgspec.Struct, frozen=True):
    """Thresholds of one spread. `entry` is NaN where no trade pays: see `trades`."""

    entry: float  # below the level, negative
    exit: float  # above `entry`; 0 is the level
    rate: float  # expected profit net of cost a unit of time
    cycle: float  # expected time from one opening to the next
    cost: float  # a round trip
    variance_rate: float = math.nan  # variance of the profit a unit of time, where the rule has it
    stop: float = -math.inf  # long positions are closed here; -inf: never

    @property
    def trades(self) -> bool:
        """False: at this cost no threshold earns anything, do not trade."""
        return math.isfinite(self.entry)

    def in_sigmas(self, sigma_eq: float) -> tuple[float, float]:
        """(entry, exit) in equilibrium standard deviations, the units of a z-score."""
        return self.entry / sigma_eq, self.exit / sigma_eq


def no_trade(cost: float) -> Band:
    """The band that says: do not trade (entry and exit NaN, rate 0)."""
    return Band(math.nan, math.nan, 0.0, math.inf, cost)


def ou_units(kappa: float, sigma_eq: float, cost: float) -> float:
    """`cost` in sqrt(2) sigma_eq. ConfigError for a kappa or sigma_eq that is not positive and finite, or cost < 0."""
    for name, value in (("kappa", kappa), ("sigma_eq", sigma_eq)):
        if not (value > 0.0 and np.isfinite(value)):
            raise ConfigError(f"{name}: expected a finite number > 0, got {value!r} (no reversion has none)")
    if not (cost >= 0.0 and np.isfinite(cost)):
        raise ConfigError(f"cost: expected a finite number >= 0 in the units of the spread, got {cost!r}")
    return float(cost) / (ROOT_2 * sigma_eq)


def widest_root(cost_units: float) -> float:
    """The u >= 0 with u - D(u) = cost_units, D the integral of Dawson: maximises (u - cost_units) / erfi(u).

    All rules that open at u and close at 0 or at -u come to this equation, with a cost of their own.
    """
    from scipy.optimize import brentq
    from scipy.special import dawsn

    if cost_units == 0.0:
        return 0.0
    high = cost_units + 1.0  # D < 0.5411 everywhere
    return float(brentq(lambda u: u - dawsn(u) - cost_units, 0.0, high, xtol=1e-15, rtol=1e-14))


def over_erfi(top: float, u: float) -> float:
    """top / erfi(u); the limit of u / erfi(u) where both vanish."""
    from scipy.special import erfi

    return top / float(erfi(u)) if u > 0.0 else math.sqrt(math.pi) / 2.0
