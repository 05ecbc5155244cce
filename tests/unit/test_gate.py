"""Every reason of the gate is met on purpose, and says what was seen and which limit it broke."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from oneprice.core.arena import POSITION, STRATEGY, Arena
from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit
from oneprice.core.records import (
    AMEND,
    CANCEL,
    CLOSED_SESSION,
    DEGRADED,
    HALT_ROW,
    HALTED,
    LEG,
    NEW,
    NO_PRICE,
    NO_SHORT,
    REASONS,
    REDUCE_ONLY,
    REDUCING,
)
from oneprice.execution.blotter import PLANNED, ROLE_HEDGE, ROLE_UNWIND
from oneprice.risk import LegLimits, Limits, accounts, attribution, halt, limits_from
from oneprice.risk.gate import check
from oneprice.risk.records import VENUE_LIMITS
from risk_bench import COIN, FREE, PERP, SECOND, SPOT, STOCK, bench, fill, order, quote, working

E8 = 10**8
DAY_NS = 86_400 * SECOND
OPENS = 90 * 60 * SECOND  # of the T+1 leg, after midnight UTC
T_PLUS_1 = msgspec.structs.replace(STOCK, settle_days=1, session=((90, 420),), quote="USDT", currency="USDT")


def setup(instruments: Any = (SPOT, PERP), **limits: Any) -> Arena:
    """Two legs with fresh quotes near 60,000 and only the named limits."""
    arena, _ = bench(instruments, limits=msgspec.structs.replace(FREE, **limits), n_strategies=2)
    arena.state[0]["now_ns"] = 10 * SECOND
    if T_PLUS_1 in instruments:
        arena.state[0]["now_ns"] = OPENS
    for leg, one in enumerate(instruments):
        bid = {"a:BTC-USDT": 6_000_000, "c:ACME": 1_500}.get(one.symbol, 600_000)
        quote(arena, leg, bid, bid + 1)
    return arena


def judge(arena: Arena, action: int = NEW, **fields: Any) -> tuple[str, int, int]:
    """Reason, value observed and limit."""
    s = arena.state[0]
    fields = {"leg": 1, "side": 1, "price": 600_001, "lots": 10} | fields
    reason = REASONS[check(s, order(arena, 900, **fields), action)]
    return reason, int(s["gate_value"]), int(s["gate_limit"])


def test_nothing_limited_passes() -> None:
    """An order inside all limits is approved and counted."""
    arena = setup()
    assert judge(arena)[0] == "approved"
    assert int(arena.state[0]["gate"]["n_approved"]) == 1


def test_defaults_let_a_small_order_through() -> None:
    """The defaults of Limits approve 600 USDT of BTC and refuse 600,000."""
    arena, _ = bench(limits=Limits())
    arena.state[0]["now_ns"] = SECOND
    quote(arena, 1, 600_000, 600_001)
    assert judge(arena)[0] == "approved"
    assert judge(arena, lots=10_000) == ("notional", 600_001 * E8, 100_000 * E8)


def test_quantity() -> None:
    arena = setup(order_qty=0.02)
    assert judge(arena, lots=20)[0] == "approved"
    assert judge(arena, lots=21) == ("quantity", 21, 20)


def test_notional_is_the_value_at_its_price() -> None:
    arena = setup(order_value=600)
    assert judge(arena, price=600_000)[0] == "approved"
    assert judge(arena) == ("notional", 60_000_100_000, 60_000_000_000)


def test_position_counts_what_works() -> None:
    """Held and working lots count; the other side is free; what lowers the position always passes."""
    arena = setup(position_qty=0.02)
    fill(arena, 1, 6, 600_000)
    working(arena, 0, leg=1, side=1, price=600_000, lots=5)
    assert judge(arena, lots=9)[0] == "approved"
    assert judge(arena, lots=10) == ("position", 21, 20)
    assert judge(arena, lots=26, side=-1, price=600_002)[0] == "approved"
    assert judge(arena, lots=27, side=-1, price=600_002) == ("position", 21, 20)
    fill(arena, 1, 100, 600_000)
    assert judge(arena, lots=100, side=-1, price=600_002)[0] == "approved"


def test_position_by_value() -> None:
    arena = setup(position_value=6_000)
    assert judge(arena, lots=100) == ("position", 600_000_500_000, 600_000_000_000)


def test_budget_of_one_strategy() -> None:
    """A strategy's own share of the leg; 0 means that it may only close."""
    arena = setup()
    fill(arena, 1, 3, 600_000, strategy=1)
    arena.section("positions", POSITION)[3]["budget_lots"] = 10
    assert judge(arena, strategy=1, lots=7)[0] == "approved"
    assert judge(arena, strategy=1, lots=8) == ("budget", 11, 10)
    assert judge(arena, strategy=0, lots=8)[0] == "approved"
    arena.section("positions", POSITION)[3]["budget_lots"] = 0
    assert judge(arena, strategy=1, lots=1)[0] == "budget"
    assert judge(arena, strategy=1, lots=3, side=-1)[0] == "approved"


