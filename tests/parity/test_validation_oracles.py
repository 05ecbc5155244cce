"""Selection control against statsmodels, arch and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from arch.bootstrap import SPA, RealityCheck
from sklearn.model_selection import TimeSeriesSplit
from statsmodels.stats.multitest import multipletests

from oneprice.signals.validation.multiplicity import adjusted
from oneprice.signals.validation.spa import long_run_variance, superior_ability
from oneprice.signals.validation.splits import walk_forward

NAMES = {
    "bonferroni": "bonferroni",
    "holm": "holm",
    "hochberg": "simes-hochberg",
    "bh": "fdr_bh",
    "by": "fdr_by",
}


@pytest.mark.parametrize("method", sorted(NAMES))
def test_adjusted_values_equal_statsmodels(method: str) -> None:
    """Random families with ties, zeros and ones, of 1 to 200."""
    rng = np.random.default_rng(5)
    for n in (1, 2, 7, 50, 200):
        for _ in range(5):
            p = np.round(rng.random(n) ** 3, 3)
            p[rng.integers(0, n)] = rng.integers(0, 2)
            assert np.allclose(adjusted(p, method), multipletests(p, method=NAMES[method])[1], rtol=1e-12, atol=0.0)


def test_spa_equals_arch_on_the_same_indices() -> None:
    """Counts of all three p-values, with serially dependent losses; variances to rounding. arch does not studentise."""
    rng = np.random.default_rng(0)
    reps, n, k = 400, 300, 15
    losses = rng.standard_normal((n, k)) + np.linspace(-0.1, 1.0, k)
    losses[1:] += 0.4 * losses[:-1]
    base = rng.standard_normal(n)
    one = SPA(base, losses, reps=reps, block_size=8, seed=3)
    one.compute()
    same = SPA(base, losses, reps=reps, block_size=8, seed=3).bootstrap
    indices = np.stack([same.update_indices().copy() for _ in range(reps)])
    found = superior_ability(base, losses, block=8, studentize=False, indices=indices)
    for ours, theirs in zip((found.p_lower, found.p_consistent, found.p_upper), one.pvalues, strict=True):
        assert round(ours * (reps + 1)) - 1 == round(theirs * reps)
    assert found.p_lower < found.p_consistent < found.p_upper
    one._compute_variance()
    assert np.allclose(long_run_variance(base[:, None] - losses, 8), one._loss_diff_var, rtol=1e-12)


def test_own_bootstrap_agrees_with_arch() -> None:
    """Other draws of the same law: within the Monte Carlo error of 2000."""
    rng = np.random.default_rng(1)
    base, losses = rng.standard_normal(250), rng.standard_normal((250, 10)) - np.linspace(0.0, 0.15, 10)
    theirs = RealityCheck(base, losses, reps=2000, block_size=10, seed=1)
    theirs.compute()
    found = superior_ability(base, losses, block=10, reps=2000, studentize=False)
    p = float(theirs.pvalues["upper"])
    assert found.p_upper == pytest.approx(p, abs=3.0 * np.sqrt(2.0 * p * (1.0 - p) / 2000) + 1e-3)


def test_walk_forward_equals_scikit_learn() -> None:
    """Expanding and rolling windows with a gap."""
    x = np.zeros(100)
    for expanding, most in ((True, None), (False, 38)):
        theirs = list(TimeSeriesSplit(n_splits=5, test_size=12, gap=2, max_train_size=most).split(x))
        ours = list(walk_forward(100, train=38, test=12, gap=2, expanding=expanding))
        assert len(ours) == len(theirs) == 5 - (100 - 38 - 2) % 12
        for a, (train, test) in zip(ours, theirs, strict=True):
            assert np.array_equal(a.train, train) and np.array_equal(a.test, test)
