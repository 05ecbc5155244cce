"""`race.html`: win probability against our latency, what the race earned and what losing it cost."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path

import numpy as np

from oneprice.dashboard.exhibits import Table
from oneprice.dashboard.html import own_header, table
from oneprice.dashboard.quoting_page import curves
from oneprice.dashboard.style import CSS
from oneprice.study.race import LAG_S, Races

AT_ZERO_MS = 0.03  # where a latency of 0 is drawn on a logarithmic axis


def write_race_page(found: Races, out: str | Path) -> Path:
    """Write the page (whole or not at all); returns its path."""
    target = Path(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_suffix(".tmp")
    scratch.write_text(race_page(found), encoding="utf-8")
    scratch.replace(target)
    return target


def race_page(found: Races) -> str:
    """The page as text."""
    title = f"The race for {found.laggard}, led by {found.leader}"
    across = f"one-way latency, ms (0 is drawn at {AT_ZERO_MS:g})"
    x = np.array([max(r.latency_ms, AT_ZERO_MS) for r in found.rows])
    won = [
        ("won", x, np.array([100.0 * r.win_probability for r in found.rows])),
        ("stood: one set of quotes, so long after", x, np.array([100.0 * r.stood for r in found.rows])),
    ]
    fee = [
        ("break-even taker fee", x, np.array([r.break_even_fee_bp for r in found.rows])),
        ("taker fee of the venue", x, np.full(len(x), found.taker_bp)),
    ]
    parts = [
        f"<h1>{escape(title)}</h1><p class='lead'>{escape(found.verdict)}</p>",
        own_header(found.header),
        _section("Win probability", curves(won, "races won, %", across) + f"<p>{NOTE}</p>"),
        _section("What it is worth", curves(fee, "bp a fill", across)),
        _section("Races", table(races_table(found))),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )


NOTE = (
    "A race is one order for one quote that looked stale. Won: it stood when the order arrived. Lost: it had gone. Run "
    "over: it had gone, and the order filled because the price came back through its limit."
)


def races_table(found: Races) -> Table:
    """One row a latency."""
    columns = ["latency ms", "stood %", "races", "won", "lost", "run over", "won %", "won bp", "run over bp"]
    columns += ["missed bp", "gross", "fees", "net", "break-even bp"]
    rows = [
        [
            r.latency_ms, _cell(100.0 * r.stood), r.orders, r.won, r.lost, r.run_over,
            _cell(100.0 * r.win_probability), _cell(r.won_bp), _cell(r.run_over_bp), _cell(r.missed_bp),
            r.gross, r.fee, r.net, _cell(r.break_even_fee_bp),
        ]
        for r in found.rows
    ]  # fmt: skip
    note = f"Earned by the mid {LAG_S:g} s after arrival, before fees; missed: what the lost ones would have earned."
    note = " ".join([note, *found.refusals])
    return Table("", columns, rows, empty="no race", note=note)


def _cell(x: float) -> float | str:
    return x if math.isfinite(x) else "–"


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"
