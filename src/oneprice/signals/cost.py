"""Expected profit of a gap net of every cost: E[profit] = (P2 - P1) - C_tx, and what is left after a risk
charge.

P1 (bought) and P2 (sold) are `Touch` prices (executable at the traded size) or `Mid` prices; only mids pay
the half spread on entry. Costs follow the exit: `converge` closes both legs again (four crossings, half
spreads of the way out, financing until then); `inventory` leaves them (two crossings) and pays its share of
moving stock back. All parts are basis points of the mean of P1 and P2, so they add.

`net_edge_bp` and `size_at_zero_edge` are the compiled forms for strategies, read off the ladders.
"""

from __future__ import annotations

import math

import msgspec

from oneprice.core.errors import ConfigError, unknown_name
from oneprice.signals.ladder import mid_gap_bp, net_edge_bp, size_at_zero_edge

__all__ = [
    "Carry",
    "Costs",
    "Edge",
    "LegCosts",
    "Mid",
    "Touch",
    "edge",
    "mid_gap_bp",
    "net_edge_bp",
    "size_at_zero_edge",
]

CROSSINGS = {"converge": 4, "inventory": 2}


class Touch(msgspec.Struct, frozen=True):
    """An executable price at the traded size: the average of the levels taken, quote currency per unit."""

    price: float


class Mid(msgspec.Struct, frozen=True):
    """A mid price: the half spread is still to be paid."""

    price: float


class LegCosts(msgspec.Struct, frozen=True, kw_only=True):
    """What one crossing of one leg costs, bp of notional. `fee_bp` has no default: fees are never assumed."""

    fee_bp: float  # negative for a rebate
    half_spread_bp: float = 0.0
    impact_bp: float = 0.0  # beyond the touch, a crossing
    buy_tax_bp: float = 0.0
    sell_tax_bp: float = 0.0


class Carry(msgspec.Struct, frozen=True, kw_only=True):
    """Financing of the open pair, bp a day: paid is positive, received negative."""

    funding_bp_day: float = 0.0
    borrow_bp_day: float = 0.0
    margin_bp_day: float = 0.0


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """All costs of a gap: those of each leg, and those of the pair."""

    buy: LegCosts
    sell: LegCosts
    latency_bp: float = 0.0  # expected move against us until the orders arrive, a pair of crossings
    carry: Carry = Carry()
    transfer_bp: float = 0.0  # one transfer between the venues (`inventory` pays its share)
    trades_per_transfer: float = 1.0
    conversion_bp: float = 0.0  # stablecoin or FX, a pair of crossings
    regulatory_bp: float = (
        0.0  # other friction: locate, message and order-to-trade charges, a pair of crossings
    )


class Edge(msgspec.Struct, frozen=True):
    """Gap, costs by part, expectation and risk-charged expectation, all in bp of the mean price."""

    gross_bp: float
    cost_bp: dict[str, float]
    sigma_bp: float
    risk_aversion: float
    exit: str

    @property
    def expected_bp(self) -> float:
        """E = gap - C_tx."""
        return self.gross_bp - math.fsum(self.cost_bp.values())

    @property
    def charged_bp(self) -> float:
        """E - lambda sigma: what is left after the charge for execution risk (lambda = 1 is the classical
        form).
        """
        return self.expected_bp - self.risk_aversion * self.sigma_bp

    def __str__(self) -> str:
        rows = [("gap", self.gross_bp)] + [(f"- {k}", -v) for k, v in self.cost_bp.items() if v != 0.0]
        rows.append((f"E ({self.exit})", self.expected_bp))
        rows.append((f"E - {self.risk_aversion:g} sigma", self.charged_bp))
        return "\n".join(f"{name:<18}{value:>10.3f} bp" for name, value in rows)


def edge(
    buy: Touch | Mid,
    sell: Touch | Mid,
    *,
    costs: Costs,
    exit: str,  # noqa: A002 - the field's word for it
    sigma_bp: float,
    days_to_exit: float = 0.0,
    risk_aversion: float = 1.0,
) -> Edge:
    """What buying at `buy` and selling at `sell` is expected to leave.

    Parameters
    ----------
    buy, sell: `Touch` or `Mid`, quote currency per unit of underlying. costs: all of them, fees required.
    exit: "converge" or "inventory". sigma_bp: standard deviation of the execution of the pair.
    days_to_exit: expected holding time (charged with `converge` only). risk_aversion: lambda of E - lambda
    sigma.

    Raises
    ------
    ConfigError for a naked number instead of `Touch` or `Mid`, a price that is not positive and finite, an
    unknown exit, or a negative sigma or holding time.
    """
    if exit not in CROSSINGS:
        raise unknown_name("exit", exit, list(CROSSINGS))
    for name, p in (("buy", buy), ("sell", sell)):
        if not isinstance(p, Touch | Mid):
            raise ConfigError(
                f"{name}: expected Touch(price) or Mid(price) so that the spread is paid once, got {p!r}"
            )
        if not (p.price > 0 and math.isfinite(p.price)):
            raise ConfigError(f"{name}: expected a positive finite price, got {p.price!r}")
    for name, value in (
        ("sigma_bp", sigma_bp),
        ("days_to_exit", days_to_exit),
        ("risk_aversion", risk_aversion),
    ):
        if not (value >= 0 and math.isfinite(value)):
            raise ConfigError(f"{name}: expected a finite number >= 0, got {value!r}")
    if not costs.trades_per_transfer > 0:
        raise ConfigError(f"trades_per_transfer: expected > 0, got {costs.trades_per_transfer!r}")
    mean = 0.5 * (buy.price + sell.price)
    weights = (buy.price / mean, sell.price / mean)
    gross = 1e4 * (sell.price - buy.price) / mean
    parts = _parts(costs, exit, weights, (isinstance(buy, Mid), isinstance(sell, Mid)), days_to_exit)
    return Edge(gross, parts, sigma_bp, risk_aversion, exit)


def _parts(
    c: Costs, exit_: str, weights: tuple[float, float], mids: tuple[bool, bool], days: float
) -> dict[str, float]:
    """C_tx by part; each leg's rates are weighted by its price over the mean price."""
    pairs = CROSSINGS[exit_] / 2
    legs = ((c.buy, weights[0], mids[0]), (c.sell, weights[1], mids[1]))
    leaving = pairs - 1
    tax = weights[0] * (c.buy.buy_tax_bp + leaving * c.buy.sell_tax_bp)
    tax += weights[1] * (c.sell.sell_tax_bp + leaving * c.sell.buy_tax_bp)
    return {
        "fees": sum(pairs * w * leg.fee_bp for leg, w, _ in legs),
        "half spread": sum((leaving + mid) * w * leg.half_spread_bp for leg, w, mid in legs),
        "impact": sum(pairs * w * leg.impact_bp for leg, w, _ in legs),
        "latency": pairs * c.latency_bp,
        "funding": leaving * days * c.carry.funding_bp_day,
        "borrow": leaving * days * c.carry.borrow_bp_day,
        "margin": leaving * days * c.carry.margin_bp_day,
        "transfer": (1 - leaving) * c.transfer_bp / c.trades_per_transfer,
        "conversion": pairs * c.conversion_bp,
        "tax": tax,
        "regulatory": pairs * c.regulatory_bp,
    }
