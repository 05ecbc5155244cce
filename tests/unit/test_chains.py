"""Chains map places to contracts, roll before delivery, and refuse what is duplicated, unsorted or of another root."""

from __future__ import annotations

import numpy as np
import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.market.chains import Chain, Contract, Roll, day_number, day_text, make_chain, month_symbol
from oneprice.market.header import Header
from oneprice.market.settlements import CLAIM_WHY, settlements

ENDS = ("2020-01-21", "2020-02-20", "2020-03-20", "2020-04-21")
MONTHS = ((2020, 2), (2020, 3), (2020, 4), (2020, 5))
ABOUT = Header(
    source="test", licence="-", period="-", side="not stated", simultaneity="-", survivorship="-", tries=1, claim=False,
    claim_why=CLAIM_WHY,
)  # fmt: skip


def chain(**more: object) -> Chain:
    return make_chain("CL", ENDS, delivery=MONTHS, **more)


def test_the_front_is_traded_on_its_last_day() -> None:
    """The n-th contract on a day is the n-th whose last trade is that day or later."""
    c = chain()
    assert c.nth(day_number("2020-01-21"), 1).symbol == "CLG2020"
    assert c.nth(day_number("2020-01-22"), 1).symbol == "CLH2020"
    assert c.nth(day_number("2020-01-22"), 3).symbol == "CLK2020"
    with pytest.raises(DataError, match="no contract 4 on 2020-01-22: the last of the chain is CLK2020"):
        c.nth(day_number("2020-01-22"), 4)
    with pytest.raises(ConfigError, match="n of 1 or more"):
        c.nth(0, 0)


def test_a_roll_leaves_before_the_last_trade_and_before_notice() -> None:
    """The held contract is never within `days` of its last trade, nor on or after its first notice."""
    c = make_chain("CL", ENDS, delivery=MONTHS, first_notice=["2020-01-10", None, None, None])
    rule = Roll(days=5)
    for day in range(day_number("2019-12-20"), day_number("2020-04-16")):
        held = rule.held(c, day)
        assert held.last_trade_day - day >= 5
        assert held.first_notice_day < 0 or day < held.first_notice_day
    assert rule.held(c, day_number("2020-01-09")).symbol == "CLG2020"
    assert rule.held(c, day_number("2020-01-10")).symbol == "CLH2020"
    with pytest.raises(DataError, match="no contract to hold on 2020-04-17"):
        rule.held(c, day_number("2020-04-17"))
    with pytest.raises(ConfigError, match="1 day or more"):
        Roll(days=0)


def test_bad_chains_are_refused() -> None:
    """Duplicated and unsorted contracts, other roots, unknown boundaries and empty chains say what is wrong."""
    a, b = (Contract(symbol=s, root="CL", last_trade_day=d) for s, d in (("CLG2020", 10), ("CLH2020", 20)))
    with pytest.raises(DataError, match="expires before the one before"):
        Chain("CL", (b, a), "upper")
    with pytest.raises(DataError, match="is a duplicate of"):
        Chain("CL", (a, Contract(symbol="X", root="CL", last_trade_day=10)), "upper")
    with pytest.raises(DataError, match="is of CL"):
        Chain("NG", (a,), "upper")
    with pytest.raises(DataError, match="two contracts have one symbol"):
        Chain("CL", (a, Contract(symbol="CLG2020", root="CL", last_trade_day=11)), "upper")
    with pytest.raises(DataError, match="at least one contract"):
        Chain("CL", (), "upper")
    with pytest.raises(ConfigError, match="two_sided"):
        Chain("CL", (a,), "uper")
    with pytest.raises(ConfigError, match="multiplier and tick above 0"):
        Chain("CL", (a,), "upper", 0.0)
    with pytest.raises(ConfigError, match="state boundary="):
        make_chain("ZZ", ENDS)
    with pytest.raises(DataError, match="expected 4 of delivery, got 1"):
        make_chain("CL", ENDS, delivery=MONTHS[:1])
    with pytest.raises(DataError, match="month 13"):
        month_symbol("CL", 2020, 13)
    with pytest.raises(DataError, match="YYYY-MM-DD"):
        day_number("20.1.2020")


def test_settlements_list_what_they_leave_out() -> None:
    """Zeros, missing prices and rows after expiry are counted with their first place; negative prices stay."""
    c = chain()
    days = ["2020-01-20", "2020-01-20", "2020-01-21", "2020-01-22", "2020-01-22", "2020-01-23"]
    names = ["CLG2020", "CLH2020", "CLG2020", "CLG2020", "CLH2020", "CLH2020"]
    got = settlements(c, days, names, [58.0, 58.5, -37.63, 1.0, 0.0, np.nan], header=ABOUT)
    assert [day_text(d) for d in got.days] == ["2020-01-20", "2020-01-21"]
    assert np.nanmin(got.price) == -37.63
    assert [e.reason for e in got.excluded] == [
        "1 rows: after the last trade (first: CLG2020 on 2020-01-22)",
        "1 rows: price 0, taken as missing (first: CLH2020 on 2020-01-22)",
        "1 rows: no price (first: CLH2020 on 2020-01-23)",
    ]
    price, at = got.by_place(2)
    assert at.tolist() == [[0, 1], [0, 1]]
    assert price[0].tolist() == [58.0, 58.5]
    assert price[1, 0] == -37.63 and np.isnan(price[1, 1])
    kept = settlements(c, days[:1], names[:1], [0.0], header=ABOUT, zero_is_missing=False)
    assert kept.price[0, 0] == 0.0


def test_bad_settlements_are_refused() -> None:
    """Infinite prices, unknown contracts, a contract twice on a day, unequal columns, nothing left."""
    c = chain()
    for prices, names, text in (
        ([np.inf], ["CLG2020"], "row 0, 2020-01-20: expected a finite price"),
        ([1.0], ["CLZ1999"], "'CLZ1999' is not in the chain"),
        ([0.0], ["CLG2020"], "no usable price is left"),
    ):
        with pytest.raises(DataError, match=text):
            settlements(c, ["2020-01-20"], names, prices, header=ABOUT)
    with pytest.raises(DataError, match="CLG2020 twice on 2020-01-20"):
        settlements(c, ["2020-01-20"] * 2, ["CLG2020"] * 2, [1.0, 2.0], header=ABOUT)
    with pytest.raises(DataError, match="2 days, 1 contracts, 1 prices"):
        settlements(c, ["2020-01-20"] * 2, ["CLG2020"], [1.0], header=ABOUT)
