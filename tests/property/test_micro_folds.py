"""Microstructure folds: the rules away from their defaults, plain references, laws, and what bad input does."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.jit import njit
from oneprice.core.records import NO_PRICE, VIEW
from oneprice.features import (
    bipower,
    hawkes,
    hayashi_yoshida,
    microprice_fitted,
    mlofi,
    ofi,
    queue_race,
    tick_garch,
    trade_imbalance,
    vpin,
)
from oneprice.features.conformance import check_fold, plain_of, sample
from oneprice.features.levels import book_levels, read_levels
from oneprice.market.book import book_at, book_bytes, book_init_at, book_row
from oneprice.study.bench_micro import depth_rows

NAN, INF = math.nan, math.inf
SECOND = 1_000_000_000
TILT = np.linspace(-0.4, 0.4, 10) * np.array([[1.0], [1.5], [2.0], [2.5]])


class LoadedFold(type(microprice_fitted.FOLD)):  # type: ignore[misc]
    """The microprice fold born with a table."""

    def fresh(self) -> np.ndarray:
        state: np.ndarray = super().fresh()
        microprice_fitted.load(state, TILT)
        return state


LOADED = LoadedFold(**vars(microprice_fitted.FOLD))
CASES = [
    (ofi.FOLD, {"tau_s": 1e-3}),
    (ofi.FOLD, {"tau_s": 1e6}),
    (mlofi.FOLD, {"tau_s": 0.1, "level_weight": 0.5}),
    (trade_imbalance.FOLD, {"tau_s": 100.0}),
    (bipower.FOLD, {"bucket_s": 0.2, "tau_s": 3.0, "max_gap_s": 0.15}),
    (bipower.FOLD, {"bucket_s": 0.01, "tau_s": 1e9}),
    (tick_garch.FOLD, {"moves": 1, "omega": 1e-12, "alpha": 0.3, "beta": 0.6}),
    (hawkes.FOLD, {"mu": 0.0, "alpha": 20.0, "beta": 3.0}),
    (queue_race.FOLD, {"unit_qty": 0.003}),
    (hayashi_yoshida.FOLD, {"lag_s": 1.0, "tau_s": 0.0}),
    (hayashi_yoshida.FOLD, {"lag_s": 1e-3, "tau_s": 0.01}),
    (vpin.FOLD, {"bucket_qty": 0.01, "bar_s": 0.05, "buckets": 3}),
]


@pytest.mark.parametrize(("fold", "params"), CASES, ids=lambda v: getattr(v, "name", ""))
def test_conforms_away_from_defaults(fold: Any, params: dict) -> None:
    """Streaming = batch, past, precision, gaps, restart with other parameters."""
    assert check_fold(fold, **params) == []


@pytest.mark.parametrize("tick", [1e-3, 1e3])
def test_a_loaded_microprice_conforms(tick: float) -> None:
    """The same rules with a table; queues off the edges of buckets, where rounding alone would choose one."""
    columns = sample(LOADED)
    columns[2] = columns[2] * 1.000_012_34
    assert check_fold(LOADED, columns, tick=tick) == []


def test_the_plain_twin_is_plain_to_the_bottom() -> None:
    """A step that calls kernels runs them uncompiled too: a broken callee is seen."""
    plain = plain_of(ofi.step)
    assert not hasattr(plain.__globals__["event"], "py_func") and hasattr(ofi.event, "py_func")


# ---------------------------------------------------------------- order flow
def touches(seed: int, n: int = 200) -> tuple[np.ndarray, ...]:
    """Integer touches: (time_ns, bid, ask, bid_qty, ask_qty)."""
    rng = np.random.default_rng(seed)
    bid = 100 + np.cumsum(rng.integers(-1, 2, n)).astype(float)
    ask = bid + rng.integers(1, 3, n)
    return np.cumsum(rng.integers(0, SECOND, n)), bid, ask, *rng.integers(1, 9, (2, n)).astype(float)


def plain_events(bid: Any, ask: Any, bid_qty: Any, ask_qty: Any) -> np.ndarray:
    """e_n by the definition, over arrays."""
    up, down = bid[1:] >= bid[:-1], bid[1:] <= bid[:-1]
    less, more = ask[1:] <= ask[:-1], ask[1:] >= ask[:-1]
    return up * bid_qty[1:] - down * bid_qty[:-1] - less * ask_qty[1:] + more * ask_qty[:-1]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.05, 50.0))
def test_flow_is_the_decayed_sum_of_the_definition(seed: int, tau: float) -> None:
    """`flow`, `total` and the value are what the formula says; mirrored markets negate them."""
    t, bid, ask, bid_qty, ask_qty = touches(seed)
    state = ofi.FOLD.fresh()
    got = ofi.FOLD.scan(t, bid, ask, bid_qty, ask_qty, state=state, tau_s=tau)
    e = plain_events(bid, ask, bid_qty, ask_qty)
    assert math.isnan(got[0]) and state["total"][0] == e.sum()
    for k in (1, 57, len(t) - 1):
        assert got[k] == pytest.approx(float(e[:k] @ np.exp(-(t[k] - t[1 : k + 1]) * 1e-9 / tau)), abs=1e-9)
    mirrored = ofi.FOLD.scan(t, -ask, -bid, ask_qty, bid_qty, tau_s=tau)
    np.testing.assert_allclose(mirrored[1:], -got[1:], atol=1e-9)
    later = float(ofi.read(state[0], int(t[-1]) + SECOND, tau))
    assert later == pytest.approx(got[-1] * math.exp(-1.0 / tau))
    assert math.isnan(ofi.read(state[0], int(t[-1]) - 1, tau))


def test_depth_is_the_mean_queue_in_time() -> None:
    """A queue that stood for long weighs by how long it stood."""
    t = np.array([0, 1, 101]) * SECOND
    state = ofi.FOLD.fresh()
    queue = np.array([2.0, 8.0, 2.0])
    ofi.FOLD.scan(t, np.ones(3), 2 * np.ones(3), queue, queue, state=state, tau_s=1.0)
    assert state["depth"][0] == pytest.approx(8.0)


BAD_TOUCHES = [
    (NAN, 2.0, 1.0, 1.0),
    (1.0, INF, 1.0, 1.0),
    (1.0, 2.0, 0.0, 1.0),
    (1.0, 2.0, 1.0, -1.0),
    (2.0, 2.0, 1.0, 1.0),
    (3.0, 2.0, 1.0, 1.0),
]


@pytest.mark.parametrize("bad", BAD_TOUCHES, ids=["no bid", "no ask", "empty bid", "negative", "locked", "crossed"])
def test_a_touch_that_is_none_changes_nothing(bad: tuple[float, ...]) -> None:
    """Empty, one-sided, locked and crossed touches: NaN and the state as it was, in both flow folds."""
    for fold in (ofi.FOLD, mlofi.FOLD):
        state = fold.fresh()
        t = np.arange(3) * SECOND
        good = (1.0, 2.0, 5.0, 6.0)

        def feed(times: Any, rows: list, fold: Any = fold, state: Any = state) -> np.ndarray:
            if fold is ofi.FOLD:
                return fold.scan(times, *(np.array(c) for c in zip(*rows, strict=True)), state=state)
            deep = np.full((len(rows), fold.width), NAN)
            deep[:, :4] = rows
            return fold.scan(times, deep, state=state)

        feed(t[:2], [good, (1.0, 2.0, 7.0, 6.0)])
        before = state.tobytes()
        assert np.isnan(feed(t[2:], [bad])).all() and state.tobytes() == before
        assert np.isnan(feed(t[:1], [good])).all() and state.tobytes() == before  # time back


def test_nothing_is_compared_across_a_hole() -> None:
    """After `forget` the next touch gives NaN and no flow; flow already there goes on decaying."""
    t, bid, ask, bid_qty, ask_qty = touches(3)
    rows = np.column_stack([bid, ask, bid_qty, ask_qty])
    deep = np.full((len(t), mlofi.FOLD.width), NAN)
    deep[:, :4] = rows
    one, many = ofi.FOLD.fresh(), mlofi.FOLD.fresh()
    ofi.FOLD.scan(t[:50], *rows[:50].T, state=one)
    mlofi.FOLD.scan(t[:50], deep[:50], state=many)
    total = one["total"][0]
    ofi.forget(one[0])
    mlofi.forget(many[0])
    assert math.isnan(ofi.FOLD.scan(t[50:51], *rows[50:51].T, state=one)[0])
    assert math.isnan(mlofi.FOLD.scan(t[50:51], deep[50:51], state=many)[0])
    assert one["total"][0] == total == many["total"][0, 0] and one["flow"][0] == many["flow"][0, 0] != 0.0


def test_the_first_level_is_the_flow_of_the_best() -> None:
    """With weight 0 on deeper levels mlofi is ofi, bit for bit; a level that comes and goes adds nothing."""
    t, bid, ask, bid_qty, ask_qty = touches(5)
    deep = np.full((len(t), mlofi.FOLD.width), NAN)
    deep[:, :4] = np.column_stack([bid, ask, bid_qty, ask_qty])
    deep[::2, 4:8] = deep[::2, :4] + np.array([-1.0, 1.0, 0.0, 0.0])
    state = mlofi.FOLD.fresh()
    got = mlofi.FOLD.scan(t, deep, state=state, level_weight=0.0)
    np.testing.assert_array_equal(got, ofi.FOLD.scan(t, bid, ask, bid_qty, ask_qty))
    assert state["total"][0, 1] == 0.0
    with pytest.raises(DataError, match=r"level_rows of shape \(3, 20\)"):
        mlofi.FOLD.scan(np.arange(3), np.ones((3, 8)))
    with pytest.raises(ConfigError, match="levels"):
        mlofi.mlofi_state(0)


def test_every_level_has_its_flow() -> None:
    """Each level's total is the definition on that level."""
    xs = sample(mlofi.FOLD, 300, seed=2)
    state = mlofi.FOLD.fresh()
    mlofi.FOLD.scan(*xs, state=state)
    for m in range(5):
        bid, ask, bid_qty, ask_qty = (xs[1][:, 4 * m + j] for j in range(4))
        assert state["total"][0, m] == pytest.approx(plain_events(bid, ask, bid_qty, ask_qty).sum())


