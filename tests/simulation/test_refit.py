"""A strategy asks for a fit: who answers, what is seen, when it comes, and that every mode does the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import engine_kit as kit
from engine_kit import LATENCY, MS, START, US, of_kind, tape, top
from oneprice.core.errors import ConfigError
from oneprice.core.records import EVENT, LAST, MODEL, REFIT
from oneprice.execution.intents import quote, refit
from oneprice.execution.strategy import strategy
from oneprice.market.tape import Tape, make_tape
from oneprice.modes import paper as paper_mode
from oneprice.modes.fit import ANY_KEY, NEVER, Fit
from oneprice.modes.paper import paper
from oneprice.modes.recover import recover
from oneprice.modes.replay import replay, tagged
from oneprice.modes.rerun import rerun
from oneprice.modes.run import Run
from oneprice.modes.store import Store


@strategy(every=40, key=3, memory={"n": "i8", "model": kit.MODEL_DTYPE})
def asks(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """Asks for a fit at every 40th quote of leg 0; its quote rests at the model's level."""
    if event.kind <= 2 and event.leg == 0:
        m.n += 1
        if m.n % p.every == 0:
            refit(orders, int(p.key))
    if m.model.level > 0.0:
        quote(orders, 1, 0, 1, m.model.level, 0.01)


