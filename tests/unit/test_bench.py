"""What the benchmarks say must be what was measured: verdicts, missing data, equal rows for the other engine."""

from __future__ import annotations

import numpy as np

from oneprice.core.records import EVENT, TRADE
from oneprice.market.synthetic import to_hftbacktest
from oneprice.study.bench_rival import real
from oneprice.study.bench_time import LEAST, MOST, Figure, interleaved

EXCHANGE, LOCAL = np.uint64(1 << 31), np.uint64(1 << 30)


def test_verdicts() -> None:
    """A bound holds on its own side; without one a figure is only shown; nothing measured is no pass."""
    assert Figure("a", 1.5, "x", 1.5, LEAST).verdict == "holds"
    assert Figure("a", 1.49, "x", 1.5, LEAST).verdict == "broken"
    assert Figure("a", 15.0, "ns", 15.0, MOST).verdict == "holds"
    assert Figure("a", 15.1, "ns", 15.0, MOST).verdict == "broken"
    assert Figure("a", 3.0, "ns").verdict == "shown"
    assert Figure("a", None, "x", 1.5, LEAST).verdict == "not measured"


def test_interleaved_takes_turns_and_medians() -> None:
    """One run of each in turn; the median ignores one slow turn."""
    turns: list[str] = []
    times = {"a": iter([1.0, 9.0, 2.0]), "b": iter([5.0, 5.0, 5.0])}

    def run(name: str) -> tuple[float, int]:
        turns.append(name)
        return next(times[name]), len(turns)

    seconds, last = interleaved({"a": lambda: run("a"), "b": lambda: run("b")}, 3)
    assert "".join(turns) == "ababab"
    assert seconds == {"a": 2.0, "b": 5.0}
    assert last == {"a": 5, "b": 6}


def test_without_data_the_lines_say_so() -> None:
    """No figure and the reason, a line for each comparison."""
    found = real(None, 1)
    assert len(found) == 4
    assert all(f.verdict == "not measured" and "no data" in f.note for f in found)


def test_rows_that_go_back_serve_each_processor_in_its_order() -> None:
    """Split: exchange rows sorted by exchange time, local rows by receive time, every row once on each side."""
    rng = np.random.default_rng(3)
    rows = np.zeros(500, EVENT)
    rows["kind"], rows["side"] = TRADE, 1
    rows["receive_ns"] = np.sort(rng.integers(10_000, 90_000, 500))
    rows["exchange_ns"] = rows["receive_ns"] - rng.integers(1, 3_000, 500)
    rows["price"] = np.arange(500)
    out = to_hftbacktest(rows, 1.0, 1.0, split=True)
    venue, local = out[(out["ev"] & EXCHANGE) != 0], out[(out["ev"] & LOCAL) != 0]
    assert (np.diff(venue["exch_ts"]) >= 0).all()
    assert (np.diff(local["local_ts"]) >= 0).all()
    assert local["px"].tolist() == list(range(500))
    assert sorted(venue["px"].tolist()) == list(range(500))
    assert len(out) > 500
