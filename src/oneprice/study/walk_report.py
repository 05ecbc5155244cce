"""What a walk-forward says: the funnel of each window; gross and net by cause, pair and era; what luck would show."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.instruments import Fees
from oneprice.core.records import CAUSES, PACKAGE_ROW, REASONS, REFIT, REFUSED
from oneprice.execution.strategy import Strategy
from oneprice.market.bars import moment_ns
from oneprice.market.prices import PriceHeader, Prices
from oneprice.market.tape import Tape
from oneprice.modes.run import Run
from oneprice.risk.closure import attribution_table
from oneprice.signals.drift.watch import ASKERS, names_of
from oneprice.signals.slots import Slot
from oneprice.signals.validation.deflated import Moments, deflated_sharpe, moments
from oneprice.study import walk_books as books
from oneprice.study.walk_estimator import Window

ALONE = "in a family with no other series that can be tested"
YEAR_NS = 365.25 * 86_400e9


@dataclass(frozen=True)
class Part:
    """One era: a replay with its fees, and what its estimator answered."""

    run: Run
    tapes: tuple[Tape, ...]
    prices: Prices
    windows: tuple[Window, ...]
    fees: Fees
    slippage_bp: float


class FunnelRow(msgspec.Struct, frozen=True):
    """From tests to trades of one window. `by_chance` is what `nominal` would be if no pair were tied together."""

    at_ns: int
    until_ns: int
    why: str
    series: int
    tests: int
    by_chance: float
    nominal: int
    survivors: int
    smallest_p: float
    slots: int
    trades: int  # closed, by their opening
    gross: float
    net: float
    open: int = 0  # opened in the window and still held at the end of the walk
    baskets: int = 0  # of the tests
    basket_slots: int = 0
    dynamic_slots: int = 0


class PairResult(msgspec.Struct, frozen=True):
    """One relation over the whole walk: P&L by cause (ledger units too), trades, when it was in force."""

    key: int
    symbols: tuple[str, ...]
    space: str
    windows: int
    trades: int
    won: int
    gross: float
    net: float
    turnover: float  # value traded
    units: dict[str, int]
    sharpe: float  # per bar while the walk ran
    open: int = 0  # still held at the end, beside the closed trades
    static: int = 0  # windows in which its hedge was static, and in which it was dynamic
    dynamic: int = 0


class LeftOut(msgspec.Struct, frozen=True):
    """A series that some selections could not test: in how many windows of how many, and why the first time."""

    symbol: str
    windows: int
    of: int
    first_ns: int
    reason: str


class EraRow(msgspec.Struct, frozen=True):
    """A stretch of time. Ratios are per bar; `deflated` is the probability that the net ratio is more than luck."""

    first_ns: int
    last_ns: int
    bars: int
    gross: float
    costs: float
    net: float
    traded: float
    trades: int
    sharpe_gross: float
    sharpe_net: float
    deflated: float


@dataclass(frozen=True)
class WalkForward:
    """A finished walk-forward; prints as its summary. Amounts are in the report currency."""

    strategy: Strategy
    parts: tuple[Part, ...]
    capital: float
    tries: int
    spans: tuple[str, str]
    header: PriceHeader

    # ---------------------------------------------------------------- the funnel
    @property
    def windows(self) -> tuple[Window, ...]:
        """Every request and its answer, in order of time."""
        return tuple(w for part in self.parts for w in part.windows)

    @cached_property
    def slots(self) -> dict[int, Slot]:
        """Every relation that was ever in force, by key, as first fitted."""
        out: dict[int, Slot] = {}
        for window in self.windows:
            for slot in window.slots:
                out.setdefault(slot.id, slot)
        return out

    def funnel(self) -> list[FunnelRow]:
        """One row a selection; requests of monitors count in the window they fall in."""
        rows = []
        for part in self.parts:
            chosen = [w for w in part.windows if w.why == "schedule"]
            last = int(part.prices.time_ns[-1]) + 1
            ends = [*(w.at_ns for w in chosen[1:]), last]
            for w, until in zip(chosen, ends, strict=True):
                inside = (self.time_ns > w.at_ns) & (self.time_ns <= until)
                opened = [t for t in self.trades if w.at_ns < t.open_ns <= until]
                still = [t for t in self.held if w.at_ns < t.open_ns <= until]
                p = w.picked
                rows.append(
                    FunnelRow(
                        w.at_ns, until, w.why, part.prices.width - len(p.excluded), p.tests, p.by_chance, p.nominal,
                        len(p.survivors), p.smallest_p, len(w.slots), len(opened),
                        float(self.gross[inside].sum()), float(self.net[inside].sum()), len(still), p.baskets,
                        sum(len(s.symbols) > 2 for s in w.slots), sum(s.dynamic for s in w.slots),
                    )
                )  # fmt: skip
        return rows

    # ---------------------------------------------------------------- money
    @cached_property
    def by_key(self) -> dict[int, books.Series]:
        """P&L bar by bar of each relation, on the joined time axis of all eras."""
        out: dict[int, list[np.ndarray]] = {}
        at = 0
        for part, (first, stop) in zip(self.parts, self._cuts, strict=True):
            for key, s in books.series_by_pair(part.run, part.tapes, part.prices.time_ns).items():
                whole = out.setdefault(key, [np.zeros(len(self.time_ns)) for _ in range(4)])
                for total, own in zip(whole, (s.net, s.costs, s.traded, s.held), strict=True):
                    total[at : at + stop - first] += own[first:stop]
            at += stop - first
        return {key: books.Series(self.time_ns, *arrays) for key, arrays in sorted(out.items())}

    @cached_property
    def _cuts(self) -> tuple[tuple[int, int], ...]:
        """Rows of each part's panel on which it may trade."""
        return tuple((int(np.searchsorted(p.prices.time_ns, p.windows[0].at_ns)), len(p.prices)) for p in self.parts)

    @cached_property
    def time_ns(self) -> np.ndarray:
        """Bars on which positions could be held, int64[T]."""
        cut = zip(self.parts, self._cuts, strict=True)
        return np.concatenate([p.prices.time_ns[first:stop] for p, (first, stop) in cut])

    @cached_property
    def net(self) -> np.ndarray:
        """Net P&L of each bar."""
        return self._sum("net")

    @cached_property
    def costs(self) -> np.ndarray:
        """Fees, taxes, borrow and assumed slippage of each bar, positive."""
        return self._sum("costs")

    @property
    def gross(self) -> np.ndarray:
        """P&L of each bar before costs."""
        return self.net + self.costs

    def _sum(self, name: str) -> np.ndarray:
        total = np.zeros(len(self.time_ns))
        for s in self.by_key.values():
            total += getattr(s, name)
        return total

    @cached_property
    def trades(self) -> tuple[books.Trade, ...]:
        """Every closed trade, flat to flat, in order of opening; `held` has those still open at the end."""
        return tuple(t for t in self._holdings if not t.open)

    @property
    def held(self) -> tuple[books.Trade, ...]:
        """Trades that were still open at the end of their era."""
        return tuple(t for t in self._holdings if t.open)

    @cached_property
    def _holdings(self) -> tuple[books.Trade, ...]:
        out: list[books.Trade] = []
        for part in self.parts:
            out += books.trades_of(part.run, part.tapes, sorted(self.slots))
        return tuple(sorted(out, key=lambda t: (t.open_ns, t.key)))

    def pnl(self) -> dict[str, float]:
        """P&L by cause and in total, as the ledger has it."""
        out = dict.fromkeys((*CAUSES, "total"), 0.0)
        for part in self.parts:
            for cause, amount in part.run.pnl().items():
                out[cause] += amount
        return out

    def pairs(self) -> list[PairResult]:
        """Every relation that was traded, the best net first; their units by cause sum to the ledger's."""
        units: dict[int, np.ndarray] = {}
        for part in self.parts:
            for key, causes in books.causes_by_pair(part.run).items():
                units[key] = units.get(key, 0) + causes
        out = []
        for key, causes in units.items():
            slot, s = self.slots.get(key), self.by_key.get(key)
            own = [t for t in self.trades if t.key == key]
            fits = [x for w in self.windows if w.why == "schedule" for x in w.slots if x.id == key]
            net = float(s.net.sum()) if s else 0.0
            out.append(
                PairResult(
                    key, slot.symbols if slot else (), slot.space if slot else "",
                    len(fits), len(own), sum(t.pnl > 0 for t in own), net + (float(s.costs.sum()) if s else 0.0), net,
                    float(s.traded.sum()) if s else 0.0,
                    {c: int(v) for c, v in zip(CAUSES, causes, strict=True)},
                    moments(s.net).sharpe if s else math.nan, sum(t.key == key for t in self.held),
                    sum(not x.dynamic for x in fits), sum(x.dynamic for x in fits),
                )
            )  # fmt: skip
        return sorted(out, key=lambda r: -r.net)

    def closes(self) -> bool:
        """Whether every ledger closes and the pairs' units sum to its causes, exactly."""
        for part in self.parts:
            total = sum(books.causes_by_pair(part.run).values())
            ledger = dict.fromkeys(CAUSES, 0)
            for row in attribution_table(part.run.engine.arena, part.run.engine.scales):
                ledger[row["cause"]] += row["units"]
            mine = np.zeros(len(CAUSES), np.int64) + total
            if part.run.closes() != 0 or [int(v) for v in mine] != list(ledger.values()):
                return False
        return True

    # ---------------------------------------------------------------- ratios
    def sharpe(self) -> tuple[Moments, float, float]:
        """(moments of the net P&L per bar, deflated probability, ratio that luck alone would show) over all bars.

        The tries are the walk-forwards looked at; those of the selection inside are paid for by trading afterwards.
        """
        return _deflated(self.net, self.tries)

    def eras(self, bounds: Sequence[str | int] = ()) -> list[EraRow]:
        """Gross, costs and net of each stretch between bounds (first days; none: one row a fee era)."""
        starts = [moment_ns(b) for b in bounds] or [int(p.windows[0].at_ns) for p in self.parts]
        if starts != sorted(set(starts)):
            raise ConfigError(f"eras: expected first days in order of time, got {list(bounds)}")
        rows = []
        for first, last in zip(starts, [*starts[1:], int(self.time_ns[-1]) + 1], strict=True):
            inside = (self.time_ns >= first) & (self.time_ns < last)
            if not inside.any():
                continue
            net, gross = self.net[inside], self.gross[inside]
            own = [t for t in self.trades if first <= t.open_ns < last]
            traded = sum(float(s.traded[inside].sum()) for s in self.by_key.values())
            m, dsr, _ = _deflated(net, self.tries)
            rows.append(
                EraRow(
                    first, last, int(inside.sum()), float(gross.sum()), float(gross.sum() - net.sum()),
                    float(net.sum()), traded, len(own), moments(gross).sharpe, m.sharpe, dsr,
                )
            )  # fmt: skip
        return rows

    # ---------------------------------------------------------------- what was left out and refused
    @property
    def panel(self) -> Prices:
        """The prices of the first part: `excluded`, `flagged` and `notes` are those of the whole panel."""
        return self.parts[0].prices

    def left_out(self) -> list[LeftOut]:
        """Series that selections left out of their windows, with the first reason of each, in the panel's order."""
        chosen = [w for w in self.windows if w.why == "schedule"]
        found: dict[str, list[tuple[int, str]]] = {}
        for window in chosen:
            for one in window.picked.excluded:
                found.setdefault(one.symbol, []).append((window.at_ns, one.reason))
            for symbol in window.picked.untested:
                found.setdefault(symbol, []).append((window.at_ns, ALONE))
        place = {s: i for i, s in enumerate(self.panel.symbols)}
        order = sorted(found, key=lambda s: (place.get(s, len(place)), s))
        return [LeftOut(s, len(found[s]), len(chosen), *found[s][0]) for s in order]

    def not_traded(self) -> dict[str, int]:
        """Survivors that were given no slot, by reason, over all selections."""
        out: dict[str, int] = {}
        for window in self.windows:
            for one in window.picked.survivors if window.why == "schedule" else ():
                if one.verdict != "traded":
                    out[one.verdict] = out.get(one.verdict, 0) + 1
        return out

    def refused(self) -> dict[str, int]:
        """Refused orders and packages by reason."""
        out: dict[str, int] = {}
        for part in self.parts:
            rows = part.run.rows[part.run.rows["kind"] == REFUSED]
            for code, n in zip(*np.unique(rows["code"], return_counts=True), strict=True):
                out[REASONS[code]] = out.get(REASONS[code], 0) + int(n)
        return out

    def refits(self) -> int:
        """Fits asked for by drift monitors."""
        return sum(int((p.run.rows["kind"] == REFIT).sum()) for p in self.parts)

    def asked(self) -> dict[str, int]:
        """Requests by the monitor that fired; one that fired with another counts under both."""
        words = np.concatenate([p.run.rows["aux"][p.run.rows["kind"] == REFIT] for p in self.parts])
        found = {name: int(((words & bit) != 0).sum()) for bit, name in ASKERS.items()}
        return {name: n for name, n in found.items() if n}

    def asker(self, key: int, at_ns: int) -> str:
        """The monitors behind the request of a relation at a moment, "" where it made none."""
        for part in self.parts:
            rows = part.run.rows
            mine = rows[(rows["kind"] == REFIT) & (rows["time_ns"] == at_ns) & (rows["a"] == key)]
            if len(mine):
                return names_of(int(mine["aux"][0]))
        return ""

    def packages(self) -> int:
        """Packages that were begun."""
        return sum(len(np.unique(p.run.rows["package"][p.run.rows["kind"] == PACKAGE_ROW])) for p in self.parts)

    def years(self) -> float:
        """Length of the traded time in years."""
        return float(self.time_ns[-1] - self.time_ns[0]) / YEAR_NS

    def turnover_year(self) -> float:
        """Value traded a year over the capital."""
        traded = sum(float(s.traded.sum()) for s in self.by_key.values())
        return traded / self.capital / max(self.years(), 1e-9)

    def bars_year(self) -> float:
        """Bars a year, to show a ratio per year."""
        return len(self.time_ns) / max(self.years(), 1e-9)

    # ---------------------------------------------------------------- telling it
    def to_dict(self) -> dict[str, Any]:
        """Plain values; numbers that are not finite become None."""
        m, dsr, bar = self.sharpe()
        return _finite(
            {
                "header": dict(self.header.lines()),
                "excluded": [msgspec.to_builtins(e) for e in self.panel.excluded],
                "flagged": [msgspec.to_builtins(f) for f in self.panel.flagged],
                "notes": list(self.panel.notes),
                "left_out": [msgspec.to_builtins(r) for r in self.left_out()],
                "not_traded": self.not_traded(),
                "train": self.spans[0],
                "step": self.spans[1],
                "tries": self.tries,
                "capital": self.capital,
                "pnl": self.pnl(),
                "gross": float(self.gross.sum()),
                "costs": float(self.costs.sum()),
                "net": float(self.net.sum()),
                "closes_exactly": self.closes(),
                "sharpe_bar": m.sharpe,
                "sharpe_year": m.sharpe * math.sqrt(self.bars_year()),
                "deflated": dsr,
                "luck_bar": bar,
                "turnover_year": self.turnover_year(),
                "refused": self.refused(),
                "refits": self.refits(),
                "refits_by": self.asked(),
                "open": len(self.held),
                "funnel": [msgspec.to_builtins(r) for r in self.funnel()],
                "eras": [msgspec.to_builtins(r) for r in self.eras()],
                "pairs": [msgspec.to_builtins(r) for r in self.pairs()],
            }
        )

    def write(self, path: str | Path) -> Path:
        """Write the result as JSON (whole or not at all); returns the path."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        scratch.write_text(json.dumps(self.to_dict(), indent=1))
        os.replace(scratch, target)
        return target

    def pages(self) -> list[dict[str, Any]]:
        """One page a pair for the report: figures, its P&L bar by bar, its trades and how it was fitted each time."""
        out = []
        for row in self.pairs():
            s = self.by_key.get(row.key)
            if s is None:
                continue
            fits = [
                {"at_ns": w.at_ns, "why": w.why, "asked": self.asker(row.key, w.at_ns), **msgspec.structs.asdict(x)}
                for w in self.windows
                for x in w.slots
                if x.id == row.key
            ]
            own = [t for t in self.trades if t.key == row.key]
            out.append(
                {
                    "pair": msgspec.structs.asdict(row), "time_ns": s.time_ns, "net": np.cumsum(s.net),
                    "gross": np.cumsum(s.gross), "held": s.held, "trades": own, "fits": fits,
                }
            )  # fmt: skip
        return out

    def summary(self) -> str:
        """The walk as text: header, funnel, causes, eras, pairs, refusals."""
        from oneprice.study.walk_text import text

        return text(self)

    def __str__(self) -> str:
        return self.summary()


def _deflated(net: np.ndarray, tries: int) -> tuple[Moments, float, float]:
    m = moments(net)
    if not math.isfinite(m.sharpe):
        return m, math.nan, math.nan
    dsr, bar = deflated_sharpe(m, tries=tries, variance=1.0 / max(m.periods - 1, 1))
    return m, dsr, bar


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value
