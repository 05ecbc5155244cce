"""Clocks from one-way stamps, legs side by side by age, and the quality report."""

from __future__ import annotations

import math

import numpy as np
import pytest

from oneprice.core import records as R
from oneprice.core.errors import ConfigError
from oneprice.core.instruments import Fees, Instrument
from oneprice.market.align import Aligned, as_of, cross_episodes, crossing, touches
from oneprice.market.clock import correct_clocks, estimate_clock, estimate_clocks
from oneprice.market.header import Header
from oneprice.market.quality import mark_crossed, quality
from oneprice.market.tape import Tape, make_tape, with_clock

FEES = Fees(maker_bp=0, taker_bp=0)
HEADER = Header("made up", "none", "none", "both", "none", "none", 0, False, "made up")
MS = 1_000_000


def tape_of(ev: np.ndarray, symbol: str = "a:X", tick: str = "0.01", book_log2: int = 0) -> Tape:
    one = Instrument(
        symbol=symbol,
        underlying="X",
        quote="USD",
        tick=tick,
        lot="1",
        fees=FEES,
        book_log2=book_log2,
        stale_ns=100,
    )
    return make_tape(one, ev, header=HEADER)


def tops(rows: list[tuple[int, int, int]]) -> np.ndarray:
    """TOP rows of (time, bid, ask); 0 is a missing side."""
    ev = np.zeros(len(rows), R.EVENT)
    t, bid, ask = (np.array(c, np.int64) for c in zip(*rows, strict=True))
    ev["receive_ns"] = ev["exchange_ns"] = t
    ev["kind"], ev["flag_bits"] = R.TOP, R.LAST
    ev["bid"], ev["ask"] = np.where(bid, bid, R.NO_PRICE), np.where(ask, ask, R.NO_PRICE)
    ev["bid_qty"] = ev["ask_qty"] = 1
    return ev


def delayed(
    seed: int, n: int = 4000, offset_ns: int = -1_270 * MS, floor_ns: int = MS, drift: float = 0.0
) -> np.ndarray:
    """Rows of a venue whose clock is `-offset_ns` ahead, with random delays above a floor."""
    rng = np.random.default_rng(seed)
    ev = tops([(i, 10, 11) for i in range(n)])
    truth = np.arange(n) * 20 * MS + 1
    delay = floor_ns + rng.exponential(3 * MS, n).astype(np.int64)
    receive = np.maximum.accumulate(truth + delay)
    ev["exchange_ns"] = truth - offset_ns - (truth * drift).astype(np.int64)
    ev["receive_ns"] = receive
    return ev


def test_the_offset_is_found_up_to_the_least_delay() -> None:
    """The planted offset lies within the bound, and no corrected delay is below the floor."""
    for seed in range(5):
        tape = tape_of(delayed(seed))
        clock = estimate_clock(tape, floor_ns=MS, doubt_ns=0)
        assert abs(clock.offset_ns + 1_270 * MS) <= clock.bound_ns < 2 * MS
        delay = tape.events["receive_ns"] - tape.events["exchange_ns"] - clock.offset_ns
        assert delay.min() == MS
        assert clock.delay_p50_ns == pytest.approx(MS + 3 * MS * math.log(2), rel=0.1)
        assert clock.n == 4000


def test_what_stamps_cannot_tell_is_the_callers_doubt() -> None:
    """A feed that is 4 ms slower throughout looks like a clock 4 ms behind: only doubt_ns covers it."""
    near, far = tape_of(delayed(1)), tape_of(delayed(1, floor_ns=5 * MS))
    same = estimate_clock(far, doubt_ns=0)
    assert same.offset_ns - estimate_clock(near, doubt_ns=0).offset_ns == 4 * MS
    assert abs(same.offset_ns + 1_270 * MS) > same.bound_ns
    wide = estimate_clock(far, doubt_ns=5 * MS)
    assert abs(wide.offset_ns + 1_270 * MS) <= wide.bound_ns


def test_drift_shows_in_the_slope_and_widens_the_bound() -> None:
    """A clock that loses 50 ppm moves the windows' minima: the slope says so, the bound covers it."""
    tape = tape_of(delayed(3, drift=50e-6))
    clock = estimate_clock(tape, doubt_ns=0)
    assert clock.drift_ppb == pytest.approx(50_000, rel=0.05)
    assert clock.bound_ns > 70 * 50e-6 * 1e9
    assert math.isnan(estimate_clock(tape_of(delayed(3, n=10))).drift_ppb)


