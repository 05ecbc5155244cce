"""The page of a calibration: arrivals by distance on a log scale with the fit, the volatility signature, the tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from oneprice.dashboard import svg
from oneprice.dashboard.exhibits import Table
from oneprice.dashboard.html import cards, own_header, table
from oneprice.dashboard.style import CSS
from oneprice.dashboard.svg import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Scale
from oneprice.market.header import Header
from oneprice.signals.intensity.fit import fit_words, share_text


def write_making_page(found: Any, header: Header, out: str | Path, *, micro: Any = None, **more: Any) -> Path:
    """Write the page of a Calibration (whole or not at all); returns its path. `micro`, `more`: see `making_page`."""
    target = Path(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_suffix(".tmp")
    scratch.write_text(making_page(found, header, micro, **more), encoding="utf-8")
    scratch.replace(target)
    return target


def making_page(
    found: Any, header: Header, micro: Any = None, *, bars: Any = None, leads: Sequence[Any] = ()
) -> str:  # fmt: skip
    """The page as text.

    `micro`: a `study.micro.Micro` of the same rows, or the text why there is none. `bars`: `FlowBars` of the same rows.
    `leads`: `study.lead_lag.LeadLag` of this leg and others, or texts why there is none.
    """
    i, s = found.parts.intensity, found.parts.sigma
    title = f"Calibration of market making on {found.leg}"
    verdict = f"No. {found.refused}" if found.refused else f"Yes. {fit_words(i)}"
    yes = "" if found.refused else " yes"
    parts = [
        f"<h1>{escape(title)}</h1><p class='lead'>{escape(header.period)}, {escape(header.source)}</p>",
        f'<div class="claim{yes}"><b>Can these data carry the fit? {escape(verdict)}</b></div>',
        cards(figures(found)),
        own_header(dict(header.lines())),
        _section("Arrivals at or beyond a distance", intensity_chart(i) + INTENSITY_NOTE),
        _section("Volatility signature", signature_chart(s) + SIGNATURE_NOTE),
        _section("Microprice", micro_chart(found.parts.micro) + MICRO_NOTE),
        *([_section("Order flow and its own bar", flow_chart(found.flow, bars) + FLOW_NOTE)] if bars else []),
        *([_section("Who moves first", "".join(lead_chart(one) for one in leads))] if leads else []),
        *([_section("What explains a move, and what predicts one", explained(micro))] if micro is not None else []),
        _section("Fit", table(Table("", ["", "value"], fit_rows(found), empty="nothing"))),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )


MOST_POINTS = 2_000
NEAR_MS = 125.0
INTENSITY_NOTE = (
    "<p>Points: aggressive orders whose deepest print was at least so far from the mid before them. Line: the fit. The"
    " shaded range is what was fitted; nearer, orders stop at the touch, farther, sweeps are of another kind.</p>"
)
SIGNATURE_NOTE = (
    "<p>Plain volatility by the mean length of a step. It falls where the mid bounces and rises where moves go on; the"
    " level is the estimate by two scales.</p>"
)


MICRO_NOTE = (
    "<p>Expected distance of the mid from here in the long run, by imbalance of the queues, at a spread of one tick"
    " (points) and of two (line).</p>"
)


FLOW_NOTE = (
    "<p>One point a bar: order flow imbalance at the touch and the move of the mid in the same bar. Line: the"
    " regression whose slope is the impact. It is not a forecast: see the next bar's column below.</p>"
)


def flow_chart(flow: Any, bars: Any) -> str:
    """Moves by order flow with the regression line; a capture's bars, at most some thousand points."""
    good = np.isfinite(bars.move) & np.isfinite(bars.ofi)
    x, y = bars.ofi[good], bars.move[good]
    if flow.refused or len(x) < 2:
        return f'<p class="none">{escape(flow.refused or "no bars")}</p>'
    keep = np.argsort(x, kind="stable")[:: len(x) // MOST_POINTS + 1]
    line = y.mean() + flow.impact * (x[keep] - x.mean())
    told = f"<p>{flow.impact:.4g} ± {1.96 * flow.impact_se:.2g} ticks a unit (95 %), R2 {flow.r2:.3f}</p>"
    return xy_chart("move, ticks", "order flow imbalance, units", x[keep], points=y[keep], line=line) + told


def lead_chart(found: Any) -> str:
    """Correlation by lag near 0, with what is said of it."""
    if isinstance(found, str):
        return f'<p class="none">{escape(found)}</p>'
    lags, c = np.array(found.lags_ms), np.array(found.correlation)
    near = np.abs(lags) <= NEAR_MS
    across = f"lag, ms (> 0: {found.first} moves first)"
    return xy_chart("correlation", across, lags[near], points=c[near], line=c[near]) + f"<p>{escape(str(found))}</p>"


def figures(found: Any) -> list[tuple[str, str, str]]:
    """(label, value, unit) at the top of the page."""
    i, s, a = found.parts.intensity, found.parts.sigma, found.parts.arrivals
    return [
        ("prints", f"{a.prints:,}", f"in {a.seconds:,.0f} s"),
        ("distinct arrivals", f"{a.distinct:,}", f"{a.at_touch:.0%} stop at the touch"),
        ("A", f"{i.arrivals_per_s:.4g}", f"1/s a side, {_range(i.arrivals_interval)}"),
        ("1/k", f"{1e4 / i.k_decay / found.mid:.3f}", f"bp, k {_range(i.k_interval)}"),
        ("sigma", f"{s.sigma:.4g}", f"per sqrt(s), {_range((s.low, s.high))}"),
    ]


def fit_rows(found: Any) -> list[list[Any]]:
    """Goodness of fit, as text."""
    i, s, m, f = found.parts.intensity, found.parts.sigma, found.parts.micro, found.flow
    return [
        ["range of distances", f"{i.near:.5g} to {i.far:.5g}"],
        ["arrivals used", f"{i.n:,} of {i.n_seen:,}"],
        ["deviance", f"{i.deviance:.1f} on {i.df}, p {i.p_value:.2g}"],
        ["dispersion", f"{i.dispersion:.2f}"],
        ["misfit beyond sampling error", share_text(i.misfit)],
        ["variance of arrivals over Poisson", f"{i.clustering:.1f}"],
        ["changes of the mid a step of volatility", f"{s.step} of {s.n:,}"],
        ["bounce of the mid", f"{s.noise:.4g}"],
        ["microprice: slope out of sample", f"{m.slope:.2f} +- {m.slope_se:.2f}, gain {m.gain:.2f}"],
        ["order flow: R2 of the same bar, of the next", f.refused or f"{f.r2:.3f}, {f.r2_next:.3f}"],
    ]


def explained(micro: Any) -> str:
    """Each feature's share of the next move beside that of its own bar, and what else the tape says."""
    if isinstance(micro, str):
        return f'<p class="none">not told: {escape(micro)}</p>'
    columns = ["feature", "R2 same bar", "R2 next bar", "slope, ticks", "standard error"]
    rows = [[row.name, *(_shown(v) for v in (row.r2_same, row.r2_next, row.slope, row.slope_se))]
            for row in micro.explained]  # fmt: skip
    rest = str(micro).splitlines()[2 + len(rows) :]  # what follows the same table in the text
    return table(Table("", columns, rows)) + "".join(f"<p>{escape(line)}</p>" for line in rest)


def _shown(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "\u2013"


def intensity_chart(i: Any) -> str:
    """Arrivals at or beyond each distance, counted and fitted, logarithmic."""
    cells = np.array([c for c in i.cells if c[1] > 0.0]).reshape(-1, 3)
    fit = np.log10(np.maximum(cells[:, 2], 1e-3))
    return xy_chart(
        "arrivals at or beyond a distance", "distance from the mid, quote currency", cells[:, 0],
        points=np.log10(cells[:, 1]), line=fit, log=True, shade=(i.near, i.far),
    )  # fmt: skip


def micro_chart(m: Any) -> str:
    """Adjustment by imbalance at the two narrowest spreads."""
    if not m.table:
        return f'<p class="none">{escape(m.refused)}</p>'
    columns = len(m.table[0])
    middle = (2.0 * np.arange(columns) + 1.0) / columns - 1.0
    return xy_chart(
        "adjustment, ticks", "(bid queue - ask queue) / both", middle, points=np.array(m.table[0]),
        line=np.array(m.table[min(1, len(m.table) - 1)]),
    )  # fmt: skip


def signature_chart(s: Any) -> str:
    """Plain volatility by step, with the estimate as a level."""
    points = np.array(s.signature).reshape(-1, 2)
    return xy_chart(
        "plain sigma", "log10 of seconds a step", np.log10(points[:, 0]), points=points[:, 1],
        line=np.full(len(points), s.sigma),
    )  # fmt: skip


def xy_chart(
    name: str, below: str, x: np.ndarray, *, points: np.ndarray, line: np.ndarray, log: bool = False,
    shade: tuple[float, float] | None = None,
) -> str:  # fmt: skip
    """Points and a line over a plain axis; `log`: the values are log10 of what the ticks say."""
    if len(x) < 2:
        return '<p class="none">fewer than two points</p>'
    sx = Scale(float(x.min()), float(x.max()), LEFT, WIDTH - RIGHT)
    sy = Scale(*svg.span_of([points, line]), HEIGHT - BOTTOM, TOP)
    body = []
    if shade is not None:
        left, right = (sx(min(max(v, sx.low), sx.high)) for v in shade)
        body.append(svg.rect(left, TOP, right - left, HEIGHT - BOTTOM - TOP, "#eef3f8", title="fitted range"))
    for value in svg.nice_ticks(sy.low, sy.high, 5):
        label = f"{10.0**value:.3g}" if log else f"{value:.4g}"
        body.append(svg.line(LEFT, sy(value), WIDTH - RIGHT, sy(value), "#e6e9ed"))
        body.append(svg.text(LEFT - 8, sy(value) + 4, label, anchor="end", extra=' class="tick"'))
    for value in svg.nice_ticks(sx.low, sx.high, 8):
        body.append(svg.text(sx(value), HEIGHT - BOTTOM + 18, f"{value:.4g}", anchor="middle", extra=' class="tick"'))
    body.append(svg.text(LEFT, TOP - 3, name, size=11, extra=' class="tick"'))
    body.append(svg.text(WIDTH - RIGHT, HEIGHT - 2, below, anchor="end", size=11, extra=' class="tick"'))
    dots = [
        f'<circle cx="{sx(float(a)):.1f}" cy="{sy(float(b)):.1f}" r="2.4" fill="{svg.SERIES[1]}"/>'
        for a, b in zip(x, points, strict=True)
        if math.isfinite(float(b))
    ]
    path = f'<path d="{svg.path(x, line, sx, sy)}" fill="none" stroke="{svg.SERIES[0]}" stroke-width="1.6"/>'
    drawing = svg.document("".join([*body, *dots, path]), height=HEIGHT, label=f"{name} by {below}")
    return f'<div class="chart">{drawing}</div>'


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _range(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.4g} to {ends[1]:.4g}"
