"""The price panel: what is read, what is refused, what is listed."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oneprice as op
from oneprice.core.errors import ConfigError, DataError
from oneprice.market.prices import Prices, load, panel
from oneprice.market.prices_checks import duplicated_series

T = 60


def walks(n: int = 4, steps: int = T, seed: int = 0) -> np.ndarray:
    return 50 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, (steps, n)), axis=0))


def days(steps: int = T) -> list[dt.date]:
    return [dt.date(2020, 1, 1) + dt.timedelta(i) for i in range(steps)]


def wide(close: np.ndarray | None = None) -> pl.DataFrame:
    close = walks() if close is None else close
    return pl.DataFrame({"date": days(len(close)), **{f"A{i}": close[:, i] for i in range(close.shape[1])}})


def long(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.unpivot(index="date", variable_name="ticker", value_name="close").drop_nulls()


def reasons(p: Prices) -> dict[str, str]:
    return {e.symbol: e.reason for e in p.excluded}


def test_every_way_in_gives_the_same_panel(tmp_path: Path) -> None:
    """Wide and long, CSV and Parquet, polars, pandas-like, mapping and array: equal names, times and prices."""
    frame = wide()
    frame.write_csv(tmp_path / "a.csv")
    frame.write_parquet(tmp_path / "a.parquet")
    long(frame).write_csv(tmp_path / "long.csv")
    close = walks()

    class Pandas:
        columns = ("A0", "A1", "A2", "A3")
        index = np.array(days(), "datetime64[D]")

        def to_numpy(self) -> np.ndarray:
            return close

        def __len__(self) -> int:
            return len(close)

    named = {f"A{i}": close[:, i] for i in range(4)}
    ways: list[Prices] = [
        op.load(frame), load(tmp_path / "a.csv"), load(str(tmp_path / "a.parquet")), load(tmp_path / "long.csv"),
        load(long(frame)), load(Pandas()), load(named, time=[str(d) for d in days()]),
        load(close, time=np.array(days(), "datetime64[D]"), symbols=list(named)),
    ]  # fmt: skip
    for p in ways:
        assert p.symbols == ("A0", "A1", "A2", "A3") and p.step_ns == 86_400_000_000_000
        np.testing.assert_array_equal(p.close, ways[0].close)
        np.testing.assert_array_equal(p.time_ns, ways[0].time_ns)
        assert p.digest() == ways[0].digest() and not p.excluded and not p.flagged
    assert ways[0].header.period == "2020-01-01..2020-02-29"
    assert ways[1].header.source == "a.csv" and not ways[1].header.claim


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ([20200101 + i for i in range(28)], "2020-01-28"),
        ([1_577_836_800 + 60 * i for i in range(28)], "2020-01-01T00:27:00"),
        ([1_577_836_800_000 + 60_000 * i for i in range(28)], "2020-01-01T00:27:00"),
        ([f"2020-01-01 00:{i:02d}:00" for i in range(28)], "2020-01-01T00:27:00"),
        ([f"2020-01-01T00:{i:02d}:00Z" for i in range(28)], "2020-01-01T00:27:00"),
        ([f"2020-01-01T02:{i:02d}:00+02:00" for i in range(28)], "2020-01-01T00:27:00"),
        ([f"1/{i + 1}/2020" for i in range(28)], "2020-01-28"),
        ([f"{i + 1:02d}.01.2020" for i in range(28)], "2020-01-28"),
    ],
)
def test_times_are_recognised(column: list[Any], text: str) -> None:
    """yyyymmdd, epoch seconds and milliseconds, ISO text."""
    frame = pl.DataFrame({"timestamp": column, **{f"A{i}": walks()[:28, i] for i in range(2)}})
    assert load(frame).header.period.endswith(".." + text)


def test_dates_that_can_be_read_in_two_ways_are_not_guessed() -> None:
    """Firsts of months fit month first and day first: the caller says which; a wrong format names the row."""
    firsts = [f"{m:02d}/01/{y}" for y in (2019, 2020) for m in range(1, 13)]
    frame = pl.DataFrame({"Date": firsts, "A": walks()[:24, 0], "B": walks()[:24, 1]})
    with pytest.raises(DataError, match="fit both month first and day first; say which"):
        load(frame)
    assert load(frame, time_format="%m/%d/%Y").header.period == "2019-01-01..2020-12-01"
    assert load(frame, time_format="%d/%m/%Y").header.period == "2019-01-01..2020-01-12"
    with pytest.raises(DataError, match="row 0: '01/01/2019' does not fit the format %Y-%m-%d"):
        load(frame, time_format="%Y-%m-%d")


def test_time_that_goes_back_or_comes_twice_is_an_error() -> None:
    """The row is named; sort=True puts a table in order, but cannot keep two prices of one time."""
    frame = wide()
    with pytest.raises(DataError, match=r"row 1: time goes back from 2020-02-29 to 2020-02-28; sort the rows"):
        load(frame.reverse())
    np.testing.assert_array_equal(load(frame.reverse(), sort=True).close, load(frame).close)
    twice = pl.concat([frame[:10], frame[9:]])
    with pytest.raises(DataError, match=r"row 10: time 2020-01-10 comes twice"):
        load(twice)
    with pytest.raises(DataError, match=r"row 15: A0 has two prices at 2020-01-15"):
        load(pl.concat([long(frame)[:15], long(frame)[14:]]))


def test_bad_cells_are_named() -> None:
    """Text, infinity, a missing time: the error has the row and the column."""
    frame = wide()
    text = frame.with_columns(pl.col("A1").cast(pl.String))
    text[7, "A1"] = "n.a."
    with pytest.raises(DataError, match=r"row 7: column 'A1': expected a price, got 'n.a.'"):
        load(text)
    frame[5, "A2"] = np.inf
    with pytest.raises(DataError, match=r"A2 is infinite at 2020-01-06 \(row 5\)"):
        load(frame)
    frame[3, "date"] = None
    with pytest.raises(DataError, match=r"row 3: column 'date' has no time"):
        load(frame)
    with pytest.raises(DataError, match="no time column among"):
        load(wide().rename({"date": "when_it_was"}).with_columns(pl.col("when_it_was").cast(pl.String)))
    with pytest.raises(DataError, match="expected ISO times, got 'one'"):
        load(wide().with_columns(date=pl.lit("one")))


def test_what_cannot_be_tested_is_listed() -> None:
    """Constant, empty, gappy, identical and proportional series are excluded with the reason; the rest stays."""
    frame = wide().with_columns(
        C=pl.lit(7.0),
        D=pl.col("A1"),
        E=pl.col("A2") * -2.5,
        F=pl.lit(None, pl.Float64),
        G=pl.when(pl.col("date") > dt.date(2020, 1, 20)).then(pl.col("A3") + 1),
        H=pl.col("A0") * 1.001 + 0.01,
    )
    p = load(frame)
    assert p.symbols == ("A0", "A1", "A2", "A3", "H")
    assert reasons(p) == {
        "C": "constant at 7",
        "D": "identical to A1",
        "E": "exactly -2.5 times A2",
        "F": "no price at all",
        "G": "33.3 % of prices missing, more than 5 %",
    }
    assert len(p) == T


def test_unequal_calendars() -> None:
    """Intersection drops the times one series lacks and says so; as_of carries forward, not too far; union keeps."""
    close = walks()
    close[10, 0] = close[30, 1] = np.nan
    close[40:42, 2] = np.nan
    frame = wide(close)
    cut = load(frame)
    assert len(cut) == T - 4 and np.isfinite(cut.close).all()
    assert cut.notes[0].startswith(f"intersection: 4 of {T} times left out, at which not every series has a price")
    assert cut.notes[0].endswith("(first 2020-01-11)")
    carried = load(frame, align="as_of", max_age_steps=1)
    assert len(carried) == T - 1 and carried.close[10, 0] == close[9, 0]
    assert carried.notes[0] == "as_of: 3 missing prices carried from at most 1 rows before"
    kept = load(long(frame), align="union")
    assert len(kept) == T and int(np.isnan(kept.close).sum()) == 4
    with pytest.raises(DataError, match=r"A0 has no price at 2020-01-11 \(row 10\), one of 4 gaps"):
        kept.columns()


def test_suspected_splits_are_flagged() -> None:
    """A halving while the panel stands still is listed with time and ratio; a crash of all series is not."""
    close = walks(6)
    close[25:, 2] /= 2
    close[40:] *= 0.5
    flagged = load(wide(close)).flagged
    assert [(f.symbol, f.kind) for f in flagged] == [("A2", "split")]
    assert "2020-01-26 (row 25)" in flagged[0].text and flagged[0].text.startswith("ratio 0.49")


def test_stale_and_negative_prices_are_flagged() -> None:
    """A series that mostly stands still; a price that is not above zero: usable in level only."""
    close = walks()
    close[:, 1] = np.repeat(close[::4, 1], 4)
    close[33, 3] = -37.63
    p = load(wide(close))
    assert {(f.symbol, f.kind) for f in p.flagged} == {("A1", "stale"), ("A3", "non-positive")}
    with pytest.raises(DataError, match=r"got -37.63 of A3 at 2020-02-03 \(row 33\); use space='level'"):
        p.columns("log")
    assert p.columns("level").shape == (4, T)
    np.testing.assert_allclose(p.select(["A2", "A0"]).columns(), np.log(close[:, [2, 0]]).T)


def test_too_little_is_an_error() -> None:
    """Fewer than two series or twenty times, with what was excluded in the text."""
    with pytest.raises(DataError, match="expected at least 2 series, 1 left; excluded: A1: identical to A0"):
        load(wide(np.repeat(walks(1), 2, axis=1)))
    with pytest.raises(DataError, match="expected at least 20 times, 19 of 19 left"):
        load(wide(walks(steps=19)))
    with pytest.raises(DataError, match="no such file"):
        load("nowhere.parquet")
    with pytest.raises(DataError, match=r"expected one of \.csv"):
        load(Path(__file__))


def test_wrong_settings_are_named() -> None:
    """Misspelt alignment, header field, series, space, side."""
    with pytest.raises(ConfigError, match="did you mean 'as_of'"):
        load(wide(), align="asof")
    with pytest.raises(ConfigError, match="unknown header field 'sauce'"):
        load(wide(), header={"sauce": "x"})
    with pytest.raises(ConfigError, match="unknown column 'B'"):
        load(wide(), symbols=["A0", "B"])
    with pytest.raises(ConfigError, match="unknown space"):
        load(wide()).columns("ratio")
    with pytest.raises(ConfigError, match="header side"):
        load(wide(), header={"side": "buy"})
    with pytest.raises(DataError, match="comes twice; give each series"):
        load(walks(2), symbols=["A", "A"])


def test_parts_of_a_panel() -> None:
    """Rows by number and by date are views with a period of their own; nothing outside is reached."""
    p = load(wide())
    part = p.between("2020-01-10", "2020-01-20")
    assert len(part) == 10 and part.header.period == "2020-01-10..2020-01-19"
    assert np.shares_memory(part.close, p.close)
    with pytest.raises(ConfigError, match="no row in"):
        p.between("2021-01-01", "2021-02-01")
    with pytest.raises(ConfigError, match="0 <= start"):
        p.rows(5, 5)
    assert "can P&L be claimed?: no" in str(p)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.integers(2, 12), st.data())
def test_twins_are_found_wherever_they_stand(seed: int, n: int, data: st.DataObject) -> None:
    """An exact multiple anywhere in the panel is excluded in favour of the earlier series; no other series is."""
    close = walks(n, 40, seed)
    a, b = sorted(data.draw(st.lists(st.integers(0, n - 1), min_size=2, max_size=2, unique=True)))
    close[:, b] = close[:, a] * data.draw(st.sampled_from([1.0, 3.0, 0.1, -2.0]))
    found = duplicated_series([f"s{i}" for i in range(n)], close)
    assert [e.symbol for e in found] == [f"s{b}"] and f"s{a}" in found[0].reason


def test_a_panel_of_an_array() -> None:
    """Simulated prices: daily from 1970, no claim."""
    p = panel(walks(3), source="a test")
    assert p.symbols == ("s0", "s1", "s2") and p.header.source == "a test" and not p.header.claim


def test_a_csv_column_without_a_value_is_listed_and_an_empty_table_refused(tmp_path: Path) -> None:
    """CSV gives such a column no type: it is excluded by name, and a header without rows is no panel."""
    empty = wide().with_columns(A1=pl.lit(None, pl.Float64))
    empty.write_csv(tmp_path / "a.csv")
    found = load(tmp_path / "a.csv")
    assert found.symbols == ("A0", "A2", "A3") and "A1" in reasons(found)
    wide()[:0].write_csv(tmp_path / "none.csv")
    with pytest.raises(DataError, match="a table without rows"):
        load(tmp_path / "none.csv")


def test_two_csv_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    """The second is not taken under a name nobody gave."""
    wide().write_csv(tmp_path / "a.csv")
    text = (tmp_path / "a.csv").read_text().replace("A1", "A0", 1)
    (tmp_path / "twice.csv").write_text(text)
    with pytest.raises(DataError, match="column 'A0' comes twice"):
        load(tmp_path / "twice.csv")
