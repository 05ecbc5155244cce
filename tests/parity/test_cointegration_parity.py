"""Cointegration tests against statsmodels and arch, and our fast kernels against our plain ones."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.core.errors import DataError
from oneprice.signals.cointegration.baskets import basket_moments, johansen_baskets
from oneprice.signals.cointegration.engle_granger import engle_granger
from oneprice.signals.cointegration.gram import NEAR_ROOM, pairs_chosen, pairs_fixed, pairs_within, prepare
from oneprice.signals.cointegration.johansen import johansen, reduced_rank, residuals
from oneprice.signals.cointegration.kernels import pair_tests
from oneprice.signals.cointegration.phillips_ouliaris import phillips_ouliaris
from oneprice.signals.unit_root.inputs import TRENDS

ORDERS = {"n": -1, "c": 0, "ct": 1}


def block_of(seed: int, n: int, length: int) -> np.ndarray:
    """Walks, a cointegrated one, and pairs ever nearer to collinear: noise of 1e-1 ... 1e-5 of a step."""
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.standard_normal((n, length)), axis=1) + 50.0
    for i, noise in zip(range(1, n), (1.0, 1e-1, 1e-2, 3e-3, 1e-3, 1e-5), strict=False):
        x[i] = (0.5 + i) * x[0] + noise * rng.standard_normal(length)
    return x


def coint(y: np.ndarray, x: np.ndarray, trend: str, lags: int | str) -> Any:
    from statsmodels.tsa.stattools import coint as oracle

    how = {"autolag": lags} if isinstance(lags, str) else {"maxlag": lags, "autolag": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CollinearityWarning
        return oracle(y, x, trend=trend, **how)


def close(a: float, b: float) -> bool:
    """Equal within 1e-8 of their size, or both -inf."""
    return a == b or abs(a - b) <= 1e-8 * max(1.0, abs(b))


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    length=st.integers(40, 400),
    trend=st.sampled_from(["n", "c", "ct"]),
    lags=st.sampled_from([0, 1, 3, "aic", "bic"]),
)
def test_pairs_equal_statsmodels(seed: int, length: int, trend: str, lags: int | str) -> None:
    """Every ordered pair, direct and from moments, near-collinear ones by the rule: statistic, slope, p, -inf."""
    x = block_of(seed, 7, length)
    m = prepare(x, lags, trend=trend)
    stat, beta, used = np.empty((7, 7)), np.empty((7, 7)), np.zeros((7, 7), np.int64)
    if isinstance(lags, str):
        pairs_chosen(m, m, stat, beta, used)
    else:
        pairs_fixed(m, m, stat, beta)
    assert (np.diag(stat) == -np.inf).all()
    for i in range(7):
        for j in range(7):
            if i == j:
                continue
            theirs = coint(x[i], x[j], trend, lags)
            ours = engle_granger(x[i], x[j], trend=trend, lags=lags, null="surface")
            assert close(ours.stat, theirs[0]), (i, j, ours.stat, theirs[0])
            assert close(stat[i, j], theirs[0]), (i, j, stat[i, j], theirs[0])
            assert ours.p == pytest.approx(theirs[1], abs=1e-8)
            assert beta[i, j] == pytest.approx(ours.hedge[0], rel=1e-8)
            if isinstance(lags, str) and np.isfinite(stat[i, j]):
                assert used[i, j] == ours.lags


def awkward(seed: int) -> tuple[np.ndarray, str]:
    """Series of wildly different scales, far levels, trends, sums of sums, and multiples of one with a little noise."""
    rng = np.random.default_rng(seed)
    length = int(rng.integers(40, 800))
    x = np.cumsum(rng.standard_normal((12, length)), axis=1) * 10.0 ** rng.integers(-3, 3, (12, 1))
    step = np.std(np.diff(x[0]))
    for i in range(1, 7):
        x[i] = x[0] * rng.normal() + 10.0 ** rng.uniform(-6, 0) * step * rng.standard_normal(length)
    if rng.random() < 0.5:
        x += 10.0 ** rng.integers(0, 5) * np.abs(x).max()
    if rng.random() < 0.5:
        x += np.arange(length) * rng.standard_normal((12, 1)) * np.std(np.diff(x, axis=1))
    if rng.random() < 0.3:
        x = np.cumsum(x, axis=1)
    return x, ("n", "c", "ct")[int(rng.integers(0, 3))]


@pytest.mark.parametrize("lags", [1, 4, "aic"])
def test_moments_keep_their_digits(lags: int | str) -> None:
    """On 60 awkward worlds every pair from moments equals the direct kernel within 1e-8, with the same lags.

    Some have differences that are nearly collinear though their levels are not.
    """
    pairs = np.array([(i, j) for i in range(5) for j in range(7)])
    for seed in range(60):
        x, trend = awkward(seed)
        a, b = prepare(x[:5], lags, trend=trend), prepare(x[5:], lags, trend=trend)
        stat, beta, used = np.empty((5, 7)), np.empty((5, 7)), np.zeros((5, 7), np.int64)
        if lags == "aic":
            pairs_chosen(a, b, stat, beta, used)
        else:
            pairs_fixed(a, b, stat, beta)
        plain, other = np.empty((5, 7)), np.zeros((5, 7), np.int64)
        pair_tests(x[:5], x[5:], pairs, (a.lags, TRENDS[trend], a.criterion), plain, other)
        assert lags != "aic" or (used == other).all(), seed
        assert all(close(s, t) for s, t in zip(stat.ravel(), plain.ravel(), strict=True)), seed


@pytest.mark.parametrize("lags", [1, "aic"])
def test_more_near_pairs_than_room(lags: int | str) -> None:
    """A block of 40 near copies leaves more pairs to the direct kernel than are listed at first: all are done."""
    rng = np.random.default_rng(5)
    x = np.cumsum(rng.standard_normal(120)) + 2e-3 * rng.standard_normal((40, 120))
    m = prepare(x, lags)
    stat, beta, used = np.empty((40, 40)), np.empty((40, 40)), np.zeros((40, 40), np.int64)
    if lags == "aic":
        pairs_chosen(m, m, stat, beta, used)
    else:
        pairs_fixed(m, m, stat, beta)
    pairs = np.argwhere(~np.eye(40, dtype=bool))
    assert len(pairs) > NEAR_ROOM
    plain, other = np.full((40, 40), -np.inf), np.zeros((40, 40), np.int64)
    pair_tests(x, x, pairs, (m.lags, TRENDS["c"], m.criterion), plain, other)
    np.testing.assert_allclose(stat, plain, rtol=1e-8)
    assert lags != "aic" or (used == other).all()


@pytest.mark.parametrize("det", ["n", "rc", "c", "ct"])
def test_basket_moments_keep_their_digits(det: str) -> None:
    """On 40 awkward worlds baskets from moments equal the direct path within 1e-8 of their size.

    Left out: series whose steps vary by less than 1e-6 of their level. Of a straight line to ten digits detrending
    itself leaves only six, whichever way one goes on.
    """
    baskets = np.array([(0, 1), (0, 7), (1, 2), (8, 9), (3, 10)])
    tested = 0
    for seed in range(40):
        x = awkward(seed)[0]
        trace, _, _ = johansen_baskets(basket_moments(x, det=det), baskets)
        rough = np.std(np.diff(x, axis=1), axis=1) > 1e-6 * np.abs(x).max(axis=1)
        for k, basket in enumerate(baskets):
            if not rough[basket].all():
                continue
            tested += 1
            try:
                values, _, _ = reduced_rank(*residuals(x[basket], 1, det, 0), 0.0)
            except DataError:
                assert np.isnan(trace[k]).all()
                continue
            plain = np.cumsum((-(x.shape[1] - 2) * np.log1p(-values[:2]))[::-1])[::-1]
            assert trace[k] == pytest.approx(plain, rel=1e-8, abs=1e-8), (seed, basket)
    assert tested > 100


def test_blocks_of_different_series() -> None:
    """A block against another, of sizes that are no multiple of the lanes, equals pair by pair."""
    rng = np.random.default_rng(5)
    a, b = np.cumsum(rng.standard_normal((5, 150)), axis=1), np.cumsum(rng.standard_normal((37, 150)), axis=1)
    for lags in (2, "aic"):
        ma, mb = prepare(a, lags), prepare(b, lags)
        stat, beta, used = np.empty((5, 37)), np.empty((5, 37)), np.empty((5, 37), np.int64)
        if lags == "aic":
            pairs_chosen(ma, mb, stat, beta, used)
        else:
            pairs_fixed(ma, mb, stat, beta)
        for i, j in ((0, 0), (4, 31), (2, 32), (4, 36)):
            direct = engle_granger(a[i], b[j], lags=lags, null="surface")
            assert stat[i, j] == pytest.approx(direct.stat, abs=1e-10)
            assert beta[i, j] == pytest.approx(direct.hedge[0], rel=1e-10)


@pytest.mark.parametrize("lags", [1, "aic"])
def test_pairs_once_are_the_upper_half_of_the_square(lags: int | str) -> None:
    """`pairs_within` gives what the full square has above the diagonal, NaN elsewhere."""
    x = np.cumsum(np.random.default_rng(6).standard_normal((117, 90)), axis=1)
    m = prepare(x, lags)
    shape = (117, 117)
    square = (np.empty(shape), np.empty(shape), np.zeros(shape, np.int64))
    half = (np.empty(shape), np.empty(shape), np.zeros(shape, np.int64))
    if lags == "aic":
        pairs_chosen(m, m, *square)
    else:
        pairs_fixed(m, m, *square[:2])
    pairs_within(m, *half)
    above = np.triu_indices(117, 1)
    for a, b in zip(square, half, strict=True):
        assert b[above] == pytest.approx(a[above], rel=1e-9)
    assert np.isnan(half[0][np.tril_indices(117)]).all() and np.isnan(half[1][np.tril_indices(117)]).all()


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(3, 5), trend=st.sampled_from(["n", "c", "ct"]))
def test_several_regressors_equal_statsmodels(seed: int, n: int, trend: str) -> None:
    """Two to four regressors: statistic and p of the surface for N series."""
    x = np.cumsum(np.random.default_rng(seed).standard_normal((n, 200)), axis=1)
    theirs = coint(x[0], x[1:].T, trend, 2)
    ours = engle_granger(x[0], *x[1:], trend=trend, lags=2, null="surface")
    assert ours.stat == pytest.approx(theirs[0], abs=1e-8)
    assert ours.p == pytest.approx(theirs[1], abs=1e-8)


@pytest.mark.parametrize(("trend", "n"), [("c", 2), ("ct", 2), ("c", 3)])
def test_slopes_do_not_depend_on_level_and_units(trend: str, n: int) -> None:
    """Prices of 1e9 that move by tens, or in units of 1e-40 and 1e40: the same slopes, errors and residuals."""
    walks = np.cumsum(np.random.default_rng(5).normal(size=(n, 400)), axis=1)
    plain = engle_granger(*walks, trend=trend, null="surface")
    high = engle_granger(*(walks + 1e9), trend=trend, null="surface")
    units = np.array([1e-40, 1e40, 1e20][:n])
    scaled = engle_granger(*(walks * units[:, None]), trend=trend, null="surface")
    ratio = units[0] / units[1:]
    for name in ("hedge", "hedge_se", "dynamic", "dynamic_se"):
        expected = np.array(getattr(plain, name))
        np.testing.assert_allclose(getattr(high, name), expected, rtol=1e-5)
        np.testing.assert_allclose(np.array(getattr(scaled, name)) / ratio, expected, rtol=1e-9)
    assert high.r_squared == pytest.approx(plain.r_squared, rel=1e-6)
    assert high.constant - plain.constant == pytest.approx(1e9 * (1 - sum(plain.hedge)), rel=1e-6)


def test_slopes_and_errors_equal_statsmodels() -> None:
    """Least-squares slopes, standard errors, constant and R^2."""
    from statsmodels.api import OLS, add_constant

    x = np.cumsum(np.random.default_rng(3).standard_normal((3, 300)), axis=1)
    fit = OLS(x[0], add_constant(x[1:].T, prepend=False)).fit()
    ours = engle_granger(x[0], x[1], x[2], null="surface")
    assert ours.hedge == pytest.approx(fit.params[:2], rel=1e-10)
    assert ours.hedge_se == pytest.approx(fit.bse[:2], rel=1e-10)
    assert (ours.constant, ours.r_squared) == (pytest.approx(fit.params[2]), pytest.approx(fit.rsquared))


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(2, 6),
    length=st.integers(60, 400),
    det=st.sampled_from(["n", "c", "ct"]),
    lags=st.integers(1, 4),
)
def test_johansen_equals_statsmodels(seed: int, n: int, length: int, det: str, lags: int) -> None:
    """Trace, largest, eigenvalues, vectors up to sign and tables; direct and from moments."""
    from statsmodels.tsa.vector_ar.vecm import coint_johansen

    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.standard_normal((n, length)), axis=1) + 20.0
    x[-1] = x[0] + rng.standard_normal(length)
    theirs = coint_johansen(x.T, ORDERS[det], lags)
    ours = johansen(x, lags=lags, det=det, draws=19)
    assert ours.trace == pytest.approx(theirs.lr1, rel=1e-8)
    assert ours.largest == pytest.approx(theirs.lr2, rel=1e-8)
    assert ours.eigenvalues == pytest.approx(theirs.eig, rel=1e-8)
    assert np.abs(ours.vectors) == pytest.approx(np.abs(theirs.evec), rel=1e-6, abs=1e-8)
    assert np.array(ours.trace_criticals)[:, ::-1] == pytest.approx(theirs.cvt)
    assert np.array(ours.largest_criticals)[:, ::-1] == pytest.approx(theirs.cvm)
    trace, largest, first = johansen_baskets(basket_moments(x, lags=lags, det=det), [range(n)])
    assert trace[0] == pytest.approx(ours.trace, rel=1e-8)
    assert largest[0] == pytest.approx(ours.largest, rel=1e-8)
    assert first[0] == pytest.approx(ours.vectors[:, 0], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("det", ["n", "rc", "c", "ct"])
def test_johansen_near_collinear(det: str) -> None:
    """Trace statistics do not change when the series are recombined: (x, y) and (x, 1000 (y - x)).

    The second form is well conditioned, so there statsmodels is an oracle; on the first its moments lose six digits,
    ours do not.
    """
    from statsmodels.tsa.vector_ar.vecm import coint_johansen

    rng = np.random.default_rng(8)
    x = np.cumsum(rng.standard_normal((2, 500)), axis=1) + 30.0
    thin = 1e-3 * (x[1] - 0.9 * np.concatenate([[0.0], x[1][:-1]]))
    near = np.stack([x[0], x[0] + thin])
    far = np.stack([x[0], 1e3 * (near[1] - near[0])])
    ours, plain = johansen(near, det=det, draws=19), johansen(far, det=det, draws=19)
    assert ours.trace == pytest.approx(plain.trace, rel=1e-8)
    if det != "rc":
        assert plain.trace == pytest.approx(coint_johansen(far.T, ORDERS[det], 1).lr1, rel=1e-8)
    trace, _, first = johansen_baskets(basket_moments(near, det=det), [(0, 1)])
    assert trace[0] == pytest.approx(ours.trace, rel=1e-8)
    assert first[0] == pytest.approx(ours.vectors[:, 0], rel=1e-6)


def test_restricted_constant_from_moments() -> None:
    """Baskets with the constant inside the relation give the relation of the direct path, constant included."""
    x = np.cumsum(np.random.default_rng(2).standard_normal((4, 300)), axis=1) + 40.0
    trace, _, first = johansen_baskets(basket_moments(x, det="rc"), [(0, 2), (3, 1)])
    for k, basket in enumerate(((0, 2), (3, 1))):
        direct = johansen(x[list(basket)], det="rc", draws=19)
        assert trace[k] == pytest.approx(direct.trace, rel=1e-8)
        assert first[k] == pytest.approx(direct.vectors[:, 0], rel=1e-6)


def test_loadings_equal_statsmodels() -> None:
    """alpha beta' equals that of statsmodels' VECM of rank one."""
    from statsmodels.tsa.vector_ar.vecm import VECM

    rng = np.random.default_rng(4)
    x = np.cumsum(rng.standard_normal((3, 400)), axis=1)
    x[1] = x[0] + rng.standard_normal(400)
    ours = johansen(x, lags=1, det="c", draws=19)
    theirs = VECM(x.T, k_ar_diff=1, coint_rank=1, deterministic="co").fit()
    mine = np.outer(ours.loadings[:, 0], ours.vectors[:, 0])
    assert mine == pytest.approx(theirs.alpha @ theirs.beta.T, rel=1e-6, abs=1e-9)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(2, 4),
    trend=st.sampled_from(["n", "c", "ct"]),
    bandwidth=st.sampled_from([None, 0.0, 5.5]),
)
def test_phillips_ouliaris_equals_arch(seed: int, n: int, trend: str, bandwidth: float | None) -> None:
    """Za, Zt, Pu, Pz and the automatic bandwidth."""
    from arch.unitroot.cointegration import phillips_ouliaris as oracle

    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.standard_normal((n, 200)), axis=1) + 20.0
    x[0] += x[1]
    ours = phillips_ouliaris(x[0], *x[1:], trend=trend, bandwidth=bandwidth, draws=19)
    for name in ("Za", "Zt", "Pu", "Pz"):
        theirs = oracle(x[0], x[1:].T, trend=trend, test_type=name, bandwidth=bandwidth)
        assert getattr(ours, name.lower()) == pytest.approx(theirs.stat, rel=1e-8)
        wide = ours.bandwidth_z if name[0] == "Z" else ours.bandwidth_p
        assert wide == pytest.approx(theirs.bandwidth, rel=1e-8)
