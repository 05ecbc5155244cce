"""Levels far from the touch: a bounded open-addressing hash behind the dense window of a book.

Linear probing with backward-shift deletion, so there are no tombstones and a table never needs rebuilding.
A key is `2 ticks + (0 bid | 1 ask)`; an empty slot holds NO_PRICE, which no key can be while |ticks| < 2^61.
The kernels take the book's head `b` and reach the table by its offsets.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from oneprice.core.address import address_of, words_at
from oneprice.core.jit import njit
from oneprice.core.records import NO_PRICE

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@njit
def far_home(key: int, log2: int) -> int:
    """Home slot of a key: Fibonacci hashing, so that neighbouring ticks do not cluster."""
    return np.int64((np.uint64(key) * GOLDEN) >> np.uint64(64 - log2))  # type: ignore[return-value]


@njit
def far_find(keys: Any, log2: int, key: int) -> int:
    """Slot of the key, or of the empty slot that ends its probe."""
    mask = (1 << log2) - 1
    i = far_home(key, log2)
    while keys[i] != NO_PRICE and keys[i] != key:
        i = (i + 1) & mask
    return i


@njit
def far_drop(keys: Any, lots: Any, log2: int, i: int) -> None:
    """Empty slot i and shift the rest of its cluster back."""
    mask = (1 << log2) - 1
    hole = i
    j = i
    while True:
        j = (j + 1) & mask
        if keys[j] == NO_PRICE:
            break
        home = far_home(keys[j], log2)
        # keys[j] may move into the hole unless its home lies cyclically in (hole, j]
        if ((j - home) & mask) >= ((j - hole) & mask):
            keys[hole] = keys[j]
            lots[hole] = lots[j]
            hole = j
    keys[hole] = NO_PRICE
    lots[hole] = 0


@njit
def far_get(b: Any, side: int, ticks: int) -> int:
    """Lots at a far level, 0 when there is none."""
    keys = words_at(address_of(b) + b.far_keys_off)
    lots = words_at(address_of(b) + b.far_lots_off)
    key = 2 * ticks + (0 if side > 0 else 1)
    i = far_find(keys, b.far_log2, key)
    return lots[i] if keys[i] == key else 0


@njit
def far_set(b: Any, side: int, ticks: int, qty: int) -> None:
    """Set a far level's total (0 removes). A full table drops and counts the row: degraded."""
    n = 1 << b.far_log2
    keys = words_at(address_of(b) + b.far_keys_off)
    lots = words_at(address_of(b) + b.far_lots_off)
    key = 2 * ticks + (0 if side > 0 else 1)
    i = far_find(keys, b.far_log2, key)
    if keys[i] == key:
        if qty > 0:
            lots[i] = qty
            return
        far_drop(keys, lots, b.far_log2, i)
        if side > 0:
            b.n_far_bids -= 1
        else:
            b.n_far_asks -= 1
        return
    if qty <= 0:
        return
    if b.n_far_bids + b.n_far_asks >= n - (n >> 3):
        b.degraded = 1
        b.lost += 1
        return
    keys[i] = key
    lots[i] = qty
    if side > 0:
        b.n_far_bids += 1
    else:
        b.n_far_asks += 1


@njit
def far_best(b: Any, side: int, low: int, high: int) -> int:
    """The best far level of a side with low <= ticks < high, or NO_PRICE (a table scan: rare)."""
    if (b.n_far_bids if side > 0 else b.n_far_asks) == 0:
        return NO_PRICE
    n = 1 << b.far_log2
    keys = words_at(address_of(b) + b.far_keys_off)
    odd = 0 if side > 0 else 1
    best = NO_PRICE
    for i in range(n):
        key = keys[i]
        if key == NO_PRICE or (key & 1) != odd:
            continue
        t = key >> 1
        if t < low or t >= high:
            continue
        if best == NO_PRICE or (t > best if side > 0 else t < best):
            best = t
    return best
