"""Layer 5: the gate before an order, the ledger and attribution after a fill, and halts."""

from oneprice.risk.closure import attribution_table, close_check, overlay_table
from oneprice.risk.limits import LegLimits, Limits, fill_limits, limits_from
from oneprice.risk.records import account_names, sections
from oneprice.risk.setup import init

__all__ = [
    "LegLimits",
    "Limits",
    "account_names",
    "attribution_table",
    "close_check",
    "fill_limits",
    "init",
    "limits_from",
    "overlay_table",
    "sections",
]
