"""Variance of returns some steps ahead, from where a fit stands.

    GARCH:  E h_{n+k} = v + (alpha + beta)^{k-1} (h_{n+1} - v),  v = omega / (1 - alpha - beta)
    EGARCH: E h_{n+k} = exp(omega (1 + ... + beta^{k-2})) h_{n+1}^(beta^{k-1}) prod_{i < k-1} E exp(beta^i g(z)),
            g(z) = alpha (|z| - sqrt(2 / pi)) + gamma z,  z normal, for which
            E exp(a |z| + c z) = exp((a + c)^2 / 2) Phi(a + c) + exp((a - c)^2 / 2) Phi(a - c)

Reference: D. B. Nelson (1991), doi:10.2307/2938260, appendix 1.
"""

from __future__ import annotations

import math

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.features.egarch import MEAN_ABS
from oneprice.signals.volatility.result import VolatilityFit


def forecast_variance(fit: VolatilityFit, steps: int) -> np.ndarray:
    """Expected variance of each of the next `steps` returns, float64 of shape (steps,), in squared units.

    Raises ConfigError unless steps >= 1.
    """
    if steps < 1:
        raise ConfigError(f"forecast: expected steps >= 1, got {steps}")
    p = fit.params()
    if fit.model == "garch":
        persistence = p["alpha"] + p["beta"]
        level = p["omega"] / (1.0 - persistence)
        return np.asarray(level + persistence ** np.arange(steps) * (fit.next_variance - level))
    out = np.empty(steps)
    log_next = math.log(fit.next_variance)
    shift, gain, weight = 0.0, 0.0, 1.0  # sum of omega beta^i, log of the product of expectations, beta^j
    for j in range(steps):
        out[j] = math.exp(shift + weight * log_next + gain)
        shift += p["omega"] * weight
        gain += _log_expectation(weight * p["alpha"], weight * p["gamma"])
        weight *= p["beta"]
    return out


def _log_expectation(a: float, c: float) -> float:
    """ln E exp(a (|z| - E|z|) + c z) of a standard normal z."""

    def half(u: float) -> float:
        return math.exp(0.5 * u * u) * 0.5 * math.erfc(-u / math.sqrt(2.0))

    return math.log(half(a + c) + half(a - c)) - a * MEAN_ABS
