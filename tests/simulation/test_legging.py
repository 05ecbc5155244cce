"""The legging conformance suite: what users of today's systems suffer from, as cases against the package
order.

Cases are numbered as the field report lists them, 1 to 13. After every case each lot is held hedged, in the
residual ledger, or inside an open package (`World.check`): nothing is forgotten. Leg 0 is bought, leg 1 sold.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from execution_harness import MS, SECOND, World
from oneprice.core import records as R
from oneprice.execution import blotter as B
from oneprice.execution.intents import cancel, package, package_begin, package_leg
from oneprice.execution.package import PackagePolicy

POST = dict(maker=0)


def open_pair(w: World, key: int = 1, qty: float = 0.01, **more: int) -> list[np.void]:
    package(w.orders, key, buy=(0, 100.02), sell=(1, 100.0), qty=qty, **more)
    w.ask()
    return w.take()


def what(commands: list[np.void]) -> list[tuple[int, int, int, int]]:
    """(code, leg, side, qty) of each command."""
    return [(int(c["code"]), int(c["leg"]), int(c["side"]), int(c["qty"])) for c in commands]


@pytest.fixture
def w() -> World:
    return World()


def test_both_legs_fill(w: World) -> None:
    """The plain way: both legs at once as immediate limits; planned, working, partly hedged, closed; all
    lots held."""
    a, b = open_pair(w)
    assert what([a, b]) == [(R.NEW, 0, 1, 10), (R.NEW, 1, -1, 10)]
    assert int(a["tif"]) & R.IOC
    w.ack(a)
    w.fill(a, 10)
    w.fill(b, 10)
    assert w.package_states() == ["planned", "working", "partly_hedged", "closed"]
    assert (w.held(0), w.held(1)) == (10, -10)
    w.check()


@pytest.mark.parametrize("first", ["fill", "canceled"])
def test_01_cancel_fill_race(w: World, first: str) -> None:
    """1. The maker fills while it is being cancelled: the hedge is sent, whichever message comes first."""
    (maker,) = open_pair(w, **POST)
    assert int(maker["tif"]) & R.POST_ONLY
    w.ack(maker)
    cancel(w.orders, 1)
    w.ask()
    assert what(w.take()) == [(R.CANCEL, 0, 1, 10)]
    if first == "fill":
        w.fill(maker, 7)
        w.canceled(maker)
    else:
        w.canceled(maker)
        w.fill(maker, 7)
    w.check()
    (hedge,) = w.take()
    assert what([hedge]) == [(R.NEW, 1, -1, 7)]
    w.fill(hedge, 7)
    assert (w.position(0), w.position(1)) == (7, -7)
    assert w.residual(0) == w.residual(1) == 0
    assert int(w.b["n_open_packages"]) == 0
    w.check()


def test_02_one_side_trades_the_other_not(w: World) -> None:
    """2. One leg filled, the other expired unfilled: hedged as soon as the touch allows, not forgotten."""
    a, b = open_pair(w)
    w.fill(a, 10)
    w.canceled(b)
    assert "residual" in w.package_states() or what(w.take()) == [(R.NEW, 1, -1, 10)]
    w.wait(20 * MS)
    hedges = w.take()
    assert what(hedges)[-1:] in ([(R.NEW, 1, -1, 10)], [])
    while int(w.b["n_open_packages"]):
        for c in hedges:
            w.fill(c, int(c["qty"]))
        w.wait(20 * MS)
        hedges = w.take()
    w.check()
    assert w.position(0) == -w.position(1) == 10


@pytest.mark.parametrize("short_leg", [0, 1])
def test_03_minimum_on_both_legs_before_either_is_sent(short_leg: int) -> None:
    """3. One leg below its venue's minimum: nothing is sent on either, REFUSED(min_size)."""
    w = World()
    w.legs[short_leg]["min_lots"] = 50
    assert open_pair(w) == []
    assert [int(row["code"]) for row in w.of_kind(R.REFUSED)] == [R.R_MIN_SIZE]
    w.check()


