"""Drift monitors against plain references, and what their states mean."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.signals.drift import adwin, bocpd, cusum, fan, page_hinkley, residual
from oneprice.signals.drift.design import (
    cusum_arl,
    cusum_limit,
    cusum_run_lengths,
    residual_arl,
    residual_limit,
    residual_run_lengths,
)
from oneprice.signals.drift.simulated import bocpd_limit, page_hinkley_threshold


def jump(n: int = 400, at: int = 200, by: float = 2.0, seed: int = 1) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal(n)
    x[at:] += by
    return x


# ---------------------------------------------------------------- CUSUM
def test_cusum_is_pages_recursion() -> None:
    """C+ and C- are the largest sums of x - k (of -x - k) that end now; the alarm is the larger over h."""
    x, k, h = jump(), 0.5, 6.0
    up = [max(0.0, *(float(np.sum(x[i : n + 1] - k)) for i in range(n + 1))) for n in range(len(x))]
    down = [max(0.0, *(float(np.sum(-x[i : n + 1] - k)) for i in range(n + 1))) for n in range(len(x))]
    first = next(n for n in range(len(x)) if max(up[n], down[n]) > h)
    out = cusum.FOLD.scan(x, k=k, h=h)
    assert np.flatnonzero(out > 0.0)[0] == first
    assert out[first] == pytest.approx(max(up[first], down[first]) / h)


def test_cusum_dates_the_shift() -> None:
    """At an alarm the length of the run tells when the mean moved, and the larger side tells where to."""
    for by in (1.5, -1.5):
        state = cusum.FOLD.fresh()
        out = cusum.FOLD.scan(jump(by=by), state=state, k=0.75, h=8.0, latch=1)
        first = int(np.flatnonzero(out > 0.0)[0])
        age = state["n_up" if by > 0.0 else "n_down"][0]
        assert 200 <= first < 230 and abs(first + 1 - age - 200) <= 5
        assert (state["up"][0] > state["down"][0]) == (by > 0.0)


def test_limits_give_the_wanted_false_alarms() -> None:
    """h of a wanted mean run length gives that length back, by the chain and by simulation of the fold."""
    h = cusum_limit(252.0, k=0.25)
    assert cusum_arl(0.0, k=0.25, h=h) == pytest.approx(252.0, rel=1e-5)
    assert cusum_run_lengths(0.0, k=0.25, h=h, seed=4).mean() == pytest.approx(252.0, rel=0.03)
    h = residual_limit(252.0, growth=2.0)
    assert residual_arl(1.0, growth=2.0, h=h) == pytest.approx(252.0, rel=1e-5)
    assert residual_run_lengths(1.0, growth=2.0, h=h, seed=5).mean() == pytest.approx(252.0, rel=0.03)
    wide = residual_arl(2.0, growth=2.0, h=h)
    assert residual_run_lengths(2.0, growth=2.0, h=h, seed=6).mean() == pytest.approx(wide, rel=0.03)
    assert wide < 20.0


def test_limits_from_the_innovations_at_hand() -> None:
    """Student-t innovations: limits of the normal alarm too often, those of a sample of them as often as asked."""
    rng = np.random.default_rng(9)
    sample, fresh = rng.standard_t(4, (2, 100_000)) / math.sqrt(2.0)
    for fold, normal, own in (
        (cusum.FOLD, cusum_limit(252.0), cusum_limit(252.0, innovations=sample[:20_000])),
        (residual.FOLD, residual_limit(252.0), residual_limit(252.0, innovations=sample[:20_000])),
    ):
        assert len(fresh) / np.count_nonzero(fold.scan(fresh, h=normal) > 0.0) < 200.0
        assert len(fresh) / np.count_nonzero(fold.scan(fresh, h=own) > 0.0) == pytest.approx(252.0, rel=0.12)
    normal = rng.standard_normal(20_000)
    assert cusum_limit(252.0, innovations=normal) == pytest.approx(cusum_limit(252.0), rel=0.03)
    for bad in (normal[:50], np.full(200, 1.0), np.r_[normal, np.nan]):
        with pytest.raises(DataError, match="innovations"):
            cusum_limit(252.0, innovations=bad)
        with pytest.raises(DataError, match="innovations"):
            residual_limit(252.0, innovations=bad)


def test_the_designed_reference_value_is_the_best_one() -> None:
    """Of monitors with equal false alarms, the one built for a growth of 2 finds that growth soonest."""
    delay = {g: residual_arl(2.0, growth=g, h=residual_limit(500.0, growth=g)) for g in (1.3, 2.0, 4.0)}
    assert delay[2.0] < min(delay[1.3], delay[4.0])


def test_simulated_limits_give_the_wanted_false_alarms() -> None:
    """Page-Hinkley and BOCPD alarm on fresh noise as often as asked, within the error of so many paths."""
    noise = np.random.default_rng(77).standard_normal((400, 300))
    threshold = page_hinkley_threshold(0.2, 300)
    page = np.mean([np.nanmax(page_hinkley.FOLD.scan(x, threshold=threshold, latch=1)) > 0.0 for x in noise])
    limit = bocpd_limit(0.2, 300)
    bayes = np.mean([np.nanmax(bocpd.FOLD.scan(x, limit=limit, latch=1)) > 0.0 for x in noise])
    assert abs(page - 0.2) < 0.07 and abs(bayes - 0.2) < 0.08
    assert page_hinkley_threshold(0.05, 300) > threshold and bocpd_limit(0.05, 300) > limit


def test_impossible_designs_are_refused() -> None:
    """Rates that no limit reaches, and parameters that mean nothing."""
    with pytest.raises(ConfigError, match="rate in"):
        page_hinkley_threshold(1.5, 300)
    with pytest.raises(ConfigError, match="horizon above 20"):
        bocpd_limit(0.1, 20)
    with pytest.raises(ConfigError, match="arl0"):
        cusum_limit(0.5)
    with pytest.raises(ConfigError, match="arl0"):
        cusum_limit(math.nan)
    with pytest.raises(ConfigError, match="h: expected"):
        cusum_arl(0.0, k=0.5, h=-1.0)
    with pytest.raises(ConfigError, match="growth > 1"):
        residual_arl(1.0, growth=1.0, h=5.0)


# ---------------------------------------------------------------- growth of the innovations
def test_residual_monitor_sees_variance_and_counts_nis() -> None:
    """Innovations three times as wide raise the alarm within 10; their mean square so far is in the state."""
    x = np.random.default_rng(8).standard_normal(400)
    x[300:] *= 3.0
    state = residual.FOLD.fresh()
    out = residual.FOLD.scan(x, state=state, h=residual_limit(5000.0))
    first = int(np.flatnonzero(out > 0.0)[0])
    assert 300 <= first < 310
    assert state["sum_sq"][0] / state["n"][0] == pytest.approx(np.mean(x * x))


# ---------------------------------------------------------------- Page-Hinkley
def test_page_hinkley_is_a_cumulative_sum() -> None:
    """Without forgetting: the sum of x - running mean - delta above its least value, from `warm` on."""
    x, delta, limit = jump(by=1.0), 0.1, 15.0
    mean = np.cumsum(x) / np.arange(1, len(x) + 1)
    up, down = np.cumsum(x - mean - delta), np.cumsum(x - mean + delta)
    rise = up - np.minimum.accumulate(up)
    fall = np.maximum.accumulate(down) - down
    stat = np.maximum(rise, fall)
    first = int(np.flatnonzero((stat > limit) & (np.arange(len(x)) >= 29))[0])
    out = page_hinkley.FOLD.scan(x, delta=delta, threshold=limit, forget=1.0)
    assert np.isnan(out[:29]).all() and np.flatnonzero(out > 0.0)[0] == first
    assert out[first] == pytest.approx(stat[first] / limit)
    assert np.isnan(out[first + 1 : first + 30]).all()  # it starts afresh


# ---------------------------------------------------------------- ADWIN
def plain_adwin(x: np.ndarray, delta: float, clock: int) -> list[int]:
    """Alarms of a window kept as lists of values, all sums anew at each check; a new window after each alarm."""
    rows: list[list[list[float]]] = []
    alarms, n = [], 0
    for i, value in enumerate(x):
        n += 1
        if not rows:
            rows.append([])
        rows[0].append([float(value)])
        for r in itertools.count():
            if r == len(rows) or len(rows[r]) <= adwin.BUCKETS:
                break
            if r + 1 == len(rows):
                rows.append([])
            rows[r + 1].append(rows[r].pop(0) + rows[r].pop(0))
        if n % clock == 0:
            cut = False
            while _disagrees(rows, delta):
                rows[-1].pop(0)
                if not rows[-1]:
                    rows.pop()
                cut = True
            if cut:
                alarms.append(i)
                rows, n = [], 0
    return alarms


def _disagrees(rows: list[list[list[float]]], delta: float) -> bool:
    buckets = [b for row in reversed(rows) for b in row]
    values = np.array([v for b in buckets for v in b])
    if len(values) <= adwin.GRACE:
        return False
    strict = math.log(2.0 * math.log(len(values)) / delta)
    for split in np.cumsum([len(b) for b in buckets])[:-1]:
        old, new = values[:split], values[split:]
        if min(len(old), len(new)) >= adwin.LEAST:
            m = 1.0 / (len(old) - adwin.LEAST + 1) + 1.0 / (len(new) - adwin.LEAST + 1)
            bound = math.sqrt(2.0 * m * values.var() * strict) + 2.0 / 3.0 * strict * m
            if abs(old.mean() - new.mean()) > bound:
                return True
    return False


def test_adwin_is_its_plain_window() -> None:
    """Alarms equal those of a window of values whose parts are compared anew; the record's width is fixed."""
    rng = np.random.default_rng(2)
    x = np.repeat([0.0, 0.7, 0.2, 3.0], 250) + rng.standard_normal(1000)
    for delta, clock in ((0.002, 32), (0.05, 8)):
        found = np.flatnonzero(adwin.FOLD.scan(x, delta=delta, clock=clock) > 0.0).tolist()
        assert found == plain_adwin(x, delta, clock)
        assert len(found) >= 2
    assert adwin.STATE.itemsize < 3000


