"""What a volatility fit returns, and what a series of returns must be before one is made."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError

LOG_2PI = math.log(2.0 * math.pi)
LEAST = 50
ERRORS = ("hessian", "opg", "qmle")


class VolatilityFit(msgspec.Struct, frozen=True):
    """Parameters by name, their standard errors by kind, and where the filter stands at the end.

    se: "hessian" (inverse information), "opg" (outer products of the scores), "qmle" (H^-1 OPG H^-1, which holds
    when the residuals are not normal); NaN where the likelihood has no curvature or the estimate lies on a bound.
    first_variance: of the first return, where the recursion starts. next_variance: of the return after the last.
    """

    model: str
    names: tuple[str, ...]
    values: tuple[float, ...]
    se: dict[str, tuple[float, ...]]
    log_likelihood: float
    first_variance: float
    next_variance: float
    n: int
    steps: int  # of the search
    converged: bool = True  # False: the likelihood was still rising, or an estimate lies on a bound

    def params(self) -> dict[str, float]:
        """Parameters of the fold (`features.garch`, `features.egarch`); begin it at `first_variance`."""
        return dict(zip(self.names, self.values, strict=True))

    def se_of(self, name: str, kind: str = "qmle") -> float:
        """One standard error."""
        if kind not in ERRORS or name not in self.names:
            raise ConfigError(
                f"standard error: expected one of {', '.join(self.names)} and of {', '.join(ERRORS)}, "
                f"got {name}, {kind}"
            )
        return self.se[kind][self.names.index(name)]


def checked_returns(returns: Any) -> tuple[np.ndarray, float]:
    """(returns over their standard deviation as float64[n], that deviation).

    Raises DataError: not one-dimensional, fewer than 50, not finite somewhere, or constant.
    """
    r = np.ascontiguousarray(returns, np.float64)
    if r.ndim != 1 or len(r) < LEAST:
        raise DataError(f"volatility fit: expected returns of shape (n,), n >= {LEAST}, got {r.shape}")
    bad = np.flatnonzero(~np.isfinite(r))
    if len(bad):
        raise DataError(
            f"volatility fit: expected finite returns, got {r[bad[0]]} at row {int(bad[0])} ({len(bad)} in all)"
        )
    sd = float(r.std())
    if not sd > 1e-12 * float(np.abs(r).max()):
        raise DataError(f"volatility fit: expected returns that vary, got {r[0]:g} in all {len(r)} rows")
    return r / sd, sd


def standard_errors(information: np.ndarray, opg: np.ndarray, inside: bool) -> dict[str, np.ndarray]:
    """The three kinds from the information matrix (minus Hessian) and the sum of outer products of the scores."""
    k = len(opg)
    lost = np.full(k, math.nan)
    out = dict.fromkeys(ERRORS, lost)
    if not inside:
        return out
    try:
        np.linalg.cholesky(opg)
        out["opg"] = np.sqrt(np.diag(np.linalg.inv(opg)))
        np.linalg.cholesky(information)
        inverse = np.linalg.inv(information)
        out["hessian"] = np.sqrt(np.diag(inverse))
        out["qmle"] = np.sqrt(np.diag(inverse @ opg @ inverse))
    except np.linalg.LinAlgError:
        pass  # no curvature: what is missing stays NaN
    return out
