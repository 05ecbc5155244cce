"""Listed calendar spreads through the engine: their own price, tick, half spread and life; beside two legs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from oneprice.cli.main import app
from oneprice.core.errors import ConfigError, DataError
from oneprice.core.instruments import Fees, Instrument
from oneprice.core.records import COMMAND, EVENT, EXPIRY, FILL_ROW, LAST, NO_PRICE, TOP
from oneprice.dashboard.html import write_report
from oneprice.market.chains import Roll, day_number, make_chain
from oneprice.market.header import Header
from oneprice.market.settlement_tapes import DAY_NS, HalfSpread
from oneprice.market.settlements import Settlements, read_chain, read_settlements, settlements
from oneprice.market.spread_tapes import LISTED_HALF, SpreadMarket, neighbours, spread_fees, spread_name, spread_tapes
from oneprice.market.tape import Tape, make_tape
from oneprice.modes.rerun import rerun
from oneprice.signals.parity.relations import ONE_LEG, Relation
from oneprice.study.report import cause_table, read_run
from oneprice.study.term_compare import WAYS, compare_ways
from oneprice.study.term_fit import StripRules, leave_day
from oneprice.study.term_ladder import spot_ladder
from oneprice.study.term_quotes import MINUTE_NS, replay_quotes
from oneprice.study.term_replay import TermRun, replay_term, strip_limits

ABOUT = Header(
    source="made", licence="own", period="made", side="not stated", simultaneity="one a day", survivorship="all",
    tries=1, claim=False, claim_why="simulated",
)  # fmt: skip
RULES = StripRules(spread="listed", storage=0.5, lots=2, roll=Roll(days=5), margin_days=5)
FEES = Fees(maker_bp=0, taker_bp=0, per_lot="2.5")


def made(price: np.ndarray, ends: list[int], *, boundary: str = "upper", zeros: bool = False) -> Settlements:
    """Settlements of columns by contract, days 0, 1, 2...; NaN: none."""
    chain = make_chain("XX", ends, boundary=boundary, multiplier=100.0, tick=0.01)
    days, at = np.nonzero(np.isfinite(price))
    keep = days <= chain.last_trade_days[at]
    rows = [(int(d), chain.contracts[a].symbol, price[d, a]) for d, a in zip(days[keep], at[keep], strict=True)]
    columns = ([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])
    return settlements(chain, *columns, header=ABOUT, zero_is_missing=not zeros)


def contango(n: int = 60, jump: float = 6.0, at: int = 20) -> np.ndarray:
    """Two contracts at 50 and 50.2; the far one is `jump` too dear from day `at` to day `at` + 10."""
    price = np.column_stack([np.full(n, 50.0), np.full(n, 50.2)])
    price[at : at + 10, 1] += jump
    return price


def history(folder: Path, root: str) -> Settlements:
    curves = folder / "futures_curves"
    return read_settlements(curves / "dflong.parquet", read_chain(curves / "expiry_table.parquet", root))


# ---------------------------------------------------------------- the market
def test_the_price_is_the_later_settlement_less_the_nearer(data_dir: Path) -> None:
    """May to June 2020 of crude: 58.06 on the day of -37.63; the quotes stand its own half spread around it."""
    panel = history(data_dir, "CL")
    chain = panel.chain
    (one,) = spread_tapes(panel, [("CLK2020", "CLM2020")], first="2020-01-02", last="2020-06-30", fees=FEES)
    rows = one.tape.events[one.tape.events["kind"] == TOP]
    near, far = (panel.price[:, chain.place(s)] for s in ("CLK2020", "CLM2020"))
    at = np.searchsorted(panel.days, rows["exchange_ns"] // DAY_NS)
    mid = 0.005 * (rows["bid"] + rows["ask"])
    assert np.allclose(mid, far[at] - near[at], atol=1e-9)
    day = int(np.flatnonzero(panel.days[at] == day_number("2020-04-20"))[0])
    assert mid[day] == pytest.approx(58.06) and (mid[:day] > 0).any()
    half = (rows["ask"] - rows["bid"]) // 2
    place = chain.place("CLM2020") - np.searchsorted(chain.last_trade_days, panel.days[at]) + 1
    assert (half == LISTED_HALF.ticks(place, panel.days[at])).all() and set(half) == {1}
    end = one.tape.events[-1]
    assert end["kind"] == EXPIRY and panel.days[at][-1] == chain.contracts[one.near].last_trade_day
    assert int(end["price"]) * 0.01 == pytest.approx(mid[-1]), "ends with the last trade of the nearer contract"
    assert one.symbol == "futures:CLM2020-CLK2020" and "listed spreads: tick 0.01" in one.tape.header.claim_why
    assert one.tape.instrument.fees == Fees(maker_bp=0, taker_bp=0, per_lot="5.0"), "two contracts are cleared"


def test_prices_of_zero_and_below_are_prices_of_a_spread() -> None:
    """A spread at 0 or below is quoted like any other; ticks of its own divide those of the contracts."""
    price = np.array([[50.0, 50.0], [50.0, 49.5], [50.0, 50.25]])
    (one,) = spread_tapes(made(price, [80, 110]), market=SpreadMarket(tick=0.005, half_spread=HalfSpread(before=1.0)))
    rows = one.tape.events
    assert ((rows["bid"] + rows["ask"]) // 2).tolist() == [0, -100, 50] and one.ticks_a_tick == 2
    assert ((rows["ask"] - rows["bid"]) // 2).tolist() == [1, 1, 1]


def test_zeros_holidays_and_missing_settlements_are_no_quotes() -> None:
    """One leg without a settlement (a holiday, a zero): the quote of the spread is withdrawn that day."""
    price = contango(n=8, at=20)
    price[3, 0] = np.nan
    price[5, 1] = 0.0
    panel = made(price, [80, 110])
    (one,) = spread_tapes(panel)
    rows = one.tape.events
    days = (rows["exchange_ns"] // DAY_NS).tolist()
    assert days == list(range(8))
    assert [d for d, r in zip(days, rows, strict=True) if r["bid"] == NO_PRICE and r["ask"] == NO_PRICE] == [3, 5]
    assert any("price 0" in e.reason for e in panel.excluded)


def test_pairs_that_cannot_be() -> None:
    """One contract twice, the wrong order, a pair twice, unknown, expired: refused by name."""
    price = np.column_stack([np.full(60, 50.0 + k) for k in range(4)])
    panel = made(price, [20, 50, 80, 110])
    a, b, c, d = (x.symbol for x in panel.chain.contracts)
    for pairs, says in (
        ([(a, a)], "two contracts"), ([(b, a)], "nearer contract first"), ([(a, b), (a, b)], "asked for twice"),
        ([(a, "XX2100")], "unknown contract"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=says):
            spread_tapes(panel, pairs)
    with pytest.raises(DataError, match="never both settle on a day from 1970-01-31"):
        spread_tapes(panel, [(a, b)], first=30, last=40)
    assert [s.symbol for s in spread_tapes(panel, first=30, last=40)] == [f"futures:{d}-{c}"], "expired: left out"
    with pytest.raises(DataError, match="none from"):
        spread_tapes(panel, first=500, last=600)
    with pytest.raises(DataError, match="no two neighbours"):
        spread_tapes(made(price[:, :1], [80]))
    assert neighbours(panel.chain) == [(0, 1), (2, 3)] and spread_name(panel.chain, 0, 1) == f"{b}-{a}"


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"tick": 0.03}, "whole number, got 0.03"),
        ({"tick": 0.02}, "whole number, got 0.02"),
        ({"tick": -1.0}, "a tick of 0"),
        ({"tick": float("nan")}, "a tick of 0"),
    ],
)
def test_ticks_that_cannot_be(how: dict[str, Any], says: str) -> None:
    """A tick that the contracts' tick is no multiple of would leave differences without a price."""
    with pytest.raises(ConfigError, match=says):
        spread_tapes(made(contango(), [80, 110]), market=SpreadMarket(**how))