def test_03_balance_on_both_legs_before_either_is_sent(w: World) -> None:
    """3. The sold leg may not go short and there is nothing to sell: nothing is sent; nor beyond a budget."""
    w.legs[1]["trading"] = R.NO_SHORT
    assert open_pair(w) == []
    assert [int(row["code"]) for row in w.of_kind(R.REFUSED)] == [R.R_SHORT_BAN]
    w.legs[1]["trading"] = R.OPEN
    w.positions[0, 0]["budget_lots"] = 5
    assert open_pair(w, key=2) == []
    assert int(w.of_kind(R.REFUSED)[-1]["code"]) == R.R_BUDGET


def test_04_small_maker_fills_accumulate_until_the_hedge_is_big_enough() -> None:
    """4. Maker fills below the taker's minimum: kept with their age, hedged together once they reach it."""
    w = World()
    w.legs[1]["min_lots"] = 5
    (maker,) = open_pair(w, **POST)
    w.ack(maker)
    w.fill(maker, 3)
    assert w.take() == []
    w.fill(maker, 3)
    (hedge,) = w.take()
    assert what([hedge]) == [(R.NEW, 1, -1, 6)]
    w.fill(hedge, 6)
    w.fill(maker, 4)
    w.check()
    assert w.residual(0) == 4, "below the minimum: in the ledger"
    assert [int(row["code"]) for row in w.of_kind(R.RESIDUAL_ROW)] == [B.RES_BELOW_MIN]
    assert w.take() == []
    a, b = open_pair(w, key=2)  # begins with it: only 6 more are bought, all 10 are hedged
    assert what([a, b]) == [(R.NEW, 0, 1, 6), (R.NEW, 1, -1, 10)]
    w.fill(a, 6)
    w.fill(b, 10)
    assert (w.position(0), w.position(1)) == (16, -16)
    assert w.residual(0) == 0
    w.check()


def test_04_residuals_of_packages_add_up_and_are_rescued() -> None:
    """4. Residuals of several packages accumulate; when they reach the minimum a rescue package hedges
    them."""
    w = World()
    w.legs[1]["min_lots"] = 5
    for key in (1, 2):
        (maker,) = open_pair(w, key=key, **POST)
        w.ack(maker)
        cancel(w.orders, key)
        w.ask()
        w.take()
        w.fill(maker, 3)
        w.canceled(maker)
        w.check()
        if key == 1:
            assert (w.residual(0), w.take()) == (3, [])
    got = w.take()
    assert what(got) == [(R.NEW, 1, -1, 6)]
    w.fill(got[0], 6)
    assert w.residual(0) == 0
    assert (w.held(0), w.held(1)) == (6, -6)
    w.check()


def test_05_orders_are_marketable_limits_inside_a_band() -> None:
    """5. No order is without a limit: the first go at the intent's price, a chase stays within band_bp of
    it."""
    w = World(policy=PackagePolicy(band_bp=10.0, max_age_ns=60 * SECOND))
    a, b = open_pair(w)
    assert (int(a["price"]), int(b["price"])) == (10_002, 10_000)
    w.fill(a, 10)
    w.canceled(b)
    worst = 10_000 - 10
    for n in range(200):
        w.quote(1, 10_000 - n, 10_001 - n, dt_ns=50 * MS)
        for c in w.take():
            if c["leg"] == 1:
                assert int(c["price"]) >= worst
            w.canceled(c)
    w.check()


def test_06_a_posted_leg_times_out_and_is_settled() -> None:
    """6. The posted leg rests at most rest_ns: then it is cancelled and what it filled is hedged."""
    w = World(policy=PackagePolicy(rest_ns=500 * MS))
    (maker,) = open_pair(w, **POST)
    w.ack(maker)
    w.fill(maker, 4)
    (hedge,) = w.take()
    w.fill(hedge, 4)
    w.wait(499 * MS)
    assert w.take() == []
    w.wait(2 * MS)
    assert what(w.take()) == [(R.CANCEL, 0, 1, 10)]
    w.canceled(maker)
    assert (w.held(0), w.held(1)) == (4, -4)
    assert w.package_states()[-1] == "closed"
    w.check()


