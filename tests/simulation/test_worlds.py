"""Synthetic worlds: the same seed is the same world, feeds are sane, and the planted truth is true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from oneprice.core.errors import ConfigError
from oneprice.core.records import BOOK, CLEAR, CROSSED, EVENT, LAST, NO_PRICE, SNAPSHOT, TRADE
from oneprice.market.synthetic import (
    KINDS,
    Plant,
    Wire,
    World,
    market_making_world,
    to_hftbacktest,
    two_venues,
)
from oneprice.market.tape import Tape
from oneprice.study.oracle import ladders_at


@pytest.fixture(scope="module")
def world() -> World:
    return two_venues(7, 8.0)


def touches(tape: Tape, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bid and ask in currency at times of the local clock, as the venue has them."""
    best = ladders_at(tape, times, levels=1)[:, :, 0, 0].astype(float)
    best[best == NO_PRICE] = np.nan
    return best[:, 0] * 0.2, best[:, 1] * 0.2


def as_received(tape: Tape) -> Tape:
    """The tape as a trader has it: rows count from when they are received."""
    events = tape.events.copy()
    events["exchange_ns"] = events["receive_ns"]
    return replace(tape, events=events, clock_offset_ns=0, exchange_order=None)


def gap_bp(a: Tape, b: Tape, times: np.ndarray) -> np.ndarray:
    """Bid of `b` above ask of `a`, bp."""
    ask, bid = touches(a, times)[1], touches(b, times)[0]
    return 1e4 * (bid - ask) / ask


def inside(plant: Plant, n: int = 25) -> np.ndarray:
    """Times at which a plant is on, from its first nanosecond to its last."""
    return np.linspace(0, plant.end_ns - plant.start_ns - 1, n).astype(np.int64) + plant.start_ns


def test_a_seed_is_a_world(world: World) -> None:
    """Equal seeds give equal bytes and plants, another seed does not."""
    again = two_venues(7, 8.0)
    assert again.digest() == world.digest() and again.plants == world.plants
    assert two_venues(8, 8.0).digest() != world.digest()
    one, two = (market_making_world(5_000, s).digest() for s in (1, 2))
    assert one == market_making_world(5_000, 1).digest() != two


def test_feeds_are_sane(world: World) -> None:
    """Times do not go back, nothing is received before it was sent plus the wire's base, batches end with
    LAST.
    """
    for tape, base in zip(world.tapes, (2_000_000, 5_000_000), strict=True):
        ev = tape.events
        assert ev.dtype == EVENT
        assert np.all(np.diff(ev["receive_ns"]) >= 0) and np.all(np.diff(ev["exchange_ns"]) >= 0)
        assert (ev["receive_ns"] - ev["exchange_ns"] - tape.clock_offset_ns).min() >= base
        ends = np.append(ev["exchange_ns"][1:] != ev["exchange_ns"][:-1], True)
        assert np.array_equal((ev["flag_bits"] & LAST) != 0, ends)
        assert ev["flag_bits"][0] & (CLEAR | SNAPSHOT) == CLEAR | SNAPSHOT
        assert set(np.unique(ev["kind"])) == {BOOK, TRADE}
        assert np.all(ev["qty"][ev["kind"] == TRADE] > 0) and np.all(ev["qty"] >= 0)
    assert world.tapes[1].clock_offset_ns != 0  # the second venue's clock is off: raw stamps would mislead


def test_books_are_crossed_only_where_planted(world: World) -> None:
    """CROSSED marks lie inside `crossed` plants of that leg, and each such plant has some."""
    for leg, tape in enumerate(world.tapes):
        at = tape.events["exchange_ns"][(tape.events["flag_bits"] & CROSSED) != 0] + tape.clock_offset_ns
        plants = [p for p in world.of_kind("crossed") if p.leg == leg]
        hits = [(at >= p.start_ns) & (at < p.end_ns) for p in plants]
        assert all(h.any() for h in hits)
        assert len(at) == sum(int(h.sum()) for h in hits)


