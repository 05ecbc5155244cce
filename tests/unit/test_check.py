"""Conformance of strategies: a sound one passes, and each fault is found by the rule meant for it."""

from __future__ import annotations

import check_strategies as bad
import numpy as np
import pytest

from oneprice.core.errors import ConfigError
from oneprice.core.plain import plain_event
from oneprice.core.records import EVENT, TOP
from oneprice.execution.strategy import Strategy
from oneprice.strategies.cross_market import cross_market
from oneprice.study.check import check, make_script


@pytest.mark.parametrize("sound", [bad.good, cross_market], ids=["good", "cross_market"])
def test_sound_strategies_conform(sound: Strategy) -> None:
    """A strategy that holds every rule is said to, and it does ask for something on the script."""
    found = check(sound, calls=900, replays=False)
    assert found.ok, str(found)
    assert "0 calls with intents" not in str(found)


@pytest.mark.parametrize(
    ("faulty", "rule", "says"),
    [
        (bad.writes_p, "does not write to p", "qty"),
        (bad.floods_keys, "does not flood", "keys"),
        (bad.floods_list, "does not flood", "full"),
        (bad.ignores_missing_sides, "sound intents", "price is nan"),
        (bad.wild_leg, "raises nothing", "IndexError"),
        (bad.by_chance, "deterministic", "memory"),
        (bad.by_chance, "no forbidden names", "np.random"),
        (bad.names_the_clock, "no forbidden names", "receive_ns"),
        (bad.raises_when_empty, "raises nothing", "the book is empty"),
        (bad.overflows, "compiled = plain", "memory"),
    ],
    ids=lambda v: v.name if isinstance(v, Strategy) else None,
)
def test_each_fault_is_found(faulty: Strategy, rule: str, says: str) -> None:
    """The rule that a strategy breaks fails, with a text that says what to look at."""
    found = check(faulty, calls=300, replays=False)
    broken = {r.name: r.detail for r in found.rules if not r.ok}
    assert rule in broken, str(found)
    assert says in broken[rule]
    assert not found.ok
    assert "FAIL" in str(found)


def test_what_is_no_strategy_is_refused() -> None:
    """A bare function and a script too short to hold every condition are refused with the fix."""
    with pytest.raises(ConfigError, match="decorated"):
        check(bad.good.function)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="100 or more"):
        check(bad.good, calls=5)


def test_script_holds_every_condition() -> None:
    """The script has sane, one-sided, empty, crossed and stale quotes, gaps, and positions of both signs."""
    script = make_script(2, 900, 0)
    views = np.concatenate([v for _, v in script])
    bid, ask = np.isfinite(views["bid"]), np.isfinite(views["ask"])
    assert (bid & ask & (views["bid"] < views["ask"])).mean() > 0.5
    for few in (bid & ~ask, ~bid & ask, ~bid & ~ask, bid & ask & (views["bid"] > views["ask"])):
        assert few.any()
    assert (views["position"] > 0).any() and (views["position"] < 0).any()
    crosses = sum(v["bid"][1] > v["ask"][0] * 1.0005 for _, v in script)
    assert crosses > 10


def test_plain_event_has_every_name() -> None:
    """A plain event shows each payload word under all of its names, as EVENT does."""
    event = np.zeros(1, EVENT)
    event["bid"], event["ask"], event["kind"], event["receive_ns"] = 101, 103, TOP, 7
    seen = plain_event(event)
    assert (seen.bid, seen.price, seen.ask, seen.order_id, seen.receive_ns) == (101, 101, 103, 103, 7)
