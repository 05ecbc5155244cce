"""Selection control: families, ratios, record lengths, overfitting, superior ability; truths by simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.signals import validation
from oneprice.signals.validation.deflated import (
    Moments,
    aggregated_sharpe,
    deflated_sharpe,
    expected_max,
    expected_max_exact,
    independent_tries,
    moments,
    probabilistic_sharpe,
    sharpe_error,
)
from oneprice.signals.validation.multiplicity import (
    Family,
    adjusted,
    adjusted_by_group,
    harmonic,
    judge,
    null_share,
    one_per_pair,
)
from oneprice.signals.validation.overfit import backtest_overfit
from oneprice.signals.validation.record_length import min_backtest_length, min_track_record, most_tries
from oneprice.signals.validation.spa import stationary_indices, superior_ability


def planted(rng: np.random.Generator, families: int, n: int, true: int, shift: float) -> np.ndarray:
    """One-sided p-values of normal statistics, the first `true` of each family shifted: float64[families, n]."""
    from scipy.special import ndtr

    z = rng.standard_normal((families, n))
    z[:, :true] += shift
    return ndtr(-z)


# ---------------------------------------------------------------- multiplicity
def test_bh_controls_the_false_discovery_rate() -> None:
    """2000 families of 50 with 20 real effects: false discoveries are 3 % (nominal 5 % times 30 / 50), no more."""
    p = planted(np.random.default_rng(17), 2000, 50, 20, 2.5)
    share, raw = np.empty(2000), np.empty(2000)
    for i, row in enumerate(p):
        hit = adjusted(row) <= 0.05
        share[i] = hit[20:].sum() / max(1, hit.sum())
        raw[i] = (row[20:] <= 0.05).sum() / max(1, (row <= 0.05).sum())
    error = share.std() / math.sqrt(2000)
    assert abs(share.mean() - 0.03) < 3.0 * error and error < 0.002
    assert raw.mean() > 0.06  # without the correction the rate is twice as high


def test_under_the_null_nothing_is_found() -> None:
    """No effect at all: the share of families with any rejection is 5 % (BH, Holm, Bonferroni), 9 times that raw."""
    p = planted(np.random.default_rng(18), 2000, 50, 0, 0.0)
    for method in ("bh", "holm", "bonferroni"):
        some = np.mean([(adjusted(row, method) <= 0.05).any() for row in p])
        assert some == pytest.approx(0.05, abs=3.0 * math.sqrt(0.05 * 0.95 / 2000))
    assert np.mean((p <= 0.05).any(axis=1)) > 0.9


def test_by_holds_under_bad_dependence() -> None:
    """Statistics that move against each other in blocks: the rate of BY stays below nominal."""
    from scipy.special import ndtr

    rng = np.random.default_rng(19)
    common = rng.standard_normal((2000, 1))
    z = 0.9 * common * np.r_[np.ones(10), -np.ones(10)] + math.sqrt(1 - 0.81) * rng.standard_normal((2000, 20))
    assert np.mean([(adjusted(row, "by") <= 0.05).any() for row in ndtr(-z)]) <= 0.05


def test_a_pair_is_one_hypothesis() -> None:
    """Twice the smaller and the larger keep 5 % for dependent orders; the smaller alone does not."""
    from scipy.special import ndtr

    rng = np.random.default_rng(20)
    for rho in (0.0, 0.5, 0.95):
        a = rng.standard_normal(20_000)
        b = rho * a + math.sqrt(1.0 - rho * rho) * rng.standard_normal(20_000)
        p, q = ndtr(a), ndtr(b)
        noise = 3.0 * math.sqrt(0.05 * 0.95 / 20_000)
        assert np.mean(one_per_pair(p, q, "min2") <= 0.05) < 0.05 + noise
        assert np.mean(one_per_pair(p, q, "max") <= 0.05) < 0.05 + noise
        assert np.mean(np.minimum(p, q) <= 0.05) > 0.05 + noise
    assert one_per_pair([0.7, np.nan], [0.9, 0.1], "min2").tolist()[0] == 1.0
    assert one_per_pair([0.7, np.nan], [0.9, 0.1])[0] == 0.9
    assert math.isnan(one_per_pair([0.7, np.nan], [0.9, 0.1])[1])


def test_untested_members_still_count() -> None:
    """A family of 100 of which 15 were tested is corrected like 100 with 85 p-values of 1."""
    p = np.random.default_rng(21).random(15) ** 4
    full = np.r_[p, np.ones(85)]
    for method in ("bh", "by", "holm", "bonferroni", "hochberg"):
        assert np.allclose(adjusted(p, method, size=100), adjusted(full, method)[:15], rtol=1e-12)


def test_a_verdict_says_what_chance_gives() -> None:
    """Counts, NaN for what could not be tested, values below the floor raised to it."""
    found = judge(Family("gold", 45), [0.0, 0.0004, np.nan, 0.04, 0.5], floor=0.001)
    assert (found.tested, found.raw, found.at_floor) == (4, 3, 2)
    assert found.by_chance == pytest.approx(0.2)
    assert found.adjusted[:2].tolist() == pytest.approx([45 * 0.001 / 2] * 2)
    assert found.rejected.tolist() == [True, True, False, False, False]
    assert math.isnan(found.adjusted[2])


def test_groups_are_families_of_their_own() -> None:
    """Correction in each group alone."""
    p = np.array([0.01, 0.04, 0.03, 0.5])
    found = adjusted_by_group(p, ["a", "b", "a", "b"])
    assert np.allclose(found[[0, 2]], adjusted(p[[0, 2]])) and np.allclose(found[[1, 3]], adjusted(p[[1, 3]]))


def test_share_of_nulls_and_harmonic_sums() -> None:
    """Storey's share is near the truth on planted families; c of 15 is 3.318229; large n joins smoothly."""
    p = planted(np.random.default_rng(22), 1, 4000, 1000, 3.0)[0]
    assert null_share(p) == pytest.approx(0.75, abs=0.03)
    assert harmonic(15) == pytest.approx(3.318229, abs=5e-7)
    assert harmonic(100_000) == pytest.approx(np.sum(1.0 / np.arange(1, 100_001)), rel=1e-13)


