"""The audit on real histories: nothing crashes, nothing is NaN without a reason, the famous days are there."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from oneprice.cli.main import app
from oneprice.core.errors import DataError
from oneprice.dashboard.term_page import exhibit_of, term_page
from oneprice.market import packs
from oneprice.market.chains import day_number
from oneprice.market.rates import read_treasury
from oneprice.study import bench_term
from oneprice.study import term_audit_kernel as kernel
from oneprice.study.anchors_parity import CL_BACKWARDATED, CL_SHARES, crude_shares
from oneprice.study.exhibit_term import term_exhibit
from oneprice.study.term_audit import CarryTerms, audit_strip
from oneprice.study.term_audit_other import audit_perpetuals, audit_yields
from oneprice.study.term_audit_sources import DAY_NS, quotes_of, strip_of, vix_of

FLAT = CarryTerms(rate=0.03, borrow_bp=0.0, lend_bp=0.0)


@pytest.mark.parametrize("root", ["CL", "NG", "BRN", "HO", "RB"])
def test_a_whole_history_has_a_band_wherever_it_has_prices(data_dir: Path, root: str) -> None:
    """Every contract with a priced neighbour before it has a finite upper bound, no lower one, and a verdict."""
    found = audit_strip(strip_of(data_dir / "futures_curves/dflong.parquet", None, root), FLAT)
    p, out = found.panel, found.out
    have = np.isfinite(p.price[0])
    pair = have[:, 1:] & have[:, :-1]
    assert len(p) > 4_000 and pair.mean() > 0.9
    assert np.isfinite(out[kernel.HIGH][:, 1:][pair]).all() and (out[kernel.LOW][:, 1:][pair] == -math.inf).all()
    assert np.isfinite(out[kernel.OUTSIDE][:, 1:][pair]).all() and np.isfinite(out[kernel.MONEY][:, 1:][pair]).all()
    assert not np.isfinite(out[kernel.OUTSIDE][:, 1:][~pair]).any()
    logs = pair & (p.price[0][:, 1:] > 0) & (p.price[0][:, :-1] > 0)
    assert np.isfinite(out[kernel.IMPLIED][:, 1:][logs]).all()
    assert 0 < found.share_of_rows <= 1 and len(found.rows) > 10 and found.word == "relative value"
    assert (found.out[kernel.OUTSIDE][found.side > 0] > 0).all()


def test_crude_on_the_day_below_zero(data_dir: Path) -> None:
    """2020-04-20: -37.63 against 20.43 is there, outside by the whole spread less storage, with its page."""
    found = audit_strip(strip_of(data_dir / "futures_curves/dflong.parquet", None, "CL"), FLAT)
    row = found.row_of("2020-04-20")
    strip = found.day_rows(row)
    assert strip[0]["bid"] == -37.63 and strip[0]["contract"] == "CLK2020" and strip[1]["bid"] == 20.43
    tau = strip[1]["years"] - strip[0]["years"]
    assert strip[1]["outside"] == pytest.approx(20.43 + 37.63 - 6.0 * tau - 0.02, abs=1e-9)
    assert found.worst_row() == row and math.isnan(strip[1]["implied_rate"])
    page = term_page(found)
    for part in ("2020-04-20", "Can P&amp;L be claimed? No", "relative value", "implied storage", "CLM2020"):
        assert part in page
    with pytest.raises(DataError, match="no row on 2020-04-19"):
        found.row_of("2020-04-19")


def test_share_beyond_full_carry_is_that_of_the_anchor(data_dir: Path) -> None:
    """With a month between contracts, no costs and r of 3 %, the kernel gives the shares of F06 exactly."""
    import msgspec

    p = strip_of(data_dir / "futures_curves/dflong.parquet", None, "CL", places=2)
    month = np.tile([0.0, 1 / 12], (len(p), 1))
    p = msgspec.structs.replace(p, years=month, cost=np.zeros(month.shape))
    found = crude_shares(data_dir)
    assert found.days == len(p) < found.dates
    for storage, count in found.beyond.items():
        terms = CarryTerms(rate=0.03, borrow_bp=0.0, lend_bp=0.0, storage=storage)
        outside = audit_strip(p, terms).out[kernel.OUTSIDE, :, 1]
        assert int((outside > 0).sum()) == count
        assert round(found.of_dates(count)) == CL_SHARES[storage]
    assert round(found.of_dates(found.backwardated)) == CL_BACKWARDATED


def test_vix_has_no_boundary(data_dir: Path) -> None:
    """2018-02-05 is read; the roll is reported, nothing is outside; the page says so."""
    found = audit_strip(vix_of(data_dir / "vix_futures/vx_futures_by_contract.parquet"), FLAT)
    strip = found.day_rows(found.row_of("2018-02-05"))
    assert strip[0]["bid"] > strip[1]["bid"] > 10 and strip[1]["roll"] < 0
    assert len(found.rows) == 0 and not found.compared.any()
    assert "No boundary" in term_page(found, day="2018-02-05")


def test_gold_quotes_stay_inside_their_bounds(data_dir: Path) -> None:
    """Five days of gold: both bounds exist, quotes are wide far out, implied repo is near the money market's."""
    rates = read_treasury(data_dir / "us_treasury/zipline_treasury_curves.csv")
    gold = quotes_of(data_dir / "gold_minute/gc_minute_quote_by_contract.parquet")
    found = audit_strip(gold, CarryTerms(), rates)
    low, high = found.out[kernel.LOW], found.out[kernel.HIGH]
    both = np.isfinite(low) & np.isfinite(high)
    assert both.sum() > 100_000 and (low[both] < high[both]).mean() > 0.99
    assert found.share_of_rows < 0.01
    repo = {r["place"]: r["implied_repo"] for r in found.place_rows()}
    assert 0.0 < repo["GC201312"] < 0.01 and found.panel.quoted