def test_gross_net_and_venue() -> None:
    """Sums over legs; what lowers them passes."""
    arena = setup(gross_value=6_000)
    fill(arena, 0, 5_000, 6_000_000)  # 3,000 USDT on venue a
    assert judge(arena, lots=49, side=-1)[0] == "approved"
    assert judge(arena, lots=50, side=-1) == ("gross", 300_000_025_000 + 300_000_250_000, 6_000 * E8)
    assert judge(arena, leg=0, side=-1, price=6_000_000, lots=5_000)[0] == "approved"

    arena = setup(net_value=1_000)
    assert judge(arena, lots=17) == ("net", 17 * 6_000_005_000, 1_000 * E8)
    fill(arena, 0, -5_000, 6_000_000)
    assert judge(arena, lots=17)[0] == "approved"
    assert judge(arena, leg=0, side=-1, price=6_000_000, lots=1)[0] == "net"

    arena = setup(venue_gross_value=1_000)
    fill(arena, 0, 5_000, 6_000_000)
    assert judge(arena, lots=16)[0] == "approved"
    assert judge(arena, lots=17) == ("venue", 17 * 6_000_005_000, 1_000 * E8)


def test_foreign_legs_count_in_the_report_currency() -> None:
    """100 contracts of 100 USD are 10,000 USD: in coin at the mid, back at the coin's rate of 60,000."""
    arena = setup((SPOT, COIN), gross_value=12_000)
    assert judge(arena, lots=100)[0] == "approved"
    reason, value, limit = judge(arena, lots=121)
    assert (reason, limit) == ("gross", 12_000 * E8)
    assert abs(value - 12_100 * E8) < 0.02 * E8


def test_residual_lets_hedges_and_closing_through() -> None:
    """Too much unhedged for too long: nothing new opens, the package's own hedge and unwind and closing
    orders do.
    """
    arena = setup(residual_value_s=100)
    fill(arena, 1, 5, 600_000)
    blotter = arena.state[0]["blotter"]
    blotter["n_residuals"] = 2
    blotter["residuals"]["leg"][1], blotter["residuals"]["lots"][1] = 1, -1  # 60 USDT, short
    blotter["residuals"]["since_ns"][1] = 9 * SECOND
    assert judge(arena)[0] == "approved"
    blotter["residuals"]["since_ns"][1] = 8 * SECOND
    assert judge(arena) == ("residual", 2 * 6_000_005_000, 100 * E8)
    assert judge(arena, role=ROLE_HEDGE)[0] == "approved"
    assert judge(arena, role=ROLE_UNWIND)[0] == "approved"
    assert judge(arena, side=-1, lots=5)[0] == "approved"


def test_order_rate_refills_in_event_time() -> None:
    """A bucket of 2, one token a second: the third at once is refused, a second later one passes."""
    arena = setup(orders_per_s=1, burst=2)
    assert [judge(arena)[0] for _ in range(3)] == ["approved", "approved", "order_rate"]
    assert judge(arena)[1:] == (3, 2)
    arena.state[0]["now_ns"] += SECOND - 1
    assert judge(arena)[0] == "order_rate"
    arena.state[0]["now_ns"] += 1
    assert [judge(arena)[0] for _ in range(2)] == ["approved", "order_rate"]
    assert judge(arena, leg=0, price=6_000_001)[0] == "approved"
    assert judge(arena, CANCEL)[0] == "approved"


