"""One history of calendar spreads traded twice: as two legs, and as the exchange's listed spread.

Each replay opens what pays beyond its own costs, so the cheaper way trades more; what the same fills would have cost
the other way is in `TermRun.crossings`. Both half spreads are assumed, so this says what the assumption is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from oneprice.market.settlements import Settlements
from oneprice.study.term_fit import LEGS, LISTED_SPREAD, StripRules
from oneprice.study.term_parts import PARTS
from oneprice.study.term_replay import TermRun, replay_term

WAYS = (LEGS, LISTED_SPREAD)
TOLD = {LEGS: "two legs", LISTED_SPREAD: "listed"}


class TwoWays(msgspec.Struct, frozen=True, eq=False):
    """The two replays; `rows` has for each the trades, fills, parts, gross (without cost) and total in money."""

    legs: TermRun
    listed: TermRun

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where the journals are; empty where none was asked for."""
        return tuple(r.run.folder for r in (self.legs, self.listed) if r.run.folder is not None)

    @property
    def rows(self) -> dict[str, dict[str, float]]:
        """Figures by way."""
        out = {}
        for way, run in zip(WAYS, (self.legs, self.listed), strict=True):
            parts = run.parts.totals()
            counts = {"trades": float(len(run.parts.trades)), "fills": float(len(run.run.fills()))}
            out[way] = {**counts, **parts, "gross": parts["total"] - parts["cost"]}
        return out

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"rows": self.rows, LEGS: self.legs.to_dict(), LISTED_SPREAD: self.listed.to_dict()}

    def __str__(self) -> str:
        unit, rows = self.legs.parts.currency, self.rows
        lines = [f"term_structure, calendar, two ways ({self.legs.word}), {unit}; no P&L is claimed"]
        for run in (self.legs, self.listed):
            lines.append(f"  {TOLD[run.rules.spread if run.rules else LEGS]}: {run.tapes[-1].header.claim_why}")
        lines.append(f"  {'':<10}" + "".join(f"{TOLD[way]:>18}" for way in WAYS))
        for name in ("trades", "fills"):
            lines.append(f"  {name:<10}" + "".join(f"{rows[way][name]:>18,.0f}" for way in WAYS))
        for name in (*PARTS, "gross", "total"):
            lines.append(f"  {name:<10}" + "".join(f"{rows[way][name]:>18,.2f}" for way in WAYS))
        exact = self.legs.parts.exact and self.listed.parts.exact
        lines.append(f"  parts sum to the ledger {'exactly, both ways' if exact else 'NOT'}")
        if self.listed.crossings is not None:
            lines.append(f"  {self.listed.crossings.text(unit)}")
        return "\n".join([*lines, *(f"  {note}" for note in self.legs.notes[:4])])


def compare_ways(
    panels: Settlements | Sequence[Settlements], *, rules: StripRules, out: str | Path | None = None, **how: Any
) -> TwoWays:
    """Both replays of the settlements; `how` as `replay_term`, `out`: journals go to out/legs and out/listed.

    Raises as `replay_term`.
    """
    two = []
    for way in WAYS:
        folder = None if out is None else Path(out) / way
        two.append(replay_term(panels, rules=msgspec.structs.replace(rules, spread=way), out=folder, **how))
    return TwoWays(*two)
