"""Walk-forward: one replay in which an estimator selects and fits on a schedule, and again when a relation drifts.

At each request the estimator sees the bars received up to then and nothing else; what it returns reaches the strategy
as a model update after `fit_latency`, is folded bar by bar, and a drift monitor asks for the next fit before the
schedule does. Research and live are one loop, so there is no step in which a later price could be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.instruments import Fees, Number
from oneprice.engine.state import Settings
from oneprice.execution.latency import constant
from oneprice.execution.package import PackagePolicy
from oneprice.execution.strategy import Strategy
from oneprice.execution.venue import FillModel
from oneprice.market.bars import MOST_TICKS, Ban, bar_tapes, moment_ns
from oneprice.market.prices import Prices
from oneprice.market.tape import Tape
from oneprice.modes.fit import ANY_KEY, Fit
from oneprice.modes.replay import replay
from oneprice.modes.run import Run
from oneprice.risk.limits import Limits
from oneprice.study.walk_estimator import Estimator, later, span
from oneprice.study.walk_fit import PairSelection, Select, too_few
from oneprice.study.walk_report import Part, WalkForward

ONCE = 1 << 61
TAIL_ROWS = 4  # at the end: everything is given up and filled before the last bar


def walk_forward(
    strategy: Strategy,
    prices: Prices,
    *,
    train: str = "3y",
    step: str = "6m",
    select: Select | None = None,
    fees: Fees | Sequence[tuple[str, Fees]],
    fit_latency: str = "1h",
    limits: Limits | None = None,
    capital: Number = 1_000_000,
    slippage_bp: float = 1.0,
    refit_gap: str = "1m",
    opens: str | np.ndarray = "close",
    bans: Sequence[Ban] = (),
    borrow_bp_year: float = 0.0,
    dividends: Mapping[str, Sequence[tuple[str | int, float]]] | None = None,
    tries: int = 1,
    seed: int = 0,
    out: str | Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> WalkForward:
    """Select, fit and trade a panel window by window through the engine.

    Parameters
    ----------
    strategy : `op.strategies.stat_arb()` or one with the same `model`; its `wealth` is `capital` where it says none.
    train : length of the training window; its number of rows in the first window is kept in all. step : time between
        selections. refit_gap : least time between two fits that monitors ask for.
    select : a function (window, cost of a fill in bp a series) -> Picked; `PairSelection()` by default.
    fees : one, or (first day, Fees) pairs by era, the first from the start: each era is a replay of its own, flat at
        both ends, on the bars before it.
    fit_latency : from a request until the model is in force.
    limits : of the gate; the default lets `capital` be used and no more.
    slippage_bp : of a fill on the open. opens, bans, borrow_bp_year, dividends : see `bar_tapes`.
    tries : walk-forwards looked at on these prices, this one included; it deflates the Sharpe ratio.
    out : folder for journals (one sub-folder an era where there are several).

    Returns
    -------
    WalkForward: windows, funnel, P&L by cause, pair and era, refusals; prints as a summary.

    Raises
    ------
    ConfigError
        Prices that do not cover train + step, fees that are not in order of time, or an impossible setting.
    DataError
        No window had two series that can be tested, or prices that no tick expresses.
    """
    chosen = select or PairSelection()
    if strategy.parameters.get("wealth") == 0.0:
        strategy = strategy(wealth=float(capital))
    eras = _eras(fees, prices)
    _require_inside(bans, prices)
    train_by, step_by = span(train), span(step)
    if later(int(prices.time_ns[0]), train_by) >= int(prices.time_ns[-1]):
        raise ConfigError(f"walk_forward: train {train}: expected less than the panel ({prices.header.period})")
    rows = int(np.searchsorted(prices.time_ns, later(int(prices.time_ns[0]), train_by)))
    if tries < 1:
        raise ConfigError(f"walk_forward: tries: expected 1 or more (this one counts), got {tries}")
    parts: list[Part] = []
    for n, (first_ns, last_ns, fee) in enumerate(eras):
        begin = max(0, int(np.searchsorted(prices.time_ns, first_ns)) - rows) if n else 0
        stop = int(np.searchsorted(prices.time_ns, last_ns))
        panel = prices.rows(begin, stop)
        schedule = _schedule(panel, max(first_ns, int(prices.time_ns[rows - 1])), step_by)
        if not schedule:
            continue
        tapes = bar_tapes(
            panel, opens=opens if isinstance(opens, str) else opens[begin:stop], fees=fee, bans=_inside(bans, panel),
            borrow_bp_year=borrow_bp_year, dividends=_dividends_inside(dividends, panel),
        )  # fmt: skip
        taxes = 0.5 * (float(fee.buy_tax_bp) + float(fee.sell_tax_bp))
        costs = np.full(prices.width, float(fee.taker_bp) + taxes + slippage_bp)
        ticks = np.array([float(str(t.instrument.tick)) for t in tapes])
        end_ns = int(panel.time_ns[-TAIL_ROWS])
        estimator = Estimator(panel.symbols, ticks, chosen, strategy, panel, costs, schedule, end_ns, rows)
        folder = None if out is None else Path(out) if len(eras) == 1 else Path(out) / f"era{n + 1}"
        run = bar_replay(
            strategy, tapes, _fits(estimator, fit_latency, refit_gap), step_ns=prices.step_ns, limits=limits,
            capital=capital, slippage_bp=slippage_bp, seed=seed, out=folder, progress=_share_of(progress, n, len(eras)),
        )  # fmt: skip
        windows = tuple(estimator.log[at] for at in sorted(estimator.log))
        parts.append(Part(run, tuple(tapes), panel, windows, fee, slippage_bp))
    if not parts:
        raise ConfigError(f"walk_forward: train {train}, step {step}: the panel is too short ({prices.header.period})")
    found = WalkForward(strategy, tuple(parts), float(capital), tries, (train, step), prices.header)
    _require_tested(found, getattr(chosen, "space", ""))
    return found


def _require_tested(walk: WalkForward, space: str) -> None:
    """Refuse a walk in which nothing was looked at: its zeros would read as a result."""
    chosen = [w for w in walk.windows if w.why == "schedule"]
    if all(walk.panel.width - len(w.picked.excluded) < 2 for w in chosen):
        why = too_few([(r.symbol, r.reason) for r in walk.left_out()], space)
        raise DataError(f"walk_forward: nothing was tested in any of {len(chosen)} windows: {why}")


def _share_of(progress: Callable[[float], None] | None, n: int, count: int) -> Callable[[float], None] | None:
    """The progress of era n of several as progress of the whole."""
    if progress is None:
        return None
    report = progress

    def tell(x: float) -> None:
        report((n + x) / count)

    return tell


def _fits(estimator: Estimator, fit_latency: str, refit_gap: str) -> list[Fit]:
    """One fit at each time of the schedule, one at the end, and one for what monitors ask."""
    step_ns = estimator.prices.step_ns
    latency_ns, gap_ns = later(0, span(fit_latency)), later(0, span(refit_gap))
    if not 0 < latency_ns < step_ns:
        raise ConfigError(f"walk_forward: fit_latency: expected less than a step ({step_ns} ns), got {latency_ns}")
    times = [*estimator.schedule, estimator.end_ns]
    fits = [Fit(estimator=estimator, first_ns=at, every_ns=ONCE, latency_ns=latency_ns) for at in times]
    return [*fits, Fit(estimator=estimator, latency_ns=latency_ns, on_request=ANY_KEY, min_gap_ns=gap_ns)]


def bar_replay(
    strategy: Strategy,
    tapes: Sequence[Tape],
    fits: Sequence[Fit],
    *,
    step_ns: int,
    limits: Limits | None,
    capital: Number,
    slippage_bp: float,
    seed: int,
    out: str | Path | None,
    progress: Callable[[float], None] | None,
) -> Run:
    """A replay of bar tapes as an account of `capital` trades them: patience in bars, a millisecond to the venue."""
    return replay(
        strategy,
        tapes,
        latency=constant(1_000, 1_000),
        limits=limits or bar_limits(float(capital)),
        settings=Settings(capital=capital, sample_ns=step_ns, max_price_ticks=MOST_TICKS),
        policy=bar_policy(step_ns, float(strategy.parameters.get("band_bp", 500.0))),
        fills=FillModel(slippage_bp=slippage_bp),
        fits=fits,
        seed=seed,
        out=out,
        progress=progress,
    )


def bar_policy(step_ns: int, band_bp: float) -> PackagePolicy:
    """How packages are worked where an answer takes a bar: patience in bars, an unhedged leg traded back at once."""
    return PackagePolicy(
        response_ns=20 * step_ns,
        max_age_ns=3 * step_ns,
        retry_ns=max(1, step_ns // 1_000),
        retry_cap_ns=max(1, step_ns // 2),
        band_bp=band_bp,
        unwind_band_bp=2.0 * band_bp,
        accumulate=False,
        residual_age_ns=step_ns,
    )


def bar_limits(capital: float) -> Limits:
    """Limits of an account that holds pairs: gross up to four times the capital, net up to one."""
    return Limits(
        order_value=capital,
        position_value=capital,
        gross_value=4.0 * capital,
        net_value=capital,
        venue_gross_value=4.0 * capital,
        residual_value_s=None,
        drawdown_value=0.5 * capital,
        price_band_bp=2_500,
        orders_per_s=None,
        venue_orders_per_s=None,
        messages_per_day=None,
    )


def _schedule(panel: Prices, first_ns: int, length: tuple[int, int]) -> list[int]:
    """Request times: the first row at or after each step, none in the last rows."""
    out: list[int] = []
    times = panel.time_ns
    last_row = len(panel) - TAIL_ROWS
    n = 0
    while True:
        at = int(np.searchsorted(times, later(first_ns, length, n)))
        if at >= last_row:
            return out
        if not out or times[at] > out[-1]:
            out.append(int(times[at]))
        n += 1


def _eras(fees: Fees | Sequence[tuple[str, Fees]], prices: Prices) -> list[tuple[int, int, Fees]]:
    """(first ns, end ns, fees) of each era, without gaps, from the panel's start to its end."""
    end = int(prices.time_ns[-1]) + 1
    for one in [fees] if isinstance(fees, Fees) else [fee for _, fee in fees]:
        if float(one.per_lot) != 0.0:
            raise ConfigError("walk_forward: fees a share on adjusted prices: a share then was not a share now; use bp")
    if isinstance(fees, Fees):
        return [(int(prices.time_ns[0]), end, fees)]
    starts = [moment_ns(day) for day, _ in fees]
    if not starts or starts != sorted(set(starts)) or starts[0] > int(prices.time_ns[0]):
        raise ConfigError("walk_forward: fees: expected (first day, Fees) in order, the first not after the panel's")
    ends = [*starts[1:], end]
    made = [(max(a, int(prices.time_ns[0])), b, fee) for a, b, (_, fee) in zip(starts, ends, fees, strict=True)]
    return [one for one in made if one[0] < one[1]]


def _require_inside(bans: Sequence[Ban], prices: Prices) -> None:
    """Refuse a ban of no row of the panel: it would be one in name only."""
    for ban in bans:
        if not _inside([ban], prices):
            raise ConfigError(
                f"ban {ban.first}..{ban.last}: expected rows of the panel in it ({prices.header.period}), found none"
            )


def _inside(bans: Sequence[Ban], panel: Prices) -> list[Ban]:
    """The bans of which some row lies in the panel behind its first."""
    times = panel.time_ns
    return [b for b in bans if ((times[1:] >= moment_ns(b.first)) & (times[1:] <= moment_ns(b.last))).any()]


def _dividends_inside(given: Mapping[str, Sequence[tuple[str | int, float]]] | None, panel: Prices) -> Any:
    if not given:
        return None
    first, last = int(panel.time_ns[0]), int(panel.time_ns[-1])
    return {s: [d for d in rows if first <= moment_ns(d[0]) <= last] for s, rows in given.items()}
