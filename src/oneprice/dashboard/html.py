"""`report.html`: one self-contained page written from a run's journal and manifest.

Each exhibit stands under its header: source, licence, period, side, simultaneity, survivorship, tries, claim.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any

from oneprice.dashboard import exhibits, svg
from oneprice.dashboard.style import CSS, SCRIPT
from oneprice.study.report import RunData, read_run

SHOWN = 16  # rows of a table before the rest folds away
MOST_NAMED = 4  # legs in the title
HEADER_LABELS = {
    "source": "source",
    "licence": "licence",
    "period": "period",
    "side": "side",
    "simultaneity": "simultaneity",
    "survivorship": "survivorship",
    "tries": "tries",
}


def write_report(run: str | Path | RunData, *, out: str | Path | None = None) -> Path:
    """Write the report of a run; returns its path.

    Parameters
    ----------
    run : folder with a journal, a journal file, or what `study.report.read_run` returned.
    out : where to write; else `report.html` in the run's folder.

    Raises
    ------
    JournalError
        There is no journal, or it cannot be trusted.
    """
    data = run if isinstance(run, RunData) else read_run(run)
    if out is None:
        base = Path(run) if not isinstance(run, RunData) else Path(".")
        out = (base if base.is_dir() else base.parent) / "report.html"
    target = Path(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_suffix(".tmp")
    scratch.write_text(page(data), encoding="utf-8")
    scratch.replace(target)
    return target


def page(run: RunData) -> str:
    """The whole page as text."""
    names = ", ".join(s.name for s in run.manifest.strategies) or "no strategy"
    title = f"{names}: {run.name}"
    parts = [top_of_page(run, names), *(section(run, e) for e in exhibits.all_of(run)), appendix(run)]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head><body><main>{''.join(parts)}</main>"
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def top_of_page(run: RunData, names: str) -> str:
    """Title, what ran, whether a profit may be claimed, and the key figures."""
    named = [str(leg.get("symbol", "?")) for leg in run.manifest.legs]
    if len(named) > MOST_NAMED:
        named = [", ".join(named[: MOST_NAMED - 1]), f"{len(named) - MOST_NAMED + 1} more legs"]
    legs = " and ".join(named) or "no legs"
    notes = "".join(f'<p class="not">{escape(n)}</p>' for n in run.notes)
    mode = f"{run.manifest.mode}, seed {run.manifest.seed}, {exhibits.period(run)}"
    return (
        f"<h1>{escape(names)} on {escape(legs)}</h1><p class='lead'>{escape(mode)}</p>{notes}"
        f"{claim(run)}{cards(exhibits.figures(run))}"
    )


def claim(run: RunData) -> str:
    """The answer to "can P&L be claimed?": yes only where each header says so."""
    headers = run.manifest.headers
    good = bool(headers) and all(h.get("claim") is True for h in headers)
    reasons = list(dict.fromkeys(str(h.get("claim_why", "")) for h in headers if h.get("claim_why")))
    why = "; ".join(reasons) or "the journal carries no header that says where the data come from"
    answer = "Yes" if good else "No"
    head = f"<b>Can P&amp;L be claimed? {answer}.</b>"
    return f'<div class="claim{" yes" if good else ""}">{head}{escape(why)}</div>'


def cards(figures: list[tuple[str, str, str]]) -> str:
    """Key figures: (label, value, unit)."""
    cells = (
        f"<div><dt>{escape(label)}</dt><dd>{escape(value)}<small>{escape(unit)}</small></dd></div>"
        for label, value, unit in figures
    )
    return f'<dl class="cards">{"".join(cells)}</dl>'


def section(run: RunData, exhibit: exhibits.Exhibit) -> str:
    """One exhibit: heading, what it shows, its header, its drawing and tables."""
    text = f"<p>{escape(exhibit.says)}</p>" if exhibit.says else ""
    body = "".join(f'<div class="chart">{d}</div>' for d in exhibit.drawings)
    body += "".join(table(t) for t in exhibit.tables)
    header = own_header(exhibit.header) if exhibit.header else header_line(run)
    return f"<section><h2>{escape(exhibit.title)}</h2>{text}{header}{body}</section>"


def own_header(words: dict[str, str]) -> str:
    """The header of an exhibit whose data are not the run's tapes."""
    pieces = (f"<b>{escape(label)}</b> {escape(text)}" for label, text in words.items())
    return f'<p class="source">{" · ".join(pieces)}</p>'


