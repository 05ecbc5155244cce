"""Messages of the library in the words of a command: a Python argument is called by the option that sets it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

VERBS = ("screen", "fit", "walk")  # whose messages come from functions with arguments of the same names
OTHER_NAMES = {"time": "time_column", "level": "false_discovery"}
NOT_THERE = {" or a smaller most_missing": ""}  # advice that a command cannot follow
_GIVEN = re.compile(r"\b([a-z_]+)=('[^']*'|[\w.%/+-]+)?")
_NAMED = re.compile(r"\b(?:walk_forward|selection|screen|fit|load): ([a-z_]+)\b")
_QUOTED = re.compile(r"(--[a-z-]+ [^\s']+) or '([^']*)'")


def in_options(text: str, function: Callable[..., Any]) -> str:
    """`sort=True` as `--sort`, `align='as_of'` as `--align as_of`, `selection: most_pairs` as `--most-pairs`.

    Only arguments that the command has an option for are changed; a value asked for in Python's words stays a value.
    """
    known = set(inspect.signature(function).parameters)
    for words, instead in NOT_THERE.items():
        text = text.replace(words, instead)

    def option(name: str) -> str:
        own = OTHER_NAMES.get(name, name)
        return "--" + own.replace("_", "-") if own in known else ""

    def given(match: re.Match[str]) -> str:
        name, value = option(match[1]), (match[2] or "").strip("'")
        if not name:
            return match[0]
        return name if value in ("", "True") else f"{name} {value}"

    def named(match: re.Match[str]) -> str:
        if match[0].startswith("selection: capital"):
            return "--pair-capital" if "pair_capital" in known else match[0]
        return option(match[1]) or match[0]

    return _QUOTED.sub(r"\1 or \2", _NAMED.sub(named, _GIVEN.sub(given, text)))
