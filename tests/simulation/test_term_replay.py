"""Strips through the whole engine: real histories with their extremes, expiry, holidays, no look-ahead, rerun."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from oneprice.core.errors import ConfigError
from oneprice.core.records import COMMAND, EXPIRY, FILL_ROW
from oneprice.dashboard.html import write_report
from oneprice.market.chains import Roll, day_number, make_chain
from oneprice.market.header import Header
from oneprice.market.rates import Treasury, read_treasury
from oneprice.market.settlement_tapes import DAY_NS
from oneprice.market.settlements import Settlements, read_chain, read_settlements, read_vix, settlements
from oneprice.modes.rerun import rerun
from oneprice.signals.state_space.schwartz_smith import SchwartzSmith
from oneprice.study.report import cause_table, read_run
from oneprice.study.term_crack import crack_note, crack_range
from oneprice.study.term_fit import StripRules, leave_day
from oneprice.study.term_parts import PARTS
from oneprice.study.term_replay import TermRun, replay_term

ABOUT = Header(
    source="made", licence="own", period="made", side="not stated", simultaneity="one a day", survivorship="all",
    tries=1, claim=False, claim_why="simulated",
)  # fmt: skip
STORAGE = {"CL": 0.5, "BRN": 0.5, "NG": 0.1, "VX": 0.0}


@cache
def history(folder: Path, root: str) -> Settlements:
    if root == "VX":
        return read_vix(folder / "vix_futures" / "vx_futures_by_contract.parquet")
    curves = folder / "futures_curves"
    return read_settlements(curves / "dflong.parquet", read_chain(curves / "expiry_table.parquet", root))


@cache
def yields(folder: Path) -> Treasury:
    files = ("epogrebnyak_ust.csv", "deerfield_daily-treasury-rates.csv")
    return read_treasury(*(folder / "us_treasury" / name for name in files))


def sound(got: TermRun) -> None:
    """What every replay of a strip holds: exact books, exact parts, finite numbers, flat in time, no claim."""
    assert got.run.closes() == 0 and got.parts.exact
    assert np.isfinite(list(got.parts.totals().values())).all()
    assert got.to_dict()["claim"] is False and "no P&L is claimed" in str(got)
    flat_in_time(got)


def flat_in_time(got: TermRun) -> None:
    """No lot of any contract is held behind the last day of its roll rule, and nothing ever comes to its expiry."""
    lots: dict[int, int] = {}
    fills = got.run.rows[got.run.rows["kind"] == FILL_ROW]
    last = {}
    for row in fills:
        lots[int(row["leg"])] = lots.get(int(row["leg"]), 0) + int(row["side"]) * int(row["qty"])
        last[int(row["leg"])] = int(row["time_ns"]) // DAY_NS
    chains = {p.root: p for p in {t.instrument.underlying: chain_of(got, t) for t in got.tapes}.values()}
    for i, tape in enumerate(got.tapes):
        chain = chains[tape.instrument.underlying]
        contract = chain.contracts[chain.place(tape.instrument.symbol.split(":", 1)[1])]
        ended = (tape.events["kind"] == EXPIRY).any()
        if ended:
            assert lots.get(i, 0) == 0, f"{contract.symbol} is held at its expiry"
            assert last.get(i, 0) <= got.rules.roll.last_day(contract), contract.symbol


_CHAINS: dict[str, Any] = {}


def chain_of(got: TermRun, tape: Any) -> Any:
    return _CHAINS[tape.instrument.underlying]


def run_of(panel: Settlements, **how: Any) -> TermRun:
    _CHAINS[panel.chain.root] = panel.chain
    return replay_term(panel, **how)


@pytest.mark.parametrize(
    ("root", "kind", "period"),
    [
        ("CL", "calendar", ("2020-02-03", "2020-06-30")),
        ("CL", "butterfly", ("2020-01-06", "2020-05-29")),
        ("BRN", "calendar", ("2008-11-03", "2009-03-31")),
        ("NG", "calendar", ("2009-07-01", "2009-12-31")),
        ("VX", "butterfly", ("2017-11-01", "2018-04-30")),
    ],
)
def test_real_strips_replay_with_exact_books(data_dir: Path, root: str, kind: str, period: tuple[str, str]) -> None:
    """-37.63 of 2020-04-20, the contango of 2009 and 2018-02-05: trades happen, books and parts are exact."""
    rules = StripRules(kind=kind, storage=STORAGE[root], places=12, spreads=root == "VX", quantile=0.9)
    got = run_of(history(data_dir, root), rules=rules, rate=yields(data_dir), period=period)
    assert len(got.parts.trades) > 3
    sound(got)
    assert got.word.startswith("relative value")


def test_the_page_of_a_run_has_its_parts(data_dir: Path, tmp_path: Path) -> None:
    """The file beside the journal sums to the unit; the page shows it, unless it is of another run."""
    period, out = ("2020-02-03", "2020-06-30"), tmp_path / "run"
    got = run_of(history(data_dir, "CL"), rules=StripRules(places=12), rate=yields(data_dir), period=period, out=out)
    found = json.loads((out / "strips.json").read_text())
    assert len(found["trades"]) == len(got.parts.trades) > 3 and found["exact"]
    for trade in found["trades"]:
        assert sum(trade[name] for name in PARTS) == trade["total"]
        assert sum(sum(own.values()) for own in trade["by_leg"].values()) == trade["total"]
    assert sum(t["total"] for t in found["trades"]) == found["units"]["total"] == cause_table(read_run(out)).total
    page = write_report(out).read_text()
    assert "Carry, roll, curve and residual" in page and "more legs</h1>" in page
    assert "The gap" not in page, "a strip has no two legs that belong together"
    traded = len({int(leg) for leg in got.run.rows[got.run.rows["kind"] == FILL_ROW]["leg"]})
    shown, n = min(traded, 8), len(got.tapes)
    assert page.count(f"Drawn: {shown} of {n} legs, ") == 2 and f"{n - traded} never." in page
    for title in ("The prices", "Inventory"):
        assert page.split(f"<h2>{title}</h2>")[1].split("</section>")[0].count("<span>") == shown
    assert got.to_dict()["trade_rows"] == found["trades"]
    found["units"]["total"] += 1
    (out / "strips.json").write_text(json.dumps(found))
    assert "Carry, roll, curve and residual" not in write_report(out).read_text()


def test_a_whole_history(data_dir: Path) -> None:
    """Brent 2007-2025 in one replay: no NaN, no crash, exact, and what had no yields is said."""
    got = run_of(history(data_dir, "BRN"), rules=StripRules(), rate=yields(data_dir), every_days=28)
    sound(got)
    years = got.by_year()
    assert years[2009]["trades"] > 10 and 2012 not in years, "super-contango trades, backwardation does not"
    assert any("no yields were told" in note for note in got.notes)


def test_no_boundary_no_relation(data_dir: Path) -> None:
    """Volatility has no boundary: nothing is traded and the report says so; only when asked is it relative value."""
    panel, period = history(data_dir, "VX"), ("2018-01-02", "2018-03-01")
    got = run_of(panel, rules=StripRules(), rate=0.02, period=period)
    assert len(got.run.commands()) == 0
    assert any("no boundary" in note for note in got.notes) and "no boundary" in got.word


def test_crack_of_three_roots(data_dir: Path) -> None:
    """3:2:1 in barrels, one relation a delivery month, lots 2:1:3; a root that is missing is refused."""
    panels = [history(data_dir, root) for root in ("CL",)]
    folder = data_dir / "futures_curves"
    for root in ("RB", "HO"):
        panels.append(read_settlements(folder / "dflong.parquet", read_chain(folder / "expiry_table.parquet", root)))
    for panel in panels:
        _CHAINS[panel.chain.root] = panel.chain
    rules = StripRules(kind="crack", crack_low=5.0, crack_high=25.0, lots=1, places=4)
    got = replay_term(panels, rules=rules, rate=0.01, period=("2012-01-03", "2012-04-30"))
    sound(got)
    sent = got.run.commands()
    first = sent[sent["time_ns"] == sent["time_ns"][0]]
    by_root = {got.tapes[int(c["leg"])].instrument.underlying: int(c["side"] * c["qty"]) for c in first[:3]}
    assert by_root in ({"RB": -2, "HO": -1, "CL": 3}, {"RB": 2, "HO": 1, "CL": -3})
    with pytest.raises(ConfigError, match="crack: expected settlements of RB, HO, CL"):
        replay_term(panels[:2], rules=rules, rate=0.01, period=("2012-01-03", "2012-02-28"))


# ---------------------------------------------------------------- made strips
def test_a_crack_that_never_left_its_band_says_so(data_dir: Path, tmp_path: Path) -> None:
    """Band 0 to 40: no trade, and text and page tell the lowest and highest settlement, which are in the files."""
    folder, day = data_dir / "futures_curves", "2012-01-03"
    panels = [history(data_dir, "CL")]
    panels += [
        read_settlements(folder / "dflong.parquet", read_chain(folder / "expiry_table.parquet", root))
        for root in ("RB", "HO")
    ]
    rules = StripRules(kind="crack", lots=1, places=4)
    got = replay_term(panels, rules=rules, rate=0.01, period=(day, "2012-02-28"), out=tmp_path)
    assert len(got.run.commands()) == 0
    why = "never left the stated band 0 to 40 a barrel"
    assert why in str(got).splitlines()[len(PARTS) + 4] and why in write_report(tmp_path).read_text()
    assert "lowest seen" in got.notes[0] and "highest" in got.notes[0]
    found = crack_range(panels, rules, (day, "2012-02-28"))
    assert found is not None and 0 < found.low < found.high < 40
    one = dict.fromkeys(("CL", "RB", "HO"), math.nan)
    for panel in panels:
        at = next(i for i, c in enumerate(panel.chain.contracts) if c.delivery_month == found.high_month)
        one[panel.chain.root] = float(panel.price[list(panel.days).index(found.high_day), at])
    assert found.high == pytest.approx((2 * 42 * one["RB"] + 42 * one["HO"]) / 3 - one["CL"])
    narrow = msgspec.structs.replace(rules, crack_low=found.low, crack_high=found.high - 0.01)
    assert "never left" not in crack_note(found, narrow) and "no delivery month" in crack_note(None, rules)
    assert "lowest" in crack_note(found, msgspec.structs.replace(rules, crack_high=found.high))


def made(price: np.ndarray, ends: list[int], root: str = "XX", boundary: str = "upper") -> Settlements:
    """Settlements of columns by contract, days 0, 1, 2...; NaN: none."""
    chain = make_chain(root, ends, boundary=boundary, multiplier=100.0, tick=0.01)
    days, at = np.nonzero(np.isfinite(price))
    keep = days <= chain.last_trade_days[at]
    rows = [(int(d), chain.contracts[a].symbol, price[d, a]) for d, a in zip(days[keep], at[keep], strict=True)]
    return settlements(chain, [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows], header=ABOUT)


def contango(n: int = 60, jump: float = 6.0, at: int = 20) -> np.ndarray:
    """Two contracts at 50 and 50.2; the far one is `jump` too dear from day `at` to day `at` + 10."""
    price = np.column_stack([np.full(n, 50.0), np.full(n, 50.2)])
    price[at : at + 10, 1] += jump
    return price


RULES = StripRules(storage=0.5, lots=2, roll=Roll(days=5), margin_days=5)


def test_what_is_decided_on_a_settlement_fills_at_the_next() -> None:
    """Outside on day 20: the order goes out before day 21 settles and fills there, half a spread off; out on day 31."""
    panel = made(contango(), [80, 110])
    got = run_of(panel, rules=RULES, rate=0.0, every_days=1)
    fills = got.run.fills()
    assert (fills["time_ns"] // DAY_NS).tolist() == [21, 21, 31, 31]
    sold = next(f for f in fills if f["side"] < 0)
    assert int(sold["price"]) == 5620 - 2 and int(sold["leg"]) == 1
    assert [t.units["cost"] < 0 for t in got.parts.trades] == [True]
    sound(got)


def test_a_holiday_on_one_leg_makes_no_spread_of_two_days() -> None:
    """One leg does not settle on the day the other jumps: no order is sent on prices of two days."""
    jumped = np.column_stack([np.full(60, 50.0), np.full(60, 50.2)])
    jumped[20:] += 6.0  # both legs move together: no violation at all
    jumped[20, 0] = np.nan  # the near leg has a holiday on the day of the jump
    got = run_of(made(jumped, [80, 110]), rules=RULES, rate=0.0, every_days=1)
    assert len(got.run.commands()) == 0
    together = made(contango(at=20), [80, 110])
    assert len(run_of(together, rules=RULES, rate=0.0, every_days=1).run.commands()) > 0, "the rule can fail"


def test_nothing_is_held_behind_the_last_day() -> None:
    """Outside until the end: the position is closed by the roll rule's last day, weekends and notice days included."""
    price = contango(n=100, at=20)
    price[20:, 1] = 56.2
    weekend = np.arange(100) % 7 >= 5
    price[weekend] = np.nan
    panel = made(price, [70, 100])
    got = run_of(panel, rules=RULES, rate=0.0, every_days=7)
    fills = got.run.fills()
    last = RULES.roll.last_day(panel.chain.contracts[0])
    assert len(fills) == 4 and fills["time_ns"].max() // DAY_NS <= last
    assert fills["time_ns"][2] // DAY_NS >= leave_day(panel.chain.contracts[0], RULES)
    notice = msgspec.structs.replace(panel.chain.contracts[0], first_notice_day=50)
    early = msgspec.structs.replace(panel.chain, contracts=(notice, panel.chain.contracts[1]))
    got = run_of(msgspec.structs.replace(panel, chain=early), rules=RULES, rate=0.0)
    assert got.run.fills()["time_ns"].max() // DAY_NS < 50, "out before first notice"
    sound(got)


