"""What a run leaves: rows, private events, the final state, and how they print."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from oneprice.core.manifest import Manifest
from oneprice.core.records import CAUSES, COMMAND, FILL_ROW, REASONS, REFUSED
from oneprice.engine.state import Engine
from oneprice.risk.closure import attribution_table, close_check


@dataclass(frozen=True)
class Run:
    """A finished run. `rows` is ROW[n], `events` the private EVENT[n] (answers, timers, models, operator)."""

    engine: Engine
    manifest: Manifest
    rows: np.ndarray
    events: np.ndarray
    n_market: int
    folder: Path | None = None
    venue: Any = None  # the simulated exchange half, for reconciliation
    extra: dict[str, Any] = field(default_factory=dict)

    def commands(self) -> np.ndarray:
        """Commands sent, ROW[n] in order."""
        return self.rows[self.rows["kind"] == COMMAND]

    def fills(self) -> np.ndarray:
        """Fills booked, ROW[n] in order."""
        return self.rows[self.rows["kind"] == FILL_ROW]

    def refusals(self) -> dict[str, int]:
        """Refused orders by reason."""
        codes = self.rows["code"][self.rows["kind"] == REFUSED]
        return {REASONS[c]: int(n) for c, n in zip(*np.unique(codes, return_counts=True), strict=True)}

    def pnl(self) -> dict[str, float]:
        """P&L by cause in the report currency, and its total; the parts sum to the change of equity."""
        units = dict.fromkeys(CAUSES, 0)
        for row in attribution_table(self.engine.arena, self.engine.scales):
            units[row["cause"]] += row["units"]
        units["total"] = sum(units.values())
        return {name: float(self.engine.scales.amount(self.report_currency, n)) for name, n in units.items()}

    @property
    def report_currency(self) -> str:
        return self.engine.scales.currencies[int(self.engine.state["ledger"]["report"])]

    def closes(self) -> int:
        """Equity minus capital minus the sum of causes, in ledger units: 0 or something is wrong."""
        return int(close_check(self.engine.arena))

    def to_dict(self) -> dict[str, Any]:
        """Figures of the run as plain values."""
        s = self.engine.state
        return {
            "strategies": [strategy.name for strategy in self.engine.strategies],
            "legs": list(self.engine.scales.symbols),
            "events": int(s["n_events"]),
            "market_rows": self.n_market,
            "commands": len(self.commands()),
            "fills": len(self.fills()),
            "refused": self.refusals(),
            "pnl": self.pnl(),
            "currency": self.report_currency,
            "closes_exactly": self.closes() == 0,
            "residual_units": self.closes(),
            "halt": ("active", "reducing", "halted")[int(s["halt"])],
            "open_orders": int(s["blotter"]["n_open_orders"]),
            "open_packages": int(s["blotter"]["n_open_packages"]),
            "positions": {
                symbol: int(leg["position_lots"])
                for symbol, leg in zip(self.engine.scales.symbols, self.engine.legs(), strict=True)
            },
            "folder": str(self.folder) if self.folder else None,
            "warnings": self.manifest.extra.get("warnings", []),
            **self.extra,
        }

    def summary(self) -> str:
        """The run as a text table: P&L by cause, which sums exactly, then orders and what was refused."""
        d = self.to_dict()
        unit = d["currency"]
        lines = [f"{', '.join(d['strategies'])} on {', '.join(d['legs'])}", ""]
        told = ((cause, value) for cause, value in d["pnl"].items() if value or cause == "total")
        lines += [f"  {cause:<12}{value:>18,.8f} {unit}" for cause, value in told]
        lines += [
            f"  {'closes':<12}{'exactly' if d['closes_exactly'] else 'NOT: ' + str(d['residual_units']):>18}",
            "",
            f"  {d['events']:,} events, {d['commands']:,} commands, {d['fills']:,} fills, state {d['halt']}",
        ]
        if d["refused"]:
            lines.append("  refused: " + ", ".join(f"{name} {n:,}" for name, n in d["refused"].items()))
        lines += [f"  warning: {text}" for text in d["warnings"]]
        flat = all(lots == 0 for lots in d["positions"].values())
        lines.append("  flat on every leg" if flat else f"  open positions (lots): {d['positions']}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.summary()