def test_order_rate_of_a_venue() -> None:
    """All legs of a venue share its bucket."""
    arena = setup((PERP, COIN), venue_orders_per_s=1, venue_burst=1)
    assert judge(arena, leg=0)[0] == "approved"
    assert judge(arena, leg=1)[0] == "order_rate"


def test_message_cap_a_day() -> None:
    """Cancels count and always pass; the count starts anew with the UTC day."""
    arena = setup(messages_per_day=3)
    assert judge(arena)[0] == judge(arena, CANCEL)[0] == judge(arena)[0] == "approved"
    assert judge(arena) == ("message_cap", 3, 3)
    assert judge(arena, CANCEL)[0] == "approved"
    assert int(arena.section("venue_limits", VENUE_LIMITS)["messages"][1]) == 4
    arena.state[0]["now_ns"] += 86_400 * SECOND
    quote(arena, 1, 600_000, 600_001)
    assert judge(arena)[0] == "approved"


def test_price_band() -> None:
    """A limit price further than the band from the mid is refused on both sides, with the distance rounded
    up.
    """
    arena = setup(price_band_bp=10)
    assert judge(arena, price=600_600)[0] == "approved"
    assert judge(arena, price=600_601) == ("price_band", 11, 10)
    assert judge(arena, price=599_000, side=-1)[0] == "price_band"


def test_stale_and_missing_quotes() -> None:
    """The age of the quote against the leg's bound, then no quote at all."""
    arena = setup()
    arena.state[0]["now_ns"] += 2 * SECOND
    assert judge(arena)[0] == "approved"
    arena.state[0]["now_ns"] += 1
    assert judge(arena) == ("stale_quote", 2 * SECOND + 1, 2 * SECOND)
    arena.section("legs", LEG)["mid2_ticks"][1] = NO_PRICE
    assert judge(arena)[0] == "no_quote"


def test_self_trade() -> None:
    """Neither side may reach our own working order of the leg, of any strategy; one not sent yet is no
    obstacle.
    """
    arena = setup()
    working(arena, 3, leg=1, side=-1, price=600_005, lots=5, strategy=1)
    working(arena, 4, leg=0, side=-1, price=1, lots=5)
    order(arena, 5, leg=1, side=-1, price=600_001, lots=5, state=PLANNED)
    assert judge(arena, price=600_004)[0] == "approved"
    assert judge(arena, price=600_005) == ("self_trade", 600_005, 600_005)
    working(arena, 6, leg=1, side=1, price=600_000, lots=5, new_price=600_002, new_lots=5)
    assert judge(arena, side=-1, price=600_002) == ("self_trade", 600_002, 600_002)


def test_self_trade_bounds_follow_the_orders() -> None:
    """After the low sell is gone a scan lifts the bound; with nothing open it is forgotten."""
    arena = setup()
    for slot, price in ((3, 600_005), (4, 600_020)):
        assert judge(arena, side=-1, price=price)[0] == "approved"
        working(arena, slot, leg=1, side=-1, price=price, lots=5)
    assert judge(arena, price=600_010)[1:] == (600_010, 600_005)
    arena.state[0]["blotter"]["orders"][3]["state"] = 9  # canceled
    assert judge(arena, price=600_010)[0] == "approved"
    assert judge(arena, price=600_020)[1:] == (600_020, 600_020)
    arena.section("legs", LEG)["open_sell_lots"][1] = 0
    assert judge(arena, price=600_020)[0] == "approved"


