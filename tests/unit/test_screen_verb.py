"""`oneprice screen` on files: table, JSON, page, checkpoint, errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from oneprice.cli.main import app

T = 240


def call(*words: str) -> Any:
    return CliRunner().invoke(app, ["screen", *words])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Prices with two planted pairs, a constant and a twin; groups."""
    rng = np.random.default_rng(11)
    frame: dict[str, Any] = {"date": pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 8, 27), eager=True)}
    groups = []
    for g in range(2):
        common = np.cumsum(rng.normal(0, 0.01, T))
        gap, shocks = np.zeros(T), rng.normal(0, 0.004, T)
        for t in range(1, T):
            gap[t] = 0.6 * gap[t - 1] + shocks[t]
        for name, path in (("A", common), ("B", common + gap), ("W", np.cumsum(rng.normal(0, 0.01, T)))):
            frame[f"G{g}{name}"] = np.exp(3 + path)
            groups.append((f"G{g}{name}", f"g{g}"))
    table = pl.DataFrame(frame).with_columns(K=pl.lit(1.0), T=pl.col("G0A") * 2)
    table.write_csv(tmp_path / "p.csv")
    pl.DataFrame(groups, schema=["symbol", "group"], orient="row").write_csv(tmp_path / "g.csv")
    return tmp_path


def test_groups_from_a_file(folder: Path) -> None:
    """Both planted pairs are discoveries; exclusions and the header are printed; the page is written."""
    words = [str(folder / "p.csv"), "--family", str(folder / "g.csv"), "--half-life", "0.5..30d", "--cost-bp", "2"]
    done = call(*words, "--about", "adjusted=splits", "--out", str(folder / "run"))
    assert done.exit_code == 0, done.stderr
    assert done.stdout.count("  discovery  ") == 2 and "excluded K: constant at 1" in done.stdout
    assert "excluded T: exactly 2 times G0A" in done.stdout and "adjusted: splits" in done.stdout
    assert "6 series x 240 times, 6 tests of 6 pairs" in done.stdout and "basket g0" in done.stdout
    assert (folder / "run" / "screen.html").read_text().startswith("<!doctype html>")
    told = json.loads(call(*words, "--json", "--no-baskets").stdout)
    assert told["survivors"] == [f"{r['y']}/{r['x']}" for r in told["pairs"] if r["verdict"] == "discovery"]
    assert told["header"]["source"] == "p.csv" and told["baskets"] == [] and told["lags"] == 1


def test_a_grid_with_a_checkpoint_and_processes(folder: Path) -> None:
    """The same ranking here and in two processes; the checkpoint is left complete and refused by other settings."""
    words = [str(folder / "p.csv"), "--family", "grid", "--json"]
    here = json.loads(call(*words, "--resume", str(folder / "c.npz")).stdout)
    there = json.loads(call(*words, "--jobs", "2").stdout)
    for told in (here, there):
        told.pop("pairs_per_s")
    assert here == there and here["ranking"] and here["tests"] == 15 and (folder / "c.npz").is_file()
    done = call(*words, "--resume", str(folder / "c.npz"), "--keep", "3")
    assert done.exit_code == 2 and json.loads(done.stdout)["error"] == "ConfigError"


def test_power_of_this_length_is_stated(folder: Path) -> None:
    """--power: known pairs of four half-lives among walks of the same length; the fast ones are found more often."""
    words = [str(folder / "p.csv"), "--family", str(folder / "g.csv"), "--no-baskets", "--power"]
    rows = json.loads(call(*words, "--json").stdout)["power"]
    assert [r["half_life"] for r in rows] == [5, 10, 20, 40] and {r["n_obs"] for r in rows} == {T}
    assert rows[0]["power"] > rows[3]["power"] + 0.2 and all(r["planted"] == 200 for r in rows)
    assert call(*words).stdout.count("power at 240 times") == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--family", "sectors.csv"], "there is no file"),
        (["--half-life", "5"], "expected least..most"),
        (["--about", "sauce=x"], "unknown header field"),
        (["--align", "asof"], "unknown align"),
        (["--space", "ratio"], "unknown space"),
    ],
)
def test_errors_are_one_message(folder: Path, words: list[str], message: str) -> None:
    """Status 2 and what was expected."""
    done = call(str(folder / "p.csv"), *words)
    assert done.exit_code == 2 and message in done.stderr and done.stdout == ""


def test_a_file_without_groups(folder: Path) -> None:
    """The columns of a groups file are said."""
    done = call(str(folder / "p.csv"), "--family", str(folder / "p.csv"))
    assert done.exit_code == 2 and "expected columns symbol and group" in done.stderr
