"""Common factors of many returns by principal components, and what is left: residuals that revert, as s-scores."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "Factors": "oneprice.signals.factors.pca:Factors",
    "RuleRun": "oneprice.signals.factors.rule:RuleRun",
    "Scores": "oneprice.signals.factors.avellaneda_lee:Scores",
    "next_position": "oneprice.signals.factors.avellaneda_lee:next_position",
    "pca_factors": "oneprice.signals.factors.pca:pca_factors",
    "residual_scores": "oneprice.signals.factors.avellaneda_lee:residual_scores",
    "rolling_factors": "oneprice.signals.factors.pca:rolling_factors",
    "rolling_scores": "oneprice.signals.factors.avellaneda_lee:rolling_scores",
    "run_rule": "oneprice.signals.factors.rule:run_rule",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"oneprice.signals.factors has no attribute {name!r}: it has {', '.join(__all__)}")
    module, _, attribute = _NAMES[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return __all__