def test_bad_families_are_refused() -> None:
    """More p-values than declared, p outside [0, 1], unknown methods, shapes."""
    with pytest.raises(ConfigError, match="declared with 2"):
        judge(Family("a", 2), [0.1, 0.2, 0.3])
    with pytest.raises(ConfigError, match="level"):
        judge(Family("a", 2, level=0.0), [0.1])
    with pytest.raises(ConfigError, match="did you mean 'holm'"):
        adjusted([0.1], "hlom")
    for bad in ([1.1], [-0.1], [math.nan]):
        with pytest.raises(DataError, match="got"):
            adjusted(bad)
    with pytest.raises(DataError, match="shape"):
        adjusted([[0.1]])
    with pytest.raises(DataError, match="equal shapes"):
        one_per_pair([0.1], [0.1, 0.2])
    with pytest.raises(DataError, match="one label"):
        adjusted_by_group([0.1], ["a", "b"])
    with pytest.raises(ConfigError, match="floor"):
        adjusted([0.1], floor=1.0)
    assert len(adjusted([])) == 0


# ---------------------------------------------------------------- ratios and records
def test_the_error_of_a_ratio_holds_under_skewness() -> None:
    """Standard error with skewness and kurtosis equals the spread of simulated ratios; without them it does not."""
    rng = np.random.default_rng(23)
    x = 0.3 - (rng.gamma(2.0, 1.0, (4000, 250)) - 2.0) / math.sqrt(2.0)  # skewness -1.41, kurtosis 6
    ratio = x.mean(axis=1) / x.std(axis=1, ddof=1)
    true = Moments(0.3, -math.sqrt(2.0), 6.0, 250)
    assert sharpe_error(true) == pytest.approx(ratio.std(), rel=0.05)
    assert sharpe_error(Moments(0.3, 0.0, 3.0, 250)) < 0.85 * ratio.std()


