"""Type inference and the life of variables in numba, without work whose result is thrown away.

Each of these gives what numba's own gives: text that is only wanted when typing fails is written when it fails,
searches that cannot succeed are not begun, and sums that only the last caller needs are left to the last caller.
Together with `core/lean.py` a third of the CPU of a first compile. Written against numba 0.68, which the project pins.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from numba.core import base, cpu, errors, ir, postproc, targetconfig, transforms, utils
from numba.core import types as core_types
from numba.core.target_extension import get_local_target
from numba.core.types import functions
from numba.core.types.misc import unliteral
from numba.core.typing import npydecl

types: Any = core_types
busy = 0  # kernels being compiled, one inside the other


def install() -> None:
    """Put them into numba."""
    patched: Any
    for patched, name, new in (
        (postproc.PostProcessor, "run", _process),
        (ir.Inst, "_rec_list_vars", _variables),
        (npydecl.NumpyRulesArrayOperator, "generic", _on_arrays),
        (functions.BaseFunction, "get_call_type", _call_type),
        (targetconfig.TargetConfig, "__hash__", _config_hash),
        (targetconfig.TargetConfig, "__eq__", _config_equal),
        (base.BaseContext, "get_abi_sizeof", _sizeof),
        (cpu.CPUContext, "load_additional_registries", _load_registries),
    ):
        setattr(patched, name, new)
    types.Record.mangling_args = property(_mangled)
    for kind in (types.Record, types.NestedArray):
        _remember_text(kind)


_process_whole = postproc.PostProcessor.run


def _process(self: Any, emit_dels: bool = False, extend_lifetimes: bool = False) -> None:
    """Lives of variables are computed when asked for, and by the last call, which puts their ends into the code."""
    if emit_dels or self.func_ir.is_generator:
        _process_whole(self, emit_dels, extend_lifetimes)
        return
    self.func_ir.blocks = transforms.canonicalize_cfg(self.func_ir.blocks)
    self.func_ir.variable_lifetime = postproc.VariableLifetime(self.func_ir.blocks)
    self.func_ir.generator_info = None


_VAR, _INSTRUCTION, _SEQUENCE, _MAPPING, _OTHER = range(5)
_kinds: dict[type, int] = {}


def _kind_of(cls: type) -> int:
    order = ((ir.Var, _VAR), (ir.Inst, _INSTRUCTION), ((list, tuple), _SEQUENCE), (dict, _MAPPING), (object, _OTHER))
    found = _kinds[cls] = next(kind for base_class, kind in order if issubclass(cls, base_class))
    return found


def _variables(self: Any, value: Any) -> list[Any]:
    """The variables in a part of an instruction, by the class of the part; most parts are neither."""
    kind = _kinds.get(value.__class__)
    if kind is None:
        kind = _kind_of(value.__class__)
    if kind == _OTHER:
        return []
    if kind == _VAR:
        return [value]
    if kind == _INSTRUCTION:
        return list(value.list_vars())
    found: list[Any] = []
    for part in value.values() if kind == _MAPPING else value:
        kind = _kinds.get(part.__class__)
        if kind == _VAR:
            found.append(part)
        elif kind != _OTHER:
            found += _variables(self, part)
    return found


_operator = npydecl.NumpyRulesArrayOperator.generic


def _on_arrays(self: Any, args: Any, kws: Any) -> Any:
    """An operator on scalars is no business of numpy's rules: they would be searched and the answer thrown away."""
    if not any(isinstance(a.type if isinstance(a, types.Optional) else a, types.ArrayCompatible) for a in args):
        return None
    return _operator(self, args, kws)


_call_type_told = functions.BaseFunction.get_call_type


def _call_type(self: Any, context: Any, args: Any, kws: Any) -> Any:
    """The first template that takes the arguments. If none does, numba's own way is gone again, for its text."""
    plain = tuple([unliteral(a) for a in args])
    plain_kws = {name: unliteral(a) for name, a in kws.items()}
    poisoned = any(isinstance(a, types.Poison) for a in (*plain, *plain_kws.values()))
    if poisoned:
        return _call_type_told(self, context, args, kws)
    literal = any(a is not b for a, b in zip(args, plain, strict=True)) or any(
        a is not plain_kws[name] for name, a in kws.items()
    )
    target = get_local_target(context)
    self._depth += 1
    try:
        for template_class in utils.order_by_target_specificity(target, self.templates, fnkey=self.key[0]):
            template = template_class(context)
            for use_literal in (True, False) if template.prefer_literal else (False, True):
                if use_literal and not literal:
                    continue
                try:
                    signature = template.apply(args, kws) if use_literal else template.apply(plain, plain_kws)
                except errors.NumbaError:
                    continue
                if signature is not None:
                    self._impl_keys[signature.args] = template.get_impl_key(signature)
                    return signature
    finally:
        self._depth -= 1
    return _call_type_told(self, context, args, kws)


def _config_hash(self: Any) -> int:
    """Few configurations are ever made, so equality tells them apart."""
    return hash(type(self).__name__)


def _config_equal(self: Any, other: Any) -> Any:
    if self is other:
        return True
    if not isinstance(other, targetconfig.TargetConfig):
        return NotImplemented
    mine, theirs = self._values, other._values
    return mine == theirs or bool(self.values() == other.values())


_sizeof_asked = base.BaseContext.get_abi_sizeof


def _sizeof(self: Any, kind: Any) -> int:
    """Numba has LLVM read a module to learn the size of a type, each time."""
    known = self.__dict__.setdefault("_known_sizes", {})
    name = str(kind)
    if name.startswith("%"):  # named types may be named alike
        return int(_sizeof_asked(self, kind))
    if name not in known:
        known[name] = _sizeof_asked(self, kind)
    return int(known[name])


_registries_looked_at = cpu.CPUContext.load_additional_registries


def _load_registries(self: Any) -> None:
    """Numba's modules are looked for before a kernel is compiled; inside it, those known are asked for news."""
    if busy == 0 or "_known_registries" not in self.__dict__:
        _registries_looked_at(self)
        self._known_registries = True
        return
    for registry in list(self._registries):
        self.install_registry(registry)


def _mangled(self: Any) -> tuple[str, tuple[str]]:
    """A record type in a symbol by its layout, not by a counter of the process.

    Counted, one kernel would have two symbols in what two processes compiled, and, worse, one symbol could stand for
    two layouts.
    """
    return type(self).__name__, (sha256(repr(self).encode()).hexdigest()[:16],)


def _remember_text(kind: Any) -> None:
    """Write the text of a type of this kind once; numba numbers types and uses no number twice."""
    written = kind.__repr__
    known: dict[int, str] = {}

    def text(self: Any) -> str:
        found = known.get(self._code)
        if found is None:
            found = known[self._code] = written(self)
        return found

    kind.__repr__ = text
