"""Volatility by likelihood: GARCH(1,1) and EGARCH(1,1), with the standard errors each assumption pays for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "VolatilityFit": "result",
    "fit_egarch": "egarch_fit",
    "fit_garch": "garch_fit",
    "forecast_variance": "forecast",
    "garch_log_likelihood": "garch_fit",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"oneprice.signals.volatility has no attribute {name!r}: it has {', '.join(__all__)}")
    return getattr(import_module(f"oneprice.signals.volatility.{_NAMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
