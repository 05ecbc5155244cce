"""Calibration from a tape: what is planted comes back, only the past is seen, a refit acts when it arrives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from engine_kit import LATENCY, MS, START, S, memory_of, of_kind, steady
from making_kit import exponential_tape
from oneprice.cli import fit_making
from oneprice.cli.main import app
from oneprice.core.errors import ConfigError, DataError
from oneprice.core.records import COMMAND, GAP, MODEL, NEW, TOP
from oneprice.dashboard.making_page import making_page
from oneprice.market.tape import Tape, make_tape, write_tape
from oneprice.modes.fit import Fit
from oneprice.modes.replay import replay
from oneprice.modes.rerun import rerun
from oneprice.study.fit_making import calibrate, making_estimator, read_quoting, write_model
from oneprice.study.making_streams import streams_of
from oneprice.study.making_text import text

MAKER = dict(gamma=0.05, qty=0.05, limit=0.5, arrivals_per_s=1.0, k_decay=5.0, warm_s=1.0)


@pytest.fixture(scope="module")
def planted() -> Tape:
    return exponential_tape(1, 600)


def test_what_is_planted_comes_back(planted: Tape) -> None:
    """A, k and sigma of the generator inside their 95 % intervals; the text and the model say the same."""
    found = calibrate(planted)
    i, s = found.parts.intensity, found.parts.sigma
    assert found.refused == ""
    assert i.arrivals_interval[0] < 2.0 < i.arrivals_interval[1] and i.k_interval[0] < 2.0 < i.k_interval[1]
    assert s.low < 0.2 < s.high and s.noise > 0.0
    assert found.parts.arrivals.distinct < found.parts.arrivals.prints and found.parts.arrivals.inside == 0
    told = text(found)
    assert f"{found.parts.arrivals.distinct:,} distinct arrivals" in told and "usable" in told
    model = found.model()
    assert model["sigma"] == s.sigma and model["k_decay"] == i.k_decay and model["fit_ns"] == found.fit_ns
    assert found.parts.micro.gain == 0.0 and "gain_micro" not in model, "queues say nothing in this world"
    half = calibrate(planted, near=0.1, far=0.8).parts.intensity
    assert half.near >= 0.1 and half.far <= 0.8 and half.k_interval[0] < 2.0 < half.k_interval[1]


def test_short_and_empty_tapes_are_refused(planted: Tape) -> None:
    """A minute has too few arrivals; a tape without prints or without quotes is an error."""
    minute = make_tape(planted.instrument, planted.events[: 60 * 8].copy(), header=planted.header)
    found = calibrate(minute)
    assert "distinct arrivals, expected at least" in found.refused and "REFUSED" in text(found)
    with pytest.raises(DataError, match="no model"):
        found.model()
    for kind in (TOP, 3):
        part = planted.events[planted.events["kind"] == kind].copy()
        with pytest.raises(DataError, match="quotes and trades"):
            calibrate(make_tape(planted.instrument, part, header=planted.header))
    with pytest.raises(DataError, match="quotes and trades"):
        calibrate(steady("a"))


def test_a_gap_is_no_exposure(planted: Tape) -> None:
    """Where updates are missing the touch before counts for nothing until the next."""
    events = planted.events.copy()
    tops = np.flatnonzero(events["kind"] == TOP)
    events["flag_bits"][tops[100]] |= GAP
    s, whole = streams_of(events, planted.instrument), streams_of(planted.events, planted.instrument)
    assert np.isnan(s.mid).sum() == 1 and np.isnan(s.mid[99]) and not np.isnan(whole.mid).any()
    late = whole.since(int(whole.touch_ns[50]) + 7)
    assert late.touch_ns[0] == whole.touch_ns[50] + 7 and late.bid[0] == whole.bid[50]
    assert len(late.trade_ns) == int((whole.trade_ns >= late.touch_ns[0]).sum())


# ---------------------------------------------------------------- refits


def fit_of(t: Tape, **words: Any) -> Fit:
    given = dict(first_ns=START + 200 * S, every_ns=150 * S, latency_ns=40 * MS)
    return Fit(**{"estimator": making_estimator(t.instrument), **given, **words})


def maker(**words: Any) -> Any:
    from oneprice.strategies import market_making

    return market_making(**{**MAKER, **words})


def test_refits_are_model_events_and_quotes_change_only_after_them(planted: Tape, tmp_path: Path) -> None:
    """Commands up to the first model's arrival are those of a run without; then they differ. The journal reruns."""
    plain = replay(maker(), [planted], latency=LATENCY).commands()
    run = replay(maker(), [planted], latency=LATENCY, fits=[fit_of(planted)], out=tmp_path)
    models = of_kind(run.events, MODEL)
    arrivals = sorted(set(models["receive_ns"].tolist()))
    assert arrivals == [START + at * S + 40 * MS for at in (200, 350, 500)]
    sent = run.commands()
    before, after = sent[sent["time_ns"] < arrivals[0]], sent[sent["time_ns"] >= arrivals[0]]
    assert len(before) > 20 and before.tobytes() == plain[plain["time_ns"] < arrivals[0]].tobytes()
    assert after.tobytes() != plain[plain["time_ns"] >= arrivals[0]].tobytes()
    assert after["time_ns"][0] == arrivals[0], "the new quotes go out with the model"
    held = memory_of(run.engine, 0)["model"][0]
    last = calibrate(make_tape(planted.instrument, past(planted, START + 500 * S), header=planted.header))
    assert held["k_decay"] == last.parts.intensity.k_decay and held["sigma"] == last.parts.sigma.sigma
    assert held["fit_ns"] <= START + 500 * S
    again = rerun(tmp_path, tapes=[planted], strategies=[maker()])
    assert again.equal, str(again)


