"""Exact money: integers of ledger units, one half-even rounding a division, no float anywhere.

A ledger unit is 10^-scale of a currency. Each kernel is also callable as plain Python (`V.py_func`) on plain
ints.
"""

from __future__ import annotations

from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import LINEAR

E6 = 1_000_000
E9 = 1_000_000_000
E12 = 1_000_000_000_000
MONEY_MAX = 1 << 62  # every product the build allows stays below this


@njit
def half_even_div(a: int, b: int) -> int:
    """a / b rounded half to even, exactly; b is not zero, |a| and |b| are below 2^63."""
    if b < 0:
        a, b = -a, -b
    n = a if a >= 0 else -a
    q = n // b
    r = n - q * b
    if r > b - r or (r == b - r and (q & 1) == 1):
        q += 1
    return q if a >= 0 else -q


@njit
def V(leg: Any, q_lots: int, p2: int) -> int:
    """Value in ledger units of `q_lots` (signed) at the doubled price `p2` (half ticks).

    Linear: `q * p2 * money_num`; p2 may be negative. Inverse: `-half_even(q * money_num / p2)`, which rises
    with the price as the linear value does; p2 must be positive. `V(leg, -q, p2) == -V(leg, q, p2)` in both.
    """
    if leg.contract == LINEAR:
        return q_lots * p2 * leg.money_num
    return -half_even_div(q_lots * leg.money_num, p2)


@njit
def exposure(leg: Any, q_lots: int, p2: int) -> int:
    """Signed notional in ledger units: positive for a long at a positive price, linear or inverse."""
    v = V(leg, q_lots, p2)
    return v if leg.contract == LINEAR else -v


@njit
def mul_rate_e9(amount: int, rate_e9: int) -> int:
    """`amount * rate_e9 / 1e9` half to even, exactly; |amount| < 2^62, result below 2^63."""
    negative = (amount < 0) != (rate_e9 < 0)
    a = amount if amount >= 0 else -amount
    b = rate_e9 if rate_e9 >= 0 else -rate_e9
    a_hi = a // E9
    a_lo = a - a_hi * E9
    b_hi = b // E9
    b_lo = b - b_hi * E9
    part = a_lo * b_lo
    carry = part // E9
    q = a_hi * b + a_lo * b_hi + carry
    r = part - carry * E9
    if r > E9 - r or (r == E9 - r and (q & 1) == 1):
        q += 1
    return -q if negative else q


@njit
def mul_rate_e12(amount: int, rate_e12: int) -> int:
    """`amount * rate_e12 / 1e12` half to even, exactly; |amount| < 2^62, result below 2^63."""
    negative = (amount < 0) != (rate_e12 < 0)
    a = amount if amount >= 0 else -amount
    b = rate_e12 if rate_e12 >= 0 else -rate_e12
    a_hi = a // E12
    a_lo = a - a_hi * E12
    b_hi = b // E12
    b_lo = b - b_hi * E12
    # a_lo * b_lo in base 1e6: high * 1e12 + low, where low < 2e18 + 1e12 fits
    a1 = a_lo // E6
    a0 = a_lo - a1 * E6
    b1 = b_lo // E6
    b0 = b_lo - b1 * E6
    low = (a1 * b0 + a0 * b1) * E6 + a0 * b0
    carry = low // E12
    q = a_hi * b + a_lo * b_hi + a1 * b1 + carry
    r = low - carry * E12
    if r > E12 - r or (r == E12 - r and (q & 1) == 1):
        q += 1
    return -q if negative else q


@njit
def mul_div(amount: int, num: int, den: int) -> int:
    """`amount * num / den` half to even, exactly, where num >= 0, 0 < den < 2^62 and the result fits 63 bits.

    A product beyond 62 bits is folded in one bit of `num` at a time, so nothing overflows.
    """
    a = amount if amount >= 0 else -amount
    if num == 0 or a == 0:
        return 0
    if a <= MONEY_MAX // num:
        return half_even_div(amount * num, den)
    whole = a // den
    rest = a - whole * den
    q = 0
    r = 0
    bit = 62
    while bit >= 0:
        q += q
        r += r
        if r >= den:
            r -= den
            q += 1
        if (num >> bit) & 1:
            q += whole
            r += rest
            if r >= den:
                r -= den
                q += 1
        bit -= 1
    if r > den - r or (r == den - r and (q & 1) == 1):
        q += 1
    return q if amount >= 0 else -q
