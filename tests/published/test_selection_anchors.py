"""Anchors B13, B14, J01, J02 and J04: every row passes, and a wrong number does not."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from oneprice.signals.drift import page_hinkley
from oneprice.study import anchors_selection
from oneprice.study.anchors_selection import (
    multiplicity_anchors,
    river_stream,
    run_length_anchors,
    sharpe_anchors,
    stream_anchors,
)
from oneprice.study.verify import PASS, verify


def test_every_row_passes() -> None:
    """The group of `oneprice verify`, with all five acceptance rows in it."""
    rows = verify(names=["selection"], data=Path("nowhere"))
    assert [r.id for r in rows if r.verdict != PASS] == []
    assert {r.id.split(".")[0] for r in rows} == {"B13", "B14", "J01", "J02", "J04"}


def test_a_wrong_ratio_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kurtosis in excess instead of raw, annual instead of per period: rows of B13 fail."""
    real = anchors_selection.Moments
    monkeypatch.setattr(anchors_selection, "Moments", lambda s, g, k, n: real(s, g, k - 3.0, n))
    assert {a.id for a in sharpe_anchors() if not a.passed} == {"B13.dsr", "B13.dsr_46", "B13.psr"}
    monkeypatch.setattr(anchors_selection, "Moments", lambda s, g, k, n: real(s * 16.0, g, k, n))
    assert not all(a.passed for a in sharpe_anchors())


def test_a_wrong_correction_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a correction nine of fifteen are rejected."""
    monkeypatch.setattr(anchors_selection, "adjusted", lambda p, m: np.asarray(p))
    rows = multiplicity_anchors()
    assert rows[0].computed == 9 and not any(a.passed for a in rows)


def test_a_wrong_monitor_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference value of .4 misses each run length; an alarm one observation late misses its index."""
    arl, lengths = anchors_selection.cusum_arl, anchors_selection.cusum_run_lengths

    def other(function: Any) -> Any:
        return lambda shift, *, k, h, **more: function(shift, k=0.4, h=h, **more)

    monkeypatch.setattr(anchors_selection, "cusum_arl", other(arl))
    monkeypatch.setattr(anchors_selection, "cusum_run_lengths", other(lengths))
    assert not any(a.passed for a in run_length_anchors())
    stream = river_stream()
    monkeypatch.setattr(anchors_selection, "river_stream", lambda: np.r_[stream[:1], stream])
    assert [a.passed for a in stream_anchors()][1] is False
    assert page_hinkley.FOLD.scan(stream)[1006] > 0.0


def test_the_stream_is_that_of_the_documentation() -> None:
    """Drawn with Python's own generator."""
    rng = Random(12345)
    assert river_stream().tolist() == rng.choices([0, 1], k=1000) + rng.choices(range(4, 8), k=1000)
