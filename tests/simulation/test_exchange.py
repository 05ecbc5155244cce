"""The rules of the simulated venue, one by one; docs/assumptions links here by name."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from oneprice.core.errors import ConfigError
from oneprice.core.records import (
    ACK,
    AMEND,
    CANCEL,
    CANCEL_REJECT,
    CANCELED,
    CLEAR,
    CLOSED_SESSION,
    EXPIRY,
    FILL,
    FINAL,
    IOC,
    OPEN,
    PAUSED,
    POST_ONLY,
    REJECT,
)
from oneprice.execution.exchange import FillModel, build_exchange, ex_ledger, ex_query
from oneprice.execution.latency import Latency
from oneprice.execution.venue_state import (
    MAKER,
    N_COMMANDS,
    N_RESTING,
    X_BUSY,
    X_CLOSED,
    X_DUPLICATE,
    X_EXPIRED,
    X_FILLED,
    X_IOC,
    X_NOTIONAL,
    X_POOL,
    X_POST_ONLY,
    X_SIZE,
    X_UNKNOWN,
)

sys.path.insert(0, str(Path(__file__).parent))
from venue_kit import START, bar, book, command, filled, leg_row, row, status, told, top, trade, venue

DEPTH = [
    book(0, 1, 99, 10),
    book(0, 1, 98, 20),
    book(0, -1, 101, 5),
    book(0, -1, 102, 7),
    book(0, -1, 110, 50),
]


def test_taker_consumes_displayed_depth() -> None:
    """A taker walks the shown depth at its arrival; the same lots cannot be taken twice."""
    v = venue([DEPTH])
    first = v.run([command(10, 1, 1, 102, 9, IOC)], 1000)
    assert told(first) == [(ACK, 1, 102, 9), (FILL, 1, 101, 5), (FILL, 1, 102, 4)]
    assert first["flag_bits"][2] & FINAL and not first["flag_bits"][1] & FINAL
    second = v.run([command(2000, 2, 1, 102, 9, IOC)], 3000)
    assert told(second) == [(ACK, 2, 102, 9), (FILL, 2, 102, 3), (CANCELED, 2, 102, 6)]
    assert second["reason"][2] == X_IOC


def test_depletion_can_be_switched_off() -> None:
    """With deplete=False the shown depth is there again at once (the optimistic bound)."""
    v = venue([DEPTH], fills=FillModel(deplete=False))
    assert filled(v.run([command(10, 1, 1, 102, 9, IOC), command(20, 2, 1, 102, 9, IOC)], 1000)) == 18


def test_depletion_refills() -> None:
    """Half of what was taken is back after one half-life; all is forgotten when the market empties the
    level."""
    v = venue(
        [[*DEPTH, book(9_000_000, -1, 101, 0), book(9_000_001, -1, 101, 5)]],
        fills=FillModel(refill_half_life_ms=1),
    )
    assert filled(v.run([command(10, 1, 1, 101, 4, IOC)], 1000)) == 4
    assert filled(v.run([command(1_000_010, 2, 1, 101, 9, IOC)], 1_001_000)) == 3  # 5 - 4/2
    assert filled(v.run([command(1_000_020, 3, 1, 101, 9, IOC)], 1_002_000)) == 0
    assert filled(v.run([command(9_000_100, 4, 1, 101, 9, IOC)], 9_001_000)) == 5


def test_depletion_outlives_fresh_data_for_the_level() -> None:
    """New shown quantities at a level do not give back what we took; a snapshot does not either."""
    fresh = [book(1000, -1, 101, 6), book(1001, 1, 99, 1, flag_bits=CLEAR), book(1001, -1, 101, 6)]
    fresh[1]["flag_bits"] = CLEAR  # first row of the snapshot: the batch goes on
    v = venue([[*DEPTH, *fresh]])
    assert filled(v.run([command(10, 1, 1, 101, 5, IOC)], 900)) == 5
    assert filled(v.run([command(2000, 2, 1, 101, 5, IOC)], 5000)) == 1


def test_latency_both_ways() -> None:
    """A command acts at send + entry on the book of that moment; its answer comes response later,
    venue-stamped."""
    v = venue([[*DEPTH, book(105, -1, 101, 0)]], legs=leg_row(clock_offset_ns=0))
    out = v.run([command(10, 1, 1, 102, 1, IOC)], 1000)
    assert told(out)[1] == (FILL, 1, 102, 1)  # 101 left at 105, we arrived at 110
    assert (
        out["receive_ns"].tolist() == [START + 310] * 2 and out["exchange_ns"].tolist() == [START + 110] * 2
    )


def test_clock_offset_moves_exchange_time() -> None:
    """Rows act at exchange_ns + offset; the venue's stamp of an answer is in the venue's own clock."""
    v = venue([[*DEPTH, book(105, -1, 101, 0)]], legs=leg_row(clock_offset_ns=50))
    out = v.run([command(20, 1, 1, 101, 1, IOC)], 1000)
    assert told(out)[1][0] == FILL and out["exchange_ns"][1] == START + 120 - 50


def test_venue_rows_go_before_commands_at_the_same_ns() -> None:
    """At equal time the venue's own row comes first: we are never ahead of it."""
    v = venue([[*DEPTH, book(110, -1, 101, 0)]])
    assert told(v.run([command(10, 1, 1, 101, 1, IOC)], 1000))[1][0] == CANCELED


