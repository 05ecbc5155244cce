"""The audit on hand-made quotes (each class by construction) and on worlds whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from oneprice.core.errors import ConfigError
from oneprice.core.instruments import Fees, Instrument
from oneprice.core.records import BAR, EVENT, LAST, NO_PRICE, TOP
from oneprice.market.header import Header
from oneprice.market.synthetic import two_venues
from oneprice.market.tape import Tape, make_tape
from oneprice.study.audit import audit
from oneprice.study.truth import confusion

MS = 1_000_000
T0 = 1_700_000_000_000_000_000
HEADER = Header(
    source="made by hand",
    licence="none",
    period="none",
    side="both",
    simultaneity="stated",
    survivorship="none",
    tries=1,
    claim=False,
    claim_why="made by hand",
)
FEES = Fees(maker_bp=0, taker_bp=1)


def top_tape(name: str, rows: list[tuple], *, fees: Fees | None = FEES, underlying: str = "X") -> Tape:
    """A tape of TOP rows (receive ms, bid, ask[, exchange ms]), ten lots a side; None is a missing side."""
    ev = np.zeros(len(rows), EVENT)
    for e, row in zip(ev, rows, strict=True):
        at, bid, ask = row[:3]
        e["receive_ns"] = T0 + round(at * MS)
        e["exchange_ns"] = T0 + round((row[3] if len(row) > 3 else at) * MS)
        e["bid"], e["ask"] = (NO_PRICE if p is None else p for p in (bid, ask))
        e["bid_qty"] = e["ask_qty"] = 10
        e["kind"], e["flag_bits"] = TOP, LAST
    one = Instrument(symbol=f"{name}:X", underlying=underlying, quote="USD", tick="1", lot="0.1", fees=fees)
    return make_tape(one, ev, header=HEADER)


def steady(
    name: str, bid: int, ask: int, *, every: int = 10, until: int = 60_000, changes: dict | None = None
) -> Tape:
    """A quote sent again every few ms, with other quotes at stated times: {ms: (bid, ask)} from there on."""
    rows, now = [], (bid, ask)
    for at in range(0, until, every):
        now = (changes or {}).get(at, now)
        rows.append((at, *now))
    return top_tape(name, rows)


def labels(a: Tape, b: Tape, **bounds: float) -> dict[str, int]:
    found = audit([a, b], **bounds)
    return {r.label: r.count for r in found.rows}


def test_clean_gap_measured_by_hand() -> None:
    """A gap of 120 ms on fresh, sane, simultaneous quotes: its life, size, depth, net edges and latencies."""
    a = steady("a", 9_999, 10_001, changes={30_000: (9_979, 9_981), 30_120: (9_999, 10_001)})
    b = steady("b", 9_999, 10_001)
    found = audit([a, b], latency_ms=[0, 100, 130])
    (row,) = found.rows
    assert (row.buy, row.sell, row.label, row.count) == ("a:X", "b:X", "clean", 1)
    assert row.life_ms == pytest.approx(120.0)
    gap_bp = 1e4 * (9_999 - 9_981) / 9_990
    assert row.gross_bp == pytest.approx(gap_bp)
    assert row.qty == pytest.approx(1.0)
    # two crossings of 1 bp; four crossings and both half spreads (1 tick of 10,000 each) on the way out
    assert row.net_bp["inventory"] == pytest.approx(gap_bp - 2.0)
    assert row.net_bp["converge"] == pytest.approx(gap_bp - 4.0 - 2.0, abs=1e-3)
    assert list(row.alive.values()) == [1.0, 1.0, 0.0]
    assert row.break_even_fee_bp == pytest.approx(gap_bp / 2)
    assert "1 clean gaps; after stated costs" in found.verdict


def test_decoys_by_construction() -> None:
    """Crossed in itself, silent for long, and gone at the exchange when it is seen: none of them is clean."""
    still = steady("b", 9_999, 10_001)
    crossed = steady("a", 9_999, 10_001, changes={30_000: (10_030, 10_001), 30_100: (9_999, 10_001)})
    assert labels(crossed, still) == {"self_crossed_venue": 1}
    silent = top_tape("a", [(t, 9_999, 10_001) for t in range(0, 30_000, 10)] + [(33_000, 10_029, 10_031)])
    moved = steady("b", 9_999, 10_001, changes={30_000: (10_029, 10_031)})
    assert labels(silent, moved, max_age_ms=500) == {"stale": 1}
    # both exchanges move at 30,000; the news of `a` arrives 100 ms late
    rows = [(t, 9_999, 10_001, t - 1) for t in range(0, 30_000, 10)]
    late = [(30_100, 10_029, 10_031, t - 1) for t in range(30_000, 30_100, 10)]
    rest = [(t, 10_029, 10_031, t - 1) for t in range(30_110, 60_000, 10)]
    assert labels(top_tape("a", rows + late + rest), moved) == {"non_simultaneous": 1}


def test_what_is_there_most_of_the_time_is_basis() -> None:
    """A standing offset is basis; a jump beyond it, out of its own variation, is not."""
    a = steady("a", 9_999, 10_001)
    assert labels(a, steady("b", 10_019, 10_021)) == {"basis": 1}
    spell = steady("b", 9_999, 10_001, changes={20_000: (10_019, 10_021), 45_000: (9_999, 10_001)})
    assert labels(a, spell) == {"basis": 1}


def test_one_sided_feeds_are_never_clean() -> None:
    """Bars of asks held against another feed: the constant part is side bias, the rest has no one instant."""
    rng = np.random.default_rng(0)
    price = 10_000 + np.cumsum(rng.integers(-3, 4, 2_000))
    tapes = []
    for name, off in (("asks", 2), ("mids", 0)):
        ev = np.zeros(2_000, EVENT)
        ev["receive_ns"] = ev["exchange_ns"] = T0 + np.arange(2_000) * 60_000 * MS
        ev["close"], ev["kind"], ev["flag_bits"] = (
            price + off + (rng.integers(0, 6, 2_000) == 0) * -4 * (off > 0),
            BAR,
            LAST,
        )
        one = Instrument(symbol=f"{name}:X", underlying="X", quote="USD", tick="1", lot="1")
        header = Header(
            **{f: getattr(HEADER, f) for f in HEADER.__struct_fields__} | {"side": "ask" if off else "mid"}
        )
        tapes.append(make_tape(one, ev, header=header))
    found = audit(tapes, fees_bp=0, max_age_ms=90_000, slow_window_s=7_200)
    assert found.count("side_bias") > 0 and found.count("non_simultaneous") > 0
    assert {r.label for r in found.rows} == {"side_bias", "non_simultaneous"}
    assert found.verdict.startswith("not an arbitrage")
    assert found.directions[1].gap_share == pytest.approx(5 / 6, abs=0.03)


def test_missing_sides_make_no_gap() -> None:
    """An empty side is no price: no episode starts, and an open one ends."""
    a = top_tape("a", [(0, 9_999, 10_001), (10, None, None), (20, 9_999, 10_001)])
    b = top_tape("b", [(0, 9_999, 10_001), (5, 10_050, 10_060), (15, 10_050, 10_060), (30, 9_999, 10_001)])
    found = audit([a, b])
    assert len(found.episodes) == 2
    assert (found.episodes["end_ns"] - T0).tolist() == [10 * MS, 30 * MS]


def test_planted_truth_is_recovered() -> None:
    """Over a seeded world every real gap is called clean, no stale, crossed or basis decoy is."""
    world = two_venues(7, 5.0)
    found = audit(list(world.tapes))
    table = confusion(world, found)
    assert table["real"] == {"clean": len(world.of_kind("real"))}
    assert table["crossed"] == {"self_crossed_venue": len(world.of_kind("crossed"))}
    assert table["stale"].get("clean", 0) == 0
    assert table["basis"] == {"basis": 1}
    delayed = table["delayed"]
    assert delayed.get("non_simultaneous", 0) > delayed.get("clean", 0)
    paying = sum(r.paying["converge"] for r in found.rows if r.label == "basis")
    assert paying == 0


def test_result_prints_and_exports() -> None:
    """The same rows as text, frame and plain values; later gaps are there for each latency."""
    a = steady("a", 9_999, 10_001, changes={30_000: (9_979, 9_981), 30_120: (9_999, 10_001)})
    found = audit([a, steady("b", 9_999, 10_001)], latency_ms=[0, 10])
    text = str(found)
    assert "clean" in text and "verdict: 1 clean gaps" in text and "left/pays 10 ms" in text
    frame = found.to_frame()
    assert frame.height == 1 and frame["label"].to_list() == ["clean"]
    assert "gap_after_10ms_bp" in frame.columns
    plain = found.to_dict()
    assert plain["rows"][0]["label"] == "clean" and plain["settings"]["latency_ms"] == (0.0, 10.0)


def test_bad_requests_are_refused() -> None:
    """No shared underlying, fees nowhere stated, a misspelt or impossible bound: each says what to do."""
    a = steady("a", 9_999, 10_001, until=100)
    other = top_tape("b", [(0, 9_999, 10_001)], underlying="Y")
    with pytest.raises(ConfigError, match="one underlying"):
        audit([a, other])
    free = top_tape("b", [(0, 9_999, 10_001)], fees=None)
    with pytest.raises(ConfigError, match="states no fees"):
        audit([a, free])
    with pytest.raises(ConfigError, match="no fee for a:X"):
        audit([a, free], fees_bp={"b:X": 1.0})
    with pytest.raises(ConfigError, match="did you mean 'max_age_ms'"):
        audit([a, free], fees_bp=0, max_age=5)
    with pytest.raises(ConfigError, match="max_age_ms"):
        audit([a, free], fees_bp=0, max_age_ms=0)
    with pytest.raises(ConfigError, match="latency_ms"):
        audit([a, free], fees_bp=0, latency_ms=[-1])
