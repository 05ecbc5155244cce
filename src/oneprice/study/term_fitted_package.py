"""Residual packages: whole lots of one more contract than the model has factors, so that the factors cancel.

    sum_j n_j F_j z_j = 0        z_j the loads of ln F_j on the factors (1 and e^(-kappa T_j); level, slope, curvature)

The solution is one direction; whole lots only come near it. Of the sizes from half the largest to the largest, and of
both roundings of each leg, the lots are taken that leave the least of the factors beside the residual:

    left^2 / noise^2,   left^2 = u' W u,  u = sum_j n_j F_j z_j,  noise^2 = sum_j (n_j F_j e_j)^2

W is the variance of the factors' moves of a day: `left` is what the package moves in a day with the factors.
"""

from __future__ import annotations

import math
from itertools import product

import msgspec
import numpy as np


class Package(msgspec.Struct, frozen=True):
    """`lots` signed, one a leg (the largest above 0); `left` and `noise`: standard deviations in money a unit of each
    contract, of a day's move with the factors and of the residual around its value."""

    lots: tuple[int, ...]
    left: float
    noise: float


def neutral_package(
    value: np.ndarray, loads: np.ndarray, error: np.ndarray, shock: np.ndarray, most_lots: int
) -> Package | None:
    """The whole lots nearest to neutral; None where the loads leave no direction or a leg rounds to nothing.

    value float64[m + 1] fair values; loads float64[m + 1, m]; error float64[m + 1] of log prices; shock float64[m, m].
    """
    scaled = value[:, None] * loads
    _, s, v = np.linalg.svd(scaled.T)
    if not np.isfinite(s).all() or s[-1] <= 1e-7 * s[0]:
        return None
    w = v[-1] * np.sign(v[-1][np.argmax(np.abs(v[-1]))])
    best: Package | None = None
    for largest in range(max(most_lots // 2, 1), most_lots + 1):
        exact = w / np.abs(w).max() * largest
        for lots in product(*(sorted({math.floor(x), math.ceil(x)}) for x in exact)):
            if 0 in lots:
                continue
            n = np.array(lots, np.float64)
            u = n @ scaled
            left, noise = math.sqrt(max(float(u @ shock @ u), 0.0)), float(np.linalg.norm(n * value * error))
            if noise > 0 and (best is None or left * best.noise < best.left * noise * (1.0 - 1e-9)):
                best = Package(tuple(int(k) for k in lots), left, noise)
    return best
