"""oneprice: finds the places where one asset has two prices, trades them as one package, proves every cent.

The public names, lazily loaded; nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_NAMES = {
    "Fees": "oneprice.core.instruments",
    "Instrument": "oneprice.core.instruments",
    "Tape": "oneprice.market.tape",
    "TapeSet": "oneprice.market.tapeset",
    "tape": "oneprice.market.tapeset:open_tapes",
    "Prices": "oneprice.market.prices",
    "load": "oneprice.market.prices",
    "strategy": "oneprice.execution.strategy",
    "fresh": "oneprice.execution.intents",
    "package": "oneprice.execution.intents",
    "package_begin": "oneprice.execution.intents",
    "package_leg": "oneprice.execution.intents",
    "quote": "oneprice.execution.intents",
    "target": "oneprice.execution.intents",
    "timer": "oneprice.execution.intents",
    "cancel": "oneprice.execution.intents",
    "cancel_all": "oneprice.execution.intents",
    "refit": "oneprice.execution.intents",
    "net_edge_bp": "oneprice.signals.ladder",
    "size_at_zero_edge": "oneprice.signals.ladder",
    "mid_gap_bp": "oneprice.signals.ladder",
    "PackagePolicy": "oneprice.execution.package",
    "FillModel": "oneprice.execution.venue",
    "Limits": "oneprice.risk.limits",
    "LegLimits": "oneprice.risk.limits",
    "Settings": "oneprice.engine.state",
    "Allocation": "oneprice.risk.allocation",
    "Candidate": "oneprice.risk.allocation",
    "allocate": "oneprice.risk.allocation",
    "budgets": "oneprice.risk.allocation",
    "neutral_lots": "oneprice.execution.neutral",
    "with_borrow": "oneprice.market.corporate",
    "with_dividends": "oneprice.market.corporate",
    "with_status": "oneprice.market.corporate",
    "Fit": "oneprice.modes.fit",
    "Run": "oneprice.modes.run",
    "replay": "oneprice.modes.replay",
    "paper": "oneprice.modes.paper",
    "recover": "oneprice.modes.recover",
    "reconcile": "oneprice.modes.reconcile",
    "Faults": "oneprice.modes.faults",
    "faulty": "oneprice.modes.faults",
    "rerun": "oneprice.modes.rerun",
    "audit": "oneprice.study.audit",
    "screen": "oneprice.study.screen",
    "sweep": "oneprice.study.sweep",
    "walk_forward": "oneprice.study.walk_forward",
    "calibrate": "oneprice.study.fit_making",
    "making": "oneprice.study.making",
    "races": "oneprice.study.race",
    "fill_truth": "oneprice.study.fill_truth",
    "audit_strip": "oneprice.study.term_audit",
    "replay_term": "oneprice.study.term_replay",
    "replay_carry": "oneprice.study.term_carry",
    "replay_quotes": "oneprice.study.term_quotes",
    "Relation": "oneprice.signals.parity.relations",
    "PairSelection": "oneprice.study.walk_fit",
    "Slot": "oneprice.signals.slots",
    "bar_tapes": "oneprice.market.bars",
    "Ban": "oneprice.market.bars",
    "check": "oneprice.study.check",
    "report": "oneprice.dashboard.html:write_report",
    "verify": "oneprice.study.verify",
    "two_venues": "oneprice.market.synthetic",
}
_ROOMS = {
    "latency": "oneprice.execution.latency",
    "strategies": "oneprice.strategies",
    "errors": "oneprice.core.errors",
}

__all__ = sorted([*_NAMES, *_ROOMS, "__version__"])


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(_ROOMS[name])
    if name not in _NAMES:
        raise AttributeError(f"module 'oneprice' has no attribute {name!r}: it has {', '.join(__all__)}")
    module, _, attribute = _NAMES[name].partition(":")
    return getattr(import_module(module), attribute or name)


def __dir__() -> list[str]:
    return __all__
