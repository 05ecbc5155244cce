"""Augmented Dickey-Fuller test of one series: is there a unit root?

    d_t = c + b t + rho x_{t-1} + sum_{i=1..p} g_i d_{t-i} + eps_t,   stat = t(rho); small values reject the root.

Lags are fixed in advance or chosen by AIC or BIC among 0..max_lags on one sample; the test then uses all rows that the
chosen lags leave. The p-value is that of the simulated null of this length and this lag rule, or of MacKinnon's
surface (asymptotic, lag rule ignored).

Sources: Said and Dickey (1984), doi:10.1093/biomet/71.3.599; MacKinnon (1994), doi:10.1080/07350015.1994.10510005.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from oneprice.core.errors import unknown_name
from oneprice.signals.unit_root.inputs import lag_rule, series, trend_code
from oneprice.signals.unit_root.kernels import adf_rows
from oneprice.signals.unit_root.null import DRAWS, adf_null
from oneprice.signals.unit_root.result import NULLS, UnitRoot, judged
from oneprice.signals.unit_root.surfaces import mackinnon_critical, mackinnon_p


def adf(
    x: Any,
    *,
    trend: str = "c",
    lags: int | str = "aic",
    max_lags: int | None = None,
    null: str = "simulated",
    draws: int = DRAWS,
) -> UnitRoot:
    """ADF test of a series of shape (T,), any unit; NaN is refused.

    trend: "n", "c" or "ct". lags: an integer, "aic" or "bic" (among 0..max_lags, Schwert's bound when left out).
    null: "simulated" for this length and rule, or "surface".

    Raises DataError for series that cannot be tested, ConfigError for settings that do not exist.
    """
    values = series(x)
    n = len(values)
    code = trend_code(trend)
    if null not in NULLS:
        raise unknown_name("null", null, list(NULLS))
    count, criterion = lag_rule(lags, n, code, max_lags)
    stat, used = np.empty(1), np.empty(1, np.int64)
    adf_rows((values - values[0] if code else values)[None, :], (count, code, criterion), stat, used)
    rows = n - 1 - int(used[0])
    if null == "surface":
        p, floor = mackinnon_p(stat[0], trend=trend), 0.0
        criticals = mackinnon_critical(trend=trend, n_obs=rows)
    else:
        law = adf_null(n, lags=count, criterion=criterion, trend=trend, draws=draws)
        p, floor, criticals = judged(law, stat[0])
    return UnitRoot(
        test="adf", stat=float(stat[0]), p=p, floor=floor, lags=int(used[0]), trend=trend, n_obs=rows, null=null,
        criticals=criticals,
    )  # fmt: skip
