"""Fill truth on the AMZN sample: the check is exact and our best model beats each of hftbacktest's on Brier score."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneprice.market.importers.lobster import import_lobster, lobster_instrument
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
