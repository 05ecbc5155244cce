"""Hedge ratios by fit: total least squares, and the likelihood of the dynamic hedge whose state holds the spread."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "HedgeFit": "oneprice.signals.hedge.likelihood:HedgeFit",
    "HedgePath": "oneprice.signals.hedge.report:HedgePath",
    "HedgeReport": "oneprice.signals.hedge.report:HedgeReport",
    "LevelFit": "oneprice.signals.hedge.level:LevelFit",
    "LineFit": "oneprice.signals.hedge.tls:LineFit",
    "RegressionFit": "oneprice.signals.hedge.likelihood:RegressionFit",
    "fit_hedge": "oneprice.signals.hedge.likelihood:fit_hedge",
    "fit_level": "oneprice.signals.hedge.level:fit_level",
    "fit_regression": "oneprice.signals.hedge.likelihood:fit_regression",
    "fit_tls": "oneprice.signals.hedge.tls:fit_tls",
    "hedge_log_likelihood": "oneprice.signals.hedge.likelihood:hedge_log_likelihood",
    "hedge_path": "oneprice.signals.hedge.report:hedge_path",
    "hedge_report": "oneprice.signals.hedge.report:hedge_report",
    "level_log_likelihood": "oneprice.signals.hedge.level:level_log_likelihood",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"oneprice.signals.hedge has no attribute {name!r}: it has {', '.join(__all__)}")
    module, _, attribute = _NAMES[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return __all__
