"""capital = f(signal strength, liquidity, drawdown), as the strategy trades it: what was bought, through the engine."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import slot_kit as kit
from slot_kit import fills_of, made, run_slots, slot

from oneprice.core.records import REFUSED, TOP
from oneprice.execution.latency import constant
from oneprice.market.tape import join_events, make_tape
from oneprice.modes.fit import Fit
from oneprice.modes.replay import replay
from oneprice.risk.limits import Limits
from oneprice.signals.drift import watch
from oneprice.signals.slots import pack
from oneprice.strategies import stat_arb

NAMES = ("A", "B")
WEALTH = 1_000_000.0
RULE = {**watch.SILENT, "fan_width": 90.0, "wealth": WEALTH, "shrink": 0.002, "most": 1.0, "floor": 0.8}
QUIET_Z = [0.3 * (-1) ** i for i in range(25)]


def panel_of(tail: list[float], sigma: float = 0.02) -> Any:
    z = np.array(QUIET_Z + tail)
    b = np.full(len(z), 50.0) * (1.0 + 1e-4 * (np.arange(len(z)) % 2))
    return made(np.column_stack([b * np.exp(sigma * z), b]), NAMES)


def bought(prices: Any, run: Any) -> list[float]:
    """Gross value of each opening, at the close decided on."""
    out, held = [], np.zeros(2)
    for row in sorted({t for t, _, _ in fills_of(run, prices)}):
        lots = np.zeros(2)
        for t, leg, q in fills_of(run, prices):
            lots[leg] += q if t == row else 0
        if not held.any():
            out.append(float((np.abs(lots) * 0.01 * prices.close[row - 1]).sum()))
        held += lots
    return out


def size_at(z: float, **words: Any) -> float:
    prices = panel_of([z, z + 0.01, z, z + 0.01])
    run, _ = run_slots(prices, {20: [slot(NAMES, (1, -1), **{"capital": 1e9, **words})]}, stat_arb(**RULE))
    got = bought(prices, run)
    return got[0] if got else 0.0


def test_a_stronger_signal_is_a_larger_position_up_to_its_cap() -> None:
    """The gross value rises with z as Kelly's share of the surplus does, stops at `most` of it, and at the slot's
    capital; an uncertain reversion is worth less; a weaker relation (`strength`) its share.
    """
    sizes = [size_at(z) for z in (1.6, 2.0, 2.6, 3.2)]
    assert all(a < b for a, b in pairwise(sizes))
    surplus = 0.2 * WEALTH
    gain = 0.01 * 2.0 - 2.0e-4  # sigma of the gross is .01; a round trip of 1 bp a fill
    assert sizes[1] == pytest.approx(0.002 * gain / 0.01**2 * surplus, rel=0.01)
    full = {**RULE, "shrink": 1.0}
    prices = panel_of([3.0, 3.01, 3.0])
    run, _ = run_slots(prices, {20: [slot(NAMES, (1, -1), capital=1e9)]}, stat_arb(**full))
    assert bought(prices, run)[0] == pytest.approx(surplus, rel=1e-3), "most = 1 of the surplus"
    assert size_at(2.6, capital=20_000.0) == pytest.approx(20_000.0, rel=1e-3)
    assert size_at(2.6, capital=20_000.0, strength=0.5) == pytest.approx(10_000.0, rel=1e-3)
    assert size_at(2.6, kappa_se=0.1, hold_steps=10) < 0.9 * size_at(2.6, hold_steps=10)


def test_thin_legs_are_a_smaller_position() -> None:
    """On bars: the share of what the thinnest leg trades a step, by its weight."""
    sizes = [size_at(2.0, liquidity=v) for v in (0.0, 1e9, 400_000.0, 100_000.0)]
    assert sizes[0] == sizes[1] > sizes[2] > sizes[3]
    assert sizes[2] == pytest.approx(0.05 * 400_000.0 * 2.0, rel=1e-3)
    assert sizes[3] == pytest.approx(0.05 * 100_000.0 * 2.0, rel=1e-3)


@pytest.mark.parametrize("shown", [(10**6, 10**6), (40, 10**6), (40, 10)])
def test_a_thin_touch_is_a_smaller_position_on_ticks(shown: tuple[int, int]) -> None:
    """No leg takes more than its touch shows; the other keeps its ratio."""
    z = np.repeat([*QUIET_Z, 2.0, 2.0, 2.0], 10)
    base = made(
        np.column_stack([50.0 * np.exp(0.02 * z), np.full(len(z), 50.0) + 1e-3 * (np.arange(len(z)) % 2)]), NAMES
    )
    tapes = []
    for tape, lots in zip(kit.bar_tapes(base, fees=kit.FREE, opens="previous"), shown, strict=True):
        rows = join_events([tape.events])
        price = tape.events["close"].copy()
        rows["kind"] = TOP
        rows["bid"], rows["ask"], rows["bid_qty"], rows["ask_qty"] = price - 5, price + 5, lots, lots
        rows["receive_ns"] = rows["exchange_ns"] = tape.events["receive_ns"] // 86_400 + 1_700_000_000_000_000_000
        tapes.append(make_tape(tape.instrument, rows, header=tape.header))
    one = slot(NAMES, (1, -1), step_ns=10 * 1_000_000_000, capital=10_000.0)
    at = int(tapes[0].events["receive_ns"][5])
    fit = Fit(estimator=lambda w: pack([one], NAMES, 1), first_ns=at, every_ns=1 << 61, latency_ns=1_000)
    run = replay(kit.QUIET, tapes, latency=constant(1_000, 1_000), fits=[fit], limits=Limits(price_band_bp=2000))
    first = {int(c["leg"]): int(c["qty"]) for c in run.commands()[:2]}
    wanted = {0: 5_000.0 / 52.0 / 0.01, 1: 5_000.0 / 50.0 / 0.01}
    assert set(first) == {0, 1} and all(first[i] <= shown[i] for i in (0, 1))
    if min(shown) > 10**4:
        assert all(first[i] == pytest.approx(wanted[i], rel=0.02) for i in (0, 1))
    else:
        assert min(shown) - 1 <= first[int(np.argmin(shown))] <= min(shown)
        assert first[0] * 52.0 == pytest.approx(first[1] * 50.0, rel=0.15), "whole lots of a small position"


def test_a_loss_makes_the_next_position_smaller_and_below_the_floor_there_is_none() -> None:
    """The same signal after a loss of part of the surplus: the position shrinks by the surplus lost; when all of it is
    gone nothing is entered any more.
    """
    tail = [2.0, 2.0, 3.6, 3.6, 0.1, 0.1, 0.1, 2.0, 2.01, 2.0, 2.01]
    prices = panel_of(tail)
    one = slot(NAMES, (1, -1), stop=3.5, capital=1e9)
    rule = {**RULE, "shrink": 1.0, "most": 3.0}
    run, _ = run_slots(prices, {20: [one]}, stat_arb(**rule), capital=1e9)
    first, second = bought(prices, run)
    lost = -run.pnl()["total"]
    assert first == pytest.approx(3.0 * 0.2 * WEALTH, rel=1e-3)
    assert 0.0 < second < first
    assert second == pytest.approx(3.0 * (0.2 * WEALTH - loss_of_first(run, prices)), rel=0.02) and lost > 0.0
    ruined = {**rule, "most": 80.0}
    run, _ = run_slots(prices, {20: [one]}, stat_arb(**ruined), capital=1e9)
    assert len(bought(prices, run)) == 1, "the surplus is gone"


def loss_of_first(run: Any, prices: Any) -> float:
    """What the first holding lost at the prices of its fills, and the costs the strategy expected of it."""
    cash = value = 0.0
    held = np.zeros(2)
    for fill, (_, leg, q) in zip(run.fills(), fills_of(run, prices), strict=True):
        tick = float(str(kit.bar_tapes(prices, fees=kit.FREE)[leg].instrument.tick))
        worth = q * 0.01 * int(fill["price"]) * tick
        cash -= worth
        value += abs(worth) if len({0, 1} & set(np.flatnonzero(held))) < 2 else 0.0
        held[leg] += q
        if not held.any():
            break
    return -cash + value * 2e-4


def test_limits_of_the_gate_hold_whatever_the_signal_deserves() -> None:
    """A position limit below what is wanted: the package is refused whole (an order counts at its limit price, up to
    5 % worse), and no holding is ever above the limit.
    """
    prices = panel_of([3.0, 3.01, 3.0, 3.01, 3.0])
    rule = stat_arb(**{**RULE, "shrink": 1.0})
    for capital in (50_000.0, 90_000.0, 120_000.0, 500_000.0):
        run, _ = run_slots(prices, {20: [slot(NAMES, (1, -1), capital=1e9)]}, rule, capital=capital)
        held = np.zeros(2)
        for t, leg, q in fills_of(run, prices):
            held[leg] += q * 0.01
            assert (np.abs(held) * prices.close[t] <= 1.01 * capital).all()
        wanted = 0.5 * 0.2 * WEALTH
        assert bool(len(run.fills())) == (wanted <= capital)
        assert bool((run.rows["kind"] == REFUSED).any()) == (wanted > capital)
