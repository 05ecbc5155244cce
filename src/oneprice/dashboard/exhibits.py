"""The exhibits of a report: what each shows, drawn and tabled from a RunData."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from oneprice.core.records import FILL_ROW, HALT_ROW, RESIDUAL_ROW, SAMPLE
from oneprice.dashboard import charts, svg
from oneprice.dashboard.charts import Band, Line, Mark, Plot
from oneprice.modes.explain import HALTS, RESIDUAL_WHY, Package, packages_of
from oneprice.study import report
from oneprice.study.report import RunData, leg_name

MOST_PACKAGES = 200
MOST_LEGS = 8  # lines of a chart with a legend that can be read
__all__ = ["Exhibit", "Table", "all_of", "figures", "leg_name", "period"]


@dataclass(frozen=True)
class Table:
    """Rows under column names; text, numbers or booleans."""

    title: str
    columns: list[str]
    rows: list[list[Any]]
    empty: str = "none"
    note: str = ""
    last_is_sum: bool = False


@dataclass(frozen=True)
class Exhibit:
    """One section of the page."""

    title: str
    says: str
    drawings: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    header: dict[str, str] | None = None  # its own; None: that of the run's tapes


def all_of(run: RunData) -> list[Exhibit]:
    """Every exhibit of a run, in reading order."""
    packages = packages_of(run.rows, run.manifest)
    out = [pnl(run), prices(run)]
    if not (run.strips and len(run.manifest.legs) > 2):  # a strip has no first two legs that belong together
        out.append(gap(run, packages))
    out += [inventory(run), residual(run, packages)]
    out += [break_even(run), package_table(run, packages), legging(run, packages), refused(run)]
    return [*demo_exhibits(run.demo), *_quoting(run.making), *_strips(run), *out]


def _quoting(found: dict[str, Any] | None) -> list[Exhibit]:
    """Those of a run that quoted, where its making.json lies beside the journal."""
    if not found:
        return []
    from oneprice.dashboard.quoting_page import quoting_exhibits

    return quoting_exhibits(found)


def _strips(run: RunData) -> list[Exhibit]:
    """That of a run of term structures, where a strips.json that sums to the journal's P&L lies beside it."""
    found = run.strips
    if not found or found["units"]["total"] != report.cause_table(run).total:
        return []
    from oneprice.dashboard.strip_page import strip_exhibit

    return [strip_exhibit(found)]


def period(run: RunData) -> str:
    """First to last sampled time, UTC."""
    times = run.of_kind(SAMPLE)["time_ns"]
    if len(times) == 0:
        return "nothing sampled"
    span = float(times[-1] - times[0])
    low, high = (svg.time_text(float(t), 20e9) for t in (times[0], times[-1]))
    day = svg.time_text(float(times[0]), 1e30)
    last_day = svg.time_text(float(times[-1]), 1e30)
    return f"{day} {low} to {'' if day == last_day else last_day + ' '}{high} UTC ({_duration(span)})"


def figures(run: RunData) -> list[tuple[str, str, str]]:
    """Key figures for the head of the page: (label, value, unit)."""
    table = report.cause_table(run)
    curve = report.equity_curve(run)
    costs = sum(v for n, v in table.causes if n in ("fee", "tax", "funding", "borrow", "transfer"))
    packages = packages_of(run.rows, run.manifest)
    naked = max((p.naked_ms for p in packages), default=0.0)
    digits = _digits(table.amount(table.total))
    return [
        ("P&L", svg.number_text(table.amount(table.total), digits, signed=True), table.currency),
        ("of it charges", svg.number_text(table.amount(costs), digits, signed=True), table.currency),
        (
            "largest drawdown",
            svg.number_text(table.amount(report.drawdown(curve.equity)), digits),
            table.currency,
        ),
        ("packages", svg.number_text(len(packages), 0), ""),
        ("fills", svg.number_text(len(report.fills(run)), 0), ""),
        ("refused orders", svg.number_text(sum(n for _, n in report.refusals(run)), 0), ""),
        ("longest naked", svg.number_text(naked, 1), "ms"),
    ]