def test_legs_of_one_venue_share_its_clock() -> None:
    """The least over a venue's legs is the venue's; another venue has its own."""
    legs = [
        tape_of(delayed(1), "a:X"),
        tape_of(delayed(2, floor_ns=3 * MS), "a:Y"),
        tape_of(delayed(3, offset_ns=5 * MS), "b:X"),
    ]
    clocks = estimate_clocks(legs)
    assert clocks["a:X"].offset_ns == clocks["a:Y"].offset_ns != clocks["b:X"].offset_ns
    for tape in correct_clocks(legs):
        assert (tape.events["receive_ns"] - tape.events["exchange_ns"] - tape.clock_offset_ns).min() >= MS
    with pytest.raises(ConfigError, match="0 or more"):
        estimate_clocks(legs, floor_ns=-1)


def plain_as_of(
    feeds: list[list[tuple[int, int, int]]], max_age: int | None, sane: list[bool]
) -> tuple[list[tuple], int]:
    """Row by row with dictionaries: the definition in words."""
    stamps = sorted({t for f in feeds for t, _, _ in f})
    out, union = [], 0
    for t in stamps:
        last = [[r for r in f if r[0] <= t][-1:] for f in feeds]
        if not all(last):
            continue
        union += 1
        rows = [r[0] for r in last]
        if max_age is not None and any(t - r[0] >= max_age for r in rows):
            continue
        if any(s and not (r[1] and r[2] and r[1] < r[2]) for s, r in zip(sane, rows, strict=True)):
            continue
        out.append((t, tuple(r[1:] for r in rows), tuple(t - r[0] for r in rows)))
    return out, union


def test_alignment_is_that_of_the_plain_reference() -> None:
    """Random feeds with ties, missing sides and crossed books: same rows as the slow definition."""
    rng = np.random.default_rng(0)
    for _ in range(40):
        feeds = []
        for _ in range(int(rng.integers(2, 4))):
            n = int(rng.integers(1, 30))
            t = np.sort(rng.integers(1, 60, n))
            prices = rng.integers(9, 13, (n, 2)) * (rng.random((n, 2)) > 0.1)
            feeds.append([(int(a), int(b), int(c)) for a, (b, c) in zip(t, prices, strict=True)])
        max_age = None if rng.random() < 0.3 else int(rng.integers(1, 20))
        sane = [bool(x) for x in rng.random(len(feeds)) < 0.5]
        tapes = [tape_of(tops(f), f"v{i}:X") for i, f in enumerate(feeds)]
        got = as_of(tapes, max_age_ns=max_age, sane=sane)
        want, union = plain_as_of(feeds, max_age, sane)
        blank = {int(R.NO_PRICE): 0}
        rows = [
            (
                int(got.time_ns[i]),
                tuple(
                    (blank.get(int(b), int(b)), blank.get(int(a), int(a)))
                    for b, a in zip(got.bid_ticks[i], got.ask_ticks[i], strict=True)
                ),
                tuple(int(x) for x in got.age_ns[i]),
            )
            for i in range(len(got))
        ]
        assert rows == want and got.n_union == union


def two(a: list, b: list, **more: object) -> Aligned:
    return as_of([tape_of(tops(a), "a:X"), tape_of(tops(b), "b:X")], max_age_ns=None, **more)  # type: ignore[arg-type]


def test_episodes_are_runs_of_neighbouring_stamps() -> None:
    """An episode ends at the first stamp that does not cross or that is not kept."""
    a = two(
        [(1, 10, 12), (3, 15, 16), (4, 17, 18), (6, 10, 12), (9, 15, 16)],
        [(2, 12, 13), (5, 12, 13), (7, 12, 12)],
    )
    assert crossing(a, 0, 1).tolist() == [
        False,
        True,
        True,
        True,
        False,
    ]  # stamps 2 3 4 5 6; the rest are not sane
    found = cross_episodes(a, 0, 1)
    assert (found.start_ns.tolist(), found.end_ns.tolist()) == ([3], [6])
    assert found.peak.tolist() == pytest.approx([0.04]) and found.depth.tolist() == pytest.approx(
        [0.02, 0.04, 0.04]
    )
    loose = two([(1, 10, 12), (3, 15, 16), (9, 15, 16)], [(2, 12, 13), (7, 12, 12)], sane=False)
    assert len(cross_episodes(loose, 0, 1)) == 1 and len(cross_episodes(loose, 1, 0)) == 0
    assert len(cross_episodes(two([(1, 1, 2)], [(1, 1, 2)]), 0, 1)) == 0


