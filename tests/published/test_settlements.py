"""Real settlement files: places are mapped to contracts by the expiry table, extremes pass, exclusions are listed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oneprice.market.chains import day_number
from oneprice.market.settlements import Settlements, read_chain, read_settlements, read_vix


def of(data_dir: Path, root: str) -> Settlements:
    folder = data_dir / "futures_curves"
    return read_settlements(folder / "dflong.parquet", read_chain(folder / "expiry_table.parquet", root))


@pytest.mark.parametrize(("root", "rows"), [("CL", 169_596), ("NG", 168_732), ("BRN", 173_911), ("HO", 76_934)])
def test_every_price_finds_its_contract(data_dir: Path, root: str, rows: int) -> None:
    """All prices are placed, or listed; the front and the third move together over a roll only if it is on its day."""
    got = of(data_dir, root)
    assert np.isfinite(got.price).sum() == rows
    price, at = got.by_place(4)
    rolls = np.flatnonzero(at[1:, 0] != at[:-1, 0]) + 1
    assert len(rolls) > 200
    apart = []
    for shift in (-2, -1, 0, 1, 2):
        t = rolls[(rolls + shift > 0) & (rolls + shift < len(got))] + shift
        front, third = price[t, 0] - price[t - 1, 1], price[t, 2] - price[t - 1, 3]
        apart.append(float(np.nanmedian(np.abs(front - third))))
    assert apart[2] < 0.6 * min(apart[:2] + apart[3:])


def test_negative_oil_and_short_volatility(data_dir: Path) -> None:
    """2020-04-20 is -37.63 on the contract of May; 2018-02-05 is in the VIX file; its 21 late rows are listed."""
    oil = of(data_dir, "CL")
    at = np.searchsorted(oil.days, day_number("2020-04-20"))
    assert oil.price[at, oil.chain.place("CLK2020")] == -37.63
    vix = read_vix(data_dir / "vix_futures" / "vx_futures_by_contract.parquet")
    day = np.searchsorted(vix.days, day_number("2018-02-05"))
    assert vix.by_place(1)[0][day, 0] > 30
    assert vix.excluded[0].reason.startswith("21 rows: after the last trade")
    assert "close taken" in vix.excluded[-1].reason
    assert vix.chain.boundary == "none"