def header_line(run: RunData) -> str:
    """The header of the data in one paragraph; tapes with the same words are said once."""
    if not run.manifest.headers:
        return '<p class="source"><b>source</b> not stated in the manifest</p>'
    pieces = []
    for key, label in HEADER_LABELS.items():
        values = list(
            dict.fromkeys(str(h[key]) for h in run.manifest.headers if h.get(key) not in (None, ""))
        )
        pieces.append(f"<b>{label}</b> {escape(' / '.join(values) or 'not stated')}")
    good = all(h.get("claim") is True for h in run.manifest.headers)
    pieces.append(f"<b>can P&amp;L be claimed?</b> {'yes' if good else 'no'}, see above")
    return f'<p class="source">{" · ".join(pieces)}</p>'


def table(content: exhibits.Table) -> str:
    """A table; numbers are right aligned, and where `last_is_sum` the last row is set off."""
    if not content.rows:
        return f'<h3>{escape(content.title)}</h3><p class="none">{escape(content.empty)}</p>'
    numeric = [all(is_number(r[i]) for r in content.rows) for i in range(len(content.columns))]
    head = "".join(
        f"<th{' class=n' if n else ''}>{escape(c)}</th>"
        for c, n in zip(content.columns, numeric, strict=True)
    )
    rows = []
    for i, row in enumerate(content.rows):
        cells = "".join(cell(v, n) for v, n in zip(row, numeric, strict=True))
        last = content.last_is_sum and i == len(content.rows) - 1
        rows.append(f"<tr{' class=sum' if last else ''}>{cells}</tr>")
    body = f'<div class="scroll"><table><tr>{head}</tr>{"".join(rows[:SHOWN])}</table></div>'
    if len(rows) > SHOWN:
        rest = f'<div class="scroll"><table><tr>{head}</tr>{"".join(rows[SHOWN:])}</table></div>'
        body += f"<details><summary>{len(rows) - SHOWN} more</summary>{rest}</details>"
    more = f'<p class="source">{escape(content.note)}</p>' if content.note else ""
    title = f"<h3>{escape(content.title)}</h3>" if content.title else ""
    return f"{title}{body}{more}"


def is_number(value: Any) -> bool:
    """Whether a cell is a number, or a decimal written out."""
    return isinstance(value, int | float) or re.fullmatch(r"-?\d+\.\d+", str(value)) is not None


def cell(value: Any, numeric: bool) -> str:
    """One cell; long text may wrap."""
    if isinstance(value, bool):
        return f"<td>{'yes' if value else 'no'}</td>"
    if isinstance(value, float):
        return f'<td class="n">{svg.number_text(value, 4)}</td>'
    if isinstance(value, int):
        return f'<td class="n">{svg.number_text(value, 0)}</td>'
    text = str(value).replace("-", "\u2212", 1) if numeric else str(value)
    return f'<td class="{"n" if numeric else "wrap" if len(text) > 40 else ""}">{escape(text)}</td>'


def appendix(run: RunData) -> str:
    """What ran, from which text, on which bytes: enough to do it again."""
    m = run.manifest
    facts = [("oneprice", m.oneprice), ("python", m.python), ("numba", m.numba), ("numpy", m.numpy)]
    facts += [
        ("commit", m.git_commit or "not recorded"),
        ("state layout", str(m.layout_digest)),
        ("seed", str(m.seed)),
    ]
    tapes = exhibits.Table(
        "Tapes",
        ["leg", "rows", "sha256", "clock offset ns", "± ns"],
        [
            [exhibits.leg_name(m, t.leg), t.rows, t.digest, t.clock_offset_ns, t.clock_bound_ns]
            for t in m.tapes
        ],
        empty="none are named in the manifest",
    )
    sources = "".join(
        f"<details><summary>{escape(s.name)} with {escape(_params(s.params))}</summary>"
        f"<pre>{escape(s.source)}</pre></details>"
        for s in m.strategies
    )
    versions = exhibits.Table("Versions", ["what", "value"], [[a, b] for a, b in facts])
    return (
        f"<section><h2>What ran</h2>{table(versions)}{table(tapes)}<h3>Strategies</h3>{sources}</section>"
        "<footer>Written from the journal and its manifest; no market data were read. "
        "Times are UTC. Amounts are exact integers of the ledger, shown as decimals.</footer>"
    )


def _params(params: dict[str, Any]) -> str:
    return ", ".join(f"{k} = {v}" for k, v in params.items()) or "no parameters"
