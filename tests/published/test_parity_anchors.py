"""Hull's examples, the perpetual identity and oil beyond full carry are rows that pass; a wrong number fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from oneprice.study.anchors_parity import parity_anchors


def test_every_row_passes(data_dir: Path) -> None:
    """All rows hold, and none would hold if its number were off by twice its tolerance."""
    rows = parity_anchors(data_dir)
    assert [r.id for r in rows if not r.passed] == []
    assert len(rows) == 20
    assert not any(replace(r, published=r.published + 3 * r.tolerance).passed for r in rows)
