"""Journals of sessions: never written over, snapshots on the way, recovered with a venue that died too."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import engine_kit as kit
from oneprice.cli.main import app
from oneprice.core import frames as fr
from oneprice.core.errors import ConfigError, JournalError
from oneprice.core.instruments import Fees
from oneprice.core.journal import Journal, JournalReader, cut_behind
from oneprice.core.records import COMMAND, FEE, FILL_ROW, ROW, TAX
from oneprice.execution.latency import constant
from oneprice.execution.venue import FillModel
from oneprice.market.synthetic import two_venues
from oneprice.market.tape import write_tape
from oneprice.modes import rebuild as rebuilding
from oneprice.modes.paper import paper
from oneprice.modes.reconcile import SimulatedVenue, reconcile
from oneprice.modes.recover import recover
from oneprice.modes.replay import replay
from oneprice.modes.rerun import rerun
from oneprice.modes.store import JOURNAL, UNFINISHED
from oneprice.strategies.cross_market import cross_market

LATENCY = constant(5_000, 8_000)  # microseconds: packages are in flight for many events
STRATEGY = cross_market(warm=50, k_sigma=1.5, edge_bp=0.5, alpha=0.01)
FILLS = FillModel(refill_half_life_ms=20.0)
EVERY = 40  # events between snapshots: many of them in a short session
SETTLE_NS = 100_000_000


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list]:
    """A finished paper session with snapshots, and its tapes."""
    tapes = list(two_venues(2, 0.1, real_per_minute=20.0).tapes)
    folder = tmp_path_factory.mktemp("whole")
    paper(
        STRATEGY,
        tapes,
        latency=LATENCY,
        fills=FILLS,
        speed=0,
        out=folder,
        durability="async",
        snapshot_events=EVERY,
    )
    return folder, tapes


def killed(whole: Path, folder: Path, frame: int) -> Path:
    """A copy of a session as it stood behind one of its frames."""
    folder.mkdir()
    for name in (JOURNAL, "epoch"):
        shutil.copy(whole / name, folder / name)
    cut_behind(folder / JOURNAL, JournalReader(folder / JOURNAL).frames[frame])
    return folder


def how(tapes: list) -> dict[str, Any]:
    return dict(tapes=tapes, strategies=[STRATEGY], settle_ns=SETTLE_NS, durability="async")


def sent_frames(folder: Path) -> list[int]:
    """Frames of rows with commands."""
    found = JournalReader(folder / JOURNAL).frames
    return [f.seq for f in found if f.kind == fr.ROWS and (rows_of(f)["kind"] == COMMAND).any()]


def rows_of(frame: Any) -> np.ndarray:
    return frame.payload.view(ROW)


# ---------------------------------------------------------------- a journal is not written over


def test_a_session_that_died_is_not_written_over(whole: tuple[Path, list], tmp_path: Path) -> None:
    """Neither a replay nor another session may take its place; its bytes stay as they are."""
    folder = killed(whole[0], tmp_path / "a", 40)
    with pytest.raises(ConfigError, match=r"lived in memory .* --data"):
        recover(folder, strategies=[STRATEGY])
    before = (folder / JOURNAL).read_bytes()
    for mode in (replay, paper):
        with pytest.raises(JournalError, match=r"did not end: recover it first \(oneprice recover .*--out"):
            mode(STRATEGY, whole[1], latency=LATENCY, out=folder)
    assert (folder / JOURNAL).read_bytes() == before
    with pytest.raises(JournalError, match="expected no journal, found that of a paper session"):
        replay(STRATEGY, whole[1], latency=LATENCY, out=whole[0])


def test_a_living_session_is_left_alone(whole: tuple[Path, list], tmp_path: Path) -> None:
    """While a process writes a journal nobody recovers it, cuts it or takes its place."""
    folder = killed(whole[0], tmp_path / "a", 40)
    before = (folder / JOURNAL).read_bytes()
    with Journal.resume(folder / JOURNAL, durability="async"):
        for touch in (
            lambda: recover(folder, **how(whole[1])),
            lambda: replay(STRATEGY, whole[1], latency=LATENCY, out=folder),
        ):
            with pytest.raises(JournalError, match="another process holds it open: stop that one first"):
                touch()
    assert (folder / JOURNAL).read_bytes() == before


def test_a_replay_gives_way_to_a_replay_only(tmp_path: Path) -> None:
    """It can be made again. An unfinished one is kept beside the new one; a session takes no used folder."""
    tapes = [kit.steady("a"), kit.steady("b")]
    wants = kit.tricky(trick=kit.PACKAGE_ONCE, at=5, qty=0.05)
    replay(wants, tapes, latency=kit.LATENCY, out=tmp_path)
    first = (tmp_path / JOURNAL).read_bytes()
    cut_behind(tmp_path / JOURNAL, JournalReader(tmp_path / JOURNAL).frames[-2])
    cut = (tmp_path / JOURNAL).read_bytes()
    for _ in range(2):
        replay(wants, tapes, latency=kit.LATENCY, out=tmp_path)
        assert (tmp_path / JOURNAL).read_bytes() == first
        assert (tmp_path / UNFINISHED).read_bytes() == cut
    with pytest.raises(JournalError, match="only a replay gives way, and only to a replay"):
        paper(wants, tapes, latency=kit.LATENCY, speed=0, out=tmp_path)
    with pytest.raises(JournalError, match="this is a replay: replay it again"):
        recover(tmp_path, tapes=tapes)


def test_a_session_takes_the_next_epoch_before_it_sends(tmp_path: Path) -> None:
    """The epoch is on disk and in each client id; the journal of a later epoch reruns to the same bytes."""
    tapes = [kit.steady("a"), kit.steady("b")]
    wants = kit.tricky(trick=kit.PACKAGE_ONCE, at=5, qty=0.05)
    for epoch in (1, 2, 3):
        run = paper(wants, tapes, latency=kit.LATENCY, speed=0, out=tmp_path, durability="async")
        ids = run.commands()["client_id"]
        assert len(ids) and (ids >> 43 == epoch).all()
        assert (tmp_path / "epoch").read_text() == f"{epoch}\n"
        assert JournalReader(tmp_path / JOURNAL).read_sessions()[0].epoch == epoch
        assert rerun(tmp_path, tapes=tapes, strategies=[wants]).equal
        (tmp_path / JOURNAL).unlink()  # the user's own decision


# ---------------------------------------------------------------- snapshots


def test_snapshots_are_taken_on_the_way_and_at_the_end(whole: tuple[Path, list]) -> None:
    """One every so many events, with the cursors of its moment; the last when the last event is folded."""
    snapshots = JournalReader(whole[0] / JOURNAL).read_snapshots()
    counts = [one.n_events for one in snapshots]
    assert len(counts) > 10 and (np.diff(counts[:-1]) == EVERY).all()
    assert sum(snapshots[-1].cursors) == sum(len(t) for t in whole[1])
    with pytest.raises(ConfigError, match="snapshot_events"):
        paper(STRATEGY, whole[1], latency=LATENCY, snapshot_events=0)


def test_from_a_snapshot_as_from_the_start(
    whole: tuple[Path, list], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed anywhere, the state is that of a fold from the start, byte for byte; so is what was unsent."""
    folder, tapes = whole
    found = JournalReader(folder / JOURNAL).frames
    whence = rebuilding._from_snapshot
    used = 0
    words = [f.seq for f in found if f.kind in (fr.EVENTS, fr.ROWS)]
    for at in sorted({*words[60 :: len(words) // 9], *sent_frames(folder)[4:8]}):
        one = killed(folder, tmp_path / f"at{at}", at)
        states = []
        for real in (True, False):
            monkeypatch.setattr(rebuilding, "_from_snapshot", whence if real else lambda *_: None)
            back = rebuilding.rebuild(one, tapes=tapes, strategies=[STRATEGY])
            states.append((back.engine.arena.snapshot(), back.cursor.tolist(), back.unsent.tobytes()))
        assert states[0] == states[1], at
        used += any(f.kind == fr.SNAPSHOT for f in found[:at])
    assert used > 5


def test_killed_behind_a_snapshot(whole: tuple[Path, list], tmp_path: Path) -> None:
    """Nothing was journalled after it: the session goes on from the snapshot's moment, not from before."""
    folder, tapes = whole
    seqs = [one.seq for one in JournalReader(folder / JOURNAL).read_snapshots()]
    for at in (seqs[1], seqs[len(seqs) // 2], seqs[-1]):
        one = killed(folder, tmp_path / f"at{at}", at)
        recovery = recover(one, **how(tapes))
        assert recovery.check is not None and recovery.check.equal, str(recovery)
        assert rerun(one, tapes=tapes, strategies=[STRATEGY]).equal


# ---------------------------------------------------------------- the venue died too


def test_killed_again_and_again_with_its_venue(whole: tuple[Path, list], tmp_path: Path) -> None:
    """The venue comes back from what was sent, under its own fill model; what never left stays unsent."""
    folder, tapes = whole
    sent = sent_frames(folder)
    one = killed(folder, tmp_path / "a", sent[3])
    for epoch, later in ((2, 5), (3, 9), (4, 4)):
        recovery = recover(one, **how(tapes))
        assert recovery.epoch == epoch
        assert recovery.check is not None and recovery.check.equal, str(recovery)
        assert recovery.run.closes() == 0
        again = rerun(one, tapes=tapes, strategies=[STRATEGY])
        assert again.equal, str(again)
        starts = [f.seq for f in JournalReader(one / JOURNAL).of_kind(fr.SESSION_START)]
        cut_behind(one / JOURNAL, JournalReader(one / JOURNAL).frames[starts[-1] + later])


def test_the_verb(tmp_path: Path) -> None:
    """`oneprice recover FOLDER` needs the folder alone where tapes are files and the strategy is shipped."""
    tapes = list(two_venues(2, 0.1, real_per_minute=20.0).tapes)
    for tape in tapes:
        write_tape(tmp_path / "tapes", tape)
    how = ["--speed", "0", "--latency-ms", "6", "--out", str(tmp_path / "w"), "--json"]
    for value in ("warm=50", "k_sigma=1.5", "edge_bp=0.5", "alpha=0.01"):
        how += ["--set", value]
    done = CliRunner().invoke(app, ["paper", str(tmp_path / "tapes"), *how])
    assert done.exit_code == 0, done.output
    one = killed(tmp_path / "w", tmp_path / "a", sent_frames(tmp_path / "w")[2])
    done = CliRunner().invoke(app, ["paper", str(tmp_path / "tapes"), "--out", str(one), "--json"])
    assert done.exit_code == 2 and "oneprice recover" in json.loads(done.stdout)["message"]
    done = CliRunner().invoke(app, ["recover", str(one), "--settle-ms", "100", "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["epoch"] == 2 and said["ambiguous_orders"] > 0 and said["reconciliation"]["equal"]
    assert said["run"]["open_orders"] == 0 and said["run"]["closes_exactly"]
    assert rerun(one).equal
    done = CliRunner().invoke(app, ["recover", str(one)])
    assert done.exit_code == 2 and "nothing to recover" in done.stderr
    done = CliRunner().invoke(app, ["recover", str(tmp_path / "nowhere")])
    assert done.exit_code == 2 and "there is none" in done.stderr


# ---------------------------------------------------------------- what a fill costs, through the whole engine


def test_a_taxed_leg_is_charged_once() -> None:
    """Fee and tax of each fill, by hand: the ledger has them once each and equals the venue's account."""
    fees = {
        "a:XYZ-USD": Fees(maker_bp=1, taker_bp=2, buy_tax_bp=3, sell_tax_bp=10),
        "b:XYZ-USD": Fees(maker_bp=1, taker_bp=2, buy_tax_bp=0, sell_tax_bp=5),
    }
    wants = kit.tricky(trick=kit.PACKAGE_ONCE, at=5, qty=0.05)
    run = replay(wants, [kit.steady("a"), kit.steady("b")], latency=kit.LATENCY, fees=fees)
    same = reconcile(run.engine, SimulatedVenue(run.venue))
    assert same.equal, str(same)
    fills = run.fills()
    assert len(fills) == 2 and sorted(fills["side"].tolist()) == [-1, 1]
    scale = 10 ** run.engine.scales.scale[0]
    fee = tax = 0
    for fill in fills:
        leg, price = int(fill["leg"]), int(fill["price"]) * Fraction(1, 10)
        value = price * int(fill["qty"]) * Fraction(1, 100)
        rates = fees[run.engine.scales.symbols[leg]]
        fee += value * 2 * scale / 10_000
        tax += value * (rates.buy_tax_bp if fill["side"] > 0 else rates.sell_tax_bp) * scale / 10_000
    causes = run.engine.positions()["causes"].sum(axis=(0, 1))
    assert tax > 0 and (int(causes[FEE]), int(causes[TAX])) == (-fee, -tax)
    assert {x.what: x.ledger for x in same.lines if x.symbol == "b:XYZ-USD"}["taxes"] > 0
    assert run.closes() == 0
    owners = fills["owner"]
    assert (owners == run.rows[run.rows["kind"] == COMMAND]["owner"][0]).all() and (owners > 0).all()
    assert (run.rows[run.rows["kind"] == FILL_ROW] == fills).all()


def test_the_manifest_names_the_report_currency() -> None:
    """Where the report looks for it."""
    from oneprice.study.report import report_currency

    run = replay(kit.tricky, [kit.steady("a")], latency=kit.LATENCY)
    assert run.manifest.extra["report_currency"] == run.report_currency == report_currency(run.manifest)
