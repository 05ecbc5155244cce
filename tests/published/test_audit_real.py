"""The audit on real data: a standing basis is no arbitrage, nor are most crosses of two dealers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oneprice.core.instruments import Fees
from oneprice.market.importers.binance import import_binance, instrument_of_file
from oneprice.market.importers.fx import import_fx
from oneprice.study.audit import CLEAN, audit

pytestmark = pytest.mark.data

CAPTURES = ("spot_{}usdt", "usdm_{}usdt", "cm_{}usd_perp")
TICKS = Path("fx_two_venues") / "eurusd_fxcm_oanda_ticks_201405.parquet"
BASE_TIER = Fees(maker_bp=2, taker_bp="7.5")
RETAIL_BP = 0.7  # each crossing of each leg: commission and mark-up of about one pip a round turn
STATED_BASIS_BP = {"btc": 3.7, "eth": 4.4}  # spot above USDT perp
STATED_CROSSES = {
    "oanda": (0.28, 0.085),
    "fxcm": (0.26, 0.078),
}  # sold there: % of rows, without and with 60 s


@pytest.mark.parametrize("coin", ["btc", "eth"])
def test_spot_above_perp_is_basis(coin: str, data_dir: Path) -> None:
    """Spot bid above perp ask 98-99.9 % of the time or more: all of it is basis, and nothing pays."""
    tapes = []
    for name in CAPTURES:
        path = data_dir / "binance_l2" / f"{name.format(coin)}_20240808.gz"
        tapes.append(import_binance(path, instrument_of_file(path, fees=BASE_TIER)))
    spot, perp, _ = (t.leg for t in tapes)
    found = audit(tapes, max_age_ms=2_000)
    naive = [d for d in found.directions if d.sell == spot]
    assert len(naive) == 2
    for d in naive:
        assert 0.98 <= d.gap_share <= 1.0
        rows = [r for r in found.rows if (r.buy, r.sell) == (d.buy, spot)]
        assert [r.label for r in rows] == ["basis"]
        assert rows[0].time_share == pytest.approx(d.gap_share, abs=1e-3)
        assert rows[0].net_bp["converge"] < -20.0  # four crossings of about 30 bp against a swing of 8 bp
        if d.buy == perp:
            assert d.slow_bp == pytest.approx(STATED_BASIS_BP[coin], abs=0.1)
    assert sum(r.paying[e] for r in found.rows for e in ("inventory", "converge")) == 0
    assert sum("clock offset estimated as -1,2" in n for n in found.notes) == 3


def test_dealer_crosses_by_definition(data_dir: Path) -> None:
    """FXCM and OANDA: shares as stated; most vanish when books must be sane; none survives costs.

    What is left are a few episodes in the seconds of news; 100 ms later none covers four retail crossings.
    """
    tapes = [
        import_fx(data_dir / TICKS, v, fees=Fees(0, RETAIL_BP), assumed_depth_lots=1)
        for v in ("fxcm", "oanda")
    ]
    found = audit(tapes, max_age_ms=60_000, slow_window_s=3_600, latency_ms=[0, 100])
    for d in found.directions:
        states, crossed, fresh, sane = d.states
        stated, stated_fresh = STATED_CROSSES[d.sell.split(":")[0]]
        assert 100 * crossed / states == pytest.approx(stated, abs=0.005)
        assert 100 * fresh / states == pytest.approx(stated_fresh, abs=0.0006)
        assert sane < fresh / 3
    assert found.count("self_crossed_venue") > 2 * found.count("clean")
    assert found.count("basis") == 0
    clean = found.episodes[found.episodes["label"] == CLEAN]
    costs = np.array([d.cost_bp["converge"] for d in found.directions])[clean["direction"]]
    assert len(clean) > 100
    assert np.median(clean["gap_bp"]) < 0.3
    assert np.count_nonzero(clean["net_converge_bp"] > 0) <= 3
    assert np.nanmax(clean["later_bp"][:, 1] - costs) < 0.0


def test_younger_quotes_are_fewer(data_dir: Path) -> None:
    """A tighter bound of the age turns clean gaps into stale ones and never makes more of them."""
    tapes = [
        import_fx(data_dir / TICKS, v, fees=Fees(0, RETAIL_BP), assumed_depth_lots=1)
        for v in ("fxcm", "oanda")
    ]
    counts = []
    for age_ms in (1e12, 60_000, 1_000):
        found = audit(tapes, max_age_ms=age_ms, slow_window_s=3_600, latency_ms=[0])
        counts.append((found.count("clean"), found.count("stale")))
    clean, stale = zip(*counts, strict=True)
    assert clean[0] > clean[1] > clean[2] > 0
    assert 0 == stale[0] < stale[1] < stale[2]
