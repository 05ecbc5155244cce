"""Cost of carry with frictions: the band inside which no round trip of spot and future pays.

    F <= [S_a (1 + tax) + PV(storage) - PV(dividends)] e^((r_b + u - y) T) + c     buy spot, store it, sell the future
    F >= [S_b (1 - tax) - PV(dividends)] e^((r_l - f - y) T) - c                   sell spot short, lend, buy the future

r_l <= r_b lend and borrow rates, u storage as a rate, y yield paid by the asset, f fee of the stock loan, c what the
four trades and the margin of the future cost a unit; rates a year, continuously compounded; T years. Who sells short
saves no storage, so storage is in the upper bound only. An `upper` instrument (crude, gas) has no lower bound, since
what is consumed is not lent; `none` (volatility, power) has neither. NaN means no bound. Source: Hull, Options, Futures
and Other Derivatives, ch. 5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, unknown_name
from oneprice.core.jit import njit
from oneprice.market.chains import BOUNDARIES, NO_BOUNDARY, TWO_SIDED

Discount = Callable[[float], float]  # years -> value now of one unit then
PARTS = ("spot", "rate", "storage", "dividend", "borrow", "margin", "tax", "cost", "fit")


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What carrying costs. Rates a year, continuously compounded; amounts in quote currency a unit.

    `margin` is the share of the price posted for the future, `margin_rate` what posting it costs a year (what one pays
    to borrow it less the interest it earns). `dividends` and `storage` are (years from now, amount). `observed` says
    whether storage and convenience are known:
    without it a price outside the band is relative value, not arbitrage.
    """

    lend_rate: float
    borrow_rate: float
    borrow_fee: float = 0.0
    dividend_yield: float = 0.0
    storage_rate: float = 0.0
    dividends: tuple[tuple[float, float], ...] = ()
    storage: tuple[tuple[float, float], ...] = ()
    tax: float = 0.0
    margin: float = 0.0
    margin_rate: float = 0.0
    cost: float = 0.0
    fit_error: float = 0.0
    observed: bool = True

    def __post_init__(self) -> None:
        if not self.lend_rate <= self.borrow_rate:
            raise ConfigError(f"terms: expected lend_rate <= borrow_rate, got {self.lend_rate} and {self.borrow_rate}")
        for name in ("lend_rate", "borrow_rate", "dividend_yield"):
            if not math.isfinite(getattr(self, name)):
                raise ConfigError(f"terms: expected a finite {name}, got {getattr(self, name)}")
        for name in ("borrow_fee", "storage_rate", "tax", "margin", "margin_rate", "cost", "fit_error"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"terms: expected {name} of 0 or more, got {value}")
        for name in ("dividends", "storage"):
            for when, amount in getattr(self, name):
                if not (when >= 0 and amount >= 0 and math.isfinite(when + amount)):
                    raise ConfigError(f"terms: {name}: expected (years >= 0, amount >= 0), got ({when}, {amount})")


class Band(msgspec.Struct, frozen=True):
    """Bounds of a price: `low` and `high` (NaN: none), and what each is made of, by the names of PARTS.

    The parts of a bound sum to it to rounding; `word` is "arbitrage" where all inputs are observed, else "relative
    value".
    """

    low: float
    high: float
    low_parts: dict[str, float]
    high_parts: dict[str, float]
    word: str

    def outside(self, bid: float, ask: float) -> float:
        """By how much a quote is outside: > 0 above (one sells at the bid), < 0 below (one buys at the ask)."""
        return outside(bid, ask, self.low, self.high)


@njit
def outside(bid: float, ask: float, low: float, high: float) -> float:
    """bid - high if that is > 0, ask - low if that is < 0, else 0; NaN bounds or quotes are never crossed."""
    if bid > high:
        return bid - high
    if ask < low:
        return ask - low
    return 0.0


@njit
def carry_high(spot_ask: float, years: float, growth: float, cash_pv: float, cost: float) -> float:
    """(S_a + PV of cash paid less received) e^(growth T) + c; NaN when T < 0. `growth` = r_b + u - y."""
    if not years >= 0.0:
        return math.nan
    return (spot_ask + cash_pv) * math.exp(growth * years) + cost


@njit
def carry_low(spot_bid: float, years: float, growth: float, cash_pv: float, cost: float) -> float:
    """(S_b - PV of cash owed) e^(growth T) - c; NaN when T < 0. `growth` = r_l - f - y."""
    if not years >= 0.0:
        return math.nan
    return (spot_bid - cash_pv) * math.exp(growth * years) - cost


@njit
def implied_rate(near: float, far: float, years: float) -> float:
    """ln(far / near) / T, the rate at which the far price is the near one carried; NaN unless both and T are > 0.

    Between spot and future it is the implied repo; between two futures, less the rate of the money market, it is
    implied storage less convenience.
    """
    if not (near > 0.0 and far > 0.0 and years > 0.0):
        return math.nan
    return math.log(far / near) / years


def present_value(flows: Sequence[tuple[float, float]], discount: Discount, years: float) -> float:
    """Of the amounts that fall due within `years`."""
    return math.fsum(amount * discount(when) for when, amount in flows if when <= years)