def test_adwin_keeps_the_window_of_the_new_mean() -> None:
    """At the alarm the window is cut to little more than what came after the jump, and its mean is near the new one."""
    state, x = adwin.FOLD.fresh(), jump(by=4.0) + 1e6
    out = adwin.FOLD.scan(x, state=state, latch=1)
    first = int(np.flatnonzero(out > 0.0)[0])
    width = int(state["width"][0])
    assert 200 < first < 240 and width <= 2 * (first - 199)
    assert (state["origin"] + state["total"] / state["width"])[0] == pytest.approx(
        x[first + 1 - width : first + 1].mean()
    )
    assert x[first + 1 - width : first + 1].mean() > 1e6 + 2.5


def test_adwin_forgets_the_oldest_when_its_record_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for few rows the window stops growing and stays a window of the latest observations."""
    monkeypatch.setattr(adwin, "ROWS", 4)
    plain = adwin.step.py_func
    state = adwin.FOLD.fresh().view(np.recarray)
    for i in range(300):
        plain(state[0], float(i % 2), 0.002, 32, 0)
    kept = sum(int(state["held"][0][r]) << r for r in range(4))
    assert state["held"][0][4:].sum() == 0
    assert kept == state["width"][0] <= 5 * 15 + 1
    assert state["total"][0] == pytest.approx(kept / 2, abs=1.0)


# ---------------------------------------------------------------- BOCPD
def exact_recent(x: np.ndarray, hazard: float, shift: float, recent: int) -> np.ndarray:
    """P(regime at most `recent` old) with every hypothesis kept, from scipy's Student-t."""
    from scipy.stats import t as student

    weight = np.array([1.0])
    prior = 1.0 / shift**2
    a, seen, level, rate = np.array([1.0]), np.array([prior]), np.zeros(1), np.ones(1)
    age, out = np.zeros(1, np.int64), np.empty(len(x))
    for i, value in enumerate(x):
        if i > 0:
            weight = np.append((1.0 - hazard) * weight, hazard)
            a, seen = np.append(a, 1.0), np.append(seen, prior)
            level, rate, age = np.append(level, 0.0), np.append(rate, 1.0), np.append(age, 0)
        scale = np.sqrt(rate * (seen + 1.0) / (a * seen))
        weight = weight * student.pdf(value, 2.0 * a, level, scale)
        weight /= weight.sum()
        rate = rate + seen * (value - level) ** 2 / (2.0 * (seen + 1.0))
        level = (seen * level + value) / (seen + 1.0)
        a, seen, age = a + 0.5, seen + 1.0, age + 1
        out[i] = weight[age <= recent].sum()
    return out