def test_trades_are_at_the_touch(world: World) -> None:
    """A trade's price is the best of the side it takes, just before it, and its size is shown there."""
    tape = world.tapes[0]
    trades = tape.events[tape.events["kind"] == TRADE][50:450]
    books = ladders_at(tape, trades["exchange_ns"] - 1 + tape.clock_offset_ns, levels=1)
    for side, k in ((1, 1), (-1, 0)):
        mine = trades["side"] == side
        assert mine.any()
        assert np.array_equal(books[mine, k, 0, 0], trades["price"][mine])
        assert np.all(books[mine, k, 0, 1] >= trades["qty"][mine])


def test_real_gaps_are_executable(world: World) -> None:
    """During all of its life a real gap is a bid above the other venue's ask, at both venues' own time, by
    more than two taker fees; the depth is as told; right before and after it is not there.
    """
    assert len(world.of_kind("real")) == 32
    for p in world.of_kind("real"):
        cheap, dear = world.tapes[p.leg_cheap], world.tapes[p.leg_dear]
        found = gap_bp(cheap, dear, inside(p))
        assert found.min() > 2.0
        assert abs(np.median(found) + 1.2 - p.gap_bp) < 1.5  # two half spreads of about 0.6 bp
        k = 1 if p.leg == p.leg_cheap else 0
        shown = ladders_at(world.tapes[p.leg], np.array([p.start_ns]))[0, k]
        assert shown[:, 1].sum() == p.depth_lots > 0
        assert gap_bp(cheap, dear, np.array([p.start_ns - 1, p.end_ns + 1])).max() < 2.0


@pytest.mark.parametrize("kind", ["stale", "delayed"])
def test_silent_decoys_exist_in_receive_time_only(world: World, kind: str) -> None:
    """The trader's view shows the gap; the venues' own books at the same times never pay two taker fees."""
    assert len(world.of_kind(kind)) == 8
    for p in world.of_kind(kind):
        cheap, dear = world.tapes[p.leg_cheap], world.tapes[p.leg_dear]
        seen = gap_bp(as_received(cheap), as_received(dear), inside(p))
        assert seen.max() > p.gap_bp / 2
        for a, b in ((cheap, dear), (dear, cheap)):
            assert gap_bp(a, b, inside(p, 60)).max() < 2.0
    if kind == "stale":
        assert min(p.end_ns - p.start_ns for p in world.of_kind(kind)) > world.tapes[0].instrument.stale_ns
    else:
        assert max(p.end_ns - p.start_ns for p in world.of_kind(kind)) < world.tapes[0].instrument.stale_ns


def test_basis_is_a_gap_that_does_not_pay(world: World) -> None:
    """It is there nearly all of its long life, and is never worth two taker fees."""
    (p,) = world.of_kind("basis")
    found = gap_bp(world.tapes[p.leg_cheap], world.tapes[p.leg_dear], inside(p, 500))
    assert (found > 0).mean() > 0.9
    assert (found > 2.0).mean() < 0.01
    assert p.end_ns - p.start_ns > 0.05 * (world.end_ns - world.start_ns)


def test_crossed_decoy_is_one_venue_against_itself(world: World) -> None:
    """The venue's bid stands above its own ask by the gap; its ask and the other venue agree."""
    for p in world.of_kind("crossed"):
        own, other = world.tapes[p.leg], world.tapes[1 - p.leg]
        bid, ask = touches(own, inside(p))
        assert (1e4 * (bid - ask) / ask).min() > 0.9 * p.gap_bp
        assert gap_bp(own, other, inside(p)).max() < 2.0
        assert p.leg_dear == p.leg


def test_outside_of_plants_nothing_pays(world: World) -> None:
    """Between plants no direction is worth two taker fees at the exchanges' own times."""
    edges = [world.start_ns, *(t for p in world.plants for t in (p.start_ns, p.end_ns)), world.end_ns]
    times = np.concatenate(
        [
            np.linspace(1, b - a - 1, 40).astype(np.int64) + a
            for a, b in zip(edges[::2], edges[1::2], strict=True)
        ]
    )
    for a, b in ((0, 1), (1, 0)):
        assert np.nanmax(gap_bp(world.tapes[a], world.tapes[b], times)) < 2.0


