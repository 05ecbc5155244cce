"""Published numbers of filters, volatility and factors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from oneprice.core.errors import DataError
from oneprice.study.anchors_filters import (
    chan_anchors,
    filter_anchors,
    level_anchors,
    rule_anchors,
    volatility_anchors,
)
from oneprice.study.verify import judge

pytestmark = pytest.mark.data


def test_every_row_passes(data_dir: Path) -> None:
    """All rows lie within their tolerance and have names of their own."""
    rows = [judge(a) for a in filter_anchors(data_dir)]
    assert [r for r in rows if r.verdict != "pass"] == []
    assert len({r.id for r in rows}) == len(rows) >= 35


def test_rows_can_fail(data_dir: Path) -> None:
    """The same rows with another published number fail: a digit beyond the tolerance is seen."""
    for row in rule_anchors() + level_anchors():
        assert judge(row).verdict == "pass"
        assert judge(replace(row, published=row.published + 2.1 * row.tolerance + 1e-9)).verdict == "fail"


def test_other_data_give_other_numbers(data_dir: Path, tmp_path: Path) -> None:
    """The rows are computed: with one return, or one price, changed they fail."""
    lines = (data_dir / "econometrics" / "dem2gbp.csv").read_text().splitlines()
    lines[100] = "3.0"
    torn = tmp_path / "marks.csv"
    torn.write_text("\n".join(lines))
    assert any(judge(a).verdict == "fail" for a in volatility_anchors(torn) if a.id.startswith("K01"))
    lines = (data_dir / "chan" / "inputData_EWA_EWC_IGE.csv").read_text().splitlines()
    lines[700] = lines[700].split(",")[0] + ",20.0,25.0,40.0"
    torn = tmp_path / "chan.csv"
    torn.write_text("\n".join(lines))
    assert [judge(a).verdict for a in chan_anchors(torn)] == ["fail", "fail"]


def test_missing_or_torn_files_say_so(tmp_path: Path) -> None:
    """A file that is not there, or not what it should be, is a DataError with its path."""
    with pytest.raises(DataError, match=r"nothing\.csv"):
        chan_anchors(tmp_path / "nothing.csv")
    bad = tmp_path / "bad.csv"
    bad.write_text("Date,A\n1,2\n")
    with pytest.raises(DataError, match="no EWA"):
        chan_anchors(bad)
    with pytest.raises(DataError, match="one column"):
        volatility_anchors(bad)
