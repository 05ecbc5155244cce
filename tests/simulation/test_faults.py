"""What goes wrong in or around a strategy is stopped, and the text says what, where and what to do."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine_kit as kit
from engine_kit import FEES, LATENCY, MS, START, floods, odd_package, of_kind, steady, tape, top, tricky
from oneprice.core.arena import STRATEGY
from oneprice.core.errors import ConfigError, DataError, StrategyError
from oneprice.core.journal_read import JournalReader
from oneprice.core.records import (
    COMMAND,
    EVENT,
    HALTED,
    OPERATOR,
    R_BAD_INTENT,
    R_ORDER_RATE,
    R_POOL_FULL,
    REASONS,
    REFUSED,
    VIEW,
)
from oneprice.engine.state import Settings
from oneprice.execution.strategy import strategy
from oneprice.market.tape import join_events, make_tape
from oneprice.modes.fit import Fit
from oneprice.modes.paper import paper
from oneprice.modes.replay import replay
from oneprice.modes.rerun import rerun
from oneprice.risk.halt import STRATEGY_FAULT
from oneprice.risk.limits import Limits

HERE = Path(kit.__file__).name


def two() -> list:
    return [steady("a"), steady("b")]


FAULTS = [
    (kit.RAISES, "ValueError: on purpose", 'raise ValueError("on purpose")'),
    (kit.WILD_LEG, "IndexError", "legs[17].bid"),
    (kit.WILD_INTENT, "IndexError", "orders.intent[33]"),
    (kit.WILD_MEMORY, "IndexError", "m.log[1_000]"),
]


@pytest.mark.parametrize(("trick", "what", "line"), FAULTS)
def test_a_strategy_that_raises(trick: int, what: str, line: str, tmp_path: Path) -> None:
    """The text names error, file, line, event; the journal ends halted, without the intents of that call."""
    with pytest.raises(StrategyError) as caught:
        replay(tricky(trick=trick, at=7), two(), latency=LATENCY, out=tmp_path)
    text = str(caught.value)
    assert what in text and f"{HERE}:" in text and line in text
    assert f"kind 2 on leg 0 at {START + 3 * 10 * MS} ns" in text  # calls 1, 3, 5, 7 are of leg 0
    reader = JournalReader(tmp_path / "journal.op")
    rows = reader.read_rows()
    assert kit.halts(rows) == [(STRATEGY_FAULT, 0, HALTED)]
    assert not len(of_kind(rows, COMMAND))
    assert reader.closed
    again = rerun(tmp_path, tapes=two(), strategies=[tricky(trick=trick, at=7)])
    assert again.equal and again.fault == text
    assert int(again.run.engine.state["halt"]) == HALTED
    assert "ended with a fault" in str(again)


@pytest.mark.parametrize("drive", [replay, paper])
def test_a_fault_on_an_answer(drive: Any, tmp_path: Path) -> None:
    """A fault while an own response is folded is explained and recorded as one of venue data is."""
    bad = tricky(trick=kit.RAISES_ON_ACK, at=3, price=99.0)
    with pytest.raises(StrategyError):
        drive(bad, two(), latency=LATENCY, out=tmp_path)
    again = rerun(tmp_path, tapes=two(), strategies=[bad])
    assert again.equal and again.commands_again == 1
    assert (
        "on an answer" in again.fault and f"kind 10 on leg 0 at {START + 10 * MS + 200_000} ns" in again.fault
    )


def test_the_other_strategies_stop_with_it(tmp_path: Path) -> None:
    """A fault halts the engine for all strategies; what was sent before stays sent."""
    good = tricky(trick=kit.QUOTES_ALWAYS, at=2, price=99.0)
    with pytest.raises(StrategyError, match="tricky raised ValueError"):
        replay([good, tricky(trick=kit.RAISES, at=7)], two(), latency=LATENCY, out=tmp_path)
    rows = JournalReader(tmp_path / "journal.op").read_rows()
    sent = of_kind(rows, COMMAND)
    assert len(sent) == 1 and sent["strategy"].tolist() == [0]
    assert kit.halts(rows) == [(STRATEGY_FAULT, 0, HALTED)]


def test_a_fault_in_paper_ends_a_journal_that_can_be_rerun(tmp_path: Path) -> None:
    """Paper stops cleanly; rerun folds up to the fault, finds every byte equal and names the line."""
    bad = tricky(trick=kit.RAISES, at=9)
    with pytest.raises(StrategyError, match=r"halted; for the line: oneprice\.rerun") as caught:
        paper(
            [tricky(trick=kit.QUOTES_ALWAYS, at=2, price=99.0), bad],
            two(),
            latency=LATENCY,
            speed=0,
            out=tmp_path,
        )
    assert str(tmp_path) in str(caught.value)
    again = rerun(tmp_path, tapes=two(), strategies=[tricky(trick=kit.QUOTES_ALWAYS, at=2, price=99.0), bad])
    assert again.equal and again.commands_again == 1
    assert "on purpose" in again.fault and HERE in again.fault
    other = rerun(tmp_path, tapes=two(), strategies=[tricky(), tricky()])
    assert not other.equal and other.fault == ""


def test_a_strategy_that_writes_to_its_parameters(tmp_path: Path) -> None:
    """StrategyError that names it; paper sends nothing from that event on."""
    bad = tricky(trick=kit.WRITES_P, at=9)
    with pytest.raises(StrategyError, match=r"tricky wrote to its parameters `p`.*memory"):
        replay(bad, two(), latency=LATENCY)
    with pytest.raises(StrategyError, match="wrote to its parameters"):
        paper(bad, two(), latency=LATENCY, speed=0, out=tmp_path, durability="async")
    reader = JournalReader(tmp_path / "journal.op")
    assert len(reader.read_events()) == 0, "no answer came: nothing was sent"


def test_a_strategy_cannot_write_to_the_tape() -> None:
    """It is shown a copy of the event: the tape and what others see stay as they are."""
    chosen = two()
    before = [t.events.tobytes() for t in chosen]
    run = replay([tricky(trick=kit.WRITES_EVENT, at=9), tricky()], chosen, latency=LATENCY)
    assert [t.events.tobytes() for t in chosen] == before, "no mark of the engine either: the digests hold"
    assert kit.log_of(run.engine, 0) == kit.log_of(run.engine, 1)


def test_a_strategy_cannot_reach_a_leg_that_is_not_there() -> None:
    """It writes over the leg number of its view: a bad intent, and the next update sets the view right."""
    run = replay(tricky(trick=kit.WRITES_LEG, at=9, price=99.0), two(), latency=LATENCY)
    assert run.refusals() == {"bad_intent": 1} and not len(run.commands())
    st = run.engine.arena.section("strategies", STRATEGY)[0]
    views = run.engine.arena.buffer[int(st["views_off"]) :][: 2 * VIEW.itemsize].view(VIEW)
    assert views["leg"].tolist() == [0, 1]


def test_a_strategy_that_floods_orders() -> None:
    """Too many orders are refused as order_rate, and pool_full; another strategy's order still goes out."""
    limits = Limits(orders_per_s=1_000, burst=30, venue_burst=10_000, venue_orders_per_s=None)
    other = tricky(trick=kit.PACKAGE_ONCE, at=60, leg=1, other=2)
    tapes = [steady("a", ask=1_002), steady("b"), steady("c")]
    run = replay([floods.on("a:XYZ-USD"), other], tapes, latency=LATENCY, limits=limits)
    reasons = run.refusals()
    assert reasons.get("order_rate", 0) > 0 and reasons.get("pool_full", 0) > 0, reasons
    theirs = run.rows[run.rows["strategy"] == 1]
    assert len(of_kind(theirs, COMMAND)) == 2 and not len(of_kind(theirs, REFUSED))
    refused = of_kind(run.rows, REFUSED)
    assert set(refused["strategy"].tolist()) == {0}
    rate = refused[refused["code"] == R_ORDER_RATE]
    assert (rate["tif"] > rate["limit"]).all() and (rate["limit"] == 30).all(), (
        "observed and limit are stated"
    )
    assert int(run.engine.state["halt"]) == 0 and run.closes() == 0


