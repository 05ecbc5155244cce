"""What a feature is: a state that starts as zero bytes, parameters, and one step used by every mode.

`step(s, *inputs, *parameters) -> float` is a compiled function over a state record; its `py_func` is the
plain twin and the specification. `loop(states, *inputs, *parameters, out)` is the same step in a compiled
loop, so a batch and a stream are one computation. Inside a strategy the state is a memory field and the
step is called with scalars: `memory={"gap": ewma.STATE}`, then `ewma.step(m.gap, x, p.alpha)`.

Policies every fold keeps (see `conformance.py`):

- fresh state is all zero bytes; a value not yet defined is NaN;
- an input that is not finite (missing, NaN, inf), or a time that goes back, leaves the state unchanged,
  gives NaN;
- after a gap a fold goes on from the state before it; folds of time decay through the gap.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError, DataError, unknown_name


@dataclass(frozen=True)
class Fold:
    """One online model: dtypes, the step, its loop, the names of its inputs, defaults and bounds of
    parameters.
    """

    name: str
    state: np.dtype
    param: np.dtype
    step: Callable[..., Any]
    loop: Callable[..., Any]
    inputs: tuple[str, ...]
    defaults: dict[str, float] = field(default_factory=dict)
    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)

    def fresh(self) -> np.ndarray:
        """A new state, shape (1,): zero bytes."""
        return np.zeros(1, self.state)

    def params(self, **values: float) -> np.ndarray:
        """A parameter record, shape (1,). Raises ConfigError for a misspelt, missing or impossible
        parameter.
        """
        names = list(self.param.names or ())
        for name in values:
            if name not in names:
                raise unknown_name(f"parameter of {self.name}", name, names)
        out = np.zeros(1, self.param)
        for name in names:
            if name not in values and name not in self.defaults:
                raise ConfigError(f"{self.name}: parameter {name!r} has no default: expected a value")
            value = values.get(name, self.defaults.get(name))
            low, high = self.bounds.get(name, (-math.inf, math.inf))
            if value is None or not low <= value <= high or not math.isfinite(value):
                raise ConfigError(f"{self.name}: expected {name} in [{low:g}, {high:g}], got {value!r}")
            out[name] = value
        return out

    def scan(self, *xs: Any, state: np.ndarray | None = None, **params: Any) -> np.ndarray:
        """The step over whole inputs.

        Parameters
        ----------
        xs: one array of shape (n,) an input, in the order of `inputs`; names ending in `_ns` are int64,
        others float64. state: a state to continue (changed in place); fresh when left out.

        Returns
        -------
        float64 of shape (n,). Raises ConfigError for wrong parameters, DataError for wrong inputs.
        """
        if len(xs) != len(self.inputs):
            raise DataError(f"{self.name}: expected inputs {', '.join(self.inputs)}, got {len(xs)} arrays")
        columns: list[np.ndarray] = []
        for name, x in zip(self.inputs, xs, strict=True):
            column = np.ascontiguousarray(x, np.int64 if name.endswith("_ns") else np.float64)
            if column.ndim != 1 or (columns and len(column) != len(columns[0])):
                want = f"({len(columns[0])},)" if columns else "(n,)"
                raise DataError(f"{self.name}: expected {name} of shape {want}, got {column.shape}")
            columns.append(column)
        states = self.fresh() if state is None else state
        if states.dtype != self.state or states.shape != (1,):
            raise DataError(f"{self.name}: expected a state of shape (1,) from fresh(), got {states.shape}")
        out = np.empty(len(columns[0]), np.float64)
        self.loop(states, *columns, *self.params(**params)[0].item(), out)
        return out


def discover(package: str = "oneprice.features") -> dict[str, Fold]:
    """Every fold of a package by name: whatever its modules call FOLD. A new module is found without a
    list.
    """
    import importlib
    import pkgutil

    root = importlib.import_module(package)
    found: dict[str, Fold] = {}
    for info in sorted(pkgutil.iter_modules(root.__path__), key=lambda i: i.name):
        if info.ispkg:
            continue
        fold = getattr(importlib.import_module(f"{package}.{info.name}"), "FOLD", None)
        if isinstance(fold, Fold):
            found[fold.name] = fold
    return found
