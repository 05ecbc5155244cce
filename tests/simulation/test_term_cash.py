"""Interest on spots: long pays what money costs, short earns what it brings, and the parts still sum to the ledger."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from oneprice.cli.main import app
from oneprice.core.errors import ConfigError, DataError
from oneprice.core.instruments import Fees, Instrument
from oneprice.core.records import BORROW, EVENT, FUNDING, LAST, TOP
from oneprice.market.chains import TWO_SIDED, make_chain
from oneprice.market.financing import Cash, with_cash
from oneprice.market.header import Header
from oneprice.market.rates import Treasury
from oneprice.market.settlement_tapes import DAY_NS, HalfSpread, settlement_tapes
from oneprice.market.settlements import Settlements, settlements
from oneprice.market.tape import Tape, make_tape, write_tape
from oneprice.signals.parity.relations import Relation
from oneprice.study.term_carry import replay_carry
from oneprice.study.term_cash import financed
from oneprice.study.term_cli import read_relations, tapes_with_cash, write_relations
from oneprice.study.term_fit import perpetual_relation
from oneprice.study.term_replay import TermRun
from oneprice.study.term_worlds import CASH, RATE, replay_world, world_of

FREE = HalfSpread(by_place=(0.0,) * 5)
FEES = Fees(maker_bp=0, taker_bp=0)
LOTS, UNITS = 10, 100.0
ABOUT = Header(
    source="made", licence="own", period="made", side="not stated", simultaneity="one a day", survivorship="all",
    tries=1, claim=False, claim_why="simulated",
)  # fmt: skip
END = 200


def panel(root: str, last: int, price: np.ndarray) -> Settlements:
    """Settlements of one line on the days 0, 1, 2... that are no weekend; NaN: none."""
    chain = make_chain(root, [last], boundary=TWO_SIDED, multiplier=UNITS, tick=0.01)
    days = [d for d in range(len(price)) if d % 7 < 5 and np.isfinite(price[d])]
    return settlements(chain, days, [chain.contracts[0].symbol] * len(days), price[days], header=ABOUT)


def held(cash: Cash, jump: float, **how: Any) -> tuple[TermRun, np.ndarray]:
    """A future `jump` too dear from day 5 to day 60, on a spot that walks; the run, and the spot on each day."""
    rng = np.random.default_rng(3)
    days = np.arange(90)
    spot = np.round(100.0 + np.cumsum(rng.normal(0.0, 0.5, 90)), 2)
    future = np.round(spot * np.exp(0.5 * (cash.lend + cash.borrow) * (END - days) / 365.0), 2)
    future[5:60] += jump
    how = {"half_spread": FREE, "fees": FEES, "lots": LOTS, "every_days": 1, **how}
    return replay_carry(panel("SP", 9000, spot), panel("SF", END, future), cash=cash, **how), spot


@pytest.mark.parametrize("jump", [4.0, -4.0])
def test_long_pays_and_short_earns_to_the_cent(jump: float) -> None:
    """Cash-and-carry borrows at 5 %, its reverse lends at 2 % less the fee: a plain loop over days gives the same."""
    got, spot = held(Cash(lend=0.02, borrow=0.05, fee=0.004), jump)
    (trade,) = got.parts.trades
    first, last = trade.first_ns // DAY_NS, trade.last_ns // DAY_NS
    assert (first, last) == (8, 63) and not trade.open, "outside on Monday 7 and inside on 60, a Friday: a day later"
    days = [d for d in range(first, last + 1) if d % 7 < 5]
    want = 0.0
    for a, b in itertools.pairwise(days):
        dt = (b - a) / 365.0
        rate = -math.expm1(0.05 * dt) if jump > 0 else math.expm1(0.02 * dt) - 0.004 * dt
        want += LOTS * UNITS * spot[a] * rate
    carry = trade.by_leg[trade.legs[0]]["carry"] * got.parts.unit
    assert carry == pytest.approx(want, abs=1e-4) and abs(want) > 100.0
    pnl = got.run.pnl()
    assert pnl["funding"] + pnl["borrow"] == pytest.approx(carry, abs=1e-9)
    assert (pnl["borrow"] == 0.0) == (jump > 0), "the lender's fee and the rates' gap are borne by a short only"
    assert got.parts.exact and got.run.closes() == 0


def test_a_locked_gap_is_what_is_left_after_interest() -> None:
    """Bought and sold at a gap over the fair value and left at it: gap less interest, but for its second order."""
    rate = 0.05
    got, spot = held(Cash(lend=rate, borrow=rate), 4.0, terms={"open": 1.0, "back": -0.1})
    (trade,) = got.parts.trades
    first, last = int(trade.first_ns // DAY_NS), int(trade.last_ns // DAY_NS)
    years = [(END - d) / 365.0 for d in (first, last)]
    basis = [math.expm1(rate * y) for y in years]
    earned = trade.total * got.parts.unit / (LOTS * UNITS)
    interest = -sum(u["carry"] for u in trade.by_leg.values()) * got.parts.unit / (LOTS * UNITS)
    assert earned + interest == pytest.approx(4.0 + basis[0] * spot[first] - basis[1] * spot[last], abs=0.02)
    grown = spot[first] * math.exp(rate * (years[0] - years[1]))
    assert interest == pytest.approx(grown - spot[first], abs=0.06), "of the mark, not of the price paid"
    assert abs(earned - 4.0) < 0.1


def test_weekends_holidays_and_storage() -> None:
    """Friday's charge is of three days, a holiday is paid at the last mark, storage is of who is long."""
    spot = np.full(20, 50.0)
    spot[9] = np.nan
    tape = settlement_tapes(panel("SP", 9000, spot), half_spread=FREE, fees=FEES)[0]
    got = with_cash(tape, Cash(lend=0.01, borrow=0.03, fee=0.002, storage_rate=0.001, store=0.6))
    rows = got.events[got.events["kind"] == FUNDING]
    days = [0, 1, 2, 3, 4, 7, 8, 10, 11, 14, 15, 16, 17]
    assert (rows["exchange_ns"] // DAY_NS).tolist() == days and (rows["mark"] == 5000).all()
    gaps = np.diff([*days, 18]) / 365.0
    pays = np.expm1(0.03 * gaps) + 0.001 * gaps + 0.6 * gaps / 50.0
    assert np.allclose(rows["rate_e12"] * 1e-12, pays, atol=1e-12)
    kept = got.events[got.events["kind"] == BORROW]
    assert np.allclose((rows["rate_e12"] - kept["rate_e12"]) * 1e-12, np.expm1(0.01 * gaps) - 0.002 * gaps, atol=2e-12)
    assert got.digest != tape.digest and (got.events["kind"] == TOP).sum() == (tape.events["kind"] == TOP).sum()
    tops = got.events[got.events["kind"] == TOP]
    assert tops.tobytes() == tape.events[tape.events["kind"] == TOP].tobytes()
    assert with_cash(got, Cash(lend=0.0, borrow=0.0)).events.shape[0] == len(got.events) + 2 * len(days)


def test_prices_of_zero_and_below() -> None:
    """A price of 0 pays nothing; below 0 there is no interest, and storage is still paid by who is long."""
    price = np.array([5.0, 0.0, -2.0, 3.0, 4.0])
    chain = make_chain("SP", [900], boundary=TWO_SIDED, multiplier=UNITS, tick=0.01)
    days = np.arange(5)
    whole = settlements(chain, days, [chain.contracts[0].symbol] * 5, price, header=ABOUT, zero_is_missing=False)
    tape = settlement_tapes(whole, half_spread=FREE, fees=FEES)[0]
    got = with_cash(tape, Cash(lend=0.02, borrow=0.05, store=1.0))
    rows = got.events[got.events["kind"] == FUNDING]
    assert (rows["mark"] == [500, -200, 300]).all()
    paid = rows["mark"] * 0.01 * rows["rate_e12"] * 1e-12
    assert paid[1] == pytest.approx(1.0 / 365.0, abs=1e-12), "a unit of storage, no interest"
    assert paid[0] == pytest.approx(5.0 * math.expm1(0.05 / 365.0) + 1.0 / 365.0, abs=1e-12)


def test_rates_by_day() -> None:
    """`base` is added to both rates: Treasury yields as told before each day."""
    par = np.linspace(0.01, 0.05, 30)[:, None] * np.ones(2)
    told = Treasury(np.arange(30, dtype=np.int64) - 5, np.array([0.25, 1.0]), par, "made")
    tape = settlement_tapes(panel("SP", 9000, np.full(12, 40.0)), half_spread=FREE, fees=FEES)[0]
    got = with_cash(tape, Cash(lend=-0.001, borrow=0.002), base=lambda day: told.rate(day, 0.25))
    rows = got.events[got.events["kind"] == FUNDING]
    for row, gap in zip(rows, np.diff([0, 1, 2, 3, 4, 7, 8, 9, 10, 11]), strict=False):
        rate = told.rate(int(row["exchange_ns"] // DAY_NS), 0.25) + 0.002
        assert row["rate_e12"] == round(math.expm1(rate * gap / 365.0) * 1e12)


def test_carry_at_yields_as_told() -> None:
    """With Treasury yields as the base the spot pays those told before each day and what stands above them."""
    days = np.arange(-5, 120, dtype=np.int64)
    told = Treasury(days, np.array([0.25, 1.0]), np.linspace(0.01, 0.05, len(days))[:, None] * np.ones(2), "made")
    spot = np.full(90, 100.0)
    future = np.full(90, 108.0)
    how: dict[str, Any] = {"half_spread": FREE, "fees": FEES, "lots": LOTS, "every_days": 1}
    got = replay_carry(
        panel("SP", 9000, spot), panel("SF", END, future), cash=Cash(lend=-0.002, borrow=0.004), rate=told, **how
    )
    (trade,) = got.parts.trades
    held_days = [d for d in range(trade.first_ns // DAY_NS, 90) if d % 7 < 5]
    want = sum(
        -LOTS * UNITS * 100.0 * math.expm1((told.rate(a, 0.25) + 0.004) * (b - a) / 365.0)
        for a, b in itertools.pairwise(held_days)
    )
    assert trade.open and got.run.pnl()["funding"] == pytest.approx(want, abs=1e-4) and want < -500.0
    assert got.parts.exact and got.run.closes() == 0 and got.word.startswith("relative value")
    stale = Treasury(days[:20], told.tenors, told.par[:20], "made")
    later = replay_carry(
        panel("SP", 9000, spot), panel("SF", END, future), cash=Cash(lend=0.0, borrow=0.0), rate=stale, **how
    )
    assert len(later.parts.trades) == 1 and not later.parts.trades[0].open, "yields that are old are none: it is left"
    for bad in ({"lots": 0}, {"every_days": 0}):
        with pytest.raises(ConfigError, match="of 1 or more, got 0"):
            held(Cash(lend=0.0, borrow=0.1), 4.0, **bad)


def test_made_worlds_pay_interest_and_dividends() -> None:
    """The stock of a made world is financed at the world's rates and paid its dividends; books close exactly."""
    world = world_of(4)
    run, trades = replay_world(world, 2)
    stock = [t for t in trades if any(leg.endswith(":SP9000") for leg in t.legs)]
    pnl = run.pnl()
    assert run.closes() == 0 and stock and pnl["funding"] + pnl["borrow"] != 0.0
    carried = sum(t.by_leg["futures:SP9000"]["carry"] for t in stock) * 1e-8
    assert carried == pytest.approx(pnl["funding"] + pnl["borrow"] + pnl["dividend"], abs=1e-7)
    assert CASH.lend < RATE < CASH.borrow


def crypto(symbol: str, mid: np.ndarray) -> Tape:
    one = Instrument(symbol=symbol, underlying="BTC", quote="USD", tick="0.5", lot="0.001", fees=FEES)
    rows = np.zeros(len(mid), EVENT)
    rows["receive_ns"] = rows["exchange_ns"] = (1 + np.arange(len(mid))) * (DAY_NS // 3)
    rows["bid"], rows["ask"], rows["bid_qty"], rows["ask_qty"] = mid - 1, mid + 2, 1000, 1000
    rows["kind"], rows["flag_bits"] = TOP, LAST
    return make_tape(one, rows, header=ABOUT)


def test_relations_of_a_file_state_their_cash(tmp_path: Path) -> None:
    """Cash travels with the relation; a spot without a tape, cash of a future and impossible rates are refused."""
    tape = crypto("x:SPOT", np.full(10, 40_000))
    one = perpetual_relation(
        "x:SPOT", "x:PERP", funding_a_year=1095.0, rates=(0.0, 0.08), qty=1.0, cost_share=1e-3, hold_years=0.1
    )
    assert one.cash == Cash(lend=0.0, borrow=0.08)
    path = write_relations([one], tmp_path / "relations.json")
    assert read_relations(path) == [one]
    got = tapes_with_cash(path, [tape, crypto("x:PERP", np.full(10, 40_010))])
    assert (got[0].events["kind"] == FUNDING).sum() == 3 and (got[1].events["kind"] == FUNDING).sum() == 0
    assert (got[0].events["mark"][got[0].events["kind"] == FUNDING] == 40_000).all(), "half a tick is dropped"
    with pytest.raises(ConfigError, match="x:SPOT"):
        financed([crypto("x:OTHER", np.full(3, 10))], [one])
    with pytest.raises(ConfigError, match="its first leg is no spot"):
        Relation(
            kind="carry", symbols=("a", "b"), qty=1.0, near_ns=1, expiry_ns=5, cash=Cash(lend=0.0, borrow=0.1)
        )  # fmt: skip


def test_interest_on_tapes_from_the_command_line(tmp_path: Path) -> None:
    """`--model` with `cash` on a folder of tapes: the spot bought against a dear perpetual pays for its days."""
    from typer.testing import CliRunner

    for name, mid in (("x:SPOT", 40_000), ("x:PERP", 40_400)):
        write_tape(tmp_path / "tapes", crypto(name, np.full(30, mid)))
    plain = Relation(
        kind="perpetual", symbols=("x:SPOT", "x:PERP"), qty=0.1, growth_low=0.99, growth_high=1.001, confirm=1,
        apart_ns=DAY_NS,
    )  # fmt: skip
    told = []
    for cash in (None, Cash(lend=0.0, borrow=0.073)):
        file = write_relations([msgspec.structs.replace(plain, cash=cash)], tmp_path / "relations.json")
        words = ["replay", str(tmp_path / "tapes"), "--strategy", "term_structure", "--fees", "0,0", "--set"]
        got = CliRunner().invoke(app, [*words, "slip_bp=50", "--model", str(file), "--json"])
        assert got.exit_code == 0, got.output
        told.append(json.loads(got.output))
        assert told[-1]["fills"] == 2 and told[-1]["closes_exactly"]
    paid = told[1]["pnl"]["funding"] - told[0]["pnl"]["funding"]
    assert told[1]["strips"]["exact"] and told[1]["strips"]["kind"] == "perpetual"
    carried = told[1]["strips"]["units"]["carry"] * told[1]["strips"]["unit"]
    assert carried == pytest.approx(told[1]["pnl"]["funding"] + told[1]["pnl"]["borrow"], abs=1e-6)
    days = 9  # ten days of three quotes, from the first on
    assert paid == pytest.approx(-0.1 * 20_000.0 * math.expm1(0.073 / 365.0) * days, rel=0.02)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"lend": 0.05, "borrow": 0.04}, "lend <= borrow"),
        ({"lend": math.nan, "borrow": 0.04}, "finite rates"),
        ({"lend": 0.0, "borrow": 0.04, "fee": -0.1}, "fee of 0 or more"),
        ({"lend": 0.0, "borrow": 0.04, "store": math.inf}, "store of 0 or more"),
    ],
)
def test_cash_that_cannot_be(how: dict[str, Any], says: str) -> None:
    """Each refusal names the field."""
    with pytest.raises(ConfigError, match=says):
        Cash(**how)


def test_tapes_that_cannot_be_financed() -> None:
    """An inverse contract holds no spot; a tape without quotes has no value to charge."""
    tape = crypto("x:SPOT", np.full(3, 40_000))
    coin = Instrument(
        symbol="x:COIN",
        underlying="BTC",
        quote="USD",
        currency="BTC",
        tick="0.5",
        lot="1",
        contract="inverse",
        fees=FEES,
    )
    with pytest.raises(ConfigError, match="inverse"):
        with_cash(make_tape(coin, tape.events, header=ABOUT), Cash(lend=0.0, borrow=0.1))
    empty = np.zeros(1, EVENT)
    empty["kind"], empty["flag_bits"] = FUNDING, LAST
    with pytest.raises(DataError, match="expected quotes"):
        with_cash(make_tape(tape.instrument, empty, header=ABOUT), Cash(lend=0.0, borrow=0.1))
