"""Replay = live, byte for byte: simulate, record, then feed the record event by event and in one loop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import engine_kit as kit
from oneprice.core.records import COMMAND, EVENT, OPERATOR
from oneprice.engine import loop
from oneprice.engine.live import finish, live_step
from oneprice.engine.simulate import ROWS_AN_EVENT
from oneprice.engine.state import Settings
from oneprice.execution.latency import constant
from oneprice.market.synthetic import two_venues
from oneprice.modes.paper import paper
from oneprice.modes.replay import engine_for, replay
from oneprice.modes.rerun import rerun
from oneprice.modes.run import Run
from oneprice.risk.limits import limits_from
from oneprice.strategies.cross_market import cross_market

LATENCY = constant(2_000, 2_000)


def tapes(minutes: float, seed: int = 5) -> list:
    """A small two-venue world as tapes."""
    return list(two_venues(seed, minutes).tapes)


def merged(chosen: list, run: Run) -> np.ndarray:
    """All events of a run by the tie rule: venue data before private events of the same nanosecond."""
    parts = [t.events for t in chosen] + [run.events]
    rows = np.concatenate(parts, dtype=EVENT)
    rank = np.repeat(np.arange(len(parts)), [len(p) for p in parts])
    return rows[np.lexsort((rank, rows["receive_ns"]))]


def stepped(chosen: list, run: Run, strategies: list) -> tuple[bytes, np.ndarray]:
    """Feed every event through `live_step` from Python; returns the state's bytes and the commands."""
    engine = engine_for(chosen, strategies, limits=limits_from(run.manifest.limits))
    events = merged(chosen, run)
    base = int(events.ctypes.data)
    state, entries = engine.arena.address, int(engine.entries.ctypes.data)
    out = []
    for i in range(len(events)):
        if live_step(state, base + i * EVENT.itemsize, entries):
            out.append(engine.arena.drain())
    finish(state)
    out.append(engine.arena.drain())
    rows = np.concatenate(out, dtype=out[0].dtype)
    return engine.arena.snapshot(), rows[rows["kind"] == COMMAND]


@pytest.mark.parametrize(
    "strategies", [[cross_market], [cross_market, cross_market(edge_bp=1.0, k_sigma=2.0)]]
)
def test_live_step_equals_simulation(strategies: list, tmp_path: Path) -> None:
    """Commands and state bytes of simulate, live_step and rerun are equal, also with two strategies."""
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


@pytest.mark.slow
def test_a_million_events_in_two_processes() -> None:
    """Simulation, `live_step` and rerun agree over a million rows, and under other hash seeds."""
    script = Path(__file__).with_name("parity_child.py")
    path = os.pathsep.join([str(script.parents[1]), os.environ.get("PYTHONPATH", "")])
    children = [
        subprocess.Popen(
            [sys.executable, "-W", "error", str(script), "37"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
        )
        for seed in ("0", "12345")
    ]
    texts = [child.communicate(timeout=300) for child in children]
    assert all(child.returncode == 0 for child in children), texts
    first, second = (json.loads(out) for out, _ in texts)
    assert first["rows"] >= 1_000_000 and first["commands"] > 100 and first["fills"] > 50
    assert first["simulated"] == first["rerun"] == first["stepped"]
    assert first["closes"] == 0
    assert first == second


def test_chunks_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many events a call folds depends on the machine and the sink's room; rows, events, state do not."""
    chosen = tapes(2.0)
    run = replay(cross_market, chosen, latency=LATENCY)
    assert len(run.events)
    tight = replay(cross_market, chosen, latency=LATENCY, settings=Settings(sink_rows=ROWS_AN_EVENT + 8))
    monkeypatch.setattr(loop, "CHUNK_EVENTS", 777)
    monkeypatch.setattr(loop, "CHUNK_S", 1e-9)
    small = replay(cross_market, chosen, latency=LATENCY)
    for other in (tight, small):
        assert run.events.tobytes() == other.events.tobytes()
        assert run.rows.tobytes() == other.rows.tobytes()
        assert run.engine.arena.snapshot() == other.engine.arena.snapshot()


class StopAt(threading.Event):
    """Set from the n-th look on."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self._left = n

    def is_set(self) -> bool:
        self._left -= 1
        return self._left < 0


@pytest.mark.parametrize("looks", [0, 4, 5, 6, 7, 20])
def test_a_stop_on_paper_reruns(looks: int, tmp_path: Path) -> None:
    """Wherever a stop falls, also between two legs' rows of one nanosecond, the journal folds to the same."""
    chosen = [kit.steady("a"), kit.steady("b")]
    wants = kit.tricky(trick=kit.QUOTES_ALWAYS, at=2, price=99.0)
    live = paper(
        wants, chosen, latency=kit.LATENCY, speed=0, out=tmp_path, stop=StopAt(looks), durability="async"
    )
    assert live.n_market < 100, "it stopped"
    assert (live.events["kind"] == OPERATOR).sum() == 1
    assert int(live.engine.state["blotter"]["n_open_orders"]) == 0
    again = rerun(tmp_path, tapes=chosen, strategies=[wants])
    assert again.equal, str(again)
