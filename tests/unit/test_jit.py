"""The JIT cache: an edited callee in another file must never leave a stale hit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from oneprice.core import jit

_CALLEE = """from oneprice.core.jit import njit

@njit
def rate(x):
    return x * {factor}
"""
_CALLER = """from oneprice.core.jit import njit
from oneprice.lib import (
    rate,  # from another file
)

@njit
def run(x):
    return rate(x) + 1
"""


def copy_package(tmp_path: Path) -> Path:
    """A package named oneprice with copies of core/jit.py and what it needs, a callee and a caller in own files."""
    root = tmp_path / "oneprice"
    (root / "core").mkdir(parents=True)
    for name in ("jit.py", "callee.py", "lean.py", "lean_typing.py"):
        shutil.copy(Path(jit.__file__).with_name(name), root / "core" / name)
    (root / "__init__.py").write_text("")
    (root / "core" / "__init__.py").write_text("")
    (root / "lib.py").write_text(_CALLEE.format(factor=10))
    (root / "use.py").write_text(_CALLER)
    return root


def fresh_process(tmp_path: Path, code: str) -> list[int]:
    """What a new Python process over the copied package prints."""
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "ONEPRICE_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


_OURS = "from oneprice.use import run; r = run(4); s = run.stats; print(r, s.cache_hits.total())"


def test_edited_callee_gives_the_new_result(tmp_path: Path) -> None:
    """Two processes, the callee's file edited between them: the second computes with the new text."""
    root = copy_package(tmp_path)
    assert fresh_process(tmp_path, _OURS) == [41, 0]
    assert fresh_process(tmp_path, _OURS) == [41, 1]
    (root / "lib.py").write_text(_CALLEE.format(factor=20))
    assert fresh_process(tmp_path, _OURS) == [81, 0]
    (root / "lib.py").write_text(_CALLEE.format(factor=10))
    assert fresh_process(tmp_path, _OURS) == [41, 1]


def test_plain_numba_is_stale(tmp_path: Path) -> None:
    """The control: numba's own cache keeps the old callee. When this fails the cure is no longer needed."""
    root = copy_package(tmp_path)
    (root / "core" / "jit.py").write_text("import numba\ndef njit(f): return numba.njit(cache=True)(f)\n")
    code = "from oneprice.use import run; print(run(4))"
    assert fresh_process(tmp_path, code) == [41]
    (root / "lib.py").write_text(_CALLEE.format(factor=20))
    assert fresh_process(tmp_path, code) == [41]


@pytest.mark.parametrize(
    "text",
    [
        "from oneprice.a import b",
        "from oneprice.a import b as c, x",
        "from oneprice.a import (\n    x,\n    b,\n)",
        "from oneprice.a import (  # why (so)\n    x,  # one\n    b,\n)",
        "from oneprice.a import x, \\\n    b",
        "def f():\n    from oneprice.a.b import y\n",
        "import oneprice.a.b",
        "import os, oneprice.a.b as q",
        "from .a import b",
        "from .a.b import y",
    ],
)
def test_closure_follows_every_form_of_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """However a module of ours is imported, its file and what it imports in turn are in the closure."""
    root = tmp_path / "oneprice"
    (root / "a").mkdir(parents=True)
    (root / "a" / "__init__.py").write_text("")
    (root / "a" / "b.py").write_text("from ..deep import z\nfrom . import c\n")
    (root / "a" / "c.py").write_text("")
    (root / "deep.py").write_text("import numpy\n")
    (root / "top.py").write_text(text + "\n")
    monkeypatch.setattr(jit, "ROOT", root)
    names = {str(p.relative_to(root)) for p in jit.closure(root / "top.py")}
    assert {"top.py", "a/b.py", "a/c.py", "deep.py"} <= names


def test_digest_is_cheap() -> None:
    """The keys of all modules cost less than twice what reading and scanning each once does (best of three)."""
    files = sorted(jit.ROOT.rglob("*.py"))
    scans, keys = [], []
    for _ in range(3):
        jit._source.cache_clear()
        jit.digest_of.cache_clear()
        start = time.process_time()
        for file in files:
            jit._source(file)
        scanned = time.process_time()
        for file in files:
            jit.digest_of(file)
        scans.append(scanned - start)
        keys.append(time.process_time() - scanned)
    assert min(keys) < 2.0 * min(scans)


def test_key_sees_the_toolchain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds checks or another optimisation level have a cache of their own."""
    here = Path(jit.__file__).resolve()
    before = jit.digest_of(here)
    monkeypatch.setenv("NUMBA_BOUNDSCHECK", "1" if os.environ.get("NUMBA_BOUNDSCHECK") != "1" else "0")
    for cached in (jit._toolchain, jit.digest_of):
        cached.cache_clear()
    try:
        assert jit.digest_of(here) != before
    finally:
        monkeypatch.undo()
        for cached in (jit._toolchain, jit.digest_of):
            cached.cache_clear()
    assert jit.digest_of(here) == before
