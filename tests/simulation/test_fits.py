"""Fits know the past only: what an estimator sees, when its model arrives, and that nothing looks ahead."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

import engine_kit as kit
from engine_kit import LATENCY, MS, START, US, of_kind, steady, tape, top, tricky
from oneprice.core.errors import ConfigError
from oneprice.core.records import BOOK, CANCEL, COMMAND, LAST, MODEL, NEW
from oneprice.market.synthetic import two_venues
from oneprice.market.tape import Tape, make_tape
from oneprice.modes.fit import Fit
from oneprice.modes.replay import replay, tagged
from oneprice.modes.rerun import rerun
from oneprice.strategies.cross_market import cross_market

FOLLOWS = tricky(trick=kit.FOLLOWS_MODEL, qty=0.01)
REQUESTS = [START + 200 * MS, START + 450 * MS, START + 700 * MS, START + 950 * MS]


class Watch:
    """An estimator that remembers what it was shown: its level is 95 + the number of the fit."""

    def __init__(self) -> None:
        self.seen: list[list[np.ndarray]] = []

    def __call__(self, windows: list[np.ndarray]) -> dict[str, float]:
        self.seen.append([w.copy() for w in windows])
        return {"level": 95.0 + len(self.seen), "spread": float(len(self.seen))}

    def fit(self, latency_ns: int, **words: int) -> Fit:
        return Fit(estimator=self, first_ns=REQUESTS[0], every_ns=250 * MS, latency_ns=latency_ns, **words)


def two() -> list[Tape]:
    return [steady("a"), tape("b", [top(5 * MS + i * 10 * MS) for i in range(99)])]


def test_an_estimator_sees_rows_received_by_its_request() -> None:
    """Each window ends with the last row of receive_ns <= request; window_ns cuts the old end."""
    watch = Watch()
    chosen = tagged(two())
    replay(FOLLOWS, chosen, latency=LATENCY, fits=[watch.fit(MS)])
    assert len(watch.seen) == len(REQUESTS)
    for at, windows in zip(REQUESTS, watch.seen, strict=True):
        for t, window in zip(chosen, windows, strict=True):
            due = t.events["receive_ns"] <= at
            assert window.tobytes() == t.events[due].tobytes()
    assert watch.seen[0][0]["receive_ns"][-1] == REQUESTS[0], "a row of the request's own nanosecond is seen"
    short = Watch()
    replay(FOLLOWS, two(), latency=LATENCY, fits=[short.fit(MS, window_ns=100 * MS)])
    for at, windows in zip(REQUESTS, short.seen, strict=True):
        assert all(
            (w["receive_ns"] >= at - 100 * MS).all() and (w["receive_ns"] <= at).all() for w in windows
        )
        assert len(windows[0]) == 11 and len(windows[1]) == 10


@pytest.mark.parametrize("latency_ns", [1, 3 * MS + 700 * US, 400 * MS])
def test_a_model_arrives_after_its_latency_and_not_before(latency_ns: int) -> None:
    """MODEL words come at request + latency, all words of one model at once; until then the strategy acts on
    the model before.
    """
    run = replay(FOLLOWS, two(), latency=LATENCY, fits=[Watch().fit(latency_ns)])
    words = of_kind(run.events, MODEL)
    arrivals = [at + latency_ns for at in REQUESTS]  # also behind the last row: it was asked for before
    assert words["receive_ns"].tolist() == [at for at in arrivals for _ in range(2)]
    assert words["flag_bits"].tolist() == [0, LAST] * len(arrivals)
    sent = run.commands()
    news, cancels = sent[sent["code"] == NEW], sent[sent["code"] == CANCEL]
    assert news["price"].tolist() == [960 + 10 * i for i in range(len(arrivals))], "one price a model"
    assert news["time_ns"].tolist() == [arrivals[0], *[at + 200 * US for at in arrivals[1:]]]
    assert cancels["time_ns"].tolist() == arrivals[1:], "the old quote stands until the new model is here"
    calls = [at for at, kind, _ in kit.log_of(run.engine, 0) if kind == MODEL]
    assert all(at + START in arrivals for at in calls)


def test_two_strategies_have_two_models() -> None:
    """A fit reaches its own strategy only."""
    one, other = Watch(), Watch()
    fits = [one.fit(MS), replace_fit(other.fit(2 * MS), strategy=1)]
    run = replay([FOLLOWS, tricky(trick=kit.FOLLOWS_MODEL, qty=0.02)], two(), latency=LATENCY, fits=fits)
    first = run.commands()
    assert [(int(c["strategy"]), int(c["time_ns"]) - START) for c in first[:2]] == [
        (0, 201 * MS),
        (1, 202 * MS),
    ]
    assert (
        kit.memory_of(run.engine, 0)["model"]["level"][0]
        == kit.memory_of(run.engine, 1)["model"]["level"][0]
        == 99.0
    )


def replace_fit(fit: Fit, **words: int) -> Fit:

    return msgspec.structs.replace(fit, **words)


def test_a_journal_with_models_reruns_byte_for_byte(tmp_path: Path) -> None:
    """The journal holds the words: a rerun needs no estimator; model memory is in the state compared."""
    run = replay(FOLLOWS, two(), latency=LATENCY, fits=[Watch().fit(3 * MS)], out=tmp_path)
    assert len(run.commands()) == 1 + 2 * 3
    again = rerun(tmp_path, tapes=two(), strategies=[FOLLOWS])
    assert again.equal, str(again)
    assert again.run.engine.arena.snapshot() == run.engine.arena.snapshot()


def test_an_estimator_that_answers_nonsense(tmp_path: Path) -> None:
    """A value the model does not have is an error with the valid names; the journal has no end mark."""

    def estimate(windows: list[np.ndarray]) -> dict[str, float]:
        return {"slope": 1.0}

    fit = Fit(estimator=estimate, first_ns=REQUESTS[0], every_ns=MS, latency_ns=1)
    with pytest.raises(ConfigError, match="model value 'slope': expected one of level, spread"):
        replay(FOLLOWS, two(), latency=LATENCY, fits=[fit], out=tmp_path)


# ---------------------------------------------------------------- nothing looks ahead


def mid_fit(first_ns: int) -> Fit:
    """The mid of leg 0's last touch prices, from the past."""

    def estimate(windows: list[np.ndarray]) -> dict[str, float]:
        rows = windows[0][windows[0]["kind"] == BOOK]
        return {"level": float(rows["price"][-50:].mean()) * 0.2 - 10.0}

    return Fit(estimator=estimate, first_ns=first_ns, every_ns=3_000 * MS, latency_ns=40 * MS, strategy=1)


