"""The fan's stops on simulated Ornstein-Uhlenbeck spreads: false ones at the stated rate, and when kappa halves."""

from __future__ import annotations

import math

import numpy as np
import pytest

from oneprice.core.errors import ConfigError
from oneprice.signals.drift import fan
from oneprice.signals.drift.fan_design import fan_rates, fan_statistics, fan_width

KAPPA = math.log(2.0) / 14.0  # a half-life of 14 steps
TRADE = {"entry": 2.0, "kappa_cv": 0.3, "steps_out": 3}


def test_five_per_cent_lie_outside_at_any_age() -> None:
    """kappa drawn from the stated uncertainty: 5 % (+-1) above the one-sided 95 % fan 5, 14, 28 and 60 steps on."""
    rng = np.random.default_rng(11)
    n = 40_000
    kappa = KAPPA * np.exp(math.sqrt(math.log1p(0.3**2)) * rng.standard_normal(n))
    for t in (5, 14, 28, 60):
        z = 2.0 * np.exp(-kappa * t) + np.sqrt(-np.expm1(-2.0 * kappa * t)) * rng.standard_normal(n)
        at, spread = fan.decay(KAPPA * t, 0.3, 2.0)
        assert np.mean(z > at + 1.6448536 * math.sqrt(spread)) == pytest.approx(0.05, abs=0.01), t


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1])
def test_false_stops_are_at_the_rate_asked_for(rate: float) -> None:
    """The width for a rate stops that share of right trades in other draws."""
    width = fan_width(rate, KAPPA, **TRADE)
    false, _ = fan_rates(width, KAPPA, seed=99, **TRADE)
    error = 3.0 * math.sqrt(2.0 * rate * (1.0 - rate) / 20_000)
    assert false == pytest.approx(rate, abs=error)


def test_power_when_the_reversion_halves() -> None:
    """At 5 % false stops: 23 % of trades at half the reversion, half of those at a tenth; more the wider the entry."""
    width = fan_width(0.05, KAPPA, **TRADE)
    power = {r: fan_rates(width, KAPPA, kappa_ratio=r, **TRADE)[1] for r in (1.0, 0.5, 0.25, 0.1)}
    assert power[1.0] == pytest.approx(0.05, abs=0.01)
    assert power[0.5] == pytest.approx(0.23, abs=0.02)
    assert power[0.25] == pytest.approx(0.40, abs=0.02)
    assert power[0.1] == pytest.approx(0.515, abs=0.02)
    far = TRADE | {"entry": 3.0}
    assert fan_rates(fan_width(0.05, KAPPA, **far), KAPPA, **far)[1] == pytest.approx(0.30, abs=0.02)


def test_a_book_of_trades_shows_what_one_trade_hides() -> None:
    """Ten trades of one pair at half the reversion: the share with a stop is above 90 %, against 40 % by mistake."""
    width = fan_width(0.05, KAPPA, **TRADE)
    false, right = fan_rates(width, KAPPA, **TRADE)
    assert 1.0 - (1.0 - false) ** 10 == pytest.approx(0.40, abs=0.04)
    assert 1.0 - (1.0 - right) ** 10 > 0.90


def fitted_trade_rate(width: float, known_scale: bool, history: int, trades: int = 3000, seed: int = 5) -> float:
    """Share of right trades stopped where kappa (and, unless known, mean and deviation) come from a fit to history."""
    rng = np.random.default_rng(seed)
    phi, steps = math.exp(-KAPPA), math.ceil(5.0 * math.log(2.0) / KAPPA)
    noise = math.sqrt(1.0 - phi * phi)
    shocks = rng.standard_normal((trades, history)) * noise
    shocks[:, 0] /= noise
    past = np.empty_like(shocks)
    past[:, 0] = shocks[:, 0]
    for t in range(1, history):
        past[:, t] = phi * past[:, t - 1] + shocks[:, t]
    x, y = past[:, :-1], past[:, 1:]
    dx = x - x.mean(axis=1, keepdims=True)
    slope = (dx * y).sum(axis=1) / (dx * dx).sum(axis=1)
    slope = np.clip(slope + (1.0 + 3.0 * slope) / history, 0.05, 0.995)  # Kendall's correction
    error = np.sqrt((1.0 - slope**2) / history)
    kappa = -np.log(slope)
    stopped = 0
    for i in range(trades):
        level, scale = (0.0, 1.0) if known_scale else (past[i].mean(), past[i].std())
        z = np.empty(steps + 1)
        z[0] = level + 2.0 * scale
        for t in range(steps):
            z[t + 1] = phi * z[t] + noise * rng.standard_normal()
        seen = (z - level) / scale
        over = np.flatnonzero(seen <= 0.0)
        path = seen[: over[0] + 1] if len(over) else seen
        out = fan.FOLD.scan(path, kappa_dt=kappa[i], kappa_cv=error[i] / slope[i] / kappa[i], width=width, steps_out=3)
        stopped += out[-1] > 0.0
    return stopped / trades


def test_false_stops_where_the_model_is_fitted() -> None:
    """Near the 5 % designed: kappa fitted and the rest known; or all fitted, when the width was told how long ago."""
    plain = fan_width(0.05, KAPPA, **TRADE)
    assert fitted_trade_rate(plain, True, 500) == pytest.approx(0.05, abs=0.02)
    assert fitted_trade_rate(plain, False, 250) > 0.09  # the error of mean and deviation is not in the fan
    for history in (250, 500):
        told = fan_width(0.05, KAPPA, history=history, **TRADE)
        assert told > plain
        assert fitted_trade_rate(told, False, history) == pytest.approx(0.05, abs=0.02), history


def test_impossible_trades_are_refused() -> None:
    """No reversion, an exit beyond the entry, a horizon shorter than the steps, a rate that is none."""
    for bad in (
        {"entry": 1.0, "exit_z": 1.0},
        {"kappa_cv": -0.1},
        {"horizon": 2, "steps_out": 3},
        {"kappa_ratio": 0.0},
    ):
        with pytest.raises(ConfigError, match="kappa_dt > 0"):
            fan_statistics(0.05, **bad)
    with pytest.raises(ConfigError, match="kappa_dt > 0"):
        fan_statistics(0.0)
    with pytest.raises(ConfigError, match="history: expected 81 observations"):
        fan_statistics(0.05, history=60)
    with pytest.raises(ConfigError, match="false stops"):
        fan_width(1.0, 0.05)
    with pytest.raises(ConfigError, match="steps_out"):
        fan_width(0.5, 0.3, entry=0.05, steps_out=10, horizon=10)
