"""log of int_0^inf u^(p - 1) exp(z u - u^2 / 2) du: the discounted passages of an Ornstein-Uhlenbeck process.

With p = r / kappa and z = (x - level) / sigma_eq it is F(x), with -z it is G(x) (see `leung_li`). The integrand is
singular at 0 for p < 1; as Gamma(p) exp(z^2 / 4) D_{-p}(-z), D the parabolic cylinder function, it is not. Library
routines of D lose their digits for p above 20 and middling z, where the integrand is a smooth peak: there it is summed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

LARGE = 20.0  # p from which the integral is summed
FAR = 35.0  # |z| beyond which D leaves the range of floats
POINTS, REACH = 241, 9.0  # of the sum: deviations of the peak to either side


def log_cylinder(power: Any, z: Any) -> np.ndarray:
    """Log of the integral for power p > 0 and z, arrays that broadcast; |z| is clipped to 35."""
    p, at = np.broadcast_arrays(np.asarray(power, np.float64), np.clip(np.asarray(z, np.float64), -FAR, FAR))
    out = np.empty(p.shape)
    summed = p > LARGE
    out[summed] = _by_sum(p[summed], at[summed])
    out[~summed] = _by_function(p[~summed], at[~summed])
    return out


def _by_function(p: np.ndarray, z: np.ndarray) -> np.ndarray:
    from scipy.special import gammaln, pbdv

    return np.asarray(gammaln(p) + 0.25 * z * z + np.log(pbdv(-p, -z)[0]))


def _by_sum(p: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Trapezoidal sum over the peak, which converges as fast as the integrand falls at the ends."""
    peak = 0.5 * (z + np.sqrt(z * z + 4.0 * (p - 1.0)))
    width = 1.0 / np.sqrt(1.0 + (p - 1.0) / peak**2)
    steps = np.linspace(-REACH, REACH, POINTS)
    u = np.maximum(peak[..., None] + width[..., None] * steps, 1e-300)
    logs = (p[..., None] - 1.0) * np.log(u) + z[..., None] * u - 0.5 * u * u
    top = logs.max(axis=-1)
    total = np.exp(logs - top[..., None]).sum(axis=-1)
    return np.asarray(top + np.log(total * width * (steps[1] - steps[0])))