def past(t: Tape, at_ns: int) -> np.ndarray:
    return t.events[t.events["receive_ns"] <= at_ns].copy()


def test_the_estimator_sees_the_past_alone(planted: Tape) -> None:
    """Another future after the request: the same model, byte for byte; another past: another."""
    other = exponential_tape(2, 600)
    cut = START + 200 * S
    late = other.events[other.events["receive_ns"] > cut]
    mixed = np.concatenate([past(planted, cut).view(np.uint8), late.view(np.uint8)]).view(planted.events.dtype)
    words = []
    for t in (planted, make_tape(planted.instrument, mixed, header=planted.header), other):
        run = replay(maker(), [t], latency=LATENCY, fits=[fit_of(t, every_ns=10_000 * S)])
        words.append(of_kind(run.events, MODEL)["value"].tobytes())
    assert words[0] == words[1] != words[2]


def test_a_refused_refit_withdraws_the_quotes(planted: Tape) -> None:
    """Too short a look back: the model is zeros, nothing is sent while it stands, the reason is kept."""
    estimator = making_estimator(planted.instrument, lookback_s=20.0)
    run = replay(maker(), [planted], latency=LATENCY, fits=[fit_of(planted, estimator=estimator)])
    at = START + 200 * S + 40 * MS
    sent = of_kind(run.rows, COMMAND)
    assert not (sent[sent["time_ns"] >= at]["code"] == NEW).any()
    assert len(estimator.refused) == 3 and "distinct arrivals" in next(iter(estimator.refused.values()))
    assert memory_of(run.engine, 0)["model"]["ready"][0] == 0.0
    whole = making_estimator(planted.instrument, lookback_s=1e6)([planted.events])
    assert whole["k_decay"] == making_estimator(planted.instrument)([planted.events])["k_decay"]
    assert making_estimator(planted.instrument)([planted.events[:0]]) == {}
    with pytest.raises(ConfigError, match="lookback_s"):
        making_estimator(planted.instrument, lookback_s=-1.0)


# ---------------------------------------------------------------- the verb and its file


