"""Does a spread come back, how fast, and how sure can one be: estimators beside what random walks would show."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "box_tiao": "oneprice.signals.reversion.box_tiao",
    "fit_ou": "oneprice.signals.reversion.ornstein:fit_ou",
    "fit_partial": "oneprice.signals.reversion.partial:fit_partial",
    "hurst": "oneprice.signals.reversion.hurst",
    "ornstein": "oneprice.signals.reversion.ornstein",
    "ou_block": "oneprice.signals.reversion.ornstein:ou_block",
    "partial": "oneprice.signals.reversion.partial",
    "slope_law": "oneprice.signals.reversion.slopes:slope_law",
    "sparse": "oneprice.signals.reversion.sparse",
    "sparse_basket": "oneprice.signals.reversion.sparse:sparse_basket",
    "variance_ratio": "oneprice.signals.reversion.variance_ratio",
    "walk_percentile": "oneprice.signals.reversion.ornstein:walk_percentile",
    "walk_slopes": "oneprice.signals.reversion.slopes:walk_slopes",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"oneprice.signals.reversion has no attribute {name!r}: it has {', '.join(__all__)}")
    module, _, attribute = _NAMES[name].partition(":")
    found = import_module(module)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return __all__
