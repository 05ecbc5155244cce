"""Intents, rounding and the strategy decorator: what users write, compiled and plain."""

from __future__ import annotations

import math

import numpy as np
import pytest

from execution_harness import World
from oneprice.core import records as R
from oneprice.core.errors import ConfigError, StrategyError
from oneprice.core.jit import njit
from oneprice.execution import intents as I
from oneprice.execution.rounding import common_lots, price_to_ticks, qty_to_lots
from oneprice.execution.strategy import strategy


@pytest.mark.parametrize(
    "price, side, ticks", [(100.004, 1, 10_000), (100.004, -1, 10_001), (100.03, 1, 10_003)]
)
def test_prices_round_away_from_the_touch(price: float, side: int, ticks: int) -> None:
    """Buys down, sells up; a price on the grid stays (100.03 / 0.01 is 10002.999... in floats)."""
    assert price_to_ticks(price, 0.01, side) == ticks
    assert price_to_ticks.py_func(price, 0.01, side) == ticks


def test_quantities_round_down_to_a_step() -> None:
    """0.3 at 0.1 a lot is three lots; NaN, negative and absurd quantities are -1."""
    assert qty_to_lots(0.3, 0.1, 1) == 3
    assert qty_to_lots(0.99, 0.1, 4) == 8
    assert [qty_to_lots(x, 0.1, 1) for x in (math.nan, -1.0, math.inf, 1e300)] == [-1] * 4


@pytest.mark.parametrize(
    "qty, units, lots, count",
    [
        (0.1234, [0.001, 0.01], [120, 12], 12),  # common unit 0.01
        (1.0, [0.004, 0.006], [249, 166], 83),  # least common multiple 0.012
        (0.005, [0.001, 0.01], [0, 0], 0),  # below a lot of the coarser leg
        (1.0, [0.001, 0.00123456789], [999, 810], 1),  # no common unit: each down to the lowest
    ],
)
def test_legs_match_in_underlying_units(qty: float, units: list, lots: list, count: int) -> None:
    """Lots of all legs are the same quantity where lots allow it, else differ by less than a step of each."""
    out, steps = np.zeros(2, np.int64), np.ones(2, np.int64)
    got = common_lots(qty, np.array(units), steps, 2, out)
    assert (got, list(out) if got else [0, 0]) == (count, lots)
    if got:
        assert abs(out[0] * units[0] - out[1] * units[1]) < max(units)


def test_inverse_legs_convert_at_the_mid() -> None:
    """A 100 USD contract against a linear leg: 0.01 units at mid 20000 are two contracts."""
    w = World()
    w.legs[1]["contract"], w.legs[1]["lot"], w.legs[1]["tick"] = R.INVERSE, 100.0, 0.1
    w.legs[1]["bid_ticks"], w.legs[1]["ask_ticks"], w.legs[1]["mid2_ticks"] = 199_999, 200_001, 400_000
    w.legs[0]["tick"] = 1.0
    w.legs[0]["bid_ticks"], w.legs[0]["ask_ticks"], w.legs[0]["mid2_ticks"] = 19_999, 20_001, 40_000
    I.package(w.orders, 1, buy=(0, 20_001.0), sell=(1, 19_999.9), qty=0.0101)
    w.ask()
    assert [int(c["qty"]) for c in w.take()] == [10, 2]


def test_helpers_write_the_same_compiled_and_plain() -> None:
    """Every helper leaves the same bytes whether compiled or run as plain Python on np.record."""
    pair = [I.new_intents(), I.new_intents()]
    for orders, plain in zip(pair, (False, True), strict=True):
        o = orders[0]

        def f(helper: object, plain: bool = plain) -> object:
            return helper.py_func if plain else helper  # type: ignore[attr-defined]

        k = f(I.package_begin)(o, 5, 1.5, maker=1, timeout_ns=9, reduce=True)
        f(I.package_leg)(o, k, 0, 1, 2.0, 10.5)
        f(I.package)(o, 1, buy=(0, 1.5), sell=(1, 2.5), qty=3.0)
        f(I.quote)(o, 2, 0, -1, 9.0, 0.5)
        f(I.target)(o, 1, -2.0, 4.0)
        f(I.timer)(o, 3, 77)
        f(I.cancel)(o, 4)
        f(I.cancel_all)(o)
        for _ in range(40):
            f(I.quote)(o, 2, 0, -1, 9.0, 0.5)
    assert pair[0].tobytes() == pair[1].tobytes()
    assert (int(pair[0][0].count), int(pair[0][0].overflow)) == (R.N_INTENTS, 50 - R.N_INTENTS)


