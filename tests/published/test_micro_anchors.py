"""Published numbers of microstructure: flow regressions, queue race, Hawkes moments, microprice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from oneprice.features import vpin
from oneprice.market.importers.binance import import_binance, instrument_of_file
from oneprice.study.anchors_market import _NO_FEES, CAPTURES
from oneprice.study.anchors_micro import exact_sample, hawkes_anchors, micro_anchors, race_anchors
from oneprice.study.micro import micro
from oneprice.study.verify import judge

pytestmark = pytest.mark.data


def test_every_row_passes(data_dir: Path) -> None:
    """All rows lie within their tolerance; rows of flow say that they are no prediction; a wrong number fails."""
    anchors = micro_anchors(data_dir)
    rows = [judge(a) for a in anchors]
    assert [r for r in rows if r.verdict != "pass"] == []
    assert len({r.id for r in rows}) == len(rows) == 26
    flow = [r for r in rows if r.id.startswith(("G01.ofi", "G01.trade"))]
    assert all("not predictive" in r.note or "predicts nothing" in r.note for r in flow) and len(flow) == 9
    for a in anchors:
        assert judge(replace(a, published=a.published + 2.1 * a.tolerance + 1e-9)).verdict == "fail", a.id


def test_other_samples_give_other_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are computed: another excitation, another queue, another sample change them."""
    from oneprice.study import anchors_micro

    monkeypatch.setattr(anchors_micro, "ALPHA", 0.9)
    moments = {a.id: judge(a).computed for a in hawkes_anchors()}
    assert moments["G03.mean"] == pytest.approx(2.0, rel=0.05) and moments["G03.fano"] > 12.0
    monkeypatch.setattr(anchors_micro, "RACES", {(1, 3): 0.30235})
    assert {judge(a).verdict for a in race_anchors()} == {"fail"}
    x, y = exact_sample(0.3)
    assert anchors_micro.line(x, y).r2 == pytest.approx(0.3, abs=1e-12)


def test_the_report_on_a_real_tape(data_dir: Path) -> None:
    """Flow explains its own second and not the next; the martingale has slope 1; VPIN its caveat."""
    path = data_dir / "binance_l2" / CAPTURES["ETH USDT perp"]
    found = micro(import_binance(path, instrument_of_file(path, fees=_NO_FEES)))
    rows = {r.name: r for r in found.explained}
    flow = rows["order flow imbalance"]
    assert flow.r2_same > 0.5 > 50.0 * flow.r2_next and found.ofi_r2_range[0] > 0.5
    assert rows["flow of 5 levels, book"].r2_same > rows["flow at the best, book"].r2_same
    assert found.price_slope is not None and abs(found.price_slope.slope - 1.0) < 3.0 * found.price_slope.se
    assert found.hawkes is not None and 0.2 < found.hawkes.branching < 0.6 and found.bipower < found.realised
    assert vpin.CAVEAT in str(found) and "tick GARCH" in found.refused
