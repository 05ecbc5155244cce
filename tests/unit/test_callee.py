"""Kernels met as callees: bitcode until a kernel that Python calls links them; the numbers are those of any kernel."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from numba import float64

from oneprice.core.jit import njit


@njit
def root(x: float) -> float:
    if x < 0.0:
        raise ValueError("negative")
    return math.sqrt(x) + 1.0


@njit
def scaled(x: float, by: float = 2.0) -> float:
    return root(x) * by


@njit
def total(n: int) -> float:
    out = 0.0
    for i in range(n):
        out += scaled(float(i)) + scaled(1.0, by=3.0) + root(2.0)
    return out


def plain(n: int) -> float:
    return sum(2.0 * (math.sqrt(i) + 1.0) + 3.0 * 2.0 + math.sqrt(2.0) + 1.0 for i in range(n))


def test_callees_have_no_machine_code_until_python_calls_them() -> None:
    """One program is made of the kernel that Python calls; a callee called from Python is then made too."""
    assert total(10) == pytest.approx(plain(10), rel=1e-15)
    assert len(total.overloads) == 1
    if not scaled.overloads:  # another test of this process may have called it
        assert scaled(4.0) == 6.0 and len(scaled.overloads) == 1
    assert scaled(4.0) == scaled.py_func(4.0) == 6.0
    assert total(3) == pytest.approx(plain(3), rel=1e-15)


def test_an_error_raised_in_a_callee_reaches_python() -> None:
    """Exceptions pass through kernels linked from bitcode."""
    with pytest.raises(ValueError, match="negative"):
        scaled(-1.0)


def test_get_overload_takes_a_signature_or_its_arguments() -> None:
    """Numba asks with either."""
    template, _, folded, _ = root.get_call_template((float64,), {})
    assert template.cases[0].return_type == float64 and tuple(folded) == (float64,)
    assert root.get_overload((float64,)) is root.get_overload(float64(float64))


_CODE = """
import numba
from oneprice.features import ewvar
from oneprice.core.jit import njit
import numpy as np
out = np.empty(4)
ewvar.loop(ewvar.FOLD.fresh(), np.arange(4.0), 0.5, out)
print(out.tolist(), ewvar.loop.stats.cache_hits.total(), len(ewvar.step.overloads))
"""


def test_a_second_process_takes_the_finished_program(tmp_path: Path) -> None:
    """The linked kernel comes from the cache whole; its callees are not even loaded. Numbers are bit-equal."""
    env: dict[str, Any] = {**os.environ, "ONEPRICE_CACHE": str(tmp_path)}
    said = []
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", _CODE], env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout.rsplit(maxsplit=2))
    assert said[0][0] == said[1][0]
    assert said[0][1:] == ["0", "0"] and said[1][1:] == ["1", "0"]
    assert [p.name for p in tmp_path.rglob("callee.*step*.nbc")]


_VALUES = """
from oneprice.core.jit import njit

@njit
def refuse(x):
    if x < 0:
        raise ValueError("bad", x)
    print("n", x)
    return x + 1

@njit
def one(x):
    return refuse(x) * 2

@njit
def two(x):
    return refuse(x) * 3

print(one(3), two(4))
for f in (one, two, refuse):
    try:
        f(-2)
    except ValueError as error:
        print(*error.args)
"""


def test_a_callee_may_print_and_raise_with_values(tmp_path: Path) -> None:
    """What needs Python objects at run time finds them in the first process and from the cache, in each program."""
    script = tmp_path / "values.py"
    script.write_text(_VALUES)
    env: dict[str, Any] = {**os.environ, "ONEPRICE_CACHE": str(tmp_path / "cache")}
    for _ in range(2):
        done = subprocess.run([sys.executable, str(script)], env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split("\n") == ["n 3", "n 4", "8 15", "bad -2", "bad -2", "bad -2", ""]


_PARTS = """
import llvmlite.binding as llvm
import oneprice.core.jit
from oneprice.core.callee import link

def part(text):
    return llvm.parse_assembly('target triple = ""' + text).as_bitcode()

calls = "define linkonce_odr i64 @{0}() {{ %x = call i64 @{1}() ret i64 %x }} declare i64 @{1}()"
main = "define i64 @main() { %x = call i64 @late() ret i64 %x } declare i64 @late()"
asked = llvm.parse_assembly('target triple = ""' + main)
parts = {
    "unasked": part(calls.format("early", "shared")),
    "shared": part(calls.format("shared", "deep")),
    "deep": part("define linkonce_odr i64 @deep() { ret i64 7 }"),
    "late": part(calls.format("late", "shared")),
}
link(asked, parts)
print(sorted(f.name for f in asked.functions if not f.is_declaration))
"""


def test_a_part_that_stands_before_its_caller_is_linked(tmp_path: Path) -> None:
    """Lists of parts joined from several kernels keep no order for all: what is asked for late is found too."""
    env: dict[str, Any] = {**os.environ, "ONEPRICE_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", _PARTS], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['deep', 'late', 'main', 'shared']"
