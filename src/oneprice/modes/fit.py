"""Fits off the hot path: an estimator sees rows received before its request and comes back as a model-update event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.records import EVENT, LAST, MODEL
from oneprice.engine.loop import Loop
from oneprice.engine.merge import INF
from oneprice.engine.state import Engine
from oneprice.market.tape import Tape


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """An estimator on a schedule.

    `estimator(windows)` gets a list of EVENT arrays, one a leg, with receive_ns <= the request's time, and returns the
    values of the strategy's `model` record as a dict. `latency_ns` has no default: a fit takes time.
    """

    estimator: Callable[[list[np.ndarray]], dict[str, float]]
    first_ns: int
    every_ns: int
    latency_ns: int
    window_ns: int = 0  # 0: everything since the start
    strategy: int = 0


class Fitter:
    """Runs due fits and enqueues their MODEL events."""

    def __init__(self, fits: Sequence[Fit], tapes: Sequence[Tape], engine: Engine) -> None:
        self._tapes, self._engine = tapes, engine
        self._due = [[fit.first_ns, fit] for fit in fits]
        self._version = 0
        for fit in fits:
            if fit.latency_ns < 1:
                raise ConfigError(f"fit latency: expected at least 1 ns, got {fit.latency_ns}: a fit takes time")
            memory = engine.strategies[fit.strategy].memory
            if "model" not in (memory.names or ()):
                raise ConfigError(
                    f"strategy {engine.strategies[fit.strategy].name}: expected a `model` record in memory={{...}} to fit"
                )

    @property
    def next_ns(self) -> int:
        """When the next fit is due, or INF."""
        return min((int(at) for at, _ in self._due), default=INF)

    def fit(self, loop: Loop) -> None:
        """Run what is due and let the loop go on to the next request."""
        at = int(loop.drive[0]["pause_ns"])
        for entry in self._due:
            if entry[0] <= at:
                self._one(loop, entry[1], int(entry[0]))
                entry[0] += entry[1].every_ns
        loop.drive["pause_ns"] = self.next_ns

    def _one(self, loop: Loop, fit: Fit, request_ns: int) -> None:
        windows = []
        for tape in self._tapes:
            stamps = tape.events["receive_ns"]
            last = int(np.searchsorted(stamps, request_ns, side="right"))
            first = int(np.searchsorted(stamps, request_ns - fit.window_ns)) if fit.window_ns else 0
            windows.append(tape.events[first:last])
        values = fit.estimator(windows)
        events = model_events(self._engine, fit.strategy, values, request_ns + fit.latency_ns, self._version)
        self._version += 1
        ext = np.concatenate([loop.ext, events], dtype=EVENT)
        loop.ext = ext[np.argsort(ext["receive_ns"], kind="stable")]


def model_events(engine: Engine, k: int, values: dict[str, Any], at_ns: int, version: int) -> np.ndarray:
    """A model update for strategy k: one MODEL event a word of its model record, EVENT[n]."""
    model = (engine.strategies[k].memory.fields or {})["model"][0]
    record = np.zeros(1, model)
    for name, value in values.items():
        if name not in (model.names or ()):
            raise ConfigError(f"model value {name!r}: expected one of {', '.join(model.names or ())}")
        record[name] = value
    words = np.frombuffer(record.tobytes(), np.int64)
    events = np.zeros(len(words), EVENT)
    events["receive_ns"] = events["exchange_ns"] = at_ns
    events["kind"], events["owner"], events["version"], events["leg"] = MODEL, k, version, -1
    events["key"], events["value"] = 8 * np.arange(len(words)), words
    events["seq"] = np.arange(len(words))
    events["flag_bits"][-1] = LAST
    return events