def carry_band(
    spot_bid: float,
    spot_ask: float,
    years: float,
    terms: Terms,
    boundary: str = TWO_SIDED,
    *,
    discount: Discount | None = None,
) -> Band:
    """The band of a future that delivers in `years`.

    `discount(t)` values dividends and storage; left out, the rate of the bound does.

    Raises
    ------
    ConfigError
        Negative or missing time, a crossed or missing quote of the spot, an unknown boundary.
    """
    if boundary not in BOUNDARIES:
        raise unknown_name("boundary", boundary, list(BOUNDARIES))
    if not (math.isfinite(years) and years >= 0):
        raise ConfigError(f"carry band: expected years of 0 or more to delivery, got {years}; the contract has expired")
    if not 0 < spot_bid <= spot_ask < math.inf:
        raise ConfigError(
            f"carry band: expected 0 < spot bid <= ask, got {spot_bid} and {spot_ask}: a price that is not "
            "above 0 carries no rate"
        )
    t = terms
    high = _parts(spot_ask, 1.0, years, t.borrow_rate, _flat(discount, t.borrow_rate), t)
    low = _parts(spot_bid, -1.0, years, t.lend_rate, _flat(discount, t.lend_rate), t)
    none = dict.fromkeys(PARTS, math.nan)
    if boundary == NO_BOUNDARY:
        high = none
    if boundary != TWO_SIDED:
        low = none
    word = "arbitrage" if t.observed and boundary != NO_BOUNDARY else "relative value"
    return Band(math.fsum(low.values()), math.fsum(high.values()), low, high, word)


def _flat(discount: Discount | None, rate: float) -> Discount:
    return discount if discount is not None else lambda when: math.exp(-rate * when)


def _parts(spot: float, sign: float, years: float, rate: float, value: Discount, t: Terms) -> dict[str, float]:
    """What one bound is made of; `sign` is +1 for the upper, -1 for the lower bound."""
    upper = sign > 0
    tax = sign * spot * t.tax
    stored = present_value(t.storage, value, years) if upper else 0.0
    paid = -present_value(t.dividends, value, years)
    storage_rate, fee = (t.storage_rate, 0.0) if upper else (0.0, t.borrow_fee)
    grown = growth_parts(spot + tax + stored + paid, rate * years, years, (storage_rate, fee, t.dividend_yield))
    margin = sign * abs(spot) * t.margin * t.margin_rate * years
    own = {"spot": spot, "storage": stored, "dividend": paid, "margin": margin, "tax": tax, "cost": sign * t.cost}
    own["fit"] = sign * t.fit_error
    return {name: own.get(name, 0.0) + grown.get(name, 0.0) for name in PARTS}


def growth_parts(
    base: float, financed: float, years: float, rates: tuple[float, float, float]
) -> dict[str, float]:  # fmt: skip
    """By how much `base` grows, by cause: base (e^(financed + (u - f - y) T) - 1) as a sum.

    `financed` is the logarithm of what money grows to; `rates` are storage u, fee of the stock loan f, yield y. Each
    cause is taken on what the ones before it left, in the order rate, storage, borrow, dividend.
    """
    storage_rate, fee, yielded = rates
    stored = base * math.exp(financed)
    lent = stored * math.exp(storage_rate * years)
    kept = lent * math.exp(-fee * years)
    return {
        "rate": base * math.expm1(financed), "storage": stored * math.expm1(storage_rate * years),
        "borrow": lent * math.expm1(-fee * years), "dividend": kept * math.expm1(-yielded * years),
    }  # fmt: skip


def carry_profit(spot: float, future: float, years: float, terms: Terms) -> float:
    """What a unit of cash-and-carry (future above the band) or its reverse (below) pays at delivery; <= 0 inside."""
    band = carry_band(spot, spot, years, terms)
    return max(future - band.high, band.low - future)


@njit
def strip_outside(price: Any, years: Any, place: Any, terms: Any, out: Any) -> None:
    """How far each contract of a strip lies beyond the full carry of the contract before it.

    price float64[T, N] settlements by place, years float64[T, N] to last trade, place int64[T, N] (-1: none), terms
    float64[T, 4]: borrow rate, storage a unit and year, cost a unit, lower bound wanted (1) or not (0). out
    float64[T, N]: > 0 above the upper bound, < 0 below the lower, 0 inside, NaN where there is nothing to compare. The
    first contract of a day has none before it. Non-positive prices carry no rate: the bound is then storage and cost
    alone.
    """
    for t in range(price.shape[0]):
        rate, store, cost, both = terms[t, 0], terms[t, 1], terms[t, 2], terms[t, 3]
        out[t, 0] = math.nan
        for j in range(1, price.shape[1]):
            near, far, tau = price[t, j - 1], price[t, j], years[t, j] - years[t, j - 1]
            if place[t, j] < 0 or not (tau > 0.0) or math.isnan(near) or math.isnan(far):
                out[t, j] = math.nan
                continue
            growth = math.exp(rate * tau) if near > 0.0 else 1.0
            high = near * growth + store * tau + cost
            low = near * growth - cost if both != 0.0 else -math.inf
            out[t, j] = far - high if far > high else far - low if far < low else 0.0


def strip(price: np.ndarray, years: np.ndarray, place: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """`strip_outside` into a new array."""
    out = np.empty(price.shape, np.float64)
    strip_outside(
        np.ascontiguousarray(price, np.float64),
        np.ascontiguousarray(years, np.float64),
        np.ascontiguousarray(place, np.int64),
        np.ascontiguousarray(terms, np.float64),
        out,
    )
    return out