def test_perpetuals_and_yields_run(data_dir: Path) -> None:
    """Bybit's perpetual stood below its spot that day; a year of yields has both verdicts and no NaN where fitted."""
    perp = audit_perpetuals(data_dir / "crypto_minute/crypto_minute_quotes.parquet")
    assert len(perp.panel) == 460 and perp.implied[0].value.mean() < 0
    import msgspec

    full = read_treasury(data_dir / "us_treasury/zipline_treasury_curves.csv")
    part = slice(4_600, 4_850)
    treasury = msgspec.structs.replace(full, days=full.days[part], par=full.par[part])
    found = audit_yields(treasury)
    assert np.isfinite(found.out[kernel.OUTSIDE][np.isfinite(treasury.par)]).mean() > 0.95
    assert "Svensson" in found.inputs["curve"] and "never P&L" in str(found)


def test_what_the_command_prints_and_refuses(data_dir: Path, tmp_path: Path) -> None:
    """JSON has the strip of the day; misspelt roots and families, missing rates and folders are one clear line."""
    run = CliRunner()
    file, rates = (
        str(data_dir / "futures_curves/dflong.parquet"),
        str(data_dir / "us_treasury/zipline_treasury_curves.csv"),
    )
    page = tmp_path / "ho.html"
    words = ["audit", file, "--family", "term", "--root", "HO", "--rate", "0.02", "--day", "2009-01-15", "--json"]
    done = run.invoke(app, [*words, "--page", str(page)])
    assert done.exit_code == 0 and page.is_file()
    told = json.loads(done.stdout)
    assert (
        told["boundary"] == "upper" and told["day"][0]["contract"] == "HOG2009" and told["places"][0]["place"] == "HO02"
    )
    for more, says in (
        (["--root", "CLL", "--rates", rates], "did you mean 'CL'"),
        (["--rates", rates], "--root: expected one of"),
        (["--root", "CL"], "--rates FILE"),
        (["--root", "EDP", "--rate", "0.02"], "state its boundary"),
        (["--root", "CL", "--rate", "0.02", "--spreads-bp", "5"], "BORROW,LEND"),
        (["--root", "CL", "--rate", "0.02", "--expiry", "none.parquet"], "table of expiries"),
    ):
        done = run.invoke(app, ["audit", file, "--family", "term", *more])
        assert done.exit_code == 2 and says in done.stderr
    done = run.invoke(app, ["audit", file, "--family", "trem"])
    assert done.exit_code == 2 and "did you mean 'term'" in done.stderr
    done = run.invoke(app, ["audit", str(data_dir), "--family", "term", "--root", "CL"])
    assert done.exit_code == 2 and "got a folder" in done.stderr


