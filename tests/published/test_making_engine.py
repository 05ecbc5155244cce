"""Avellaneda and Stoikov's market as tapes, their maker as the shipped strategy, through the whole engine.

Orders arrive at any moment and reach a depth that is exponential, so the paper's world is met in the limit of short
steps; its population values there come from the recursion of `study.making_world`. Book, matching, gate, ledger and
attribution are all between the formula and the profit.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine_kit import HEADER, START
from oneprice.core.instruments import Fees, Instrument
from oneprice.core.records import EVENT, LAST, TOP, TRADE
from oneprice.engine.state import Settings
from oneprice.execution.latency import constant
from oneprice.market.tape import Tape, join_events, make_tape
from oneprice.modes.replay import replay
from oneprice.risk.limits import Limits
from oneprice.strategies import market_making
from oneprice.study.making_world import World, population

TICK, WIDE_TICKS, PATHS, STEPS = 0.001, 20_000, 200, 500
FAR = 1e9
LIMITS = Limits(
    order_value=FAR, position_value=FAR, gross_value=FAR, net_value=FAR, venue_gross_value=FAR, residual_value_s=FAR,
    drawdown_value=FAR, price_band_bp=None, orders_per_s=1_000_000, burst=1_000_000, venue_orders_per_s=1_000_000,
    venue_burst=1_000_000, messages_per_day=None,
)  # fmt: skip
ONE = Instrument(
    symbol="sim:AS-USD", underlying="AS", quote="USD", tick="0.001", lot="1", fees=Fees(maker_bp=0, taker_bp=0),
    stale_ns=60_000_000_000,
)  # fmt: skip


def path(rng: np.random.Generator, w: World) -> Tape:
    """One horizon: the mid steps by +-sigma sqrt(dt) inside a far touch; sellers and buyers reach Exp(k) from it."""
    dt = w.horizon_s / STEPS
    mid = w.s + w.sigma * math.sqrt(dt) * np.concatenate([[0.0], np.cumsum(rng.choice((-1, 1), STEPS))])
    t = np.arange(STEPS + 1) * dt
    touch = np.zeros(STEPS + 1, EVENT)
    ticks = np.round(mid / TICK).astype(np.int64)
    touch["kind"], touch["bid"], touch["ask"] = TOP, ticks - WIDE_TICKS, ticks + WIDE_TICKS
    touch["bid_qty"] = touch["ask_qty"] = 1_000_000
    touch["receive_ns"] = START + (t * 1e9).astype(np.int64)
    parts = [touch]
    for side in (1, -1):
        n = rng.poisson(w.arrivals_per_s * w.horizon_s)
        at = rng.uniform(0.0, w.horizon_s, n)
        hits = np.zeros(n, EVENT)
        reach = rng.exponential(1.0 / w.k_decay, n)
        hits["price"] = np.round((mid[np.searchsorted(t, at, side="right") - 1] + side * reach) / TICK)
        hits["kind"], hits["side"], hits["qty"] = TRADE, side, 1_000
        hits["receive_ns"] = START + (at * 1e9).astype(np.int64) + 1
        parts.append(hits)
    events = join_events(parts)
    events = events[np.argsort(events["receive_ns"], kind="stable")]
    events["exchange_ns"], events["flag_bits"] = events["receive_ns"], LAST
    return make_tape(ONE, events, header=HEADER)


def outcome(symmetric: int) -> tuple[np.ndarray, np.ndarray]:
    """Profit and final inventory of each path at gamma 0.1, the other parameters of the paper."""
    w, rng = World(), np.random.default_rng(2008)
    chosen = market_making(
        gamma=w.gamma, k_decay=w.k_decay, sigma=w.sigma, horizon_s=w.horizon_s, qty=1.0, limit=80.0, edge_bp=-1_000.0,
        symmetric=symmetric,
    )  # fmt: skip
    profit, held = np.zeros(PATHS), np.zeros(PATHS)
    for i in range(PATHS):
        run = replay(
            chosen, [path(rng, w)], latency=constant(0, 0), limits=LIMITS, settings=Settings(sample_ns=10**10)
        )
        assert run.closes() == 0
        profit[i], held[i] = run.pnl()["total"], run.engine.positions()[0]["lots"][0]
    return profit, held


@pytest.mark.parametrize(("maker", "symmetric"), [("inventory", 0), ("symmetric", 1)])
def test_the_shipped_strategy_earns_what_the_paper_says(maker: str, symmetric: int) -> None:
    """Mean profit within 3.5 standard errors of the short-step population, deviations of both within 12 %."""
    profit, held = outcome(symmetric)
    ends = [population(World(maker=maker, dt_s=0.0005, exact_fills=exact)) for exact in (True, False)]
    low, high = sorted(m.profit for m in ends)
    error = profit.std() / math.sqrt(PATHS)
    assert low - 3.5 * error < profit.mean() < high + 3.5 * error, (profit.mean(), error, low, high)
    assert profit.std() == pytest.approx(ends[0].profit_sd, rel=0.12)
    assert held.std() == pytest.approx(ends[0].q_sd, rel=0.12)
    assert abs(held.mean()) < 3.5 * held.std() / math.sqrt(PATHS)
    wrong = population(World(maker=maker, share=0.5, dt_s=0.0005)).profit
    assert wrong < profit.mean() - 5.0 * error, "who reads the half spread as the whole one earns this"
