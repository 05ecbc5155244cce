"""The architecture is drawn from the code, and the committed picture is that of the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from oneprice.core.errors import DataError
from oneprice.dashboard.diagram import architecture_svg, mermaid, nodes_of
from oneprice.dashboard.pages import BLOCK, ROOT
from oneprice.dashboard.wiring import PACKAGE, read_architecture, wiring_of

TIDY = "run `make docs`"


def test_committed_picture_is_that_of_the_code() -> None:
    """docs/architecture.svg and the Mermaid block of ARCHITECTURE.md equal what is drawn now."""
    found = read_architecture()
    assert (ROOT / "docs" / "architecture.svg").read_text() == architecture_svg(found), TIDY
    block = BLOCK.search((ROOT / "ARCHITECTURE.md").read_text())
    assert block is not None and block.group() == f"```mermaid\n{mermaid(found)}```", TIDY


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md", "ARCHITECTURE.md"])
def test_pages_show_the_picture(page: str) -> None:
    """The same picture stands in both READMEs and in ARCHITECTURE.md."""
    assert "](docs/architecture.svg)" in (ROOT / page).read_text()


def test_wiring_read_is_wiring_used() -> None:
    """The WIRING read from the text is the value that the engine exports."""
    from oneprice.engine.local import WIRING

    assert read_architecture().flow == WIRING


def test_wiring_agrees_with_the_imports() -> None:
    """What the fold calls is in the wiring, and the layers that decide are really called."""
    found = read_architecture()
    called = {s.room for h in found.handlers for s in h.steps} - {"engine"}
    nodes = set(nodes_of(found))
    assert called <= nodes
    assert {"market", "strategies", "execution", "risk"} <= called


def test_svg_is_well_formed_and_complete() -> None:
    """The drawing is XML, names every node and label of the flow, and holds no script."""
    found = read_architecture()
    text = architecture_svg(found)
    ElementTree.fromstring(text)
    words = set(re.findall(r">([^<>]+)</text>", text))
    assert set(nodes_of(found)) <= words and {what for _, _, what in found.flow} <= words
    assert "<script" not in text


def test_missing_wiring_is_an_error() -> None:
    """A fold without WIRING cannot be drawn."""
    with pytest.raises(DataError, match="WIRING"):
        wiring_of(ast.parse("x = 1"), "somewhere.py")


def test_package_is_found() -> None:
    """The code that is read is the package's own."""
    assert Path(PACKAGE).name == "oneprice"
