"""Quotes on one venue hedged on another: priced off the other touch, each fill hedged, none hedged twice."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine_kit import LATENCY, MS, START, S, instrument, of_kind, row, tape, top
from oneprice.core.instruments import Fees
from oneprice.core.records import (
    BUY,
    CANCEL,
    COMMAND,
    IOC,
    NEW,
    NO_PRICE,
    PACKAGE_ROW,
    POST_ONLY,
    REASONS,
    REFUSED,
    RESIDUAL_ROW,
    SELL,
    TOP,
    TRADE,
)
from oneprice.execution.latency import Latency, constant
from oneprice.market.synthetic import two_venues
from oneprice.market.tape import Tape, join_events, make_tape
from oneprice.modes.replay import replay
from oneprice.modes.run import Run
from oneprice.risk.limits import Limits
from oneprice.strategies import hedged_making

TICK, LOT, QTY = 0.1, 0.01, 0.05
MAKER_BP, TAKER_BP = 1.0, 4.0
FEES = {"alpha:XYZ-USD": Fees(maker_bp=MAKER_BP, taker_bp=9), "beta:XYZ-USD": Fees(maker_bp=0, taker_bp=TAKER_BP)}
LIMITS = Limits(orders_per_s=100_000, burst=10_000, venue_orders_per_s=100_000, venue_burst=10_000)


def run_on(a: Tape, b: Tape, latency: Latency = LATENCY, **parameters: float) -> Run:
    chosen = hedged_making(**{"edge_bp": 3.0, "qty": QTY, "limit": 0.2, **parameters})
    return replay(chosen, [a, b], latency=latency, limits=LIMITS, fees=FEES)


def sent(run: Run, leg: int, code: int = NEW) -> list[tuple[int, int, int, int]]:
    """(ms, side, ticks, TIF bits) of the commands of a code on a leg."""
    own = run.rows[(run.rows["kind"] == COMMAND) & (run.rows["code"] == code) & (run.rows["leg"] == leg)]
    return [((int(r["time_ns"]) - START) // MS, int(r["side"]), int(r["price"]), int(r["tif"])) for r in own]


def lots_held(run: Run) -> list[int]:
    return [int(x) for x in run.engine.positions()[0]["lots"]]


def quiet(venue: str, n: int = 20, **words: int) -> Tape:
    return tape(venue, [top(i * 10 * MS, **words) for i in range(n)])


def test_quotes_are_what_the_other_venue_pays_for_them() -> None:
    """bid (1 + maker) = bid_B (1 - taker - edge), ask (1 - maker) = ask_B (1 + taker + edge), rounded away."""
    run = run_on(quiet("alpha", bid=900, ask=1_100), quiet("beta", bid=1_000, ask=1_001))
    cost = (TAKER_BP + 3.0) * 1e-4
    bid = math.floor(100.0 * (1 - cost) / (1 + MAKER_BP * 1e-4) / TICK + 1e-9)
    ask = math.ceil(100.1 * (1 + cost) / (1 - MAKER_BP * 1e-4) / TICK - 1e-9)
    assert [(side, p, tif) for _, side, p, tif in sent(run, 0)] == [(BUY, bid, POST_ONLY), (SELL, ask, POST_ONLY)]
    assert sent(run, 1) == []


def test_a_fill_is_hedged_at_once_and_the_quote_comes_back() -> None:
    """The whole fill goes to the other venue as an immediate order; only then is the key free for a new quote."""
    rows = [top(i * 10 * MS, 900, 1_100) for i in range(5)]
    rows += [row(TRADE, 45 * MS, price=950, qty=1_000, side=SELL)]
    rows += [top(i * 10 * MS, 900, 1_100) for i in range(5, 20)]
    run = run_on(tape("alpha", rows), quiet("beta"))
    assert lots_held(run) == [5, -5]
    (hedge,) = sent(run, 1)
    assert hedge[1] == SELL and hedge[3] & IOC
    bids = [at for at, side, _, _ in sent(run, 0) if side == BUY]
    assert len(bids) == 2 and bids[1] >= hedge[0]
    assert len(of_kind(run.rows, RESIDUAL_ROW)) == 0 and run.closes() == 0


def test_what_a_hedged_fill_earns_is_at_least_its_edge() -> None:
    """Bought below what the other venue pays, after the fees of both: the cash of the pair is the edge or more."""
    rows = [top(i * 10 * MS, 900, 1_100) for i in range(5)]
    rows += [row(TRADE, 45 * MS, price=950, qty=1_000, side=SELL), top(60 * MS, 900, 1_100)]
    run = run_on(tape("alpha", rows), quiet("beta"))
    bought, sold = (float(f["price"]) * TICK for f in run.fills())
    paid = bought * MAKER_BP * 1e-4 + sold * TAKER_BP * 1e-4
    assert sold - bought - paid >= 3e-4 * sold - 1e-9


def test_each_part_of_a_fill_is_hedged_once() -> None:
    """Four partial fills of one order: what is sold on the other venue is what was bought, never more."""
    rows = [top(i * 10 * MS, 900, 1_100) for i in range(5)]
    bid = math.floor(100.0 * (1 - 7e-4) / (1 + 1e-4) / TICK)
    for i in range(4):
        rows += [row(TRADE, (50 + 10 * i) * MS, price=bid - 1, qty=1, side=SELL), top((55 + 10 * i) * MS, 900, 1_100)]
    rows += [top((100 + i * 10) * MS, 900, 1_100) for i in range(10)]
    run = run_on(tape("alpha", rows), quiet("beta"))
    bought, sold = lots_held(run)
    assert bought >= 4 and sold == -bought


@pytest.mark.parametrize("fall", [1, 5])
def test_a_fill_that_beats_its_cancel_is_hedged(fall: int) -> None:
    """The other bid falls, the cancel is on its way, and a seller meets our quote first: it is hedged all the same, at
    once while the price is within the package's band, else by the residual ledger once waiting is over."""
    rows = [top(i * 10 * MS, 900, 1_100) for i in range(11)]
    rows += [row(TRADE, 103 * MS, price=950, qty=1_000, side=SELL)]  # at the venue at 102; the cancel is there at 105
    rows += [top((110 + i * 10) * MS, 900, 1_100) for i in range(20)]
    b = tape("beta", [top(i * 10 * MS, 1_000 - fall * (i >= 10), 1_001) for i in range(40)])
    run = run_on(tape("alpha", rows), b, latency=constant(5_000, 5_000))
    assert next((at, side) for at, side, _, _ in sent(run, 0, CANCEL)) == (100, BUY)
    bought, sold = lots_held(run)
    assert bought == 5 and sold == -5 and len(of_kind(run.rows, RESIDUAL_ROW)) == (fall == 5)