def test_a_relation_keeps_its_place_when_the_one_before_it_ends() -> None:
    """Two pairs: when the first is rolled off, the second is not closed and opened again."""
    n = 120
    price = np.column_stack([np.full(n, 50.0 + 0.2 * k) for k in range(4)])
    price[15:, 3] += 6.0
    got = run_of(made(price, [50, 80, 110, 140]), rules=RULES, rate=0.0, every_days=1)
    assert [t.fills for t in got.parts.trades] == [4], "opened once, closed once at its own end"


def test_later_settlements_do_not_change_earlier_commands() -> None:
    """Another future from day 40 on: all commands decided before are the same bytes."""
    rng = np.random.default_rng(2)
    base = 50.0 + np.cumsum(rng.normal(0, 1.5, (90, 1)), axis=0) + np.array([0.0, 0.4, 0.7, 1.2])
    base += rng.normal(0, 0.9, base.shape)
    other = base.copy()
    other[40:] += rng.normal(0, 5.0, other[40:].shape)
    ends = [60, 90, 120, 150]
    for kind in ("calendar", "butterfly"):
        rules = msgspec.structs.replace(RULES, kind=kind, storage=0.05, quantile=0.7)
        one, two = (run_of(made(np.round(p, 2), ends), rules=rules, rate=0.01, every_days=2) for p in (base, other))
        told = 40 * DAY_NS + 20 * 3600 * 10**9
        a, b = (r.run.commands()[r.run.commands()["time_ns"] < told] for r in (one, two))
        assert len(a) > 2 and a.tobytes() == b.tobytes()
        assert one.run.commands().tobytes() != two.run.commands().tobytes(), "the alteration does matter later"


