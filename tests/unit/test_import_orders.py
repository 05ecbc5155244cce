"""Files of single orders to tapes: Bitstamp logs and CSV, LOBSTER pairs, Databento market-by-order records."""

from __future__ import annotations

import gzip
import io
import lzma
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.instruments import Fees, Instrument
from oneprice.core.records import (
    BOOK,
    CLEAR,
    CLOSED_SESSION,
    ESTIMATED,
    GAP,
    LAST,
    OPEN,
    PAUSED,
    SNAPSHOT,
    STATUS,
    TRADE,
)
from oneprice.market.importers import read_files
from oneprice.market.importers.bitstamp import bitstamp_instrument, import_bitstamp
from oneprice.market.importers.lobster import import_lobster, lobster_instrument
from oneprice.market.importers.mbo import MBO, import_mbo, mbo_messages, read_dbn
from oneprice.market.tape import read_tape, write_tape

T0 = 1_430_438_404_000
FREE = Fees(maker_bp=0, taker_bp=0)


def order(ms: int, what: str, ident: int, price: str, amount: str, side: int) -> str:
    body = f'{{"price": "{price}", "amount": "{amount}", "datetime": "1", "id": {ident}, "order_type": {side}}}'
    return f"{T0 + ms} order_{what} {body}"


def trade(ms: int, price: str, amount: str, ident: int) -> str:
    return f'{T0 + ms} trade {{"price": {price}, "amount": {amount}, "id": {ident}}}'