# ---------------------------------------------------------------- levels of a book
@njit
def apply_and_read(rows: Any, i: int, address: int, row: Any) -> int:
    b = book_at(address)
    book_row(b, rows[i])
    return book_levels(b, 1.0, 1.0, row)


def test_levels_are_those_of_a_plain_book() -> None:
    """Against dictionaries, over rows that drift out of a small window, into its hash and back."""
    rows = depth_rows(3000, 3)
    rows["price"] += (np.arange(3000) // 40) * 7
    room = np.zeros(book_bytes(8, 10) + 64, np.uint8)
    address = room.ctypes.data + (-room.ctypes.data) % 64
    book_init_at(address, 8, 10)
    sides: dict[int, dict[int, int]] = {1: {}, -1: {}}
    row = np.empty(40)
    for i, e in enumerate(rows):
        found = apply_and_read(rows, i, address, row)
        side = sides[int(e["side"])]
        side[int(e["price"])] = int(e["qty"])
        if e["qty"] == 0:
            del side[int(e["price"])]
        bids, asks = sorted(sides[1].items(), reverse=True)[:10], sorted(sides[-1].items())[:10]
        want = np.full((10, 4), NAN)
        want[:, 2:] = 0.0
        for m, (price, qty) in enumerate(bids):
            want[m, 0], want[m, 2] = price, qty
        for m, (price, qty) in enumerate(asks):
            want[m, 1], want[m, 3] = price, qty
        assert found == min(len(bids), len(asks))
        np.testing.assert_array_equal(row, want.ravel(), err_msg=f"row {i}")


def test_a_view_without_a_book_has_one_level() -> None:
    """Top of book only: the touch, then blanks; an empty side is NaN and 0."""
    view = np.zeros(1, VIEW)
    view["tick"], view["lot_qty"] = 0.5, 2.0
    view["bid_ticks"], view["ask_ticks"], view["bid_lots"], view["ask_lots"] = 10, 12, 3, 4
    row = np.empty(8)
    assert read_levels(view[0], row) == 1
    np.testing.assert_array_equal(row, [5.0, 6.0, 6.0, 8.0, NAN, NAN, 0.0, 0.0])
    view["ask_ticks"] = NO_PRICE
    assert read_levels(view[0], row) == 0 and math.isnan(row[1]) and row[3] == 0.0


# ---------------------------------------------------------------- trades
def test_trades_of_nothing_are_none() -> None:
    """Quantity 0, a strange side, time back: NaN, state as it was. The ratio stays in [-1, 1]."""
    state = trade_imbalance.FOLD.fresh()
    fold = trade_imbalance.FOLD
    assert math.isnan(trade_imbalance.ratio(state[0]))
    fold.scan([0, SECOND], [1.0, -1.0], [3.0, 1.0], state=state, tau_s=1.0)
    before = state.tobytes()
    for time, side, qty in ((2, 1.0, 0.0), (2, 1.0, -1.0), (2, 0.0, 1.0), (2, NAN, 1.0), (0, 1.0, 1.0)):
        assert np.isnan(fold.scan([time * SECOND], [side], [qty], state=state, tau_s=1.0)).all()
    assert state.tobytes() == before
    assert state["flow"][0] == pytest.approx(3.0 * math.exp(-1.0) - 1.0)
    assert trade_imbalance.ratio(state[0]) == pytest.approx(
        (3.0 * math.exp(-1.0) - 1.0) / (3.0 * math.exp(-1.0) + 1.0)
    )
    assert trade_imbalance.read(state[0], 2 * SECOND, 1.0) == pytest.approx(state["flow"][0] * math.exp(-1.0))


def plain_vpin(t: Any, price: Any, qty: Any, bucket_qty: float, bar_s: float, buckets: int) -> list[float]:
    """VPIN after the last trade, by lists: bars, shares, then volume poured drop by drop."""
    bars: list[list[float]] = []
    for i in range(len(t)):
        if not bars or t[i] // round(bar_s * 1e9) != bars[-1][0]:
            bars.append([t[i] // round(bar_s * 1e9), price[i], 0.0])
        bars[-1][1] = price[i]
        bars[-1][2] += qty[i]
    out, filled, bought, changes = [], 0.0, 0.0, []
    for k, (_, close, volume) in enumerate(bars[:-1]):
        share = 0.5
        if k:
            changes.append(close - bars[k - 1][1])
            sd = float(np.std(changes, ddof=1)) if len(changes) > 1 else 0.0
            share = 0.5 * (1.0 + math.erf(changes[-1] / sd / math.sqrt(2.0))) if sd > 0.0 else 0.5
        while volume > 0.0:
            take = min(volume, bucket_qty - filled)
            filled, bought, volume = filled + take, bought + take * share, volume - take
            if filled >= bucket_qty * (1.0 - 1e-12):
                out.append(abs(2.0 * bought - bucket_qty) / bucket_qty)
                filled, bought = 0.0, 0.0
    return out[-buckets:]


def test_vpin_is_that_of_the_published_steps() -> None:
    """Against a plain loop; halves while nothing moves; a trade larger than all buckets replaces them."""
    t, price, qty = sample(vpin.FOLD, 600, seed=4, level=100.0, move=0.1)
    want = plain_vpin(t, price, qty, 0.7, 0.5, 20)
    got = vpin.FOLD.scan(t, price, qty, bucket_qty=0.7, bar_s=0.5, buckets=20)
    assert got[-1] == pytest.approx(float(np.mean(want)), abs=1e-9)
    still = vpin.FOLD.scan(t, np.full(600, 5.0), qty, bucket_qty=0.7, bar_s=0.5, buckets=20)
    assert still[-1] == 0.0
    huge = vpin.FOLD.scan(
        np.arange(4) * SECOND, [1.0, 2.0, 9.0, 9.0], [1.0, 1.0, 1e12, 1.0], bucket_qty=1.0, bar_s=1.0, buckets=50
    )
    assert 0.0 < huge[-1] <= 1.0
    assert np.isnan(vpin.FOLD.scan([0], [1.0], [0.0])).all()
    assert "Andersen-Bondarenko" in vpin.CAVEAT and "Andersen" in (vpin.__doc__ or "")


# ---------------------------------------------------------------- microprice
@settings(max_examples=60, deadline=None)
@given(st.floats(1e-3, 1e6), st.floats(1e-3, 1e6), st.integers(1, 6), st.integers(2, 11))
def test_mirrored_queues_mirror_the_adjustment(bid_qty: float, ask_qty: float, spread: int, columns: int) -> None:
    """Swapping queues negates the adjustment bit for bit, edges of buckets included; equal queues give none."""
    half = np.sort(np.abs(np.random.default_rng(columns).normal(size=(3, columns))))
    table = half - half[:, ::-1]
    bid, ask = 100.0, 100.0 + 0.25 * spread
    a = microprice_fitted.price(table, bid, ask, bid_qty, ask_qty, 0.25)
    b = microprice_fitted.price(table, bid, ask, ask_qty, bid_qty, 0.25)
    mid = bid + 0.5 * (ask - bid)
    assert a - mid == mid - b or abs((a - mid) + (b - mid)) <= 2e-14 * mid
    assert microprice_fitted.price(table, bid, ask, bid_qty, bid_qty, 0.25) == mid
    n = microprice_fitted.imbalance_bucket(bid_qty, ask_qty, columns)
    m = microprice_fitted.imbalance_bucket(ask_qty, bid_qty, columns)
    assert (n == m == -1) or n + m == columns - 1


def test_the_table_is_read_by_spread_and_imbalance() -> None:
    """Rows are spreads, the last for wider ones; columns equal buckets of (b - a) / (b + a)."""
    for spread, row in ((1, 0), (2, 1), (4, 3), (9, 3)):
        p = microprice_fitted.price(TILT, 100.0, 100.0 + spread, 9.0, 1.0, 1.0)
        assert p == pytest.approx(100.0 + spread / 2 + TILT[row, 9])
    shares = (np.arange(10) + 0.5) / 10
    assert [microprice_fitted.imbalance_bucket(s, 1 - s, 10) for s in shares] == list(range(10))
    assert [microprice_fitted.imbalance_bucket(s, 1 - s, 3) for s in (0.1, 0.4, 0.5, 0.6, 0.9)] == [0, 1, 1, 1, 2]


def test_a_table_that_is_none_is_refused() -> None:
    """Wrong shapes and NaN are errors; fewer rows repeat the last; bad touches and ticks give NaN."""
    state = microprice_fitted.FOLD.fresh()
    for bad in (np.zeros(10), np.zeros((5, 10)), np.zeros((1, 9)), np.full((1, 10), NAN)):
        with pytest.raises(DataError, match="microprice table"):
            microprice_fitted.load(state, bad)
    microprice_fitted.load(state, TILT[:2])
    assert (state["table"][0, 3] == TILT[1]).all()
    for touch in (*BAD_TOUCHES, (1.0, 2.0, 0.0, 0.0)):
        if touch != (1.0, 2.0, 0.0, 1.0):  # one empty queue still says which way
            assert math.isnan(microprice_fitted.price(TILT, *touch, 1.0))
    assert math.isnan(microprice_fitted.price(TILT, 1.0, 2.0, 1.0, 1.0, 0.0))


# ---------------------------------------------------------------- queue race
def test_the_race_is_that_of_the_paper() -> None:
    """Exact at the edges, harmonic inside, the table and its expansion within 1e-6 of quadrature."""
    up = queue_race.up_probability
    assert (up(0, 3), up(3, 0), up(0, 0), up(4, 4)) == (0.0, 1.0, 0.5, pytest.approx(0.5, abs=1e-12))
    for n, p in ((1, 1), (1, 2), (7, 3), (20, 31), (100, 40)):
        around = up(n + 1, p) + up(n - 1, p) + up(n, p + 1) + up(n, p - 1)
        assert up(n, p) == pytest.approx(around / 4.0, abs=1e-10)
        assert up(n, p) + up(p, n) == pytest.approx(1.0, abs=1e-11)
    for n in (1, 2, 5, 31, 32, 33, 60, 400):
        for p in (1, 3, 31, 32, 45, 300):
            assert queue_race.up(float(n), float(p)) == pytest.approx(up(n, p), abs=1e-6)
    with pytest.raises(DataError, match="whole orders"):
        up(1.5, 2)  # type: ignore[arg-type]
    assert np.isnan(queue_race.FOLD.scan([0.0, 1.0, -1.0], [1.0, 0.0, 1.0])).all()
    assert queue_race.FOLD.scan([0.001], [0.2], unit_qty=0.1)[0] == pytest.approx(up(1, 2), abs=1e-9)


# ---------------------------------------------------------------- Hawkes
def test_intensity_is_the_sum_of_the_definition() -> None:
    """Against the double sum; `read` decays it, `expected` integrates its mean; ties add up; time back is none."""
    rng = np.random.default_rng(0)
    t = np.cumsum(rng.integers(0, SECOND, 60))
    mu, alpha, beta = 0.3, 0.7, 1.1
    state = hawkes.FOLD.fresh()
    got = hawkes.FOLD.scan(t, state=state, mu=mu, alpha=alpha, beta=beta)
    for i in (0, 7, 59):
        assert got[i] == pytest.approx(mu + alpha * np.exp(-beta * (t[i] - t[: i + 1]) * 1e-9).sum())
    s = state[0]
    later = hawkes.read(s, int(t[-1]) + 2 * SECOND, mu, beta)
    assert later == pytest.approx(mu + (got[-1] - mu) * math.exp(-2.0 * beta))
    assert hawkes.FOLD.scan([t[-1]], state=state, mu=mu, alpha=alpha, beta=beta)[0] == pytest.approx(got[-1] + alpha)
    assert np.isnan(hawkes.FOLD.scan([t[0]], state=state, mu=mu, alpha=alpha, beta=beta)).all()
    assert math.isnan(hawkes.read(s, int(t[0]), mu, beta))
    gap, level, now = beta - alpha, mu * beta / (beta - alpha), hawkes.read(s, int(t[-1]), mu, beta)
    grid = np.linspace(0.0, 3.0, 20_001)
    mean = level + (now - level) * np.exp(-gap * grid)
    want = float(np.sum(0.5 * (mean[1:] + mean[:-1])) * (grid[1] - grid[0]))
    assert hawkes.expected(s, int(t[-1]), 3.0, mu, alpha, beta) == pytest.approx(want, rel=1e-8)
    assert math.isnan(hawkes.expected(s, int(t[-1]), 3.0, mu, beta, beta))


# ---------------------------------------------------------------- volatility
def test_bipower_is_that_of_a_grid() -> None:
    """Against plain sums over previous-tick returns, with empty buckets, decay and a restart after a gap."""
    rng = np.random.default_rng(1)
    t = np.cumsum(rng.integers(0, 3 * SECOND, 300)) + 17
    price = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 1e-3, 300)))
    state = bipower.FOLD.fresh()
    got = bipower.FOLD.scan(t, price, state=state, bucket_s=1.0, tau_s=50.0, max_gap_s=100.0)
    last = t[-1] // SECOND
    ends = np.arange(t[0] // SECOND + 1, last + 1) * SECOND
    seen = price[np.searchsorted(t, ends, side="left") - 1]
    r = np.abs(np.diff(np.log(np.concatenate([[price[0]], seen]))))
    w = np.exp(-np.arange(len(r) - 3, -1, -1) / 50.0)
    products = math.pi / 2 * r[2:] * r[1:-1]
    scale = math.pi / (6 - 4 * math.sqrt(3) + math.pi)
    medians = scale * np.median(np.stack([r[2:], r[1:-1], r[:-2]]), axis=0) ** 2
    assert got[-1] == pytest.approx(math.sqrt(w @ products / w.sum()), rel=1e-9)
    assert bipower.median_volatility(state[0]) == pytest.approx(math.sqrt(w @ medians / w.sum()), rel=1e-9)
    assert bipower.realised_volatility(state[0]) == pytest.approx(math.sqrt(w @ r[2:] ** 2 / w.sum()), rel=1e-9)
    before = float(bipower.realised_volatility(state[0]))
    bipower.FOLD.scan([t[-1] + 200 * SECOND], [price[-1] * 2.0], state=state, bucket_s=1.0, tau_s=50.0, max_gap_s=100.0)
    assert bipower.realised_volatility(state[0]) == pytest.approx(before) and state["filled"][0] == 0


def test_a_price_that_stands_still_has_no_volatility() -> None:
    """sigma = 0: volatilities 0, no share of jumps, no tick-time volatility; bad prices are refused by NaN."""
    t = np.arange(20) * SECOND
    state = bipower.FOLD.fresh()
    assert bipower.FOLD.scan(t, np.full(20, 7.0), state=state)[-1] == 0.0
    assert math.isnan(bipower.jump_share(state[0]))
    assert np.isnan(tick_garch.FOLD.scan(t, np.full(20, 7.0))).all()
    for fold in (bipower.FOLD, tick_garch.FOLD):
        assert np.isnan(fold.scan([0, 1, 2], [0.0, -1.0, NAN])).all()
    with pytest.raises(DataError, match="no whole bucket"):
        tick_garch.bucket_returns(t, np.full(20, 7.0))


def test_tick_time_ends_a_return_with_the_nth_change() -> None:
    """Returns are those between every third change; volatility is the garch fold's over the mean duration."""
    t = np.arange(12) * SECOND
    price = np.array([10.0, 11, 11, 12, 13, 13, 14, 15, 16, 15, 15, 14])
    r = tick_garch.bucket_returns(t, price, moves=3)
    np.testing.assert_allclose(r, np.log([13 / 10, 16 / 13]))
    params = {"omega": 0.01, "alpha": 0.1, "beta": 0.8}
    got = tick_garch.FOLD.scan(t, price, moves=3, **params)
    h = 0.1
    for x in r:
        h = 0.01 + 0.1 * x * x + 0.8 * h
    assert np.isnan(got[:4]).all() and got[-1] == pytest.approx(math.sqrt(h / 4.0))


# ---------------------------------------------------------------- two streams
def double_loop(x: list, y: list, lag_ns: int) -> float:
    """The definition: products of all returns whose intervals meet."""
    total = 0.0
    for i in range(1, len(x)):
        low, high = x[i - 1][0] + lag_ns, x[i][0] + lag_ns
        for j in range(1, len(y)):
            if max(low, y[j - 1][0]) < min(high, y[j][0]):
                total += (x[i][1] - x[i - 1][1]) * (y[j][1] - y[j - 1][1])
    return total


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(20, 150), st.sampled_from([3, 40, 1000]), st.floats(0.1, 0.9))
def test_covariance_is_the_double_loop(seed: int, n: int, span: int, share: float) -> None:
    """At every lag of the grid, ties within and between streams included."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, span * n // 10 + 5, n)) * 1_000_000
    stream = (rng.random(n) < share).astype(float)
    price = 50.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, n)))
    state = hayashi_yoshida.FOLD.fresh()
    hayashi_yoshida.FOLD.scan(t, stream, price, state=state, lag_s=0.02, tau_s=0.0)
    hayashi_yoshida.settle(state[0], 0.02, 0.0)
    both = [{int(a): math.log(c) for a, b, c in zip(t, stream, price, strict=True) if b == k} for k in (0, 1)]
    x, y = (sorted(one.items()) for one in both)
    side = hayashi_yoshida.SIDE
    for k in range(2 * side + 1):
        want = double_loop(x, y, (k - side) * 20_000_000)
        assert hayashi_yoshida.covariance(state[0], k) == pytest.approx(want, abs=1e-12)


def test_streams_that_are_none_change_nothing() -> None:
    """Prices that are not positive, unknown streams, time back; before both have moved there is no lead."""
    fold, state = hayashi_yoshida.FOLD, hayashi_yoshida.FOLD.fresh()
    fold.scan([10, 20, 30], [0.0, 1.0, 0.0], [1.0, 1.0, 1.0], state=state)
    before = state.tobytes()
    for time, stream, price in ((40, 2.0, 1.0), (40, 0.0, 0.0), (40, 0.5, 1.0), (40, 0.0, -1.0), (29, 1.0, 1.0)):
        assert np.isnan(fold.scan([time], [stream], [price], state=state)).all()
    assert state.tobytes() == before
    seconds, correlation = hayashi_yoshida.lead(state[0], 0.1)
    assert math.isnan(seconds) and math.isnan(correlation)
    assert math.isnan(hayashi_yoshida.lead_lag_ratio(state[0]))
    with pytest.raises(ConfigError, match="power of two"):
        hayashi_yoshida.lead_lag_state(5, 1000)


def test_a_full_ring_merges_ticks_and_says_so() -> None:
    """More ticks within a lag than the ring holds: the sum over the last ones, and `lost` counts the rest."""
    small = replace(hayashi_yoshida.FOLD, state=hayashi_yoshida.lead_lag_state(1, 4))
    state = small.fresh()
    t = np.arange(1, 12) * 1_000_000
    small.scan(t, [0.0] * 10 + [1.0], np.linspace(1.0, 2.0, 11), state=state, lag_s=0.001, tau_s=0.0)
    hayashi_yoshida.settle(state[0], 0.001, 0.0)
    assert state["lost"][0] == 12  # six at each of the lags 0 and 1
    assert hayashi_yoshida.covariance(state[0], 1) == 0.0


def test_old_products_fade() -> None:
    """After a long silence nothing of the past is left, without overflow."""
    fold, state = hayashi_yoshida.FOLD, hayashi_yoshida.FOLD.fresh()
    fold.scan(np.arange(6) * SECOND, [0.0, 1.0] * 3, [1.0, 1.0, 2.0, 2.0, 1.0, 1.0], state=state, tau_s=1.0)
    hayashi_yoshida.settle(state[0], 0.1, 1.0)
    assert abs(hayashi_yoshida.covariance(state[0], hayashi_yoshida.SIDE)) > 0.05
    fold.scan(np.array([10**6, 10**6 + 1]) * SECOND, [0.0, 1.0], [1.0, 1.0], state=state, tau_s=1.0)
    hayashi_yoshida.settle(state[0], 0.1, 1.0)
    assert abs(hayashi_yoshida.covariance(state[0], hayashi_yoshida.SIDE)) < 1e-300 and state["weight"][0] < 1e101