def test_yields_of_the_same_day_are_not_known() -> None:
    """A rate told for a day is used from the next day on; an altered later yield changes nothing before it."""
    days = np.arange(0, 100, dtype=np.int64)
    par = np.tile([0.01, 0.02], (100, 1))
    early = Treasury(days, np.array([0.25, 1.0]), par.copy(), "made")
    par[50:] = 0.2
    late = Treasury(days, np.array([0.25, 1.0]), par, "made")
    assert early.rate(50, 0.25) == late.rate(50, 0.25) != late.rate(51, 0.25)
    rng = np.random.default_rng(1)
    price = np.round(50.0 + rng.normal(0, 1.0, (80, 2)) + [0.0, 0.6], 2)
    runs = [run_of(made(price, [90, 120]), rules=RULES, rate=r, every_days=1) for r in (early, late)]
    told = 50 * DAY_NS
    a, b = (r.run.commands()[r.run.commands()["time_ns"] < told] for r in runs)
    assert len(a) > 0 and a.tobytes() == b.tobytes()


def test_simulated_then_journalled_then_run_again(tmp_path: Path) -> None:
    """A replay on disk folds again from its journal: each command and the final state the same, models included."""
    rng = np.random.default_rng(4)
    price = np.round(50.0 + np.cumsum(rng.normal(0, 1.0, (80, 1)), axis=0) + rng.normal(0, 0.8, (80, 4)), 2)
    panel = made(price, [60, 90, 120, 150])
    got = run_of(panel, rules=StripRules(storage=0.05, lots=2), rate=0.02, every_days=3, out=tmp_path)
    assert len(got.run.commands()) > 8
    again = rerun(tmp_path, tapes=list(got.tapes))
    assert again.equal, str(again)
    assert again.run.commands().tobytes() == got.run.rows[got.run.rows["kind"] == COMMAND].tobytes()