def test_halted_and_reducing() -> None:
    """HALTED stops all but cancels; REDUCING lets through only what shrinks the strategy's own position."""
    arena = setup()
    fill(arena, 1, 5, 600_000)
    s = arena.state[0]
    s["halt"] = REDUCING
    assert judge(arena)[0] == "reducing"
    assert judge(arena, side=-1, lots=5)[0] == "approved"
    assert judge(arena, side=-1, lots=6) == ("reducing", 5, 0)
    assert judge(arena, side=-1, lots=5, strategy=1)[0] == "reducing"
    s["halt"] = HALTED
    assert judge(arena, side=-1, lots=5) == ("halted", HALTED, HALTED)
    assert judge(arena, CANCEL)[0] == "approved"
    s["halt"] = 0
    arena.section("strategies", STRATEGY)[1]["halt"] = HALTED
    assert judge(arena, strategy=1)[0] == "halted"
    assert judge(arena, strategy=0)[0] == "approved"
    assert judge(arena, strategy=0, tif=REDUCE_ONLY)[0] == "reducing"


def test_leg_closed_degraded_and_short_ban() -> None:
    """Trading status: closed refuses all, a degraded book lets positions be closed, a ban stops at flat."""
    arena = setup()
    legs = arena.section("legs", LEG)
    fill(arena, 1, 5, 600_000)
    legs["trading"][1] = CLOSED_SESSION
    assert judge(arena) == ("leg_closed", CLOSED_SESSION, 0)
    legs["trading"][1] = DEGRADED
    assert judge(arena)[0] == "leg_closed"
    assert judge(arena, side=-1, lots=5)[0] == "approved"
    legs["trading"][1] = NO_SHORT
    assert judge(arena)[0] == "approved"
    assert judge(arena, side=-1, lots=5)[0] == "approved"
    assert judge(arena, side=-1, lots=6) == ("short_ban", -1, 0)
    legs["trading"][1] = 0
    banned = setup(legs={"b:BTC-USDT-PERP": LegLimits(allow_short=False)})
    assert judge(banned, side=-1)[0] == "short_ban"


def test_min_size() -> None:
    """Less than the venue's minimum in lots, steps or value."""
    small = msgspec.structs.replace(PERP, min_lots=3, lot_step=2, min_notional="300")
    arena = setup((SPOT, small))
    assert judge(arena, lots=2) == ("min_size", 2, 3)
    assert judge(arena, lots=5)[0] == "min_size"
    assert judge(arena, lots=4) == ("min_size", 240 * E8 + 40_000, 300 * E8)
    assert judge(arena, lots=6)[0] == "approved"


def test_bad_intent() -> None:
    """Nothing left to do, no price, or a price that cannot be."""
    arena = setup((SPOT, COIN))
    assert judge(arena, lots=5, filled=5) == ("bad_intent", 0, 1)
    assert judge(arena, price=NO_PRICE)[0] == "bad_intent"
    assert judge(arena, price=0)[0] == "bad_intent"


def test_amend_counts_only_what_it_adds() -> None:
    """An amended order is judged at its new price and size; its own working lots are not counted twice."""
    arena = setup(position_qty=0.01)
    o = working(arena, 5, leg=1, side=1, price=600_000, lots=10)
    o["new_price"], o["new_lots"] = 600_001, 10
    assert check(arena.state[0], o, AMEND) == 0
    o["new_lots"] = 11
    assert REASONS[check(arena.state[0], o, AMEND)] == "position"


def test_refusals_are_counted_by_reason() -> None:
    arena = setup(order_qty=0.001)
    for _ in range(3):
        judge(arena, lots=2)
    assert int(arena.state[0]["gate"]["refused"][REASONS.index("quantity")]) == 3


def test_legs_cost_nothing_where_nothing_is_limited() -> None:
    """Without portfolio limits a check does not look at other legs: 48 legs cost about what 2 do."""
    many = tuple(msgspec.structs.replace(PERP, symbol=f"b:{n}") for n in range(48))
    costs = []
    for instruments in (many[:2], many):
        arena = setup(instruments)
        order(arena, 900, leg=1, side=1, price=600_001, lots=10)
        _checks(arena.state[0], 900, 10)
        costs.append(min(_timed(arena) for _ in range(7)))
    assert costs[1] < 3 * costs[0]


