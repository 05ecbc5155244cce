"""Published numbers of mean reversion and thresholds, each against what this code computes."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneprice.core.errors import DataError
from oneprice.study.anchors_reversion import columns, reversion_anchors
from oneprice.study.verify import FAIL, PASS, judge

pytestmark = pytest.mark.data
STATED = ("B05", "B09", "B10", "B12", "B15", "D01", "chan", "walks", "vr", "partial")


def test_every_row_passes(data_dir: Path) -> None:
    """Chan's digits, Bertram, Leung-Li, ANZ-ADB, Box-Tiao, the bias of kappa: all within their tolerance."""
    rows = reversion_anchors(data_dir)
    assert [r.id for r in rows if not r.passed] == []
    assert {r.id.split(".")[0] for r in rows} >= set(STATED)
    assert {judge(r).verdict for r in rows} == {PASS}


def test_a_wrong_number_fails(data_dir: Path) -> None:
    """A published number moved by ten tolerances is a failure, so the rows can fail."""
    from dataclasses import replace

    for row in reversion_anchors(data_dir):
        wrong = replace(row, published=row.published + 10.0 * row.tolerance)
        assert judge(wrong).verdict == FAIL, row.id


def test_a_torn_file_is_refused(tmp_path: Path) -> None:
    """A missing column, a gap or no file: DataError that names the file."""
    path = tmp_path / "a.csv"
    for text in ("Date,A\n1,2\n", "Date,A,B\n1,2,\n"):
        path.write_text(text)
        with pytest.raises(DataError, match=r"a\.csv"):
            columns(path, ("A", "B"))
    with pytest.raises(DataError, match="none"):
        columns(tmp_path / "none.csv", ("A",))
