"""The exact quotes of Gueant, Lehalle and Fernandez-Tapia: a maker who holds between -Q and Q orders.

    v' = M v, v(T) = 1;   M diagonal alpha q^2 - beta q, neighbours -eta
    alpha = k gamma sigma^2 / 2,  beta = k mu,  eta = A (1 + gamma / k)^-(1 + k / gamma)
    bid distance(q) = (1 / k) ln(v_q / v_{q+1}) + (1 / gamma) ln(1 + gamma / k),   ask distance(q) with v_{q-1}

v = exp(-M (T - t)) 1. All of exp(c - M) is positive, so it is computed by squaring positive matrices: each entry keeps
its digits however small, and no horizon overflows, because each square is divided by its largest entry. A sum over
eigenvectors is as good but for short horizons and strong aversion, where its terms cancel (1e-5 of a distance). Without
a horizon v is the eigenvector of the lowest eigenvalue: squaring goes on until the quotes stand still.

Source: Gueant, Lehalle, Fernandez-Tapia (2013), Dealing with the inventory risk, doi:10.1007/s11579-012-0087-0.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.signals.quoting.glft import growth
from oneprice.signals.quoting.stoikov import margin

MAX_BOUND = 200
TERMS = 24  # of the exponential series of a matrix of norm <= 1
STILL = 1e-13  # change of ln v between squarings that counts as none
MAX_SQUARES = 220


class ExactQuotes(msgspec.Struct, frozen=True):
    """Distances of the quotes from the mid by inventory, quote currency; NaN on the side that may not trade."""

    q: np.ndarray  # orders held, -Q..Q
    bid: np.ndarray  # NaN at Q
    ask: np.ndarray  # NaN at -Q

    def at(self, q: int) -> tuple[float, float]:
        """(bid distance, ask distance) for q orders held. Raises ConfigError outside of the bound."""
        bound = len(self.q) // 2
        if not -bound <= q <= bound:
            raise ConfigError(f"inventory: expected -{bound} to {bound}, got {q}")
        return float(self.bid[q + bound]), float(self.ask[q + bound])

    def neutral(self) -> float:
        """The inventory at which both distances are equal (q*, between whole orders by a straight line)."""
        gap = (self.bid - self.ask)[1:-1]
        return float(np.interp(0.0, gap, self.q[1:-1]))


def glft_matrix(
    gamma: float, k_decay: float, arrivals_per_s: float, sigma: float, *, mu: float = 0.0, bound: int = 30
) -> np.ndarray:
    """M, [2 bound + 1, 2 bound + 1], 1 / second. Raises ConfigError for parameters without a meaning."""
    for name, value, low in (("gamma", gamma, 0.0), ("sigma", sigma, 0.0)):
        if not (value >= low and math.isfinite(value)):
            raise ConfigError(f"glft: {name}: expected a finite number >= 0, got {value!r}")
    for name, value in (("k_decay", k_decay), ("arrivals_per_s", arrivals_per_s)):
        if not (value > 0.0 and math.isfinite(value)):
            raise ConfigError(f"glft: {name}: expected a finite number > 0, got {value!r}")
    if not math.isfinite(mu):
        raise ConfigError(f"glft: mu: expected a finite number, got {mu!r}")
    if not 1 <= bound <= MAX_BOUND:
        raise ConfigError(f"glft: bound: expected 1 to {MAX_BOUND} orders, got {bound}")
    q = np.arange(-bound, bound + 1, dtype=np.float64)
    eta = arrivals_per_s / growth(gamma / k_decay)
    matrix = np.diag(0.5 * k_decay * gamma * sigma**2 * q**2 - k_decay * mu * q)
    return matrix - eta * (np.eye(len(q), k=1) + np.eye(len(q), k=-1))


def glft_exact(
    gamma: float,
    k_decay: float,
    arrivals_per_s: float,
    sigma: float,
    *,
    mu: float = 0.0,
    bound: int = 30,
    left_s: float = math.inf,
) -> ExactQuotes:
    """The exact quotes `left_s` seconds before the horizon (inf: none), for -bound..bound orders held.

    Parameters as in `glft`; q in orders, so for orders of `size` units give gamma * size. At and after the horizon
    (left_s <= 0) all distances are the margin.

    Raises
    ------
    ConfigError
        Parameters without a meaning, or a bound so wide that v leaves the range of floats.
    """
    matrix = glft_matrix(gamma, k_decay, arrivals_per_s, sigma, mu=mu, bound=bound)
    if math.isnan(left_s):
        raise ConfigError("glft: left_s: expected seconds or inf, got NaN")
    v = _flow(matrix, left_s)
    if not v.min() > 0.0:
        raise ConfigError(f"glft: bound: the value at {bound} orders is below the range of floats; lower it")
    step = np.log(v[:-1] / v[1:]) / k_decay
    base = margin(gamma, k_decay)
    q = np.arange(-bound, bound + 1)
    return ExactQuotes(q, np.append(base + step, math.nan), np.append(math.nan, base - step))


def _flow(matrix: np.ndarray, left_s: float) -> np.ndarray:
    """exp(-matrix left_s) 1 up to a factor; the lowest eigenvector for inf."""
    n = len(matrix)
    if left_s <= 0.0:
        return np.ones(n)
    positive = np.eye(n) * matrix.diagonal().max() - matrix
    norm = float(positive.sum(axis=1).max())
    squares = MAX_SQUARES if math.isinf(left_s) else max(0, math.ceil(math.log2(max(norm * left_s, 1e-300))))
    step = positive / norm if math.isinf(left_s) else positive * (left_s / 2.0**squares)
    power = np.eye(n)
    for j in range(TERMS, 0, -1):  # Horner: all terms are positive
        power = np.eye(n) + step @ power / j
    before = np.zeros(n)
    for _ in range(squares):
        power = power @ power
        power /= power.max()
        v = power.sum(axis=1)
        if not v.min() > 0.0:
            break
        logs = np.log(np.maximum(v, 1e-300))
        if math.isinf(left_s) and np.abs(np.diff(logs) - np.diff(before)).max() <= STILL:
            break
        before = logs
    return np.asarray(power.sum(axis=1))
