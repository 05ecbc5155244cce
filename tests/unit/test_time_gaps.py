"""Silences inside a tape: found exactly, explained by a status or a session, told in every report of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine_kit import LATENCY, MS, START, S, status, steady, tape, top, tricky
from oneprice.core.records import CLOSED_SESSION, OPEN, PAUSED
from oneprice.market.quality import gap_warning, time_gaps
from oneprice.modes.paper import paper
from oneprice.modes.replay import replay
from oneprice.modes.rerun import rerun

HOUR = 3_600 * S


def holed(n: int = 300, at: int = 100, hole_ns: int = HOUR, step_ns: int = 10 * MS) -> list[np.ndarray]:
    """`n` quotes with a silence in front of quote `at`."""
    return [top(i * step_ns + (hole_ns if i >= at else 0)) for i in range(n)]


@pytest.mark.parametrize("at", [1, 63, 64, 65, 128, 299])
def test_a_gap_is_found_wherever_it_lies(at: int) -> None:
    """Also across the blocks in which a tape is looked at."""
    found = time_gaps(tape("a", holed(at=at)))
    assert found.tolist() == [[START + (at - 1) * 10 * MS, START + at * 10 * MS + HOUR]]


def test_what_is_usual_is_no_gap() -> None:
    """A minute or less, and steps of any size that are the rule: hours between rows, a weekend between days."""
    assert not len(time_gaps(steady("a", 300)))
    assert not len(time_gaps(tape("a", holed(hole_ns=59 * S))))
    assert not len(time_gaps(steady("a", 300, step_ns=HOUR)))
    days = [top((d + 2 * (d // 5)) * 24 * HOUR) for d in range(300)]
    assert not len(time_gaps(tape("a", days)))
    assert not len(time_gaps(tape("a", [top(0)]))) and not len(time_gaps(tape("a", [top(0), top(HOUR)])))


@pytest.mark.parametrize("state", [PAUSED, CLOSED_SESSION])
def test_a_status_explains_it(state: int) -> None:
    """Closed or paused before it: no gap. Opened again before it: a gap."""
    closed = sorted([*holed(), status(995 * MS, state)], key=lambda r: int(r["receive_ns"][0]))
    assert not len(time_gaps(tape("a", closed)))
    opened = sorted([*closed, status(996 * MS, OPEN)], key=lambda r: int(r["receive_ns"][0]))
    assert len(time_gaps(tape("a", opened))) == 1


def test_a_session_explains_it() -> None:
    """Rows begin at 22:13 UTC: sessions that close behind the gap's start explain it, one that is open does not."""
    for session in (((1_320, 1_335),), ((60, 120), (1_320, 1_380)), ((0, 60),)):
        assert not len(time_gaps(tape("a", holed(), session=session)))
    for session in (((1_320, 1_440),), ((60, 120), (1_300, 1_500))):
        assert len(time_gaps(tape("a", holed(), session=session))) == 1


def test_a_run_over_a_gap_says_so(tmp_path: Path) -> None:
    """Replay and paper run through it, close their books and warn; so does the rerun of the journal."""
    tapes = [tape("a", holed()), steady("b")]
    run = replay(tricky, tapes, latency=LATENCY, out=tmp_path)
    (text,) = run.to_dict()["warnings"]
    assert text == gap_warning(tapes[0]) and text.startswith("a:XYZ-USD: a gap in time") and "3,600 s" in text
    assert f"warning: {text}" in run.summary() and run.closes() == 0
    again = rerun(tmp_path, tapes=tapes, strategies=[tricky])
    assert again.equal and again.run.to_dict()["warnings"] == [text]
    assert paper(tricky, tapes, latency=LATENCY, speed=0).to_dict()["warnings"] == [text]
    assert replay(tricky, [steady("a")], latency=LATENCY).to_dict()["warnings"] == []
    assert "2 gaps in time" in gap_warning(tape("a", [*holed(), top(5 * HOUR), top(5 * HOUR + MS)]))