def test_bocpd_is_the_exact_recursion_until_it_prunes() -> None:
    """Equal to Adams and MacKay while all hypotheses fit, close to it after, with 64 of 300."""
    x = jump(300, 150, 2.0, seed=4)
    exact = exact_recent(x, 0.01, 3.0, 10)
    state, found = bocpd.FOLD.fresh(), np.empty(300)
    for i in range(300):
        bocpd.FOLD.scan(x[i : i + 1], state=state, hazard=0.01, shift=3.0, recent=10)
        found[i] = state["p_recent"][0]
    assert np.allclose(found[: bocpd.SIZE], exact[: bocpd.SIZE], atol=1e-12)
    assert np.max(np.abs(found - exact)) < 1e-2
    assert state["weight"][0].sum() == pytest.approx(1.0)


def test_bocpd_raises_one_alarm_a_change() -> None:
    """A jump by 3 is found within 6 observations in each of 20 series, once, and dated; false alarms are near 5 %."""
    limit, others = bocpd_limit(0.05, 400, paths=200), 0
    for seed in range(20):
        state = bocpd.FOLD.fresh()
        found = np.flatnonzero(bocpd.FOLD.scan(jump(400, 200, 3.0, seed), state=state, limit=limit) > 0.0)
        assert np.count_nonzero((found >= 200) & (found <= 206)) == 1
        assert abs(400 - state["best_age"][0] - 200) <= 4
        others += len(found) - 1
    assert others <= 3