def test_bad_worlds_are_refused() -> None:
    """Plants that do not fit, gaps narrower than the book, sizes that cannot be, unknown kinds."""
    with pytest.raises(ConfigError, match="do not fit"):
        two_venues(1, 1.0, real_per_minute=200)
    with pytest.raises(ConfigError, match="gap_bp"):
        two_venues(1, 1.0, gap_bp=(0.1, 5.0))
    with pytest.raises(ConfigError, match="minutes"):
        two_venues(1, float("nan"))
    with pytest.raises(ConfigError, match="n_rows"):
        market_making_world(0)
    with pytest.raises(ConfigError, match="did you mean 'stale'"):
        two_venues(1, 1.0, decoys_per_minute=0).of_kind("stael")


def test_world_without_plants() -> None:
    """No plants asked, none made."""
    empty = two_venues(3, 0.5, real_per_minute=0, decoys_per_minute=0)
    assert empty.plants == () and all(len(t) > 100 for t in empty.tapes)
    assert all(empty.of_kind(k) == () for k in KINDS)


def test_market_making_world() -> None:
    """Exactly the rows asked for, ending a batch, with trades on both sides, and an honest header."""
    w = market_making_world(20_001, 4, wire=Wire(base_ns=1_000, jitter_ns=0))
    ev = w.tapes[0].events
    assert len(ev) == 20_001 and ev["flag_bits"][-1] & LAST
    assert not (ev["flag_bits"] & CROSSED).any()
    trades = ev[ev["kind"] == TRADE]
    assert 0.02 < len(trades) / len(ev) < 0.3
    assert 0.4 < (trades["side"] > 0).mean() < 0.6
    assert not w.tapes[0].header.claim


def test_hftbacktest_form() -> None:
    """Same dtype and flags as hftbacktest; prices, quantities and times as in the tape; CLEAR is a row of
    its own.
    """
    w = market_making_world(5_000, 4)
    ev = w.tapes[0].events
    got = to_hftbacktest(ev, 0.1, 0.001, clock_offset_ns=5)
    assert len(got) == len(ev) + 1
    clear, rest = got[0], got[1:]
    assert clear["ev"] & 0xFF == 3
    assert np.array_equal(rest["local_ts"], ev["receive_ns"]) and np.array_equal(
        rest["exch_ts"], ev["exchange_ns"] + 5
    )
    assert np.array_equal(rest["px"], ev["price"] * 0.1) and np.array_equal(rest["qty"], ev["qty"] * 0.001)
    assert np.array_equal(rest["ev"] & 0xFF == 2, ev["kind"] == TRADE)
    assert np.all(rest["ev"] >> np.uint64(30) == 3)
    assert np.array_equal((rest["ev"] & (1 << 29)) != 0, ev["side"] > 0)
    backwards = ev.copy()
    backwards["exchange_ns"][100] -= 10**12
    with pytest.raises(ConfigError, match="row 100: expected exchange_ns"):
        to_hftbacktest(backwards, 0.1, 0.001)
    strange = ev.copy()
    strange["kind"][3] = 4
    with pytest.raises(ConfigError, match="row 3: expected BOOK or TRADE"):
        to_hftbacktest(strange, 0.1, 0.001)


def test_hftbacktest_dtype_is_theirs() -> None:
    """Field for field the dtype and flags of the installed hftbacktest (extra `bench`)."""
    types = pytest.importorskip("hftbacktest.types")
    got = to_hftbacktest(market_making_world(100).tapes[0].events, 0.1, 0.001)
    assert got.dtype == types.event_dtype
    assert types.EXCH_EVENT | types.LOCAL_EVENT == 3 << 30
    assert (types.DEPTH_EVENT, types.TRADE_EVENT, types.DEPTH_CLEAR_EVENT, types.DEPTH_SNAPSHOT_EVENT) == (
        1,
        2,
        3,
        4,
    )
    assert (types.BUY_EVENT, types.SELL_EVENT) == (1 << 29, 1 << 28)
