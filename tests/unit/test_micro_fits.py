"""Fits of microstructure: plain references, refusals, and bars of a tape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.records import BOOK, EVENT, LAST, NO_PRICE, TOP, TRADE
from oneprice.market.synthetic import market_making_world
from oneprice.market.tape import Tape, make_tape
from oneprice.signals import micro as room
from oneprice.signals.micro import hawkes as hawkes_fit
from oneprice.signals.micro.bars import flow_bars, touch_columns
from oneprice.signals.micro.flow import LEAST_BARS, fit_flow, impact_by_depth, joint_r2, line
from oneprice.signals.micro.hawkes import fit_hawkes, residuals, simulate_hawkes
from oneprice.signals.micro.microprice import fit_microprice, martingale_slope
from oneprice.signals.micro.race import fit_race
from oneprice.study.micro import CAVEAT, micro, print_times
from oneprice.study.micro_worlds import TICK, queue_world, race_frequency, touch_chain

SECOND = 1_000_000_000


def tape_of(rows: list[dict[str, int]], like: Tape) -> Tape:
    """A tape of rows given as dicts, on the instrument of another."""
    events = np.zeros(len(rows), EVENT)
    for i, row in enumerate(rows):
        for name, value in row.items():
            events[name][i] = value
    events["exchange_ns"] = events["receive_ns"]
    return make_tape(like.instrument, events, header=like.header)


def top(ns: int, bid: int, ask: int, bid_qty: int = 1, ask_qty: int = 1) -> dict[str, int]:
    row = {"receive_ns": ns, "kind": TOP, "flag_bits": LAST}
    return {**row, "bid": bid, "bid_qty": bid_qty, "ask": ask, "ask_qty": ask_qty}


@pytest.fixture(scope="module")
def world() -> Tape:
    return market_making_world(20_000, 3).tapes[0]


def test_the_room_names_what_it_has() -> None:
    """Every listed name is there; another is an error that lists them."""
    assert all(callable(getattr(room, name)) for name in room.__all__) and dir(room) == room.__all__
    with pytest.raises(AttributeError, match="fit_flow"):
        _ = room.nothing


# ---------------------------------------------------------------- microprice
def plain_microprice(touch: np.ndarray, tick: float, columns: int, terms: int) -> dict[int, float]:
    """The published steps with dictionaries: rows (state, next state, change), each mirrored; spread one tick."""
    share = touch[2] / (touch[2] + touch[3])
    state = np.minimum((share * columns).astype(int), columns - 1)
    mid = np.round((touch[0] + touch[1]) / tick) / 2.0
    rows = [(int(state[i]), int(state[i + 1]), float(mid[i + 1] - mid[i])) for i in range(len(mid) - 1)]
    rows += [(columns - 1 - a, columns - 1 - b, -c) for a, b, c in rows]
    q, t, k = np.zeros((columns, columns)), np.zeros((columns, columns)), np.zeros(columns)
    n = np.zeros(columns)
    for a, b, c in rows:
        n[a] += 1
        k[a] += c
        (q if c == 0.0 else t)[a, b] += 1
    inverse = np.linalg.inv(np.eye(columns) - q / n[:, None])
    g1, b = inverse @ (k / n), inverse @ (t / n[:, None])
    total, term = np.zeros(columns), g1
    for _ in range(terms):
        total, term = total + term, b @ term
    return dict(enumerate(total))


def test_the_table_is_that_of_the_published_steps() -> None:
    """Against a plain implementation; rows of B sum to 1, the table is antisymmetric bit for bit."""
    touch = touch_chain(3, 3000, widen=0.0)
    fit = fit_microprice(*touch, tick=TICK, n_spreads=1)
    want = plain_microprice(touch, TICK, 10, 6)
    np.testing.assert_allclose(fit.table[0], [want[i] for i in range(10)], atol=1e-9)
    assert (fit.table == -fit.table[:, ::-1]).all() and fit.asymmetry < 1e-12 and fit.row_sum_error < 1e-12
    assert fit.n_transitions == 2999 and "largest adjustment" in str(fit)


def test_states_left_out_take_their_neighbours() -> None:
    """Rare states and rows never seen are filled, mirrored; a broken touch breaks the chain; equal queues count."""
    touch = touch_chain(4, 5000, widen=0.0)
    torn = touch.copy()
    torn[0, ::50] = np.nan
    torn[2, 1::50] = torn[3, 1::50] = 0.5
    fit = fit_microprice(*torn, tick=TICK, n_spreads=3, min_visits=30)
    assert fit.n_transitions == 5000 - 1 - 2 * 100 + 1 and np.isfinite(fit.table).all()
    np.testing.assert_array_equal(fit.table[2], fit.table[0])
    lone = touch_chain(5, 2000, widen=0.0)
    lone[2, -1], lone[3, -1] = 1e-9, 1.0  # a state seen only as the last one
    assert np.isfinite(fit_microprice(*lone, tick=TICK, n_spreads=1).table).all()


def test_a_microprice_that_cannot_be_fitted_is_refused() -> None:
    """No move, too few touches, broken shapes, a grid that is none."""
    touch = touch_chain(6, 500)
    still = touch.copy()
    still[:2] = touch[:2, :1]
    still[1] += TICK
    for bad in (still, touch[:, :1], np.full((4, 50), np.nan)):
        with pytest.raises(DataError, match="never moves"):
            fit_microprice(*bad, tick=TICK)
    with pytest.raises(DataError, match="shape"):
        fit_microprice(touch[0], touch[1], touch[2], touch[3][:-1], tick=TICK)
    with pytest.raises(DataError, match="visits"):
        fit_microprice(*touch, tick=TICK, min_visits=10_000)
    for kwargs in ({"tick": 0.0}, {"tick": TICK, "terms": 0}, {"tick": TICK, "n_imbalances": 1}):
        with pytest.raises(ConfigError, match="tick > 0"):
            fit_microprice(*touch, **kwargs)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="at least"):
        martingale_slope(np.ones((1, 10)), *touch[:, :50], tick=TICK)
    with pytest.raises(DataError, match="says nothing"):
        martingale_slope(np.zeros((1, 10)), *touch_chain(1, 5000), tick=TICK)


# ---------------------------------------------------------------- Hawkes
def test_derivatives_of_the_likelihood() -> None:
    """Value against the definition, gradient and Hessian against differences."""
    t = simulate_hawkes(np.random.default_rng(1), mu=0.5, alpha=0.8, beta=1.2, horizon_s=60.0)
    theta = np.array([0.4, 0.9, 1.5])
    out = np.empty((5, 3))

    def value(x: np.ndarray) -> float:
        hawkes_fit._derivatives(t, 60.0, x, out)
        return float(out[0, 0])

    mu, alpha, beta = theta
    rates = [mu + alpha * np.exp(-beta * (t[i] - t[:i])).sum() for i in range(len(t))]
    want = np.log(rates).sum() - mu * 60.0 - alpha / beta * (1.0 - np.exp(-beta * (60.0 - t))).sum()
    assert value(theta) == pytest.approx(want, rel=1e-12)
    value(theta)
    gradient, hessian = out[1].copy(), out[2:].copy()
    h = 1e-5
    for i in range(3):
        e = np.eye(3)[i] * h
        assert gradient[i] == pytest.approx((value(theta + e) - value(theta - e)) / (2 * h), rel=1e-6, abs=1e-6)
        value(theta + e)
        up = out[1].copy()
        value(theta - e)
        np.testing.assert_allclose(hessian[i], (up - out[1]) / (2 * h), rtol=1e-5, atol=1e-5)


def test_a_fit_is_a_maximum_and_its_residuals_are_the_folds() -> None:
    """No gradient left; compensators equal those that the fold leaves; a Poisson stream has no branching."""
    from oneprice.features import hawkes

    t = simulate_hawkes(np.random.default_rng(2), mu=0.5, alpha=0.8, beta=1.2, horizon_s=1000.0)
    fit = fit_hawkes(t, horizon_s=1000.0)
    out = np.empty((5, 3))
    hawkes_fit._derivatives(t, 1000.0, np.array([fit.mu, fit.alpha, fit.beta]), out)
    assert np.abs(out[1]).max() < 0.05 * fit.n**0.5 and out[0, 0] == pytest.approx(fit.log_likelihood)
    assert fit.log_likelihood > fit.log_likelihood_poisson and "not rejected" in str(fit)
    seen, state = residuals(t, 0.5, 0.8, 1.2), hawkes.FOLD.fresh()
    for i, x in enumerate(t):
        hawkes.FOLD.scan([round(x * 1e9)], state=state, mu=0.5, alpha=0.8, beta=1.2)
        if i:
            assert state["residual"][0] == pytest.approx(seen[i - 1], abs=1e-6)
    poisson = np.cumsum(np.random.default_rng(3).exponential(1.0, 3000))
    flat = fit_hawkes(poisson)
    assert 0.0 <= flat.log_likelihood - flat.log_likelihood_poisson < 5.0 and flat.rate == pytest.approx(1.0, rel=0.05)
    burst = fit_hawkes(np.sort(np.concatenate([np.arange(100.0), np.arange(100.0) + 1e-3])))
    assert burst.residual_p < 1e-6 and "REJECTED" in str(burst)


BAD_TIMES: list[tuple[Any, str]] = [
    (np.arange(5.0), "at least"),
    (np.arange(60.0)[::-1], "sorted"),
    (np.full(60, np.nan), "not finite"),
    (np.arange(60.0) - 1.0, r"in \[0"),
    (np.repeat(np.arange(30.0), 2), "merge"),
    (np.zeros((50, 2)), "shape"),
]


@pytest.mark.parametrize(("times", "match"), BAD_TIMES)
def test_times_that_are_none_are_refused(times: Any, match: str) -> None:
    """Too few, unsorted, NaN, before 0, mostly simultaneous, of two dimensions."""
    with pytest.raises(DataError, match=match):
        fit_hawkes(times)
    with pytest.raises(ConfigError, match="alpha < beta"):
        simulate_hawkes(np.random.default_rng(0), mu=1.0, alpha=2.0, beta=1.0, horizon_s=5.0)


# ---------------------------------------------------------------- regressions
def test_lines_are_least_squares_with_newey_west_errors() -> None:
    """Against statsmodels; joint R^2 against the textbook; rows that are not finite are left out."""
    sm = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(5)
    x = rng.normal(size=(300, 3))
    y = 0.5 + x @ np.array([1.0, -0.3, 0.0]) + np.convolve(rng.normal(size=302), np.ones(3), "valid")
    got = line(x[:, 0], y, lags=4)
    want = sm.OLS(y, sm.add_constant(x[:, 0])).fit(cov_type="HAC", cov_kwds={"maxlags": 4, "use_correction": False})
    assert (got.a, got.b, got.b_se, got.r2) == pytest.approx((*want.params, want.bse[1], want.rsquared), rel=1e-10)
    assert joint_r2(x, y) == pytest.approx(sm.OLS(y, sm.add_constant(x)).fit().rsquared, rel=1e-10)
    torn = y.copy()
    torn[:7] = np.nan
    assert line(x[:, 0], torn).n == 293


def test_bars_that_say_nothing_are_refused() -> None:
    """Too few, flow or price that does not vary, shapes that differ."""
    x = np.arange(50.0)
    for a, b, match in (
        (x[: LEAST_BARS - 1], x[: LEAST_BARS - 1], "at least"),
        (np.zeros(50), x, "flow does not vary"),
        (x, np.zeros(50), "price does not vary"),
        (x, x[:-1], "shape"),
    ):
        with pytest.raises(DataError, match=match):
            line(a, b)
    with pytest.raises(DataError, match="price does not vary"):
        joint_r2(x[:, None], np.ones(50))
    with pytest.raises(DataError, match="at least"):
        joint_r2(x[:20, None], x[:20])


# ---------------------------------------------------------------- bars of a tape
def test_bars_count_what_came_in_them(world: Tape) -> None:
    """Small tape by hand: moves from the last mid before, empty bars, trades of nothing, one-sided and crossed tops."""
    rows = [
        top(10, 100, 102, 4, 4),
        top(20, 100, 102, 6, 4),  # +2
        {"receive_ns": 30, "kind": TRADE, "flag_bits": LAST, "price": 102, "qty": 3, "side": 1},
        {"receive_ns": 30, "kind": TRADE, "flag_bits": LAST, "price": 102, "qty": 0, "side": 1},
        top(40, 101, 102, 5, 1),  # +5 and + (4 - 1): price up by half a tick
        top(1500, NO_PRICE, 102, 0, 1),
        top(1600, 103, 102, 1, 1),
        top(2600, 99, 103, 1, 1),  # bid fell: -5; ask rose: +1
    ]
    for row in rows:
        row["receive_ns"] *= 1_000_000
    bars = flow_bars(tape_of(rows, world), bar_s=1.0)
    lot = float(world.instrument.lot)
    assert bars.source == "top" and len(bars) == 3 and bars.skipped == 2
    np.testing.assert_allclose(bars.ofi / lot, [2.0 + 5.0 + 3.0, 0.0, -4.0])
    np.testing.assert_allclose(bars.move, [0.5, 0.0, -0.5])
    np.testing.assert_allclose(bars.trade_flow / lot, [3.0, 0.0, 0.0])
    assert list(bars.trades) == [1, 0, 0] and list(bars.events) == [3, 0, 1] and math.isnan(bars.depth[1])
    later = flow_bars(tape_of(rows, world), bar_s=1.0, origin_ns=35_000_000)
    np.testing.assert_allclose(later.ofi / lot, [8.0, 0.0, -4.0])


def test_bars_that_cannot_be_are_refused(world: Tape) -> None:
    """No quotes, no touch with both sides, a bar of no length, levels of a touch, an unknown source."""
    trade = {"receive_ns": 1, "kind": TRADE, "flag_bits": LAST, "price": 5, "qty": 1, "side": 1}
    with pytest.raises(DataError, match="the tape has none"):
        flow_bars(tape_of([trade], world))
    with pytest.raises(DataError, match="both sides"):
        flow_bars(tape_of([top(1, NO_PRICE, 5)], world))
    with pytest.raises(ConfigError, match="bar_s"):
        flow_bars(world, bar_s=0.0)
    with pytest.raises(ConfigError, match="levels"):
        flow_bars(tape_of([top(1, 4, 5)], world), levels=3)
    with pytest.raises(ConfigError, match="source"):
        flow_bars(world, source="nothing")
    with pytest.raises(DataError, match="bars"):
        flow_bars(world, origin_ns=1 << 62)
    with pytest.raises(DataError, match="trades"):
        print_times(tape_of([top(1, 4, 5)], world))


def test_book_bars_and_touches_agree(world: Tape) -> None:
    """Level 1 of the book's flow is the fold over the touches after each batch."""
    from oneprice.features import ofi

    bars = flow_bars(world, bar_s=0.5, source="book", levels=3)
    touch = touch_columns(world)
    state = ofi.FOLD.fresh()
    ofi.FOLD.scan(touch.time_ns, touch.bid, touch.ask, touch.bid_qty, touch.ask_qty, state=state)
    assert bars.ofi.sum() == pytest.approx(state["total"][0]) and (world.events["kind"] == BOOK).any()
    np.testing.assert_array_equal(bars.ofi, bars.level_ofi[:, 0])
    fit = fit_flow(bars)
    assert list(fit.level_r2) == sorted(fit.level_r2) and fit.level_r2[0] == pytest.approx(fit.ofi.r2)


