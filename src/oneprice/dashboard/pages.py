"""Rewrite the pictures of the architecture in the documentation from the code: `make docs`."""

from __future__ import annotations

import re
from pathlib import Path

from oneprice.core.errors import DataError
from oneprice.dashboard.diagram import architecture_svg, mermaid
from oneprice.dashboard.wiring import PACKAGE, read_architecture

ROOT = PACKAGE.parents[1]
BLOCK = re.compile(r"```mermaid\n.*?```", re.DOTALL)


def write_pages(root: Path = ROOT) -> list[Path]:
    """Write docs/architecture.svg and the Mermaid block of ARCHITECTURE.md; returns what changed."""
    found = read_architecture()
    page = root / "ARCHITECTURE.md"
    text = page.read_text()
    if not BLOCK.search(text):
        raise DataError(f"{page}: expected a ```mermaid block to write the data flow into")
    wanted = {
        root / "docs" / "architecture.svg": architecture_svg(found),
        page: BLOCK.sub(lambda _: f"```mermaid\n{mermaid(found)}```", text, count=1),
    }
    changed = [p for p, content in wanted.items() if not p.is_file() or p.read_text() != content]
    for path in changed:
        path.write_text(wanted[path])
    return changed


if __name__ == "__main__":
    for written in write_pages():
        print(f"wrote {written}")
