"""Hedge ratios by fit: total least squares, and the likelihood of the dynamic hedge whose state holds the spread."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "HedgeFit": "likelihood",
    "HedgePath": "report",
    "HedgeReport": "report",
    "LevelFit": "level",
    "LineFit": "tls",
    "RegressionFit": "likelihood",
    "fit_hedge": "likelihood",
    "fit_level": "level",
    "fit_regression": "likelihood",
    "fit_tls": "tls",
    "hedge_log_likelihood": "likelihood",
    "hedge_path": "report",
    "hedge_report": "report",
    "level_log_likelihood": "level",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"oneprice.signals.hedge has no attribute {name!r}: it has {', '.join(__all__)}")
    return getattr(import_module(f"oneprice.signals.hedge.{_NAMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
