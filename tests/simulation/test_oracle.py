"""The oracle's worth of each gap, and the score of runs whose outcome is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.core.errors import ConfigError, DataError
from oneprice.market.synthetic import World, two_venues
from oneprice.study.oracle import FILL_FIELDS, Worth, best_package, ladders_at, score, worths

LAG = (1_000_000, 1_000_000)


@pytest.fixture(scope="module")
def world() -> World:
    return two_venues(11, 6.0)


@pytest.fixture(scope="module")
def worth(world: World) -> list[Worth]:
    return worths(world, entry_latency_ns=LAG)


def table(rows: list[tuple[Any, ...]]) -> dict[str, np.ndarray]:
    return {name: np.array([r[i] for r in rows]) for i, name in enumerate(FILL_FIELDS)}


LADDER = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 5)), min_size=0, max_size=4)


def ladder(steps: list[tuple[int, int]], start: float, sign: int) -> np.ndarray:
    price, rows = start, []
    for step, lots in steps:
        rows.append((price, float(lots)))
        price += sign * (step + 1)
    return np.array(rows).reshape(-1, 2)


@settings(max_examples=150, deadline=None)
@given(LADDER, LADDER, LADDER, LADDER, st.integers(0, 12), st.booleans(), st.integers(1, 12))
def test_best_package_is_best(
    a: list[Any], b: list[Any], c: list[Any], d: list[Any], gap: int, leave: bool, cap: int
) -> None:
    """No other whole quantity up to the cap earns more, with and without an exit."""
    asks, bids = ladder(a, 1000.0, 1), ladder(b, 1000.0 + gap, -1)
    out_bids, out_asks = (ladder(c, 1001.0, -1), ladder(d, 1002.0, 1)) if leave else (np.zeros((0, 2)),) * 2
    fees = np.array([0.0005, 0.0002])
    qty, profit, _ = best_package(asks, bids, out_bids, out_asks, fees, float(cap))
    flat = [np.repeat(x[:, 0], x[:, 1].astype(int)) for x in (asks, bids, out_bids, out_asks)]
    unit = [1.0 * s * (1 - fees[1]) - p * (1 + fees[0]) for p, s in zip(flat[0], flat[1], strict=False)]
    if len(out_bids):
        exits = [p * (1 - fees[0]) - s * (1 + fees[1]) for p, s in zip(flat[2], flat[3], strict=False)]
        unit = [u + e for u, e in zip(unit, exits, strict=False)]
    totals = np.concatenate([[0.0], np.cumsum(unit[:cap])])
    assert profit == pytest.approx(totals.max(), abs=1e-9)
    assert totals[round(qty)] == pytest.approx(profit, abs=1e-9)


def test_every_real_gap_is_worth_something_without_latency_and_fees(world: World) -> None:
    """With no fees, every real gap pays; its quantity is within what is shown."""
    free = worths(world, entry_latency_ns=(0, 0), taker_fee_bp=(0.0, 0.0))
    assert len(free) == len(world.of_kind("real")) == 24
    for w in free:
        assert w.profit > 0.0 and w.qty <= 1.3 * world.plants[w.plant].depth_lots * 0.001


def test_worth_falls_with_fees_and_latency(world: World) -> None:
    """More fees or a delay beyond every life leave less; nothing is ever negative."""
    totals = [
        sum(w.profit for w in worths(world, entry_latency_ns=LAG, taker_fee_bp=(f, f)))
        for f in (0.0, 1.0, 3.0, 9.0)
    ]
    assert totals == sorted(totals, reverse=True) and totals[0] > totals[-1] >= 0.0
    late = worths(world, entry_latency_ns=(5 * 10**9,) * 2)
    assert sum(w.profit for w in late) == 0.0
    quick, slow = (sum(w.profit for w in worths(world, entry_latency_ns=(n, n))) for n in (0, 100_000_000))
    assert quick > slow > 0.0


def test_inventory_keeps_what_converge_pays_to_leave(world: World, worth: list[Worth]) -> None:
    """Two crossings leave more than four."""
    kept = worths(world, entry_latency_ns=LAG, exit="inventory")
    assert all(k.profit >= w.profit for k, w in zip(kept, worth, strict=True))
    assert sum(k.profit for k in kept) > sum(w.profit for w in worth)


def test_worth_is_what_the_books_pay(world: World, worth: list[Worth]) -> None:
    """One gap by hand: the first lot's profit from four touches and four fees, capped at one lot."""
    (w,) = [x for x in worths(world, entry_latency_ns=LAG, max_qty=0.001) if x.plant == worth[0].plant]
    p = world.plants[w.plant]
    at = np.array([w.seen_ns, w.end_seen_ns]) + 1_000_000
    cheap, dear = (
        ladders_at(world.tapes[i], at, levels=1)[:, :, 0, 0] * 0.2 for i in (p.leg_cheap, p.leg_dear)
    )
    money_in = dear[0, 0] + cheap[1, 0]
    money_out = cheap[0, 1] + dear[1, 1]
    assert w.profit == pytest.approx(0.001 * (money_in - money_out - 1e-4 * (money_in + money_out)))


