"""The report, its charts, and the story of a package, on a run made by hand."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from oneprice.core.errors import ConfigError, JournalError
from oneprice.core.journal import Journal
from oneprice.core.records import CAUSES, EQUITY, FILL_ROW, ROW
from oneprice.dashboard import charts, svg
from oneprice.dashboard.exhibits import inventory, prices
from oneprice.dashboard.html import page, write_report
from oneprice.modes.explain import explain_package, packages_of
from oneprice.study import report

sys.path.insert(0, str(Path(__file__).parent))
import report_rows


def test_causes_sum_to_equity_in_integers() -> None:
    """The waterfall's table is the ledger's integers, and their sum is the change in equity."""
    table = report.cause_table(report_rows.run())
    assert dict(table.causes)["fee"] == -4_800_000_01 // 1
    assert table.difference == 0
    assert table.exact(table.total) == "47.09999999"


def test_a_lost_posting_shows() -> None:
    """If one cause misses a unit, the report says that the books do not close."""
    run = report_rows.run()
    last = np.flatnonzero((run.rows["kind"] == EQUITY) & (run.rows["code"] == 1))[-1]
    run.rows["e"][last] += 1
    assert report.cause_table(run).difference == 1
    assert "THEY DIFFER" in page(run)


def test_equity_rows_that_lack_a_part_are_refused() -> None:
    """Cause rows that do not match the equity rows are an error, not a guess."""
    run = report_rows.run()
    keep = ~((run.rows["kind"] == EQUITY) & (run.rows["code"] == 2))
    with pytest.raises(JournalError, match="code 2"):
        report.equity_curve(report.RunData("x", run.rows[keep], run.events, run.manifest))


def test_gap_is_nan_without_both_sides() -> None:
    """Where one side is missing there is no gap: NaN, never the sentinel."""
    found = report.gap(report_rows.run())
    assert found is not None
    assert np.isnan(found.mid_bp[40:45]).all() and np.isfinite(found.mid_bp[:40]).all()
    assert np.nanmax(np.abs(found.mid_bp)) < 1.0
    assert found.cost_bp == 2.0


def test_rolling_keeps_digits_at_a_large_level() -> None:
    """Mean and deviation of small moves at a large level match numpy's two-pass result."""
    values = 1e8 + np.random.default_rng(5).normal(0, 1e-3, 500)
    mean, width = report.rolling(values, 50)
    assert mean[-1] == pytest.approx(values[-50:].mean(), abs=1e-8)
    assert width[-1] == pytest.approx(values[-50:].std(), rel=1e-4)


def test_package_is_told_from_its_rows() -> None:
    """Orders, refusals, fills, naked time and cost of legging of package 5 are those made by hand."""
    run = report_rows.run()
    (p,) = packages_of(run.rows, run.manifest)
    assert (p.number, p.state, p.n_orders, p.n_refused, p.n_fills) == (5, "closed", 2, 1, 3)
    assert p.filled == {1: 40, 0: -40} and p.opens
    assert p.naked_ms == pytest.approx(3.0)
    assert p.worst_naked == pytest.approx(0.04)
    assert p.legging_cost == pytest.approx(-0.01)  # 10 lots of 0.001 sold after the mid fell by 1.0
    story = explain_package(run.rows, run.manifest, 5)
    assert "refused (stale_quote" in story and "filled: alpha:BTC -40 lots, beta:BTC +40 lots" in story


def test_unknown_package_is_an_error() -> None:
    """The error says which packages there are."""
    run = report_rows.run()
    with pytest.raises(ConfigError, match="5 to 5"):
        explain_package(run.rows, run.manifest, 6)


def test_page_needs_nothing_from_outside() -> None:
    """No link, script, style sheet, font or picture is fetched, and text from the manifest is escaped."""
    text = page(report_rows.run())
    assert not re.search(r"""(?:src|href)\s*=|@import|url\(|fetch\(|XMLHttp""", text)
    assert set(re.findall(r"https?://[^\s\"'<]+", text)) <= {"http://www.w3.org/2000/svg"}
    assert "the prices are &lt;invented&gt;" in text and "<invented>" not in text


