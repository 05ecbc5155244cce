"""Calibration on real captures: what fits, what is refused, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneprice.core.instruments import Fees
from oneprice.market.importers.binance import import_binance, instrument_of_file
from oneprice.market.importers.bitstamp import bitstamp_instrument, import_bitstamp
from oneprice.study.fit_making import Calibration, calibrate

pytestmark = pytest.mark.data
FREE = Fees(maker_bp=0, taker_bp=0)


def binance(data_dir: Path, name: str) -> Calibration:
    path = data_dir / "binance_l2" / f"{name}_20240808.gz"
    return calibrate(import_binance(path, instrument_of_file(path, fees=FREE)))


def test_eth_spot_is_exponential_behind_its_touch(data_dir: Path) -> None:
    """Most orders stop at the touch; what goes through fits up to 26 cents, and the intervals say how well."""
    found = binance(data_dir, "spot_ethusdt")
    i, a = found.parts.intensity, found.parts.arrivals
    assert found.refused == "" and a.prints > 3 * a.distinct and a.at_touch > 0.7
    assert i.near > 0.005 and i.n < 0.3 * i.n_seen and i.misfit <= 0.25
    assert 7.0 < i.k_interval[0] < i.k_decay < i.k_interval[1] < 15.0
    assert found.parts.micro.table and found.flow.r2 > 0.3 > 10 * found.flow.r2_next


def test_eth_coin_perp_is_refused(data_dir: Path) -> None:
    """604 orders, most of which stop at the touch: no exponential, and too few behind it for a fit of their own."""
    found = binance(data_dir, "cm_ethusd_perp")
    assert "not exponential" in found.refused and found.parts.intensity.n < 1_000


def test_bitstamp_2015_is_refused(data_dir: Path) -> None:
    """Five hours, some 470 orders: none goes through the touch, so nothing is known of depth."""
    path = data_dir / "bitstamp_l3" / "2015-05-01.log.xz"
    found = calibrate(import_bitstamp(path, bitstamp_instrument()))
    assert found.parts.arrivals.distinct < 575 and "went through the touch, expected at least 50" in found.refused