def test_the_quote_follows_the_other_venue() -> None:
    """Its bid falls by five ticks: ours is cancelled and stands five ticks lower once that is confirmed."""
    a = quiet("alpha", 40, bid=900, ask=1_100)
    b = tape("beta", [top(i * 10 * MS, 1_000 - 5 * (i >= 20), 1_001) for i in range(40)])
    run = run_on(a, b)
    bids = [(at, p) for at, side, p, _ in sent(run, 0) if side == BUY]
    assert len(bids) == 2 and bids[1][1] == bids[0][1] - 5 and 200 <= bids[1][0] <= 211
    assert [(at, side) for at, side, _, _ in sent(run, 0, CANCEL)] == [(200, BUY)]
    kept = run_on(a, b, requote_ticks=6)
    assert len(sent(kept, 0)) == 2, "worth less than its place in the queue"


@pytest.mark.parametrize("bad", [{"bid": NO_PRICE, "bid_qty": 0}, {"ask": NO_PRICE, "ask_qty": 0}, {"bid": 1_003}])
def test_without_a_sane_hedge_there_is_no_quote(bad: dict[str, int]) -> None:
    """The other touch loses a side or crosses: both quotes go; they come back with it."""
    good = {"bid": 1_000, "ask": 1_001, "bid_qty": 1_000, "ask_qty": 1_000}
    b = tape("beta", [row(TOP, i * 10 * MS, **(good | (bad if 10 <= i < 20 else {}))) for i in range(40)])
    run = run_on(quiet("alpha", 40, bid=900, ask=1_100), b)
    assert {at for at, _, _, _ in sent(run, 0, CANCEL)} == {100}
    assert {at for at, _, _, _ in sent(run, 0)} == {0, 200}
    assert "bad_intent" not in {REASONS[c] for c in of_kind(run.rows, REFUSED)["code"]}


