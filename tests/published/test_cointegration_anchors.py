"""Published statistics of cointegration tests, as rows of verification; and that a wrong number fails."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from oneprice.study import anchors_cointegration
from oneprice.study.anchors_cointegration import CHAN, chan_anchors, cointegration_anchors, jplv_anchors
from oneprice.study.verify import FAIL, NO_DATA, PASS, judge

pytestmark = pytest.mark.data


def test_every_row_passes(data_dir: Path) -> None:
    """B01 to B04 and Phillips-Ouliaris on crude; ids are unique; altered by twice the tolerance each row fails."""
    rows = cointegration_anchors(data_dir)
    assert len({r.id for r in rows}) == len(rows) > 50
    for row in rows:
        assert judge(row).verdict == PASS, (row.id, row.published, row.computed)
        if row.tolerance > 0:
            assert judge(msgspec.structs.replace(row, published=row.published + 3 * row.tolerance)).verdict == FAIL


def test_lag_choice_flips_the_verdict(data_dir: Path) -> None:
    """EWC on EWA: rejected at 5 % with one lag in both orders, not rejected when AIC chooses, in both orders."""
    at = {r.id: r.computed for r in chan_anchors(data_dir / CHAN)}
    critical = -3.34
    assert at["B04.eg.EWC_EWA.1"] < critical and at["B04.eg.EWA_EWC.1"] < critical
    assert at["B04.eg.EWC_EWA.aic"] > critical and at["B04.eg.EWA_EWC.aic"] > critical


def test_absent_package_says_no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the eight-series file is not installed its row is not judged."""
    monkeypatch.setattr(anchors_cointegration, "JPLV", ("no_such_package", "nothing.csv"))
    row = judge(jplv_anchors()[0])
    assert row.verdict == NO_DATA and "no_such_package" in row.note
