"""Files of a term structure that are not what they should be are refused by name, never half read."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.market.chains import make_chain
from oneprice.market.rates import read_treasury
from oneprice.market.settlement_tapes import HalfSpread
from oneprice.market.settlements import read_chain, read_settlements, read_vix
from oneprice.study.fit_curve import read_given
from oneprice.study.term_audit_sources import strip_of
from oneprice.study.term_cli import replay_settings
from oneprice.study.term_fit import Costs, StripEstimator, StripRules
from oneprice.study.term_replay import FEES

DAY = dt.date(2020, 1, 2)


def expiries(path: Path, last: list[dt.date | None]) -> Path:
    """A table of expiries of CL."""
    pl.DataFrame(
        {
            "tick.prefix": ["CL"] * len(last), "Last.Trade": last, "First.Notice": last,
            "Year": [2020.0] * len(last), "Month": [float(m) for m in range(2, 2 + len(last))],
        },
        schema_overrides={"Last.Trade": pl.Datetime("ms"), "First.Notice": pl.Datetime("ms")},
    ).write_parquet(path)  # fmt: skip
    return path


def strip(path: Path, **other: list[object]) -> Path:
    """Three places of one day, with columns replaced."""
    columns = {"date": [DAY] * 3, "series": ["CL01", "CL02", "CL03"], "value": [50.0, 51.0, 52.0]} | other
    pl.DataFrame(columns).write_parquet(path)
    return path


ENDS: list[dt.date | None] = [dt.date(2020, 1, 21), dt.date(2020, 2, 20), dt.date(2020, 3, 20)]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"value": ["50", "51", "52"]}, "column value: expected numbers"),
        ({"date": ["2020-01-02"] * 3}, "column date: expected dates"),
        ({"date": [DAY, None, DAY]}, "column date: 1 rows without a value"),
        ({"series": ["CL00", "CL01", "CL02"]}, "expected places from CL01"),
    ],
)
def test_a_column_that_is_no_settlement_is_refused(tmp_path: Path, other: dict[str, list[object]], said: str) -> None:
    """Prices and dates as text, a row without a date and a place before the front are named."""
    chain = read_chain(expiries(tmp_path / "e.parquet", ENDS), "CL")
    with pytest.raises(DataError, match=said):
        read_settlements(strip(tmp_path / "s.parquet", **other), chain)


def test_a_series_without_a_name_is_of_another_root(tmp_path: Path) -> None:
    """The rest of the file is read."""
    chain = read_chain(expiries(tmp_path / "e.parquet", ENDS), "CL")
    told = read_settlements(strip(tmp_path / "s.parquet", series=["CL01", None, "CL03"]), chain)
    assert told.price[0, [0, 2]].tolist() == [50.0, 52.0]
    assert [e.reason for e in told.excluded] == ["1 rows of the file: no series name, of which root is not known"]


def test_a_table_of_expiries_without_a_day_is_refused(tmp_path: Path) -> None:
    """An expiry that is not there, a file that is not there, a file of another kind."""
    with pytest.raises(DataError, match=r"column Last\.Trade: 1 rows without a value"):
        read_chain(expiries(tmp_path / "e.parquet", [*ENDS, None]), "CL")
    with pytest.raises(DataError, match="no such file"):
        read_chain(tmp_path / "none.parquet", "CL")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(DataError, match="expected Parquet"):
        read_chain(tmp_path / "text.parquet", "CL")
    with pytest.raises(DataError, match="expected columns expiry, close, settle"):
        read_vix(strip(tmp_path / "s.parquet"))


def test_a_file_that_the_expiries_do_not_reach_is_refused(tmp_path: Path) -> None:
    """A table that ends before the prices, and a file without places, say so."""
    table = expiries(tmp_path / "e.parquet", [dt.date(2019, 1, 22)])
    with pytest.raises(DataError, match="ends on 2019-01-22"):
        read_settlements(strip(tmp_path / "s.parquet"), read_chain(table, "CL"))
    with pytest.raises(DataError, match="got none"):
        strip_of(strip(tmp_path / "t.parquet", series=[None, None, "CL"]), table, "CL")


def monthly(path: Path, months: list[int]) -> Path:
    """Expiries on the 20th of months counted from January 2020."""
    last = [dt.datetime(2020 + m // 12, m % 12 + 1, 20) for m in months]
    pl.DataFrame(
        {"tick.prefix": ["CL"] * len(last), "Last.Trade": last, "First.Notice": last,
         "Year": [float(d.year) for d in last], "Month": [float(d.month) for d in last]},
        schema_overrides={"Last.Trade": pl.Datetime("ms"), "First.Notice": pl.Datetime("ms")},
    ).write_parquet(path)  # fmt: skip
    return path


def test_prices_whose_contract_the_expiries_cannot_tell_are_listed(tmp_path: Path) -> None:
    """Before the table begins and across a hole a place names no contract; in the month before an expiry it does."""
    days = [dt.date(2020, 1, 2), dt.date(2020, 6, 10), dt.date(2020, 9, 10), dt.date(2020, 10, 10)]
    prices = strip(
        tmp_path / "s.parquet", date=[d for d in days for _ in range(3)], series=["CL01", "CL02", "CL03"] * 4,
        value=[50.0 + i for i in range(12)],
    )  # fmt: skip
    hole = read_chain(monthly(tmp_path / "e.parquet", [0, 1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13]), "CL")
    got = read_settlements(prices, hole)
    seen = {(str(dt.date(1970, 1, 1) + dt.timedelta(int(got.days[t]))), hole.contracts[k].symbol): got.price[t, k]
            for t, k in zip(*(got.price > 0).nonzero(), strict=True)}  # fmt: skip
    assert seen == {
        ("2020-01-02", "CLF2020"): 50.0, ("2020-01-02", "CLG2020"): 51.0, ("2020-01-02", "CLH2020"): 52.0,
        ("2020-06-10", "CLM2020"): 53.0, ("2020-06-10", "CLN2020"): 54.0,  # the third place lies behind the hole
        ("2020-10-10", "CLV2020"): 59.0, ("2020-10-10", "CLX2020"): 60.0, ("2020-10-10", "CLZ2020"): 61.0,
    }  # fmt: skip
    assert got.excluded[0].reason.startswith("4 rows (2020-06-10..2020-09-10): the table of expiries lacks contracts")
    late = read_chain(monthly(tmp_path / "l.parquet", list(range(12, 30))), "CL")
    with pytest.raises(DataError, match="begins with CLF2021"):
        read_settlements(prices, late)


def test_a_root_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    """Expiries and prices name their roots, and the nearest."""
    table = expiries(tmp_path / "e.parquet", ENDS)
    with pytest.raises(DataError, match="no contract of CLL: the file has CL; did you mean 'CL'"):
        read_chain(table, "CLL")
    prices = strip(tmp_path / "s.parquet", series=["HO01", "HO02", "HO03"])
    with pytest.raises(DataError, match="no series of CL: the file has HO"):
        read_settlements(prices, read_chain(table, "CL"))


@pytest.mark.parametrize(
    ("name", "told", "says"),
    [("storage", "abc", "expected a number, got 'abc'; write --set storage=0.5"), ("lots", "x", "a whole number"),
     ("places", 1, "expected places of 2 or more")],
)  # fmt: skip
def test_a_rule_of_another_type_says_what_it_takes(tmp_path: Path, name: str, told: object, says: str) -> None:
    """Name, type, an example and what came."""
    with pytest.raises(ConfigError, match=says):
        replay_settings(tmp_path / "none.parquet", {"root": "CL", name: told})


@pytest.mark.parametrize(("text", "said"), [("", "the file is empty"), ("tenor,rate\n", "the header alone")])
def test_a_file_of_quotes_without_quotes_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Nothing to fit is said, not met as an index error."""
    path = tmp_path / "q.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        read_given(path)


