"""The audit of a term structure as text: header, inputs, places, episodes."""

from __future__ import annotations

import math
from typing import Any

from oneprice.market.chains import NO_BOUNDARY
from oneprice.study.term_audit_parts import PARTS

MOST_PLACES, MOST_EPISODES, MOST_BOUNDS = 14, 10, 8


def text(audit: Any, row: int | None = None) -> str:
    """All that the terminal shows; `row` is the one whose bounds are taken apart (the worst when left out)."""
    p = audit.panel
    lines = [f"{p.label}: boundary {p.boundary}, {len(p):,} rows of {len(p.places)} places", ""]
    lines += [f"  {name:20s} {value}" for name, value in p.header.lines()]
    lines += ["", "inputs of the bound"]
    lines += [f"  {name:28s} {value}" for name, value in audit.inputs.items()]
    lines += ["", *headline(audit), "", *_places(audit), "", *_episodes(audit)]
    lines += bound_lines(audit, audit.worst_row() if row is None else row)
    lines += ["", *(f"note: {n}" for n in audit.notes)] if audit.notes else []
    return "\n".join(lines)


def headline(audit: Any) -> list[str]:
    """What was found, in a sentence or two."""
    if audit.panel.boundary == NO_BOUNDARY:
        return [
            "No boundary: what cannot be stored cannot be carried, so no rate is asked for and no band exists. "
            "Nothing here is arbitrage or outside a bound."
        ]
    share, n = audit.share_of_rows, len(audit.rows)
    if not math.isfinite(share):
        return ["Nothing could be compared with a bound."]
    told = f"{100 * share:.1f} % of rows have a contract confirmed outside its band, in {n} episodes"
    if audit.word == "arbitrage":
        return [f"{told}: arbitrage at the inputs stated."]
    return [f"{told}: relative value. Not arbitrage, since inputs of the bound are assumed or prices are not quotes."]


def _places(audit: Any) -> list[str]:
    names = [i.name for i in audit.implied]
    head = ["place", "rows", "above %", "below %", "confirmed %", "worst", "worst at", *(f"median {n}" for n in names)]
    rows = [
        [
            r["place"], f"{r['rows']:,}", _share(r["above"]), _share(r["below"]), _share(r["confirmed"]),
            _number(r["worst"]), r["worst_at"] or "–", *(_number(r[n]) for n in names),
        ]
        for r in shown(audit.place_rows())
    ]  # fmt: skip
    units = "; ".join(f"{i.name}: {i.unit}" for i in audit.implied)
    return [*columns(head, rows), f"({units})"]


def bound_lines(audit: Any, row: int) -> list[str]:
    """The bounds of one row part by part, the first contracts; nothing where nothing is carried."""
    rows = audit.part_rows(row)
    if not rows:
        return []
    body = [
        [r["contract"], r["bound"], r["against"], *(_number(r[name]) for name in PARTS), _number(r["bound_at"])]
        for r in rows[:MOST_BOUNDS]
    ]
    more = f" (the first {len(body)} of {len(rows)})" if len(rows) > len(body) else ""
    title = f"bounds on {audit.stamp(row)} part by part, {audit.panel.unit}{more}"
    return ["", title, *columns(["contract", "bound", "from", *PARTS, "sum"], body)]


def shown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first places, and every sixth behind."""
    return [r for k, r in enumerate(rows) if k < MOST_PLACES or (k + 1) % 6 == 0]


def _episodes(audit: Any) -> list[str]:
    rows = audit.episode_rows(MOST_EPISODES)
    if not rows:
        return ["episodes: none"]
    sized = any(math.isfinite(r["capacity"]) for r in rows)
    head = ["contract", "side", "from", "to", "rows", "worst", "mean", *(["capacity"] if sized else [])]
    body = [
        [
            r["contract"], r["side"], r["from"], r["to"], str(r["rows"]), _number(r["worst"]), _number(r["mean"]),
            *([_number(r["capacity"])] if sized else []),
        ]
        for r in rows
    ]  # fmt: skip
    title = f"episodes, farthest first ({len(rows)} of {len(audit.rows)})"
    return [title, *columns(head, body)]


def columns(head: list[str], rows: list[list[str]]) -> list[str]:
    """Aligned columns, numbers to the right."""
    width = [max(len(head[i]), *(len(r[i]) for r in rows)) if rows else len(head[i]) for i in range(len(head))]
    made = []
    for r in [head, *rows]:
        cells = [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(r, width, strict=True))]
        made.append("  " + "  ".join(cells).rstrip())
    return made


def _share(value: float) -> str:
    return f"{100 * value:.1f}" if math.isfinite(value) else "–"


def _number(value: float) -> str:
    return f"{value + 0.0:.4g}" if math.isfinite(value) else "–"  # no -0
