"""How far two groupings of the same points agree, chance taken out."""

from __future__ import annotations

import numpy as np

from oneprice.core.errors import DataError


def adjusted_rand(a: np.ndarray, b: np.ndarray) -> float:
    """Adjusted Rand index of two label arrays of one length: 1 equal groupings, 0 what chance gives.

    (sum_ij C(n_ij, 2) - E) / (mean of the two maxima - E), E = sum_i C(a_i, 2) sum_j C(b_j, 2) / C(n, 2).
    Hubert and Arabie 1985, doi 10.1007/BF01908075. Each label is a group, -1 too.
    """
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.ndim != 1 or len(a) < 2:
        raise DataError(f"adjusted_rand: expected two label arrays of one length >= 2, got {a.shape} and {b.shape}")
    _, i = np.unique(a, return_inverse=True)
    _, j = np.unique(b, return_inverse=True)
    table = np.zeros((int(i.max()) + 1, int(j.max()) + 1))
    np.add.at(table, (i, j), 1.0)

    def pairs(counts: np.ndarray) -> float:
        return float((counts * (counts - 1)).sum() / 2)

    together, rows, columns = pairs(table), pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    expected = rows * columns / (len(a) * (len(a) - 1) / 2)
    most = (rows + columns) / 2
    return 1.0 if most == expected else (together - expected) / (most - expected)
