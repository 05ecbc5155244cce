"""The z-score grid: a plain state machine, vectorbt, and what it refuses."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.study.bench_screen import FEE_BP, grid_points, planted_pair, scale_figures, vectorbt_grid
from oneprice.study.zscore_grid import rolling_z, zscore_grid


def plain(x: np.ndarray, p: np.ndarray, w: int, entry: float, leave: float, fee: float) -> tuple[float, int]:
    """The rule of the docstring, bar by bar, with slices."""
    cash, held, side, wanted, trades = 1.0, np.zeros(2), 0, 0, 0
    for t in range(len(x)):
        equity = cash + held @ p[t]
        if wanted != side:
            new = np.array([0.5, -0.5]) * wanted * equity / p[t]
            cash -= (new - held) @ p[t] + fee * (np.abs(new - held) @ p[t])
            held, side, trades = new, wanted, trades + (wanted != 0)
        if t >= w - 1:
            past = x[t - w + 1 : t + 1]
            z = (x[t] - past.mean()) / past.std(ddof=1)
            long = z <= -entry or (side == 1 and not z >= -leave)
            short = z >= entry or (side == -1 and not z <= leave)
            wanted = int(long) - int(short)
    return float(cash + held @ p[-1]), trades


def test_the_grid_is_the_plain_rule() -> None:
    """Final equity and entries of each point equal a bar-by-bar pass in plain Python."""
    x, p = planted_pair(400)
    points = np.array([(10, 1, 0), (10, 2, 0.5), (25, 1.5, -0.5), (60, 0.8, 0.7)], float)
    got = zscore_grid(x, p, points, fee_bp=5.0)
    for k, (w, entry, leave) in enumerate(points):
        final, trades = plain(x, p, int(w), entry, leave, 5e-4)
        assert got.trades[k] == trades > 3
        assert got.final[k] == pytest.approx(final, abs=1e-11)
    assert got.tries == 4


def test_far_levels_keep_their_small_moves() -> None:
    """z of a spread at 1e6 with moves of 1e-3 equals the direct formula: no cancellation."""
    x = 1e6 + np.random.default_rng(2).normal(0, 1e-3, 500)
    z = rolling_z(x, 30)
    direct = [(x[t] - x[t - 29 : t + 1].mean()) / x[t - 29 : t + 1].std(ddof=1) for t in range(29, 500)]
    assert np.isnan(z[:29]).all()
    np.testing.assert_allclose(z[29:], direct, atol=1e-4)


def test_no_decision_sees_the_bar_it_trades_at() -> None:
    """Prices after bar t change no equity before it: the last price alone moves only the last mark."""
    x, p = planted_pair(300)
    points = np.array([(20, 1.0, 0.0)])
    whole = zscore_grid(x[:250], p[:250], points).final
    x[250:], p[250:] = 0.0, 1.0
    assert zscore_grid(x[:250], p[:250], points).final == whole


def test_equal_returns_of_vectorbt() -> None:
    """Each of 27 grid points ends at the equity that vectorbt finds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import vectorbt  # noqa: F401
        except (ImportError, ValueError) as error:
            pytest.skip(f"vectorbt cannot be imported: {str(error).strip().splitlines()[0]}")
        x, p = planted_pair(600)
        points = grid_points(3)
        theirs = vectorbt_grid(x, p, points, FEE_BP)
    np.testing.assert_allclose(zscore_grid(x, p, points, fee_bp=FEE_BP).final, theirs, atol=1e-12)


def test_impossible_grids_are_refused() -> None:
    """The row of an impossible point is named; so is what is wrong with the data."""
    x, p = planted_pair(100)
    for point in ((1, 1, 0), (10.5, 1, 0), (101, 1, 0), (10, 1, 1), (10, 1, -1.5)):
        with pytest.raises(ConfigError, match="row 1"):
            zscore_grid(x, p, np.array([(10, 1, 0), point]))
    with pytest.raises(DataError, match="got"):
        zscore_grid(x, p[:50], np.array([(10, 1, 0)]))
    p[3, 0] = 0.0
    with pytest.raises(DataError, match="above 0"):
        zscore_grid(x, p, np.array([(10, 1, 0)]))


def test_the_large_screen_is_measured_in_a_process_of_its_own() -> None:
    """Pairs, peak memory and speed come back from the child; most planted pairs are in the list (chance: 3)."""
    memory, speed = scale_figures(60, 240)
    assert memory.detail["tests"] == 60 * 59 // 2 and memory.verdict == "holds" and memory.figure > 50
    assert memory.detail["planted"] == 30 and memory.detail["planted_found"] >= 15
    assert speed.figure > 10 and speed.verdict == "shown"
