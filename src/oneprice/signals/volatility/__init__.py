"""Volatility by likelihood: GARCH(1,1) and EGARCH(1,1), with the standard errors each assumption pays for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "VolatilityFit": "oneprice.signals.volatility.result:VolatilityFit",
    "fit_egarch": "oneprice.signals.volatility.egarch_fit:fit_egarch",
    "fit_garch": "oneprice.signals.volatility.garch_fit:fit_garch",
    "forecast_variance": "oneprice.signals.volatility.forecast:forecast_variance",
    "garch_log_likelihood": "oneprice.signals.volatility.garch_fit:garch_log_likelihood",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"oneprice.signals.volatility has no attribute {name!r}: it has {', '.join(__all__)}")
    module, _, attribute = _NAMES[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return __all__
