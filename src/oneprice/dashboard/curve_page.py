"""A fitted curve as one self-contained page: zero, forward and par rates, the quotes and their errors."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np

from oneprice.dashboard import svg
from oneprice.dashboard.charts import Line, Mark, Plot, time_chart
from oneprice.dashboard.exhibits import Table
from oneprice.dashboard.html import cards, own_header, table
from oneprice.dashboard.style import CSS, SCRIPT
from oneprice.signals.curve.rates import par_rate, zero_rate
from oneprice.study.fit_curve import CurveModel

YEAR_NS = 365 * 86_400 * 10**9
POINTS = 240


def write_curve_page(model: CurveModel, out: str | Path) -> Path:
    """Write the page (whole or not at all); returns its path."""
    target = Path(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_suffix(".tmp")
    scratch.write_text(curve_page(model), encoding="utf-8")
    scratch.replace(target)
    return target


def curve_page(model: CurveModel) -> str:
    """The page as text."""
    g = model.given
    header = {
        "source": g.source, "day": g.day, "zero rates": g.how,
        "can P&L be claimed?": "no, a curve is a study of rates, not of prices at which one could deal",
    }  # fmt: skip
    figures = [
        ("method", model.method.replace("_", " "), ""),
        ("quotes", str(len(g.years)), ""),
        ("root mean square error", f"{model.rmse_bp:.3f}", "bp"),
        ("largest", f"{np.abs(model.errors_bp).max():.3f}", "bp"),
        ("condition", f"{model.condition:.3g}" if np.isfinite(model.condition) else "–", ""),
    ]
    rows = [
        [n, float(t), 100 * float(z), float(e)]
        for n, t, z, e in zip(g.names, g.years, g.zero, model.errors_bp, strict=True)
    ]
    rates = [[r["years"], 100 * r["zero"], 100 * r["forward"], 100 * r["par"]] for r in model.rates()]
    parts = [
        f"<h1>Curve of {escape(g.day)}</h1><p class='lead'>{escape(g.how)}</p>",
        cards(figures),
        own_header(header),
        "".join(f'<section><div class="chart">{time_chart(p)}</div></section>' for p in plots(model)),
        table(
            Table(
                "Rates, %", ["years", "zero (continuous)", "one-year forward (continuous)", "par (semiannual)"], rates
            )
        ),
        table(Table("Quotes", ["quote", "years", "zero %", "error bp"], rows)),
        table(
            Table("Parameters", ["name", "value"], [[k, v] for k, v in model.parameters.items()], "the nodes are all")
        ),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>curve of {escape(g.day)}</title><style>{CSS}</style></head><body><main>{''.join(parts)}"
        f"</main><script>{SCRIPT}</script></body></html>\n"
    )


def plots(model: CurveModel) -> list[Plot]:
    """Rates by maturity (drawn at the date on which they fall due) and the errors of the quotes."""
    g = model.given
    start = np.datetime64(g.day if g.day[:1].isdigit() else "1970-01-01", "ns").astype(np.int64)

    def at(years: np.ndarray) -> np.ndarray:
        return (start + years * YEAR_NS).astype(np.int64)

    years = np.linspace(float(g.years[0]), float(g.years[-1]), POINTS)
    zero = np.array([100 * zero_rate(model.curve, t, "continuous") for t in years.tolist()])
    forward = np.array([100 * model.curve.instantaneous(t) for t in years.tolist()])
    par = np.array([100 * par_rate(model.curve, t, "semiannual") for t in years.tolist()])
    lines = [Line("zero, continuous", at(years), zero), Line("par, semiannual", at(years), par)]
    lines.append(Line("instantaneous forward", at(years), forward, dashed=True))
    marks = [Mark("zero rates of the quotes", at(g.years), 100 * g.zero, "dot", svg.INK)]
    errors = [Line("fitted less given", at(g.years), model.errors_bp)]
    return [
        Plot("rates by maturity", "%", lines, marks=marks),
        Plot("errors", "bp, fitted less given", errors, zero=True, height=200.0),
    ]
