"""The order state machine, one rule a test. The venue is the test itself (execution_harness)."""

from __future__ import annotations

import numpy as np
import pytest

from execution_harness import MS, World
from oneprice.core import records as R
from oneprice.execution import blotter as B
from oneprice.execution.intents import cancel, cancel_all, quote, target, timer


@pytest.fixture
def w() -> World:
    return World()


def resting(w: World, key: int = 7, qty: float = 0.01) -> np.void:
    """An acknowledged post-only bid at 99.98."""
    quote(w.orders, key, 0, 1, 99.98, qty)
    w.ask()
    (c,) = w.take()
    w.ack(c)
    return c


def state(w: World, c: np.void) -> str:
    return B.ORDER_STATES[int(w.b["orders"][int(c["client_id"]) % R.N_ORDERS]["state"])]


def test_client_id_holds_epoch_strategy_and_counter(w: World) -> None:
    """epoch << 43 | strategy << 37 | counter, never reused; the counter's low bits are the order's slot."""
    seen = set()
    for n in range(40):
        c = resting(w)
        cid = int(c["client_id"])
        assert cid >> 43 == 3
        assert (cid >> 37) & 63 == 0
        seen.add(cid)
        quote(w.orders, 7, 0, 1, 99.98, 0.0)
        w.ask()
        w.canceled(w.take()[0])
        assert len(seen) == n + 1
    assert not w.live_orders()


def test_states_from_request_to_fill(w: World) -> None:
    """in_flight, working, partial, filled; open lots follow what is left."""
    quote(w.orders, 7, 0, 1, 99.98, 0.01)
    w.ask()
    (c,) = w.take()
    assert state(w, c) == "in_flight"
    w.ack(c)
    assert state(w, c) == "working"
    w.fill(c, 4)
    assert state(w, c) == "partial"
    assert int(w.legs[0]["open_buy_lots"]) == 6
    w.fill(c, 6)
    assert state(w, c) == "filled"
    assert int(w.legs[0]["open_buy_lots"]) == 0
    assert w.position(0) == 10


def test_fill_before_ack(w: World) -> None:
    """A fill that overtakes its acknowledgement is booked; the late ACK does not bring the order back."""
    quote(w.orders, 7, 0, 1, 99.98, 0.01)
    w.ask()
    (c,) = w.take()
    w.fill(c, 10)
    w.ack(c)
    assert state(w, c) == "filled"
    assert not w.live_orders()


def test_fill_counts_once_per_execution_id(w: World) -> None:
    """The same (client_id, execution id) twice is one fill; another id is another fill."""
    c = resting(w)
    assert w.fill(c, 2, exec_id=55) >= 0
    assert w.fill(c, 2, exec_id=55) == -1
    w.fill(c, 2, exec_id=56)
    assert w.position(0) == 4
    assert int(w.b["n_duplicates"]) == 1


@pytest.mark.parametrize("after", ["pending_cancel", "canceled"])
def test_fill_while_or_after_cancel_is_booked(w: World, after: str) -> None:
    """The cancel/fill race: the fill counts, whichever of the two messages comes first."""
    c = resting(w)
    cancel(w.orders, 7)
    w.ask()
    assert w.take()[0]["code"] == R.CANCEL
    if after == "canceled":
        w.canceled(c)
    assert state(w, c) == after
    w.fill(c, 3)
    assert w.position(0) == 3
    w.canceled(c)
    assert not w.live_orders()
    assert int(w.legs[0]["open_buy_lots"]) == 0


def test_cancel_reject_leaves_the_order_standing_then_ambiguous(w: World) -> None:
    """A bounced cancel changes nothing; after three nobody knows, and only the venue ends it."""
    c = resting(w)
    cancel(w.orders, 7)
    w.ask()
    for n in range(3):
        w.cancel_reject(c)
        assert state(w, c) == ("working" if n < 2 else "ambiguous")
        w.wait(20_000 * MS)
    sent = [x["code"] for x in w.take()]
    assert sent.count(R.CANCEL) <= 12, "cancels are repeated with a growing wait, not in a storm"
    w.canceled(c)
    assert not w.live_orders()


def test_link_makes_orders_ambiguous_until_the_venue_says(w: World) -> None:
    """LINK with AMBIGUOUS marks the leg's orders only; nothing is assumed; an ACK or FILL decides."""
    c = resting(w)
    quote(w.orders, 8, 1, 1, 99.98, 0.01)
    w.ask()
    (other,) = w.take()
    w.own(R.LINK, leg=0, flag_bits=R.AMBIGUOUS)
    assert (state(w, c), state(w, other)) == ("ambiguous", "in_flight")
    assert int(w.legs[0]["open_buy_lots"]) == 10, "still counted as open"
    w.fill(c, 4)
    assert state(w, c) == "ambiguous"
    w.ack(c)
    assert state(w, c) == "partial"


