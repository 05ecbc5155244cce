"""Replay term-structure relations on settlements: engine, gate, package order, ledger, expiry, roll and settlement.

A decision on one settlement fills at the next, half an assumed spread off it; an order is asked to fill wherever that
settlement is, since a settlement file has no touch to protect. Whatever comes out is no claim of P&L.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.instruments import Fees
from oneprice.engine.state import Settings
from oneprice.execution.latency import constant
from oneprice.execution.package import PackagePolicy
from oneprice.execution.strategy import Strategy
from oneprice.market.chains import NO_BOUNDARY, TWO_SIDED, day_text
from oneprice.market.settlement_tapes import DAY_NS, HalfSpread, settlement_tapes
from oneprice.market.settlements import Settlements
from oneprice.market.spread_tapes import SpreadMarket
from oneprice.market.tape import Tape
from oneprice.modes.fit import Fit
from oneprice.modes.replay import replay
from oneprice.modes.run import Run
from oneprice.risk.limits import Limits
from oneprice.strategies.term_structure import term_structure
from oneprice.study.term_crack import crack_note, crack_range
from oneprice.study.term_file import strips_of, trade_row, write_strips
from oneprice.study.term_fit import LEGS, LISTED_SPREAD, Costs, Rate, StripEstimator, StripRules
from oneprice.study.term_fitted import FittedEstimator, strip_estimator
from oneprice.study.term_ladder import strip_ladder
from oneprice.study.term_listed import Crossings, ListedEstimator, ListedTapes, crossings, listed_tapes
from oneprice.study.term_parts import PARTS, Parts, Trade, term_parts

FEES = Fees(maker_bp=0, taker_bp=0, per_lot="2.5")  # a contract and side: exchange and broker, assumed
CAPITAL = 10_000_000
LATENCY_US = 1000.0
WIDE_TICKS = 2_000
MOST_TICKS = 1_000_000  # a price up to which the ledger is proved not to overflow
NOTES_SHOWN = 12
MORE_PLACES = 3  # contracts behind those traded, kept for the curve


class TermRun(msgspec.Struct, frozen=True, eq=False):
    """A replay of strips: the run, its trades split into parts, and what was left out and why."""

    run: Run
    parts: Parts
    tapes: tuple[Tape, ...]
    rules: StripRules | None  # None: the relations were given
    word: str
    notes: tuple[str, ...]
    kind: str
    crossings: Crossings | None = None  # of listed spreads, beside the same fills as two legs

    def to_dict(self) -> dict[str, Any]:
        """Plain values: figures of the run, totals by part, trades."""
        closed = [t for t in self.parts.trades if not t.open]
        return {
            **self.run.to_dict(),
            "kind": self.kind,
            "word": self.word,
            "parts": self.parts.totals(),
            "parts_close_exactly": self.parts.exact,
            "trades": len(self.parts.trades),
            "unit": self.parts.unit,
            "trade_rows": [trade_row(t) for t in self.parts.trades],
            "open_trades": len(self.parts.trades) - len(closed),
            "notes": list(self.notes),
            "claim": self.tapes[-1].header.claim,
            "claim_why": self.tapes[-1].header.claim_why,
            "spread": self.rules.spread if self.rules else LEGS,
            "crossings": msgspec.structs.asdict(self.crossings) if self.crossings else None,
        }

    def by_year(self) -> dict[int, dict[str, float]]:
        """Money by part and year in which the trade ended."""
        out: dict[int, dict[str, float]] = {}
        for trade in self.parts.trades:
            year = int(day_text(trade.last_ns // DAY_NS)[:4])
            row = out.setdefault(year, {**dict.fromkeys(trade.units, 0.0), "total": 0.0, "trades": 0.0})
            for name, units in trade.units.items():
                row[name] += units * self.parts.unit
            row["total"] += trade.total * self.parts.unit
            row["trades"] += 1.0
        return dict(sorted(out.items()))

    def table(self, n: int = 20) -> list[Trade]:
        """The trades with the largest sums, either sign."""
        return sorted(self.parts.trades, key=lambda t: -abs(t.total))[:n]

    def __str__(self) -> str:
        d, unit = self.to_dict(), self.parts.currency
        lines = [
            f"term_structure, {self.kind} ({self.word}): {len(self.tapes)} legs, {d['fills']:,} fills, "
            f"{d['trades']:,} trades, state {d['halt']}",
            f"  no P&L is claimed: {d['claim_why']}",
        ]
        lines += [f"  {name:<10}{value:>18,.2f} {unit}" for name, value in d["parts"].items()]
        lines.append(f"  parts sum to the ledger {'exactly' if self.parts.exact else 'NOT: ' + str(self.parts.gaps)}")
        for year, row in self.by_year().items():
            told = "".join(f"  {name} {row[name]:>12,.0f}" for name in (*PARTS, "total"))
            lines.append(f"  {year}  {row['trades']:>4.0f} trades{told}")
        if self.crossings is not None:
            lines.append(f"  {self.crossings.text(unit)}")
        if d["refused"]:
            lines.append("  refused: " + ", ".join(f"{name} {n:,}" for name, n in d["refused"].items()))
        lines += [f"  {note}" for note in self.notes[:NOTES_SHOWN]]
        if len(self.notes) > NOTES_SHOWN:
            lines.append(f"  and {len(self.notes) - NOTES_SHOWN} more notes")
        return "\n".join(lines)


def replay_term(
    panels: Settlements | Sequence[Settlements],
    *,
    rules: StripRules,
    rate: Rate,
    half_spread: HalfSpread | None = None,
    market: SpreadMarket | None = None,
    fees: Fees = FEES,
    strategy: Strategy | None = None,
    period: tuple[Any, Any] = (None, None),
    every_days: int = 7,
    limits: Limits | None = None,
    capital: float = CAPITAL,
    seed: int = 0,
    out: str | Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> TermRun:
    """Replay the relations of strips over their settlements.

    Parameters
    ----------
    panels : settlements of one root, or of all roots of a crack.
    rate : Treasury yields, used as told before each day, or a rate a year. period: first and last date.
    every_days : calendar days between fits; the first is on the first day received.
    half_spread, fees : of a contract, assumed and stated in the report.
    market : of the listed spreads where `rules.spread` is "listed": its tick and its own half spread.

    Raises
    ------
    ConfigError, DataError
        No contracts in the period, a root of the crack missing, a root without a boundary that was not asked for.
    """
    given = [panels] if isinstance(panels, Settlements) else list(panels)
    if every_days < 1:
        raise ConfigError(f"replay: expected every_days of 1 or more, got {every_days}")
    made = _legs_of(given, rules, rate, period, Costs(half_spread or HalfSpread(), fees), market or SpreadMarket())
    tapes, estimator, listed = made
    first_ns = min(int(t.events["receive_ns"][0]) for t in tapes)
    run = replay(
        strategy or term_structure(slip_bp=5_000.0, slip_price=wide_price(given), participation=1.0),
        tapes,
        latency=constant(LATENCY_US, LATENCY_US),
        limits=limits or strip_limits(capital),
        settings=Settings(capital=capital, sample_ns=DAY_NS, max_price_ticks=MOST_TICKS),
        policy=strip_policy(),
        fits=[Fit(estimator=estimator, latency_ns=1, first_ns=first_ns, every_ns=every_days * DAY_NS)],
        seed=seed,
        out=out,
        progress=progress,
    )
    parts = term_parts(run, tapes, strip_ladder(given, rate, rules.decay_years), listed.contracts if listed else None)
    notes = [f"{e.symbol}: {e.reason}" for panel in given for e in panel.excluded]
    notes += [text for panel in given for text in panel.chain.notes]
    notes += [f"{text} ({n} times)" if n > 1 else text for text, n in estimator.notes.items()]
    if isinstance(estimator, FittedEstimator):
        notes = estimator.summary() + notes
    why = ""
    if rules.kind == "crack" and not parts.trades:
        why = crack_note(crack_range(given, rules, period), rules)
        notes.insert(0, why)
    crossed = None
    if listed is not None:
        crossed = crossings(run, listed, half_spread or HalfSpread(), market or SpreadMarket(), fees)
    word = word_of(given, rules)
    if out is not None:
        write_strips(strips_of(parts, rules.kind, word, tapes[-1].header.claim_why, why), out)
    return TermRun(run, parts, tuple(tapes), rules, word, tuple(notes), rules.kind, crossed)


def _legs_of(
    panels: Sequence[Settlements], rules: StripRules, rate: Rate, period: tuple[Any, Any], costs: Costs,
    market: SpreadMarket,
) -> tuple[list[Tape], StripEstimator, ListedTapes | None]:  # fmt: skip
    """Tapes to trade on, who makes relations of them, and the listed spreads among them."""
    near = [nearest(panel, rules.places + MORE_PLACES) for panel in panels]
    if rules.spread == LISTED_SPREAD:
        listed = listed_tapes(near, period, costs.spread, market, costs.fees)
        return list(listed.tapes), ListedEstimator(listed, rules, rate, market, costs.fees), listed
    tapes, legs = [], []
    for panel in near:
        made = settlement_tapes(panel, first=period[0], last=period[1], half_spread=costs.spread, fees=costs.fees)
        tapes += made
        legs += [(panel.chain, panel.chain.place(t.instrument.symbol.split(":", 1)[1])) for t in made]
    return tapes, strip_estimator(legs, [t.instrument.symbol for t in tapes], rules, rate, costs), None


def nearest(panel: Settlements, places: int) -> Settlements:
    """The panel with the prices of the first `places` contracts of each day only."""
    first = np.searchsorted(panel.chain.last_trade_days, panel.days)
    at = np.arange(len(panel.chain.contracts))[None, :] - first[:, None]
    return msgspec.structs.replace(panel, price=np.where((at >= 0) & (at < places), panel.price, np.nan))


def wide_price(panels: Sequence[Settlements]) -> float:
    """How far beyond a touch an order may fill, beside a share of it, which is nothing where a price is near 0.

    In ticks and never by the prices of the file: a limit that knew them would look ahead.
    """
    return min(WIDE_TICKS * p.chain.tick for p in panels)


def word_of(panels: Sequence[Settlements], rules: StripRules) -> str:
    """What a position outside these bands is: arbitrage only where the bound's inputs are observed.

    Storage is assumed in an upper bound and a lease rate in a lower one, a butterfly or crack has no bound at all.
    """
    kinds = {p.chain.boundary for p in panels}
    if NO_BOUNDARY in kinds:
        return "relative value: no boundary exists"
    if rules.kind != "calendar":
        return "relative value"
    return "relative value: lease assumed" if kinds == {TWO_SIDED} else "relative value: storage assumed"


def strip_limits(capital: float) -> Limits:
    """Limits of an account that holds strips: no price band (settlements jump), gross ten times the capital."""
    return Limits(
        order_value=capital, position_value=5 * capital, gross_value=10 * capital, net_value=capital,
        venue_gross_value=10 * capital, residual_value_s=None, drawdown_value=0.5 * capital, price_band_bp=None,
        orders_per_s=None, venue_orders_per_s=None, messages_per_day=None,
    )  # fmt: skip


def strip_policy() -> PackagePolicy:
    """How packages are worked where an answer takes a day: patience in days, an unhedged leg traded back soon."""
    return PackagePolicy(
        response_ns=20 * DAY_NS, retry_ns=DAY_NS // 2, retry_cap_ns=DAY_NS, max_age_ns=4 * DAY_NS,
        residual_age_ns=4 * DAY_NS, band_bp=5_000.0, unwind_band_bp=5_000.0, vol_bp=0.5, accumulate=False,
    )  # fmt: skip
