"""Exhibit "A gap that looks like money": two real hourly feeds of one currency pair, audited and refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from oneprice.market import packs
from oneprice.market.header import Header
from oneprice.study.audit import Audit, audit
from oneprice.study.naive import (
    ClockCheck,
    Costs,
    Stage,
    align,
    clock_check,
    equivalent_lag_s,
    waterfall,
    week_end_share,
)

TITLE = "A gap that looks like money"
ASKS, UNNAMED = "eurusd_ask_1h", "eurusd_1h"
FEE_BP = 0.2
BAR_MS = 3_600_000.0
MONTH_NS = 30 * 24 * 3_600_000_000_000


@dataclass(frozen=True)
class Feeds:
    """All that exhibit 1 says; every number is computed from the two files."""

    header: Header
    clock: ClockCheck
    week_end: tuple[float, float]  # share of weeks that end when the currency week does
    bars: int
    offset: float  # median close of the asks less the other, quote currency
    monthly_offset: tuple[float, ...]  # the same, thirty days each
    dearer_share: float  # of bars with a difference: those in which the asks are dearer
    lag_s: float
    audit: Audit
    stages: tuple[Stage, ...]
    costs: Costs

    @property
    def constant_side(self) -> bool:
        """Whether the offset has one sign in every month and is what most gaps are."""
        signs = {np.sign(v) for v in self.monthly_offset}
        return len(signs) == 1 and self.audit.count("side_bias") > 0 and self.audit.count("clean") == 0

    @property
    def verdict(self) -> str:
        """One paragraph: what the gap is, and what is left of the profit."""
        pip = 1e4 * self.offset
        what = (
            f"a constant side bias: the asks stand {pip:.1f} pip above the other feed, a mid or a bid"
            if self.constant_side
            else f"an offset of {pip:.1f} pip that changes its sign between months"
        )
        left = self.stages[-1].pnl
        return (
            f"NOT an arbitrage. It is {what}; the rest is as wide as {self.lag_s:.1f} s of price movement. "
            f"The naive profit of {self.stages[0].pnl:,.0f} USD is {left:,.0f} USD after all that."
            " Nothing was traded."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "title": TITLE,
            "header": dict(self.header.lines()),
            "bars": self.bars,
            "best_shift_hours": self.clock.best_hours,
            "correlation": float(np.nanmax(self.clock.correlation)),
            "next_correlation": self.clock.runner_up,
            "week_end_share": list(self.week_end),
            "offset": self.offset,
            "monthly_offset": list(self.monthly_offset),
            "dearer_share": self.dearer_share,
            "lag_s": self.lag_s,
            "audit": self.audit.to_dict(),
            "waterfall": [asdict(s) for s in self.stages],
            "costs": asdict(self.costs),
            "verdict": self.verdict,
        }

    def __str__(self) -> str:
        lines = [f"1. {TITLE}", ""]
        lines += [f"  {label:<20} {text}" for label, text in self.header.lines()]
        lines += [
            "",
            f"  {self.bars:,} shared hours. Returns agree best at a shift of {self.clock.best_hours:+d} h "
            f"(correlation {np.nanmax(self.clock.correlation):.4f}, next best {self.clock.runner_up:.4f}).",
            f"  Stamps are UTC bar starts: {100 * self.week_end[0]:.0f} % and {100 * self.week_end[1]:.0f} % "
            "of weeks then end at 17:00 New York.",
            f"  The asks are dearer in {100 * self.dearer_share:.0f} % of the hours that differ; the median "
            f"difference is {1e4 * self.offset:.1f} pip, by month "
            + ", ".join(f"{1e4 * v:.1f}" for v in self.monthly_offset)
            + ".",
            "",
        ]
        lines += ["  " + line for line in str(self.audit).splitlines()]
        lines += [
            "",
            f"  The same rule under one more fact each time ({self.costs.qty:,.0f} EUR a trade), USD:",
        ]
        lines += _bars(self.stages)
        return "\n".join([*lines, "", f"  {self.verdict}"])


def feeds(*, progress: Callable[[str, int, int], None] | None = None) -> Feeds:
    """Fetch, check, align and audit the two feeds, and run the naive backtest down to what is left of it.

    Raises
    ------
    DataError
        A pack is neither in the cache nor fetchable; the text says what is missing and how to get it.
    """
    for name in (ASKS, UNNAMED):
        packs.fetch(name, progress=progress)
    a, b = packs.load(ASKS), packs.load(UNNAMED)
    x, y = align(a, b)
    gap = x["close"] - y["close"]
    offset = float(np.median(gap))
    # Asks against mids differ by half a spread, against bids by a whole one. The kinder reading is charged.
    costs = Costs(fee_bp=FEE_BP, half_spread=abs(offset) / 2.0)
    month = (x["end_ns"] - x["end_ns"][0]) // MONTH_NS
    found = audit(
        [packs.tape(ASKS), packs.tape(UNNAMED)],
        fees_bp=FEE_BP,
        latency_ms=(0.0, BAR_MS),
        max_age_ms=1.5 * BAR_MS,
        slow_window_s=120 * 3600.0,
    )
    return Feeds(
        header=_header(x),
        clock=clock_check(a, b),
        week_end=(week_end_share(a), week_end_share(b)),
        bars=len(x),
        offset=offset,
        monthly_offset=tuple(float(np.median(gap[month == m])) for m in np.unique(month)),
        dearer_share=float(np.mean(gap[np.abs(gap) > 1e-9] > 0.0)),
        lag_s=equivalent_lag_s(x, y),
        audit=found,
        stages=tuple(waterfall(x, y, costs=costs)),
        costs=costs,
    )


def _header(x: np.ndarray) -> Header:
    one, two = packs.pack(ASKS), packs.pack(UNNAMED)
    first, last = (str(np.datetime64(int(t), "ns"))[:16] for t in (x["end_ns"][0], x["end_ns"][-1]))
    return Header(
        source=(
            f"EURUSD hourly bars inside wheels: {one.wheel} {one.version} (asks), "
            f"{two.wheel} {two.version} (no side named)"
        ),
        licence=f"{one.licence} and {two.licence} (of the wheels, not a grant of the vendors of the prices)",
        period=f"{first} to {last} UTC, bar ends",
        side="not stated",
        simultaneity="same hours; where in its hour each price was set is not known",
        survivorship="one pair, chosen by the authors of the wheels",
        tries=1,
        claim=False,
        claim_why=(
            "one feed is asks, the other names no side, neither has sizes, and closes are not of one moment"
        ),
    )


def _bars(stages: tuple[Stage, ...], width: int = 24) -> list[str]:
    """The waterfall as text: change, what is left, and a bar from what was left before to what is now."""
    edges = [0.0] + [s.pnl for s in stages]
    low, span = min(edges), max(edges) - min(edges) or 1.0
    out = []
    for before, s in zip(edges, stages, strict=False):
        a, b = sorted(round(width * (v - low) / span) for v in (before, s.pnl))
        bar = " " * a + ("+" if s.change > 0 else "-") * max(b - a, 1)
        head = f"    {s.name:<18}{s.change:>10,.0f}{s.pnl:>10,.0f}  {bar:<{width + 1}}"
        out.append(f"{head} {s.trades:>5,} trades  {s.note}")
    return out
