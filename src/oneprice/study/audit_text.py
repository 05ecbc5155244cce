"""An audit as text: what is there most of the time, then one line a class, then the verdict."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oneprice.study.audit import Audit, ClassRow

COLUMNS = ("buy", "sell", "class", "gaps", "time", "life", "depth", "gross bp", "net inv", "net conv")


def table(found: Audit) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the class table, all text."""
    latency = [f"{ms:g} ms" if ms < 1e3 else life(ms) for ms in found.settings.latency_ms]
    columns = [*COLUMNS, *(f"left/pays {name}" for name in latency), "break-even fee"]
    return columns, [_cells(r) for r in found.rows]


def render(found: Audit) -> str:
    """The whole audit as plain text."""
    lines = []
    for d in found.directions:
        share = f"{100.0 * d.gap_share:.2f} % of {d.live_s:,.0f} s"
        lines.append(
            f"buy {d.buy}, sell {d.sell}: bid above ask {share}, mids differ by {d.slow_bp:+.2f} bp (median)"
        )
    columns, rows = table(found)
    widths = [max(len(r[i]) for r in [columns, *rows]) for i in range(len(columns))]
    lines.append("")
    for row in [columns, *rows]:
        cells = [
            c.ljust(w) if i < 3 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    lines += [f"note: {n}" for n in found.notes]
    lines.append(f"verdict: {found.verdict}")
    return "\n".join(lines)


def life(ms: float) -> str:
    """A duration as a reader says it."""
    if ms < 1.0:
        return f"{1e3 * ms:.0f} us"
    if ms < 1e3:
        return f"{ms:.0f} ms"
    if ms < 3.6e6:
        return f"{ms / 1e3:,.1f} s"
    return f"{ms / 3.6e6:,.1f} h"


def _cells(r: ClassRow) -> list[str]:
    captured = [f"{100.0 * r.alive[ms]:.0f}/{100.0 * r.captured[ms]:.0f} %" for ms in r.alive]
    return [
        r.buy,
        r.sell,
        r.label,
        f"{r.count:,}",
        f"{100.0 * r.time_share:.3g} %",
        life(r.life_ms),
        "none" if math.isnan(r.qty) or r.qty == 0.0 else f"{r.qty:.4g}",
        f"{r.gross_bp:.2f}",
        f"{r.net_bp['inventory']:.2f}",
        f"{r.net_bp['converge']:.2f}",
        *captured,
        f"{r.break_even_fee_bp:.2f} bp",
    ]
