"""Up a likelihood by Newton steps, or by scores (BHHH) where it bends the wrong way, halved until they gain.

Reference: E. K. Berndt, B. H. Hall, R. E. Hall, J. A. Hausman (1974), Annals of Economic and Social Measurement
3, 653-665.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

MOST_STEPS = 80
TOLERANCE = 1e-10  # of g' I^-1 g, twice what likelihood is left to gain
_SMALLEST = 1e-7  # of a step
_NOTHING, _PATIENCE = 1e-7, 3  # so little likelihood gained, so many times

Derivatives = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


def climb(
    likelihood: Callable[[np.ndarray], float],
    derivatives: Derivatives,
    inside: Callable[[np.ndarray], bool],
    theta: np.ndarray,
    free: np.ndarray,
) -> tuple[np.ndarray, float, int, bool]:
    """(theta, likelihood, steps, converged) from `theta`, moving the parameters numbered in `free`.

    derivatives: gradient (k,), minus the Hessian (k, k), outer products of the scores (k, k), at all parameters.
    A theta outside of `inside` is never tried; a bound that holds the search gives converged = False.
    """
    part = np.ix_(free, free)
    value = likelihood(theta)
    stalled = 0
    for step in range(1, MOST_STEPS + 1):
        gradient, information, opg = derivatives(theta)
        gradient = gradient[free]
        move = _direction(information[part], opg[part], gradient)
        gain = float(gradient @ move)
        if not math.isfinite(gain):
            return theta, value, step, False
        if gain < TOLERANCE:
            return theta, value, step, True
        size = 1.0
        while size > _SMALLEST:
            tried = theta.copy()
            tried[free] += size * move
            if inside(tried):
                found = likelihood(tried)
                if found > value + 1e-4 * size * gain or (gain < 1e-6 and found >= value - 1e-9):
                    break
            size *= 0.5
        else:
            return theta, value, step, gain < _NOTHING
        stalled = stalled + 1 if found - value < _NOTHING else 0
        theta, value = tried, found
        if stalled == _PATIENCE:  # at a kink, which |z| has where a residual changes its sign
            return theta, value, step, True
    return theta, value, MOST_STEPS, False


def _direction(information: np.ndarray, opg: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Where to go: by curvature when it is that of a hill, else by the scores."""
    try:
        np.linalg.cholesky(information)
    except np.linalg.LinAlgError:
        information = opg + 1e-9 * np.trace(opg) * np.eye(len(opg))
    try:
        return np.asarray(np.linalg.solve(information, gradient))
    except np.linalg.LinAlgError:
        return gradient
