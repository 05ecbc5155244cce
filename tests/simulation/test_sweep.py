"""Sweeps: every try counted, executors equal to one after another, and the map in the form reports read."""

from __future__ import annotations

import json
import math
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from oneprice.core.errors import ConfigError
from oneprice.core.instruments import Fees
from oneprice.market.synthetic import two_venues
from oneprice.market.tape import Tape, write_tape
from oneprice.market.tapeset import open_tapes
from oneprice.strategies.cross_market import cross_market
from oneprice.study.sweep import Sweep, scale_fees, sweep

GRID = {"latency_ms": (1.0, 200.0), "fee_scale": (0.0, 1.0), "qty": (0.05, 0.1)}


@lru_cache(maxsize=1)
def tapes() -> tuple[Tape, ...]:
    return tuple(two_venues(3, 1.0, real_per_minute=8.0).tapes)


@lru_cache(maxsize=1)
def base() -> Sweep:
    return sweep(cross_market, tapes(), **GRID, seed=1)


def test_every_point_is_a_try_that_closes() -> None:
    """The grid is complete, in order, each replay's books close, and tries made before count."""
    found = base()
    assert found.tries == len(found.points) == 8
    assert [p.setting for p in found.points] == [
        {"qty": q, "latency_ms": x, "fee_scale": y}
        for q in GRID["qty"]
        for x in GRID["latency_ms"]
        for y in GRID["fee_scale"]
    ]
    assert all(p.closes for p in found.points)
    assert any(p.fills for p in found.points)
    assert sweep(cross_market, tapes(), tries_before=5, seed=1).tries == 6


def test_costs_and_latency_only_hurt() -> None:
    """Without fees more is earned than with them, at once more than 200 ms later."""
    pnl = {(c["size"], c["latency_ms"], c["fee_bp"]): c["pnl"] for c in base().map()}
    for size in GRID["qty"]:
        assert pnl[size, 1.0, 0.0] > pnl[size, 1.0, 1.0] > pnl[size, 200.0, 1.0]
    assert {f for _, _, f in pnl} == {0.0, 1.0}


def test_executors_give_the_same(tmp_path: Path) -> None:
    """Threads, and pickled tasks with tapes on disk, equal the serial sweep bit for bit."""
    for tape in tapes():
        write_tape(tmp_path, tape)
    on_disk = open_tapes(tmp_path)
    with ThreadPoolExecutor(2) as pool:
        threads = sweep(cross_market, tapes(), **GRID, seed=1, executor=pool)
    pickled = sweep(cross_market, on_disk, **GRID, seed=1, executor=ThroughPickle())
    for other in (threads, pickled):
        assert [p.pnl for p in other.points] == [p.pnl for p in base().points]
        assert [p.fills for p in other.points] == [p.fills for p in base().points]


class ThroughPickle(Executor):
    """What a process pool does to a task, without the process."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        import pickle

        function, sent, more = pickle.loads(pickle.dumps((fn, args, kwargs)))
        done: Future[Any] = Future()
        done.set_result(pickle.loads(pickle.dumps(function(*sent, **more))))
        return done


def test_written_for_the_report(tmp_path: Path) -> None:
    """sweep.json holds the count of tries, the unit and one map cell a point; numbers are finite or null."""
    path = base().write(tmp_path)
    text = json.loads(path.read_text())
    assert text["tries"] == 8 and text["unit"] == "USD"
    assert len(text["map"]) == len(text["rows"]) == 8
    assert set(text["map"][0]) == {"latency_ms", "fee_bp", "size", "pnl"}
    assert "NaN" not in path.read_text()
    assert base().to_frame().height == 8
    assert "8 tries" in str(base())


def test_deflated_counts_all_tries() -> None:
    """The best ratio is held against as many tries as were made; more tries before lower its probability."""
    found = base().deflated()
    assert found.tries == 8 and 0.0 <= found.probability <= 1.0
    assert found.sharpe == max(p.moments.sharpe for p in base().points if math.isfinite(p.moments.sharpe))
    more = sweep(cross_market, tapes(), **GRID, seed=1, tries_before=10_000).deflated()
    assert more.expected_best > found.expected_best
    assert more.probability < found.probability


def test_bad_grids_are_refused() -> None:
    """Misspelt parameters are listed; empty axes and negative latencies say what was expected."""
    with pytest.raises(ConfigError, match="did you mean 'edge_bp'"):
        sweep(cross_market, tapes(), edge_pb=[1])
    with pytest.raises(ConfigError, match="qty: expected at least one value"):
        sweep(cross_market, tapes(), qty=[])
    with pytest.raises(ConfigError, match="latency_ms: expected finite"):
        sweep(cross_market, tapes(), latency_ms=[-1.0])
    assert scale_fees(Fees(maker_bp="-0.5", taker_bp=2), 0.5) == Fees("-0.25", "1.0", "0.0", "0.0", "0.0")


def test_strategy_that_cannot_be_imported() -> None:
    """Other processes import a strategy by name; one that has none is refused before anything is sent."""
    from oneprice.execution.strategy import strategy

    @strategy(qty=1.0)
    def local(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
        m.unused = 1

    with pytest.raises(ConfigError, match="top level of a module"):
        sweep(local, tapes(), executor=ThroughPickle())
