"""What the benchmarks say must be what was measured: verdicts, missing data, equal rows for the other engine."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from oneprice.cli.main import app
from oneprice.core.errors import ConfigError
from oneprice.core.records import EVENT, TRADE
from oneprice.market.synthetic import to_hftbacktest
from oneprice.study import bench
from oneprice.study.bench_cointegration import cointegration_bench
from oneprice.study.bench_filters import garch_figure, kalman_figure
from oneprice.study.bench_reversion import hurst_figure, variance_figure
from oneprice.study.bench_rival import real, versus
from oneprice.study.bench_screen import grid_figure
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


def test_parts_are_chosen_by_group_or_name() -> None:
    """Each part once, in the order of the table; no name means all; a misspelt one is told the list."""
    every = [name for group in bench.GROUPS.values() for name in group]
    assert len(set(every)) == len(every) and not set(every) & set(bench.GROUPS)
    assert list(bench.chosen()) == every
    assert list(bench.chosen(["scale", "filters", "filters"])) == ["filters", "scale"]
    assert list(bench.chosen(["microstructure"])) == ["making", "orders", "features", "calibration"]
    assert list(bench.chosen(["statistics", "grid", "rows"])) == ["rows", *bench.GROUPS["statistics"]]
    with pytest.raises(ConfigError, match=r"'statistic'.*captures.*engine.*statistics.*mean 'statistics'"):
        bench.chosen(["grid", "statistic"])


def test_sizes_of_quick_and_full_runs() -> None:
    """A quick run is bounded, a full one takes what is asked for."""
    full, quick = bench.sizes_of(5_000_000, 3), bench.sizes_of(5_000_000, 3, quick=True)
    assert (full.rows, full.part) == (5_000_000, 1_000_000)
    assert (quick.rows, quick.part, quick.quick) == (400_000, 200_000, True)


RIVALS = ("statsmodels", "arch", "arch.unitroot", "filterpy", "hurst", "vectorbt", "hftbacktest")


def test_what_is_not_installed_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every comparison without its other side has a line, no figure, no pass, and the way to install it."""
    for name in RIVALS:
        monkeypatch.setitem(sys.modules, name, None)
    walks = np.zeros((2, 50))
    found = [
        *cointegration_bench(),
        kalman_figure(1, 20),
        garch_figure(1, 50),
        hurst_figure(walks, 1, True),
        variance_figure(walks, 1),
        grid_figure(1),
        *versus(2_000, 1),
    ]
    assert len(found) == 10
    for f in found:
        assert f.verdict == "not measured" and f.note.startswith("install oneprice[bench]"), f
    with pytest.raises(ConfigError, match="install oneprice"):
        bench.fills(2_000)


def call(monkeypatch: pytest.MonkeyPatch, figures: dict[str, Figure], *words: str) -> Any:
    """`oneprice bench` over parts that measure nothing."""
    table = {name: (lambda sizes, f=f: [f]) for name, f in figures.items()}
    monkeypatch.setattr(bench, "GROUPS", {"statistics": table})
    return CliRunner().invoke(app, ["bench", *words])


def test_the_verb_runs_what_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the parts named; status 1 for a broken bound, 0 for one that was not measured, 2 for a misspelt name."""
    figures = {
        "good": Figure("g", 3.0, "x", 2.0, LEAST),
        "slow": Figure("s", 1.0, "x", 2.0, LEAST),
        "gone": Figure("n", None, "x", 2.0, LEAST, "install oneprice[bench]"),
    }
    done = call(monkeypatch, figures, "--only", "good", "--only", "gone", "--json")
    assert done.exit_code == 0
    assert [(b["name"], b["verdict"]) for b in json.loads(done.stdout)["benchmarks"]] == [
        ("g", "holds"),
        ("n", "not measured"),
    ]
    done = call(monkeypatch, figures, "--only", "statistics")
    assert done.exit_code == 1 and "1 holds, 1 broken, 0 shown, 1 not measured" in done.stdout
    done = call(monkeypatch, figures, "--only", "god")
    assert done.exit_code == 2 and "did you mean 'good'" in done.stderr
    assert call(monkeypatch, figures, "--only", "good", "--fills").exit_code == 2