def test_two_sided_strips_are_bounded_from_below_too() -> None:
    """A metal that can be lent is bought when it is too cheap forward; a consumed one never is."""
    cheap = contango(jump=-6.0)
    metal = run_of(made(cheap, [80, 110], boundary="two_sided"), rules=RULES, rate=0.0, every_days=1)
    crude = run_of(made(cheap, [80, 110], boundary="upper"), rules=RULES, rate=0.0, every_days=1)
    assert len(metal.run.fills()) == 4 and len(crude.run.commands()) == 0
    assert metal.word == "relative value: lease assumed"


def test_day_number_of_the_negative_price(data_dir: Path) -> None:
    """The May contract is left before 2020-04-20: its price of -37.63 is marked on nobody."""
    panel = history(data_dir, "CL")
    at = panel.chain.place("CLK2020")
    assert panel.price[np.searchsorted(panel.days, day_number("2020-04-20")), at] == -37.63
    assert leave_day(panel.chain.contracts[at], StripRules()) < day_number("2020-04-14")


def test_butterflies_off_schwartz_smith(data_dir: Path) -> None:
    """Bands from the filter's residuals at the published WTI parameters; no logs of a day below zero."""
    published = SchwartzSmith(
        kappa=1.49, sigma_chi=0.286, lambda_chi=0.157, mu=0.0, sigma_xi=0.145, mu_star=0.0115, rho=0.3, noise=(0.01,)
    )
    rules = StripRules(kind="butterfly", schwartz_smith=published, quantile=0.9, places=9, window_days=120)
    panel = history(data_dir, "CL")
    got = run_of(panel, rules=rules, rate=0.01, period=("2014-06-02", "2015-03-31"))
    sound(got)
    plain = msgspec.structs.replace(rules, schwartz_smith=None)
    other = run_of(panel, rules=plain, rate=0.01, period=("2014-06-02", "2015-03-31"))
    assert len(got.run.commands()) > 0 and got.run.commands().tobytes() != other.run.commands().tobytes()
    april = run_of(panel, rules=rules, rate=0.01, period=("2020-01-02", "2020-06-30"))
    sound(april)
    assert any("a model of logs" in note for note in april.notes)
