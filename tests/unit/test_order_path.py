"""Latency, queue position and refill on their own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.records import EVENT, LAST, TOP, TRADE
from oneprice.execution.depletion import fit_refill
from oneprice.execution.latency import Latency, check_feed_latency, constant, interpolate, measured
from oneprice.execution.queue import PROB_LOG, PROB_POWER, RISK_AVERSE, queue_level, queue_trade, share_ahead


def test_constant_latency_in_microseconds() -> None:
    """Microseconds become nanoseconds; negative and non-finite values are refused."""
    one = constant(1.5, 200)
    assert (one.entry_ns, one.response_ns, one.cancel_entry_ns) == (1500, 200_000, -1)
    for bad in ((-1.0, 0.0), (0.0, -0.5), (float("nan"), 0.0)):
        with pytest.raises(ConfigError, match="expected 0 or more microseconds"):
            constant(*bad)
    with pytest.raises(ConfigError, match="entry_ns"):
        Latency(-1, 0)
    assert (
        one.least_response_ns() == 200_000
        and constant(0, 5, cancel_response_us=2).least_response_ns() == 2000
    )


def test_measured_latency_file(tmp_path: Path) -> None:
    """A measured table is read, checked and interpolated; a missing array or file is named."""
    path = tmp_path / "lat.npz"
    np.savez(path, time_ns=[10, 20, 40], entry_ns=[100, 200, 0], response_ns=[5, 7, 9])
    one = measured(path)
    assert one.table == ((10, 100, 5), (20, 200, 7), (40, 0, 9)) and one.least_response_ns() == 5
    table = one.rows()
    assert [interpolate(table, 1, t) for t in (0, 10, 15, 20, 30, 40, 99)] == [100, 100, 150, 200, 100, 0, 0]
    np.savez(path, time_ns=[10, 20], entry_ns=[100, -200], response_ns=[5, 7])
    with pytest.raises(DataError, match="row 1"):
        measured(path)
    np.savez(path, time_ns=[20, 10], entry_ns=[1, 2], response_ns=[5, 7])
    with pytest.raises(ConfigError, match=r"table\[1\]"):
        measured(path)
    np.savez(path, time_ns=[20], entry_ns=[1])
    with pytest.raises(DataError, match="response_ns"):
        measured(path)
    with pytest.raises(ConfigError, match="none at"):
        measured(tmp_path / "absent.npz")


def test_feed_latency_floor() -> None:
    """Rows that would be seen before the venue had them are refused, with leg, count and minimum."""
    rows = np.zeros(4, EVENT)
    rows["exchange_ns"] = [1000, 2000, 3000, 0]
    rows["receive_ns"] = [900, 1990, 2800, 5000]
    assert check_feed_latency(rows, -250, 50, leg="binance:BTC") == 50
    with pytest.raises(DataError, match=r"binance:BTC.*1 of 3 rows below, least -100 ns.*at most -200"):
        check_feed_latency(rows, -100, 0, leg="binance:BTC")
    with pytest.raises(DataError, match="found none"):
        check_feed_latency(rows[3:], 0, 0)


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.floats(0.5, 5))
def test_share_ahead_is_a_share(ahead: int, behind: int, power: float) -> None:
    """p lies in [0, 1], is one half in the middle of the queue, and 0 for the risk-averse model."""
    for model in (PROB_LOG, PROB_POWER):
        p = share_ahead.py_func(model, power, ahead, behind)
        assert 0.0 <= p <= 1.0
        q = share_ahead.py_func(model, power, behind, ahead)
        assert p + q == pytest.approx(1.0) or ahead == behind == 0.0
    assert share_ahead.py_func(RISK_AVERSE, power, ahead, behind) == 0.0


def test_probability_queue_moves_by_expected_share() -> None:
    """V <- max(V + p dQ, 0) with p = f(V) / (f(V) + f(Q - V)): 30 of 100 cancelled, 50 ahead, p = 1/2."""
    e = SimpleNamespace(queue_model=PROB_LOG, power=3.0, bound_by_displayed=1)
    o = SimpleNamespace(ahead=50.0, level_lots=100, traded_lots=0)
    queue_level.py_func(e, o, 70)
    assert o.ahead == pytest.approx(35.0) and o.level_lots == 70
    assert queue_trade.py_func(o, 40) == 5 and o.ahead == 0.0
    o.ahead, o.traded_lots, o.level_lots = 20.0, 10, 40
    queue_level.py_func(e, o, 30)  # the trade explains the whole decrease
    assert o.ahead == 20.0


def refill_tape(half_life_ns: float, n: int, seed: int) -> np.ndarray:
    """Trades take 60 of 100 lots; what is missing halves every half-life; touches every 20 ms."""
    rng = np.random.default_rng(seed)
    out = []
    t = 1_000_000_000
    for _ in range(n):
        out.append((TOP, t, 100))
        out.append((TRADE, t + 1000, 60))
        for k in range(1, 150):
            dt = k * 20_000_000
            missing = 60 * 2.0 ** (-dt / half_life_ns) + rng.normal(0, 2)
            out.append((TOP, t + 1000 + dt, 100 - int(min(max(missing, 0), 60))))
        t += 4_000_000_000
    rows = np.zeros(len(out), EVENT)
    for r, (kind, at, lots) in zip(rows, out, strict=True):
        r["kind"], r["exchange_ns"], r["flag_bits"] = kind, at, LAST
        if kind == TRADE:
            r["side"], r["price"], r["qty"] = 1, 101, lots
        else:
            r["bid"], r["bid_qty"], r["ask"], r["ask_qty"] = 99, 50, 101, lots
    return rows


@pytest.mark.parametrize("half_ms", [150, 600])
def test_fit_refill_finds_the_planted_half_life(half_ms: int) -> None:
    """The resilience fit recovers the half-life at which displayed size was made to come back."""
    fit = fit_refill(refill_tape(half_ms * 1e6, 60, half_ms))
    assert fit.n_trades == 60 and fit.half_life_ns == pytest.approx(half_ms * 1e6, rel=0.2)


def test_fit_refill_needs_trades() -> None:
    """Too few usable trades are said, with the count."""
    with pytest.raises(DataError, match=r"at least 30 trades .* got 5"):
        fit_refill(refill_tape(1e8, 5, 1))
