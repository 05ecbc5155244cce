"""`@strategy`: a plain function and the names of its parameters become a Strategy that engines can compile.

A Strategy is frozen. Calling it with parameters gives a bound copy; a misspelt one is an error that lists
them all.
"""

from __future__ import annotations

import hashlib
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError, StrategyError, unknown_name
from oneprice.core.records import record

ARGUMENTS = ("event", "legs", "p", "m", "orders")
EXITS = ("converge", "inventory")
CALLS = ("all", "market", "timers", "fills")  # in the order of their numbers in `core.arena`


@dataclass(frozen=True)
class Strategy:
    """A strategy function with its parameters bound.

    `values` is the parameter record (one element, read only); `memory` the dtype of what it keeps between
    calls; `legs` the symbols it trades in its own order (empty: all legs of the engine, in the engine's
    order); `exit` how its costs count: "converge" (both legs closed together) or "inventory" (left on the
    venues); `calls` what it is called on.
    """

    name: str
    function: Callable[..., None]
    params: np.dtype
    values: np.ndarray
    memory: np.dtype
    exit: str
    source: str
    source_hash: str
    legs: tuple[str, ...] = ()
    calls: str = "all"

    def __call__(self, **parameters: Any) -> Strategy:
        """A copy with these parameters; alias of `with_params`."""
        return self.with_params(**parameters)

    @property
    def parameters(self) -> dict[str, float | int]:
        """Name -> value, as bound."""
        return {name: self.values[name][0].item() for name in self.names}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters that may be set or swept."""
        return tuple(name for name in self.params.names or () if name != "unused")

    def with_params(self, **parameters: Any) -> Strategy:
        """A copy with these parameters bound.

        Raises
        ------
        ConfigError
            A name that is not a parameter (all are listed), or a value of the wrong type.
        """
        values = self.values.copy()
        for name, value in parameters.items():
            if name not in self.names:
                raise unknown_name(f"parameter of {self.name}", name, list(self.names))
            values[name] = _checked(name, value, self.params[name])
        values.flags.writeable = False
        return replace(self, values=values)

    def on(self, *legs: str) -> Strategy:
        """A copy that trades these symbols, in this order."""
        if len(set(legs)) != len(legs):
            raise ConfigError(f"legs of {self.name}: expected different symbols, got {', '.join(legs)}")
        return replace(self, legs=tuple(legs))


def strategy(
    *,
    memory: Mapping[str, Any] | None = None,
    exit: str = "converge",  # noqa: A002 - the word of the contract
    name: str | None = None,
    calls: str = "all",
    **parameters: float | int | bool,
) -> Callable[[Callable[..., None]], Strategy]:
    """Decorate `f(event, legs, p, m, orders)`; keyword arguments are its parameters with their defaults.

    Parameters
    ----------
    memory : name -> dtype (or dtype, shape) of what the function keeps between calls; zeroed at the start.
        A field `model` (a record dtype) receives model updates.
    exit : "converge" or "inventory".
    calls : "all" (batches of its legs, answers to its orders, timers, models), "fills" (of answers only fills and
        rejects: what was asked for of quotes is followed up without it), "market" (no answers) or "timers" (neither,
        but for the first batch: there it sets its first timer). It costs nothing on what it is not called on.
    parameters : floats become float64, ints and bools int64.

    Raises
    ------
    ConfigError
        A name that `np.record` uses (size, mean...), a value that is no number, an unknown exit or kind of calls.
    StrategyError
        The function does not take the five arguments.
    """
    if exit not in EXITS:
        raise unknown_name("exit", exit, list(EXITS))
    if calls not in CALLS:
        raise unknown_name("calls", calls, list(CALLS))
    fields = [(key, _kind(key, value)) for key, value in parameters.items()]
    params = record([*fields] or [("unused", "i8")])
    values = np.zeros(1, params)
    for key, value in parameters.items():
        values[key] = _checked(key, value, params[key])
    values.flags.writeable = False
    remembered = record([_field(key, kind) for key, kind in (memory or {}).items()] or [("unused", "i8")])

    def wrap(function: Callable[..., None]) -> Strategy:
        arguments = tuple(inspect.signature(function).parameters)
        if len(arguments) != len(ARGUMENTS):
            raise StrategyError(
                f"strategy {function.__name__}: expected five arguments {', '.join(ARGUMENTS)}, "
                f"got {len(arguments)} ({', '.join(arguments)})"
            )
        text = _source(function)
        digest = hashlib.sha256(text.encode()).hexdigest()
        own = name or function.__name__
        return Strategy(own, function, params, values, remembered, exit, text, digest, calls=calls)

    return wrap


def _source(function: Callable[..., None]) -> str:
    try:
        return textwrap.dedent(inspect.getsource(function))
    except OSError:  # typed at a prompt: the code itself stands for the source
        return repr((function.__code__.co_code, function.__code__.co_consts, function.__code__.co_names))


def _kind(key: str, value: Any) -> str:
    if isinstance(value, (bool, int, np.integer, np.bool_)):
        return "i8"
    if isinstance(value, (float, np.floating)):
        return "f8"
    raise ConfigError(f"parameter {key}: expected a number, got {value!r} ({type(value).__name__})")


def _checked(key: str, value: Any, dtype: np.dtype) -> Any:
    kind = _kind(key, value)
    if dtype.kind == "i" and kind == "f8":
        if not float(value).is_integer():
            raise ConfigError(f"parameter {key}: expected a whole number like its default, got {value!r}")
        return int(value)
    if dtype.kind == "i" and not -(2**63) <= int(value) < 2**63:
        raise ConfigError(f"parameter {key}: expected a whole number of 64 bits, got {value!r}")
    return value


def _field(key: str, kind: Any) -> tuple[Any, ...]:
    if isinstance(kind, tuple) and len(kind) == 2 and not isinstance(kind[0], tuple):
        return (key, np.dtype(kind[0]), kind[1])
    return (key, np.dtype(kind))