def test_deflating_undoes_the_choice_of_the_best() -> None:
    """The best of 100 worthless strategies: its plain probability is above 95 % nearly always, deflated in under 5 %.

    A real edge among them (a ratio of .2 a day on 1000 days) keeps it.
    """
    rng = np.random.default_rng(32)
    plain, deflated, edge = [], [], []
    for _ in range(200):
        x = rng.standard_normal((1000, 100))
        ratios = x.mean(axis=0) / x.std(axis=0, ddof=1)
        best = moments(x[:, int(np.argmax(ratios))])
        plain.append(probabilistic_sharpe(best) > 0.95)
        deflated.append(deflated_sharpe(best, tries=100, variance=float(ratios.var(ddof=1)))[0] > 0.95)
        good = moments(x[:, 0] + 0.2)
        edge.append(deflated_sharpe(good, tries=100, variance=float(ratios.var(ddof=1)))[0] > 0.95)
    assert np.mean(plain) > 0.9 and np.mean(deflated) < 0.05 and np.mean(edge) > 0.9


def test_expected_maxima() -> None:
    """Exact: 0, 1/sqrt(pi), 3/(2 sqrt(pi)) for 1, 2, 3 draws; the approximation is within 2 % from 20 on."""
    assert expected_max_exact(1) == pytest.approx(0.0, abs=1e-12)
    assert expected_max_exact(2) == pytest.approx(1.0 / math.sqrt(math.pi), abs=1e-10)
    assert expected_max_exact(3) == pytest.approx(1.5 / math.sqrt(math.pi), abs=1e-10)
    for n in (20, 1000, 10**6, 10**9):
        assert expected_max(n) == pytest.approx(expected_max_exact(n), rel=0.02)
    assert independent_tries(100, 0.0) == 100 and independent_tries(100, 1.0) == 1


def test_a_track_record_of_minimal_length_is_just_enough() -> None:
    """With MinTRL observations the probabilistic ratio is the level asked for."""
    n = min_track_record(0.1, 0.02, skewness=-1.0, kurtosis=7.0, level=0.9)
    spread = 1.0 + 0.1 + 1.5 * 0.01
    z = (0.1 - 0.02) * math.sqrt(n - 1.0) / math.sqrt(spread)
    assert 0.5 * math.erfc(-z / math.sqrt(2.0)) == pytest.approx(0.9)
    assert min_track_record(0.1, 0.1) == math.inf
    with pytest.raises(ConfigError, match="level"):
        min_track_record(0.1, level=0.3)
    with pytest.raises(ConfigError, match="> 0"):
        min_track_record(1.0, skewness=2.0)


def test_most_tries_inverts_the_backtest_length() -> None:
    """The largest number of tries that the years allow, and one more is too many."""
    for years in (0.5, 2.0, 5.0, 10.0):
        n = most_tries(years)
        assert (n == 1 or min_backtest_length(n) <= years) and min_backtest_length(n + 1) > years
    assert most_tries(5.0) == 45
    with pytest.raises(ConfigError, match="years"):
        most_tries(0.0)
    with pytest.raises(ConfigError, match="sharpe_annual"):
        min_backtest_length(10, 0.0)


def test_returns_that_follow_themselves_have_a_lower_annual_ratio() -> None:
    """AR(1) returns: the ratio of sums of 12 is the simulated one; the square root of 12 is too high."""
    rng = np.random.default_rng(24)
    x = np.empty(240_000)
    x[0] = 0.0
    shock = rng.standard_normal(len(x))
    for t in range(1, len(x)):
        x[t] = 0.3 * x[t - 1] + shock[t]
    x += 0.2
    months = x.reshape(-1, 12).sum(axis=1)
    scaled, naive = aggregated_sharpe(x, 12)
    assert scaled == pytest.approx(months.mean() / months.std(ddof=1), rel=0.02)
    assert naive > 1.25 * scaled
    assert aggregated_sharpe(x, 12, lags=0)[0] == pytest.approx(naive)
    assert math.isnan(aggregated_sharpe(np.ones(20), 12)[0])
    with pytest.raises(ConfigError, match="lags"):
        aggregated_sharpe(x[:10], 12)


