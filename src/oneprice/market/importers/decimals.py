"""Decimal text to whole ticks or lots, exactly: no float is ever made, so nothing is rounded.

A unit (tick or lot) is a decimal too. Text is read as an integer of 10^-decimals, where `decimals` are those
of the unit, and must be a whole multiple of the unit; digits beyond must be zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.instruments import Number, exact
from oneprice.core.jit import njit

OK, NOT_A_NUMBER, OFF_GRID, TOO_LARGE = 0, 1, 2, 3
_LIMIT = (1 << 62) // 10
_WHY = {
    NOT_A_NUMBER: "expected a plain decimal number",
    OFF_GRID: "expected a whole multiple of {unit}: the instrument's tick or lot is wrong, or the row is",
    TOO_LARGE: "expected a number that fits 62 bits in units of {unit}",
}


def unit_of(value: Number, where: str) -> tuple[int, int]:
    """(mantissa, decimals) of a positive decimal unit, e.g. 0.25 -> (25, 2)."""
    unit = exact(value, where)
    if unit <= 0:
        raise ConfigError(f"{where}: expected more than 0, got {value}")
    decimals = 0
    while (unit * 10**decimals).denominator != 1:
        decimals += 1
        if decimals > 18:
            raise ConfigError(f"{where}: expected at most 18 decimals, got {value}")
    return int(unit * 10**decimals), decimals


def parse_decimals(texts: Sequence[str], unit: tuple[int, int]) -> tuple[np.ndarray, int, int]:
    """Texts as int64[n] multiples of `unit`; with (values, index of the first bad text or -1, its code)."""
    joined = "\n".join(texts).encode()
    raw = np.frombuffer(joined, np.uint8)
    out = np.zeros(len(texts), np.int64)
    if not texts:
        return out, -1, OK
    n, code = _parse(raw, out, unit[0], unit[1])
    if code == OK and n != len(texts):  # a text with a line end inside
        return out, next(i for i, t in enumerate(texts) if "\n" in t), NOT_A_NUMBER
    return out, (-1 if code == OK else n), code


def why(code: int, unit: Number) -> str:
    """What was expected, for a code of `parse_decimals`."""
    return _WHY[code].format(unit=unit)


@njit
def _parse(raw: Any, out: Any, mantissa: int, decimals: int) -> Any:
    """(texts read, OK) or (index of the bad text, code)."""
    n, i, end = 0, 0, len(raw)
    while True:
        if n >= len(out):
            return n + 1, OK  # more texts than expected: the caller finds out why
        negative = i < end and raw[i] == 45
        if negative:
            i += 1
        value, digits, after, seen_point, finer = 0, 0, 0, False, False
        while i < end and raw[i] != 10:
            c = raw[i]
            i += 1
            if c == 46 and not seen_point:
                seen_point = True
                continue
            if c < 48 or c > 57:
                return n, NOT_A_NUMBER
            digits += 1
            if seen_point and after >= decimals:
                finer = finer or c != 48
                continue
            if value > _LIMIT:
                return n, TOO_LARGE
            value = value * 10 + (c - 48)
            if seen_point:
                after += 1
        if digits == 0:
            return n, NOT_A_NUMBER
        while after < decimals:
            if value > _LIMIT:
                return n, TOO_LARGE
            value *= 10
            after += 1
        if finer or value % mantissa != 0:
            return n, OFF_GRID
        out[n] = -(value // mantissa) if negative else value // mantissa
        n += 1
        if i >= end:
            return n, OK
        i += 1
        if i >= end:  # the last text is empty
            return n, NOT_A_NUMBER
