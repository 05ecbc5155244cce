"""Stocks through the whole engine: dividends, borrow, short bans, settlement a day later, packages around them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import engine_kit as kit
from engine_kit import LATENCY, MS, START, US, S, of_kind, status, steady, tape, top, tricky
from oneprice.core.errors import ConfigError, DataError
from oneprice.core.records import (
    BAR,
    BORROW,
    CLOSED_SESSION,
    COMMAND,
    DIVIDEND,
    NO_SHORT,
    OPEN,
    PAUSED,
    REASONS,
    REFUSED,
    RESIDUAL_ROW,
    SELL,
    STATUS,
    TOP,
)
from oneprice.execution.exchange import first_quote
from oneprice.execution.intents import package, target
from oneprice.execution.strategy import strategy
from oneprice.market.corporate import US_SHORT_BAN_2008_NS, day_ns, with_borrow, with_dividends, with_status
from oneprice.market.parquet import read_parquet, write_parquet
from oneprice.market.tape import Tape, make_tape, read_tape, write_tape
from oneprice.modes.paper import paper
from oneprice.modes.replay import replay, tape_table
from oneprice.modes.rerun import rerun
from oneprice.modes.run import Run
from oneprice.risk.limits import LegLimits, Limits
from oneprice.study.report import cause_table, read_run

DAY = 86_400 * S
HOUR = 3_600 * S
PACKAGE = tricky(trick=kit.PACKAGE_ONCE, at=5, qty=0.05)


def lots(run: Run) -> list[int]:
    return run.engine.legs()["position_lots"].tolist()


def hours(venue: str, n: int = 6, every_ns: int = HOUR // 6, extra: tuple[np.ndarray, ...] = (), **words: Any) -> Tape:
    """A quote every ten minutes from START (22:13 UTC) on, good for an hour."""
    rows = sorted([*(top(i * every_ns) for i in range(n)), *extra], key=lambda r: int(r["receive_ns"][0]))
    return tape(venue, rows, **{"stale_ns": HOUR, **words})


# ---------------------------------------------------------------- dividends and borrow


def test_dividends_are_paid_to_longs_and_charged_to_shorts(tmp_path: Path) -> None:
    """Long 0.05 of a, short 0.05 of b as 1.5 and 0.75 go ex: +0.075 and -0.0375, exactly; a later one finds the same
    lots, one before the package finds none. The journal reruns, the books close, paper does the same."""
    a = with_dividends(steady("a"), [(START + 5 * MS, "9"), (START + 500 * MS, "1.5")])
    b = with_dividends(steady("b"), [(START + 500 * MS, "0.75")])
    run = replay(PACKAGE, [a, b], latency=LATENCY, out=tmp_path / "r")
    assert lots(run) == [5, -5]
    assert run.pnl()["dividend"] == 0.0375
    assert run.closes() == 0 and "dividend" in run.summary()
    assert rerun(tmp_path / "r", tapes=[a, b], strategies=[PACKAGE]).equal
    traded = paper(PACKAGE, [a, b], latency=LATENCY, speed=0, out=tmp_path / "p")
    assert traded.pnl() == run.pnl() and traded.commands().tobytes() == run.commands().tobytes()


def test_borrow_is_charged_to_shorts_only() -> None:
    """Short 0.05 of b at 100.05 for a quarter of a 360-day year at 400 bp: 1 % of its notional; the long pays none."""
    calendar = [START, START + 500 * MS]
    rate = 400 * 90 * DAY // (500 * MS)  # what makes half a second a quarter
    both = [with_borrow(steady(v), rate, calendar) for v in ("a", "b")]
    run = replay(PACKAGE, both, latency=LATENCY)
    assert run.pnl()["borrow"] == pytest.approx(-0.05 * 100.05 * 0.01, abs=1e-9)
    assert run.closes() == 0
    only_a = replay(PACKAGE, [both[0], steady("b")], latency=LATENCY)
    assert only_a.pnl()["borrow"] == 0.0


def test_borrow_by_the_day() -> None:
    """Without a calendar each UTC day with rows pays for the calendar days since the last: a weekend is three."""
    friday = day_ns("2008-09-12") - START
    rows = [top(friday + d * DAY + h * HOUR) for d in (0, 3, 4) for h in (15, 16)]
    t = with_borrow(tape("a", rows), "36.5", year_days=365)
    found = of_kind(t.events, BORROW)
    assert found["interval_ns"].tolist() == [3 * DAY, DAY]
    assert found["rate_e12"].tolist() == [30 * 10**6, 10 * 10**6]  # 0.1 bp a day
    assert found["receive_ns"].tolist() == [int(rows[2]["receive_ns"][0]), int(rows[4]["receive_ns"][0])]
    at = np.flatnonzero(t.events["kind"] == BORROW)
    assert (t.events["receive_ns"][at] == t.events["receive_ns"][at + 1]).all(), "before the quotes of that time"


def test_tapes_with_corporate_rows_keep_their_bytes(tmp_path: Path) -> None:
    """Folder and Parquet give the rows back; the digest is that of the rows; quotes between are untouched."""
    base = steady("a")
    t = with_status(
        with_borrow(with_dividends(base, [(START + 20 * MS, 1)]), 100, [START, START + 30 * MS]),
        [(START, START + 40 * MS)],
    )
    assert t.digest != base.digest and len(t) == len(base) + 4
    kept = t.events[~np.isin(t.events["kind"], (DIVIDEND, BORROW, STATUS))]
    assert kept.tobytes() == base.events.tobytes()
    again = read_tape(write_tape(tmp_path, t))
    assert again.events.tobytes() == t.events.tobytes() and again.digest == t.digest
    packed = read_parquet(write_parquet(t, tmp_path / "t.parquet"))
    assert packed.events.tobytes() == t.events.tobytes()
    assert make_tape(t.instrument, t.events, header=t.header).digest == t.digest


def test_rows_stand_in_front_of_all_others_of_their_time() -> None:
    """Dividend, charge and ban come before the quotes received with them; the venue had them a feed latency before."""
    at = START + 30 * MS
    base = tape("a", [top(i * 10 * MS) for i in (0, 1, 2, 3, 3, 3, 4)])
    for added in (
        with_dividends(base, [(at, 1)]),
        with_borrow(base, 100, [START, at]),
        with_status(base, [(at, START + 100 * MS)]),
    ):
        assert added.events["kind"][3] not in (base.events["kind"][3],) and len(added) == len(base) + 1
        assert added.events["receive_ns"][3] == at == added.events["receive_ns"][4]
        assert added.events["exchange_ns"][3] == at - kit.FEED_NS and added.exchange_order is None


def test_the_report_tells_dividends_and_borrow(tmp_path: Path) -> None:
    """From the journal alone: each cause with its amount, and their sum is the change of equity to the unit."""
    a = with_dividends(steady("a"), [(START + 500 * MS, "1.5")])
    b = with_borrow(steady("b"), 400 * 90 * DAY // (500 * MS), [START, START + 500 * MS])
    run = replay(PACKAGE, [a, b], latency=LATENCY, out=tmp_path)
    table = cause_table(read_run(tmp_path))
    told = {name: table.amount(units) for name, units in table.causes if units}
    assert table.difference == 0
    assert told["dividend"] == pytest.approx(0.075) and told["borrow"] == pytest.approx(run.pnl()["borrow"])


def test_amounts_are_in_ticks() -> None:
    """1.5 of a quote currency at a tick of 0.1 is 15 ticks; what is no whole 1e-12 of one is rounded to it."""
    t = with_dividends(steady("a"), [(START, "1.5"), (START + MS, "0.1234567890123456")])
    words = of_kind(t.events, DIVIDEND)["ticks_e12"].tolist()
    assert words == [15 * 10**12, round(Fraction("1.234567890123456") * 10**12)]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda t: with_dividends(t, [(START - 1, 1)]), "within the tape"),
        (lambda t: with_dividends(t, [(START, 0)]), "more than 0"),
        (lambda t: with_dividends(t, [(START, "a lot")]), "decimal number"),
        (lambda t: with_dividends(t, [(START, 10**9)]), "less than"),
        (lambda t: with_borrow(t, -1), "rate of 0 or more"),
        (lambda t: with_borrow(t, 1, [START, START]), "rising"),
        (lambda t: with_borrow(t, 1, [START, START + DAY]), "within the tape"),
        (lambda t: with_borrow(t, 1, year_days=0), "1 or more"),
        (lambda t: with_status(t, [(START, START)]), "end after they start"),
        (lambda t: with_status(t, [(START, START + 9), (START + 8, START + 10)]), "apart"),
        (lambda t: with_status(t, [(START + DAY, START + 2 * DAY)]), "outside the tape"),
        (lambda t: with_status(t, [(START, START + 9)], OPEN), "NO_SHORT"),
        (lambda t: day_ns("2008-13-01"), "YYYY-MM-DD"),
    ],
)
def test_what_cannot_be_added(call: Any, text: str) -> None:
    with pytest.raises((ConfigError, DataError), match=text):
        call(steady("a"))


def test_an_inverse_contract_pays_no_dividend() -> None:
    t = steady("a", contract="inverse", currency="XYZ")
    with pytest.raises(ConfigError, match="inverse"):
        with_dividends(t, [(START, 1)])
    rows = with_dividends(steady("a"), [(START, 1)]).events
    with pytest.raises(DataError, match="row 0: a dividend on an inverse contract"):
        make_tape(t.instrument, rows, header=t.header)


# ---------------------------------------------------------------- short bans


def banned(n_days: int = 40) -> Tape:
    """A quote a day at 15:00 from 2008-09-10 on, with the ban of 2008 in it."""
    first = day_ns("2008-09-10") + 15 * HOUR - START
    rows = [top(first + d * DAY) for d in range(n_days)]
    return with_status(tape("a", rows, stale_ns=7 * DAY), [US_SHORT_BAN_2008_NS])


def wants(at: int, qty: float) -> Any:
    """A position of `qty` from quote `at` on (marketable)."""
    return tricky(trick=kit.TARGETS, at=at, leg=0, qty=qty, price=99.0 if qty < 0 else 101.0)


def test_the_short_ban_of_2008_refuses_new_shorts_and_lets_them_be_covered(tmp_path: Path) -> None:
    """Shorts before and after go, on each day of the ban (2008-09-19 to 10-08) they are refused with the reason;
    buying back is never refused, and what is long may be sold."""
    t = banned()
    of_day = {day: 1 + round((day_ns(day) - day_ns("2008-09-10")) / DAY) for day in ("2008-09-18", "2008-09-19")}
    of_day |= {day: 1 + round((day_ns(day) - day_ns("2008-09-10")) / DAY) for day in ("2008-10-08", "2008-10-09")}
    who = [
        wants(of_day["2008-09-18"], -0.05),  # 5 lots short
        wants(of_day["2008-09-19"], -0.02),  # refused
        wants(of_day["2008-09-19"] + 3, 0.03),  # covers 3 of them
        wants(of_day["2008-10-08"], -0.01),  # refused
        wants(of_day["2008-10-09"], -0.02),  # 2 more
    ]
    run = replay(who, [t], latency=LATENCY, out=tmp_path, limits=Limits(drawdown_value=None))
    refused = of_kind(run.rows, REFUSED)
    assert {REASONS[c] for c in refused["code"]} == {"short_ban"}
    assert set(refused["strategy"].tolist()) == {1, 3}
    first, last = int(refused["time_ns"].min()), int(refused["time_ns"].max())
    assert day_ns("2008-09-19") <= first < day_ns("2008-09-20")
    assert day_ns("2008-10-08") <= last < day_ns("2008-10-09")
    assert rerun(tmp_path, tapes=[t], strategies=who).equal
    own = run.engine.positions()["lots"][:, 0].tolist()
    assert own[0] == -5 and own[2] == 3 and own[4] == -2
    sells = of_kind(run.rows, COMMAND)
    inside = (sells["time_ns"] >= US_SHORT_BAN_2008_NS[0]) & (sells["time_ns"] < US_SHORT_BAN_2008_NS[1])
    assert not (sells["side"][inside] == SELL).any() and (sells["side"] == SELL).any()


def test_a_long_may_be_sold_in_a_ban() -> None:
    """Only what would leave the account short is refused."""
    ban = with_status(steady("a"), [(START + 300 * MS, START + 900 * MS)])
    holds = tricky(trick=kit.TARGETS, at=5, leg=0, qty=0.05, price=101.0)
    sells = tricky(trick=kit.TARGETS, at=50, leg=0, qty=-0.05, price=99.0)
    run = replay([holds, sells], [ban], latency=LATENCY)
    assert run.refusals() == {} and lots(run) == [0]


def test_a_ban_keeps_what_the_tape_says_of_its_sessions() -> None:
    """Closed stays closed inside a ban, opens as NO_SHORT, and the end of the ban opens no closed line."""
    rows = [status(i * MS, v) for i, v in ((10, CLOSED_SESSION), (20, OPEN), (30, CLOSED_SESSION))]
    t = tape("a", [top(0), *rows, top(100 * MS)])
    told = of_kind(with_status(t, [(START + 5 * MS, START + 40 * MS)]).events, STATUS)
    assert told["value"].tolist() == [NO_SHORT, CLOSED_SESSION, NO_SHORT, CLOSED_SESSION]
    told = of_kind(with_status(t, [(START + 5 * MS, START + 25 * MS)]).events, STATUS)
    assert told["value"].tolist() == [NO_SHORT, CLOSED_SESSION, NO_SHORT, OPEN, CLOSED_SESSION]
    told = of_kind(with_status(t, [(START + 12 * MS, START + 15 * MS)]).events, STATUS)
    assert told["value"].tolist() == [CLOSED_SESSION, OPEN, CLOSED_SESSION]
    assert of_kind(t.events, STATUS)["value"].tolist() == [CLOSED_SESSION, OPEN, CLOSED_SESSION], "the given tape stays"
    halted = of_kind(with_status(t, [(START, START + DAY)], PAUSED).events, STATUS)
    assert halted["value"].tolist() == [PAUSED, CLOSED_SESSION, PAUSED, CLOSED_SESSION]


def test_a_tape_of_bars_that_begins_with_a_ban_is_one_of_bars() -> None:
    """The venue matches by bars where the first quote is one, whatever rows stand before it."""
    bars = tape("a", [kit.row(BAR, i * HOUR, close=1_000 + i, volume=10) for i in range(5)])
    ban = with_status(bars, [(START - S, START + 2 * HOUR)])
    assert ban.events["kind"][0] == STATUS
    alone = tape("a", [status(0, PAUSED)])
    tapes = (bars, ban, steady("a"), alone)
    tables = [tape_table([t])[0] for t in tapes]
    found = [int(first_quote(int(rows), int(first), int(n))) for rows, n, _, first in tables]
    assert found == [BAR, BAR, TOP, 0]


# ---------------------------------------------------------------- T+1


def test_a_package_that_would_sell_todays_purchase_is_refused_whole(tmp_path: Path) -> None:
    """Bought at 22:33, wanted back at 23:13: neither leg is sent; after midnight both are."""
    tapes = [hours("a", 30, settle_days=1), hours("b", 30)]
    opens = tricky(trick=kit.PACKAGE_ONCE, at=5, qty=0.05)
    back_too_soon = tricky(trick=kit.PACKAGE_ONCE, at=13, leg=1, other=0, qty=0.05)
    back = tricky(trick=kit.PACKAGE_ONCE, at=40, leg=1, other=0, qty=0.05)
    run = replay([opens, back_too_soon, back], tapes, latency=LATENCY, out=tmp_path)
    sent = run.commands()
    assert sent["strategy"].tolist() == [0, 0, 2, 2]
    assert run.refusals() == {"unsettled": 1} and lots(run) == [0, 0]
    assert rerun(tmp_path, tapes=tapes, strategies=[opens, back_too_soon, back]).equal
    free = replay([opens, back_too_soon], [hours("a", 30), hours("b", 30)], latency=LATENCY)
    assert free.refusals() == {} and lots(free) == [0, 0], "without the rule the same package trades"


@strategy(memory={"n": "i8"})
def in_and_out(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """Buys 0.05 of leg 0 against leg 1 on the first day, 0.03 more on the second, then wants all of it back."""
    m.n += 1
    if m.n == 5 or m.n == 30:
        qty = 0.05 if m.n == 5 else 0.03
        package(orders, 1, (0, legs[0].ask * 1.01), (1, legs[1].bid * 0.99), qty)
    elif m.n == 40:
        package(orders, 2, (1, legs[1].ask * 1.01), (0, legs[0].bid * 0.99), 0.08, -1, 0, True)


def test_a_package_that_reduces_is_cut_to_what_may_be_sold() -> None:
    """Of 8 lots 3 were bought today: 5 are sold and 5 of the other leg bought back; without the rule all 8."""
    run = replay(in_and_out, [hours("a", 30, settle_days=1), hours("b", 30)], latency=LATENCY)
    assert lots(run) == [3, -3] and run.refusals() == {}
    assert run.commands()["qty"].tolist() == [5, 5, 3, 3, 5, 5]
    free = replay(in_and_out, [hours("a", 30), hours("b", 30)], latency=LATENCY)
    assert lots(free) == [0, 0]


def test_a_lost_hedge_of_todays_purchase_waits_for_tomorrow() -> None:
    """The leg that hedges is halted as its order arrives: what was bought cannot be sold back today, is not tried
    today, and is sold when the next trading day begins."""
    decided = 2 * HOUR // 6
    b = hours("b", 30, extra=(status(decided + MS + 50 * US, PAUSED),))
    run = replay(PACKAGE, [hours("a", 30, settle_days=1), b], latency=LATENCY)
    sent = run.commands()
    assert sent["leg"][:2].tolist() == [0, 1] and int(sent["time_ns"][0]) == START + decided
    midnight = (START // DAY + 1) * DAY
    sells = sent[(sent["leg"] == 0) & (sent["side"] == SELL)]
    assert len(sells) and int(sells["time_ns"].min()) >= midnight
    assert len(of_kind(run.rows, RESIDUAL_ROW)), "unhedged lots are told"
    assert "unsettled" not in run.refusals(), "planned around, not knocked at the gate"
    assert lots(run)[0] == 0 and run.closes() == 0


@strategy(seed=1, memory={"draw": "i8"})
def churner(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """Wants a random number of lots of leg 0, none to ten, at every quote of it: a day trader."""
    if event.leg == legs[0].leg:
        m.draw = (1_103_515_245 * (m.draw + p.seed) + 12_345) % 2_147_483_648
        wanted = 0.01 * (m.draw // 65_536 % 11)
        target(orders, 0, wanted, legs[0].ask * 1.01 if wanted > legs[0].position else legs[0].bid * 0.99)


def sold_beyond_the_open(run: Any) -> tuple[int, int, int]:
    """(days on which more was sold than was held as they began, least position, least settled position ever)."""
    held = least = least_settled = settled = beyond = day = 0
    sold = opened = 0
    for f in run.fills():
        if int(f["time_ns"]) // DAY != day:
            beyond += sold > opened
            day, sold, opened, settled = int(f["time_ns"]) // DAY, 0, held, held
        lots = int(f["side"]) * int(f["qty"])
        held += lots
        sold += max(-lots, 0)
        settled = opened - sold
        least, least_settled = min(least, held), min(least_settled, settled)
    return beyond + (sold > opened), least, least_settled


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_over_whole_sessions_nothing_is_sold_on_the_day_it_was_bought(seed: int) -> None:
    """A hundred hours of a day trader under T+1: on no day is more sold than was held as it began, the settled
    position is never below zero, and what was in the way is refused as `unsettled`; without the rule all of it is sold.
    """
    tapes = [hours("a", 600, settle_days=1), hours("b", 600)]
    run = replay(churner(seed=seed), tapes, latency=LATENCY)
    assert len(run.fills()) > 20 and run.refusals()["unsettled"] > 5
    assert sold_beyond_the_open(run) == (0, 0, 0)
    assert run.closes() == 0
    free = replay(churner(seed=seed), [hours("a", 600), hours("b", 600)], latency=LATENCY)
    beyond, least, settled = sold_beyond_the_open(free)
    assert "unsettled" not in free.refusals() and beyond >= 1 and least == 0 and settled < 0


# ---------------------------------------------------------------- whole or not at all


@pytest.mark.parametrize("small", ["a:XYZ-USD", "b:XYZ-USD"])
def test_a_package_with_one_refused_leg_sends_none(small: str) -> None:
    """Whichever leg breaks its limit, first or last: no leg is sent, and each says why."""
    limits = Limits(legs={small: LegLimits(order_value=1.0)})
    run = replay(PACKAGE, [steady("a"), steady("b")], latency=LATENCY, limits=limits)
    assert len(run.commands()) == 0 and run.refusals() == {"notional": 2}
    assert int(run.engine.state["blotter"]["n_open_packages"]) == 0


def test_order_tokens_are_kept_for_all_legs_of_a_package() -> None:
    """Two legs on one venue with one token: none goes; with two tokens both go. The same for messages a day."""
    other = steady("a")
    other = make_tape(msgspec.structs.replace(other.instrument, symbol="a:ABC-USD"), other.events, header=other.header)
    for words, reason in (
        ({"venue_orders_per_s": 0, "venue_burst": 1}, "order_rate"),
        ({"messages_per_day": 1}, "message_cap"),
    ):
        run = replay(PACKAGE, [steady("a"), other], latency=LATENCY, limits=Limits(**words))
        assert len(run.commands()) == 0 and run.refusals() == {reason: 2}
        more = {name: 2 for name, value in words.items() if value == 1} | {n: v for n, v in words.items() if v == 0}
        run = replay(PACKAGE, [steady("a"), other], latency=LATENCY, limits=Limits(**more))
        assert len(run.commands()) == 2 and run.refusals() == {}
