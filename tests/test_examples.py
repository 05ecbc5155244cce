"""Examples and the README's own code are run: what is shown works."""

from __future__ import annotations

import inspect
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import oneprice as op

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_example_runs(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each example runs to its end, says something, and its own assertions hold."""
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out.strip()


def test_there_are_examples() -> None:
    """The folder is not empty, so the test above tests something."""
    assert {p.stem for p in EXAMPLES} >= {"cross_market_replay", "own_strategy", "import_csv", "audit_world"}


def test_readme_code_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The strategy in README.md runs as it stands and its books close."""
    (code,) = (block for block in readme_code() if "@op.strategy" in block)
    file = tmp_path / "readme_code.py"
    file.write_text(code)
    names = runpy.run_path(str(file))
    assert names["run"].closes() == 0
    assert "total" in capsys.readouterr().out


def readme_code() -> list[str]:
    """The Python blocks of README.md."""
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_readme_screen_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The screen of README.md finds two planted pairs; its walk-forward asks only for settings that there are.

    The same walk-forward call runs in examples/walk_forward.py, above.
    """
    rng = np.random.default_rng(5)
    logs = np.cumsum(rng.normal(0, 0.01, (560, 4)), axis=0)
    for left in (0, 2):
        gap = np.zeros(560)
        for t in range(1, 560):
            gap[t] = 0.85 * gap[t - 1] + rng.normal(0, 0.012)
        logs[:, left] = logs[:, left + 1] + gap
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 1, 1) + pl.duration(days=559), eager=True)
    columns = {name: 40 * np.exp(logs[:, i]) for i, name in enumerate(("XOM", "CVX", "KO", "PEP"))}
    pl.DataFrame({"date": days, **columns}).write_parquet(tmp_path / "prices.parquet")
    (code,) = (block for block in readme_code() if "walk_forward" in block)
    monkeypatch.chdir(tmp_path)
    asked: list[dict[str, Any]] = []
    told = inspect.signature(op.walk_forward)
    monkeypatch.setattr(op, "walk_forward", lambda *a, **k: asked.append(told.bind(*a, **k).arguments), raising=False)
    (tmp_path / "readme_walk.py").write_text(code)
    made = runpy.run_path("readme_walk.py")
    assert made["found"].tests == 2 and made["found"].significant == 2
    assert asked[0]["prices"] is made["prices"] and isinstance(asked[0]["select"], op.PairSelection)
