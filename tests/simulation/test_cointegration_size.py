"""What the tests do on worlds whose truth is known: size on walks, power on planted relations, nulls against tables."""

from __future__ import annotations

import math

import numpy as np
import pytest

from oneprice.signals.cointegration.engle_granger import engle_granger, engle_granger_null, wild_null
from oneprice.signals.cointegration.johansen import johansen, johansen_null
from oneprice.signals.cointegration.johansen_tables import LARGEST, TRACE
from oneprice.signals.cointegration.kernels import null_tests, residual_tests
from oneprice.signals.cointegration.phillips_ouliaris import phillips_ouliaris_null, statistics_rows
from oneprice.signals.unit_root.inputs import AIC, FIXED, TRENDS, most_lags
from oneprice.signals.unit_root.kernels import adf_rows, kpss_rows
from oneprice.signals.unit_root.null import adf_null, kpss_null, simulate
from oneprice.signals.unit_root.surfaces import mackinnon_p

WALKS, OTHER_SEED = 20_000, 90_210


def null_walks(n_obs: int, n_series: int, lags: int, criterion: int, trend: str = "c") -> np.ndarray:
    """Statistics of WALKS relations of walks that no null was drawn from."""

    def fill(walks: np.ndarray, out: np.ndarray) -> None:
        residual_tests(walks, (lags, TRENDS[trend], criterion), out, np.empty(len(out), np.int64))

    return simulate(fill, n_obs, n_series, WALKS, OTHER_SEED)


@pytest.mark.parametrize(
    ("n_obs", "n_series", "rule", "trend"),
    [(100, 2, 1, "c"), (250, 2, 1, "c"), (100, 2, "aic", "c"), (120, 3, 2, "ct")],
)
def test_engle_granger_size(n_obs: int, n_series: int, rule: int | str, trend: str) -> None:
    """On 20,000 null walks simulated p-values reject 4.5 to 5.5 % at 5 %, for fixed lags and for AIC."""
    lags = most_lags(n_obs, 0) if rule == "aic" else int(rule)
    criterion = AIC if rule == "aic" else FIXED
    stats = null_walks(n_obs, n_series, lags, criterion, trend)
    law = engle_granger_null(n_obs, lags=lags, criterion=criterion, n_series=n_series, trend=trend)
    p = law.p(stats)
    assert 0.045 < np.mean(p < 0.05) < 0.055
    assert 0.0075 < np.mean(p < 0.01) < 0.0125
    assert abs(np.mean(p) - 0.5) < 0.01


def test_the_surface_is_wrong_in_short_samples() -> None:
    """At T = 100 MacKinnon's p rejects 5.8 % at 5 % without lags, 7.5 % with AIC; its far tail is 2.5 times too thin.

    200,000 draws gave P(t < -5) = 4.1e-4 against its 1.6e-4.
    """
    plain = simulate(lambda w, out: null_tests(w, (0, 1, FIXED), out), 100, 2, 100_000, OTHER_SEED)
    assert 0.055 < np.mean(mackinnon_p(plain, n_series=2) < 0.05) < 0.061
    assert 1.5 < np.mean(plain < -5.0) / mackinnon_p(-5.0, n_series=2) < 4.0
    chosen = engle_granger_null(100, lags=most_lags(100, 0), criterion=AIC)
    assert 0.068 < np.mean(mackinnon_p(chosen.draws, n_series=2) < 0.05) < 0.082


def test_beyond_the_longest_nothing_moves() -> None:
    """The null of 2,000 observations serves longer ones: 5 % points at T = 4,000 differ by simulation error alone."""
    longer = simulate(lambda w, out: null_tests(w, (1, 1, FIXED), out), 4_000, 2, 4_000, OTHER_SEED)
    error = math.sqrt(0.05 * 0.95 / len(longer)) / 0.11  # of the 5 % point: the density there is 0.11
    assert abs(float(np.quantile(longer, 0.05)) - engle_granger_null(2_000, lags=1).critical(0.05)) < 3.0 * error
    assert engle_granger_null(3_000, lags=1, draws=199).name == engle_granger_null(2_000, lags=1, draws=199).name