LOG = [
    order(0, "deleted", 5, "236.00", "0.00000000", 0),  # older than the log, filled
    trade(8, "236.00", "0.5", 900),
    order(10, "created", 11, "236.50", "2.00000000", 1),
    order(20, "created", 12, "236.40", "1.00000000", 1),
    order(30, "created", 13, "236.10", "3.00000000", 0),
    order(40, "created", 14, "236.45", "1.50000000", 0),  # takes order 12 and stays with the rest
    order(150, "deleted", 12, "236.40", "0.00000000", 1),
    order(151, "changed", 14, "236.45", "0.50000000", 0),
    trade(160, "236.40", "1.0", 901),
    order(200, "created", 15, "236.45", "0.20000000", 1),  # takes from order 14, told after the trade
    order(310, "deleted", 15, "236.45", "0.00000000", 1),
    trade(318, "236.44999999999999", "0.20000000000000001", 902),
    order(325, "changed", 14, "236.45", "0.30000000", 0),
    order(400, "deleted", 13, "236.10", "3.00000000", 0),
    f'{T0 + 410} order_book {{"bids": [["236.45", "0.3"]], "asks": []}}',
    trade(500, "236.47", "0.7", 903),  # nobody's loss
]


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_bitstamp_log_rule_by_rule(tmp_path: Path) -> None:
    """Takers wait outside, makers are named with their trade, each level follows, what nobody lost has maker 0."""
    notes: dict[str, int] = {}
    tape = import_bitstamp(write(tmp_path / "a.log", LOG), bitstamp_instrument(FREE), warmup_s=0, notes=notes)
    ev = tape.events
    rows = [
        (int(r["receive_ns"]) // 1_000_000 - T0, int(r["kind"]), int(r["side"]), int(r["price"]), int(r["qty"]))
        for r in ev
    ]
    one = 100_000_000
    assert rows == [
        (0, TRADE, -1, 23600, one // 2),
        (10, BOOK, -1, 23650, 2 * one),
        (20, BOOK, -1, 23640, one),
        (30, BOOK, 1, 23610, 3 * one),
        (150, TRADE, 1, 23640, one),
        (150, BOOK, -1, 23640, 0),
        (150, BOOK, 1, 23645, 3 * one // 2),
        (151, BOOK, 1, 23645, one // 2),
        (325, TRADE, -1, 23645, one // 5),
        (325, BOOK, 1, 23645, 3 * one // 10),
        (400, BOOK, 1, 23610, 0),
        (500, TRADE, 0, 23647, 7 * one // 10),
    ]
    trades = ev[ev["kind"] == TRADE]
    assert trades["trade_id"].tolist() == [900, 901, 902, 903] and trades["maker_id"].tolist() == [5, 12, 14, 0]
    assert notes["trades"] == 4 and notes["trades_matched"] == 2 and notes["maker_before_the_log"] == 1
    assert notes["nobody_seen"] == 1 and notes["held"] == 2 and notes["trades_without_maker_first_line"] == 1
    assert (ev["flag_bits"] & ESTIMATED != 0).all() and tape.header.depth == "orders"
    back = read_tape(write_tape(tmp_path / "tapes", tape))
    assert back.digest == tape.digest and back.header == tape.header


def test_bitstamp_warm_up_and_packing(tmp_path: Path) -> None:
    """What is dropped at the start comes back as a snapshot of the orders known; gzip and xz read the same."""
    path = write(tmp_path / "a.log", LOG)
    tape = import_bitstamp(path, bitstamp_instrument(FREE), warmup_s=0.1)
    ev = tape.events
    assert (ev["flag_bits"][:3] & SNAPSHOT != 0).all() and ev["flag_bits"][0] & CLEAR and ev["flag_bits"][2] & LAST
    assert ev["order_id"][:3].tolist() == [11, 12, 13] and ev["receive_ns"][0] == (T0 + 100) * 1_000_000
    assert int(ev["kind"][3]) == TRADE
    for name, pack in (("b.log.gz", gzip.compress), ("b.log.xz", lzma.compress)):
        (tmp_path / name).write_bytes(pack(path.read_bytes()))
        assert import_bitstamp(tmp_path / name, bitstamp_instrument(FREE), warmup_s=0.1).digest == tape.digest
    (tmp_path / "cut.log.xz").write_bytes(lzma.compress(path.read_bytes())[:-40])
    with pytest.raises(DataError, match="cut"):
        import_bitstamp(tmp_path / "cut.log.xz", bitstamp_instrument(FREE))
    with pytest.raises(DataError, match=r"no row is left after the first 9 s; lower warmup_s"):
        import_bitstamp(path, bitstamp_instrument(FREE), warmup_s=9)


def test_bitstamp_book_that_is_empty_when_the_warm_up_ends(tmp_path: Path) -> None:
    """All orders had left by then: the tape begins without a snapshot; where nothing follows the file is refused."""
    gone = [order(10, "created", 21, "236.50", "2.0", 1), order(50, "deleted", 21, "236.50", "2.0", 1)]
    later = [order(200, "created", 22, "236.60", "1.0", 1), order(250, "created", 23, "236.10", "1.0", 0)]
    path = write(tmp_path / "a.log", gone + later)
    ev = import_bitstamp(path, bitstamp_instrument(FREE), warmup_s=0.1).events
    assert ev["order_id"].tolist() == [22, 23] and not (ev["flag_bits"] & SNAPSHOT).any()
    path = write(tmp_path / "b.log", gone)
    with pytest.raises(DataError, match=r"no row is left after the first 9 s; lower warmup_s"):
        import_bitstamp(path, bitstamp_instrument(FREE), warmup_s=9)


HEAD = "id,timestamp,exchange.timestamp,price,volume,action,direction"


@pytest.mark.parametrize("decimals", [True, False])
def test_bitstamp_csv_is_the_log_without_trades(tmp_path: Path, decimals: bool) -> None:
    """Volumes are coins, or units of 1e-8 where no volume has a point; losses of resting orders are trades."""
    rows = [
        (11, 10, 2.0, "236.50", "created", "ask"),
        (13, 30, 3.0, "236.10", "created", "bid"),
        (14, 40, 1.5, "236.50", "created", "bid"),
        (11, 150, 0.5, "236.50", "changed", "ask"),
        (14, 151, 0.0, "236.50", "deleted", "bid"),
    ]
    text = [HEAD]
    for ident, ms, volume, price, what, side in rows:
        size = f"{volume:.8f}" if decimals else f"{round(volume * 1e8)}"
        text.append(f"{ident},{T0 + ms},{T0 + ms - 3},{price},{size},{what},{side}")
    path = write(tmp_path / "orders.csv", text)
    ev = import_bitstamp(path, bitstamp_instrument(FREE), warmup_s=0).events
    assert [int(k) for k in ev["kind"]] == [BOOK, BOOK, TRADE, BOOK]
    assert int(ev["maker_id"][2]) == 11 and int(ev["qty"][2]) == 150_000_000 and int(ev["side"][2]) == 1
    assert (ev["receive_ns"] - ev["exchange_ns"] == 3_000_000).all() and not (ev["flag_bits"] & ESTIMATED).any()


def test_crossed_snapshot_loses_its_older_side(tmp_path: Path) -> None:
    """A file that begins with a crossed book: the younger order waits, then the older side is dropped, and counted."""
    rows = [
        (21, 0, "5.0", "101.00", "created", "ask"),
        (23, 0, "7.0", "103.00", "created", "ask"),
        (22, 0, "2.0", "102.00", "created", "bid"),
        (30, 500, "1.0", "99.00", "created", "bid"),
        (31, 1_200, "1.0", "98.00", "created", "bid"),
    ]
    text = [HEAD, *(f"{i},{T0 + ms},{T0 + ms},{price},{size},{what},{side}" for i, ms, size, price, what, side in rows)]
    notes: dict[str, int] = {}
    ev = import_bitstamp(write(tmp_path / "a.csv", text), bitstamp_instrument(FREE), notes=notes).events
    assert [(int(r["price"]), int(r["qty"]) // 100_000_000, int(r["order_id"])) for r in ev] == [
        (10100, 5, 21),
        (10300, 7, 23),
        (9900, 1, 30),
        (9800, 1, 31),
        (10100, 0, 21),
        (10200, 2, 22),
    ]
    assert notes == {"held": 1, "held_first_line": 4, "ghosts": 1, "ghosts_first_line": 6}
    assert (ev["flag_bits"][:2] & SNAPSHOT != 0).all() and ev["flag_bits"][1] & LAST and ev["flag_bits"][0] & CLEAR


@pytest.mark.parametrize(
    ("name", "lines", "text"),
    [
        ("a.log", ["x order_created {}"], r"a\.log, line 1: expected `local_ms kind json`"),
        ("a.log", [LOG[2], LOG[0]], r"line 2.*receive_ns"),
        ("a.log", [f"{T0} order_created {{}}"], r"line 1: not a Bitstamp message"),
        ("a.log", [f"{T0} surprise {{}}"], r"line 1: expected"),
        ("a.log", [order(0, "created", 0, "1.00", "1.0", 0)], r"line 1: not a Bitstamp message"),
        ("a.log", [order(0, "created", 1, "1.001", "1.0", 0)], r"line 1, field price.*whole multiple"),
        ("a.log", [LOG[14]], "no order event"),
        ("a.csv", ["id,price", "1,2"], r"expected rows with the columns id, timestamp.*missing timestamp"),
        ("a.csv", [HEAD, "1,2,3,4,5,eaten,bid"], r"line 2, field action: expected created or changed or deleted"),
        ("a.csv", [HEAD, "1,2,3,,5,created,bid"], "line 2, field price: expected a value, the field is empty"),
        ("a.csv", [HEAD, "1,x,3,4,5,created,bid"], r"line 2, field timestamp.*plain decimal"),
        ("a.csv", [HEAD], "missing rows"),
    ],
)
def test_bitstamp_refusals(tmp_path: Path, name: str, lines: list[str], text: str) -> None:
    """What does not parse is refused with file, line and field."""
    with pytest.raises(DataError, match=text):
        import_bitstamp(write(tmp_path / name, lines), bitstamp_instrument(FREE))


# ---------------------------------------------------------------- LOBSTER
MESSAGES = [
    "34200.1,1,16,50,2239900,1",  # joins at a new best bid
    "34200.2,2,16,20,2239900,1",  # shrinks
    "34200.3,4,7,30,2240500,-1",  # an order from before the file is hit
    "34200.3,4,8,10,2240500,-1",  # the same taker
    "34200.4,5,0,5,2240250,1",  # hidden between ticks
    "34200.5,5,0,5,2240200,1",  # hidden on a tick: a seller met a hidden bid
    "34200.6,3,16,30,2239900,1",  # leaves
    "34201.0,7,0,0,-1,-1",
    "34202.0,7,0,0,0,-1",
    "34203.0,7,0,0,1,-1",
]
BOOKS = [
    "2240500,100,2239900,50",
    "2240500,100,2239900,30",
    "2240500,70,2239900,30",
    "2240500,60,2239900,30",
    "2240500,60,2239900,30",
    "2240500,60,2239900,30",
    "2240500,60,2239500,900",
    *["2240500,60,2239500,900"] * 2,
    "2240500,60,-9999999999,0",
]


def pair(folder: Path, messages: list[str] = MESSAGES, books: list[str] = BOOKS, day: str = "2012-06-21") -> Path:
    write(folder / f"AMZN_{day}_34200000_57600000_orderbook_1.csv", books)
    return write(folder / f"AMZN_{day}_34200000_57600000_message_1.csv", messages)


def test_lobster_pair_rule_by_rule(tmp_path: Path) -> None:
    """Levels nobody named are learned and hit under the maker's id, one nanosecond is one batch, halts are statuses."""
    notes: dict[str, int] = {}
    tape = import_lobster(pair(tmp_path), lobster_instrument("AMZN", FREE), notes=notes)
    ev = tape.events
    assert int(ev["receive_ns"][0]) == 1_340_285_400_100_000_000  # 09:30:00.1 in New York
    rows = [(int(r["kind"]), int(r["side"]), int(r["price"]), int(r["qty"])) for r in ev if r["kind"] != STATUS]
    assert rows == [
        (BOOK, 1, 22399, 50),
        (BOOK, -1, 22405, 100),
        (BOOK, 1, 22399, 30),
        (TRADE, 1, 22405, 30),
        (BOOK, -1, 22405, 70),
        (TRADE, 1, 22405, 10),
        (BOOK, -1, 22405, 60),
        (TRADE, -1, 22402, 5),
        (BOOK, 1, 22399, 0),
        (BOOK, 1, 22395, 900),
        (BOOK, 1, 22395, 0),
    ]
    assert ev["maker_id"][ev["kind"] == TRADE].tolist() == [7, 8, 0]
    assert ev["value"][ev["kind"] == STATUS].tolist() == [PAUSED, CLOSED_SESSION, OPEN]
    assert [bool(b & LAST) for b in ev["flag_bits"][3:7]] == [False, False, False, True]
    assert notes["off_grid_prints"] == 1 and notes["levels_learned"] == 2
    assert (notes["touch_rebuilt"], notes["touch_uncovered"], notes["touch_differs"]) == (14, 3, 1)
    with pytest.raises(ConfigError, match="its day is neither"):
        import_lobster(pair(tmp_path, day="none"), lobster_instrument("AMZN", FREE))
    told = import_lobster(pair(tmp_path, day="none"), lobster_instrument("AMZN", FREE), day=date(2012, 6, 21))
    assert told.digest == tape.digest


@pytest.mark.parametrize(
    ("messages", "books", "text"),
    [
        (["1,9,1,1,1000000,1"], BOOKS[:1], r"row 1, field type: expected 1 to 7"),
        (["2,1,1,1,1000000,1", "1,1,2,1,1000000,1"], BOOKS[:2], r"row 2, field time"),
        (["1,1,1,1,1000000,0"], BOOKS[:1], r"row 1, field direction"),
        (["1,1,1,-5,1000000,1"], BOOKS[:1], r"row 1, field size"),
        (["1,1,1,5,1000050,1"], BOOKS[:1], r"row 1, field price: expected a whole multiple of the tick 0\.01"),
        (["1,1,1,5,x,1"], BOOKS[:1], "expected numbers only"),
        (["1,1,1,5,1000000,1"], BOOKS[:2], "expected 1 rows, as many as messages, got 2"),
        (["1,1,1,5,1000000,1"], ["1000000,5,1000100,5"], r"row 1, field book: expected a best bid below the best ask"),
        (["1,1,1,5,1000000,1"], ["1000000,5,1000100"], "4 a level of the book, got 6 and 3"),
    ],
)
def test_lobster_refusals(tmp_path: Path, messages: list[str], books: list[str], text: str) -> None:
    """Times that go back, types, sizes, prices and crossed snapshots are refused with file and row."""
    with pytest.raises(DataError, match=text):
        import_lobster(pair(tmp_path, messages, books), lobster_instrument("AMZN", FREE))
    with pytest.raises(DataError, match=r"NAME_orderbook_N\.csv beside it"):
        import_lobster(write(tmp_path / "alone_message_1.csv", messages), lobster_instrument("AMZN", FREE))


# ---------------------------------------------------------------- Databento
BYTES = bytes.fromhex(  # one record as databento-dbn 0.72 writes it: add, bid, 7 lots at 12, last of its event
    "0ea0010002000000e8030000000000000500000000000000007841cb0200000007000000800041424c040000000000000a00000003000000"
)
FUTURE = Instrument(symbol="cme:ES", underlying="ES", quote="USD", tick="0.25", lot="50", fees=FREE, book_log2=10)


def mbo(*records: tuple[str, str, int, float, int, int]) -> np.ndarray:
    """(action, side, id, price, size, flags) at 1 ms steps."""
    out = np.zeros(len(records), MBO)
    for k, (action, side, ident, price, size, flags) in enumerate(records):
        out[k]["length"], out[k]["rtype"], out[k]["instrument_id"] = 14, 160, 2
        out[k]["action"], out[k]["side"], out[k]["order_id"], out[k]["size"] = action, side, ident, size
        out[k]["price"] = (1 << 63) - 1 if np.isnan(price) else round(price * 1e9)
        out[k]["flags"], out[k]["sequence"] = flags, k
        out[k]["ts_event"], out[k]["ts_recv"] = 1_000_000 * (k + 1), 1_000_000 * (k + 1) + 500
    return out


SESSION = mbo(
    ("R", "N", 0, np.nan, 0, 32),
    ("A", "B", 1, -5.25, 10, 32),
    ("A", "A", 2, -4.75, 4, 32 | 128),
    ("A", "A", 3, -4.75, 6, 128),
    ("T", "B", 0, -4.75, 5, 0),
    ("F", "A", 2, -4.75, 4, 0),
    ("F", "A", 3, -4.75, 1, 0),
    ("C", "A", 2, -4.75, 4, 0),
    ("M", "A", 3, -4.75, 5, 128),
    ("M", "B", 1, -5.0, 10, 128 | 4),
    ("N", "N", 0, np.nan, 0, 128),
    ("T", "N", 0, -5.0, 2, 128),
    ("C", "B", 99, -5.0, 1, 128),
)


def dbn(records: bytes) -> bytes:
    meta = b"\0" * 40
    return b"DBN\x03" + len(meta).to_bytes(4, "little") + meta + records


def test_mbo_layout_is_the_vendor_s() -> None:
    """The bytes that databento-dbn writes are read field by field."""
    r = np.frombuffer(BYTES, MBO)[0]
    assert (int(r["length"]) * 4, int(r["rtype"]), int(r["instrument_id"]), int(r["order_id"])) == (56, 160, 2, 5)
    assert (int(r["price"]), int(r["size"]), r["action"], r["side"]) == (12_000_000_000, 7, b"A", b"B")
    assert (int(r["flags"]), int(r["ts_event"]), int(r["ts_recv"]), int(r["sequence"])) == (128, 1000, 1100, 3)


def test_mbo_rule_by_rule(tmp_path: Path) -> None:
    """Fills are trades with their maker, levels follow in the same event, a lone trade is a print, prices may be
    negative, what is not about orders is skipped."""
    other = bytes([4, 21]) + b"\0" * 14  # a record of another type between them
    raw = SESSION.tobytes()
    path = tmp_path / "a.dbn"
    path.write_bytes(dbn(raw[: 56 * 4] + other + raw[56 * 4 :]))
    assert (read_dbn(path) == SESSION).all()
    notes: dict[str, int] = {}
    ev = import_mbo(path, FUTURE, notes=notes).events
    rows = [(int(r["kind"]), int(r["side"]), int(r["price"]), int(r["qty"]), bool(r["flag_bits"] & LAST)) for r in ev]
    assert rows == [
        (BOOK, 1, -21, 10, False),
        (BOOK, -1, -19, 4, True),
        (BOOK, -1, -19, 10, True),
        (TRADE, 1, -19, 4, False),
        (TRADE, 1, -19, 1, False),
        (BOOK, -1, -19, 6, False),
        (BOOK, -1, -19, 5, True),
        (BOOK, 1, -21, 0, False),
        (BOOK, 1, -20, 10, True),
        (TRADE, 0, -20, 2, True),
    ]
    assert ev["maker_id"][ev["kind"] == TRADE].tolist() == [2, 3, 0]
    assert (ev["flag_bits"][:2] & SNAPSHOT != 0).all() and ev["flag_bits"][0] & CLEAR and ev["flag_bits"][7] & GAP
    assert ev["count"][6] == ev["count"][2]  # it shrank in place
    assert notes["unknown_orders"] == 1 and notes["unknown_orders_first_line"] == 13
    assert notes["trades_told_by_fills"] == 1 and (ev["receive_ns"] - ev["exchange_ns"] == 500).all()


def test_mbo_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not DBN, cut short, without mbo records, compressed without the package, several instruments, bad fields."""
    path = tmp_path / "a.dbn"
    for raw, text in (
        (b"hello you", "expected a DBN file"),
        (dbn(SESSION.tobytes())[:-9], "the last record is cut short"),
        (dbn(b""), "no mbo record"),
        (dbn(b"")[:20], "cut short"),
    ):
        path.write_bytes(raw)
        with pytest.raises(DataError, match=text):
            import_mbo(path, FUTURE)
    path.write_bytes(b"\x28\xb5\x2f\xfd rest")
    monkeypatch.setitem(sys.modules, "databento_dbn", None)
    with pytest.raises(ConfigError, match=r"needs the package databento-dbn.*zstd -d"):
        import_mbo(path, FUTURE)
    two = SESSION.copy()
    two["instrument_id"][3] = 9
    with pytest.raises(ConfigError, match=r"2 instruments in one file \(2, 9"):
        mbo_messages(two, FUTURE)
    with pytest.raises(ConfigError, match="instrument_id 7"):
        mbo_messages(two, FUTURE, instrument_id=7)
    assert len(mbo_messages(two, FUTURE, instrument_id=9)) == 1
    for change, text in (
        ({"action": b"Z"}, r"record 2, field action"),
        ({"price": 1}, r"record 2, field price"),
        ({"price": (1 << 63) - 1}, r"record 2, field price: expected a price"),
        ({"side": b"N"}, r"record 2, field side"),
        ({"flags": 64}, r"record 2, field flags: expected order-by-order"),
    ):
        bad = SESSION.copy()
        for name, value in change.items():
            bad[name][1] = value
        with pytest.raises(DataError, match=text):
            mbo_messages(bad, FUTURE)
    with pytest.raises(DataError, match="mbo layout"):
        mbo_messages(np.zeros(3), FUTURE)


def test_mbo_with_the_vendor_s_package(tmp_path: Path) -> None:
    """Bytes that databento-dbn encodes, compressed or not, give the same records (where it is installed)."""
    package = pytest.importorskip("databento_dbn", exc_type=ImportError)
    sides = {b"A": package.Side.ASK, b"B": package.Side.BID, b"N": package.Side.NONE}
    actions = {a.value.encode(): a for a in package.Action.variants()}
    made = b"".join(
        bytes(
            package.MBOMsg(
                1, 2, int(r["ts_event"]), int(r["order_id"]), int(r["price"]), int(r["size"]), actions[r["action"]],
                sides[r["side"]], int(r["ts_recv"]), int(r["flags"]), 0, 0, int(r["sequence"]),
            )
        )
        for r in SESSION
    )  # fmt: skip
    path = tmp_path / "a.dbn"
    path.write_bytes(dbn(made))
    fields = ("action", "side", "order_id", "price", "size", "flags", "ts_event", "ts_recv", "sequence")
    for name in fields:
        assert (read_dbn(path)[name] == SESSION[name]).all()
    ident = package.SType.INSTRUMENT_ID
    about = package.Metadata(
        dataset="GLBX.MDP3", start=0, stype_in=ident, stype_out=ident, schema=package.Schema.MBO, symbols=[],
        partial=[], not_found=[], mappings=[], end=None, limit=None, ts_out=False, version=3,
    )  # fmt: skip
    packed, many = io.BytesIO(), np.tile(SESSION, 3_000)
    many["ts_event"] += np.random.default_rng(0).integers(0, 1 << 40, len(many)).astype(np.uint64)
    with package.Transcoder(packed, package.Encoding.DBN, package.Compression.ZSTD) as pack:
        pack.write(about.encode() + many.tobytes())
        pack.finish()
    path.write_bytes(packed.getvalue())
    for name in fields:
        assert (read_dbn(path)[name] == many[name]).all()
    path.write_bytes(packed.getvalue()[:-40])
    with pytest.raises(DataError, match=r"ends within a record, after .* truncated"):
        read_dbn(path)
    path.write_bytes(packed.getvalue()[:4] + b"x" * 80)
    with pytest.raises(DataError, match="not a DBN file of the schema mbo"):
        read_dbn(path)


def test_formats_of_the_verb(tmp_path: Path) -> None:
    """`import` takes the three formats, wants fees or an instrument, and refuses options a format has no use for."""
    log = write(tmp_path / "a.log", LOG)
    tape = read_files([log], format="bitstamp", fees=FREE, warmup_s=0.0)[0]
    assert tape.leg == "bitstamp:BTCUSD"
    share = read_files([pair(tmp_path)], format="lobster", fees=FREE)[0]
    assert share.leg == "nasdaq:AMZN"
    path = tmp_path / "a.dbn"
    path.write_bytes(dbn(SESSION.tobytes()))
    assert read_files([path], format="mbo", instrument=FUTURE, instrument_id=2)[0].leg == "cme:ES"
    with pytest.raises(ConfigError, match="fees are required"):
        read_files([log], format="bitstamp")
    with pytest.raises(ConfigError, match="say the instrument"):
        read_files([path], format="mbo")
    with pytest.raises(ConfigError, match="expected no warmup_s"):
        read_files([path], format="mbo", instrument=FUTURE, warmup_s=3.0)


def test_a_cross_cannot_persist_for_less_than_no_time(tmp_path: Path) -> None:
    """A negative time to hold crosses is refused before the file is read."""
    with pytest.raises(ConfigError, match="persist_ms: expected 0 or more milliseconds, got -5"):
        import_bitstamp(tmp_path / "none.csv", bitstamp_instrument(), persist_ms=-5)


@pytest.mark.parametrize(("field", "value"), [("price", "-3"), ("volume", "-0.5")])
def test_negative_prices_and_volumes_of_a_csv_are_refused(tmp_path: Path, field: str, value: str) -> None:
    """No order has a price or a size below nothing: line and field are named, nothing is imported."""
    good = {"id": "1", "timestamp": "1430438400000", "exchange.timestamp": "1430438400000", "price": "236.5",
            "volume": "1.5", "action": "created", "direction": "bid"}  # fmt: skip
    bad = {**good, "id": "2", field: value}
    path = tmp_path / "orders.csv"
    path.write_text("\n".join([",".join(good), ",".join(good.values()), ",".join(bad.values())]) + "\n")
    with pytest.raises(DataError, match=rf"line 3, field {field}: expected 0 or more, got '{value}'"):
        import_bitstamp(path, bitstamp_instrument(FREE), warmup_s=0)