def _timed(arena: Arena) -> int:
    start = time.perf_counter_ns()
    assert _checks(arena.state[0], 900, 3_000) == 0
    return time.perf_counter_ns() - start


@njit
def _checks(s: Any, slot: int, n: int) -> int:
    refused = 0
    for _ in range(n):
        refused += check(s, s.blotter.orders[slot], NEW)
    return refused


# ---------------------------------------------------------------- limits as written


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"ordr_qty": 1}, "unknown limit in limits 'ordr_qty'.*did you mean 'order_qty'"),
        ({"legs": {"x": {"brust": 1}}}, "limits.legs.x.*did you mean 'burst'"),
        ({"order_value": "much"}, "order_value"),
        ({"order_value": -1.0}, "order_value: expected a finite number of 0 or more"),
        ({"order_value": float("nan")}, "finite"),
        ({"burst": 0}, "burst: expected more than 0"),
    ],
)
def test_bad_limits_are_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        limits_from(values)


def test_limits_of_unknown_legs_and_beyond_overflow() -> None:
    with pytest.raises(ConfigError, match=r"unknown leg in limits.legs 'b:BTC-USDT-PREP'.*did you mean"):
        bench(limits=Limits(legs={"b:BTC-USDT-PREP": LegLimits(burst=3)}))
    with pytest.raises(ConfigError, match="proved safe from overflow"):
        bench(limits=Limits(position_qty=1e9))
    with pytest.raises(ConfigError, match=r"beyond 2\^62"):
        bench(limits=Limits(order_value=1e12))


def test_overrides_by_leg() -> None:
    limits = limits_from({"order_qty": 1.0, "legs": {"b:BTC-USDT-PERP": {"order_qty": 0.002}}})
    arena, _ = bench(limits=limits)
    arena.state[0]["now_ns"] = SECOND
    quote(arena, 1, 600_000, 600_001)
    assert judge(arena, lots=3)[0] == "quantity"


def test_missing_rates_and_misspelt_currencies() -> None:
    """Every foreign currency needs a rate before the first event."""
    with pytest.raises(ConfigError, match="price of one BTC in USDT, got none"):
        bench((SPOT, COIN), fx={})
    with pytest.raises(ConfigError, match="unknown fx currency"):
        bench((SPOT, COIN), fx={"BTC": 1, "BCT": 1})
    with pytest.raises(ConfigError, match="more than 0"):
        bench((SPOT, STOCK), fx={"CNY": 0})


# ---------------------------------------------------------------- halts


def test_only_the_operator_loosens() -> None:
    """Anything may tighten; each change leaves one row with before, after, why."""
    arena = setup()
    s = arena.state[0]
    assert halt.set_halt(s, REDUCING, halt.VENUE_LOST, 7)
    assert halt.set_halt(s, HALTED, halt.STRATEGY_FAULT, 1)
    assert not halt.set_halt(s, REDUCING, halt.DRAWDOWN, 0)
    assert not halt.set_halt(s, HALTED, halt.OPERATOR_WORD, 0)
    assert halt.set_halt(s, 0, halt.OPERATOR_WORD, 0)
    assert halt.halt_strategy(s, 1, HALTED, halt.STRATEGY_FAULT, 0)
    rows = arena.drain()
    rows = rows[rows["kind"] == HALT_ROW]
    assert [(int(r["a"]), int(r["b"]), int(r["code"])) for r in rows] == [
        (0, 1, 4),
        (1, 2, 3),
        (2, 0, 1),
        (0, 2, 3),
    ]
    assert int(rows[3]["strategy"]) == 1


