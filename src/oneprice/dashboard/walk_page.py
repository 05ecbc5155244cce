"""`walk.html`: the funnel of a walk-forward, gross and net, and a page a pair; one self-contained file."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from oneprice.dashboard import svg
from oneprice.dashboard.charts import Line, Mark, Plot, bars, time_chart, waterfall
from oneprice.dashboard.exhibits import Table
from oneprice.dashboard.html import cards, own_header, table
from oneprice.dashboard.style import CSS, SCRIPT
from oneprice.market.prices_read import time_text
from oneprice.study.walk_report import WalkForward
from oneprice.study.walk_text import eras_table, funnel_table, left_out_lines, pairs_table

SHOWN = 12  # pairs with a page of their own


def write_walk_page(walk: WalkForward, out: str | Path) -> Path:
    """Write the page (whole or not at all); returns its path."""
    target = Path(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_suffix(".tmp")
    scratch.write_text(walk_page(walk), encoding="utf-8")
    scratch.replace(target)
    return target


def walk_page(walk: WalkForward) -> str:
    """The page as text."""
    header = walk.header
    answer = "Yes" if header.claim else "No"
    title = f"{walk.strategy.name}, walked forward: train {walk.spans[0]}, step {walk.spans[1]}"
    year = math.sqrt(walk.bars_year())
    parts = [
        f"<h1>{escape(title)}</h1><p class='lead'>{escape(header.period)}, {escape(header.source)}</p>",
        f'<div class="claim{" yes" if header.claim else ""}"><b>Can P&amp;L be claimed? {answer}.</b>'
        f"{escape(header.claim_why)}</div>",
        cards(figures(walk)),
        own_header({**dict(header.lines()), "tries": str(walk.tries)}),
        _section("The funnel", _table(funnel_table(walk), FUNNEL_NOTE)),
        _section("Gross and net", _chart(equity_plot(walk)) + _table(eras_table(walk, year), "")),
        _section("Where it came from", f'<div class="chart">{causes(walk)}</div>'),
        _section("Pairs", _table(pairs_table(walk, most=10_000), "amounts are those of the ledger, pair by pair")),
        *(pair_section(p) for p in walk.pages()[:SHOWN]),
        _section("Refused", refused(walk)),
        _section("Left out", left_out(walk)),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head><body><main>{''.join(parts)}</main>"
        f"<script>{SCRIPT}</script></body></html>\n"
    )


FUNNEL_NOTE = (
    "by chance: how many tests would be nominal discoveries if no two series were tied together; survive: what is left "
    "after the correction for all tests of the window; slots: of these, what was expected to earn more than its costs "
    "and shares no asset."
)


def figures(walk: WalkForward) -> list[tuple[str, str, str]]:
    """(label, value, unit) at the top of the page."""
    m, dsr, _ = walk.sharpe()
    rows = walk.funnel()
    year = math.sqrt(walk.bars_year())
    return [
        ("tests", f"{sum(r.tests for r in rows):,}", f"{len(rows)} windows"),
        ("nominal", f"{sum(r.nominal for r in rows):,}", f"{sum(r.by_chance for r in rows):,.0f} by chance"),
        ("survive", f"{sum(r.survivors for r in rows):,}", f"{sum(r.slots for r in rows):,} traded"),
        ("gross", svg.number_text(float(walk.gross.sum()), 0), ""),
        ("net", svg.number_text(float(walk.net.sum()), 0), ""),
        ("Sharpe net", svg.number_text(m.sharpe * year), f"a year, DSR {svg.number_text(dsr)}"),
    ]


def equity_plot(walk: WalkForward) -> Plot:
    """Gross and net P&L over time, requests of monitors marked."""
    x = walk.time_ns.astype(float)
    net, gross = np.cumsum(walk.net), np.cumsum(walk.gross)
    asked = np.array([w.at_ns for w in walk.windows if w.why == "drift"], float)
    at = np.minimum(np.searchsorted(x, asked), len(x) - 1)
    marks = [Mark("fit asked for by a monitor", asked, net[at], "dot", svg.QUIET)] if len(asked) else []
    return Plot("P&L", "report currency", [Line("gross", x, gross), Line("net", x, net)], marks=marks, zero=True)


def causes(walk: WalkForward) -> str:
    """P&L by cause as a waterfall."""
    pnl = walk.pnl()
    parts = [(c, v) for c, v in pnl.items() if v and c != "total"]
    return waterfall(parts, ("total", pnl["total"]), unit="") if parts else '<p class="none">nothing was traded</p>'


def pair_section(page: dict[str, Any]) -> str:
    """One pair: its P&L, its trades, and how it was fitted each time."""
    row = page["pair"]
    x = page["time_ns"].astype(float)
    name = "/".join(row["symbols"])
    plot = Plot(name, "report currency", [Line("gross", x, page["gross"]), Line("net", x, page["net"])], zero=True)
    marks = []
    for label, side, shape, colour in (
        ("long the spread", 1, "up", svg.GOOD),
        ("short the spread", -1, "down", svg.BAD),
    ):
        at = np.array([t.open_ns for t in page["trades"] if t.side == side], float)
        if len(at):
            row_at = np.minimum(np.searchsorted(x, at), len(x) - 1)
            marks.append(Mark(label, at, page["net"][row_at], shape, colour))
    plot = Plot(plot.title, plot.unit, plot.lines, marks=marks, zero=True)
    columns = ["fitted", "why", "hedge", "weights", "half-life", "sigma", "entry", "exit"]
    rows = [
        [
            time_text(f["at_ns"])[:10], ": ".join(x for x in (f["why"], f["asked"]) if x),
            "dynamic" if f["dynamic"] else "static", ", ".join(f"{w:.4f}" for w in f["weights"]),
            f"{math.log(2.0) / f['kappa']:.1f}", f"{f['sigma']:.4g}", f"{f['entry']:.2f}", f"{f['exit']:.2f}",
        ]
        for f in page["fits"]
    ]  # fmt: skip
    lead = (
        f"{row['trades']} trades, {row['won']} won, {row['open']} open at the end, gross {row['gross']:,.0f}, "
        f"net {row['net']:,.0f} ({row['space']})"
    )
    return _section(name, f"<p>{escape(lead)}</p>{_chart(plot)}{_table((columns, rows), '')}")


def refused(walk: WalkForward) -> str:
    """Refused orders and packages by reason, with the reason's count."""
    found = [(name, float(n)) for name, n in walk.refused().items()]
    return f'<div class="chart">{bars(found, unit="")}</div>' if found else '<p class="none">nothing was refused</p>'


def left_out(walk: WalkForward) -> str:
    """Notes, exclusions and flags of the panel, and the series that windows left out, with reasons."""
    lines = left_out_lines(walk, most=10_000)
    items = "".join(f"<li>{escape(line.strip())}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else '<p class="none">nothing was left out</p>'


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _chart(plot: Plot) -> str:
    return f'<div class="chart">{time_chart(plot)}</div>'


def _table(content: tuple[list[str], list[list[str]]], note: str) -> str:
    columns, rows = content
    return table(Table("", columns, rows, empty="nothing", note=note))