def pnl(run: RunData) -> Exhibit:
    """P&L by cause as a waterfall, with the integer check that it adds up."""
    table = report.cause_table(run)
    parts = [(n, table.amount(v)) for n, v in table.causes if v]
    digits = _digits(max((abs(v) for _, v in parts), default=0.0))
    drawing = charts.waterfall(
        parts, ("total", table.amount(table.total)), unit=table.currency, digits=digits
    )
    rows: list[list[Any]] = [[n, v, table.exact(v)] for n, v in table.causes if v]
    rows.append(["sum of causes", table.total, table.exact(table.total)])
    closes = "They are equal: no part was found by subtraction."
    verdict = closes if table.difference == 0 else "THEY DIFFER: the books do not close."
    note = (
        f"Check in integers of 10^-{table.scale} {table.currency}: sum of causes {table.total}, "
        f"change in equity {table.equity}, difference {table.difference}. {verdict}"
    )
    curve = report.equity_curve(run)
    equity = (curve.equity - (curve.equity[0] if len(curve.equity) else 0)) / 10**table.scale
    lines = [
        Line(name, curve.time_ns, (curve.causes[:, i] - curve.causes[0, i]) / 10**table.scale, step=True)
        for i, name in enumerate(run.manifest.causes)
        if len(curve.equity) and curve.causes[-1, i] != curve.causes[0, i]
    ]
    lines = [*lines[:5], Line("equity since the start", curve.time_ns, equity, step=True, colour=svg.INK)]
    return Exhibit(
        "P&L by cause",
        "Where each cent came from. Each bar begins where the one before it ended; the last is their sum.",
        [drawing, charts.time_chart(Plot("P&L by cause over time", table.currency, lines, zero=True))],
        [Table("", ["cause", "ledger units", table.currency], rows, note=note, last_is_sum=True)],
    )


def prices(run: RunData) -> Exhibit:
    """Mids of all legs, or of those traded most; legs of one quote share a chart."""
    drawings = []
    series, shown = report.legs(run), report.shown_legs(run, MOST_LEGS)
    groups: dict[str, list[report.LegSeries]] = {}
    for i in shown:
        quote = str(run.manifest.legs[i].get("quote", ""))
        groups.setdefault(quote, []).append(series[i])
    for quote, members in groups.items():
        lines = [Line(leg.name, leg.time_ns, leg.mid, step=True) for leg in members]
        drawings.append(charts.time_chart(Plot("mid prices", quote, lines)))
    says = f"Mid of each leg as the engine saw it, in receive time.{_left_out(run, shown)}"
    return Exhibit("The prices", says, drawings)


def _left_out(run: RunData, shown: list[int]) -> str:
    """How many legs a chart leaves out, and which; empty where it shows all."""
    n = len(run.manifest.legs)
    if len(shown) == n:
        return ""
    traded = len({int(leg) for leg in run.of_kind(FILL_ROW)["leg"]})
    if not traded:
        return f" None of the {n} legs was traded: none is drawn."
    more = f"{traded - len(shown)} more were traded, " if traded > len(shown) else ""
    which = "those traded most" if traded > len(shown) else "those that were traded"
    return f" Drawn: {len(shown)} of {n} legs, {which}; {more}{n - traded} never."


def gap(run: RunData, packages: list[Package]) -> Exhibit:
    """Gap of the first two legs, its own band, and where packages were entered and left."""
    found = report.gap(run)
    if found is None:
        return Exhibit("The gap", "", ['<p class="none">this run has no two legs to compare</p>'])
    a, b = found.names
    entries = [p for p in packages if p.opens]
    exits = [p for p in packages if not p.opens]
    marks = [
        _marks_of("entry", entries, run, "up", svg.SERIES[2]),
        _marks_of("exit", exits, run, "down", svg.SERIES[1]),
    ]
    lines = [Line(f"mid of {a} over mid of {b}", found.time_ns, found.mid_bp, step=True)]
    bands = [Band(f"its own mean ± {report.BAND_SIGMAS:g}σ", found.time_ns, found.low_bp, found.high_bp)]
    first = Plot("gap", "bp", lines, bands, [m for m in marks if len(m.x)])
    touch = [
        Line(f"sell {a}, buy {b}", found.time_ns, found.a_over_b, step=True),
        Line(f"sell {b}, buy {a}", found.time_ns, found.b_over_a, step=True, colour=svg.SERIES[1]),
    ]
    levels = [("taker fees of both legs", found.cost_bp)] if math.isfinite(found.cost_bp) else []
    second = Plot("executable gap", "bp", touch, levels=levels, zero=True)
    return Exhibit(
        "The gap and its band",
        "Above: the difference of the mids against its own slow mean. Below: what could be executed at the "
        "touch, bid of one leg over ask of the other; above the dotted line it pays one crossing of each.",
        [charts.time_chart(first), charts.time_chart(second)],
    )


