"""Anchor I04 and Kelly's share: every row passes, and a wrong rule does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneprice.study import anchors_capital
from oneprice.study.anchors_capital import CASES, capital_anchors, long_run
from oneprice.study.verify import PASS, verify


def test_every_row_passes() -> None:
    """The group of `oneprice verify`: growth within 5 % in four cases, never below the floor, Kelly to the digits."""
    rows = verify(names=["capital"], data=Path("nowhere"))
    assert [r.id for r in rows if r.verdict != PASS] == []
    assert len(rows) == 2 * len(CASES) + 1


def test_wealth_itself_grows_like_that() -> None:
    """Within a fifth after 400 years: what is left is how deep below its peak it stands at the end."""
    for k, floor in CASES:
        _, wealth, least = long_run(k, floor)
        assert wealth == pytest.approx((1 - floor) * (k * 0.08 - 0.02 * k * k), rel=0.2) and least >= 1.0


def test_a_wrong_floor_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A floor of .7 where .8 is stated grows by half more: the growth of each case fails and nothing else does."""
    real = anchors_capital.long_run
    monkeypatch.setattr(anchors_capital, "long_run", lambda k, floor: real(k, floor - 0.1))
    failed = {a.id for a in capital_anchors(Path("nowhere")) if not a.passed}
    assert {f"I04.k{k:g}_a{floor:g}.growth" for k, floor in CASES} == failed
