"""Bonds against a curve: yield, z-spread, value of a basis point, butterflies, carry and roll-down.

A bond is what it pays from settlement on: coupons of `coupon / n` every 1 / n years back from maturity, face 1. Prices
are of face 1 too; `dirty` includes what has accrued. Continuous time: a period is 1 / n of a year, whatever its days.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.signals.curve.rates import Discounts, periods_of

BP = 1e-4


class Bond(msgspec.Struct, frozen=True):
    """`coupon` a year as a share of face, paid `frequency`; `years` to maturity from settlement."""

    coupon: float
    years: float
    frequency: str = "semiannual"

    def __post_init__(self) -> None:
        periods_of(self.frequency)
        if not (self.years > 0 and math.isfinite(self.coupon) and self.coupon >= 0):
            raise ConfigError(
                f"bond: expected a coupon of 0 or more and years above 0, got {self.coupon}, {self.years}"
            )

    def flows(self) -> list[tuple[float, float]]:
        """(years, amount), rising; the face with the last."""
        n = periods_of(self.frequency)
        count = math.ceil(self.years * n - 1e-9)
        times = [self.years - k / n for k in range(count - 1, -1, -1)]
        return [(t, self.coupon / n + (1.0 if k == count - 1 else 0.0)) for k, t in enumerate(times)]

    def accrued(self) -> float:
        """Interest earned since the last coupon."""
        n = periods_of(self.frequency)
        return self.coupon / n * (1.0 - n * self.flows()[0][0])


def dirty_price(curve: Discounts, bond: Bond, spread: float = 0.0) -> float:
    """Value on a curve whose continuously compounded zero rates are all `spread` higher."""
    return math.fsum(amount * curve.discount(t) * math.exp(-spread * t) for t, amount in bond.flows())


def yield_of(bond: Bond, dirty: float) -> float:
    """Yield to maturity, compounded as often as coupons are paid. Raises DataError for a price of 0 or less."""
    n = periods_of(bond.frequency)

    def value(rate: float) -> float:
        return math.fsum(amount * math.exp(-n * t * math.log1p(rate / n)) for t, amount in bond.flows())

    return _solved(lambda rate: value(rate) - dirty, f"yield of a bond at {dirty}", dirty, -0.9 * n)


def z_spread(curve: Discounts, bond: Bond, dirty: float) -> float:
    """What is added to every zero rate (continuously compounded) to price the bond: above 0, it is cheap."""
    return _solved(lambda spread: dirty_price(curve, bond, spread) - dirty, f"z-spread at {dirty}", dirty, -2.0)


def _solved(error: Callable[[float], float], what: str, dirty: float, low: float) -> float:
    from scipy.optimize import brentq

    if not (dirty > 0 and math.isfinite(dirty)):
        raise DataError(f"{what}: expected a price above 0")
    high = 1.0
    while error(high) > 0.0 and high < 1e4:
        high *= 4.0
    if error(low) < 0.0 or error(high) > 0.0:
        raise DataError(f"{what}: no rate from {low:g} to {high:g} gives this price")
    return float(brentq(error, low, high, xtol=1e-14, rtol=1e-14))


def dv01(curve: Discounts, bond: Bond, spread: float = 0.0) -> float:
    """Fall of the price when all zero rates rise by a basis point, per face 1."""
    return 0.5 * (dirty_price(curve, bond, spread - BP) - dirty_price(curve, bond, spread + BP))


def butterfly(dv01s: tuple[float, float, float], wing_share: float = 0.5) -> tuple[float, float, float]:
    """Face of (short wing, body, long wing) that gains when the body cheapens: body -1, wings share its DV01.

    `wing_share` of the risk is in the short wing (0.5: 50:50). Raises ConfigError for DV01s that are not above 0.
    """
    if not (min(dv01s) > 0 and 0.0 <= wing_share <= 1.0):
        raise ConfigError(f"butterfly: expected DV01s above 0 and a share in [0, 1], got {dv01s}, {wing_share}")
    near, body, far = dv01s
    return wing_share * body / near, -1.0, (1.0 - wing_share) * body / far


def regression_butterfly(
    changes: np.ndarray, dv01s: tuple[float, float, float]
) -> tuple[tuple[float, float, float], tuple[float, float]]:
    """(face of short wing, body, long wing, and the regression's slopes): body changes on those of both wings.

    changes float64[T, 3] of yields (short, body, long). The position has the least variance of all with body -1, not
    zero DV01. Raises DataError for fewer than 10 rows, gaps, or wings that are one series.
    """
    x = np.asarray(changes, np.float64)
    if x.ndim != 2 or x.shape[1] != 3 or len(x) < 10 or not np.isfinite(x).all():
        raise DataError(f"regression butterfly: expected finite changes of shape (T >= 10, 3), got {x.shape}")
    wings = x[:, [0, 2]] - x[:, [0, 2]].mean(axis=0)
    if np.linalg.cond(wings) > 1e8:
        raise DataError("regression butterfly: the wings are one series: leave one out")
    a, b = np.linalg.lstsq(wings, x[:, 1] - x[:, 1].mean(), rcond=None)[0].tolist()
    near, body, far = dv01s
    if not min(dv01s) > 0:
        raise ConfigError(f"butterfly: expected DV01s above 0, got {dv01s}")
    return (a * body / near, -1.0, b * body / far), (a, b)


class Carry(msgspec.Struct, frozen=True):
    """What a bond earns over a horizon if the curve stands still, a unit of face: coupons and accrual less financing,
    and its price rolling down the curve. `total` is their sum, `forward_dirty` the price that breaks even."""

    income: float
    financing: float
    roll_down: float
    total: float
    forward_dirty: float


def carry_and_roll(curve: Discounts, bond: Bond, years: float, repo: float, dirty: float | None = None) -> Carry:
    """Carry and roll-down over `years`, financed at `repo` (simple, a year).

    The bond keeps its z-spread while it ages on an unchanged curve. Raises ConfigError unless 0 < years < maturity.
    """
    if not 0 < years < bond.years:
        raise ConfigError(f"carry: expected a horizon in (0, {bond.years}) years, got {years}")
    price = dirty_price(curve, bond) if dirty is None else dirty
    spread = 0.0 if dirty is None else z_spread(curve, bond, dirty)
    paid = [(t, amount) for t, amount in bond.flows() if t <= years]
    aged = msgspec.structs.replace(bond, years=bond.years - years)
    later = dirty_price(curve, aged, spread)
    coupons = math.fsum(amount * (1.0 + repo * (years - t)) for t, amount in paid)
    income = coupons + aged.accrued() - bond.accrued()
    financing = -price * repo * years
    roll = (later - aged.accrued()) - (price - bond.accrued())
    return Carry(income, financing, roll, income + financing + roll, price - financing - coupons)
