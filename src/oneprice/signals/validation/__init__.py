"""Layer 3, selection control: what is left of a result once the number of tries behind it is counted."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "Family": "oneprice.signals.validation.multiplicity:Family",
    "adjusted": "oneprice.signals.validation.multiplicity:adjusted",
    "adjusted_by_group": "oneprice.signals.validation.multiplicity:adjusted_by_group",
    "judge": "oneprice.signals.validation.multiplicity:judge",
    "null_share": "oneprice.signals.validation.multiplicity:null_share",
    "one_per_pair": "oneprice.signals.validation.multiplicity:one_per_pair",
    "Moments": "oneprice.signals.validation.deflated:Moments",
    "moments": "oneprice.signals.validation.deflated:moments",
    "expected_max": "oneprice.signals.validation.deflated:expected_max",
    "expected_max_exact": "oneprice.signals.validation.deflated:expected_max_exact",
    "probabilistic_sharpe": "oneprice.signals.validation.deflated:probabilistic_sharpe",
    "deflated_sharpe": "oneprice.signals.validation.deflated:deflated_sharpe",
    "sharpe_error": "oneprice.signals.validation.deflated:sharpe_error",
    "aggregated_sharpe": "oneprice.signals.validation.deflated:aggregated_sharpe",
    "min_track_record": "oneprice.signals.validation.record_length:min_track_record",
    "min_backtest_length": "oneprice.signals.validation.record_length:min_backtest_length",
    "most_tries": "oneprice.signals.validation.record_length:most_tries",
    "Overfit": "oneprice.signals.validation.overfit:Overfit",
    "backtest_overfit": "oneprice.signals.validation.overfit:backtest_overfit",
    "Superior": "oneprice.signals.validation.spa:Superior",
    "superior_ability": "oneprice.signals.validation.spa:superior_ability",
    "Split": "oneprice.signals.validation.splits:Split",
    "walk_forward": "oneprice.signals.validation.splits:walk_forward",
    "purged_kfold": "oneprice.signals.validation.splits:purged_kfold",
    "combinatorial": "oneprice.signals.validation.splits:combinatorial",
    "paths": "oneprice.signals.validation.splits:paths",
    "triple_barrier": "oneprice.signals.validation.labels:triple_barrier",
    "uniqueness": "oneprice.signals.validation.labels:uniqueness",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"oneprice.signals.validation has no attribute {name!r}: it has {', '.join(__all__)}")
    module, _, attribute = _NAMES[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return __all__