def test_06_a_lagging_leg_that_never_fills_is_unwound(w: World) -> None:
    """6. The other leg never fills and its price runs away: after max_age the leading leg is traded back."""
    a, b = open_pair(w)
    w.fill(a, 10)
    w.canceled(b)
    w.quote(1, 9_000, 9_002)
    w.wait(3 * SECOND)
    sent = w.take()
    assert what(sent)[-1] == (R.NEW, 0, -1, 10)
    w.fill(sent[-1], 10, price=9_990)
    assert (w.position(0), w.position(1)) == (0, 0)
    assert w.package_states()[-2:] == ["unwinding", "flat"]
    w.check()


@pytest.mark.parametrize("how", ["liquidation", "expiry"])
def test_07_one_leg_is_taken_away(w: World, how: str) -> None:
    """7. One leg of a closed package is liquidated or expires: the other is closed."""
    a, b = open_pair(w)
    w.fill(a, 10)
    w.fill(b, 10)
    if how == "liquidation":
        w.own(R.FILL, client_id=0, leg=1, side=1, qty=10, price=10_050, seq=77)
    else:
        w.status(1, R.EXPIRED, kind=R.EXPIRY)
    w.check()
    sent = w.take()
    assert what(sent) == [(R.NEW, 0, -1, 10)]
    w.fill(sent[0], 10)
    assert (w.position(0), w.position(1)) == (0, 0)
    w.check()


def test_07_half_a_liquidation_closes_half(w: World) -> None:
    """7. Half of a leg is deleveraged: half of the other is closed, the rest stays held."""
    a, b = open_pair(w)
    w.fill(a, 10)
    w.fill(b, 10)
    w.own(R.FILL, client_id=0, leg=1, side=1, qty=5, price=10_050, seq=77)
    (c,) = w.take()
    assert what([c]) == [(R.NEW, 0, -1, 5)]
    w.fill(c, 5)
    assert (w.held(0), w.held(1)) == (5, -5)
    w.check()


def test_08_the_hedge_is_repeated_after_failures() -> None:
    """8. A hedge that misses or is rejected is repeated, paying up inside the band, until it fills."""
    w = World(policy=PackagePolicy(max_age_ns=60 * SECOND))
    a, b = open_pair(w)
    w.fill(a, 10)
    w.reject(b)
    prices = []
    for n in range(6):
        w.wait(2 * SECOND)
        for c in w.take():
            prices.append(int(c["price"]))
            if n % 2:
                w.reject(c)
            else:
                w.canceled(c)
    assert len(prices) >= 3
    assert prices == sorted(prices, reverse=True)
    w.wait(20 * SECOND)
    (c,) = w.take()[-1:]
    w.fill(c, 10)
    w.check()
    assert w.package_states()[-1] in ("closed", "flat")


def test_09_no_new_package_while_the_hedge_is_pending(w: World) -> None:
    """9. The strategy asks at every event while a hedge is pending: nothing new is sent under that key."""
    (maker,) = open_pair(w, **POST)
    w.ack(maker)
    w.fill(maker, 5)
    (hedge,) = w.take()
    for _ in range(50):
        assert open_pair(w, **POST) == []
    w.canceled(hedge)  # it missed: the maker is withdrawn, so that no second hedge can use the same quote
    w.wait(MS)
    codes = [(int(c["code"]), int(c["leg"])) for c in w.take()]
    assert (R.NEW, 0) not in codes
    w.check()


