"""Quote, trade, bar and FX files: column maps, time zones, exact grids, and refusals with row and column."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from oneprice.core import records as R
from oneprice.core.errors import ConfigError, DataError
from oneprice.core.instruments import Fees, Instrument
from oneprice.market.header import Header
from oneprice.market.importers import import_files, read_files
from oneprice.market.importers.fx import fx_venues, import_fx
from oneprice.market.importers.generic import Layout, import_bars, import_quotes, import_trades
from oneprice.market.parquet import write_parquet
from oneprice.market.tape import read_tape, with_clock

FEES = Fees(maker_bp=0, taker_bp=1)
HEADER = Header("made up", "none", "none", "both", "none", "none", 0, False, "made up")
NOON = 1_704_196_800_000_000_000  # 2024-01-02 12:00 UTC


def instrument(**more: object) -> Instrument:
    fields = {
        "symbol": "v:X-USD",
        "underlying": "X",
        "quote": "USD",
        "tick": "0.05",
        "lot": "0.1",
        "fees": FEES,
    }
    return Instrument(**(fields | more))  # type: ignore[arg-type]


def csv(folder: Path, text: str) -> Path:
    path = folder / "file.csv"
    path.write_text(text)
    return path


def test_quotes_by_a_column_map(tmp_path: Path) -> None:
    """Their names, milliseconds and a missing side; the second of two equal rows is dropped."""
    path = csv(tmp_path, "t,b,bs,a,as_\n1000,10.05,1.5,10.10,2\n1000,10.05,1.5,10.10,2\n1001,10.00,3,,\n")
    notes: dict[str, int] = {}
    columns = {"time": "t", "bid": "b", "bid_qty": "bs", "ask": "a", "ask_qty": "as_"}
    tape = import_quotes(path, instrument(), header=HEADER, layout=Layout(columns, "ms"), notes=notes)
    ev = tape.events
    assert ev["receive_ns"].tolist() == [1_000_000_000, 1_001_000_000] and notes == {"duplicates": 1}
    assert (ev["bid"].tolist(), ev["bid_qty"].tolist()) == ([201, 200], [15, 30])
    assert (ev["ask"].tolist(), ev["ask_qty"].tolist()) == ([202, R.NO_PRICE], [20, 0])
    assert ev["flag_bits"].tolist() == [R.LAST, R.LAST]


@pytest.mark.parametrize(
    ("stamp", "layout"),
    [
        ("1704196800", Layout(time_unit="s")),
        ("1704196800000000", Layout(time_unit="us")),
        ("2024-01-02T12:00:00", Layout()),
        ("2024-01-02 12:00:00.000000000", Layout()),
        ("2024-01-02 07:00:00", Layout(timezone="America/New_York")),
        ("2024-01-02 11:59:00", Layout(bar_ns=60_000_000_000)),
    ],
)
def test_times(tmp_path: Path, stamp: str, layout: Layout) -> None:
    """Integers in a unit, ISO text, a zone, and a bar stamped at its start all mean the same noon."""
    path = csv(tmp_path, f"time,bid,ask\n{stamp},1,2\n")
    one = instrument(assumed_depth_lots=4)
    assert import_quotes(path, one, header=HEADER, layout=layout).events["receive_ns"].tolist() == [NOON]


def test_parquet_times_and_floats(tmp_path: Path) -> None:
    """Datetimes and floats of Parquet land on the grid; a float off it is refused."""
    at = [datetime(2024, 1, 2, 12, tzinfo=UTC) + timedelta(microseconds=i) for i in range(2)]
    frame = pl.DataFrame({"time": at, "bid": [0.1 + 0.2, 0.35], "ask": [0.4, None]})
    path = tmp_path / "q.parquet"
    frame.write_parquet(path)
    ev = import_quotes(path, instrument(assumed_depth_lots=1), header=HEADER).events
    assert ev["receive_ns"].tolist() == [NOON, NOON + 1000]
    assert ev["bid"].tolist() == [6, 7] and ev["ask"].tolist() == [8, R.NO_PRICE]
    frame.with_columns(bid=pl.Series([0.31, 0.35])).write_parquet(path)
    with pytest.raises(DataError, match=r"row 1, column 'bid': expected a whole multiple of 0.05.* 0.31"):
        import_quotes(path, instrument(assumed_depth_lots=1), header=HEADER)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (
            "time,bid,ask\n5,1,2\n4,1,2\n",
            r"row 2, column 'time': expected at least 5 ns .* got 4 ns; rows are shuffled",
        ),
        ("time,bid,ask\n5,NaN,2\n", r"row 1, column 'bid': expected a plain decimal number, got 'NaN'"),
        ("time,bid,ask\n5,1,-2\n", r"row 1, column 'ask': expected a price above 0"),
        (
            "time,bid,ask\n5,1,2.01\n",
            r"row 1, column 'ask': expected a whole multiple of 0.05: the instrument's tick",
        ),
        ("time,bid,ask,bid_qty\n5,1,2,-1\n", r"row 1, column 'bid_qty': expected a size of 0 or more"),
        ("time,bid,ask\n5,1,2\nsoon,1,2\n", r"row \d, column 'time': expected a time"),
        ("time,bid,ask\n5,1,2\n,1,2\n", r"row 2, column 'time': expected a value, the field is empty"),
        ("time,bid,ask\n9999999999999999999,1,2\n", r"row 1, column 'time': expected a time"),
        ("time,bid\n5,1\n", r"no column 'ask' for 'ask'; the file has time, bid: map it"),
        ("time,bid,ask\n", "a heading but no rows"),
        ("", "the file is empty"),
    ],
)
def test_quotes_that_cannot_be(tmp_path: Path, text: str, what: str) -> None:
    """Each refusal says file, row, column, what was expected and what came."""
    path = csv(tmp_path, text)
    with pytest.raises(DataError, match=what) as error:
        import_quotes(path, instrument(assumed_depth_lots=1), header=HEADER)
    assert str(path) in str(error.value)


def test_no_sizes_need_an_assumed_depth(tmp_path: Path) -> None:
    """Without sizes, or with zeros only, the depth must be said; there is no default."""
    for text in ("time,bid,ask\n5,1,2\n", "time,bid,ask,bid_qty,ask_qty\n5,1,2,0,0\n"):
        with pytest.raises(ConfigError, match="assumed_depth_lots on the instrument"):
            import_quotes(csv(tmp_path, text), instrument(), header=HEADER)


def test_misspelt_columns_and_units(tmp_path: Path) -> None:
    """A misspelt name of ours lists the valid ones."""
    path = csv(tmp_path, "time,bid,ask\n5,1,2\n")
    with pytest.raises(ConfigError, match="did you mean 'bid_qty'"):
        import_quotes(path, instrument(), header=HEADER, layout=Layout({"bid_qyt": "bid"}))
    with pytest.raises(ConfigError, match="unknown time unit"):
        import_quotes(path, instrument(), header=HEADER, layout=Layout(time_unit="min"))
    with pytest.raises(DataError, match="no column 'px' for 'bid'"):
        import_quotes(path, instrument(), header=HEADER, layout=Layout({"bid": "px"}))


def test_a_clock_change_is_not_guessed(tmp_path: Path) -> None:
    """An hour that comes twice in a zone is ambiguous: refused, not guessed."""
    path = csv(tmp_path, "time,bid,ask\n2024-11-03 01:30:00,1,2\n")
    with pytest.raises(DataError, match="America/New_York"):
        import_quotes(path, instrument(), header=HEADER, layout=Layout(timezone="America/New_York"))


def test_exchange_time_of_its_own(tmp_path: Path) -> None:
    """With two clocks in the file, exchange time going back is marked, not refused."""
    path = csv(tmp_path, "time,exchange_time,bid,ask\n5,3,1,2\n6,2,1,2\n7,4,2,2\n")
    tape = import_quotes(path, instrument(assumed_depth_lots=1), header=HEADER)
    assert tape.events["exchange_ns"].tolist() == [3, 2, 4]
    assert tape.exchange_order is not None and tape.exchange_order.tolist() == [1, 0, 2]
    assert tape.events["flag_bits"].tolist() == [R.LAST, R.LAST | R.BACKWARD, R.LAST | R.CROSSED]


def test_trades(tmp_path: Path) -> None:
    """Sides in words, a duplicate id dropped, an unknown side 0; negative prices only when said."""
    path = csv(
        tmp_path, "time,price,qty,side,trade_id\n1,10,1,buy,7\n1,10,1,buy,7\n2,9.95,0.3,S,8\n3,10,1,,9\n"
    )
    notes: dict[str, int] = {}
    ev = import_trades(path, instrument(), header=HEADER, notes=notes).events
    assert ev["side"].tolist() == [1, -1, 0] and ev["trade_id"].tolist() == [7, 8, 9]
    assert (
        ev["price"].tolist() == [200, 199, 200]
        and ev["qty"].tolist() == [10, 3, 10]
        and notes == {"duplicates": 1}
    )
    with pytest.raises(DataError, match="row 1, column 'side': expected buy, sell"):
        import_trades(csv(tmp_path, "time,price,qty,side\n1,1,1,up\n"), instrument(), header=HEADER)
    with pytest.raises(DataError, match="row 1, column 'qty': expected a quantity above 0"):
        import_trades(csv(tmp_path, "time,price,qty\n1,1,0\n"), instrument(), header=HEADER)
    oil = csv(tmp_path, "time,price,qty\n1,-37.65,1\n")
    with pytest.raises(DataError, match="a price above 0"):
        import_trades(oil, instrument(), header=HEADER)
    below = import_trades(oil, instrument(), header=HEADER, layout=Layout(allow_negative=True))
    assert below.events["price"].tolist() == [-753]


def test_bars(tmp_path: Path) -> None:
    """A bar is stamped at its end and holds open, high and low as offsets from the close."""
    text = "time,open,high,low,close,volume,count\n0,10,10.5,9.5,10.25,7,3\n60,10.25,10.25,10.25,10.25,0,0\n"
    ev = import_bars(
        csv(tmp_path, text), instrument(), header=HEADER, layout=Layout(time_unit="s", bar_ns=60_000_000_000)
    ).events
    assert ev["receive_ns"].tolist() == [60_000_000_000, 120_000_000_000]
    assert (ev["close"][0], ev["open_off"][0], ev["high_off"][0], ev["low_off"][0]) == (205, -5, 5, -15)
    assert (ev["volume"][0], ev["bar_count"][0]) == (70, 3)
    for row, what in (
        ("0,10,9,9,9,1", "'open': expected at most the bar's high"),
        ("0,9,9,9.5,9,1", "at least the bar's low"),
    ):
        with pytest.raises(DataError, match=what):
            import_bars(
                csv(tmp_path, f"time,open,high,low,close,volume\n{row}\n"), instrument(), header=HEADER
            )
    twice = csv(tmp_path, "time,open,high,low,close,volume\n0,1,1,1,1,1\n0,1,1,1,1,1\n")
    with pytest.raises(DataError, match="row 2, column 'time': expected bars with different end times"):
        import_bars(twice, instrument(), header=HEADER)
    with pytest.raises(ConfigError, match="assumed_depth_lots"):
        import_bars(csv(tmp_path, "time,open,high,low,close\n0,1,1,1,1\n"), instrument(), header=HEADER)


def fx_file(folder: Path, minutes: bool = False) -> Path:
    at = [datetime(2024, 1, 2, 12, 0, s) for s in (0, 1, 0, 2)]
    names = ("bid_close", "ask_close") if minutes else ("bid", "ask")
    frame = {
        "ts_utc": at,
        names[0]: [1.10001, 1.10003, 1.1, 1.1],
        names[1]: [1.10002, 1.10003, 1.10004, 1.10005],
    }
    path = folder / "fx.parquet"
    more = {"venue": ["aa", "aa", "bb", "bb"], "symbol": ["EURUSD"] * 4}
    pl.DataFrame(frame | more).with_columns(pl.col("ts_utc").cast(pl.Datetime("ms"))).write_parquet(path)
    return path


def test_fx_files_give_one_tape_a_venue(tmp_path: Path) -> None:
    """Both venues of a file; a locked book is marked; a minute is its closing quote at its end."""
    path = fx_file(tmp_path)
    assert fx_venues(path) == [("aa", "EURUSD"), ("bb", "EURUSD")]
    out = import_files([path], tmp_path / "out", format="fx", fees=FEES, assumed_depth_lots=10)
    tapes = [read_tape(p) for p in out]
    assert [t.leg for t in tapes] == ["aa:EURUSD", "bb:EURUSD"]
    assert tapes[0].events["bid"].tolist() == [110001, 110003]
    assert tapes[0].events["flag_bits"].tolist() == [R.LAST, R.LAST | R.CROSSED]
    assert tapes[0].instrument.assumed_depth_lots == 10
    later = import_fx(fx_file(tmp_path, minutes=True), "bb", fees=FEES, assumed_depth_lots=10)
    assert np.array_equal(later.events["receive_ns"], tapes[1].events["receive_ns"] + 60_000_000_000)
    with pytest.raises(ConfigError, match="unknown venue 'cc': expected one of aa, bb"):
        import_fx(path, "cc", fees=FEES, assumed_depth_lots=1)
    with pytest.raises(ConfigError, match="assumed_depth_lots"):
        import_fx(path, "aa", fees=FEES, assumed_depth_lots=0)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="not a Parquet file"):
        import_fx(path, "aa", fees=FEES, assumed_depth_lots=1)


def test_an_archived_tape_comes_back_as_it_was(tmp_path: Path) -> None:
    """A Parquet archive goes through the front door with its own instrument, header and clock."""
    one = instrument(assumed_depth_lots=1)
    tape = read_files([csv(tmp_path, "time,bid,ask\n5,1,2\n")], format="quotes", instrument=one)[0]
    kept = write_parquet(with_clock(tape, offset_ns=-4, bound_ns=2), tmp_path / "kept.parquet")
    back = read_tape(import_files([kept], tmp_path / "out", format="parquet")[0])
    assert (back.digest, back.instrument, back.header) == (tape.digest, one, tape.header)
    assert (back.clock_offset_ns, back.clock_bound_ns) == (-4, 2)


def test_the_front_door_asks_for_what_is_missing(tmp_path: Path) -> None:
    """Without an instrument, without files, or with two files of one leg and day nothing is written."""
    path = csv(tmp_path, "time,bid,ask\n5,1,2\n")
    with pytest.raises(ConfigError, match="say the instrument"):
        read_files([path], format="quotes")
    with pytest.raises(ConfigError, match="fees are required"):
        read_files([path], format="fx")
    with pytest.raises(ConfigError, match="at least one file"):
        read_files([], format="quotes")
    one = instrument(assumed_depth_lots=1)
    with pytest.raises(ConfigError, match="same leg and day"):
        import_files([path, path], tmp_path / "out", format="quotes", instrument=one)
    assert not (tmp_path / "out").exists()
    notes: dict[str, dict[str, int]] = {}
    tape = read_files([path], format="quotes", instrument=one, notes=notes)[0]
    assert tape.header.side == "both" and not tape.header.claim and notes == {str(path): {}}


def test_quotes_of_two_columns_show_both_sides(tmp_path: Path) -> None:
    """A bid column and an ask column: both sides, so that a gap may be judged; one column twice: not stated."""
    path = tmp_path / "q.csv"
    path.write_text("time,bid,ask,close\n1700000000000000000,100.0,100.1,100.0\n")
    fees = Fees(maker_bp=0, taker_bp=1)
    facts = dict(symbol="a:B", underlying="B", quote="USD", tick="0.1", lot="1", assumed_depth_lots=1)
    one = Instrument(fees=fees, **facts)
    for columns, side in (({}, "both"), ({"bid": "close", "ask": "close"}, "not stated")):
        words = dict(format="quotes", instrument=one, columns=columns)
        (tape,) = read_files([path], **words)
        assert tape.header.side == side and not tape.header.claim
