"""Orders of events that cost money when one of them is forgotten: refused legs, flatten, expiry, halts."""

from __future__ import annotations

import pytest

import engine_kit as kit
from engine_kit import LATENCY, MS, START, operator, steady, tape, top, tricky
from oneprice.core.records import EXPIRED, OP_FLATTEN, OP_HALT, OP_RESUME
from oneprice.execution.latency import constant
from oneprice.execution.package import PackagePolicy
from oneprice.market.tape import Tape
from oneprice.modes.replay import replay
from oneprice.modes.run import Run
from oneprice.risk import LegLimits, Limits

PACKAGE = tricky(trick=kit.PACKAGE_ONCE, at=5, qty=0.05)
SECOND = 1_000 * MS


def lots(run: Run) -> list[int]:
    return [int(x) for x in run.engine.legs()["position_lots"]]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (LegLimits(allow_short=False), "short_ban"),
        (LegLimits(order_qty=0.04), "quantity"),
        (LegLimits(price_band_bp=10), "price_band"),
        (LegLimits(position_qty=0.04), "budget"),
    ],
)
def test_a_package_goes_whole_through_the_gate_or_not_at_all(limits: LegLimits, reason: str) -> None:
    """The gate would refuse the second leg: the first is not sent, so nothing is legged out."""
    run = replay(
        PACKAGE, [steady("a"), steady("b")], latency=LATENCY, limits=Limits(legs={"b:XYZ-USD": limits})
    )
    assert not len(run.commands()), run.commands()
    assert reason in run.refusals()
    assert lots(run) == [0, 0]


@pytest.mark.parametrize("slow", ["a", "b"])
def test_flatten_while_a_package_is_half_filled(slow: str) -> None:
    """What a package holds is closed once, not twice, and what it still has in flight is traded back."""
    latency = {f"{v}:XYZ-USD": constant(100, 50_000) if v == slow else LATENCY for v in "ab"}
    run = replay(
        PACKAGE,
        [steady("a", 600), steady("b", 600)],
        latency=latency,
        operator=operator((35 * MS, OP_FLATTEN)),
    )
    assert lots(run) == [0, 0]
    assert not run.engine.positions()["lots"].any()
    assert run.closes() == 0


def test_a_fill_that_arrives_after_expiry_is_settled_too() -> None:
    """The venue filled before expiry, the answer came after it: settled at the same price, sibling closed."""
    latency = {"a:XYZ-USD": constant(100, 50_000), "b:XYZ-USD": LATENCY}
    rows = [top(i * 10 * MS) for i in range(4)]
    expiring = tape("a", [*rows, kit.expiry(40 * MS, 1_020)])
    run = replay(PACKAGE, [expiring, steady("b", 600)], latency=latency)
    assert int(run.engine.legs()["trading"][0]) == EXPIRED
    fills = run.fills()
    late = fills[(fills["leg"] == 0) & (fills["time_ns"] > START + 40 * MS)]
    assert len(late) == 1
    assert lots(run) == [0, 0]
    assert run.closes() == 0


def moved(venue: str, after_ns: int, back_ns: int) -> Tape:
    """Quotes that run away before the order arrives, beyond any band, and come back later."""
    rows = []
    for i in range(600):
        t = i * 10 * MS
        away = after_ns <= t < back_ns
        rows.append(top(t, 900, 901) if away else top(t))
    return tape(venue, rows)


def test_resume_goes_on_with_what_a_halt_left_naked() -> None:
    """Halted with a lot unhedged: nothing is sent or forgotten; after RESUME it is hedged or closed."""
    policy = PackagePolicy(max_tries=1, retry_cap_ns=20 * MS, max_age_ns=50 * MS)
    words = operator((22 * MS, OP_HALT), (3 * SECOND, OP_RESUME))
    run = replay(
        PACKAGE,
        [steady("a", 600), moved("b", 21 * MS, SECOND)],
        latency={"a:XYZ-USD": LATENCY, "b:XYZ-USD": constant(5_000, 100)},
        operator=words,
        policy=policy,
    )
    during = run.commands()
    during = during[(during["time_ns"] > START + 22 * MS) & (during["time_ns"] < START + 3 * SECOND)]
    assert not len(during)
    assert lots(run) in ([0, 0], [5, -5])
    assert run.closes() == 0
