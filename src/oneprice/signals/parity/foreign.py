"""Covered interest parity and triangles of currencies, with bid and ask and two rates a currency.

    S_b e^((l_d - b_f) T) - c <= F <= S_a e^((b_d - l_f) T) + c

quote currency d, base currency f, l lend and b borrow rates, continuously compounded, a year.
"""

from __future__ import annotations

import math

import msgspec

from oneprice.core.errors import ConfigError


class Rates(msgspec.Struct, frozen=True):
    """Lend and borrow rates of one currency. Raises ConfigError when lending pays more, or a rate is not finite."""

    lend: float
    borrow: float

    def __post_init__(self) -> None:
        if not -math.inf < self.lend <= self.borrow < math.inf:
            raise ConfigError(f"rates: expected finite lend <= borrow, got {self.lend} and {self.borrow}")


def forward_band(
    spot_bid: float, spot_ask: float, years: float, quote: Rates, base: Rates, cost: float = 0.0
) -> tuple[float, float]:
    """(low, high) of a forward in quote currency a unit of base. Raises ConfigError for T < 0 or a crossed quote."""
    if not (years >= 0 and math.isfinite(years)):
        raise ConfigError(f"forward band: expected years of 0 or more, got {years}")
    if not 0 < spot_bid <= spot_ask < math.inf:
        raise ConfigError(f"forward band: expected 0 < bid <= ask, got {spot_bid} and {spot_ask}")
    low = spot_bid * math.exp((quote.lend - base.borrow) * years) - cost
    high = spot_ask * math.exp((quote.borrow - base.lend) * years) + cost
    return low, high


def forward_profit(
    spot: float, forward: float, years: float, quote_rate: float, base_rate: float
) -> tuple[float, float]:
    """What one unit borrowed earns at the end, in quote currency.

    (borrow 1 of base, lend quote, buy forward; borrow 1 of quote, lend base, sell forward). At most one is > 0.
    Raises ConfigError for T < 0, prices that are not above 0, and what is not finite.
    """
    finite = all(map(math.isfinite, (spot, forward, years, quote_rate, base_rate)))
    if not (finite and spot > 0 and forward > 0 and years >= 0):
        told = f"{spot}, {forward}, {years}, {quote_rate}, {base_rate}"
        raise ConfigError(f"forward profit: expected prices above 0, years of 0 or more and finite rates, got {told}")
    buys = spot * math.exp(quote_rate * years) - forward * math.exp(base_rate * years)
    sells = forward * math.exp(base_rate * years) / spot - math.exp(quote_rate * years)
    return buys, sells


def triangle(
    ab: tuple[float, float], bc: tuple[float, float], ac: tuple[float, float], fee_bp: float = 0.0
) -> tuple[float, float]:
    """Gain of a unit of C around a triangle, as a share: (buy A for B for C and sell A for C; the reverse).

    ab, bc, ac are (bid, ask): units of the second currency a unit of the first; each of the three trades pays `fee_bp`.
    Raises ConfigError for a rate that is not positive or crossed, and for a fee that is not finite.
    """
    if not math.isfinite(fee_bp):
        raise ConfigError(f"triangle: expected a finite fee_bp, got {fee_bp}")
    for name, (bid, ask) in (("ab", ab), ("bc", bc), ("ac", ac)):
        if not 0 < bid <= ask < math.inf:
            raise ConfigError(f"triangle: {name}: expected 0 < bid <= ask, got {bid} and {ask}")
    keep = (1.0 - fee_bp * 1e-4) ** 3
    return ac[0] / (ab[1] * bc[1]) * keep - 1.0, ab[0] * bc[0] / ac[1] * keep - 1.0
