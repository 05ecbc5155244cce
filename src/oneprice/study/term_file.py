"""`strips.json` beside a journal: the trades of a term structure by carry, roll, curve, residual and cost.

Sums are integers of the ledger, so whoever reads the file can add them up to the unit.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from oneprice.market.chains import day_text
from oneprice.market.settlement_tapes import DAY_NS
from oneprice.study.term_parts import PARTS, Parts, Trade

FILE = "strips.json"


def trade_row(trade: Trade) -> dict[str, Any]:
    """A trade in plain values, money in ledger units: its parts, its total, and the same of each leg."""
    return {
        "legs": list(trade.legs),
        "from": day_text(trade.first_ns // DAY_NS),
        "to": day_text(trade.last_ns // DAY_NS),
        "fills": trade.fills,
        "open": trade.open,
        **{name: int(units) for name, units in trade.units.items()},
        "total": int(trade.total),
        "by_leg": {leg: {n: int(v) for n, v in own.items()} for leg, own in trade.by_leg.items()},
    }


def strips_of(parts: Parts, kind: str, word: str, why: str, none: str = "") -> dict[str, Any]:
    """What the file holds: `unit` is what one ledger unit is worth in `currency`, `none` why there was no trade."""
    rows = [trade_row(t) for t in parts.trades]
    units = {name: sum(r[name] for r in rows) for name in (*PARTS, "total")}
    return {
        "kind": kind, "word": word, "claim_why": why, "currency": parts.currency, "unit": parts.unit,
        "exact": parts.exact, "units": units, "trades": rows, "none": none,
    }  # fmt: skip


def strips_text(found: dict[str, Any]) -> str:
    """The sums in lines, for the terminal."""
    unit, currency = found["unit"], found["currency"]
    lines = [f"{found['kind']} ({found['word']}): {len(found['trades'])} trades"]
    lines += [f"  {name:<10}{units * unit:>18,.2f} {currency}" for name, units in found["units"].items()]
    return "\n".join([*lines, f"  parts sum to the ledger {'exactly' if found['exact'] else 'NOT'}"])


def write_strips(found: dict[str, Any], folder: str | Path) -> Path:
    """Write into a run's folder, where the report finds it (whole or not at all)."""
    target = Path(folder) / FILE
    scratch = target.with_name(f".{FILE}.{os.getpid()}.tmp")
    scratch.write_text(json.dumps(found))
    os.replace(scratch, target)
    return target