def test_commands_do_not_overtake() -> None:
    """A faster cancel path still arrives after the new order it cancels."""
    v = venue([DEPTH], latency=Latency(1000, 200, cancel_entry_ns=10, cancel_response_ns=20))
    out = v.run([command(0, 1, 1, 99, 5), command(1, 1, code=CANCEL)], 10_000)
    assert [k for k, *_ in told(out)] == [ACK, CANCELED] and out["receive_ns"][1] >= out["receive_ns"][0]


def test_measured_latency_is_interpolated() -> None:
    """Between two measurements the latency is on the line; outside them it is flat."""
    table = ((START, 100, 200), (START + 1000, 300, 600))
    v = venue([DEPTH], latency=Latency(0, 0, table=table))
    out = v.run([command(500, 1, 1, 99, 5)], 5000)
    assert out["exchange_ns"][0] == START + 700 and out["receive_ns"][0] == START + 700 + 480


def test_queue_advances_by_trades_only() -> None:
    """A cancel ahead of us does not move us; trades do, and what exceeds the queue fills us."""
    tape = [
        *DEPTH,
        book(1000, 1, 99, 8),
        trade(2000, -1, 99, 8),
        trade(3000, -1, 99, 3),
        trade(4000, -1, 99, 2),
    ]
    v = venue([tape], fills=FillModel(bound_by_displayed=False))
    out = v.run([command(0, 1, 1, 99, 4)], 10_000)
    assert told(out) == [(ACK, 1, 99, 4), (FILL, 1, 99, 1), (FILL, 1, 99, 2)]  # 10 ahead: 8 + 3 - 10, then 2
    assert all(out["flag_bits"][1:] & MAKER)


def test_queue_is_bounded_by_what_is_displayed() -> None:
    """Lots no longer shown cannot be ahead of us."""
    v = venue([[*DEPTH, book(1000, 1, 99, 3), trade(2000, -1, 99, 5)]])
    assert told(v.run([command(0, 1, 1, 99, 4)], 10_000))[1:] == [(FILL, 1, 99, 2)]


def test_trade_through_fills_at_our_price() -> None:
    """A trade beyond our price fills us at our price, at most its own lots."""
    v = venue([[*DEPTH, trade(1000, -1, 98, 3)]])
    out = v.run([command(0, 1, 1, 99, 4)], 10_000)
    assert told(out)[1:] == [(FILL, 1, 99, 3)]


