"""What the cointegration tests refuse, how p-values print, and how nulls are kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.core.errors import ConfigError, DataError, OnePriceError
from oneprice.signals.cointegration.baskets import basket_moments, johansen_baskets
from oneprice.signals.cointegration.engle_granger import both_orders, engle_granger, engle_granger_null
from oneprice.signals.cointegration.gram import pairs_chosen, pairs_fixed, prepare
from oneprice.signals.cointegration.johansen import johansen
from oneprice.signals.cointegration.phillips_ouliaris import phillips_ouliaris
from oneprice.signals.unit_root import null as nulls
from oneprice.signals.unit_root.adf import adf
from oneprice.signals.unit_root.kpss import kpss
from oneprice.signals.unit_root.null import kept, null_of, p_text
from oneprice.signals.unit_root.surfaces import mackinnon_critical, mackinnon_p, surface

RNG = np.random.default_rng(11)
WALKS = np.cumsum(RNG.standard_normal((4, 120)), axis=1)
SINGLE: list[Callable[[np.ndarray], object]] = [
    lambda x: adf(x, null="surface"),
    lambda x: kpss(x, null="surface"),
]
PAIR: list[Callable[[np.ndarray, np.ndarray], object]] = [
    lambda y, x: engle_granger(y, x, null="surface"),
    lambda y, x: johansen(np.stack([y, x]), draws=19),
    lambda y, x: phillips_ouliaris(y, x, draws=19),
    lambda y, x: basket_moments(np.stack([y, x])),
]


def spoiled(kind: str) -> np.ndarray:
    """A walk with one fault."""
    x = WALKS[0].copy()
    if kind == "constant":
        x[:] = 7.0
    else:
        x[60] = {"NaN": math.nan, "infinite": math.inf}[kind]
    return x


@pytest.mark.parametrize("kind", ["NaN", "infinite", "constant"])
def test_bad_series_are_refused(kind: str) -> None:
    """Gaps, infinities and constants are refused by each test, on either side, with the row or the value."""
    words = "constant at 7" if kind == "constant" else "row 60"
    for one in SINGLE:
        with pytest.raises(DataError, match=words):
            one(spoiled(kind))
    for two in PAIR:
        for series in ((spoiled(kind), WALKS[1]), (WALKS[1], spoiled(kind))):
            with pytest.raises(DataError, match=words):
                two(*series)
    with pytest.raises(DataError, match="series 1"):
        prepare(np.stack([WALKS[1], spoiled(kind)]), 1)


def test_duplicates_and_shapes_are_refused() -> None:
    """A series tested against itself, unequal lengths, one series, more series than rows, too few rows."""
    for two in PAIR:
        with pytest.raises(DataError, match="the same as"):
            two(WALKS[0], WALKS[0].copy())
    for test in (engle_granger, phillips_ouliaris):
        with pytest.raises(DataError, match="y alone"):
            test(WALKS[0])
        with pytest.raises(DataError, match="one length"):
            test(WALKS[0], WALKS[1][:-1])
    with pytest.raises(DataError, match="at least 2 series"):
        johansen(WALKS[:1])
    with pytest.raises(DataError, match="transpose"):
        johansen(WALKS.T)
    with pytest.raises(DataError, match="at least 8 observations"):
        engle_granger(WALKS[0][:6], WALKS[1][:6])
    with pytest.raises(DataError, match="longer history"):
        adf(WALKS[0][:20], lags=15)
    with pytest.raises(DataError, match="rows, got 20"):
        johansen(WALKS[:, :20], lags=3)
    with pytest.raises(DataError, match="fewer than the 120"):
        kpss(WALKS[0], lags=120)


def test_exact_combinations_are_refused() -> None:
    """Levels of which one is the sum of two others: Johansen names it; Phillips-Ouliaris and Engle-Granger say so."""
    x = np.stack([WALKS[0], WALKS[1], WALKS[0] + WALKS[1]])
    with pytest.raises(DataError, match="exact combination"):
        johansen(x, draws=19)
    with pytest.raises(DataError, match="collinear"):
        phillips_ouliaris(x[2], x[0], x[1], draws=19)
    r = engle_granger(x[2], x[0], x[1], null="surface")
    assert r.stat == -math.inf and r.p == 0.0 and math.isnan(r.dynamic_se[0])
    trace, largest, _ = johansen_baskets(basket_moments(x), [(0, 1, 2)])
    assert np.isnan(trace).all() and np.isnan(largest).all()


@pytest.mark.parametrize("shrinkage", [0.002, 0.05])
@pytest.mark.parametrize("det", ["n", "rc", "c", "ct"])
def test_shrinkage_does_not_let_exact_combinations_through(shrinkage: float, det: str) -> None:
    """A sum, a multiple and a copy but for the eighth digit: a DataError that names the series, not a failed factor."""
    a, b = WALKS[:2]
    for x, at in (
        (np.stack([a, b, a + b]), 2),
        (np.stack([b, a, 3.0 - 2.0 * a]), 2),
        (np.stack([a, a + 1e-8 * b]), 1),
        (np.stack([a, a + 0.1 * np.arange(len(a)), b]), 1),
    ):
        with pytest.raises(DataError, match=f"of series {at} are an exact combination"):
            johansen(x, det=det, shrinkage=shrinkage, draws=19)
    assert johansen(np.stack([a, b]), det=det, shrinkage=shrinkage, draws=19).trace[0] > 0.0


@pytest.mark.parametrize("shrinkage", [0.0, 0.05])
def test_straight_lines_are_refused(shrinkage: float) -> None:
    """A series that takes the same step each time has no differences left to test, exact or in binary digits."""
    for step in (1.0, 0.1):
        with pytest.raises(DataError, match="series 1 is a straight line"):
            johansen(np.stack([WALKS[0], 3.0 + step * np.arange(WALKS.shape[1])]), shrinkage=shrinkage, draws=19)


def test_misspelt_settings_are_refused() -> None:
    """Unknown names list the known ones."""
    y, x = WALKS[:2]
    wrong: list[tuple[Callable[[], object], str]] = [
        (lambda: adf(y, trend="constant"), "trend"),
        (lambda: adf(y, lags="hqic"), "rule for lags"),
        (lambda: adf(y, null="table"), "null"),
        (lambda: adf(y, lags=-1), "lags"),
        (lambda: kpss(y, trend="n"), "trend"),
        (lambda: kpss(y, lags="legacy"), "rule for lags"),
        (lambda: kpss(y, lags=-2), "lags"),
        (lambda: kpss(y, null="x"), "null"),
        (lambda: engle_granger(y, x, trend="ctt"), "trend"),
        (lambda: engle_granger(y, x, null="x"), "null"),
        (lambda: johansen(WALKS, det="constant"), "deterministic"),
        (lambda: johansen(WALKS, lags=-1), "lags"),
        (lambda: johansen(WALKS, shrinkage=1.0), "shrinkage"),
        (lambda: johansen(np.cumsum(RNG.standard_normal((13, 200)), axis=1)), "at most 12"),
        (lambda: phillips_ouliaris(y, x, bandwidth=-1.0), "bandwidth"),
        (lambda: surface("c", 7), "n_series"),
        (lambda: mackinnon_critical(n_series=13), "n_series"),
    ]
    for call, words in wrong:
        with pytest.raises(ConfigError, match=words):
            call()


def test_blocks_that_do_not_belong_together() -> None:
    """Moments of other lags, rules or lengths, and outputs of the wrong shape or type."""
    a, b = prepare(WALKS, 1), prepare(WALKS, 2)
    chosen = prepare(WALKS, "aic")
    out, beta, lags = np.zeros((4, 4)), np.zeros((4, 4)), np.zeros((4, 4), np.int64)
    for call, words in (
        (lambda: pairs_fixed(a, b, out, beta), "the same"),
        (lambda: pairs_fixed(a, prepare(WALKS[:, :100], 1), out, beta), "the same"),
        (lambda: pairs_fixed(chosen, chosen, out, beta), "pairs_fixed takes"),
        (lambda: pairs_chosen(a, a, out, beta, lags), "pairs_chosen"),
        (lambda: pairs_fixed(a, a, out[:2], beta), "stat"),
        (lambda: pairs_fixed(a, a, out, beta.astype(np.float32)), "beta"),
        (lambda: pairs_chosen(chosen, chosen, out, beta, lags.astype(np.int32)), "lags"),
        (lambda: johansen_baskets(basket_moments(WALKS), [(0, 4)]), "baskets"),
        (lambda: johansen_baskets(basket_moments(WALKS), [(0, 1), (2, 2)]), "row 1 names a series twice"),
    ):
        with pytest.raises(ConfigError, match=words):
            call()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([0.0, 1.0, -1.0, 1e9, 1e-9, math.nan, math.inf]), min_size=0, max_size=40))
def test_arbitrary_input_gives_a_number_or_a_refusal(values: list[float]) -> None:
    """Whatever comes: a finite statistic or -inf, or an error of ours."""
    x = np.array(values)
    for call in (lambda: adf(x, lags=1, null="surface"), lambda: engle_granger(x, WALKS[0][: len(x)], null="surface")):
        try:
            r = call()
        except OnePriceError:
            continue
        assert not math.isinf(r.stat) or r.stat < 0
        assert math.isnan(r.stat) or 0.0 <= r.p <= 1.0


def test_both_orders_and_units() -> None:
    """Two orders are two calls; a change of unit changes the slope and not the statistic."""
    y, x = 5.0 + WALKS[0], 9.0 + WALKS[1]
    one, other = both_orders(y, x, null="surface")
    assert other.stat == engle_granger(x, y, null="surface").stat != one.stat
    scaled = engle_granger(100.0 * y, 0.1 * x + 4.0, null="surface")
    assert scaled.stat == pytest.approx(one.stat, abs=1e-10)
    assert scaled.hedge[0] == pytest.approx(1000.0 * one.hedge[0], rel=1e-9)
    plain, odd = johansen(WALKS, draws=19), johansen(WALKS * [[1e-7], [1.0], [1e7], [3.0]], draws=19)
    assert odd.trace == pytest.approx(plain.trace, rel=1e-8)
    trace, _, _ = johansen_baskets(basket_moments(WALKS * [[1e-7], [1.0], [1e7], [3.0]]), [(0, 1, 2, 3)])
    assert trace[0] == pytest.approx(plain.trace, rel=1e-8)


def test_seasons_leave_a_pattern_out() -> None:
    """A seasonal pattern added to the series changes nothing when dummies of its period are in, and much without."""
    x = WALKS[:2]
    pattern = np.array([[1.0], [-2.0]]) * np.tile([3.0, -1.0, 0.5, 4.0], 30)
    plain = johansen(x, seasons=4, draws=19)
    assert johansen(x + pattern, seasons=4, draws=19).trace == pytest.approx(plain.trace, rel=1e-8)
    assert abs(johansen(x + pattern, draws=19).trace[0] / plain.trace[0] - 1.0) > 0.5


# ---------------------------------------------------------------- nulls
def test_p_counts_draws_and_never_is_zero() -> None:
    """p = (1 + draws at least as extreme) / (n + 1), both tails, ties counted; below the floor prints "< floor"."""
    draws = RNG.standard_normal(999)
    for upper in (False, True):
        law = null_of("test", draws, upper=upper)
        stats = np.concatenate([draws[:50], RNG.standard_normal(200) * 2, [-50.0, 50.0, math.inf, -math.inf]])
        plain = [(1 + np.sum(draws >= s if upper else draws <= s)) / 1000 for s in stats]
        assert law.p(stats) == pytest.approx(plain, abs=1e-15)
        assert law.p(stats.reshape(2, -1)).shape == (2, len(stats) // 2)
        assert isinstance(law.p(0.3), float) and math.isnan(law.p(math.nan))
        extreme = 99.0 if upper else -99.0
        assert law.p(extreme) == law.floor == 0.001
        assert p_text(law.p(extreme), law.floor) == "< 0.001"
        assert law.p(law.critical(0.05)) == pytest.approx(0.05, abs=0.002)
        for level in (0.0, 0.013, 0.5, 1.0):
            assert law.critical(level) == pytest.approx(np.quantile(draws, 1.0 - level if upper else level), abs=1e-12)
    assert p_text(0.25, 0.001) == "0.25" and p_text(math.nan, 0.001) == "-"


def test_results_print_the_floor() -> None:
    """A pair far beyond every draw reads "< floor"."""
    y = WALKS[0] + 0.01 * RNG.standard_normal(120)
    r = engle_granger(y, WALKS[0], draws=199)
    assert (r.p, r.floor, r.p_text) == (0.005, 0.005, "< 0.005")
    assert adf(RNG.standard_normal(120), lags=0, draws=199).p_text == "< 0.005"


def test_surface_limits() -> None:
    """Outside its range the surface says 0 or 1; NaN stays NaN."""
    assert mackinnon_p(-30.0) == 0.0 and mackinnon_p(5.0) == 1.0 and math.isnan(mackinnon_p(math.nan))
    assert mackinnon_p(-math.inf, n_series=2) == 0.0


def test_nulls_are_kept_and_torn_files_drawn_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn once a key, read back equal, other keys apart; a torn file is drawn again, no half file is left."""
    monkeypatch.setattr(nulls, "null_folder", lambda: tmp_path / "nulls")
    calls = []

    def draw() -> np.ndarray:
        calls.append(1)
        return np.arange(5.0)

    first = kept("law|T=10", draw)
    assert (kept("law|T=10", draw) == first).all() and len(calls) == 1
    kept("law|T=11", draw)
    files = sorted((tmp_path / "nulls").iterdir())
    assert len(calls) == 2 and len(files) == 2 and all(f.suffix == ".npy" for f in files)
    for f in files:
        f.write_bytes(f.read_bytes()[:40])
    assert (kept("law|T=10", draw) == first).all() and len(calls) == 3


def test_nulls_follow_from_their_seed() -> None:
    """The same settings give the same draws; another seed gives others."""
    draw = engle_granger_null.__wrapped__
    a, b = draw(50, lags=1, draws=99), draw(50, lags=1, draws=99)
    assert (a.draws == b.draws).all()
    assert not (a.draws == draw(50, lags=1, draws=99, seed=1).draws).any()
