"""Every drift monitor keeps the rules of folds, on quiet, shifted and wide series, restarting and latched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.conformance import check_fold
from oneprice.features.fold import discover
from oneprice.signals import drift
from oneprice.signals.drift import cusum, fan

FOLDS = discover("oneprice.signals.drift")
NEEDED: dict[str, dict[str, float]] = {"fan": {"kappa_dt": 0.05}}


def streams() -> dict[str, np.ndarray]:
    """Noise; noise whose mean, then variance, changes; prices at 60,000 that move by 0.001."""
    rng = np.random.default_rng(3)
    quiet = rng.standard_normal(300)
    shifted = quiet.copy()
    shifted[100:] += 3.0
    shifted[200:] *= 4.0
    return {"quiet": quiet, "shifted": shifted, "fine": 60_000.0 + 1e-3 * np.cumsum(quiet)}


def test_the_monitors_are_found() -> None:
    """A module that says FOLD is found without being listed."""
    assert set(FOLDS) == {"adwin", "bocpd", "cusum", "fan", "page_hinkley", "residual"}


@pytest.mark.parametrize("latch", [0, 1])
@pytest.mark.parametrize("stream", sorted(streams()))
@pytest.mark.parametrize("name", sorted(FOLDS))
def test_monitor_conforms(name: str, stream: str, latch: int) -> None:
    """Streaming = batch, no look-ahead, compiled = plain, precision, NaN, restart."""
    x = streams()[stream]
    assert check_fold(FOLDS[name], [x], latch=latch, **NEEDED.get(name, {})) == []


@pytest.mark.parametrize("name", sorted(FOLDS))
def test_values_are_nothing_or_an_alarm(name: str) -> None:
    """0, 1 or more, or NaN; the change is found; a latched alarm stays until the state is zeroed."""
    x = streams()["shifted"] * (0.6 if name == "fan" else 1.0)
    fold, needed = FOLDS[name], NEEDED.get(name, {})
    for latch in (0, 1):
        state = fold.fresh()
        out = fold.scan(x, state=state, latch=latch, **needed)
        assert np.all(np.isnan(out) | (out == 0.0) | (out >= 1.0))
        first = int(np.flatnonzero(out > 0.0)[0])
        if latch:
            assert np.all(out[first:] == out[first]) and state["alarm"][0] == out[-1]
        state[:] = 0
        assert not fold.scan(x[:1], state=state, latch=latch, **needed)[0] > 0.0 or name == "cusum"


@pytest.mark.parametrize("name", sorted(FOLDS))
def test_impossible_parameters_are_refused(name: str) -> None:
    """Each bound is kept and named."""
    fold, needed = FOLDS[name], NEEDED.get(name, {})
    for parameter, (low, high) in fold.bounds.items():
        for bad in (low - 1.0, high * 2.0 + 1.0, float("nan")):
            with pytest.raises(ConfigError, match=f"expected {parameter} in"):
                fold.params(**{**needed, parameter: bad})


def test_names_of_the_room() -> None:
    """Every public name is there; a wrong one is refused with the list."""
    assert all(getattr(drift, name) is not None for name in drift.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'kusum'"):
        _ = drift.kusum


def test_the_fan_has_no_default_reversion() -> None:
    """How fast the spread should revert is the user's to say."""
    with pytest.raises(ConfigError, match="'kappa_dt' has no default"):
        fan.FOLD.params()


MEMORY = record([("before", "i8"), ("shift", cusum.STATE), ("decay", fan.STATE), ("after", "i8")])


@njit
def _nested(memory: Any, x: Any, at: int, out: Any) -> None:
    m = memory[0]
    for i in range(len(x)):
        if i == at:
            fan.enter(m.decay, x[i])
        out[0, i] = cusum.step(m.shift, x[i], 0.5, 5.0, 0)
        out[1, i] = fan.step(m.decay, x[i], 0.05, 0.3, 1.6, 3, 1) if i > at else 0.0


def test_states_inside_the_memory_of_a_strategy() -> None:
    """As fields of a larger record, with `enter` at the entry, they give what `scan` gives."""
    x = streams()["shifted"]
    memory, out = np.zeros(1, MEMORY), np.empty((2, len(x)))
    _nested(memory, x, 40, out)
    assert np.array_equal(out[0], cusum.FOLD.scan(x))
    assert np.array_equal(out[1, 40:], fan.FOLD.scan(x[40:], kappa_dt=0.05, width=1.6))
    assert memory["before"][0] == memory["after"][0] == 0