def test_trades_of_the_other_side_do_not_fill() -> None:
    """A buyer lifting the ask never fills our bid."""
    v = venue([[*DEPTH, trade(1000, 1, 99, 100)]])
    assert told(v.run([command(0, 1, 1, 99, 4)], 10_000)) == [(ACK, 1, 99, 4)]


def test_one_trade_is_shared_by_our_orders() -> None:
    """The lots of one trade go to the better price first and are never used twice."""
    v = venue([[*DEPTH, trade(1000, -1, 97, 6)]])
    orders = [command(0, 1, 1, 98, 4), command(1, 2, 1, 99, 4)]
    assert told(v.run(orders, 10_000))[2:] == [(FILL, 2, 99, 4), (FILL, 1, 98, 2)]


def test_opposite_touch_fills_at_our_price() -> None:
    """An ask that comes to our bid fills it at our price, up to the lots shown there, as a maker."""
    v = venue([[*DEPTH, book(1000, -1, 100, 3)]])
    out = v.run([command(0, 1, 1, 100, 5)], 10_000)
    assert told(out)[1:] == [(FILL, 1, 100, 3)] and out["flag_bits"][1] & MAKER
    off = venue([[*DEPTH, book(1000, -1, 100, 3)]], fills=FillModel(cross_fills=False))
    assert len(off.run([command(0, 1, 1, 100, 5)], 10_000)) == 1


def test_marketable_limit_takes_then_rests() -> None:
    """A limit that crosses takes what is shown and rests with the remainder."""
    v = venue([DEPTH])
    out = v.run([command(0, 1, 1, 101, 9)], 10_000)
    assert told(out) == [(ACK, 1, 101, 9), (FILL, 1, 101, 5)] and not out["flag_bits"][1] & MAKER
    assert ex_query(v.half)[1].filled == 5 and ex_query(v.half)[1].state == "working"


def test_post_only_reject() -> None:
    """A post-only order that would trade at once is refused, and one that would not rests."""
    v = venue([DEPTH])
    out = v.run([command(0, 1, 1, 101, 1, POST_ONLY), command(1, 2, -1, 100, 1, POST_ONLY)], 10_000)
    assert told(out) == [(REJECT, 1, 101, 1), (ACK, 2, 100, 1)] and out["reason"][0] == X_POST_ONLY


def test_sizes_and_duplicates_are_rejected() -> None:
    """Minimum size, lot step, minimum value and a repeated client id are refused with their reasons."""
    v = venue([DEPTH], legs=leg_row(min_lots=4, lot_step=2, min_notional=1500))
    sent = [(1, 2), (2, 5), (3, 6), (4, 8), (4, 8), (2, 8)]
    out = v.run([command(k, cid, 1, 99, q) for k, (cid, q) in enumerate(sent)], 10_000)
    assert out["reason"].tolist() == [X_SIZE, X_SIZE, X_NOTIONAL, 0, X_DUPLICATE, X_DUPLICATE]


def test_cancel_fill_race_at_venue() -> None:
    """A cancel that arrives after the fill is refused; the fill stands. One that arrives before it wins."""
    tape = [[*DEPTH, trade(1000, -1, 98, 9)]]
    late = venue(tape).run([command(0, 1, 1, 99, 4), command(950, 1, code=CANCEL)], 10_000)
    assert [k for k, *_ in told(late)] == [ACK, FILL, CANCEL_REJECT] and late["reason"][2] == X_FILLED
    early = venue(tape).run([command(0, 1, 1, 99, 4), command(850, 1, code=CANCEL)], 10_000)
    assert [k for k, *_ in told(early)] == [ACK, CANCELED]
    unknown = venue(tape).run([command(0, 77, code=CANCEL)], 10_000)
    assert unknown["kind"][0] == CANCEL_REJECT and unknown["reason"][0] == X_UNKNOWN


def test_partial_fill_then_cancel() -> None:
    """What is cancelled is what was not filled."""
    v = venue([[*DEPTH, trade(1000, -1, 98, 3)]])
    out = v.run([command(0, 1, 1, 99, 10), command(2000, 1, code=CANCEL)], 10_000)
    assert told(out)[1:] == [(FILL, 1, 99, 3), (CANCELED, 1, 99, 7)]


