"""Records at addresses: how kernels see one arena of bytes as typed records and arrays.

The arena holds offsets, never addresses, so its bytes are a snapshot. A kernel is handed the record at the
arena's base and reaches any section by `base + offset`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, from_dtype, types
from numba.extending import intrinsic as _intrinsic

from oneprice.core.jit import njit

intrinsic: Any = _intrinsic  # numba's own type hides that the typing context is not passed by callers


@intrinsic
def pointer(typing_context: Any, address: Any) -> Any:
    """An integer address as a void pointer (for `carray`)."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.intp), build


@intrinsic
def address_of(typing_context: Any, record: Any) -> Any:
    """The address of a record in memory."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ptrtoint(args[0], context.get_value_type(types.intp))

    return types.intp(record), build


@intrinsic
def words_at(typing_context: Any, address: Any) -> Any:
    """int64 words at an address: indexed like an array, without its length and without reference counts."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.int64)(types.intp), build


@intrinsic
def lowest_bit(typing_context: Any, word: Any) -> Any:
    """Index of the lowest set bit of a word (64: none)."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), build


@intrinsic
def leading_zeros(typing_context: Any, word: Any) -> Any:
    """Zero bits above the highest set bit of a word."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), build


def record_at(dtype: np.dtype) -> Any:
    """A kernel `at(address) -> record` for one dtype."""
    record = from_dtype(dtype)

    @intrinsic
    def at(typing_context: Any, address: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], context.get_value_type(record))

        return record(types.intp), build

    return at


@njit
def i64_at(address: int, n: int) -> Any:
    """`n` int64 at an address, as an array."""
    return carray(pointer(address), n, np.int64)
