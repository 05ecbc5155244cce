"""KPSS test of one series: is it stationary around a level or a trend? The null that ADF has as its alternative.

    S_t = sum_{s<=t} e_s,   stat = sum_t S_t^2 / (T^2 lrv(e)),   lrv by Bartlett weights; large values reject.

The simulated null is Gaussian noise with the same bandwidth rule: serial correlation that the bandwidth does not
reach makes the test reject too often, whichever p is read.

Sources: Kwiatkowski, Phillips, Schmidt and Shin (1992), doi:10.1016/0304-4076(92)90104-Y; Hobijn, Franses and Ooms
(2004), doi:10.1111/j.1467-9574.2004.00272.x (bandwidth).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError, DataError, unknown_name
from oneprice.signals.unit_root.inputs import TRENDS, series, trend_code
from oneprice.signals.unit_root.kernels import kpss_rows
from oneprice.signals.unit_root.null import DRAWS, kpss_null
from oneprice.signals.unit_root.result import NULLS, UnitRoot, judged

TABLE = {"c": (0.347, 0.463, 0.574, 0.739), "ct": (0.119, 0.146, 0.176, 0.216)}
TABLE_P = (0.10, 0.05, 0.025, 0.01)


def kpss(
    x: Any, *, trend: str = "c", lags: int | str = "auto", null: str = "simulated", draws: int = DRAWS
) -> UnitRoot:
    """KPSS test of a series of shape (T,), any unit; NaN is refused.

    trend: "c" (level) or "ct". lags of the long-run variance: an integer below T or "auto". null: "simulated", or
    "surface" for the published table (p between 0.01, its floor, and 0.10).

    Raises DataError for series that cannot be tested, ConfigError for settings that do not exist.
    """
    values = series(x)
    n = len(values)
    if trend not in TABLE:
        raise unknown_name("trend", trend, [t for t in TRENDS if t in TABLE])
    if null not in NULLS:
        raise unknown_name("null", null, list(NULLS))
    if isinstance(lags, str) and lags != "auto":
        raise unknown_name("rule for lags", lags, ["auto", "an integer"])
    width = -1 if isinstance(lags, str) else int(lags)
    if not isinstance(lags, str) and width < 0:
        raise ConfigError(f"lags: expected 0 or more, got {lags}")
    if width >= n:
        raise DataError(f"lags: expected fewer than the {n} observations, got {width}")
    stat, used = np.empty(1), np.empty(1, np.int64)
    kpss_rows(values[None, :] - values.mean(), trend_code(trend), width, stat, used)
    if null == "surface":
        p, floor = float(np.interp(stat[0], TABLE[trend], TABLE_P)), TABLE_P[-1]
        at = TABLE[trend]
        criticals = (at[3], at[1], at[0])
    else:
        p, floor, criticals = judged(kpss_null(n, lags=width, trend=trend, draws=draws), stat[0])
    return UnitRoot(
        test="kpss", stat=float(stat[0]), p=p, floor=floor, lags=int(used[0]), trend=trend, n_obs=n, null=null,
        criticals=criticals,
    )  # fmt: skip
