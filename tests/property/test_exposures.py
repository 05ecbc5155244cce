"""The gate's pass over the legs against a full sum written out, to the unit."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.core.arena import Arena
from oneprice.core.money import V, exposure
from oneprice.core.records import LEG, NO_PRICE
from oneprice.risk.accounts import to_report
from oneprice.risk.attribution import mark2_of
from oneprice.risk.gate import leg_values, others
from risk_bench import COIN, PERP, SPOT, bench, quote

KINDS = (SPOT, PERP, COIN)
WORDS = ("position_lots", "open_buy_lots", "open_sell_lots")
LEGS = st.lists(
    st.tuples(
        st.integers(-5_000, 5_000),
        st.integers(0, 3_000),
        st.integers(0, 3_000),
        st.booleans(),  # quoted
    ),
    min_size=3,
    max_size=3,
)


def full_sum(arena: Arena, venue: int) -> tuple[int, int, int]:
    """Every leg valued, held or not."""
    s = arena.state[0]
    net = gross = at_venue = 0
    for i, leg in enumerate(arena.section("legs", LEG)):
        held, buys, sells = (int(leg[name]) for name in WORDS)
        m2 = mark2_of(s, i)
        if m2 == NO_PRICE:
            continue
        lots = max(held + buys, sells - held, 0)
        value = to_report(s, leg["currency"], abs(V(leg, lots, m2))) if lots else 0
        gross += value
        at_venue += value if leg["venue"] == venue else 0
        signed = held + buys - sells
        net += to_report(s, leg["currency"], exposure(leg, signed, m2)) if signed else 0
    return int(net), int(gross), int(at_venue)


@settings(max_examples=150, deadline=None)
@given(LEGS, st.integers(0, 1))
def test_one_pass_equals_the_full_sum(legs: list[tuple[int, int, int, bool]], venue: int) -> None:
    """Idle legs are skipped, missing quotes count nothing, inverse legs and foreign currency round the same."""
    arena, _ = bench(KINDS)
    for i, (*lots, quoted) in enumerate(legs):
        if quoted:
            bid = 6_000_000 if i == 0 else 600_000
            quote(arena, i, bid, bid + 1)
        for name, n in zip(WORDS, lots, strict=True):
            arena.section("legs", LEG)[i][name] = n
    assert tuple(int(v) for v in others(arena.state[0], -1, venue)) == full_sum(arena, venue)


@settings(max_examples=100, deadline=None)
@given(LEGS, st.integers(0, 2), st.integers(1, 4_000), st.sampled_from((1, -1)))
def test_one_leg_changes_the_sum_by_its_own_part(
    legs: list[tuple[int, int, int, bool]], i: int, add: int, side: int
) -> None:
    """What an order adds to net and gross is the difference of its leg alone, rounding included."""
    arena, _ = bench(KINDS)
    rows = arena.section("legs", LEG)
    for j, (*lots, _) in enumerate(legs):
        quote(arena, j, 6_000_000 if j == 0 else 600_000, 6_000_001 if j == 0 else 600_001)
        for name, n in zip(WORDS, lots, strict=True):
            rows[j][name] = n
    s = arena.state[0]
    net, gross, _ = full_sum(arena, 0)
    before = leg_values(s, i, 0, 0)
    after = leg_values(s, i, add if side > 0 else 0, add if side < 0 else 0)
    net += int(after[0]) - int(before[0])
    gross += int(after[1]) - int(before[1])
    rows[i]["open_buy_lots" if side > 0 else "open_sell_lots"] += add
    assert (net, gross) == full_sum(arena, 0)[:2]
