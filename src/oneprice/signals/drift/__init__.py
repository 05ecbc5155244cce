"""Layer 3, drift: folds that say when a fitted relation stopped holding; one monitor a file, alarms designed by rate.

Each `step` returns 0.0 while nothing is wrong, statistic / limit >= 1 at the observation that raises the alarm, and
NaN (state unchanged) for an input that is not finite. So `step(...) > 0.0` means "alarm now". Parameter `latch`:
0 starts afresh with the next observation (one alarm a change), 1 keeps the alarm and returns it until the owner
zeroes the state. `s.alarm` holds the last value either way.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "adwin": "oneprice.signals.drift.adwin",
    "bocpd": "oneprice.signals.drift.bocpd",
    "bocpd_limit": "oneprice.signals.drift.simulated:bocpd_limit",
    "cusum": "oneprice.signals.drift.cusum",
    "cusum_arl": "oneprice.signals.drift.design:cusum_arl",
    "cusum_limit": "oneprice.signals.drift.design:cusum_limit",
    "fan": "oneprice.signals.drift.fan",
    "fan_rates": "oneprice.signals.drift.fan_design:fan_rates",
    "fan_width": "oneprice.signals.drift.fan_design:fan_width",
    "page_hinkley": "oneprice.signals.drift.page_hinkley",
    "page_hinkley_threshold": "oneprice.signals.drift.simulated:page_hinkley_threshold",
    "residual": "oneprice.signals.drift.residual",
    "residual_arl": "oneprice.signals.drift.design:residual_arl",
    "residual_limit": "oneprice.signals.drift.design:residual_limit",
    "watch": "oneprice.signals.drift.watch",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"oneprice.signals.drift has no attribute {name!r}: it has {', '.join(__all__)}")
    module, _, attribute = _NAMES[name].partition(":")
    found = import_module(module)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return __all__
