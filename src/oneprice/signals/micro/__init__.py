"""Microstructure by batch: what the folds of features/ need to know first, fitted on a tape and tested."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "FlowBars": "oneprice.signals.micro.bars:FlowBars",
    "FlowFit": "oneprice.signals.micro.flow:FlowFit",
    "HawkesFit": "oneprice.signals.micro.hawkes:HawkesFit",
    "Microprice": "oneprice.signals.micro.microprice:Microprice",
    "RaceFit": "oneprice.signals.micro.race:RaceFit",
    "fit_flow": "oneprice.signals.micro.flow:fit_flow",
    "fit_hawkes": "oneprice.signals.micro.hawkes:fit_hawkes",
    "fit_microprice": "oneprice.signals.micro.microprice:fit_microprice",
    "fit_race": "oneprice.signals.micro.race:fit_race",
    "flow_bars": "oneprice.signals.micro.bars:flow_bars",
    "impact_by_depth": "oneprice.signals.micro.flow:impact_by_depth",
    "martingale_slope": "oneprice.signals.micro.microprice:martingale_slope",
    "simulate_hawkes": "oneprice.signals.micro.hawkes:simulate_hawkes",
    "touch_columns": "oneprice.signals.micro.bars:touch_columns",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"oneprice.signals.micro has no attribute {name!r}: it has {', '.join(__all__)}")
    module, _, attribute = _NAMES[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return __all__
