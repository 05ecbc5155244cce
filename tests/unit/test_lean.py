"""Numba's front end made lean: the same code, the same errors, and symbols that do not depend on the process."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core import compiler, ir
from numba.core.errors import TypingError

from oneprice.core import lean, lean_typing
from oneprice.core.jit import njit
from oneprice.core.records import record

PAIR = record([("a", "i8"), ("b", "f8"), ("rows", "f8", (3,))])


def sums(x, rec, sign=1.0):
    """Records, arrays, scalars, tuples, a branch that is never taken, arrays in one expression."""
    total = 0.0
    for i in range(len(x)):
        low, high = min(x[i], rec.b), max(x[i], float(rec.a))
        total += sign * (high - low) + rec.rows[i % 3]
        if total > 1e300:
            raise ValueError("too large")
    y = 2.0 * x + x * x
    return total + math.sqrt(y.sum()) + np.floor(y[0]), (low, high)


def with_inner(x):
    """Not plain: an inner function and a comprehension."""

    def twice(v):
        return 2.0 * v

    return sum([twice(v) for v in x])


def with_try(x):
    """Not plain."""
    try:
        if x[0] < 0.0:
            raise ValueError
        return 1
    except Exception:  # noqa: BLE001 - the only one numba knows
        return 2


def counting(n):
    """Not plain: a generator."""
    for i in range(n):
        yield i * i


def test_the_same_numbers_as_numba_itself() -> None:
    """Plain kernels and those that need numba's own passes, against Python and numba's default pipeline."""
    x = np.linspace(0.5, 2.0, 7)
    rec = np.zeros(1, PAIR)[0]
    rec["a"], rec["b"], rec["rows"] = 1, 0.7, (0.1, 0.2, 0.3)
    ours, (low, high) = njit(sums)(x, rec)
    theirs = numba.njit(error_model="numpy")(sums)(x, rec)
    assert ours == theirs[0] and (low, high) == theirs[1]
    assert ours == pytest.approx(sums(x, rec.view(np.recarray) if hasattr(rec, "view") else rec)[0], rel=1e-14)
    assert njit(with_inner)(x) == pytest.approx(with_inner(x))
    assert njit(with_try)(x) == 1 and njit(with_try)(-x) == 2
    assert list(njit(counting)(4)) == [0, 1, 4, 9]


def test_what_is_plain() -> None:
    """Inner functions, generators and `try` keep all of numba's passes."""
    flags = compiler.Flags()
    assert lean.is_plain(sums.__code__, flags)
    for function in (with_inner, with_try, counting):
        assert not lean.is_plain(function.__code__, flags)


def test_errors_keep_their_text() -> None:
    """What cannot be typed is refused with numba's reasons: the operator, the types, the line."""

    @njit
    def wrong(x):
        return x + "text"

    with pytest.raises(TypingError, match=r"(?s)add.*float64.*unicode_type.*test_lean.py"):
        wrong(1.0)


def test_variables_of_an_instruction() -> None:
    """The short way to list them gives what numba's long way gives, in its order."""
    scope, loc = ir.Scope(None, ir.unknown_loc), ir.unknown_loc
    a, b, c = (ir.Var(scope, name, loc) for name in "abc")
    parts = (
        a,
        [a, (b, [c])],
        {"one": a, "two": {"three": [b]}, "no": 5, "none": None},
        ir.Expr.build_tuple([c, a], loc),
        ir.Assign(ir.Expr.call(a, [b], (("k", c),), loc), b, loc),
        "text",
    )
    expected = (["a"], ["a", "b", "c"], ["a", "b"], ["c", "a"], None, [])
    for part, names in zip(parts, expected, strict=True):
        got = [v.name for v in lean_typing._variables(a, part)] if not isinstance(part, ir.Assign) else None
        assert got == names
    assert sorted(v.name for v in parts[4].list_vars()) == ["a", "b", "b", "c"]


_CODE = """
import sys
import numpy as np, numba
from oneprice.core.records import record
for i in range(int(sys.argv[1])):
    numba.from_dtype(np.dtype([("x%d" % i, "i8")]))  # types made before: numba counts them
from numba.core import types
R = numba.from_dtype(record([("a", "i8"), ("b", "f8")]))
S = numba.from_dtype(record([("a", "i8"), ("b", "i8")]))
from numba.core.funcdesc import default_mangler
print(default_mangler("f", (R,)), default_mangler("f", (S,)))
"""


def test_a_symbol_names_the_layout_not_a_count() -> None:
    """Two processes that made other types before name a kernel's code alike; two layouts are never named alike."""
    said = [
        subprocess.run(
            [sys.executable, "-c", "import oneprice.core.lean\n" + _CODE, n],
            capture_output=True, text=True, check=True, env=dict(os.environ), cwd=Path.cwd(),
        ).stdout.split()
        for n in ("0", "7")
    ]  # fmt: skip
    assert said[0] == said[1]
    assert said[0][0] != said[0][1]
