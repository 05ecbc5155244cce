"""Books that name their orders: messages of single orders become BOOK and TRADE rows with order, stamp and maker."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "MESSAGE": "oneprice.market.orders.records:MESSAGE",
    "Orders": "oneprice.market.orders.table:Orders",
    "Place": "oneprice.market.orders.table:Place",
    "TROUBLES": "oneprice.market.orders.records:TROUBLES",
    "incidents_of": "oneprice.market.orders.table:incidents_of",
    "levels_of": "oneprice.market.orders.table:levels_of",
    "messages_of": "oneprice.market.orders.feed:messages_of",
    "new_orders": "oneprice.market.orders.table:new_orders",
    "place_of": "oneprice.market.orders.table:place_of",
    "queue_of": "oneprice.market.orders.table:queue_of",
    "rows_of": "oneprice.market.orders.feed:rows_of",
    "snapshot_rows": "oneprice.market.orders.feed:snapshot_rows",
    "troubles_of": "oneprice.market.orders.table:troubles_of",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"oneprice.market.orders has no attribute {name!r}: it has {', '.join(__all__)}")
    module, _, attribute = _NAMES[name].partition(":")
    return getattr(import_module(module), attribute)