def test_legs_of_different_ticks_compare_exactly() -> None:
    """0.3 against 0.30 in ticks of 0.1 and 0.01 is a lock, not a cross."""
    a = as_of(
        [tape_of(tops([(1, 3, 4)]), "a:X", tick="0.1"), tape_of(tops([(1, 29, 30)]), "b:X")],
        max_age_ns=5,
    )
    assert not crossing(a, 0, 1).any()
    b = as_of(
        [tape_of(tops([(1, 3, 4)]), "a:X", tick="0.1"), tape_of(tops([(1, 28, 29)]), "b:X")],
        max_age_ns=5,
    )
    assert crossing(b, 0, 1).all() and b.mid(0).tolist() == pytest.approx([0.35])


def test_the_two_clocks_tell_different_stories() -> None:
    """By receipt two quotes never met; corrected for the clocks they stood together."""
    a, b = tops([(100, 10, 11)]), tops([(50, 20, 21), (150, 1, 2)])
    b["exchange_ns"] = [40, 90]
    tapes = [tape_of(a, "a:X"), with_clock(tape_of(b, "b:X"), offset_ns=5, bound_ns=3)]
    assert cross_episodes(as_of(tapes, max_age_ns=1000), 1, 0).start_ns.tolist() == [100]
    true = as_of(tapes, max_age_ns=1000, clock="exchange")
    assert true.time_ns.tolist() == [100] and len(cross_episodes(true, 1, 0)) == 0
    assert true.clock_bound_ns == (0, 3) and true.age_ns.tolist() == [[0, 5]]
    with pytest.raises(ConfigError, match="'receive' or 'exchange'"):
        as_of(tapes, max_age_ns=1, clock="wall")


def test_alignment_refuses_nonsense() -> None:
    """One leg, a bound of nothing, or flags for other legs."""
    one = tape_of(tops([(1, 1, 2)]))
    for tapes, options, text in (
        ([one], {"max_age_ns": 1}, "two tapes"),
        ([one, one], {"max_age_ns": 0}, "1 or more"),
        ([one, one], {"max_age_ns": 1, "sane": [True]}, "one flag or 2"),
    ):
        with pytest.raises(ConfigError, match=text):
            as_of(tapes, **options)  # type: ignore[arg-type]


def book_events() -> np.ndarray:
    """A snapshot, a diff that crosses the book, one that mends it; then a TOP alone."""
    rows = [
        (1, 1, 100, 5, R.CLEAR | R.SNAPSHOT),
        (1, -1, 103, 5, R.SNAPSHOT | R.LAST),
        (11, 1, 104, 1, R.LAST),
        (21, 1, 104, 0, R.LAST | R.GAP),
        (41, 1, 103, 9, 0),
        (41, -1, 103, 0, 0),
        (41, -1, 105, 2, R.LAST),
    ]
    ev = np.zeros(len(rows), R.EVENT)
    for e, (t, side, price, qty, flags) in zip(ev, rows, strict=True):
        e["receive_ns"] = e["exchange_ns"] = e["seq"] = t
        e["kind"], e["side"], e["price"], e["qty"], e["flag_bits"] = R.BOOK, side, price, qty, flags
    return ev


def test_marks_and_report_of_a_book() -> None:
    """CROSSED is judged at the end of a batch only, on the book of diffs; the report counts it."""
    ev = book_events()
    assert mark_crossed(ev, 8) == 1
    assert np.flatnonzero(ev["flag_bits"] & R.CROSSED).tolist() == [2]
    tape = tape_of(ev, book_log2=8)
    t = touches(tape)
    assert t.time_ns.tolist() == [1, 11, 21, 41]
    assert t.bid_ticks.tolist() == [100, 104, 100, 103] and t.ask_ticks.tolist() == [103, 103, 103, 105]
    q = quality(tape)
    assert (q.crossed, q.locked, q.marks["gap"], q.kinds["book"]) == (1, 0, 1, 7)
    assert q.crossed_time_share == 10 / 40
    assert (q.longest_silence_ns, q.silence_from_ns) == (20, 21)
    assert "own book locked / crossed    0 / 1 batches" in str(q)


def test_the_report_counts_estimates_disorder_and_dead_time() -> None:
    """Shares are of rows; a quote counts as standing for stale_ns at most."""
    ev = tops([(0, 5, 6), (10, 6, 6), (1000, 5, 6), (1010, 5, 0)])
    ev["flag_bits"][1] |= R.ESTIMATED
    ev["flag_bits"][2] |= R.BACKWARD
    q = quality(tape_of(ev))
    assert (q.estimated_share, q.out_of_order_share, q.locked, q.crossed) == (0.25, 0.25, 1, 0)
    assert q.crossed_time_share == 100 / 120 and q.longest_silence_ns == 990
    assert q.to_dict()["rows"] == 4