def test_amend_down_keeps_the_queue() -> None:
    """Fewer lots at the same price keep the place; more lots, or another price, join behind."""
    tape = [[*DEPTH, trade(1000, -1, 99, 6), book(1500, 1, 99, 30), trade(3000, -1, 99, 6)]]
    for qty, fills in ((3, 2), (9, 0)):
        v = venue(tape, fills=FillModel(bound_by_displayed=False))
        change = command(2000, 1, 1, 99, qty, code=AMEND)
        out = v.run([command(0, 1, 1, 99, 5), change], 10_000)
        assert told(out)[:2] == [(ACK, 1, 99, 5), (ACK, 1, 99, qty)] and filled(out) == fills


def test_amend_below_filled_cancels() -> None:
    """An amend to no more than what is filled ends the order."""
    v = venue([[*DEPTH, trade(1000, -1, 98, 3)]])
    out = v.run([command(0, 1, 1, 99, 5), command(2000, 1, 1, 99, 3, code=AMEND)], 10_000)
    assert [k for k, *_ in told(out)] == [ACK, FILL, CANCELED]


def test_amend_to_a_crossing_price_takes() -> None:
    """An amend that crosses trades as a taker; a post-only one is refused and stands as it was."""
    out = venue([DEPTH]).run([command(0, 1, 1, 99, 5), command(500, 1, 1, 101, 5, code=AMEND)], 10_000)
    assert told(out)[2] == (FILL, 1, 101, 5)
    kept = venue([DEPTH])
    out = kept.run([command(0, 1, 1, 99, 5, POST_ONLY), command(500, 1, 1, 101, 5, code=AMEND)], 10_000)
    assert out["kind"][1] == CANCEL_REJECT and ex_query(kept.half)[1].price == 99


def test_top_only_leg_waits_to_see_its_level() -> None:
    """Without depth a price behind the touch has an unknown queue: it starts when the touch gets there."""
    tape = [top(0, 99, 10, 101, 5), trade(500, -1, 98, 2), top(600, 98, 4, 101, 5), trade(700, -1, 98, 5)]
    v = venue([tape], book_log2=0)
    out = v.run([command(0, 1, 1, 98, 3)], 10_000)
    assert told(out)[1:] == [(FILL, 1, 98, 1)]


def test_unsized_tape_uses_assumed_depth() -> None:
    """Where the tape has no sizes a taker gets the assumed depth, and no more until the market emptied it."""
    tape = [
        top(0, 99, 0, 101, 0),
        top(1000, 99, 0, 101, 0),
        top(2000, 99, 0, 102, 0),
        top(3000, 99, 0, 101, 0),
    ]
    v = venue([tape], legs=leg_row(assumed_depth_lots=7), book_log2=0)
    assert filled(v.run([command(10, 1, 1, 101, 9, IOC)], 500)) == 7
    assert filled(v.run([command(1010, 2, 1, 101, 9, IOC)], 1500)) == 0
    assert filled(v.run([command(3010, 3, 1, 101, 9, IOC)], 4500)) == 7  # the ask had gone to 102


def test_bar_fill_next_open() -> None:
    """An order sent on bar t fills at the open of t + 1 plus slippage, at most the participation, after t +
    1 ends."""
    tape = [bar(0, 100, 105, 95, 102, 1000), bar(10_000, 10_000, 10_050, 9_990, 10_020, 200)]
    v = venue([tape], fills=FillModel(slippage_bp=5, participation=0.1), book_log2=0)
    out = v.run([command(10, 1, 1, 10_100, 50, IOC)], 50_000)
    assert told(out) == [(ACK, 1, 10_100, 50), (FILL, 1, 10_005, 20), (CANCELED, 1, 10_100, 30)]
    assert out["exchange_ns"][1] == START + 10_000


