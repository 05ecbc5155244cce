"""What a function in memory is made of, as bytes: its code, its constants, the user's functions it calls.

A file may have been edited since its import. A cache keyed by the file alone would then keep the old code
under the new text, and hand it to the next process.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

PLAIN = (int, float, complex, str, bytes, bool, type(None))


def content_of(function: Any) -> bytes:
    """Bytes that change when the function, a constant it reads or a function of the same user does.

    What belongs to this package or to installed ones counts by name only: files or versions stand for it.
    """
    found: list[str] = []
    _function(function, set(), found)
    return "\n".join(found).encode()


def _function(function: Any, seen: set[int], found: list[str]) -> None:
    plain = getattr(function, "py_func", function)
    if not isinstance(plain, FunctionType) or id(plain) in seen:
        return
    seen.add(id(plain))
    found.append(f"def {plain.__module__}.{plain.__qualname__} {plain.__defaults__!r}")
    names: list[str] = []
    for code in _codes(plain.__code__):
        found.append(f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {_constants(code)}")
        names += code.co_names
    cells = {
        n: c.cell_contents for n, c in zip(plain.__code__.co_freevars, plain.__closure__ or (), strict=True)
    }
    for name in sorted({*names, *cells}):
        if name in cells or name in plain.__globals__:
            _value(name, cells.get(name, plain.__globals__.get(name)), names, (seen, found))


def _value(name: str, value: Any, names: list[str], so_far: tuple[set[int], list[str]]) -> None:
    seen, found = so_far
    if isinstance(value, ModuleType):
        if _is_users(value.__name__):
            for inner in sorted(set(names)):
                if inner in value.__dict__ and not isinstance(value.__dict__[inner], ModuleType):
                    _value(f"{name}.{inner}", value.__dict__[inner], names, so_far)
    elif isinstance(value, PLAIN) or (isinstance(value, tuple) and all(isinstance(v, PLAIN) for v in value)):
        found.append(f"{name} = {value!r}")
    elif _is_users(getattr(getattr(value, "py_func", value), "__module__", None)):
        _function(value, seen, found)


def _is_users(module: Any) -> bool:
    """Whether a module is neither ours nor one of the libraries that kernels use."""
    return isinstance(module, str) and module.split(".")[0] not in (
        "oneprice",
        "numba",
        "numpy",
        "math",
        "builtins",
    )


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _constants(code: CodeType) -> list[str]:
    """Constants in order; the members of a set sorted, as their order depends on the process."""
    out = []
    for c in code.co_consts:
        if isinstance(c, frozenset):
            out.append(str(sorted(repr(v) for v in c)))
        elif not isinstance(c, CodeType):
            out.append(repr(c))
    return out
