"""All that is not a quote: samples, funding, status, expiry, the operator, timers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import engine_kit as kit
from engine_kit import LATENCY, MS, START, US, funding, of_kind, operator, status, steady, tape, top, tricky
from oneprice.core.records import (
    ACTIVE,
    CANCEL,
    CLOSED_SESSION,
    COMMAND,
    EQUITY,
    EXPIRED,
    HALTED,
    NEW,
    NO_PRICE,
    OP_CANCEL_ALL,
    OP_FLATTEN,
    OP_HALT,
    OP_REDUCE,
    OP_RESUME,
    OP_STOP,
    OPEN,
    OPERATOR,
    PAUSED,
    REDUCING,
    SAMPLE,
    TIMER,
)
from oneprice.engine.state import Settings
from oneprice.execution.strategy import Strategy
from oneprice.market.synthetic import two_venues
from oneprice.market.tape import Tape
from oneprice.modes.replay import replay
from oneprice.modes.rerun import rerun
from oneprice.modes.run import Run
from oneprice.risk.halt import OPERATOR_WORD
from oneprice.strategies.cross_market import cross_market

PACKAGE = tricky(trick=kit.PACKAGE_ONCE, at=5, qty=0.05)


def quotes(n: int = 100, step_ns: int = 10 * MS) -> list[np.ndarray]:
    return [top(i * step_ns) for i in range(n)]


def with_rows(venue: str, extra: list[np.ndarray], n: int = 100) -> Tape:
    """Steady quotes with some rows between them."""
    rows = sorted([*quotes(n), *extra], key=lambda r: int(r["receive_ns"][0]))
    return tape(venue, rows)


def reruns(run: Run, tapes: list[Tape], strategies: list[Strategy]) -> bool:
    """Whether the recording in the run's folder folds to the same bytes."""
    assert run.folder is not None
    return rerun(run.folder, tapes=tapes, strategies=strategies).equal


def lots(run: Run) -> list[int]:
    return run.engine.legs()["position_lots"].tolist()


# ---------------------------------------------------------------- samples


