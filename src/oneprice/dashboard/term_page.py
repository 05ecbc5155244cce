"""The audit of a term structure as one self-contained page: curve with band, what lay outside, what prices imply."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from oneprice.dashboard import svg
from oneprice.dashboard.charts import Band, Line, Mark, Plot, time_chart
from oneprice.dashboard.exhibits import Exhibit, Table
from oneprice.dashboard.html import cards, own_header, table
from oneprice.dashboard.style import CSS, SCRIPT
from oneprice.market.chains import DAYS_A_YEAR, NO_BOUNDARY
from oneprice.study import term_audit_kernel as kernel
from oneprice.study.term_audit import TermAudit
from oneprice.study.term_audit_sources import DAY_NS
from oneprice.study.term_audit_text import headline

MOST_LINES = 5
MOST_EPISODES = 200


def write_term_page(audit: TermAudit, out: str | Path, *, day: Any = None) -> Path:
    """Write the page (whole or not at all), and its folder where it is missing; returns its path.

    `day` of the curve drawn: the worst when left out.
    """
    target = Path(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_suffix(".tmp")
    scratch.write_text(term_page(audit, day=day), encoding="utf-8")
    scratch.replace(target)
    return target


def term_page(audit: TermAudit, *, day: Any = None) -> str:
    """The page as text. Raises DataError for a day without a row."""
    p = audit.panel
    row = audit.worst_row() if day is None else audit.row_of(day)
    header = p.header
    answer = "Yes" if header.claim else "No"
    claim = f'<div class="claim{" yes" if header.claim else ""}"><b>Can P&amp;L be claimed? {answer}.</b>'
    says = " ".join(headline(audit))
    notes = "".join(f"<p>{escape(n)}</p>" for n in audit.notes)
    parts = [
        f"<h1>Term structure: {escape(p.label)}</h1>",
        f"<p class='lead'>boundary {escape(p.boundary)}, {escape(header.period)}</p>",
        claim + f"{escape(header.claim_why)}</div>",
        cards(figures(audit)),
        f"<p>{escape(says)}</p>",
        own_header(dict(header.lines())),
        f"<section><h2>What the bound is made of</h2>{table(input_table(audit))}</section>",
        curve_section(audit, row),
        f"<section><h2>Outside the band</h2>{chart(violations(audit))}{table(episode_table(audit))}</section>"
        if p.boundary != NO_BOUNDARY
        else "",
        f"<section><h2>What prices imply</h2>{''.join(chart(x) for x in histories(audit))}</section>",
        f"<section><h2>By place</h2>{table(place_table(audit))}</section>",
        f"<section><h2>Notes</h2>{notes or '<p class=none>none</p>'}</section>",
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>term structure: {escape(p.label)}</title><style>{CSS}</style></head><body><main>{''.join(parts)}"
        f"</main><script>{SCRIPT}</script></body></html>\n"
    )


def chart(plot: Plot) -> str:
    """A drawing in its box."""
    return f'<div class="chart">{time_chart(plot)}</div>'


def figures(audit: TermAudit) -> list[tuple[str, str, str]]:
    """(label, value, unit) at the top of the page."""
    p = audit.panel
    share = audit.share_of_rows
    worst = audit.worst_row()
    x = audit.out[kernel.OUTSIDE][worst]
    j = int(np.nanargmax(np.abs(x))) if np.isfinite(x).any() else 0
    farthest = f"{x[j]:.4g}" if np.isfinite(x).any() and x[j] else "none"
    shown = [
        ("rows", f"{len(p):,}", ""),
        ("prices held against a bound", f"{int(audit.compared.sum()):,}", ""),
        ("word", audit.word, ""),
    ]
    if p.boundary != NO_BOUNDARY:
        shown += [
            ("rows with one outside", f"{100 * share:.1f}" if math.isfinite(share) else "–", "%"),
            ("episodes", f"{len(audit.rows):,}", ""),
            ("farthest outside", farthest, f"{p.unit}, {audit.stamp(worst)}" if farthest != "none" else ""),
        ]
    return shown


def input_table(audit: TermAudit) -> Table:
    """Each input and where it comes from."""
    return Table("", ["input", "from"], [[k, v] for k, v in audit.inputs.items()])


def curve_section(audit: TermAudit, row: int) -> str:
    """The strip of one row over its expiries, with the band of each contract."""
    plot = curve_plot(audit, row)
    tables = table(day_table(audit, row)) + (table(part_table(audit, row)) if audit.part_rows(row) else "")
    return f"<section><h2>The strip on {audit.stamp(row)}</h2>{chart(plot)}{tables}</section>"


def curve_plot(audit: TermAudit, row: int) -> Plot:
    """Prices by expiry: band shaded, contracts outside marked."""
    p = audit.panel
    good = np.flatnonzero((p.key[row] >= 0) & np.isfinite(p.price[:, row]).all(axis=0))
    years = np.where(np.isfinite(p.years[row, good]), p.years[row, good], 0.0)
    x = (p.time_ns[row] + years * DAYS_A_YEAR * DAY_NS).astype(np.int64)
    order = np.argsort(x, kind="stable")
    good, x = good[order], x[order]
    mid = 0.5 * (p.price[0, row, good] + p.price[1, row, good])
    name = "mid of the quotes" if p.quoted else "price"
    low, high = (np.where(np.isfinite(a), a, np.nan) for a in audit.out[[kernel.LOW, kernel.HIGH], row][:, good])
    lines = [Line(name, x, mid)]
    if p.quoted:
        lines = [Line("bid", x, p.price[0, row, good]), Line("ask", x, p.price[1, row, good], colour=svg.SERIES[1])]
    bands = [Band("band of carry", x, low, high)] if np.isfinite(low).any() else []
    if np.isfinite(high).any() and not bands:
        lines.append(Line("full carry: upper bound", x, high, dashed=True, colour=svg.SERIES[1]))
    beyond = audit.out[kernel.OUTSIDE, row, good]
    out = np.flatnonzero(np.isfinite(beyond) & (beyond != 0.0) & (p.boundary != NO_BOUNDARY))
    marks = [Mark("outside", x[out], mid[out], "dot", svg.BAD)] if len(out) else []
    return Plot("strip", f"{p.unit}, by last trade", lines, bands, marks)


def day_table(audit: TermAudit, row: int) -> Table:
    """The strip as numbers."""
    rows = audit.day_rows(row)
    names = list(rows[0]) if rows else []
    cells = [[r[n] for n in names] for r in rows]
    return Table("", [n.replace("_", " ") for n in names], cells, empty="no price on that row")


def part_table(audit: TermAudit, row: int) -> Table:
    """What each bound of the row is the sum of."""
    rows = audit.part_rows(row)
    cells = [list(r.values()) for r in rows]
    return Table("The bounds part by part", [n.replace("_", " ") for n in rows[0]], cells)


def violations(audit: TermAudit) -> Plot:
    """How far the farthest contract lay above, and below, its band on each row, and how many were confirmed."""
    x = np.where(audit.compared, audit.out[kernel.OUTSIDE], 0.0)
    dark = ~audit.compared.any(axis=1)  # nothing was held against a bound: no line, not zero
    above, below = (np.where(dark, np.nan, v) for v in (np.maximum(x, 0.0).max(axis=1), np.minimum(x, 0.0).min(axis=1)))
    lines = [Line("farthest above", audit.panel.time_ns, above)]
    if np.nanmin(below, initial=0.0) < 0.0:
        lines.append(Line("farthest below", audit.panel.time_ns, below, colour=svg.SERIES[1]))
    return Plot("outside the band", audit.panel.unit, lines, zero=True)


def chosen(audit: TermAudit) -> list[int]:
    """Places drawn: the first few with values, and one a year out."""
    have = [j for j in range(len(audit.panel.places)) if any(np.isfinite(i.value[:, j]).any() for i in audit.implied)]
    first = have[: MOST_LINES - 2]
    return [*first, *(j for j in have[len(first) :] if j in (12, 24))][:MOST_LINES]


def histories(audit: TermAudit) -> list[Plot]:
    """Each implied input over time, of a few places."""
    plots = []
    for implied in audit.implied:
        values = 100.0 * implied.value if implied.unit == "a year" else implied.value
        unit = "% a year" if implied.unit == "a year" else implied.unit
        lines = [Line(audit.panel.places[j], audit.panel.time_ns, values[:, j]) for j in chosen(audit)]
        plots.append(
            Plot(implied.name.replace("_", " "), f"{implied.name.replace('_', ' ')}, {unit}", lines, zero=True)
        )
    return plots


def place_table(audit: TermAudit) -> Table:
    """Shares and medians by place."""
    rows = audit.place_rows()
    names = list(rows[0]) if rows else []
    return Table("", [n.replace("_", " ") for n in names], [[r[n] for n in names] for r in rows], empty="none")


def episode_table(audit: TermAudit) -> Table:
    """The runs outside, farthest first."""
    rows = audit.episode_rows(MOST_EPISODES)
    names = [n for n in (rows[0] if rows else {}) if n != "capacity" or audit.panel.size.size]
    cells = [[r[n] for n in names] for r in rows]
    note = f"the first {MOST_EPISODES} of {len(audit.rows)}" if len(audit.rows) > MOST_EPISODES else ""
    return Table("Episodes", [n.replace("_", " ") for n in names], cells, "none was confirmed", note)


def exhibit_of(found: dict[str, Any]) -> list[Exhibit]:
    """Exhibit 5 of the demo from its plain values; says what is missing instead where it could not be shown."""
    if not found:
        return []
    if "history" not in found:
        return [Exhibit("A curve beyond full carry", f"not shown: {found['missing']}")]
    h = found["history"]
    time_ns = np.array(h["day"], "datetime64[D]").astype("datetime64[ns]").astype(np.int64)
    value = np.array([math.nan if v is None else v for v in h["implied_storage"]])
    spread = np.array([math.nan if v is None else v for v in h["spread"]])
    first = Plot(
        "implied storage less convenience", "USD a barrel and month",
        [Line("second contract over the first, less financing", time_ns, value)],
        levels=[(f"assumed storage {found['storage']:g}", float(found["storage"]))], zero=True,
    )  # fmt: skip
    low, high = found["event_window"]
    cut = np.array([low <= d <= high for d in h["day"]])
    second = Plot(
        "spread around 20 April 2020", "USD a barrel", [Line("second less first contract", time_ns[cut], spread[cut])],
        zero=True, height=220.0,
    )  # fmt: skip
    columns = ["period", "days", "beyond_share", "median", "highest", "highest_on", "rate"]
    rows = [[e[c] for c in columns] for e in found["eras"]]
    made = Table("Episodes", [c.replace("_", " ") for c in columns], rows, note="; ".join(found["notes"]))
    drawings = [time_chart(first), time_chart(second)]
    return [Exhibit(str(found["title"]), str(found["verdict"]), drawings, [made], found.get("header"))]