# ---------------------------------------------------------------- races, impact
def test_a_race_is_calibrated_in_its_own_world() -> None:
    """Order size 1, balanced, slope 1; without sizes, moves or narrow spreads it is refused."""
    touch = queue_world(7, 1_000_000, most=5)
    fit = fit_race(*touch, tick=TICK)
    assert fit.unit_qty == 1.0 and fit.balance == pytest.approx(1.0, abs=0.05)
    assert fit.slope == pytest.approx(1.0, abs=0.1) and fit.brier < fit.brier_flat and "Brier" in str(fit)
    assert fit.counts.sum() == fit.n
    still, wide, flat = touch.copy(), touch.copy(), touch.copy()
    still[:2] = touch[:2, :1]
    still[1] += TICK
    wide[1] += TICK
    flat[2:] = 1.0
    for bad, match in ((still, "never moves"), (wide, "one tick wide"), (flat, "no queue changes")):
        with pytest.raises(DataError, match=match):
            fit_race(*bad, tick=TICK)
    with pytest.raises(ConfigError, match="unit_qty"):
        fit_race(*touch, tick=TICK, unit_qty=0.0)
    with pytest.raises(DataError, match="shape"):
        fit_race(touch[0], touch[1], touch[2], touch[3][1:], tick=TICK)


