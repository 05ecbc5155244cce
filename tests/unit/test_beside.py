"""The second process that compiles beside this one: told what is done, never left alone, never needed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from oneprice.core.beside import beside

_MODULE = """
import os, time
from pathlib import Path
HERE = Path(__file__).parent
def write():
    (HERE / "pid").write_text(str(os.getpid()))
def fail():
    raise RuntimeError("no")
def sleep():
    time.sleep(60)
"""


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of tasks that the second process can import."""
    (tmp_path / "beside_tasks.py").write_text(_MODULE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    return tmp_path


def gone(pid: int) -> bool:
    """Whether a process ends within ten seconds."""
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        stat = Path(f"/proc/{pid}/stat")
        if stat.is_file() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return True  # ended, its parent has not looked yet
        time.sleep(0.05)
    return False


@pytest.mark.usefixtures("tasks")
def test_a_failed_task_is_told_and_does_no_harm() -> None:
    """Tasks before the failure are done, the failed one and those after are not; a misspelt one is the same."""
    with beside("beside_tasks:write", "beside_tasks:fail", "beside_tasks:write2") as wait:
        assert wait("beside_tasks:write") and wait("beside_tasks:write")
        assert not wait("beside_tasks:fail") and not wait("beside_tasks:write2")


def test_leaving_the_block_ends_the_second_process(tasks: Path) -> None:
    """An error here, Ctrl-C among them, leaves nothing running."""
    with pytest.raises(KeyboardInterrupt), beside("beside_tasks:write", "beside_tasks:sleep") as wait:
        assert wait("beside_tasks:write")
        raise KeyboardInterrupt
    assert gone(int((tasks / "pid").read_text()))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a kill that cannot be caught")
def test_a_killed_first_process_leaves_no_orphan(tasks: Path) -> None:
    """The pipe between them closes with the first, however it ends."""
    code = (
        "from oneprice.core.beside import beside\n"
        "with beside('beside_tasks:write', 'beside_tasks:sleep') as wait:\n"
        "    wait('beside_tasks:write'); print('there', flush=True); wait('beside_tasks:sleep')\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None and first.stdout.readline().strip() == "there"
        first.kill()
    assert gone(int((tasks / "pid").read_text()))


def test_without_an_interpreter_nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no process can be started this one does the work."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with beside("a:b") as wait:
        assert not wait("a:b")
