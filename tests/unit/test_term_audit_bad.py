"""Hostile files of the audit: each is refused with file, row and field, or what was left out is listed and counted."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from oneprice.cli.main import app
from oneprice.core.errors import ConfigError, DataError
from oneprice.market.chains import make_chain
from oneprice.market.header import Header
from oneprice.market.settlements import read_vix, settlements
from oneprice.study.term_audit import CarryTerms, audit_strip
from oneprice.study.term_audit_other import audit_perpetuals
from oneprice.study.term_audit_sources import quotes_of, settled, within

ABOUT = Header("made", "none", "none", "mid", "made", "none", 1, False, "made by hand")
START = dt.datetime(2013, 10, 7)


def quotes(path: Path, n: int = 4, **other: Any) -> Path:
    """Three contracts of gold over `n` minutes, with columns replaced."""
    rows = [
        {"ts_utc": START + dt.timedelta(minutes=m), "contract": c, "bid_close": 1300.0 + k, "ask_close": 1300.2 + k,
         "bid_size": 5.0, "ask_size": 5.0}
        for m in range(n) for k, c in enumerate(("GC201312", "GC201402", "GC201404"))
    ]  # fmt: skip
    pl.DataFrame(rows).with_columns(**other).write_parquet(path)
    return path


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"bid_close": pl.lit(float("nan"))}, "no quote can be used: 12 quotes without a side"),
        ({"bid_close": pl.lit(None, dtype=pl.Float64)}, "no quote can be used: 12 quotes without a side"),
        ({"ask_close": pl.lit(float("inf"))}, "no quote can be used"),
        ({"bid_close": pl.lit(0.0), "ask_close": pl.lit(0.0)}, "12 quotes at a price of 0"),
        ({"bid_close": pl.lit("1300")}, "column bid_close: expected numbers, got String"),
        ({"ts_utc": pl.lit("2013")}, "column ts_utc: expected times, got String"),
        ({"contract": pl.lit("GC201312")}, "GC201312 is there twice at 2013-10-07 00:00:00"),
        ({"contract": pl.lit(None, dtype=pl.String)}, "12 quotes without ts_utc, contract"),
        ({"contract": pl.col("contract").str.replace("2013|2014", "2011")}, "12 quotes after the last trade"),
        ({"contract": pl.col("contract").str.replace("12$|02$|04$", "13"), "ts_utc": pl.datetime_range(
            START, START + dt.timedelta(minutes=11), "1m", eager=True)}, "YYYYMM"),
    ],
)  # fmt: skip
def test_quotes_that_cannot_be_used_are_refused(tmp_path: Path, other: dict[str, Any], says: str) -> None:
    """NaN, null, infinite and zero prices, other types, doubles, contracts without a name, expired or of no month."""
    with pytest.raises(DataError, match=says):
        quotes_of(quotes(tmp_path / "q.parquet", **other))


def test_quotes_left_out_are_listed(tmp_path: Path) -> None:
    """Zeros, names that lack, other roots, expired contracts and contracts behind the first places, each counted."""
    row = pl.int_range(pl.len())
    path = quotes(
        tmp_path / "q.parquet", n=20,
        contract=pl.when(row == 4).then(None).when(row == 7).then(pl.lit("SI201312"))
        .when(row == 9).then(pl.lit("GC201209")).otherwise(pl.col("contract")),
        bid_close=pl.when(row == 12).then(0.0).otherwise(pl.col("bid_close")),
    )  # fmt: skip
    panel = quotes_of(path, root="GC", places=2)
    said = " | ".join(panel.excluded)
    for part in (
        "1 quotes without ts_utc, contract", "1 quotes at a price of 0", "1 quotes of other roots (SI)",
        "1 quotes after the last trade (first: GC201209)", "1 contracts behind the first 2",
    ):  # fmt: skip
        assert part in said
    assert panel.names == ("GC201312", "GC201402")
    with pytest.raises(ConfigError, match="did you mean 'GC'"):
        quotes_of(path, root="GCC")
    with pytest.raises(ConfigError, match="places: expected 2"):
        quotes_of(path, root="GC", places=1)
    pl.read_parquet(path).head(0).write_parquet(path)
    with pytest.raises(DataError, match="expected a row a minute"):
        quotes_of(path)


def test_perpetuals_that_cannot_be_compared(tmp_path: Path) -> None:
    """Prices below 0 are left out; minutes that never meet and an empty file are refused by name."""
    names = ("A-PERP", "A-SPOT")
    rows = [
        {"ts_utc": START + dt.timedelta(minutes=m), "venue": "v", "instrument": n, "bid_close": 10.0, "ask_close": 10.1,
         "bid_size": 1.0, "ask_size": 1.0}
        for m in range(5) for n in names
    ]  # fmt: skip
    path = tmp_path / "p.parquet"
    pl.DataFrame(rows).write_parquet(path)
    assert len(audit_perpetuals(path).panel) == 5
    thin, wide = (
        audit_perpetuals(path, CarryTerms(rate=0.0, margin=m, margin_rate=m and 0.2)).out[1, 0, 0] for m in (0.0, 0.5)
    )
    assert wide > thin, "margin widens the band of a perpetual as well"
    apart = [r for i, r in enumerate(rows) if (i // 2) % 2 == i % 2]
    pl.DataFrame(apart).write_parquet(path)
    with pytest.raises(DataError, match="no minute has quotes of a perpetual and of its spot: v A-PERP"):
        audit_perpetuals(path)
    pl.DataFrame(rows).with_columns(bid_close=-pl.col("bid_close")).write_parquet(path)
    with pytest.raises(DataError, match="10 quotes at a price of 0 or below"):
        audit_perpetuals(path)


def test_a_holiday_on_one_leg_is_listed() -> None:
    """A contract whose neighbour has no price that day is held against no bound, and the notes count it."""
    chain = make_chain("CL", ["2020-02-28", "2020-03-31", "2020-04-30", "2020-05-29"], boundary="upper")
    names = [c.symbol for c in chain.contracts]
    days = ["2020-01-30"] * 4 + ["2020-01-31"] * 4
    table = settlements(chain, days, names * 2, [50, 51, 52, 53, 50, np.nan, 52, 53], header=ABOUT)
    found = audit_strip(settled(table, places=4), CarryTerms(rate=0.03))
    assert np.isnan(found.out[2, 1, 2]) and np.isfinite(found.out[2, 1, 3])
    assert any(n.startswith("1 prices are held against no bound") and names[2] in n for n in found.notes)
    assert any("1 rows: no price" in n for n in found.notes)


def test_rows_of_some_days() -> None:
    """A stretch of days is the same audit of fewer rows; a stretch without rows says what there is."""
    chain = make_chain("CL", ["2020-02-28", "2020-03-31", "2020-04-30"], boundary="upper")
    names = [c.symbol for c in chain.contracts]
    days = [f"2020-01-{d:02d}" for d in (27, 28, 29, 30) for _ in range(3)]
    panel = settled(settlements(chain, days, names * 4, [50.0 + i % 3 for i in range(12)], header=ABOUT), places=3)
    part = within(panel, "2020-01-28", "2020-01-29")
    assert len(part) == 2 and np.array_equal(part.price, panel.price[:, 1:3])
    assert part.header.period.startswith("2020-01-28..2020-01-29 of ")
    assert within(panel) is panel
    with pytest.raises(DataError, match=r"no row from 1999-01-01 to 1999-02-01: the panel has 2020-01-27\.\."):
        within(panel, "1999-01-01", "1999-02-01")


def told(words: list[str]) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, words)
    return done.exit_code, done.stdout, done.stderr


def vix(path: Path) -> Path:
    """Two contracts over three days."""
    rows = [(dt.date(2020, 1, d), dt.date(2020, m, 22), 15.0, 15.0 + m) for d in (6, 7, 8) for m in (1, 2)]
    pl.DataFrame(rows, schema=["date", "expiry", "close", "settle"], orient="row").write_parquet(path)
    return path


def test_vix_needs_no_rate_and_has_a_page(tmp_path: Path) -> None:
    """No boundary exists, so none is asked for what carrying costs; the page is made, with its folder."""
    file, page = str(vix(tmp_path / "v.parquet")), tmp_path / "new" / "v.html"
    code, out, _ = told(["audit", file, "--family", "term", "--root", "VX", "--page", str(page)])
    assert code == 0 and page.is_file() and "made the folder" in out
    assert "No boundary: what cannot be stored" in out and "not needed" in out
    for more, says in (
        (["--dividends", "2020-01-07=1"], "no boundary exists"),
        (["--boundary", "upper"], "cannot be stored or lent"),
        (["--days", "2020-02-01..2020-01-01"], "write --days 2020-01-01..2020-02-01"),
        (["--days", "soon"], "expected a day or first..last"),
        (["--page", str(tmp_path)], "got the folder"),
        (["--page", f"{file}/p.html"], "is a file"),
        (["--margin", "0.1"], "together"),
    ):
        code, _, err = told(["audit", file, "--family", "term", *more])
        assert code == 2 and says in err
    code, _, err = told(["audit", "synthetic:7", "--root", "CL"])
    assert code == 2 and "--root is of term structures" in err
    pl.read_parquet(file).head(0).write_parquet(file)
    with pytest.raises(DataError, match="got none"):
        read_vix(file)


def test_dividends_on_the_command_line(tmp_path: Path) -> None:
    """A strip of an index with a dividend between its expiries: below its band without the file, inside with it."""
    ends = [dt.datetime(2020, m, 20) for m in (3, 4, 5, 6, 7)]
    pl.DataFrame(
        {"tick.prefix": ["ES"] * 5, "Last.Trade": ends, "First.Notice": ends, "Year": [2020.0] * 5,
         "Month": [3.0, 4.0, 5.0, 6.0, 7.0]}
    ).write_parquet(tmp_path / "expiry_table.parquet")  # fmt: skip
    days = [dt.date(2020, 3, d) for d in (2, 3, 4, 5, 6)]
    rows = [(d, f"ES0{k}", 100.0 - (1.0 if k > 1 else 0.0)) for d in days for k in (1, 2, 3)]
    file = tmp_path / "s.parquet"
    pl.DataFrame(rows, schema=["date", "series", "value"], orient="row").write_parquet(file)
    paid = tmp_path / "paid.csv"
    paid.write_text("date,amount,series\n2020-04-01,1.0,ES\n2020-04-01,9.0,NQ\n")
    words = ["audit", str(file), "--family", "term", "--root", "ES", "--rate", "0.0", "--spreads-bp", "0,0"]
    words += ["--boundary", "two_sided", "--json", "--day", "2020-03-04"]
    without, given = (json.loads(told([*words, *more])[1]) for more in ([], ["--dividends", str(paid)]))
    assert without["day"][1]["outside"] == pytest.approx(-0.98) and without["day"][1]["side"] == -1
    assert given["day"][1]["outside"] == 0.0 and not given["episodes"]
    low = next(r for r in given["day_parts"] if r["bound"] == "low")
    assert low["dividend"] == pytest.approx(-1.0) and low["bound_at"] == pytest.approx(98.98)
    assert "1 of single dates" in given["inputs"]["dividends"] and "other series" in " ".join(given["notes"])
    code, _, err = told([*words, "--dividends", str(tmp_path / "no.csv")])
    assert code == 2 and "no such file" in err
