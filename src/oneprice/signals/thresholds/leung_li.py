"""Leung and Li's bands: one trade, discounted at r, with a transaction cost on each side and an optional stop.

With F and G the increasing and decreasing solutions of the generator's equation (kappa, level, sigma, r)

    F(x) = int_0^inf u^(r/kappa - 1) exp(+ sqrt(2 kappa / sigma^2) (x - level) u - u^2 / 2) du,  G with the minus

close at b* where F(b) = (b - c) F'(b), open below d* where G(d) (V'(d) - 1) = G'(d) (V(d) - d - c), V the value of
the position. With a stop at L < b*, V runs between L and b and the entry is an interval (low, d). The integrals
are singular at u = 0 when r < kappa; `cylinder` has them without it, by p = r / kappa and
z = sqrt(2 kappa) (x - level) / sigma.

Source: Leung and Li (2015), Optimal mean reversion trading with transaction costs and stop-loss exit,
doi:10.1142/S021902491550020X.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from oneprice.core.errors import ConfigError
from oneprice.signals.reversion.checks import positive
from oneprice.signals.thresholds.cylinder import LARGE, log_cylinder


class Solutions(msgspec.Struct, frozen=True):
    """F, G and their derivatives for one spread and discount rate."""

    power: float  # r / kappa
    level: float
    slope: float  # sqrt(2 kappa) / sigma

    def rising(self, x: float) -> float:
        """F(x)."""
        return _cylinder(self.power, self.slope * (x - self.level))

    def falling(self, x: float) -> float:
        """G(x)."""
        return _cylinder(self.power, -self.slope * (x - self.level))

    def rising_slope(self, x: float) -> float:
        """F'(x)."""
        return self.slope * _cylinder(self.power + 1.0, self.slope * (x - self.level))

    def falling_slope(self, x: float) -> float:
        """G'(x)."""
        return -self.slope * _cylinder(self.power + 1.0, -self.slope * (x - self.level))


class OneTrade(msgspec.Struct, frozen=True):
    """Open between `low` and `high` (prices of the spread), close at `close` or at `stop`.

    `value` is the value of waiting at the level for the trade, discounted, units of the spread.
    `low` is -inf without a stop. All are NaN when no opening pays: see `trades`.
    """

    low: float
    high: float
    close: float
    stop: float
    value: float

    @property
    def trades(self) -> bool:
        """False: at this cost, discount and stop no opening is worth it."""
        return math.isfinite(self.high)


def _cylinder(power: float, z: float) -> float:
    """int_0^inf u^(power - 1) exp(z u - u^2 / 2) du."""
    from scipy.special import pbdv

    if power > LARGE:
        return math.exp(float(log_cylinder(power, z)))
    return math.exp(math.lgamma(power) + 0.25 * z * z) * float(pbdv(-power, -z)[0])


def leung_li(
    kappa: float,
    level: float,
    sigma: float,
    *,
    rate: float,
    cost: float,
    entry_cost: float | None = None,
    stop: float = -math.inf,
) -> OneTrade:
    """The optimal double stopping of one long trade in the spread.

    Parameters
    ----------
    kappa: 1 / time. level, cost, stop: units of the spread. sigma: units / sqrt(time). rate: discount, 1 / time,
    above 0. cost: paid at the close, and at the opening too unless `entry_cost` says otherwise. stop: a price of
    the spread below the level at which the position is given up.

    Raises ConfigError for parameters out of range, or a stop that is not below the level.
    """
    for name, value in (("kappa", kappa), ("sigma", sigma), ("rate", rate)):
        positive(name, value)
    paid = cost if entry_cost is None else entry_cost
    if not (cost >= 0.0 and paid >= 0.0 and math.isfinite(level)):
        raise ConfigError(f"Leung-Li: expected costs >= 0 and a finite level, got {cost!r}, {paid!r}, {level!r}")
    if stop >= level:
        raise ConfigError(f"Leung-Li: expected a stop below the level {level:g}, got {stop:g}")
    s = Solutions(rate / kappa, level, math.sqrt(2.0 * kappa) / sigma)
    if math.isinf(stop):
        close = _close(s, cost)
        up = (close - cost) / s.rising(close)
        high = _entry(s, up, 0.0, paid, close)
        return _wait(s, up, 0.0, paid, (-math.inf, high, close, stop))
    close = _close_with_stop(s, cost, stop)
    up, down = _between(s, cost, stop, close)
    low, high = _entry_interval(s, up, down, paid, (stop, close))
    return _wait(s, up, down, paid, (low, high, close, stop))


