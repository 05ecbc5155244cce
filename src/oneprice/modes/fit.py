"""Fits off the hot path: an estimator sees rows received by its request and comes back as a model update.

A fit is due on a schedule, or because its strategy asked (`refit`), or both; replay, paper and recovery run the same
`Fitter`. At one instant a fit runs once. The journal holds the model's words, so a rerun needs no estimator.
"""

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

NEVER = -1  # first_ns of a fit without a schedule
ANY_KEY = -1  # on_request: whatever key the strategy asks with
NO_REQUESTS = -2


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """An estimator on a schedule, on request, or both.

    `estimator(windows)` gets a list of EVENT arrays (read only), one a leg, received up to the time of the
    request, and returns the values of the strategy's `model` record as a dict. It must depend on nothing else: a
    session that is recovered runs it again. `latency_ns` has no default: a fit takes time.

    Schedule: `first_ns`, then every `every_ns`; the last is no later than the last row received. Requests:
    `on_request` is the key of `refit(orders, key)` that it answers (`ANY_KEY`: all of its strategy, `NO_REQUESTS`:
    none); one that comes less than `min_gap_ns` after the strategy's last fit, or at its very instant, is ignored and
    counted.
    """

    estimator: Callable[[list[np.ndarray]], dict[str, Any]]
    latency_ns: int
    first_ns: int = NEVER
    every_ns: int = 0
    window_ns: int = 0  # 0: everything since the start
    strategy: int = 0
    on_request: int = NO_REQUESTS
    min_gap_ns: int = 0


class Fitter:
    """Runs due fits and hands over their MODEL events."""

    def __init__(self, fits: Sequence[Fit], tapes: Sequence[Tape], engine: Engine) -> None:
        self._tapes, self._engine = tapes, engine
        self._due: list[list[Any]] = [[INF if fit.first_ns == NEVER else fit.first_ns, fit] for fit in fits]
        self._last: dict[int, int] = {}  # strategy -> when a fit of it ran last
        self.n_run = self.n_asked = self.n_ignored = 0
        self.journalled: dict[int, int] = {}  # version -> words of its model that were folded before a crash
        self._last_ns = max((int(t.events["receive_ns"][-1]) for t in tapes), default=0)
        start_ns = min((int(t.events["receive_ns"][0]) for t in tapes), default=0)
        for fit in fits:
            check_fit(fit, start_ns, len(engine.strategies))
            check_model(engine, fit.strategy)

    @property
    def next_ns(self) -> int:
        """When the next scheduled fit is due, or INF: behind the last row received there is nothing new to fit on."""
        return min((int(at) for at, _ in self._due if at <= self._last_ns), default=INF)

    @property
    def takes_requests(self) -> bool:
        """Whether any fit answers requests."""
        return any(fit.on_request != NO_REQUESTS for _, fit in self._due)

    def fit(self, loop: Loop) -> None:
        """Run what is asked for or else due, and let the loop go on to the next."""
        if loop.asked:
            parts = [self.asked(*request) for request in loop.asked]
            loop.asked.clear()
        else:
            parts = [self.due(int(loop.drive[0]["pause_ns"]))]
        loop.ext = in_order(join_events([loop.ext, *parts]))
        loop.drive["pause_ns"] = self.next_ns
        if self.takes_requests:
            loop.drive["fit_requests"] = loop.engine.state["blotter"]["n_fit_requests"]

    def due(self, at_ns: int) -> np.ndarray:
        """Run the scheduled fits due by a time; their MODEL events."""
        parts = []
        for i, entry in enumerate(self._due):
            if entry[0] <= at_ns:
                parts.append(self._one(i, int(entry[0])))
                entry[0] += entry[1].every_ns
        return join_events(parts)

    def asked(self, at_ns: int, strategy: int, key: int) -> np.ndarray:
        """Answer a strategy's request: the MODEL events of its fits that take this key and did not just run."""
        self.n_asked += 1
        last_ns = self._last.get(strategy, -INF)
        takers = [
            i for i, (_, fit) in enumerate(self._due) if fit.strategy == strategy and fit.on_request in (key, ANY_KEY)
        ]
        parts = [self._one(i, at_ns) for i in takers if at_ns - last_ns >= max(self._due[i][1].min_gap_ns, 1)]
        self.n_ignored += 1 if takers and not parts else 0
        return join_events(parts)

    def counts(self) -> dict[str, int]:
        """Fits run, requests made, and requests ignored because a fit had just run."""
        return {"run": self.n_run, "asked": self.n_asked, "ignored": self.n_ignored}

    def _one(self, i: int, request_ns: int) -> np.ndarray:
        fit = self._due[i][1]
        self._last[fit.strategy] = request_ns
        version = self.n_run
        self.n_run += 1
        have = self.journalled.get(version, 0)
        if have == self._engine.strategies[fit.strategy].memory["model"].itemsize // 8:
            return np.zeros(0, EVENT)
        values = fit.estimator(self._windows(fit, request_ns))
        return model_events(self._engine, fit.strategy, values, request_ns + fit.latency_ns, version)[have:]

    def _windows(self, fit: Fit, request_ns: int) -> list[np.ndarray]:
        """Rows received up to the request, read only, one array a leg."""
        windows = []
        for tape in self._tapes:
            stamps = tape.events["receive_ns"]
            last = int(np.searchsorted(stamps, request_ns, side="right"))
            first = int(np.searchsorted(stamps, request_ns - fit.window_ns)) if fit.window_ns else 0
            window = tape.events[first:last]
            window.flags.writeable = False
            windows.append(window)
        return windows