def test_more_intents_than_a_call_may_hold() -> None:
    """Beyond 32 intents a call one REFUSED row of pool_full says how many there were too many."""
    run = replay(tricky(trick=kit.FLOODS_LIST, at=9), two(), latency=LATENCY)
    refused = of_kind(run.rows, REFUSED)
    assert (refused["code"] == R_POOL_FULL).sum() >= 1
    assert len(run.commands()) > 0 and run.closes() == 0


ODD: list[dict[str, Any]] = [
    dict(qty=math.nan),
    dict(qty=math.inf),
    dict(qty=-0.05),
    dict(qty=0.0),
    dict(price0=math.nan),
    dict(price0=math.inf),
    dict(leg0=7),
    dict(leg0=-1),
    dict(leg0=1),  # the same leg twice
    dict(ratio=math.nan),
    dict(ratio=-1.0),
    dict(ratio=math.inf),
    dict(maker=5),
]


@pytest.mark.parametrize("words", ODD, ids=str)
def test_a_package_that_makes_no_sense(words: dict[str, Any]) -> None:
    """NaN, infinite, negative or foreign: one REFUSED row bad_intent, no order, nothing open."""
    run = replay(odd_package(**{"price0": 101.0, **words}), two(), latency=LATENCY)
    refused = of_kind(run.rows, REFUSED)
    assert [int(c) for c in refused["code"]] == [R_BAD_INTENT], run.refusals()
    assert not len(run.commands())
    assert int(run.engine.state["blotter"]["n_open_packages"]) == 0


def test_the_sane_package_of_the_same_strategy() -> None:
    """The control: the same strategy with sane words trades; the refusals are of the odd word."""
    run = replay(odd_package(price0=101.0), two(), latency=LATENCY)
    assert len(run.fills()) == 2 and not len(of_kind(run.rows, REFUSED))


# ---------------------------------------------------------------- before anything is folded


def test_misspelt_parameter() -> None:
    """All valid names are listed and the nearest is proposed."""
    with pytest.raises(
        ConfigError, match=r"unknown parameter of tricky 'tirck': expected one of at, .*did you mean 'trick'"
    ):
        tricky(tirck=1)


