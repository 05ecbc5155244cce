"""Exhibit "A funnel": twenty real stocks for thirty-three years, and what is left of their pairs.

Every step between "these two move together" and money is counted: tests made, discoveries that chance alone would
give, survivors of the false-discovery rate, trades, gross, net by era of costs, and what luck would show.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from oneprice.core.instruments import Fees
from oneprice.engine.entry import compile_entry
from oneprice.market import packs
from oneprice.market.bars import Ban, moment_ns
from oneprice.market.prices import Prices
from oneprice.market.prices_read import time_text
from oneprice.strategies.stat_arb import stat_arb
from oneprice.study.power import Power, planted_world, power_of
from oneprice.study.walk_estimator import Estimator
from oneprice.study.walk_fit import PairSelection
from oneprice.study.walk_forward import walk_forward
from oneprice.study.walk_report import WalkForward

TITLE = "A funnel: what is left of the pairs of twenty stocks"
STOCKS = "us_stocks_1d"
SECTORS = {
    "energy": ("CVX", "RRC", "XOM"),
    "banks": ("BAC", "JPM"),
    "health": ("JNJ", "LLY", "MRK", "PFE", "UNH"),
    "staples": ("KO", "PEP", "PG", "WMT"),
    "shops": ("BBY", "HD"),
    "technology": ("AAPL", "AMD", "MSFT"),
}  # GE has no second of its kind
ERAS = (("1990-01-01", 25.0), ("2001-04-01", 10.0), ("2008-01-01", 5.0))  # bp a fill: eighths, decimals, now
BAN_DAYS = ("2008-09-19", "2008-10-08")  # of all twenty here, harsher than the list of financial stocks then
AROUND_BAN = ("2005-08-25", "2008-12-31")
BORROW_BP_YEAR = 30.0
ALPHA = 0.05
HALF_LIVES = (5, 10, 20, 40)  # days
WINDOW_DAYS = 756
RECENT = "2010"
TRIES = 6  # looked at on these prices: this, pairs alone, other order in a pair, one family, all below half, one autumn


@dataclass(frozen=True)
class Funnel:
    """All that exhibit 3 says; every number is computed from the prices."""

    walk: WalkForward
    power: tuple[Power, ...]
    banned: dict[str, int]  # refusals of a walk that trades every pair it can through the autumn of 2008

    @property
    def counts(self) -> dict[str, int | float]:
        """Sums over the windows of the schedule."""
        rows = self.walk.funnel()
        recent = [r for r in rows if time_text(r.at_ns)[:4] >= RECENT]
        return {
            "windows": len(rows),
            "tests": sum(r.tests for r in rows),
            "by_chance": sum(r.by_chance for r in rows),
            "nominal": sum(r.nominal for r in rows),
            "survivors": sum(r.survivors for r in rows),
            "traded": sum(r.slots for r in rows),
            "trades": sum(r.trades for r in rows),
            "recent_windows": len(recent),
            "recent_empty": sum(r.survivors == 0 for r in recent),
        }

    @property
    def verdict(self) -> str:
        """One paragraph."""
        c = self.counts
        moments, deflated, _ = self.walk.sharpe()
        year = math.sqrt(self.walk.bars_year())
        eras = ", ".join(f"{e.net:,.0f}" for e in self.walk.eras())
        return (
            f"{c['tests']} tests in {c['windows']} windows: {c['nominal']} pass at 5 %, {c['by_chance']:.0f} would by"
            f" chance, {c['survivors']} survive control of false discovery, {c['traded']} are worth their costs; of the"
            f" {c['recent_windows']} windows since {RECENT}, {c['recent_empty']} have no survivor. Net by era of costs:"
            f" {eras} USD on {self.walk.capital:,.0f}; net Sharpe {moments.sharpe * year:.2f} a year, probability that"
            f" it is more than luck {deflated:.2f}. These are twenty stocks that lived: no claim."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "title": TITLE,
            "header": dict(self.walk.header.lines()),
            "counts": self.counts,
            "windows": [
                {
                    "day": time_text(r.at_ns)[:10], "tests": r.tests, "by_chance": r.by_chance, "nominal": r.nominal,
                    "survivors": r.survivors, "traded": r.slots, "trades": r.trades, "gross": r.gross, "net": r.net,
                }
                for r in self.walk.funnel()
            ],
            "power": {str(int(p.half_life)): p.power for p in self.power},
            "pnl": self.walk.pnl(),
            "closes": self.walk.closes(),
            "refused": self.walk.refused(),
            "refused_in_the_ban": self.banned,
            "verdict": self.verdict,
        }  # fmt: skip

    def __str__(self) -> str:
        told = ", ".join(f"{p.half_life:g} days {100 * p.power:.0f} %" for p in self.power)
        costs = ", ".join(f"{bp:g} bp from {day[:4]}" for day, bp in ERAS)
        banned = ", ".join(f"{n} {why}" for why, n in self.banned.items()) or "nothing"
        return "\n".join(
            [
                f"3. {TITLE}",
                "",
                *("  " + line for line in str(self.walk).splitlines()),
                "",
                f"  Families: {len(SECTORS)} sectors, declared before any test; false discovery rate 10 %.",
                f"  Costs a fill: {costs}, 1 bp of slippage, {BORROW_BP_YEAR:g} bp a year of borrow; fees a share are",
                "  refused: on adjusted prices a share then was not a share now.",
                f"  No short sale fills from {BAN_DAYS[0]} to {BAN_DAYS[1]}; a walk that trades every pair that",
                f"  autumn, believed or not, is refused: {banned}.",
                f"  Power of a window of {WINDOW_DAYS} days, by half-life of a planted pair: {told}.",
                "",
                f"  {self.verdict}",
            ]
        )


def rehearse() -> None:
    """Each step but the replays on a small planted panel, so that its kernels lie compiled in the cache."""
    world = planted_world(1, 400, 10.0, groups=2, walks=2)
    panel, strategy = world.prices, stat_arb(wealth=1e6)
    compile_entry(strategy)
    costs = np.full(panel.width, 6.0)
    select = PairSelection(family=world.groups, level=0.99, alpha=ALPHA, least_entry=0.5)
    estimator = Estimator(panel.symbols, costs, select, strategy, panel, costs, [], 0, len(panel))
    for slot in select(panel, costs).slots[:1]:
        select.retest(panel, costs, slot)
        estimator.fired(panel, slot, 0)
    power_of(WINDOW_DAYS, HALF_LIVES[0], worlds=1, groups=1, walks=1)


def funnel(
    *, ready: Callable[[], None] | None = None, progress: Callable[[float], None] | None = None
) -> Funnel:
    """Fetch the stocks, walk forward through them and state the power of the screen.

    `ready` is called before the first number is made (it may wait for kernels that are being compiled elsewhere).

    Raises
    ------
    DataError
        The pack is neither in the cache nor fetchable; the text says what is missing and how to get it.
    """
    prices = packs.prices(STOCKS)
    if ready is not None:
        ready()
    ban = Ban(first=BAN_DAYS[0], last=BAN_DAYS[1], symbols=prices.symbols)
    family = {s: name for name, group in SECTORS.items() for s in group}

    def walked(panel: Prices, select: PairSelection, tell: Callable[[float], None] | None = None) -> WalkForward:
        fees = [(day, Fees(maker_bp=bp, taker_bp=bp)) for day, bp in ERAS]
        last = max(k for k, (day, _) in enumerate(ERAS) if moment_ns(day) <= int(panel.time_ns[0]))
        return walk_forward(
            stat_arb(), panel, train="3y", step="1y", select=select, fees=fees[last:], bans=[ban],
            borrow_bp_year=BORROW_BP_YEAR, tries=TRIES, progress=tell,
        )  # fmt: skip

    walk = walked(prices, PairSelection(family=family, alpha=ALPHA), progress)
    every = walked(prices.between(*AROUND_BAN), PairSelection(level=0.99, most_pairs=16, least_entry=0.5))
    power = tuple(power_of(WINDOW_DAYS, h, worlds=20, groups=2, walks=6) for h in HALF_LIVES)
    return Funnel(walk, power, every.refused())