def demo_exhibits(demo: dict[str, Any] | None) -> list[Exhibit]:
    """The exhibits of `oneprice demo`, where its demo.json lies beside the journal."""
    if not demo:
        return []
    out = []
    feeds = demo.get("looks_like_money") or {}
    if "waterfall" in feeds:
        steps = [(str(s["name"]), float(s["change"])) for s in feeds["waterfall"]]
        total = ("what is left", float(feeds["waterfall"][-1]["pnl"]))
        rows = [
            [s["name"], float(s["change"]), float(s["pnl"]), s["trades"], s["note"]]
            for s in feeds["waterfall"]
        ]
        columns = ["one more fact", "change USD", "P&L USD", "trades", "what it is"]
        drawing = charts.waterfall(steps, total, unit="USD", digits=0)
        says = str(feeds.get("verdict", ""))
        out.append(
            Exhibit(str(feeds["title"]), says, [drawing], [Table("", columns, rows)], feeds.get("header"))
        )
    elif feeds:
        out.append(Exhibit("A gap that looks like money", f"not shown: {feeds.get('missing', '')}"))
    world = demo.get("is_money") or {}
    if world:
        classes = sorted({c for found in world.get("plants_by_class", {}).values() for c in found})
        rows = [
            [k, *(found.get(c, 0) for c in classes)] for k, found in world.get("plants_by_class", {}).items()
        ]
        table = Table("What was planted, and what the audit calls it", ["planted", *classes], rows)
        out.append(
            Exhibit(f"{world['title']} (simulated)", str(world["verdict"]), [], [table], world.get("header"))
        )
    from oneprice.dashboard.term_page import exhibit_of

    shown = out + _funnel(demo.get("funnel") or {}) + _orders(demo.get("maker") or {})
    return shown + exhibit_of(demo.get("term") or {})


def _orders(found: dict[str, Any]) -> list[Exhibit]:
    """Half an hour of single orders."""
    from oneprice.dashboard.orders_page import orders_exhibits

    return orders_exhibits(found)


def _funnel(found: dict[str, Any]) -> list[Exhibit]:
    """The pairs of real stocks, window by window."""
    if "windows" not in found:
        return [Exhibit("A funnel", f"not shown: {found['missing']}")] if found else []
    columns = ["day", "tests", "by_chance", "nominal", "survivors", "traded", "trades", "gross", "net"]
    rows = [[w[name] for name in columns] for w in found["windows"]]
    table = Table("Window by window", [c.replace("_", " ") for c in columns], rows)
    return [Exhibit(str(found["title"]), str(found["verdict"]), [], [table], found.get("header"))]


def _marks_of(name: str, packages: list[Package], run: RunData, shape: str, colour: str) -> Mark:
    """Packages that filled both legs, at the gap of the mids on which they were decided."""
    times, heights = [], []
    for p in packages:
        if 0 in p.decision_mid2 and 1 in p.decision_mid2:
            one, two = (0.5 * p.decision_mid2[i] * report.tick_of(run.manifest, i) for i in (0, 1))
            times.append(p.opened_ns)
            heights.append(2e4 * (one - two) / (one + two))
    return Mark(name, np.array(times, np.int64), np.array(heights), shape, colour)


def inventory(run: RunData) -> Exhibit:
    """Position of each leg over time, in lots; of many legs, those traded most."""
    series, shown = report.legs(run), report.shown_legs(run, MOST_LEGS)
    lines = [Line(series[i].name, series[i].time_ns, series[i].lots.astype(float), step=True) for i in shown]
    plot = Plot("position", "lots", lines, zero=True, height=240)
    says = f"Filled position of each leg.{_left_out(run, shown)}"
    return Exhibit("Inventory", says, [charts.time_chart(plot)] if lines else [])


def residual(run: RunData, packages: list[Package]) -> Exhibit:
    """Unhedged lots booked to the residual ledger, and what became of them."""
    rows = run.of_kind(RESIDUAL_ROW)
    samples = run.of_kind(SAMPLE)
    lines = []
    for i in range(len(run.manifest.legs)):
        own = rows[rows["leg"] == i]
        if len(own) == 0 or len(samples) == 0:
            continue
        times = np.concatenate([samples["time_ns"][:1], own["time_ns"], samples["time_ns"][-1:]])
        lots = np.concatenate([[0], own["c"], own["c"][-1:]]).astype(float)
        lines.append(Line(leg_name(run.manifest, i), times, lots, step=True))
    table = [
        [
            svg.time_text(float(r["time_ns"]), 20e9),
            leg_name(run.manifest, int(r["leg"])),
            int(r["a"]),
            int(r["c"]),
            float(r["b"]) / 1e6,
            RESIDUAL_WHY[int(r["code"])] if r["code"] < len(RESIDUAL_WHY) else str(r["code"]),
        ]
        for r in rows[:MOST_PACKAGES]
    ]
    drawing = charts.time_chart(Plot("residual", "lots", lines, zero=True, height=220)) if lines else ""
    says = "Lots that stood unhedged after a package had ended: each was hedged, unwound or is listed here."
    columns = ["time", "leg", "change lots", "left lots", "age ms", "why"]
    note = f"the first {MOST_PACKAGES} of {len(rows)}" if len(rows) > MOST_PACKAGES else ""
    empty = "no lot was ever left unhedged by a finished package"
    return Exhibit("Residual", says, [drawing] if drawing else [], [Table("", columns, table, empty, note)])


