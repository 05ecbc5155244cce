"""Curves of rates: nodes or a formula, one discount function, and rates whose compounding is always named."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "Curve": "oneprice.signals.curve.curve:Curve",
    "make_curve": "oneprice.signals.curve.curve:make_curve",
    "Svensson": "oneprice.signals.curve.parametric:Svensson",
    "fit_svensson": "oneprice.signals.curve.fit_svensson:fit_svensson",
    "diebold_li": "oneprice.signals.curve.fit_svensson:diebold_li",
    "bootstrap": "oneprice.signals.curve.bootstrap:bootstrap",
    "Quote": "oneprice.signals.curve.bootstrap:Quote",
    "zero_rate": "oneprice.signals.curve.rates:zero_rate",
    "forward_rate": "oneprice.signals.curve.rates:forward_rate",
    "par_rate": "oneprice.signals.curve.rates:par_rate",
    "Bond": "oneprice.signals.curve.bonds:Bond",
    "bonds": "oneprice.signals.curve.bonds",
    "delivery": "oneprice.signals.curve.delivery",
    "roll_yield": "oneprice.signals.curve.roll:roll_yield",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"oneprice.signals.curve has no attribute {name!r}: it has {', '.join(__all__)}")
    module, _, attribute = _NAMES[name].partition(":")
    found = import_module(module)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return __all__
