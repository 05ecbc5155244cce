"""The naive backtest of two feeds: each stage removes what it names, and the clock check finds shifts."""

from __future__ import annotations

import numpy as np
import pytest

from oneprice.core.errors import DataError
from oneprice.market.pack_parsers import BARS, HOUR_NS
from oneprice.study.naive import (
    Costs,
    align,
    clock_check,
    equivalent_lag_s,
    trailing_median,
    waterfall,
    week_end_share,
)

T0 = 1_500_000_000_000_000_000 // HOUR_NS * HOUR_NS


def walk(n: int = 600, seed: int = 0) -> np.ndarray:
    """Hourly bars of a random walk; the open is the close before."""
    rng = np.random.default_rng(seed)
    close = 1.2 + 1e-3 * np.cumsum(rng.normal(0.0, 1.0, n)) / 10
    bars = np.zeros(n, BARS)
    bars["end_ns"] = T0 + np.arange(n) * HOUR_NS
    bars["close"] = close
    bars["open"] = np.concatenate([close[:1], close[:-1]])
    bars["high"], bars["low"] = np.maximum(close, bars["open"]), np.minimum(close, bars["open"])
    return bars


def moved(bars: np.ndarray, by: float) -> np.ndarray:
    out = bars.copy()
    for name in ("open", "high", "low", "close"):
        out[name] += by
    return out


def test_constant_offset_is_all_side_bias() -> None:
    """Two sides of one feed: the naive rule earns the offset each bar; the second stage takes all of it."""
    b = walk()
    a = moved(b, 2e-5)
    found = waterfall(a, b, costs=Costs(qty=1e5, fee_bp=0.2, half_spread=1e-5))
    assert [s.name for s in found][:2] == ["naive", "side bias"]
    assert found[0].pnl == pytest.approx(1e5 * 2e-5 * len(b))
    assert found[0].trades == len(b)
    assert [s.pnl for s in found[1:]] == pytest.approx([0.0] * 5, abs=1e-6)
    assert [s.trades for s in found[1:]] == [0] * 5


def test_steps_are_differences_and_sum_to_what_is_left() -> None:
    """Changes telescope to the last stage; costs never add profit."""
    b = walk()
    a = moved(b, 2e-5)
    a["close"] += np.random.default_rng(1).normal(0.0, 3e-5, len(a))
    found = waterfall(a, b, costs=Costs(half_spread=1e-5))
    assert sum(s.change for s in found) == pytest.approx(found[-1].pnl)
    assert found[-1].change < 0.0 and found[-2].change < 0.0
    assert found[0].pnl > found[1].pnl > 0.0


def test_gap_that_lasts_survives_the_honest_stages() -> None:
    """A dislocation that stands for hours is still there at the next open and close: only costs reduce it."""
    b = walk()
    a = b.copy()
    for at in range(100, 580, 40):
        for name in ("close", "open"):
            a[name][at : at + 6] += 1e-3
    found = {s.name: s for s in waterfall(a, b, costs=Costs(fee_bp=0.2, half_spread=1e-5))}
    assert found["bar end"].pnl > 0.8 * found["side bias"].pnl
    assert found["non-simultaneity"].pnl > 0.6 * found["side bias"].pnl
    assert found["fees"].pnl > 0.0


def test_costs_are_charged_by_hand() -> None:
    """Spread: two half spreads a trade. Fees: the rate on both legs' price at the fill."""
    b = walk(80)
    a = b.copy()
    a["close"][40:44] += 1e-3
    a["open"][40:44] += 1e-3
    free = waterfall(a, b, costs=Costs(qty=10.0, fee_bp=0.0, half_spread=0.0))
    paid = waterfall(a, b, costs=Costs(qty=10.0, fee_bp=1.0, half_spread=1e-4))
    trades = paid[-1].trades
    assert trades == free[-1].trades == 3
    assert free[-1].pnl - paid[-2].pnl == pytest.approx(2 * 10.0 * 1e-4 * trades)
    price = (a["close"] + b["close"])[41:44]
    assert -paid[-1].change == pytest.approx(10.0 * 1e-4 * price.sum())


def test_trailing_median_never_sees_its_own_row() -> None:
    """Changing a gap changes no estimate at or before it."""
    x = np.random.default_rng(0).normal(size=200)
    base = trailing_median(x, window=50, warm=10)
    y = x.copy()
    y[120:] += 9.0
    assert (trailing_median(y, window=50, warm=10)[:121] == base[:121]).all()
    assert (base[:10] == 0).all()
    assert base[60] == np.median(x[10:60])


@pytest.mark.parametrize("hours", [-5, 0, 3])
def test_clock_check_finds_the_shift(hours: int) -> None:
    """Bars stamped some hours off agree best at that shift and nowhere else."""
    b = walk()
    a = b.copy()
    a["end_ns"] -= hours * HOUR_NS
    found = clock_check(a, b)
    assert found.best_hours == hours
    assert np.nanmax(found.correlation) == pytest.approx(1.0)
    assert abs(found.runner_up) < 0.3


def test_week_end_tells_bar_start_from_bar_end() -> None:
    """Weeks that end at 17:00 New York in summer and winter; the same bars stamped an hour later do not."""
    ends = []
    for week in range(52):
        friday = np.datetime64("2017-01-06") + 7 * week
        summer = np.datetime64("2017-03-12") <= friday < np.datetime64("2017-11-05")
        last = (friday + np.timedelta64(21 if summer else 22, "h")).astype("datetime64[ns]").astype(np.int64)
        ends += [last - 2 * HOUR_NS, last - HOUR_NS, last]
    bars = np.zeros(len(ends), BARS)
    bars["end_ns"] = ends
    assert week_end_share(bars) == 1.0
    bars["end_ns"] += HOUR_NS
    assert week_end_share(bars) == 0.0


def test_equivalent_lag_of_a_known_delay() -> None:
    """Closes taken s seconds apart on a random walk differ by the move of s seconds."""
    rng = np.random.default_rng(2)
    minutes = np.cumsum(rng.normal(0.0, 1e-5, 60 * 3_000))
    b = walk(3_000)
    b["close"] = 1.2 + minutes[59::60]
    a = b.copy()
    a["close"] = 1.2 + minutes[56::60]  # three minutes earlier
    assert equivalent_lag_s(a, b) == pytest.approx(180.0, rel=0.1)


def test_too_few_shared_bars_are_refused() -> None:
    """Feeds that share almost no bar end are another time zone's, not a small sample."""
    b = walk(100)
    a = b.copy()
    a["end_ns"] += HOUR_NS // 2
    with pytest.raises(DataError, match="30 shared bar ends"):
        align(a, b)
