"""Bad input of term structure is refused by name, or left out and listed; rates and relations say what they lack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from oneprice.cli.main import app
from oneprice.core.errors import ConfigError, DataError
from oneprice.core.instruments import Fees
from oneprice.market.chains import Roll, make_chain
from oneprice.market.header import Header
from oneprice.market.rates import Treasury, read_treasury, zeros_of
from oneprice.market.settlements import settlements
from oneprice.signals.curve.rates import par_rate
from oneprice.signals.parity.relations import Relation, pack_relations
from oneprice.study.term_cli import read_relations, replay_settings, write_relations
from oneprice.study.term_curve import day_curves
from oneprice.study.term_fit import StripRules, carry_relation, perpetual_relation
from oneprice.study.term_replay import replay_term

ABOUT = Header(
    source="made", licence="own", period="made", side="not stated", simultaneity="one a day", survivorship="all",
    tries=1, claim=False, claim_why="simulated",
)  # fmt: skip


# ---------------------------------------------------------------- chains and settlements
def test_contracts_expired_doubled_or_unsorted() -> None:
    """A chain sorts what is given, refuses doubles; settlements behind the last trade and zeros are listed."""
    chain = make_chain("XX", [40, 10], boundary="upper")
    assert [c.last_trade_day for c in chain.contracts] == [10, 40]
    with pytest.raises(DataError, match="duplicate of"):
        make_chain("XX", [10, 10], boundary="upper")
    got = settlements(
        chain, [5, 5, 12, 6], ["XX1970-01-11", "XX1970-02-10", "XX1970-01-11", "XX1970-02-10"], [1.0, 2.0, 3.0, 0.0],
        header=ABOUT,
    )  # fmt: skip
    assert [e.reason.split(":")[1].strip().split(" (")[0] for e in got.excluded] == [
        "after the last trade", "price 0, taken as missing",
    ]  # fmt: skip
    with pytest.raises(DataError, match="twice on"):
        settlements(chain, [5, 5], ["XX1970-02-10"] * 2, [1.0, 2.0], header=ABOUT)


def test_a_period_without_contracts_is_refused() -> None:
    """Dates outside the file say which were asked for."""
    chain = make_chain("XX", [40, 70], boundary="upper")
    panel = settlements(chain, [5], ["XX1970-02-10"], [2.0], header=ABOUT)
    with pytest.raises(DataError, match="none from 1999-01-01"):
        replay_term(panel, rules=StripRules(), rate=0.0, period=("1999-01-01", "1999-02-01"))
    with pytest.raises(ConfigError, match="every_days"):
        replay_term(panel, rules=StripRules(), rate=0.0, every_days=0)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"kind": "diagonal"}, "butterfly, calendar, crack"),
        ({"storage": -1.0}, "storage of 0 or more"),
        ({"quantile": 1.0}, "quantile between"),
        ({"lots": 0}, "lots above 0"),
        ({"crack_low": 2.0, "crack_high": 1.0}, "crack_low <= crack_high"),
    ],
)
def test_rules_that_cannot_be(how: dict[str, Any], says: str) -> None:
    """Each refusal names the field and what was expected."""
    with pytest.raises(ConfigError, match=says):
        StripRules(**how)
    with pytest.raises(ConfigError, match="1 day or more"):
        Roll(days=0)


def test_curves_refuse_what_has_no_shape() -> None:
    """Infinite prices, shapes apart and a decay of 0 are refused; times below 0 (expired) are left out of a curve."""
    days, price, years = np.arange(2), np.full((2, 5), 50.0), np.tile(np.arange(5) / 4.0, (2, 1))
    with pytest.raises(DataError, match="one shape"):
        day_curves(days, price[:, :4], years)
    with pytest.raises(ConfigError, match="decay_years above 0"):
        day_curves(days, price, years, decay_years=0.0)
    bad = price.copy()
    bad[1, 2] = np.inf
    with pytest.raises(DataError, match="row 1, column 2"):
        day_curves(days, bad, years)
    shifted = years.copy()
    shifted[:, :2] = -0.1
    assert np.isnan(day_curves(days, price, shifted).betas).all(), "three prices are no curve"


# ---------------------------------------------------------------- relations
def test_relations_that_cannot_be_traded() -> None:
    """Negative time to expiry, one leg twice, funding too weak, unknown terms: refused by name."""
    with pytest.raises(ConfigError, match="expiry after"):
        Relation(kind="carry", symbols=("a", "b"), qty=1.0, near_ns=10, expiry_ns=5)
    with pytest.raises(ConfigError, match="different symbols"):
        Relation(kind="carry", symbols=("a", "a"), qty=1.0, expiry_ns=5)
    with pytest.raises(ConfigError, match="one leg, one relation"):
        one = Relation(kind="carry", symbols=("a", "b"), qty=1.0, expiry_ns=5)
        pack_relations([one, Relation(kind="carry", symbols=("b", "c"), qty=1.0, expiry_ns=5)], ("a", "b", "c"), 1)
    with pytest.raises(ConfigError, match="cannot hold a price"):
        perpetual_relation("a", "b", funding_a_year=1.0, rates=(0.0, 0.1), qty=1.0, cost_share=0.1, hold_years=0.01)
    with pytest.raises(ConfigError, match="borrow_fee"):
        carry_relation("a", "b", expiry_ns=5, rates=(0.0, 0.1), qty=1.0, cost=0.0, terms={"borow_fee": 0.1})


# ---------------------------------------------------------------- rates
def test_zero_is_missing_and_files_join(data_dir: Path) -> None:
    """Zeros of the Treasury file are no yields; two files join; per cent and shares are told apart."""
    folder = data_dir / "us_treasury"
    one = read_treasury(folder / "epogrebnyak_ust.csv")
    both = read_treasury(folder / "epogrebnyak_ust.csv", folder / "deerfield_daily-treasury-rates.csv")
    shares = read_treasury(folder / "zipline_treasury_curves.csv")
    assert not (one.par == 0).any() and np.isnan(one.par[0, 0]), "the one-month bill began in 2001"
    assert len(one.days) == 8055 and both.days[-1] > one.days[-1] and np.isfinite(both.rate("2025-07-01", 0.25))
    assert shares.rate("2009-01-15", 1.0) == pytest.approx(one.rate("2009-01-15", 1.0), abs=1e-12)
    with pytest.raises(DataError, match="rates for 2020-01-02"):
        shares.rate("2020-01-02", 1.0)
    assert not shares.covers("2020-01-02")


def test_par_yields_come_back_from_the_curve() -> None:
    """Bootstrapped zeros price the par bonds they came from, and the bills by their own formula."""
    tenors, par = np.array([0.25, 0.5, 1.0, 2.0, 5.0, 10.0]), np.array([0.01, 0.012, 0.015, 0.02, 0.03, 0.035])
    years, r = zeros_of(tenors, par)

    class At:
        def discount(self, t: float) -> float:
            return float(np.exp(-np.interp(t, np.r_[0.0, years], np.r_[0.0, r * years]))) if t else 1.0

    for t, y in zip(tenors[2:], par[2:], strict=True):
        assert par_rate(At(), float(t), "semiannual") == pytest.approx(y, abs=1e-12)
    assert np.exp(-r[0] * 0.25) == pytest.approx(1.0 / (1.0 + 0.01 * 0.25), abs=1e-15)
    for bad in (np.array([0.5, 0.25]), np.array([0.0, 0.5])):
        with pytest.raises(DataError, match="rising tenors"):
            zeros_of(bad, np.array([0.01, 0.01]))


def test_forward_rates_and_staleness() -> None:
    """Forward from two rates; a rate of more than ten days ago is none; years below 0 are refused."""
    made = Treasury(np.array([100], np.int64), np.array([0.5, 1.0]), np.array([[0.02, 0.03]]), "made")
    start, end = made.rate(101, 0.5), made.rate(101, 1.0)
    assert made.forward(101, 0.5, 1.0) == pytest.approx(2.0 * end - start, abs=1e-12)
    for bad in (100, 112):
        with pytest.raises(DataError, match="expected yields"):
            made.rate(bad, 1.0)
    with pytest.raises(ConfigError, match="years of 0 or more"):
        made.rate(101, -1.0)


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "no such file"), ("a,b\n1,2\n", "expected a date and tenors"), ("date,1 Mo\n2020-01-02,0\n", "other than 0"),
     ("date,1 Mo\n2020-01-02,1\n2020-01-02,1\n", "twice")],
)  # fmt: skip
def test_yield_files_that_cannot_be_read(tmp_path: Path, text: str, says: str) -> None:
    """A missing file, one without tenors, one of zeros, a day twice."""
    path = tmp_path / "rates.csv"
    if text:
        path.write_text(text)
    with pytest.raises(DataError, match=says):
        read_treasury(path)


# ---------------------------------------------------------------- the verb
def test_the_verb_says_what_is_missing(data_dir: Path, tmp_path: Path) -> None:
    """Root, expiries and rates have to be stated; a misspelt name lists the right ones; relations go through a file."""
    file = data_dir / "futures_curves" / "dflong.parquet"
    table = str(data_dir / "futures_curves" / "expiry_table.parquet")
    for options, says in (
        ({}, "state the root"), ({"root": "CL"}, "table of expiries"), ({"root": "CL", "expiries": table}, "costs"),
        ({"rooot": "CL"}, "did you mean 'root'"), ({"root": "CL", "expiries": table, "rates": 0.01, "lots": 0}, "lots"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=says):
            replay_settings(file, options)
    one = Relation(kind="carry", symbols=("a", "b"), qty=1.0, expiry_ns=5, cost=0.25)
    assert read_relations(write_relations([one], tmp_path / "r.json")) == [one]
    (tmp_path / "bad.json").write_text("[1]")
    with pytest.raises(DataError, match="not a list of relations"):
        read_relations(tmp_path / "bad.json")


def test_data_that_are_not_there_are_said_to_be_missing(tmp_path: Path) -> None:
    """A folder or file that does not exist is not asked for its root; a model goes with tapes, not with a file."""
    file, gone = tmp_path / "strip.parquet", str(tmp_path / "gone")
    file.write_bytes(b"")
    one = Relation(kind="carry", symbols=("a", "b"), qty=1.0, expiry_ns=5, cost=0.25)
    model = write_relations([one], tmp_path / "r")
    for data, words, says in (
        (gone, ["--model", str(model)], "no such folder of tapes"), (gone, [], "no such file of settlements"),
        (str(file), ["--model", str(model)], "expected a folder of tapes"), (str(file), [], "state the root"),
    ):  # fmt: skip
        done = CliRunner().invoke(app, ["replay", data, "--strategy", "term_structure", *words])
        assert done.exit_code == 2 and says in " ".join(done.stderr.split()), done.stderr


def test_replay_of_a_strip_from_the_command_line(data_dir: Path) -> None:
    """`oneprice replay FILE --strategy term_structure` prints parts that sum exactly and claims nothing."""
    from typer.testing import CliRunner

    folder = data_dir / "futures_curves"
    words = [
        "replay", str(folder / "dflong.parquet"), "--strategy", "term_structure", "--days", "2008-12-01..2009-03-31",
        "--set", "root=CL", "--set", f"expiries={folder / 'expiry_table.parquet'}", "--set", "storage=0.5",
        "--set", f"rates={data_dir / 'us_treasury' / 'epogrebnyak_ust.csv'}", "--fees", "0,0.5",
    ]  # fmt: skip
    got = CliRunner().invoke(app, words)
    assert got.exit_code == 0, got.output
    assert "parts sum to the ledger exactly" in got.output and "no P&L is claimed" in got.output
    assert "relative value: storage assumed" in got.output
    missing = CliRunner().invoke(app, words[:4])
    assert missing.exit_code == 2


def test_fees_are_in_the_band() -> None:
    """The same strip with dearer fees has wider bands: nothing is opened that would not pay them."""
    rng = np.random.default_rng(0)
    chain = make_chain("XX", [90, 120], boundary="upper", multiplier=100.0, tick=0.01)
    price = np.round(50.0 + rng.normal(0, 0.6, (60, 2)) + [0.0, 0.5], 2)
    rows = [(d, c.symbol, price[d, k]) for d in range(60) for k, c in enumerate(chain.contracts)]
    panel = settlements(chain, [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows], header=ABOUT)
    n = [
        len(replay_term(panel, rules=StripRules(lots=1), rate=0.0, fees=f, every_days=1).run.commands())
        for f in (Fees(maker_bp=0, taker_bp=0), Fees(maker_bp=0, taker_bp=100))
    ]
    assert n[0] > 0 == n[1]


def test_relations_of_a_file_on_tapes(tmp_path: Path) -> None:
    """`--strategy term_structure --model relations.json` on tapes: two venues of one coin as spot and perpetual."""
    from typer.testing import CliRunner

    from oneprice.market.synthetic import two_venues

    symbols = tuple(t.instrument.symbol for t in two_venues(7).tapes)
    one = Relation(
        kind="perpetual", symbols=symbols, qty=0.01, growth_low=0.9998, growth_high=1.0002, confirm=1
    )  # fmt: skip
    file = write_relations([one], tmp_path / "relations.json")
    words = ["replay", "synthetic:7", "--strategy", "term_structure", "--fees", "0,0"]
    got = CliRunner().invoke(app, [*words, "--model", str(file), "--json"])
    assert got.exit_code == 0, got.output
    told = json.loads(got.output)
    assert told["strategies"] == ["term_structure"] and told["fills"] > 0 and told["closes_exactly"]
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 2