def test_causes_sum_to_equity_at_every_sample() -> None:
    """Each EQUITY group of four rows: equity - capital = the sum of the eleven causes, in ledger units."""
    chosen = list(two_venues(3, 3.0).tapes)
    run = replay([cross_market, cross_market(edge_bp=1.0, k_sigma=2.0)], chosen, latency=LATENCY)
    rows = of_kind(run.rows, EQUITY)
    assert rows["code"].tolist() == [0, 1, 2, 3] * (len(rows) // 4) and len(rows) > 4 * 170
    groups = rows.reshape(-1, 4)
    capital = run.engine.scales.units("USD", 1_000_000)
    causes = np.stack([groups[:, i][w] for i in (1, 2, 3) for w in "abcde"], axis=1)
    assert not causes[:, 11:].any()
    assert (groups[:, 0]["a"] - capital == causes.sum(axis=1)).all()
    assert len(np.unique(groups[:, 0]["a"])) > 10, "equity did move"
    assert (np.diff(groups[:, 0]["time_ns"]) >= 0).all()
    assert (groups[:, 0]["b"] == np.maximum.accumulate(np.maximum(groups[:, 0]["a"], capital))).all()
    samples = of_kind(run.rows, SAMPLE)
    assert len(samples) == 2 * len(groups)
    assert samples["c"][-2:].tolist() == lots(run)


def test_sample_period() -> None:
    """One sample a period, the first with the first row, the last at the end."""
    run = replay(tricky, [steady("a")], latency=LATENCY, settings=Settings(sample_ns=100 * MS))
    times = of_kind(run.rows, SAMPLE)["time_ns"] - START
    assert times.tolist() == [*range(0, 1_000 * MS, 100 * MS), 990 * MS]


# ---------------------------------------------------------------- funding, status, expiry


def test_funding_charges_longs_and_pays_shorts(tmp_path: Path) -> None:
    """Rate x notional at the mid: long 5 lots at 100.05 pays 0.01 %; the short leg has no funding."""
    tapes = [with_rows("a", [funding(500 * MS, 10**8)]), steady("b")]
    run = replay(PACKAGE, tapes, latency=LATENCY, out=tmp_path)
    assert lots(run) == [5, -5]
    assert run.pnl()["funding"] == pytest.approx(-0.05 * 100.05 * 1e-4, abs=1e-9)
    assert run.closes() == 0 and reruns(run, tapes, [PACKAGE])


def test_a_paused_leg_takes_no_order_and_opens_again(tmp_path: Path) -> None:
    """While a leg is paused or closed its orders are refused; after OPEN they go."""
    wants = tricky(trick=kit.QUOTES_ALWAYS, at=2, price=99.0)
    for state in (PAUSED, CLOSED_SESSION):
        tapes = [with_rows("a", [status(5 * MS, state), status(505 * MS, OPEN)])]
        run = replay(wants, tapes, latency=LATENCY, out=tmp_path)
        news = run.commands()
        assert len(news) == 1 and int(news["time_ns"][0]) > START + 505 * MS
        assert run.refusals().keys() == {"leg_closed"}
        assert int(run.engine.legs()["trading"][0]) == OPEN
        assert reruns(run, tapes, [wants])


def test_a_package_on_a_closed_leg_sends_neither_leg() -> None:
    """The open sibling is not sent alone."""
    run = replay(PACKAGE, [steady("a"), with_rows("b", [status(5 * MS, PAUSED)])], latency=LATENCY)
    assert not len(run.commands()) and run.refusals() == {"leg_closed": 1}


def test_expiry_settles_the_position_and_closes_its_sibling(tmp_path: Path) -> None:
    """The expired leg is settled in cash at the given price, what it hedged is closed, the books close."""
    tapes = [with_rows("a", [kit.expiry(500 * MS, 1_020)]), steady("b")]
    run = replay(PACKAGE, tapes, latency=LATENCY, out=tmp_path)
    legs = run.engine.legs()
    assert int(legs["trading"][0]) == EXPIRED
    assert int(legs["position_lots"][0]) == 0
    assert run.closes() == 0 and reruns(run, tapes, [PACKAGE])


def test_an_expired_leg_stays_expired() -> None:
    """A later status row does not open it again; its resting order is gone and new ones are refused."""
    wants = tricky(trick=kit.QUOTES_ALWAYS, at=2, price=99.0)
    tapes = [with_rows("a", [kit.expiry(500 * MS, NO_PRICE), status(600 * MS, OPEN)])]
    run = replay(wants, tapes, latency=LATENCY)
    assert int(run.engine.legs()["trading"][0]) == EXPIRED
    assert len(run.commands()) == 1 and run.refusals().keys() == {"leg_closed"}
    assert int(run.engine.state["blotter"]["n_open_orders"]) == 0


def test_expiry_while_a_package_is_half_filled() -> None:
    """One leg filled, the other rejected by expiry: the filled sibling is unwound, nothing stays naked."""
    slow = [top(i * 10 * MS) for i in range(100)]
    tapes = [tape("a", slow), with_rows("b", [kit.expiry(20 * MS + 150 * US, 1_000)])]
    run = replay(PACKAGE, tapes, latency=LATENCY)
    assert lots(run)[1] == 0
    assert lots(run)[0] == 0, "the sibling of an expired leg is closed"
    assert run.closes() == 0


# ---------------------------------------------------------------- the operator


def test_halt_reduce_resume(tmp_path: Path) -> None:
    """HALT refuses all, REDUCE what grows, RESUME lets orders go again; each leaves a row."""
    wants = tricky(trick=kit.QUOTES_ALWAYS, at=2, price=99.0)
    words = operator((5 * MS, OP_HALT), (205 * MS, OP_RESUME), (305 * MS, OP_REDUCE), (405 * MS, OP_RESUME))
    run = replay(wants, [steady("a")], latency=LATENCY, operator=words, out=tmp_path)
    assert kit.halts(run.rows) == [
        (OPERATOR_WORD, ACTIVE, HALTED),
        (OPERATOR_WORD, HALTED, ACTIVE),
        (OPERATOR_WORD, ACTIVE, REDUCING),
        (OPERATOR_WORD, REDUCING, ACTIVE),
    ]
    assert run.refusals().keys() <= {"halted", "reducing"} and run.refusals()["halted"] > 0
    news = run.commands()
    assert len(news) == 1 and int(news["time_ns"][0]) > START + 205 * MS
    assert not START + 305 * MS < int(news["time_ns"][0]) < START + 405 * MS
    assert of_kind(run.events, OPERATOR)["key"].tolist() == [OP_HALT, OP_RESUME, OP_REDUCE, OP_RESUME]
    assert reruns(run, [steady("a")], [wants])


def test_reduce_lets_positions_shrink() -> None:
    """While REDUCING a target nearer to zero trades, one further away does not."""
    buys = tricky(trick=kit.TARGETS, at=5, qty=0.05, price=101.0)
    grows = tricky(trick=kit.TARGETS, at=50, qty=0.10, price=101.0)
    run = replay([buys, grows], [steady("a")], latency=LATENCY, operator=operator((305 * MS, OP_REDUCE)))
    assert lots(run) == [5] and run.refusals() == {"reducing": 1}
    flat = replay(
        buys, [steady("a")], latency=LATENCY, operator=operator((305 * MS, OP_REDUCE), (405 * MS, OP_FLATTEN))
    )
    assert lots(flat) == [0] and flat.refusals() == {}


def test_cancel_all_withdraws_what_rests() -> None:
    """A CANCEL for each working order; the strategy may quote again (it is not stopped)."""
    once = tricky(trick=kit.QUOTES, at=2, price=99.0)
    run = replay(once, [steady("a")], latency=LATENCY, operator=operator((305 * MS, OP_CANCEL_ALL)))
    assert run.commands()["code"].tolist() == [NEW, CANCEL]
    assert int(run.commands()["time_ns"][1]) == START + 305 * MS
    assert int(run.engine.state["blotter"]["n_open_orders"]) == 0


def test_flatten_closes_every_position(tmp_path: Path) -> None:
    """All legs of all strategies are flat afterwards, and the books close."""
    words = operator((505 * MS, OP_FLATTEN))
    tapes = [steady("a"), steady("b")]
    both = [PACKAGE, tricky(trick=kit.TARGETS, at=9, qty=0.03, price=101.0)]
    run = replay(both, tapes, latency=LATENCY, operator=words, out=tmp_path)
    before = run.fills()[run.fills()["time_ns"] < START + 505 * MS]
    assert len(before) == 3
    assert lots(run) == [0, 0]
    assert not run.engine.positions()["lots"].any()
    assert run.closes() == 0 and reruns(run, tapes, both)


def test_stop_calls_strategies_no_more(tmp_path: Path) -> None:
    """After STOP working orders are cancelled and no new intent is taken; RESUME calls strategies again."""
    wants = tricky(trick=kit.QUOTES_ALWAYS, at=2, price=99.0)
    run = replay(wants, [steady("a")], latency=LATENCY, operator=operator((305 * MS, OP_STOP)), out=tmp_path)
    assert run.commands()["code"].tolist() == [NEW, CANCEL]
    assert max(at for at, _, _ in kit.log_of(run.engine, 0)) < 305 * MS
    assert int(run.engine.state["blotter"]["n_open_orders"]) == 0
    assert reruns(run, [steady("a")], [wants])
    words = operator((305 * MS, OP_STOP), (505 * MS, OP_RESUME))
    again = replay(wants, [steady("a")], latency=LATENCY, operator=words)
    assert again.commands()["code"].tolist() == [NEW, CANCEL, NEW]
    assert int(again.commands()["time_ns"][2]) == START + 510 * MS


def test_an_unknown_word_of_the_operator_does_nothing() -> None:
    """It is folded and journalled, and changes nothing."""
    wants = tricky(trick=kit.QUOTES_ALWAYS, at=2, price=99.0)
    run = replay(wants, [steady("a")], latency=LATENCY, operator=operator((305 * MS, 99)))
    assert run.commands()["code"].tolist() == [NEW] and len(of_kind(run.events, OPERATOR)) == 1


# ---------------------------------------------------------------- many legs, timers


def test_eight_legs_three_strategies(tmp_path: Path) -> None:
    """Each strategy sees its own legs in its own order, and its orders reach the right leg."""
    names = "abcdefgh"
    tapes = [
        tape(v, [top(i * 10 * MS + j * MS, 1_000 + 10 * j, 1_001 + 10 * j) for i in range(12)])
        for j, v in enumerate(names)
    ]
    symbols = [f"{v}:XYZ-USD" for v in names]
    own = [[7, 2, 5], [0], [1, 2, 3, 4, 6, 7]]
    strategies = [
        tricky(trick=kit.PACKAGE_ONCE, at=12, leg=0, other=2).on(*[symbols[i] for i in own[0]]),
        tricky(trick=kit.QUOTES, at=4, leg=0, price=99.0).on(symbols[0]),
        tricky(trick=kit.QUOTES, at=14, leg=3, price=103.0).on(*[symbols[i] for i in own[2]]),
    ]
    run = replay(strategies, tapes, latency=LATENCY, out=tmp_path)
    for k, mine in enumerate(own):
        market = [(at, leg) for at, kind, leg in kit.log_of(run.engine, k) if kind == 2]
        expected = [(i * 10 * MS + j * MS, j) for i in range(12) for j in sorted(mine)]
        seen = len(market)
        assert market == expected[:seen] and seen >= min(len(expected), 40)
    sent = {
        (int(c["strategy"]), int(c["leg"]), int(c["side"]), int(c["price"]))
        for c in of_kind(run.rows, COMMAND)
    }
    assert {(1, 0, 1, 990), (2, 4, 1, 1_030)} <= sent
    assert {(k, leg, side) for k, leg, side, _ in sent if k == 0} == {(0, 7, 1), (0, 5, -1)}
    positions = run.engine.positions()["lots"]
    assert positions[0].tolist() == [0, 0, 0, 0, 0, -5, 0, 5]
    assert run.closes() == 0 and reruns(run, tapes, strategies)


def test_timers_fire_at_their_deadline_and_are_journalled(tmp_path: Path) -> None:
    """A timer that sets itself again fires every 3.5 ms between quotes 10 ms apart, until the end."""
    beats = tricky(trick=kit.TIMERS, at=2)
    run = replay(beats, [steady("a", n=6)], latency=LATENCY, out=tmp_path)
    fired = of_kind(run.events, TIMER)
    at = fired["receive_ns"] - START
    assert (np.diff(at) == 3_500 * US).all() and int(at[0]) == 13_500 * US
    assert (
        (fired["key"] == 7).all()
        and (fired["owner"] == 0).all()
        and (fired["value"] == fired["receive_ns"]).all()
    )
    seen = [t for t, kind, _ in kit.log_of(run.engine, 0) if kind == TIMER]
    assert seen == at.tolist()[: len(seen)] and len(seen) > 20
    assert int(at[-1]) <= 50 * MS + 5_000 * MS
    assert reruns(run, [steady("a", n=6)], [beats])