def test_10_closing_is_not_repeated_beyond_the_position(w: World) -> None:
    """10. A close asked for at every event closes once: `reduce` is bounded by the position, also under
    other keys."""
    a, b = open_pair(w)
    w.fill(a, 10)
    w.fill(b, 10)
    for _ in range(30):
        package(w.orders, 2, buy=(1, 100.02), sell=(0, 100.0), qty=1.0, reduce=True)
        w.ask()
        for c in w.take():
            w.fill(c, int(c["qty"]))
        assert w.position(0) == 0
    assert (w.position(0), w.position(1)) == (0, 0)
    assert (w.held(0), w.held(1)) == (0, 0)
    w.check()


def test_11_stopping_between_the_legs_leaves_no_residue(w: World) -> None:
    """11. The strategy gives up between the legs: what is filled is hedged or unwound, then the package
    ends."""
    (maker,) = open_pair(w, **POST)
    w.ack(maker)
    w.fill(maker, 5)
    (hedge,) = w.take()
    cancel(w.orders, 1)
    w.ask()
    assert what(w.take()) == [(R.CANCEL, 0, 1, 10)]
    w.canceled(maker)
    w.fill(hedge, 5)
    assert w.package_states()[-1] == "closed"
    assert (w.held(0), w.held(1)) == (5, -5)
    w.check()


def test_12_timer_cancel_race_keeps_the_legs_equal() -> None:
    """12. The timer cancels the posted leg while it fills: the legs end equal; a timer of an ended package
    is nobody's."""
    w = World(policy=PackagePolicy(rest_ns=100 * MS))
    (maker,) = open_pair(w, **POST)
    w.ack(maker)
    w.wait(101 * MS)
    assert what(w.take()) == [(R.CANCEL, 0, 1, 10)]
    w.fill(maker, 10)
    w.cancel_reject(maker)
    (hedge,) = w.take()
    w.fill(hedge, 10)
    assert (w.position(0), w.position(1)) == (10, -10)
    w.wait(60 * SECOND)
    assert w.take() == []
    w.check()


def test_12_ratios_are_hedged_exactly() -> None:
    """12. Legs whose lots differ (0.001 against 0.004, ratio 1:2): partial fills are hedged in proportion."""
    w = World()
    w.legs[1]["lot"] = 0.004
    k = package_begin(w.orders, 1, 0.04)
    package_leg(w.orders, k, 0, 1, 1.0, 100.02)
    package_leg(w.orders, k, 1, -1, 2.0, 100.0)
    w.ask()
    a, b = w.take()
    assert what([a, b]) == [(R.NEW, 0, 1, 40), (R.NEW, 1, -1, 20)]
    w.fill(a, 40)
    w.fill(b, 7)
    w.canceled(b)
    while int(w.b["n_open_packages"]):
        w.wait(20 * MS)
        for c in w.take():
            w.fill(c, int(c["qty"]))
    assert w.position(0) == 2 * -w.position(1)
    w.check()


def test_13_a_closed_leg_is_not_hammered(w: World) -> None:
    """13. The passive leg's session is closed: no order is sent into it, the residual is unwound or
    reported."""
    a, b = open_pair(w)
    w.fill(a, 10)
    w.status(1, R.CLOSED_SESSION)
    w.reject(b)
    sent = 0
    for _ in range(600):
        w.wait(100 * MS)
        for c in w.take():
            assert int(c["leg"]) == 0
            sent += 1
            w.reject(c)
        package(w.orders, 1, buy=(0, 100.02), sell=(1, 100.0), qty=0.01)
        w.ask()
    assert sent <= 40
    w.check()
    assert w.residual(0) + w.in_packages(0) == 10
    assert len(w.of_kind(R.REFUSED)) <= 30, "and not told twenty thousand times either"


def test_13_reject_storm_backs_off_and_reports() -> None:
    """13. Every order of a leg is rejected for an hour: tens of orders, not thousands; then rows tell of the
    residual."""
    w = World()
    a, b = open_pair(w)
    w.fill(a, 10)
    w.reject(b)
    sent = 0
    for _ in range(3_600):
        w.wait(SECOND)
        w.quote(1, 10_000, 10_002, 0)
        for c in w.take():
            sent += 1
            w.reject(c)
    assert 5 < sent < 300, sent
    assert w.of_kind(R.RESIDUAL_ROW)
    assert w.residual(0) + w.in_packages(0) == 10
    w.check()


