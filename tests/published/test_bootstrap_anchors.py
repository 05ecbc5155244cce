"""Published discount factors of EONIA and SOFR come out of their quotes; a moved quote is solved as a rebuild is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.signals.curve.bootstrap import CONVENTIONS, Quote, bootstrap
from oneprice.signals.curve.rates import forward_rate, zero_rate
from oneprice.signals.curve.resolve import resolve
from oneprice.study.anchors_bootstrap import FOLDER, SETS, bootstrap_anchors, published_set

pytest.importorskip("QuantLib")
DEPOSITS = [Quote("deposit", "1W", 0.053), Quote("deposit", "3M", 0.0541)]
FUTURES = [Quote("future", "2", 94.65, 1e-5), Quote("future", "3", 94.63, 2e-5), Quote("future", "4", 94.6, 4e-5)]
SWAPS = [Quote("swap", "2Y", 0.0496), Quote("swap", "5Y", 0.0459), Quote("swap", "30Y", 0.0437)]


def test_every_row_passes(data_dir: Path) -> None:
    """480 zero rates are within .05 bp of the published ones (here within 1e-9), and QuantLib's swap to 1e-11."""
    rows = bootstrap_anchors(data_dir)
    assert [r.id for r in rows if not r.passed] == []
    assert max(abs(r.computed) for r in rows if r.id != "F02.ois") < 1e-8


@pytest.mark.parametrize("name", list(SETS))
def test_our_solver_is_quantlibs(data_dir: Path, name: str) -> None:
    """From a flat guess the compiled solver ends where QuantLib did; a moved quote ends where a rebuild ends."""
    made = published_set(data_dir / FOLDER, name)
    years, logs = made.curve.years, -0.02 * made.curve.years
    assert resolve(years, logs, np.array([q.rate for q in made.quotes]), made._flows, made._ends, 0) == -1
    assert np.abs(logs - made.curve.log_discount).max() < 1e-12
    assert np.abs(made.errors()).max() < 1e-11
    for place in (0, 7, len(made.quotes) - 1):
        moved = made.move(place, made.quotes[place].rate + 2.5e-4)
        fresh = bootstrap(made.anchor, made.quotes, name).curve
        assert np.abs(moved.log_discount - fresh.log_discount).max() < 1e-11


def test_deposits_futures_and_swaps_make_one_curve() -> None:
    """Each quote is priced; convexity lowers the forward by what was stated; a future moves by its price."""
    made = bootstrap("2023-10-19", [*SWAPS, *FUTURES, *DEPOSITS], "USD-3M")
    assert [q.tenor for q in made.quotes] == ["1W", "3M", "2", "3", "4", "2Y", "5Y", "30Y"]
    assert np.abs(made.errors()).max() < 1e-11
    start, end = made._flows[made._ends[1, 1], :2]
    days = round(365 * (end - start))
    forward = forward_rate(made.curve, start, end, "simple") * (end - start) * 360 / days
    assert forward == pytest.approx(0.0535 - 1e-5, abs=1e-9)
    before = zero_rate(made.curve, 2.0, "continuous")
    made.move(2, 94.75)
    assert np.abs(made.errors()).max() < 1e-11
    assert zero_rate(made.curve, end, "continuous") < before + 0.01
    fresh = bootstrap("2023-10-19", made.quotes, "USD-3M").curve
    assert np.abs(made.curve.log_discount - fresh.log_discount).max() < 1e-11


def test_the_date_of_quantlib_is_left_as_it_was() -> None:
    """QuantLib has one date of evaluation a process; ours does not stay behind."""
    import QuantLib as ql

    ql.Settings.instance().evaluationDate = ql.Date(3, 3, 2021)
    bootstrap("2023-10-19", DEPOSITS, "USD-3M").move(0, 0.05)
    assert ql.Settings.instance().evaluationDate == ql.Date(3, 3, 2021)


def test_bad_quotes_are_refused_and_change_nothing() -> None:
    """No quotes, duplicates, unknown words, quotes that no curve fits."""
    with pytest.raises(DataError, match="expected quotes, got none"):
        bootstrap("2023-10-19", [], "SOFR")
    with pytest.raises(DataError, match="quote 1: ois 1Y is there twice"):
        bootstrap("2023-10-19", [Quote("ois", "1Y", 0.05)] * 2, "SOFR")
    with pytest.raises(ConfigError, match="SOFR"):
        bootstrap("2023-10-19", DEPOSITS, "SOFT")
    with pytest.raises(ConfigError, match="YYYY-MM-DD"):
        bootstrap("19.10.2023", DEPOSITS, "SOFR")
    with pytest.raises(ConfigError, match="like 1W, 3M"):
        Quote("ois", "10 years", 0.05)
    with pytest.raises(ConfigError, match="state its convexity="):
        Quote("future", "1", 94.5)
    with pytest.raises(ConfigError, match="its place among the quarterly"):
        Quote("future", "Z4", 94.5, 0.0)
    with pytest.raises(ConfigError, match="deposit"):
        Quote("deposits", "1W", 0.05)
    with pytest.raises(DataError, match="finite quote"):
        Quote("ois", "1Y", float("nan"))
    with pytest.raises(DataError, match="bootstrap 2023-10-19"):
        bootstrap("2023-10-19", [Quote("ois", "1Y", 0.03), Quote("ois", "2Y", -3.0)], "SOFR")
    made = bootstrap("2023-10-19", [Quote("ois", t, 0.05) for t in ("1Y", "2Y", "3Y")], "SOFR")
    before = made.curve.log_discount.copy()
    with pytest.raises(DataError, match="no curve fits ois 2Y at -9"):
        made.move(1, -9.0)
    with pytest.raises(ConfigError, match="place from 0 to 2, got 3"):
        made.move(3, 0.05)
    assert (made.curve.log_discount == before).all() and made.quotes[1].rate == 0.05
    odd = CONVENTIONS["SOFR"].__class__(name="X", currency="USD", calendar="Nowhere", spot_days=0)
    with pytest.raises(ConfigError, match="calendar 'Nowhere'"):
        bootstrap("2023-10-19", DEPOSITS, odd)
