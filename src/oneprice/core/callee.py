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

from oneprice.core.lean import compiling

ENVIRONMENT = "_ZN08NumbaEnv"
_bitcode: dict[str, bytes] = {}  # by digest: what many kernels call is held once
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
    """The simplified code of a kernel and that of all it calls, one module each, ready to be linked, never run."""

    apart = False  # never inlined: a loop with registers of its own, or what a loop seldom does

    def __init__(self, codegen: Any, name: str) -> None:
        super().__init__(codegen, name)
        self.parts: dict[str, bytes] = {}  # digest -> bitcode, what calls before what is called
        self.environments: dict[str, None] = {}  # names of those its code may look at

    def add_llvm_module(self, module: Any) -> None:
        """Simplify the functions that are defined here; declarations have nothing to simplify."""
        module.data_layout = self._codegen._data_layout
        passes, builder = self._codegen._function_pass_manager()
        for function in module.functions:
            if not function.is_declaration:
                passes.run(function, builder)
        self._final_module.link_in(module)

    def finalize(self) -> None:
        """Gather what it calls; leave linking, optimising and emitting to the kernel that Python calls."""
        self._raise_if_finalized()
        if self.apart:
            for function in self._final_module.functions:
                if not function.is_declaration and function.linkage == llvm.Linkage.external:
                    function.add_function_attribute("noinline")
        self._finalize_dynamic_globals()
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == llvm.Linkage.external:
                function.linkage = "linkonce_odr"
        self._add(self._final_module)
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(library._reload_init)
            self._dynamic_globals += library._dynamic_globals
            if isinstance(library, CalleeLibrary):
                gather(self.parts, library.parts)
                self.environments.update(library.environments)
            else:
                self._add(library._get_module_for_linking())
        self._finalized = True

    def _add(self, module: Any) -> None:
        bitcode = module.as_bitcode()
        self.parts.setdefault(sha256(bitcode).hexdigest(), bitcode)
        for variable in module.global_variables:
            if variable.name.startswith(ENVIRONMENT):
                self.environments[variable.name] = None

    def _get_module_for_linking(self) -> Any:
        self._ensure_finalized()
        if self._shared_module is None:
            self._shared_module = llvm.parse_assembly("")
            link(self._shared_module, self.parts)
        return self._shared_module

    def serialize_using_object_code(self) -> tuple[str, str, Any]:
        """Bitcode alone; there is no object code."""
        self._ensure_finalized()
        return (self.name, "callee", (self.parts, self.environments))


def gather(parts: dict[str, bytes], more: dict[str, bytes]) -> None:
    """Parts that are not there yet, in their order."""
    for digest, bitcode in more.items():
        parts.setdefault(digest, bitcode)


def link(module: Any, parts: dict[str, bytes]) -> None:
    """Link in the order of calls: LLVM takes only what is asked for already.

    Lists of several kernels joined keep no such order for all: a part may stand before the one that asks for it. Those
    are linked again, until nothing that a part defines is missing.
    """
    holds: dict[str, str] = {}
    for digest, bitcode in parts.items():
        part = llvm.parse_bitcode(bitcode)
        for function in part.functions:
            if not function.is_declaration:
                holds.setdefault(function.name, digest)
        module.link_in(part)
    before: set[str] = set()
    while True:
        missing = {f.name for f in module.functions if f.is_declaration and f.name in holds}
        if not missing or missing == before:
            return
        for digest in dict.fromkeys(holds[name] for name in sorted(missing)):
            module.link_in(llvm.parse_bitcode(parts[digest]))
        before = missing


class LinkedLibrary(JITCodeLibrary):
    """A finished program: all kernels it calls, linked once each.

    Every one of them gets its environment (what prints and raises with values).
    """

    def finalize(self) -> None:
        """Link, optimise, emit."""
        callees = [one for one in self._linking_libraries if isinstance(one, CalleeLibrary)]
        parts: dict[str, bytes] = {}
        for library in callees:
            self._reload_init.update(library._reload_init)
            gather(parts, library.parts)
        link(self._final_module, parts)
        self._linking_libraries = [one for one in self._linking_libraries if one not in callees]
        super().finalize()

    def _optimize_final_module(self) -> None:
        """A whole program: nobody else calls what it linked.

        Saying so lets the compiler inline a kernel that has one caller whatever its length, drop it afterwards, and
        choose how the others are called: a quarter of the time of a simulation, at no more time to compile.
        """
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == llvm.Linkage.linkonce_odr:
                function.linkage = "internal"
        super()._optimize_final_module()

    def _finalize_specific(self) -> None:
        super()._finalize_specific()
        codegen: Any = self._codegen
        for variable in self._final_module.global_variables:
            environment = lookup_environment(variable.name)
            if environment is not None:
                codegen.set_env(variable.name, environment)


JITCPUCodegen._library_class = LinkedLibrary


def _revive(codegen: Any, state: tuple[str, str, Any]) -> CalleeLibrary:
    name, _, (parts, environments) = state
    library = CalleeLibrary(codegen, name)
    library.parts = {digest: _bitcode.setdefault(digest, bitcode) for digest, bitcode in parts.items()}
    library.environments = environments
    library._finalized = True
    return library


class _Impl(CompileResultCacheImpl):
    def get_filename_base(self, fullname: str, abiflags: str) -> str:
        return "callee." + str(super().get_filename_base(fullname, abiflags))

    def reduce(self, made: Any) -> Any:
        """What is kept of a callee; types written beside the source are not."""
        made.fndesc.typemap = made.fndesc.calltypes = None
        found = (lookup_environment(name) for name in made.library.environments)
        environments = tuple(one for one in found if one is not None and one.can_cache())
        return (
            made.library.serialize_using_object_code(), made.fndesc, made.environment, made.signature,
            made.objectmode, made.lifted, "", made.reload_init, environments,
        )  # fmt: skip

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


def as_callee(kernel: Any, folder: str, apart: bool = False) -> Any:
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
            with global_compiler_lock, compiling():
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
        library = CalleeLibrary(kernel.targetctx.codegen(), kernel.py_func.__qualname__)
        library.apart = apart
        with kernel._compiling_counter:
            result = compiler.compile_extra(
                kernel.typingctx,
                kernel.targetctx,
                kernel.py_func,
                args=args,
                return_type=None,
                flags=flags,
                locals=maker.locals,
                library=library,
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
