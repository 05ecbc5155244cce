"""Who moves first: a planted lag is found on the receive clock, and what cannot be told is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from oneprice.cli.main import app
from oneprice.core.errors import ConfigError, DataError
from oneprice.core.instruments import Fees
from oneprice.market.importers import read_files
from oneprice.market.tape import write_tape
from oneprice.study.lead_lag import STEPS_MS, lead_lag
from oneprice.study.race_world import race_world


def test_a_planted_lag_is_found_either_way_round() -> None:
    """Jumps that the second venue makes 10 ms later on average: found within its scatter, and mirrored."""
    one, two = race_world(3, 200.0, lag_ms=10.0, wire_ms=1.0)
    found, mirror = lead_lag(one, two), lead_lag(two, one)
    assert 0.0 < found.low_ms <= found.lead_ms <= found.high_ms <= 25.0 and 4.0 <= found.lead_ms <= 15.0
    assert found.ratio > 1.3 and found.parts == 10 and "leader:XYZ-USD is seen to move before" in str(found)
    assert mirror.lead_ms == -found.lead_ms and mirror.ratio == pytest.approx(1.0 / found.ratio, rel=1e-9)
    assert mirror.correlation == pytest.approx(found.correlation[::-1], abs=1e-12)
    assert 0.0 in found.lags_ms and max(found.lags_ms) == 4 * max(STEPS_MS) and len(found.lags_ms) == 33
    assert abs(found.correlation[0]) < 0.05, "half a second away there is nothing"


def test_what_cannot_be_told_is_refused() -> None:
    """One leg twice, no time in common, mids that hardly move."""
    one, two = race_world(3, 40.0)
    with pytest.raises(ConfigError, match="expected two legs"):
        lead_lag(one, one)
    with pytest.raises(DataError, match="expected 100 or more changes of each mid"):
        lead_lag(one, two)
    later = two.events.copy()
    for name in ("receive_ns", "exchange_ns"):
        later[name] += 10**12
    with pytest.raises(DataError, match="got 0 and 0"):
        lead_lag(one, replace(two, events=later, exchange_order=None))


def test_a_model_stays_of_one_leg(tmp_path: Path) -> None:
    """--out with two legs is refused, and --page too where no --leg says which is the first."""
    for tape in race_world(3, 40.0):
        write_tape(tmp_path / "tapes", tape)
    words = ["fit", "market_making", "--tape", str(tmp_path / "tapes")]
    both = ["--leg", "leader:XYZ-USD", "--leg", "laggard:XYZ-USD"]
    for more in ([*both, "--out", str(tmp_path / "m.json")], ["--page", str(tmp_path / "p.html")]):
        done = CliRunner().invoke(app, [*words, *more])
        assert done.exit_code == 2 and "of one leg" in " ".join(done.stderr.split())


@pytest.mark.data
def test_the_perpetual_and_spot_of_binance(data_dir: Path, tmp_path: Path) -> None:
    """Correlation is largest where the perpetual is 10 ms ahead, twice as much of it on its side; in nine parts of ten
    neither is first. The verb says it, its JSON has it, and its page draws it with the order flow."""
    files = [data_dir / "binance_l2" / f"{name}_20240808.gz" for name in ("usdm_btcusdt", "spot_btcusdt")]
    tapes = read_files(files, format="binance", fees=Fees(maker_bp=10, taker_bp=10))
    found = lead_lag(*tapes)
    assert (found.lead_ms, found.low_ms, found.high_ms) == (10.0, -20.0, 50.0)
    assert found.at_lead == pytest.approx(0.594, abs=0.002) and found.ratio == pytest.approx(2.21, abs=0.01)
    assert "neither is seen to move first" in found.verdict and np.isfinite(found.correlation).all()
    for tape in tapes:
        write_tape(tmp_path / "tapes", tape)
    words = ["fit", "market_making", "--tape", str(tmp_path / "tapes"), "--page", str(tmp_path / "fit.html"), "--json"]
    words += ["--leg", "binance_usdm:BTCUSDT", "--leg", "binance:BTCUSDT"]
    told = json.loads(CliRunner().invoke(app, words).stdout)
    assert told["lead_lag"][0]["lead_ms"] == 10.0 and len(told["legs"]) == 2
    page = (tmp_path / "fit.html").read_text()
    for words_of_it in ("Who moves first", "binance_usdm:BTCUSDT ahead of", "Order flow and its own bar"):
        assert words_of_it in page
