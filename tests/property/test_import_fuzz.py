"""Importers and tape readers never fail in any other way than by DataError, whatever the bytes."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from oneprice.core import records as R
from oneprice.core.errors import DataError
from oneprice.core.instruments import Fees, Instrument
from oneprice.market.header import Header
from oneprice.market.importers.binance import import_binance, instrument_of_file
from oneprice.market.importers.decimals import parse_decimals, unit_of
from oneprice.market.importers.generic import import_quotes
from oneprice.market.tape import check_events, make_tape, read_tape, write_tape

FEES = Fees(maker_bp=0, taker_bp=0)
HEADER = Header("made up", "none", "none", "both", "none", "none", 0, False, "made up")
LINES = (
    b'1723161255030314667 {"stream":"x","data":{"e":"depthUpdate","E":1723161256299,"T":1723161256298,'
    b'"s":"BTCUSDT","U":10,"u":14,"pu":9,"b":[["58710.20","0.014"]],"a":[["61496.50","0.010"]]}}\n'
    b'1723161255088169167 {"stream":"x","data":{"e":"bookTicker","u":15,"s":"BTCUSDT","b":"61400.20","B":'
    b'"2.507","a":"61496.50","A":"2.510"}}\n'
    b'1723161255088176367 {"lastUpdateId":12,"E":1723161256322,"T":1723161256321,"bids":[["61400.10",'
    b'"1.000"]],"asks":[["61496.60","0.200"]]}\n'
    b'1723161255088176367 {"stream":"x","data":{"e":"trade","E":1723161256322,"T":1723161256322,'
    b'"s":"BTCUSDT","t":5266583935,"p":"61496.50","q":"0.006","X":"MARKET","m":false}}\n'
)
QUOTES = b"time,bid,ask,bid_qty,ask_qty\n2024-01-02T00:00:00,1.10,1.11,5,6\n2024-01-02T00:00:01,1.10,,7,\n"
edits = st.lists(
    st.tuples(
        st.integers(0, len(LINES) - 1), st.integers(0, 255) | st.sampled_from(b'0123456789.-"{}[],:\n')
    ),
    max_size=4,
)
quiet = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def damaged(raw: bytes, changes: list[tuple[int, int]], cut: int) -> bytes:
    out = bytearray(raw)
    for at, value in changes:
        out[at % len(out)] = value
    return bytes(out[: len(out) - cut])


@given(changes=edits, cut=st.integers(0, 80), zipped=st.booleans(), inside=st.booleans())
@example(changes=[], cut=0, zipped=True, inside=True)
@quiet
def test_damaged_captures(
    tmp_path: Path, changes: list[tuple[int, int]], cut: int, zipped: bool, inside: bool
) -> None:
    """Flipped and missing bytes, before or after compression: a DataError or a valid tape, nothing else."""
    path = tmp_path / "usdm_btcusdt_20240808.gz"
    if not zipped:
        raw = damaged(LINES, changes, cut)
    elif inside:
        raw = gzip.compress(damaged(LINES, changes, cut), mtime=0)
    else:
        raw = damaged(gzip.compress(LINES, mtime=0), changes, cut)
    path.write_bytes(raw)
    try:
        tape = import_binance(path, instrument_of_file(path, fees=FEES))
    except DataError as error:
        assert str(path) in str(error)
    else:
        check_events(tape.events, "fuzz")
        assert (tape.events["price"][tape.events["kind"] == R.BOOK] > 0).all()


@given(changes=edits, cut=st.integers(0, 40))
@quiet
def test_damaged_quote_files(tmp_path: Path, changes: list[tuple[int, int]], cut: int) -> None:
    """The same for a CSV of quotes."""
    path = tmp_path / "quotes.csv"
    path.write_bytes(damaged(QUOTES, changes, cut))
    one = Instrument(
        symbol="v:X", underlying="X", quote="USD", tick="0.01", lot="1", fees=FEES, assumed_depth_lots=1
    )
    try:
        check_events(import_quotes(path, one, header=HEADER).events, "fuzz")
    except DataError as error:
        assert str(path) in str(error)


@given(at=st.integers(0, 2000), bit=st.integers(0, 7), which=st.sampled_from(["ev", "manifest.json"]))
@settings(quiet, max_examples=80)
def test_damaged_tapes(tmp_path: Path, at: int, bit: int, which: str) -> None:
    """A flipped bit in a tape is always found; one in its manifest is found or harmless."""
    ev = np.zeros(6, R.EVENT)
    ev["kind"] = R.TOP
    one = Instrument(symbol="v:X", underlying="X", quote="USD", tick="0.01", lot="1", fees=FEES)
    tape = make_tape(one, ev, header=HEADER, clock_offset_ns=-1_275_000_000, clock_bound_ns=7_000_000)
    path = write_tape(tmp_path, tape)
    target = path if which == "ev" else path.parent / which
    raw = bytearray(target.read_bytes())
    raw[at % len(raw)] ^= 1 << bit
    target.write_bytes(raw)
    try:
        back = read_tape(path)
        assert which != "ev"
        assert (back.clock_offset_ns, back.instrument, back.header) == (tape.clock_offset_ns, one, HEADER)
    except DataError as error:
        assert str(path.parent) in str(error)
    path.parent.joinpath("manifest.json").unlink()


@given(
    st.integers(-(10**15), 10**15), st.sampled_from(["0.01", "0.25", "5", "0.00000001"]), st.integers(0, 6)
)
@quiet
def test_decimals_are_exact(k: int, unit: str, zeros: int) -> None:
    """k units written as text, with any trailing zeros, parse to k; half a unit more is refused."""
    from decimal import Decimal

    mantissa, decimals = unit_of(unit, "unit")
    text = format(Decimal(k) * Decimal(unit), "f")
    padded = text + ("0" * zeros if "." in text else "." + "0" * zeros)
    values, bad, _ = parse_decimals([text, padded], (mantissa, decimals))
    assert bad == -1 and values.tolist() == [k, k]
    off = format(Decimal(k) * Decimal(unit) + Decimal(unit) / 2, "f")
    _, bad, code = parse_decimals([text, off], (mantissa, decimals))
    assert (bad, code) == (1, 2)


@pytest.mark.parametrize(
    "text", ["", ".", "-", "+1", "1.2.3", " 1", "1 ", "1e3", "NaN", "inf", "0x1", "1\n2", "１"]
)
def test_only_plain_decimals(text: str) -> None:
    """Anything but digits, one point and a leading minus is no number."""
    for texts in ([text], ["1", text], [text, "1"]):
        _, bad, code = parse_decimals(texts, (1, 2))
        assert texts[bad] == text and code == 1
