"""How often orders arrive at a distance from the mid, lambda(d) = A exp(-k d), and when a tape cannot tell."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "Counts": "oneprice.signals.intensity.count:Counts",
    "Intensity": "oneprice.signals.intensity.fit:Intensity",
    "count": "oneprice.signals.intensity.count",
    "count_arrivals": "oneprice.signals.intensity.count:count_arrivals",
    "fit": "oneprice.signals.intensity.fit",
    "fit_intensity": "oneprice.signals.intensity.fit:fit_intensity",
    "fit_reaches": "oneprice.signals.intensity.reach:fit_reaches",
    "reach": "oneprice.signals.intensity.reach",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"oneprice.signals.intensity has no attribute {name!r}: it has {', '.join(__all__)}")
    module, _, attribute = _NAMES[name].partition(":")
    found = import_module(module)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return __all__