def test_impact_finds_a_planted_power(world: Tape) -> None:
    """Slopes made as 3 / depth^0.8 give that back; one depth for all windows is refused."""
    import msgspec

    bars = flow_bars(world, bar_s=0.05)
    rng = np.random.default_rng(9)
    n = len(bars)
    depth = np.repeat(np.exp(rng.normal(1.0, 0.5, 10)), -(-n // 10))[:n]
    flow = rng.normal(size=n)
    move = 3.0 / depth**0.8 * flow + 0.01 * rng.normal(size=n)
    made = msgspec.structs.replace(bars, ofi=flow, depth=depth, move=move)
    found = impact_by_depth(made)
    assert found.power == pytest.approx(0.8, abs=0.05) and found.c == pytest.approx(3.0, rel=0.1)
    with pytest.raises(DataError, match="same in all windows"):
        impact_by_depth(msgspec.structs.replace(made, depth=np.ones(n)))
    with pytest.raises(DataError, match="at least 4 windows"):
        impact_by_depth(msgspec.structs.replace(made, move=-made.move))


def test_worlds_refuse_what_they_cannot_be() -> None:
    """Rates that are no probabilities, races of no orders."""
    with pytest.raises(ConfigError, match="touch_chain"):
        touch_chain(0, 100, move=0.9, widen=0.2)
    with pytest.raises(ConfigError, match="queue_world"):
        queue_world(0, 1)
    with pytest.raises(ConfigError, match="race_frequency"):
        race_frequency(0, 0, 1, 10)


# ---------------------------------------------------------------- the report
def test_the_report_says_what_it_could_not_do(world: Tape) -> None:
    """On a made tape: rows side by side, caveats printed, refusals with their reasons; no levels is an error."""
    found = micro(world, bar_s=0.5, levels=3)
    text = str(found)
    assert "contemporaneous, not predictive" in text and CAVEAT.split(";")[0] in text
    assert {"order flow imbalance", "flow of 3 levels, book"} <= {r.name for r in found.explained}
    low, middle, high = found.ofi_r2_range
    assert low <= middle <= high
    assert ("VPIN caveat" in text) == math.isfinite(found.vpin)
    assert all(f"refused {name}: {why}" in text for name, why in found.refused.items())
    with pytest.raises(ConfigError, match="levels"):
        micro(world, levels=0)
    quiet = tape_of([top(i * SECOND, 100 + i % 2, 103, 5 + i % 3, 4) for i in range(60)], world)
    bare = micro(quiet)
    assert bare.hawkes is None and "trades" in bare.refused["hawkes"] and math.isnan(bare.vpin)
    assert {r.name for r in bare.explained} >= {"order flow imbalance"} and bare.trades == 0
