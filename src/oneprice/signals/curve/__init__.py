"""Curves of rates: nodes or a formula, one discount function, and rates whose compounding is always named."""

from __future__ import annotations

from importlib import import_module
from typing import Any

# named as their files are, and loading a file puts the module in the place of its name: these two are bound at once
from oneprice.signals.curve.bootstrap import bootstrap as bootstrap
from oneprice.signals.curve.fit_svensson import fit_svensson as fit_svensson

_NAMES = {
    "Curve": "oneprice.signals.curve.curve:Curve",
    "make_curve": "oneprice.signals.curve.curve:make_curve",
    "Svensson": "oneprice.signals.curve.parametric:Svensson",
    "diebold_li": "oneprice.signals.curve.fit_svensson:diebold_li",
    "Quote": "oneprice.signals.curve.bootstrap:Quote",
    "zero_rate": "oneprice.signals.curve.rates:zero_rate",
    "forward_rate": "oneprice.signals.curve.rates:forward_rate",
    "par_rate": "oneprice.signals.curve.rates:par_rate",
    "Bond": "oneprice.signals.curve.bonds:Bond",
    "bonds": "oneprice.signals.curve.bonds",
    "delivery": "oneprice.signals.curve.delivery",
    "roll_yield": "oneprice.signals.curve.roll:roll_yield",
}

__all__ = sorted([*_NAMES, "bootstrap", "fit_svensson"])


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"oneprice.signals.curve has no attribute {name!r}: it has {', '.join(__all__)}")
    module, _, attribute = _NAMES[name].partition(":")
    found = import_module(module)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return __all__
