"""Panels of bars and models made by hand for tests of `stat_arb`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import engine_kit as kit
from oneprice.core.instruments import Fees
from oneprice.core.records import FILL_ROW
from oneprice.engine.state import Settings
from oneprice.execution.latency import constant
from oneprice.execution.strategy import Strategy
from oneprice.execution.venue import FillModel
from oneprice.market.bars import MOST_TICKS, bar_tapes
from oneprice.market.prices import Prices, load, panel
from oneprice.market.tape import Tape
from oneprice.modes.fit import Fit
from oneprice.modes.replay import replay
from oneprice.modes.run import Run
from oneprice.signals.drift import watch
from oneprice.signals.slots import Slot, pack
from oneprice.strategies import stat_arb
from oneprice.study.walk_forward import bar_limits, bar_policy

DAY = 86_400_000_000_000
FREE = Fees(maker_bp=0, taker_bp=0)
QUIET = stat_arb(**watch.SILENT, fan_width=90.0)  # monitors that never fire


def tied(rng: np.random.Generator, n: int, beta: float = 1.0, kappa: float = 0.1, noise: float = 0.01) -> np.ndarray:
    """Log prices [n, 2]: y = beta x + an Ornstein-Uhlenbeck spread around 0, started at its law."""
    phi = np.exp(-kappa)
    s = np.empty(n)
    s[0] = rng.normal(0, noise / np.sqrt(1 - phi * phi))
    shocks = rng.normal(0, noise, n)
    for t in range(1, n):
        s[t] = phi * s[t - 1] + shocks[t]
    x = np.cumsum(rng.normal(0, 0.01, n))
    return np.column_stack([beta * x + s, x])


def gappy(close: np.ndarray, symbols: Sequence[str]) -> Prices:
    """A panel whose gaps stay gaps."""
    return load(close, symbols=symbols, align="union", header={"source": "made by hand"})


def made(close: np.ndarray, symbols: Sequence[str]) -> Prices:
    return panel(close, symbols) if np.isfinite(close).all() else gappy(close, symbols)


def slot(symbols: Sequence[str], weights: Sequence[float], space: str = "log", **words: Any) -> Slot:
    given: dict[str, Any] = dict(centre=0.0, sigma=0.02, kappa=0.1, entry=1.5)
    return Slot(symbols=tuple(symbols), weights=tuple(weights), space=space, **{**given, **words})


def run_slots(
    prices: Prices,
    models: Mapping[int, Sequence[Slot] | tuple[int, Sequence[Slot]]],
    strategy: Strategy = QUIET,
    *,
    fees: Fees = FREE,
    slippage_bp: float = 0.0,
    opens: Any = "previous",
    capital: float = 10_000_000.0,
    **words: Any,
) -> tuple[Run, list[Tape]]:
    """A replay of bars in which model `models[row]` (slots, or (version, slots)) is asked for at that row."""
    tapes = bar_tapes(prices, opens=opens, fees=fees, **words)
    fits = []
    for n, (row, given) in enumerate(sorted(models.items())):
        version, slots = given if isinstance(given, tuple) and isinstance(given[0], int) else (n + 1, given)
        values = pack(slots, prices.symbols, version)
        at = int(prices.time_ns[row])
        fits.append(Fit(estimator=lambda w, v=values: v, first_ns=at, every_ns=1 << 61, latency_ns=1_000))
    run = replay(
        strategy, tapes, latency=constant(1_000, 1_000), limits=bar_limits(capital),
        settings=Settings(capital=capital, sample_ns=prices.step_ns, max_price_ticks=MOST_TICKS),
        policy=bar_policy(prices.step_ns, 500.0), fills=FillModel(slippage_bp=slippage_bp), fits=fits,
    )  # fmt: skip
    assert run.closes() == 0
    return run, tapes


def row_of(prices: Prices, time_ns: Any) -> np.ndarray:
    """The bar at or before each time."""
    return np.searchsorted(prices.time_ns, time_ns, side="right") - 1


def fills_of(run: Run, prices: Prices) -> list[tuple[int, int, int]]:
    """(row, leg, signed lots) of each fill."""
    rows = run.rows[run.rows["kind"] == FILL_ROW]
    at = row_of(prices, rows["time_ns"])
    return [(int(t), int(r["leg"]), int(r["side"]) * int(r["qty"])) for t, r in zip(at, rows, strict=True)]


def book_of(run: Run) -> np.ndarray:
    """STATE[32] of the strategy."""
    return kit.memory_of(run.engine, 0)[0]["book"]


def state_of(run: Run, one: Slot) -> np.void:
    """The state of one slot, which must be in the book."""
    book = book_of(run)
    return book[int(np.flatnonzero(book["slot"]["id"] == one.id)[0])]