def test_a_silent_hedge_withdraws_by_a_timer() -> None:
    """The other venue falls silent while ours ticks on: quotes priced off it go when it is stale."""
    one = instrument("beta", stale_ns=300 * MS)
    b = make_tape(one, join_events([top(i * 10 * MS) for i in range(5)]), header=quiet("beta").header)
    run = run_on(quiet("alpha", 200, bid=900, ask=1_100), b)
    gone = [at for at, _, _, _ in sent(run, 0, CANCEL)]
    assert len(gone) == 2 and 340 <= gone[0] <= 480


def test_a_thin_hedge_gives_a_small_quote() -> None:
    """An order counts on no more than its share of the other touch; less than a lot is no quote."""
    for lots, wanted in ((1_000, 5), (6, 3), (1, 0)):
        run = run_on(quiet("alpha", bid=900, ask=1_100), quiet("beta", lots=lots))
        own = of_kind(run.rows, COMMAND)
        assert sorted(own["qty"].tolist()) == ([wanted] * 2 if wanted else [])


def test_the_limit_and_the_lean() -> None:
    """At the limit the side that would add is gone; with stock both quotes stand lower by `lean_bp` an order."""
    rows = [top(i * 10 * MS, 900, 1_100) for i in range(5)]
    for i in range(30):
        rows += [row(TRADE, (50 + 10 * i) * MS, price=950, qty=1_000, side=SELL), top((55 + 10 * i) * MS, 900, 1_100)]
    run = run_on(tape("alpha", rows), quiet("beta", 60), limit=0.1)
    assert lots_held(run) == [10, -10]
    leaned = run_on(tape("alpha", rows), quiet("beta", 60), limit=0.1, lean_bp=10.0)
    asks = [p for _, side, p, _ in sent(leaned, 0) if side == SELL]
    assert min(asks) < asks[0]


NOTHING = [{"edge_bp": math.nan}, {"qty": 0.0}, {"limit": -1.0}, {"share": 0.0}, {"lean_bp": math.nan}]


@pytest.mark.parametrize("bad", NOTHING)
def test_impossible_parameters_quote_nothing(bad: dict[str, float]) -> None:
    """No order, no package and no broken intent, ever."""
    run = run_on(quiet("alpha", bid=900, ask=1_100), quiet("beta"), **bad)
    assert sent(run, 0) == sent(run, 1) == [] and len(of_kind(run.rows, REFUSED)) == 0 and run.closes() == 0


def test_a_world_of_gaps_stays_hedged() -> None:
    """Two minutes of gaps and decoys: many fills, the legs cancel but for the residual ledger, the books close."""
    world = two_venues(seed=3, minutes=2)
    run = replay(hedged_making(edge_bp=0.5), world.tapes, latency=LATENCY, limits=Limits())
    a, b = lots_held(run)
    residuals = run.engine.state["blotter"]["residuals"]["lots"]
    assert len(run.fills()) > 20 and a + b == int(residuals.sum())
    assert run.closes() == 0 and len(of_kind(run.rows, PACKAGE_ROW)) > 0
    assert np.abs(np.cumsum([int(f["qty"]) * int(f["side"]) for f in run.fills() if f["leg"] == 0])).max() <= 50
    assert S > MS


def test_what_is_traded_back_stays_within_the_limit() -> None:
    """A fill that cannot be hedged is traded back: room that it made for the other side is not promised meanwhile."""
    world = two_venues(seed=8, minutes=10)
    run = replay(hedged_making(limit=0.03), world.tapes, latency=constant(20_000, 20_000), limits=Limits())
    held = np.cumsum([int(f["qty"]) * int(f["side"]) for f in run.fills() if f["leg"] == 0])
    assert len(held) > 20 and np.abs(held).max() == 30 and run.closes() == 0