def test_page_has_every_exhibit_and_header() -> None:
    """Each exhibit stands under its header; the claim is answered once, at the top."""
    text = page(report_rows.run())
    titles = re.findall(r"<h2>(.*?)</h2>", text)
    assert titles[:9] == [
        "P&amp;L by cause", "The prices", "The gap and its band", "Inventory", "Residual",
        "Break-even map", "Packages", "Legging", "Refusals and halts",
    ]  # fmt: skip
    assert text.count('<p class="source"><b>source</b> made by hand') == 9
    assert text.count("Can P&amp;L be claimed? No.") == 1
    assert "NaN" not in text and "Infinity" not in text


def test_of_many_legs_those_traded_most_are_drawn() -> None:
    """Up to eight legs are all drawn; of more, the eight traded most, and the page says how many it leaves out."""
    run = report_rows.run()
    assert report.shown_legs(run, 8) == [0, 1]
    legs = [run.manifest.legs[0] | {"symbol": f"leg:{i}"} for i in range(12)]
    many = replace(run, manifest=msgspec.structs.replace(run.manifest, legs=legs))
    fill = run.rows[run.rows["kind"] == FILL_ROW][:1]
    none = replace(many, rows=run.rows[run.rows["kind"] != FILL_ROW])
    assert report.shown_legs(none, 8) == []
    assert prices(none).says.endswith("None of the 12 legs was traded: none is drawn.") and not prices(none).drawings
    more = np.repeat(fill, 10)
    more["leg"], more["qty"] = np.arange(10), [5, 1, 9, 9, 9, 9, 9, 9, 9, -2]
    busy = replace(many, rows=np.concatenate([none.rows, more]))
    assert report.shown_legs(busy, 8) == [0, 2, 3, 4, 5, 6, 7, 8]
    for shown in (prices(busy), inventory(busy)):
        assert shown.says.endswith("Drawn: 8 of 12 legs, those traded most; 2 more were traded, 2 never.")


def test_page_of_an_empty_run() -> None:
    """A journal with no rows at all makes a page that says so."""
    bare = report.RunData("empty", np.zeros(0, ROW), np.zeros(0), report_rows.manifest())
    text = page(bare)
    assert "nothing was sampled" in text and "no package had a fill" in text


def test_report_from_a_journal(tmp_path: Path) -> None:
    """A journal on disk becomes report.html beside it; a torn or open one says what it is."""
    run = report_rows.run()
    with Journal.create(tmp_path / "journal.op", run.manifest, durability="async") as journal:
        journal.append_rows(run.rows)
    path = write_report(tmp_path)
    assert path == tmp_path / "report.html"
    assert "was not ended in order" in path.read_text()
    with pytest.raises(JournalError, match="one journal in this folder"):
        write_report(tmp_path.parent / "nowhere")


def test_waterfall_bars_meet() -> None:
    """Each bar starts at the height at which the one before it ended."""
    text = charts.waterfall([("a", 3.0), ("b", -1.0)], ("total", 2.0), unit="USD")
    bars = [tuple(map(float, m)) for m in re.findall(r'y="([\d.]+)" width="[\d.]+" height="([\d.]+)"', text)]
    (top_a, _), (top_b, height_b), (top_total, _) = bars
    assert top_b == pytest.approx(top_a, abs=0.2)
    assert top_total == pytest.approx(top_b + height_b, abs=0.2)


def test_heat_map_frames_what_does_not_lose() -> None:
    """Break-even can be read without colour: cells of zero or more are framed."""
    text = charts.heat_map(
        np.array([[1.0, -1.0, np.nan]]), ["0 ms"], ["a", "b", "c"], row_title="latency", column_title="fee"
    )
    assert text.count("stroke-width=") == 1 and "no result" in text


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3e-7, 2e-7), (59_998.0, 60_004.2), (-1e9, 5e9)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    """Ticks lie inside the range and are evenly spaced."""
    ticks = svg.nice_ticks(low, high)
    assert 2 <= len(ticks) <= 12 and low - 1e-12 <= ticks[0] and ticks[-1] <= high * (1 + 1e-12) + 1e-12
    assert np.allclose(np.diff(ticks), ticks[1] - ticks[0])


def test_thin_keeps_extremes() -> None:
    """A spike of one sample survives the reduction."""
    y = np.zeros(50_000)
    y[31_337] = 9.0
    _, kept = svg.thin(np.arange(50_000.0), y)
    assert len(kept) < 3_000 and kept.max() == 9.0


def test_equity_rows_hold_all_causes() -> None:
    """Three rows, of five, five and two words, hold the causes there are."""
    assert len(CAUSES) <= 12
