"""What a selection does with pairs that pass every test and cannot be traded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import oneprice as op
from oneprice.core.errors import ConfigError
from oneprice.core.instruments import Fees
from oneprice.market.prices import panel
from oneprice.study.walk_fit import PairSelection
from oneprice.study.walk_forward import walk_forward

T = 300


@pytest.mark.parametrize("root", [-0.6, 0.0, 0.3])
def test_a_spread_faster_than_a_step_is_named_and_not_traded(root: float) -> None:
    """Bouncing quotes (negative root, no kappa at all) or noise: the strongest p there is, gone before the next bar."""
    rng = np.random.default_rng(2)
    walk, noise = np.cumsum(rng.normal(0, 0.01, T)), rng.normal(0, 0.01, T)
    for t in range(1, T):
        noise[t] += root * noise[t - 1]
    other = np.cumsum(rng.normal(0, 0.01, T))
    close = np.column_stack([50 * np.exp(walk), 60 * np.exp(walk + noise), 40 * np.exp(other)])
    picked = PairSelection()(panel(close), np.full(3, 4.0))
    (found,) = [s for s in picked.survivors if set(s.symbols) == {"s0", "s1"}]
    assert found.half_life < 1.0
    assert found.verdict.startswith("half-life below one step")
    assert not any(set(s.symbols) == {"s0", "s1"} for s in picked.slots)


@pytest.mark.parametrize("by_era", [False, True])
def test_fees_a_share_are_refused(by_era: bool) -> None:
    """One fee for all of the time or by era: adjusted prices do not know how many shares were traded."""
    close = 50 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.01, (T, 3)), axis=0))
    share = Fees(maker_bp=0, taker_bp=1, per_lot="0.01")
    fees: Any = [("1970-01-01", share)] if by_era else share
    with pytest.raises(ConfigError, match="fees a share"):
        walk_forward(op.strategies.stat_arb(), panel(close), train="100d", step="60d", fees=fees)


def test_a_scaled_copy_is_no_relation_to_keep() -> None:
    """A retest of two series that have become one: the statistic is -inf, which is no evidence of reversion."""
    from oneprice.signals.slots import Slot

    rng = np.random.default_rng(4)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.01, T)))
    tiny = rng.normal(0, 1e-7, T)
    for t in range(1, T):
        tiny[t] += 0.8 * tiny[t - 1]
    both = panel(np.column_stack([close, close**1.5 * np.exp(tiny)]))
    held = Slot(
        symbols=("s0", "s1"), weights=(1.0, -1.0), space="log", centre=0.0, sigma=0.01, kappa=0.1, kappa_se=0.05,
        entry=1.5, exit=0.0, stop=4.0, hold_steps=50, capital=1e5, rebalance=0.0,
    )  # fmt: skip
    assert PairSelection().retest(both, np.zeros(2), held) is None


def crossing(n: int = 260) -> np.ndarray:
    """Level prices [n, 3] around zero, two of them tied."""
    rng = np.random.default_rng(8)
    x = np.cumsum(rng.normal(0, 0.5, n)) - 2.0
    s = np.zeros(n)
    for t in range(1, n):
        s[t] = 0.6 * s[t - 1] + rng.normal(0, 0.5)
    close = np.column_stack([x + s, x, np.cumsum(rng.normal(0, 0.5, n)) + 100.0])
    assert (close[:, 0] < 0).any() and (close[:, 0] > 0).any()
    return close


def test_a_level_series_that_crosses_zero_is_no_split() -> None:
    """Near zero any step is a ratio of two: it is tested and found; a lasting jump of twenty times its moves is left
    out by its size, one odd price is not; a series that is positive throughout is still judged by ratio.
    """
    from oneprice.study.walk_fit import usable

    close = crossing()
    held, out = usable(panel(close), "level")
    assert held is not None and held.width == 3 and out == ()
    picked = PairSelection(space="level")(panel(close), np.full(3, 1.0))
    assert any(set(s.symbols) == {"s0", "s1"} for s in picked.survivors)
    shifted, odd, halved = close.copy(), close.copy(), close.copy()
    shifted[150:, 1] += 40.0
    odd[150, 1] += 40.0
    halved[150:, 2] /= 2.0
    for given, left in ((shifted, {"s1": "jumps"}), (odd, {}), (halved, {"s2": "looks split"})):
        _, out = usable(panel(given), "level")
        assert {e.symbol: e.reason.split(" in the window")[0] for e in out} == left


def test_a_window_is_screened_once_however_many_survive(monkeypatch: pytest.MonkeyPatch) -> None:
    """More significant pairs than `keep`: one pass, the best are looked at, the others are counted."""
    from oneprice.study import walk_fit

    rng = np.random.default_rng(6)
    base = np.cumsum(rng.normal(0, 0.01, T))
    close = 40.0 * np.exp(base[:, None] + noise_of(rng))
    calls = []
    count = walk_fit.count_pairs
    monkeypatch.setattr(walk_fit, "count_pairs", lambda *a, **k: calls.append(1) or count(*a, **k))
    few = PairSelection(keep=5, most_legs=2)(panel(close), np.full(8, 1.0))
    assert calls == [1] and len(few.survivors) == 5 and few.unlisted == few.nominal - 5 > 10
    every = PairSelection(most_legs=2)(panel(close), np.full(8, 1.0))
    assert every.unlisted == 0 and len(every.survivors) == few.nominal == every.nominal


def noise_of(rng: np.random.Generator) -> np.ndarray:
    """Stationary deviations [T, 8] of half-life two steps."""
    s = np.zeros((T, 8))
    for t in range(1, T):
        s[t] = 0.7 * s[t - 1] + rng.normal(0, 0.01, 8)
    return s
