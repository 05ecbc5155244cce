"""How far a spread must be before it is traded, and where it is closed: optimal bands net of cost."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "Band": "oneprice.signals.thresholds.band:Band",
    "bertram": "oneprice.signals.thresholds.bertram",
    "kappa_nodes": "oneprice.signals.thresholds.uncertain:kappa_nodes",
    "leung_li": "oneprice.signals.thresholds.leung_li",
    "minimum_profit": "oneprice.signals.thresholds.minimum_profit",
    "uncertain": "oneprice.signals.thresholds.uncertain",
    "uncertain_band": "oneprice.signals.thresholds.uncertain:uncertain_band",
    "uncertain_trade": "oneprice.signals.thresholds.uncertain_trade",
    "zeng_lee": "oneprice.signals.thresholds.zeng_lee",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"oneprice.signals.thresholds has no attribute {name!r}: it has {', '.join(__all__)}")
    module, _, attribute = _NAMES[name].partition(":")
    found = import_module(module)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return __all__
