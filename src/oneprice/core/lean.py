"""Numba's pipeline for plain kernels: the passes that can find something to do, and no reports about them.

A plain kernel (no inner function, generator, `with` or `try`) needs half of numba's passes. For each pass numba also
writes the types of all arguments, thousands of letters for the state, into an event that nobody reads.
None of this changes the code that is made; see `core/lean_typing.py` for the rest.
"""

from __future__ import annotations

import gc
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any

import llvmlite.binding as llvm
from numba.core import base, compiler, compiler_machinery, errors, typed_passes, untyped_passes
from numba.core.compiler_lock import global_compiler_lock

from oneprice.core import lean_typing

_errors: Any = errors
PASSES: tuple[Any, ...] = (
    untyped_passes.TranslateByteCode,
    untyped_passes.FixupArgs,
    untyped_passes.IRProcessing,
    untyped_passes.RewriteSemanticConstants,
    untyped_passes.DeadBranchPrune,
    untyped_passes.GenericRewrites,
    untyped_passes.RewriteDynamicRaises,
    untyped_passes.ReconstructSSA,
    untyped_passes.DeadBranchPrune,
    typed_passes.NopythonTypeInference,
    typed_passes.PreLowerStripPhis,
    typed_passes.InlineOverloads,
    typed_passes.NopythonRewrites,
    typed_passes.NoPythonSupportedFeatureValidation,
    typed_passes.IRLegalization,
    typed_passes.NativeLowering,
    typed_passes.NoPythonBackend,
)
UNUSUAL = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
NAMES = frozenset({"literally", "literal_unroll", "prange", "objmode", "stencil"})


class _Passes(compiler_machinery.PassManager):
    """Runs passes without telling of each."""

    @global_compiler_lock
    def _runPass(self, index: int, pss: Any, state: Any) -> None:
        pss.analysis = self._analysis
        with _errors.new_error_context("Pass {name}", name=pss.name()):
            pss.run_initialization(state)
            pss.run_pass(state)
            pss.run_finalizer(state)


class Lean(compiler.Compiler):
    """The compiler of `core.jit.njit`: few passes for plain kernels, numba's own for all others."""

    def define_pipelines(self) -> list[Any]:
        """The passes of this function."""
        if not is_plain(self.state.func_id.code, self.state.flags):
            return list(super().define_pipelines())
        passes: Any = _Passes("nopython")
        for one in PASSES:
            passes.add_pass(one, one.__name__)
        passes.finalize()
        return [passes]


def is_plain(code: CodeType, flags: Any) -> bool:
    """Whether the passes left out would find nothing to do."""
    return not (
        code.co_flags & UNUSUAL
        or code.co_exceptiontable
        or flags.force_pyobject
        or flags.auto_parallel.enabled
        or any(isinstance(value, CodeType) for value in code.co_consts)
        or NAMES.intersection(code.co_names)
    )


@contextmanager
def compiling() -> Iterator[None]:
    """Around the compilation of a kernel, under numba's lock: no search for garbage until the outermost is done."""
    lean_typing.busy += 1
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        lean_typing.busy -= 1
        if collects:
            gc.enable()


def _silence_llvm() -> None:
    """Two events for each call into LLVM, a hundred thousand of them, end: `numba:llvm_lock` tells nothing more."""
    lock: Any = llvm.ffi.lib._lock
    lock._cblist[:] = [pair for pair in lock._cblist if pair[0].__module__ != base.__name__]


lean_typing.install()
_silence_llvm()
