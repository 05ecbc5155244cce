"""Damaged files of single orders: a tape that holds together or an error that says where, never anything else."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oneprice.core.errors import OnePriceError
from oneprice.core.records import BOOK, LAST
from oneprice.market.importers.bitstamp import bitstamp_instrument, import_bitstamp
from oneprice.market.importers.lobster import import_lobster, lobster_instrument
from oneprice.market.importers.mbo import import_mbo
from oneprice.market.tape import Tape, check_events

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))
from test_import_orders import BOOKS, FREE, FUTURE, HEAD, LOG, MESSAGES, SESSION, T0, dbn

CSV = [
    HEAD,
    *(
        f"{i},{T0 + 10 * i},{T0 + 10 * i},23{i % 7}.5{i % 3},{1 + i % 5}.25,created,{'bid' if i % 2 else 'ask'}"
        for i in range(1, 30)
    ),
    *(
        f"{i},{T0 + 400 + i},{T0 + 400 + i},23{i % 7}.5{i % 3},0.0,deleted,{'bid' if i % 2 else 'ask'}"
        for i in range(1, 9)
    ),
]


def damaged(raw: bytes, cuts: list[tuple[int, int, bytes]]) -> bytes:
    """Bytes with pieces overwritten, removed or doubled."""
    for at, length, piece in cuts:
        k = at % (len(raw) + 1)
        raw = raw[:k] + piece + raw[k + length :]
    return raw


CUTS = st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 40), st.binary(max_size=6)), min_size=1, max_size=4)
QUIET = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def holds_together(read: Any) -> None:
    """Either an error of ours, or a tape whose levels are never negative and whose last row ends a batch."""
    try:
        tape: Tape = read()
    except OnePriceError as error:
        assert str(error)
        return
    check_events(tape.events, "fuzz")
    assert tape.events["flag_bits"][-1] & LAST
    assert (tape.events["qty"][tape.events["kind"] == BOOK] >= 0).all()


@QUIET
@given(CUTS, st.sampled_from(["log", "csv"]))
def test_bitstamp(tmp_path: Path, cuts: list[tuple[int, int, bytes]], kind: str) -> None:
    """Logs and CSV files of Bitstamp."""
    path = tmp_path / f"a.{kind}"
    path.write_bytes(damaged("\n".join(LOG if kind == "log" else CSV).encode(), cuts))
    holds_together(lambda: import_bitstamp(path, bitstamp_instrument(FREE), warmup_s=0))


@QUIET
@given(CUTS, st.booleans())
def test_lobster(tmp_path: Path, cuts: list[tuple[int, int, bytes]], of_book: bool) -> None:
    """LOBSTER pairs."""
    texts = ["\n".join(MESSAGES).encode(), "\n".join(BOOKS).encode()]
    texts[of_book] = damaged(texts[of_book], cuts)
    path = tmp_path / "AMZN_2012-06-21_1_2_message_1.csv"
    path.write_bytes(texts[0])
    path.with_name(path.name.replace("message", "orderbook")).write_bytes(texts[1])
    holds_together(lambda: import_lobster(path, lobster_instrument("AMZN", FREE)))


@QUIET
@given(CUTS)
def test_mbo(tmp_path: Path, cuts: list[tuple[int, int, bytes]]) -> None:
    """Databento records."""
    path = tmp_path / "a.dbn"
    path.write_bytes(damaged(dbn(SESSION.tobytes()), cuts))
    holds_together(lambda: import_mbo(path, FUTURE))


def test_whole_files_are_read(tmp_path: Path) -> None:
    """The undamaged files give tapes: the fuzz is not about errors alone."""
    path = tmp_path / "a.csv"
    path.write_text("\n".join(CSV))
    assert len(import_bitstamp(path, bitstamp_instrument(FREE), warmup_s=0)) > 20
    assert np.dtype(SESSION.dtype).itemsize == 56
