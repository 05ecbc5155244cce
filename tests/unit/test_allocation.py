"""Capital over candidates: bounds, what binds, and budgets that reach the gate."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engine_kit as kit
from engine_kit import LATENCY, steady, tricky
from oneprice.core.errors import ConfigError
from oneprice.modes.replay import replay
from oneprice.risk.allocation import Allocated, Allocation, Candidate, allocate, budgets
from oneprice.risk.limits import Limits, limits_from

DEEP = {"a": 1e9, "b": 1e9}


def one(gain: float = 0.02, **words: Any) -> Candidate:
    given: dict[str, Any] = dict(strategy="x", sd=0.1, weights={"a": 1.0, "b": -1.0}, depth=DEEP)
    return Candidate(gain=gain, **(given | words))


def test_a_quarter_of_kelly() -> None:
    """gain .02, sd .1: Kelly 2, a quarter is .5 of the surplus of .2 x 1,000,000."""
    (got,) = allocate([one()], 1e6)
    assert got.fraction == pytest.approx(0.5) and got.capital == pytest.approx(100_000) and got.bound == "signal"
    assert got.values() == pytest.approx({"a": 50_000, "b": -50_000})


@pytest.mark.parametrize(
    ("words", "rule", "capital", "bound"),
    [
        ({"gain": -0.01}, {}, 0.0, "nothing"),
        ({"gain": 0.5}, {}, 200_000, "most"),
        ({"depth": {"a": 1e6, "b": 1e9}}, {}, 100_000, "signal"),
        ({"depth": {"a": 4e5, "b": 1e9}}, {}, 40_000, "liquidity"),
        ({"se": 0.1}, {}, 50_000, "signal"),
        ({}, {"floor": 0.0}, 500_000, "signal"),
        ({}, {"leverage": 0.25}, 50_000, "leverage"),
    ],
)
def test_what_binds(words: dict[str, Any], rule: dict[str, float], capital: float, bound: str) -> None:
    (got,) = allocate([one(**words)], 1e6, rule=Allocation(**rule))
    assert got.capital == pytest.approx(capital) and got.bound == bound


def test_at_the_floor_nothing_is_allocated() -> None:
    """The brake: full at the peak, none at 80 % of it, linear between."""
    caps = [allocate([one()], wealth, 1e6)[0] for wealth in (1e6, 9e5, 8e5, 7e5)]
    assert [c.capital for c in caps] == pytest.approx([100_000, 50_000, 0, 0])
    assert caps[3].bound == "drawdown"


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-0.5, 0.5), st.floats(0.01, 1.0), st.floats(0, 1e7)), min_size=1, max_size=8),
    st.floats(0.5e6, 1e6),
)
def test_the_sum_is_bounded_and_no_leg_taken_beyond_its_share(
    rows: list[tuple[float, float, float]], wealth: float
) -> None:
    """Sum of capital <= leverage x surplus; more gain for one never gives it less and never another more."""
    rule = Allocation()
    left = max(wealth - rule.floor * 1e6, 0.0)
    asked = [one(gain=g, sd=s, depth={"a": d, "b": d}) for g, s, d in rows]
    got = allocate(asked, wealth, 1e6, rule=rule)
    assert sum(x.capital for x in got) <= rule.leverage * left * (1 + 1e-9)
    for x, (_, _, d) in zip(got, rows, strict=True):
        assert 0.0 <= x.capital <= rule.participation * 2 * d * (1 + 1e-9)
    better = [msgspec.structs.replace(asked[0], gain=asked[0].gain + 0.1), *asked[1:]]
    more = allocate(better, wealth, 1e6, rule=rule)
    assert more[0].capital >= got[0].capital * (1 - 1e-12)
    assert all(b.capital <= a.capital * (1 + 1e-12) for a, b in zip(got[1:], more[1:], strict=True))


@pytest.mark.parametrize(
    "call",
    [
        lambda: Allocation(shrink=0.0),
        lambda: Allocation(shrink=1.5),
        lambda: Allocation(participation=float("nan")),
        lambda: Allocation(floor=1.0),
        lambda: one(sd=-1.0),
        lambda: one(gain=float("nan")),
        lambda: one(weights={"a": 0.0, "b": 1.0}),
        lambda: one(depth={"a": 1.0}),
        lambda: one(depth={"a": -1.0, "b": 1.0}),
        lambda: allocate([one()], float("nan")),
        lambda: budgets(allocate([one()], 1e6), {"a": 1.0}),
        lambda: budgets(allocate([one()], 1e6), {"a": 1.0, "b": -2.0}),
    ],
)
def test_bad_input_is_refused(call: Any) -> None:
    with pytest.raises(ConfigError, match="expected"):
        call()


# ---------------------------------------------------------------- budgets


def test_budgets_add_up_by_strategy_and_leg() -> None:
    """Values by price; two candidates of one strategy on one leg add up, long or short."""
    long = Allocated(one(), 0.5, 1_000.0, "signal")
    short = Allocated(one(weights={"a": -1.0, "b": 3.0}), 0.5, 1_000.0, "signal")
    other = Allocated(one(strategy="y"), 0.5, 100.0, "signal")
    got = budgets([long, short, other], {"a": 10.0, "b": 5.0})
    assert got == {"x": {"a": 75.0, "b": 250.0}, "y": {"a": 5.0, "b": 10.0}}


def test_a_budget_reaches_the_gate() -> None:
    """Two strategies of one kind: the first may hold 0.03 of a, so its package of 0.05 is refused whole; the other's
    goes. A rule read back from a mapping is the same rule."""
    who = [tricky(trick=kit.PACKAGE_ONCE, at=5, qty=0.05), tricky(trick=kit.PACKAGE_ONCE, at=9, qty=0.05)]
    rule = Limits(budgets={"0": {"a:XYZ-USD": 0.03}})
    run = replay(who, [steady("a"), steady("b")], latency=LATENCY, limits=rule)
    assert run.refusals() == {"budget": 1}
    assert run.engine.positions()["lots"].tolist() == [[0, 0], [5, -5]]
    assert run.engine.positions()["budget_lots"][0, 0] == 3
    assert limits_from(msgspec.to_builtins(rule)) == rule


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"tricki": {"a:XYZ-USD": 1.0}}, "did you mean"),
        ({"tricky": {"a:XYZ-USD": 1.0}}, "use their index"),
        ({"0": {"q:XYZ-USD": 1.0}}, "leg in limits.budgets"),
        ({"0": {"a:XYZ-USD": -1.0}}, "expected a finite 0 or more"),
        ({"0": {"a:XYZ-USD": np.nan}}, "expected a finite 0 or more"),
    ],
)
def test_a_budget_that_cannot_be_is_refused(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        replay([tricky, tricky], [steady("a"), steady("b")], latency=LATENCY, limits=Limits(budgets=given))
