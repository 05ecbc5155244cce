"""Prices of every size as bars: ticks and lots that keep money exact, and what is refused."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from oneprice.core.errors import DataError
from oneprice.core.instruments import Fees, to_legs
from oneprice.market.bars import MOST_TICKS, bar_tapes
from oneprice.market.prices import Prices, load

FEES = Fees(maker_bp=0, taker_bp=5)


def made(*levels: float, n: int = 30) -> Prices:
    """Series that start at these levels."""
    moves = np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.01, (n, len(levels))), axis=0))
    moves[0] = 1.0
    return load(moves * np.array(levels))


def test_a_panel_of_any_mix_of_prices_has_exact_money_and_fine_lots() -> None:
    """From 1e-9 to 1e9 in one panel: six digits of price, a lot from a cent to a hundred, room for ten million."""
    levels = [float(f"{m}e{k}") for k in range(-9, 10) for m in (1.0, 3.7, 9.99)]
    prices = made(*levels)
    tapes = bar_tapes(prices, fees=FEES)
    _, scales = to_legs([t.instrument for t in tapes], max_price_ticks=MOST_TICKS)
    assert scales.scale == (9,)
    for level, tape, lots in zip(prices.close[0], tapes, scales.max_lots, strict=True):
        tick, lot = Fraction(str(tape.instrument.tick)), Fraction(str(tape.instrument.lot))
        assert 1e-7 * level < tick <= 1.0001e-6 * level
        assert 0.0099 <= float(lot) * level <= 100.0, (level, lot)
        assert float(lots * lot) * level >= 1e6, (level, lots)
        np.testing.assert_allclose(tape.events["close"] * float(tick), prices.close[:, levels.index(level)], rtol=1e-6)


def test_ordinary_prices_have_lots_of_a_hundredth_and_a_given_lot_is_kept() -> None:
    """1 to 10,000: 0.01 units a lot, as before; `lot` overrules."""
    for tape in bar_tapes(made(1.0, 9.99, 100.0, 9_999.0)):
        assert Fraction(str(tape.instrument.lot)) == Fraction(1, 100)
    assert {t.instrument.lot for t in bar_tapes(made(1e-5, 1e5), lot="1")} == {"1"}


@pytest.mark.parametrize("levels", [(1e-300, 1.0), (5e-324, 1.0), (1.0, 1e300), (-1e-13, 1.0), (1e13, 1.0)])
def test_prices_of_a_wrong_unit_are_refused_without_a_warning(levels: tuple[float, float]) -> None:
    """Also where one price alone is out of range: the series and the range are said."""
    close = np.array([[50.0, 70.0]]) * (1.0 + 0.01 * np.arange(30)[:, None] % 0.07)
    close[-1] = levels
    with pytest.raises(
        DataError, match=r"bar_tapes: [^ ]+ has prices of size .*expected 1e-12 to 1e\+12; change the unit"
    ):
        bar_tapes(load(close))


def test_a_series_that_outgrows_its_ticks_is_refused() -> None:
    """Its tick comes from its first price: 2,000 times that is the most."""
    close = np.column_stack([np.linspace(1.0, 3e3, 30), np.linspace(50.0, 51.0, 30) + np.arange(30) % 3])
    with pytest.raises(DataError, match="grows from 1 to 3000: expected at most"):
        bar_tapes(load(close))
