"""The architecture drawn as SVG and as Mermaid text, from what `wiring` reads in the code."""

from __future__ import annotations

from html import escape

from oneprice.dashboard import svg
from oneprice.dashboard.wiring import Architecture, Handler

BOX_W, BOX_H, STEP_Y, FLOW_X, FLOW_Y = 190.0, 46.0, 92.0, 250.0, 78.0
CARD_X, CARD_W, LINE_H = 720.0, 430.0, 21.0
WIDTH = 1180.0
COLOURS = {
    "venues": "#47525e",
    "market": "#0b5fa5",
    "features": "#00796b",
    "signals": "#5b7f00",
    "strategies": "#8a6d00",
    "execution": "#c2570c",
    "risk": "#a3264a",
    "engine": "#7b3fa0",
    "journal": "#1b2430",
}
ORDER = [
    "core",
    "market",
    "features",
    "signals",
    "execution",
    "risk",
    "strategies",
    "engine",
    "venues",
    "modes",
]
ORDER += ["study", "dashboard", "cli"]


def mermaid(found: Architecture) -> str:
    """The data flow as a Mermaid flowchart."""
    nodes = nodes_of(found)
    lines = ["flowchart TD"]
    lines += [f'  {n}["{n}"]' for n in nodes]
    lines += [f"  {a} -->|{what}| {b}" for a, b, what in found.flow]
    lines += [f"  style {n} stroke:{COLOURS.get(n, svg.INK)},stroke-width:2px" for n in nodes]
    return "\n".join(lines) + "\n"


def nodes_of(found: Architecture) -> list[str]:
    """The nodes of the flow in the order in which the wiring names them."""
    return list(dict.fromkeys(n for a, b, _ in found.flow for n in (a, b)))


