"""A perpetual's funding from a file of its own: rows where they were paid, refusals by file, row and column."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from oneprice.cli.main import app
from oneprice.core import records as R
from oneprice.core.errors import ConfigError, DataError
from oneprice.core.instruments import Fees, Instrument
from oneprice.market.importers import read_files
from oneprice.market.importers.funding import with_funding_file
from oneprice.market.tape import Tape, read_tape

NOON = 1_704_196_800_000  # 2024-01-02 12:00 UTC, ms
HOUR = 3_600_000
ONE = Instrument(
    symbol="v:X-PERP", underlying="X", quote="USD", tick="0.5", lot="0.1", fees=Fees(maker_bp=0, taker_bp=1)
)


def quotes(folder: Path, name: str = "perp.csv", first: int = NOON, n: int = 10) -> Path:
    """A quote an hour, 100 and 101."""
    path = folder / name
    lines = [f"{first + i * HOUR},100,101,{i + 1},2" for i in range(n)]
    path.write_text("\n".join(["time,bid,ask,bid_qty,ask_qty", *lines]))
    return path


def rates(folder: Path, *rows: str, heading: str = "time,rate") -> Path:
    path = folder / "funding.csv"
    path.write_text("\n".join([heading, *rows]))
    return path


def read(folder: Path, funding: Path, *files: Path, notes: dict[str, int] | None = None) -> list[Tape]:
    tapes = read_files(files or (quotes(folder),), format="quotes", instrument=ONE, time_unit="ms")
    return with_funding_file(tapes, funding, time_unit="ms", notes=notes)


def test_funding_stands_where_it_was_paid(tmp_path: Path) -> None:
    """Rates to 1e-12, behind the quote of the same time; what lies outside the quotes is counted, not posted."""
    file = rates(
        tmp_path, f"{NOON - HOUR},0.0001,", f"{NOON + 4 * HOUR},1e-05,100.5", f"{NOON + 8 * HOUR},-0.000123456789,",
        f"{NOON + 99 * HOUR},0.5e-4,", heading="time,rate,mark",
    )  # fmt: skip
    notes: dict[str, int] = {}
    (tape,) = read(tmp_path, file, notes=notes)
    rows = tape.events[tape.events["kind"] == R.FUNDING]
    assert rows["rate_e12"].tolist() == [10_000_000, -123_456_789]
    assert rows["mark"].tolist() == [201, R.NO_PRICE] and rows["interval_ns"].tolist() == [
        5 * HOUR * 10**6,
        4 * HOUR * 10**6,
    ]
    assert (rows["receive_ns"] == (NOON + np.array([4, 8]) * HOUR) * 10**6).all()
    assert tape.events["kind"].tolist() == [R.TOP] * 5 + [R.FUNDING] + [R.TOP] * 4 + [R.FUNDING, R.TOP]
    assert notes == {"funding": 2, "funding_outside": 2}
    assert tape.header.source == "perp.csv; funding of funding.csv"


def test_midnight_between_two_files_is_not_lost(tmp_path: Path) -> None:
    """Paid after the last quote of one file and before the first of the next: it stands on the first of them."""
    second = quotes(tmp_path, "later.csv", NOON + 12 * HOUR, 3)
    between = f"{NOON + 11 * HOUR},0.0001"
    first, later = read(tmp_path, rates(tmp_path, between), quotes(tmp_path), second)
    assert first.events["kind"][-1] == R.FUNDING and R.FUNDING not in later.events["kind"]
    turned = read(tmp_path, rates(tmp_path, between), second, quotes(tmp_path))
    assert [len(t) for t in turned] == [3, 11], "in whatever order the files are named"


@pytest.mark.parametrize(
    ("rows", "heading", "says"),
    [
        ((f"{NOON},x",), "time,rate", r"funding.csv, row 1, column 'rate': expected a share of the notional.*'x'"),
        ((f"{NOON},0.0001", f"{NOON + 1},nan"), "time,rate", r"row 2, column 'rate'"),
        ((f"{NOON},1.0",), "time,rate", r"row 1, column 'rate'.*0.0001 is 1 bp"),
        ((f"{NOON},",), "time,rate", r"row 1, column 'rate'"),
        ((f"{NOON},0.0001", f"{NOON},0.0001"), "time,rate", r"row 2, column 'time': expected a time after"),
        (("soon,0.0001",), "time,rate", r"row 1, column 'time': expected a time"),
        ((f"{NOON},0.0001,100.3",), "time,rate,mark", r"row 1, column 'mark'.*0.5"),
        ((f"{NOON},0.0001,-1",), "time,rate,mark", r"row 1, column 'mark': expected a price above 0"),
        ((f"{NOON},0.0001",), "time,fundingRate", r"no column 'rate'"),
        ((f"{NOON + 99 * HOUR},0.0001",), "time,rate", r"expected funding of v:X-PERP from 2024-01-02T12.*got 1 rows"),
        ((), "time,rate", r"no rows"),
    ],
)
def test_files_that_cannot_be(tmp_path: Path, rows: tuple[str, ...], heading: str, says: str) -> None:
    """Each refusal names the file and, where there is one, the row and the column."""
    with pytest.raises(DataError, match=says):
        read(tmp_path, rates(tmp_path, *rows, heading=heading))


def test_funding_of_one_perpetual_once(tmp_path: Path) -> None:
    """Two legs, a tape that has funding already, and a file that is not there are refused."""
    file = rates(tmp_path, f"{NOON},0.0001")
    (tape,) = read(tmp_path, file)
    with pytest.raises(DataError, match="has funding already"):
        with_funding_file([tape], file, time_unit="ms")
    other = Instrument(
        **{name: getattr(ONE, name) for name in ("underlying", "quote", "tick", "lot", "fees")}, symbol="v:Y"
    )
    two = read_files([quotes(tmp_path)], format="quotes", instrument=other, time_unit="ms")
    with pytest.raises(ConfigError, match="one perpetual, got v:X-PERP, v:Y"):
        with_funding_file([tape, *two], file, time_unit="ms")
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path, tmp_path / "none.csv")


def test_a_perpetual_against_its_spot_from_the_command_line(tmp_path: Path) -> None:
    """Import with `--funding`, replay the relation: what funding paid is in the ledger and the parts' carry."""
    spot = tmp_path / "spot.csv"
    spot.write_text(quotes(tmp_path).read_text().replace(",100,101,", ",90,91,"))
    file = rates(tmp_path, *(f"{NOON + k * HOUR + 1000},0.001" for k in (4, 8)))
    for name, path, more in (("v:X", spot, []), ("v:X-PERP", tmp_path / "perp.csv", ["--funding", str(file)])):
        facts = {"symbol": name, "underlying": "X", "quote": "USD", "tick": "0.5", "lot": "0.1", "stale_ns": 10**13}
        words = ["import", str(path), "--format", "quotes", "--time-unit", "ms", "--fees", "0,0", *more]
        words += [w for k, v in facts.items() for w in ("--instrument", f"{k}={v}")]
        made = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "tapes"), "--json"])
        assert made.exit_code == 0, made.output
    assert json.loads(made.output)["notes"][str(file)] == {"funding": 2}
    assert (read_tape(json.loads(made.output)["tapes"][0]).events["kind"] == R.FUNDING).sum() == 2
    relations = tmp_path / "relations.json"
    one = {"kind": "perpetual", "symbols": ["v:X", "v:X-PERP"], "qty": 1.0, "growth_low": 0.9, "growth_high": 1.0}
    relations.write_text(json.dumps([{**one, "confirm": 1}]))
    words = ["replay", str(tmp_path / "tapes"), "--strategy", "term_structure", "--model", str(relations), "--json"]
    got = CliRunner().invoke(app, [*words, "--set", "participation=1", "--set", "slip_bp=100"])
    assert got.exit_code == 0, got.output
    told = json.loads(got.output)
    assert told["closes_exactly"] and told["strips"]["exact"]
    carried = told["strips"]["units"]["carry"] * told["strips"]["unit"]
    assert told["pnl"]["funding"] == pytest.approx(carried, abs=1e-9) and carried == pytest.approx(2 * 0.001 * 100.5)
