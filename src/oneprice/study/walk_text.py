"""The text of a walk-forward: what a person reads first."""

from __future__ import annotations

import math
from typing import Any

from oneprice.market.prices_read import time_text

SHOWN = 12  # pairs and windows before the rest is counted


def text(walk: Any) -> str:
    """Header, funnel, P&L by cause, eras, pairs and refusals of a WalkForward."""
    m, dsr, bar = walk.sharpe()
    year = math.sqrt(walk.bars_year())
    lines = [f"{walk.strategy.name}: train {walk.spans[0]}, step {walk.spans[1]}, {walk.tries} walk-forwards tried"]
    lines += [f"  {label}: {value}" for label, value in walk.header.lines()]
    lines += left_out_lines(walk)
    lines += ["", *_table(*funnel_table(walk))]
    kept_out = ", ".join(f"{why} {n:,}" for why, n in walk.not_traded().items())
    lines += [f"survivors not traded: {kept_out}"] if kept_out else []
    lines += ["", "P&L by cause"]
    told = [(c, v) for c, v in walk.pnl().items() if v or c == "total"]
    lines += [f"  {cause:<12}{value:>18,.2f}" for cause, value in told]
    lines += [f"  {'closes':<12}{'exactly' if walk.closes() else 'NOT':>18}", ""]
    lines += _table(*eras_table(walk, year))
    lines += ["", *_table(*pairs_table(walk))]
    ratio = f"{m.sharpe * year:.2f} a year" if math.isfinite(m.sharpe) else "none (nothing was traded)"
    lines += ["", f"net Sharpe {ratio}; luck alone over {walk.tries} tries: {_number(bar * year)}; DSR {_number(dsr)}"]
    asked = ", ".join(f"{name} {n}" for name, n in walk.asked().items())
    lines.append(
        f"turnover {walk.turnover_year():.2f} x capital a year, {walk.refits()} fits asked for by monitors"
        + (f" ({asked})" if asked else "")
    )
    refused = walk.refused()
    lines.append("refused: " + (", ".join(f"{name} {n:,}" for name, n in refused.items()) or "nothing"))
    return "\n".join(lines)


def left_out_lines(walk: Any, most: int = SHOWN) -> list[str]:
    """What was left out of the panel, what is suspicious in it, and which series windows left out, with reasons."""
    panel, windows = walk.panel, walk.left_out()
    lines = [f"  note: {note}" for note in panel.notes]
    lines += [f"  excluded {e.symbol}: {e.reason}" for e in panel.excluded]
    lines += [f"  flagged {f.symbol}: {f.kind}: {f.text}" for f in panel.flagged]
    lines += [
        f"  left out {r.symbol} in {r.windows} of {r.of} windows, first {time_text(r.first_ns)[:10]}: {r.reason}"
        for r in windows[:most]
    ]
    if len(windows) > most:
        names = ", ".join(r.symbol for r in windows[most:])
        lines.append(f"  left out of some windows, too: {names} (reasons: --json)")
    return lines


def funnel_table(walk: Any) -> tuple[list[str], list[list[str]]]:
    """(columns, rows of text) of the funnel."""
    columns = [
        "window", "series", "tests", "baskets", "by chance", "nominal", "survive", "slots", "of 3+ legs", "dynamic",
        "trades", "open", "gross", "net",
    ]  # fmt: skip
    rows = [
        [
            time_text(r.at_ns)[:10], f"{r.series}", f"{r.tests:,}", f"{r.baskets:,}", f"{r.by_chance:.1f}",
            f"{r.nominal}", f"{r.survivors}", f"{r.slots}", f"{r.basket_slots}", f"{r.dynamic_slots}", f"{r.trades}",
            f"{r.open}", f"{r.gross:,.0f}", f"{r.net:,.0f}",
        ]
        for r in walk.funnel()
    ]  # fmt: skip
    return columns, rows


def eras_table(walk: Any, year: float) -> tuple[list[str], list[list[str]]]:
    """(columns, rows of text) of the eras; `year` is the root of the bars in a year."""
    columns = ["era", "bars", "trades", "gross", "costs", "net", "SR gross", "SR net", "DSR"]
    rows = [
        [
            f"{time_text(r.first_ns)[:10]}..{time_text(r.last_ns - 1)[:10]}", f"{r.bars:,}", f"{r.trades}",
            f"{r.gross:,.0f}", f"{r.costs:,.0f}", f"{r.net:,.0f}", _number(r.sharpe_gross * year),
            _number(r.sharpe_net * year), _number(r.deflated),
        ]
        for r in walk.eras()
    ]  # fmt: skip
    return columns, rows


def pairs_table(walk: Any, most: int = SHOWN) -> tuple[list[str], list[list[str]]]:
    """(columns, rows of text) of the traded pairs, the best and the worst where there are more than `most`."""
    columns = ["relation", "space", "windows", "dynamic", "trades", "open", "won", "gross", "net"]
    rows = [
        [
            "/".join(r.symbols) or "-", r.space, f"{r.windows}", f"{r.dynamic}", f"{r.trades}", f"{r.open}", f"{r.won}",
            f"{r.gross:,.0f}", f"{r.net:,.0f}",
        ]
        for r in walk.pairs()
        if r.key
    ]  # fmt: skip
    if len(rows) > most:
        rows = [*rows[: most // 2], ["..."] + [""] * 8, *rows[-most // 2 :]]
    return columns, rows


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "-"


def _table(columns: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(r[i]) for r in [columns, *rows]) for i in range(len(columns))]
    return ["  ".join(c.rjust(w) for c, w in zip(r, widths, strict=True)) for r in [columns, *rows]]
