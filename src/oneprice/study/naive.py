"""The naive backtest of two bar feeds, and the waterfall of what kills its profit.

A rule that buys the cheaper close and sells the dearer one "earns" the gap each time. Each stage below is a
whole backtest of the same rule with one more fact taken into account, so the steps of the waterfall are
differences of computed profits and sum to what is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oneprice.core.errors import DataError
from oneprice.market.pack_parsers import HOUR_NS

SAME_BAR = 1e-9  # quote currency; a smaller difference of two closes is no gap


@dataclass(frozen=True)
class Stage:
    """One backtest of the waterfall."""

    name: str
    pnl: float  # quote currency, all trades so far
    change: float  # against the stage before
    trades: int
    note: str


@dataclass(frozen=True)
class ClockCheck:
    """How well the returns of two feeds agree at each whole-hour shift of the second feed's stamps."""

    shift_hours: np.ndarray  # i8[k]
    correlation: np.ndarray  # f8[k], of close-to-close changes; NaN where fewer than 30 bars are shared
    best_hours: int
    runner_up: float  # the next best correlation


@dataclass(frozen=True)
class Costs:
    """What the exhibit charges; each is an assumption and is printed as one."""

    qty: float = 100_000.0  # units of underlying a trade
    fee_bp: float = 0.2  # of notional, each side
    half_spread: float = 0.0  # quote currency, each side


