"""Fill truth on the AMZN sample: the check is exact and our best model beats each of hftbacktest's on Brier score."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from oneprice.market.importers.bitstamp import bitstamp_instrument, import_bitstamp
from oneprice.market.importers.lobster import import_lobster, lobster_instrument
from oneprice.market.orders.world import OrderWorld, order_tape
from oneprice.study.fill_truth import fill_truth
from oneprice.study.rival_queue import RIVALS


def test_our_best_model_beats_hftbacktests(data_dir: Path) -> None:
    """2,290 hidden orders of NASDAQ: fifo is exact, the queue of sizes errs less than any model of depth."""
    tape = import_lobster(data_dir / "lobster" / "amzn_l1_20120621.parquet", lobster_instrument("AMZN"))
    try:
        import hftbacktest  # noqa: F401

        rivals = True
    except ImportError:
        rivals = False
    found = fill_truth(tape, rivals=rivals)
    brier = {s.model: s.brier for s in found.scores}
    assert found.probes == 2290 and found.filled == 524
    assert brier["fifo"] == 0.0
    assert found.best().model == "by_size"
    assert all(brier["by_size"] < v for k, v in brier.items() if k not in ("by_size", "fifo"))
    if not rivals:
        pytest.skip("hftbacktest is in the bench extra: its models were not run")
    assert {f"hftbacktest {name}" for name in RIVALS} <= set(brier)


def test_in_long_queues_our_best_model_beats_hftbacktests() -> None:
    """A world of long queues full of cancels, orders that rest as long as they would have: half the error of theirs.

    With the horizon "left" an optimist gains: that of a filled order is its fill, and a model a moment late is wrong.
    """
    pytest.importorskip("hftbacktest", reason="hftbacktest is in the bench extra: its models were not run")
    tape = order_tape(OrderWorld(n_messages=20_000, seed=7))
    found = {h: fill_truth(tape, horizon=h, rivals=True, most=600) for h in ("left", "rests")}
    brier = {h: {s.model: s.brier for s in f.scores} for h, f in found.items()}
    theirs = {h: min(v for k, v in b.items() if k.startswith("hftbacktest")) for h, b in brier.items()}
    assert found["rests"].best().model == "by_size" and brier["rests"]["by_size"] < 0.7 * theirs["rests"]
    assert brier["left"]["by_size"] > theirs["left"] == brier["left"]["hftbacktest power_prob2"]
    said = {s.model: s.predicted for s in found["rests"].scores}
    share = found["rests"].filled / found["rests"].probes
    assert said["hftbacktest power_prob2"] - share > 3 * abs(said["by_size"] - share)


def test_the_bitstamp_day_cannot_tell_models_apart(data_dir: Path) -> None:
    """58 hidden orders, six filled, at touches that held one order: every model but touch is right about all of them,
    hftbacktest's too, and their fills come when the true ones do."""
    tape = import_bitstamp(data_dir / "bitstamp_l3" / "2015-05-01.log.xz", bitstamp_instrument())
    rivals = importlib.util.find_spec("hftbacktest") is not None
    found = fill_truth(tape, rivals=rivals)
    assert (found.probes, found.filled) == (58, 6)
    for s in found.scores:
        assert (s.brier > 0.0) == (s.model == "touch")
        assert s.model == "touch" or (s.both, s.apart_s) == (6, pytest.approx(0.0, abs=1e-3))