def break_even(run: RunData) -> Exhibit:
    """The sweep over latency, fee and size as heat maps, one a size; blue pays, orange does not."""
    title = "Break-even map"
    cells = (run.sweep or {}).get("map")
    if not cells:
        empty = '<p class="none">no sweep.json lies beside the journal: `oneprice sweep` writes it</p>'
        return Exhibit(title, "", [empty])
    sizes = sorted({float(c["size"]) for c in cells})
    fees = sorted({float(c["fee_bp"]) for c in cells})
    delays = sorted({float(c["latency_ms"]) for c in cells})
    drawings = []
    for size in sizes:
        grid = np.full((len(delays), len(fees)), np.nan)
        for c in cells:
            if float(c["size"]) == size and c.get("pnl") is not None:
                grid[delays.index(float(c["latency_ms"])), fees.index(float(c["fee_bp"]))] = float(c["pnl"])
        digits = _digits(float(np.nanmax(np.abs(grid))) if np.isfinite(grid).any() else 0.0)
        picture = charts.heat_map(
            grid,
            [f"{d:g} ms" for d in delays],
            [f"{f:g} bp" for f in fees],
            row_title="latency",
            column_title="taker fee, each fill",
            digits=digits,
        )
        drawings.append(f"<h3>size {size:g}</h3>{picture}")
    tries = (run.sweep or {}).get("tries", len(cells))
    unit = (run.sweep or {}).get("unit", report.report_currency(run.manifest))
    says = f"Total P&L in {unit} at each latency, fee and size; framed cells do not lose. {tries} tries."
    return Exhibit(title, says, drawings)


def package_table(run: RunData, packages: list[Package]) -> Exhibit:
    """Each package with its legs, state and result."""
    rows = [
        [
            p.number,
            svg.time_text(float(p.opened_ns), 20e9),
            p.state,
            f"{p.filled_text} of {p.planned_text}" if p.planned_text else p.filled_text,
            p.life_ms,
            p.n_orders,
            p.n_fills,
            p.n_refused,
        ]
        for p in packages[:MOST_PACKAGES]
    ]
    columns = ["no.", "opened", "state", "lots filled", "life ms", "orders", "fills", "refused"]
    states: dict[str, int] = {}
    for p in packages:
        states[p.state] = states.get(p.state, 0) + 1
    says = "; ".join(f"{n} {state}" for state, n in sorted(states.items())) or "no package was opened"
    note = f"the first {MOST_PACKAGES} of {len(packages)}" if len(packages) > MOST_PACKAGES else ""
    tell = "`oneprice explain RUN --package N` tells the story of one."
    return Exhibit("Packages", f"{says}. {tell}", tables=[Table("", columns, rows, note=note)])


def legging(run: RunData, packages: list[Package]) -> Exhibit:
    """The worst of each package: how much stood naked, how long, and what it cost."""
    worst = sorted(packages, key=lambda p: (-p.naked_ms, p.number))[:25]
    rows = [
        [p.number, p.worst_naked, p.naked_ms, p.legging_cost, p.cost_currency] for p in worst if p.n_fills
    ]
    total = sum(p.legging_cost for p in packages if math.isfinite(p.legging_cost))
    currency = next((p.cost_currency for p in packages if p.cost_currency), "")
    digits = _digits(total)
    says = (
        "A package is naked while its filled legs do not offset each other. The cost of legging is what the "
        "market moved against it between its decision and that behind each later fill (a minus is a cost). "
        f"All packages together: {svg.number_text(total, digits, signed=True)} {currency}."
    )
    columns = ["package", "worst naked, units", "naked ms", "legging", "in"]
    note = f"the {len(rows)} longest naked of {len(packages)}" if len(packages) > len(rows) else ""
    return Exhibit("Legging", says, tables=[Table("", columns, rows, "no package had a fill", note)])


def refused(run: RunData) -> Exhibit:
    """Refusals by reason, and changes of the halt state."""
    parts = [(name, float(n)) for name, n in report.refusals(run)]
    halts = [
        [
            svg.time_text(float(r["time_ns"]), 20e9),
            HALTS.get(int(r["a"]), "?"),
            HALTS.get(int(r["b"]), "?"),
            int(r["code"]),
        ]
        for r in run.of_kind(HALT_ROW)
    ]
    return Exhibit(
        "Refusals and halts",
        "Orders that the gate did not let out, by reason.",
        [charts.bars(parts, unit="orders")],
        [Table("Halts", ["time", "from", "to", "reason code"], halts, "trading was never halted or reduced")],
    )


def _digits(value: float) -> int:
    if not math.isfinite(value) or value == 0:
        return 2
    return max(2, min(8, 3 - math.floor(math.log10(abs(value)))))


def _duration(ns: float) -> str:
    seconds = ns / 1e9
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
