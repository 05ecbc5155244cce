"""The report of a quoting run as text: one column a run, doing nothing last, then markouts by decile."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oneprice.study.making import Making, Quoted

NOTHING = "nothing"
GROUPED = {
    "flow": "order flow of the last second, in our favour (queues)",
    "imbalance": "queue imbalance, in our favour",
    "queue": "shown at the price when we joined (units)",
}


def facts(run: Quoted) -> list[tuple[str, float, str]]:
    """(what, value, format) of a run, in the order of the table."""
    rows = [
        ("fills", float(run.fills), ",.0f"),
        ("value traded", run.value, ",.2f"),
        ("spread captured, bp", run.spread_bp, ".3f"),
    ]
    rows += [(f"markout {lag:g} s, bp", v, ".3f") for lag, v in zip(run.lags_s, run.markout_bp, strict=True)]
    rows += [
        ("edge and slippage", run.pnl["edge"] + run.pnl["slippage"], ",.4f"),
        ("adverse selection", run.pnl["adverse"], ",.4f"),
        ("inventory", run.pnl["inventory"], ",.4f"),
        ("fees (rebates > 0)", run.pnl["fee"], ",.4f"),
        ("P&L", run.net, ",.4f"),
        ("break-even fee, bp a fill", run.break_even_fee_bp, ".3f"),
        ("fee paid, bp a fill", run.fee_paid_bp, ".3f"),
        ("quote-to-trade, messages a fill", run.messages_a_fill, ",.1f"),
        ("time with a bid, %", 100.0 * run.quoting[0], ".1f"),
        ("time with an offer, %", 100.0 * run.quoting[1], ".1f"),
        ("bid at the touch, %", 100.0 * run.at_touch[0], ".1f"),
        ("offer at the touch, %", 100.0 * run.at_touch[1], ".1f"),
        ("held, mean absolute", run.held["mean_absolute"], ".5g"),
        ("held, deviation", run.held["deviation"], ".5g"),
        ("held, most", run.held["most"], ".5g"),
    ]
    return rows


def written(value: float, style: str) -> str:
    """A number, or - where there is none."""
    return format(value, style) if math.isfinite(value) else "-"


def verdict(made: Making) -> str:
    """One sentence: does it pay after fees, and at which fee it would."""
    run = made.runs[0]
    if run.why_not:
        return f"It never quoted: {run.why_not}. P&L 0, as doing nothing."
    if run.fills == 0:
        return "It was never filled: P&L 0, as doing nothing."
    pays = "pays" if run.net > 0 else "does not pay"
    beside = ""
    if len(made.runs) > 1:
        other = made.runs[1].net
        word = "better than" if run.net > other else "worse than" if run.net < other else "just as"
        beside = f" It does {word} the same spread around the mid ({other:,.4f} {made.currency})."
    earned = run.net - run.pnl["inventory"]
    luck = ""
    if (earned > 0) != (run.net > 0):
        luck = f" Without what prices did to the position later ({run.pnl['inventory']:,.4f}) it is {earned:,.4f}."
    return (
        f"It {pays}: {run.net:,.4f} {made.currency} against 0 for doing nothing. It breaks even at a fee of "
        f"{run.break_even_fee_bp:.3f} bp a fill; {run.fee_paid_bp:.3f} bp was paid.{luck}{beside}"
    )


def making_table(made: Making) -> str:
    """The whole report as text."""
    told = {name: value for name, value in made.parameters.items() if value}
    lines = [
        f"{made.strategy} on {made.leg}, {made.seconds:,.0f} s",
        "  " + ", ".join(f"{name} {value:g}" for name, value in told.items()),
        "",
    ]
    tables = [facts(run) for run in made.runs]
    names = [run.name for run in made.runs] + [NOTHING]
    lines.append("  " + " " * 32 + "".join(f"{name:>16}" for name in names))
    for i, (what, _, style) in enumerate(tables[0]):
        cells = [written(t[i][1], style) for t in tables] + ["0" if what == "P&L" else "-"]
        lines.append(f"  {what:<32}" + "".join(f"{c:>16}" for c in cells))
    run = made.runs[0]
    for key, title in GROUPED.items():
        groups = run.groups.get(key, ())
        if not groups:
            continue
        lags = "".join(f"{f'{lag:g} s':>10}" for lag in run.lags_s)
        lines += ["", f"  markouts by {title}, bp", f"  {'from':>12}{'to':>12}{'fills':>8}{'spread':>10}{lags}"]
        for g in groups:
            marked = "".join(f"{written(v, '.3f'):>10}" for v in g.markout_bp)
            lines.append(f"  {g.low:>12.4g}{g.high:>12.4g}{g.fills:>8}{written(g.spread_bp, '.3f'):>10}{marked}")
    lines += ["", "  " + verdict(made)]
    if not all(r.closes for r in made.runs):
        lines.append("  THE BOOKS DO NOT CLOSE")
    return "\n".join(lines)
