"""`njit` for the whole package: cached on disk under a key that sees every callee.

Numba keys its on-disk cache by a function's own file; a callee edited in another file leaves a stale hit
(numba issues 1833 and 9483). Here each module's kernels are cached in a folder named by the digest of that
module's source and of everything of ours it imports, directly or not, with the versions beside it.
Dynamic imports and data files read at import are outside that static closure.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np

from oneprice.core.callee import as_callee
from oneprice.core.lean import Lean

ROOT = Path(__file__).resolve().parents[1]
_IMPORT = re.compile(
    r"^\s*(?:from\s+([\w.]+)\s+import\s+(\([^)]*\)|[^\n#]+)|import\s+([\w., ]+))", re.MULTILINE
)
_NOISE = re.compile(r"#[^\n]*|\\\n")  # comments and continued lines hide names from _IMPORT


def cache_home() -> Path:
    """Where compiled kernels live: ONEPRICE_CACHE, else the user's cache folder."""
    base = os.environ.get("ONEPRICE_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "oneprice"
    )
    return Path(base) / "jit"


@lru_cache(maxsize=1)
def _toolchain() -> bytes:
    parts = [
        numba.__version__,
        llvmlite.__version__,
        np.__version__,
        platform.python_version(),
        platform.machine(),
    ]
    parts += [f"{k}={os.environ.get(k, '')}" for k in ("NUMBA_OPT", "NUMBA_CPU_NAME", "NUMBA_BOUNDSCHECK")]
    return "|".join(parts).encode()


def _module_file(name: str) -> Path | None:
    if name == "oneprice" or not name.startswith("oneprice."):
        return None
    base = ROOT.joinpath(*name.split(".")[1:])
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def _source(path: Path) -> tuple[bytes, tuple[Path, ...]]:
    """The digest of a file's bytes and the files of this package it imports (static imports only)."""
    raw = path.read_bytes()
    found: dict[Path, None] = {}
    for match in _IMPORT.finditer(_NOISE.sub("", raw.decode())):
        if match[3]:
            names = [n.strip().split(" ")[0] for n in match[3].split(",")]
        else:
            what = match[2].strip("()").replace("\n", " ")
            base = _absolute(match[1], path)
            names = [base] + [f"{base}.{w.strip().split(' ')[0]}" for w in what.split(",")]
        for name in names:
            file = _module_file(name)
            if file is not None and file != path:
                found[file] = None
    return hashlib.sha256(raw).digest(), tuple(found)


def _absolute(name: str, path: Path) -> str:
    """A module name as written in `path`, relative or not, in full."""
    dots = len(name) - len(name.lstrip("."))
    if dots == 0 or not path.is_relative_to(ROOT):
        return name
    parts = ("oneprice", *path.relative_to(ROOT).parent.parts)
    return ".".join([*parts[: len(parts) - dots + 1], *filter(None, [name[dots:]])])


def closure(path: Path) -> list[Path]:
    """The file and every file of this package it reaches by static imports, sorted."""
    seen: set[Path] = set()
    todo = [path]
    while todo:
        here = todo.pop()
        if here not in seen:
            seen.add(here)
            todo.extend(_source(here)[1])
    return sorted(seen)


@cache
def digest_of(path: Path) -> str:
    """Content key of a source file: toolchain, its bytes and those of its whole import closure."""
    h = hashlib.sha256(_toolchain())
    for file in closure(path):
        h.update(file.name.encode() + b"\0" + _source(file)[0])
    return h.hexdigest()[:20]


@contextmanager
def cache_folder(folder: Path) -> Iterator[None]:
    """Kernels decorated inside are cached in `folder`."""
    config: Any = numba.config
    before = config.CACHE_DIR
    config.CACHE_DIR = str(folder)
    try:
        yield
    finally:
        config.CACHE_DIR = before


def _plain_types(kernel: Any) -> Any:
    """One specialisation for literal, bool and narrow integer arguments of calls between kernels.

    Numba compiles a callee anew for each literal it is called with (`f(x, 1)`, `f(x, 2)`) and each width of
    integer; a third of all compiles of the exchange half were such copies.
    """
    compiler = kernel._compiler
    fold = compiler.fold_argument_types

    def fold_plain(args: Any, kws: Any) -> Any:
        signature, types = fold(args, kws)
        return signature, tuple(_plain(t) for t in types)

    compiler.fold_argument_types = fold_plain
    return kernel


def _plain(t: Any) -> Any:
    types: Any = numba.types
    plain = types.unliteral(t)
    return types.int64 if isinstance(plain, types.Integer) and plain.bitwidth < 64 else plain


def njit(*args: Any, **options: Any) -> Any:
    """`numba.njit` with cache=True, error_model='numpy' and the content-keyed cache folder.

    No C-callable wrapper is made (entries of strategies are cfuncs of their own): it would cost compile time.
    Kernels called by kernels stay bitcode until one that Python calls links them (see `callee`); the compiler then
    inlines as it sees fit. `apart=True` keeps a kernel a function of its own: a hot loop, or what a loop seldom does.
    """
    apart = options.pop("apart", False)
    options.setdefault("cache", True)
    options.setdefault("error_model", "numpy")
    options.setdefault("no_cfunc_wrapper", True)
    options.setdefault("pipeline_class", Lean)
    options.setdefault("forceinline", False)  # left unsaid, callees inherit it and whole programs are copied

    def wrap(function: Callable[..., Any]) -> Any:
        path = Path(sys.modules[function.__module__].__file__ or "").resolve()
        digest = digest_of(path)
        with cache_folder(cache_home() / digest):
            return as_callee(_plain_types(numba.njit(*signature, **options)(function)), digest, apart)

    if len(args) == 1 and inspect.isfunction(args[0]):
        signature: tuple[Any, ...] = ()
        return wrap(args[0])
    signature = args
    return wrap


closure(Path(__file__).resolve())  # what compiles is named by its text as it was loaded, not as it may be later
