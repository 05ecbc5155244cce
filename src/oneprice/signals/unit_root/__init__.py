"""Is there a unit root: ADF and KPSS with simulated nulls beside the published response surfaces."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "UnitRoot": "oneprice.signals.unit_root.result:UnitRoot",
    "adf": "oneprice.signals.unit_root.adf",
    "kpss": "oneprice.signals.unit_root.kpss",
    "Null": "oneprice.signals.unit_root.null:Null",
    "adf_null": "oneprice.signals.unit_root.null:adf_null",
    "kpss_null": "oneprice.signals.unit_root.null:kpss_null",
    "p_text": "oneprice.signals.unit_root.null:p_text",
    "mackinnon_critical": "oneprice.signals.unit_root.surfaces:mackinnon_critical",
    "mackinnon_p": "oneprice.signals.unit_root.surfaces:mackinnon_p",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"oneprice.signals.unit_root has no attribute {name!r}: it has {', '.join(__all__)}")
    module, _, attribute = _NAMES[name].partition(":")
    found = import_module(module)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return __all__