@pytest.mark.parametrize("name", ["size", "mean", "data", "item"])
def test_forbidden_field_names(name: str) -> None:
    """Names that np.record uses are refused, in parameters and in memory."""

    def f(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None: ...

    with pytest.raises(ConfigError, match=f"field name '{name}'.*{name}_value"):
        strategy(**{name: 1.0})(f)
    with pytest.raises(ConfigError, match=f"field name '{name}'"):
        strategy(memory={name: "f8"})(f)


def refused_before(folder: Path, error: type[Exception], match: str, *args: Any, **words: Any) -> None:
    """The call is refused and the folder stays empty."""
    out = folder / "run"
    with pytest.raises(error, match=match):
        replay(*args, **{"latency": LATENCY, **words}, out=out)
    assert not out.exists(), f"half-written: {list(out.iterdir())}"


def test_no_tapes(tmp_path: Path) -> None:
    """No tape, and an empty one."""
    refused_before(tmp_path, ConfigError, "tapes: expected at least one", tricky, [])
    with pytest.raises(DataError, match="the tape is empty"):
        make_tape(kit.instrument("a"), np.zeros(0, EVENT), header=kit.HEADER)


def test_receive_time_going_back() -> None:
    """The row and both stamps are named."""
    with pytest.raises(
        DataError, match=rf"row 1, receive_ns: expected at least {START + 2 * MS}.*got {START + MS}"
    ):
        tape("a", [top(2 * MS), top(MS)])


def test_unknown_leg(tmp_path: Path) -> None:
    """Valid legs are listed, and a leg named in fees, latency or limits must exist too."""
    refused_before(
        tmp_path, ConfigError, "leg of strategy tricky 'z:XYZ-USD'.*a:XYZ-USD", tricky.on("z:XYZ-USD"), two()
    )
    refused_before(tmp_path, ConfigError, "symbol in fees 'z'", tricky, two(), fees={"z": FEES})
    refused_before(tmp_path, ConfigError, "symbol in latency 'z'", tricky, two(), latency={"z": LATENCY})
    refused_before(
        tmp_path,
        ConfigError,
        "latency: expected one for each leg, none for b",
        tricky,
        two(),
        latency={"a:XYZ-USD": LATENCY},
    )


def test_missing_fees(tmp_path: Path) -> None:
    """There is no default fee."""
    refused_before(tmp_path, ConfigError, "fees", tricky, [steady("a"), steady("b", fees=None)])


def test_a_leg_below_its_feed_latency(tmp_path: Path) -> None:
    """A feed that would tell us before the venue knew is refused; the text says which offset would do."""
    events = join_events([top(0), top(MS)])
    events["exchange_ns"][1] = events["receive_ns"][1] + 5
    early = make_tape(kit.instrument("a"), events, header=kit.HEADER)
    refused_before(
        tmp_path,
        DataError,
        "a:XYZ-USD: feed latency.*1 of 2 rows below, least -5 ns",
        tricky,
        [early, steady("b")],
    )


def test_a_fit_that_cannot_be(tmp_path: Path) -> None:
    """No latency or period, a request before the tape, no model: refused, nothing written."""

    def estimate(windows: list[np.ndarray]) -> dict[str, float]:
        return {"level": 1.0}

    good: dict[str, Any] = dict(estimator=estimate, first_ns=START, every_ns=MS, latency_ns=1)
    for bad, text in (
        (dict(latency_ns=0), "a fit takes time"),
        (dict(every_ns=0), "fit.every_ns"),
        (dict(first_ns=0), "fit.first_ns"),
        (dict(window_ns=-1), "fit.window_ns"),
        (dict(strategy=3), "fit.strategy"),
    ):
        refused_before(tmp_path, ConfigError, text, tricky, two(), fits=[Fit(**{**good, **bad})])
    refused_before(tmp_path, ConfigError, "`model` record.*got None", odd_package, two(), fits=[Fit(**good)])


def test_operator_words_that_cannot_be(tmp_path: Path) -> None:
    """Another kind, another dtype, out of order."""
    wrong = top(MS)
    refused_before(
        tmp_path, DataError, "operator, row 0: expected kind OPERATOR", tricky, two(), operator=wrong
    )
    back = kit.operator((2 * MS, 1), (MS, 1))
    assert (back["kind"] == OPERATOR).all()
    refused_before(tmp_path, DataError, "operator, row 1: expected receive_ns", tricky, two(), operator=back)


def test_settings_that_cannot_be(tmp_path: Path) -> None:
    """A period going backwards, a sink too small for one event."""
    for words, text in ((dict(sample_ns=-1), "settings.sample_ns"), (dict(sink_rows=4096), "sink_rows")):
        refused_before(tmp_path, ConfigError, text, tricky, two(), settings=Settings(**words))


def test_reasons_have_names() -> None:
    """Each code a REFUSED row can carry prints as a word."""
    assert REASONS[R_ORDER_RATE] == "order_rate" and REASONS[R_POOL_FULL] == "pool_full"
    assert REASONS[R_BAD_INTENT] == "bad_intent"
