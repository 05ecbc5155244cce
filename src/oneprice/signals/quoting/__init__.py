"""Where to quote: the price a maker is indifferent at, how far from it, and what fees, ticks and limits leave."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "QUOTING": "oneprice.signals.quoting.model:QUOTING",
    "exact": "oneprice.signals.quoting.exact",
    "glft": "oneprice.signals.quoting.glft",
    "glft_exact": "oneprice.signals.quoting.exact:glft_exact",
    "glft_half_spread": "oneprice.signals.quoting.glft:glft_half_spread",
    "glft_skew": "oneprice.signals.quoting.glft:glft_skew",
    "half_spread": "oneprice.signals.quoting.stoikov:half_spread",
    "inventory_target": "oneprice.signals.quoting.stoikov:inventory_target",
    "model": "oneprice.signals.quoting.model",
    "reservation": "oneprice.signals.quoting.stoikov:reservation",
    "rules": "oneprice.signals.quoting.rules",
    "sigma": "oneprice.signals.quoting.sigma",
    "sigma_of": "oneprice.signals.quoting.sigma:sigma_of",
    "skew": "oneprice.signals.quoting.skew",
    "stoikov": "oneprice.signals.quoting.stoikov",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"oneprice.signals.quoting has no attribute {name!r}: it has {', '.join(__all__)}")
    module, _, attribute = _NAMES[name].partition(":")
    found = import_module(module)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return __all__