@strategy(memory={"n": "i8"})
def asks_without_a_model(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    m.n += 1
    if m.n == 5:
        refit(orders)


class Level:
    """The mean bid of leg 0 in its window, less 2: a function of what was received and nothing else."""

    def __init__(self) -> None:
        self.seen: list[list[bytes]] = []

    def __call__(self, windows: list[np.ndarray]) -> dict[str, float]:
        self.seen.append([w.tobytes() for w in windows])
        return {"level": float(windows[0]["bid"][-30:].mean()) * 0.1 - 2.0, "spread": float(len(windows[0]))}

    def fit(self, **words: Any) -> Fit:
        return Fit(estimator=self, latency_ns=3 * MS + 250 * US, **words)


def two(seed: int = 1) -> list[Tape]:
    """Two legs of quotes that wander, 2 s long, never at the same time."""
    rng = np.random.default_rng(seed)
    bids = 1_000 + np.cumsum(rng.integers(-2, 3, (2, 200)), axis=1)
    return [
        tape(venue, [top(i * 10 * MS + 5 * MS * leg, int(b), int(b) + 1) for i, b in enumerate(bids[leg])])
        for leg, venue in enumerate("ab")
    ]


ASKED = [START + (40 * n - 1) * 10 * MS for n in range(1, 6)]


def test_a_request_is_answered_on_what_was_received_by_then() -> None:
    """Each request is a REFIT row; the estimator sees rows up to it, its model comes a latency later, whole."""
    level, chosen = Level(), tagged(two())
    run = replay(asks, chosen, latency=LATENCY, fits=[level.fit(on_request=3)])
    rows = of_kind(run.rows, REFIT)
    assert rows["time_ns"].tolist() == ASKED
    assert rows["a"].tolist() == [3] * 5 and rows["b"].tolist() == [1, 2, 3, 4, 5]
    words = of_kind(run.events, MODEL)
    assert words["receive_ns"].tolist() == [at + 3 * MS + 250 * US for at in ASKED for _ in range(2)]
    assert words["flag_bits"].tolist() == [0, LAST] * 5
    for at, seen in zip(ASKED, level.seen, strict=True):
        assert seen == [t.events[t.events["receive_ns"] <= at].tobytes() for t in chosen]
    assert run.to_dict()["fits"] == {"run": 5, "asked": 5, "ignored": 0}
    assert len(run.commands()) > 1


@pytest.mark.parametrize(
    "words",
    [
        {"on_request": 3},
        {"on_request": ANY_KEY, "first_ns": START + 205 * MS, "every_ns": 300 * MS},
        {"on_request": 3, "first_ns": ASKED[0], "every_ns": 400 * MS, "min_gap_ns": 450 * MS, "window_ns": 100 * MS},
    ],
)
def test_replay_paper_and_rerun_are_one(words: dict[str, Any], tmp_path: Path) -> None:
    """Rows, private events and state: replay = paper, byte for byte, and both journals rerun to the same."""
    first, second = Level(), Level()
    fits = [[one.fit(**words)] for one in (first, second)]
    run = replay(asks, two(), latency=LATENCY, fits=fits[0], out=tmp_path / "r")
    live = paper(asks, two(), latency=LATENCY, fits=fits[1], out=tmp_path / "p", speed=0)
    assert first.seen == second.seen and len(first.seen) == run.extra["fits"]["run"] > 3
    assert run.extra == live.extra
    assert live.events.tobytes() == run.events.tobytes()
    assert live.rows.tobytes() == run.rows.tobytes()
    for folder in ("r", "p"):
        again = rerun(tmp_path / folder, tapes=two(), strategies=[asks])
        assert again.equal, str(again)
        assert again.run.rows.tobytes() == run.rows.tobytes()


def test_schedule_and_request_of_one_instant_run_once() -> None:
    """At the time of a request that is also scheduled the fit runs once, and the request is counted."""
    level = Level()
    run = replay(asks, two(), latency=LATENCY, fits=[level.fit(on_request=3, first_ns=ASKED[0], every_ns=400 * MS)])
    assert run.extra["fits"] == {"run": 5, "asked": 5, "ignored": 5}
    assert len(level.seen) == 5 and len(of_kind(run.events, MODEL)) == 10


def test_a_request_knows_the_scheduled_fits_of_its_strategy() -> None:
    """The gap is to the last fit of the strategy, whichever ran it; of two takers of one request both run."""
    plan, answer, second = Level(), Level(), Level()
    fits = [
        plan.fit(first_ns=ASKED[1] - 5 * MS, every_ns=10**12),
        answer.fit(on_request=3, min_gap_ns=10 * MS),
        second.fit(on_request=ANY_KEY, min_gap_ns=10 * MS),
    ]
    run = replay(asks, two(), latency=LATENCY, fits=fits)
    assert [len(one.seen) for one in (plan, answer, second)] == [1, 4, 4]
    assert run.extra["fits"] == {"run": 9, "asked": 5, "ignored": 1}


@pytest.mark.parametrize(("gap_ms", "ran"), [(400, 5), (401, 3), (900, 2)])
def test_a_request_too_soon_is_ignored_and_counted(gap_ms: int, ran: int) -> None:
    """Less than min_gap_ns after the fit before: not run. Requests come every 400 ms."""
    level = Level()
    run = replay(asks, two(), latency=LATENCY, fits=[level.fit(on_request=3, min_gap_ns=gap_ms * MS)])
    assert run.extra["fits"] == {"run": ran, "asked": 5, "ignored": 5 - ran}
    assert len(level.seen) == ran and len(of_kind(run.rows, REFIT)) == 5, "asking is written down all the same"


def test_requests_go_to_their_strategy_and_key() -> None:
    """Of two strategies with keys 3 and 4 each is fitted by those who take its key."""
    mine, other, wrong = Level(), Level(), Level()
    fits = [
        mine.fit(on_request=3),
        other.fit(on_request=ANY_KEY, strategy=1),
        wrong.fit(on_request=4),
    ]
    run = replay([asks, asks(every=100, key=4)], two(), latency=LATENCY, fits=fits)
    assert [len(one.seen) for one in (mine, other, wrong)] == [5, 2, 0]
    assert set(of_kind(run.events, MODEL)["owner"].tolist()) == {0, 1}


def test_without_a_fit_that_takes_requests_asking_changes_nothing() -> None:
    """Rows say that it asked; the run is that of a strategy whose model never comes."""
    run = replay(asks, two(), latency=LATENCY)
    assert len(of_kind(run.rows, REFIT)) == 5 and not len(run.commands())
    scheduled = Level()
    run = replay(asks, two(), latency=LATENCY, fits=[scheduled.fit(first_ns=START + MS, every_ns=10**12)])
    assert len(scheduled.seen) == 1 and run.extra["fits"]["asked"] == 0


def test_a_strategy_without_a_model_is_told() -> None:
    run = replay(asks_without_a_model, two(), latency=LATENCY)
    assert run.refusals() == {"bad_intent": 1} and not len(of_kind(run.rows, REFIT))


def test_a_fit_that_nothing_would_run_is_refused() -> None:
    with pytest.raises(ConfigError, match="got neither"):
        replay(asks, two(), latency=LATENCY, fits=[Level().fit()])
    with pytest.raises(ConfigError, match="min_gap_ns"):
        replay(asks, two(), latency=LATENCY, fits=[Level().fit(on_request=3, min_gap_ns=-1)])
    assert Level().fit(on_request=3).first_ns == NEVER


@pytest.mark.parametrize("n", [1, 3])
def test_what_comes_after_a_request_is_not_in_its_fit(n: int) -> None:
    """Other quotes behind the n-th request leave all that was seen, fitted and sent up to then as it was."""
    base, changed = Level(), Level()
    run = replay(asks, two(), latency=LATENCY, fits=[base.fit(on_request=3)])
    rng = np.random.default_rng(5)
    tapes = []
    for t in two():
        events = t.events.copy()
        late = (events["exchange_ns"] > ASKED[n - 1]) & (events["receive_ns"] > ASKED[n - 1])
        move = rng.integers(-30, 30, int(late.sum()))
        events["bid"][late] += move
        events["ask"][late] += move
        tapes.append(make_tape(t.instrument, events, header=t.header))
    other = replay(asks, tapes, latency=LATENCY, fits=[changed.fit(on_request=3)])
    assert changed.seen[:n] == base.seen[:n] and changed.seen[n:] != base.seen[n:]
    before, after = (of_kind(r.events, MODEL)[: 2 * n].tobytes() for r in (run, other))
    assert before == after
    upto = [r.commands()[r.commands()["time_ns"] <= ASKED[n - 1]].tobytes() for r in (run, other)]
    assert upto[0] == upto[1]
    assert run.rows.tobytes() != other.rows.tobytes(), "the future did change"


# ---------------------------------------------------------------- recovery


class Killed(Exception):
    """Stands for kill -9."""


class Dies(Store):
    """A store that dies once what it took satisfies `when`."""

    when: Any = None

    def drain(self, rows: np.ndarray, events: np.ndarray) -> None:
        super().drain(rows, events)
        if Dies.when(rows, events):
            raise Killed


@pytest.mark.parametrize("moment", ["request_in", "half_a_model", "model_in"])
def test_a_session_that_died_between_request_and_model_gets_it(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed behind a request, inside a model or behind it: recovery gives each model once, at its time and with its
    values, and the journal reruns byte for byte."""
    words: dict[str, Any] = {"on_request": 3, "first_ns": START + 100 * MS, "every_ns": 350 * MS, "min_gap_ns": 60 * MS}
    whole = replay(asks, two(), latency=LATENCY, fits=[Level().fit(**words)])

    def when(rows: np.ndarray, events: np.ndarray) -> bool:
        models = of_kind(events, MODEL)
        if moment == "request_in":
            return bool((of_kind(rows, REFIT)["b"] == 2).any())
        return bool(((models["version"] == 3) & (models["key"] == (0 if moment == "half_a_model" else 8))).any())

    Dies.when = staticmethod(when)
    monkeypatch.setattr(paper_mode, "Store", Dies)
    with pytest.raises(Killed):
        paper(asks, two(), latency=LATENCY, fits=[Level().fit(**words)], out=tmp_path, speed=0)
    with pytest.raises(ConfigError, match="fits: expected those of the session"):
        recover(tmp_path, tapes=two(), strategies=[asks])
    back = recover(tmp_path, tapes=two(), strategies=[asks], fits=[Level().fit(**words)], settle_ns=5 * MS)
    assert models_of(back.run) == models_of(whole)
    assert rerun(tmp_path, tapes=two(), strategies=[asks]).equal


def models_of(run: Run) -> list[tuple[int, ...]]:
    """(time, version, offset, word) of each word of a model."""
    words = of_kind(run.events, MODEL)
    assert words.dtype == EVENT
    return [tuple(int(w[name]) for name in ("receive_ns", "version", "key", "value")) for w in words]


def test_the_manifest_names_the_fits(tmp_path: Path) -> None:
    run = replay(asks, two(), latency=LATENCY, fits=[Level().fit(on_request=3, min_gap_ns=7)], out=tmp_path)
    text = msgspec.json.decode((tmp_path / "manifest.json").read_bytes())
    (fit,) = text["extra"]["fits"]
    assert fit["estimator"] == "Level" and fit["min_gap_ns"] == 7 and fit["on_request"] == 3
    assert run.manifest.extra["fits"] == [fit]