def align(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows of two BARS arrays that end at the same instant.

    Raises
    ------
    DataError
        Fewer than 30 bars are shared.
    """
    _, i, j = np.intersect1d(a["end_ns"], b["end_ns"], assume_unique=True, return_indices=True)
    if len(i) < 30:
        raise DataError(
            f"aligning bars: expected at least 30 shared bar ends, got {len(i)}; check the time zones"
        )
    return a[i], b[j]


def clock_check(a: np.ndarray, b: np.ndarray, *, max_hours: int = 12) -> ClockCheck:
    """Correlation of close-to-close changes at every shift of up to `max_hours` hours.

    Two feeds of one price in one time zone agree at shift 0 and nowhere else. A best shift other than 0 means
    that one file is stamped in another zone or at the other end of the bar.
    """
    shifts = np.arange(-max_hours, max_hours + 1)
    correlation = np.full(len(shifts), np.nan)
    for k, hours in enumerate(shifts):
        _, i, j = np.intersect1d(a["end_ns"] + hours * HOUR_NS, b["end_ns"], return_indices=True)
        x, y = np.diff(a["close"][i]), np.diff(b["close"][j])
        if len(x) >= 30 and x.std() > 0.0 and y.std() > 0.0:
            correlation[k] = np.corrcoef(x, y)[0, 1]
    best = int(np.nanargmax(correlation))
    others = np.delete(correlation, best)
    return ClockCheck(shifts, correlation, int(shifts[best]), float(np.nanmax(others)))


def week_end_share(bars: np.ndarray) -> float:
    """Share of weekends whose last bar ends at 17:00 New York, the end of the currency week.

    It is near 1 when stamps are UTC bar starts, as the parsers assume, and near 0 when they are bar ends.
    """
    end = bars["end_ns"]
    last = end[:-1][np.diff(end) > 20 * HOUR_NS]
    if len(last) == 0:
        return float("nan")
    return float(np.mean([_utc_hour(t) == (21 if _new_york_summer(t) else 22) for t in last]))


def trailing_median(gap: np.ndarray, *, window: int, warm: int) -> np.ndarray:
    """Median of the last `window` gaps before each row (never of the row itself); 0 for the first `warm`."""
    out = np.zeros(len(gap))
    for k in range(warm, len(gap)):
        out[k] = np.median(gap[max(0, k - window) : k])
    return out


def waterfall(
    a: np.ndarray, b: np.ndarray, *, costs: Costs, window: int = 120, warm: int = 24
) -> list[Stage]:
    """The stages from the naive profit to what is left of it.

    Parameters
    ----------
    a, b : BARS of equal length, aligned (`align`).
    costs : quantity a trade, fee and half spread.
    window, warm : bars of the trailing median that estimates the side bias.

    Notes
    -----
    With g = close_a - close_b, trailing median m and d = g - m, a trade sells the dear and buys the cheap:

    1. naive: every bar with g != 0 earns |g|.
    2. side: the part of g that is a constant difference of side cannot be earned: sign(d) d.
    3. bar end: a close is known when the bar has ended; the first price after it is the next open:
       sign(d) d_open.
    4. one instant: two closes of one hour need not be of one moment; the gap must be seen again at the
       next open, and is then traded at the next price that both feeds share.
    5. spread and 6. fees: both legs cross half a spread and pay a commission.
    """
    gap, gap_open = a["close"] - b["close"], a["open"] - b["open"]
    seen = np.abs(gap) > SAME_BAR
    bias = trailing_median(gap, window=window, warm=warm)
    now = np.arange(warm, len(gap) - 1)
    now = now[a["end_ns"][now + 1] - a["end_ns"][now] == HOUR_NS]  # the next bar follows without a break
    d, d_open, d_next = gap[now] - bias[now], gap_open[now + 1] - bias[now], gap[now + 1] - bias[now]
    side = np.where(np.abs(d) > SAME_BAR, np.sign(d), 0.0)
    again = (side != 0.0) & (np.sign(d_open) == side)
    q = costs.qty
    fee = q * costs.fee_bp * 1e-4 * float(np.sum((a["close"] + b["close"])[now + 1][again]))
    spread = 2.0 * q * costs.half_spread * int(again.sum())
    left = q * float(np.sum((side * d_next)[again]))
    steps = [
        ("naive", q * float(np.abs(gap).sum()), seen, "buy the cheaper close, sell the dearer one"),
        ("side bias", q * float(np.abs(gap - bias)[warm:].sum()), np.abs(gap - bias)[warm:] > SAME_BAR,
         f"less the trailing median of {window} gaps: one feed is asks"),
        ("bar end", q * float(np.sum(side * d_open)), side != 0.0, "the close is known after it: next open"),
        ("non-simultaneity", left, again, "seen at two instants, traded at the next shared price"),
        ("spread", left - spread, again, f"{costs.half_spread:.6f} a side, both legs"),
        ("fees", left - spread - fee, again, f"{costs.fee_bp:g} bp of notional a side, both legs"),
    ]  # fmt: skip
    out: list[Stage] = []
    for name, pnl, traded, note in steps:
        out.append(Stage(name, pnl, pnl - (out[-1].pnl if out else 0.0), int(traded.sum()), note))
    return out


def equivalent_lag_s(a: np.ndarray, b: np.ndarray) -> float:
    """Seconds between two quotes of one price that would spread the gap as much as it is spread.

    For a random walk the variance over s seconds is that of an hour times s / 3600.
    """
    gap = a["close"] - b["close"]
    hour = np.diff(a["close"])[np.diff(a["end_ns"]) == HOUR_NS]
    return float(3600.0 * gap.var() / hour.var())


def _utc_hour(t_ns: int) -> int:
    return int(t_ns // HOUR_NS % 24)


def _new_york_summer(t_ns: int) -> bool:
    """Whether a UTC time falls between the second Sunday of March and the first Sunday of November."""
    day = np.datetime64(int(t_ns), "ns").astype("datetime64[D]")
    year = day.astype("datetime64[Y]").astype("datetime64[D]")
    begin = np.busday_offset(_month(year, 2), 1, roll="forward", weekmask="Sun")
    end = np.busday_offset(_month(year, 10), 0, roll="forward", weekmask="Sun")
    return bool(begin <= day < end)


def _month(year: np.datetime64, months: int) -> np.datetime64:
    return (year.astype("datetime64[M]") + months).astype("datetime64[D]")
