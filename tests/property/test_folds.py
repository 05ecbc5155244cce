"""Every fold, also those not written yet, keeps the rules of `features/conformance.py`; the rules can fail.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features import conformance, ewma, rolling
from oneprice.features.conformance import check_fold, sample
from oneprice.features.fold import Fold, discover

FOLDS = {**discover("oneprice.features"), **discover("oneprice.signals")}


def test_discovery_finds_the_folds() -> None:
    """A module that says FOLD is found without being listed."""
    assert {
        "microprice",
        "imbalance",
        "ewma",
        "ewvar",
        "zscore",
        "rolling_zscore",
        "realised",
        "trigger",
    } <= set(FOLDS)


@pytest.mark.parametrize("name", sorted(FOLDS))
def test_fold_conforms(name: str) -> None:
    """Streaming = batch, no look-ahead, compiled = plain, precision, NaN, restart, on the default sample."""
    assert check_fold(FOLDS[name]) == []


@pytest.mark.parametrize("name", sorted(FOLDS))
def test_fold_conforms_on_wide_moves(name: str) -> None:
    """The same rules on prices that jump by hundreds."""
    fold = FOLDS[name]
    assert check_fold(fold, sample(fold, 300, seed=5, level=20_000.0, move=50.0)) == []


def _fold(step: Any, loop: Any, state: np.dtype) -> Fold:
    return Fold("broken", state, record([("alpha", "f8")]), step, loop, ("x",))


NAIVE = record([("sum_x", "f8"), ("sum_xx", "f8"), ("n", "i8")])


@njit
def naive_step(s: Any, x: float, alpha: float) -> float:
    if not math.isfinite(x):
        return math.nan
    w = 1.0 if s.n == 0 else alpha
    s.sum_x += w * (x - s.sum_x)
    s.sum_xx += w * (x * x - s.sum_xx)
    s.n += 1
    return s.sum_xx - s.sum_x * s.sum_x


@njit
def naive_loop(states: Any, x: Any, alpha: float, out: Any) -> None:
    for i in range(len(out)):
        out[i] = naive_step(states[0], x[i], alpha)


@njit
def leaky_step(s: Any, x: float, alpha: float) -> float:
    s.n += 1
    s.level += alpha * (x - s.level)
    return s.level


@njit
def peeking_loop(states: Any, x: Any, alpha: float, out: Any) -> None:
    for i in range(len(out)):
        out[i] = leaky_step(states[0], x[min(i + 1, len(out) - 1)], alpha)


def test_rules_catch_the_textbook_variance() -> None:
    """E[x^2] - E[x]^2 at 60,000 +- 0.001 is refused."""
    found = check_fold(_fold(naive_step, naive_loop, NAIVE))
    assert any("large level" in f for f in found), found


def test_rules_catch_look_ahead_and_remembered_nan() -> None:
    """A loop that peeks one ahead, and a step that lets NaN into its state, are refused."""
    found = " ".join(check_fold(_fold(leaky_step, peeking_loop, ewma.STATE)))
    assert "future" in found and "streaming = batch" in found and "unchanged" in found


def test_every_rule_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """No rule is dropped from the harness: each helper's finding comes out."""
    for rule in ("_streams", "_past", "_precise", "_missing", "_restart"):
        monkeypatch.setattr(conformance, rule, lambda *a, rule=rule: [rule])
    assert check_fold(ewma.FOLD) == ["_streams", "_past", "_precise", "_missing", "_restart"]


def test_state_inside_a_larger_record() -> None:
    """A fold's state works as a field of a strategy's memory, and gives what `scan` gives."""
    memory = np.zeros(1, record([("before", "i8"), ("gap", ewma.STATE), ("after", "i8")]))
    x = sample(ewma.FOLD, 50)[0]
    got = np.empty(50)
    nested_loop(memory, x, got)
    assert np.array_equal(got, ewma.FOLD.scan(x, alpha=0.1))
    assert memory["before"][0] == 0 and memory["after"][0] == 0


@njit
def nested_loop(memory: Any, x: Any, out: Any) -> None:
    m = memory[0]
    for i in range(len(x)):
        out[i] = ewma.step(m.gap, x[i], 0.1)


def test_parameters_are_checked() -> None:
    """Misspelt, missing, out of range, NaN: each is refused and says what was expected."""
    with pytest.raises(ConfigError, match=r"'alhpa'.*did you mean 'alpha'"):
        ewma.FOLD.params(alhpa=0.1)
    with pytest.raises(ConfigError, match="no default"):
        ewma.FOLD.params()
    for bad in (0.0, 1.5, math.nan, -math.inf):
        with pytest.raises(ConfigError, match="alpha in"):
            ewma.FOLD.params(alpha=bad)
    with pytest.raises(ConfigError, match="window in"):
        rolling.FOLD.params(window=rolling.CAPACITY + 1)


def test_inputs_are_checked() -> None:
    """The wrong number, shape or length of inputs, and a foreign state, are refused."""
    realised = FOLDS["realised"]
    with pytest.raises(DataError, match="time_ns, price"):
        realised.scan(np.ones(3))
    with pytest.raises(DataError, match=r"price of shape \(3,\)"):
        realised.scan(np.arange(3), np.ones(4))
    with pytest.raises(DataError, match="x of shape"):
        ewma.FOLD.scan(np.ones((2, 2)), alpha=0.1)
    with pytest.raises(DataError, match="state"):
        ewma.FOLD.scan(np.ones(2), alpha=0.1, state=realised.fresh())


def test_unknown_input_needs_a_sample() -> None:
    """The harness does not invent data for an input it does not know."""
    with pytest.raises(ConfigError, match="no sample"):
        check_fold(replace(ewma.FOLD, inputs=("temperature",)))