def call(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


def test_the_verb_writes_a_model_that_is_put_in_force(planted: Tape, tmp_path: Path) -> None:
    """fit market_making prints tables, writes a page and a model; read back it quotes, behind its own tape only."""
    write_tape(tmp_path / "tapes", planted)
    model, page = tmp_path / "m.json", tmp_path / "p.html"
    done = call(
        "fit", "market_making", "--tape", str(tmp_path / "tapes"), "--out", str(model), "--page", str(page)
    )
    assert done.exit_code == 0, done.output
    for part in ("k_decay", "95 %", "deviance", "volatility signature", "order flow", "microprice", "usable"):
        assert part in done.output, part
    drawn = page.read_text()
    assert drawn.count("<svg") == 4 and "fitted range" in drawn and "Yes." in drawn
    found = read_quoting(model)
    assert found.values["k_decay"] == calibrate(planted).parts.intensity.k_decay and found.leg == planted.leg
    assert found.fit(0).first_ns == found.fit_ns and found.fit(found.fit_ns + 5).first_ns == found.fit_ns + 5
    first = call("fit", "market_making", "--tape", str(tmp_path / "tapes"), "--first", "300s", "--out", str(model))
    assert first.exit_code == 0 and read_quoting(model).fit_ns <= START + 301 * S
    assert int(first.output.partition(" bars of 1 s")[0].split()[-1]) <= 301, "the same rows as the fit, none later"
    run = call("replay", str(tmp_path / "tapes"), "--strategy", "market_making", "--model", str(model), "--json",
               *(f"--set={k}={v}" for k, v in MAKER.items() if k != "k_decay"))  # fmt: skip
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["closes_exactly"]
    told = call("fit", "market_making", "--tape", str(tmp_path / "tapes"), "--json")
    assert json.loads(told.stdout)["parts"]["intensity"]["k_decay"] == found.values["k_decay"]
    rows = {row["name"]: row for row in json.loads(told.stdout)["microstructure"]["explained"]}
    assert rows["order flow imbalance"]["n"] > 500 and rows["order flow imbalance"]["r2_next"] < 0.02
    assert "R2 next bar" in done.output and done.output.index("R2 next bar") < done.output.index("usable")
    assert "What explains a move" in drawn and "order flow imbalance" in drawn and "contemporaneous" in drawn


def test_without_bars_the_page_says_why(planted: Tape) -> None:
    """Microstructure that the rows cannot carry is a line with its reason, in the text and on the page."""
    few = make_tape(planted.instrument, planted.events[:16].copy(), header=planted.header)
    why = fit_making.explained(few)
    assert isinstance(why, str) and "bars" in why
    drawn = making_page(calibrate(planted), planted.header, why)
    assert f"not told: {why[:20]}" in drawn and "What explains a move" in drawn
    assert "What explains a move" not in making_page(calibrate(planted), planted.header)


def test_the_verb_refuses_with_status_1(planted: Tape, tmp_path: Path) -> None:
    """Refused data: the reason, exit status 1, no model. Wrong words: status 2."""
    minute = make_tape(planted.instrument, planted.events[:480].copy(), header=planted.header)
    write_tape(tmp_path / "tapes", minute)
    model = tmp_path / "m.json"
    done = call("fit", "market_making", "--tape", str(tmp_path / "tapes"), "--out", str(model))
    assert done.exit_code == 1 and "REFUSED: intensity" in done.output and not model.exists()
    told = json.loads(call("fit", "market_making", "--tape", str(tmp_path / "tapes"), "--json").stdout)
    assert told["refused"] and "tick GARCH" in told["microstructure"]["refused"]
    assert call("fit", "market_making").exit_code == 2
    assert call("fit", "market_making", "--tape", str(tmp_path / "none")).exit_code == 2
    assert call("fit", "market_making", "--tape", str(tmp_path / "tapes"), "--first", "3m").exit_code == 2
    assert call("fit", "stat_arb").exit_code == 2


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("{", "not a model"), ("[]", "expected a quoting model"), ('{"format": 1, "kind": "slots"}', "quoting model"),
        ('{"format": 1, "kind": "quoting", "values": {"sigma": 1}}', "values"),
        ('{"format": 1, "kind": "quoting", "values": {"fit_ns": 1, "sigma": "x", "arrivals_per_s": 1, "k_decay": 1}}',
         "expected numbers"),
    ],
)  # fmt: skip
def test_files_that_are_no_models(content: str, match: str, tmp_path: Path) -> None:
    """Torn JSON, another kind, missing or wrong words: DataError that names the file."""
    path = tmp_path / "m.json"
    path.write_text(content)
    with pytest.raises(DataError, match=match):
        read_quoting(path)
    with pytest.raises(DataError, match="no such model"):
        read_quoting(tmp_path / "none.json")


def test_a_refused_calibration_writes_nothing(planted: Tape, tmp_path: Path) -> None:
    """`write_model` raises and leaves no file."""
    minute = make_tape(planted.instrument, planted.events[:480].copy(), header=planted.header)
    with pytest.raises(DataError, match="no model"):
        write_model(calibrate(minute), tmp_path / "m.json")
    assert list(tmp_path.iterdir()) == []
