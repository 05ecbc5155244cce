"""Which residual packages may be traded: those whose residual comes back, once all that were tried are counted.

Each candidate's residual (the package less its fair value) goes through

    ADF           t of the unit root, against simulated residuals of as many walks as the package has legs
    variance ratio  VR(q) by the residual moves of q days, against the same walks
    half-life     of the Ornstein-Uhlenbeck fit, days, at most what may be waited for

p is the larger of the first two (both must speak), and the family of all candidates of a refit is judged by Benjamini
and Yekutieli, who allow any dependence: neighbours share the curve. The weights come from the model fitted on the same
days, so the walks are regressed on each other too: against plain walks a test at 5 % admits 21 % of residuals that
never come back (`tests/simulation/test_term_fitted_size.py`).

Sources: MacKinnon (1994), doi:10.1080/07350015.1994.10510005; Lo and MacKinlay (1988), doi:10.1093/rfs/1.1.41;
Benjamini and Yekutieli (2001), doi:10.1214/aos/1013699998.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from oneprice.signals.cointegration.engle_granger import engle_granger_null
from oneprice.signals.reversion.ornstein import fit_ou, half_life_beyond_noise
from oneprice.signals.reversion.variance_ratio import ratio_percentile, variance_ratio
from oneprice.signals.unit_root.adf import adf
from oneprice.signals.validation.multiplicity import Family, judge

LENGTHS = (100, 150, 200, 250, 350, 500)  # days tested: the longest that a history has, so that few nulls are simulated
LAGS = 2
RATIO_DAYS = 16
DRAWS = 4_000
METHOD = "by"


class Reversion(msgspec.Struct, frozen=True, kw_only=True):
    """What the tests say of one residual; NaN where it is too short or does not move.

    `n_days` tested; `half_life_days` of the fit, `noise_free_days` with the noise of single days taken out; `p` the
    larger of `p_adf` and `p_ratio`; `adjusted` for all candidates of the refit; `admitted`, else `why` not.
    """

    legs: tuple[str, ...]
    n_days: int
    half_life_days: float
    noise_free_days: float
    adf: float
    p_adf: float
    ratio: float
    p_ratio: float
    p: float
    adjusted: float = float("nan")
    admitted: bool = False
    why: str = ""


def reversion(residual: object, legs: Sequence[str]) -> Reversion:
    """The tests of one residual, float64[T] in money, oldest first; NaN days are left out."""
    x = np.asarray(residual, np.float64)
    x = x[np.isfinite(x)]
    n = max((length for length in LENGTHS if length <= len(x)), default=0)
    x = x[len(x) - n :]
    if n == 0 or not np.ptp(x) > 1e-12 * max(float(np.abs(x).max()), 1.0):
        nan, why = float("nan"), "too short" if n == 0 else "does not move"
        return Reversion(
            legs=tuple(legs), n_days=n, half_life_days=nan, noise_free_days=nan, adf=nan, p_adf=nan, ratio=nan,
            p_ratio=nan, p=nan, why=why,
        )  # fmt: skip
    stat = adf(x, lags=LAGS, null="surface").stat
    law = engle_granger_null(n, lags=LAGS, n_series=len(legs), draws=DRAWS)
    ratio = float(variance_ratio(x, (RATIO_DAYS,))["ratio"][0])
    p_adf = float(law.p(stat))
    p_ratio = float(ratio_percentile(ratio, RATIO_DAYS, n, len(legs))) / 100.0
    return Reversion(
        legs=tuple(legs), n_days=n, half_life_days=float(fit_ou(x, 1.0).half_life),
        noise_free_days=half_life_beyond_noise(x, 1.0), adf=stat, p_adf=p_adf, ratio=ratio, p_ratio=p_ratio,
        p=max(p_adf, p_ratio),
    )  # fmt: skip


def admit(tested: Sequence[Reversion], *, false_share: float, most_half_life_days: float) -> list[Reversion]:
    """The candidates of one refit, judged together; all of them count, the untestable too.

    false_share: the share of false admissions that is borne; 1: the tests refuse nothing, the half-life alone does.
    """
    if not tested:
        return []
    family = Family("residual packages", len(tested), METHOD, min(false_share, 0.5))
    adjusted_p = judge(family, [t.p for t in tested]).adjusted
    out = []
    for t, adjusted in zip(tested, adjusted_p, strict=True):
        passed = adjusted <= false_share
        slow = not t.half_life_days <= most_half_life_days
        why = t.why or ("" if passed else "does not revert") or ("too slow" if slow else "")
        out.append(msgspec.structs.replace(t, adjusted=float(adjusted), admitted=not why, why=why))
    return out