def test_orphan_fill_is_reported_and_asks_for_reducing(w: World) -> None:
    """A fill of no known order: a RESIDUAL_ROW (orphan), the strategy of its id, and want_reducing."""
    cid = (2 << 43) | (0 << 37) | 99
    got = w.own(R.FILL, client_id=cid, leg=1, side=-1, qty=5, price=10_000, seq=9)
    assert got == -2
    rows = [row for row in w.of_kind(R.RESIDUAL_ROW) if row["code"] == B.RES_ORPHAN]
    assert [int(row["a"]) for row in rows] == [-5]
    assert int(w.b["want_reducing"]) == 1
    w.check()
    (c,) = w.take()  # and it is traded back
    w.fill(c, 5)
    assert w.position(1) == 0
    w.check()


def test_reject_and_refusal_release_open_lots(w: World) -> None:
    """A rejected or refused order is done and counts nowhere."""
    quote(w.orders, 7, 0, 1, 99.98, 0.01)
    w.ask()
    w.reject(w.take()[0])
    w.gate = lambda order, action: R.R_NOTIONAL
    quote(w.orders, 8, 0, 1, 99.98, 0.01)
    w.ask()
    assert not w.take()
    assert [int(row["code"]) for row in w.of_kind(R.REFUSED)] == [R.R_NOTIONAL]
    w.check()
    assert not w.live_orders()


def test_pool_full_is_refused_not_overrun() -> None:
    """Quote pool and order pool full: REFUSED(pool_full), nothing is overwritten."""
    w = World()
    for key in range(B.N_DESIRES + 5):
        quote(w.orders, key, 0, 1, 99.0, 0.01)
        w.ask()
    reasons = [int(row["code"]) for row in w.of_kind(R.REFUSED)]
    assert reasons == [R.R_POOL_FULL] * 5
    assert len(w.take()) == B.N_DESIRES
    for n in range(R.N_INTENTS + 3):
        quote(w.orders, 1000 + n, 0, 1, 99.0, 0.0)
    w.ask()
    assert int(w.of_kind(R.REFUSED)[-1]["qty"]) == 3, "intents beyond the list are counted"
    w.check()


# ---------------------------------------------------------------- quotes are levels


def test_same_quote_is_kept(w: World) -> None:
    """Asking twice is asking once; a partly filled order keeps its place for what is left."""
    c = resting(w)
    for _ in range(3):
        quote(w.orders, 7, 0, 1, 99.98, 0.01)
        w.ask()
    w.fill(c, 4)
    quote(w.orders, 7, 0, 1, 99.98, 0.01)
    w.ask()
    assert not w.take()


def test_smaller_quote_is_amended_keeping_the_queue(w: World) -> None:
    """Same price, fewer lots: an AMEND with keep_queue; the ACK makes it so."""
    c = resting(w)
    quote(w.orders, 7, 0, 1, 99.98, 0.004)
    w.ask()
    (a,) = w.take()
    assert (int(a["code"]), int(a["qty"]), int(a["client_id"])) == (R.AMEND, 4, int(c["client_id"]))
    assert int(w.b["orders"][int(c["client_id"]) % R.N_ORDERS]["keep_queue"]) == 1
    assert int(w.legs[0]["open_buy_lots"]) == 10, "until the venue says, the larger counts"
    w.ack(c)
    assert int(w.legs[0]["open_buy_lots"]) == 4


def test_moved_quote_is_cancelled_then_sent_once(w: World) -> None:
    """Another price: cancel, and the new order only when the cancel is confirmed; wishes in between replace
    each other."""
    c = resting(w)
    for price in (99.99, 100.0):
        quote(w.orders, 7, 0, 1, price, 0.01)
        w.ask()
    assert [int(x["code"]) for x in w.take()] == [R.CANCEL]
    w.canceled(c)
    (new,) = w.take()
    assert (int(new["code"]), int(new["price"])) == (R.NEW, 10_000)


def test_filled_while_moving_does_not_send_the_old_wish(w: World) -> None:
    """The order filled while it was being moved: the strategy decides anew, no second order goes out by
    itself."""
    c = resting(w)
    quote(w.orders, 7, 0, 1, 100.0, 0.01)
    w.ask()
    w.take()
    w.fill(c, 10)
    w.cancel_reject(c)
    assert not w.take()
    assert w.position(0) == 10


def test_rejected_quote_backs_off(w: World) -> None:
    """A quote that is rejected and asked for at every event is sent at doubling intervals."""
    sent = 0
    for _ in range(2_000):
        quote(w.orders, 7, 0, 1, 99.98, 0.01)
        w.ask()
        for c in w.take():
            sent += 1
            w.reject(c)
        w.wait(MS)
    assert 5 <= sent <= 12, sent


