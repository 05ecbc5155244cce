"""Instruments: exact integers or a clear refusal."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from oneprice.core.errors import ConfigError
from oneprice.core.instruments import Fees, Instrument, rate_e9, to_legs
from oneprice.core.money import MONEY_MAX
from oneprice.core.records import NO_PRICE, NO_SHORT
from risk_bench import COIN, PERP, SPOT, STOCK


def test_static_fields_are_exact() -> None:
    """The integers of a LEG are those of the decimals: BTC at one cent and 1e-5 is 5 units of 1e-8 a half
    tick.
    """
    legs, scales = to_legs((SPOT, PERP, COIN, STOCK))

    assert [int(x) for x in legs["money_num"]] == [5, 5_000, 200_000_000_000, 50_000_000]
    assert scales.scale == (8, 8, 8)
    assert scales.currencies == ("USDT", "BTC", "CNY")
    assert scales.venues == ("a", "b", "c")
    assert [int(x) for x in legs["taker_fee_e9"]] == [750_000, 450_000, 500_000, 200_000]
    assert int(legs["maker_fee_e9"][1]) == -50_000
    assert int(legs["sell_tax_e9"][3]) == 500_000
    assert int(legs["fee_per_lot"][3]) == 30_000_000
    assert (legs["mid2_ticks"] == NO_PRICE).all()


def test_scale_is_raised_until_exact() -> None:
    """Half a tick times a lot may need more than 8 decimals."""
    fine = msgspec.structs.replace(SPOT, tick="0.0001", lot="0.00001")
    legs, scales = to_legs((fine,))

    assert scales.scale == (10,)
    assert int(legs["money_num"][0]) == 5
    assert scales.units("USDT", "1.5") == 15_000_000_000
    assert str(scales.amount("USDT", 15_000_000_000)) == "1.5000000000"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"fees": None}, "fees are required"),
        ({"tick": "0"}, "tick: expected more than 0"),
        ({"tick": "nan"}, "tick: expected a decimal number"),
        ({"lot": "abc"}, "lot: expected a decimal number"),
        ({"lot": "1e-30"}, "no whole number of 10\\^-16"),
        ({"contract": "quanto"}, "expected 'linear' or 'inverse'"),
        ({"currency": "EUR"}, "settles in its quote currency"),
        ({"contract": "inverse", "currency": "USDT"}, "settles in the underlying"),
        ({"min_lots": 0}, "min_lots: expected 1 or more"),
        ({"stale_ns": 0}, "stale_ns: expected 1 or more"),
        ({"book_log2": 30}, "book_log2: expected 0 .* or 8 to 24"),
        ({"book_log2": 7}, "book_log2: expected 0 .* or 8 to 24"),  # a book of fewer ticks is refused
        ({"session": ((600, 500),)}, "session"),
        ({"underlying": ""}, "underlying: expected a name"),
        ({"symbol": "BTC", "venue": ""}, "venue:NAME"),
    ],
)
def test_refusals(change: dict[str, Any], says: str) -> None:
    """Each impossible field is refused where it is given or where the legs are built, and the text says
    which.
    """
    values = {name: getattr(SPOT, name) for name in SPOT.__struct_fields__} | {"currency": ""} | change
    with pytest.raises(ConfigError, match=says):
        to_legs((Instrument(**values),))


def test_inverse_of_a_tick_that_never_ends() -> None:
    """2 x lot / tick must be decimal too: a tick of 0.3 is no exact inverse price."""
    with pytest.raises(ConfigError, match="no whole number"):
        to_legs((msgspec.structs.replace(COIN, tick="0.3"),))


def test_overflow_is_refused_with_numbers() -> None:
    """max lots x max price x money must stay below 2^62, and the text says what would fit."""
    with pytest.raises(ConfigError, match=rf"not below 2\^62 = {MONEY_MAX}: at most 4611686018 lots fit"):
        to_legs((SPOT,), max_lots=10**10)
    _, scales = to_legs((SPOT,), max_lots=1000, max_price_ticks={"a:BTC-USDT": 10**9})
    assert scales.max_lots == (1000,) and scales.max_price_ticks == (10**9,)
    assert to_legs((SPOT,))[1].max_lots[0] * 2 * 10**8 * 5 < MONEY_MAX


def test_doubled_and_missing() -> None:
    """Symbols are unique and there is at least one."""
    with pytest.raises(ConfigError, match="2 times"):
        to_legs((SPOT, SPOT))
    with pytest.raises(ConfigError, match="at least one"):
        to_legs(())


def test_fees_are_exact_and_required() -> None:
    """maker and taker have no default; floats mean their shortest text; what an integer rate cannot hold is
    refused.
    """
    with pytest.raises(TypeError, match="taker_bp"):
        Fees("1")  # type: ignore[call-arg]
    assert rate_e9(0.1, "x") == 10_000
    assert rate_e9("-0.00001", "x") == -1
    with pytest.raises(ConfigError, match="at most 5 decimals"):
        Fees("0.000001", 1)
    with pytest.raises(ConfigError, match="sell_tax_bp: expected a tax"):
        Fees(1, 1, sell_tax_bp=-1)


def test_short_ban_shows_as_trading_status() -> None:
    """An instrument that may not be sold short says so in its leg."""
    legs, _ = to_legs((msgspec.structs.replace(STOCK, allow_short=False),))
    assert int(legs["trading"][0]) == NO_SHORT
