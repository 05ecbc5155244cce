"""The exhibit of single orders in `report.html`: touch and fills, depth, position, markouts, the fee that would do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.dashboard import charts, svg
from oneprice.dashboard.charts import Line, Mark, Plot
from oneprice.dashboard.exhibits import Exhibit, Table
from oneprice.dashboard.making_page import xy_chart
from oneprice.dashboard.quoting_page import curves

FEE_POINTS = 41


def orders_exhibits(found: dict[str, Any]) -> list[Exhibit]:
    """The exhibit of a `demo.json`, or the line that says why it is not shown."""
    if "told" not in found:
        return [Exhibit("Thirty minutes of single orders", f"not shown: {found['missing']}")] if found else []
    drawings = [touch_chart(found), depth_chart(found), position_chart(found), markout_chart(found), fee_chart(found)]
    tables = [tape_table(found), runs_table(found), probes_table(found), truth_table(found)]
    return [Exhibit(str(found["title"]), str(found["verdict"]), drawings, tables, found.get("header"))]


def _series(found: dict[str, Any]) -> dict[str, np.ndarray]:
    """The sampled series of the first run, NaN where there was nothing."""
    raw = found["told"]["series"]
    return {k: np.array([math.nan if v is None else v for v in values], float) for k, values in raw.items()}


def touch_chart(found: dict[str, Any]) -> str:
    """Best bid and ask over time with the fills of the quotes that were told to ignore the fee."""
    s, fills = _series(found), {k: np.array(v, float) for k, v in found["fills"].items()}
    lines = [
        Line("best bid", s["time_ns"], s["bid"], step=True, colour=svg.SERIES[0]),
        Line("best ask", s["time_ns"], s["ask"], step=True, colour=svg.SERIES[1]),
    ]
    marks = []
    for name, sign, shape, colour in (("bought", 1, "up", svg.SERIES[2]), ("sold", -1, "down", svg.INK)):
        own = fills["side"] == sign
        if own.any():
            marks.append(Mark(name, fills["time_ns"][own], fills["price"][own], shape, colour))
    return charts.time_chart(Plot("touch and fills", found["told"]["currency"], lines, marks=marks))


def depth_chart(found: dict[str, Any]) -> str:
    """What stood near the mid: bids above zero, asks below."""
    d = {k: np.array(v, float) for k, v in found["depth"].items()}
    unit = f"units within {found['depth_bp']:g} bp of the mid, asks below zero"
    lines = [
        Line("bids", d["time_ns"], d["bid"], step=True, colour=svg.SERIES[0]),
        Line("asks", d["time_ns"], -d["ask"], step=True, colour=svg.SERIES[1]),
    ]
    return charts.time_chart(Plot("depth near the mid", unit, lines, zero=True, height=220))


def position_chart(found: dict[str, Any]) -> str:
    """Inventory of the first run."""
    s = _series(found)
    line = Line("position", s["time_ns"], s["lots"] * float(found["lot"]), step=True)
    return charts.time_chart(Plot("inventory", "units held", [line], zero=True, height=220))


def markout_chart(found: dict[str, Any]) -> str:
    """Markouts of both runs."""
    lines = [
        (run["name"], np.array(run["curve_s"], float), _numbers(run["curve_bp"])) for run in found["told"]["runs"]
    ]
    return curves(lines, "markout, bp", "seconds after the fill")


def fee_chart(found: dict[str, Any]) -> str:
    """P&L of the same fills at another fee: a line that crosses zero at the break-even fee."""
    runs = [r for r in found["told"]["runs"] if r["break_even_fee_bp"] is not None]
    if not runs:
        return '<p class="none">nothing was filled: no fee to break even at</p>'
    least = min(0.0, *(r["break_even_fee_bp"] for r in runs))
    fees = np.linspace(1.5 * least - 1.0, float(found["fees_bp"][0]), FEE_POINTS)
    made = [(r["break_even_fee_bp"] - fees) * 1e-4 * _traded(r) for r in runs]
    name = f"P&L, {found['told']['currency']}: line {runs[0]['name']}" + (
        f", points {runs[1]['name']}" if len(runs) > 1 else ""
    )
    return xy_chart(name, "maker fee, bp a fill (below zero: a rebate)", fees, points=made[-1], line=made[0])


def _traded(run: dict[str, Any]) -> float:
    """Value of all fills: what was earned before fees over the fee that would take it all."""
    even = float(run["break_even_fee_bp"])
    return float(run["gross"]) / even * 1e4 if even else float(run["value"])


def _numbers(values: list[Any]) -> np.ndarray:
    return np.array([math.nan if v is None else v for v in values], float)


def tape_table(found: dict[str, Any]) -> Table:
    """What the tape is, and why no calibration stands on it."""
    t, a = found["tape"], found["arrivals"]
    rows = [
        ["rows", f"{t['rows']:,}"], ["orders by name", f"{t['orders']:,}"], ["trades", f"{t['trades']:,}"],
        ["distinct arrivals", f"{a['distinct']:,}"], ["touch one tick wide", f"{t['one_tick']:.1%} of the time"],
        *([f"left out: {name.replace('_', ' ')}", f"{n:,}"] for name, n in found["dropped"].items()),
        ["calibration", f"refused: {found['fit_refused']}" if found["fit_refused"] else "stands"],
        ["best round trip of hindsight", f"{found['best_trip_bp']:.1f} bp before fees"],
        ["two maker fees", f"{found['trip_cost_bp']:g} bp"],
    ]  # fmt: skip
    return Table("The tape", ["what", "value"], rows)


def runs_table(found: dict[str, Any]) -> Table:
    """Quotes that mind the fee, those told to ignore it, the symmetric ones, and doing nothing."""
    kept = ["minds the fee", found["kept_fills"], "–", "–", float(found["kept_pnl"]), "–"]
    rows = [kept]
    for run in found["told"]["runs"]:
        even = run["break_even_fee_bp"]
        name = f"ignores the fee, {run['name']}"
        spread, late = (_or_dash(v) for v in (run["spread_bp"], run["markout_bp"][-1]))
        rows.append([name, run["fills"], spread, late, float(run["pnl"]["total"]), _or_dash(even)])
    rows.append(["nothing", 0, "–", "–", 0.0, "–"])
    lag = found["told"]["runs"][0]["lags_s"][-1]
    columns = [
        "quotes", "fills", "spread captured, bp", f"markout {lag:g} s, bp", f"P&L {found['told']['currency']}",
        "break-even fee, bp a fill",
    ]  # fmt: skip
    return Table("What quoting earned", columns, rows, note="A break-even fee below zero is a rebate.")


def _or_dash(value: float | None) -> Any:
    return "–" if value is None or not math.isfinite(value) else float(value)


def probes_table(found: dict[str, Any]) -> Table:
    """Fills of the same orders by queue model."""
    rows = [[name, p["probes"], p["filled"], p["filled"] / max(p["probes"], 1)] for name, p in found["probes"].items()]
    note = "fifo is the true queue: the tape names its orders."
    return Table("The same orders under each queue model", ["model", "orders", "filled", "share"], rows, note=note)


def truth_table(found: dict[str, Any]) -> Table:
    """Brier scores of the queue models on hidden orders."""
    t = found["truth"]
    if "scores" not in t:
        return Table("Fill truth", ["model"], [], empty=f"not shown: {t['missing']}")
    ranked = sorted(t["scores"], key=lambda s: s["brier"])
    rows = [[s["model"], float(s["brier"]), float(s["predicted"])] for s in ranked]
    note = f"{t['probes']:,} real orders hidden one at a time, {t['filled']} filled; {t['caveat']}."
    return Table("Fill truth", ["model", "Brier score", "mean probability"], rows, note=note)
