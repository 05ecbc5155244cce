"""Expected profit of a gap: each part by hand, the sum, the exits, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from oneprice.core.errors import ConfigError
from oneprice.signals.cost import Carry, Costs, LegCosts, Mid, Touch, edge

FULL = Costs(
    buy=LegCosts(fee_bp=2.0, half_spread_bp=0.5, impact_bp=0.3, buy_tax_bp=0.0, sell_tax_bp=1.0),
    sell=LegCosts(fee_bp=1.0, half_spread_bp=0.4, impact_bp=0.2, buy_tax_bp=0.6, sell_tax_bp=0.7),
    latency_bp=0.25,
    carry=Carry(funding_bp_day=1.0, borrow_bp_day=0.5, margin_bp_day=0.2),
    transfer_bp=6.0,
    trades_per_transfer=4.0,
    conversion_bp=0.1,
    regulatory_bp=0.05,
)
PAIR: tuple[Any, Any] = (Touch(100.0), Touch(100.0))  # equal prices: each leg weighs 1


def test_converge_pays_four_crossings() -> None:
    """Fees, impact, latency, conversion and friction twice, half spreads and both taxes of the way out,
    financing.
    """
    e = edge(*PAIR, costs=FULL, exit="converge", sigma_bp=0.0, days_to_exit=2.0)
    want = {
        "fees": 6.0,
        "half spread": 0.9,
        "impact": 1.0,
        "latency": 0.5,
        "funding": 2.0,
        "borrow": 1.0,
        "margin": 0.4,
        "transfer": 0.0,
        "conversion": 0.2,
        "tax": 0.0 + 1.0 + 0.7 + 0.6,
        "regulatory": 0.1,
    }
    assert e.cost_bp == pytest.approx(want)
    assert e.expected_bp == pytest.approx(-sum(want.values()))


def test_inventory_pays_two_crossings_and_its_share_of_a_transfer() -> None:
    """Nothing is closed: no half spread, no financing to an exit, one tax a leg, a quarter of the transfer.
    """
    e = edge(*PAIR, costs=FULL, exit="inventory", sigma_bp=0.0, days_to_exit=2.0)
    paid = {k: v for k, v in e.cost_bp.items() if v}
    assert paid == pytest.approx(
        {
            "fees": 3.0,
            "impact": 0.5,
            "latency": 0.25,
            "transfer": 1.5,
            "conversion": 0.1,
            "tax": 0.7,
            "regulatory": 0.05,
        }
    )


def test_half_spread_of_the_entry_is_paid_on_mids_only() -> None:
    """Each price given as a mid adds its own half spread once."""
    touch = edge(*PAIR, costs=FULL, exit="inventory", sigma_bp=0.0)
    one = edge(Mid(100.0), Touch(100.0), costs=FULL, exit="inventory", sigma_bp=0.0)
    both = edge(Mid(100.0), Mid(100.0), costs=FULL, exit="inventory", sigma_bp=0.0)
    assert touch.expected_bp - one.expected_bp == pytest.approx(0.5)
    assert touch.expected_bp - both.expected_bp == pytest.approx(0.9)


def test_mid_and_touch_of_one_book_agree() -> None:
    """The same market seen as mids with half spreads and as touches leaves the same expectation."""
    costs = Costs(
        buy=LegCosts(fee_bp=1.0, half_spread_bp=1e4 * 0.05 / 100.0),
        sell=LegCosts(fee_bp=1.0, half_spread_bp=1e4 * 0.1 / 101.0),
    )
    mids = edge(Mid(100.0), Mid(101.0), costs=costs, exit="inventory", sigma_bp=0.0)
    touches = edge(Touch(100.05), Touch(100.9), costs=costs, exit="inventory", sigma_bp=0.0)
    assert mids.expected_bp == pytest.approx(touches.expected_bp, rel=1e-3)


def test_risk_charge() -> None:
    """E - lambda sigma; lambda is 1 unless said, and both numbers are printed."""
    costs = Costs(buy=LegCosts(fee_bp=1.0), sell=LegCosts(fee_bp=1.0))
    e = edge(Touch(99.95), Touch(100.05), costs=costs, exit="inventory", sigma_bp=3.0)
    assert e.gross_bp == pytest.approx(10.0)
    assert (e.expected_bp, e.charged_bp) == pytest.approx((8.0, 5.0))
    half = edge(Touch(99.95), Touch(100.05), costs=costs, exit="inventory", sigma_bp=3.0, risk_aversion=0.5)
    assert half.charged_bp == pytest.approx(6.5)
    assert "8.000 bp" in str(e) and "5.000 bp" in str(e)


def test_rates_weigh_by_price() -> None:
    """A fee of the dear leg is charged on the dear price."""
    costs = Costs(buy=LegCosts(fee_bp=0.0), sell=LegCosts(fee_bp=10.0))
    e = edge(Touch(90.0), Touch(110.0), costs=costs, exit="inventory", sigma_bp=0.0)
    assert e.cost_bp["fees"] == pytest.approx(11.0)


def test_fees_are_required() -> None:
    """There is no default fee."""
    with pytest.raises(TypeError, match="fee_bp"):
        LegCosts()  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"buy": 100.0}, "Touch"),
        ({"sell": Mid(math.nan)}, "positive finite"),
        ({"buy": Touch(-1.0)}, "positive finite"),
        ({"exit": "convergence"}, "did you mean 'converge'"),
        ({"sigma_bp": -1.0}, "sigma_bp"),
        ({"days_to_exit": math.inf}, "days_to_exit"),
    ],
)
def test_bad_input_is_refused(change: dict[str, Any], says: str) -> None:
    """A naked price, a price that cannot be, an unknown exit, a negative sigma or time."""
    good: dict[str, Any] = {
        "buy": PAIR[0],
        "sell": PAIR[1],
        "costs": FULL,
        "exit": "converge",
        "sigma_bp": 0.0,
    } | change
    buy, sell = good.pop("buy"), good.pop("sell")
    with pytest.raises(ConfigError, match=says):
        edge(buy, sell, **good)