def test_rates_as_fees_are_refused() -> None:
    """A fee in basis points of a price near 0 is none: fees a lot only, twice those of a contract."""
    assert spread_fees(Fees(maker_bp=0, taker_bp=0, per_lot="1.05")).per_lot == "2.10"
    with pytest.raises(ConfigError, match=r"fees a lot only, got \{'taker_bp': 1\}"):
        spread_fees(Fees(maker_bp=0, taker_bp=1, per_lot="2.5"))
    with pytest.raises(ConfigError, match="fees a lot only"):
        replay_term(made(contango(), [80, 110]), rules=RULES, rate=0.0, fees=Fees(maker_bp=0, taker_bp="0.5"))


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"weights": (-1.0, 1.0)}, r"bought as \(0, 1\)"),
        ({"near_ns": 0}, "last trade of the near contract"),
        ({"expiry_ns": 5}, "expiry after"),
        ({"symbols": ("a", "a")}, "different symbols"),
    ],
)
def test_listed_relations_that_cannot_be(how: dict[str, Any], says: str) -> None:
    """Weights, dates and symbols of a listed relation are checked as those of others."""
    usual: dict[str, Any] = {"symbols": ("a", "b-a"), "weights": ONE_LEG, "near_ns": 10, "expiry_ns": 20, "qty": 1.0}
    assert Relation(kind="listed", **usual).id > 0
    with pytest.raises(ConfigError, match=says):
        Relation(kind="listed", **(usual | how))


