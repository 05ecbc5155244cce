"""Intensity: A and k come back with honest intervals; how arrivals are counted; what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from oneprice.core.errors import DataError
from oneprice.core.records import NO_PRICE
from oneprice.signals.intensity.count import Counts, count_arrivals
from oneprice.signals.intensity.fit import MIN_ARRIVALS, fit_intensity
from oneprice.signals.intensity.reach import fit_range, fit_reaches, ranges

A, K = 1.5, 0.3
DISTANCE = np.linspace(0.5, 20.0, 40)
SECOND = 1_000_000_000


def exposed(total: float) -> np.ndarray:
    """Equal exposures that give `total` arrivals on average."""
    return np.full(len(DISTANCE), total / (A * np.exp(-K * DISTANCE)).sum())


def test_a_hundred_thousand_arrivals() -> None:
    """A and k within 3 standard errors; over 400 draws 95 % intervals cover 93 to 97 %, and the test of fit is one."""
    seconds = exposed(1e5)
    rng = np.random.default_rng(11)
    hits, rejected, worst = np.zeros(2), 0, 0.0
    for _ in range(400):
        found = fit_intensity(DISTANCE, seconds, rng.poisson(A * np.exp(-K * DISTANCE) * seconds))
        low, high = found.arrivals_interval
        hits[0] += low < A < high
        low, high = found.k_interval
        hits[1] += low < K < high
        rejected += found.p_value < 0.05
        worst = max(worst, abs(math.log(found.k_decay / K)) / found.log_k_se)
        assert not found.refused
    assert 0.93 <= hits[0] / 400 <= 0.97 and 0.93 <= hits[1] / 400 <= 0.97
    assert 0.02 <= rejected / 400 <= 0.08 and worst < 4.0
    assert found.rate(2.0) == pytest.approx(A * math.exp(-K * 2.0), rel=0.02)


def test_exposure_is_the_weight() -> None:
    """Unequal exposures and cells without arrivals: unbiased, where a line through log counts is not."""
    rng = np.random.default_rng(2)
    seconds = exposed(3_000.0) * rng.uniform(0.05, 3.0, len(DISTANCE))
    ours, lines = [], []
    for _ in range(200):
        n = rng.poisson(A * np.exp(-K * DISTANCE) * seconds)
        ours.append(fit_intensity(DISTANCE, seconds, n).k_decay)
        seen = n > 0
        lines.append(-np.polyfit(DISTANCE[seen], np.log(n[seen] / seconds[seen]), 1)[0])
    assert np.mean(ours) == pytest.approx(K, abs=3.0 * np.std(ours) / math.sqrt(200))
    assert abs(np.mean(lines) - K) > 10.0 * abs(np.mean(ours) - K)
    assert np.std(ours) < 0.7 * np.std(lines)


def test_the_likelihood_is_at_its_top() -> None:
    """No other (A, k) has a larger Poisson likelihood; errors are those of its curvature."""
    rng = np.random.default_rng(3)
    seconds = exposed(2_000.0)
    n = rng.poisson(A * np.exp(-K * DISTANCE) * seconds)
    found = fit_intensity(DISTANCE, seconds, n)

    def loglik(log_a: float, k: float) -> float:
        mu = np.exp(log_a - k * DISTANCE) * seconds
        return float((n * np.log(mu) - mu).sum())

    a, k = math.log(found.arrivals_per_s), found.k_decay
    best = loglik(a, k)
    for da in (-1e-3, 0.0, 1e-3):
        for dk in (-1e-3, 0.0, 1e-3):
            assert loglik(a + da, k + dk) <= best + 1e-9
    h = 1e-4
    curve = np.array([
        [loglik(a + h, k) - 2 * best + loglik(a - h, k), 0.0],
        [0.0, loglik(a, k + h) - 2 * best + loglik(a, k - h)],
    ])  # fmt: skip
    cross = (loglik(a + h, k + h) - loglik(a + h, k - h) - loglik(a - h, k + h) + loglik(a - h, k - h)) / 4
    curve[0, 1] = curve[1, 0] = cross
    cov = np.linalg.inv(-curve / h**2)
    assert found.log_arrivals_se == pytest.approx(math.sqrt(cov[0, 0]), rel=1e-3)
    assert found.log_k_se == pytest.approx(math.sqrt(cov[1, 1]) / k, rel=1e-3)


def test_what_cannot_be_told_is_refused() -> None:
    """Few arrivals, few distances, a flat or rising rate, another shape: a reason, not a number to trust."""
    few = np.random.default_rng(1).poisson(A * np.exp(-K * DISTANCE) * exposed(MIN_ARRIVALS / 2))
    assert "distinct arrivals, expected at least 200" in fit_intensity(DISTANCE, exposed(100.0), few).refused
    two = fit_intensity(np.array([1.0, 2.0]), np.full(2, 1e3), np.array([900.0, 600.0]))
    assert "at 2 distances" in two.refused and math.isnan(two.p_value)
    assert two.k_decay == pytest.approx(math.log(1.5)), "two distances are fitted exactly"
    flat = fit_intensity(DISTANCE, np.full(40, 100.0), np.full(40, 50.0))
    rising = fit_intensity(DISTANCE, np.full(40, 100.0), np.linspace(10.0, 90.0, 40))
    assert "no decay" in flat.refused and "no decay" in rising.refused
    steep = fit_intensity(DISTANCE, np.full(40, 100.0), np.append(500.0, np.zeros(39)))
    assert "no arrival beyond the nearest" in steep.refused
    n = np.round(3e4 * (0.9 * np.exp(-3.0 * DISTANCE) + 0.1 * np.exp(-0.1 * DISTANCE)))
    assert "not exponential" in fit_intensity(DISTANCE, np.full(40, 1e3), n).refused


@pytest.mark.parametrize(
    ("d", "t", "n", "match"),
    [
        ([1.0, 2.0], [1.0], [1.0, 1.0], "exposure_s: expected shape"),
        ([1.0, math.nan], [1.0, 1.0], [1.0, 1.0], "distance, row 1"),
        ([1.0, 2.0], [1.0, -1.0], [1.0, 1.0], "exposure_s, row 1"),
        ([1.0, 2.0], [1.0, 1.0], [1.0, -1.0], "arrivals, row 1"),
        ([1.0, 2.0], [0.0, 1.0], [1.0, 1.0], "more than 0 where arrivals"),
        ([1.0, 2.0], [1.0, 1.0], [0.0, 0.0], "got none"),
        ([1.0, 1.0], [1.0, 1.0], [2.0, 1.0], "two distances"),
    ],
)
def test_bad_input_is_named(d: list[float], t: list[float], n: list[float], match: str) -> None:
    """Shapes, NaN, negative numbers, no arrivals, one distance: an error that says where."""
    with pytest.raises(DataError, match=match):
        fit_intensity(np.array(d), np.array(t), np.array(n))


# ---------------------------------------------------------------- counting


def counted(touches: list[tuple[float, int, int]], trades: list[tuple[float, int, int]], **words: int) -> Counts:
    """Counts of touches (second, bid, ask) and prints (second, ticks, side)."""
    t = np.array([(round(s * SECOND), b, a) for s, b, a in touches], np.int64)
    p = np.array([(round(s * SECOND), x, side) for s, x, side in trades], np.int64).reshape(-1, 3)
    columns = [np.ascontiguousarray(c) for c in (*t.T, *p.T)]
    return count_arrivals(*columns, tick=0.1, **{"blocks": 2, **words})


def test_an_aggressor_is_one_arrival_at_its_deepest_price() -> None:
    """Prints of one side within join_ns are one order; its reach is from the mid before it, in half ticks."""
    c = counted(
        [(0.0, 100, 102), (5.0, 100, 103), (10.0, 100, 103)],
        [
            (1.0, 102, 1), (1.0, 104, 1), (1.0, 103, 1),  # one buyer, three prints
            (1.0, 100, -1),  # a seller of the same moment is another
            (1.5, 102, 1),
            (5.0, 102, 1),  # the touch of the same stamp may be the answer to it: the one before counts
            (6.0, 99, -1),
        ],
    )  # fmt: skip
    assert c.prints == 7 and c.unmatched == 0
    assert c.side.tolist() == [1, -1, 1, 1, -1] and c.half_tick == 0.05
    assert c.reach.tolist() == [6, 2, 2, 2, 5] and c.spread.tolist() == [2, 2, 2, 2, 3]
    assert c.inside == 0 and c.seconds == 10.0


def test_a_level_is_exposed_while_the_spread_has_its_parity() -> None:
    """Even half ticks exist while the spread is even and not wider than they; seconds count for both sides."""
    c = counted([(0.0, 100, 102), (4.0, 100, 103), (7.0, 100, 104), (10.0, 0, 1)], [(1.0, 104, 1), (5.0, 99, -1)])
    assert c.reach.tolist() == [6, 5]
    assert c.exposure_s.sum(axis=0).tolist() == [0.0, 0.0, 8.0, 6.0, 14.0, 6.0, 14.0, 6.0, 14.0, 6.0]
    assert c.exposure_s[0, 2] == pytest.approx(8.0) and c.exposure_s[1, 4] == pytest.approx(6.0)
    assert c.exposure_s[0, 3] == pytest.approx(2.0) and c.block.tolist() == [0, 1]


def test_no_two_sided_book_is_no_exposure_and_no_reference() -> None:
    """One-sided and crossed touches expose nothing; arrivals on them, or before the first touch, are set aside."""
    c = counted(
        [(1.0, 100, 101), (2.0, NO_PRICE, 101), (3.0, 102, 101), (4.0, 100, 101), (5.0, 100, 101)],
        [(0.5, 101, 1), (1.5, 101, 1), (2.5, 101, 1), (3.5, 101, 1), (4.5, 100, -1)],
    )
    assert c.prints == 4 and c.unmatched == 2 and c.reach.tolist() == [1, 1]
    assert c.exposure_s.sum(axis=0)[1] == 4.0
    touch = counted([(0.0, 100, 101), (9.0, 100, 101)], [(s, 101, 1) for s in range(1, 9)])
    assert "no arrival beyond the nearest" in fit_reaches(touch).refused, "all stop at the touch: refused, no error"
    moved = counted([(0.0, 100, 101), (1.0, 104, 105), (2.0, 104, 105)], [(1.5, 101, 1)])
    assert moved.inside == 1 and moved.reach.tolist() == [-7], "a print behind the mid reached nothing"
    with pytest.raises(DataError, match="got none"):
        fit_reaches(moved)


@pytest.mark.parametrize(
    ("touches", "trades", "match"),
    [
        ([(0.0, 1, 2)], [(1.0, 2, 1)], "two or more touches"),
        ([(1.0, 1, 2), (0.0, 1, 2)], [(1.0, 2, 1)], "touch 1: time goes back"),
        ([(0.0, 1, 2), (1.0, 1, 2)], [], "prints, got none"),
        ([(0.0, 1, 2), (1.0, 1, 2)], [(0.5, 2, 0)], "side of a print"),
    ],
)
def test_tapes_that_cannot_be_counted(
    touches: list[tuple[float, int, int]], trades: list[tuple[float, int, int]], match: str
) -> None:
    """Each is an error that says what was expected."""
    with pytest.raises(DataError, match=match):
        counted(touches, trades)


def simulated(
    seed: int, seconds: int, *, rate: float = 1.0, k: float = 2.0, share_at_touch: float = 0.0, burst: float = 0.0
) -> Counts:
    """A tape with a spread of 1 or 2 ticks and orders whose reach is exponential in quote currency (half tick 0.05).

    burst: mean number of orders that follow each within some seconds (their rate is on top).
    """
    rng = np.random.default_rng(seed)
    spread = 1 + (rng.random(seconds) < 0.4).astype(np.int64)
    bid = 1_000 + np.cumsum(rng.integers(-1, 2, seconds))
    n = rng.poisson(2 * rate * math.exp(-k * 0.05) * seconds)
    at = np.repeat(rng.uniform(1.0, seconds - 1.0, n), 1 + rng.poisson(burst, n))
    n = len(at)
    at = np.sort(np.minimum(at + (rng.exponential(2.0, n) if burst else 0.0), seconds - 1.001))
    depth = 0.05 + rng.exponential(1.0 / k, n)
    depth[rng.random(n) < share_at_touch] = 0.05
    which = np.floor(at).astype(int)
    side = rng.choice([-1, 1], n)
    levels = np.floor((depth - 0.05 * spread[which]) / 0.1).astype(np.int64)  # 0: the touch; < 0: does not get there
    price = np.where(side > 0, bid[which] + spread[which] + levels, bid[which] - levels)
    keep = levels >= 0
    t = (np.arange(seconds) * SECOND).astype(np.int64)
    p = (at * SECOND).astype(np.int64)[keep]
    return count_arrivals(t, bid, bid + spread, p, price[keep], side[keep], tick=0.1, join_ns=0)


def test_reaches_on_a_grid_of_half_ticks() -> None:
    """Spreads of both parities: A and k come back and their intervals cover, on the whole range and on a part."""
    hits = np.zeros(4)
    for seed in range(60):
        c = simulated(seed, 3_000)
        for i, (near, far) in enumerate(((1, 60), (4, 15))):
            found = fit_range(c, near, far)
            low, high = found.k_interval
            hits[2 * i] += low < 2.0 < high
            low, high = found.arrivals_interval
            hits[2 * i + 1] += low < 1.0 < high
            assert not found.refused, found.refused
    assert (hits >= 52).all(), hits


def test_the_half_tick_matters() -> None:
    """Reaches counted in ticks of a mid on the grid (the half tick dropped) give another k: the pitfall is real."""
    c = simulated(7, 20_000)
    right = fit_reaches(c)
    assert right.k_decay == pytest.approx(2.0, abs=4.0 * 2.0 * right.log_k_se) and not right.refused
    ticks = np.floor(c.reach[c.reach >= c.spread] / 2).astype(int)
    level, n = np.unique(ticks, return_counts=True)
    wrong = fit_intensity(0.1 * level.astype(float), np.full(len(level), c.seconds), n[::-1].cumsum()[::-1])
    assert abs(wrong.arrivals_per_s / 2.0 - 1.0) > 0.08, "pooled levels of both parities"


def test_the_range_is_chosen_and_said() -> None:
    """Most orders stop at the touch: the fit begins behind it, says so, and finds k of what goes through."""
    c = simulated(3, 20_000, share_at_touch=0.8)
    found = fit_reaches(c)
    assert found.near > 0.1 and not found.refused and found.n < 0.5 * found.n_seen
    assert found.k_decay == pytest.approx(2.0, abs=4.0 * 2.0 * found.log_k_se)
    whole = fit_reaches(c, near=0.05)
    assert "not exponential" in whole.refused and whole.n == int((c.reach >= c.spread).sum())
    near, far = ranges(c.reach, c.spread)[0]
    assert near == 1 and far > 3
    with pytest.raises(DataError, match="exposed distances"):
        fit_range(c, 100_000, 100_010)


def test_clustered_arrivals_widen_the_interval() -> None:
    """Every order sent five times within a second: the same k, an interval at least 1.5 times as wide."""
    c = simulated(5, 6_000, rate=0.3)
    rep = np.repeat(np.arange(len(c.reach)), 5)
    many = Counts(
        c.half_tick, c.at_ns[rep], c.side[rep], c.reach[rep], c.spread[rep], c.exposure_s, c.block[rep],
        c.prints, 0, c.seconds,
    )  # fmt: skip
    one, five = fit_range(c, 1, 40), fit_range(many, 1, 40)
    assert five.k_decay == pytest.approx(one.k_decay, rel=1e-6)
    assert five.clustering > 2.5 * one.clustering
    plain = 1.0 / math.sqrt(five.n)
    assert five.log_arrivals_se > 1.5 * plain


def test_intervals_cover_when_orders_come_in_bursts() -> None:
    """Each order followed by three on average: 95 % intervals cover; those of independent arrivals would not."""
    hits, naive = np.zeros(2), 0
    for seed in range(100):
        found = fit_range(simulated(seed, 3_000, rate=0.3, burst=3.0), 1, 40)
        low, high = found.arrivals_interval
        hits[0] += low < 1.2 < high
        naive += abs(math.log(found.arrivals_per_s / 1.2)) < 1.96 * math.sqrt(2.0 / found.n)
        low, high = found.k_interval
        hits[1] += low < 2.0 < high
        assert found.clustering > 1.5
    assert (hits >= 90).all() and naive < 85
