"""The exhibits of a quoting run in `report.html`: what it earned beside its twin, and how it stood in the market."""

from __future__ import annotations

import math
from html import escape
from typing import Any

import msgspec
import numpy as np

from oneprice.dashboard import charts, svg
from oneprice.dashboard.charts import Line, Plot
from oneprice.dashboard.exhibits import Exhibit, Table
from oneprice.dashboard.svg import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Scale
from oneprice.study.making import Making
from oneprice.study.making_table import GROUPED, NOTHING, facts, verdict


def quoting_exhibits(found: dict[str, Any]) -> list[Exhibit]:
    """The exhibits of a `making.json`."""
    made = msgspec.convert(_numbers(found), Making, strict=False)
    return [earned(made), markouts(made), stood(made), arrivals(made)]


def _numbers(value: Any) -> Any:
    """None back to NaN where a number is meant (series keep their gaps)."""
    if isinstance(value, dict):
        return {k: v if k == "series" else _numbers(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_numbers(v) for v in value]
    return math.nan if value is None else value


def earned(made: Making) -> Exhibit:
    """The table of runs, doing nothing last."""
    tables = [facts(run) for run in made.runs]
    rows: list[list[Any]] = []
    for i, (what, _, style) in enumerate(tables[0]):
        whole = style.endswith(".0f")
        cells = [(int(t[i][1]) if whole else t[i][1]) if math.isfinite(t[i][1]) else "–" for t in tables]
        rows.append([what, *cells, 0.0 if what == "P&L" else "–"])
    names = [run.name for run in made.runs]
    note = (
        f"Amounts in {made.currency}; basis points are of the value traded, > 0 earned. Markouts compare the fill with "
        "the mid so much later, at the venue."
    )
    title = f"What quoting earned: {made.strategy} on {made.leg}"
    return Exhibit(title, verdict(made), [], [Table("", ["", *names, NOTHING], rows, note=note)])


def markouts(made: Making) -> Exhibit:
    """Markout curves of the runs, and the first run's markouts by decile of signals and queue."""
    lines = [
        (run.name, np.array(run.curve_s), np.array(run.curve_bp, float)) for run in made.runs if len(run.curve_s)
    ]
    drawing = curves(lines, "markout, bp", "seconds after the fill")
    tables = []
    first = made.runs[0]
    for key, title in GROUPED.items():
        columns = ["from", "to", "fills", "spread", *(f"{lag:g} s" for lag in first.lags_s)]
        rows = [[g.low, g.high, g.fills, g.spread_bp, *g.markout_bp] for g in first.groups.get(key, ())]
        tables.append(Table(f"By {title}", columns, rows, empty="too few fills to group"))
    says = "Mean distance of fills from the mid that came later: what the answer of the price leaves of the spread."
    return Exhibit("Markouts", says, [drawing], tables)


def stood(made: Making) -> Exhibit:
    """Our quotes around the mid, and the position."""
    s = {k: np.array([math.nan if v is None else v for v in values], float) for k, values in made.series.items()}
    if not s or len(s["time_ns"]) == 0:
        return Exhibit("Quotes and inventory", "", ['<p class="none">nothing was sampled</p>'])
    t = s["time_ns"]
    lines = [
        Line(name, t, 1e4 * (s[key] / s["mid"] - 1.0), step=True, dashed=dashed, colour=colour)
        for name, key, dashed, colour in (
            ("our bid", "our_bid", False, svg.SERIES[0]),
            ("our offer", "our_ask", False, svg.SERIES[1]),
            ("best bid", "bid", True, svg.QUIET),
            ("best ask", "ask", True, svg.QUIET),
        )
    ]
    around = charts.time_chart(Plot("quotes around the mid", "bp from the mid", lines, zero=True))
    held = charts.time_chart(
        Plot("position", "lots", [Line("position", t, s["lots"], step=True)], zero=True, height=220)
    )
    says = "Above: where our quotes stood at each sample, against the touch. Below: what was held."
    return Exhibit("Quotes and inventory", says, [around, held])


def arrivals(made: Making) -> Exhibit:
    """How often a trade reaches a distance: counted on the tape beside what the quotes assume."""
    found = made.intensity
    if not found:
        return Exhibit("Intensity", "", ['<p class="none">the tape has no trades to count</p>'])
    distance = np.array(found["distance"], float)
    names: list[str] = [name for name in ("counted", "model") if name in found]
    lines = [(name, distance, np.array(found[name], float)) for name in names]
    drawing = curves(lines, "arrivals a second and side", "distance from the mid, quote currency", log_y=True)
    says = (
        "Counted: aggressive orders whose deepest print was at least so far from the mid before it. Model: "
        "A exp(-k distance) of the parameters given."
    )
    return Exhibit("Intensity", says, [drawing])


def curves(
    lines: list[tuple[str, np.ndarray, np.ndarray]], unit: str, across: str, *, log_y: bool = False
) -> str:
    """Lines over a logarithmic x axis; `log_y`: that axis too (what is not positive is left out)."""
    shown = []
    for name, x, y in lines:
        good = (x > 0) & np.isfinite(y) & ((y > 0) | (not log_y))
        shown.append((name, np.log10(x[good]), np.log10(y[good]) if log_y else y[good]))
    xs = [x for _, x, _ in shown if len(x)]
    if not xs:
        return '<p class="none">nothing to draw</p>'
    low, high = min(float(x.min()) for x in xs), max(float(x.max()) for x in xs)
    bottom, top = svg.span_of([y for _, _, y in shown], zero=not log_y)
    x_of = Scale(low, high, LEFT, WIDTH - RIGHT)
    y_of = Scale(bottom, top, HEIGHT - BOTTOM, TOP)
    body = []
    for value in svg.nice_ticks(bottom, top, 5):
        body.append(svg.line(LEFT, y_of(value), WIDTH - RIGHT, y_of(value), "#9aa4af" if value == 0 else "#e6e9ed"))
        label = f"{10.0**value:.2g}" if log_y else svg.number_text(value, 2)
        body.append(svg.text(LEFT - 8, y_of(value) + 4, label, anchor="end", extra=' class="tick"'))
    for decade in range(math.floor(low), math.ceil(high) + 1):
        for step in (1, 3):
            at = decade + math.log10(step)
            if low - 1e-9 <= at <= high + 1e-9:
                text = f"{step * 10.0**decade:g}"
                body.append(svg.text(x_of(at), HEIGHT - BOTTOM + 18, text, anchor="middle", extra=' class="tick"'))
    for i, (_, x, y) in enumerate(shown):
        d = svg.path(x, y, x_of, y_of)
        body.append(f'<path d="{d}" fill="none" stroke="{svg.SERIES[i % len(svg.SERIES)]}" stroke-width="1.8"/>')
    body.append(svg.text(LEFT, TOP - 3, unit, size=11, extra=' class="tick"'))
    body.append(svg.text(WIDTH - RIGHT, HEIGHT - 2, across, anchor="end", size=11, extra=' class="tick"'))
    keys = "".join(
        f'<span><i style="border-top:3px solid {svg.SERIES[i % len(svg.SERIES)]}"></i>{escape(name)}</span>'
        for i, (name, _, _) in enumerate(shown)
    )
    return f'<div class="legend">{keys}</div>' + svg.document("".join(body), label=f"{unit} by {across}")
