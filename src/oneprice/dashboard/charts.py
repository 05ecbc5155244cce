"""Charts as SVG text: lines over time with bands and marks, a waterfall, a heat map and bars.

Nothing is fetched; the page needs nothing but a browser. Colour never carries a meaning alone: signs,
labels and shapes say the same.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from html import escape

import numpy as np

from oneprice.dashboard import svg
from oneprice.dashboard.svg import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Scale


@dataclass(frozen=True)
class Line:
    """One series: x (ns) and y, NaN where there is no value."""

    name: str
    x: np.ndarray
    y: np.ndarray
    step: bool = False
    dashed: bool = False
    colour: str = ""


@dataclass(frozen=True)
class Band:
    """A shaded range between two series of equal x."""

    name: str
    x: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Mark:
    """Points of one kind: `shape` is one of up, down, dot, cross."""

    name: str
    x: np.ndarray
    y: np.ndarray
    shape: str
    colour: str


@dataclass(frozen=True)
class Plot:
    """What a time chart shows."""

    title: str
    unit: str
    lines: list[Line]
    bands: list[Band] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    levels: list[tuple[str, float]] = field(default_factory=list)  # horizontal lines
    zero: bool = False
    height: float = HEIGHT


def time_chart(plot: Plot) -> str:
    """Lines over time. An empty plot says so instead of drawing axes around nothing."""
    xs = [s.x.astype(float) for s in plot.lines if len(s.x)]
    if not xs:
        return '<p class="none">nothing was sampled</p>'
    low_x, high_x = min(float(a[0]) for a in xs), max(float(a[-1]) for a in xs)
    values = [s.y for s in plot.lines] + [b.low for b in plot.bands] + [b.high for b in plot.bands]
    values += [m.y for m in plot.marks] + [np.array([v for _, v in plot.levels])]
    low_y, high_y = svg.span_of(values, zero=plot.zero)
    x = Scale(low_x, high_x, LEFT, WIDTH - RIGHT)
    y = Scale(low_y, high_y, plot.height - BOTTOM, TOP)
    body = [_axes(plot, x, y)]
    body += [_band(b, x, y) for b in plot.bands]
    body += [_level(name, value, y) for name, value in plot.levels]
    body += [_line(s, i, x, y) for i, s in enumerate(plot.lines)]
    body += [_marks(m, x, y) for m in plot.marks]
    data = escape(json.dumps(_readout(plot, x)), quote=True)
    drawing = svg.document(
        "".join(body),
        height=plot.height,
        label=f"{plot.title}, {plot.unit}",
        data=f' class="time" data-series="{data}"',
    )
    return _legend(plot) + drawing


def _axes(plot: Plot, x: Scale, y: Scale) -> str:
    out = []
    ticks = svg.nice_ticks(y.low, y.high, 5)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else abs(y.high - y.low) or 1.0
    for value in ticks:
        strong = value == 0 or abs(value) < step * 1e-9
        out.append(svg.line(LEFT, y(value), WIDTH - RIGHT, y(value), "#9aa4af" if strong else "#e6e9ed"))
        out.append(
            svg.text(LEFT - 8, y(value) + 4, svg.tick_text(value, step), anchor="end", extra=' class="tick"')
        )
    for moment in svg.time_ticks(x.low, x.high):
        label = svg.time_text(moment, x.high - x.low)
        out.append(svg.line(x(moment), plot.height - BOTTOM, x(moment), plot.height - BOTTOM + 4, "#9aa4af"))
        out.append(
            svg.text(x(moment), plot.height - BOTTOM + 18, label, anchor="middle", extra=' class="tick"')
        )
    out.append(svg.text(LEFT, TOP - 3, plot.unit, size=11, extra=' class="tick"'))
    return "".join(out)


def _line(series: Line, i: int, x: Scale, y: Scale) -> str:
    xs, ys = svg.thin(series.x.astype(float), series.y)
    colour = series.colour or svg.SERIES[i % len(svg.SERIES)]
    dash = ' stroke-dasharray="5 4"' if _dashed(series, i) else ""
    d = svg.path(xs, ys, x, y, step=series.step)
    return f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="1.6" stroke-linejoin="round"{dash}/>'


def _dashed(series: Line, i: int) -> bool:
    """A line is dashed where it is told to be, or where its colour has been used before."""
    return series.dashed or (not series.colour and i // len(svg.SERIES) % 2 == 1)


def _band(band: Band, x: Scale, y: Scale) -> str:
    good = np.isfinite(band.low) & np.isfinite(band.high)
    if good.sum() < 2:
        return ""
    xs = band.x[good].astype(float)
    most = svg.MAX_POINTS // 2
    pick = np.unique(np.linspace(0, len(xs) - 1, min(len(xs), most)).astype(int))
    top = svg.path(xs[pick], band.high[good][pick], x, y)
    back = svg.path(xs[pick][::-1], band.low[good][pick][::-1], x, y).replace("M", "L", 1)
    return f'<path d="{top}{back}Z" fill="#0b5fa5" fill-opacity="0.12" stroke="none"/>'


def _level(name: str, value: float, y: Scale) -> str:
    mark = svg.line(LEFT, y(value), WIDTH - RIGHT, y(value), svg.BAD, extra=' stroke-dasharray="2 4"')
    halo = ' paint-order="stroke" stroke="#ffffff" stroke-width="3"'
    return mark + svg.text(LEFT + 6, y(value) - 5, name, size=11, fill=svg.BAD, extra=halo)


SHAPES = {
    "up": "M0 -5L5 4H-5Z",
    "down": "M0 5L5 -4H-5Z",
    "dot": "M-3.5 0A3.5 3.5 0 1 0 3.5 0A3.5 3.5 0 1 0 -3.5 0Z",
    "cross": "M-4 -4L4 4M4 -4L-4 4",
}


def _marks(mark: Mark, x: Scale, y: Scale) -> str:
    pick = range(len(mark.x))
    if len(mark.x) > 400:
        pick = range(0, len(mark.x), math.ceil(len(mark.x) / 400))
    stroke = (
        f'stroke="{mark.colour}" stroke-width="1.5"'
        if mark.shape == "cross"
        else 'stroke="#fff" stroke-width="0.8"'
    )
    fill = "none" if mark.shape == "cross" else mark.colour
    out = [
        f'<path transform="translate({x(float(mark.x[i])):.1f} {y(float(mark.y[i])):.1f})" '
        f'd="{SHAPES[mark.shape]}" fill="{fill}" {stroke}/>'
        for i in pick
        if math.isfinite(float(mark.y[i]))
    ]
    return f"<g><title>{escape(mark.name)}</title>{''.join(out)}</g>"


def _legend(plot: Plot) -> str:
    items = []
    for i, s in enumerate(plot.lines):
        colour = s.colour or svg.SERIES[i % len(svg.SERIES)]
        style = "dashed" if _dashed(s, i) else "solid"
        items.append(f'<span><i style="border-top:3px {style} {colour}"></i>{escape(s.name)}</span>')
    items += [f'<span><i class="box"></i>{escape(b.name)}</span>' for b in plot.bands]
    for m in plot.marks:
        fill = "none" if m.shape == "cross" else m.colour
        shape = f'<path d="{SHAPES[m.shape]}" fill="{fill}" stroke="{m.colour}"/>'
        icon = f'<svg class="key" viewBox="-6 -6 12 12" aria-hidden="true">{shape}</svg>'
        items.append(f"<span>{icon}{escape(m.name)} ({len(m.x)})</span>")
    return f'<div class="legend">{"".join(items)}</div>'


def _readout(plot: Plot, x: Scale) -> dict[str, object]:
    """Values for the cursor: each series on one grid of at most 400 times, last value known."""
    grid = np.linspace(x.low, x.high, 400)
    series = []
    for s in plot.lines:
        at = np.searchsorted(s.x, grid, side="right") - 1
        values = [
            None if i < 0 or not math.isfinite(float(s.y[i])) else float(f"{float(s.y[i]):.8g}") for i in at
        ]
        series.append({"name": s.name, "y": values})
    times = [svg.time_text(float(t), x.high - x.low) for t in grid]
    return {
        "x0": x.start,
        "x1": x.end,
        "top": TOP,
        "bottom": plot.height - BOTTOM,
        "times": times,
        "series": series,
    }


def waterfall(parts: list[tuple[str, float]], total: tuple[str, float], *, unit: str, digits: int = 2) -> str:
    """Each part starts where the one before it ended; the last bar is the total, drawn from zero."""
    names = [*[n for n, _ in parts], total[0]]
    ends = np.cumsum([v for _, v in parts]) if parts else np.zeros(0)
    low, high = svg.span_of([ends, np.array([0.0, total[1]])], pad=0.12, zero=True)
    height = 320.0
    y = Scale(low, high, height - 46, 20)
    slot = (WIDTH - LEFT - RIGHT) / len(names)
    out = []
    ticks = svg.nice_ticks(low, high, 5)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    for value in ticks:
        out.append(svg.line(LEFT, y(value), WIDTH - RIGHT, y(value), "#9aa4af" if value == 0 else "#e6e9ed"))
        out.append(
            svg.text(LEFT - 8, y(value) + 4, svg.tick_text(value, step), anchor="end", extra=' class="tick"')
        )
    at = 0.0
    for i, (name, value) in enumerate([*parts, total]):
        last = i == len(parts)
        start = 0.0 if last else at
        end = start + value
        x0 = LEFT + i * slot + slot * 0.16
        colour = svg.SERIES[0] if last else svg.GOOD if value >= 0 else svg.BAD
        label = svg.number_text(value, digits, signed=True)
        out.append(
            svg.rect(
                x0,
                y(max(start, end)),
                slot * 0.68,
                abs(y(start) - y(end)),
                colour,
                title=f"{name} {label} {unit}",
            )
        )
        out.append(svg.text(x0 + slot * 0.34, y(max(start, end)) - 6, label, anchor="middle", size=11.5))
        out.append(
            svg.text(x0 + slot * 0.34, height - 22, name, anchor="middle", size=12, extra=' class="tick"')
        )
        if not last:
            out.append(
                svg.line(
                    x0 + slot * 0.68,
                    y(end),
                    x0 + slot * 1.32,
                    y(end),
                    svg.QUIET,
                    extra=' stroke-dasharray="2 3"',
                )
            )
        at = end
    out.append(svg.text(LEFT, 12, unit, size=11, extra=' class="tick"'))
    return svg.document("".join(out), height=height, label=f"waterfall of P&L by cause in {unit}")


def heat_map(
    values: np.ndarray,
    rows: list[str],
    columns: list[str],
    *,
    row_title: str,
    column_title: str,
    digits: int = 1,
) -> str:
    """Cells (n_rows, n_columns) from loss (orange) over zero (white) to gain (blue), each with its number.

    Cells at or above zero have a frame, so the break-even line is seen without colour. NaN is left blank.
    """
    left, top, cell_h = 110.0, 44.0, 30.0
    cell_w = min(96.0, (WIDTH - left - RIGHT) / max(len(columns), 1))
    largest = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0
    out = [svg.text(left, 14, column_title, size=12, extra=' class="tick"')]
    out.append(svg.text(8, top - 8, row_title, size=12, extra=' class="tick"'))
    for j, name in enumerate(columns):
        out.append(svg.text(left + (j + 0.5) * cell_w, top - 8, name, anchor="middle", size=12))
    for i, name in enumerate(rows):
        out.append(svg.text(left - 8, top + (i + 0.62) * cell_h, name, anchor="end", size=12))
        for j in range(len(columns)):
            value = float(values[i, j])
            x0, y0 = left + j * cell_w, top + i * cell_h
            if not math.isfinite(value):
                out.append(svg.rect(x0 + 1, y0 + 1, cell_w - 2, cell_h - 2, "#f4f5f7", title="no result"))
                continue
            frame = ' stroke="#0b5fa5" stroke-width="1.4"' if value >= 0 else ""
            fill = diverging(value / largest if largest else 0.0)
            title = f"{row_title} {name}, {column_title} {columns[j]}: {value:.6g}"
            out.append(svg.rect(x0 + 1, y0 + 1, cell_w - 2, cell_h - 2, fill, title=title, extra=frame))
            ink = "#ffffff" if largest and abs(value) / largest > 0.72 else svg.INK
            label = svg.number_text(value, digits, signed=True)
            out.append(
                svg.text(x0 + cell_w / 2, y0 + cell_h * 0.64, label, anchor="middle", size=12, fill=ink)
            )
    height = top + cell_h * len(rows) + 8
    width = max(left + cell_w * len(columns) + RIGHT, 420.0)
    return svg.document("".join(out), width=width, height=height, label=f"{row_title} by {column_title}")


def diverging(share: float) -> str:
    """Colour of a share in [-1, 1]: orange, white, blue (told apart by all common kinds of colour vision)."""
    s = max(-1.0, min(1.0, share))
    end = (11, 95, 165) if s > 0 else (194, 87, 12)
    mixed = [round(255 + (c - 255) * abs(s) ** 0.8) for c in end]
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def bars(parts: list[tuple[str, float]], *, unit: str) -> str:
    """Horizontal bars, longest first as given, each with its number."""
    if not parts:
        return '<p class="none">none</p>'
    most = max(v for _, v in parts) or 1.0
    left, row_h = 170.0, 26.0
    out = []
    for i, (name, value) in enumerate(parts):
        y0 = 4 + i * row_h
        length = (WIDTH - left - 130) * value / most
        out.append(svg.text(left - 10, y0 + 16, name, anchor="end", size=12.5))
        out.append(
            svg.rect(
                left,
                y0 + 4,
                max(length, 1.5),
                row_h - 10,
                svg.SERIES[0],
                title=f"{name}: {value:,.0f} {unit}",
            )
        )
        out.append(svg.text(left + length + 8, y0 + 16, svg.number_text(value, 0) + f" {unit}", size=12))
    return svg.document("".join(out), height=8 + row_h * len(parts), label=f"bars, {unit}")
