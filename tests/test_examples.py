"""Examples and the README's own code are run: what is shown works."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

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
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    file = tmp_path / "readme_code.py"
    file.write_text(code)
    names = runpy.run_path(str(file))
    assert names["run"].closes() == 0
    assert "total" in capsys.readouterr().out