@pytest.mark.parametrize(
    ("name", "told"), [("roll_days", "x"), ("every_days", 0), ("capital", -1.0), ("roll_days", 2.5)]
)
def test_a_setting_that_is_no_number_is_refused(tmp_path: Path, name: str, told: object) -> None:
    """The name and what came are said before any file is read."""
    with pytest.raises(ConfigError, match=f"setting {name}"):
        replay_settings(tmp_path / "none.parquet", {"root": "CL", name: told})


@pytest.mark.parametrize("name", ["y.csv", "y.parquet"])
def test_an_empty_file_of_yields_is_refused(tmp_path: Path, name: str) -> None:
    """The reader's own error names the file."""
    (tmp_path / name).write_text("")
    with pytest.raises(DataError, match=name):
        read_treasury(tmp_path / name)


@pytest.mark.parametrize("kind", ["calendar", "butterfly"])
def test_a_root_without_boundary_says_why_nothing_is_traded(kind: str) -> None:
    """No relation is made of it, and the notes tell so whichever kind was asked for; asked for, there is no note."""
    chain = make_chain("VX", ["2020-01-22", "2020-02-19", "2020-03-18"])
    legs, names = [(chain, i) for i in range(3)], ["a", "b", "c"]
    costs = Costs(HalfSpread(), FEES)
    quiet = StripEstimator(legs, names, StripRules(kind=kind), 0.01, costs)
    assert any("VX has no boundary" in note for note in quiet.notes)
    assert not StripEstimator(legs, names, StripRules(kind=kind, spreads=True), 0.01, costs).notes


def test_bills_that_may_be_per_cent_or_shares_are_refused(tmp_path: Path) -> None:
    """0.07 of a month's bill is 7 % or 7 bp: nothing in the file tells, so it is not guessed."""
    path = tmp_path / "bills.csv"
    path.write_text("date,1 Mo,3 Mo\n2014-01-02,0.07,0.13\n")
    with pytest.raises(DataError, match="may be per cent or shares"):
        read_treasury(path)
    path.write_text("date,1 Mo,10 Yr\n2014-01-02,0.07,3.0\n")
    assert read_treasury(path).rate(16_073, 1 / 12) < 0.002