def altered(t: Tape, after_ns: int, how: str) -> Tape:
    """Rows that venue or we first learn of after a time: prices moved and sizes redrawn, or all gone."""
    events = t.events.copy()
    late = events["exchange_ns"] + t.clock_offset_ns > after_ns
    late &= events["receive_ns"] > after_ns
    if how == "cut":
        return make_tape(
            t.instrument,
            events[~late],
            header=t.header,
            clock_offset_ns=t.clock_offset_ns,
            clock_bound_ns=t.clock_bound_ns,
        )
    rng = np.random.default_rng(after_ns % 1_000)
    n = int(late.sum())
    events["price"][late] += rng.integers(-400, 400, n)
    events["qty"][late] = rng.integers(0, 5_000, n)
    return make_tape(
        t.instrument,
        events,
        header=t.header,
        clock_offset_ns=t.clock_offset_ns,
        clock_bound_ns=t.clock_bound_ns,
    )


@pytest.fixture(scope="module")
def base() -> tuple[list[Tape], np.ndarray]:
    chosen = list(two_venues(11, 1.5).tapes)
    run = replay(
        [cross_market(warm=200, edge_bp=0.5), FOLLOWS],
        chosen,
        latency=LATENCY,
        fits=[mid_fit(first_of(chosen))],
    )
    assert {0, 1} <= set(run.commands()["strategy"].tolist())
    return chosen, run.commands()


def first_of(chosen: list[Tape]) -> int:
    return int(chosen[0].events["receive_ns"][0]) + 1_000 * MS


@pytest.mark.parametrize("how", ["noise", "cut"])
@pytest.mark.parametrize("share", [0.23, 0.5, 0.77])
def test_nothing_looks_ahead(base: tuple[list[Tape], np.ndarray], share: float, how: str) -> None:
    """Altering every row that happens after t leaves each command up to t as it was, byte for byte."""
    chosen, commands = base
    at = int(commands["time_ns"][int(share * len(commands))])
    changed = [altered(t, at, how) for t in chosen]
    run = replay(
        [cross_market(warm=200, edge_bp=0.5), FOLLOWS],
        changed,
        latency=LATENCY,
        fits=[mid_fit(first_of(chosen))],
    )
    before, after = commands[commands["time_ns"] <= at], of_kind(run.rows, COMMAND)
    kept = after[after["time_ns"] <= at]
    assert len(before) > 3
    assert kept.tobytes() == before.tobytes()
    assert after.tobytes() != commands.tobytes(), "the future did change"
    assert run.closes() == 0


def test_altering_the_past_does_change_commands(base: tuple[list[Tape], np.ndarray]) -> None:
    """The control of the law above: it can fail."""
    chosen, commands = base
    at = int(commands["time_ns"][len(commands) // 2])
    changed = [altered(t, at - 20_000 * MS, "noise") for t in chosen]
    run = replay(
        [cross_market(warm=200, edge_bp=0.5), FOLLOWS],
        changed,
        latency=LATENCY,
        fits=[mid_fit(first_of(chosen))],
    )
    kept = run.commands()[run.commands()["time_ns"] <= at]
    assert kept.tobytes() != commands[commands["time_ns"] <= at].tobytes()
