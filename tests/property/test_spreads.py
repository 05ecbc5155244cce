"""Log and level spreads: each sizing earns its own spread, and they do not mix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.core.errors import ConfigError, DataError
from oneprice.signals import spread as sp

BETAS = st.floats(0.1, 3.0) | st.floats(-2.0, -0.1)


def walk(seed: int, steps: int = 200, scale: float = 0.01, n: int = 2) -> np.ndarray:
    return 50 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, scale, (steps, n)), axis=0))


@settings(deadline=None, max_examples=40)
@given(BETAS, st.floats(-5, 5), st.integers(0, 2**31), st.floats(1e3, 1e7))
def test_held_units_earn_the_level_spread_exactly(beta: float, alpha: float, seed: int, capital: float) -> None:
    """Level: P&L = scale x change of the spread, to rounding; the constant earns nothing."""
    close = walk(seed)
    s = sp.pair(("A", "B"), beta, alpha, "level")
    sized = sp.positions(s, capital, close[0])
    x = sp.values(s, close)
    np.testing.assert_allclose(sp.pnl(s, sized, close), sized.scale * (x - x[0]), atol=1e-9 * capital)
    assert np.abs(sp.units(s, sized, close)[0] * close[0]).sum() == pytest.approx(capital)
    assert not sp.traded_value(s, sized, close)[1:].any()
    moved = sp.pair(("A", "B"), beta, alpha + 7.0, "level")
    assert sp.positions(moved, capital, close[0]) == sized


@settings(deadline=None, max_examples=40)
@given(BETAS, st.integers(0, 2**31), st.floats(1e3, 1e7))
def test_kept_notionals_earn_the_log_spread(beta: float, seed: int, capital: float) -> None:
    """Log: P&L less scale x change of the spread lies in 0.51 sum |k w| r^2: second order in the moves."""
    close = walk(seed)
    s = sp.pair(("A", "B"), beta, 0.3, "log")
    sized = sp.positions(s, capital, close[0])
    x = sp.values(s, close)
    gap = sp.pnl(s, sized, close) - sized.scale * (x - x[0])
    r = np.diff(np.log(close), axis=0)
    bound = 0.55 * (np.abs(sized.amounts) * r**2).sum(axis=1).cumsum()
    assert (np.abs(gap[1:]) <= bound + 1e-9 * capital).all()
    assert np.abs(gap[-1]) > 1e-7 * capital, "the bound is not of nothing"
    kept = sp.units(s, sized, close) * close
    np.testing.assert_allclose(kept, np.broadcast_to(sized.amounts, kept.shape))


def test_finer_steps_bring_the_log_sizing_to_its_spread() -> None:
    """A smooth path of one total move cut in 10 times more steps has a 10 times smaller gap."""
    ends = np.array([[50.0, 20.0], [70.0, 22.0]])
    gaps = []
    for steps in (100, 1000):
        share = np.linspace(0, 1, steps + 1)[:, None]
        close = np.exp(np.log(ends[0]) * (1 - share) + np.log(ends[1]) * share)
        s = sp.pair(("A", "B"), 0.8, 0.0, "log")
        sized = sp.positions(s, 1e5, close[0])
        x = sp.values(s, close)
        gaps.append(abs(sp.pnl(s, sized, close)[-1] - sized.scale * (x[-1] - x[0])))
    assert gaps[0] / gaps[1] == pytest.approx(10, rel=0.02)


def test_each_sizing_misses_the_other_spread() -> None:
    """Over a large common move the level sizing of the same ratio does not earn the log spread, nor the reverse."""
    share = np.linspace(0, 1, 2001)[:, None]
    close = np.array([10.0, 40.0]) * np.exp(share * np.array([0.7, 0.5]))
    log, level = (sp.pair(("A", "B"), 1.0, 0.0, space) for space in sp.SPACES)
    in_log = sp.positions(log, 1e5, close[0])
    in_level = sp.positions(level, 1e5, close[0])
    earned = sp.pnl(log, in_log, close)[-1] / in_log.scale
    assert earned == pytest.approx(0.2, abs=1e-3)
    assert sp.pnl(level, in_level, close)[-1] / in_level.scale < 0 < earned


def test_mixing_is_an_error() -> None:
    """Positions of one space, or of other legs, are refused by a spread of the other; so is adding across spaces."""
    close = walk(1)
    log, level = (sp.pair(("A", "B"), 1.0, 0.0, space) for space in sp.SPACES)
    for mine, other in ((log, level), (level, log)):
        with pytest.raises(ConfigError, match=f"is in {mine.space}, the positions were sized in {other.space}"):
            sp.pnl(mine, sp.positions(other, 1e4, close[0]), close)
        with pytest.raises(ConfigError, match="cannot add"):
            sp.add(mine, other)
    turned = sp.pair(("B", "A"), 1.0, 0.0, "log")
    with pytest.raises(ConfigError, match="has legs"):
        sp.pnl(turned, sp.positions(log, 1e4, close[0]), close)


def test_spreads_add_leg_by_leg() -> None:
    """(A - B) + (B - C) = A - C: the shared leg is gone and the values add."""
    close = walk(3, n=3)
    a, b = sp.pair(("A", "B"), 1.0, 0.1, "log"), sp.pair(("B", "C"), 1.0, 0.2, "log")
    both = sp.add(a, b)
    assert (both.symbols, both.weights) == (("A", "C"), (1.0, -1.0))
    total = sp.values(a, close[:, :2]) + sp.values(b, close[:, 1:])
    np.testing.assert_allclose(sp.values(both, close[:, [0, 2]]), total)


def test_bad_spreads_and_prices_are_refused() -> None:
    """No weight, no such space, one leg twice; logs of what is not positive say which price."""
    with pytest.raises(ConfigError, match="unknown space 'ratio'"):
        sp.pair(("A", "B"), 1.0, 0.0, "ratio")
    with pytest.raises(ConfigError, match="finite weight other than 0"):
        sp.pair(("A", "B"), 0.0, 0.0, "log")
    with pytest.raises(ConfigError, match="different symbols"):
        sp.pair(("A", "A"), 1.0, 0.0, "log")
    close = walk(1)
    close[7, 1] = -37.63
    with pytest.raises(DataError, match=r"-37.63 of B in row 7"):
        sp.values(sp.pair(("A", "B"), 1.0, 0.0, "log"), close)
    assert np.isfinite(sp.values(sp.pair(("A", "B"), 1.0, 0.0, "level"), close)).all()
    close[7, 1] = np.nan
    with pytest.raises(DataError, match="finite prices, got nan of B in row 7"):
        sp.values(sp.pair(("A", "B"), 1.0, 0.0, "level"), close)
    with pytest.raises(ConfigError, match="capital other than 0"):
        sp.positions(sp.pair(("A", "B"), 1.0, 0.0, "log"), 0.0, close[0])
