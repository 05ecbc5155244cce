"""Binance captures: snapshot rules, gaps, clocks, exact numbers, and errors that name line and field."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from oneprice.core import records as R
from oneprice.core.errors import ConfigError, DataError
from oneprice.core.instruments import Fees
from oneprice.market.importers import import_files
from oneprice.market.importers.binance import binance_instrument, import_binance, instrument_of_file
from oneprice.market.tape import Tape, read_tape

FEES = Fees(maker_bp=2, taker_bp=5)
T0 = 1_723_161_255_000_000_000
NAME = "usdm_btcusdt_20240808.gz"


def depth(at: int, first: int, last: int, prev: int | None, bids: list, asks: list, **more: object) -> tuple:
    d = {
        "e": "depthUpdate",
        "E": 1000 + at,
        "T": 1000 + at,
        "s": "BTCUSDT",
        "U": first,
        "u": last,
        "b": bids,
        "a": asks,
    }
    if prev is not None:
        d["pu"] = prev
    return at, {"stream": "x", "data": d | more}


def ticker(at: int, u: int, bid: str, ask: str, **more: object) -> tuple:
    d = {"u": u, "s": "BTCUSDT", "b": bid, "B": "1.000", "a": ask, "A": "2.500"}
    return at, {"stream": "x", "data": d | more}


def trade(at: int, ident: int, price: str, qty: str, maker: bool, **more: object) -> tuple:
    d = {
        "e": "trade",
        "E": 1000 + at,
        "T": 1000 + at,
        "s": "BTCUSDT",
        "t": ident,
        "p": price,
        "q": qty,
        "m": maker,
    }
    return at, {"stream": "x", "data": d | more}


def snapshot(at: int, u: int) -> tuple:
    return at, {
        "lastUpdateId": u,
        "E": 1000 + at,
        "T": 1000 + at,
        "bids": [["100.0", "1.0"]],
        "asks": [["100.2", "3"]],
    }


def capture(folder: Path, lines: list, name: str = NAME) -> Path:
    """Lines at T0 plus so many milliseconds."""
    text = "".join(f"{T0 + at * 1_000_000} {json.dumps(m)}\n" for at, m in lines)
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()))
    return path


def read(folder: Path, lines: list, name: str = NAME, **notes: dict[str, int]) -> Tape:
    path = capture(folder, lines, name)
    return import_binance(path, instrument_of_file(path, fees=FEES), **notes)


def bits(tape: Tape, flag: int) -> list[int]:
    return np.flatnonzero(tape.events["flag_bits"] & flag).tolist()


ORDINARY = [
    depth(0, 1, 5, 0, [["99.9", "7"]], []),
    depth(1, 6, 9, 5, [["99.8", "4.5"]], [["100.3", "0"]]),
    ticker(2, 8, "100.0", "100.2", T=1002, E=1002),
    snapshot(3, 7),
    depth(4, 10, 12, 9, [], [["100.2", "1.234"]]),
    trade(5, 77, "100.2", "0.5", False),
    trade(6, 78, "100.0", "0.001", True),
]


def test_diffs_before_the_snapshot_are_held(tmp_path: Path) -> None:
    """A diff older than the snapshot is superseded; a newer one that came before it follows it."""
    notes: dict[str, int] = {}
    tape = read(tmp_path, ORDINARY, notes=notes)
    ev = tape.events
    assert ev["kind"].tolist() == [R.TOP, R.BOOK, R.BOOK, R.BOOK, R.BOOK, R.BOOK, R.TRADE, R.TRADE]
    assert ev["seq"].tolist() == [8, 7, 7, 9, 9, 12, 0, 0]
    assert notes == {"held": 2, "superseded": 1, "applied_after_snapshot": 1, "backward": 1}
    assert ((ev["receive_ns"][1:5] - T0) // 1_000_000).tolist() == [3, 3, 3, 3]  # usable from the snapshot on
    assert (ev["exchange_ns"] // 1_000_000).tolist() == [1002, 1003, 1003, 1001, 1001, 1004, 1005, 1006]
    assert bits(tape, R.SNAPSHOT) == [1, 2] and bits(tape, R.CLEAR) == [1] and bits(tape, R.GAP) == []
    assert bits(tape, R.LAST) == [0, 2, 4, 5, 6, 7] and bits(tape, R.BACKWARD) == [3]


def test_numbers_are_exact_and_sides_are_the_aggressors(tmp_path: Path) -> None:
    """Text becomes ticks and lots without a float; a buyer that made the quote means a seller took it."""
    ev = read(tmp_path, ORDINARY).events
    book = ev[ev["kind"] == R.BOOK]
    assert list(zip(book["side"], book["price"], book["qty"], strict=True)) == [
        (1, 1000, 1000),
        (-1, 1002, 3000),
        (1, 998, 4500),
        (-1, 1003, 0),
        (-1, 1002, 1234),
    ]
    top = ev[0]
    assert (top["bid"], top["bid_qty"], top["ask"], top["ask_qty"]) == (1000, 1000, 1002, 2500)
    trades = ev[ev["kind"] == R.TRADE]
    assert trades["side"].tolist() == [1, -1] and trades["trade_id"].tolist() == [77, 78]
    assert trades["qty"].tolist() == [500, 1]


def test_holes_in_the_numbers_are_marked_once(tmp_path: Path) -> None:
    """pu that is not the u before flags GAP on the next row, an empty diff too; spot goes by U."""
    lines = [snapshot(0, 5), depth(1, 6, 7, 5, [["99.9", "1"]], []), depth(2, 9, 10, 8, [], [])]
    lines += [
        depth(3, 11, 12, 10, [["99.7", "1"], ["99.6", "1"]], []),
        depth(4, 13, 13, 12, [["99.7", "0"]], []),
    ]
    tape = read(tmp_path, lines)
    assert bits(tape, R.GAP) == [3]
    spot = [(at, dict(m)) for at, m in lines]
    for _, m in spot[1:]:
        del m["data"]["pu"]
    notes: dict[str, int] = {}
    tape = read(tmp_path, spot, "spot_btcusdt_20240808.gz", notes=notes)
    assert bits(tape, R.GAP) == [3] and notes["gaps"] == 1


def test_a_snapshot_older_than_the_chain_is_a_gap_and_a_second_one_replays(tmp_path: Path) -> None:
    """Nothing may be missing after a snapshot; a later snapshot gets the newer diffs again."""
    late = [snapshot(0, 5), depth(1, 8, 9, 7, [["99.9", "1"]], [])]
    assert bits(read(tmp_path, late), R.GAP) == [2]
    again = [snapshot(0, 5), depth(1, 6, 7, 5, [["99.9", "1"]], []), depth(2, 8, 9, 7, [["99.8", "2"]], [])]
    tape = read(tmp_path, [*again, snapshot(3, 7)])
    assert tape.events["seq"].tolist() == [5, 5, 7, 9, 7, 7, 9]
    assert bits(tape, R.CLEAR) == [0, 4] and bits(tape, R.GAP) == []


def test_repeats_are_dropped_and_counted(tmp_path: Path) -> None:
    """A diff or trade that comes twice must not count twice; other message types are skipped and counted."""
    twice = [line for line in ORDINARY for _ in range(2 if line[0] in (4, 5) else 1)]
    twice.append((9, {"stream": "x", "data": {"e": "aggTrade", "p": "1"}}))
    twice.append(trade(9, 99, "0", "0", False, X="INSURANCE_FUND"))
    notes: dict[str, int] = {}
    assert read(tmp_path, twice, notes=notes).digest == read(tmp_path, ORDINARY).digest
    assert notes["duplicates"] == 2 and notes["skipped"] == 1 and notes["trades_off_market"] == 1


def test_a_missing_exchange_time_is_estimated_within_its_bounds(tmp_path: Path) -> None:
    """Spot bookTicker has no stamp: it lies between those of the diffs around its number."""
    lines = [
        snapshot(0, 5),
        depth(10, 6, 10, None, [["99.9", "1"]], []),
        ticker(12, 11, "100.0", "100.2"),
        ticker(29, 12, "100.0", "100.3"),
        depth(20 + 10, 11, 20, None, [["99.9", "2"]], []),
        ticker(31, 15, "100.0", "100.3"),
    ]
    tape = read(tmp_path, lines, "spot_btcusdt_20240808.gz")
    ms = (tape.events["exchange_ns"] // 1_000_000).tolist()
    assert bits(tape, R.ESTIMATED) == [3, 4, 6]
    assert ms[3:5] == [1012, 1029]  # receipt plus the lag of the stamped row before
    assert ms[6] == 1030  # the diff of number 20 was sent at 1030: number 15 happened before
    assert bits(tape, R.BACKWARD) == []


def test_estimates_follow_the_update_number(tmp_path: Path) -> None:
    """A slow stamped row in between must not put a newer quote before an older one."""
    slow = trade(13, 1, "100.0", "0.5", True, T=1001)  # 12 ms on its way, the diff before took none
    lines = [
        snapshot(0, 5),
        depth(10, 6, 10, None, [["99.9", "1"]], []),
        ticker(12, 11, "100.0", "100.2"),
        slow,
    ]
    tape = read(tmp_path, [*lines, ticker(14, 12, "100.0", "100.3")], "spot_btcusdt_20240808.gz")
    ms = (tape.events["exchange_ns"] // 1_000_000).tolist()
    assert ms[3:] == [1010, 1001, 1010] and bits(tape, R.ESTIMATED) == [3, 5]


def test_an_inverse_contract_counts_contracts(tmp_path: Path) -> None:
    """On COIN-M a quantity is a number of contracts; a fraction of one is refused."""
    name = "cm_btcusd_perp_20240808.gz"
    ok = [ticker(0, 1, "100.0", "100.1", B="35", A="1645", T=1000)]
    top = read(tmp_path, ok, name).events[0]
    assert (top["bid_qty"], top["ask_qty"]) == (35, 1645)
    with pytest.raises(DataError, match=r"line 1, field B: expected a whole multiple of 1"):
        read(tmp_path, [ticker(0, 1, "100.0", "100.1", B="3.5", T=1000)], name)


def test_an_empty_side_is_no_quote(tmp_path: Path) -> None:
    """Price 0 at size 0 in bookTicker is an absent side, not a price."""
    top = read(tmp_path, [ticker(0, 1, "0.0", "100.1", B="0.000", T=1000)]).events[0]
    assert top["bid"] == R.NO_PRICE and top["bid_qty"] == 0 and top["ask"] == 1001


def test_a_locked_touch_is_marked(tmp_path: Path) -> None:
    """A venue whose own touch is locked or crossed says so on the row."""
    lines = [ticker(0, 1, "100.1", "100.1", T=1000), ticker(1, 2, "100.0", "100.1", T=1001)]
    assert bits(read(tmp_path, lines), R.CROSSED) == [0]


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (
            [ticker(0, 1, "100.03", "100.2")],
            r"line 1, field b: expected a whole multiple of 0.10: the .*tick.* '100.03'",
        ),
        ([*ORDINARY, ticker(7, 9, "100", "100.2", A="0.0005")], r"line 8, field A: .*0.001"),
        ([snapshot(0, 1), depth(1, 2, 2, 1, [], [["NaN", "1"]])], r"line 2, field asks\[0\]\[0\]: .* 'NaN'"),
        (
            [snapshot(0, 1), depth(1, 2, 2, 1, [["1", "1"]], [["2", "inf"]])],
            r"line 2, field asks\[0\]\[1\]: .* 'inf'",
        ),
        (
            [snapshot(0, 1), depth(1, 2, 2, 1, [["-1.0", "1"]], [])],
            r"line 2, field bids\[0\]\[0\]: expected a price above 0",
        ),
        (
            [snapshot(0, 1), depth(1, 2, 2, 1, [["1.0", "-1"]], [])],
            r"field bids\[0\]\[1\]: expected a quantity",
        ),
        (
            [trade(0, 1, "100.0", "0", True)],
            r"line 1, field q: expected a quantity of 0 or more \(a trade: above 0\)",
        ),
        ([trade(0, 1, "1e5", "1", True)], r"field p: expected a plain decimal"),
        ([trade(0, 1, "9" * 30, "1", True)], r"field p: .*62 bits"),
        (
            [trade(5, 1, "1.0", "1", True), trade(4, 2, "1.0", "1", True)],
            r"line 2, field receive_ns: expected at least .* shuffled",
        ),
        ([depth(0, 1, 2, 0, [["1.0", "1"]], [])], "no snapshot line"),
        ([(0, {"stream": "x", "data": {"e": "kline"}})], "no depth, top-of-book or trade"),
        (
            [trade(0, 1, "1.0", "1", True), trade(1, 2, "1.0", "1", True, s="ETHUSDT")],
            "line 2, field s: .*'ETHUSDT'",
        ),
        ([depth(0, 5, 2, 0, [], [])], "line 1, fields U, u, b, a"),
        ([ticker(0, 1, [["1", "1"]], "100.2", e="bookTicker")], "line 1, fields b, a"),  # type: ignore[arg-type]
        ([trade(0, -1, "1.0", "1", True)], "line 1: not a Binance message"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(tmp_path: Path, lines: list, text: str) -> None:
    """Each refusal names the file, the line, the field, what was expected and what came."""
    with pytest.raises(DataError, match=text) as error:
        read(tmp_path, lines)
    assert NAME in str(error.value)


def test_broken_files_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    """Truncated and damaged gzip, malformed lines, an empty and a missing file: no tape appears."""
    good = capture(tmp_path, ORDINARY)
    whole = good.read_bytes()
    bad = tmp_path / "usdm_ethusdt_20240808.gz"
    out = tmp_path / "out"
    for raw, text in (
        (whole[:-20], "truncated"),
        (whole[:30] + b"\x00\xff" + whole[32:], "damaged|truncated|line"),
        (gzip.compress(b'17 {"stream": "x", "data": {"e": "tra'), "line 1: not a Binance message"),
        (gzip.compress(b"hello\n"), "line 1: expected `local_ns json`"),
        (b"", "the file is empty"),
        (gzip.compress(b""), "the file is empty"),
    ):
        bad.write_bytes(raw)
        with pytest.raises(DataError, match=text):
            import_files([good, bad], out, format="binance", fees=FEES)
        assert not out.exists()
    with pytest.raises(DataError, match="no such file"):
        import_files([tmp_path / "spot_btcusdt_1.gz"], out, format="binance", fees=FEES)


def test_import_files_writes_corrected_clocks(tmp_path: Path) -> None:
    """Through the front door: a tape on disk with feed delays above the floor; progress is told."""
    seen: list[tuple[str, int, int]] = []
    paths = import_files(
        [capture(tmp_path, ORDINARY)],
        tmp_path / "out",
        format="binance",
        fees=FEES,
        floor_ns=500_000,
        progress=lambda *a: seen.append(a),
    )
    tape = read_tape(paths[0])
    delay = tape.events["receive_ns"] - tape.events["exchange_ns"] - tape.clock_offset_ns
    assert delay.min() == 500_000 and tape.clock_bound_ns > 0
    assert seen[-1][0] == NAME and seen[-1][1] == seen[-1][2] > 0
    assert tape.instrument.fees == FEES


def test_instruments_of_captures() -> None:
    """Names tell family and symbol; an unknown one lists those that are known."""
    one = instrument_of_file("a/cm_ethusd_perp_20240808.gz", fees=FEES)
    assert (one.symbol, one.contract, one.lot, one.currency) == (
        "binance_cm:ETHUSD_PERP",
        "inverse",
        "10",
        "ETH",
    )
    with pytest.raises(ConfigError, match="usdm:BTCUSDT"):
        binance_instrument("usdm", "DOGEUSDT", fees=FEES)
    with pytest.raises(ConfigError, match="expected a name like"):
        instrument_of_file("capture.gz", fees=FEES)
    with pytest.raises(ConfigError, match="fees are required"):
        import_files(["x.gz"], "out", format="binance")
    with pytest.raises(ConfigError, match="did you mean 'binance'"):
        import_files(["x.gz"], "out", format="binanse")


def test_top_of_book_only_needs_no_snapshot(tmp_path: Path) -> None:
    """With book_log2=0 diffs and snapshots are left out: trades and bookTicker alone make the tape."""
    path = capture(tmp_path, [depth(0, 1, 2, 0, [["1.0", "1"]], []), *ORDINARY[2:3]])
    tape = import_binance(path, instrument_of_file(path, fees=FEES, book_log2=0))
    assert tape.events["kind"].tolist() == [R.TOP]