def architecture_svg(found: Architecture) -> str:
    """Data flow on the left, the execution path of one event on the right, the import rule below.

    The text is the same for the same code: no dates, no sizes of files.
    """
    nodes = nodes_of(found)
    flow_end = FLOW_Y + STEP_Y * (len(nodes) - 1) + BOX_H
    cards, cards_end = _cards(found.handlers)
    matrix_y = max(flow_end, cards_end) + 70
    matrix, height = _matrix(found, matrix_y)
    body = [
        _style(),
        svg.rect(0, 0, WIDTH, height, "#ffffff"),
        svg.text(30, 36, "Data flow", size=19, extra=' class="h"'),
        svg.text(CARD_X, 36, "Execution path of one event", size=19, extra=' class="h"'),
        *(_edge(edge, nodes, i) for i, edge in enumerate(found.flow)),
        *(_box(name, i) for i, name in enumerate(nodes)),
        cards,
        svg.text(30, matrix_y - 20, "Who imports whom", size=19, extra=' class="h"'),
        matrix,
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {height:g}" role="img"'
    return f'{head} aria-label="architecture of oneprice">{"".join(body)}</svg>\n'


def _style() -> str:
    font = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"
    arrow = (
        '<marker id="a" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">'
    )
    return (
        f"<style>text{{font-family:{font};fill:{svg.INK}}}.h{{font-weight:600}}.q{{fill:#5b6672}}"
        ".e{fill:#5b6672;paint-order:stroke;stroke:#ffffff;stroke-width:4px}"
        ".w{fill:#ffffff;font-weight:600}.m{font-family:ui-monospace,Menlo,Consolas,monospace}</style>"
        f'<defs>{arrow}<path d="M0 0L10 5L0 10Z" fill="#5b6672"/></marker></defs>'
    )


def _box(name: str, i: int) -> str:
    y = FLOW_Y + i * STEP_Y
    colour = COLOURS.get(name, svg.INK)
    shape = svg.rect(FLOW_X, y, BOX_W, BOX_H, colour, extra=' rx="7"')
    return shape + svg.text(
        FLOW_X + BOX_W / 2, y + BOX_H / 2 + 6, name, anchor="middle", size=17, extra=' class="w"'
    )


def _edge(edge: tuple[str, str, str], nodes: list[str], index: int) -> str:
    """A straight arrow to the next box, an arc on the right going down, an arc on the left going up."""
    start, end, what = edge
    i, j = nodes.index(start), nodes.index(end)
    if j == i + 1:
        y0, y1 = FLOW_Y + i * STEP_Y + BOX_H, FLOW_Y + j * STEP_Y - 2
        x = FLOW_X + BOX_W / 2
        label = svg.text(x + 10, (y0 + y1) / 2 + 5, what, size=13)
        return (
            f'<path d="M{x:g} {y0:g}L{x:g} {y1:g}" stroke="#5b6672" stroke-width="1.6" marker-end="url(#a)"/>'
            + label
        )
    down = j > i
    edge_x = FLOW_X + BOX_W if down else FLOW_X
    reach = edge_x + (34 + 26 * abs(j - i)) * (1 if down else -1)
    shift = (index % 3 - 1) * 9
    y0, y1 = FLOW_Y + i * STEP_Y + BOX_H / 2 + shift, FLOW_Y + j * STEP_Y + BOX_H / 2 + shift
    curve = f"M{edge_x:g} {y0:g}C{reach:g} {y0:g} {reach:g} {y1:g} {edge_x:g} {y1:g}"
    middle = 0.25 * edge_x + 0.75 * reach + (6 if down else -6)
    at = (y0 + y1) / 2 + 4 + (index % 2) * 8
    label = svg.text(middle, at, what, anchor="start" if down else "end", size=13, extra=' class="e"')
    return f'<path d="{curve}" fill="none" stroke="#5b6672" stroke-width="1.6" marker-end="url(#a)"/>' + label


def _cards(handlers: tuple[Handler, ...]) -> tuple[str, float]:
    out, y = [], FLOW_Y - 22
    for handler in handlers:
        height = 34 + LINE_H * len(handler.steps)
        out.append(svg.rect(CARD_X, y, CARD_W, height, "#f6f7f9", extra=' rx="7" stroke="#dde2e7"'))
        out.append(svg.text(CARD_X + 12, y + 22, handler.name, size=14, extra=' class="m h"'))
        out.append(
            svg.text(
                CARD_X + CARD_W - 12,
                y + 22,
                _short(handler.purpose),
                anchor="end",
                size=11.5,
                extra=' class="q"',
            )
        )
        for n, step in enumerate(handler.steps):
            line_y = y + 44 + LINE_H * n
            out.append(
                svg.rect(CARD_X + 14, line_y - 10, 10, 10, COLOURS.get(step.room, svg.INK), extra=' rx="2"')
            )
            out.append(svg.text(CARD_X + 34, line_y, step.call, size=13, extra=' class="m"'))
            out.append(
                svg.text(CARD_X + CARD_W - 12, line_y, step.room, anchor="end", size=12, extra=' class="q"')
            )
        y += height + 12
    return "".join(out), y


def _short(purpose: str) -> str:
    head = purpose.split(":")[0]
    return head if len(head) <= 44 else head[:43].rsplit(" ", 1)[0] + " …"


def _matrix(found: Architecture, y: float) -> tuple[str, float]:
    """A dot where the row imports the column; the rule allows only dots left of the diagonal."""
    rooms = [r for r in ORDER if r in found.imports] + sorted(set(found.imports) - set(ORDER))
    x0, cell, top = 150.0, 50.0, y + 22
    out = []
    for j, room in enumerate(rooms):
        out.append(
            svg.text(x0 + (j + 0.5) * cell, top - 8, room[:9], anchor="middle", size=10.5, extra=' class="q"')
        )
    for i, room in enumerate(rooms):
        line_y = top + i * 24
        out.append(svg.text(x0 - 10, line_y + 16, room, anchor="end", size=13))
        out.append(_purpose(found.rooms.get(room, ""), x0 + len(rooms) * cell + 14, line_y + 16))
        for j, other in enumerate(rooms):
            fill = "#eef1f4" if j < i else "#d3d9df" if i == j else "#ffffff"
            out.append(svg.rect(x0 + j * cell + 1, line_y + 1, cell - 2, 22, fill))
            if other in found.imports[room]:
                colour = COLOURS["market"] if j < i else svg.BAD
                centre = f'cx="{x0 + (j + 0.5) * cell:.1f}" cy="{line_y + 12:.1f}"'
                title = f"<title>{escape(room)} imports {escape(other)}</title>"
                out.append(f'<circle {centre} r="5" fill="{colour}">{title}</circle>')
    return "".join(out), top + len(rooms) * 24 + 24


def _purpose(line: str, x: float, y: float) -> str:
    room = int((WIDTH - x - 10) / 6.0)
    return svg.text(
        x, y, line if len(line) <= room else line[: room - 1] + "…", size=11.5, extra=' class="q"'
    )
