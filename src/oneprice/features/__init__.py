"""Layer 2: online models as folds; one model a file, each with STATE, PARAMS, step, loop and FOLD."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "Fold": "oneprice.features.fold:Fold",
    "check_fold": "oneprice.features.conformance:check_fold",
    "discover": "oneprice.features.fold:discover",
    "bipower": "oneprice.features.bipower",
    "boundary": "oneprice.features.boundary",
    "egarch": "oneprice.features.egarch",
    "ewma": "oneprice.features.ewma",
    "ewvar": "oneprice.features.ewvar",
    "garch": "oneprice.features.garch",
    "hawkes": "oneprice.features.hawkes",
    "hayashi_yoshida": "oneprice.features.hayashi_yoshida",
    "imbalance": "oneprice.features.imbalance",
    "kalman_hedge": "oneprice.features.kalman_hedge",
    "kalman_level": "oneprice.features.kalman_level",
    "kalman_regression": "oneprice.features.kalman_regression",
    "levels": "oneprice.features.levels",
    "microprice": "oneprice.features.microprice",
    "microprice_fitted": "oneprice.features.microprice_fitted",
    "mlofi": "oneprice.features.mlofi",
    "ofi": "oneprice.features.ofi",
    "queue_race": "oneprice.features.queue_race",
    "realised": "oneprice.features.realised",
    "recursive_ols": "oneprice.features.recursive_ols",
    "rolling": "oneprice.features.rolling",
    "rolling_ols": "oneprice.features.rolling_ols",
    "tick_garch": "oneprice.features.tick_garch",
    "trade_imbalance": "oneprice.features.trade_imbalance",
    "vpin": "oneprice.features.vpin",
    "zscore": "oneprice.features.zscore",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"oneprice.features has no attribute {name!r}: it has {', '.join(__all__)}")
    module, _, attribute = _NAMES[name].partition(":")
    found = import_module(module)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return __all__
