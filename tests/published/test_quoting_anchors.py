"""Published numbers of quoting, each against what this code computes; they need no data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from oneprice.study.anchors_market import Anchor
from oneprice.study.anchors_quoting import quoting_anchors
from oneprice.study.verify import FAIL, PASS, judge


@pytest.fixture(scope="module")
def rows() -> list[Anchor]:
    return quoting_anchors(Path("nowhere"))


def test_every_row_passes(rows: list[Anchor]) -> None:
    """A01, A02, A05, A06, A08, the trap, the exact quotes and the intensity: all within their tolerance."""
    assert [(r.id, r.published, r.computed) for r in rows if judge(r).verdict != PASS] == []
    assert {r.id.split(".")[0] for r in rows} == {"A01", "A02", "A05", "A06", "A08", "trap", "glft", "intensity"}
    assert len({r.id for r in rows}) == len(rows)


def test_a_wrong_number_fails(rows: list[Anchor]) -> None:
    """A published number moved by ten tolerances is a failure, so the rows can fail."""
    for row in rows:
        assert judge(replace(row, published=row.published + 10.0 * row.tolerance)).verdict == FAIL, row.id