def perfect(world: World, worth: list[Worth]) -> list[tuple[Any, ...]]:
    """Fills of one who did exactly as the oracle: the whole worth of each gap as one price difference."""
    rows = []
    for n, w in enumerate(x for x in worth if x.profit > 0.0):
        p = world.plants[w.plant]
        t, end = w.seen_ns + 1_000_000, w.end_seen_ns + 1_000_000
        rows += [
            (t, p.leg_cheap, 1, 10_000.0, w.qty, 0.01, 2 * n + 1),
            (t, p.leg_dear, -1, 10_000.0 + w.profit / w.qty, w.qty, 0.01, 2 * n + 1),
            (end, p.leg_cheap, -1, 10_000.0, w.qty, -0.01, 2 * n + 2),
            (end, p.leg_dear, 1, 10_000.0, w.qty, -0.01, 2 * n + 2),
        ]
    return rows


def test_one_who_does_as_the_oracle_scores_all(world: World, worth: list[Worth]) -> None:
    """Share 1, nothing missed, no decoys, nothing open; exits belong to their entries."""
    s = score(world, worth, table(perfect(world, worth)))
    assert s.share == pytest.approx(1.0)
    assert s.real_traded == s.real_worth > 10 and s.missed == ()
    assert s.decoys_traded == 0 and s.elsewhere == (0, 0.0)
    assert s.open_qty == pytest.approx((0.0, 0.0))
    assert "100.0 %" in str(s)


def test_misses_decoys_and_strays_are_counted(world: World, worth: list[Worth]) -> None:
    """One gap left out, one package on each kind of decoy, one between plants: each is found where it
    belongs.
    """
    rows = perfect(world, worth)[4:]
    for n, kind in enumerate(("basis", "stale", "crossed", "delayed")):
        p = world.of_kind(kind)[0]
        rows += [
            (p.start_ns + 1000, 0, 1, 100.0, 0.5, 0.25, 900 + n),
            (p.start_ns + 2000, 0, -1, 101.0, 0.5, 0.25, 950 + n),
        ]
    stray = world.plants[0].start_ns - 10**8
    rows += [(stray, 1, 1, 100.0, 0.5, 0.0, 990), (stray + 1, 1, -1, 98.0, 0.5, 0.0, 991)]
    s = score(world, worth, table(sorted(rows, key=lambda r: r[0])))
    assert s.missed == (worth[0].plant,)
    assert s.decoys == {k: (1, pytest.approx(0.0)) for k in ("basis", "crossed", "delayed", "stale")}
    assert s.decoys_traded == 4
    assert s.elsewhere == (1, pytest.approx(-1.0))
    assert s.captured == pytest.approx(s.available - worth[0].profit)


def test_a_legged_out_package_stays_open(world: World, worth: list[Worth]) -> None:
    """A leg that was never closed is reported with its sign, not valued."""
    w = worth[0]
    p = world.plants[w.plant]
    s = score(world, worth, table([(w.seen_ns, p.leg_cheap, 1, 100.0, 0.3, 0.1, 1)]))
    want = [0.0, 0.0]
    want[p.leg_cheap] = 0.3
    assert s.open_qty == pytest.approx(want)
    assert s.captured == pytest.approx(-0.1)


def test_no_fills(world: World, worth: list[Worth]) -> None:
    """Nothing traded captures nothing and misses everything."""
    s = score(world, worth, {name: np.zeros(0) for name in FILL_FIELDS} | {"leg": np.zeros(0, int)})
    assert s.share == 0.0 and len(s.missed) == s.real_worth
    nothing = score(world, [], {name: np.zeros(0) for name in FILL_FIELDS} | {"leg": np.zeros(0, int)})
    assert math.isnan(nothing.share)


def test_bad_input_is_refused(world: World, worth: list[Worth]) -> None:
    """Missing fields, fills out of order or of no size, an unknown exit, latencies that do not match the
    legs.
    """
    row = (world.start_ns, 0, 1, 1.0, 1.0, 0.0, 1)
    with pytest.raises(DataError, match="missing package"):
        score(world, worth, {k: v for k, v in table([row]).items() if k != "package"})
    with pytest.raises(DataError, match="row 1: expected time_ns"):
        score(world, worth, table([row, (row[0] - 1, *row[1:])]))
    with pytest.raises(DataError, match="row 0: expected qty"):
        score(world, worth, table([(*row[:4], -1.0, *row[5:])]))
    with pytest.raises(ConfigError, match="exit"):
        worths(world, entry_latency_ns=LAG, exit="never")
    with pytest.raises(ConfigError, match="entry_latency_ns"):
        worths(world, entry_latency_ns=(1,))
    with pytest.raises(DataError, match="ascending"):
        ladders_at(world.tapes[0], np.array([2, 1]))


def test_orders_without_a_package_stand_alone(world: World, worth: list[Worth]) -> None:
    """Fills of package 0 are not one package: two of them on two decoys are two entries."""
    rows = []
    for kind in ("basis", "crossed"):
        p = world.of_kind(kind)[0]
        rows += [(p.start_ns + 1, 0, 1, 100.0, 0.5, 0.0, 0), (p.start_ns + 2, 0, -1, 100.0, 0.5, 0.0, 0)]
    s = score(world, worth, table(sorted(rows, key=lambda r: r[0])))
    assert (s.decoys["basis"][0], s.decoys["crossed"][0], s.elsewhere[0]) == (1, 1, 0)
