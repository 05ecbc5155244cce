"""The key of a compiled strategy follows what is in memory: an edit after the import leaves no stale code."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from oneprice.core.errors import StrategyError
from oneprice.engine.content import content_of
from oneprice.engine.entry import _key, compile_entry
from oneprice.execution.strategy import strategy

STRATEGY = '''"""A strategy."""
from __future__ import annotations
from typing import Any
from numba import njit
import helper_of_content as helper
from oneprice.execution.strategy import strategy
LEVEL = 7
WORDS = (1, 2)

@njit
def twice(x: float) -> float:
    return x * 2.0

@strategy(qty=0.01, memory={"x": "f8"})
def mine(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    if event.kind in {1, 2, 3}:
        m.x = twice(p.qty) + LEVEL + WORDS[0] + helper.three(m.x)
'''
HELPER = '''"""Beside it."""
from numba import njit

@njit
def three(x: float) -> float:
    return x + 3.0
'''


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write both files and import the strategy anew."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def once(text: str = STRATEGY, helper: str = HELPER) -> Any:
        for name, body in (("strategy_of_content", text), ("helper_of_content", helper)):
            (tmp_path / f"{name}.py").write_text(body)
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return importlib.import_module("strategy_of_content").mine

    return once


CHANGES = [
    (STRATEGY.replace("LEVEL = 7", "LEVEL = 8"), HELPER),
    (STRATEGY.replace("(1, 2)", "(5, 2)"), HELPER),
    (STRATEGY.replace("x * 2.0", "x * 2.5"), HELPER),
    (STRATEGY.replace("{1, 2, 3}", "{1, 2, 4}"), HELPER),
    (STRATEGY, HELPER.replace("3.0", "4.0")),
]


@pytest.mark.parametrize(
    ("text", "helper"), CHANGES, ids=["constant", "tuple", "own helper", "set", "module"]
)
def test_old_code_under_new_text_has_another_key(load: Any, text: str, helper: str) -> None:
    """Import, edit on disk without importing again: the key differs from that of the edited code."""
    old = load()
    path = Path(old.function.__code__.co_filename)
    before = _key(old, path)
    (path.parent / "strategy_of_content.py").write_text(text)
    (path.parent / "helper_of_content.py").write_text(helper)
    stale = _key(old, path)
    new = load(text, helper)
    assert content_of(old.function) != content_of(new.function)
    assert len({before, stale, _key(new, path)}) == 3


def test_the_same_code_has_the_same_key(load: Any) -> None:
    """Imported twice, one key: the cache is used."""
    first = load()
    path = Path(first.function.__code__.co_filename)
    one = _key(first, path)
    assert _key(load(), path) == one
    assert b"three" in content_of(first.function) and b"twice" in content_of(first.function)
    assert b"LEVEL = 7" in content_of(first.function)


def test_a_field_that_is_not_there_is_named_with_its_line() -> None:
    """A misspelt parameter inside a strategy: the error names the field, the line and what there is."""

    @strategy(gap_bp=1.0)
    def wrong(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
        if p.gap_bq > 0.0:
            legs[0].bid = 0.0

    with pytest.raises(StrategyError, match=r"'gap_bq'(?s:.*)test_entry_content\.py:\d+: if p\.gap_bq(?s:.*)gap_bp"):
        compile_entry(wrong)


def test_what_cannot_be_compiled_is_an_error_of_the_strategy() -> None:
    """The text of the compiler, under the strategy's name."""

    @strategy(gap_bp=1.0)
    def wrong(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
        print(open)

    with pytest.raises(StrategyError, match="strategy wrong cannot be compiled"):
        compile_entry(wrong)
