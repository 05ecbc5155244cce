"""Replay = live, byte for byte: simulate, record, then feed the record event by event and in one loop."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from oneprice.core.records import COMMAND, EVENT, ROW
from oneprice.engine.live import finish, live_step
from oneprice.market.synthetic import two_venues
from oneprice.modes.paper import paper
from oneprice.modes.replay import engine_for, replay
from oneprice.modes.rerun import rerun
from oneprice.execution.latency import constant
from oneprice.modes.run import Run
from oneprice.strategies.cross_market import cross_market

LATENCY = constant(2_000, 2_000)


def tapes(minutes: float, seed: int = 5) -> list:
    """A small two-venue world as tapes."""
    return list(two_venues(seed, minutes).tapes)


def merged(chosen: list, run: Run) -> np.ndarray:
    """All events of a run in the order of the tie rule: venue data before private events of the same nanosecond."""
    parts = [t.events for t in chosen] + [run.events]
    rows = np.concatenate(parts, dtype=EVENT)
    rank = np.repeat(np.arange(len(parts)), [len(p) for p in parts])
    return rows[np.lexsort((rank, rows["receive_ns"]))]


def stepped(chosen: list, run: Run, strategies: list) -> tuple[bytes, np.ndarray]:
    """Feed every event through `live_step` from Python; returns the state's bytes and the commands."""
    engine = engine_for(chosen, strategies, limits=run_limits(run))
    events = merged(chosen, run)
    base, n = int(events.ctypes.data), len(engine.entries)
    state, entries = engine.arena.address, int(engine.entries.ctypes.data)
    out = []
    for i in range(len(events)):
        if live_step(state, base + i * EVENT.itemsize, entries, n):
            out.append(engine.arena.drain())
    finish(state)
    out.append(engine.arena.drain())
    rows = np.concatenate(out, dtype=out[0].dtype)
    return engine.arena.snapshot(), rows[rows["kind"] == COMMAND]


def run_limits(run: Run) -> object:
    from oneprice.risk.limits import limits_from

    return limits_from(run.manifest.limits)


@pytest.mark.parametrize("strategies", [[cross_market], [cross_market, cross_market(edge_bp=1.0, k_sigma=2.0)]])
def test_live_step_equals_simulation(strategies: list, tmp_path: Path) -> None:
    """Commands and state bytes of simulate, live_step and compiled replay are equal, also with two strategies."""
    chosen = tapes(4.0)
    run = replay(strategies, chosen, latency=LATENCY, out=tmp_path)
    assert len(run.commands()) > 4
    assert run.closes() == 0
    snapshot = run.engine.arena.snapshot()
    state, commands = stepped(chosen, run, strategies)
    assert commands.tobytes() == run.commands().tobytes()
    assert state == snapshot
    again = rerun(tmp_path, tapes=chosen, strategies=strategies)
    assert again.equal, str(again)


def test_paper_equals_replay(tmp_path: Path) -> None:
    """The live driver, one event at a time, does what the compiled simulation does."""
    chosen = tapes(2.0)
    run = replay(cross_market, chosen, latency=LATENCY)
    live = paper(cross_market, chosen, latency=LATENCY, speed=0, out=tmp_path, durability="async")
    assert live.commands().tobytes() == run.commands().tobytes()
    assert live.events.tobytes() == run.events.tobytes()
    assert live.engine.arena.snapshot() == run.engine.arena.snapshot()
    assert rerun(tmp_path, tapes=chosen, strategies=[cross_market]).equal
