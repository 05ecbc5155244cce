"""A strategy's plain function becomes machine code behind an address.

The engine is compiled once for all strategies and calls each by address. The entry is a generated module under a
folder named by the content of the strategy, of the local modules it imports and of the core, so an edited helper
never leaves a stale hit. Bounds checks are on inside strategies: a wild leg index is a fault, not foreign memory.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import os
import sys
import types as pytypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.errors import NumbaError
from numba.extending import intrinsic

from oneprice.core import jit
from oneprice.core.errors import StrategyError
from oneprice.core.records import VIEW
from oneprice.engine.content import content_of
from oneprice.execution.intents import INTENTS
from oneprice.execution.strategy import Strategy

_intrinsic: Any = intrinsic  # its stub hides the arguments of what it makes

_TEMPLATE = '''"""Generated entry of one strategy version."""
from numba import carray, cfunc, njit, types
from oneprice.core.address import pointer, record_at
from oneprice.core.arena import STRATEGY
from oneprice.core.records import EVENT, VIEW

_event_at, _params_at, _memory_at = record_at(EVENT), record_at(PARAMS), record_at(MEMORY)
_intents_at, _strategy_at = record_at(INTENTS), record_at(STRATEGY)
_function = njit(cache={cache}, error_model="numpy", boundscheck=True)(FUNCTION)


@cfunc(types.void(*(types.intp,) * 7), cache={cache}, error_model="numpy")
def entry(event, views, n, params, memory, orders, strategy):
    st = _strategy_at(strategy)
    st.guard = 0
    legs = carray(pointer(views), n, VIEW)
    try:
        _function(_event_at(event), legs, _params_at(params), _memory_at(memory), _intents_at(orders))
        st.guard = 1
    except Exception:
        st.guard = 0
'''


@_intrinsic
def call_entry(typing_context: Any, address: Any, e: Any, v: Any, n: Any, p: Any, m: Any, o: Any, k: Any) -> Any:
    """Call an entry by its address: (event, views, n, params, memory, orders, strategy), all addresses or counts."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = context.get_value_type(types.intp)
        function = ir.FunctionType(ir.VoidType(), [word] * 7)
        builder.call(builder.inttoptr(args[0], function.as_pointer()), args[1:])
        return context.get_dummy_value()

    return types.void(*(types.intp,) * 8), build


@dataclass(frozen=True)
class Entry:
    """A compiled strategy: its address and what keeps it alive."""

    address: int
    key: str
    keep: Any


_loaded: dict[str, Entry] = {}


def compile_entry(strategy: Strategy) -> Entry:
    """Compile (or load from the cache) the entry of a strategy.

    Raises
    ------
    StrategyError
        The strategy uses something that cannot be compiled or reads a field that is not there; the text names the line.
    """
    path = _source_file(strategy.function)
    key = _key(strategy, path)
    if key in _loaded:
        return _loaded[key]
    folder = jit.cache_home() / f"strategy-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    text = _TEMPLATE.format(cache=path is not None)
    file = folder / "entry.py"
    if not file.is_file():
        scratch = folder / f"entry.{os.getpid()}.tmp"
        scratch.write_text(text)
        os.replace(scratch, file)
    name = f"oneprice_entry_{key}"
    module = pytypes.ModuleType(name)
    module.__file__ = str(file)
    module.__dict__.update(FUNCTION=strategy.function, PARAMS=strategy.params, MEMORY=strategy.memory, INTENTS=INTENTS)
    sys.modules[name] = module  # before exec: numba records this name in the cached code
    try:
        with jit.cache_folder(folder):
            exec(compile(text, str(file), "exec"), module.__dict__)
    except (NumbaError, KeyError) as error:  # numba raises KeyError for a field that a record lacks
        del sys.modules[name]
        raise StrategyError(_why_not(strategy, error)) from error
    _loaded[key] = Entry(int(module.entry.address), key, module)
    return _loaded[key]


def _why_not(strategy: Strategy, error: Exception) -> str:
    """What a strategy author needs of a failed compilation: the field or numba's reason, and the line."""
    start = f"strategy {strategy.name} cannot be compiled:"
    if not isinstance(error, KeyError):
        lines = [line for line in str(error).splitlines() if line.strip()]
        return "\n".join([start, *(f"  {line}" for line in lines)])
    field = str(error.args[0])
    lines, first = inspect.getsourcelines(strategy.function)
    at = [i for i, line in enumerate(lines) if f".{field}" in line]
    where = f"\n  at {inspect.getsourcefile(strategy.function)}:{first + at[0]}: {lines[at[0]].strip()}" if at else ""
    return (
        f"{start} none of event, legs[i], p, m and orders has a field {field!r}{where}\n"
        f"  parameters (p): {', '.join(strategy.params.names or ())}; memory (m):"
        f" {', '.join(strategy.memory.names or ())};"
        f" a leg: {', '.join(VIEW.names or ())}"
    )


def _source_file(function: Any) -> Path | None:
    """The file a function was written in, or None (a notebook, `python -c`): then nothing is cached on disk."""
    file = inspect.getsourcefile(function)
    if file is None or not Path(file).is_file() or function.__module__ == "__main__":
        return None
    return Path(file).resolve()


def _key(strategy: Strategy, path: Path | None) -> str:
    h = hashlib.sha256(jit.digest_of(Path(__file__).resolve()).encode())
    h.update(_TEMPLATE.encode())
    h.update(repr((strategy.name, strategy.params.descr, _layout(strategy.memory))).encode())
    for file in _local_closure(path) if path else []:
        h.update(str(file.name).encode() + b"\0" + file.read_bytes())
    h.update(content_of(strategy.function))  # the file may have been edited since it was imported
    if path is None:
        h.update(f"{id(strategy.function)}".encode())
    else:
        h.update(f"{strategy.function.__qualname__}".encode())
    return h.hexdigest()[:20]


def _layout(dtype: np.dtype) -> str:
    return repr(dtype)


def _local_closure(path: Path) -> list[Path]:
    """The strategy's file, the modules beside it that it imports, and those of ours that it reaches."""
    seen: set[Path] = set()
    todo = [path]
    while todo:
        here = todo.pop()
        if here in seen:
            continue
        seen.add(here)
        seen.update(jit.closure(here))
        for node in ast.walk(ast.parse(here.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [a.name for a in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                names = [base] + [f"{base}.{a.name}".strip(".") for a in node.names]
            for name in names:
                if not name.startswith("oneprice"):
                    beside = here.parent.joinpath(*name.split("."))
                    for file in (beside.with_suffix(".py"), beside / "__init__.py"):
                        if file.is_file():
                            todo.append(file)
    return sorted(seen)
