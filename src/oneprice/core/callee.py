"""Kernels called by other kernels stay bitcode: no machine code, no wrapper, no module passes of their own.

Numba makes a finished program of every kernel it meets: it links all it calls, optimises the whole and emits machine
code, then throws that away when the caller links the same code again. In a house of small kernels that is most of the
compile time. Here a kernel met as a callee is typed, lowered and simplified, and waits as bitcode; the kernel that
Python calls (or a `cfunc`) links them all, and is optimised and emitted once.

A kernel called both ways is compiled both ways. Written against numba 0.68, which the project pins.
Measured on the engine: 105 s of CPU became 38 s, with machine code as fast as before.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import llvmlite.binding as llvm
from numba.core import compiler, sigutils, typing
from numba.core.bytecode import FunctionIdentity
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.codegen import JITCodeLibrary, JITCPUCodegen
from numba.core.compiler_lock import global_compiler_lock
from numba.core.environment import lookup_environment

_named: dict[Any, int] = {}
_identity_of: Any = FunctionIdentity
_numbered = _identity_of.from_function.__func__


def _identity(cls: Any, function: Any) -> Any:
    """A kernel's symbol is numbered by its text, not by a counter of the process.

    Bitcode that two processes made of one kernel then holds one symbol, and linking keeps one copy; numbered by
    counters the copies would double at every level of calls.
    """
    identity = _numbered(cls, function)
    number = _named.get(function)
    if number is not None:
        identity.unique_id = number
        identity.unique_name = f"{identity.func_qualname}${number}"
    return identity


_identity_of.from_function = classmethod(_identity)


class CalleeLibrary(JITCodeLibrary):
    """The simplified code of a kernel and of all it calls, ready to be linked, never run."""

    def finalize(self) -> None:
        """Link what it calls; leave optimising and emitting to the caller."""
        self._raise_if_finalized()
        seen: set[Any] = set()
        for library in self._linking_libraries:
            if library not in seen:
                self._reload_init.update(library._reload_init)
                seen.add(library)
                self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalize_dynamic_globals()
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == llvm.Linkage.external:
                function.linkage = "linkonce_odr"
        self._shared_module = self._final_module
        self._finalized = True

    def serialize_using_object_code(self) -> tuple[str, str, bytes]:
        """Bitcode alone; there is no object code."""
        self._ensure_finalized()
        return (self.name, "callee", self._final_module.as_bitcode())


class LinkedLibrary(JITCodeLibrary):
    """A finished program: every kernel linked into it gets its environment (what prints and raises with values)."""

    def _finalize_specific(self) -> None:
        super()._finalize_specific()
        codegen: Any = self._codegen
        for variable in self._final_module.global_variables:
            environment = lookup_environment(variable.name)
            if environment is not None:
                codegen.set_env(variable.name, environment)


JITCPUCodegen._library_class = LinkedLibrary


def _revive(codegen: Any, state: tuple[str, str, bytes]) -> CalleeLibrary:
    name, _, bitcode = state
    library = CalleeLibrary(codegen, name)
    library._final_module = library._shared_module = llvm.parse_bitcode(bitcode)
    library._finalized = True
    return library


class _Impl(CompileResultCacheImpl):
    def get_filename_base(self, fullname: str, abiflags: str) -> str:
        return "callee." + str(super().get_filename_base(fullname, abiflags))

    def rebuild(self, target_context: Any, payload: Any) -> Any:
        libdata, fndesc, env, signature, objectmode, lifted, typeann, reload_init, envs = payload
        for init in reload_init:
            init()
        made: Any = compiler.CompileResult  # a named tuple with defaults numba sets by hand
        return made(
            target_context=target_context,
            typing_context=target_context.typing_context,
            library=_revive(target_context.codegen(), libdata),
            environment=env,
            entry_point=object(),
            fndesc=fndesc,
            type_annotation=typeann,
            signature=signature,
            objectmode=objectmode,
            lifted=lifted,
            typing_error=None,
            call_helper=None,
            metadata=None,
            reload_init=reload_init,
            referenced_envs=envs,
        )


class _Cache(FunctionCache):
    _impl_class = _Impl


def as_callee(kernel: Any, folder: str) -> Any:
    """Let calls from other kernels take the bitcode of `kernel`; calls from Python compile it as ever.

    `folder` names the text of the kernel and of all it imports.
    """
    made: dict[tuple[Any, ...], Any] = {}
    function = kernel.py_func
    if function.__closure__ is None:  # what closes over values is another kernel each time it is made
        text = f"{folder} {function.__qualname__} {function.__code__.co_firstlineno}"
        _named[function] = int.from_bytes(sha256(text.encode()).digest()[:4])
    cache = _Cache(function)

    def compiled(args: tuple[Any, ...]) -> Any:
        full = kernel.overloads.get(args)
        if full is not None:
            return full
        if args not in made:
            with global_compiler_lock:
                made[args] = _loaded(args) or _made(args)
        return made[args]

    def _loaded(args: tuple[Any, ...]) -> Any:
        found = cache.load_overload(args, kernel.targetctx)
        if found is not None:
            kernel.targetctx.insert_user_function(found.entry_point, found.fndesc, [found.library])
        return found

    def _made(args: tuple[Any, ...]) -> Any:
        flags: Any = compiler.Flags()
        maker = kernel._compiler
        maker.targetdescr.options.parse_as_flags(flags, maker.targetoptions)
        flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
        with kernel._compiling_counter:
            result = compiler.compile_extra(
                kernel.typingctx,
                kernel.targetctx,
                kernel.py_func,
                args=args,
                return_type=None,
                flags=flags,
                locals=maker.locals,
                library=CalleeLibrary(kernel.targetctx.codegen(), kernel.py_func.__qualname__),
                pipeline_class=maker.pipeline_class,
            )
        result = result._replace(entry_point=object())
        kernel.targetctx.insert_user_function(result.entry_point, result.fndesc, [result.library])
        cache.save_overload(args, result)
        return result

    def get_call_template(args: Any, kws: Any) -> Any:
        pysig, folded = kernel._compiler.fold_argument_types(args, kws)
        result = compiled(tuple(folded))
        name = kernel.py_func.__name__
        template = typing.make_concrete_template(f"CallTemplate({name})", key=name, signatures=[result.signature])
        return template, pysig, folded, {}

    def get_overload(signature: Any) -> Any:
        return compiled(tuple(sigutils.normalize_signature(signature)[0])).entry_point

    kernel.get_call_template = get_call_template
    kernel.get_overload = get_overload
    return kernel
