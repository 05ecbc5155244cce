"""Equal to the packages that others use: hurst, arch, statsmodels."""

from __future__ import annotations

import numpy as np
import pytest

from oneprice.signals.reversion.hurst import hurst_rs
from oneprice.signals.reversion.partial import columns_of, fit_partial
from oneprice.signals.reversion.partial_filter import innovations, profile
from oneprice.signals.reversion.variance_ratio import variance_ratio


@pytest.mark.parametrize("n", [100, 101, 777, 2_048])
@pytest.mark.parametrize("simplified", [True, False])
def test_rescaled_range_equals_hurst(n: int, simplified: bool) -> None:
    """H and c of the hurst package on its three kinds of series, to 1e-10."""
    import hurst

    rng = np.random.default_rng(n)
    walk = np.cumsum(rng.standard_normal(n))
    for kind, x in (("random_walk", walk), ("price", 100.0 * np.exp(0.01 * walk)), ("change", rng.standard_normal(n))):
        theirs = hurst.compute_Hc(x, kind=kind, simplified=simplified)[:2]
        assert hurst_rs(x, kind=kind, simplified=simplified) == pytest.approx(theirs, abs=1e-10), kind


def test_variance_ratio_equals_arch() -> None:
    """Ratio, z and z* of arch for several q, to 1e-10."""
    from arch.unitroot import VarianceRatio

    x = np.cumsum(np.random.default_rng(1).standard_t(4, 900))
    for row in variance_ratio(x, (2, 3, 8, 20)):
        q = int(row["q"])
        plain, robust = VarianceRatio(x, lags=q, robust=False), VarianceRatio(x, lags=q, robust=True)
        assert (row["ratio"], row["z"], row["z_star"]) == pytest.approx((plain.vr, plain.stat, robust.stat), abs=1e-10)


def test_partial_likelihood_equals_a_general_filter() -> None:
    """The scalar filter's likelihood equals statsmodels' two-state Kalman filter at the same parameters."""
    import statsmodels.api as sm

    rng = np.random.default_rng(2)
    x = np.cumsum(rng.standard_normal(300))
    m = rng.standard_normal(300)
    for t in range(1, 300):
        m[t] += 0.8 * m[t - 1]
    y = 3.0 + 0.7 * x + m + np.cumsum(0.4 * rng.standard_normal(300))
    fit = fit_partial(y, x)
    for rho, sm_, sr in ((fit.rho, fit.sigma_m, fit.sigma_r), (0.5, 1.2, 0.2), (-0.2, 0.4, 1.0)):
        w = y - fit.beta[0] * x
        move, noise = np.diag([rho, 1.0]), np.diag([sm_**2, sr**2])
        spread = sm_**2 / (1.0 - rho**2) * np.array([[1.0, -1.0], [-1.0, 1.0]])
        model = sm.tsa.statespace.MLEModel(w[1:], k_states=2)
        model["design"], model["transition"] = np.ones((1, 2)), move
        model["selection"], model["state_cov"] = np.eye(2), noise
        model.ssm.tolerance = 0.0  # no switch to the steady state
        model.ssm.initialize_known(np.array([0.0, w[0]]), move @ spread @ move.T + noise)
        total = sm_**2 + sr**2
        gram = np.empty((1, 1))
        logs = innovations(columns_of(w, None), rho, sr**2 / total, gram)
        ours = -0.5 * (299 * np.log(2.0 * np.pi * total) + logs + gram[0, 0] / total)
        assert ours == pytest.approx(model.ssm.loglike(), abs=1e-8)
    walk = fit.sigma_r**2 / (fit.sigma_m**2 + fit.sigma_r**2)
    best = profile(columns_of(y, x), fit.rho, walk, np.empty((2, 2)), np.empty(1))
    assert fit.loglik == pytest.approx(best, abs=1e-9)