# ---------------------------------------------------------------- through the engine
def run_of(panel: Settlements, **how: Any) -> TermRun:
    rules = how.pop("rules", RULES)
    return replay_term(panel, rules=rules, rate=0.0, every_days=how.pop("every_days", 1), **how)


def test_one_order_fills_at_the_next_settlement() -> None:
    """Outside on day 20: sold at the settlement of day 21, its own half spread below; bought back on day 31."""
    got = run_of(made(contango(), [80, 110]))
    fills = got.run.fills()
    assert (fills["time_ns"] // DAY_NS).tolist() == [21, 31]
    assert [(int(f["side"]), int(f["price"])) for f in fills] == [(-1, 620 - 2), (1, 20 + 2)]
    assert {got.tapes[int(f["leg"])].instrument.symbol for f in fills} == {"futures:XX1970-04-21-XX1970-03-22"}
    (trade,) = got.parts.trades
    assert trade.units["cost"] * 1e-8 == -2 * (2 * 2 * 0.01 * 100.0 + 2 * 5.0)
    assert trade.total * 1e-8 == 2 * 100.0 * (6.18 - 0.22) - 4 * 5.0
    near, far = "futures:XX1970-03-22", "futures:XX1970-04-21"
    assert sum(trade.by_leg[near].values()) == 0 and sum(trade.by_leg[far].values()) * 1e-8 == 2 * 100.0 * 6.0
    assert got.parts.exact and got.run.closes() == 0


def test_a_day_without_one_leg_fills_nothing() -> None:
    """The nearer contract has a holiday on the day the order would fill: nothing fills, the next settlement does."""
    price = contango()
    price[21, 0] = np.nan
    fills = run_of(made(price, [80, 110])).run.fills()
    assert (fills["time_ns"] // DAY_NS).tolist() == [23, 31], "sent for 21, stated again on 22, filled on 23"
    legs = run_of(made(price, [80, 110]), rules=msgspec.structs.replace(RULES, spread="legs"))
    times = (legs.run.fills()["time_ns"] // DAY_NS).tolist()
    assert len(times) > len(fills), "two legs are held half meanwhile"
    assert legs.run.fills()["time_ns"].min() // DAY_NS >= 21 and legs.parts.exact


def test_the_spread_is_left_before_its_nearer_contract_ends() -> None:
    """Outside until the end: bought back by the roll rule's last day of the nearer contract, weekends included."""
    price = contango(n=100, at=20)
    price[20:, 1] = 56.2
    price[np.arange(100) % 7 >= 5] = np.nan
    panel = made(price, [70, 100])
    got = run_of(panel, every_days=7)
    fills = got.run.fills()
    near = panel.chain.contracts[0]
    assert len(fills) == 2 and fills["time_ns"][1] // DAY_NS <= RULES.roll.last_day(near)
    assert fills["time_ns"][1] // DAY_NS >= leave_day(near, RULES)
    assert not got.parts.trades[0].open


def test_later_settlements_do_not_change_earlier_orders() -> None:
    """Another future from day 40 on: all orders decided before are the same bytes, and the rest are not."""
    rng = np.random.default_rng(2)
    base = 50.0 + np.cumsum(rng.normal(0, 1.5, (90, 1)), axis=0) + np.array([0.0, 0.4, 0.7, 1.2])
    base += rng.normal(0, 0.9, base.shape)
    other = base.copy()
    other[40:] += rng.normal(0, 5.0, other[40:].shape)
    rules = msgspec.structs.replace(RULES, storage=0.05)
    one, two = (run_of(made(np.round(p, 2), [60, 90, 120, 150]), rules=rules, every_days=2) for p in (base, other))
    told = 40 * DAY_NS + 20 * 3600 * 10**9
    a, b = (r.run.commands()[r.run.commands()["time_ns"] < told] for r in (one, two))
    assert len(a) > 2 and a.tobytes() == b.tobytes()
    assert one.run.commands().tobytes() != two.run.commands().tobytes()


def test_a_listed_replay_runs_again_from_its_journal(tmp_path: Path) -> None:
    """A replay on disk folds again: each command and the final state the same, models included."""
    rng = np.random.default_rng(4)
    price = np.round(50.0 + np.cumsum(rng.normal(0, 1.0, (80, 1)), axis=0) + rng.normal(0, 0.8, (80, 4)), 2)
    rules = StripRules(spread="listed", storage=0.05, lots=2)
    got = run_of(made(price, [60, 90, 120, 150]), rules=rules, every_days=3, out=tmp_path)
    assert len(got.run.commands()) > 4
    again = rerun(tmp_path, tapes=list(got.tapes))
    assert again.equal, str(again)
    assert again.run.commands().tobytes() == got.run.rows[got.run.rows["kind"] == COMMAND].tobytes()


def test_the_gate_sees_one_order_of_the_spreads_own_value() -> None:
    """An order is worth what it may fill at, 3,382 here: 1,000 refuses it, 10,000 does not (a contract: 19,000)."""
    panel = made(contango(), [80, 110])
    small, wide = (
        run_of(panel, limits=msgspec.structs.replace(strip_limits(1e6), order_value=value)) for value in (1_000, 10_000)
    )
    assert len(small.run.fills()) == 0 and small.to_dict()["refused"]
    assert len(wide.run.fills()) == 2 and not wide.to_dict()["refused"]
    assert small.run.closes() == 0 and small.parts.exact


def test_many_spreads_in_one_life() -> None:
    """More pairs than the engine remembers targets for (128): each is sold and bought back, none is refused."""
    n = 150
    ends = [30 + 8 * k for k in range(2 * n)]
    days = np.arange(ends[-1] + 1)
    price = np.full((len(days), 2 * n), np.nan)
    for k, end in enumerate(ends):
        price[max(0, end - 60) : end + 1, k] = 50.0 + 0.01 * k
        if k % 2:
            price[end - 44 : end - 34, k] += 6.0
    rules = msgspec.structs.replace(RULES, places=16)
    got = run_of(made(price, ends), rules=rules, every_days=7)
    legs = {int(f["leg"]) for f in got.run.rows[got.run.rows["kind"] == FILL_ROW]}
    assert len(legs) > 130 and not got.to_dict()["refused"]
    assert got.parts.exact and got.run.closes() == 0


def minutes(symbol: str, mid: np.ndarray) -> Tape:
    """Quotes a tick wide each side, once a minute."""
    one = Instrument(symbol=symbol, underlying="XX", quote="USD", tick="0.01", lot="100", fees=FEES)
    rows = np.zeros(len(mid), EVENT)
    rows["receive_ns"] = rows["exchange_ns"] = (1 + np.arange(len(mid))) * MINUTE_NS
    rows["bid"], rows["ask"], rows["bid_qty"], rows["ask_qty"] = mid - 1, mid + 1, 100, 100
    rows["kind"], rows["flag_bits"] = TOP, LAST
    return make_tape(one, rows, header=ABOUT)


def test_quotes_of_a_listed_spread_are_traded_as_such() -> None:
    """With the market's own quotes a relation of kind listed needs no settlement: sold above, bought back inside."""
    spread = np.full(60, 20)
    spread[20:40] += 100
    tapes = [minutes("x:NEAR", np.full(60, 5000)), minutes("x:FAR-NEAR", spread)]
    one = Relation(
        kind="listed", symbols=("x:NEAR", "x:FAR-NEAR"), weights=ONE_LEG, qty=300.0, growth_high=0.05, store=1.0,
        near_ns=10 * DAY_NS, expiry_ns=40 * DAY_NS, cost=0.05, confirm=2, apart_ns=2 * MINUTE_NS,
    )  # fmt: skip
    got = replay_quotes(tapes, [one], spot_ladder(tapes[0]), word="relative value: storage assumed")
    fills = got.run.fills()
    assert [(int(f["leg"]), int(f["side"]), int(f["price"])) for f in fills] == [(1, -1, 119), (1, 1, 21)]
    high = 50.0 * np.expm1(0.05 * 30 / 365) + 30 / 365 * np.exp(0.05 * 30 / 365) + 0.05
    assert 1.19 > high > 0.21 and got.parts.exact and got.run.closes() == 0


# ---------------------------------------------------------------- real strips and the surface
@pytest.mark.parametrize(
    ("root", "period"),
    [("CL", ("2020-02-03", "2020-06-30")), ("BRN", ("2008-11-03", "2009-03-31")), ("NG", ("2009-07-01", "2009-12-31"))],
)
def test_real_spreads_beside_two_legs(data_dir: Path, root: str, period: tuple[str, str]) -> None:
    """-37.63 and the contango of 2009: books and parts exact both ways, the listed spread costs less a trade."""
    panel = history(data_dir, root)
    rules = StripRules(storage=0.1 if root == "NG" else 0.5)
    got = compare_ways(panel, rules=rules, rate=0.01, period=period)
    for run in (got.legs, got.listed):
        assert run.parts.exact and run.run.closes() == 0 and len(run.parts.trades) > 3
        assert run.to_dict()["claim"] is False
    rows = got.rows
    each = {way: row["cost"] / row["trades"] for way, row in rows.items()}
    assert each["legs"] < 1.5 * each["listed"] < 0.0, "costs are below 0"
    told = got.listed.crossings
    assert (
        told is not None
        and told.listed == pytest.approx(-rows["listed"]["cost"], abs=0.01)
        and told.as_legs > told.listed
    )
    assert rows["listed"]["gross"] == pytest.approx(rows["listed"]["total"] - rows["listed"]["cost"])
    assert "two ways" in str(got) and json.loads(json.dumps(got.to_dict(), default=str))["rows"] == rows
    chain, fills = panel.chain, got.listed.run.fills()
    last = {int(f["leg"]): int(f["time_ns"]) // DAY_NS for f in fills}
    for leg, day in last.items():
        name = got.listed.tapes[leg].instrument.symbol.split(":", 1)[1]
        near = next(c for c in chain.contracts if name.endswith(f"-{c.symbol}"))
        assert day <= rules.roll.last_day(near), name


def test_no_boundary_no_listed_relation() -> None:
    """Where nothing bounds the spread nothing is traded, and the report says so."""
    got = run_of(made(contango(), [80, 110], boundary="none"))
    assert len(got.run.commands()) == 0 and any("no boundary" in note for note in got.notes)
    asked = run_of(made(contango(), [80, 110], boundary="none"), rules=msgspec.structs.replace(RULES, spreads=True))
    assert len(asked.run.commands()) == 0 and any("nothing bounds a listed spread" in n for n in asked.notes)


def test_two_sided_spreads_are_bought_when_cheap() -> None:
    """What can be lent has a lower bound: the spread is bought below it; a consumed one never is."""
    cheap = contango(jump=-6.0)
    metal, crude = (run_of(made(cheap, [80, 110], boundary=kind)) for kind in ("two_sided", "upper"))
    assert [int(f["side"]) for f in metal.run.fills()] == [1, -1] and len(crude.run.commands()) == 0


def test_from_the_command_line(data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--set spread=listed`, its tick and half spread, `spread=both` with two journals; what cannot be is refused."""
    folder = data_dir / "futures_curves"
    base = [
        "replay", str(folder / "dflong.parquet"), "--strategy", "term_structure", "--set", "root=CL", "--set",
        f"expiries={folder / 'expiry_table.parquet'}", "--set", "rates=0.01", "--days", "2009-01-05..2009-03-31",
    ]  # fmt: skip

    def said(*settings: str, code: int = 0) -> str:
        words = [*base, *(w for s in settings for w in ("--set", s))]
        with pytest.raises(SystemExit) as done:
            app(words)
        told = capsys.readouterr()
        assert int(done.value.code or 0) == code, told
        return told.out + told.err

    wide = said("spread=listed", "spread_tick=0.005", "spread_half=1/2/3/4/5")
    assert "tick 0.005" in wide and "to place 3: 1, to place 6: 2, to place 12: 3" in wide and "exactly" in wide
    both = said("spread=both", "half=3", "spread_half=1")
    assert "two legs" in both and "exactly, both ways" in both and "to place 3: 3" in both
    out = tmp_path / "both"
    base += ["--out", str(out)]
    assert f"journal in {out / 'listed'}" in " ".join(said("spread=both", "half=3", "spread_half=1").split())
    for way in WAYS:
        run = read_run(out / way)
        assert run.strips is not None and run.strips["units"]["total"] == cause_table(run).total
        assert "Carry, roll, curve and residual" in write_report(out / way).read_text()
    base = base[:-2]
    for setting, says in (
        ("spread=listd", "did you mean 'listed'"), ("spread_half=1/2", "one number or 5"),
        ("half=-1", "one number or 5"), ("spread_half=wide", "one number or 5"), ("spread_tick=0", "above 0"),
        ("spread_tick=0.004", "whole number"),
    ):  # fmt: skip
        given = (setting,) if setting.startswith("spread=") else (setting, "spread=listed")
        assert says in " ".join(said(*given, code=2).split()), setting
    assert "only calendar spreads are listed" in " ".join(said("spread=listed", "kind=butterfly", code=2).split())