def resumed(
    fitter: Fitter, requests: Sequence[tuple[int, int, int]], journalled: np.ndarray, last_ns: int
) -> np.ndarray:
    """The MODEL events that a session which died at `last_ns` had yet to fold; the fitter stands as it did then.

    Parameters
    ----------
    requests : (time, strategy, key) of its REFIT rows, in order.
    journalled : its private events; the words of a model among them, first words first, are not given again.
    """
    versions = journalled[journalled["kind"] == MODEL]["version"]
    fitter.journalled = {int(v): int(n) for v, n in zip(*np.unique(versions, return_counts=True), strict=True)}
    parts = []
    for at_ns, strategy, key in [*requests, (INF, -1, 0)]:
        while fitter.next_ns <= min(at_ns, last_ns):
            parts.append(fitter.due(fitter.next_ns))
        if strategy >= 0:
            parts.append(fitter.asked(at_ns, strategy, key))
    return in_order(join_events(parts))


def check_fit(fit: Fit, start_ns: int, n_strategies: int) -> None:
    """Refuse a schedule that cannot be kept, and a fit that nothing would run."""
    if fit.latency_ns < 1:
        raise ConfigError(f"fit.latency_ns: expected at least 1, got {fit.latency_ns}: a fit takes time")
    scheduled = fit.first_ns != NEVER
    if not scheduled and fit.on_request == NO_REQUESTS:
        raise ConfigError("fit: expected a schedule (first_ns, every_ns) or on_request, got neither: it never runs")
    if scheduled and fit.every_ns < 1:
        raise ConfigError(f"fit.every_ns: expected at least 1, got {fit.every_ns}")
    for name in ("window_ns", "min_gap_ns"):
        if getattr(fit, name) < 0:
            raise ConfigError(f"fit.{name}: expected 0 (none) or more, got {getattr(fit, name)}")
    if scheduled and fit.first_ns < start_ns:
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


def fits_dict(fits: Sequence[Fit]) -> list[dict[str, Any]]:
    """Fits as plain values for a manifest; an estimator is known by its name."""
    names = [name for name in Fit.__struct_fields__ if name != "estimator"]
    return [
        {"estimator": getattr(fit.estimator, "__qualname__", type(fit.estimator).__qualname__)}
        | {name: getattr(fit, name) for name in names}
        for fit in fits
    ]


def in_order(ext: np.ndarray) -> np.ndarray:
    """Models and operator words by the tie rule: time, models before the operator, else as given."""
    times, kinds = ext["receive_ns"], ext["kind"]
    later = times[1:] > times[:-1]
    if (later | ((times[1:] == times[:-1]) & (kinds[1:] >= kinds[:-1]))).all():
        return ext  # as a rule: a new model comes last, and sorting all of them again and again takes long
    return ext[np.lexsort((kinds, times))]


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
