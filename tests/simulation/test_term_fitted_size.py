"""Size and power of the tests behind fitted bands: residuals of a fitted strip that are walks, and that come back."""

from __future__ import annotations

import numpy as np
import pytest

from oneprice.signals.unit_root.adf import adf
from oneprice.signals.unit_root.null import adf_null
from oneprice.study.term_fitted import residual_of
from oneprice.study.term_fitted_admit import DRAWS, LAGS, Reversion, admit, reversion
from oneprice.study.term_fitted_fair import ByPlace, fair_values, fitted, shaped
from oneprice.study.term_fitted_package import neutral_package

DAYS, PLACES, KAPPA = 500, 15, 1.2


def world(seed: int, kept: float) -> ByPlace:
    """A strip of two factors; each contract is off it by a residual of which `kept` is left each day."""
    rng = np.random.default_rng(seed)
    days = np.arange(DAYS)
    years = (np.arange(PLACES) * 30 + 30 + (DAYS - days)[:, None] * 365 / 252) / 365
    chi, xi, off = np.zeros(DAYS), np.full(DAYS, 4.0), np.zeros((DAYS, PLACES))
    for t in range(1, DAYS):
        chi[t] = chi[t - 1] * np.exp(-KAPPA / 252) + rng.normal(0, 0.3 / 252**0.5)
        xi[t] = xi[t - 1] + rng.normal(0, 0.18 / 252**0.5)
        off[t] = kept * off[t - 1] + rng.normal(0, 1e-3, PLACES)
    log = chi[:, None] * np.exp(-KAPPA * years) + xi[:, None] - 0.05 * years + off
    log += rng.normal(0, 5e-4, log.shape)
    return ByPlace(days, np.exp(log), years, np.tile(np.arange(PLACES), (DAYS, 1)))


def residuals(seed: int, kept: float) -> list[np.ndarray]:
    """The last 250 days of the residual of each package of three neighbours, by a model fitted to the strip."""
    strip = world(seed, kept)
    model, _ = fitted("schwartz_smith", strip, None, (0.3, 1.0, 3.0))
    model = shaped(model, strip)
    fair, out = fair_values(model, strip), []
    for head in range(0, PLACES, 3):
        at = [head, head + 1, head + 2]
        package = neutral_package(fair.value[-1, at], fair.loads[at], fair.error[at], model.shock, 10)
        assert package is not None
        out.append(residual_of(strip, fair, at, np.array(package.lots) / 5.0)[-250:])
    return out


def test_size_and_power_at_five_per_cent() -> None:
    """Walks pass at most about one time in twenty, residuals with a half-life of a week often; others are loose."""
    walks = [x for seed in range(6) for x in residuals(seed, 1.0)]
    back = [x for seed in range(6) for x in residuals(seed, 0.9)]
    size = np.mean([reversion(x, "abc").p <= 0.05 for x in walks])
    power = np.mean([reversion(x, "abc").p <= 0.05 for x in back])
    law = adf_null(250, lags=LAGS, draws=DRAWS)
    loose = np.mean([law.p(adf(x, lags=LAGS, null="surface").stat) <= 0.05 for x in walks])
    assert size <= 0.07 < 0.25 < power
    assert loose > size, "a null of walks that nothing was fitted to is not enough"
    half_lives = [reversion(x, "abc").half_life_days for x in back]
    assert 3.0 < np.median(half_lives) < 8.0, "6.6 days were planted, less the noise of single days"


def told(p: float, half_life: float = 5.0) -> Reversion:
    return Reversion(
        legs=("a", "b", "c"), n_days=250, half_life_days=half_life, noise_free_days=half_life, adf=-4.0, p_adf=p,
        ratio=0.5, p_ratio=p, p=p,
    )  # fmt: skip


def test_the_number_tried_counts() -> None:
    """A p of 0.02 is enough alone and not among ten; the slow are refused whatever their p; 1 refuses nothing."""
    alone = admit([told(0.02)], false_share=0.1, most_half_life_days=30)
    among = admit([told(0.02)] + [told(0.8)] * 9, false_share=0.1, most_half_life_days=30)
    assert alone[0].admitted and alone[0].adjusted == pytest.approx(0.02)
    assert not among[0].admitted and among[0].why == "does not revert"
    assert among[0].adjusted == pytest.approx(0.02 * 10 * sum(1 / k for k in range(1, 11)))
    slow = admit([told(1e-3, 40.0), told(1e-3, float("inf"))], false_share=0.1, most_half_life_days=30)
    assert [t.why for t in slow] == ["too slow", "too slow"]
    assert all(t.admitted for t in admit([told(0.9)] * 3, false_share=1.0, most_half_life_days=30))
    assert admit([], false_share=0.1, most_half_life_days=30) == []


def test_what_cannot_be_tested_is_not_admitted() -> None:
    """Too short and constant residuals have no p and a reason, and count among those tried."""
    rng = np.random.default_rng(1)
    short, flat = reversion(rng.normal(size=99), "abc"), reversion(np.zeros(200), "abc")
    assert (short.why, flat.why) == ("too short", "does not move") and np.isnan([short.p, flat.p]).all()
    gaps = rng.normal(size=220)
    gaps[::10] = np.nan
    assert reversion(gaps, "abc").n_days == 150
    judged = admit([short, flat, told(0.03)], false_share=0.1, most_half_life_days=30)
    assert [t.admitted for t in judged] == [False, False, False]
    assert judged[2].adjusted == pytest.approx(0.03 * 3 * (1 + 1 / 2 + 1 / 3))


def test_packages_are_the_nearest_whole_lots() -> None:
    """No whole lots of the sizes allowed leave less of the factors beside the residual: by trying all of them."""
    rng = np.random.default_rng(2)
    for _ in range(20):
        years = np.sort(rng.uniform(0.05, 1.5, 3))
        value, loads = rng.uniform(50, 70, 3), np.column_stack([np.exp(-1.2 * years), np.ones(3)])
        error, shock = np.full(3, 2e-3), np.array([[4e-4, 1e-5], [1e-5, 1e-4]])
        got = neutral_package(value, loads, error, shock, 8)
        assert got is not None and 4 <= max(abs(n) for n in got.lots) <= 8
        every = np.stack(np.meshgrid(*[np.arange(-8, 9)] * 3), -1).reshape(-1, 3)
        every = every[(every != 0).all(axis=1) & (np.abs(every).max(axis=1) >= 4)]
        u = every @ (value[:, None] * loads)
        share = np.sqrt(np.einsum("ki,ij,kj->k", u, shock, u)) / np.linalg.norm(every * value * error, axis=1)
        assert got.left / got.noise <= share.min() * 1.25
    assert neutral_package(np.full(3, 60.0), np.ones((3, 2)), np.full(3, 1e-3), np.eye(2), 8) is None


def test_a_contract_is_off_its_value_by_its_standard_error() -> None:
    """Each contract has a fair value and an error: over the last 250 days the deviations are as large as it says."""
    strip = world(9, 0.9)
    model, _ = fitted("schwartz_smith", strip, None, (0.3, 1.0, 3.0))
    fair = fair_values(shaped(model, strip), strip)
    off = np.log(strip.price / fair.value)[-250:]
    share = off.std(axis=0) / fair.error
    assert 0.8 < share.mean() < 1.1 and share.min() > 0.6 and share.max() < 1.3
    assert (np.abs(off.mean(axis=0)) < fair.error).all()