def test_nile_breaks_after_1898() -> None:
    """Annual flow 1871-1970: one alarm; the regime of 1970 began in 1899 (Cobb 1978: 1898/99)."""
    data = pytest.importorskip("statsmodels.datasets").nile.load_pandas().data
    flow, year = data["volume"].to_numpy(), data["year"].to_numpy().astype(int)
    x = (flow - flow[:20].mean()) / flow[:20].std(ddof=1)
    state = bocpd.FOLD.fresh()
    out = bocpd.FOLD.scan(x, state=state, hazard=0.01, recent=10)
    assert year[out > 0.0].tolist() == [1902]
    assert year[len(year) - state["best_age"][0]] == 1899


def test_bocpd_survives_what_no_regime_explains() -> None:
    """A value so far out that every density is zero starts a regime, and the weights stay a distribution."""
    state = bocpd.FOLD.fresh()
    bocpd.FOLD.scan(np.r_[np.zeros(50), 1e250, np.zeros(5)], state=state)
    assert state["weight"][0].sum() == pytest.approx(1.0) and np.isfinite(state["p_recent"][0])


# ---------------------------------------------------------------- the fan
def test_fan_is_the_conditional_law_of_an_ou() -> None:
    """With kappa known: mean z_0 e^-kt, variance 1 - e^-2kt; the excess is measured in its deviations."""
    at, spread = fan.decay(0.7, 0.0, 2.0)
    assert (at, spread) == (pytest.approx(2.0 * math.exp(-0.7)), pytest.approx(1.0 - math.exp(-1.4)))
    state = fan.FOLD.fresh()
    fan.FOLD.scan(np.array([-2.0, -2.5]), state=state, kappa_dt=0.7, kappa_cv=0.0)
    assert state["excess"][0] == pytest.approx((2.5 - at) / math.sqrt(spread))


def test_uncertain_reversion_widens_the_fan() -> None:
    """The five points integrate over ln kappa: equal to a fine sum over the normal, and wider than without."""
    u = np.linspace(-9.0, 9.0, 20_001)
    w = np.exp(-0.5 * u * u) / np.sqrt(2.0 * np.pi) * (u[1] - u[0])
    for age, cv in ((0.2, 0.3), (1.0, 0.3), (2.0, 0.6)):
        ages = age * np.exp(u * math.sqrt(math.log1p(cv * cv)))
        first, second = w @ np.exp(-ages), w @ np.exp(-2.0 * ages)
        at, spread = fan.decay(age, cv, 2.0)
        assert at == pytest.approx(2.0 * first, rel=2e-3)
        assert spread == pytest.approx(1.0 - second + 4.0 * (second - first**2), rel=4e-3)
        assert spread > fan.decay(age, 0.0, 2.0)[1]


def test_only_the_losing_side_stops() -> None:
    """A spread that crosses zero and runs on is no stop; one that walks away is, after m steps, either sign."""
    for side in (1.0, -1.0):
        early = fan.FOLD.scan(side * np.array([2.0, 1.0, -1.0, -3.0, -3.0, -3.0]), kappa_dt=0.05, steps_out=2)
        assert not (early > 0.0).any()
        late = fan.FOLD.scan(side * np.array([2.0, 4.0, 2.0, 4.5, 5.0, 5.0]), kappa_dt=0.05, steps_out=2)
        assert np.flatnonzero(late > 0.0).tolist() == [4, 5]
