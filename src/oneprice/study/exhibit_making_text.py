"""The words of the exhibit of single orders: the tape, the refusal, the runs, the probes, the hidden orders."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from oneprice.study.making_table import NOTHING, facts, written
from oneprice.study.queue_probes import probe_table

if TYPE_CHECKING:
    from oneprice.study.exhibit_making import Maker

SHOWN = (
    "fills", "value traded", "spread captured, bp", "markout 0.1 s, bp", "markout 1 s, bp", "markout 10 s, bp",
    "edge and slippage", "adverse selection", "inventory", "fees (rebates > 0)", "P&L", "break-even fee, bp a fill",
    "fee paid, bp a fill", "messages a fill",
)  # fmt: skip
DROPPED = {
    "ghosts": "ghosts (the older side of a cross that stays)",
    "far_orders": "too far from any price",
    "unknown_orders": "of orders never announced",
}
FEW = 100  # fills of hidden orders below which Brier scores of models are not told apart


def maker_text(m: Maker) -> str:
    """All of the exhibit between its title and its verdict."""
    blocks = [[f"{label:<20} {text}" for label, text in m.header.lines()]]
    blocks += [tape_lines(m), fit_lines(m), run_lines(m), probe_lines(m), truth_lines(m)]
    return "\n\n".join("\n".join(f"  {line}".rstrip() for line in block) for block in blocks)


def maker_verdict(m: Maker) -> str:
    """One paragraph: what is refused, what cannot pay, at which fee it would."""
    n = m.fit.parts.arrivals.distinct
    fit = f"the fit is REFUSED ({n} arrivals)" if m.fit.refused else f"the fit stands on {n} arrivals"
    trip = "no round trip can pay" if m.best_trip_bp < m.trip_cost_bp else "a round trip could have paid"
    kept = "are never filled: 0, as doing nothing" if m.kept.fills == 0 else f"make {m.kept.net:,.2f}"
    run, currency = m.told.runs[0], m.told.currency
    told = "never filled either" if run.fills == 0 else (
        f"told to ignore it they make {run.net:,.2f} {currency} in {run.fills} fills and break even at"
        f" {fee_text(run.break_even_fee_bp)}"
    )  # fmt: skip
    return (
        f"{m.tape['trades']:,.0f} trades carry no claim; {fit}. At a maker fee of {float(m.fees.maker_bp):g} bp {trip}:"
        f" the best of hindsight earns {m.best_trip_bp:.1f} bp, two fees are {m.trip_cost_bp:g} bp. Quotes that mind"
        f" the fee {kept}; {told}."
    )


def fee_text(bp: float) -> str:
    """A break-even fee in words."""
    if not math.isfinite(bp):
        return "no fee (nothing was filled)"
    return f"a fee of {bp:.2f} bp a fill" if bp >= 0.0 else f"a rebate of {-bp:.2f} bp a fill"


def tape_lines(m: Maker) -> list[str]:
    """What the tape is."""
    t = m.tape
    dropped = ", ".join(f"{n:,} {DROPPED[name]}" for name, n in m.dropped.items())
    lines = [
        f"{t['rows']:,.0f} rows in {t['seconds']:,.0f} s: {t['orders']:,.0f} orders by name, {t['trades']:,.0f} trades."
        f" The touch is one tick wide {100 * t['one_tick']:.0f} % of the time",
        f"({t['spread_bp']:.2f} bp at the mean) and stays between {t['low']:,.8g} and {t['high']:,.8g}.",
    ]
    return lines + ([f"Left out: {dropped}."] if dropped else [])


def fit_lines(m: Maker) -> list[str]:
    """Whether the tape carries a calibration, and why not."""
    a = m.fit.parts.arrivals
    head = (
        f"Calibration: {a.prints:,} prints are {a.distinct:,} distinct arrivals, of which {a.at_touch:.0%} stop at the"
        " touch."
    )
    if not m.fit.refused:
        return [head + " It stands."]
    return [head + " REFUSED:", *(f"  - {why}" for why in m.fit.refused.split("; "))]


def run_lines(m: Maker) -> list[str]:
    """The runs side by side, and why no round trip pays."""
    runs = m.told.runs
    tables = [facts(run) for run in runs]
    p, f = m.told.parameters, m.fees
    lines = [
        f"Quotes in the true queue (fifo), {p['qty']:g} an order, at most {p['limit']:g}, parameters stated and not"
        " fitted;",
        f"fees {float(f.maker_bp):g} bp to make, {float(f.taker_bp):g} bp to take. Quotes that keep the fee's distance:"
        f" {m.kept.fills} fills,",
        f"P&L {m.kept.net:,.2f}. Told to ignore the fee:",
        "",
        f"{'':<28}" + "".join(f"{name:>14}" for name in [*(run.name for run in runs), NOTHING]),
    ]
    for i, (what, _, style) in enumerate(tables[0]):
        if what in SHOWN:
            cells = [written(t[i][1], style) for t in tables] + ["0" if what == "P&L" else "-"]
            lines.append(f"{what:<28}" + "".join(f"{c:>14}" for c in cells))
    pays = "cannot pay" if m.best_trip_bp < m.trip_cost_bp else "could pay"
    return [
        *lines,
        "",
        f"The best round trip that hindsight finds, filled at the touch on both sides, earns {m.best_trip_bp:.1f} bp;",
        f"two maker fees are {m.trip_cost_bp:g} bp: it {pays}.",
    ]


def probe_lines(m: Maker) -> list[str]:
    """Queue models on the same orders."""
    head = "The same orders at the touch under each queue model, one every 2 s for 30 s (fifo is the true queue):"
    return [head, *probe_table(m.probes).splitlines()]


def truth_lines(m: Maker) -> list[str]:
    """Queue models on real orders whose fate is known."""
    t = m.truth
    if t is None:
        return [f"Fill truth: not shown: {m.no_truth}"]
    ranked = sorted(t.scores, key=lambda s: s.brier)
    best = t.best()
    lines = [
        f"Fill truth: {t.probes:,} real orders hidden one at a time, {t.filled} of them filled; Brier score by model:",
        ", ".join(f"{s.model} {s.brier:.4f}" for s in ranked) + ".",
        f"fifo knows the orders and is the check; best of those that see depth only: {best.model}.",
    ]
    if t.filled < FEW:
        lines.append(f"{t.filled} fills tell no close models apart; a longer tape does: oneprice audit --fills.")
    return lines