def test_target_trades_the_difference_once(w: World) -> None:
    """A target is a position: one IOC for what is missing, nothing while it works, nothing when it is
    there."""
    for _ in range(2):
        target(w.orders, 0, 0.01, 100.02)
        w.ask()
    (c,) = w.take()
    assert (int(c["qty"]), int(c["tif"]) & R.IOC) == (10, R.IOC)
    w.fill(c, 4)
    w.canceled(c)
    assert not w.take(), "what is left is the strategy's to decide"
    target(w.orders, 0, 0.01, 100.02)
    w.ask()
    (c,) = w.take()
    assert int(c["qty"]) == 6
    w.fill(c, 6)
    target(w.orders, 0, 0.01, 100.02)
    w.ask()
    assert not w.take()
    target(w.orders, 0, -0.005, 99.0)
    w.ask()
    assert [(int(c["side"]), int(c["qty"])) for c in w.take()] == [(-1, 15)]


def test_cancel_all_withdraws_everything(w: World) -> None:
    """cancel_all: each resting order of the strategy gets one cancel, also when asked twice."""
    for key in (1, 2, 3):
        resting(w, key)
    for _ in range(2):
        cancel_all(w.orders)
        w.ask()
    assert [int(c["code"]) for c in w.take()] == [R.CANCEL] * 3


def test_flatten_closes_each_position(w: World) -> None:
    """Flatten: one immediate order a leg towards zero, priced within the unwind band."""
    w.positions[0, 0]["lots"], w.positions[0, 1]["lots"] = 5, -7
    w.flatten()
    got = [(int(c["leg"]), int(c["side"]), int(c["qty"])) for c in w.take()]
    assert got == [(0, -1, 5), (1, 1, 7)]


def test_timer_fires_once_and_can_be_moved(w: World) -> None:
    """A timer is an event at its deadline; setting it again moves it."""
    timer(w.orders, 5, w.now + 10 * MS)
    w.ask()
    timer(w.orders, 5, w.now + 30 * MS)
    w.ask()
    assert w.wait(20 * MS) == 0
    assert w.wait(20 * MS) == 1
    assert w.wait(1_000 * MS) == 0


@pytest.mark.parametrize(
    "bad",
    [
        dict(leg=9),
        dict(leg=-1),
        dict(price=float("nan")),
        dict(price=float("inf")),
        dict(price=1e300),
        dict(qty=float("nan")),
        dict(qty=-1.0),
        dict(qty=1e300),
        dict(side=0),
        dict(side=3),
    ],
)
def test_bad_intents_are_refused(w: World, bad: dict[str, float]) -> None:
    """NaN, infinity, negative quantity, a wild leg or side: REFUSED(bad_intent), no order."""
    what = dict(leg=0, side=1, price=99.98, qty=0.01) | bad
    quote(w.orders, 7, what["leg"], what["side"], what["price"], what["qty"])
    w.ask()
    assert not w.take()
    assert [int(row["code"]) for row in w.of_kind(R.REFUSED)] == [R.R_BAD_INTENT]


def test_slots_are_reused_oldest_first_and_late_fills_still_find_home(w: World) -> None:
    """2,500 orders through 1,024 slots; a late fill of a recycled order is an orphan with a row, not a wrong
    booking."""
    first = resting(w)
    cancel(w.orders, 7)
    w.ask()
    w.canceled(first)
    w.take()
    for _ in range(2_500):
        c = resting(w)
        cancel(w.orders, 7)
        w.ask()
        w.take()
        w.canceled(c)
    assert w.fill(first, 2) == -2
    assert int(w.b["n_orphans"]) == 1
    w.check()


def amended_then_withdrawn(w: World) -> np.void:
    """A resting quote of 10 lots, an amendment to 5 in flight, and behind it a cancel."""
    c = resting(w)
    quote(w.orders, 7, 0, 1, 99.98, 0.005)
    w.ask()
    quote(w.orders, 7, 0, 1, 99.98, 0.0)
    w.ask()
    assert [int(x["code"]) for x in w.take()] == [R.AMEND, R.CANCEL]
    return c


def test_a_refused_amendment_does_not_end_an_order_being_cancelled(w: World) -> None:
    """The venue rejects the amendment only: the order may still fill until the cancel is confirmed."""
    c = amended_then_withdrawn(w)
    w.reject(c)
    assert state(w, c) == "pending_cancel"
    assert int(w.legs[0]["open_buy_lots"]) == 10
    w.fill(c, 4)
    w.canceled(c)
    assert (state(w, c), w.position(0)) == ("canceled", 4)
    assert not w.live_orders() and int(w.legs[0]["open_buy_lots"]) == 0


def test_an_amendment_acknowledged_behind_a_cancel_counts(w: World) -> None:
    """The venue took the amendment, then the cancel came too late: what stands there has the new size."""
    c = amended_then_withdrawn(w)
    w.ack(c)
    assert state(w, c) == "pending_cancel"
    assert int(w.legs[0]["open_buy_lots"]) == 5
    w.fill(c, 5)
    assert state(w, c) == "filled"
    assert not w.live_orders() and int(w.legs[0]["open_buy_lots"]) == 0
