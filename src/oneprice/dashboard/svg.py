"""Small parts of a drawing: escaped text, scales, ticks and paths. All coordinates are SVG user units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

import numpy as np

WIDTH, HEIGHT = 960.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 76.0, 18.0, 14.0, 34.0
SERIES = ("#0b5fa5", "#c2570c", "#00796b", "#7b3fa0", "#8a6d00", "#47525e")
GOOD, BAD, QUIET, INK = "#0f6b5c", "#b0301c", "#8b95a1", "#1b2430"
MAX_POINTS = 1400


@dataclass(frozen=True)
class Scale:
    """A straight map from data to paper."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return self.start + share * (self.end - self.start)


def text(
    x: float,
    y: float,
    content: str,
    *,
    anchor: str = "start",
    size: float = 12,
    fill: str = "",
    extra: str = "",
) -> str:
    """A text element; `content` is escaped."""
    colour = f' fill="{fill}"' if fill else ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size:g}"'
    return f"<text {place}{colour}{extra}>{escape(content)}</text>"


def rect(
    x: float, y: float, width: float, height: float, fill: str, *, title: str = "", extra: str = ""
) -> str:
    """A rectangle with an optional tooltip; a negative height is turned over."""
    if height < 0:
        y, height = y + height, -height
    place = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}"'
    shape = f'<rect {place} fill="{fill}"{extra}'
    return f"{shape}><title>{escape(title)}</title></rect>" if title else shape + "/>"


def line(
    x1: float, y1: float, x2: float, y2: float, stroke: str, *, width: float = 1, extra: str = ""
) -> str:
    """A straight line."""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{stroke}" stroke-width="{width:g}"{extra}/>'


def document(body: str, *, width: float = WIDTH, height: float = HEIGHT, label: str, data: str = "") -> str:
    """An `<svg>` that scales with the page; `label` is read by screen readers."""
    head = f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(label, quote=True)}"'
    return f'{head} preserveAspectRatio="xMidYMid meet"{data}>{body}</svg>'


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values between low and high, about `count` of them."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low] if math.isfinite(low) else []
    raw = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9) * step
    return [first + i * step for i in range(int((high - first) / step + 1e-9) + 1)]


def tick_text(value: float, step: float) -> str:
    """A number with the digits that its step needs; thousands are grouped by a thin space."""
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    if step > 0 and abs(step * 10**digits - round(step * 10**digits)) > 1e-6:
        digits += 1
    if abs(value) >= 1e7:
        return f"{value:.3g}"
    return f"{value + 0.0:,.{min(digits, 9)}f}".replace(",", "\u2009").replace("-", "\u2212")


def number_text(value: float, digits: int = 2, *, signed: bool = False) -> str:
    """A number for reading: grouped thousands, a real minus sign, NaN as a dash."""
    if not math.isfinite(value):
        return "–"
    sign = "+" if signed else ""
    return f"{round(value, digits) + 0.0:{sign},.{digits}f}".replace(",", "\u2009").replace("-", "\u2212")


def time_text(ns: float, span_ns: float) -> str:
    """UTC time with the precision that the span asks for."""
    moment = datetime.fromtimestamp(ns / 1e9, UTC)
    if span_ns > 3 * 86_400e9:
        return moment.strftime("%Y-%m-%d")
    if span_ns > 4 * 3_600e9:
        return moment.strftime("%d %b %H:%M")
    if span_ns > 20e9:
        return moment.strftime("%H:%M:%S")
    return moment.strftime("%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


def time_ticks(low: float, high: float, count: int = 6) -> list[float]:
    """Round moments between two times in nanoseconds."""
    steps_s = [
        1e-3,
        1e-2,
        0.1,
        0.5,
        1,
        2,
        5,
        10,
        15,
        30,
        60,
        120,
        300,
        600,
        900,
        1800,
        3600,
        7200,
        14400,
        21600,
        43200,
    ]
    steps_s += [86400.0 * d for d in (1, 2, 7, 14, 30, 91, 182, 365, 730, 1826)]
    step = next((s for s in steps_s if s * 1e9 * count >= high - low), steps_s[-1]) * 1e9
    first = math.ceil(low / step) * step
    return [first + i * step for i in range(int((high - first) / step) + 1)] if high > low else [low]


def thin(x: np.ndarray, y: np.ndarray, most: int = MAX_POINTS) -> tuple[np.ndarray, np.ndarray]:
    """At most about `most` points that keep the least and the greatest of each stretch."""
    if len(x) <= most:
        return x, y
    stretches = np.array_split(np.arange(len(x)), most // 2)
    keep: set[int] = {0, len(x) - 1}
    for part in stretches:
        values = y[part]
        if np.isfinite(values).any():
            keep |= {int(part[np.nanargmin(values)]), int(part[np.nanargmax(values)])}
        else:
            keep.add(int(part[0]))
    order = np.array(sorted(keep))
    return x[order], y[order]


def path(xs: np.ndarray, ys: np.ndarray, x: Scale, y: Scale, *, step: bool = False) -> str:
    """The `d` of a path through finite points; NaN breaks the line."""
    parts: list[str] = []
    pen = False
    for a, b in zip(xs.tolist(), ys.tolist(), strict=True):
        if not math.isfinite(b):
            pen = False
            continue
        px, py = x(a), y(b)
        if not pen:
            parts.append(f"M{px:.1f} {py:.1f}")
        elif step:
            parts.append(f"H{px:.1f}V{py:.1f}")
        else:
            parts.append(f"L{px:.1f} {py:.1f}")
        pen = True
    return "".join(parts)


def span_of(arrays: list[np.ndarray], *, pad: float = 0.06, zero: bool = False) -> tuple[float, float]:
    """Least and greatest finite value of all arrays with some air; a flat line gets a band of its own."""
    finite = [a[np.isfinite(a)] for a in arrays]
    joined = np.concatenate(finite) if finite else np.zeros(0)
    if joined.size == 0:
        return 0.0, 1.0
    low, high = float(joined.min()), float(joined.max())
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    room = (high - low) * pad or abs(high) * 1e-4 or 1.0
    return low - room, high + room