def _close(s: Solutions, cost: float) -> float:
    """b*: the largest root of F(b) = (b - c) F'(b)."""
    return _root(lambda b: (b - cost) * s.rising_slope(b) - s.rising(b), s, max(s.level, cost) + 1e-12 / s.slope)


def _close_with_stop(s: Solutions, cost: float, stop: float) -> float:
    """b* with a stop at L: the value between L and b, as a function of b, at its largest."""

    def slope(b: float) -> float:
        up, down = _between(s, cost, stop, b)
        return 1.0 - up * s.rising_slope(b) - down * s.falling_slope(b)  # smooth fit: V'(b) = 1

    return _root(lambda b: -slope(b), s, stop + 1e-6 / s.slope)


def _root(f: Callable[[float], float], s: Solutions, start: float) -> float:
    """The first sign change of `f` above `start`, in steps of a twentieth of a deviation."""
    from scipy.optimize import brentq

    step = 0.05 / s.slope
    a, fa = start, f(start)
    while a < max(start, s.level) + 12.0 / s.slope:
        b = a + step
        fb = f(b)
        if fa == 0.0 or (fa < 0.0) != (fb < 0.0):
            return float(brentq(f, a, b, xtol=1e-14, rtol=1e-13))
        a, fa = b, fb
    raise ConfigError("Leung-Li: expected a closing price within 12 deviations of the level; the cost is too large")


def _between(s: Solutions, cost: float, stop: float, close: float) -> tuple[float, float]:
    """(C, D) of V = C F + D G with V(stop) = stop - c and V(close) = close - c."""
    fl, gl, fb, gb = s.rising(stop), s.falling(stop), s.rising(close), s.falling(close)
    under = fb * gl - fl * gb
    up = ((close - cost) * gl - (stop - cost) * gb) / under
    down = ((stop - cost) * fb - (close - cost) * fl) / under
    return up, down


def _gain(s: Solutions, up: float, down: float, paid: float, x: float) -> tuple[float, float]:
    """What opening at x gains, V(x) - x - c, and its slope."""
    value = up * s.rising(x) + down * s.falling(x) - x - paid
    return value, up * s.rising_slope(x) + down * s.falling_slope(x) - 1.0


def _entry(s: Solutions, up: float, down: float, paid: float, close: float, low: float = -math.inf) -> float:
    """d*: the opening price that maximises gain(x) / G(x) below `close`; NaN when the gain is nowhere positive."""
    from scipy.optimize import brentq

    def condition(x: float) -> float:
        gain, slope = _gain(s, up, down, paid, x)
        return s.falling(x) * slope - s.falling_slope(x) * gain

    step = 0.05 / s.slope
    floor = max(low, s.level - 12.0 / s.slope)
    b, fb = close, condition(close)
    while b > floor:
        a = max(b - step, floor)
        fa = condition(a)
        if (fa < 0.0) != (fb < 0.0):
            at = float(brentq(condition, a, b, xtol=1e-14, rtol=1e-13))
            if _gain(s, up, down, paid, at)[0] > 0.0:
                return at
        b, fb = a, fa
    return math.nan


def _entry_interval(
    s: Solutions, up: float, down: float, paid: float, ends: tuple[float, float]
) -> tuple[float, float]:
    """(a*, d*) with a stop: below a* the position would be stopped too soon."""
    from scipy.optimize import brentq

    stop, close = ends
    high = _entry(s, up, down, paid, close, stop)
    if math.isnan(high):
        return math.nan, math.nan

    def condition(x: float) -> float:
        gain, slope = _gain(s, up, down, paid, x)
        return s.rising(x) * slope - s.rising_slope(x) * gain

    step = 0.05 / s.slope
    a, fa = stop, condition(stop)
    while a < high:
        b = min(a + step, high)
        fb = condition(b)
        if (fa < 0.0) != (fb < 0.0):
            at = float(brentq(condition, a, b, xtol=1e-14, rtol=1e-13))
            if _gain(s, up, down, paid, at)[0] > 0.0:
                return at, high
        a, fa = b, fb
    return stop, high


def _wait(s: Solutions, up: float, down: float, paid: float, at: tuple[float, float, float, float]) -> OneTrade:
    """The trade with the value of waiting for it from the level."""
    low, high, close, stop = at
    if math.isnan(high):
        return OneTrade(math.nan, math.nan, math.nan, stop, 0.0)
    gain = _gain(s, up, down, paid, high)[0]
    return OneTrade(low, high, close, stop, gain * s.falling(s.level) / s.falling(high))
