"""The microprice and order flow of a calibration: fitted on the first part of a tape, judged on the rest.

The microprice's table is worth the slope of later moves of the mid on its adjustments, out of sample: about 1 where
the mid plus the adjustment is a martingale. The gain of the quoting model is that slope (at most 1) where it is above
0 by two standard errors, else 0. Order flow explains the price of its own bar and not of the next; both are shown, and
quotes do not lean on it: its gain is 0.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from oneprice.core.errors import DataError
from oneprice.core.records import NO_PRICE
from oneprice.features.microprice_fitted import imbalance_bucket, spread_bucket
from oneprice.market.tape import Tape
from oneprice.signals.micro.bars import flow_bars
from oneprice.signals.micro.flow import FlowFit, fit_flow, line
from oneprice.signals.micro.microprice import Microprice, fit_microprice
from oneprice.study.making_streams import Streams

TRAIN = 0.6  # share of the time the table is fitted on before it is judged
GRID_NS, AHEAD_NS = 200_000_000, 2_000_000_000  # judged every 0.2 s on moves over 2 s
MIN_VISITS = 20
MIN_MOVES = 200


class MicroPart(msgspec.Struct, frozen=True, kw_only=True):
    """The table of the whole tape, and what one of its first part was worth on the rest."""

    table: tuple[tuple[float, ...], ...]  # ticks
    transitions: int
    moves: int  # of the mid
    next_term: float  # ticks, the first term left out
    slope: float  # of moves on adjustments, out of sample
    slope_se: float
    r2: float
    gain: float
    refused: str = ""


class FlowPart(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a bar's move its own flow explains, and of the next bar's."""

    bar_s: float
    bars: int
    impact: float  # ticks a unit of order flow imbalance, same bar
    impact_se: float
    r2: float
    r2_next: float
    trade_r2: float
    trade_r2_next: float
    refused: str = ""


def micro_part(s: Streams) -> MicroPart:
    """Fit and judge the microprice. Where the tape cannot carry it, the part says why and its gain is 0."""
    try:
        whole = fit(s, 0, len(s.touch_ns))
        cut = int(np.searchsorted(s.touch_ns, s.touch_ns[0] + TRAIN * (s.touch_ns[-1] - s.touch_ns[0])))
        x, y = later(s, fit(s, 0, cut).table, cut)
        found = line(x, y, lags=2 * AHEAD_NS // GRID_NS)
    except DataError as error:
        return MicroPart(
            table=(), transitions=0, moves=0, next_term=math.nan, slope=math.nan, slope_se=math.nan, r2=math.nan,
            gain=0.0, refused=str(error),
        )  # fmt: skip
    sure = found.b - 2.0 * found.b_se > 0.0
    few = whole.n_moves < MIN_MOVES
    why = "" if sure else f"slope {found.b:.2f} +- {found.b_se:.2f} out of sample is not above 0"
    why = f"{whole.n_moves} moves of the mid, expected at least {MIN_MOVES}" if few else why
    return MicroPart(
        table=tuple(tuple(float(v) for v in row) for row in whole.table), transitions=whole.n_transitions,
        moves=whole.n_moves, next_term=whole.next_term, slope=found.b, slope_se=found.b_se, r2=found.r2,
        gain=0.0 if why else min(1.0, found.b), refused=why,
    )  # fmt: skip


def fit(s: Streams, first: int, last: int) -> Microprice:
    """The table on touches [first, last). Raises DataError where the mid does not move."""
    bid, ask = (np.where(p == NO_PRICE, np.nan, p * s.tick)[first:last] for p in (s.bid, s.ask))
    return fit_microprice(
        bid, ask, s.bid_qty[first:last], s.ask_qty[first:last], tick=s.tick, min_visits=MIN_VISITS
    )


def later(s: Streams, table: np.ndarray, cut: int) -> tuple[np.ndarray, np.ndarray]:
    """(adjustment, move of the mid over AHEAD_NS), ticks, every GRID_NS from touch `cut` on; NaN where unknown."""
    first, last = int(s.touch_ns[min(cut, len(s.touch_ns) - 1)]), int(s.touch_ns[-1])
    at = np.arange(first, max(last - AHEAD_NS, first), GRID_NS)
    now = np.searchsorted(s.touch_ns, at, side="right") - 1
    then = np.searchsorted(s.touch_ns, at + AHEAD_NS, side="right") - 1
    mid = s.mid / s.tick
    adjustment = np.array([_adjustment(s, table, int(i)) for i in now])
    return adjustment, mid[then] - mid[now]


def _adjustment(s: Streams, table: np.ndarray, i: int) -> float:
    bid, ask = int(s.bid[i]), int(s.ask[i])
    queues = s.bid_qty[i], s.ask_qty[i]
    if NO_PRICE in (bid, ask) or ask <= bid or not sum(queues) > 0.0:
        return math.nan
    column = imbalance_bucket(float(queues[0]), float(queues[1]), table.shape[1])
    return 0.0 if column < 0 else float(table[spread_bucket(float(bid), float(ask), 1.0, table.shape[0]), column])


def flow_part(tape: Tape, bar_s: float = 1.0) -> FlowPart:
    """Regressions of moves on flow. Where the tape cannot carry them, the part says why."""
    try:
        found: FlowFit = fit_flow(flow_bars(tape, bar_s=bar_s))
    except DataError as error:
        nan = math.nan
        return FlowPart(
            bar_s=bar_s, bars=0, impact=nan, impact_se=nan, r2=nan, r2_next=nan, trade_r2=nan, trade_r2_next=nan,
            refused=str(error),
        )  # fmt: skip
    return FlowPart(
        bar_s=bar_s, bars=found.n, impact=found.ofi.b, impact_se=found.ofi.b_se, r2=found.ofi.r2,
        r2_next=found.ofi_lead.r2, trade_r2=found.trade.r2, trade_r2_next=found.trade_lead.r2,
    )  # fmt: skip