# ---------------------------------------------------------------- overfitting
def plain_overfit(x: np.ndarray, blocks: int) -> tuple[list[float], list[int], list[float], list[float]]:
    """(logits, winners, their ratios inside and outside) by slicing the rows of each split, in the order of masks."""
    parts = np.array_split(np.arange(len(x)), blocks)
    chosen = sorted(itertools.combinations(range(blocks), blocks // 2), key=lambda c: sum(1 << b for b in c))
    logits, best, inner, outer = [], [], [], []
    for inside in chosen:
        rows = np.concatenate([parts[b] for b in inside])
        rest = np.concatenate([parts[b] for b in range(blocks) if b not in inside])
        a = x[rows].mean(axis=0) / x[rows].std(axis=0, ddof=1)
        b = x[rest].mean(axis=0) / x[rest].std(axis=0, ddof=1)
        top = int(np.argmax(a))
        share = (np.sum(b < b[top]) + 1) / (x.shape[1] + 1)
        logits.append(math.log(share / (1.0 - share)))
        best.append(top)
        inner.append(float(a[top]))
        outer.append(float(b[top]))
    return logits, best, inner, outer


def test_cscv_equals_the_plain_definition() -> None:
    """Each logit, each winner, at a high level of returns; rows that do not fill a block are dropped and said."""
    x = np.random.default_rng(25).standard_normal((123, 9))
    x[:, ::2] += 5.0
    found = backtest_overfit(x, blocks=6)
    logits, best, inner, outer = plain_overfit(x[3:], 6)
    assert found.splits == 20 and found.rows_dropped == 3
    assert np.allclose(found.logits, logits, atol=1e-12) and found.best.tolist() == best
    assert found.pbo == np.mean(np.array(logits) <= 0.0)
    assert np.allclose(found.inside, inner, rtol=1e-12) and np.allclose(found.outside, outer, rtol=1e-12)
    assert found.slope == pytest.approx(np.polyfit(inner, outer, 1)[0])
    weak = backtest_overfit(x[:, 1::2], blocks=6)
    assert 0.0 < weak.loss == np.mean(weak.outside < 0.0) < 1.0


def test_noise_is_overfit_and_an_edge_is_not() -> None:
    """30 matrices of noise: mean PBO near one half; one column with a daily ratio of .15: below .15."""
    noise, edge = [], []
    for seed in range(30):
        x = np.random.default_rng(seed).standard_normal((1000, 50))
        noise.append(backtest_overfit(x, blocks=10).pbo)
        x[:, 7] += 0.15
        edge.append(backtest_overfit(x, blocks=10).pbo)
    assert np.mean(noise) == pytest.approx(0.5, abs=0.1)
    assert np.mean(edge) < 0.15


def test_overfit_of_equal_and_constant_columns() -> None:
    """Copies share their rank (logit 0); a column that never moves has ratio 0 and is not the best by rounding."""
    one = np.random.default_rng(26).standard_normal((64, 1)) + 1.0
    assert np.all(backtest_overfit(np.hstack([one, one]), blocks=4).logits == 0.0)
    flat = np.full((64, 1), 0.1)
    assert set(backtest_overfit(np.hstack([flat, one]), blocks=4).best) == {1}


def test_bad_matrices_are_refused() -> None:
    """Odd or too many blocks, one column, too few rows, NaN with its place."""
    x = np.random.default_rng(27).standard_normal((64, 3))
    for blocks in (0, 5, 22):
        with pytest.raises(ConfigError, match="even number"):
            backtest_overfit(x, blocks=blocks)
    with pytest.raises(DataError, match="N >= 2"):
        backtest_overfit(x[:, :1])
    with pytest.raises(DataError, match="T >= 32"):
        backtest_overfit(x[:31])
    x[4, 2] = np.nan
    with pytest.raises(DataError, match="row 4, column 2"):
        backtest_overfit(x)


# ---------------------------------------------------------------- superior ability
def test_spa_size_and_power() -> None:
    """200 families of 10 useless models: 5 % and 10 % rejected (+- 5 points); a gain of .5 is found in 98 %."""
    rng = np.random.default_rng(28)
    null, strong = [], []
    for _ in range(200):
        base, losses = rng.standard_normal(200), rng.standard_normal((200, 10))
        null.append(superior_ability(base, losses, block=3, reps=199).p_consistent)
        losses[:, 4] -= 0.5
        strong.append(superior_ability(base, losses, block=3, reps=199))
    assert np.mean(np.array(null) <= 0.05) == pytest.approx(0.05, abs=0.05)
    assert np.mean(np.array(null) <= 0.10) == pytest.approx(0.10, abs=0.06)
    assert np.mean([s.p_consistent <= 0.05 for s in strong]) > 0.95
    assert np.mean([s.best == 4 for s in strong]) > 0.95


def test_poor_models_do_not_hide_a_good_one() -> None:
    """Forty hopeless and noisy models raise White's p; Hansen's consistent p stays."""
    rng = np.random.default_rng(29)
    base = rng.standard_normal(400)
    good = base - 0.12 + 0.9 * rng.standard_normal(400)
    poor = base[:, None] + 3.0 + 6.0 * rng.standard_normal((400, 40))
    found = superior_ability(base, np.column_stack([good, poor]), studentize=False, block=2)
    alone = superior_ability(base, good[:, None], studentize=False, block=2)
    assert found.p_upper > 0.5 and found.p_consistent == pytest.approx(alone.p_consistent, abs=0.02)
    assert found.p_consistent < 0.05


def test_inputs_are_losses() -> None:
    """Returns handed over as they are turn the test round: a model that earns looks useless."""
    rng = np.random.default_rng(30)
    earns = 0.3 + rng.standard_normal((300, 1))
    assert superior_ability(np.zeros(300), -earns).p_consistent == pytest.approx(1.0 / 1001.0)
    assert superior_ability(np.zeros(300), earns).p_consistent > 0.9


def test_stationary_bootstrap_has_geometric_blocks() -> None:
    """Rows follow each other with probability 1 - 1/block; every row is as likely; a seed says it all."""
    rows = stationary_indices(100, 2000, 5.0, seed=1)
    follows = np.mean((rows[:, 1:] - rows[:, :-1]) % 100 == 1)
    assert follows == pytest.approx(0.8 + 0.2 / 100.0, abs=0.005)
    assert np.bincount(rows.ravel(), minlength=100).std() / 2000 < 0.1
    assert np.array_equal(rows, stationary_indices(100, 2000, 5.0, seed=1))
    base, losses = np.arange(100.0) % 7, np.random.default_rng(2).standard_normal((100, 3))
    drawn = superior_ability(base, losses, block=5.0, reps=2000, seed=1)
    given = superior_ability(base, losses, block=5.0, indices=rows)
    assert (drawn.p_upper, drawn.p_consistent) == (given.p_upper, given.p_consistent)


def test_bad_losses_are_refused() -> None:
    """Shapes, NaN, blocks, foreign indices."""
    base, losses = np.zeros(50), np.random.default_rng(31).standard_normal((50, 2))
    with pytest.raises(DataError, match=r"shape \(n, k\)"):
        superior_ability(base, losses[:-1])
    with pytest.raises(DataError, match=r"shape \(n, k\)"):
        superior_ability(base, losses[:, 0])
    with pytest.raises(ConfigError, match="block"):
        superior_ability(base, losses, block=51.0)
    for bad, text in ((np.zeros((3, 49), np.int64), "integers of shape"), (np.full((3, 50), 50), "rows from 0")):
        with pytest.raises(DataError, match=text):
            superior_ability(base, losses, indices=bad)
    losses[3, 1] = np.inf
    with pytest.raises(DataError, match="row 3, model 1"):
        superior_ability(base, losses)


def test_names_of_the_room() -> None:
    """Every public name is there; a wrong one is refused with the list."""
    assert all(getattr(validation, name) is not None for name in validation.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'bonferoni'"):
        _ = validation.bonferoni
    assert moments(np.array([1.0, 2.0])).periods == 2
