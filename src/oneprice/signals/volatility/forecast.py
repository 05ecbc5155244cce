"""Variance of returns some steps ahead, from where a fit stands.

    GARCH:  E h_{n+k} = v + (alpha + beta)^{k-1} (h_{n+1} - v),  v = omega / (1 - alpha - beta)
    EGARCH: the expectation has no short form; ln h is carried by its mean,  E ln h_{n+k} = c + beta^{k-1} (ln h_{n+1} - c),
            c = omega / (1 - beta), and exp of it is the median-like path, below the mean by half the variance of ln h
"""

from __future__ import annotations

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.signals.volatility.result import VolatilityFit


def forecast_variance(fit: VolatilityFit, steps: int) -> np.ndarray:
    """Variance of each of the next `steps` returns, float64 of shape (steps,), in squared units of the returns.

    Raises ConfigError unless steps >= 1.
    """
    if steps < 1:
        raise ConfigError(f"forecast: expected steps >= 1, got {steps}")
    p = fit.params()
    k = np.arange(steps)
    if fit.model == "garch":
        persistence = p["alpha"] + p["beta"]
        level = p["omega"] / (1.0 - persistence)
        return np.asarray(level + persistence**k * (fit.next_variance - level))
    level = p["omega"] / (1.0 - p["beta"])
    return np.asarray(np.exp(level + p["beta"] ** k * (np.log(fit.next_variance) - level)))
