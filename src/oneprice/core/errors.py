"""Every error this package raises on purpose.

OnePriceError
├── DataError      a file, tape or pack is not what it must be (says file, row, field)
├── ConfigError    a parameter, limit, fee or instrument is missing, misspelt or impossible
├── JournalError   a journal cannot be trusted (a torn tail is not an error: it is cut and said)
├── StrategyError  a strategy raised, wrote where it must not or broke its contract
└── RiskHalt       trading stopped itself; the text says which limit and what to do

Messages have three parts: what was expected, what came, where.
"""

from __future__ import annotations


class OnePriceError(Exception):
    """Base of the tree above."""


class DataError(OnePriceError):
    """A file, tape or pack is not what it must be."""


class ConfigError(OnePriceError):
    """A parameter, limit, fee or instrument is missing, misspelt or impossible."""


class JournalError(OnePriceError):
    """A journal cannot be trusted."""


class StrategyError(OnePriceError):
    """A strategy raised, wrote where it must not or broke its contract."""


class RiskHalt(OnePriceError):
    """Trading stopped itself."""


def unknown_name(kind: str, got: str, known: list[str]) -> ConfigError:
    """The error for a misspelt name: it lists the valid ones and the nearest."""
    from difflib import get_close_matches

    near = get_close_matches(got, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return ConfigError(f"unknown {kind} {got!r}: expected one of {', '.join(sorted(known))}{hint}")
