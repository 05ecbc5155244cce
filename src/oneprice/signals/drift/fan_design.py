"""The fan's error rates: how often it stops a trade that is right, and one whose reversion has halved.

A trade enters at z_0 and ends at the exit level, at the horizon, or by the stop. Its statistic is

    W = max over t of min(excess_{t-m+1}, ..., excess_t)

with m = steps_out, so it is stopped by every width below W: one simulation gives the rate of every width, and the
width of every rate. Right trades draw their reversion from the uncertainty that the fan was given (a fitted kappa is
not the true one); wrong ones have `kappa_ratio` times it with the diffusion unchanged, so their equilibrium deviation
is 1 / sqrt(kappa_ratio) of the z-scores' unit.

With `history` observations behind the fit, mean and deviation of the z-score are estimates as well. With phi = e^-k the
mean errs with variance v = (1 + phi) / (1 - phi) / n, and the squared deviation is 1 - v on average with relative
variance 2 (1 + phi^2) / (1 - phi^2) / n; each trade draws both. The fold knows nothing of it, its width pays for it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit
from oneprice.signals.drift import fan


def fan_statistics(
    kappa_dt: float,
    *,
    entry: float = 2.0,
    exit_z: float = 0.0,
    kappa_cv: float = 0.3,
    steps_out: int = 3,
    horizon: int = 0,
    kappa_ratio: float = 1.0,
    history: int = 0,
    paths: int = 20_000,
    seed: int = 0,
) -> np.ndarray:
    """W of simulated trades, float64[paths]; -inf for a trade over before `steps_out` steps.

    kappa_dt: estimated reversion a step. kappa_cv: its standard error / estimate. exit_z: the trade ends when
    sign(z_0) z falls to it. horizon: most steps of a trade, 0 means five half-lives. kappa_ratio: true over estimated
    reversion, in the middle. history: observations that mean and deviation come from, 0 means that they are exact.
    Raises ConfigError for impossible values.
    """
    steps = horizon or math.ceil(5.0 * math.log(2.0) / kappa_dt) if kappa_dt > 0.0 else 0
    phi = math.exp(-kappa_dt)
    error = (1.0 + phi) / (1.0 - phi) / history if history > 0 and kappa_dt > 0.0 else 0.0
    scatter = 2.0 * (1.0 + phi**2) / (1.0 - phi**2) / history if error > 0.0 else 0.0
    if not error < 0.5:
        raise ConfigError(f"history: expected {math.ceil(2.0 * error * history)} observations or more, got {history}")
    good = kappa_dt > 0.0 and kappa_cv >= 0.0 and kappa_ratio > 0.0 and abs(entry) > exit_z
    if not (good and steps >= steps_out >= 1 and paths >= 1):
        raise ConfigError(
            "fan: expected kappa_dt > 0, kappa_cv >= 0, kappa_ratio > 0, |entry| > exit_z and 1 <= steps_out <= "
            f"horizon, got {kappa_dt}, {kappa_cv}, {kappa_ratio}, entry {entry}, exit_z {exit_z}, "
            f"steps_out {steps_out}, horizon {steps}"
        )
    out = np.empty(paths)
    design = np.array([kappa_dt, kappa_cv, kappa_ratio, entry, exit_z, math.sqrt(error), math.log1p(scatter)])
    _trades(fan.FOLD.fresh(), np.random.default_rng(seed), design, int(steps_out), int(steps), out)
    return out


def fan_width(rate: float, kappa_dt: float, **trade: Any) -> float:
    """The width that stops a share `rate` of right trades; keywords as for `fan_statistics`.

    Use it as `width` of the fold: then a false-stop rate is what a user states. Raises ConfigError when so few trades
    last `steps_out` steps that no width stops that many.
    """
    if not 0.0 < rate < 1.0:
        raise ConfigError(f"rate of false stops: expected a number in (0, 1), got {rate}")
    width = float(np.quantile(fan_statistics(kappa_dt, **trade), 1.0 - rate, method="higher"))
    if not math.isfinite(width):
        raise ConfigError(f"rate {rate:g}: fewer trades than that last `steps_out` steps; expected a smaller rate")
    return max(0.0, width)


def fan_rates(width: float, kappa_dt: float, *, kappa_ratio: float = 0.5, **trade: Any) -> tuple[float, float]:
    """(share of right trades stopped, share of trades stopped whose reversion is `kappa_ratio` of the estimate)."""
    right = fan_statistics(kappa_dt, **trade)
    wrong = fan_statistics(kappa_dt, **trade | {"kappa_ratio": kappa_ratio, "seed": trade.get("seed", 0) + 1})
    return float(np.mean(right > width)), float(np.mean(wrong > width))


@njit
def _trades(states: Any, rng: Any, design: Any, steps_out: int, horizon: int, out: Any) -> None:
    kappa_dt, kappa_cv, ratio, entry, exit_z = design[0], design[1], design[2], design[3], design[4]
    spread = math.sqrt(math.log1p(kappa_cv * kappa_cv))
    side = 1.0 if entry >= 0.0 else -1.0
    level, scale = 0.0, 1.0
    recent = np.empty(steps_out)
    s = states[0]
    for i in range(len(out)):
        own = math.exp(spread * rng.standard_normal())  # this trade's kappa over the estimate
        phi = math.exp(-kappa_dt * own * ratio)
        noise = math.sqrt((1.0 - phi * phi) / ratio)
        if design[5] > 0.0:
            level = design[5] * rng.standard_normal()
            # log-normal with the mean and the scatter of the squared deviation
            square = math.exp(math.sqrt(design[6]) * rng.standard_normal() - 0.5 * design[6])
            scale = math.sqrt((1.0 - design[5] * design[5]) * square)
        fan.enter(s, entry)
        x, most = level + scale * entry, -math.inf
        for t in range(horizon):
            x = phi * x + noise * rng.standard_normal()
            z = (x - level) / scale
            fan.step(s, z, kappa_dt, kappa_cv, 1e300, 1, 0)
            recent[t % steps_out] = s.excess
            if t + 1 >= steps_out:
                most = max(most, recent.min())
            if side * z <= exit_z:
                break
        out[i] = most
