"""What each monitor finds, and how soon, at equal rates of false alarms: the table of docs/theory/drift.md.

Limits are designed for a false alarm within 252 observations with probability .2 (CUSUMs through their mean run length
-252 / ln .8). One of 300 observations breaks at 100; the delay is the median over those with no alarm before the break.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from oneprice.features.fold import Fold
from oneprice.signals.drift import adwin, bocpd, cusum, page_hinkley, residual
from oneprice.signals.drift.design import cusum_limit, residual_limit
from oneprice.signals.drift.simulated import bocpd_limit, page_hinkley_threshold

SERIES, LENGTH, BREAK, YEAR, RATE = 200, 300, 100, 252, 0.2
CHANGES = {
    "shift .5": (0.5, 1.0),
    "shift 1": (1.0, 1.0),
    "shift 2": (2.0, 1.0),
    "sd x1.5": (0.0, 1.5),
    "sd x2": (0.0, 2.0),
}


@lru_cache(maxsize=1)
def monitors() -> dict[str, tuple[Fold, dict[str, Any]]]:
    arl0 = -YEAR / math.log(1.0 - RATE)
    return {
        "cusum": (cusum.FOLD, {"h": cusum_limit(arl0)}),
        "page_hinkley": (page_hinkley.FOLD, {"threshold": page_hinkley_threshold(RATE, YEAR)}),
        "adwin": (adwin.FOLD, {"delta": 0.05, "clock": 8}),
        "bocpd": (bocpd.FOLD, {"limit": bocpd_limit(RATE, YEAR)}),
        "residual": (residual.FOLD, {"h": residual_limit(arl0)}),
    }


@lru_cache(maxsize=1)
def measured() -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """(share with a false alarm within 252 by monitor, median delay by change and monitor; inf: not found)."""
    noise = np.random.default_rng(5).standard_normal((SERIES, LENGTH))
    false: dict[str, float] = {}
    delay: dict[str, dict[str, float]] = {change: {} for change in CHANGES}
    for name, (fold, limits) in monitors().items():
        false[name] = float(np.mean([(fold.scan(z[:YEAR], **limits) > 0.0).any() for z in noise]))
        for change, (shift, scale) in CHANGES.items():
            found = []
            for z in noise:
                x = np.r_[z[:BREAK], shift + scale * z[BREAK:]]
                alarms = np.flatnonzero(fold.scan(x, **limits) > 0.0)
                if not (alarms < BREAK).any():
                    found.append(alarms[0] - BREAK + 1 if len(alarms) else math.inf)
            delay[change][name] = float(np.median(found))
    return false, delay


@pytest.mark.parametrize("name", ["cusum", "page_hinkley", "bocpd", "residual"])
def test_false_alarms_are_as_designed(name: str) -> None:
    """20 % of quiet years have an alarm, within the error of 200 series and of the simulated limits."""
    assert measured()[0][name] == pytest.approx(RATE, abs=0.09)


def test_adwin_bounds_its_false_alarms_from_far() -> None:
    """Its guarantee costs power: fewer than 3 % of quiet years at delta .05."""
    assert measured()[0]["adwin"] < 0.03


def test_each_monitor_finds_what_it_is_for() -> None:
    """CUSUM is soonest for a mean shift of its size and below, the NIS monitor for a wider spread."""
    delay = measured()[1]
    assert delay["shift 1"]["cusum"] == min(delay["shift 1"].values()) <= 12
    assert delay["shift .5"]["cusum"] == min(delay["shift .5"].values()) <= 45
    assert delay["sd x1.5"]["residual"] == min(delay["sd x1.5"].values()) <= 20
    assert delay["sd x2"]["residual"] == min(delay["sd x2"].values()) <= 8
    assert delay["sd x2"]["adwin"] == math.inf  # it watches the mean only
    assert delay["shift 2"]["bocpd"] <= 6 and delay["sd x2"]["bocpd"] <= 12  # the only one that sees both at once
