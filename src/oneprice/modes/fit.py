"""Fits off the hot path: an estimator sees rows received by its request and comes back as a model update."""

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
from oneprice.market.tape import Tape, join_events


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """An estimator on a schedule.

    `estimator(windows)` gets a list of EVENT arrays (read only), one a leg, received up to the time of the
    request, and returns the values of the strategy's `model` record as a dict. `latency_ns` has no default: a
    fit takes time. The last request is no later than the last row received.
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
        self._due: list[list[Any]] = [[fit.first_ns, fit] for fit in fits]
        self._version = 0
        self._last_ns = max((int(t.events["receive_ns"][-1]) for t in tapes), default=0)
        start_ns = min((int(t.events["receive_ns"][0]) for t in tapes), default=0)
        for fit in fits:
            check_fit(fit, start_ns, len(engine.strategies))
            check_model(engine, fit.strategy)

    @property
    def next_ns(self) -> int:
        """When the next fit is due, or INF: behind the last row received there is nothing new to fit on."""
        return min((int(at) for at, _ in self._due if at <= self._last_ns), default=INF)

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
            window = tape.events[first:last]
            window.flags.writeable = False
            windows.append(window)
        values = fit.estimator(windows)
        events = model_events(self._engine, fit.strategy, values, request_ns + fit.latency_ns, self._version)
        self._version += 1
        loop.ext = in_order(join_events([loop.ext, events]))


def check_fit(fit: Fit, start_ns: int, n_strategies: int) -> None:
    """Refuse a schedule that cannot be kept."""
    if fit.latency_ns < 1:
        raise ConfigError(f"fit.latency_ns: expected at least 1, got {fit.latency_ns}: a fit takes time")
    if fit.every_ns < 1:
        raise ConfigError(f"fit.every_ns: expected at least 1, got {fit.every_ns}")
    if fit.window_ns < 0:
        raise ConfigError(f"fit.window_ns: expected 0 (everything so far) or more, got {fit.window_ns}")
    if fit.first_ns < start_ns:
        raise ConfigError(f"fit.first_ns: expected at least {start_ns} (the first row), got {fit.first_ns}")
    if not 0 <= fit.strategy < n_strategies:
        raise ConfigError(f"fit.strategy: expected an index below {n_strategies}, got {fit.strategy}")


def check_model(engine: Engine, k: int) -> None:
    """Refuse to fit a strategy without a model record of whole words."""
    strategy = engine.strategies[k]
    known = strategy.memory.fields
    model = known["model"][0] if known is not None and "model" in known else None
    if model is None or model.names is None or model.itemsize % 8:
        raise ConfigError(
            f"strategy {strategy.name}: expected a `model` record of 8-byte fields in memory, got {model}"
        )


def in_order(ext: np.ndarray) -> np.ndarray:
    """Models and operator words by the tie rule: time, models before the operator, else as given."""
    return ext[np.lexsort((ext["kind"], ext["receive_ns"]))]


def model_events(engine: Engine, k: int, values: dict[str, Any], at_ns: int, version: int) -> np.ndarray:
    """A model update for strategy k: one MODEL event a word of its model record, EVENT[n]."""
    model: np.dtype = engine.strategies[k].memory["model"]
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
