"""Volatility of the mid in quote currency a square root of a second, with the bounce of the mid taken out.

Prices are taken at each change of the mid (tick time). Squared changes of neighbours count the bounce as movement; over
K changes they do not, but there are few of them. Two scales give both: with RV(K) the mean over the K offsets of the
sum of squared changes over K, and n1 = (n - K + 1) / K,

    IV = (RV(K) - n1 / n RV(1)) / (1 - n1 / n),     sigma = sqrt(IV / seconds)

K is sqrt(n), or what the size of the bounce asks for where that is more. The interval is from equal blocks of time, and
no narrower than sampling alone makes it. `signature` has the plain sigma by step: flat where there is no bounce.

Source: Zhang, Mykland, Ait-Sahalia (2005), A tale of two time scales, doi:10.1198/016214505000000169.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from oneprice.core.errors import DataError

MIN_CHANGES = 200
BLOCKS = 20
WIDEST = 2.0  # upper over lower end of the 95 % interval


class Sigma(msgspec.Struct, frozen=True, kw_only=True):
    """A volatility and how well it is known; `refused` says why not to use it."""

    sigma: float  # quote currency a square root of a second
    low: float  # 95 %
    high: float
    noise: float  # standard deviation of the bounce, quote currency; 0: none to be seen
    step: int  # K, changes of the mid
    n: int  # changes
    seconds: float
    signature: tuple[tuple[float, float], ...]  # (mean seconds of a step, plain sigma at that step)
    refused: str = ""


def two_scales(x: np.ndarray, step: int) -> float:
    """Integrated variance of prices x, shape (n + 1,), by scales of 1 and `step` changes; never below 0."""
    n = len(x) - 1
    fast = float(np.sum(np.diff(x) ** 2))
    if step <= 1 or n <= step:
        return fast
    slow = float(np.sum((x[step:] - x[:-step]) ** 2)) / step
    share = (n - step + 1) / (step * n)
    return max(0.0, (slow - share * fast) / (1.0 - share))


def sigma_of(at_ns: np.ndarray, mid: np.ndarray) -> Sigma:
    """The volatility of a mid.

    Parameters
    ----------
    at_ns : int64, not decreasing. mid : quote currency, same shape; NaN where there is none (skipped).

    Raises
    ------
    DataError
        Shapes differ, time goes back, or the mid never changes.
    """
    if at_ns.shape != mid.shape or at_ns.ndim != 1:
        raise DataError(f"sigma: expected stamps and mids of one shape (n,), got {at_ns.shape} and {mid.shape}")
    good = np.isfinite(mid)
    at, x = at_ns[good], mid[good]
    if len(at) > 1 and (np.diff(at) < 0).any():
        raise DataError(f"sigma: row {int(np.flatnonzero(np.diff(at) < 0)[0]) + 1}: time goes back")
    seconds = 1e-9 * float(at[-1] - at[0]) if len(at) else 0.0
    moved = np.append(True, np.diff(x) != 0.0) if len(x) else np.zeros(0, bool)
    t, x = at[moved], x[moved]
    n = len(x) - 1
    if n < 2 or seconds <= 0.0:
        raise DataError(f"sigma: expected a mid that moves, got {max(n, 0)} changes: a constant one has no volatility")
    noise = math.sqrt(max(0.0, -float(np.mean(np.diff(x)[1:] * np.diff(x)[:-1]))))
    step = _step(x, noise)
    variance = two_scales(x, step) / seconds
    error = max(math.sqrt(4.0 / 3.0 * step / n), _block_error(t, x, step, variance))
    sigma = math.sqrt(variance)
    wide = math.exp(0.5 * 1.96 * min(error, 50.0))  # on the log scale; half of the relative error of the variance
    found = Sigma(
        sigma=sigma, low=sigma / wide, high=sigma * wide, noise=noise, step=step, n=n, seconds=seconds,
        signature=_signature(x, seconds),
    )  # fmt: skip
    return msgspec.structs.replace(found, refused=refusal(found))


def refusal(found: Sigma) -> str:
    """Why not to use it, empty when one may."""
    if found.n < MIN_CHANGES:
        return f"{found.n} changes of the mid, expected at least {MIN_CHANGES}"
    if not (found.sigma > 0.0 and found.high <= WIDEST * found.low):
        return f"95 % interval {found.low:.4g} to {found.high:.4g}, expected within a factor of {WIDEST:g}"
    return ""


def _step(x: np.ndarray, noise: float) -> int:
    """K: sqrt(n), or (12 noise^4 / variance^2)^(1/3) n^(2/3) where that is more; at most n / 10."""
    n = len(x) - 1
    root = math.ceil(math.sqrt(n))
    pilot = two_scales(x, root)
    wanted = (12.0 * (noise**2 / pilot) ** 2) ** (1.0 / 3.0) * n ** (2.0 / 3.0) if pilot > 0.0 else root
    return max(1, min(max(root, math.ceil(min(wanted, float(n)))), n // 10))


def _block_error(t: np.ndarray, x: np.ndarray, step: int, variance: float) -> float:
    """Relative standard error of the mean variance from equal blocks of time, widened for their number."""
    from scipy.stats import t as student

    edges = np.linspace(float(t[0]), float(t[-1]), BLOCKS + 1)
    cuts = np.searchsorted(t, edges[1:-1])
    parts = []
    width = 1e-9 * (edges[1] - edges[0])
    for a, b in zip(np.append(0, cuts), np.append(cuts, len(t) - 1), strict=True):
        piece = x[a : b + 1]
        parts.append(two_scales(piece, min(step, max(1, (len(piece) - 1) // 4))) / width if len(piece) > 1 else 0.0)
    spread = float(np.std(parts, ddof=1)) / math.sqrt(BLOCKS)
    return spread / variance * float(student.ppf(0.975, BLOCKS - 1)) / 1.96 if variance > 0.0 else math.inf


def _signature(x: np.ndarray, seconds: float) -> tuple[tuple[float, float], ...]:
    n = len(x) - 1
    out = []
    step = 1
    while step <= max(1, n // 10):
        rv = float(np.sum((x[step:] - x[:-step]) ** 2)) / step * n / (n - step + 1)
        out.append((seconds * step / n, math.sqrt(rv / seconds)))
        step *= 2
    return tuple(out)
