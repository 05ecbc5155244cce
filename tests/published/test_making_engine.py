"""The paper's market and a race with a closed form, through the whole engine: what `oneprice verify` shows."""

from __future__ import annotations

import math

import pytest

from oneprice.core.errors import ConfigError
from oneprice.study.anchors_market import Anchor
from oneprice.study.making_paths import SHORT_S, paper_outcome
from oneprice.study.making_world import World, population
from oneprice.study.verify import PASS, verify

PATHS = 120


def test_every_row_passes_and_a_wrong_number_fails() -> None:
    """All rows hold; who reads the half spread as the whole one would be found out by the first."""
    rows = verify(names=("making",))
    assert len(rows) == 7 and all(r.verdict == PASS for r in rows), [r for r in rows if r.verdict != PASS]
    first = rows[0]
    wrong = population(World(share=0.5, dt_s=SHORT_S)).profit
    assert abs(wrong - first.computed) > 2.0 * first.tolerance
    assert not Anchor(first.id, "", wrong, first.computed, first.tolerance).passed


def test_a_maker_without_a_view_holds_more() -> None:
    """The symmetric twin earns the paper's symmetric profit with its far wider inventory; every book closes."""
    found = paper_outcome(World(), PATHS, 7, symmetric=True)
    end = population(World(maker="symmetric", dt_s=SHORT_S))
    assert found.closes
    assert found.profit.mean() == pytest.approx(end.profit, abs=3.5 * found.error)
    assert found.held.std() == pytest.approx(end.q_sd, rel=0.25)
    assert found.held.std() > 2.0 * population(World(dt_s=SHORT_S)).q_sd
    assert abs(found.held.mean()) < 3.5 * found.held.std() / math.sqrt(PATHS)


def test_one_path_has_no_error() -> None:
    """Refused with what was expected."""
    with pytest.raises(ConfigError, match="paths: expected 2 or more, got 1"):
        paper_outcome(World(), 1, 0)
