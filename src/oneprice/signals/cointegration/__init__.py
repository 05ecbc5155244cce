"""Are series tied together: Engle-Granger (directly and over all pairs from moments), Johansen, Phillips-Ouliaris."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "basket_moments": "oneprice.signals.cointegration.baskets:basket_moments",
    "johansen_baskets": "oneprice.signals.cointegration.baskets:johansen_baskets",
    "EngleGranger": "oneprice.signals.cointegration.engle_granger:EngleGranger",
    "both_orders": "oneprice.signals.cointegration.engle_granger:both_orders",
    "engle_granger": "oneprice.signals.cointegration.engle_granger",
    "engle_granger_null": "oneprice.signals.cointegration.engle_granger:engle_granger_null",
    "Moments": "oneprice.signals.cointegration.gram:Moments",
    "pairs_chosen": "oneprice.signals.cointegration.gram:pairs_chosen",
    "pairs_fixed": "oneprice.signals.cointegration.gram:pairs_fixed",
    "pairs_within": "oneprice.signals.cointegration.gram:pairs_within",
    "prepare": "oneprice.signals.cointegration.gram:prepare",
    "Johansen": "oneprice.signals.cointegration.johansen:Johansen",
    "johansen": "oneprice.signals.cointegration.johansen",
    "johansen_null": "oneprice.signals.cointegration.johansen:johansen_null",
    "PhillipsOuliaris": "oneprice.signals.cointegration.phillips_ouliaris:PhillipsOuliaris",
    "phillips_ouliaris": "oneprice.signals.cointegration.phillips_ouliaris",
    "phillips_ouliaris_null": "oneprice.signals.cointegration.phillips_ouliaris:phillips_ouliaris_null",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"oneprice.signals.cointegration has no attribute {name!r}: it has {', '.join(__all__)}")
    module, _, attribute = _NAMES[name].partition(":")
    found = import_module(module)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return __all__