@njit
def _fresh_compiled(ev: np.ndarray, views: np.ndarray) -> bool:
    return I.fresh(ev[0], views[0], views[1])


def test_fresh_counts_both_clocks_and_the_bound() -> None:
    """The older of receive and venue age, plus the clock's bound, must be within stale_ns, for each leg."""
    ev = np.zeros(1, R.EVENT).view(np.recarray)
    views = np.zeros(2, R.VIEW).view(np.recarray)
    ev.receive_ns = 1_000
    views.quote_ns, views.venue_ns, views.stale_ns, views.clock_bound_ns = 900, 850, 160, 10
    assert I.fresh(ev[0], views[0], views[1])
    views[1].clock_bound_ns = 11
    assert not I.fresh(ev[0], views[0], views[1])
    views[1].clock_bound_ns, views[1].quote_ns = 0, 0
    assert not I.fresh(ev[0], views[0], views[1]), "a leg that was never quoted"
    assert not _fresh_compiled(ev, views)
    views[1].quote_ns = 900
    assert _fresh_compiled(ev, views)


def body(event, legs, p, m, orders):
    return


def test_strategy_binds_parameters_and_names_the_misspelt() -> None:
    """Floats are float64, ints and bools int64; a misspelt name lists all; binding copies."""
    s = strategy(edge_bp=4.0, depth=3, both=True, memory={"n": "i8", "last": ("f8", 2)}, exit="inventory")(
        body
    )
    assert [str(s.params[n]) for n in s.names] == ["float64", "int64", "int64"]
    t = s(edge_bp=5)
    assert (s.parameters["edge_bp"], t.parameters) == (4.0, {"edge_bp": 5.0, "depth": 3, "both": 1})
    with pytest.raises(
        ConfigError, match=r"unknown parameter of body 'egde_bp'.*both, depth, edge_bp.*did you mean"
    ):
        s(egde_bp=1.0)
    with pytest.raises(ConfigError, match="depth"):
        s(depth=1.5)
    assert s.memory.names == ("n", "last")
    assert (s.exit, len(s.source_hash), t.source_hash) == ("inventory", 64, s.source_hash)


@pytest.mark.parametrize("word", ["size", "mean", "data"])
def test_strategy_refuses_names_of_np_record(word: str) -> None:
    """A parameter or memory field that np.record uses would differ between compiled and plain runs."""
    with pytest.raises(ConfigError, match=word):
        strategy(**{word: 1.0})
    with pytest.raises(ConfigError, match=word):
        strategy(memory={word: "f8"})


def test_strategy_needs_five_arguments() -> None:
    """The contract is f(event, legs, p, m, orders)."""
    with pytest.raises(StrategyError, match="five arguments"):
        strategy()(lambda event, legs: None)


@pytest.mark.parametrize(
    "build",
    [
        lambda o: I.package(o, 1, buy=(0, 100.0), sell=(0, 100.0), qty=1.0),
        lambda o: I.package(o, 1, buy=(0, math.nan), sell=(1, 100.0), qty=1.0),
        lambda o: I.package(o, 1, buy=(0, 100.0), sell=(7, 100.0), qty=1.0),
        lambda o: I.package(o, 1, buy=(0, 100.0), sell=(1, 100.0), qty=math.inf),
        lambda o: I.package(o, 1, buy=(0, 100.0), sell=(1, 100.0), qty=-1.0),
        lambda o: I.package(o, 1, buy=(0, 100.0), sell=(1, 100.0), qty=1.0, maker=5),
        lambda o: I.package_begin(o, 1, 1.0),
        lambda o: I.package_leg(o, 0, 0, 1, 1.0, 100.0),
        lambda o: I.package_leg(o, 999, 0, 1, 1.0, 100.0),
        lambda o: I.target(o, 0, math.nan, 1.0),
        lambda o: I.timer(o, 1, -5),
    ],
)
def test_bad_intents_are_refused_not_raised(build: object) -> None:
    """Wrong legs, NaN, infinity, a leg twice, a leg without its package: REFUSED(bad_intent), no order."""
    w = World()
    build(w.orders)  # type: ignore[operator]
    w.ask()
    assert not w.take()
    assert [int(row["code"]) for row in w.of_kind(R.REFUSED)] == [R.R_BAD_INTENT]
    w.check()
