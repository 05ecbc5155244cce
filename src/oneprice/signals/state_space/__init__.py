"""Curves that move by a few hidden factors: linear state-space models, filtered and fitted by likelihood."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "SchwartzSmith": "oneprice.signals.state_space.schwartz_smith:SchwartzSmith",
    "fit_schwartz_smith": "oneprice.signals.state_space.schwartz_smith:fit_schwartz_smith",
    "run_schwartz_smith": "oneprice.signals.state_space.schwartz_smith:run_schwartz_smith",
    "Refit": "oneprice.signals.state_space.refit:Refit",
    "refit_schwartz_smith": "oneprice.signals.state_space.refit:refit_schwartz_smith",
    "DieboldLi": "oneprice.signals.state_space.diebold_li:DieboldLi",
    "fit_dynamic": "oneprice.signals.state_space.diebold_li:fit_dynamic",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"oneprice.signals.state_space has no attribute {name!r}: it has {', '.join(__all__)}")
    module, _, attribute = _NAMES[name].partition(":")
    found = import_module(module)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return __all__