def test_exhibit_joins_two_wheels() -> None:
    """The exhibit's figures are those of the joined files; without rates nothing is taken off, and it says so."""
    try:
        found = term_exhibit()
    except DataError as error:
        pytest.skip(f"data packs are neither cached nor reachable: {str(error).splitlines()[0]}")
    glut, later, spring = found.eras
    assert glut.days == 146 and glut.beyond_share > 0.95 and 8.5 < glut.highest < 9.5 and glut.rate == "taken off"
    assert later.beyond_share > 0.7 and spring.rate == "no rates" and found.event == pytest.approx((-37.63, 58.06))
    after = found.days > day_number("2017-04-10")
    assert np.isnan(found.implied[after]).all() and np.isfinite(found.implied[~after]).mean() > 0.95
    plain = found.to_dict()
    shown = exhibit_of(plain)[0]
    assert len(shown.drawings) == 2 and shown.header is not None and "GPL-3.0" in shown.header["licence"]
    for part in ("5. ", "can P&L be claimed?  no", "smoothed", "settlements: one price a day", "no rates", "assumed"):
        assert part in str(found)
    assert exhibit_of({"missing": "x"})[0].says == "not shown: x" and exhibit_of({}) == []


def test_packs_of_tables_are_parsed_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A table is kept beside its wheel under the wheel's digest; bad rows name themselves."""
    from oneprice.market.pack_tables import expiry_rows, settlement_rows, treasury_rows

    calls = []

    def read(name: str) -> bytes:
        calls.append(name)
        return (
            b'[{"date":"2020-04-20","series":"CL01","value":-37.63},{"date":"2020-04-21","series":"CL01","value":null}]'
        )

    monkeypatch.setattr(packs, "folder", lambda: tmp_path)
    monkeypatch.setattr(packs, "read", read)
    first = packs.table("futures_settlements_1d")
    assert packs.table("futures_settlements_1d") == first and calls == ["futures_settlements_1d"]
    assert packs.pack("futures_settlements_1d").sha256[:16] in first.name
    rows = settlement_rows(read(""), "w")
    assert rows["value"].to_list() == [-37.63, None] and str(rows["date"][0]) == "2020-04-20"
    assert treasury_rows(b"Time Period,1month,3month\n1990-01-02 00:00:00+00:00,,0.0783\n", "w")["3month"][0] == 0.0783
    for function, raw, says in (
        (settlement_rows, b"[", "JSON list"),
        (settlement_rows, b'[{"date":"2020"}]', "expected fields"),
        (settlement_rows, b'[{"date":"04/20/2020","series":"CL01","value":1}]', "row 1, field date"),
        (expiry_rows, b'[{"Year":2020}]', "expected fields"),
        (treasury_rows, b"a\n1\n", "expected a date and yields"),
    ):
        with pytest.raises(DataError, match=says):
            function(raw, "w")


def test_benchmark_compares_equal_results() -> None:
    """On a short strip the pandas version and the kernel agree to rounding, episodes included; rates are above 0."""
    pytest.importorskip("pandas")
    *ratios, rate = bench_term.audit_figures(1, 150)
    assert [r.bound for r in ratios] == [bench_term.LEAST_AUDIT, None]
    for ratio in ratios:
        assert ratio.figure is not None and ratio.figure > 5 and "episodes in both" in ratio.note
    assert rate.figure is not None and rate.figure > 0.5
    w = bench_term.planted_strip(40)
    assert w["price"].shape == (2, 40, bench_term.PLACES) and DAY_NS == 86_400 * 10**9
