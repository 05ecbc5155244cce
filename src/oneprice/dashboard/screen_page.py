"""`screen.html`: the table of a screen and the spreads of its best pairs, one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from oneprice.dashboard import svg
from oneprice.dashboard.charts import Line, Plot, heat_map, time_chart
from oneprice.dashboard.exhibits import Table
from oneprice.dashboard.html import cards, own_header, table
from oneprice.dashboard.style import CSS, SCRIPT
from oneprice.market.prices import Prices
from oneprice.signals.spread import values
from oneprice.study.screen_result import ScreenResult, cells
from oneprice.study.screen_rows import REFUSED, PairRow

SHOWN = 6  # pairs with a plot
FAMILY_MAP = 14  # series of the largest heat map


def write_screen_page(result: ScreenResult, prices: Prices, out: str | Path) -> Path:
    """Write the page of a screen of `prices` (whole or not at all); returns its path."""
    target = Path(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_suffix(".tmp")
    scratch.write_text(screen_page(result, prices), encoding="utf-8")
    scratch.replace(target)
    return target


def screen_page(result: ScreenResult, prices: Prices) -> str:
    """The page as text."""
    header = result.header
    answer = "Yes" if header.claim else "No"
    claim = f'<div class="claim{" yes" if header.claim else ""}"><b>Can P&amp;L be claimed? {answer}.</b>'
    parts = [
        f"<h1>Screen: {escape(result.label)}</h1><p class='lead'>{escape(header.period)}, {escape(header.source)}</p>",
        claim + f"{escape(header.claim_why)}</div>",
        cards(figures(result)),
        *(f"<p>{escape(line)}</p>" for line in result.headline() if line),
        own_header(dict(header.lines())),
        f"<section><h2>Pairs</h2>{table(pair_table(result))}</section>",
        best_plots(result, prices),
        f"<section><h2>Hedge ratio over sub-windows</h2>{windows_map(result)}</section>",
        baskets(result),
        f"<section><h2>Left out</h2>{table(refused_table(result))}{table(excluded_table(result))}</section>",
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>screen: {escape(result.label)}</title><style>{CSS}</style></head><body><main>{''.join(parts)}</main>"
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def figures(result: ScreenResult) -> list[tuple[str, str, str]]:
    """(label, value, unit) at the top of the page."""
    level, count = next(iter(result.below.items()))
    survivors = "confirmed later" if result.held_out else "discoveries"
    return [
        ("series", f"{result.n_series:,}", ""),
        ("tests", f"{result.tests:,}", "pairs"),
        (f"p at most {level}", f"{count:,}", ""),
        ("of these by chance", f"{float(level) * result.tests:,.0f}", ""),
        (survivors, f"{len(result.survivors):,}", "no asset twice: " + str(len(result.matched()))),
        ("refused", f"{len(result.refused):,}", "pairs"),
    ]


def offered(result: ScreenResult) -> list[PairRow]:
    """Survivors first, then the rest that was not refused."""
    good = {(r.y, r.x) for r in result.survivors}
    rest = [r for r in result.pairs if r.verdict != REFUSED and (r.y, r.x) not in good]
    return [*result.survivors, *rest]


def pair_table(result: ScreenResult) -> Table:
    """The table of the terminal."""
    columns, _ = result.table(0)
    rows = [cells(r) for r in offered(result)]
    note = (
        "half-life and its interval in steps; no noise: the half-life that noise in single prices does not shorten; "
        "walks %: residuals of unrelated walks of this length that look at "
        "least as fast; stable: share of sub-windows that revert; edge from 2 sigmas to the mean."
    )
    return Table("", columns, rows, empty="no pair is left", note=note)


def refused_table(result: ScreenResult) -> Table:
    """Pairs with the reason."""
    return Table("Refused pairs", ["pair", "why"], [[f"{r.y}/{r.x}", r.reason] for r in result.refused], empty="none")


def excluded_table(result: ScreenResult) -> Table:
    """Series with the reason, and what is suspicious in those kept."""
    rows = [[e.symbol, "excluded", e.reason] for e in result.excluded]
    rows += [[f.symbol, f"flagged: {f.kind}", f.text] for f in result.flagged]
    return Table("Series", ["series", "what", "why"], rows, empty="every series was used as it is")


def best_plots(result: ScreenResult, prices: Prices) -> str:
    """The spread of each of the best in its own sigmas, the held-out period set off."""
    out = []
    for row in offered(result)[:SHOWN]:
        close = prices.select([row.y, row.x]).close
        good = np.isfinite(close).all(axis=1)
        z = np.full(len(close), np.nan)
        z[good] = values(row.spread(), close[good]) / row.sigma
        searched = len(prices) - result.held_out
        time_ns = prices.time_ns.astype(float)
        lines = [Line("spread, fitted here", time_ns[:searched], z[:searched])]
        if result.held_out:
            lines.append(Line("held out, same weights", time_ns[searched:], z[searched:], colour=svg.SERIES[1]))
        levels = [("+2 sigma", 2.0), ("-2 sigma", -2.0)]
        what = f"{row.y} - {row.beta:.4f} {row.x}" + (" (logs)" if row.space == "log" else " (units)")
        drawing = time_chart(Plot(what, "sigmas from the mean", lines, levels=levels, zero=True))
        out.append(f'<h3>{escape(what)}</h3><div class="chart">{drawing}</div>')
    return f"<section><h2>The best, as spreads</h2>{''.join(out) or '<p class=none>no pair is left</p>'}</section>"


def windows_map(result: ScreenResult) -> str:
    """How far the hedge ratio of a sub-window strayed from the whole sample's, in per cent."""
    rows = [r for r in offered(result)[:FAMILY_MAP] if np.isfinite(r.beta_low)]
    if not rows:
        return '<p class="none">the sample is too short for sub-windows</p>'
    strayed = np.array([[100 * (r.beta_low / r.beta - 1), 100 * (r.beta_high / r.beta - 1)] for r in rows])
    names = [f"{r.y}/{r.x}" for r in rows]
    drawing = heat_map(strayed, names, ["least %", "greatest %"], row_title="pair", column_title="of sub-windows")
    return f'<div class="chart">{drawing}</div>'


def baskets(result: ScreenResult) -> str:
    """Families as one relation each."""
    if not result.baskets:
        return ""
    lines: Sequence[str] = [str(b) for b in result.baskets]
    return "<section><h2>Baskets</h2>" + "".join(f"<p>{escape(x)}</p>" for x in lines) + "</section>"