def test_what_is_bought_today_is_sold_tomorrow() -> None:
    """T+1: lots bought on a trading day cannot be sold before the next; older lots and buys can be traded."""
    arena = setup((SPOT, T_PLUS_1))
    s = arena.state[0]
    sell = {"side": -1, "price": 1_500, "leg": 1}
    fill(arena, 1, 10, 1_500)
    assert judge(arena, lots=1, **sell) == ("unsettled", 1, 0)
    assert judge(arena, lots=1, leg=1, side=1, price=1_501)[0] == "approved"
    s["now_ns"] = OPENS + DAY_NS - 1  # a trading day ends where the next opens, not at midnight
    quote(arena, 1, 1_500, 1_501)
    assert judge(arena, lots=1, **sell)[0] == "unsettled"
    s["now_ns"] = OPENS + DAY_NS
    quote(arena, 1, 1_500, 1_501)
    assert judge(arena, lots=10, **sell)[0] == "approved"
    fill(arena, 1, 5, 1_500)
    assert judge(arena, lots=10, **sell)[0] == "approved", "10 of yesterday"
    assert judge(arena, lots=11, **sell) == ("unsettled", 11, 10)
    working(arena, 0, leg=1, side=-1, price=1_600, lots=4)
    assert judge(arena, lots=6, **sell)[0] == "approved"
    assert judge(arena, lots=7, **sell) == ("unsettled", 7, 6)
    fill(arena, 1, -4, 1_600)  # a partial sell takes the old lots first (the order's own count is execution's)
    leg = arena.section("legs", LEG)[1]
    leg["open_sell_lots"] = 0
    assert judge(arena, lots=6, **sell)[0] == "approved"
    assert judge(arena, lots=7, **sell) == ("unsettled", 7, 6)
    fill(arena, 1, -8, 1_500)  # a forced sale beyond them: what is left was bought today
    assert int(leg["locked_lots"]) == 3 == int(leg["position_lots"])


def test_covering_a_short_locks_nothing() -> None:
    """Bought back is not held: only what is long after the purchase is locked."""
    arena = setup((SPOT, T_PLUS_1))
    fill(arena, 1, -10, 1_500)
    fill(arena, 1, 6, 1_500)
    leg = arena.section("legs", LEG)[1]
    assert int(leg["locked_lots"]) == 0
    assert judge(arena, lots=3, side=-1, price=1_500, leg=1)[0] == "approved", "more of a short"
    fill(arena, 1, 9, 1_500)
    assert (int(leg["locked_lots"]), int(leg["position_lots"])) == (5, 5)
    assert judge(arena, lots=1, side=-1, price=1_500, leg=1) == ("unsettled", 1, 0)


def test_a_leg_without_the_rule_locks_nothing() -> None:
    """settle_days 0, the default: bought and sold within a day."""
    arena = setup()
    fill(arena, 1, 10, 600_000)
    assert int(arena.section("legs", LEG)[1]["locked_lots"]) == 0
    assert judge(arena, lots=10, side=-1, price=600_000)[0] == "approved"
    with pytest.raises(ConfigError, match="settle_days: expected 0 or 1"):
        msgspec.structs.replace(STOCK, settle_days=2)


def test_drawdown_reduces() -> None:
    """Equity falls further from its peak than the limit: REDUCING, with the fall and the limit in the row."""
    arena = setup(drawdown_value=50)
    s = arena.state[0]
    fill(arena, 1, 100, 600_000, fee=0)
    for bid, changed in ((606_000, False), (601_000, False), (600_999, True), (600_000, False)):
        quote(arena, 1, bid, bid)
        attribution.mark_all(s)
        assert halt.check_drawdown(s) == changed
    rows = arena.drain()
    row = rows[rows["kind"] == HALT_ROW][0]
    assert (int(row["c"]), int(row["d"]), int(row["b"])) == (5_001_000_000, 50 * E8, REDUCING)
    assert halt.set_halt(s, 0, halt.OPERATOR_WORD, 0)
    assert not halt.check_drawdown(s)
    assert int(s["gate"]["peak_equity"]) == accounts.equity(s)


def test_reasons_are_all_met() -> None:
    """Each reason that the gate can give stands in a test above; the others belong to execution."""
    source = Path(__file__).read_text(encoding="utf-8")
    elsewhere = {"pool_full", "ambiguous"}
    assert {
        r for r in REASONS if f'"{r}"' not in source.split("def test_reasons_are_all_met")[0]
    } == elsewhere
    assert np.array_equal(np.arange(3), [NEW - 1, CANCEL - 1, AMEND - 1])