def test_13_no_trading_without_a_quote_on_each_leg(w: World) -> None:
    """13. A leg without a valid quote: no package begins, REFUSED(no_quote)."""
    w.quote(1, R.NO_PRICE, R.NO_PRICE)
    assert open_pair(w) == []
    assert [int(row["code"]) for row in w.of_kind(R.REFUSED)] == [R.R_NO_QUOTE]


def test_refused_leg_is_handled(w: World) -> None:
    """The gate refuses one leg: the other is unwound or hedged later, never left; both refused: flat."""
    w.gate = lambda order, action: R.R_NOTIONAL if order["leg"] == 1 else 0
    (a,) = open_pair(w)
    w.fill(a, 10)
    for _ in range(400):
        w.wait(50 * MS)
        for c in w.take():
            w.fill(c, int(c["qty"]))
    assert (w.position(0), w.position(1)) == (0, 0)
    w.check()
    v = World()
    v.gate = lambda order, action: R.R_NOTIONAL
    assert open_pair(v) == []
    assert v.package_states() == ["planned", "flat"]
    v.check()


def test_ambiguous_leg_is_waited_for_and_reported() -> None:
    """The link breaks with a leg in flight: nothing is invented; the package waits, says so, and ends by the
    venue's word."""
    w = World(policy=PackagePolicy(response_ns=SECOND))
    a, b = open_pair(w)
    w.own(R.LINK, leg=1, flag_bits=R.AMBIGUOUS)
    w.fill(a, 10)
    w.wait(30 * SECOND)
    assert [int(row["code"]) for row in w.of_kind(R.RESIDUAL_ROW)] == [B.RES_UNKNOWN]
    assert all(int(c["code"]) == R.CANCEL for c in w.take()), "no second order while the first may live"
    w.fill(b, 10)
    assert w.package_states()[-1] == "closed"
    w.check()


def test_pools_full_refuse_the_65th_package() -> None:
    """64 packages are open: the next is REFUSED(pool_full); ending one makes room."""
    w = World()
    first = open_pair(w, key=0)
    for key in range(1, R.N_PACKAGES):
        assert len(open_pair(w, key=key, qty=0.001)) == 2
    assert open_pair(w, key=99) == []
    assert int(w.of_kind(R.REFUSED)[-1]["code"]) == R.R_POOL_FULL
    for c in first:
        w.fill(c, 10)
    assert len(open_pair(w, key=100)) == 2
    w.check()


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_any_order_of_answers_ends_the_same(order: tuple[int, ...]) -> None:
    """Two partial fills a leg in any order: the same position, the same end."""
    w = World()
    a, b = open_pair(w)
    for n in order:
        c = a if n < 2 else b
        w.fill(c, 6 if n % 2 == 0 else 4)
        w.check()
    assert w.package_states()[-1] == "closed"
    assert (w.held(0), w.held(1)) == (10, -10)


def test_three_legs_unwind_together() -> None:
    """Three legs, one refuses to fill: the other two are traded back, nothing is left."""
    w = World(n_legs=3)
    k = package_begin(w.orders, 1, 0.01)
    for leg, side in ((0, 1), (1, -1), (2, 1)):
        package_leg(w.orders, k, leg, side, 1.0, 100.02 if side > 0 else 100.0)
    w.ask()
    a, b, c = w.take()
    w.fill(a, 10)
    w.fill(b, 10)
    w.reject(c)
    w.quote(2, 11_000, 11_002)
    for _ in range(200):
        w.wait(50 * MS)
        for x in w.take():
            if x["leg"] == 2:
                w.canceled(x)
            else:
                w.fill(x, int(x["qty"]))
    assert [w.position(i) for i in range(3)] == [0, 0, 0]
    assert w.package_states()[-1] == "flat"
    w.check()