@pytest.mark.parametrize("calm", ["first", "last"])
def test_wild_null_keeps_size_when_volatility_changes(calm: str) -> None:
    """Volatility five times higher in one half: the simulated null rejects over 8 % at 5 %, the wild one 2.5 to 7.5."""
    rng, n = np.random.default_rng(5), 250
    sd = np.where((np.arange(n) < n // 2) == (calm == "first"), 1.0, 5.0)
    systems = np.cumsum(rng.standard_normal((400, 2, n)) * sd, axis=2)
    stats, rule = np.empty(400), (1, 1, FIXED)
    null_tests(systems, rule, stats)
    wild = [wild_null(x, rule, 199, seed=i).p(t) for i, (x, t) in enumerate(zip(systems, stats, strict=True))]
    assert np.mean(engle_granger_null(n, lags=1).p(stats) <= 0.05) > 0.08
    assert 0.025 <= np.mean(np.array(wild) <= 0.05) <= 0.075
    r = engle_granger(systems[0, 0], systems[0, 1], null="wild", draws=199)
    assert r.null == "wild" and r.floor == 0.005 and r.p == wild[0]


def test_adf_and_kpss_size() -> None:
    """ADF on walks (AIC, trend) and KPSS on noise reject 4.5 to 5.5 % with their simulated nulls."""

    def adf_fill(walks: np.ndarray, out: np.ndarray) -> None:
        adf_rows(walks[:, 0].copy(), (6, 2, AIC), out, np.empty(len(out), np.int64))

    def kpss_fill(walks: np.ndarray, out: np.ndarray) -> None:
        kpss_rows(np.diff(walks[:, 0], axis=1, prepend=0.0), 1, -1, out, np.empty(len(out), np.int64))

    stats = simulate(adf_fill, 80, 1, WALKS, OTHER_SEED)
    assert 0.045 < np.mean(adf_null(80, lags=6, criterion=AIC, trend="ct").p(stats) < 0.05) < 0.055
    stats = simulate(kpss_fill, 80, 1, WALKS, OTHER_SEED)
    assert 0.045 < np.mean(kpss_null(80).p(stats) < 0.05) < 0.055


def test_phillips_ouliaris_size() -> None:
    """Each of the four rejects 4 to 6 % of 5,000 walks with its simulated null."""

    def fill(walks: np.ndarray, out: np.ndarray) -> None:
        statistics_rows(walks, 1, -1.0, out)

    stats = simulate(fill, 120, 2, 5_000, OTHER_SEED, width=6)
    for i, law in enumerate(phillips_ouliaris_null(120, 2)):
        assert 0.04 < np.mean(law.p(stats[:, i]) < 0.05) < 0.06


def test_johansen_nulls_meet_the_tables() -> None:
    """Without a constant simulated 5 and 10 % points lie within 3 % of MacKinnon, Haug and Michelis.

    With an unrestricted constant the table assumes drift: walks that drift meet it within 4 %, driftless ones give
    8.1 where it says 3.84.
    """
    for trends in (1, 2, 3):
        for law, table in zip(johansen_null(600, trends, det="n", draws=9_999), (TRACE, LARGEST), strict=True):
            assert law.critical(0.05) == pytest.approx(table["n"][trends - 1, 1], rel=0.03)
            assert law.critical(0.10) == pytest.approx(table["n"][trends - 1, 2], rel=0.03)
    for trends in (1, 2, 3):
        drifting = johansen_null(600, trends, det="c", drift=1.0, draws=9_999)[0]
        assert drifting.critical(0.05) == pytest.approx(TRACE["c"][trends - 1, 1], rel=0.04)
    driftless = johansen_null(600, 1, det="c", draws=9_999)[0]
    assert driftless.critical(0.05) == pytest.approx(8.1, rel=0.04)


def test_johansen_size_and_rank() -> None:
    """Three walks: "no relation" is rejected 3 to 7 % of 1,000 times at 5 %. Two relations among three: rank two."""
    rng = np.random.default_rng(17)
    rejected = 0
    for _ in range(1_000):
        walks = np.cumsum(rng.standard_normal((3, 150)), axis=1)
        rejected += johansen(walks, draws=4_999).trace_p[0] < 0.05
    assert 30 <= rejected <= 70
    common = np.cumsum(rng.standard_normal(400))
    tied = johansen(np.stack([common + rng.standard_normal(400) for _ in range(3)]), draws=4_999)
    assert tied.trace_p[0] == tied.trace_p[1] == tied.floor and tied.trace_p[2] > 0.05


def planted(rng: np.random.Generator, n: int, phi: float, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """y = 3 + beta x + u with u AR(1) of root phi."""
    x, shocks, u = np.cumsum(rng.standard_normal(n)), rng.standard_normal(n), np.zeros(n)
    for t in range(1, n):
        u[t] = phi * u[t - 1] + shocks[t]
    return 3.0 + beta * x + u, x


def test_planted_pair_is_found_and_its_hedge_covered() -> None:
    """At half-life 7 and T = 500 the test finds most pairs; the 95 % interval of the dynamic slope covers 88-99 %.

    The least-squares error covers far less: it ignores how slowly the spread moves.
    """
    rng = np.random.default_rng(3)
    found = covered = naive = 0
    for _ in range(200):
        y, x = planted(rng, 500, 0.9, 1.7)
        r = engle_granger(y, x, null="surface")
        found += r.p < 0.05
        covered += abs(r.dynamic[0] - 1.7) < 1.96 * r.dynamic_se[0]
        naive += abs(r.hedge[0] - 1.7) < 1.96 * r.hedge_se[0]
    assert found > 190
    assert 0.85 * 200 <= covered <= 0.99 * 200, covered
    assert naive < 0.7 * 200


def test_half_life_of_the_first_relation() -> None:
    """A planted root of 0.9 has a half-life of 6.6 steps."""
    y, x = planted(np.random.default_rng(9), 4_000, 0.9, 2.0)
    r = johansen(np.stack([y, x]), draws=199)
    assert r.half_life_steps == pytest.approx(math.log(0.5) / math.log(0.9), rel=0.15)
    assert r.beta[1] == pytest.approx(-2.0, abs=0.05)
    assert r.loadings[0, 0] * r.vectors[0, 0] < 0.0


def test_shrinkage_keeps_size_in_short_wide_systems() -> None:
    """Eight series and 60 rows: shrunk towards the diagonal, p on independent walks rejects at most 10 % at 5 %."""
    rng = np.random.default_rng(21)
    p = [
        johansen(np.cumsum(rng.standard_normal((8, 60)), axis=1), shrinkage=0.3, draws=299).trace_p for _ in range(100)
    ]
    assert 1 <= sum(one[0] < 0.05 for one in p) <= 10
    assert all(math.isnan(v) for v in p[0][1:])