def test_bar_limit_needs_trade_through() -> None:
    """A limit the bar only touches is not filled; one the bar trades through is, at the limit."""
    tape = [
        bar(0, 100, 105, 95, 102, 1000),
        bar(10_000, 110, 112, 100, 105, 1000),
        bar(20_000, 110, 112, 99, 105, 1000),
    ]
    v = venue([tape], fills=FillModel(slippage_bp=0), book_log2=0)
    out = v.run([command(10, 1, 1, 100, 5)], 50_000)
    assert told(out)[1:] == [(FILL, 1, 100, 5)] and out["exchange_ns"][1] == START + 20_000
    assert out["flag_bits"][1] & MAKER


def test_status_pauses_closes_and_expires() -> None:
    """Paused: orders stay, nothing matches, new ones are refused. Closed or expired: orders are cancelled."""
    tape = [*DEPTH, status(1000, PAUSED), trade(2000, -1, 98, 9), status(3000, OPEN), trade(4000, -1, 98, 2)]
    tape += [status(5000, CLOSED_SESSION)]
    out = venue([tape]).run([command(0, 1, 1, 99, 4), command(1500, 2, 1, 99, 1)], 10_000)
    assert told(out) == [(ACK, 1, 99, 4), (REJECT, 2, 99, 1), (FILL, 1, 99, 2), (CANCELED, 1, 99, 2)]
    assert out["reason"][1] == X_CLOSED and out["reason"][3] == X_CLOSED
    expiring = venue([[*DEPTH, row(EXPIRY, 1000)]])
    out = expiring.run([command(0, 1, 1, 99, 4), command(2000, 2, 1, 99, 1)], 10_000)
    assert [k for k, *_ in told(out)] == [ACK, CANCELED, REJECT] and out["reason"][1] == X_EXPIRED


def test_pool_and_command_queue_are_bounded() -> None:
    """The 65th resting order is refused, and so is a command when 128 are in flight."""
    v = venue([DEPTH])
    out = v.run([command(k * 200, k + 1, 1, 90, 1) for k in range(N_RESTING + 1)], 100_000)
    assert told(out)[-1][0] == REJECT and out["reason"][-1] == X_POOL
    burst = [command(0, k + 1, 1, 90, 1) for k in range(N_COMMANDS + 1)]
    out = venue([DEPTH]).run(burst, 100_000)
    assert sorted(set(out["reason"].tolist())) == [0, X_POOL, X_BUSY] and len(out) == N_COMMANDS + 1


def test_fees_and_truth_at_the_venue() -> None:
    """Fills carry the exact fee; the venue's ledger and order records agree with them."""
    v = venue([[*DEPTH, trade(1000, -1, 98, 3)]])
    out = v.run([command(0, 1, 1, 99, 4), command(10, 2, 1, 101, 2, IOC)], 10_000)
    fills = out[out["kind"] == FILL]
    assert fills["fee"].tolist() == [round(2 * 2 * 101 * 0.001), round(3 * 2 * 99 * 0.0002)]
    book_ = ex_ledger(v.half)[0]
    assert (book_.net_lots, book_.fees, book_.n_executions) == (5, int(fills["fee"].sum()), 2)
    known = ex_query(v.half, [1, 2, 3])
    assert set(known) == {1, 2} and known[1].state == "working" and known[2].state == "filled"
    assert known[1].executions[0]["exec_id"] == fills["seq"][1] and known[1].filled == 3
    assert len(np.unique(fills["seq"])) == 2


def test_exchange_configuration_is_checked() -> None:
    """Counts that do not match, unknown queue models and impossible shares are refused."""
    with pytest.raises(ConfigError, match="2 legs"):
        build_exchange(np.concatenate([leg_row(), leg_row()]), [Latency(0, 0)])
    with pytest.raises(ConfigError, match="risk_averse"):
        FillModel(queue="risk_avers")
    with pytest.raises(ConfigError, match="participation"):
        FillModel(participation=1.5)
